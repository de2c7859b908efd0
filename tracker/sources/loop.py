"""Recordings played again and again at their own pace, as if they were live cameras."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from tracker.sources.files import FileSource
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Tick

MAX_LATE_S = 0.2
"""A tick that is due for longer when it is read is skipped or dropped, as a live camera's would be."""

DROP_LATE_S = 1.0
"""One that is due for longer still is dropped even where others are skipped."""

PAUSE_S = 1.0
"""Between the last frame of one round and the first of the next."""


class LoopedSource:
    """The recordings of ``open_files``, as live cameras: Unix times, frames that are late are dropped.

    Args:
        open_files: Opens the recordings once more, from their first frames.
        rounds: How often they are played; None: until it is closed.
        skips: Whether tracks coast through ticks that are late; else they are dropped.
        health: What the reports had counted in an earlier part of the run.
    """

    def __init__(
        self,
        open_files: Callable[[], FileSource],
        rounds: int | None = None,
        *,
        skips: bool = False,
        health: Mapping[CameraName, Mapping[str, int]] | None = None,
    ) -> None:
        self._open_files, self._rounds, self._skips = open_files, rounds, skips
        self._stop = threading.Event()
        self._paused: frozenset[CameraName] = frozenset()
        self._files = open_files()
        self._reports = {camera: replace(it) for camera, it in self._files.reports.items()}
        for camera, counts in (health or {}).items():
            for name, count in counts.items():
                setattr(self._reports[camera], name, count)

    @property
    def reports(self) -> Mapping[CameraName, CameraReport]:
        """One report for each camera, over all rounds."""
        return self._reports

    @property
    def is_live(self) -> bool:
        """Whether a frame that was not taken in time is lost: yes."""
        return True

    def ticks(self) -> Iterator[Tick]:
        """All ticks, each when it is due."""
        done, offset_s = 0, time.time() - time.monotonic()
        while not self._stop.is_set():
            begin_s = time.monotonic()
            for tick in self._files.ticks():
                due_s = begin_s + tick.time
                if self._stop.wait(max(due_s - time.monotonic(), 0.0)):
                    return
                late_s = time.monotonic() - due_s
                is_dropped = late_s > (DROP_LATE_S if self._skips else MAX_LATE_S)
                is_skipped = late_s > MAX_LATE_S and not is_dropped
                frames = tuple(
                    self._count(frame, begin_s + offset_s, is_dropped, is_skipped)
                    for frame in tick.frames
                    if frame.camera not in self._paused
                )
                if frames and not is_dropped:
                    yield Tick(due_s + offset_s, frames, is_skipped)
            self._take_over_problems()
            done += 1
            if done == self._rounds or all(report.problem for report in self._reports.values()):
                return
            self._stop.wait(PAUSE_S)
            self._files.close()
            self._files = self._open_files()

    def pause(self, camera: CameraName, *, paused: bool) -> None:
        """Give no frames of this camera until it goes on; the others go on."""
        self._paused = self._paused | {camera} if paused else self._paused - {camera}

    def close(self) -> None:
        self._stop.set()
        self._files.close()

    def _count(self, frame: Frame, begin_s: float, is_dropped: bool, is_skipped: bool) -> Frame:
        report = self._reports[frame.camera]
        report.read += 1
        report.dropped += is_dropped
        report.skipped += is_skipped
        return replace(frame, number=report.read, time=begin_s + frame.time)

    def _take_over_problems(self) -> None:
        for camera, report in self._files.reports.items():
            self._reports[camera].problem = report.problem
