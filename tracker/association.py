"""Who is who from one frame to the next: what a pair costs, and the pairs of lowest total cost."""

import math

import lap
import numpy as np

from foundation.arrays import FloatArray, IntArray

SOLVED_AT_ONCE = 100
"""No more pairs than this all go to the solver: measured to be faster than to sort out the sure ones."""

SURE_ROUNDS = 2
"""Of 1,000 boxes on 1080p two leave a sixth of the allowed pairs to the solver; a third finds hardly more."""

LEAST_GAIN = 1e-9
"""What a pair at the gate gains, next to nothing, so that it is rather made than not; not so little that sums
of costs lose it."""


def cheapest_pairs(
    rows: IntArray, columns: IntArray, cost: FloatArray, max_cost: float, shape: tuple[int, int]
) -> IntArray:
    """Choose pairs of tracks and detections at the lowest total cost, each in one pair at most.

    Leaving a track and a detection apart costs ``max_cost``, so a worse pair is never made; a pair that is
    not listed is forbidden. The gate acts before the solver: filtering its answer afterwards would let a
    forbidden pair push out an allowed one.

    A pair *gains* ``max_cost`` less its cost. A pair without a rival is in every answer. Where the pairs that
    gain most of each row have columns of their own, as in most frames, they are the answer. A pair that gains
    as much as the best other pair of its row and the best other pair of its column together is in an answer
    of lowest cost: an answer without it can take it and drop at most one pair in its row and one in its
    column. What is left is solved as a plain assignment, where apart gains 0.

    Args:
        rows: (P,) tracks, below M.
        columns: (P,) detections, below N; every pair stands there once at most, in any order.
        cost: (P,) of each pair.
        max_cost: Highest cost of a pair, in the unit of ``cost``.
        shape: M, N.

    Returns:
        (K,) places in the list of those chosen, rising. Any of M, N, P may be 0.

    Raises:
        ValueError: ``cost`` holds NaN or -inf; ``max_cost`` is not finite.

    Source: DeepSORT (Wojke et al. 2017, arXiv:1703.07402) for gating first.
    """
    if not math.isfinite(max_cost):
        raise ValueError(f"max_cost must be finite, got {max_cost}")
    if not cost.min(initial=np.inf) > -np.inf:
        place = int(np.argmin(cost > -np.inf))
        raise ValueError(
            f"cost of row {rows[place]}, column {columns[place]} is {cost[place]}; inf forbids a pair"
        )
    places = (cost <= max_cost).nonzero()[0]
    rows, columns = rows.take(places), columns.take(places)
    has_rival = np.bincount(rows).take(rows) > 1
    has_rival |= np.bincount(columns).take(columns) > 1
    contested = has_rival.nonzero()[0]
    if not len(contested):
        return places
    is_chosen = ~has_rival
    rows, columns = rows.take(contested), columns.take(contested)
    gain = np.maximum(max_cost - cost.take(places.take(contested)), LEAST_GAIN)
    is_chosen[contested.take(_pairs_of_most_gain(rows, columns, gain, shape))] = True
    return places[is_chosen]


def _pairs_of_most_gain(
    rows: IntArray, columns: IntArray, gain: FloatArray, shape: tuple[int, int]
) -> IntArray:
    """Places of the pairs of highest total gain: those that are sure, then those that a solver chooses."""
    best: IntArray = (gain == _highest(gain, rows, shape[0]).take(rows)).nonzero()[0]
    if np.bincount(columns.take(best)).max() == 1 == np.bincount(rows.take(best)).max():
        return best
    places, chosen = np.arange(len(rows)), []
    for _ in range(SURE_ROUNDS if len(rows) > SOLVED_AT_ONCE else 0):
        sure = _sure_pairs(rows, columns, gain, shape)
        chosen.append(places.take(sure))
        is_row, is_column = np.ones(shape[0], np.bool_), np.ones(shape[1], np.bool_)
        is_row[rows.take(sure)] = is_column[columns.take(sure)] = False
        left = (is_row.take(rows) & is_column.take(columns)).nonzero()[0]
        places, rows, columns, gain = places.take(left), rows.take(left), columns.take(left), gain.take(left)
        if not len(left):  # lap 0.5.13 writes beyond its memory if a side is empty.
            return np.concatenate(chosen)
    chosen.append(places.take(_solved_pairs(rows, columns, gain, shape)))
    return np.concatenate(chosen)


def _sure_pairs(rows: IntArray, columns: IntArray, gain: FloatArray, shape: tuple[int, int]) -> IntArray:
    """Places of pairs that are in one answer of highest gain together; each row and column once at most."""
    of_row, of_column = _highest(gain, rows, shape[0]), _highest(gain, columns, shape[1])
    best = np.flatnonzero((gain == of_row.take(rows)) & (gain == of_column.take(columns)))
    best_rows, best_columns = rows.take(best), columns.take(best)
    # Of pairs that tie in a row or column the last one stays, the others are its rivals.
    last_of_row, last_of_column = np.empty(shape[0], np.int64), np.empty(shape[1], np.int64)
    last_of_row[best_rows] = last_of_column[best_columns] = best
    best = best[(last_of_row.take(best_rows) == best) & (last_of_column.take(best_columns) == best)]
    of_rivals = gain.copy()
    of_rivals[best] = 0.0
    of_row, of_column = _highest(of_rivals, rows, shape[0]), _highest(of_rivals, columns, shape[1])
    of_rivals = of_row.take(rows.take(best)) + of_column.take(columns.take(best))
    sure: IntArray = best[gain.take(best) >= of_rivals]
    return sure


def _highest(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """(count,) the highest of each group's values, 0 where there is none above."""
    highest = np.zeros(count)
    np.maximum.at(highest, groups, values)
    return highest


def lowest_of_groups(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """(count,) the lowest of each group's values (P,), groups (P,) from 0; inf where there is none."""
    lowest = np.empty(count)
    lowest.fill(np.inf)  # `numpy.full` takes three times as long
    np.minimum.at(lowest, groups, values)
    return lowest


def _solved_pairs(rows: IntArray, columns: IntArray, gain: FloatArray, shape: tuple[int, int]) -> IntArray:
    """Places of the pairs of highest total gain, rising: a plain assignment, in which apart gains 0."""
    rows, num_rows = _numbered(rows, shape[0])
    columns, num_columns = _numbered(columns, shape[1])
    size = max(num_rows, num_columns)  # square, or lap makes it so, which takes twice as long
    cost = np.zeros((size, size))
    cost[rows, columns] = -gain
    _, column_of_row, _ = lap.lapjv(cost)
    solved: IntArray = (column_of_row.take(rows) == columns).nonzero()[0]
    return solved


def _numbered(groups: IntArray, count: int) -> tuple[IntArray, int]:
    """(P,) groups below ``count``, numbered from 0 without those that do not occur; and how many do."""
    occurs = np.zeros(count, np.int64)
    occurs[groups] = 1
    numbers = np.cumsum(occurs)
    return numbers.take(groups) - 1, int(numbers[-1])
