"""The pictures of a run on their way to the server: only what somebody watches, on a thread of its own."""

import math
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image
from tracker.events.visits import Visit
from tracker.live.link import Link, Message
from tracker.sinks.blur import NO_BLUR, Blur
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings

WIDTHS = (320, 640, 1280)
"""Pictures are sent at these widths; one that is asked for is rounded up."""

JPEG_QUALITY = 70

MAX_PICTURES_PER_S = 15.0
"""Of one camera no more are sent: a recording may be tracked at hundreds of frames per second."""

MAX_TOLD = 256
"""Messages that wait for a server that is busy; then the oldest is lost."""

RATES_OVER_S = 10.0
"""Frames per second and the share dropped are those of this many last seconds."""


@dataclass(frozen=True, slots=True)
class Privacy:
    """What may be shown of people.

    Attributes:
        pictures: Whether any picture leaves the tracker.
        blur: Whose bodies are hidden.
    """

    pictures: bool = True
    blur: Blur = NO_BLUR


class Publisher:
    """Takes the frames of a run and sends them to whoever asked, as well as the time allows.

    `put` never waits: of each camera the newest frame waits, and takes the place of one that was not sent.
    Of each at most `MAX_PICTURES_PER_S` are sent.

    Args:
        is_live: Whether frames were taken just now, so that their delay means something.
    """

    def __init__(self, *, is_live: bool = True) -> None:
        self._is_live = is_live
        self.rates = Rates()
        self._link: Link | None = None
        self._wanted: dict[str, tuple[int, ...]] = {}
        self._privacy = Privacy()
        self._waiting: dict[CameraName, tuple[Frame, Sightings, dict[int, str]]] = {}
        self._due_s: dict[CameraName, float] = {}  # when the next of each may go, by `time.monotonic`
        self._newest: dict[CameraName, tuple[Frame, Sightings]] = {}
        self._told: deque[Message] = deque(maxlen=MAX_TOLD)
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def connect(self, link: Link | None) -> None:
        """Send to this server from now on; it has asked for nothing yet."""
        with self._changed:
            self._link, self._wanted = link, {}
            self._told.clear()

    def tell(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send something else than a picture, before the pictures that wait."""
        with self._changed:
            if self._link:
                self._told.append((header, body))
                self._changed.notify()

    def answer(self, header: Mapping[str, Any]) -> bool:
        """Do what the server asks for, where it is about pictures; whether it is."""
        match header.get("type"):
            case "want":
                self.want({camera: tuple(it) for camera, it in header["cameras"].items()})
            case "crop":
                self.tell({"type": "reply", "id": header["id"]}, self.crop(header["camera"], header["box"]))
            case "picture":
                jpeg = self.picture(header["camera"], header["width"])
                self.tell({"type": "reply", "id": header["id"]}, jpeg)
            case _:
                return False
        return True

    def want(self, widths: Mapping[str, tuple[int, ...]]) -> None:
        """Of these cameras the server wants pictures of these widths, and of no other."""
        with self._changed:
            self._wanted = {camera: tuple(sorted(set(it))) for camera, it in widths.items() if it}

    @property
    def wanted(self) -> Mapping[str, tuple[int, ...]]:
        """By camera, the widths that are wanted now."""
        with self._changed:
            return dict(self._wanted)

    def protect(self, privacy: Privacy) -> None:
        """From now on no more is shown than this."""
        with self._changed:
            self._privacy = privacy

    def put(self, frame: Frame, sightings: Sightings, visits: Mapping[int, Visit]) -> None:
        """The newest frame of a camera."""
        states = {
            person: visits[person].state if person in visits else "known"
            for person in sightings.identity_ids.tolist()
            if person
        }
        if self._is_live:
            self.rates.delayed(frame.camera, time.time() - frame.time)
        with self._changed:
            self._newest[frame.camera] = frame, sightings
            if frame.camera in self._wanted:
                if frame.camera not in self._waiting:
                    self._changed.notify()
                self._waiting[frame.camera] = frame, sightings, states

    def newest(self, camera: str) -> tuple[Frame, Sightings] | None:
        """The newest frame of a camera, with its people."""
        with self._changed:
            return self._newest.get(CameraName(camera))

    def picture(self, camera: str, width: int) -> bytes:
        """The newest frame of a camera as a JPEG; empty where there is none, or none may be shown."""
        newest = self.newest(camera)
        if newest is None or not self._privacy.pictures or newest[0].is_blank:
            return b""
        return encode(self._privacy.blur.apply(*newest), width)[0]

    def crop(self, camera: str, box: Sequence[float]) -> bytes:
        """Part of the newest frame, for a search and not to be shown; the box in shares. Empty: none."""
        newest = self.newest(camera)
        if newest is None or newest[0].is_blank:
            return b""
        frame, size = newest[0], newest[0].size
        x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, size * 2, strict=True))
        part = frame.image[max(y1, 0) : y2, max(x1, 0) : x2]
        if min(part.shape[:2]) < 1:
            return b""
        done, coded = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 95])
        assert done
        return coded.tobytes()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                camera, wait_s = self._next_picture()
                while not (self._told or camera or self._is_closed):
                    self._changed.wait(wait_s)
                    camera, wait_s = self._next_picture()
                if self._is_closed:
                    return
                told, link, privacy = list(self._told), self._link, self._privacy
                self._told.clear()
                frame = self._waiting.pop(camera) if camera else None
                widths = self._wanted.get(frame[0].camera, ()) if frame else ()
            if link is None:
                continue
            try:
                for message in told:
                    link.send(*message)
                if frame:
                    self._send(link, *frame, widths, privacy)
            except ConnectionError:
                self.connect(None)

    def _next_picture(self) -> tuple[CameraName | None, float | None]:
        """Whose picture goes now, and that counts as sent; else None, and the seconds until one does."""
        if not self._waiting:
            return None, None
        camera = min(self._waiting, key=lambda it: self._due_s.get(it, -math.inf))
        now_s, due_s = time.monotonic(), self._due_s.get(camera, -math.inf)
        if due_s > now_s:
            return None, due_s - now_s
        # A picture that comes late, as those of cameras do, brings the next one no later.
        self._due_s[camera] = max(due_s, now_s - 1 / MAX_PICTURES_PER_S) + 1 / MAX_PICTURES_PER_S
        return camera, None

    def _send(
        self,
        link: Link,
        frame: Frame,
        sightings: Sightings,
        states: Mapping[int, str],
        widths: tuple[int, ...],
        privacy: Privacy,
    ) -> None:
        is_shown = privacy.pictures and not frame.is_blank
        picture = privacy.blur.apply(frame, sightings) if is_shown else None
        rate, dropped = self.rates.of(frame.camera)
        rows = zip(
            sightings.identity_ids.tolist(),
            sightings.track_ids.tolist(),
            sightings.scores.tolist(),
            strict=True,
        )
        people = [(person, track, round(score, 2)) for person, track, score in rows]
        for width in widths:
            jpeg, size = encode(picture, width) if picture is not None else (b"", fit(frame.size, width))
            scale = size[0] / frame.size[0], size[1] / frame.size[1]
            header: dict[str, Any] = {
                "type": "frame",
                "camera": frame.camera,
                "asked": width,
                "tick": frame.number,
                "time": frame.time,
                "width": size[0],
                "height": size[1],
                "boxes": _boxes(people, sightings.boxes, scale, states),
                "fps": rate,
                "dropped": dropped,
                "delay_s": round(max(time.time() - frame.time, 0.0), 3) if self._is_live else None,
            }
            link.send(header, jpeg)


class Rates:
    """Frames per second and drops of each camera, over the last `RATES_OVER_S` seconds."""

    def __init__(self) -> None:
        self._marks: dict[str, deque[tuple[float, int, int]]] = {}
        self._delays: dict[str, float] = {}

    def count(self, now_s: float, reports: Mapping[CameraName, CameraReport]) -> None:
        """Look at the counters of all cameras; once a second or so."""
        for camera, report in reports.items():
            marks = self._marks.setdefault(camera, deque())
            marks.append((now_s, report.read, report.dropped + report.skipped))
            while len(marks) > 2 and marks[0][0] < now_s - RATES_OVER_S:
                marks.popleft()

    def delayed(self, camera: str, seconds: float) -> None:
        """A frame of a camera was tracked so long after it was taken."""
        self._delays[camera] = max(seconds, 0.0)

    def delay_of(self, camera: str) -> float:
        """How long after it was taken the newest frame of a camera was tracked; 0 where there is none."""
        return round(self._delays.get(camera, 0.0), 3)

    def of(self, camera: str) -> tuple[float, float]:
        """Frames per second that were looked at, and the share of frames that was dropped or skipped."""
        marks = self._marks.get(camera)
        if marks is None or len(marks) < 2:
            return 0.0, 0.0
        spent, read, dropped = (last - first for first, last in zip(marks[0], marks[-1], strict=True))
        if not read or spent <= 0:
            return 0.0, 0.0
        return round((read - dropped) / spent, 1), round(dropped / read, 3)


def fit(size: tuple[int, int], width: int) -> tuple[int, int]:
    """Width and height of a picture of ``size`` that is at most so wide."""
    width = min(width, size[0])
    return width, max(round(size[1] * width / size[0]), 1)


def encode(image: Image | None, width: int) -> tuple[bytes, tuple[int, int]]:
    """A picture (H, W, 3) as JPEG, at most so wide; and its size."""
    if image is None:
        return b"", (0, 0)
    size = fit((image.shape[1], image.shape[0]), width)
    if size[0] != image.shape[1]:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    done, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done  # OpenCV refuses only empty pictures
    return coded.tobytes(), size


def _boxes(
    people: list[tuple[int, int, float]],
    boxes: FloatArray,
    scale: tuple[float, float],
    states: Mapping[int, str],
) -> list[dict[str, Any]]:
    scaled = (boxes * (*scale, *scale)).round(1).tolist()
    return [
        {
            "person": person or None,
            "state": states[person] if person else "undecided",
            "track": track,
            "box": box,
            "score": score,
        }
        for (person, track, score), box in zip(people, scaled, strict=True)
    ]
