"""The threads of a run: ticks are read, and people detected in them, while earlier ones are tracked.

Three kinds of threads work at once: one reads, as many as the detector allows detect people, and the one
that called does the rest, tick by tick in their order. So the result is the same to the last bit as one after
the other; `seconds` of the stages overlap, and ``waited`` says what held the run up.
"""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Generic, NamedTuple, TypeVar

from tracker.clock import StageClock
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.stages import CameraReport, Resizable, Source
from tracker.types import CameraName, Detections, Sightings, State, Tick

logger = logging.getLogger(__name__)

READ_AHEAD = 2
"""Ticks of a recording that wait, decoded, for the detector. Of a live source none does: it would get old."""

SHARES = (1.0, 0.75, 0.5)
"""Of the full size, the pictures that people are looked for in."""

LOOK_EVERY_S = 2.0
"""Whether frames are dropped is looked at this often."""

MAX_DROPPED = 0.02
"""Of more than this share the pictures become smaller."""

CALM_S = 30.0
"""After so long without a drop they become larger; twice as long each time that this was too early."""

T = TypeVar("T")


class Step(NamedTuple):
    """A tick that went through all stages.

    Attributes:
        tick: Its frames.
        sightings: The people of each of its cameras.
        detector: What the detector remembered after this tick, where it was asked for: it may be ahead.
    """

    tick: Tick
    sightings: Mapping[str, Sightings]
    detector: State | None


