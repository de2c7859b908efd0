"""Who a track could be: everybody who is not in view, how alike, and how likely here and now."""

from typing import NamedTuple

import numpy as np

from tracker.identity.likeness import Likeness
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import Stays
from tracker.identity.table import UNDECIDED
from tracker.types import BoolArray, FeatureArray, FloatArray, IntArray

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


def find_candidates(
    stays: Stays, looks: FeatureArray, row: int, likeness: Likeness, passages: Passages
) -> Candidates:
    """Everybody whom the track of this row may be: not seen elsewhere meanwhile, except where both look.

    ``looks`` (N, D) are the centred appearances of all stays.
    """
    known = np.nonzero((stays.identity != UNDECIDED) & (stays.looks > 0))[0]
    people, group = np.unique(stays.identity[known], return_inverse=True)
    blocked = np.bincount(group, conflicts(stays, known, row, passages.overlap), len(people)) > 0
    cosines = mean_of_best((looks[known] @ looks[row]).astype(np.float64), group, len(people))
    last_rows = _last_of_each(stays, known, group, len(people))
    absence_s = stays.begin[row] - stays.end[last_rows]
    extra = passages.log_odds(stays.camera[last_rows], int(stays.camera[row]), absence_s)
    extra[absence_s < -CLOCK_TOLERANCE_S] = SHARED_LOG_ODDS
    log_odds = likeness.log_odds(cosines) + extra
    free = ~blocked
    return Candidates(people[free], cosines[free], extra[free], log_odds[free], last_rows[free])


def conflicts(stays: Stays, others: IntArray, row: int, overlap: BoolArray) -> BoolArray:
    """(N,) which of other tracks cannot be the same person: seen at one time, not in cameras that overlap."""
    shared_s = np.minimum(stays.end[others], stays.end[row]) - np.maximum(
        stays.begin[others], stays.begin[row]
    )
    camera = stays.camera[row]
    in_one = stays.camera[others] == camera
    in_two = ~overlap[stays.camera[others], camera] & (shared_s > CLOCK_TOLERANCE_S)
    return np.asarray(np.where(in_one, shared_s >= 0, in_two))


def mean_of_best(cosines: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """(G,) mean of the highest `BEST_STAYS` cosines of each group."""
    order = np.lexsort((-cosines, group))
    starts = np.searchsorted(group[order], np.arange(groups))
    rank = np.arange(len(order)) - starts[group[order]]
    best = order[rank < BEST_STAYS]
    return np.bincount(group[best], cosines[best], groups) / np.bincount(group[best], minlength=groups)


def required_log_odds(found: Candidates, likeness: Likeness, rate: float) -> float:
    """What somebody's log odds must be so that a stranger reaches them with at most this chance.

    The chance is shared out: somebody who is likely here and now may be less alike, somebody who is
    not has to be more. It is a bound, as the chances of all are added up (Boole).
    """
    low, high = -20.0, 60.0
    for _ in range(40):
        middle = (low + high) / 2
        chance = likeness.stranger_rate_at(middle - found.extra).sum()
        low, high = (middle, high) if chance > rate else (low, middle)
    return high


def _last_of_each(stays: Stays, rows: IntArray, group: IntArray, groups: int) -> IntArray:
    order = np.lexsort((stays.end[rows], group))
    last = np.searchsorted(group[order], np.arange(groups), side="right") - 1
    return np.asarray(rows[order[last]])
