"""Live cameras -> ticks: a thread for each camera, and a place where its newest frames wait."""

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from foundation.arrays import Image
from tracker.config import LiveConfig
from tracker.sources.addresses import Camera, Kind
from tracker.sources.streams import LostError, RefusedError, receive_pictures
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Tick

logger = logging.getLogger(__name__)

MIN_STEP_S = 0.001
"""Between the times of two frames of one camera, at least."""
MAX_SKIPPED = 16
"""Frames of one camera that wait for the tracks to coast through them; of more the oldest is dropped."""
CLOSE_WAIT_S = 0.5
"""How long ``close`` waits for the reading threads, all together."""


class LiveSource:
    """Live cameras, none of which can stop or delay another. See ``open_source`` for the arguments.

    The threads start with ``ticks``. Each waits inside FFmpeg or OpenCV, which cannot be woken, so
    ``close`` tells them to end, waits for `CLOSE_WAIT_S` at most, and leaves one that hangs in a
    silent connection to end at its own timeout; it gives no more frames. A program that is at its
    end waits for that timeout: FFmpeg asks the interpreter ten times a second whether to wait on, and
    an interpreter that is gone cannot be asked.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        config: LiveConfig,
        health: Mapping[CameraName, Mapping[str, int]] | None = None,
    ) -> None:
        self._config = config
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._feeds = [Feed(camera, config, self._changed, self._stop) for camera in cameras]
        self._reports = {feed.camera.name: feed.report for feed in self._feeds}
        self._is_started = False
        for feed in self._feeds:
            for name, count in (health or {}).get(feed.camera.name, {}).items():
                setattr(feed.report, name, count)

    @property
    def reports(self) -> Mapping[CameraName, CameraReport]:
        """One report for each camera, in order; those that are added come to it."""
        return self._reports

    @property
    def is_live(self) -> bool:
        return True

    def ticks(self) -> Iterator[Tick]:
        """What waits of each camera, as soon as one has a frame and no other's is due at once.

        Frames that made way for newer ones come first, where they are not dropped, in ticks that are skipped.
        Ends when it is closed, or when no camera will give a frame any more.
        """
        atexit.register(self._close_before_exit)
        with self._changed:
            self._is_started = True
            for feed in self._feeds:
                feed.start()
        while waiting := self._wait_for_frames():
            is_skipped, frames = waiting
            yield Tick(min(frame.time for frame in frames), tuple(frames), is_skipped)

    def add(self, camera: Camera) -> None:
        """Read one more; the others go on."""
        with self._changed:
            feed = Feed(camera, self._config, self._changed, self._stop)
            self._feeds.append(feed)
            self._reports[camera.name] = feed.report
            if self._is_started:
                feed.start()

    def pause(self, camera: CameraName, *, paused: bool) -> None:
        """Give no frames of this camera until it goes on; the connection stays, the others go on."""
        with self._changed:
            for feed in self._feeds:
                if feed.camera.name == camera:
                    feed.is_paused = paused

    def close(self) -> None:
        """Tell all threads to end."""
        if self._end_threads(CLOSE_WAIT_S):
            atexit.unregister(self._close_before_exit)

    def _close_before_exit(self) -> None:
        self._end_threads(self._config.open_timeout_s + self._config.read_timeout_s)

    def _end_threads(self, wait_s: float) -> bool:
        """Tell all threads to end and wait for them, together at most this long; whether all have ended."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        deadline = time.monotonic() + wait_s
        for feed in self._feeds:
            feed.join(deadline - time.monotonic())
        return not any(feed.is_reading for feed in self._feeds)

    def _wait_for_frames(self) -> tuple[bool, list[Frame]] | None:
        """The oldest waiting frame of each camera that has one, and whether they made way for newer ones;
        None when there will be none."""
        with self._changed:
            while not self._stop.is_set():
                if skipped := [frame for feed in self._feeds if (frame := feed.take_skipped()) is not None]:
                    return True, skipped
                waiting = [feed.oldest_arrival_s for feed in self._feeds if feed.oldest_arrival_s is not None]
                if not waiting and all(feed.is_over for feed in self._feeds):
                    break
                deadline_s = min(waiting, default=float("inf")) + self._config.max_tick_wait_s
                left_s = deadline_s - time.monotonic()
                if waiting and (left_s <= 0 or not any(feed.is_due(deadline_s) for feed in self._feeds)):
                    return False, [frame for feed in self._feeds if (frame := feed.take()) is not None]
                self._changed.wait(left_s if waiting else None)
        return None


