"""Who a track could be: everybody who is not in view, how alike, and how likely here and now."""

from typing import NamedTuple

import numpy as np

from tracker.identity.likeness import Likeness
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import PeopleRows, Stays
from tracker.types import BoolArray, FloatArray, IntArray

CLOCK_TOLERANCE_S = 0.5
"""Cameras may disagree by so much about when somebody left one and came into another."""

BEST_STAYS = 3
"""Of a person's stays the most alike count, at most so many."""


class Candidates(NamedTuple):
    """The P people whom a track may be.

    Attributes:
        people: (P,) identities.
        cosines: (P,) how alike they are.
        extra: (P,) log odds of time and place.
        log_odds: (P,) of looks, time and place together that the track is this person.
        last_rows: (P,) the last stay of each before the track.
    """

    people: IntArray
    cosines: FloatArray
    extra: FloatArray
    log_odds: FloatArray
    last_rows: IntArray


def find_candidates(stays: Stays, row: int, likeness: Likeness, passages: Passages) -> Candidates:
    """Everybody whom the track of this row may be: not seen elsewhere meanwhile, except where both look."""
    known = _without(stays.people(), row)
    if not len(known.rows):
        nobody, nothing = np.empty(0, np.int64), np.empty(0)
        return Candidates(nobody, nothing, nothing, nothing, nobody)
    is_other = conflicts(stays, known.rows, row, passages.overlap)
    free = ~np.logical_or.reduceat(is_other, known.starts)
    cosines = mean_of_best((stays.centred @ stays.centred[row])[known.rows], known.starts)
    last_rows = _last_of_each(stays, known)
    absence_s = stays.begin[row] - stays.end[last_rows]
    here = np.full(len(last_rows), stays.camera[row])
    extra = passages.log_odds(stays.camera[last_rows], here, absence_s)
    extra[absence_s < -CLOCK_TOLERANCE_S] = SHARED_LOG_ODDS
    log_odds = likeness.log_odds(cosines) + extra
    return Candidates(known.people[free], cosines[free], extra[free], log_odds[free], last_rows[free])


def conflicts(stays: Stays, others: IntArray, row: int, overlap: BoolArray) -> BoolArray:
    """(N,) which of other tracks cannot be the same person: seen at one time, not in cameras that overlap."""
    shared_s = np.minimum(stays.end[others], stays.end[row]) - np.maximum(
        stays.begin[others], stays.begin[row]
    )
    camera = stays.camera[row]
    in_one = stays.camera[others] == camera
    in_two = ~overlap[stays.camera[others], camera] & (shared_s > CLOCK_TOLERANCE_S)
    return np.asarray(np.where(in_one, shared_s >= 0, in_two))


def mean_of_best(cosines: FloatArray, starts: IntArray) -> FloatArray:
    """(P,) mean of the highest `BEST_STAYS` cosines of each person, whose (R,) stay side by side."""
    counts = np.diff(starts, append=len(cosines))
    # Sorted within each person by one sort of plain numbers: a cosine takes less than the step of 4.
    offsets = np.repeat(4.0 * np.arange(len(starts)), counts)
    ranked = offsets - np.sort(offsets - cosines)
    total = np.zeros(len(starts))
    for place in range(BEST_STAYS):
        has = counts > place
        total[has] += ranked[starts[has] + place]
    return total / np.minimum(counts, BEST_STAYS)


def required_log_odds(found: Candidates, likeness: Likeness, rate: float) -> float:
    """What somebody's log odds must be so that a stranger reaches them with at most this chance.

    The chance is shared out: somebody who is likely here and now may be less alike, somebody who is
    not has to be more. It is a bound, as the chances of all are added up (Boole).
    """
    low, high = -20.0, 60.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        chance = likeness.stranger_rate_at(middle - found.extra).sum()
        low, high = (middle, high) if chance > rate else (low, middle)
    return high


def _without(known: PeopleRows, row: int) -> PeopleRows:
    """The same without one stay, and without its person if there is no other."""
    keep = known.rows != row
    if keep.all():
        return known
    group = known.group[keep]
    is_left = np.bincount(group, minlength=len(known.people)) > 0
    group = (np.cumsum(is_left) - 1)[group]
    starts = np.searchsorted(group, np.arange(int(is_left.sum())))
    return PeopleRows(known.people[is_left], known.rows[keep], starts, group)


def _last_of_each(stays: Stays, known: PeopleRows) -> IntArray:
    """(P,) the stay of each person that ended last; of several, the one that began last."""
    ends = stays.end[known.rows]
    is_last = ends == np.maximum.reduceat(ends, known.starts)[known.group]
    last = np.zeros(len(known.people), np.int64)
    np.maximum.at(last, known.group[is_last], known.rows[is_last])
    return last
