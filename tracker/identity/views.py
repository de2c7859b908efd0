"""Which cameras see one place, declared or found as people move in both, and what it says of who is who."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.config import IdentityConfig
from tracker.identity.moments import STEP_S, MomentLog
from tracker.identity.overlap import (
    MAX_MOMENTS,
    NEAR_SHIFTS,
    TOLERANCE,
    Feet,
    Overlap,
    agreement,
    count_places,
    find_overlap,
)
from tracker.identity.tracklets import Fold, TrackletTable
from tracker.identity.transit_times import TransitTimes
from tracker.types import CameraName, State

FIRST_TEST, GROWTH = 60.0, 1.2
"""Two cameras are compared once two tracks were seen together at this many moments, `STEP_S` apart, and again
when there are this many times more."""

PAUSE_S = 1 / 360_000
"""After two cameras were compared, none are for this time for each of their moments and each pair of cameras:
comparing 6,000 moments takes 0.1 s, and 16 cameras, with 120 pairs, wait 2 s; and for as often as long where
they see one place, as other times were tried too."""

FAR = 3.0
"""Feet that are this many times farther apart than `TOLERANCE` are not of one person."""

MIN_TOGETHER = 4
"""At fewer moments a homography says nothing of two tracks."""

MIN_NEAR, MIN_FAR = 0.5, 0.7
"""Two tracks agree that do at this share of the moments; and are apart that are far apart at this share."""

MAX_TOLD = 1_000_000
"""What homographies say of so many pairs of tracks is remembered, until more is seen."""

ONE_PLACE, ANOTHER_PLACE, MOST_PLACES = 3.0, 0.75, 5
"""Log odds of two tracks that agree at one place, and for each further place, and how many count at most;
where they are apart it speaks against it as much, and no more: boxes do not always end at the feet."""


class Together(NamedTuple):
    """What a homography says of tracks (R,) that were seen at once with another.

    Attributes:
        log_odds: (R,) how much likelier they are one person than two; 0 where nothing is known.
        is_known: (R,) whether anything is.
    """

    log_odds: FloatArray
    is_known: BoolArray


class SharedViews:
    """Which of C cameras see one place, and the homographies between their pictures that were found.

    Attributes:
        feet: Where in its picture each track stood, and how high its box is, pixels.
    """

    def __init__(self, cameras: Sequence[CameraName], config: IdentityConfig) -> None:
        count = len(cameras)
        self.feet = MomentLog(3)
        self._declare(cameras, config)
        self._found: dict[tuple[int, int], Overlap] = {}
        self._known: dict[tuple[int, int], Overlap] = {}  # those, and what follows from two of them
        self._joint = np.zeros((count, count))
        self._tested = np.full((count, count), FIRST_TEST / GROWTH)
        self._next_s = -np.inf
        self._in_view = np.zeros(count)
        self._step = np.full(count, -1)
        self._told: dict[int, Together] = {}  # by track, as long as nothing more is known
        self._told_as_of = (0, 0)

    def add_camera(self, cameras: Sequence[CameraName], config: IdentityConfig) -> None:
        """One more, the last of these."""
        self._declare(cameras, config)
        self._joint = np.pad(self._joint, (0, 1))
        self._tested = np.pad(self._tested, (0, 1), constant_values=FIRST_TEST / GROWTH)
        self._in_view = np.pad(self._in_view, (0, 1))
        self._step = np.pad(self._step, (0, 1), constant_values=-1)

    def _declare(self, cameras: Sequence[CameraName], config: IdentityConfig) -> None:
        """Take what the settings say of which cameras see one place."""
        count = len(cameras)
        self.declared = np.zeros((count, count), np.bool_)
        self._forbidden = np.zeros((count, count), np.bool_)
        index: dict[str, int] = {camera: place for place, camera in enumerate(cameras)}
        for target, declared in ((self.declared, config.overlap), (self._forbidden, config.no_overlap)):
            if declared == "all":
                target[:] = True
                continue
            for one, other in declared:
                if one in index and other in index:
                    target[index[one], index[other]] = target[index[other], index[one]] = True
        self.declared &= ~self._forbidden
        np.fill_diagonal(self.declared, False)

    def see(self, rows: IntArray, camera: int, time: float, boxes: FloatArray) -> None:
        """The tracks in these rows (M,) are at these boxes (M, 4)."""
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
        self.feet.add(rows, time, np.column_stack((x, y, boxes[:, 3] - boxes[:, 1])))
        self._in_view[camera] = len(rows)
        step = int(time // STEP_S)
        if step > self._step[camera]:
            self._step[camera] = step
            at_once = np.where(self._step >= step - 1, self._in_view, 0) * len(rows)
            at_once[camera] = 0
            self._joint[camera] += at_once / 2
            self._joint[:, camera] += at_once / 2

    def may_overlap(self, overlap: BoolArray) -> BoolArray:
        """(C, C) which cameras see one place, of those that do by another sign, and those known here."""
        known = overlap | self.declared
        for pair in self._known:
            known[pair] = known[pair[::-1]] = True
        return known & ~self._forbidden

    def matrix(self, first: int, second: int) -> FloatArray | None:
        """Pixels of one camera to those of another, if that was found."""
        if (first, second) in self._known:
            return self._known[first, second].matrix
        other = self._known.get((second, first))
        return None if other is None else np.asarray(np.linalg.inv(other.matrix), np.float64)

    def search_next(self, tracklets: TrackletTable, now_s: float, transit_times: TransitTimes) -> bool:
        """Compare the two cameras of which most came since the last time, if it is enough, and not too soon.

        Args:
            tracklets: All tracks.
            now_s: The newest time.
            transit_times: Of which cameras appearance says that they see one place, so that less is asked.

        Returns:
            Whether anything is known otherwise now.
        """
        if now_s < self._next_s:
            return False
        grown = np.triu(np.where(self._forbidden, 0.0, self._joint / self._tested), 1)
        if not grown.size or grown.max() < GROWTH:
            return False
        first, second = (int(it) for it in np.unravel_index(grown.argmax(), grown.shape))
        self._tested[first, second] = self._joint[first, second]
        is_other = self._search(tracklets, first, second, bool(transit_times.overlap[first, second]))
        moments, pairs = (
            min(float(self._joint[first, second]), MAX_MOMENTS),
            len(grown) * (len(grown) - 1) / 2,
        )
        searches = 1 + len(NEAR_SHIFTS) if (first, second) in self._found else 1
        self._next_s = now_s + searches * moments * pairs * PAUSE_S
        return is_other

    def search_all(self, tracklets: TrackletTable, transit_times: TransitTimes) -> None:
        """Compare every two cameras, with everything that was seen; as `search_next`."""
        overlap = transit_times.overlap
        for first in range(len(self._joint)):
            for second in range(first + 1, len(self._joint)):
                if not self._forbidden[first, second] and self._joint[first, second]:
                    self._search(tracklets, first, second, bool(overlap[first, second]))

    def _search(self, tracklets: TrackletTable, first: int, second: int, is_known: bool) -> bool:
        rows, steps, feet = self.feet.moments()
        camera = tracklets.camera[rows]
        one, other = (Feet(rows[it], steps[it], feet[it]) for it in (camera == first, camera == second))
        is_known |= (first, second) in self._found or bool(self.declared[first, second])
        found, before = find_overlap(one, other, tracklets.centred, is_known=is_known), set(self._known)
        self._found.pop((first, second), None)
        if found is not None:
            self._found[first, second] = found
        self._follow()
        return found is not None or self._known.keys() != before

    def _follow(self) -> None:
        """Two cameras that see the same part of a third one's picture see one place, too."""
        self._told.clear()
        self._known = dict(self._found)
        oriented = self._found | {pair[::-1]: it.turned() for pair, it in self._found.items()}
        for first in range(len(self._joint)):
            for second in range(first + 1, len(self._joint)):
                if (first, second) in self._found or self._forbidden[first, second]:
                    continue
                for middle in range(len(self._joint)):
                    if (first, middle) in oriented and (middle, second) in oriented:
                        chain = oriented[first, middle].then(oriented[middle, second])
                        if chain is not None:
                            self._known[first, second] = chain
                            break

    def together(self, tracklets: TrackletTable, rows: IntArray, row: int) -> Together:
        """What the homographies say of tracks (R,) that were seen while another was."""
        if not self._known or row >= len(self.feet.first_s):
            return _nothing(len(rows))
        as_of = len(tracklets), len(self.feet)
        if as_of != self._told_as_of or len(self._told) * len(tracklets) > MAX_TOLD:
            self._told.clear()
            self._told_as_of = as_of
        if row not in self._told:
            self._told[row] = self._together_with_all(tracklets, row)
        told = self._told[row]
        return Together(told.log_odds[rows], told.is_known[rows])

    def _together_with_all(self, tracklets: TrackletTable, row: int) -> Together:
        """What the homographies say of all tracks (N,) and another."""
        count, own = len(tracklets), int(tracklets.camera[row])
        log_odds, is_known = told = _nothing(count)
        whose, steps, feet = self.feet.moments(tracklets.begin[row], tracklets.end[row])
        mine = whose == row
        if not mine.any():
            return told
        begin = int(steps[0])
        here = np.full((int(steps[-1]) - begin + 1, 3), np.nan)
        here[steps[mine] - begin] = feet[mine]
        camera, is_mine = tracklets.camera[whose], np.isfinite(here[steps - begin, 0])
        for pair, found in self._known.items():
            if own not in pair:
                continue
            both = np.nonzero((camera == sum(pair) - own) & is_mine)[0]
            group, ours, theirs = whose[both], here[steps[both] - begin], feet[both]
            held = found.holds(*((ours, theirs) if own < sum(pair) - own else (theirs, ours)))
            group, ours, theirs = group[held], ours[held], theirs[held]
            first, second = (ours, theirs) if own < sum(pair) - own else (theirs, ours)
            moments = np.bincount(group, minlength=count)
            enough = moments >= MIN_TOGETHER
            is_known |= enough
            near = agreement(found.matrix, first, second)
            far = ~agreement(found.matrix, first, second, FAR * TOLERANCE)
            agree = enough & (np.bincount(group, near, count) >= MIN_NEAR * moments)
            apart = enough & (np.bincount(group, far, count) > MIN_FAR * moments)
            places = np.minimum(*(count_places(group, feet, count) for feet in (ours, theirs)))
            by_places = ONE_PLACE + ANOTHER_PLACE * (np.minimum(places, MOST_PLACES) - 1)
            log_odds[agree], log_odds[apart] = by_places[agree], -by_places[apart]
        return told

    def fold(self, fold: Fold) -> None:
        """Let go of tracks."""
        self.feet.fold(fold.kept, fold.place)
        self._told.clear()

    def state(self) -> State:
        own = {f"feet:{key}": value for key, value in self.feet.state().items()}
        pairs = np.array(list(self._found), np.int64).reshape(-1, 2)
        matrices = np.array([it.matrix for it in self._found.values()], np.float64).reshape(-1, 3, 3)
        own |= {
            f"places:{index}": np.stack((it.places, it.others))
            for index, it in enumerate(self._found.values())
        }
        own |= {"next_s": np.array(self._next_s)}
        counts = {"joint": self._joint, "tested": self._tested, "in_view": self._in_view, "step": self._step}
        return own | {"pairs": pairs, "matrices": matrices} | {key: it.copy() for key, it in counts.items()}

    def restore(self, state: State) -> None:
        self.feet.restore({key[5:]: it for key, it in state.items() if key.startswith("feet:")})
        self._found = {
            (first, second): Overlap(state["matrices"][index].copy(), *state[f"places:{index}"].copy())
            for index, (first, second) in enumerate(state["pairs"].tolist())
        }
        self._follow()
        self._next_s = float(state["next_s"])
        self._joint, self._tested = state["joint"].copy(), state["tested"].copy()
        self._in_view, self._step = state["in_view"].copy(), state["step"].copy()


def _nothing(count: int) -> Together:
    """What is said of as many tracks of which nothing is known."""
    return Together(np.zeros(count), np.zeros(count, np.bool_))
