"""One video file -> its pictures, each with the number of its frame."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median_high, median_low
from typing import Any, NamedTuple, TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from foundation.arrays import Image, IntArray
from foundation.errors import ReuniteError
from foundation.passwords import mask_password

SKIPPED: Image = np.zeros((1, 1, 3), np.uint8)
"""In the place of pixels that are not needed."""

FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,h263,mjpeg,mjpeg_2000,"
    "mpjpeg,flv,live_flv,kux,asf,asf_o,ogg,dhav,mxf,nut,dv,gif,yuv4mpegpipe,rm,wtv,swf,nsv,mvi,ingenient"
)
"""What a video may be inside, whatever its name: FFmpeg's formats that hold pictures of their own. Lists
(concat, HLS, DASH, SDP, ...) are not among them: they would open files and addresses that nobody named."""

STAMPS_AROUND = 16
"""A time stamp is judged by as many before it and after it: more than pictures are ever reordered."""
FAR_OFF_S = 10.0
"""A stamp further from its neighbours may be wrong; FFmpeg's own ``-dts_delta_threshold``."""


class UnreadableError(ReuniteError):
    """A video or a folder of images that cannot be read at all."""


class Picture(NamedTuple):
    """One decoded picture.

    Attributes:
        number: Of its frame, from 1.
        stamp: Its time in the unit of the stream, if the file says one.
        image: (H, W, 3) BGR, upright.
    """

    number: int
    stamp: int | None
    image: Image


