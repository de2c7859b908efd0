"""The journal: every sighting of a run in one append-only file that survives a cut at any moment."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foundation.errors import ReuniteError
from tracker.types import CameraName, Frame, Sightings

ROW = np.dtype(
    [
        ("camera", "<u2"),
        ("frame", "<i8"),
        ("time", "<f8"),
        ("track", "<i8"),
        ("box", "<f4", (4,)),
        ("score", "<f4"),
    ]
)
"""One sighting: index of the camera, then the columns of `Sightings` (box is x1, y1, x2, y2 in pixels).

The identity is not in the row: a track's identity may become known or change later, and what was
written is never wrong. It is joined when the results are written.
"""


class Journal:
    """A sink that appends rows and can say where it stands; one process at a time.

    Args:
        path: The file; made if it is not there.
        cameras: All cameras of the run; their order gives the index that stands in the rows.
        rows: How many rows to keep of what is there; later ones are cut off.

    Raises:
        ReuniteError: Another process writes this journal, or it holds fewer than ``rows`` rows.
    """

    def __init__(self, path: Path, cameras: Sequence[CameraName], rows: int = 0) -> None:
        self._index = {camera: index for index, camera in enumerate(cameras)}
        self._path = path
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ReuniteError(f"{path.parent.parent}: another process is writing this run") from None
        have = self._file.tell() // ROW.itemsize
        if have < rows:
            self._file.close()
            raise ReuniteError(
                f"{path}: holds {have} sightings, its checkpoint counts {rows}; "
                "the run cannot be continued, start it anew"
            )
        self._file.truncate(rows * ROW.itemsize)
        self._rows = rows

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Append the people of one frame."""
        self._file.write(rows_of(self._index[frame.camera], frame, sightings).tobytes())
        self._rows += len(sightings)

    def save(self) -> int:
        """Bring everything to the disk; how many rows are safe there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._rows

    def read(self, chunk_rows: int = 1 << 15) -> Iterator[NDArray[np.void]]:
        """All rows as structured arrays of `ROW`, in the order in which they were written."""
        self._file.flush()
        with self._path.open("rb") as file:
            while chunk := file.read(chunk_rows * ROW.itemsize):
                yield np.frombuffer(chunk, ROW)

    def close(self) -> None:
        """Close the file and give up the lock."""
        # On a full disk closing fails like the write before it, which was reported; whatever was
        # not saved is cut off when the run is resumed.
        with suppress(OSError):
            self._file.close()


def rows_of(camera: int, frame: Frame, sightings: Sightings) -> NDArray[np.void]:
    """The people of a frame of the camera of this index, as rows."""
    rows = np.empty(len(sightings), ROW)
    rows["camera"] = camera
    rows["frame"] = frame.number
    rows["time"] = frame.time
    rows["track"] = sightings.track_ids
    rows["box"] = sightings.boxes
    rows["score"] = sightings.scores
    return rows
