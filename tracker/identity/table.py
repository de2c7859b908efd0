"""The table (camera, track) -> identity: the only place where this stands and where it changes."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.identity.tracklets import UNKNOWN, Fold, TrackletTable
from tracker.types import CameraName, IdentityEvent, State

UNDECIDED = 0
"""The identity of a track that is not decided yet, or never was."""

NOBODY_FROM = 1_000_000
"""The least number that stands for an undecided track in files that must number every track."""

RESERVED_AT_ONCE = 64
"""Numbers that are taken from a gallery together; each time is a write to the disk."""

Reserve = Callable[[int], Sequence[int]]
"""Gives this many numbers that were never used, above all that were given."""


class IdentityTable:
    """Which person each track is, by the row that it has in `TrackletTable`.

    Asking changes nothing. What changes somebody's identity is a verb, and leaves an event: whoever replays
    the events knows at each moment what stands here (`IdentityEvent`). Numbers are never used again; they
    start at 1 where nobody gives them.

    Args:
        tracklets: The tracks; a row that it has and that is not known here is undecided.
        cameras: The name of each camera index.
        reserve: Gives numbers for new people; None: 1, 2, 3, and so on.
    """

    def __init__(
        self, tracklets: TrackletTable, cameras: Sequence[CameraName], reserve: Reserve | None = None
    ) -> None:
        self._tracklets, self._cameras = tracklets, cameras
        self._identity = np.full(64, UNDECIDED)
        self._decided = np.full(64, np.nan)
        self._reserve = reserve
        self._free: list[int] = []
        self._gone_people = self._gone_undecided = 0  # that were counted and are not in the table any more
        self._last = 0  # the highest number that was ever used
        self._events: list[IdentityEvent] = []

    # Asking

    @property
    def identity(self) -> IntArray:
        """(N,) who each row is, `UNDECIDED` where it is not decided; a view that cannot be written to."""
        self._grow()
        identity = self._identity[: len(self._tracklets)]
        identity.flags.writeable = False
        return identity

    @property
    def decided_s(self) -> FloatArray:
        """(N,) seconds, when somebody first could tell who it is; nan where it is not known."""
        self._grow()
        return self._decided[: len(self._tracklets)]

    def lookup(self, camera: int, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,), repeated ones too; `UNDECIDED` where it is not known."""
        self._grow()
        rows = self._tracklets.find(camera, track_ids)
        return np.where(rows == UNKNOWN, UNDECIDED, self._identity[rows])

    def rows_of(self, identity: int) -> IntArray:
        """The rows (M,) of a person, in the order in which they began."""
        rows = np.nonzero(self.identity == identity)[0]
        return rows[np.argsort(self._tracklets.begin[rows], kind="stable")]

    @property
    def num_identities(self) -> int:
        """How many different people the tracks of this run are."""
        people = np.setdiff1d(self.identity[self._tracklets.is_track], [UNDECIDED])
        return len(people) + self._gone_people

    @property
    def undecided(self) -> int:
        """How many tracks of this run are undecided, yet or for good."""
        return int((self.identity == UNDECIDED).sum()) + self._gone_undecided

    def numbered(self) -> IntArray:
        """(N,) who each row is, or, where it is undecided, a number of its own that is no identity.

        Those begin at `NOBODY_FROM`, or at the next power of ten above every number that is used.
        """
        numbers = self.identity.copy()
        start, none = NOBODY_FROM, np.nonzero(numbers == UNDECIDED)[0]
        while start <= self._last:
            start *= 10
        numbers[none] = start + np.arange(len(none))
        return numbers

    # Changing

    def remember(self, rows: IntArray, identities: IntArray) -> None:
        """These rows (R,) are people from before the run, which is no event of it."""
        self._grow()
        self._identity[rows], self._decided[rows] = identities, self._tracklets.end[rows]
        self._last = max(self._last, int(identities.max(initial=0)))

    def open(self, row: int, time: float) -> None:
        """An undecided track is somebody new."""
        self._tell("new", row, self._next_number(), time)

    def join(self, row: int, identity: int, time: float) -> None:
        """An undecided track is somebody who was seen before."""
        self._tell("returned", row, identity, time)

    def split(self, row: int, time: float, is_somebody: bool) -> None:
        """A track is not who it was taken for: it is somebody new, or undecided again."""
        self._tell("split", row, self._next_number() if is_somebody else UNDECIDED, time)

    def part(self, rows: IntArray, identity: int, time: float) -> int:
        """These tracks (M,) are not who they were taken for, but this person, or (-1) somebody new; who.

        For whoever knows it from elsewhere. ``identity`` is a number that was told before, or `UNDECIDED`.
        """
        number = self._next_number() if identity < 0 else identity
        for row in rows.tolist():
            self._tell("split", row, number, time)
        return number

    def merge(self, gone: int, kept: int, time: float) -> None:
        """Two numbers are one person: all tracks of the first get the second."""
        rows = self.rows_of(gone)
        self._tell("merged", int(rows[self._tracklets.end[rows].argmax()]), kept, time)
        self._identity[rows] = kept

    def withdraw(self, identity: int, time: float) -> None:
        """A number turns out to be no person's: its tracks are undecided, and nobody gets it again."""
        for row in self.rows_of(identity).tolist():
            self._tell("split", row, UNDECIDED, time)

    def adopt(self, clusters: IntArray, is_somebody: BoolArray, time: float) -> None:
        """All tracks were linked once more; every number that was told stays with its person.

        A number is the person's who now has most frames of it. Where several are one person's the oldest
        stays and the others are merged into it; tracks of others are split from it.

        Args:
            clusters: (N,) the person of each row, from 0, by first appearance.
            is_somebody: (P,) whether a person who has no number yet gets one, or stays undecided.
            time: When this was found out.
        """
        if not len(clusters):
            return
        tracklets, before = self._tracklets, self.identity.copy()
        told, index = np.unique(before, return_inverse=True)
        frames = np.zeros((len(told), len(is_somebody)))
        np.add.at(frames, (index, clusters), np.where(tracklets.is_track, tracklets.frames, np.inf))
        home = dict(zip(told.tolist(), frames.argmax(axis=1).tolist(), strict=True))
        home.pop(UNDECIDED, None)
        numbers: dict[int, int] = {}
        for number, person in home.items():  # they rise, so that the oldest is first
            numbers.setdefault(person, number)
        for person, is_new in enumerate(is_somebody.tolist()):
            if person not in numbers:
                numbers[person] = self._next_number() if is_new else UNDECIDED
        now = np.array([numbers[person] for person in clusters.tolist()], np.int64)
        of_home = np.array([home.get(number, -1) for number in before.tolist()]) == clusters
        order = np.lexsort((tracklets.track_id, tracklets.camera, tracklets.begin, before))
        for row in order[((before != UNDECIDED) & (now != before) & ~of_home)[order]].tolist():
            self._tell("split", row, int(now[row]), time)
        for number, person in home.items():
            if numbers[person] != number:
                self.merge(number, numbers[person], time)
        told_now = set(self.identity.tolist())
        for row in order[((before == UNDECIDED) & (now != UNDECIDED))[order]].tolist():
            number = int(now[row])
            self._tell("returned" if number in told_now else "new", row, number, time)
            told_now.add(number)

    def events(self) -> list[IdentityEvent]:
        """What was told since the last call, in its order."""
        events, self._events = self._events, []
        return events

    def fold(self, fold: Fold) -> None:
        """Let go of rows of the tracklets, whose own `fold` comes after; no event. All still count."""
        before = self.identity
        is_gone, was_seen = fold.place == UNKNOWN, self._tracklets.folded == 0
        self._gone_undecided += int((is_gone & was_seen & (before == UNDECIDED)).sum())
        self._gone_people += len(np.setdiff1d(before[is_gone], [UNDECIDED, *before[fold.kept]]))
        self._identity, self._decided = before[fold.kept], self.decided_s[fold.kept]

    def forget(self, identities: IntArray) -> IntArray:
        """These people (P,) are nobody any more, which is no event; the rows (M,) that were theirs."""
        rows = np.nonzero(np.isin(self.identity, identities) & (self.identity != UNDECIDED))[0]
        self._gone_people += len(np.intersect1d(identities, self.identity[rows]))
        self._identity[rows], self._decided[rows] = UNDECIDED, np.nan
        return rows

    def prepare(self) -> None:
        """Reserve more numbers when half are used up."""
        if self._reserve is not None and len(self._free) < RESERVED_AT_ONCE // 2:
            self._free += [int(free) for free in self._reserve(RESERVED_AT_ONCE)]

    def state(self) -> State:
        """The columns, and which numbers are used up."""
        numbers = {"free": np.array(self._free, np.int64), "last": np.array(self._last)}
        numbers["gone"] = np.array([self._gone_people, self._gone_undecided])
        return numbers | {"identity": self.identity.copy(), "decided": self.decided_s.copy()}

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave; that of the tracklets is restored before."""
        self._free, self._last = state["free"].tolist(), int(state["last"])
        self._gone_people, self._gone_undecided = state["gone"].tolist()
        self._identity, self._decided = state["identity"].copy(), state["decided"].copy()

    def _next_number(self) -> int:
        if self._reserve is None:
            number = self._last + 1
        else:
            self._free = self._free or [int(free) for free in self._reserve(RESERVED_AT_ONCE)]
            number = self._free.pop(0)
        self._last = max(self._last, number)
        return number

    def _tell(
        self, kind: Literal["new", "returned", "merged", "split"], row: int, identity: int, time: float
    ) -> None:
        """The one place where somebody becomes somebody: say so, and write it down."""
        self._grow()
        camera, track_id = self._cameras[self._tracklets.camera[row]], int(self._tracklets.track_id[row])
        before = int(self._identity[row])
        self._events.append(IdentityEvent(time, kind, camera, track_id, identity, before))
        self._identity[row] = identity
        if identity == UNDECIDED:
            self._decided[row] = np.nan
        elif np.isnan(self._decided[row]):
            self._decided[row] = time

    def _grow(self) -> None:
        """Every row of the tracklets has a place here; a new one is undecided."""
        missing = len(self._tracklets) - len(self._identity)
        if missing > 0:
            more = max(missing, len(self._identity), 64)
            self._identity = np.concatenate((self._identity, np.full(more, UNDECIDED)))
            self._decided = np.concatenate((self._decided, np.full(more, np.nan)))
