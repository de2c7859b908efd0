"""The journal's sightings with who they are, as far as it is known when they are read."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import IntArray
from tracker.identity import IdentityLinker
from tracker.recording.journal import ROW, Journal
from tracker.stages import Identities
from tracker.types import CameraName, Frame, Sightings

AROUND_S = 1.0
"""Frames of one tick are closer, unless they are those of a time lapse."""

FrameRows = tuple[NDArray[np.void], IntArray]
"""Rows (R,) of the journal, with their identities (R,)."""


def known_sightings(
    pieces: Iterable[NDArray[np.void]], cameras: list[CameraName], identities: Identities
) -> Iterator[tuple[NDArray[np.void], IntArray]]:
    """The rows (R,) of a journal in pieces of whole frames, each with its identity (R,) as it is known now.

    Whoever coasted as one track while they were seen as another turns out to be there twice; then the
    first row stays, since those who were seen stand before those who coasted.
    """
    left = np.empty(0, ROW)
    for chunk in pieces:
        rows = np.concatenate((left, chunk))
        if not len(rows):
            continue
        is_last = (rows["camera"] == rows["camera"][-1]) & (rows["frame"] == rows["frame"][-1])
        left = rows[is_last]  # the rest of that frame may be in the next chunk
        yield _once_a_frame(rows[~is_last], cameras, identities)
    yield _once_a_frame(left, cameras, identities)


def _once_a_frame(
    rows: NDArray[np.void], cameras: list[CameraName], identities: Identities
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
        self._frames = _frames_of(known_sightings(journal.read(), cameras, identities))
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


def _frames_of(pieces: Iterator[FrameRows]) -> Iterator[FrameRows]:
    """Rows and identities frame by frame, in their order, out of pieces of whole frames."""
    for rows, identity_ids in pieces:
        is_new = (rows["camera"][1:] != rows["camera"][:-1]) | (rows["frame"][1:] != rows["frame"][:-1])
        cuts = np.flatnonzero(is_new) + 1
        if len(rows):
            yield from zip(np.split(rows, cuts), np.split(identity_ids, cuts), strict=True)
