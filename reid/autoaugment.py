"""AutoAugment's ImageNet policy on uint8 BGR pictures, with OpenCV.

Source: Cubuk et al. 2018, arXiv:1805.09501, table 9 for the policy, table 6 for the ranges of the operations.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import Image

GREY = (128, 128, 128)
"""What comes in where a picture is moved away."""

LEVELS = 9
"""Magnitudes are whole numbers from 0 to 9 and spread evenly over the range of their operation."""

POLICY = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)
"""25 pairs of (operation, chance, magnitude); one pair is drawn for each picture."""


def auto_augment(image: Image, rng: np.random.Generator) -> Image:
    """Draw one pair of operations and apply each with its chance; (H, W, 3) BGR in, the same size out.

    Levels are positive or negative with equal chance.
    """
    for name, probability, magnitude in POLICY[rng.integers(len(POLICY))]:
        draw, sign = rng.random(), rng.choice((-1.0, 1.0))
        if draw < probability:
            image = OPERATIONS[name](image, sign * magnitude / LEVELS)
    return image


def shear_x(image: Image, level: float) -> Image:
    """Rows move sideways, by up to 0.3 of their distance from the middle."""
    slope = 0.3 * level
    return _warp(image, np.array([[1, slope, -slope * image.shape[0] / 2], [0, 1, 0]]))


def rotate(image: Image, level: float) -> Image:
    """Turn around the middle, by up to 30 degrees."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 30 * level, 1.0)
    return _warp(image, np.asarray(turn, np.float64))


def posterize(image: Image, level: float) -> Image:
    """Keep the highest 8 bits of each value at level 0, the highest 4 at level 1."""
    return image & np.uint8(256 - (1 << round(4 * abs(level))))


def solarize(image: Image, level: float) -> Image:
    """Turn values at 256 and above round at level 0, all at level 1."""
    return np.where(image >= 256 * (1 - abs(level)), 255 - image, image)


def color(image: Image, level: float) -> Image:
    """Saturation from 0.1 to 1.9 times."""
    return _blend(image, _grey(image)[:, :, None], 1 + 0.9 * level)


def contrast(image: Image, level: float) -> Image:
    """Contrast around the mean grey from 0.1 to 1.9 times."""
    return _blend(image, _grey(image).mean(), 1 + 0.9 * level)


def sharpness(image: Image, level: float) -> Image:
    """From nearly smooth, at 0.1, to what smoothing takes away added 0.9 times."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    return _blend(image, cv2.filter2D(image, -1, kernel), 1 + 0.9 * level)


def autocontrast(image: Image, _: float) -> Image:
    """Stretch each channel to the whole range; a channel of one value stays."""
    low, high = image.min(axis=(0, 1)).astype(np.float32), image.max(axis=(0, 1)).astype(np.float32)
    stretched = np.rint((image - low) * (255 / np.maximum(high - low, 1))).astype(np.uint8)
    return np.where(high > low, stretched, image)


def equalize(image: Image, _: float) -> Image:
    """Flatten the histogram of each channel."""
    return np.stack(
        [cv2.equalizeHist(np.ascontiguousarray(image[:, :, channel])) for channel in range(3)], axis=2
    )


def invert(image: Image, _: float) -> Image:
    """The negative."""
    return 255 - image


OPERATIONS: dict[str, Callable[[Image, float], Image]] = {
    "shear_x": shear_x,
    "rotate": rotate,
    "posterize": posterize,
    "solarize": solarize,
    "color": color,
    "contrast": contrast,
    "sharpness": sharpness,
    "autocontrast": autocontrast,
    "equalize": equalize,
    "invert": invert,
}
"""Picture and level in [-1, 1] to picture; where there is only one side the sign means nothing."""


def _warp(image: Image, matrix: NDArray[np.float64]) -> Image:
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=GREY), dtype=np.uint8
    )


def _grey(image: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.float32)


def _blend(image: Image, base: object, factor: float) -> Image:
    """``base`` at factor 0, the picture at 1, and beyond."""
    start = np.asarray(base, np.float32)
    return np.clip(np.rint(start + (image - start) * np.float32(factor)), 0, 255).astype(np.uint8)
