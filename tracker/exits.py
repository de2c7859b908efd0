"""Early exits: which crops stop at an early embedding, and which go through the whole network."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import BoolArray
from foundation.errors import ReuniteError
from tracker.camera_tracker import CameraTracker
from tracker.camera_tracker.pairs import Candidates
from tracker.config import ExitsConfig
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.stages import StagedEmbedder
from tracker.types import CameraName, Detections, Observations, State, Tick

UNDECIDED_S = 0.3
"""A track whose person is not known yet gets an embedding of the whole network as often."""

KNOWN_S = 2.1
"""A track whose person is known gets one as often, since people turn, and are cut off where they come in."""

STEP = 0.1
"""By how much, in log odds, one crop moves the margin that is asked for."""

MARGINS = (-9.0, 70.0)
"""The margin that is asked for stays within these, so that it follows when people come or go. No log odds are
above the second."""


class EarlyExits:
    """Decides for each crop whether its early embedding suffices, so that the mean cost is the budget.

    Crops stop whose track got an embedding of the whole network only just now, and, of known people, those
    whose early embedding is likelier of them than of anybody else by a margin, unless that is long ago. The
    margin that is asked for rises while crops cost less than the budget, and falls while they cost more.

    Attributes:
        num_early: How many crops stopped at the early embedding.
        num_deep: How many went through the whole network.
    """

    def __init__(self, config: ExitsConfig, embedder: object, cameras: Sequence[CameraName]) -> None:
        """Begin without tracks.

        Raises:
            ReuniteError: The embedder cannot be left early, or no crops cost as little as the budget.
        """
        if not isinstance(embedder, StagedEmbedder):
            raise ReuniteError("embedder.exits: this embedder cannot be left early; set exits to null")
        if not embedder.first_share <= config.budget <= 1:
            raise ReuniteError(
                f"embedder.exits.budget: must be from {embedder.first_share:.2f}, where every crop stops "
                f"early, to 1, got {config.budget:g}"
            )
        self._embedder = embedder
        self._wanted = (1 - config.budget) / (1 - embedder.first_share)
        self._margin = 0.0
        self._deep_s: dict[tuple[int, int], float] = {}
        self._cameras = cameras
        self.num_early = self.num_deep = 0

    def report(self) -> dict[str, float]:
        """How many crops left early, how many went all the way, and what share of multiply-adds it saved."""
        saved = (1 - self._embedder.first_share) * self.num_early / max(self.num_early + self.num_deep, 1)
        return {"early": self.num_early, "whole": self.num_deep, "multiply_adds_saved": round(saved, 4)}

    def embed(
        self,
        identities: IdentityLinker,
        tick: Tick,
        detections: Sequence[Detections],
        trackers: Sequence[CameraTracker],
        candidates: Sequence[Candidates],
        needed: Sequence[BoolArray],
    ) -> Sequence[Observations]:
        """The people of each frame of a tick; arguments are those of each frame, in order."""
        look = self._embedder.look(tick, detections, needed)
        deep = [np.zeros(len(it), np.bool_) for it in needed]
        for index in sorted(range(len(deep)), key=lambda it: tick.frames[it].camera):
            camera, seen = tick.frames[index].camera, look.observations[index]
            deep[index] = self._is_deep(identities, camera, trackers[index], candidates[index], seen)
        return self._embedder.finish(look, deep)

    def _is_deep(
        self,
        identities: IdentityLinker,
        camera: CameraName,
        tracker: CameraTracker,
        candidates: Candidates,
        seen: Observations,
    ) -> BoolArray:
        """(N,) which people of a frame, of those with an early embedding, go through the whole network."""
        prediction = candidates.prediction
        is_asked: BoolArray = np.asarray(seen.embeddings.any(axis=1))
        is_deep = is_asked.copy()
        if not is_asked.any():
            return is_deep
        rows, columns = tracker.match(candidates, seen)
        is_matched = is_asked[columns]
        rows, columns = rows[is_matched], columns[is_matched]
        track_ids = prediction.tracks.track_ids[rows]
        is_known = identities.lookup(camera, track_ids) != UNDECIDED
        margins = identities.margins(camera, track_ids, seen.embeddings[columns])
        index = self._cameras.index(camera)
        for track_id, column, known, margin in zip(
            track_ids.tolist(), columns.tolist(), is_known.tolist(), margins.tolist(), strict=True
        ):
            since_s = prediction.time - self._deep_s.get((index, track_id), -np.inf)
            is_stale = since_s >= (KNOWN_S if known else UNDECIDED_S)
            is_deep[column] = is_stale or (known and margin < self._margin)
            if is_deep[column]:
                self._deep_s[index, track_id] = prediction.time
        self._count(int(is_asked.sum()), int(is_deep.sum()))
        self._forget_ended(index, prediction.tracks.track_ids.tolist())
        return is_deep

    def _count(self, crops: int, deep: int) -> None:
        self.num_early += crops - deep
        self.num_deep += deep
        moved = self._margin + STEP * (crops - deep - self._wanted * crops)
        self._margin = float(np.clip(moved, *MARGINS))

    def _forget_ended(self, camera: int, track_ids: Sequence[int]) -> None:
        gone = [key for key in self._deep_s if key[0] == camera and key[1] not in track_ids]
        for key in gone:
            del self._deep_s[key]

    def state(self) -> State:
        """What is learnt, the margin, and when tracks got an embedding of the whole network."""
        return {
            "margin": np.array(self._margin),
            "counts": np.array([self.num_early, self.num_deep]),
            "tracks": np.array(list(self._deep_s), np.int64).reshape(-1, 2),
            "deep_s": np.array(list(self._deep_s.values()), np.float64),
            **self._embedder.state(),
        }

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave."""
        self._margin = float(state["margin"])
        self.num_early, self.num_deep = state["counts"].tolist()
        keys = [(camera, track_id) for camera, track_id in state["tracks"].tolist()]
        self._deep_s = dict(zip(keys, state["deep_s"].tolist(), strict=True))
        own = ("margin", "counts", "tracks", "deep_s")
        self._embedder.restore({name: value for name, value in state.items() if name not in own})
