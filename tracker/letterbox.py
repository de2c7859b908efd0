"""A picture inside a room of another shape, its own shape kept."""

from typing import NamedTuple

import cv2
import numpy as np

from foundation.arrays import Image


class Letterbox(NamedTuple):
    """A picture as large as fits into a room, and the way from the one to the other.

    Attributes:
        picture: The room, (H, W, 3).
        scale: Pixels of the room for one of the picture.
        corner: x, y in the room of the picture's left top corner.
    """

    picture: Image
    scale: float
    corner: tuple[int, int]


def letterbox(
    image: Image,
    size: tuple[int, int],
    color: int | tuple[int, int, int],
    *,
    centred: bool = True,
    interpolation: int | None = None,
) -> Letterbox:
    """Scale a picture (H, W, 3) into a room of one colour.

    Args:
        image: The picture; no side is 0.
        size: Width and height of the room.
        color: Of the room, blue first.
        centred: In the middle, where of an odd number of free rows the larger half is below; otherwise in
            the left top corner.
        interpolation: OpenCV's; None averages where the picture shrinks, and is cubic where it grows.
    """
    width, height = size
    scale = min(height / image.shape[0], width / image.shape[1])
    if interpolation is None:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    scaled = cv2.resize(np.ascontiguousarray(image), inner, interpolation=interpolation)
    if inner == size:
        return Letterbox(scaled.astype(np.uint8, copy=False), scale, (0, 0))
    left, top = ((width - inner[0]) // 2, (height - inner[1]) // 2) if centred else (0, 0)
    room = np.full((height, width, 3), color, np.uint8)
    room[top : top + inner[1], left : left + inner[0]] = scaled
    return Letterbox(room, scale, (left, top))
