"""When and where: whether two tracks can be one person at all, and how likely one went from here to there."""

import numpy as np

from tracker.ground import GroundPlane
from tracker.identity.ground import GroundLog, together_log_odds, transition_log_odds
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import Stays
from tracker.types import BoolArray, FloatArray, IntArray

CLOCK_TOLERANCE_S = 0.5
"""Cameras may disagree by so much about when somebody left one and came into another."""

NEAR_S = 10.0
"""After a longer absence the place says less than what is known of the way (docs/ground.md)."""


class Places:
    """What is known of the ways between cameras and, where they have homographies, of the ground.

    Attributes:
        passages: The ways.
        log: Where everybody was.
    """

    def __init__(self, cameras: int, plane: GroundPlane | None) -> None:
        """Know nothing yet."""
        self.passages, self.log = Passages(cameras), GroundLog()
        self._plane = plane

    def see(self, rows: IntArray, camera: int, time: float, boxes: FloatArray) -> None:
        """The tracks in these rows (M,) are at these boxes (M, 4) of a camera."""
        if self._plane is not None:
            self.log.add(rows, time, self._plane.positions(camera, boxes))

    def conflicts(self, stays: Stays, rows: IntArray, own: IntArray) -> BoolArray:
        """(R,) which tracks cannot be of the person who has the tracks ``own`` (M,).

        They were seen at one time by one camera, or by two of which nobody knows that they see one place.
        """
        cannot, overlap = np.zeros(len(rows), np.bool_), self.passages.overlap
        camera, begin, end = stays.camera[rows], stays.begin[rows], stays.end[rows]
        placed = self._placed(rows)
        for row in own.tolist():
            shared_s = np.minimum(end, stays.end[row]) - np.maximum(begin, stays.begin[row])
            may_share = overlap[camera, stays.camera[row]] | (placed & self._placed(np.array([row])))
            in_two = ~may_share & (shared_s > CLOCK_TOLERANCE_S)
            cannot |= np.where(camera == stays.camera[row], shared_s >= 0, in_two)
        return cannot

    def log_odds(self, stays: Stays, before: IntArray, after: IntArray) -> FloatArray:
        """(N,) how much likelier it is that one person had stays ``before`` (N,) and then ``after`` (N,)."""
        absence_s = stays.begin[after] - stays.end[before]
        log_odds = self.passages.log_odds(stays.camera[before], stays.camera[after], absence_s)
        shared = absence_s < -CLOCK_TOLERANCE_S
        log_odds[shared] = SHARED_LOG_ODDS
        log_odds[~stays.is_track[before]] = 0.0  # how long it was between two runs says nothing
        placed = self._placed(before) & self._placed(after)
        if not placed.any() or self._plane is None:
            return log_odds
        log, config = self.log, self._plane.config
        near = np.nonzero(placed & ~shared & (absence_s <= NEAR_S))[0]
        a, b = before[near], after[near]
        away_s = log.first_s[b] - log.last_s[a]
        log_odds[near] = transition_log_odds(log.last_xy[a], log.first_xy[b], away_s, log.area_m2, config)
        both = np.nonzero(placed & shared)[0]
        for row in np.unique(after[both]).tolist():
            here = both[after[both] == row]
            log_odds[here] = together_log_odds(log.together(before[here], row), log.area_m2, config)
        return log_odds

    def taught_by(self, stays: Stays, people: IntArray) -> "Places":
        """The same, but for the ways: those of the people (N,) that all stays are, not of sure matches."""
        taught = Places(len(self.passages.overlap), self._plane)
        taught.log, taught.passages = self.log, self.passages.without_ways()
        rows = np.lexsort((stays.begin, people))
        before, after = rows[:-1], rows[1:]
        # When cameras last saw somebody before the run says nothing of the way.
        of_one = (people[before] == people[after]) & stays.is_track[before]
        for last, row in zip(before[of_one].tolist(), after[of_one].tolist(), strict=True):
            absence_s = float(stays.begin[row] - stays.end[last])
            taught.passages.add(int(stays.camera[last]), int(stays.camera[row]), absence_s)
        return taught

    def _placed(self, rows: IntArray) -> BoolArray:
        """(R,) which tracks were ever somewhere on the ground."""
        known = rows < len(self.log.first_s)
        known[known] = np.isfinite(self.log.first_s[rows[known]])
        return known
