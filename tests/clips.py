"""Tiny videos whose pictures tell their own number, as a bar code of black and white blocks."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from foundation.arrays import Image

BITS = 10
CLOCK = Fraction(1, 90_000)
"""Unit in seconds of the times in a clip; AVI counts frames instead."""


def draw_code(code: int, size: tuple[int, int] = (160, 120)) -> Image:
    """A grey picture (height, width, 3) whose upper half shows the lowest `BITS` bits of a number."""
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 255 * (code >> bit & 1)
    return image


def read_code(image: Image) -> int:
    """The number in a picture that ``draw_code`` made, whatever a codec did to it."""
    height, width = image.shape[:2]
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(centres) if image[height // 4, x].mean() > 128)


def write_clip(
    path: Path,
    codes: Sequence[int] = range(20),
    rate: float = 25,
    size: tuple[int, int] = (160, 120),
    times: Sequence[float] | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    rotation: int = 0,
    b_frames: int = 0,
) -> Path:
    """Write an H.264 video of these codes; the suffix of the path says the container.

    Args:
        times: Seconds of each picture; None is one each 1 / ``rate`` seconds.
        rotation: Degrees, counter-clockwise, that a player is asked to turn the pictures.
    """
    encoding = {"preset": "ultrafast", "bf": str(b_frames), "g": "10", "threads": "1", "slices": "1"}
    with av.open(path, "w", container_options=dict(container_options or {})) as container:
        exact_rate = Fraction(rate).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=exact_rate, options={**encoding, **(options or {})})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        clock = 1 / exact_rate if path.suffix == ".avi" else CLOCK
        stream.codec_context.time_base = clock
        if rotation:
            stream.set_display_rotation(rotation)
        for index, code in enumerate(codes):
            frame = av.VideoFrame.from_ndarray(draw_code(code, size), format="bgr24")
            shown_s = times[index] if times is not None else index / exact_rate
            frame.pts, frame.time_base = round(shown_s / clock), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_clip(video: Path, folder: Path, frames: int) -> Path:
    """Write the first frames of a video, as they are coded, into a folder under the same name."""
    path = folder / video.name
    with av.open(video) as whole, av.open(path, "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in islice(whole.demux(video=0), frames):
            packet.stream = stream
            part.mux(packet)
    return path
