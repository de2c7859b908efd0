"""Identities: which person a track of a camera is."""

import numpy as np

from tracker.types import CameraName, IntArray, State


class IdentityTable:
    """The table (camera, track) -> identity of one run.

    Every track is a person of its own until a linker joins tracks. Numbers start at 1, follow the
    order in which tracks are first seen, and are never used again.
    """

    def __init__(self) -> None:
        self._identities: dict[CameraName, IntArray] = {}  # row t: the identity of track t, 0 if unseen
        self._last = 0

    def identify(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (M,) of M different tracks of one camera; a new track gets a new number."""
        table = self._identities.get(camera, np.zeros(0, np.int64))
        if track_ids.size and track_ids.max() >= len(table):
            table = np.concatenate([table, np.zeros(track_ids.max() + 64, np.int64)])
            self._identities[camera] = table
        new = track_ids[table[track_ids] == 0]
        table[new] = self._last + 1 + np.arange(len(new))
        self._last += len(new)
        return table[track_ids]

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,) that were seen before, repeated ones too.

        Raises:
            KeyError: No track of this camera was ever seen.
        """
        return self._identities[camera][track_ids]

    @property
    def people(self) -> int:
        """How many identities there are."""
        return self._last

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
