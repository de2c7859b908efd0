"""How far a camera turned since the frame before, as the boxes tell it."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.camera_tracker.track_states import TRACKED, coordinates

MIN_PEOPLE = 4
"""Fewer do not tell whether they walk alike or the camera turns."""
MAX_PEOPLE = 50
"""As many tell it as well as more, in bounded time."""
STEADY_FRAMES = 3
"""Who was found in fewer frames has no speed yet."""
MAX_DISTANCE = 0.8
"""Further from each other, in box heights, a person and a detection tell nothing."""
MIN_SIGNIFICANCE = 3.0
"""How many standard errors, half a pixel included, a shift must measure, so that still cameras stay still."""
HALF_A_PIXEL = 0.5

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
    steady = ((status == TRACKED) & (seen_counts >= STEADY_FRAMES)).nonzero()[0]
    steady = steady[:: len(steady) // MAX_PEOPLE + 1]
    if min(len(steady), len(boxes)) < MIN_PEOPLE:
        return none
    people, found = coordinates(predicted.take(steady, 0)).T, coordinates(boxes).T
    ways = found[:2, None, :] - people[:2, :, None]
    apart = np.abs(ways)
    distances = (apart[0] + apart[1]) / people[3, :, None]
    distances += 2 * np.abs(np.log(found[3]) - np.log(people[3, :, None]))
    nearest, distance = distances.argmin(axis=1), distances.min(axis=1)
    is_nearest_of = distances.take(nearest, axis=1).min(axis=0) == distance
    rows = (is_nearest_of & (distance < MAX_DISTANCE)).nonzero()[0]
    if len(rows) < MIN_PEOPLE:
        return none
    of_pairs = ways[:, rows, nearest.take(rows)]
    shift = _median(of_pairs)
    if max(map(abs, shift.tolist())) <= MIN_SIGNIFICANCE * HALF_A_PIXEL:  # nothing, whatever the spread
        return none
    spread = SD_OF_MAD * _median(np.abs(of_pairs - shift[:, None]))
    error = MEDIAN_ERROR * spread / np.sqrt(len(rows)) + HALF_A_PIXEL
    return np.where(np.abs(shift) > MIN_SIGNIFICANCE * error, shift, 0.0)


def _median(values: FloatArray) -> FloatArray:
    """(2, P) -> (2,), as `numpy.median` of each row, which takes five times as long for a few values."""
    ordered = np.sort(values, axis=1)
    count = values.shape[1]
    middle: FloatArray = 0.5 * (ordered[:, (count - 1) // 2] + ordered[:, count // 2])
    return middle
