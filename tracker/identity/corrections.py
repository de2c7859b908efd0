"""What somebody who knows better says of who is who; the linker holds to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundation.arrays import IntArray
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.table import UNDECIDED, IdentityTable
from tracker.identity.tracklets import UNKNOWN, TrackletTable
from tracker.types import CameraName

NEVER = 1 << 30
"""Who a track is is not asked again before it has more embeddings than this."""

SOMEBODY_NEW = -1

TrackKey = tuple[CameraName, int]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Changes identities in the linker's table, and leaves events; given by `IdentityLinker.corrections`."""

    tracklets: TrackletTable
    table: IdentityTable
    centroids: IdentityCentroids
    cameras: Mapping[CameraName, int]
    now_s: float

    def tracks_of(self, identity: int) -> list[TrackKey]:
        """The tracks of a person, as far as the linker still knows them."""
        names = {index: camera for camera, index in self.cameras.items()}
        rows = self.table.rows_of(identity)
        rows = rows[self.tracklets.is_track[rows]]
        tracks = zip(
            self.tracklets.camera[rows].tolist(), self.tracklets.track_id[rows].tolist(), strict=True
        )
        return [(names[camera], track) for camera, track in tracks]

    def join(self, kept: int, gone: int) -> None:
        """Two people are one; nothing where the linker knows nobody by ``gone``."""
        rows = self.table.rows_of(gone)
        if len(rows):
            self._pin(self.table.rows_of(kept))
            self._pin(rows)
            self.table.merge(gone, kept, self.now_s)
            self.centroids.forget((gone, kept))

    def part(self, tracks: Sequence[TrackKey], identity: int = SOMEBODY_NEW) -> int:
        """These tracks are somebody else: a person whose number was told, or somebody new; who.

        Tracks that the linker does not know any more are passed over.
        """
        rows = self._rows(tracks)
        before = set(self.table.identity[rows].tolist())
        self._pin(rows)
        number = self.table.part(rows, identity, self.now_s)
        self.centroids.forget(before | {number})
        return number

    def forget(self, identity: int) -> None:
        """Nothing that was seen of a person is left; who of them is in view is undecided from now on."""
        rows = self.table.rows_of(identity)
        if len(rows):
            self.table.part(rows, UNDECIDED, self.now_s)
            self.tracklets.forget_embeddings(rows)
            self.centroids.forget()

    def _rows(self, tracks: Sequence[TrackKey]) -> IntArray:
        found = [
            self.tracklets.find(self.cameras[camera], np.array([track]))
            for camera, track in tracks
            if camera in self.cameras
        ]
        rows: IntArray = np.concatenate([np.empty(0, np.int64), *found])
        known: IntArray = rows[rows != UNKNOWN]
        return known

    def _pin(self, rows: IntArray) -> None:
        """What somebody said of these tracks is not asked again."""
        self.tracklets.tried[rows] = NEVER
