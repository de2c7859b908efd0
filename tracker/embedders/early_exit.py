"""A re-identification network that can be left early: cheap embeddings of all, its own of some."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray
from foundation.errors import ReuniteError
from reid.exits import SiteHead, open_exit
from reid.runtime import Runtime
from tracker.config import ReidEmbedderConfig
from tracker.embedders.crops import cut_crops, put_back
from tracker.embedders.reid import ReidEmbedder, fingerprint
from tracker.types import Detections, Observations, State, Tick


@dataclass(frozen=True, slots=True, eq=False)
class EarlyLook:
    """What the first half of the network says of the people of a tick; see `tracker.stages.EarlyLook`.

    Attributes:
        observations: Of each frame, the wanted ones with their early embedding.
        is_embedded: (N,) of each frame, which ones these are; R in all.
        early: (R, D) as the first half gives them, codes: (R, K), states: (R, S).
    """

    observations: Sequence[Observations]
    is_embedded: Sequence[BoolArray]
    early: EmbeddingArray
    codes: EmbeddingArray
    states: EmbeddingArray


class EarlyExitEmbedder(ReidEmbedder):
    """Crops of all cameras of a tick, in one batch, through half of a network, and some through all of it.

    Early embeddings get better the more crops of the site went through all of it.

    Attributes:
        first_share: Of the network's multiply-adds, those of its first half.

    Raises:
        ReuniteError: The weights have no early exit, or it cannot be used.
    """

    def __init__(self, config: ReidEmbedderConfig) -> None:
        super().__init__(config)
        if self._embedder.runtime.startswith("pytorch"):
            raise ReuniteError("embedder.exits: need embedder.runtime onnx or openvino; or set exits to null")
        runtime: Runtime = "openvino" if self._embedder.runtime.startswith("openvino") else "onnx"
        try:
            self._exit = open_exit(
                self._path, fingerprint(self._path, config.convention), runtime, config.batch_size
            )
        except ReuniteError as error:
            raise ReuniteError(f"embedder.exits: {error}") from None
        self.first_share = self._exit.share
        self._site = SiteHead(self._exit.code_length, self._exit.embedding_length)

    def look(self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]) -> EarlyLook:
        """Early embeddings of the wanted people of each frame."""
        crops, is_embedded = cut_crops(tick, detections, needed)
        early, codes, states = self._exit.begin(crops)
        found = self._site.correct(early, codes)
        return EarlyLook(put_back(detections, is_embedded, found), is_embedded, early, codes, states)

    def finish(self, look: EarlyLook, deep: Sequence[BoolArray]) -> Sequence[Observations]:
        """The same people, those of ``deep`` with the embedding of the whole network."""
        asked = [is_deep[is_here] for is_deep, is_here in zip(deep, look.is_embedded, strict=True)]
        rows = np.flatnonzero(np.concatenate(asked))
        if not len(rows):
            return look.observations
        found = np.concatenate(
            [it.embeddings[is_here] for it, is_here in zip(look.observations, look.is_embedded, strict=True)]
        )
        found[rows] = self._exit.finish(look.states[rows])
        self._site.learn(look.early[rows], look.codes[rows], found[rows])
        return put_back(look.observations, look.is_embedded, found)

    def state(self) -> State:
        return self._site.state()

    def restore(self, state: State) -> None:
        self._site.restore(state)
