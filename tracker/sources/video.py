"""One video file -> frames with their real times."""

import math
import os
import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from foundation.passwords import mask_password
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera
from tracker.stages import CameraReport
from tracker.types import Frame, Image, blank_image

SKIPPED = blank_image(1, 1)
"""The picture of a frame that an earlier run has finished with: nobody looks at it."""
END_SLACK_S = 1.0
"""A file that tells its duration but no number of frames may end this much before it: the last
frame of a recording may stay for long."""


class UnreadableError(Exception):
    """A camera cannot be read; the message goes to its report."""


class ImageConverter:
    """Decoded pictures -> upright BGR arrays, as OpenCV gives them."""

    def __init__(self) -> None:
        # Kept from frame to frame; one thread, since starting more costs more than they save.
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame) -> Image:
        """(H, W, 3) BGR, turned as the video's display matrix asks (phones film on their side)."""
        image = np.asarray(
            self._reformatter.reformat(frame, format="bgr24", threads=1).to_ndarray(), np.uint8
        )
        quarters = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90 turns
        return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


class VideoReader:
    """Decodes one video file, on this machine or behind an http address.

    Args:
        done: Frames up to this number are given without their pictures.
        files: How many files are read at once, to share the processor among their decoders.

    Raises:
        UnreadableError: It cannot be opened as a video.
    """

    def __init__(self, camera: Camera, config: SourceConfig, done: int, files: int) -> None:
        self.report = CameraReport()
        self._camera, self._done = camera, done
        self._place = mask_password(camera.address)
        self._read_timeout_s = config.live.read_timeout_s
        self._is_remote = is_remote = "://" in camera.address
        if not is_remote and not os.path.getsize(camera.address):
            raise UnreadableError(f"{self._place}: is empty")
        try:
            self._container = av.open(
                camera.address if is_remote else f"file:{camera.address}",
                timeout=(config.live.open_timeout_s, config.live.read_timeout_s) if is_remote else None,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror or type(error).__name__
            raise UnreadableError(f"{self._place}: cannot be read as a video ({reason})") from None
        if not self._container.streams.video:
            self._container.close()
            raise UnreadableError(f"{self._place}: has no pictures")
        self._stream = self._container.streams.video[0]
        # Fewer than two would leave all decoding to the one thread that asks for frames.
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = max(2, math.ceil((os.cpu_count() or 1) / files))
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        self.frame_period_s = 1 / (rate if 0 < rate <= 1000 else config.image_frame_rate)
        self._is_avi = self._container.format.name == "avi"
        # AVI counts chunks, of which those that repeat a frame are empty.
        self._stated_frames = 0 if self._is_avi else self._stream.frames
        self._stated_s = _stated_duration_s(self._container, self._stream, self._is_avi)
        self.report.expected_frames = self._stated_frames or round(self._stated_s / self.frame_period_s)

    def frames(self) -> Iterator[Frame]:
        """All frames that can be read; says in the report if that is not all there should be."""
        converter = ImageConverter()
        clock = FrameClock(self._stream.time_base, self.frame_period_s)
        decoding_times = deque[int | None]()
        time, number, packets, is_damaged, reason = 0.0, 0, 0, False, ""
        try:
            for packet in self._container.demux(self._stream):
                if packet.size > 0:
                    packets += 1
                    decoding_times.append(packet.dts)
                try:
                    for picture in packet.decode():
                        # AVI says when frames are decoded: right in order, but not by frame.
                        decoded = decoding_times.popleft() if decoding_times else None
                        time = clock.time_of(decoded if self._is_avi else picture.pts)
                        number += 1
                        image = converter.convert(picture) if number > self._done else SKIPPED
                        yield Frame(self._camera.name, number, time, image)
                except av.InvalidDataError:
                    is_damaged = True
        except av.ExitError:
            reason = f" (no data for {self._read_timeout_s:g} s)"
        except av.FFmpegError as error:
            reason = f" ({error.strerror})"
        if self._stated_frames:
            ends_early = packets < self._stated_frames  # an edit list may hide frames, never packets
        else:
            ends_early = time + 2 * self.frame_period_s + END_SLACK_S < self._stated_s
        if not number or ends_early or is_damaged or reason:
            expected = self.report.expected_frames
            count = f"only {number} of {expected} frames" if number < expected else f"only {number} frames"
            self.report.can_go_on = self._is_remote and bool(reason)
            cause = "the connection was lost" if self.report.can_go_on else "it is cut off or damaged"
            self.report.problem = f"{self._place}: {count} could be read{reason}; {cause}"

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()


class FrameClock:
    """Time stamps of a file -> seconds since its first frame, which always grow.

    A stamp that is missing, or not after the one before it, counts as one frame period later.
    """

    def __init__(self, unit_s: Fraction | None, frame_period_s: float) -> None:
        self._unit_s, self._frame_period_s = unit_s or Fraction(0), frame_period_s
        self._first: int | None = None
        self._time_s = -frame_period_s

    def time_of(self, stamp: int | None) -> float:
        """Seconds of the next frame, which has this stamp."""
        if self._first is None:
            self._first = stamp
        after_first_s = 0.0 if stamp is None or self._first is None else (stamp - self._first) * self._unit_s
        next_s = self._time_s + self._frame_period_s
        self._time_s = float(after_first_s) if after_first_s > max(self._time_s, 0) else next_s
        return self._time_s


def _stated_duration_s(container: InputContainer, stream: VideoStream, is_avi: bool) -> float:
    """How long the file says its pictures last, in seconds; 0 where it does not say."""
    if is_avi:  # FFmpeg shortens the duration of a file that is cut off, but keeps the count
        return float(stream.frames * (stream.time_base or 0))
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    # Of a file with sound too, the longer of the two would be given.
    return (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
