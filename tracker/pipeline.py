"""The loop that every frame goes through, from its source to the sinks.

Three kinds of threads work at once: one reads, as many as the detector allows look for people, and the one
that called does the rest, tick by tick in their order. So the result is the same to the last bit as one after
the other; `seconds` of the stages overlap, and `Progress.waited` says what held the run up.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from tracker.camera_tracker import CameraTracker
from tracker.checkpoint import Progress
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.stages import CameraMotion, Detector, Embedder, Sink, Source
from tracker.types import CameraName, Detections, Frame, Sightings, State, Tick, Tracks

REST = 20
"""Between two checkpoints lies so many times what the last one took: a run of days has much to save."""
READ_AHEAD = 2
"""Ticks of a recording that wait, decoded, for the detector. Of a live source none does: it would get old."""

T = TypeVar("T")


def run_pipeline(
    source: Source,
    detector: Detector,
    camera_motion: CameraMotion,
    embedder: Embedder,
    trackers: Mapping[CameraName, CameraTracker],
    identities: IdentityLinker,
    sinks: Sequence[Sink],
    progress: Progress,
    save: Callable[[State], None],
    checkpoint_s: float,
    stop: threading.Event,
) -> bool:
    """Send every tick of the source through all stages, until it ends or ``stop`` is set.

    Between two ticks every stage but the detector is at the same frame, and of the detector it is known what
    it remembered there; ``save`` is called then, each ``checkpoint_s`` seconds and at the end, so what it
    saves fits together. After ``stop`` the ticks that the detector has begun are finished.

    Args:
        camera_motion: Of all cameras.
        trackers: One for each camera of the source.
        progress: Where the run stands; brought up to date with every tick.
        save: Makes all that was done safe; gets the detector's state, since the detector may be ahead.

    Returns:
        Whether the source came to its end.
    """
    clock, waited = StageClock(progress.seconds), dict[str, float]()
    # When this tick began; none is known of the first one, which waits for cameras and models.
    began: float | None = None
    checkpoints = _Checkpoints(save, checkpoint_s)

    def detect(tick: Tick) -> tuple[Sequence[Detections], State | None]:
        detections = detector.detect(tick)
        return detections, detector.state() if checkpoints.is_due() else None

    waiting = detector.ticks_at_once + (0 if source.is_live else READ_AHEAD)
    with ExitStack() as stack:
        if source.is_live:
            stack.callback(source.close)  # last, so that a thread that waits for a camera comes to its end
        ahead = work_ahead(source.ticks(), detect, detector.ticks_at_once, waiting, stop, StageClock(waited))
        for tick, (detections, state), read_s, detect_s in stack.enter_context(closing(ahead)):
            clock.add("read", read_s)
            clock.add("detect", detect_s)
            with clock.of("camera motion"):
                motions = [
                    camera_motion.estimate(frame, found.boxes)
                    for frame, found in zip(tick.frames, detections, strict=True)
                ]
            with clock.of("track"):
                candidates, needed = [], []
                for frame, found, motion in zip(tick.frames, detections, motions, strict=True):
                    tracker = trackers[frame.camera]
                    candidates.append(tracker.compare(tracker.predict(frame.time, motion), found))
                    needed.append(tracker.needs_embedding(candidates[-1]))
            with clock.of("embed"):
                observations = embedder.embed(tick, detections, needed)
            for frame, compared, seen in zip(tick.frames, candidates, observations, strict=True):
                with clock.of("track"):
                    tracks, coasting = trackers[frame.camera].update(compared, seen)
                    sightings = name_tracks(identities, frame, tracks, coasting)
                with clock.of("write"):
                    for sink in sinks:
                        sink.write(frame, sightings)
                progress.detections += len(seen)
                progress.embedded += int(seen.features.any(axis=1).sum())
                progress.done[frame.camera] = frame.number
                progress.frames[frame.camera] = progress.frames.get(frame.camera, 0) + 1
            if began is not None:
                progress.elapsed_s += time.monotonic() - began
                for stage, seconds in waited.items():
                    progress.waited[stage] = progress.waited.get(stage, 0.0) + seconds
            began = time.monotonic()
            waited.clear()
            if state is not None and checkpoints.is_due():
                with clock.of("save"):
                    checkpoints.make(state)
    save(detector.state())  # it is not ahead any more
    return not stop.is_set()


def name_tracks(identities: IdentityLinker, frame: Frame, tracks: Tracks, coasting: Tracks) -> Sightings:
    """The people of one frame with their identities, as far as they are known now.

    Whose track is coasting, and is there as another track too, is there once: as seen, if they are.
    """
    seen_ids = identities.observe(frame, tracks)
    identity_ids = np.concatenate((seen_ids, identities.table.lookup(frame.camera, coasting.track_ids)))
    is_kept = identity_ids == UNDECIDED
    is_kept[np.unique(identity_ids, return_index=True)[1]] = True  # the first of each
    return Sightings(
        np.concatenate((tracks.track_ids, coasting.track_ids)),
        identity_ids,
        np.concatenate((tracks.boxes, coasting.boxes)),
        np.concatenate((tracks.scores, coasting.scores)),
    )[is_kept]


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
    waits: "StageClock | None" = None,
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
    """
    waits = waits or StageClock({})
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
    while not items.empty():  # nobody else takes any
        taken.append(items.get())
    return taken


class _Checkpoints:
    """Knows when the next checkpoint is due."""

    def __init__(self, save: Callable[[State], None], every_s: float) -> None:
        self._save, self._every_s = save, every_s
        self._due = time.monotonic() + every_s

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def make(self, detector: State) -> None:
        begin = time.monotonic()
        self._save(detector)
        took_s = time.monotonic() - begin
        self._due = begin + took_s + max(self._every_s, REST * took_s)


class StageClock:
    """Adds up the seconds for which each stage is at work; stages overlap."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    @contextmanager
    def of(self, stage: str) -> Generator[None, None, None]:
        """Count the time inside the ``with`` for this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count so many seconds for this stage."""
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
