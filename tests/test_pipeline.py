"""The loop that every frame goes through."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest

from tracker.camera_motion.none import NoCameraMotion
from tracker.camera_tracker import CameraTracker
from tracker.checkpoint import Progress
from tracker.config import IdentityConfig, TrackingConfig
from tracker.identity import IdentityLinker
from tracker.pipeline import StageClock, read_ahead, run_pipeline, work_ahead
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

DEADLINE_S = 60.0
"""Far longer than anything here takes on a busy machine."""


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
    ticks_at_once = 1

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


class Counting(OneWalker):
    """Remembers how many ticks it saw, and by how many it was ahead of whoever embeds."""

    def __init__(self) -> None:
        self._seen = self._embedded = self.lead = 0

    def detect(self, tick: Tick) -> list[Detections]:
        self._seen += 1
        self.lead = max(self.lead, self._seen - self._embedded)
        return super().detect(tick)

    def embed(
        self, tick: Tick, detections: Sequence[Detections], wanted: Sequence[BoolArray]
    ) -> list[Observations]:
        self._embedded += 1
        return super().embed(tick, detections, wanted)

    def state(self) -> State:
        return {"seen": np.array(self._seen)}


def wait_until(happened: Callable[[], bool]) -> None:
    """Let other threads work until it has happened; fail if it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


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
        NoCameraMotion(),
        walker,
        trackers,
        IdentityLinker(IdentityConfig(), (A, B)),
        [sink],
        progress,
        lambda _: saved.append(Progress([], dict(progress.done), dict(progress.frames))),
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
    assert set(progress.seconds) == {"read", "detect", "camera motion", "embed", "track", "write"}


def test_the_same_track_number_in_two_cameras_is_two_people() -> None:
    _, sink, _, _ = run(ListedSource([tick(number, A, B) for number in range(1, 8)]))
    assert sink.seen[-2:] == [(A, 7, [1]), (B, 7, [2])]


def test_a_checkpoint_holds_what_the_detector_remembered_at_its_tick_though_it_is_ahead() -> None:
    saved: list[tuple[int, int]] = []
    progress, walker = Progress(), Counting()

    class WaitingSink(Remembers):
        def write(self, frame: Frame, sightings: Sightings) -> None:
            wait_until(lambda: walker.lead > 1)

    def save(detector: State) -> None:
        saved.append((progress.done.get(A, 0), int(detector["seen"])))

    run_pipeline(
        ListedSource([tick(number, A) for number in range(1, 21)]),
        walker,
        NoCameraMotion(),
        walker,
        {A: CameraTracker(A, TrackingConfig())},
        IdentityLinker(IdentityConfig(), (A,)),
        [WaitingSink()],
        progress,
        save,
        1e-9,
        threading.Event(),
    )
    assert len(saved) > 10
    assert all(done == seen for done, seen in saved)
    assert saved[-1] == (20, 20)


def test_stop_ends_the_run_even_while_the_source_waits() -> None:
    stop, waits = threading.Event(), threading.Event()

    class Silent(ListedSource):
        def ticks(self) -> Iterator[Tick]:
            yield tick(1, A)
            threading.Timer(0.2, stop.set).start()
            assert waits.wait(DEADLINE_S)  # set when the run has ended without it

    ended, sink, _, saved = run(Silent([]), stop)
    waits.set()
    assert not ended
    assert sink.seen == [(A, 1, [1])]
    assert saved[-1].done == {A: 1}


def test_stop_closes_a_live_source_that_waits() -> None:
    stop, closed = threading.Event(), threading.Event()

    class SilentCamera(ListedSource):
        def ticks(self) -> Iterator[Tick]:
            yield tick(1, A)
            threading.Timer(0.2, stop.set).start()
            assert closed.wait(DEADLINE_S)

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
    wait_until(lambda: len(made) >= 1 + 3)
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # given out, waiting, in the reader's hand
    ahead.close()


def numbers_of(count: int) -> Iterator[Tick]:
    return (tick(number, A) for number in range(1, count + 1))


def test_work_in_many_threads_is_given_out_in_the_order_of_the_ticks() -> None:
    def work(tick: Tick) -> int:
        number = tick.frames[0].number
        time.sleep(0.03 if number % 3 == 1 else 0.0)  # those that come next are done before
        return number * number

    done = list(work_ahead(numbers_of(20), work, 4, 6, threading.Event()))
    assert [(it.tick.frames[0].number, it.result) for it in done] == [(n, n * n) for n in range(1, 21)]
    assert all(it.work_s >= 0.03 for it in done if it.tick.frames[0].number % 3 == 1)


