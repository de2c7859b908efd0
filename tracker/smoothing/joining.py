"""Tracks that broke are joined again: one ends where, and how, the other begins."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from foundation.arrays import BoolArray, FloatArray, IntArray
from foundation.mot_files import MotTable
from tracker.config import OfflineConfig
from tracker.kalman import BoxNoise, predict_moments
from tracker.smoothing.moments import smooth_moments

MayJoin = Callable[[IntArray, IntArray], BoolArray]
"""(P,) earlier ids, (P,) later ids -> (P,) which of these pairs may be one person at all."""

X, Y, WIDTH, HEIGHT = range(4)
"""Coordinates of a box as the motion model takes them: centre, width and height."""


def join_tracks(
    table: MotTable, times: FloatArray, config: OfflineConfig, may_join: MayJoin | None = None
) -> IntArray:
    """Find out which tracks go on as which other.

    Of two tracks the first of which ends before the second begins: how densely does the motion model
    expect the first to be there then, at that speed and height? Where somebody else is less expected
    (``stranger_log_density``), they may be one. Of all such pairs those are joined that together are the
    likeliest; each track goes on at most once, and is gone on with at most once.

    Args:
        table: Tracks of one camera, any order of rows.
        times: (R,) seconds of its rows.
        may_join: Asked about the pairs that motion allows; None allows all.

    Returns:
        (R,) for each row the id of the first of the tracks it is joined with; its own where it is none.

    Source: the idea of linking tracks by motion alone is AFLink's (StrongSORT, Du et al. 2022,
    arXiv:2202.13514), which learns the decision; here it is the Gaussian of the tracks' own filter.
    """
    if not len(table):
        return table.ids.copy()
    order = np.lexsort((table.frames, table.ids))
    ids, firsts, lengths = np.unique(table.ids[order], return_index=True, return_counts=True)
    lasts = firsts + lengths - 1
    times = times[order]
    measured = centre_boxes(table.boxes[order])
    is_seen = np.ones(len(table), np.bool_)
    noise = BoxNoise(**config.motion.model_dump())
    moments = smooth_moments(measured, is_seen, times, measured[:, HEIGHT:], lengths, noise)
    earlier, later = _pairs(times[firsts], times[lasts], config.max_gap_s)
    if may_join is not None:
        is_allowed = may_join(ids[earlier], ids[later])
        earlier, later = earlier[is_allowed], later[is_allowed]
    seconds = times[firsts[later]] - times[lasts[earlier]]
    density = _log_density(moments[lasts[earlier]], moments[firsts[later]], seconds, noise)
    gain = density - config.stranger_log_density
    is_likely = gain > 0
    chosen = _best_pairs(earlier[is_likely], later[is_likely], gain[is_likely], len(ids))
    root = np.arange(len(ids))
    for before, after in sorted(chosen, key=lambda pair: times[firsts[pair[1]]]):
        root[after] = root[before]
    return ids[root][np.searchsorted(ids, table.ids)]


def centre_boxes(boxes: FloatArray) -> FloatArray:
    """(R, 4) left, top, width, height -> centre x, centre y, width, height."""
    return np.concatenate((boxes[:, :2] + 0.5 * boxes[:, 2:], boxes[:, 2:]), axis=1)


def _pairs(begins: FloatArray, ends: FloatArray, max_gap_s: float) -> tuple[IntArray, IntArray]:
    """(P,) and (P,) tracks of which one begins within ``max_gap_s`` after the end of the other."""
    order = np.argsort(begins, kind="stable")
    from_, to = (np.searchsorted(begins[order], ends + gap, side="right") for gap in (0.0, max_gap_s))
    counts = np.maximum(to - from_, 0)
    earlier = np.repeat(np.arange(len(ends)), counts)
    place = np.arange(len(earlier)) - np.repeat(np.cumsum(counts) - counts, counts)
    return earlier, order[from_[earlier] + place]


def _log_density(ends: FloatArray, begins: FloatArray, seconds: FloatArray, noise: BoxNoise) -> FloatArray:
    """(P,) log density of the (P, 5, 4) moments ``begins``, this many (P,) seconds after ``ends``.

    Of centre and height and their velocities, in heights and heights per second. The width says less:
    it changes as people turn, and some detectors give it as a share of the height.
    """
    ends, begins = ends[:, :, [X, Y, HEIGHT]].copy(), begins[:, :, [X, Y, HEIGHT]].copy()
    height = np.sqrt(np.maximum(ends[:, 0, 2:], 1.0) * np.maximum(begins[:, 0, 2:], 1.0))
    # The last boxes of somebody who vanishes behind others shrink, and the first ones grow again.
    ends[:, 1, 2] = begins[:, 1, 2] = 0.0
    expected = predict_moments(ends, seconds[:, None], height, noise)
    distance, speed = expected[:, 0] - begins[:, 0], expected[:, 1] - begins[:, 1]
    variance, covariance, velocity_variance = (expected[:, row] + begins[:, row] for row in (2, 3, 4))
    determinant = variance * velocity_variance - covariance**2
    square = distance**2 * velocity_variance - 2 * distance * speed * covariance + speed**2 * variance
    density = -0.5 * (square / determinant + np.log(determinant / height**4)) - np.log(2 * np.pi)
    total: FloatArray = density.sum(axis=1)
    return total


def _best_pairs(earlier: IntArray, later: IntArray, gain: FloatArray, tracks: int) -> list[tuple[int, int]]:
    """The pairs of highest total gain, each track at most once on either side."""
    if not len(gain):
        return []
    # The solver matches every row: each track may also be left unmatched, a column of its own.
    apart = np.unique(earlier)
    rows = np.concatenate((np.searchsorted(apart, earlier), np.arange(len(apart)))).astype(np.int32)
    # Older versions of the solver take indices of 32 bits alone.
    columns = np.concatenate((later, tracks + np.arange(len(apart)))).astype(np.int32)
    # Costs must not be 0, which a sparse matrix takes for no pair.
    cost = 1.0 + gain.max() - np.concatenate((gain, np.zeros(len(apart))))
    graph = csr_array((cost, (rows, columns)), shape=(len(apart), tracks + len(apart)))
    rows, columns = min_weight_full_bipartite_matching(graph)
    is_pair = columns < tracks
    return list(zip(apart[rows[is_pair]].tolist(), columns[is_pair].tolist(), strict=True))
