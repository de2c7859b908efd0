"""What cosines mean at this site so far: the pairs of tracks that tell it, and when it is learnt anew."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.config import SimilarityConfig
from tracker.identity.similarity import GRID, HIDDEN, HIDDEN_FACTOR, SimilarityCalibration, Taught
from tracker.identity.tracklets import UNKNOWN, Fold, TrackletTable
from tracker.types import SimilarityReport, State

MATURE_EMBEDDINGS = 6
"""With this many embeddings a track says how alike different people are."""

MAX_PAIRS = 4096
"""Pairs of tracks seen together that are remembered; the newest."""

GROWTH = 1.1
"""What cosines mean here is learnt anew when there are this many times more pairs than the last time."""

DOUBLED = 0.5
"""Two boxes of which one is covered by the other by this share may be of one person, or show both."""


class SiteSimilarity:
    """The similarity calibration of a run, learnt from its tracks.

    Attributes:
        calibration: What cosines mean, as of the last `refresh`.
    """

    def __init__(self, config: SimilarityConfig, tracklets: TrackletTable) -> None:
        self.calibration = SimilarityCalibration(config)
        self._config, self._tracklets = config, tracklets
        self._pairs = np.empty((0, 2), np.int64)
        self._is_stale = False
        self._learnt_from = 0
        # Of tracks that were folded: what their pairs and they themselves said, and how many would say more.
        self._folded = np.empty(0), np.empty(0)
        self._folded_mature = 0
        self._taught = Taught(np.empty(0), np.empty(0))

    def teach(self, taught: Taught) -> None:
        """These are the pairs that somebody corrected, in the place of those of before."""
        self._taught, self._is_stale = taught, True

    def see(self, rows: IntArray, matured: IntArray, boxes: FloatArray) -> None:
        """Of the tracks of one frame (M,), at boxes (M, 4), these (K,) have just `MATURE_EMBEDDINGS`.

        Whoever is beside them is somebody else, unless one box covers the other: that is one person twice, or
        shows both.
        """
        tracklets = self._tracklets
        for row in matured.tolist():
            is_beside = (rows != row) & (tracklets.num_embeddings[rows] >= MATURE_EMBEDDINGS)
            is_beside &= _covered(boxes, boxes[rows == row][0]) < DOUBLED
            beside = rows[is_beside]
            pairs = np.column_stack((np.full(len(beside), row), beside))
            self._pairs = np.concatenate((self._pairs, pairs))[-MAX_PAIRS:]
            self._is_stale |= self._known_pairs() > GROWTH * self._learnt_from

    def refresh(self, *, always: bool = False) -> SimilarityCalibration:
        """Learn from all tracks so far, if there are enough new ones, or ``always``."""
        if self._is_stale or always:
            tracklets = self._tracklets
            different, within = self._folded
            self.calibration = SimilarityCalibration(
                self._config,
                np.concatenate((different, self._cosines(self._pairs)))[-MAX_PAIRS:],
                np.concatenate((within, tracklets.within())),
                self._taught,
            )
            self._is_stale, self._learnt_from = False, self._known_pairs()
        return self.calibration

    def fold(self, fold: Fold) -> None:
        """What is learnt from rows that go, or stand for others from now on, stays as it is known now.

        Comes before the `fold` of the tracklets.
        """
        tracklets = self._tracklets
        changes = (fold.place == UNKNOWN) | (fold.into != UNKNOWN)
        is_gone = changes[self._pairs].any(axis=1)
        different, within = self._folded
        self._folded = (
            np.concatenate((different, self._cosines(self._pairs[is_gone])))[-MAX_PAIRS:],
            np.concatenate((within, tracklets.within(changes)))[-MAX_PAIRS:],
        )
        is_mature = tracklets.num_embeddings >= MATURE_EMBEDDINGS
        self._folded_mature += int((is_mature & (fold.place == UNKNOWN)).sum())
        self._pairs = fold.place[self._pairs[~is_gone]]

    def forget(self, rows: IntArray) -> None:
        """Nothing was embedded of these tracks (M,)."""
        self._pairs = self._pairs[~np.isin(self._pairs, rows).any(axis=1)]

    def report(self, num_identities: int, rate: float) -> SimilarityReport:
        """What a cosine means at this site, and the errors to expect among this many people."""
        similarity = self.refresh()
        threshold = min(similarity.threshold(num_identities, rate), 1.0)
        of_one = float(similarity.stranger_rate(np.array([threshold]))[0])
        different, within = similarity.cosines
        density_different, density_same = similarity.densities()
        return SimilarityReport(
            different=different,
            within=within,
            prior_pairs=self._config.prior_pairs,
            mean_sd_different=similarity.different,
            mean_sd_within=similarity.within,
            mean_sd_same=similarity.same,
            grid=GRID,
            density_different=density_different,
            density_same=density_same,
            num_identities=num_identities,
            threshold=threshold,
            max_false_merge_rate=rate,
            expected_false_merge_rate=min(num_identities * of_one, 1.0),  # Boole's bound
            expected_missed_rate=similarity.missed_rate(threshold),
            missed_rates=(
                similarity.missed_rate(threshold, HIDDEN / HIDDEN_FACTOR),
                similarity.missed_rate(threshold, HIDDEN * HIDDEN_FACTOR),
            ),
        )

    def state(self) -> State:
        different, within = self.calibration.cosines
        return {
            "pairs": self._pairs.copy(),
            "different": different,
            "within": within,
            "is_stale": np.array(self._is_stale),
            "learnt_from": np.array(self._learnt_from),
            "folded_different": self._folded[0],
            "folded_within": self._folded[1],
            "folded_mature": np.array(self._folded_mature),
            "taught_same": self._taught.same,
            "taught_different": self._taught.different,
        }

    def restore(self, state: State) -> None:
        self._pairs, self._is_stale = state["pairs"].copy(), bool(state["is_stale"])
        self._learnt_from = int(state["learnt_from"])
        self._folded = state["folded_different"].copy(), state["folded_within"].copy()
        self._folded_mature = int(state["folded_mature"])
        self._taught = Taught(state["taught_same"], state["taught_different"])
        learnt = state["different"], state["within"]
        self.calibration = SimilarityCalibration(self._config, *learnt, self._taught)

    def _known_pairs(self) -> int:
        """How many pairs of embeddings, of two people or of one, can be learnt from."""
        mature = int((self._tracklets.num_embeddings >= MATURE_EMBEDDINGS).sum())
        return len(self._folded[0]) + len(self._pairs) + self._folded_mature + mature

    def _cosines(self, pairs: IntArray) -> FloatArray:
        """(P,) of pairs (P, 2) of tracks."""
        first, second = pairs.T
        centred = self._tracklets.centred
        return np.asarray((centred[first] * centred[second]).sum(axis=1), np.float64)


def _covered(boxes: FloatArray, box: FloatArray) -> FloatArray:
    """(M,) the share of the smaller of each box (M, 4) and another (4,) that both have in common."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    common = np.maximum(high - low, 0.0).prod(axis=1)
    smaller = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), (box[2:] - box[:2]).prod())
    return np.asarray(common / np.maximum(smaller, 1e-9))