class PictureSizes:
    """Lets the detector look at smaller pictures while frames are dropped, at larger ones when none was."""

    def __init__(self, detector: Resizable, reports: Mapping[CameraName, CameraReport]) -> None:
        self._detector, self._reports = detector, reports
        self._place, self._calm_s = 0, CALM_S
        self._looked = self._dropped_at = time.monotonic()
        self._larger_at = -math.inf
        self._before = self._counts()

    def adapt(self) -> None:
        """Look whether it is time for another size; called before each tick."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        read, dropped = (new - old for new, old in zip(self._counts(), self._before, strict=True))
        self._looked, self._before = now, self._counts()
        if dropped:
            self._dropped_at = now
        if dropped > MAX_DROPPED * read and self._place + 1 < len(SHARES):
            if now - self._larger_at < CALM_S:
                self._calm_s, self._larger_at = 2 * self._calm_s, -math.inf
            self._resize(self._place + 1)
        elif self._place and now - self._dropped_at >= self._calm_s:
            self._larger_at = self._dropped_at = now
            self._resize(self._place - 1)

    def _resize(self, place: int) -> None:
        self._place = place
        self._detector.resize(SHARES[place])
        logger.warning("people are looked for in pictures of %.0f %% of the full size", 100 * SHARES[place])

    def _counts(self) -> tuple[int, int]:
        reports = list(self._reports.values())  # others are added by another thread
        return sum(report.read for report in reports), sum(report.dropped for report in reports)


def steps_of(
    source: Source,
    tracker: MultiCameraTracker,
    stop: threading.Event,
    clock: StageClock,
    waited: StageClock,
    wants_state: Callable[[], bool] = lambda: False,
    sizes: PictureSizes | None = None,
    idle: Callable[[], None] = lambda: None,
) -> Generator[Step, None, None]:
    """Send every tick of the source through the tracker, until it ends or ``stop`` is set.

    Between two steps every stage but the detector is at the same frame. After ``stop`` the ticks that the
    detector has begun are finished.

    Args:
        clock: Counts for how long the source and the detector are at work; the tracker counts the rest.
        waited: Counts for how long the steps stood still, and for which of the two.
        wants_state: Whether `Step.detector` is asked for; called when people were just found in a tick.
        sizes: Which size the detector's pictures have; None: always the full one.
        idle: As in `work_ahead`.
    """
    detector = tracker.detector

    def detect(tick: Tick) -> tuple[Sequence[Detections], State | None]:
        if sizes is not None:
            sizes.adapt()
        detections = () if tick.is_skipped else detector.detect(tick)
        return detections, detector.state() if wants_state() else None

    waiting = detector.ticks_at_once + (0 if source.is_live else READ_AHEAD)
    with ExitStack() as stack:
        if source.is_live:
            stack.callback(source.close)  # last, so that a thread that waits for a camera comes to its end
        ahead = work_ahead(source.ticks(), detect, detector.ticks_at_once, waiting, stop, waited, idle)
        for tick, (detections, state), read_s, detect_s in stack.enter_context(closing(ahead)):
            clock.add("read", read_s)
            clock.add("detect", detect_s)
            seen = tracker.coast(tick) if tick.is_skipped else tracker.follow(tick, detections)
            yield Step(tick, seen, state)


class Worked(NamedTuple, Generic[T]):
    """A tick, what was made of it, and how long reading it and making that took, in seconds."""

    tick: Tick
    result: T
    read_s: float
    work_s: float


def work_ahead(
    ticks: Iterator[Tick],
    work: Callable[[Tick], T],
    at_once: int,
    depth: int,
    stop: threading.Event,
    waits: StageClock | None = None,
    idle: Callable[[], None] = lambda: None,
) -> Generator[Worked[T], None, None]:
    """The ticks in their order with what ``work`` makes of each, while later ones are read and worked on.

    A tick is read only when there is room for it, so no more than ``depth`` are read and not yet given out.
    ``stop`` ends it even while the source waits for a frame that may never come; ticks whose work has begun
    are given out then, others are not worked on. An error of the source or of ``work`` is raised here, after
    the ticks before it.

    Args:
        ticks: Read by a thread of its own.
        work: Called in threads of its own; with ``at_once`` 1 in the order of the ticks, one by one.
        at_once: In how many threads.
        depth: At least ``at_once``.
        waits: Counts for how long whoever takes the ticks had to wait for ``read`` and for ``detect``.
        idle: Called again and again while no tick comes, by whoever takes them.
    """
    waits = waits or StageClock()
    begun: queue.SimpleQueue[Future[Worked[T]] | None] = queue.SimpleQueue()
    room, lock, is_over = threading.Semaphore(depth), threading.Lock(), threading.Event()
    workers = ThreadPoolExecutor(at_once, thread_name_prefix="work-ahead")

    def timed_work(tick: Tick, read_s: float) -> Worked[T]:
        start = time.perf_counter()
        result = work(tick)
        return Worked(tick, result, read_s, time.perf_counter() - start)

    def read() -> None:
        end: Future[Worked[T]] | None = None
        try:
            while not is_over.is_set():
                if not room.acquire(timeout=0.1):
                    continue
                start = time.perf_counter()
                tick = next(ticks, None)
                read_s = time.perf_counter() - start
                with lock:
                    if tick is None or is_over.is_set():
                        break
                    begun.put(workers.submit(timed_work, tick, read_s))
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            end = Future()
            end.set_exception(error)
        begun.put(end)

    threading.Thread(target=read, name="read-ahead", daemon=True).start()
    try:
        while not stop.is_set():
            with waits.of("read"):
                try:
                    future = begun.get(timeout=0.1)
                except queue.Empty:
                    idle()
                    continue
            if future is None:
                return
            with waits.of("detect"):
                worked = future.result()
            room.release()
            yield worked
        with lock:
            is_over.set()
        left = [future for future in _drain(begun) if future is not None]
        for future in reversed(left):  # from the last on, so that those which were begun are the first ones
            future.cancel()
        for future in left:
            if not future.cancelled():
                yield future.result()
    finally:
        with lock:
            is_over.set()
        workers.shutdown(cancel_futures=True)


def read_ahead(ticks: Iterator[Tick], depth: int, stop: threading.Event) -> Generator[Tick, None, None]:
    """The same ticks, read by a thread that is up to ``depth`` ticks ahead; see `work_ahead`."""
    with closing(work_ahead(ticks, lambda _: None, 1, depth, stop)) as ahead:
        for worked in ahead:
            yield worked.tick


def _drain(items: "queue.SimpleQueue[T]") -> list[T]:
    taken = []
    while not items.empty():  # no other thread takes any
        taken.append(items.get())
    return taken
