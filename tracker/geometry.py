"""Boxes: formats, and how much every box of one set overlaps every box of another."""

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.types import Frame

DENSE_BELOW = 10_000
"""Of fewer than this many pairs of boxes all are compared: measured to be faster than sorting there."""

TWICE = np.kron([[1.0], [1.0]], np.eye(4))
SECOND_OUTWARD = np.kron([[0.0, 0.0], [0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]], np.eye(2))
"""(8, 4) times a column x1, y1, x2, y2: two copies of it; by how much each side of the second lies outside of
the opposite one."""


def xywh_to_xyxy(boxes: FloatArray) -> FloatArray:
    """(N, 4) left, top, width, height -> (N, 4) x1, y1, x2, y2, a new array."""
    corners = np.array(boxes, dtype=np.float64)
    corners[..., 2:] += corners[..., :2]
    return corners


def xyxy_to_xywh(boxes: FloatArray) -> FloatArray:
    """(N, 4) x1, y1, x2, y2 -> (N, 4) left, top, width, height, a new array."""
    sizes = np.array(boxes, dtype=np.float64)
    sizes[..., 2:] -= sizes[..., :2]
    return sizes


def centers_of(boxes: FloatArray) -> FloatArray:
    """(N, 4) x1, y1, x2, y2 -> (N, 2) the middle of each box."""
    return 0.5 * (boxes[:, :2] + boxes[:, 2:])


def feet_of(boxes: FloatArray) -> FloatArray:
    """(N, 4) x1, y1, x2, y2 -> (N, 2) the middle of the lower edge, where somebody stands; a new array."""
    feet = boxes[:, 2:].astype(np.float64)
    feet[:, 0] += boxes[:, 0]
    feet[:, 0] *= 0.5
    return feet


def pixel_boxes(boxes: FloatArray, frame: Frame) -> IntArray:
    """(N, 4) boxes as whole pixels inside the picture, x2 and y2 not included; without area if outside."""
    width, height = frame.size
    corners = np.concatenate((np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])), axis=1)
    inside: FloatArray = np.clip(corners, 0, (width, height, width, height))
    return inside.astype(np.int64)


