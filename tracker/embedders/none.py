"""No appearance: boxes alone decide."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from tracker.types import Detections, Network, Observations, Tick


class NoEmbedder:
    """Gives embeddings of length 0."""

    network: Network | None = None
    prior: CosinePrior | None = None

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame without appearance; see `Embedder`."""
        return [
            Observations(people.boxes, people.scores, np.empty((len(people), 0), np.float32))
            for people in detections
        ]
