"""Which tracks a run that goes on for weeks lets go of, and which stand for them."""

import numpy as np

from foundation.arrays import BoolArray, IntArray
from tracker.identity.table import UNDECIDED
from tracker.identity.tracklets import UNKNOWN, Fold, TrackletTable


def find_fold(tracklets: TrackletTable, identity: IntArray, is_waiting: BoolArray, before_s: float) -> Fold:
    """What goes of the tracks that ended before: all but the newest of each person in each camera.

    That one stands for the others from then on, with the appearance of all. What is undecided goes, as
    does what was never embedded: nobody will be taken for it.

    Args:
        tracklets: The N rows.
        identity: (N,) who each is.
        is_waiting: (N,) which are not decided for good.
        before_s: Seconds, as `Frame.time`.
    """
    is_over = tracklets.is_track & (tracklets.end < before_s) & ~is_waiting
    rows = np.nonzero(is_over & (identity != UNDECIDED) & (tracklets.num_embeddings > 0))[0]
    into = np.full(len(tracklets), UNKNOWN)
    if len(rows):
        rows = rows[np.lexsort((tracklets.end[rows], tracklets.camera[rows], identity[rows]))]
        keys = np.column_stack((identity[rows], tracklets.camera[rows]))
        is_last = np.append((keys[1:] != keys[:-1]).any(axis=1), True)
        ends = np.nonzero(is_last)[0]
        into[rows] = rows[np.repeat(ends, np.diff(ends, prepend=-1))]
    kept = np.nonzero(~is_over | (into == np.arange(len(tracklets))))[0]
    place = np.full(len(tracklets), UNKNOWN)
    place[kept] = np.arange(len(kept))
    return Fold(kept, place, into)
