"""What people wear, as colour histograms of body parts: no weights, a fraction of a millisecond."""

from collections.abc import Sequence
from hashlib import sha256

import cv2
import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray
from foundation.cosine_prior import CosinePrior
from tracker.config import ColorEmbedderConfig
from tracker.types import Detections, Frame, Network, Observations, Tick

# Chosen on PETS09-S2L1: who of the people in the picture is most alike one second later?
SAMPLES = (32, 12)
"""Pixels that are read of each person, down and across."""
STRIPES = (0.0, 0.17, 0.34, 0.5, 0.67, 0.84, 1.0)
"""Borders of the body parts, from the head down; the legs' lower end shows shoes and ground."""
MIDDLE_WIDTH = 0.35
"""Standard deviation of a pixel's weight across the box, as a share of half its width: the sides show
ground."""
CHROMA_RANGE = 32.0
"""Lab chroma from -this to this is binned, what is beyond goes into the outer bins; clothes seldom are."""


class ColorEmbedder:
    """Histograms of Lab brightness and chroma for each body part, of length 1 when put together.

    The square root of the histograms is taken, so the cosine of two people is the mean Bhattacharyya
    coefficient of their parts: 1 for equal colours, 0 for none in common. Bins are soft (linear), so
    a little more light changes the numbers a little.
    """

    prior: CosinePrior | None = None

    def __init__(self, config: ColorEmbedderConfig) -> None:
        """Lay out the pixels that are read and what each is worth."""
        self._brightness_bins, self._chroma_bins = config.brightness_bins, config.chroma_bins
        rows, columns = SAMPLES
        self._down = (np.arange(rows) + 0.5) / rows
        self._across = (np.arange(columns) + 0.5) / columns
        self._stripe: IntArray = np.searchsorted(STRIPES, self._down, side="right").astype(np.int64) - 1
        self._weight = np.exp(-0.5 * ((2 * self._across - 1) / MIDDLE_WIDTH) ** 2)
        settings = (SAMPLES, STRIPES, MIDDLE_WIDTH, CHROMA_RANGE, self._brightness_bins, self._chroma_bins)
        self.network: Network | None = Network(
            "color", sha256(repr(settings).encode()).hexdigest(), self._length()
        )
        """All numbers that the colours depend on make its fingerprint."""

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame with their colours, needed or not, for it costs little; see `Embedder`."""
        return [
            Observations(people.boxes, people.scores, self._embeddings(frame, people.boxes))
            for frame, people in zip(tick.frames, detections, strict=True)
        ]

    def _embeddings(self, frame: Frame, boxes: FloatArray) -> EmbeddingArray:
        """(N, 4) boxes to (N, D). Pixels beyond the picture count nothing; a part without any is even."""
        count, (rows, columns) = len(boxes), SAMPLES
        width, height = frame.size
        # Boxes may lie absurdly far outside, where a whole number of pixels would overflow.
        x = np.clip(boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * self._across, -1, width)
        y = np.clip(boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * self._down, -1, height)
        inside = ((x >= 0) & (x < width))[:, None, :] & ((y >= 0) & (y < height))[:, :, None]
        x_pixels = np.clip(x, 0, width - 1).astype(np.int64)
        y_pixels = np.clip(y, 0, height - 1).astype(np.int64)
        pixels = frame.image[y_pixels[:, :, None], x_pixels[:, None, :]]
        if not count:
            return np.empty((0, self._length()), np.float32)
        lab = cv2.cvtColor(pixels.reshape(count * rows, columns, 3), cv2.COLOR_BGR2LAB)
        lightness, a, b = np.moveaxis(lab.reshape(count, -1, 3).astype(np.float64), 2, 0)
        weight = (inside * self._weight).reshape(count, -1)

        parts = len(STRIPES) - 1
        part = np.repeat(self._stripe, columns) + parts * np.arange(count)[:, None]
        chroma = self._chroma_bins
        a_bins, b_bins = (_soft_bins((axis - 128) / (2 * CHROMA_RANGE) + 0.5, chroma) for axis in (a, b))
        light = np.zeros(count * parts * self._brightness_bins)
        colour = np.zeros(count * parts * chroma * chroma)
        for place, share in _soft_bins(lightness / 255, self._brightness_bins):
            light += _histogram(part * self._brightness_bins + place, weight * share, len(light))
        for a_place, a_share in a_bins:
            for b_place, b_share in b_bins:
                place = (part * chroma + a_place) * chroma + b_place
                colour += _histogram(place, weight * a_share * b_share, len(colour))
        histograms = np.concatenate(
            [_normalise(light.reshape(count, parts, -1)), _normalise(colour.reshape(count, parts, -1))],
            axis=2,
        )
        # Each of the 2 * parts histograms sums to 1, so this has length 1.
        return np.sqrt(histograms / (2 * parts)).reshape(count, -1).astype(np.float32)

    def _length(self) -> int:
        return (len(STRIPES) - 1) * (self._brightness_bins + self._chroma_bins**2)


def _soft_bins(values: FloatArray, bins: int) -> list[tuple[IntArray, FloatArray]]:
    """The two nearest bins of values in [0, 1], and the share that each gets; beyond counts as the edge."""
    place = np.clip(values * bins - 0.5, 0, bins - 1)
    lower = np.minimum(place.astype(np.int64), max(bins - 2, 0))
    share = place - lower
    return [(lower, 1 - share), (np.minimum(lower + 1, bins - 1), share)]


def _histogram(places: IntArray, weights: FloatArray, length: int) -> FloatArray:
    return np.asarray(np.bincount(places.ravel(), weights.ravel(), length), np.float64)


def _normalise(histograms: FloatArray) -> FloatArray:
    """(N, parts, bins) to sum 1 over the bins; even where nothing was counted."""
    total: FloatArray = histograms.sum(axis=2, keepdims=True)
    even: FloatArray = np.full_like(histograms, 1 / histograms.shape[2])
    return np.where(total > 0, histograms / np.maximum(total, 1e-12), even)
