"""Boxes: formats, and how much every box of one set overlaps every box of another."""

import numpy as np

from tracker.types import FloatArray, Frame, IntArray


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
    a, b = a_xyxy.T[:, :, None], b_xyxy.T[:, None, :]
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


def height_iou_matrix(a_xyxy: FloatArray, b_xyxy: FloatArray) -> FloatArray:
    """Intersection over union of the vertical extents of every pair of boxes.

    Args:
        a_xyxy: (M, 4) x1, y1, x2, y2 with y1 < y2.
        b_xyxy: (N, 4) likewise.

    Returns:
        (M, N) in [0, 1].

    Source: Hybrid-SORT (Yang et al. 2024, arXiv:2308.00783), height-modulated IoU: height tells depth, so it
    keeps apart people who pass behind each other.
    """
    a_top, a_bottom, b_top, b_bottom = a_xyxy[:, 1, None], a_xyxy[:, 3, None], b_xyxy[:, 1], b_xyxy[:, 3]
    overlap = np.minimum(a_bottom, b_bottom)
    overlap -= np.maximum(a_top, b_top)
    np.maximum(overlap, 0.0, out=overlap)
    shared: FloatArray = overlap / ((a_bottom - a_top) + (b_bottom - b_top) - overlap)
    return shared
