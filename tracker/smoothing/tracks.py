"""Finished tracks of one camera: unlikely ones go, broken ones are joined, gaps filled, boxes smoothed."""

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from foundation.mot_files import MotTable
from tracker.config import OfflineConfig
from tracker.kalman import BoxNoise
from tracker.smoothing.gaps import is_likely_there
from tracker.smoothing.joining import HEIGHT, centre_boxes, join_tracks
from tracker.smoothing.moments import smooth_moments


def smooth_tracks(table: MotTable, times: FloatArray, likely_score: float, config: OfflineConfig) -> MotTable:
    """Make finished tracks better with what is only known afterwards.

    Args:
        table: What was tracked in one camera, any order of rows; no id twice in a frame.
        times: (R,) seconds of its rows.
        likely_score: The detector's score from which somebody is likely there.

    Returns:
        The better tracks by frame and id, with rows for frames in which somebody was not found. Tracks that
        were joined have the id of the first; those of unlikely people are gone.
    """
    is_likely = is_of_likely_track(table, likely_score, config.min_likely_share)
    table, times = table[is_likely], times[is_likely]
    ways = join_tracks(table, times, config)
    joined = MotTable.of_people(table.frames, ways, table.boxes, table.scores)
    return smooth_ways(joined, times, ways, config)


def is_of_likely_track(table: MotTable, likely_score: float, min_share: float) -> BoolArray:
    """(R,) whether a row belongs to a track at least this share of whose boxes have a likely score."""
    _, track = np.unique(table.ids, return_inverse=True)
    share = np.bincount(track, table.scores >= likely_score) / np.maximum(np.bincount(track), 1)
    return np.asarray(share[track] >= min_share)


def smooth_ways(table: MotTable, times: FloatArray, ways: IntArray, config: OfflineConfig) -> MotTable:
    """Smooth boxes and fill gaps of up to ``max_gap_s``, the longer ones where that is likely right.

    Args:
        table: People of one camera; no id twice in a frame.
        times: (R,) seconds of its rows.
        ways: (R,) rows of an id that follow each other with the same number are one way, and smoothed
            together. Between two ways of one id nothing is known.

    Returns:
        The rows by frame and id; no id twice in a frame. A score in a gap lies between those around it.
    """
    if not len(table):
        return table
    order = np.lexsort((table.frames, table.ids))
    table, times, ways = table[order], times[order], ways[order]
    goes_on = (table.ids[1:] == table.ids[:-1]) & (ways[1:] == ways[:-1])
    is_short = goes_on & (np.diff(times) <= config.max_gap_s)
    # Each row once, and once more for every frame of the gap after it.
    counts = np.append(np.where(is_short, np.diff(table.frames), 1), 1)
    rows = np.repeat(np.arange(len(table)), counts)
    offset = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (offset / counts[rows])[:, None]

    def between(column: FloatArray) -> FloatArray:
        """(R, K) -> its rows, and in gaps what lies on the line between the rows around them."""
        after = column[np.minimum(rows + 1, len(column) - 1)]
        line: FloatArray = column[rows] + share * (after - column[rows])
        return line

    boxes = between(centre_boxes(table.boxes))
    way_of_row = np.cumsum(np.append(True, ~goes_on))[rows]
    moments = smooth_moments(
        boxes,
        offset == 0,
        between(times[:, None])[:, 0],
        boxes[:, HEIGHT:],
        np.unique(way_of_row, return_counts=True)[1],
        BoxNoise(**config.motion.model_dump()),
    )
    sizes = np.maximum(moments[:, 0, 2:], 1.0)
    corners = np.concatenate((moments[:, 0, :2] - 0.5 * sizes, sizes), axis=1)
    frames, ids = table.frames[rows] + offset, table.ids[rows]
    scores = between(table.scores[:, None])[:, 0]
    by_frame = np.lexsort((ids, frames))
    result = MotTable.of_people(frames, ids, corners, scores)[by_frame]
    gap_s = np.where(offset > 0, np.append(np.diff(times), 0.0)[rows], 0.0)
    found_share = np.bincount(way_of_row, offset == 0)[way_of_row] / np.bincount(way_of_row)[way_of_row]
    return result[is_likely_there(result, gap_s[by_frame], found_share[by_frame], config)]
