"""Who is where at this moment, and whether each camera is kept up with; what screens and programs show."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings

OVER_S = 10.0
"""Rates, shares and delays are those of this many last seconds."""

GONE_AFTER_S = 1.0
"""Who was not seen for longer is not there now, and was not there all the time when they come back."""


class PersonNow(NamedTuple):
    """A person in view of a camera.

    Attributes:
        identity_id: Who; 0 while nobody can tell.
        track_id: The track there.
        since_s: From when on they were in view of this camera without a break, as `Frame.time`.
        box: x1, y1, x2, y2 in pixels.
        score: Of the detection; 0 where the track coasts.
    """

    identity_id: int
    track_id: int
    since_s: float
    box: tuple[float, float, float, float]
    score: float


class CameraNow(NamedTuple):
    """How a camera does.

    Attributes:
        frames: How many were tracked since the run began.
        frames_per_second: Of those that were tracked.
        dropped: Share of the frames that came and were thrown away.
        skipped: Share of those through which tracks only coasted.
        delay_s: From the arrival of a frame to the moment when it was known who is in it, median.
        people: Who is in view.
        problem: Why it gives no frames; empty when all is well.
    """

    frames: int
    frames_per_second: float
    dropped: float
    skipped: float
    delay_s: float
    people: tuple[PersonNow, ...]
    problem: str


class _Mark(NamedTuple):
    """What was counted at one moment (``time.monotonic``)."""

    moment: float
    frames: int
    read: int
    dropped: int
    skipped: int


class CamerasNow:
    """A sink that knows what is so at this moment; others ask it, from any thread.

    Args:
        reports: Of all cameras, counted by their source.
        frames: How many frames of each were tracked in earlier parts of the run.
        is_live: Whether `Frame.time` is Unix time; else there are no delays.
    """

    def __init__(
        self,
        reports: Mapping[CameraName, CameraReport],
        frames: Mapping[CameraName, int],
        *,
        is_live: bool,
    ) -> None:
        self._reports, self._is_live = reports, is_live
        self._frames: dict[CameraName, int] = {}
        self._people: dict[CameraName, tuple[PersonNow, ...]] = {}
        self._since: dict[CameraName, dict[int, tuple[float, float]]] = {}
        self._seen: dict[CameraName, float] = {}
        self._delays: dict[CameraName, deque[tuple[float, float]]] = {}
        self._marks: dict[CameraName, deque[_Mark]] = {}
        self._lock = threading.Lock()
        for camera in reports:
            self._begin(camera, frames.get(camera, 0))

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Take the people of one frame."""
        camera, now = frame.camera, time.monotonic()
        with self._lock:
            if camera not in self._frames:
                self._begin(camera)
            self._frames[camera] += 1
            self._seen[camera] = now
            self._people[camera] = self._with_since(frame, sightings)
            if self._is_live:
                self._delays[camera].append((now, max(0.0, time.time() - frame.time)))
            if now - self._marks[camera][-1].moment >= OVER_S / 20:
                self._marks[camera].append(self._mark(camera))
                self._let_go(camera, now)  # also where nobody asks: a screen may hang for hours

    def close(self) -> None:
        """Nothing was begun."""

    def now(self) -> dict[CameraName, CameraNow]:
        """All cameras, in order."""
        with self._lock:
            for camera in [it for it in list(self._reports) if it not in self._frames]:
                self._begin(camera)
            return {camera: self._now(camera) for camera in self._frames}

    def _begin(self, camera: CameraName, frames: int = 0) -> None:
        """A camera is there, from the beginning or added since."""
        self._frames[camera], self._since[camera], self._delays[camera] = frames, {}, deque()
        self._marks[camera] = deque([self._mark(camera)])

    def _now(self, camera: CameraName) -> CameraNow:
        now, marks, delays = self._mark(camera), self._marks[camera], self._delays[camera]
        self._let_go(camera, now.moment)
        before, spent_s = marks[0], max(now.moment - marks[0].moment, 1e-9)
        read = max(now.read - before.read, 1)
        is_there = now.moment - self._seen.get(camera, -GONE_AFTER_S) <= GONE_AFTER_S
        return CameraNow(
            frames=self._frames[camera],
            frames_per_second=(now.frames - before.frames) / spent_s,
            dropped=min((now.dropped - before.dropped) / read, 1.0),
            skipped=min((now.skipped - before.skipped) / read, 1.0),
            delay_s=statistics.median(delay for _, delay in delays) if delays else 0.0,
            people=self._people.get(camera, ()) if is_there else (),
            problem=self._reports[camera].problem,
        )

    def _let_go(self, camera: CameraName, moment: float) -> None:
        """Drop marks and delays older than `OVER_S`; one older mark stays to count from."""
        marks, delays = self._marks[camera], self._delays[camera]
        while len(marks) > 1 and marks[1].moment <= moment - OVER_S:
            marks.popleft()
        while delays and delays[0][0] < moment - OVER_S:
            delays.popleft()

    def _mark(self, camera: CameraName) -> _Mark:
        report = self._reports[camera]
        return _Mark(time.monotonic(), self._frames[camera], report.read, report.dropped, report.skipped)

    def _with_since(self, frame: Frame, sightings: Sightings) -> tuple[PersonNow, ...]:
        """Who is in the frame, each with the beginning of their time in view."""
        before, known = self._since[frame.camera], dict[int, tuple[float, float]]()
        people = []
        for identity, track, box, score in zip(
            sightings.identity_ids.tolist(),
            sightings.track_ids.tolist(),
            sightings.boxes.tolist(),
            sightings.scores.tolist(),
            strict=True,
        ):
            who = identity or -track
            # Whoever was named just now was there before, as a track.
            since_s, _ = before.get(who) or before.get(-track) or (frame.time, 0.0)
            known[who] = since_s, frame.time
            people.append(PersonNow(identity, track, since_s, tuple(box), score))
        recent = {who: it for who, it in before.items() if frame.time - it[1] <= GONE_AFTER_S}
        self._since[frame.camera] = recent | known
        return tuple(people)


class Repeating:
    """Calls something again and again from a thread of its own, also while no frame comes.

    Args:
        every_s: Seconds between two calls.
        call: What; nothing is called after `close`.
    """

    def __init__(self, every_s: float, call: Callable[[], None]) -> None:
        self._every_s, self._call, self._stop = every_s, call, threading.Event()
        self._thread = threading.Thread(target=self._run, name="repeating", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it, and wait for a call that is going on."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._call()


def count_people(cameras: Mapping[CameraName, CameraNow]) -> tuple[int, int]:
    """How many different people are in view of all cameras, and how many tracks that are undecided."""
    people = [person for camera in cameras.values() for person in camera.people]
    known = {person.identity_id for person in people} - {0}
    return len(known), sum(person.identity_id == 0 for person in people)
