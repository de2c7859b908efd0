"""When and where: whether two tracks can be one person at all, and how likely one went from here to there."""

from collections.abc import Sequence

import numpy as np

from tracker.ground import GroundPlane
from tracker.identity.doors import Doors
from tracker.identity.ground import GroundLog, together_log_odds, transition_log_odds
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import Stays
from tracker.types import BoolArray, CameraName, FloatArray, IntArray

CLOCK_TOLERANCE_S = 0.5
"""Cameras may disagree by so much about when somebody left one and came into another."""

NEAR_S = 10.0
"""After a longer absence the place says less than what is known of the way (docs/ground.md)."""


class Places:
    """What is known of the ways between cameras and, where they have homographies, of the ground.

    Attributes:
        passages: The ways, and how long they take.
        doors: Where in the pictures they begin and end; None but for what `taught_by` gives, as sure matches
            on the way are too few.
        log: Where everybody was.
    """

    def __init__(self, cameras: Sequence[CameraName], plane: GroundPlane | None) -> None:
        """Know nothing yet of these cameras; tracks name them by their place here."""
        self.passages, self.log = Passages(len(cameras)), GroundLog()
        self.doors: Doors | None = None
        self._cameras, self._plane = cameras, plane

    def see(
        self,
        stays: Stays,
        rows: IntArray,
        camera: int,
        time: float,
        boxes: FloatArray,
        size: tuple[int, int],
    ) -> None:
        """The tracks in these rows (M,) are at these boxes (M, 4) of a camera's picture of this size."""
        doors, is_new = Doors.of(camera, boxes, size), stays.frames[rows] == 1
        stays.exit[rows] = doors
        stays.entry[rows[is_new]] = doors[is_new]
        if self._plane is not None:
            self.log.add(rows, time, self._plane.positions(self._cameras[camera], boxes))

    def conflicts(self, stays: Stays, rows: IntArray, own: IntArray) -> BoolArray:
        """(R,) which tracks cannot be of the person who has the tracks ``own`` (M,).

        They were seen at one time by one camera, or by two of which nobody knows that they see one place,
        unless both were on the ground then: `log_odds` says how near.
        """
        cannot, overlap = np.zeros(len(rows), np.bool_), self.passages.overlap
        camera, begin, end = stays.camera[rows], stays.begin[rows], stays.end[rows]
        placed = self._placed(rows)
        for row in own.tolist():
            shared_s = np.minimum(end, stays.end[row]) - np.maximum(begin, stays.begin[row])
            in_one = camera == stays.camera[row]
            in_two = ~in_one & ~overlap[camera, stays.camera[row]] & (shared_s > CLOCK_TOLERANCE_S)
            # The ground speaks only where both were on it at one time.
            told = np.nonzero(in_two & placed & self._placed(np.array([row])))[0]
            if len(told):
                in_two[told] = self.log.together(rows[told], row).seconds == 0
            cannot |= np.where(in_one, shared_s >= 0, in_two)
        return cannot

    def log_odds(self, stays: Stays, before: IntArray, after: IntArray) -> FloatArray:
        """(N,) how much likelier it is that one person had stays ``before`` (N,) and then ``after`` (N,)."""
        absence_s = stays.begin[after] - stays.end[before]
        log_odds = self.passages.log_odds(stays.camera[before], stays.camera[after], absence_s)
        shared = absence_s < -CLOCK_TOLERANCE_S
        if self.doors is not None:
            log_odds += self.doors.log_odds(stays.exit[before], stays.entry[after])
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
        taught = Places(self._cameras, self._plane)
        taught.log, taught.passages = self.log, self.passages.without_ways()
        taught.doors = doors = Doors(len(self._cameras), stays.entry[stays.is_track])
        rows = np.lexsort((stays.begin, people))
        before, after = rows[:-1], rows[1:]
        # When cameras last saw somebody before the run says nothing of the way.
        of_one = (people[before] == people[after]) & stays.is_track[before]
        for last, row in zip(before[of_one].tolist(), after[of_one].tolist(), strict=True):
            absence_s = float(stays.begin[row] - stays.end[last])
            if absence_s > 0:
                taught.passages.add(int(stays.camera[last]), int(stays.camera[row]), absence_s)
                doors.add(int(stays.exit[last]), int(stays.entry[row]))
        return taught

    def _placed(self, rows: IntArray) -> BoolArray:
        """(R,) which tracks were ever somewhere on the ground."""
        known = rows < len(self.log.first_s)
        known[known] = np.isfinite(self.log.first_s[rows[known]])
        return known
