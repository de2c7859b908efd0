"""Which tracks and detections may be one, and what each such pair costs in a stage."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from foundation.arrays import BoolArray, Columns, FloatArray, IntArray
from tracker.association import lowest_of_groups
from tracker.camera_tracker.track_states import (
    CENTERS,
    Prediction,
    TrackStates,
    boxes_of,
    coordinates,
    heights_of,
)
from tracker.config import AssociationStage
from tracker.geometry import (
    hiding_pairs,
    overlapping_pairs,
    overlaps_of_pairs,
    plain_and_grown,
)
from tracker.types import Detections, Observations

UNSURE = 5.0
"""A distance counts 1 / sqrt(2) as much where a position is known to 1 / UNSURE of the height only."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs(Columns):
    """P pairs of a track and a detection, and how much their boxes overlap.

    Attributes:
        rows: (P,) among the tracks, columns: (P,) among the detections.
        ious: (P,) of the grown boxes, height_ious: (P,) of the boxes as they are; in [0, 1].
        feet_apart: (P,) distance of the feet in box heights, more where the prediction is unsure; 1 at most.
    """

    rows: IntArray
    columns: IntArray
    ious: FloatArray
    height_ious: FloatArray
    feet_apart: FloatArray


class CostedPairs(NamedTuple):
    """P pairs of a stage: (P,) rows of the tracks, (P,) columns of the detections, (P,) what each costs."""

    rows: IntArray
    columns: IntArray
    cost: FloatArray


