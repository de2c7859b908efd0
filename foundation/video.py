"""One video file -> its pictures, each with the number of its frame."""

import math
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from foundation.arrays import Image
from foundation.errors import ReuniteError
from foundation.passwords import mask_password

SKIPPED: Image = np.zeros((1, 1, 3), np.uint8)
"""In the place of pixels that nobody needs."""


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
        stopped_by: Why reading ended before the file did; empty if it did not.

    Raises:
        UnreadableError: It cannot be opened as a video.
    """

    def __init__(
        self, address: str, files: int = 1, open_timeout_s: float = 10.0, read_timeout_s: float = 5.0
    ) -> None:
        """Open it.

        Args:
            address: A path or an http address, with its password.
            files: How many are read at once, to share the processor among their decoders.
            open_timeout_s, read_timeout_s: For an address.
        """
        place, is_remote = mask_password(address), "://" in address
        self._read_timeout_s = read_timeout_s
        try:
            if not is_remote and not Path(address).stat().st_size:
                raise UnreadableError(f"{place}: is empty")
            self.container = av.open(
                address if is_remote else f"file:{address}",
                timeout=(open_timeout_s, read_timeout_s) if is_remote else None,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror or type(error).__name__
            raise UnreadableError(f"{place}: cannot be read as a video ({reason})") from None
        if not self.container.streams.video:
            self.container.close()
            raise UnreadableError(f"{place}: has no pictures")
        self.stream = self.container.streams.video[0]
        self.stream.thread_type = "AUTO"
        # Fewer than two would leave all decoding to the one thread that asks for frames.
        self.stream.codec_context.thread_count = max(2, math.ceil((os.cpu_count() or 1) / files))
        self.is_avi = self.container.format.name == "avi"
        self.packets, self.is_damaged, self.stopped_by = 0, False, ""

    def pictures(self, skip: int = 0) -> Iterator[Picture]:
        """All pictures that can be decoded, once, the first so many as `SKIPPED`.

        What is damaged is passed over without a number.
        """
        number, converter = 0, ImageConverter()
        decoding_times = deque[int | None]()
        try:
            for packet in self.container.demux(self.stream):
                if packet.size > 0:
                    self.packets += 1
                    decoding_times.append(packet.dts)
                try:
                    for frame in packet.decode():
                        # AVI says when frames are decoded: right in order, but not by frame.
                        decoded = decoding_times.popleft() if decoding_times else None
                        number += 1
                        image = converter.convert(frame) if number > skip else SKIPPED
                        yield Picture(number, decoded if self.is_avi else frame.pts, image)
                except av.InvalidDataError:
                    self.is_damaged = True
        except av.ExitError:
            self.stopped_by = f"no data for {self._read_timeout_s:g} s"
        except av.FFmpegError as error:
            self.stopped_by = error.strerror or type(error).__name__

    def close(self) -> None:
        """Let go of the file."""
        self.container.close()


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
