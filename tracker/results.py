"""What a run leaves behind: MOTChallenge text, one table over all cameras, a summary."""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tracker.checkpoint import Progress, write_whole
from tracker.geometry import xyxy_to_xywh
from tracker.identity import IdentityTable
from tracker.mot_files import MotTable, format_results
from tracker.sinks.journal import Journal
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, IntArray, Sightings

SIGHTINGS = pa.schema(
    [
        ("camera", pa.dictionary(pa.int16(), pa.string())),
        ("frame", pa.int64()),
        ("time", pa.float64()),
        ("track", pa.int64()),
        ("identity", pa.int64()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("score", pa.float32()),
    ]
)


def write_results(
    folder: Path, journal: Journal, cameras: list[CameraName], identities: IdentityTable
) -> list[Path]:
    """Write ``mot/CAMERA.txt`` for every camera and ``sightings.parquet``; the files written.

    Memory does not grow with the length of the run. A cut leaves the files of before, or all of
    the new one; writing again gives the same bytes.
    """
    (folder / "mot").mkdir(exist_ok=True)
    texts = [folder / "mot" / f"{camera}.txt" for camera in cameras]
    table = folder / "sightings.parquet"
    targets = [*texts, table]
    parts = [path.with_name(path.name + ".part") for path in targets]
    files = [part.open("w", encoding="ascii") for part in parts[:-1]]
    try:
        with pq.ParquetWriter(parts[-1], SIGHTINGS, compression="zstd") as writer:
            for rows in journal.read():
                identity_ids = identities_of(rows, cameras, identities)
                writer.write_table(_as_arrow(rows, cameras, identity_ids))
                for index, file in enumerate(files):
                    here = rows["camera"] == index
                    file.write(_as_mot_text(rows[here], identity_ids[here]))
    finally:
        for file in files:
            file.close()
    for part, target in zip(parts, targets, strict=True):
        part.replace(target)
    return targets


def identities_of(rows: NDArray[np.void], cameras: list[CameraName], identities: IdentityTable) -> IntArray:
    """The identity (R,) of each journal row (R,), as it is known now."""
    identity_ids = np.empty(len(rows), np.int64)
    for index, camera in enumerate(cameras):
        here = rows["camera"] == index
        if here.any():
            identity_ids[here] = identities.lookup(camera, rows["track"][here])
    return identity_ids


class SightingsReader:
    """Gives the people of each frame back, for frames asked in the order in which they were written."""

    def __init__(self, journal: Journal, cameras: list[CameraName], identities: IdentityTable) -> None:
        self._cameras, self._identities = cameras, identities
        self._frames = _split_by_frame(journal.read())
        self._next = next(self._frames, None)

    def people(self, frame: Frame) -> Sightings:
        """The people of this frame; nobody, where the journal has none."""
        rows = self._next
        if rows is None or (rows["frame"][0], self._cameras[rows["camera"][0]]) != (
            frame.number,
            frame.camera,
        ):
            nobody = np.zeros(0, np.int64)
            return Sightings(nobody, nobody, np.zeros((0, 4)), np.zeros(0))
        self._next = next(self._frames, None)
        identity_ids = identities_of(rows, self._cameras, self._identities)
        return Sightings(
            rows["track"], identity_ids, rows["box"].astype(np.float64), rows["score"].astype(np.float64)
        )


def write_summary(
    path: Path,
    complete: bool,
    progress: Progress,
    reports: Mapping[CameraName, CameraReport],
    identities: IdentityTable,
) -> None:
    """Write ``summary.json``: frames, drops, people, sightings, seconds for each stage."""
    frames = sum(progress.frames.values())
    seconds = sum(progress.seconds.values())
    summary = {
        "complete": complete,
        "frames": frames,
        "people": identities.people,
        "sightings": progress.journal_rows,
        "frames_per_second": round(frames / seconds, 2) if seconds else 0.0,
        "seconds": {stage: round(spent, 3) for stage, spent in progress.seconds.items()},
        "cameras": {
            camera: {
                "frames": progress.frames.get(camera, 0),
                "dropped": report.dropped,
                "reconnects": report.reconnects,
                "problem": report.problem,
            }
            for camera, report in reports.items()
        },
    }
    write_whole(path, (json.dumps(summary, indent=2) + "\n").encode())


def _as_arrow(rows: NDArray[np.void], cameras: list[CameraName], identity_ids: IntArray) -> pa.Table:
    indices = pa.array(rows["camera"].astype(np.int16))
    columns = {
        "camera": pa.DictionaryArray.from_arrays(indices, pa.array(cameras, pa.string())),
        "frame": rows["frame"],
        "time": rows["time"],
        "track": rows["track"],
        "identity": identity_ids,
        **{name: rows["box"][:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": rows["score"],
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()}, schema=SIGHTINGS)


def _as_mot_text(rows: NDArray[np.void], identity_ids: IntArray) -> str:
    boxes, scores = xyxy_to_xywh(rows["box"].astype(np.float64)), rows["score"].astype(np.float64)
    return format_results(MotTable.of_people(rows["frame"], identity_ids, boxes, scores))


def _split_by_frame(chunks: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """Runs of rows of the same camera and frame; a run that crosses two chunks is put together."""
    left: NDArray[np.void] | None = None
    for chunk in chunks:
        rows = chunk if left is None else np.concatenate([left, chunk])
        changes = (np.diff(rows["frame"]) != 0) | (np.diff(rows["camera"].astype(np.int64)) != 0)
        *whole, left = np.split(rows, np.flatnonzero(changes) + 1)
        yield from whole
    yield from chain([left] if left is not None else [])