class Candidates:
    """Which tracks and detections of one frame may be one; stages that compare the same boxes share pairs.

    Attributes:
        prediction: Of the tracks, to the time of the frame.
        boxes: (M, 4) x1, y1, x2, y2 of the predicted tracks.
        detections: Who was found in it.
    """

    def __init__(
        self, prediction: Prediction, detections: Detections | Observations, measured_sd: float
    ) -> None:
        """Compare when first asked.

        Args:
            prediction, detections: As above.
            measured_sd: Of a detected coordinate, in box heights.
        """
        self.prediction, self.detections = prediction, detections
        self.boxes = boxes_of(prediction.tracks.moments)
        self._measured_sd = measured_sd
        self._pairs: dict[tuple[str, float, float | None], Pairs] = {}
        self._costs: dict[tuple[object, ...], FloatArray] = {}

    @property
    def tracks(self) -> TrackStates:
        """The predicted tracks."""
        return self.prediction.tracks

    def of(self, stage: AssociationStage, is_row: BoolArray, is_column: BoolArray) -> CostedPairs:
        """What a stage may choose from, appearance aside.

        Args:
            is_row: (M,) which tracks take part; is_column: (N,) which detections do.

        Returns:
            Their pairs that the stage's boxes and gates allow; motion's ``max_cost`` is one unless appearance
            alone decides.
        """
        pairs, cost = self.pairs_of(stage), self.motion_cost(stage)
        takes_part = is_row.take(pairs.rows)
        takes_part &= is_column.take(pairs.columns)
        if stage.appearance_weight < 1:
            takes_part &= cost <= stage.max_cost
        some = takes_part.nonzero()[0]
        return CostedPairs(pairs.rows.take(some), pairs.columns.take(some), cost.take(some))

    def moved(self, shift: FloatArray) -> "Candidates":
        """The same where the camera moved the tracks by (2,) pixels more along x and y."""
        moments, seen_boxes = self.tracks.moments.copy(), self.tracks.seen_boxes + np.tile(shift, 2)
        moments[:, 0, CENTERS] += shift
        prediction = replace(self.prediction, tracks=self.tracks.at(moments, seen_boxes))
        return Candidates(prediction, self.detections, self._measured_sd)

    def pairs_of(self, stage: AssociationStage) -> Pairs:
        """All pairs that the stage's boxes and gate allow, whichever tracks and scores it takes."""
        key = (stage.boxes, stage.buffer, stage.max_mahalanobis)
        if key not in self._pairs:
            self._pairs[key] = self._find(stage)
        return self._pairs[key]

    def motion_cost(self, stage: AssociationStage) -> FloatArray:
        """(P,) what all pairs of the stage cost, appearance aside."""
        of_pairs = (stage.boxes, stage.buffer, stage.max_mahalanobis)
        weights = (stage.similarity, stage.fuse_score, stage.feet_weight, stage.direction_weight)
        key = (of_pairs, weights)
        if key not in self._costs:
            self._costs[key] = self._compute_motion_cost(stage, self.pairs_of(stage))
        return self._costs[key]

    def _find(self, stage: AssociationStage) -> Pairs:
        tracks, found = self.tracks, self.detections
        boxes = tracks.seen_boxes if stage.boxes == "last_seen" else self.boxes
        ours, theirs = plain_and_grown((boxes, found.boxes), stage.buffer)
        if stage.max_mahalanobis is None:
            rows, columns = overlapping_pairs(ours[1].T, theirs[1].T)
        else:
            rows, columns = self._gated_pairs(theirs[1].T, stage.max_mahalanobis)
        ours, theirs = ours.take(rows, 2), theirs.take(columns, 2)
        feet_apart = self._feet_apart(ours[0] - theirs[0], rows)
        return Pairs(rows, columns, *overlaps_of_pairs(ours, theirs), feet_apart)

    def _gated_pairs(self, others: FloatArray, max_distance: float) -> tuple[IntArray, IntArray]:
        """Rows and columns of the pairs within a Mahalanobis distance; they need not overlap."""
        moments, predicted = self.tracks.moments, self.boxes
        variances = moments[:, 2] + (self._measured_sd * heights_of(moments)) ** 2
        reach_px = max_distance * np.sqrt(variances[:, CENTERS])
        reach = np.concatenate((predicted[:, :2] - reach_px, predicted[:, 2:] + reach_px), axis=1)
        rows, columns = overlapping_pairs(reach, others)
        off = coordinates(self.detections.boxes).take(columns, 0) - moments[:, 0].take(rows, 0)
        kept = np.flatnonzero(np.sqrt((off * off / variances.take(rows, 0)).sum(axis=1)) <= max_distance)
        return rows.take(kept), columns.take(kept)

    def _compute_motion_cost(self, stage: AssociationStage, pairs: Pairs) -> FloatArray:
        found = self.detections
        similarity = pairs.ious * pairs.height_ious if stage.similarity == "height_iou" else pairs.ious
        if stage.fuse_score:
            similarity = fuse_score(similarity, found.scores.take(pairs.columns))
        cost = 1.0 - similarity
        if stage.feet_weight:
            cost += stage.feet_weight * pairs.feet_apart
        if stage.direction_weight:
            cost += stage.direction_weight * self._turns(pairs)
        return cost

    def _feet_apart(self, off: FloatArray, rows: IntArray) -> FloatArray:
        """(P,) of pairs whose boxes are ``off``, (4, P), from each other."""
        moments = self.tracks.moments
        scale = heights_of(moments)[:, 0] ** 2
        scale += UNSURE**2 * moments[:, 2, 0]
        left, _, right, down = off
        apart: FloatArray = 0.25 * (left + right) ** 2
        apart += down * down
        apart /= scale.take(rows)
        np.minimum(apart, 1.0, out=apart)
        return np.sqrt(apart, out=apart)

    def _turns(self, pairs: Pairs) -> FloatArray:
        """(P,) angle between a person's velocity and the way from the last detection, in half turns.

        Source: observation-centric momentum (Cao et al. 2023, OC-SORT, arXiv:2203.14360, equation 5), with
        the filter's velocity in place of one between two detections.
        """
        to = coordinates(self.detections.boxes)[:, CENTERS].take(pairs.columns, 0)
        way = to - coordinates(self.tracks.seen_boxes)[:, CENTERS].take(pairs.rows, 0)
        velocity = self.tracks.moments[:, 1, CENTERS].take(pairs.rows, 0)
        across = way[:, 0] * velocity[:, 1] - way[:, 1] * velocity[:, 0]
        along = (way * velocity).sum(axis=1)
        turns: FloatArray = np.abs(np.arctan2(across, along)) / np.pi  # 0 where one of the two stands still
        return turns


