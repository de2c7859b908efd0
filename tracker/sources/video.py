"""One video file -> frames with their real times."""

import re
from collections.abc import Iterator
from fractions import Fraction

import av

from foundation.passwords import mask_password
from foundation.video import VideoFile
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera
from tracker.stages import CameraReport
from tracker.types import Frame

END_SLACK_S = 1.0
"""A file that tells its duration but no number of frames may end this much before it: the last
frame of a recording may stay for long."""


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
        self._place, self._is_remote = mask_password(camera.address), "://" in camera.address
        live = config.live
        self._video = VideoFile(camera.address, files, live.open_timeout_s, live.read_timeout_s)
        stream = self._video.stream
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.frame_period_s = 1 / (rate if 0 < rate <= 1000 else config.image_frame_rate)
        self._stated_frames = 0 if self._video.is_avi else stream.frames
        self._stated_s = _stated_duration_s(self._video)
        self.report.expected_frames = self._stated_frames or round(self._stated_s / self.frame_period_s)

    def frames(self) -> Iterator[Frame]:
        """All frames that can be read; says in the report if that is not all there should be."""
        video = self._video
        clock = FrameClock(video.stream.time_base, self.frame_period_s)
        time, number = 0.0, 0
        for number, stamp, image in video.pictures(skip=self._done):
            time = clock.time_of(stamp)
            yield Frame(self._camera.name, number, time, image)
        if self._stated_frames:
            ends_early = video.packets < self._stated_frames  # an edit list may hide frames, never packets
        else:
            ends_early = time + 2 * self.frame_period_s + END_SLACK_S < self._stated_s
        if not number or ends_early or video.is_damaged or video.stopped_by:
            expected = self.report.expected_frames
            count = f"only {number} of {expected} frames" if number < expected else f"only {number} frames"
            self.report.can_go_on = self._is_remote and bool(video.stopped_by)
            cause = "the connection was lost" if self.report.can_go_on else "it is cut off or damaged"
            reason = f" ({video.stopped_by})" if video.stopped_by else ""
            self.report.problem = f"{self._place}: {count} could be read{reason}; {cause}"

    def close(self) -> None:
        """Let go of the file."""
        self._video.close()


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


def _stated_duration_s(video: VideoFile) -> float:
    """How long the file says its pictures last, in seconds; 0 where it does not say."""
    stream, container = video.stream, video.container
    if video.is_avi:  # FFmpeg shortens the duration of a file that is cut off, but keeps the count
        return float(stream.frames * (stream.time_base or 0))
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    # Of a file with sound too, the longer of the two would be given.
    return (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
