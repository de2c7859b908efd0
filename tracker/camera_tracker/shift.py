"""How far a camera turned since the frame before, as the boxes tell it."""

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.association import lowest_of_groups
from tracker.camera_tracker.pairs import Candidates, Pairs
from tracker.camera_tracker.track_states import CENTERS, TRACKED, coordinates

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


def common_shift(candidates: Candidates, pairs: Pairs, is_likely: BoolArray) -> FloatArray:
    """What all people are off by, beyond their own motion: (2,) pixels along x and y, zeros if it is nothing.

    Whoever was followed steadily is paired with the nearest detection if no other track is nearer to that.
    The median of the ways between them is the camera's, since people do not all change their speed at one
    moment. Most cameras stand still most of the time: if half of the people overlap a detection, and those
    that do are off by nothing, nothing else is compared.

    Args:
        candidates: Where the people are if the camera did as it was said to do.
        pairs: Of them and the detections, those that overlap.
        is_likely: (N,) which detections are likely people.
    """
    tracks, none = candidates.tracks, np.zeros(2)
    is_steady = (tracks.status == TRACKED) & (tracks.seen_counts >= STEADY_FRAMES)
    num_steady = int(np.count_nonzero(is_steady))
    if num_steady < MIN_PEOPLE or np.count_nonzero(is_likely) < MIN_PEOPLE:
        return none
    if num_steady > MAX_PEOPLE:
        some = is_steady.nonzero()[0][:: num_steady // MAX_PEOPLE + 1]
        is_steady, num_steady = np.zeros(len(is_steady), np.bool_), len(some)
        is_steady[some] = True
    overlapping = _overlapping_most(pairs, is_steady, is_likely)
    if 2 * len(overlapping[0]) >= num_steady and _is_nothing(_median(_ways(candidates, *overlapping))):
        return none
    rows, columns = _nearest(candidates, is_steady.nonzero()[0], is_likely.nonzero()[0])
    if len(rows) < MIN_PEOPLE:
        return none
    ways = _ways(candidates, rows, columns)
    shift = _median(ways)
    if _is_nothing(shift):
        return none
    spread = SD_OF_MAD * _median(np.abs(ways - shift[:, None]))
    error = MEDIAN_ERROR * spread / np.sqrt(len(rows)) + HALF_A_PIXEL
    return np.where(np.abs(shift) > MIN_SIGNIFICANCE * error, shift, 0.0)


def _is_nothing(shift: FloatArray) -> bool:
    """Whether a shift measures nothing, whatever the spread."""
    return all(abs(way) <= MIN_SIGNIFICANCE * HALF_A_PIXEL for way in shift.tolist())


def _ways(candidates: Candidates, rows: IntArray, columns: IntArray) -> FloatArray:
    """(2, P) along x and y, from where tracks should be to where detections are."""
    off = candidates.detections.boxes.take(columns, 0) - candidates.boxes.take(rows, 0)
    return coordinates(off)[:, CENTERS].T


def _overlapping_most(pairs: Pairs, is_row: BoolArray, is_column: BoolArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the pairs of which neither overlaps anybody else more."""
    takes_part = is_row.take(pairs.rows)
    takes_part &= is_column.take(pairs.columns)
    some = takes_part.nonzero()[0]
    rows, columns = pairs.rows.take(some), pairs.columns.take(some)
    apart = -pairs.ious.take(some)
    is_best = apart == lowest_of_groups(apart, rows, len(is_row)).take(rows)
    is_best &= apart == lowest_of_groups(apart, columns, len(is_column)).take(columns)
    is_best &= apart < 0  # a gate may let pairs through that share nothing
    return rows[is_best], columns[is_best]


def _nearest(candidates: Candidates, rows: IntArray, columns: IntArray) -> tuple[IntArray, IntArray]:
    """Rows and columns of the pairs of which neither has anybody nearer."""
    people = coordinates(candidates.boxes.take(rows, 0)).T
    found = coordinates(candidates.detections.boxes.take(columns, 0)).T
    distances = _all_apart(found[0], people[0])
    distances += _all_apart(found[1], people[1])
    distances /= people[3, :, None]
    distances += _all_apart(2 * np.log(found[3]), 2 * np.log(people[3]))
    nearest = distances.argmin(axis=1)
    of_nearest = distances.take(nearest, axis=1)
    distance = of_nearest.diagonal()
    kept = ((of_nearest.min(axis=0) == distance) & (distance < MAX_DISTANCE)).nonzero()[0]
    return rows.take(kept), columns.take(nearest.take(kept))


def _all_apart(found: FloatArray, people: FloatArray) -> FloatArray:
    """(M, N) how far each of (N,) is from each of (M,)."""
    apart: FloatArray = found - people[:, None]
    return np.abs(apart, out=apart)


def _median(values: FloatArray) -> FloatArray:
    """(2, P) -> (2,), as `numpy.median` of each row, which takes five times as long for a few values."""
    ordered = np.sort(values, axis=1)
    count = values.shape[1]
    middle: FloatArray = 0.5 * (ordered[:, (count - 1) // 2] + ordered[:, count // 2])
    return middle
