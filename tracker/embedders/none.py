"""No appearance: boxes alone decide."""

from collections.abc import Sequence

import numpy as np

from tracker.types import BoolArray, Detections, Network, Observations, Tick


class NoEmbedder:
    """Gives features of length 0."""

    network: Network | None = None

    def embed(
        self, tick: Tick, detections: Sequence[Detections], wanted: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame without appearance; see `Embedder`."""
        return [
            Observations(people.boxes, people.scores, np.empty((len(people), 0), np.float32))
            for people in detections
        ]
