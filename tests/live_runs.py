"""Live runs without cameras, detectors or waiting: who is where is said by a table."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from tests.galleries import unit_rows
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import RunConfig
from tracker.recording import run as recording
from tracker.recording.folder import RunFolder
from tracker.recording.run import TrackingRun
from tracker.stages import CameraReport
from tracker.types import CameraName, Detections, Frame, Network, Observations, State, Tick, blank_image

START = 1_700_000_000.0
"""When live runs begin, Unix time; the beginning of no hour."""

RATE = 10.0
NETWORK = Network("drawn", "c0ffee", 128)
LOOKS = unit_rows(np.random.default_rng(5), 100, NETWORK.dimension)
"""What people look like: person p is row p."""

Presence = tuple[str, int, float, float]
"""Camera, person, and from when to when they are in view, seconds since `START`."""


class Drawn:
    """A detector and embedder that finds whom the table has; each person walks along a lane of their own."""

    network: Network | None = NETWORK
    prior: CosinePrior | None = None
    ticks_at_once = 1

    def __init__(self, presences: Sequence[Presence]) -> None:
        self._presences = presences

    def detect(self, tick: Tick) -> list[Detections]:
        return [self._detect(frame) for frame in tick.frames]

    def _detect(self, frame: Frame) -> Detections:
        since_s = frame.time - START
        here = [
            (person, since_s - begin)
            for camera, person, begin, end in self._presences
            if camera == frame.camera and begin <= since_s < end
        ]
        boxes = [
            (20 + 30 * spent_s % 500, 110 * person, 60 + 30 * spent_s % 500, 110 * person + 100)
            for person, spent_s in here
        ]
        return Detections.of(boxes, np.full(len(boxes), 0.9))

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> list[Observations]:
        return [
            Observations(found.boxes, found.scores, self._looks(found, round(frame.time * RATE)))
            for frame, found in zip(tick.frames, detections, strict=True)
        ]

    def _looks(self, found: Detections, seed: int) -> Any:
        people = (found.boxes[:, 1] // 110).astype(np.int64)
        noise = 0.3 * unit_rows(np.random.default_rng(seed), max(len(people), 1), NETWORK.dimension)
        looks = LOOKS[people] + noise[: len(people)]
        return (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


class PowerCutError(Exception):
    """The power is cut."""


class Scripted:
    """A live source that gives `RATE` frames a second of each camera between two moments, at once."""

    is_live = True

    def __init__(self, cameras: Sequence[str], begin_s: float, end_s: float, *, is_cut: bool) -> None:
        self.reports: Mapping[CameraName, CameraReport] = {CameraName(it): CameraReport() for it in cameras}
        self._moments = np.arange(begin_s, end_s, 1 / RATE).tolist()
        self._is_cut = is_cut

    def ticks(self) -> Iterator[Tick]:
        for moment in self._moments:
            frames = []
            for camera, report in self.reports.items():
                report.read += 1
                frames.append(Frame(camera, report.read, START + moment, blank_image(640, 480)))
            yield Tick(START + moment, tuple(frames))
        if self._is_cut:
            raise PowerCutError

    def close(self) -> None:
        pass


def live_run(
    patch: pytest.MonkeyPatch,
    config: RunConfig,
    presences: Sequence[Presence],
    between_s: tuple[float, float],
    folder: RunFolder | None = None,
    *,
    is_cut: bool = False,
    cameras: Sequence[str] = ("door", "yard"),
) -> Path:
    """Run, or go on, from one moment to another; cut, nothing follows the last checkpoint.

    Gives the folder of the run.
    """

    def open_source(*_: Any) -> Scripted:
        source = Scripted(cameras, *between_s, is_cut=is_cut)
        for camera, counts in (_[3] if len(_) > 3 else {}).items():
            for name, count in counts.items():
                setattr(source.reports[camera], name, count)
        return source

    drawn = Drawn(presences)
    with patch.context() as patched:
        patched.setattr(recording, "open_source", open_source)
        patched.setattr(recording, "locate_cameras", lambda *_: dict.fromkeys(cameras, ""))
        patched.setattr(recording, "build_detector", lambda *_: drawn)
        patched.setattr(recording, "build_embedder", lambda *_: drawn)
        patched.setattr(recording, "build_camera_motion", lambda *_: NoCameraMotion())
        with TrackingRun(config, threading.Event(), folder) as run:
            try:
                run.run(Console(quiet=True))
            except PowerCutError:
                run._save()
            return run.folder.path
