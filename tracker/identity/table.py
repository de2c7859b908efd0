"""The table (camera, track) -> identity, kept apart from what was seen: no row written is ever wrong."""

from collections.abc import Iterable

import numpy as np

from tracker.types import CameraName, IntArray, State

UNDECIDED = 0
"""The identity of a track that nobody can tell yet."""


class IdentityTable:
    """Which person each track is. Numbers start at 1 and are never used again."""

    def __init__(self) -> None:
        self._identities: dict[CameraName, IntArray] = {}  # row t: the identity of track t
        self._last = 0

    def identify(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (M,) of M different tracks of one camera; one that has none is a new person."""
        table = self._table(camera, int(track_ids.max(initial=0)))
        for track in track_ids[table[track_ids] == UNDECIDED]:
            table[track] = self.open()
        return table[track_ids]

    def open(self) -> int:
        """A number for a new person."""
        self._last += 1
        return self._last

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
        return {"last": np.array(self._last), **tables}

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave."""
        self._last = int(state["last"])
        self._identities = {
            CameraName(key.removeprefix("tracks/")): table.copy()
            for key, table in state.items()
            if key.startswith("tracks/")
        }

    def reassign(self, rows: Iterable[tuple[CameraName, int, int]]) -> None:
        """Forget who the tracks were; ``rows`` (camera, track, identity) say it anew."""
        for table in self._identities.values():
            table[:] = UNDECIDED
        for camera, track_id, identity in rows:
            self.assign(camera, track_id, identity)
            self._last = max(self._last, identity)

    def _table(self, camera: CameraName, track_id: int) -> IntArray:
        table = self._identities.get(camera, np.zeros(0, np.int64))
        if track_id >= len(table):
            table = np.concatenate([table, np.zeros(track_id + 64 - len(table) + 1, np.int64)])
            self._identities[camera] = table
        return table
