"""What somebody who knows better says of who is who; the linker holds to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foundation.arrays import IntArray
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.site_similarity import MATURE_EMBEDDINGS
from tracker.identity.table import UNDECIDED, IdentityTable
from tracker.identity.tracklets import UNKNOWN, TrackletTable, directions
from tracker.types import CameraName

NEVER = 1 << 30
"""Who a track is is not asked again before it has more embeddings than this."""

SOMEBODY_NEW = -1

MAX_TAUGHT = 8
"""Tracklets of which one correction teaches; the newest."""

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
        """The tracks of a person, as far as the linker still knows them.

        What stands for a person from before the run has a number below 0, so that `part` can give it back.
        """
        names = {index: camera for camera, index in self.cameras.items()}
        rows = self.table.rows_of(identity)
        tracks = zip(
            self.tracklets.camera[rows].tolist(), self.tracklets.track_id[rows].tolist(), strict=True
        )
        return [(names[camera], track) for camera, track in tracks]

    def join(self, kept: int, gone: int) -> list[float]:
        """Two people are one; nothing where the linker knows nobody by ``gone``.

        Returns:
            How alike the tracklets of the one are to the other: what `IdentityLinker.teach` takes.
        """
        rows = self.table.rows_of(gone)
        cosines = self._cosines(rows, self.table.rows_of(kept))
        if len(rows):
            self._pin(self.table.rows_of(kept))
            self._pin(rows)
            self.table.merge(gone, kept, self.now_s)
            self.centroids.forget((gone, kept))
        return cosines

    def part(self, tracks: Sequence[TrackKey], identity: int = SOMEBODY_NEW) -> tuple[int, list[float]]:
        """These tracks are somebody else: a person whose number was told, or somebody new.

        Tracks that the linker does not know any more are passed over.

        Returns:
            Who it is, and how alike these tracks are to the rest of whom they were taken for.
        """
        rows = self._rows(tracks)
        before = set(self.table.identity[rows].tolist()) - {UNDECIDED}
        cosines = [
            it
            for person in sorted(before)
            for it in self._cosines(
                rows[self.table.identity[rows] == person], np.setdiff1d(self.table.rows_of(person), rows)
            )
        ]
        self._pin(rows)
        is_own = self.tracklets.is_track[rows]
        number = self.table.part(rows[is_own], identity, self.now_s)
        self.table.remember(rows[~is_own], np.full((~is_own).sum(), number))
        self.centroids.forget(before | {UNDECIDED, number})
        return number, cosines

    def forget(self, identity: int) -> None:
        """Nothing that was seen of a person is left; who of them is in view is undecided from now on."""
        rows = self.table.rows_of(identity)
        if len(rows):
            self.table.part(rows, UNDECIDED, self.now_s)
            self.tracklets.forget_embeddings(rows)
            self.centroids.forget()

    def _rows(self, tracks: Sequence[TrackKey]) -> IntArray:
        found = [
            self._find(self.cameras[camera], track) for camera, track in tracks if camera in self.cameras
        ]
        rows: IntArray = np.concatenate([np.empty(0, np.int64), *found])
        known: IntArray = rows[rows != UNKNOWN]
        return known

    def _find(self, camera: int, track: int) -> IntArray:
        """The row of a track, (1,) or none."""
        if track >= 0:
            return self.tracklets.find(camera, np.array([track]))
        known = ~self.tracklets.is_track & (self.tracklets.folded == 0)
        return np.nonzero(known & (self.tracklets.camera == camera) & (self.tracklets.track_id == track))[0]

    def _cosines(self, rows: IntArray, others: IntArray) -> list[float]:
        """How alike each of these tracklets (M,) is to the mean of the others; only those well seen."""
        mature = self.tracklets.num_embeddings >= MATURE_EMBEDDINGS
        rows, others = rows[mature[rows]], others[mature[others]]
        if not len(rows) or not len(others):
            return []
        centred = self.tracklets.centred
        mean = directions(centred[others].sum(axis=0))
        return [round(float(it), 4) for it in (centred[rows[-MAX_TAUGHT:]] @ mean).tolist()]

    def _pin(self, rows: IntArray) -> None:
        """What somebody said of these tracks is not asked again."""
        self.tracklets.tried[rows] = NEVER
