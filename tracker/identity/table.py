"""The table (camera, track) -> identity, kept apart from what was seen: no row written is ever wrong."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tracker.types import CameraName, IntArray, State

UNDECIDED = 0
"""The identity of a track that nobody can tell yet."""


RESERVED_AT_ONCE = 64
"""Numbers that are taken from a gallery together; each time is a write to the disk."""

Reserve = Callable[[int], Sequence[int]]
"""Gives so many numbers that nobody ever had."""


class IdentityTable:
    """Which person each track is. Numbers are never used again; they start at 1 where nobody gives them."""

    def __init__(self, reserve: Reserve | None = None) -> None:
        self._identities: dict[CameraName, IntArray] = {}  # row t: the identity of track t
        self._reserve = reserve
        self._free: list[int] = []
        self._opened: list[int] = []

    def identify(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (M,) of M different tracks of one camera; one that has none is a new person."""
        table = self._table(camera, int(track_ids.max(initial=0)))
        for track in track_ids[table[track_ids] == UNDECIDED]:
            table[track] = self.open()
        return table[track_ids]

    def open(self) -> int:
        """A number for a new person."""
        if self._reserve is None:
            number = len(self._opened) + 1
        else:
            self._free = self._free or [int(free) for free in self._reserve(RESERVED_AT_ONCE)]
            number = self._free.pop(0)
        self._opened.append(number)
        return number

    def prepare(self) -> None:
        """Reserve more numbers when half are used up."""
        if self._reserve is not None and len(self._free) < RESERVED_AT_ONCE // 2:
            self._free += [int(free) for free in self._reserve(RESERVED_AT_ONCE)]

    def assign(self, camera: CameraName, track_id: int, identity: int) -> None:
        """Say who a track is."""
        self._table(camera, track_id)[track_id] = identity

    def merge(self, gone: int, kept: int) -> None:
        """Two numbers were one person; tracks of the first go to the second."""
        for table in self._identities.values():
            table[table == gone] = kept

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,), repeated ones too; `UNDECIDED` where nobody knows."""
        return self._table(camera, int(track_ids.max(initial=0)))[track_ids]

    @property
    def people(self) -> int:
        """How many different people the tracks are."""
        return len(
            np.setdiff1d(np.concatenate([np.zeros(1, np.int64), *self._identities.values()]), [UNDECIDED])
        )

    def state(self) -> State:
        """The table as arrays, one for each camera."""
        tables = {f"tracks/{camera}": table.copy() for camera, table in self._identities.items()}
        numbers = {"free": np.array(self._free, np.int64), "opened": np.array(self._opened, np.int64)}
        return numbers | tables

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave."""
        self._free, self._opened = state["free"].tolist(), state["opened"].tolist()
        self._identities = {
            CameraName(key.removeprefix("tracks/")): table.copy()
            for key, table in state.items()
            if key.startswith("tracks/")
        }

    def number_all(self, people: IntArray, known: Mapping[int, int]) -> IntArray:
        """Give everybody a number and forget who the tracks were; `assign` says it anew.

        Args:
            people: (N,) the person of each stay, from 0, by first appearance.
            known: The numbers of those who had one before the run; the others get the numbers that the run
                opened, in their order.

        Returns:
            (N,) the identity of each stay.
        """
        for table in self._identities.values():
            table[:] = UNDECIDED
        new = np.setdiff1d(people, list(known))
        while len(self._opened) < len(new):
            self.open()
        numbers = np.zeros(int(people.max(initial=-1)) + 1, np.int64)
        numbers[new] = self._opened[: len(new)]
        numbers[list(known)] = list(known.values())
        return numbers[people]

    def _table(self, camera: CameraName, track_id: int) -> IntArray:
        table = self._identities.get(camera, np.zeros(0, np.int64))
        if track_id >= len(table):
            table = np.concatenate([table, np.zeros(track_id + 64 - len(table) + 1, np.int64)])
            self._identities[camera] = table
        return table
