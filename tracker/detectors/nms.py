"""Keep the best of the boxes that lie on one person."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.geometry import iou_matrix


def suppress_overlaps(boxes: FloatArray, scores: FloatArray, max_iou: float) -> IntArray:
    """Greedy non-maximum suppression.

    OpenCV's ``NMSBoxes`` refuses negative scores, which HOG's are, and leaves ties in no order.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,) any numbers; of equal ones the first row counts as the better.
        max_iou: A box that overlaps a better kept one by more than this goes.

    Returns:
        (K,) rows to keep, the best first. N may be 0.
    """
    order = np.argsort(-scores, kind="stable")
    overlaps = iou_matrix(boxes[order], boxes[order]) > max_iou
    gone = np.zeros(len(order), np.bool_)
    for place in range(len(order)):
        if not gone[place]:
            gone[place + 1 :] |= overlaps[place, place + 1 :]
    return order[~gone].astype(np.int64)