class VideoFile:
    """Decodes one video, on this machine or behind an http address.

    Attributes:
        container: The open file.
        stream: Its pictures.
        is_avi: Whether the container counts chunks, of which those that repeat a frame are empty.
        packets: How many came that were not empty, so far.
        is_damaged: Whether something could not be decoded, so far.
        num_corrupt: Pictures that the decoder could only guess in part, so far.
        stopped_by: Why reading ended before the file did; empty if it did not.

    Raises:
        UnreadableError: It cannot be opened as a video.
    """

    def __init__(
        self,
        address: str,
        files: int = 1,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        shown: str = "",
    ) -> None:
        """Open it.

        Args:
            address: A path or an http address, with its password.
            files: How many are read at once, to share the processor among their decoders.
            open_timeout_s, read_timeout_s: For an address.
            shown: The address in messages; empty for what `mask_password` makes of it.
        """
        place, is_remote = shown or mask_password(address), "://" in address
        self._read_timeout_s = read_timeout_s
        try:
            if not is_remote and not Path(address).stat().st_size:
                raise UnreadableError(f"{place}: is empty")
            self.container = av.open(
                address if is_remote else f"file:{address}",
                options={"format_whitelist": FORMATS},
                timeout=(open_timeout_s, read_timeout_s) if is_remote else None,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            if not is_remote and _names_others(address):
                reason = "it is a list that names other files, which is not followed"
            raise UnreadableError(f"{place}: cannot be read as a video ({reason})") from None
        try:
            self.stream = _pictures_of(self.container, place)
        except UnreadableError:
            self.container.close()
            raise
        self.stream.thread_type = "AUTO"
        # Fewer than two would leave all decoding to the one thread that asks for frames.
        self.stream.codec_context.thread_count = max(2, math.ceil((os.cpu_count() or 1) / files))
        self.is_avi = self.container.format.name == "avi"
        self.packets, self.num_corrupt, self.is_damaged, self.stopped_by = 0, 0, False, ""

    def pictures(self, skip: int = 0) -> Iterator[Picture]:
        """All pictures that can be decoded, once, the first ``skip`` of them as `SKIPPED`.

        What is damaged is passed over without a number. A stamp that is far from those around it is no stamp.
        """
        number, converter = 0, ImageConverter()
        decoding_times = deque[int | None]()
        unit_s = self.stream.time_base
        far_off = FAR_OFF_S / float(unit_s) if unit_s else math.inf
        try:
            for packet, is_stamped in with_judgement(self.container.demux(self.stream), self._stamp, far_off):
                if packet.size > 0:
                    self.packets += 1
                    decoding_times.append(packet.dts if is_stamped else None)
                if not is_stamped:
                    packet.pts = packet.dts = None
                try:
                    for frame in packet.decode():
                        # AVI says when frames are decoded: right in order, but not by frame.
                        decoded = decoding_times.popleft() if decoding_times else None
                        number += 1
                        self.num_corrupt += frame.is_corrupt
                        image = converter.convert(frame) if number > skip else SKIPPED
                        yield Picture(number, decoded if self.is_avi else frame.pts, image)
                except av.InvalidDataError:
                    self.is_damaged = True
        except av.ExitError:
            self.stopped_by = f"no data for {self._read_timeout_s:g} s"
        except av.FFmpegError as error:
            self.stopped_by = error.strerror or type(error).__name__

    def _stamp(self, packet: "av.Packet[Any]") -> int | None:
        return packet.dts if self.is_avi else packet.pts

    def close(self) -> None:
        self.container.close()


LOOK_EVERY = 100
"""In so many pictures it is noticed that a camera begins to mirror them; turns are noticed at once."""


class ImageConverter:
    """Decoded pictures -> upright BGR arrays, as OpenCV gives them."""

    def __init__(self) -> None:
        # Kept from frame to frame; one thread, since starting more costs more than they save.
        self._reformatter = VideoReformatter()
        self._count = self._rotation = 0
        self._matrix: IntArray | None = None

    def convert(self, frame: av.VideoFrame) -> Image:
        """(H, W, 3) BGR, turned and mirrored as the display matrix asks (phones film on their side)."""
        image = np.asarray(
            self._reformatter.reformat(frame, format="bgr24", threads=1).to_ndarray(), np.uint8
        )
        # Whoever is asked for side data is held until Python looks for cycles, and FFmpeg never gives back
        # the memory of as many as were held at once: 70 MB a camera.
        if frame.rotation != self._rotation or self._count % LOOK_EVERY == 0:
            data: Any = frame.side_data.get("DISPLAYMATRIX")
            self._matrix = (
                None if data is None else np.frombuffer(data, np.int32).reshape(3, 3).astype(np.int64)
            )
            self._rotation = frame.rotation
        self._count += 1
        return image if self._matrix is None else display(image, self._matrix)


def display(image: Image, matrix: IntArray) -> Image:
    """A picture as it is to be shown, in quarter turns and mirrored.

    Args:
        image: (H, W, 3) as it was decoded.
        matrix: (3, 3) as FFmpeg has it: (x, y, 1) times the matrix is where the pixel x, y is shown.
    """
    (to_right, to_down), (down_to_right, down_to_down) = matrix[:2, :2].tolist()
    if abs(to_right) + abs(down_to_down) >= abs(to_down) + abs(down_to_right):
        flips = (down_to_down < 0, to_right < 0)
    else:  # columns become rows
        image, flips = image.transpose(1, 0, 2), (to_down < 0, down_to_right < 0)
    rows, columns = (slice(None, None, -1 if flip else 1) for flip in flips)
    return np.ascontiguousarray(image[rows, columns])


P = TypeVar("P")


def with_judgement(
    packets: Iterator[P], stamp_of: Callable[[P], int | None], far_off: float
) -> Iterator[tuple[P, bool]]:
    """All packets, each with whether its stamp is to be believed.

    It is not if it is far from those that come before and from those that come after it: a jump that does
    not last. Where the packets are sparser than that, "far" grows with the distance between them. An error
    of the packets is raised after those before it.

    Args:
        far_off: What is far, in the unit of the stamps.
    """
    before, error = deque[int](maxlen=STAMPS_AROUND), None
    waiting = deque[P]()
    packets, is_over = iter(packets), False
    while waiting or not is_over:
        while len(waiting) <= STAMPS_AROUND and not is_over:
            try:
                waiting.append(next(packets))
            except StopIteration:
                is_over = True
            except av.FFmpegError as stopped:
                is_over, error = True, stopped
        if not waiting:
            break
        packet = waiting.popleft()
        stamp = stamp_of(packet)
        if stamp is None:
            yield packet, True
            continue
        after = [it for it in map(stamp_of, waiting) if it is not None]
        is_believed = not _is_outlier(stamp, list(before), after, far_off)
        if is_believed:
            before.append(stamp)
        yield packet, is_believed
    if error is not None:
        raise error


def _is_outlier(stamp: int, before: list[int], after: list[int], far_off: float) -> bool:
    sides = [median_low(side) for side in (before, after) if side]
    if not sides or min(abs(stamp - side) for side in sides) <= far_off:
        return False
    around = sorted([*before, stamp, *after])
    spacing = median_high(b - a for a, b in pairwise(around))
    return all(abs(stamp - side) > spacing * 2 * STAMPS_AROUND for side in sides)


def _pictures_of(container: InputContainer, place: str) -> VideoStream:
    """The first stream of moving pictures: the cover of a film is none.

    Raises:
        UnreadableError: There is none that can be decoded.
    """
    streams = [it for it in container.streams.video if not it.disposition & Disposition.attached_pic]
    if not streams:
        raise UnreadableError(f"{place}: has no pictures")
    stream = next((it for it in streams if it.codec_context is not None), None)
    if stream is None:
        raise UnreadableError(
            f"{place}: its pictures are in a format that FFmpeg cannot decode here; convert it to H.264"
        )
    return stream


def _names_others(path: str) -> bool:
    """Whether a file is a list in which FFmpeg would look for other files."""
    try:
        with open(path, "rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    except (OSError, ValueError):
        return False
    return start.startswith((b"ffconcat", b"#EXTM3U", b"<?xml", b"<MPD", b"v=0"))
