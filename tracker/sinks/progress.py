"""How far each camera is: a bar on a terminal, a line every ten seconds elsewhere."""

import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from foundation.text import visible
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings

LINE_EVERY_S = 10.0
RATE_OVER_S = 10.0
"""Frames per second are those of this many last seconds."""


class ProgressBars:
    """A sink that shows, for each camera, frames done, frames per second and time left."""

    def __init__(
        self,
        console: Console,
        reports: Mapping[CameraName, CameraReport],
        frames: Mapping[CameraName, int],
        verb: str = "",
    ) -> None:
        self._console, self._reports, self._verb = console, reports, verb
        self._frames = {camera: frames.get(camera, 0) for camera in reports}
        self._marks: dict[CameraName, deque[tuple[float, int]]] = {camera: deque() for camera in reports}
        self._next_line = time.monotonic() + LINE_EVERY_S
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:7.1f} frames/s, left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[CameraName, TaskID] = {
            camera: self._progress.add_task(
                f"{verb}{visible(camera)}",
                total=report.expected_frames or None,
                completed=self._frames[camera],
                rate=0.0,
            )
            for camera, report in reports.items()
            if not report.problem
        }
        self._progress.start()

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Count one frame."""
        camera, now = frame.camera, time.monotonic()
        self._frames[camera] += 1
        marks = self._marks[camera]
        marks.append((now, self._frames[camera]))
        while marks[0][0] < now - RATE_OVER_S:
            marks.popleft()
        if camera in self._tasks:
            self._progress.update(
                self._tasks[camera], completed=self._frames[camera], rate=self._rate(camera)
            )
        if now >= self._next_line and not self._console.is_terminal:
            self._next_line = now + LINE_EVERY_S
            self._print_line()

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def _rate(self, camera: CameraName) -> float:
        marks = self._marks[camera]
        spent = marks[-1][0] - marks[0][0] if marks else 0.0
        return (marks[-1][1] - marks[0][1]) / spent if spent > 0 else 0.0

    def _print_line(self) -> None:
        """For logs: one line over all cameras."""
        parts = []
        for camera, frames in self._frames.items():
            total, rate = self._reports[camera].expected_frames, self._rate(camera)
            left = f", {timedelta(seconds=round((total - frames) / rate))} left" if total and rate else ""
            done = f"{frames}/{total}" if total else f"{frames}"
            parts.append(f"{self._verb}{visible(camera)} {done} ({rate:.1f} frames/s{left})")
        self._console.print("; ".join(parts), markup=False, highlight=False, soft_wrap=True)
