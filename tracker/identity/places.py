"""When and where: whether two tracks can be one person at all, and how likely one went from here to there."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.config import IdentityConfig
from tracker.ground import GroundPlane
from tracker.identity.entry_exit_zones import EntryExitZones
from tracker.identity.ground import GroundLog, together_log_odds, transition_log_odds
from tracker.identity.tracklets import Fold, TrackletTable
from tracker.identity.transit_times import SHARED_LOG_ODDS, TransitTimes
from tracker.identity.views import SharedViews
from tracker.types import CameraName

CLOCK_TOLERANCE_S = 0.5
"""Cameras may disagree by this much about when somebody left one and came into another."""

NEAR_S = 10.0
"""After a longer absence the place says less than the transit time (docs/ground.md)."""


class Places:
    """Transit times and transitions between cameras and, where they have homographies, of the ground.

    Attributes:
        transit_times: How long people take from camera to camera.
        zones: Entry and exit zones, and the transitions between them; None but for what `taught_by` gives, as
            sure matches before the last frame are too few.
        log: Where everybody was.
        views: Which cameras see one place.
    """

    def __init__(
        self, cameras: Sequence[CameraName], plane: GroundPlane | None, config: IdentityConfig
    ) -> None:
        """Begin with what is known of no camera; tracks name cameras by their place here."""
        self.transit_times, self.log = TransitTimes(len(cameras)), GroundLog()
        self.zones: EntryExitZones | None = None
        self.views = SharedViews(cameras, config)
        self._cameras, self._plane, self._config = cameras, plane, config

    def add_camera(self) -> None:
        """One more: it stands last in the list of cameras that was given at first."""
        self.transit_times.add_camera()
        self.views.add_camera(self._cameras, self._config)

    def see(
        self,
        tracklets: TrackletTable,
        rows: IntArray,
        camera: int,
        time: float,
        boxes: FloatArray,
        size: tuple[int, int],
    ) -> None:
        """The tracks in these rows (M,) are at these boxes (M, 4) of a camera's picture of this size."""
        zones, is_new = EntryExitZones.of(camera, boxes, size), tracklets.frames[rows] == 1
        tracklets.exit[rows] = zones
        tracklets.entry[rows[is_new]] = zones[is_new]
        if len(self._cameras) > 1 and self._config.link:
            self.views.see(rows, camera, time, boxes)
        if self._plane is not None:
            self.log.add(rows, time, self._plane.positions(self._cameras[camera], boxes))

    def fold(self, fold: Fold) -> None:
        """Let go of tracks."""
        self.views.fold(fold)
        self.log.fold(fold.kept, fold.place)

    def conflicts(self, tracklets: TrackletTable, rows: IntArray, own: IntArray) -> BoolArray:
        """(R,) which tracks cannot be of the person who has the tracks ``own`` (M,).

        They were seen at one time by one camera, or by two of which it is not known that they see one place,
        unless both were on the ground then: `log_odds` says how near.
        """
        begin, end, overlap = tracklets.begin[rows], tracklets.end[rows], self.overlap
        cannot = np.zeros(len(rows), np.bool_)
        for row in own.tolist():
            own_begin, own_end, own_camera = tracklets.begin[row], tracklets.end[row], tracklets.camera[row]
            near = np.nonzero((end >= own_begin) & (begin <= own_end))[0]  # of many tracks only few are
            there = rows[near]
            camera = tracklets.camera[there]
            shared_s = np.minimum(end[near], own_end) - np.maximum(begin[near], own_begin)
            in_one = camera == own_camera
            in_two = ~in_one & ~overlap[camera, own_camera] & (shared_s > CLOCK_TOLERANCE_S)
            if self._plane is not None:  # the ground speaks only where both were on it at one time
                told = np.nonzero(in_two & self._placed(there) & self._placed(np.array([row])))[0]
                if len(told):
                    in_two[told] = self.log.together(there[told], row).seconds == 0
            cannot[near] |= in_one | in_two
        return cannot

    @property
    def overlap(self) -> BoolArray:
        """(C, C) which cameras see the same place, as far as is known; a camera does not overlap itself."""
        return self.views.may_overlap(self.transit_times.overlap)

    def together(self, tracklets: TrackletTable, rows: IntArray, own: IntArray) -> FloatArray:
        """(R,) log odds that tracks are of the person of ``own`` (M,), from where they stood at one time.

        The surest of what homographies, found or given, say for it, and, of those that were found, against
        it. A stranger reaches log odds g with a chance of at most exp(-g): that is what a likelihood ratio
        means.
        """
        surest, against = np.zeros((2, len(rows)))
        placed = self._placed(rows)
        for row in own.tolist():
            told = self.views.together(tracklets, rows, row).log_odds
            surest, against = np.maximum(surest, told), np.minimum(against, told)
            if self._plane is None or not self._placed(np.array([row])).any():
                continue
            shared_s = np.minimum(tracklets.end[rows], tracklets.end[row]) - np.maximum(
                tracklets.begin[rows], tracklets.begin[row]
            )
            both = np.nonzero(
                placed & (shared_s > CLOCK_TOLERANCE_S) & (tracklets.camera[rows] != tracklets.camera[row])
            )[0]
            if len(both):
                near = self.log.together(rows[both], row)
                log_odds = together_log_odds(near, self.log.area_m2, self._plane.config)
                surest[both] = np.maximum(surest[both], log_odds)
        return surest + against

    def log_odds(self, tracklets: TrackletTable, before: IntArray, after: IntArray) -> FloatArray:
        """(N,) log odds that one person had tracklets ``before`` (N,) and then ``after`` (N,)."""
        absence_s = tracklets.begin[after] - tracklets.end[before]
        log_odds = self.transit_times.log_odds(tracklets.camera[before], tracklets.camera[after], absence_s)
        shared = absence_s < -CLOCK_TOLERANCE_S
        if self.zones is not None:
            log_odds += self.zones.log_odds(tracklets.exit[before], tracklets.entry[after])
        log_odds[shared] = SHARED_LOG_ODDS
        if shared.any():
            # Both of a pair say the same, so those are asked of whom there are few.
            times = np.bincount(np.concatenate((before[shared], after[shared])), minlength=len(tracklets))
            is_before = times[before] >= times[after]
            asked, others = np.where(is_before, before, after), np.where(is_before, after, before)
            for row in np.unique(asked[shared]).tolist():
                here = np.nonzero(shared & (asked == row))[0]
                log_odds[here[self.views.together(tracklets, others[here], row).is_known]] = 0.0
        log_odds[~tracklets.is_track[before]] = 0.0  # how long it was between two runs says nothing
        if self._plane is None:
            return log_odds
        placed = self._placed(before) & self._placed(after)
        if not placed.any():
            return log_odds
        log, config = self.log, self._plane.config
        near = np.nonzero(placed & ~shared & (absence_s <= NEAR_S))[0]
        a, b = before[near], after[near]
        away_s = log.first_s[b] - log.last_s[a]
        log_odds[near] = transition_log_odds(log.last_xy[a], log.first_xy[b], away_s, log.area_m2, config)
        both = np.nonzero(placed & shared)[0]
        for row in np.unique(after[both]).tolist():
            here = both[after[both] == row]
            told = together_log_odds(log.together(before[here], row), log.area_m2, config)
            log_odds[here] = np.minimum(told, 0.0)  # what speaks for it counts in `together`
        return log_odds

    def taught_by(self, tracklets: TrackletTable, clusters: IntArray) -> "Places":
        """The same, with the transitions of the clusters (N,) of all tracklets, not of sure matches."""
        taught = Places(self._cameras, self._plane, self._config)
        taught.log, taught.views, taught.transit_times = (
            self.log,
            self.views,
            self.transit_times.only_overlaps(),
        )
        taught.zones = zones = EntryExitZones(len(self._cameras), tracklets.entry[tracklets.is_track])
        rows = np.lexsort((tracklets.begin, clusters))
        before, after = rows[:-1], rows[1:]
        # When cameras last saw somebody before the run says nothing of the transit time.
        of_one = (clusters[before] == clusters[after]) & tracklets.is_track[before]
        for last, row in zip(before[of_one].tolist(), after[of_one].tolist(), strict=True):
            absence_s = float(tracklets.begin[row] - tracklets.end[last])
            if absence_s > 0:
                taught.transit_times.add(int(tracklets.camera[last]), int(tracklets.camera[row]), absence_s)
                zones.add(int(tracklets.exit[last]), int(tracklets.entry[row]))
        return taught

    def _placed(self, rows: IntArray) -> BoolArray:
        """(R,) which tracks were ever somewhere on the ground."""
        known = rows < len(self.log.first_s)
        known[known] = np.isfinite(self.log.first_s[rows[known]])
        return known
