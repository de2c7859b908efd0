"""What a cosine of a network's embeddings means, measured on people that it was not trained on.

The tracker turns cosines into odds and error rates. Until a site has shown enough pairs of its own, it starts
from these numbers, which belong to the network.
"""

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from foundation.arrays import EmbeddingArray, FloatArray, IntArray
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from reid.data import Record
from reid.retrieval import DISTRACTOR, MIN_LENGTH, center_cameras, normalise

MIN_PICTURES = 2
"""Tracklets of fewer pictures are left out: the tracker names nobody by one embedding."""

WITHIN_FRAMES = (75, 150)
"""Frames between two pictures of one tracklet: 3 to 6 s of Market-1501, whose names hold them, 25/s."""

FRAME_IN_NAME = re.compile(r"_c\d+s\d+_(\d+)_")

MAX_WITHIN = 4
"""Pairs of one tracklet, so that nobody who stood still for long counts for more than others."""

MIN_PAIRS = 20
"""Of each kind; a spread of fewer tells little."""

LESS_ALIKE = (0.5, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999)
"""The mixture is fitted where these shares of the pairs of two people are less alike."""


def measure_prior(embeddings: EmbeddingArray, records: Sequence[Record]) -> CosinePrior:
    """Measure on pictures of people that the network never saw.

    Pictures of one person by one camera are a tracklet, as the tracker makes them; the mean of all tracklets
    of a camera is taken out of them.

    Args:
        embeddings: (N, D) of length 1.
        records: Who is on the N pictures, and which camera took them.

    Raises:
        ReuniteError: Too few people or cameras to say anything.
    """
    keys, tracklet = np.unique(
        np.array([(record.person, record.camera) for record in records], np.int64).reshape(-1, 2),
        axis=0,
        return_inverse=True,
    )
    tracklet = tracklet.ravel()
    is_kept = (np.bincount(tracklet) >= MIN_PICTURES) & (keys[:, 0] > DISTRACTOR)
    sums = np.zeros((len(keys), embeddings.shape[1]), np.float32)
    np.add.at(sums, tracklet, embeddings)
    person, camera = keys[is_kept].T
    means = normalise(sums[is_kept])
    centered = center_cameras(means, camera)
    first, second = np.triu_indices(len(person), 1)
    cosines = (centered @ centered.T)[first, second].astype(np.float64)
    is_same = person[first] == person[second]
    different, same = cosines[~is_same], cosines[is_same & (camera[first] != camera[second])]
    rows = np.flatnonzero(is_kept[tracklet]).tolist()
    of_camera = {number: means[camera == number].mean(axis=0) for number in np.unique(camera).tolist()}
    shift = np.array([of_camera[records[row].camera] for row in rows]).reshape(len(rows), embeddings.shape[1])
    within = _within(embeddings[rows] - shift, [records[row].path for row in rows], tracklet[rows])
    if min(len(different), len(same), len(within)) < MIN_PAIRS:
        raise ReuniteError(
            f"prior: {len(same)} pairs of one person in two cameras, {len(within)} of two pictures in one "
            f"and {len(different)} of two people are too few; {MIN_PAIRS} of each are needed"
        )
    numbers = (*_mixture(different), same.mean(), same.std(), within.mean(), within.std())
    return CosinePrior(*(round(float(number), 3) for number in numbers))


def _within(centered: EmbeddingArray, paths: Sequence[str], tracklet: IntArray) -> FloatArray:
    """(W,) cosines of two pictures of one tracklet.

    They are `WITHIN_FRAMES` apart, or, where names hold no such frames, any two.
    """
    centered = centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), MIN_LENGTH)
    found = [FRAME_IN_NAME.search(path) for path in paths]
    frames = np.array([float(match[1]) if match else math.nan for match in found])
    pairs = [
        (rows[first], rows[second])
        for rows in (np.flatnonzero(tracklet == number) for number in np.unique(tracklet))
        for first, second in zip(*np.triu_indices(len(rows), 1), strict=True)
    ]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    apart = np.abs(frames[first] - frames[second])
    is_apart = (apart >= WITHIN_FRAMES[0]) & (apart <= WITHIN_FRAMES[1])
    if is_apart.any():
        first, second = first[is_apart], second[is_apart]
    starts = np.searchsorted(tracklet[first], tracklet[first])  # pairs come tracklet by tracklet
    chosen = np.arange(len(first)) - starts < MAX_WITHIN
    cosines = (centered[first[chosen]] * centered[second[chosen]]).sum(axis=1)
    return np.asarray(cosines, np.float64)


def _mixture(cosines: FloatArray) -> tuple[float, float, float, float, float]:
    """Mean and deviation of most pairs of two people; share, extra mean and deviation of look-alikes.

    Two beta distributions on [-1, 1] whose upper tail is that of the cosines, since a stranger who is taken
    for somebody comes from there. Fitted to the logarithm of how many are above each of some cosines.
    """
    above = np.array([1 - share for share in LESS_ALIKE if (1 - share) * len(cosines) >= 10])
    at = np.quantile(cosines, 1 - above)

    def off(values: NDArray[np.float64]) -> FloatArray:
        mean, sd, share, more, sd_of_look_alikes = values
        said = (1 - share) * _above(at, mean, sd) + share * _above(at, mean + more, sd_of_look_alikes)
        return np.asarray(np.log(np.maximum(said, 1e-12) / above))

    mean, sd = float(cosines.mean()), float(cosines.std())
    lowest = [mean - sd / 2, 0.3 * sd, 0.005, sd / 2, sd / 2]
    highest = [mean + sd / 4, 1.2 * sd, 0.3, 0.8, 0.4]
    start = np.clip([mean, 0.9 * sd, 0.05, 2 * sd, 1.4 * sd], lowest, highest)
    fitted: Any = optimize.least_squares(off, start, bounds=(lowest, highest)).x
    mean, sd, share, more, sd_of_look_alikes = fitted.tolist()
    return mean, sd, share, more, sd_of_look_alikes


def _above(cosines: FloatArray, mean: float, sd: float) -> FloatArray:
    """Share of a beta distribution on [-1, 1] that is above."""
    middle, variance = (mean + 1) / 2, (sd / 2) ** 2
    total = middle * (1 - middle) / variance - 1
    return np.asarray(special.betainc((1 - middle) * total, middle * total, (1 - cosines) / 2))
