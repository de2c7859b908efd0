"""LOMO, the field's classic descriptor: no network, no weights, no runtime.

Colours are made independent of the light (Retinex), then joint HSV histograms and two scales of a texture
pattern (SILTP) are counted in windows; of the windows side by side the largest count of each bin is kept, so
that it matters how high on a person something is and not how far to the left, as seen from another side.

Source: Liao et al. 2015 (arXiv:1406.4216), section 3.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import EmbeddingArray, Image
from reid.runtime import Embedder

LOMO, LOMO_SHORT = "lomo", "lomo-1024"
"""What is written where a network is named: all 26,960 numbers, or 1,024 that are nearly as good."""

LOMO_NAMES = (LOMO, LOMO_SHORT)

SHORT_LENGTH = 1024

HEIGHT, WIDTH = 128, 48

SCALES = 3
"""The picture, its half and its quarter."""

CELL = 5
"""Windows are 10 pixels wide and high and begin every 5, so each is 2 x 2 of these cells."""

HSV_BINS = 8
"""Of each channel."""

SILTP_RADII, SILTP_TOLERANCE = (3, 5), 0.3
SILTP_CODES = 3**4

SURROUNDS_PX = (5.0, 20.0)
"""Of the two Retinex scales, as the paper takes them."""

SPREADS = 2.0
"""Retinex is brought to [0, 1] from its mean less to its mean plus as many deviations, channel by channel."""

SETTINGS = (
    HEIGHT, WIDTH, SCALES, CELL, HSV_BINS, SILTP_RADII, SILTP_TOLERANCE, SURROUNDS_PX, SPREADS, SHORT_LENGTH
)  # fmt: skip
"""All numbers that the descriptor depends on."""


def open_lomo(name: str = LOMO, batch_size: int = 32) -> Embedder:
    """LOMO as an embedder, on OpenCV and NumPy alone; ``name`` is `LOMO` or `LOMO_SHORT`."""

    def infer(pictures: NDArray[np.uint8]) -> EmbeddingArray:
        rows = np.stack([_describe(picture) for picture in pictures])
        return rows if name == LOMO else shorten(rows)

    length = infer(np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)).shape[1]
    return Embedder(name, "numpy", _resized, infer, batch_size, length)  # type: ignore[arg-type]


def shorten(descriptors: EmbeddingArray) -> EmbeddingArray:
    """(N, D) as (N, SHORT_LENGTH) with nearly the same cosines.

    Each number is added to one of few, with a sign; which and with what sign is drawn once and for all.

    Source: feature hashing, Weinberger et al. 2009 (arXiv:0902.2206), section 2.
    """
    drawn = np.random.RandomState(0)  # whose stream NumPy never changes
    place = drawn.randint(SHORT_LENGTH, size=descriptors.shape[1])
    sign = drawn.randint(2, size=descriptors.shape[1]) * 2 - 1
    rows = [np.bincount(place, sign * row, SHORT_LENGTH) for row in descriptors]
    return np.array(rows, np.float32).reshape(-1, SHORT_LENGTH)


def _resized(images: Sequence[Image]) -> NDArray[np.uint8]:
    return np.stack([cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for image in images])


def _describe(image: Image) -> EmbeddingArray:
    """(D,) of a picture (HEIGHT, WIDTH, 3) BGR: colours and patterns, each part of length 1."""
    colours, patterns = retinex(image), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    hsv_counts: list[NDArray[np.int64]] = []
    siltp_counts: list[NDArray[np.int64]] = []
    for scale in range(SCALES):
        if scale:
            colours, patterns = _halved(colours), _halved(patterns)
        hsv_counts.append(local_maxima(hsv_codes(colours), HSV_BINS**3))
        siltp_counts += [local_maxima(siltp_codes(patterns, radius), SILTP_CODES) for radius in SILTP_RADII]
    parts = []
    for counts in (hsv_counts, siltp_counts):
        # The logarithm keeps one large plain area from outweighing all the rest.
        part = np.log1p(np.concatenate([each.ravel() for each in counts]))
        parts.append(part / np.linalg.norm(part))
    return np.concatenate(parts).astype(np.float32)


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def retinex(image: Image) -> NDArray[np.float32]:
    """A picture (H, W, 3) BGR as (H, W, 3) in [0, 1] without slow changes of light.

    Source: Jobson et al. 1997, "A multiscale Retinex for bridging the gap": the logarithm of each pixel less
    that of its surround, mean over the surrounds; the range is then stretched.
    """
    pixels = image.astype(np.float32) + 1
    seen = np.log(pixels)
    surrounds = [np.log(cv2.GaussianBlur(pixels, (0, 0), sigma)) for sigma in SURROUNDS_PX]
    response = seen - sum(surrounds) / len(surrounds)
    mean, spread = response.mean(axis=(0, 1)), response.std(axis=(0, 1))
    low, width = mean - SPREADS * spread, np.maximum(2 * SPREADS * spread, 1e-6)
    return np.asarray(np.clip((response - low) / width, 0, 1), np.float32)


def hsv_codes(colours: NDArray[np.float32]) -> NDArray[np.int64]:
    """The joint HSV bin of each pixel of (H, W, 3) BGR in [0, 1]."""
    hsv = cv2.cvtColor(colours, cv2.COLOR_BGR2HSV) / (360, 1, 1)
    bins = np.clip((hsv * HSV_BINS).astype(np.int64), 0, HSV_BINS - 1)
    return np.asarray((bins[..., 0] * HSV_BINS + bins[..., 1]) * HSV_BINS + bins[..., 2])


def siltp_codes(grey: NDArray[np.float32], radius: int) -> NDArray[np.int64]:
    """The scale-invariant local ternary pattern of each pixel of (H, W): 0 to 80.

    Each of the four neighbours at ``radius`` is a digit: 1 if it is brighter than the pixel by more than the
    tolerance, as a share of the pixel, 2 if it is darker, else 0. The border is continued outwards.

    Source: Liao et al. 2010, "Modeling pixel process with scale invariant local patterns", equation 2.
    """
    height, width = grey.shape
    padded = np.pad(grey, radius, mode="edge")
    code = np.zeros((height, width), np.int64)
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        top, left = radius * (1 + down), radius * (1 + right)
        neighbour = padded[top : top + height, left : left + width]
        digit = np.where(neighbour > (1 + SILTP_TOLERANCE) * grey, 1, 0)
        digit[neighbour < (1 - SILTP_TOLERANCE) * grey] = 2
        code = 3 * code + digit
    return code


def local_maxima(codes: NDArray[np.int64], bins: int) -> NDArray[np.int64]:
    """The largest count of each bin among the windows of one height.

    Args:
        codes: (H, W) bin of each pixel.
        bins: How many there are.

    Returns:
        (rows of windows, bins).
    """
    cell, (down, across) = _cells(*codes.shape)
    inside = codes[: down * CELL, : across * CELL]
    counts = np.bincount((cell * bins + inside).ravel(), minlength=down * across * bins)
    counts = counts.reshape(down, across, bins)
    rows = counts[:-1] + counts[1:]
    return np.asarray((rows[:, :-1] + rows[:, 1:]).max(axis=1))


@cache
def _cells(height: int, width: int) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Number of the cell of each pixel that lies in a whole one, and how many there are down and across."""
    down, across = height // CELL, width // CELL
    row, column = np.arange(down * CELL) // CELL, np.arange(across * CELL) // CELL
    return row[:, None] * across + column, (down, across)
