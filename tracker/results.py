"""What a run leaves behind: MOTChallenge text, one table over all cameras, a summary."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tracker.checkpoint import Progress
from tracker.files import write_whole
from tracker.geometry import xyxy_to_xywh
from tracker.identity import IdentityLinker
from tracker.mot_files import MotTable, format_results
from tracker.sinks.journal import ROW, Journal
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, IntArray, Sightings

AFTERWARDS = ("link", "results", "draw")
"""Stages that begin when the last frame is tracked; they do not count in frames per second."""

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
    folder: Path,
    journal: Journal,
    cameras: list[CameraName],
    identities: IdentityLinker,
    failed: Collection[CameraName] = (),
) -> list[Path]:
    """Write ``mot/CAMERA.txt`` and ``sightings.parquet``; the files written.

    A camera that ``failed`` before its first frame gets no file: nobody knows who was there.
    Memory does not grow with the length of the run. A cut leaves the files of before, or all of
    the new one; writing again gives the same bytes.
    """
    (folder / "mot").mkdir(exist_ok=True)
    indices = [index for index, camera in enumerate(cameras) if camera not in failed]
    table = folder / "sightings.parquet"
    targets = [*(folder / "mot" / f"{cameras[index]}.txt" for index in indices), table]
    parts = [path.with_name(path.name + ".part") for path in targets]
    files = [part.open("w", encoding="ascii") for part in parts[:-1]]
    try:
        with pq.ParquetWriter(parts[-1], SIGHTINGS, compression="zstd") as writer:
            for rows in journal.read():
                identity_ids = identities_of(rows, cameras, identities)
                writer.write_table(_as_arrow(rows, cameras, identity_ids))
                for index, file in zip(indices, files, strict=True):
                    here = rows["camera"] == index
                    file.write(_as_mot_text(rows[here], identity_ids[here]))
    finally:
        for file in files:
            file.close()
    for part, target in zip(parts, targets, strict=True):
        part.replace(target)
    return targets


def identities_of(rows: NDArray[np.void], cameras: list[CameraName], identities: IdentityLinker) -> IntArray:
    """The identity (R,) of each journal row (R,), as it is known now."""
    identity_ids = np.empty(len(rows), np.int64)
    for index, camera in enumerate(cameras):
        here = rows["camera"] == index
        if here.any():
            identity_ids[here] = identities.lookup(camera, rows["track"][here])
    return identity_ids


class SightingsReader:
    """Gives the people of each frame back; the frames of a camera must be asked for in rising order."""

    def __init__(self, journal: Journal, cameras: list[CameraName], identities: IdentityLinker) -> None:
        self._identities = identities
        self._frames = {
            camera: _split_by_frame(_rows_of(index, journal)) for index, camera in enumerate(cameras)
        }
        self._next = {camera: next(frames, None) for camera, frames in self._frames.items()}

    def people(self, frame: Frame) -> Sightings:
        """The people of this frame; nobody, where the journal has none."""
        rows = self._next[frame.camera]
        while rows is not None and rows["frame"][0] < frame.number:
            rows = next(self._frames[frame.camera], None)
        self._next[frame.camera] = rows
        if rows is None or rows["frame"][0] > frame.number:
            nobody = np.zeros(0, np.int64)
            return Sightings(nobody, nobody, np.zeros((0, 4)), np.zeros(0))
        identity_ids = self._identities.lookup(frame.camera, rows["track"])
        return Sightings(
            rows["track"], identity_ids, rows["box"].astype(np.float64), rows["score"].astype(np.float64)
        )


def write_summary(
    path: Path,
    complete: bool,
    progress: Progress,
    reports: Mapping[CameraName, CameraReport],
    identities: IdentityLinker,
) -> None:
    """Write ``summary.json``: frames, drops, people, sightings, seconds for each stage."""
    frames = sum(progress.frames.values())
    seconds = sum(spent for stage, spent in progress.seconds.items() if stage not in AFTERWARDS)
    summary = {
        "complete": complete,
        "frames": frames,
        "people": identities.people,
        "sightings": progress.journal_rows,
        "detections": progress.detections,
        # Of how many the embedder looked at, and the share of crops that this saved.
        "embedded": progress.embedded,
        "crops_saved": round(1 - progress.embedded / max(progress.detections, 1), 4),
        "frames_per_second": round(frames / seconds, 2) if seconds else 0.0,
        "seconds": {stage: round(spent, 3) for stage, spent in progress.seconds.items()},
        "cameras": {
            camera: {
                "frames": progress.frames.get(camera, 0),
                "read": report.read,
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


def _rows_of(index: int, journal: Journal) -> Iterator[NDArray[np.void]]:
    """The rows of one camera, in pieces."""
    for rows in journal.read():
        yield rows[rows["camera"] == index]


def _split_by_frame(chunks: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """The rows of one camera, frame by frame; a frame that crosses two chunks is put together."""
    left = np.empty(0, ROW)
    for chunk in chunks:
        rows = np.concatenate([left, chunk])
        *whole, left = np.split(rows, np.flatnonzero(np.diff(rows["frame"])) + 1)
        yield from whole
    if len(left):
        yield left
