"""Drawn embeddings of people, for the tests of searching."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import EmbeddingArray
from tests.galleries import unit_rows
from tracker.gallery import Appearances
from tracker.identity.tracklets import directions
from tracker.types import CameraName, Network

NETWORK = Network("drawn", "c0ffee", 256)
PEOPLE = 12
EMBEDDINGS = unit_rows(np.random.default_rng(0), 2 * PEOPLE, NETWORK.dimension)
"""What people look like: number n is row n - 1; the second half is never remembered."""
CAMERAS = (CameraName("door"), CameraName("[bold]yard"))


def seen(numbers: Sequence[int], seed: int, noise: float = 0.7) -> EmbeddingArray:
    """A picture of each of these people; the cosine of two of one person is about 1 / (1 + noise ** 2)."""
    rows = EMBEDDINGS[np.array(numbers) - 1]
    noisy = rows + noise * unit_rows(np.random.default_rng(seed), len(rows), NETWORK.dimension)
    return directions(noisy)


def remembered(numbers: Sequence[int], pictures: int = 2) -> Appearances:
    """So many pictures of each, the cameras in turn."""
    every = [number for number in numbers for _ in range(pictures)]
    cameras = np.array([CAMERAS[place % 2] for place in range(len(every))], np.object_)
    return Appearances(np.array(every), cameras, seen(every, 1).astype(np.float16))
