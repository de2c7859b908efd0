"""Who is who from one frame to the next: what a pair costs, and the pairs of lowest total cost."""

from dataclasses import dataclass

import lap
import numpy as np

from tracker.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Which track goes on with which detection, and what is left over.

    Attributes:
        pairs: (P, 2) track row, detection column; by rising row.
        unmatched_rows: Rows without a partner, rising.
        unmatched_columns: Columns without a partner, rising.
    """

    pairs: IntArray
    unmatched_rows: IntArray
    unmatched_columns: IntArray


def match_lowest_cost(cost: FloatArray, max_cost: float) -> Matches:
    """Pair tracks with detections at the lowest total cost.

    Leaving a track and a detection apart costs ``max_cost``, so a worse pair is
    never made. The gate acts before the solver: filtering its answer afterwards
    would let a forbidden pair push out an allowed one.

    Args:
        cost: (M, N) cost of giving detection n to track m; inf forbids the pair.
        max_cost: Highest cost of a pair, in the unit of ``cost``.

    Returns:
        The pairs and what is left over. M or N may be 0.

    Raises:
        ValueError: ``cost`` is not (M, N), or holds NaN or -inf; ``max_cost`` is not finite.

    Source: DeepSORT (Wojke et al. 2017, arXiv:1703.07402) for gating first.
    """
    if cost.ndim != 2:
        raise ValueError(f"cost must have shape (tracks, detections), got {cost.shape}")
    if not np.isfinite(max_cost):
        raise ValueError(f"max_cost must be finite, got {max_cost}")
    if not (cost > -np.inf).all():
        row, column = np.argwhere(~(cost > -np.inf))[0]
        raise ValueError(f"cost[{row}, {column}] is {cost[row, column]}; inf forbids a pair")
    allowed = cost <= max_cost
    row_rivals, column_rivals = allowed.sum(axis=1), allowed.sum(axis=0)
    column_of_row = np.full(len(cost), -1)
    # A pair without rivals needs no solver; where people stand apart that is nearly every pair.
    rows, columns = np.nonzero(allowed & (row_rivals == 1)[:, None] & (column_rivals == 1))
    column_of_row[rows] = columns
    row_rivals[rows] = column_rivals[columns] = 0
    rows, columns = np.nonzero(row_rivals)[0], np.nonzero(column_rivals)[0]
    if len(rows):
        # Costs are cut off where leaving apart is as cheap; then a plain assignment is the gated one, once
        # the pairs that were cut are taken out. (lap's own cost_limit solves a problem of M + N rows.)
        _, chosen, _ = lap.lapjv(np.minimum(cost[np.ix_(rows, columns)], max_cost), extend_cost=True)
        chosen = np.where(chosen >= 0, columns[chosen], -1)
        column_of_row[rows] = np.where(allowed[rows, chosen], chosen, -1)
    matched = column_of_row >= 0
    rows = np.nonzero(matched)[0]
    columns = column_of_row[rows]
    is_left: BoolArray = np.ones(cost.shape[1], dtype=np.bool_)
    is_left[columns] = False
    return Matches(np.column_stack((rows, columns)), np.nonzero(~matched)[0], np.nonzero(is_left)[0])


def fuse_score(similarity: FloatArray, scores: FloatArray) -> FloatArray:
    """Multiply the (M, N) similarity by the (N,) detection scores, cut off at 0 and 1.

    Source: ByteTrack (Zhang et al. 2022, arXiv:2110.06864), its released code: likely people are taken first.
    """
    fused: FloatArray = similarity * np.clip(scores, 0.0, 1.0)
    return fused


def fuse_appearance(
    cost: FloatArray, cosine_distance: FloatArray, weight: float, max_cosine_distance: float
) -> FloatArray:
    """Mix the (M, N) cost of motion with the (M, N) cosine distance; inf where people look too unlike.

    Args:
        weight: Share of the distance, in [0, 1].
        max_cosine_distance: A pair further apart is forbidden, in [0, 2].
    """
    fused = (1 - weight) * cost + weight * cosine_distance
    fused[cosine_distance > max_cosine_distance] = np.inf
    return fused