def test_one_worker_works_in_order_and_never_on_two_ticks_at_once() -> None:
    begun: list[int] = []
    busy = threading.Lock()

    def work(tick: Tick) -> None:
        assert busy.acquire(blocking=False)
        begun.append(tick.frames[0].number)
        busy.release()

    list(work_ahead(numbers_of(50), work, 1, 5, threading.Event()))
    assert begun == list(range(1, 51))


def test_an_error_of_the_work_is_raised_after_the_ticks_before_it() -> None:
    def work(tick: Tick) -> None:
        if tick.frames[0].number == 3:
            raise RuntimeError("out of memory")

    ahead = work_ahead(numbers_of(9), work, 2, 4, threading.Event())
    assert [next(ahead).tick.frames[0].number for _ in range(2)] == [1, 2]
    with pytest.raises(RuntimeError, match="out of memory"):
        next(ahead)


def test_an_error_of_a_sink_ends_the_threads() -> None:
    class FullDisk(Remembers):
        def write(self, frame: Frame, sightings: Sightings) -> None:
            raise OSError("no space left")

    walker = OneWalker()
    with pytest.raises(OSError, match="no space left"):
        run_pipeline(
            ListedSource([tick(number, A) for number in range(1, 100)]),
            walker,
            NoCameraMotion(),
            walker,
            {A: CameraTracker(A, TrackingConfig())},
            IdentityLinker(IdentityConfig(), (A,)),
            [FullDisk()],
            Progress(),
            lambda _: None,
            60.0,
            threading.Event(),
        )
    wait_until(
        lambda: not any(it.name.startswith(("read-ahead", "work-ahead")) for it in threading.enumerate())
    )


def test_stop_gives_out_what_was_begun_and_begins_nothing_more() -> None:
    stop, begun = threading.Event(), list[int]()

    def work(tick: Tick) -> None:
        begun.append(tick.frames[0].number)
        time.sleep(0.02)

    given = []
    for worked in work_ahead(numbers_of(1000), work, 2, 6, stop):
        given.append(worked.tick.frames[0].number)
        if len(given) == 5:
            stop.set()
    assert given == sorted(begun) == list(range(1, len(given) + 1))
    assert len(given) <= 5 + 6


def test_no_tick_is_read_before_there_is_room_for_it() -> None:
    read: list[int] = []

    def ticks() -> Iterator[Tick]:
        for number in range(1, 100):
            read.append(number)
            yield tick(number, A)

    ahead = work_ahead(ticks(), lambda _: None, 2, 2, threading.Event())
    next(ahead)
    wait_until(lambda: len(read) >= 1 + 2)
    time.sleep(0.2)
    assert len(read) == 1 + 2  # given out, and as many as are worked on: a live frame waits nowhere
    ahead.close()


def test_waiting_is_counted_for_what_was_waited_for() -> None:
    def slow_ticks() -> Iterator[Tick]:
        for one in numbers_of(4):
            time.sleep(0.1)
            yield one

    waits: dict[str, float] = {}
    list(work_ahead(slow_ticks(), lambda _: None, 1, 3, threading.Event(), StageClock(waits)))
    assert waits["read"] > 0.3
    assert waits["read"] > waits["detect"]
    waits = {}
    list(work_ahead(numbers_of(4), lambda _: time.sleep(0.1), 1, 3, threading.Event(), StageClock(waits)))
    assert waits["detect"] > 0.3
    assert waits["detect"] > waits["read"]


def test_seconds_of_stages_overlap_and_those_elapsed_do_not() -> None:
    class Slow(OneWalker):
        ticks_at_once = 4
        together = threading.Barrier(4)

        def detect(self, tick: Tick) -> list[Detections]:
            self.together.wait(DEADLINE_S)
            time.sleep(0.1)
            return super().detect(tick)

    walker, progress = Slow(), Progress()
    run_pipeline(
        ListedSource([tick(number, A) for number in range(1, 17)]),
        walker,
        NoCameraMotion(),
        walker,
        {A: CameraTracker(A, TrackingConfig())},
        IdentityLinker(IdentityConfig(), (A,)),
        [],
        progress,
        lambda _: None,
        60.0,
        threading.Event(),
    )
    assert progress.seconds["detect"] >= 16 * 0.1
    assert progress.elapsed_s < progress.seconds["detect"]
    assert sum(progress.waited.values()) <= progress.elapsed_s
