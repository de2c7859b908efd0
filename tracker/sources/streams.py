"""One live camera, connected once -> pictures as they arrive. What comes after a loss is not decided here."""

import os
import sys
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from foundation.arrays import Image
from foundation.video import ImageConverter
from tracker.config import LiveConfig
from tracker.sources.addresses import Camera, Kind

RTSP_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP every lost packet smears the picture
    # Without these FFmpeg holds back about a second of frames when it connects, to look at the format.
    "fpsprobesize": "0",
    "probesize": "32",
}


class LostError(Exception):
    """A live camera could not be opened, or gives no more frames; the message says why, without address."""


class RefusedError(LostError):
    """The camera does not accept the user name or password."""


def receive_pictures(
    camera: Camera, config: LiveConfig, stop: threading.Event
) -> Generator[tuple[float, Image], None, None]:
    """Connect, then give each picture with the moment it arrived (``time.monotonic``).

    Ends when a recording at an http address has come to its end. No step takes much longer than
    the timeouts of ``config``, whatever the camera does.

    Args:
        stop: Cuts short what can be cut short; FFmpeg's own waiting cannot.

    Raises:
        LostError: Whatever else ended it.
    """
    return _receive_webcam(camera) if camera.kind is Kind.WEBCAM else _receive_stream(camera, config, stop)


def _receive_stream(
    camera: Camera, config: LiveConfig, stop: threading.Event
) -> Generator[tuple[float, Image], None, None]:
    is_rtsp = urlsplit(camera.address).scheme.lower() in ("rtsp", "rtsps")
    container = _connect(camera.address, RTSP_OPTIONS if is_rtsp else {}, config)
    with container:
        if not container.streams.video:
            raise LostError("it sends no pictures")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # each further thread would hold back one more frame
        is_recording = not is_rtsp and container.duration is not None
        pace = Pace(stop) if is_recording or container.format.name in ("hls", "dash") else None
        converter = ImageConverter()
        latest = time.monotonic()
        try:
            # All streams: a camera may go on sending sound when its pictures have stopped.
            for packet in container.demux():
                arrived = time.monotonic()
                for picture in _decode(stream, packet) if packet.stream is stream else ():
                    if pace and picture.pts is not None:
                        arrived = pace.wait_for(picture.time)
                    yield arrived, converter.convert(picture)
                    latest = time.monotonic()
                if time.monotonic() - latest > config.read_timeout_s:
                    raise _silence(config)
        except av.ExitError:
            raise _silence(config) from None
        except av.FFmpegError as error:
            raise LostError(f"the connection is lost ({error.strerror})") from None
    if not is_recording:
        raise LostError("the stream has ended")


def _connect(address: str, options: dict[str, str], config: LiveConfig) -> InputContainer:
    try:
        return av.open(
            address,
            options=options,
            timeout=(config.open_timeout_s, config.read_timeout_s),
            metadata_errors="replace",
        )
    except (av.HTTPUnauthorizedError, av.HTTPForbiddenError):
        raise RefusedError("the user name or password is refused") from None
    except av.ExitError:
        raise LostError(f"no answer for {config.open_timeout_s:.1f} s") from None
    except (av.FFmpegError, OSError) as error:  # its text would show the address
        raise LostError(f"it cannot be opened ({error.strerror or type(error).__name__})") from None


def _decode(stream: VideoStream, packet: "av.Packet[Any]") -> Sequence[av.VideoFrame]:
    """The pictures that a packet completes; none if it is damaged."""
    try:
        return stream.decode(packet)
    except av.InvalidDataError:
        return []


def _silence(config: LiveConfig) -> LostError:
    return LostError(f"no frame for {config.read_timeout_s:.1f} s")


def _receive_webcam(camera: Camera) -> Generator[tuple[float, Image], None, None]:
    device = f"/dev/video{int(camera.address)}"
    if sys.platform == "linux" and not os.path.exists(device):
        raise LostError(f"there is no {device}")
    # OpenCV, not PyAV: it takes a plain number on Linux, macOS and Windows alike.
    capture = cv2.VideoCapture(int(camera.address))
    try:
        if not capture.isOpened():
            raise LostError("it cannot be opened; does another program use it?")
        while True:
            is_good, image = capture.read()
            if not is_good:
                raise LostError("it gives no more frames")
            yield time.monotonic(), np.asarray(image, np.uint8)
    finally:
        capture.release()


class Pace:
    """Holds pictures back until they are due.

    Servers send recordings and HLS segments as fast as the network carries them; taken as they
    arrive, most would be dropped, and their times would be wrong.
    """

    MAX_LATE_S = 1.0
    MAX_EARLY_S = 10.0
    """A picture further off than this starts a new count: the stream has paused or jumped."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._start: float | None = None

    def wait_for(self, shown_s: float) -> float:
        """Wait until the picture of this stream time is due; the moment it is then."""
        now = time.monotonic()
        if self._start is None or not -self.MAX_LATE_S < self._start + shown_s - now < self.MAX_EARLY_S:
            self._start = now - shown_s
        self._stop.wait(max(0.0, self._start + shown_s - now))
        return time.monotonic()
