"""One video file -> frames with their real times."""

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av

from foundation.video import FAR_OFF_S, STAMPS_AROUND, VideoFile
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera
from tracker.sources.starts import creation_time
from tracker.stages import CameraReport
from tracker.types import Frame

END_SLACK_S = 1.0
"""A file that tells its duration but no number of frames may end this much before it: the last
frame of a recording may stay for long."""


MIN_RATE, MAX_RATE = 0.01, 1000.0
"""Frames per second that a file may state; others are mistakes of it."""

MIN_GAPS = 4
"""Between stamps, before they are believed to tell the frame period."""
GUESSED_LENGTH = ("mpegts", "mpeg")
"""Formats that do not say how long they are: FFmpeg takes the first stamp from the last one that it finds."""


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
        self._place, self._is_remote = camera.shown, "://" in camera.address
        live = config.live
        self._video = VideoFile(
            camera.address, files, live.open_timeout_s, live.read_timeout_s, shown=camera.shown
        )
        stream = self._video.stream
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        self.frame_period_s = 1 / (rate if MIN_RATE <= rate <= MAX_RATE else config.image_frame_rate)
        self._max_gap_s = config.max_gap_s
        self.created = creation_time(self._video.container.metadata, stream.metadata)
        self._stated_frames = 0 if self._video.is_avi else stream.frames
        self._stated_s = _stated_duration_s(self._video)
        self.report.expected_frames = self._stated_frames or round(self._stated_s / self.frame_period_s)

    def frames(self) -> Iterator[Frame]:
        """All frames that can be read; says in the report if that is not all there should be."""
        video = self._video
        clock = FrameClock(video.stream.time_base, self.frame_period_s, self._max_gap_s)
        time, number = 0.0, 0
        for number, stamp, image in video.pictures(skip=self._done):
            time = clock.time_of(stamp)
            self.report.remark = clock.remark
            yield Frame(self._camera.name, number, time, image)
        if self._stated_frames:
            ends_early = video.packets < self._stated_frames  # an edit list may hide frames, never packets
        elif video.container.format.name in GUESSED_LENGTH or clock.remark:
            ends_early = False
        else:
            ends_early = time + 2 * self.frame_period_s + END_SLACK_S < self._stated_s
        if not number or ends_early or video.is_damaged or video.stopped_by:
            expected = self.report.expected_frames
            count = f"only {number} of {expected} frames" if number < expected else f"only {number} frames"
            self.report.can_go_on = self._is_remote and bool(video.stopped_by)
            cause = "the connection was lost" if self.report.can_go_on else "it is cut off or damaged"
            reason = f" ({video.stopped_by})" if video.stopped_by else ""
            self.report.problem = f"{self._place}: {count} could be read{reason}; {cause}"
        elif video.num_corrupt:
            count = f"{video.num_corrupt} of {number} pictures are damaged"
            self.report.problem = f"{self._place}: {count}; people in them may be missing or wrong"

    def close(self) -> None:
        self._video.close()


class FrameClock:
    """Time stamps of a file -> seconds since its first frame, which always grow.

    A stamp that is missing, or not after the one before it, counts as one frame period later. So does one
    that lies further ahead or back than any pause of a recording: there its clock was set, and from there
    on time is counted anew, so that it stays with the other cameras. The period is that of the file, unless
    its stamps tell of quite another one.

    Attributes:
        remark: Where the clock was set first, in a sentence; empty if it was not.
    """

    def __init__(self, unit_s: Fraction | None, frame_period_s: float, max_gap_s: float) -> None:
        self._unit_s, self._frame_period_s = unit_s or Fraction(0), frame_period_s
        self._max_gap_s = max_gap_s
        self._zero_s: Fraction | None = None  # what the stamps count from
        self._time_s: float | None = None
        self._said_s: float | None = None  # of the frame before, where its stamp says something
        self._gaps_s = deque[float](maxlen=STAMPS_AROUND)
        self.remark = ""

    def time_of(self, stamp: int | None) -> float:
        """Seconds of the next frame, which has this stamp."""
        next_s = 0.0 if self._time_s is None else self._time_s + self._period_s()
        said_s = None if stamp is None else self._said(stamp * self._unit_s, next_s)
        if said_s is not None and self._said_s is not None:
            self._gaps_s.append(abs(said_s - self._said_s))
        self._said_s = said_s
        is_later = said_s is not None and (self._time_s is None or said_s > self._time_s)
        self._time_s = said_s if said_s is not None and is_later else next_s
        return self._time_s

    def _said(self, stamp_s: Fraction, next_s: float) -> float | None:
        """What a stamp says; None where the clock was set, which is remarked."""
        before_s = self._time_s or 0.0
        gap_s = 0.0 if self._zero_s is None else float(stamp_s - self._zero_s) - before_s
        is_set = gap_s > self._max_gap_s or gap_s < -FAR_OFF_S
        if is_set and not self.remark:
            ahead = "ahead" if gap_s > 0 else "back"
            self.remark = (
                f"its time stamps jump {abs(gap_s):.0f} s {ahead} after {before_s:.1f} s; "
                "time goes on as if nothing was left out"
            )
        if is_set or self._zero_s is None:
            self._zero_s = stamp_s - Fraction(next_s)
        return None if is_set else float(stamp_s - self._zero_s)

    def _period_s(self) -> float:
        """How much later a frame is that does not say when it is."""
        if len(self._gaps_s) < MIN_GAPS:
            return self._frame_period_s
        measured_s = sum(sorted(self._gaps_s)[:-1]) / (len(self._gaps_s) - 1)  # the longest may be a pause
        is_credible = self._frame_period_s / 2 <= measured_s <= self._frame_period_s * 2 or not measured_s
        return self._frame_period_s if is_credible else measured_s


def _stated_duration_s(video: VideoFile) -> float:
    """How long the file says its pictures last, in seconds; 0 where it does not say."""
    stream, container = video.stream, video.container
    if video.is_avi:  # FFmpeg shortens the duration of a file that is cut off, but keeps the count
        return float(stream.frames * (stream.time_base or 0))
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag:
        end_s = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    else:  # of a file with sound too, the longer of the two would be given
        end_s = (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0
    if "matroska" not in container.format.name:
        return end_s
    # Matroska tells the end, not how long: a later part of a recording begins late.
    return 0.0 if container.start_time is None else max(0.0, end_s - container.start_time / av.time_base)