def iou_matrix(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Intersection over union of every pair of boxes.

    Args:
        a_xyxy: (M, 4) x1, y1, x2, y2.
        b_xyxy: (N, 4) x1, y1, x2, y2.

    Returns:
        (M, N) in [0, 1]; 0 where both boxes have no area.
    """
    a = a_xyxy.T[:, :, None].astype(np.float64, copy=False)  # others' boxes may be whole numbers
    b = b_xyxy.T[:, None, :].astype(np.float64, copy=False)
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    overlap: FloatArray = np.minimum(a[3], b[3])
    overlap -= np.maximum(a[1], b[1])
    np.maximum(width, 0.0, out=width)
    np.maximum(overlap, 0.0, out=overlap)
    overlap *= width
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    union -= overlap
    # Two boxes without area have no union either; 0 / tiny is the 0 they are to get.
    overlap /= np.maximum(union, np.finfo(np.float64).tiny, out=union)
    return overlap


def overlapping_pairs(a_xyxy: FloatArray, b_xyxy: FloatArray) -> tuple[IntArray, IntArray]:
    """Every pair of a box of one set and a box of another that share some area.

    Two extents overlap if the one begins within the other or the other within the one. In boxes sorted by
    their left edge those are runs, which two binary searches find; only they are compared in height. So
    time and memory grow with the pairs that overlap in width, not with M x N.

    Args:
        a_xyxy: (M, 4) x1, y1, x2, y2 with x1 < x2 and y1 < y2, finite.
        b_xyxy: (N, 4) likewise.

    Returns:
        (P,) rows of ``a_xyxy`` and (P,) rows of ``b_xyxy``, each pair once, in an order that depends on the
        boxes alone. M or N may be 0.
    """
    if len(a_xyxy) * len(b_xyxy) < DENSE_BELOW:
        left, top, right, bottom = a_xyxy.T[:, :, None]
        x1, y1, x2, y2 = np.ascontiguousarray(b_xyxy.T)
        overlaps: BoolArray = left < x2
        overlaps &= right > x1
        overlaps &= top < y2
        overlaps &= bottom > y1
        return _rows_and_columns(overlaps)
    a_rows, b_rows = _beginning_within(a_xyxy, b_xyxy, "left")
    more_b_rows, more_a_rows = _beginning_within(b_xyxy, a_xyxy, "right")
    return np.concatenate((a_rows, more_a_rows)), np.concatenate((b_rows, more_b_rows))


def hiding_pairs(boxes_xyxy: FloatArray) -> tuple[IntArray, IntArray]:
    """Every two boxes of one set that share some area, of which one stands lower in the picture: nearer.

    Args:
        boxes_xyxy: (N, 4) as in `overlapping_pairs`.

    Returns:
        (P,) rows of those behind, (P,) rows of those before; in no order, and some twice.
    """
    bottoms = boxes_xyxy[:, 3]
    if len(boxes_xyxy) ** 2 < DENSE_BELOW:
        left, _, right, bottom = boxes_xyxy.T[:, :, None]
        x1, y1, x2, y2 = np.ascontiguousarray(boxes_xyxy.T)
        hides: BoolArray = bottom < y2
        hides &= bottom > y1
        hides &= left < x2
        hides &= right > x1
        return _rows_and_columns(hides)
    rows, others = _beginning_within(boxes_xyxy, boxes_xyxy, "left")
    further = bottoms.take(rows) - bottoms.take(others)
    behind, before = (further < 0).nonzero()[0], (further > 0).nonzero()[0]
    return (
        np.concatenate((rows.take(behind), others.take(before))),
        np.concatenate((others.take(behind), rows.take(before))),
    )


def _rows_and_columns(table: BoolArray) -> tuple[IntArray, IntArray]:
    """Where a table holds true, as `nonzero` gives it, in a third of the time."""
    rows, columns = np.divmod(table.ravel().nonzero()[0], max(table.shape[1], 1))
    return rows, columns


def _beginning_within(
    a: FloatArray, b: FloatArray, side: Literal["left", "right"]
) -> tuple[IntArray, IntArray]:
    """The overlapping pairs in which b begins left of a's right end, and not left of a's left end.

    Args:
        a: (M, 4), b: (N, 4) as in `overlapping_pairs`.
        side: ``left`` if b may begin where a begins, ``right`` if it may not.
    """
    order = np.argsort(b[:, 0], kind="stable")
    lefts, tops, bottoms = b[order, 0], b[order, 1], b[order, 3]
    begins = np.searchsorted(lefts, a[:, 0], side)
    counts = np.maximum(np.searchsorted(lefts, a[:, 2]) - begins, 0)
    a_rows = np.repeat(np.arange(len(a)), counts)
    # The runs begins[0], begins[0] + 1, ...; begins[1], ... behind each other. (`take` is three times as fast
    # as brackets here.)
    places = np.arange(len(a_rows)) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
    overlaps: BoolArray = tops.take(places) < np.repeat(a[:, 3], counts)
    overlaps &= bottoms.take(places) > np.repeat(a[:, 1], counts)
    kept = np.flatnonzero(overlaps)
    return a_rows.take(kept), order.take(places.take(kept))


def iou_of_pairs(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """(P, 4) and (P, 4) boxes x1, y1, x2, y2 with area -> (P,) intersection over union of each pair."""
    a, b = a_xyxy.T.astype(np.float64, copy=False), b_xyxy.T.astype(np.float64, copy=False)
    shared = np.minimum(a[2:], b[2:])
    shared -= np.maximum(a[:2], b[:2])
    np.maximum(shared, 0.0, out=shared)
    overlap: FloatArray = shared[0] * shared[1]
    of_a, of_b = a[2:] - a[:2], b[2:] - b[:2]
    overlap /= of_a[0] * of_a[1] + of_b[0] * of_b[1] - overlap
    return overlap


def overlaps_of_pairs(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How much the boxes of each pair overlap: what is computed once for both is.

    Args:
        a, b: (2, 4, P) as in `plain_and_grown`.

    Returns:
        (P,) intersection over union of the grown boxes, (P,) that of the vertical extents of the plain ones.

    Source: Hybrid-SORT (Yang et al. 2024, arXiv:2308.00783), height-modulated IoU: height tells depth, so it
    keeps apart people who pass behind each other.
    """
    shared = np.minimum(a[:, 2:], b[:, 2:])
    shared -= np.maximum(a[:, :2], b[:, :2])
    np.maximum(shared, 0.0, out=shared)
    of_a, of_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    overlap = shared[1, 0] * shared[1, 1]
    overlap /= of_a[1, 0] * of_a[1, 1] + of_b[1, 0] * of_b[1, 1] - overlap
    height = shared[0, 1]
    height /= of_a[0, 1] + of_b[0, 1] - height
    return overlap, height


def hidden_shares(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(M,) which share of each box the one of the others (N, 4) hides that hides most of it.

    Who stands lower in the picture is nearer to the camera and hides the other.
    """
    left, top, right, bottom = boxes.T[:, :, None]
    x1, y1, x2, y2 = np.ascontiguousarray(others.T)
    shared: FloatArray = np.minimum(right, x2)
    shared -= np.maximum(left, x1)
    np.maximum(shared, 0, out=shared)
    height = np.minimum(bottom, y2)
    height -= np.maximum(top, y1)
    np.maximum(height, 0, out=height)
    shared *= height
    shared *= bottom < y2
    shares: FloatArray = shared.max(axis=1, initial=0.0) / ((right - left) * (bottom - top))[:, 0]
    return shares


def move_boxes(boxes_xyxy: FloatArray, motion: FloatArray) -> FloatArray:
    """(M, 4) boxes after the camera moved the picture by a (2, 3) affine map, still upright.

    The centre goes where the map takes it, the size as far as the map stretches areas.
    """
    stretch = math.sqrt(abs(np.linalg.det(motion[:, :2])))
    centers = centers_of(boxes_xyxy) @ motion[:, :2].T + motion[:, 2]
    half = 0.5 * stretch * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])
    return np.concatenate((centers - half, centers + half), axis=1)


def plain_and_grown(sets: Iterable[FloatArray], share: float) -> Iterator[FloatArray]:
    """Of each set (M, 4) the boxes as they are, and wider and higher by a share at each side: (2, 4, M).

    Source: buffered IoU (Yang et al. 2023, C-BIoU, arXiv:2211.14317): boxes that moved apart still meet.
    """
    growth = TWICE + share * SECOND_OUTWARD
    for boxes in sets:
        yield (growth @ boxes.T).reshape(2, 4, -1)
