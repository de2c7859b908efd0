"""The loop that every frame goes through."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import numpy as np
import pytest

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from tracker.camera_motion.none import NoCameraMotion
from tracker.clock import StageClock
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.pipeline import read_ahead, steps_of, work_ahead
from tracker.stages import CameraReport
from tracker.types import CameraName, Detections, Frame, Network, Observations, State, Tick, blank_image

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
    prior: CosinePrior | None = None
    ticks_at_once = 1

    def detect(self, tick: Tick) -> list[Detections]:
        return [Detections(np.array([[f.number, 20.0, f.number + 40, 120]]), np.ones(1)) for f in tick.frames]

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
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
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> list[Observations]:
        self._embedded += 1
        return super().embed(tick, detections, needed)

    def state(self) -> State:
        return {"seen": np.array(self._seen)}


def wait_until(happened: Callable[[], bool]) -> None:
    """Let other threads work until it has happened; fail if it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def tracker_of(
    walker: OneWalker, *cameras: CameraName, clock: StageClock | None = None
) -> MultiCameraTracker:
    still = NoCameraMotion()
    return MultiCameraTracker(cameras, detector=walker, embedder=walker, camera_motion=still, clock=clock)


Seen = list[tuple[CameraName, int, list[int]]]


def run(
    source: ListedSource, stop: threading.Event | None = None
) -> tuple[Seen, dict[str, float], dict[str, float]]:
    """Camera, number and identities of each frame, in their order; seconds of the stages, and waited."""
    stop, clock, waited = stop or threading.Event(), StageClock(), StageClock()
    steps = steps_of(source, tracker_of(OneWalker(), A, B, clock=clock), stop, clock, waited)
    seen = [
        (frame.camera, frame.number, sightings[frame.camera].identity_ids.tolist())
        for tick, sightings, _ in steps
        for frame in tick.frames
    ]
    return seen, clock.seconds, waited.seconds


def test_every_frame_of_every_camera_goes_through_once_and_in_order() -> None:
    ticks = [tick(1, A, B), tick(2, A), tick(3, A, B), tick(5, B)]
    seen, seconds, waited = run(ListedSource(ticks))
    assert [(camera, number) for camera, number, _ in seen] == [
        (frame.camera, frame.number) for tick in ticks for frame in tick.frames
    ]
    assert set(seconds) == {"read", "detect", "camera motion", "embed", "track"}
    assert set(waited) == {"read", "detect"}


def test_the_same_track_number_in_two_cameras_is_two_people() -> None:
    seen, _, _ = run(ListedSource([tick(number, A, B) for number in range(1, 16)]))  # until both matured
    assert seen[-2:] == [(A, 15, [1]), (B, 15, [2])]


def test_a_step_tells_what_the_detector_remembered_at_its_tick_though_it_is_ahead() -> None:
    walker, told = Counting(), list[int]()
    source = ListedSource([tick(number, A) for number in range(1, 21)])
    clocks = StageClock(), StageClock()
    for step in steps_of(source, tracker_of(walker, A), threading.Event(), *clocks, wants_state=lambda: True):
        if len(told) < 10:
            wait_until(lambda: walker.lead > 1)
        assert step.detector is not None
        told.append(int(step.detector["seen"]))
    assert told == list(range(1, 21))


def test_stop_ends_the_run_even_while_the_source_waits() -> None:
    stop, waits = threading.Event(), threading.Event()

    class Silent(ListedSource):
        def ticks(self) -> Iterator[Tick]:
            yield tick(1, A)
            threading.Timer(0.2, stop.set).start()
            assert waits.wait(DEADLINE_S)  # set when the run has ended without it

    seen, _, _ = run(Silent([]), stop)
    waits.set()
    assert seen == [(A, 1, [0])]


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
    assert run(camera, stop)[0] == [(A, 1, [0])]


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


def test_while_no_tick_comes_whoever_takes_them_has_time_for_something_else() -> None:
    asked, taker = threading.Event(), threading.get_ident()

    def ticks() -> Iterator[Tick]:
        yield tick(1, A)
        assert asked.wait(DEADLINE_S)  # every camera is offline until somebody asked for something
        yield tick(2, A)

    def idle() -> None:
        assert threading.get_ident() == taker
        asked.set()

    ahead = work_ahead(ticks(), lambda _: None, 1, 2, threading.Event(), idle=idle)
    assert [worked.tick.frames[0].number for worked in ahead] == [1, 2]


def test_an_error_of_whoever_takes_the_steps_ends_the_threads() -> None:
    source = ListedSource([tick(number, A) for number in range(1, 100)])
    steps = steps_of(source, tracker_of(OneWalker(), A), threading.Event(), StageClock(), StageClock())
    with closing(steps):
        next(steps)  # and then the disk is full
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

    clock, waited = StageClock(), StageClock()
    source = ListedSource([tick(number, A) for number in range(1, 17)])
    began = time.monotonic()
    assert len(list(steps_of(source, tracker_of(Slow(), A), threading.Event(), clock, waited))) == 16
    elapsed_s = time.monotonic() - began
    assert clock.seconds["detect"] >= 16 * 0.1
    assert elapsed_s < clock.seconds["detect"]
    assert sum(waited.seconds.values()) <= elapsed_s
