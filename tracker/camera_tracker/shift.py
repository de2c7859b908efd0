"""How far a camera turned since the frame before, as the boxes tell it."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.association import lowest_of_groups
from tracker.camera_tracker.track_states import TRACKED
from tracker.geometry import grow, overlapping_pairs

MIN_PEOPLE = 4
"""Fewer do not tell whether they walk alike or the camera turns."""
MAX_PEOPLE = 50
"""As many tell it as well as more, in bounded time."""
STEADY_FRAMES = 3
"""Who was found in fewer frames has no speed yet."""
REACH = 0.5
"""Boxes that do not meet when they are wider and higher by this share at each side are not compared."""
MAX_DISTANCE = 0.8
"""Further from each other, in box heights, a person and a detection tell nothing."""
MIN_SIGNIFICANCE = 3.0
"""How many standard errors, half a pixel included, a shift must measure, so that still cameras stay still."""

MEDIAN_ERROR = 1.25
"""Standard error of a median, of that of a mean (normal distribution)."""
SD_OF_MAD = 1.4826
"""Standard deviation, of the median absolute deviation (normal distribution)."""


def common_shift(
    status: IntArray, seen_counts: IntArray, predicted: FloatArray, boxes: FloatArray
) -> FloatArray:
    """What all people are off by, beyond their own motion: (2,) pixels along x and y, zeros if it is nothing.

    Whoever was followed steadily is paired with the nearest detection if no other track is nearer to that.
    The median of the ways between them is the camera's, since people do not all change their speed at one
    moment.

    Args:
        status, seen_counts: (M,) as in `TrackStates`.
        predicted: (M, 4) x1, y1, x2, y2 where the people are if the camera did as it was said to do.
        boxes: (N, 4) of likely detections.
    """
    none = np.zeros(2)
    steady = np.flatnonzero((status == TRACKED) & (seen_counts >= STEADY_FRAMES))
    steady = steady[:: len(steady) // MAX_PEOPLE + 1]
    if min(len(steady), len(boxes)) < MIN_PEOPLE:
        return none
    before = predicted.take(steady, 0)
    rows, columns = overlapping_pairs(grow(before, REACH), grow(boxes, REACH))
    a, b = before.take(rows, 0), boxes.take(columns, 0)
    ways = 0.5 * (b[:, :2] + b[:, 2:] - a[:, :2] - a[:, 2:])
    heights, others = a[:, 3] - a[:, 1], b[:, 3] - b[:, 1]
    distances = np.abs(ways).sum(axis=1) / heights + 2 * np.abs(np.log(others / heights))
    is_mutual = distances == lowest_of_groups(distances, rows, len(before)).take(rows)
    is_mutual &= distances == lowest_of_groups(distances, columns, len(boxes)).take(columns)
    ways = ways[is_mutual & (distances < MAX_DISTANCE)]
    if len(ways) < MIN_PEOPLE:
        return none
    shift = _median(ways)
    spread = SD_OF_MAD * _median(np.abs(ways - shift))
    error = MEDIAN_ERROR * spread / np.sqrt(len(ways)) + 0.5
    return np.where(np.abs(shift) > MIN_SIGNIFICANCE * error, shift, 0.0)


def _median(values: FloatArray) -> FloatArray:
    """(P, 2) -> (2,), as `numpy.median` of each column, which takes five times as long for a few rows."""
    ordered = np.sort(values, axis=0)
    middle: FloatArray = 0.5 * (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2])
    return middle
