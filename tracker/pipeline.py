"""The loop that every frame goes through, from its source to the sinks."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from tracker.camera_tracker import CameraTracker
from tracker.checkpoint import Progress
from tracker.identity import IdentityLinker
from tracker.stages import Detector, Embedder, Sink, Source
from tracker.types import CameraName, Frame, Sightings, Tick, Tracks

REST = 20
"""Between two checkpoints lies so many times what the last one took: a run of days has much to save."""


def run_pipeline(
    source: Source,
    detector: Detector,
    embedder: Embedder,
    trackers: Mapping[CameraName, CameraTracker],
    identities: IdentityLinker,
    sinks: Sequence[Sink],
    progress: Progress,
    save: Callable[[], None],
    checkpoint_s: float,
    stop: threading.Event,
) -> bool:
    """Send every tick of the source through all stages, until it ends or ``stop`` is set.

    Between two ticks every stage is at the same frame; ``save`` is called there, each
    ``checkpoint_s`` seconds and at the end, so what it saves fits together.

    Args:
        trackers: One for each camera of the source.
        progress: Where the run stands; brought up to date with every tick.
        save: Makes all that was done safe.

    Returns:
        Whether the source came to its end.
    """
    clock = StageClock(progress.seconds)
    next_save = time.monotonic() + checkpoint_s
    arriving = live_ticks(source, stop) if source.is_live else read_ahead(source.ticks(), 3, stop)
    with closing(arriving) as ticks:
        for tick in clock.of_each("read", ticks):
            with clock.of("detect"):
                detections = detector.detect(tick)
            with clock.of("track"):
                wanted = [
                    trackers[frame.camera].wanted(frame.time, found)
                    for frame, found in zip(tick.frames, detections, strict=True)
                ]
            with clock.of("embed"):
                observations = embedder.embed(tick, detections, wanted)
            for frame, seen in zip(tick.frames, observations, strict=True):
                with clock.of("track"):
                    tracks = trackers[frame.camera].update(frame.time, seen)
                    sightings = name_tracks(identities, frame, tracks)
                with clock.of("write"):
                    for sink in sinks:
                        sink.write(frame, sightings)
                progress.detections += len(seen)
                progress.embedded += int(seen.features.any(axis=1).sum())
                progress.done[frame.camera] = frame.number
                progress.frames[frame.camera] = progress.frames.get(frame.camera, 0) + 1
            if (begin := time.monotonic()) >= next_save:
                with clock.of("save"):
                    save()
                took_s = time.monotonic() - begin
                next_save = begin + took_s + max(checkpoint_s, REST * took_s)
    save()
    return not stop.is_set()


def name_tracks(identities: IdentityLinker, frame: Frame, tracks: Tracks) -> Sightings:
    """The tracks of one frame with the identities of their people, as far as they are known now."""
    identity_ids = identities.observe(frame, tracks)
    return Sightings(tracks.track_ids, identity_ids, tracks.boxes, tracks.scores)


def live_ticks(source: Source, stop: threading.Event) -> Generator[Tick, None, None]:
    """The ticks of a live source until ``stop``. Its cameras have threads of their own, and a frame
    that waits in one more place would only be older."""

    ended = threading.Event()

    def close_on_stop() -> None:
        while not ended.is_set():
            if stop.wait(0.1):
                source.close()
                return

    threading.Thread(target=close_on_stop, name="close on stop", daemon=True).start()
    try:
        yield from source.ticks()
    finally:
        ended.set()


def read_ahead(ticks: Iterator[Tick], depth: int, stop: threading.Event) -> Generator[Tick, None, None]:
    """The same ticks, read by a thread that is up to ``depth`` ticks ahead.

    Decoding goes on while the detector works, and ``stop`` ends the loop even while a
    source waits for a frame that may never come. An error of the source is raised here.
    """
    waiting: queue.Queue[Tick | BaseException | None] = queue.Queue(depth)
    given_up = threading.Event()

    def put(item: Tick | BaseException | None) -> bool:
        while not given_up.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for tick in ticks:
                if not put(tick):
                    return
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            put(error)
        else:
            put(None)

    threading.Thread(target=read, name="read-ahead", daemon=True).start()
    try:
        while not stop.is_set():
            try:
                item = waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        given_up.set()


class StageClock:
    """Adds up the seconds that each stage takes."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    @contextmanager
    def of(self, stage: str) -> Generator[None, None, None]:
        """Count the time inside the ``with`` for this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - start

    def of_each(self, stage: str, ticks: Iterator[Tick]) -> Iterator[Tick]:
        """The same ticks; counts the time spent waiting for each."""
        while True:
            with self.of(stage):
                tick = next(ticks, None)
            if tick is None:
                return
            yield tick
