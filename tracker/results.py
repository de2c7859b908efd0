"""What a run leaves behind: MOTChallenge text, one table over all cameras, a summary."""

import json
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundation.files import open_whole, write_whole
from foundation.mot_files import MotTable, format_results
from tracker.config import RunConfig
from tracker.geometry import xyxy_to_xywh
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.recording.checkpoint import Progress
from tracker.recording.journal import ROW, Journal
from tracker.smoothing import MayJoin, is_of_likely_track, join_tracks, smooth_ways
from tracker.stages import CameraReport
from tracker.types import BoolArray, CameraName, Frame, IntArray, Sightings

SMOOTHED_AT_ONCE = 1 << 19
"""Rows of a camera that are smoothed together, in about 300 MB; ten people make so many in half an hour.
Nothing is filled or joined over the border."""

AROUND_S = 1.0
"""Frames of one tick are closer, unless they are those of a time lapse."""

FrameRows = tuple[NDArray[np.void], IntArray]
"""Rows (R,) of the journal, with their identities (R,)."""

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


class ResultFiles:
    """``mot/CAMERA.txt`` and ``sightings.parquet``, filled piece by piece; use it in a ``with`` statement.

    A track that stayed undecided has identity 0 in the table. The text must number every track, or scoring
    one camera would lose its boxes: there it has a number of its own (`IdentityTable.numbered`).
    A camera that ``failed`` before its first frame gets no file: nobody knows who was there.
    Memory does not grow with the length of the run. A cut leaves the files of before, or all of
    the new one; writing again gives the same bytes.

    Attributes:
        paths: The files.
    """

    def __init__(
        self,
        folder: Path,
        cameras: list[CameraName],
        identities: IdentityLinker,
        failed: Collection[CameraName] = (),
    ) -> None:
        self._cameras, self._identities = cameras, identities
        self._indices = [index for index, camera in enumerate(cameras) if camera not in failed]
        texts = [folder / "mot" / f"{cameras[index]}.txt" for index in self._indices]
        self.paths = [*texts, folder / "sightings.parquet"]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.paths[-1].with_name("mot").mkdir(exist_ok=True)
        with ExitStack() as stack:
            *self._texts, table = (stack.enter_context(open_whole(path)) for path in self.paths)
            self._table = stack.enter_context(pq.ParquetWriter(table, SIGHTINGS, compression="zstd"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def add(self, rows: NDArray[np.void], identity_ids: IntArray) -> None:
        """Append rows (R,) with their identities (R,)."""
        self._table.write_table(_as_arrow(rows, self._cameras, identity_ids))
        for index, text in zip(self._indices, self._texts, strict=True):
            here = rows["camera"] == index
            numbers = self._identities.numbered(self._cameras[index], rows["track"][here])
            text.write(_as_mot_text(rows[here], numbers).encode("ascii"))


class OfflineFiles:
    """``offline/mot/CAMERA.txt``, beside the results as they were seen; use it in a ``with`` statement.

    The same people, better known with what came later: see `tracker.smoothing`. Motion fills and
    smooths the way of a person; it says who somebody is only where the linker had nothing to compare.
    ``failed``, and what a cut leaves, as in `ResultFiles`. Rows wait on the disk until a camera's turn comes.
    """

    def __init__(
        self,
        folder: Path,
        cameras: list[CameraName],
        identities: IdentityLinker,
        config: RunConfig,
        failed: Collection[CameraName] = (),
    ) -> None:
        self._folder = folder / "offline" / "mot"
        self._cameras = {index: it for index, it in enumerate(cameras) if it not in failed}
        self._identities, self._config = identities, config
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._rows = {
                index: stack.enter_context(TemporaryFile(dir=self._folder)) for index in self._cameras
            }
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def add(self, rows: NDArray[np.void]) -> None:
        """Take rows (R,) as `known_sightings` has them."""
        for index, file in self._rows.items():
            file.write(rows[rows["camera"] == index].tobytes())

    def write(self) -> list[Path]:
        """Smooth and write all that was taken; the files."""
        targets: list[Path] = []
        for index, camera in self._cameras.items():
            targets.append(self._folder / f"{camera}.txt")
            with open_whole(targets[-1]) as file:
                pieces = _in_pieces(_split_by_frame(_read_rows(self._rows[index])), SMOOTHED_AT_ONCE)
                for table in _smoothed(pieces, camera, self._identities, self._config):
                    file.write(format_results(table).encode("ascii"))
        return targets


def known_sightings(
    journal: Journal, cameras: list[CameraName], identities: IdentityLinker
) -> Iterator[tuple[NDArray[np.void], IntArray]]:
    """The journal's rows (R,) in pieces of whole frames, each with its identity (R,) as it is known now.

    Who was carried on as one track while they were seen as another turns out to be there twice; then the
    first row stays, since those who were seen stand before those who were carried.
    """
    left = np.empty(0, ROW)
    for chunk in journal.read():
        rows = np.concatenate((left, chunk))
        if not len(rows):
            continue
        is_last = (rows["camera"] == rows["camera"][-1]) & (rows["frame"] == rows["frame"][-1])
        left = rows[is_last]  # the rest of that frame may be in the next chunk
        yield _once_a_frame(rows[~is_last], cameras, identities)
    yield _once_a_frame(left, cameras, identities)


def _once_a_frame(
    rows: NDArray[np.void], cameras: list[CameraName], identities: IdentityLinker
) -> tuple[NDArray[np.void], IntArray]:
    """Of rows (R,) of one person in one frame the first, and the identities; who is undecided stays."""
    identity_ids, numbers = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
    for index, camera in enumerate(cameras):
        here = rows["camera"] == index
        identity_ids[here] = identities.lookup(camera, rows["track"][here])
        numbers[here] = identities.numbered(camera, rows["track"][here])
    order = np.lexsort((numbers, rows["frame"], rows["camera"]))  # keeps the order of equal ones
    keys = np.column_stack((rows["camera"], rows["frame"], numbers))[order]
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    kept = np.sort(order[is_first])
    return rows[kept], identity_ids[kept]


class SightingsReader:
    """Gives the people of each frame back, in one pass; frames come in the order in which they were tracked.

    That order need not be kept to the frame, as a camera may fail on the second reading: what lies within
    `AROUND_S` waits for its frame, and no longer.
    """

    def __init__(self, journal: Journal, cameras: list[CameraName], identities: IdentityLinker) -> None:
        self._cameras = cameras
        self._frames = _frames_of(known_sightings(journal, cameras, identities))
        self._next = next(self._frames, None)
        self._waiting: dict[CameraName, deque[FrameRows]] = {camera: deque() for camera in cameras}

    def people(self, frame: Frame) -> Sightings:
        """The people of this frame; empty where the journal has none."""
        self._read_until(frame.time + AROUND_S)
        waiting = self._waiting[frame.camera]
        while waiting and waiting[0][0]["frame"][0] < frame.number:
            waiting.popleft()
        if not waiting or waiting[0][0]["frame"][0] > frame.number:
            none = np.zeros(0, np.int64)
            return Sightings(none, none, np.zeros((0, 4)), np.zeros(0))
        rows, identity_ids = waiting.popleft()
        return Sightings(
            rows["track"], identity_ids, rows["box"].astype(np.float64), rows["score"].astype(np.float64)
        )

    def _read_until(self, time: float) -> None:
        while self._next is not None and self._next[0]["time"][0] <= time:
            rows, _ = self._next
            waiting = self._waiting[self._cameras[rows["camera"][0]]]
            waiting.append(self._next)
            while waiting[0][0]["time"][0] < rows["time"][0] - 4 * AROUND_S:
                waiting.popleft()  # nobody asked for that frame
            self._next = next(self._frames, None)


def write_summary(
    path: Path,
    complete: bool,
    progress: Progress,
    reports: Mapping[CameraName, CameraReport],
    identities: IdentityLinker,
) -> None:
    """Write ``summary.json``: frames, drops, people, sightings, and where the time went.

    ``frames_per_second`` and ``elapsed_s`` are those of tracking, without what begins when the last frame is
    tracked (``link``, ``results``, ``draw``). ``seconds`` is how long each stage was at work: stages
    overlap, so their sum may be more. ``waited`` is how long tracking stood still, and for which stage.
    """
    frames = sum(progress.frames.values())
    summary = {
        "complete": complete,
        "frames": frames,
        "people": identities.people,
        "undecided": identities.undecided,
        "sightings": progress.journal_rows,
        "detections": progress.detections,
        # Of how many the embedder looked at, and the share of crops that this saved.
        "embedded": progress.embedded,
        "crops_saved": round(1 - progress.embedded / max(progress.detections, 1), 4),
        "frames_per_second": round(frames / progress.elapsed_s, 2) if progress.elapsed_s else 0.0,
        "elapsed_s": round(progress.elapsed_s, 3),
        "seconds": {stage: round(spent, 3) for stage, spent in progress.seconds.items()},
        "waited": {stage: round(spent, 3) for stage, spent in progress.waited.items()},
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
    indices = _as_column(rows["camera"].astype(np.int16))
    columns = {
        "frame": rows["frame"],
        "time": rows["time"],
        "track": rows["track"],
        "identity": identity_ids,
        **{name: rows["box"][:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": rows["score"],
    }
    names = pa.DictionaryArray.from_arrays(indices, _as_strings(cameras))
    return pa.table(
        {"camera": names, **{name: _as_column(column) for name, column in columns.items()}}, schema=SIGHTINGS
    )


def _as_column(values: NDArray[Any]) -> pa.Array:
    """What ``pa.array`` gives; but that loads pandas, where it is installed, to ask whether this is one of
    its columns, and loading it takes longer than linking a video."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _as_strings(texts: Sequence[str]) -> pa.Array:
    """What ``pa.array`` gives; see `_as_column`."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _as_mot_text(rows: NDArray[np.void], numbers: IntArray) -> str:
    boxes, scores = xyxy_to_xywh(rows["box"].astype(np.float64)), rows["score"].astype(np.float64)
    return format_results(MotTable.of_people(rows["frame"], numbers, boxes, scores))


def _smoothed(
    pieces: Iterator[NDArray[np.void]],
    camera: CameraName,
    identities: IdentityLinker,
    config: RunConfig,
) -> Iterator[MotTable]:
    """The people of one camera, piece by piece, as they are known afterwards."""
    may_join = _may_join(camera, identities, config.identity.link)
    first_of: dict[int, int] = {}  # of tracks that were joined in an earlier piece and may go on in this one
    for rows in pieces:
        rows = rows[rows["score"] != 0]  # the smoother fills gaps itself, knowing both of their ends
        boxes, scores = xyxy_to_xywh(rows["box"].astype(np.float64)), rows["score"].astype(np.float64)
        table, times = MotTable.of_people(rows["frame"], rows["track"], boxes, scores), rows["time"]
        is_likely = is_of_likely_track(table, config.detector.likely_score, config.offline.min_likely_share)
        table, times = table[is_likely], times[is_likely]
        firsts = join_tracks(table, times, config.offline, may_join)
        ways = np.array([first_of.get(first, first) for first in firsts.tolist()], np.int64)
        is_joined = ways != table.ids
        first_of.update(zip(table.ids[is_joined].tolist(), ways[is_joined].tolist(), strict=True))
        people = _numbers_of_ways(camera, table.ids, ways, identities)
        named = MotTable.of_people(table.frames, people, table.boxes, table.scores)
        yield smooth_ways(named, times, ways, config.offline)


def _numbers_of_ways(
    camera: CameraName, tracks: IntArray, ways: IntArray, identities: IdentityLinker
) -> IntArray:
    """(R,) what stands for rows (R,) of tracks that motion joined to ways, each named by its first track.

    That is the first track's number or, where that one is undecided, the least of them: a person's if any is.
    """
    numbers, places = identities.numbered(camera, ways), np.unique(ways, return_inverse=True)[1]
    least = np.full(len(ways), np.iinfo(np.int64).max)
    np.minimum.at(least, places, np.minimum(numbers, identities.numbered(camera, tracks)))
    return np.where(identities.lookup(camera, ways) == UNDECIDED, least[places], numbers)


def _may_join(camera: CameraName, identities: IdentityLinker, is_linking: bool) -> MayJoin:
    """Which tracks motion may join: those of one identity, and those that were compared with nobody.

    The latter are alone with their identity or undecided, because nobody looked at them or nobody was to be
    joined.
    """
    tracks = identities.tracks()
    _, person, count = np.unique(tracks.identity_ids, return_inverse=True, return_counts=True)
    is_alone = ((count[person] == 1) | (tracks.identity_ids == UNDECIDED)) & (
        (tracks.looks == 0) | (not is_linking)
    )
    alone = tracks.track_ids[is_alone & (tracks.cameras == camera)]

    def may_join(earlier: IntArray, later: IntArray) -> BoolArray:
        is_one = identities.numbered(camera, earlier) == identities.numbered(camera, later)
        return np.asarray(is_one | (np.isin(earlier, alone) & np.isin(later, alone)))

    return may_join


def _in_pieces(frames: Iterator[NDArray[np.void]], min_rows: int) -> Iterator[NDArray[np.void]]:
    """Whole frames put together, to pieces of ``min_rows`` or slightly more; the last may have fewer."""
    piece: list[NDArray[np.void]] = []
    rows = 0
    for frame in frames:
        piece.append(frame)
        rows += len(frame)
        if rows >= min_rows:
            yield np.concatenate(piece)
            piece, rows = [], 0
    if piece:
        yield np.concatenate(piece)


def _read_rows(file: IO[bytes], chunk_rows: int = 1 << 15) -> Iterator[NDArray[np.void]]:
    """All rows of a file, in pieces."""
    file.seek(0)
    while chunk := file.read(chunk_rows * ROW.itemsize):
        yield np.frombuffer(chunk, ROW)


def _frames_of(pieces: Iterator[FrameRows]) -> Iterator[FrameRows]:
    """Rows and identities frame by frame, in their order, out of pieces of whole frames."""
    for rows, identity_ids in pieces:
        is_new = (rows["camera"][1:] != rows["camera"][:-1]) | (rows["frame"][1:] != rows["frame"][:-1])
        cuts = np.flatnonzero(is_new) + 1
        if len(rows):
            yield from zip(np.split(rows, cuts), np.split(identity_ids, cuts), strict=True)


def _split_by_frame(chunks: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """The rows of one camera, frame by frame; a frame that crosses two chunks is put together."""
    left = np.empty(0, ROW)
    for chunk in chunks:
        rows = np.concatenate([left, chunk])
        if not len(rows):
            continue
        *whole, left = np.split(rows, np.flatnonzero(np.diff(rows["frame"])) + 1)
        yield from whole
    if len(left):
        yield left
