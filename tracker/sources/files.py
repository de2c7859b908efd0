"""Recorded cameras -> ticks: the frames of all files, merged by time."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from foundation.video import UnreadableError
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera, Kind
from tracker.sources.images import ImageReader, open_sequence
from tracker.sources.starts import find_starts
from tracker.sources.video import VideoReader
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Tick


class Reader(Protocol):
    """Reads one recorded camera.

    Attributes:
        report: How reading goes.
        frame_period_s: Seconds from frame to frame, on average.
        created: When the recording says that it was made; None where it does not.
    """

    report: CameraReport
    frame_period_s: float
    created: datetime | None

    def frames(self) -> Iterator[Frame]:
        """All frames, once, in order of time."""

    def close(self) -> None:
        """Let go of files."""


class FileSource:
    """Recorded cameras, merged by time. See ``open_source`` for the arguments."""

    def __init__(
        self, cameras: Sequence[Camera], config: SourceConfig, done: Mapping[CameraName, int]
    ) -> None:
        self._done = done
        self._lock = threading.Lock()  # decoders must not be closed while they decode
        self._cameras: list[Camera] = []  # those that could be opened, one for each reader
        self._readers: list[Reader] = []
        self._reports: dict[CameraName, CameraReport] = {}
        for camera in cameras:
            try:
                reader = _open_reader(camera, config, done.get(camera.name, 0), files=len(cameras))
            except Exception as error:  # noqa: BLE001  (what one file says must never end the others)
                self._reports[camera.name] = CameraReport(problem=_problem(camera, error))
            else:
                self._cameras.append(camera)
                self._readers.append(reader)
                self._reports[camera.name] = reader.report
        self._frames = [reader.frames() for reader in self._readers]
        self._starts_s = self._align(cameras, config)
        self._half_period_s = min((reader.frame_period_s for reader in self._readers), default=0) / 2
        self._next: list[Frame | None] | None = None  # of each reader; None before the first tick
        self._is_closed = False

    @property
    def reports(self) -> Mapping[CameraName, CameraReport]:
        """One report for each camera, in order."""
        return self._reports

    @property
    def is_live(self) -> bool:
        """No: all of it can be read again."""
        return False

    def ticks(self) -> Iterator[Tick]:
        """The frames of all cameras, grouped where they lie less than half a frame period apart.

        The period is that of the fastest camera. Which frames share a tick depends on their times
        alone, never on where reading began.
        """
        while True:
            with self._lock:
                frames = self._next_frames()
            if frames is None:
                return
            # Every frame of a tick is finished with, or none: a run stops only between two ticks.
            frames = [frame for frame in frames if frame.number > self._done.get(frame.camera, 0)]
            if frames:
                yield Tick(min(frame.time for frame in frames), tuple(frames))

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for reader in self._readers:
                reader.close()

    def _align(self, cameras: Sequence[Camera], config: SourceConfig) -> list[float]:
        """Seconds of each reader after the first camera of the run; a report says how that is known."""
        try:
            created = {
                it.name: reader.created for it, reader in zip(self._cameras, self._readers, strict=True)
            }
            for name, start in find_starts(cameras, created, config).items():
                report = self._reports[name]
                report.start_s, report.start_known_from = start.after_s, start.known_from
        except BaseException:
            self.close()
            raise
        return [reader.report.start_s for reader in self._readers]

    def _next_frames(self) -> list[Frame] | None:
        """The frames of the next tick; None at the end."""
        if self._is_closed:
            return None
        if self._next is None:
            self._next = [self._read(index) for index in range(len(self._frames))]
        waiting = [frame for frame in self._next if frame is not None]
        if not waiting:
            return None
        before = min(frame.time for frame in waiting) + self._half_period_s
        taken = [frame for frame in waiting if frame.time < before]
        for index, frame in enumerate(self._next):
            if frame is not None and frame.time < before:
                self._readers[index].report.read += 1
                self._next[index] = self._read(index)
        return taken

    def _read(self, index: int) -> Frame | None:
        """The next frame of one camera; None where it has come to its end, or cannot go on."""
        try:
            frame = next(self._frames[index], None)
            return frame and replace(frame, time=self._starts_s[index] + frame.time)
        except Exception as error:  # noqa: BLE001  (a broken camera must never end the others)
            self._readers[index].report.problem = _problem(self._cameras[index], error)
            return None


def _problem(camera: Camera, error: Exception) -> str:
    """Why a camera ends, in one sentence that names it."""
    if isinstance(error, UnreadableError):
        return str(error)
    where = camera.shown
    if isinstance(error, OSError):
        return f"{where}: cannot be read: {error.strerror or type(error).__name__}"
    text = " ".join(str(error).replace(camera.address, where).split())
    return f"{where}: cannot be read further: unexpected {type(error).__name__}{': ' if text else ''}{text}"


def _open_reader(camera: Camera, config: SourceConfig, done: int, files: int) -> Reader:
    if camera.kind is Kind.VIDEO:
        return VideoReader(camera, config, done, files)
    if camera.kind is Kind.IMAGES:
        return ImageReader(camera, config, None)
    return open_sequence(camera, config)
