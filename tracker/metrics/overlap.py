"""Result and ground truth side by side, frame by frame, without what is not to be scored.

Source: MOT16 (Milan et al. 2016, arXiv:1603.00831), as TrackEval does it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from foundation.arrays import BoolArray, FloatArray, IntArray, check_shape
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tracker.geometry import iou_matrix, xywh_to_xyxy

MIN_IOU = 0.5
"""Overlap from which a box counts as found, in CLEAR, identity and preprocessing (MOT16)."""
EPSILON = float(np.finfo(np.float64).eps)
"""An overlap that is short of a threshold by rounding alone still passes it."""
PEDESTRIAN = 1
CLASSES = range(1, 14)
"""Classes that MOTChallenge ground truth knows; 13, crowd, occurs in MOT20."""
IGNORED_CLASSES = frozenset({2, 7, 8, 12})
"""Person on vehicle, static person, distractor, reflection: to find one is neither right nor wrong."""
NON_MOTORISED_VEHICLE = 6
"""Ignored in MOT20 as well, and only there."""


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Who was where in one sequence of one camera.

    Attributes:
        name: Of the sequence or camera; stands in error messages.
        table: The boxes. Those of class 1 with a flag (scores) that is not 0 are to be found.
        num_frames: Frames of the sequence, with or without people.
        ignored_classes: Result boxes that match one of these are taken away before scoring.
    """

    name: str
    table: MotTable
    num_frames: int
    ignored_classes: frozenset[int] = IGNORED_CLASSES

    def __post_init__(self) -> None:
        check_last_frame(f"{self.name}: ground truth", self.table, self.num_frames)
        unknown = np.setdiff1d(self.table.classes, CLASSES)
        if len(unknown):
            raise ReuniteError(
                f"{self.name}: ground truth of class {unknown[0]}; MOTChallenge has the classes 1 to 13, "
                "and people to be tracked are class 1"
            )


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """Ground truth and result of one frame, side by side.

    Attributes:
        people: (P,) who is there; no two are equal.
        tracks: (T,) who was found; no two are equal.
        ious: (P, T) overlap of their boxes.
    """

    people: IntArray
    tracks: IntArray
    ious: FloatArray

    def __post_init__(self) -> None:
        check_shape("FramePair.ious", self.ious, (len(self.people), len(self.tracks)))


def compare(result: MotTable, truth: GroundTruth, frames: range | None = None) -> dict[int, FramePair]:
    """Lay result and ground truth side by side, without what is not to be scored.

    In each frame the result is matched with the ground truth of all classes at the highest total overlap
    (pairs of `MIN_IOU` or more), and result boxes on an ignored class go. Then only people to be found
    stay of the ground truth: class 1 with a flag that is not 0.

    Args:
        result, truth, frames: As in `score_sequence`.

    Returns:
        By number, in order, a pair for each frame in which anything is: what costs is the boxes, not the
        length of the sequence.
    """
    check_last_frame(f"{truth.name}: result", result, truth.num_frames)
    table = truth.table
    is_ignored = np.isin(table.classes, list(truth.ignored_classes))
    is_scored = (table.classes == PEDESTRIAN) & (table.scores != 0)
    corners, result_corners = xywh_to_xyxy(table.boxes), xywh_to_xyxy(result.boxes)
    rows_of, result_rows_of = (_rows_by_frame(part.frames) for part in (table, result))
    frames = range(1, truth.num_frames + 1) if frames is None else frames
    none = np.empty(0, np.int64)
    pairs = {}
    for frame in sorted(it for it in rows_of.keys() | result_rows_of.keys() if it in frames):
        rows, found = rows_of.get(frame, none), result_rows_of.get(frame, none)
        ious = iou_matrix(corners[rows], result_corners[found])
        keep = np.ones(len(found), np.bool_)
        if is_ignored[rows].any():
            matched, columns = match_highest(np.where(ious >= MIN_IOU - EPSILON, ious, 0.0))
            keep[columns[is_ignored[rows[matched]]]] = False
        scored = is_scored[rows]
        pairs[frame] = FramePair(table.ids[rows[scored]], result.ids[found[keep]], ious[scored][:, keep])
    return pairs


def match_highest(weights: FloatArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the one-to-one matching of highest total weight; pairs of weight 0 are left out."""
    rows, columns = linear_sum_assignment(weights, maximize=True)
    counts: BoolArray = weights[rows, columns] > EPSILON
    return rows[counts], columns[counts]


def check_last_frame(what: str, table: MotTable, num_frames: int) -> None:
    """Raise ReuniteError if the table has a box after the last frame of its sequence."""
    if len(table) and table.frames.max() > num_frames:
        raise ReuniteError(
            f"{what} has a box in frame {table.frames.max()}, but the sequence ends at frame {num_frames}"
        )


def _rows_by_frame(frames: IntArray) -> dict[int, IntArray]:
    """For each frame that has any its rows, in the order of the table."""
    order = np.argsort(frames, kind="stable")
    present, firsts = np.unique(frames[order], return_index=True)
    return dict(zip(present.tolist(), np.split(order, firsts[1:]), strict=True)) if len(present) else {}
