"""How soon a run knew who somebody was: the seconds until it was decided."""

import math
from collections.abc import Sequence

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.metrics.reentry import (
    MIN_AWAY_S,
    NOT_FOUND,
    ROUNDING_S,
    Presence,
    Visits,
    seconds_until_decided,
)
from tracker.types import Tracklets

CLOCK_SLACK_S = 1.0
"""Frames of a video are not quite evenly spaced, so its times are not quite those that its rate gives."""


def decided_after(
    visits: Visits,
    presence: Presence,
    tracks: IntArray,
    decided_s: FloatArray,
    min_away_s: float = MIN_AWAY_S,
) -> tuple[float, float]:
    """Median and 95 % quantile of the seconds from when somebody was found to when it was clear who it is.

    A track may be decided before it finds a person: it begins where they are not yet to be found, or goes
    over from somebody else. Then it is clear at once.

    Args:
        visits: What ``presence`` makes; those that were never found are left out.
        presence: Who was in view, under the identities that the tracks have.
        tracks: (R,) the track that found each, from 0; anything where `NOT_FOUND`.
        decided_s: (T,) when the identity of each track was settled, on the clock of ``presence``; nan or inf
            for never.
        min_away_s: As for `find_visits`.

    Returns:
        Seconds, inf where more than half, or than 5 %, were never decided; 0 where no person was found.
    """
    found = np.flatnonzero(presence.identity_ids != NOT_FOUND)
    found = found[np.lexsort((presence.times[found], presence.people[found], tracks[found]))]
    seen, keys = presence[found], tracks[found]
    goes_over = (np.diff(keys, prepend=-1) != 0) | (np.diff(seen.people, prepend=-1) != 0)
    comes_back = np.diff(seen.times, prepend=-np.inf) >= min_away_s - ROUNDING_S
    begins = np.flatnonzero(goes_over | comes_back)
    known_s = np.maximum(decided_s[keys[begins]], seen.times[begins])
    is_known = np.isfinite(known_s)
    waited_s = seconds_until_decided(
        visits[visits.identity_ids != NOT_FOUND], seen.identity_ids[begins][is_known], known_s[is_known]
    )
    return _quantile(waited_s, 0.5), _quantile(waited_s, 0.95)


def find_tracks(presence: Presence, cameras: Sequence[str], table: Tracklets) -> IntArray | None:
    """Which row of a table of tracks each box of the result is of.

    A camera never has two tracks of one identity at one time, so camera, identity and time say which. A
    number that the table does not have stands for a track that stayed undecided; which, only time says.

    Args:
        presence: Who was in view, under the identities of the result.
        cameras: The name of each camera index.
        table: The tracks, with the same identities.

    Returns:
        (R,) rows of the table, `NOT_FOUND` where no person was found; None where a box has no track within
        `CLOCK_SLACK_S`: the table is of another result, or of a live run, which has another clock.
    """
    rows_of: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(table.cameras.tolist(), table.identity_ids.tolist(), strict=True)):
        rows_of.setdefault(key, []).append(row)
    tracks = np.full(len(presence), NOT_FOUND)
    found = np.flatnonzero(presence.identity_ids != NOT_FOUND)
    found = found[np.lexsort((presence.identity_ids[found], presence.cameras[found]))]
    is_next = np.diff(presence.cameras[found]) | np.diff(presence.identity_ids[found])
    for boxes in np.split(found, np.flatnonzero(is_next) + 1) if len(found) else []:
        key = cameras[presence.cameras[boxes[0]]], int(presence.identity_ids[boxes[0]])
        named = rows_of.get(key) or rows_of.get((key[0], 0), [])
        rows, times = np.array(named, np.int64), presence.times[boxes][:, None]
        off_s = np.maximum(np.maximum(table.begin_s[rows] - times, times - table.end_s[rows]), 0.0)
        if off_s.min(axis=1, initial=np.inf).max() > CLOCK_SLACK_S:
            return None
        tracks[boxes] = rows[off_s.argmin(axis=1)]
    return tracks


def _quantile(values: FloatArray, share: float) -> float:
    """The least value that so large a share of all does not exceed; values may be inf. 0 of none."""
    return float(np.sort(values)[math.ceil(share * len(values)) - 1]) if len(values) else 0.0
