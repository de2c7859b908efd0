"""The loop that every frame goes through."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from tracker.camera_tracker import CameraTracker
from tracker.checkpoint import Progress
from tracker.config import IdentityConfig, TrackingConfig
from tracker.identity import IdentityLinker
from tracker.pipeline import read_ahead, run_pipeline
from tracker.stages import CameraReport
from tracker.types import (
    BoolArray,
    CameraName,
    Detections,
    Frame,
    Network,
    Observations,
    Sightings,
    State,
    Tick,
    blank_image,
)

A, B = CameraName("a"), CameraName("b")


def frame(camera: CameraName, number: int) -> Frame:
    return Frame(camera, number, number / 10, blank_image(320, 240))


def tick(number: int, *cameras: CameraName) -> Tick:
    return Tick(number / 10, tuple(frame(camera, number) for camera in cameras))


class ListedSource:
    """Gives the ticks it was made with; raises the exception where it stands in their place."""

    def __init__(self, ticks: Sequence[Tick | Exception]) -> None:
        self._ticks = ticks
        self.reports: Mapping[CameraName, CameraReport] = {A: CameraReport(), B: CameraReport()}
        self.is_live = False

    def ticks(self) -> Iterator[Tick]:
        for item in self._ticks:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        pass


class OneWalker:
    """Finds one person in every frame, who walks to the right."""

    network: Network | None = None

    def detect(self, tick: Tick) -> list[Detections]:
        return [Detections(np.array([[f.number, 20.0, f.number + 40, 120]]), np.ones(1)) for f in tick.frames]

    def embed(
        self, tick: Tick, detections: Sequence[Detections], wanted: Sequence[BoolArray]
    ) -> list[Observations]:
        return [Observations(it.boxes, it.scores, np.zeros((len(it), 0), np.float32)) for it in detections]

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


class Remembers:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[CameraName, int, list[int]]] = []

    def write(self, frame: Frame, sightings: Sightings) -> None:
        self.seen.append((frame.camera, frame.number, sightings.identity_ids.tolist()))

    def close(self) -> None:
        pass


def run(
    source: ListedSource, stop: threading.Event | None = None, checkpoint_s: float = 60.0
) -> tuple[bool, Remembers, Progress, list[Progress]]:
    sink, progress, walker = Remembers(), Progress(), OneWalker()
    saved: list[Progress] = []
    trackers = {camera: CameraTracker(camera, TrackingConfig()) for camera in (A, B)}
    ended = run_pipeline(
        source,
        walker,
        walker,
        trackers,
        IdentityLinker(IdentityConfig(), (A, B)),
        [sink],
        progress,
        lambda: saved.append(Progress([], dict(progress.done), dict(progress.frames))),
        checkpoint_s,
        stop or threading.Event(),
    )
    return ended, sink, progress, saved


def test_every_frame_of_every_camera_reaches_the_sinks_once_and_in_order() -> None:
    ticks = [tick(1, A, B), tick(2, A), tick(3, A, B), tick(5, B)]
    ended, sink, progress, saved = run(ListedSource(ticks))
    assert ended
    assert [(camera, number) for camera, number, _ in sink.seen] == [
        (frame.camera, frame.number) for tick in ticks for frame in tick.frames
    ]
    assert progress.done == {A: 3, B: 5}
    assert progress.frames == {A: 3, B: 3}
    assert [it.done for it in saved] == [{A: 3, B: 5}]
    assert set(progress.seconds) == {"read", "detect", "embed", "track", "write"}


def test_the_same_track_number_in_two_cameras_is_two_people() -> None:
    _, sink, _, _ = run(ListedSource([tick(number, A, B) for number in range(1, 8)]))
    assert sink.seen[-2:] == [(A, 7, [1]), (B, 7, [2])]


def test_a_checkpoint_is_saved_between_ticks_only() -> None:
    _, _, _, saved = run(ListedSource([tick(1, A, B), tick(2, A, B)]), checkpoint_s=1e-9)
    assert [it.done for it in saved] == [{A: 1, B: 1}, {A: 2, B: 2}, {A: 2, B: 2}]


def test_stop_ends_the_run_even_while_the_source_waits() -> None:
    stop, waits = threading.Event(), threading.Event()

    class Silent(ListedSource):
        def ticks(self) -> Iterator[Tick]:
            yield tick(1, A)
            threading.Timer(0.2, stop.set).start()
            waits.wait(20)

    begin = time.monotonic()
    ended, sink, _, saved = run(Silent([]), stop)
    waits.set()
    assert not ended
    assert time.monotonic() - begin < 10
    assert sink.seen == [(A, 1, [1])]
    assert saved[-1].done == {A: 1}


def test_stop_closes_a_live_source_that_waits() -> None:
    stop, closed = threading.Event(), threading.Event()

    class SilentCamera(ListedSource):
        def ticks(self) -> Iterator[Tick]:
            yield tick(1, A)
            threading.Timer(0.2, stop.set).start()
            assert closed.wait(20)

        def close(self) -> None:
            closed.set()

    camera = SilentCamera([])
    camera.is_live = True
    ended, sink, _, _ = run(camera, stop)
    assert not ended
    assert sink.seen == [(A, 1, [1])]


def test_an_error_of_the_source_is_raised_after_the_ticks_before_it() -> None:
    source = ListedSource([tick(1, A), tick(2, A), RuntimeError("torn cable")])
    ahead = read_ahead(source.ticks(), 2, threading.Event())
    assert [next(ahead).frames[0].number for _ in range(2)] == [1, 2]
    with pytest.raises(RuntimeError, match="torn cable"):
        next(ahead)


def test_reading_ahead_stays_within_its_depth() -> None:
    made = []

    def ticks() -> Iterator[Tick]:
        for number in range(1, 100):
            made.append(number)
            yield tick(number, A)

    ahead = read_ahead(ticks(), 3, threading.Event())
    next(ahead)
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 1  # given out, waiting, in the reader's hand
    ahead.close()
