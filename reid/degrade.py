"""How a person looks to another camera, a badly cut box among it; or in other clothes, or beside others.

Every function takes an (H, W, 3) BGR uint8 picture and a generator, and gives a new picture of the same size.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

FEWEST_ROWS = 32
"""A person of fewer is not looked at by a tracker either."""

OUTLINE = ((0.0, 0.13, 0.2, 0.5, 0.75, 1.0), (0.13, 0.15, 0.3, 0.33, 0.28, 0.28))
"""Where somebody stands in a box, roughly: heights from the top, and half of the width there, as shares."""

HUES = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""From red, green and blue to YIQ, where a turn about the first axis is another hue."""


def rescale(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Drawn larger or smaller by up to ``strength`` around a centre that moves along, edges repeated.

    As if a detector had cut the box too wide, too narrow or beside the person.
    """
    height, width = image.shape[:2]
    both, each = rng.uniform(-strength, strength), rng.uniform(-0.3 * strength, 0.3 * strength, 2)
    across, down = 1 + both + each
    right, low = rng.uniform(-0.5 * strength, 0.5 * strength, 2)
    matrix = np.array(
        [
            [across, 0, (0.5 + right - 0.5 * across) * width],
            [0, down, (0.5 + low - 0.5 * down) * height],
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def change_light(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Another gain for each channel, another gamma for all, another saturation.

    Gains of the channels differ by a third of ``strength``; brightness and gamma go as far as it says.
    """
    most = np.log1p(strength)
    gains = np.exp(rng.uniform(-most, most) + rng.uniform(-most / 3, most / 3, 3))
    gamma = np.exp(rng.uniform(-most, most))
    saturation = rng.uniform(max(0.0, 1 - 1.5 * strength), 1 + strength)
    levels = np.arange(256) / 255
    table = np.clip(255 * gains * levels[:, None] ** gamma, 0, 255).astype(np.uint8)
    lit = cv2.LUT(image, table[None])
    grey = np.array([0.114, 0.587, 0.299])
    return np.asarray(cv2.transform(lit, saturation * np.eye(3) + (1 - saturation) * grey), np.uint8)


def lower_resolution(image: Image, rng: np.random.Generator) -> Image:
    """Made small, down to `FEWEST_ROWS` rows, and large again."""
    height, width = image.shape[:2]
    if height <= FEWEST_ROWS:
        return image.copy()
    rows = int(np.exp(rng.uniform(np.log(FEWEST_ROWS), np.log(height))))
    small = cv2.resize(image, (max(1, rows * width // height), rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Out of focus, or moved in any direction while the picture was taken."""
    height = image.shape[0]
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.004, 0.012) * height), np.uint8)
    length = max(3, round(rng.uniform(0.015, 0.05) * height))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    way = middle * np.array([np.cos(angle), np.sin(angle)])
    start, end = (tuple(np.rint(middle + sign * way).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def compress(image: Image, rng: np.random.Generator) -> Image:
    """As JPEG of a quality of 15 to 60."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 61))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def mix(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """With a part of another picture, or blended with it.

    A part is a rectangle anywhere, as if somebody else hid the person.

    Source: CutMix (Yun et al. 2019, arXiv:1905.04899); mixup (Zhang et al. 2018, arXiv:1710.09412).
    """
    if rng.random() < 0.4:
        share = rng.uniform(0.15, 0.5)
        return np.asarray(cv2.addWeighted(image, 1 - share, other, share, 0), np.uint8)
    height, width = image.shape[:2]
    rows, columns = round(rng.uniform(0.25, 1.0) * height), round(rng.uniform(0.25, 0.6) * width)
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    mixed = image.copy()
    where = np.s_[top : top + rows, left : left + columns]
    mixed[where] = other[where]
    return mixed


def dress(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """The person in other clothes: below a waist turned in hue or those of ``other``, above it turned or not.

    What else the picture shows changes with them.
    """
    height = image.shape[0]
    below = turn_hue(image, rng) if rng.random() < 0.5 else other
    above = turn_hue(image, rng) if rng.random() < 0.5 else image
    waist, soft = rng.uniform(0.4, 0.6) * height, max(1.0, 0.03 * height)
    share = np.clip((np.arange(height) + 0.5 - waist) / soft + 0.5, 0, 1)[:, None, None]
    return np.asarray(np.rint(above * (1 - share) + below * share), np.uint8)


def surround(image: Image, other: Image, rng: np.random.Generator) -> Image:
    """The person in front of what is beside somebody else, along a soft outline of nobody in particular."""
    height, width = image.shape[:2]
    down = (np.arange(height) + 0.5) / height
    half = np.interp(down, *OUTLINE) * rng.uniform(0.85, 1.25)
    across = np.abs((np.arange(width) + 0.5) / width - rng.uniform(0.46, 0.54))
    beside = np.clip((across - half[:, None]) / 0.06 + 0.5, 0, 1)[:, :, None]
    return np.asarray(np.rint(image * (1 - beside) + other * beside), np.uint8)


def turn_hue(image: Image, rng: np.random.Generator) -> Image:
    """All colours turned about the grey by one angle, anywhere on the circle."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = (np.linalg.inv(HUES) @ turn @ HUES)[::-1, ::-1]  # pictures are blue, green, red
    return np.asarray(cv2.transform(image, matrix), np.uint8)