def appearance_distances(
    tracks: TrackStates, found: Observations, pairs: CostedPairs
) -> tuple[FloatArray, BoolArray]:
    """(P,) cosine distances, and (P,) whether both of a pair have an embedding."""
    of_tracks, of_detections = tracks.embeddings, found.embeddings
    both_embedded = of_tracks.any(axis=1).take(pairs.rows) & of_detections.any(axis=1).take(pairs.columns)
    distances = np.ones(len(pairs.rows))
    some = both_embedded.nonzero()[0]
    a, b = of_tracks.take(pairs.rows.take(some), 0), of_detections.take(pairs.columns.take(some), 0)
    distances[some] = 1.0 - np.einsum("pd,pd->p", a, b)
    return distances, both_embedded


def stage_cost(
    stage: AssociationStage, tracks: TrackStates, found: Observations, pairs: CostedPairs
) -> FloatArray:
    """(P,) what pairs cost with appearance; where one of the two has no embedding, motion alone counts.

    inf where embeddings are too far apart.
    """
    if not stage.appearance_weight or not found.embeddings.shape[1] or not tracks.embeddings.shape[1]:
        return pairs.cost
    distances, both_embedded = appearance_distances(tracks, found, pairs)
    fused = fuse_appearance(pairs.cost, distances, stage.appearance_weight, stage.max_cosine_distance)
    return np.where(both_embedded, fused, pairs.cost)


def is_contested(stage: AssociationStage, pairs: CostedPairs) -> BoolArray:
    """(P,) which of the allowed pairs of a stage have a rival so close in motion that appearance may decide.

    Two pairs that appearance does not forbid differ by no more than ``max_cosine_distance`` in their
    distance, which outweighs the difference of their motion costs up to a margin.
    """
    weight = stage.appearance_weight
    margin = np.inf if weight == 1 else weight / (1 - weight) * stage.max_cosine_distance
    cost = pairs.cost
    contested = np.zeros(len(cost), np.bool_)
    for groups in (pairs.rows, pairs.columns):
        lowest = lowest_of_groups(cost, groups, groups.max(initial=-1) + 1)
        is_close = cost <= lowest.take(groups) + margin
        contested |= is_close & (np.bincount(groups[is_close], minlength=len(lowest)).take(groups) > 1)
    return contested


def fuse_score(similarity: FloatArray, scores: FloatArray) -> FloatArray:
    """Multiply similarities by the scores of their detections, cut off at 0 and 1.

    Source: ByteTrack (Zhang et al. 2022, arXiv:2110.06864), its released code: likely people are taken first.
    """
    fused: FloatArray = similarity * np.minimum(np.maximum(scores, 0.0), 1.0)  # `clip` takes twice as long
    return fused


def fuse_appearance(
    cost: FloatArray, cosine_distance: FloatArray, weight: float, max_cosine_distance: float
) -> FloatArray:
    """Mix the (P,) cost of motion with the (P,) cosine distance; inf where embeddings are too far apart.

    Args:
        weight: Share of the distance, in [0, 1].
        max_cosine_distance: A pair further apart is forbidden, in [0, 2].
    """
    fused = (1 - weight) * cost + weight * cosine_distance
    fused[cosine_distance > max_cosine_distance] = np.inf
    return fused


def covered_shares(boxes: FloatArray) -> FloatArray:
    """(N,) which share of each box the one of the boxes hides that hides most of it."""
    covered = np.zeros(len(boxes))
    behind, before = hiding_pairs(boxes)
    if len(behind):
        a, b = boxes.take(behind, 0).T, boxes.take(before, 0).T
        shared, sizes = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), a[2:] - a[:2]
        np.maximum.at(covered, behind, shared[0] * shared[1] / (sizes[0] * sizes[1]))
    return covered
