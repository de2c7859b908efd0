"""The colours of people and cameras, the same in every picture and video of a run."""

from functools import lru_cache

import numpy as np

from foundation.arrays import FloatArray, IntArray
from foundation.figures import PALETTE, Color

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
UNDECIDED: Color = (128, 128, 128)

NUM_PEOPLE = 64
"""Later people get the colours once more."""
LIGHTNESS = (0.45, 0.85)
"""Least and most of OKLab's: to be seen on white paper as well as in a dark video."""
MIN_CHROMA = 0.1
"""Greyer ones would be taken for `UNDECIDED`."""

_TO_LMS: FloatArray = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB: FloatArray = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip
"""Linear sRGB to cone responses, and their cube roots to lightness, a and b: OKLab (Ottosson 2020)."""

LUMINANCE: FloatArray = np.array([0.2126, 0.7152, 0.0722])
"""Of linear sRGB (WCAG 2)."""

EYES: FloatArray = np.array([
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
])  # fmt: skip
"""Linear sRGB as it is, and as it is to people with protanopia and deuteranopia (Machado et al. 2009)."""


def camera_color(index: int) -> Color:
    """The colour of a camera by its place in the run; from the ninth on they come once more."""
    return PALETTE[index % len(PALETTE)]


def person_color(identity: int) -> Color:
    """The colour of a person; 0 is grey, it is not decided yet who it is."""
    return people_colors()[(identity - 1) % NUM_PEOPLE] if identity else UNDECIDED


@lru_cache(maxsize=1)
def people_colors() -> tuple[Color, ...]:
    """`NUM_PEOPLE` colours, each as unlike all before it as can be, also to colour-blind eyes.

    So however few people there are, no other choice of the next colour would keep them further apart.
    """
    levels = np.arange(0.0, 256, 17)
    candidates = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    seen = appearance(candidates)
    lightness, chroma = seen[0, :, 0], np.hypot(seen[0, :, 1], seen[0, :, 2])
    is_clear = (lightness >= LIGHTNESS[0]) & (lightness <= LIGHTNESS[1]) & (chroma >= MIN_CHROMA)
    candidates, seen = candidates[is_clear], seen[:, is_clear]
    chosen = [int(chroma[is_clear].argmax())]
    nearest = np.full(len(candidates), np.inf)
    while len(chosen) < NUM_PEOPLE:
        distances = np.linalg.norm(seen - seen[:, chosen[-1:]], axis=2).min(axis=0)
        nearest = np.minimum(nearest, distances)
        chosen.append(int(nearest.argmax()))
    return tuple((red, green, blue) for red, green, blue in candidates[chosen].astype(int).tolist())


def appearance(colors: FloatArray) -> FloatArray:
    """How colours (N, 3) look to each of `EYES`, in OKLab: (3, N, 3). Distances are those that are seen."""
    seen = np.clip(_linear(colors) @ EYES.transpose(0, 2, 1), 0, 1)
    return np.asarray(np.cbrt(seen @ _TO_LMS.T) @ _TO_LAB.T)


def ink_on(color: Color) -> Color:
    """Black or white, whichever has the higher contrast to a colour."""
    black, white = (contrast(ink, color) for ink in (BLACK, WHITE))
    return BLACK if black > white else WHITE


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of two colours, 1 to 21; WCAG 2 wants 4.5 of text."""
    low, high = sorted((_linear(np.array([one, other])) @ LUMINANCE).tolist())
    return float((high + 0.05) / (low + 0.05))


def _linear(colors: FloatArray | IntArray) -> FloatArray:
    """sRGB of 0 to 255 as shares of light."""
    share = np.asarray(colors) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
