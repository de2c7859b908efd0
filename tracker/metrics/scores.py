"""The figures of the field, made of counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from foundation.arrays import FloatArray
from foundation.mot_files import MotTable
from tracker.metrics.counts import (
    ClearCounts,
    HotaCounts,
    IdentityCounts,
    count_clear,
    count_hota,
    count_identity,
)
from tracker.metrics.overlap import FramePair, GroundTruth, compare


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The figures, all as fractions: 1 is perfect. Adding scores gives those of both sequences together.

    Where a figure has nothing to divide by it is 0: precision and IDP without a result box, recall, IDR
    and MOTA without a box to be found, AssA and MOTP without a match. LocA without a match is 1. So a
    sequence without people adds nothing but its false positives.
    """

    clear: ClearCounts
    identity: IdentityCounts
    hota_counts: HotaCounts

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.clear + other.clear, self.identity + other.identity, self.hota_counts + other.hota_counts
        )

    @property
    def det_a_per_iou(self) -> FloatArray:
        """(19,) detection accuracy: true positives over all boxes of either side."""
        counts = self.hota_counts
        boxes = counts.true_positives + counts.false_negatives + counts.false_positives
        return counts.true_positives / np.maximum(1, boxes)

    @property
    def ass_a_per_iou(self) -> FloatArray:
        """(19,) association accuracy: mean A(c) of the true positives."""
        return self.hota_counts.association_sum / np.maximum(1, self.hota_counts.true_positives)

    @property
    def hota(self) -> float:
        """Mean over the `MIN_IOUS` of the geometric mean of DetA and AssA."""
        return float(np.sqrt(self.det_a_per_iou * self.ass_a_per_iou).mean())

    @property
    def det_a(self) -> float:
        """Mean detection accuracy."""
        return float(self.det_a_per_iou.mean())

    @property
    def ass_a(self) -> float:
        """Mean association accuracy."""
        return float(self.ass_a_per_iou.mean())

    @property
    def loc_a(self) -> float:
        """Mean over the `MIN_IOUS` of the mean overlap of the true positives."""
        counts = self.hota_counts
        mean_iou = counts.iou_sum / np.maximum(1, counts.true_positives)
        return float(np.where(counts.true_positives > 0, mean_iou, 1.0).mean())

    @property
    def mota(self) -> float:
        """1 - (missed + false + switches) / boxes to be found; below 0 where errors outnumber them."""
        people = self.clear.true_positives + self.clear.false_negatives
        right = self.clear.true_positives - self.clear.false_positives - self.clear.switches
        return _ratio(right, people)

    @property
    def motp(self) -> float:
        """Mean overlap of the true positives."""
        return _ratio(self.clear.iou_sum, self.clear.true_positives)

    @property
    def recall(self) -> float:
        """Share of the boxes to be found that were found."""
        return _ratio(self.clear.true_positives, self.clear.true_positives + self.clear.false_negatives)

    @property
    def precision(self) -> float:
        """Share of the result boxes that are on a person."""
        return _ratio(self.clear.true_positives, self.clear.true_positives + self.clear.false_positives)

    @property
    def idf1(self) -> float:
        """Harmonic mean of IDP and IDR."""
        wrong = self.identity.false_positives + self.identity.false_negatives
        return _ratio(2 * self.identity.true_positives, 2 * self.identity.true_positives + wrong)

    @property
    def idp(self) -> float:
        """Share of the result boxes that carry the right identity."""
        return _ratio(
            self.identity.true_positives, self.identity.true_positives + self.identity.false_positives
        )

    @property
    def idr(self) -> float:
        """Share of the boxes to be found that were found with the right identity."""
        return _ratio(
            self.identity.true_positives, self.identity.true_positives + self.identity.false_negatives
        )

    def as_dict(self) -> dict[str, float]:
        """All figures under the names of the field, fractions in [0, 1] and counts, ready for JSON."""
        clear, identity = self.clear, self.identity
        return {
            "HOTA": self.hota,
            "DetA": self.det_a,
            "AssA": self.ass_a,
            "LocA": self.loc_a,
            "MOTA": self.mota,
            "MOTP": self.motp,
            "IDF1": self.idf1,
            "IDP": self.idp,
            "IDR": self.idr,
            "Rcll": self.recall,
            "Prcn": self.precision,
            "MT": clear.mostly_tracked,
            "PT": clear.partly_tracked,
            "ML": clear.mostly_lost,
            "TP": clear.true_positives,
            "FP": clear.false_positives,
            "FN": clear.false_negatives,
            "IDSW": clear.switches,
            "Frag": clear.fragmentations,
            "IDTP": identity.true_positives,
            "IDFP": identity.false_positives,
            "IDFN": identity.false_negatives,
        }


def score_sequence(result: MotTable, truth: GroundTruth, frames: range | None = None) -> Scores:
    """Score the result of one sequence.

    Args:
        result: What was found; no id twice in a frame.
        truth: What is there.
        frames: Score these frames alone; None scores all.

    Raises:
        ReuniteError: The result has a box in a frame that the sequence does not have.
    """
    pairs = [*compare(result, truth, frames).values()]
    return Scores(count_clear(pairs), count_identity(pairs), count_hota(pairs))


def score_cameras(cameras: Iterable[Sequence[FramePair]]) -> Scores:
    """Score cameras that share their identities: the same id in every camera is the same person.

    Identity and HOTA take all frames of all cameras as those of one sequence, so a person who gets another
    id in another camera is wrong there. CLEAR knows one camera at a time; its counts are added, and a
    person who is in two cameras counts twice in MT, PT and ML.

    Args:
        cameras: The pairs that `compare` gave for each camera.
    """
    cameras = list(cameras)
    clear = [count_clear(pairs) for pairs in cameras]
    together = [pair for pairs in cameras for pair in pairs]
    return Scores(
        sum(clear[1:], start=clear[0]) if clear else count_clear([]),
        count_identity(together),
        count_hota(together),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
