"""What a camera that stands still sees when no person is there, and where it sees something else now."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, Image
from tracker.types import State

Float32Array = NDArray[np.float32]

# Values without a source were chosen on PETS09-S2L1 and the sample scene (benchmarks/detectors.py).
MEMORY_S = 20.0
"""Time constant of a background that is well known; a younger one learns as the plain mean does."""
MAX_TRUST_S = 60.0
"""Who stands still for longer than this becomes background."""
MIN_TRUST_S = 20.0
"""Who stands still for less than this never becomes background."""
UNSEEN_S = 0.4
"""A background that was seen for less than this may be a person who was there at first and left."""
MIN_RIVAL_S = 2.0
"""How long the rival of such a background is seen before it takes its place."""
NOISE_LEVELS = 3.0
"""Smallest standard deviation of a pixel, in grey levels: sensor noise and compression."""
MAX_NOISE_LEVELS = 6.0
"""Largest one that a pixel learns: else people in the colours of the background widen it until all fit in."""
MIN_DEVIATIONS = 3.5
"""From how many standard deviations on a pixel differs."""
DARKEST_SHADOW = 0.7
"""A shadow leaves at least this share of the brightness; dark clothes leave less."""
MAX_SHADOW_TINT = 0.05
"""A shadow changes the colour by at most this share of the brightness."""
MAX_CHANGED_SHARE = 0.6
"""When more of the picture differs, the camera was moved or the light was switched: start anew."""
MAX_STEP_S = 1.0
"""A longer gap between two frames counts as this much, so that a pause teaches nothing."""
MIN_LIGHT_CHANGE = 0.01
"""Smaller changes of the light are left to the pixels, so that rounding does not pile up."""
EVERY = slice(None, None, 8)
"""Rows and columns that a median over the picture is taken of."""
DARK_LEVELS = 8.0
"""Added before pixels are divided: black is never quite black."""
MEDIAN_OF_CHI_SQUARE_3 = 2.366


@dataclass(slots=True)
class Background:
    """Two colours for each pixel: the background, and a rival that may replace it.

    A colour gains trust for each second it is seen. A rival that is trusted more than the background takes
    its place, which it keeps as the new rival: a person who stood there when the camera was switched on
    fades two seconds after they left, a person who stops for less than a minute stays visible, and a
    parked car becomes background. It is a mixture of two Gaussians (Stauffer and Grimson 1999, "Adaptive
    background mixture models for real-time tracking") that counts seconds instead of frames, and whose
    memory can be stored, unlike that of OpenCV's ``BackgroundSubtractorMOG2``.

    Attributes:
        mean: (h, w, 3) BGR of the background.
        variance: (h, w) of one colour channel around it.
        trust_s: (h, w) seconds for which it was seen, at most MAX_TRUST_S.
        rival: (h, w, 3) BGR seen in its place.
        rival_trust_s: (h, w) seconds for which that was seen.
        time: (1,) seconds, of the newest frame.
    """

    mean: Float32Array
    variance: Float32Array
    trust_s: Float32Array
    rival: Float32Array
    rival_trust_s: Float32Array
    time: NDArray[np.float64]

    @classmethod
    def from_picture(cls, image: Image, time: float) -> Self:
        """The first (h, w, 3) picture, trusted for no second yet."""
        pixels = image.astype(np.float32)
        zeros = np.zeros(image.shape[:2], np.float32)
        noise = np.full(image.shape[:2], NOISE_LEVELS**2, np.float32)
        return cls(pixels, noise, zeros, pixels.copy(), zeros.copy(), np.array([time]))

    def compare(self, image: Image, time: float) -> tuple[BoolArray, BoolArray]:
        """Say where a picture of the size of the first shows something else; then learn from it.

        Returns:
            (h, w) True for something else, and (h, w) True for what may be that or the shadow of it.
        """
        pixels = image.astype(np.float32)
        step = float(np.clip(time - self.time[0], 0.0, MAX_STEP_S))
        self.time = np.array([time])
        self._follow_light(pixels)
        differs, shadow = self._compare(pixels)
        if differs.mean() > MAX_CHANGED_SHARE:
            fresh = self.from_picture(image, time)
            for field in fields(self):
                setattr(self, field.name, getattr(fresh, field.name))
            nothing = np.zeros(image.shape[:2], np.bool_)
            return nothing, nothing.copy()
        self._learn(pixels, differs, step)
        return differs & ~shadow, differs & shadow

    def state(self) -> State:
        """All it remembers; ``Background(**state)`` goes on exactly as this one would."""
        return {field.name: getattr(self, field.name).copy() for field in fields(self)}

    def _follow_light(self, pixels: Float32Array) -> None:
        """A lamp or the camera's exposure changes all pixels by one factor for each channel."""
        ratios = (pixels[EVERY, EVERY] + DARK_LEVELS) / (self.mean[EVERY, EVERY] + DARK_LEVELS)
        # The median: people cover less than half of the picture.
        gain = np.median(ratios.reshape(-1, 3), axis=0).astype(np.float32)
        if (np.abs(gain - 1) > MIN_LIGHT_CHANGE).any():
            self.mean *= gain
            self.rival *= gain

    def _compare(self, pixels: Float32Array) -> tuple[BoolArray, BoolArray]:
        """(h, w) where the picture differs from the background, and (h, w) where it could be its shadow.

        Source of the shadow rule: Horprasert et al. 1999, "A statistical approach for real-time robust
        background subtraction and shadow detection": less bright along the background's own colour.
        """
        distance = _square(pixels - self.mean)
        # A noisy camera shows it in all pixels at once, before each of them has learned its own noise.
        noise = float(np.median(distance[EVERY, EVERY])) / MEDIAN_OF_CHI_SQUARE_3
        differs = distance > 3 * MIN_DEVIATIONS**2 * np.maximum(self.variance, noise)
        brightness = _square(self.mean) + 1.0
        share = np.einsum("hwc,hwc->hw", pixels, self.mean) / brightness
        tint = _square(pixels) - share**2 * brightness
        shadow = (share > DARKEST_SHADOW) & (share < 1) & (tint < MAX_SHADOW_TINT**2 * brightness)
        return differs, shadow

    def _learn(self, pixels: Float32Array, differs: BoolArray, step: float) -> None:
        difference = pixels - self.mean
        rate = _rate(~differs, self.trust_s, step)
        self.mean += rate[..., None] * difference
        spread = np.clip(_square(difference) / 3, NOISE_LEVELS**2, MAX_NOISE_LEVELS**2)
        self.variance += rate * (spread - self.variance)
        self.trust_s += np.where(differs, 0.0, step).astype(np.float32)
        np.minimum(self.trust_s, MAX_TRUST_S, out=self.trust_s)

        difference = pixels - self.rival
        is_rival = differs & (_square(difference) < 3 * MIN_DEVIATIONS**2 * self.variance)
        self.rival += _rate(is_rival, self.rival_trust_s, step)[..., None] * difference
        # A third colour takes trust away twice as fast as it came, and then becomes the rival.
        is_third = differs & ~is_rival
        self.rival_trust_s += np.where(is_rival, step, np.where(is_third, -2 * step, 0.0)).astype(np.float32)
        replaced = is_third & (self.rival_trust_s <= 0)
        self.rival[replaced] = pixels[replaced]
        np.maximum(self.rival_trust_s, 0.0, out=self.rival_trust_s)

        kept_s = np.where(self.trust_s < UNSEEN_S, MIN_RIVAL_S, np.maximum(self.trust_s, MIN_TRUST_S))
        wins = is_rival & (self.rival_trust_s > kept_s)
        self.mean[wins], self.rival[wins] = self.rival[wins], self.mean[wins]
        self.trust_s[wins], self.rival_trust_s[wins] = self.rival_trust_s[wins], self.trust_s[wins]


def _square(colours: Float32Array) -> Float32Array:
    """(h, w, 3) to (h, w) squared length."""
    return np.asarray(np.einsum("hwc,hwc->hw", colours, colours), np.float32)


def _rate(where: BoolArray, trust_s: Float32Array, step: float) -> Float32Array:
    """(h, w) share of the new picture: the plain mean at first, then a memory of MEMORY_S."""
    known = np.minimum(trust_s, MEMORY_S) + step
    return np.where(where & (known > 0), step / np.maximum(known, 1e-6), 0.0).astype(np.float32)