class Feed:
    """Reads one live camera on a thread of its own, connecting again whenever it is lost.

    What other threads may touch is guarded by ``changed``, and ``changed`` is notified of it.
    """

    def __init__(
        self, camera: Camera, config: LiveConfig, changed: threading.Condition, stop: threading.Event
    ) -> None:
        self.camera, self.report, self.is_over = camera, CameraReport(), False
        self.is_paused = False
        self._config, self._changed, self._stop = config, changed, stop
        self._waiting = deque[tuple[float, Frame]]()
        self._skipped = deque[Frame]()  # those that made way, older than all that wait
        self._latest_s = self._period_s = 0.0  # of this connection; 0 when not known yet
        self._last_time_s = 0.0  # of all frames so far, Unix time
        self._unix_offset_s = time.time() - time.monotonic()  # so that a clock that is set moves no frame
        # A daemon: its source ends it when the program ends, and it must not keep alive one that fails.
        self._thread = threading.Thread(target=self._run, name=f"camera {camera.name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def is_reading(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end, if it was started, at most this long."""
        if self.is_reading:
            self._thread.join(max(0.0, timeout_s))

    @property
    def oldest_arrival_s(self) -> float | None:
        """When the oldest waiting frame arrived (``time.monotonic``); None when none waits."""
        return self._waiting[0][0] if self._waiting else None

    def take(self) -> Frame | None:
        """The oldest waiting frame, which waits no longer."""
        return self._waiting.popleft()[1] if self._waiting else None

    def take_skipped(self) -> Frame | None:
        """The oldest frame that made way for a newer one, and was not dropped."""
        return self._skipped.popleft() if self._skipped else None

    def is_due(self, deadline_s: float) -> bool:
        """Whether a frame is likely to come by then; not of a camera that is late, lost or unknown."""
        if self._waiting or not self._period_s:
            return False
        is_overdue = time.monotonic() > self._latest_s + 2 * self._period_s
        return self._latest_s + self._period_s <= deadline_s and not is_overdue

    def _run(self) -> None:
        attempt, pause_s = 0, self._config.first_pause_s
        while not self._stop.is_set():
            first_s: float | None = None
            try:
                with closing(receive_pictures(self.camera, self._config, self._stop)) as pictures:
                    for arrived_s, image in pictures:
                        if self._stop.is_set():
                            return
                        if first_s is None:
                            first_s = arrived_s
                            self._begin()
                        self._put(arrived_s, image)
                self._end("")
                return
            except RefusedError as error:
                # Many cameras lock an account after a few wrong passwords, so a typo is not tried again.
                if not self.report.read:
                    self._end(f"{self._where}: {error}; correct it and start again")
                    return
                reason, pause_s = str(error), self._config.max_pause_s
            except LostError as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001  (a broken camera must never end the others)
                text = str(error).replace(self.camera.address, self.camera.shown)
                reason = f"unexpected {type(error).__name__}: {text}"
            if first_s is not None and time.monotonic() - first_s > pause_s:
                attempt, pause_s = 0, self._config.first_pause_s
            attempt += 1
            self._lose(f"{self._where}: {reason}, reconnecting in {pause_s:.1f} s (attempt {attempt})")
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, self._config.max_pause_s)

    @property
    def _where(self) -> str:
        """The camera, and until it has given a frame its address too."""
        is_known = self.report.read or self.camera.kind is Kind.WEBCAM
        return f"camera {self.camera.name!r}" + ("" if is_known else f" ({self.camera.shown})")

    def _begin(self) -> None:
        """The first frame of a connection is here."""
        with self._changed:
            if self.report.read:
                self.report.reconnects += 1
            if self.report.problem:
                logger.warning("camera %r: gives frames again", self.camera.name)
            self.report.problem = ""
            self._latest_s = self._period_s = 0.0

    def _put(self, arrived_s: float, image: Image) -> None:
        with self._changed:
            if self.is_paused:
                self._latest_s = self._period_s = 0.0  # no tick waits for it
                return
            self.report.read += 1
            if len(self._waiting) == self._config.queue_frames:
                self._make_way(self._waiting.popleft()[1])
            # Several pictures may come out of one packet; trackers need times that rise.
            time_s = self._last_time_s = max(self._unix_offset_s + arrived_s, self._last_time_s + MIN_STEP_S)
            self._waiting.append((arrived_s, Frame(self.camera.name, self.report.read, time_s, image)))
            if self._latest_s:
                gap_s = arrived_s - self._latest_s
                self._period_s += (gap_s - self._period_s) * (0.1 if self._period_s else 1)
            self._latest_s = arrived_s
            self._changed.notify_all()

    def _make_way(self, frame: Frame) -> None:
        if self._config.overload != "skip":
            self.report.dropped += 1
            return
        self._skipped.append(frame)
        self.report.skipped += 1
        if len(self._skipped) > MAX_SKIPPED:
            self._skipped.popleft()
            self.report.skipped -= 1
            self.report.dropped += 1

    def _lose(self, problem: str) -> None:
        with self._changed:
            self.report.problem = problem
            self._period_s = 0.0
        if not self._stop.is_set():
            logger.warning(problem)

    def _end(self, problem: str) -> None:
        """No frame will come any more."""
        with self._changed:
            self.report.problem, self.is_over = problem, True
            self._changed.notify_all()
        if problem:
            logger.error(problem)
