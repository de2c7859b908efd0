"""Where tracks were, at equal steps of time, so that those of two cameras are of one moment."""

from typing import NamedTuple

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.types import State

STEP_S = 0.5
"""Positions are remembered for each multiple of this time."""

MAX_GAP_S = 1.0
"""The path of a person who was not seen for longer is not known."""

MAX_POSITIONS = 1 << 19
"""Positions remembered, the newest: of 60 people in view half an hour and more, in 15 MB."""


class Moments(NamedTuple):
    """Where tracks were, N rows in the order of time.

    Attributes:
        rows: (N,) whose position, a row of the table of tracks.
        steps: (N,) when, in multiples of `STEP_S`.
        xy: (N, D) where.
    """

    rows: IntArray
    steps: IntArray
    xy: FloatArray


class MomentLog:
    """Where the N tracks so far were, D numbers each: first, last, and at each step on the way.

    Attributes:
        first_s, last_s: (N,) seconds, when a track first and last had a position; nan before.
        first_xy, last_xy: (N, D) where; nan before.
    """

    def __init__(self, length: int) -> None:
        self.first_s, self.last_s = np.empty(0), np.empty(0)
        self.first_xy, self.last_xy = np.empty((0, length)), np.empty((0, length))
        self._count = 0
        self._is_sorted = True
        self._row = np.empty(1024, np.int32)
        self._step = np.empty(1024, np.int64)
        self._xy = np.empty((1024, length))

    def __len__(self) -> int:
        """How many positions are remembered."""
        return self._count

    def add(self, rows: IntArray, time_s: float, xy: FloatArray) -> FloatArray:
        """Tracks (M,), each once, are at places (M, D), nan where it is not known.

        Returns:
            The places (K, D) of those who never had one before.
        """
        self._reserve(int(rows.max(initial=-1)) + 1)
        known = np.isfinite(xy[:, 0])
        if not known.all():
            rows, xy = rows[known], xy[known]
        before_s = self.last_s[rows]
        new = np.nonzero(np.isnan(before_s))[0]
        if len(new):
            self.first_s[rows[new]], self.first_xy[rows[new]] = time_s, xy[new]
        step = int(time_s // STEP_S)
        passed = np.nonzero((before_s < step * STEP_S) & (time_s - before_s <= MAX_GAP_S))[0]
        if len(passed):
            share = ((step * STEP_S - before_s[passed]) / (time_s - before_s[passed]))[:, None]
            before_xy = self.last_xy[rows[passed]]
            self._append(rows[passed], step, before_xy + share * (xy[passed] - before_xy))
        self.last_s[rows], self.last_xy[rows] = time_s, xy
        return xy[new]

    def moments(self, begin_s: float = -np.inf, end_s: float = np.inf) -> Moments:
        """All positions of this time, of all tracks."""
        self._sort()
        steps = self._step[: self._count]
        window = slice(*np.searchsorted(steps, np.floor([begin_s / STEP_S, end_s / STEP_S + 1])))
        return Moments(self._row[window].astype(np.int64), steps[window], self._xy[window])

    def fold(self, kept: IntArray, place: IntArray) -> None:
        """Only the tracks ``kept`` (K,) stay; ``place`` (N,): their new rows, below 0 for those that go."""
        self._reserve(len(place))
        names = ("first_s", "last_s", "first_xy", "last_xy")
        for name in names:
            setattr(self, name, getattr(self, name)[kept])
        rows = place[self._row[: self._count]]
        left = rows >= 0
        count = int(left.sum())
        for name, old in (("_row", rows), ("_step", self._step), ("_xy", self._xy)):
            column = getattr(self, name)
            room = np.empty((max(count, 1024), *column.shape[1:]), column.dtype)
            room[:count] = old[: self._count][left]
            setattr(self, name, room)
        self._count = count

    def state(self) -> State:
        names = ("first_s", "last_s", "first_xy", "last_xy")
        tracks = {name: getattr(self, name).copy() for name in names}
        log = {name: getattr(self, f"_{name}")[: self._count].copy() for name in ("row", "step", "xy")}
        return tracks | log

    def restore(self, state: State) -> None:
        for name in ("first_s", "last_s", "first_xy", "last_xy"):
            setattr(self, name, state[name].copy())
        self._row, self._step, self._xy = (state[name].copy() for name in ("row", "step", "xy"))
        self._count, self._is_sorted = len(self._step), False

    def _reserve(self, rows: int) -> None:
        more = rows - len(self.first_s)
        if more > 0:
            more = max(more, len(self.first_s))  # doubling, so that growing costs little
            never, nowhere = np.full(more, np.nan), np.full((more, self._xy.shape[1]), np.nan)
            self.first_s, self.last_s = (np.append(it, never) for it in (self.first_s, self.last_s))
            self.first_xy, self.last_xy = (
                np.concatenate((it, nowhere)) for it in (self.first_xy, self.last_xy)
            )

    def _append(self, rows: IntArray, step: int, xy: FloatArray) -> None:
        end = self._count + len(rows)
        if end > len(self._step):
            self._sort()
            kept = slice(max(self._count - MAX_POSITIONS // 2, 0) if end > MAX_POSITIONS else 0, self._count)
            size = min(2 * end, max(MAX_POSITIONS, 2 * len(rows)))
            for name in ("_row", "_step", "_xy"):
                old = getattr(self, name)
                grown = np.empty((size, *old.shape[1:]), old.dtype)
                grown[: kept.stop - kept.start] = old[kept]
                setattr(self, name, grown)
            self._count = kept.stop - kept.start
            end = self._count + len(rows)
        self._is_sorted &= not self._count or bool(self._step[self._count - 1] <= step)
        added = slice(self._count, end)
        self._row[added], self._step[added], self._xy[added] = rows, step, xy
        self._count = end

    def _sort(self) -> None:
        """By time: cameras come one after the other, and not all at the same moment."""
        if not self._is_sorted:
            order = np.argsort(self._step[: self._count], kind="stable")
            for column in (self._row, self._step, self._xy):
                column[: self._count] = column[order]
            self._is_sorted = True
