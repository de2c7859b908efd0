"""People drawn over the picture: box, number, and the way they came."""

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from foundation.arrays import Image
from foundation.figures import Color
from tracker.clock import hour_of
from tracker.colors import ink_on, person_color
from tracker.sinks.blur import Blur
from tracker.types import CameraName, Frame, Sightings

TRAIL_S = 2.0
"""How far back the line behind each person goes."""

MILLISECOND = Fraction(1, 1000)


class OverlayPainter:
    """Draws the people of one camera; remembers where each was for the last `TRAIL_S` seconds."""

    def __init__(self) -> None:
        # By identity, of undecided tracks by minus their number.
        self._trails: dict[int, deque[tuple[float, int, int]]] = {}

    def paint(self, frame: Frame, sightings: Sightings) -> Image:
        """A copy of the picture with a box, a number and a trail for each person."""
        picture = np.ascontiguousarray(frame.image).copy()
        scale = max(frame.size[1] / 720, 0.5)
        thickness = max(2, round(2 * scale))
        self._remember(frame, sightings)
        keys = _trail_keys(sightings)
        for key, identity, box in zip(keys, sightings.identity_ids.tolist(), sightings.boxes, strict=True):
            color = person_color(identity)
            bgr = bgr_of(color)
            feet = np.array([(x, y) for _, x, y in self._trails[key]], np.int32)
            cv2.polylines(
                picture, [feet], isClosed=False, color=bgr, thickness=thickness, lineType=cv2.LINE_AA
            )
            # Far outside the picture OpenCV's fixed-point coordinates would overflow.
            x1, y1, x2, y2 = np.clip(box, -10_000, 20_000).round().astype(int).tolist()
            cv2.rectangle(picture, (x1, y1), (x2, y2), bgr, thickness)
            _label(picture, str(identity) if identity else "?", x1, y1, color, 0.6 * scale)
        return picture

    def _remember(self, frame: Frame, sightings: Sightings) -> None:
        for key, (x1, _, x2, y2) in zip(
            _trail_keys(sightings), np.clip(sightings.boxes, -10_000, 20_000), strict=True
        ):
            trail = self._trails.setdefault(key, deque())
            if trail and frame.time - trail[-1][0] > TRAIL_S / 4:
                trail.clear()  # no line through the time in which no camera saw the person
            trail.append((frame.time, round((x1 + x2) / 2), round(y2)))
        oldest = frame.time - TRAIL_S
        for trail in self._trails.values():
            while trail and trail[0][0] < oldest:
                trail.popleft()
        self._trails = {key: trail for key, trail in self._trails.items() if trail}


def _trail_keys(sightings: Sightings) -> list[int]:
    """Two who are undecided leave two trails, though both have identity 0."""
    identities = sightings.identity_ids
    keys: list[int] = np.where(identities == 0, -sightings.track_ids, identities).tolist()
    return keys


class OverlayVideos:
    """A sink that writes one H.264 video for each camera, ``FOLDER/CAMERA.mp4``.

    The video keeps the times of its frames. Pictures of another size than the camera's first one
    are scaled to it. A video that is cut off plays as far as it was written.

    Args:
        folder: Where to; made if it is not there.
        blur: Whose bodies are hidden in the next frame.
        hourly: One for each hour (UTC) of Unix times, ``FOLDER/CAMERA-HOUR.mp4``; what is there stays.
    """

    def __init__(self, folder: Path, blur: Callable[[], Blur] = Blur, *, hourly: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self._blur = blur
        self._folder, self._hourly = folder, hourly
        self._hours: dict[CameraName, str] = {}
        self._videos: dict[CameraName, _Video] = {}

    @property
    def files(self) -> list[Path]:
        """The videos that were begun."""
        return [video.path for video in self._videos.values()]

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Draw the people and append the picture to its camera's video."""
        frame = replace(frame, image=self._blur().apply(frame, sightings))
        hour = hour_of(frame.time) if self._hourly else ""
        if self._hours.get(frame.camera) != hour:
            if frame.camera in self._videos:
                self._videos.pop(frame.camera).close()
            self._hours[frame.camera] = hour
            self._videos[frame.camera] = _Video(self._path(frame.camera, hour), frame)
        self._videos[frame.camera].write(frame, sightings)

    def _path(self, camera: CameraName, hour: str) -> Path:
        if not hour:
            return self._folder / f"{camera}.mp4"
        number, path = 1, self._folder / f"{camera}-{hour}.mp4"
        while path.exists():  # the run went on within the hour
            number += 1
            path = self._folder / f"{camera}-{hour}-{number}.mp4"
        return path

    def close(self) -> None:
        """Finish all videos."""
        with ExitStack() as stack:  # all of them, even if one fails
            for video in self._videos.values():
                stack.callback(video.close)


class _Video:
    """One H.264 file: x264, even sides, times in milliseconds since its first frame."""

    def __init__(self, path: Path, first: Frame) -> None:
        self.path = path
        self._painter = OverlayPainter()
        self._size = (first.size[0] // 2 * 2, first.size[1] // 2 * 2)  # 4:2:0 wants even sides
        self._start, self._last = first.time, -1
        # Fragments, each written at once, so that a video that is cut off can still be played.
        options = {"movflags": "frag_keyframe+empty_moov", "flush_packets": "1"}
        self._container = av.open(str(path), "w", options=options)
        stream = self._container.add_stream("libx264", rate=1000)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        # Without B-frames a fragment needs no edit list, which empty_moov cannot hold.
        # Half the work of "veryfast" on 1080p, for a third more bytes; docs/speed.md.
        stream.options = {"preset": "superfast", "crf": "23", "g": "60", "bf": "0"}
        self._stream = stream

    def write(self, frame: Frame, sightings: Sightings) -> None:
        picture = self._painter.paint(frame, sightings)
        if frame.size != self._size:
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        # Not a copy, which would take as long as encoding; the picture is nobody else's.
        image = av.VideoFrame.from_numpy_buffer(picture, format="bgr24")
        self._last = max(self._last + 1, round((frame.time - self._start) * 1000))
        image.pts = self._last
        image.time_base = MILLISECOND
        self._container.mux(self._stream.encode(image))

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()


def bgr_of(color: Color) -> Color:
    """A colour as OpenCV takes it."""
    red, green, blue = color
    return blue, green, red


def _label(picture: Image, text: str, x: int, y: int, color: Color, size: float) -> None:
    """Write ``text`` on a plate of ``color`` that stands on the box and stays inside the picture."""
    font, thickness = cv2.FONT_HERSHEY_SIMPLEX, max(1, round(size * 2))
    (width, height), base = cv2.getTextSize(text, font, size, thickness)
    left = min(max(x, 0), max(picture.shape[1] - width - 4, 0))
    bottom = max(y, height + base + 2)
    plate = (left, bottom - height - base), (left + width + 4, bottom)
    cv2.rectangle(picture, *plate, bgr_of(color), cv2.FILLED)
    place, ink = (left + 2, bottom - base // 2 - 1), ink_on(color)
    cv2.putText(picture, text, place, font, size, ink, thickness, cv2.LINE_AA)
