"""Which boxes of gaps are likely right."""

from itertools import pairwise

import numpy as np

from foundation.arrays import BoolArray, FloatArray
from foundation.mot_files import MotTable
from tracker.config import OfflineConfig
from tracker.geometry import hidden_shares, xywh_to_xyxy

MIN_HIDDEN_SHARE = 0.2
"""Somebody of whom nearer people hide this share is likely missed because of them."""


def is_likely_there(
    table: MotTable, gap_s: FloatArray, found_share: FloatArray, config: OfflineConfig
) -> BoolArray:
    """(R,) whether a box stays: found, in a short gap, of who was found most of the time, or hidden.

    Who is seldom found although nobody stands before them is more often no person, or somewhere else.

    Args:
        table: Tracks of one camera by frame, with their gaps filled.
        gap_s: (R,) length of the gap that a row is in; 0 where it was found.
        found_share: (R,) in which share of its frames the row's track was found.
    """
    is_there = (gap_s <= config.sure_gap_s) | (found_share >= config.min_found_share)
    if is_there.all():
        return is_there
    boxes = xywh_to_xyxy(table.boxes)
    limits = np.flatnonzero(np.diff(table.frames, prepend=-1, append=-1))
    for start, stop in pairwise(limits.tolist()):
        doubted = start + np.flatnonzero(~is_there[start:stop])
        if len(doubted):
            found = start + np.flatnonzero(gap_s[start:stop] == 0)
            is_there[doubted] = hidden_shares(boxes[doubted], boxes[found]) >= MIN_HIDDEN_SHARE
    return is_there
