"""What a live run has recorded, read by time, also while the run goes on."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import IntArray
from tracker.clock import HOUR_S, begin_of
from tracker.recording.hours import read_rows
from tracker.recording.journal import ROW
from tracker.recording.store import RunStore, StoredIdentities
from tracker.types import CameraName, IdentityEvent, Tracklets

FOLDER = "recording"
"""In the folder of a live run."""


class Recording:
    """Sightings, tracklets and events of a live run, of any time, without reading the rest.

    What came since the last checkpoint (some seconds ago, where the run goes on) is not in it yet.

    Args:
        run: The folder of the run.

    Raises:
        ReuniteError: It has no recording: it is no live run.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._store = RunStore(self._folder / "run.sqlite")
        self.cameras = self._store.cameras

    def close(self) -> None:
        """Let go of the files."""
        self._store.close()

    def tracklets(self, begin_s: float = -math.inf, end_s: float = math.inf) -> Iterator[Tracklets]:
        """Everybody's tracks of this time (Unix), in pieces, in the order in which they began."""
        return self._store.tracklets(begin_s, end_s)

    def events(self, begin_s: float = -math.inf, end_s: float = math.inf) -> Iterator[IdentityEvent]:
        """What was found out about who is who in this time (Unix), in its order."""
        return self._store.events(begin_s, end_s)

    def sightings(
        self, begin_s: float = -math.inf, end_s: float = math.inf, camera: CameraName | None = None
    ) -> Iterator[tuple[NDArray[np.void], IntArray]]:
        """Rows (R,) as in the journal (`ROW`) with the identities (R,), in pieces, hour by hour.

        Args:
            begin_s, end_s: Unix time.
            camera: Only this one; None: all, whose index stands in the rows.
        """
        identities = StoredIdentities(self._store)
        for rows in read_hours(self._folder, self.cameras, begin_s, end_s):
            of_camera = None if camera is None else self.cameras.index(camera)
            here = rows if of_camera is None else rows[rows["camera"] == of_camera]
            who = np.zeros(len(here), np.int64)
            for index, name in enumerate(self.cameras):
                mine = here["camera"] == index
                who[mine] = identities.lookup(name, here["track"][mine])
            if len(here):
                yield here, who


def read_hours(
    folder: Path, cameras: list[CameraName], begin_s: float = -math.inf, end_s: float = math.inf
) -> Iterator[NDArray[np.void]]:
    """The sightings of a time as rows of the journal, in pieces, hour by hour."""
    files = {path.stem: path for path in (folder / "journal").glob("*.bin")}
    files |= {path.stem: path for path in (folder / "sightings").glob("*.parquet")}
    for hour, path in sorted(files.items()):
        if begin_of(hour) <= end_s and begin_of(hour) + HOUR_S >= begin_s:
            if not path.exists():  # it was closed meanwhile
                path = folder / "sightings" / f"{hour}.parquet"
            pieces = read_rows(path) if path.suffix == ".bin" else read_parquet(path, cameras, begin_s, end_s)
            for rows in pieces:
                yield rows[(rows["time"] >= begin_s) & (rows["time"] <= end_s)]


def read_parquet(
    path: Path, cameras: list[CameraName], begin_s: float = -math.inf, end_s: float = math.inf
) -> Iterator[NDArray[np.void]]:
    """The sightings of one table as rows of the journal, in pieces; pieces of another time are not read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        time = file.schema_arrow.get_field_index("time")
        for group in range(file.num_row_groups):
            told = file.metadata.row_group(group).column(time).statistics
            if told is not None and told.has_min_max and (told.min > end_s or told.max < begin_s):
                continue
            table = file.read_row_group(group)
            rows = np.empty(table.num_rows, ROW)
            names = table.column("camera").combine_chunks()
            place = {name: index for index, name in enumerate(cameras)}
            of_dictionary = np.array([place[name] for name in names.dictionary.to_pylist()], np.int64)
            rows["camera"] = of_dictionary[np.asarray(names.indices)]
            for name in ("frame", "time", "track", "score"):
                rows[name] = np.asarray(table.column(name))
            for column, name in enumerate(("x1", "y1", "x2", "y2")):
                rows["box"][:, column] = np.asarray(table.column(name))
            yield rows
