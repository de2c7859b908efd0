"""Sightings of a live run by the hour: a journal while it lasts, one Parquet file when it is over."""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from foundation.errors import ReuniteError
from foundation.files import open_whole
from tracker.clock import HOUR_S, begin_of, hour_of
from tracker.recording.journal import ROW, rows_of
from tracker.types import CameraName, Frame, Sightings

logger = logging.getLogger(__name__)

LATE_S = 60.0
"""An hour is closed so long after its end: frames of one camera may come later than those of another."""

ROWS_AT_ONCE = 1 << 16


class HourlyJournal:
    """A sink that appends rows to the journal of their hour and can say where it stands; for one process.

    An hour that is over becomes a Parquet file, on a thread of its own. No identity stands in either: it is
    joined when they are read, so that what was written is never wrong, and who was forgotten is in none.

    Args:
        folder: Holds ``journal/HOUR.bin`` and ``sightings/HOUR.parquet``.
        cameras: All cameras of the run; their order gives the index that stands in the rows.
        rows: How many rows to keep of each hour that is not closed; later ones, and later hours, are cut off.

    Raises:
        ReuniteError: Another process writes it, or an hour holds fewer rows.
    """

    def __init__(self, folder: Path, cameras: Sequence[CameraName], rows: Mapping[str, int]) -> None:
        self._index = {camera: index for index, camera in enumerate(cameras)}
        self._cameras, self._folder = list(cameras), folder
        self._journal, self._sightings = folder / "journal", folder / "sightings"
        for path in (self._journal, self._sightings):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = (self._journal / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ReuniteError(f"{folder.parent}: another process is writing this run") from None
        self._files: dict[str, BinaryIO] = {}
        self._rows: dict[str, int] = {}
        self._oldest = ""  # hours before this one are closed; names of hours are in their order
        self._closing: threading.Thread | None = None
        try:
            self._take_up(rows)
        except BaseException:
            self.close()
            raise

    def add_camera(self, camera: CameraName) -> None:
        """One more, the last."""
        self._index[camera] = len(self._cameras)
        self._cameras.append(camera)

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Append the people of one frame."""
        if len(sightings):
            hour = max(hour_of(frame.time), self._oldest)
            self._open(hour).write(rows_of(self._index[frame.camera], frame, sightings).tobytes())
            self._rows[hour] += len(sightings)

    def save(self) -> dict[str, int]:
        """Bring everything to the disk; how many rows of each hour that is not closed are safe there."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return dict(self._rows)

    def close_hours(self, time_s: float) -> None:
        """Begin to close the hours that were over at the time of a checkpoint that is safe on the disk."""
        if self._closing and self._closing.is_alive():
            return
        self._rows = {hour: rows for hour, rows in self._rows.items() if self._path(hour).exists()}
        over = [hour for hour in self._files if begin_of(hour) + HOUR_S + LATE_S < time_s]
        if over:
            for hour in over:
                self._files.pop(hour).close()
            self._oldest = hour_of(begin_of(max(over)) + HOUR_S)
            self._closing = threading.Thread(
                target=self._convert, args=(over,), name="close hours", daemon=True
            )
            self._closing.start()

    def drop_before(self, time_s: float) -> None:
        """Delete the tables of hours that were over by then."""
        for path in self._sightings.glob("*.parquet"):
            if begin_of(path.stem) + HOUR_S < time_s:
                path.unlink()

    def finish(self) -> None:
        """The run is complete: close every hour."""
        if self._closing:
            self._closing.join()
        self.close()
        for hour in self._rows:
            if self._path(hour).exists():
                self._close_hour(hour)

    def close(self) -> None:
        """Close the files and give up the lock. May be called twice."""
        for file in self._files.values():
            with suppress(OSError):  # as in `Journal.close`
                file.close()
        self._files.clear()
        if self._closing:
            self._closing.join()
        self._lock.close()

    def _take_up(self, rows: Mapping[str, int]) -> None:
        for path in sorted(self._journal.glob("*.bin")):
            if path.stem not in rows or (self._sightings / f"{path.stem}.parquet").exists():
                path.unlink()
        for hour, count in rows.items():
            path = self._path(hour)
            if (self._sightings / f"{hour}.parquet").exists():
                continue  # it was over
            have = path.stat().st_size // ROW.itemsize if path.exists() else 0
            if have < count:
                raise ReuniteError(
                    f"{path}: holds {have} sightings, its checkpoint counts {count}; the run cannot be "
                    "continued, start it anew"
                )
            self._open(hour).truncate(count * ROW.itemsize)
            self._rows[hour] = count

    def _path(self, hour: str) -> Path:
        return self._journal / f"{hour}.bin"

    def _open(self, hour: str) -> BinaryIO:
        if hour not in self._files:
            self._files[hour] = self._path(hour).open("ab")
            self._rows.setdefault(hour, 0)
        return self._files[hour]

    def _convert(self, hours: Sequence[str]) -> None:
        for hour in hours:
            try:
                self._close_hour(hour)
            except OSError as error:  # the journal is there still, and is read in its place
                logger.warning("%s: cannot be closed (%s)", hour, error)

    def _close_hour(self, hour: str) -> None:
        import pyarrow.parquet as pq  # loads 70 MB, which a run without live cameras has no need of

        from tracker.reports.tables import SIGHTINGS, as_arrow

        path = self._path(hour)
        schema = SIGHTINGS.remove(SIGHTINGS.get_field_index("identity"))
        with (
            open_whole(self._sightings / f"{hour}.parquet") as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            for rows in read_rows(path):
                writer.write_table(as_arrow(rows, self._cameras).select(schema.names))
        path.unlink()


def read_rows(path: Path) -> Iterator[NDArray[np.void]]:
    """The rows of a journal in pieces, in their order; a row that is half written is left out."""
    with path.open("rb") as file:
        while chunk := file.read(ROWS_AT_ONCE * ROW.itemsize):
            yield np.frombuffer(chunk[: len(chunk) // ROW.itemsize * ROW.itemsize], ROW)
