"""The results of a run over files, made better with what came later: joined, filled, smoothed."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, IntArray
from foundation.files import open_whole
from foundation.mot_files import MotTable, format_results
from tracker.config import RunConfig
from tracker.geometry import xyxy_to_xywh
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.smoothing import MayJoin, is_of_likely_track, join_tracks, smooth_ways
from tracker.types import CameraName

SMOOTHED_AT_ONCE = 1 << 19
"""Rows of a camera that are smoothed together, in about 300 MB; ten people make that many in half an hour.
Nothing is filled or joined over the border."""

READ_AT_ONCE = 1 << 15
"""Rows that are read together."""


class OfflineFiles:
    """``offline/mot/CAMERA.txt``, beside the results as they were seen; use it in a ``with`` statement.

    The same people, better known with what came later: see `tracker.smoothing`. Motion fills and
    smooths the way of a person; it says who somebody is only where the linker had nothing to compare.
    ``failed``, and what a cut leaves, as in `tracker.reports.tables.ResultFiles`. Rows wait on the disk until
    the turn of their camera comes.
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
        self._row: np.dtype[np.void] | None = None

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
        self._row = rows.dtype
        for index, file in self._rows.items():
            file.write(rows[rows["camera"] == index].tobytes())

    def write(self) -> list[Path]:
        """Smooth and write all that was taken; the files."""
        targets: list[Path] = []
        for index, camera in self._cameras.items():
            targets.append(self._folder / f"{camera}.txt")
            with open_whole(targets[-1]) as file:
                pieces = _in_pieces(_split_by_frame(self._read(index)), SMOOTHED_AT_ONCE)
                for table in _smoothed(pieces, camera, self._identities, self._config):
                    file.write(format_results(table).encode("ascii"))
        return targets

    def _read(self, index: int) -> Iterator[NDArray[np.void]]:
        """The rows of one camera, in pieces."""
        if self._row is not None:
            self._rows[index].seek(0)
            while chunk := self._rows[index].read(READ_AT_ONCE * self._row.itemsize):
                yield np.frombuffer(chunk, self._row)


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
    """Which tracks motion may join: those of one identity, and those that were not compared with others.

    The latter are alone with their identity or undecided, because they have no embedding or nothing was to be
    joined.
    """
    tracks = identities.tracks()
    _, person, count = np.unique(tracks.identity_ids, return_inverse=True, return_counts=True)
    is_alone = ((count[person] == 1) | (tracks.identity_ids == UNDECIDED)) & (
        (tracks.num_embeddings == 0) | (not is_linking)
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


def _split_by_frame(chunks: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """The rows of one camera, frame by frame; a frame that crosses two chunks is put together."""
    left: NDArray[np.void] | None = None
    for chunk in chunks:
        rows = chunk if left is None else np.concatenate([left, chunk])
        *whole, left = np.split(rows, np.flatnonzero(np.diff(rows["frame"])) + 1)
        yield from whole
    if left is not None:
        yield left
