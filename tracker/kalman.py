"""Kalman filter for the boxes of all tracks at once: moments in, moments out, time in seconds.

Each box coordinate moves on its own with a velocity that wanders, so the filter of a track falls into
independent 2x2 problems whose solutions are short formulas: exact, and free of matrix inversions.
"""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class BoxNoise:
    """How a box wanders: standard deviations in sizes of the box, so that near and far people are alike.

    Attributes:
        measured_sd: Of a detected coordinate, in sizes.
        position_sd: Of a coordinate's drift within one second, beside its velocity, in sizes.
        velocity_sd: Of its velocity's drift within one second, in sizes per second.
        start_velocity_sd: Of the velocity of somebody who was just found, in sizes per second.
    """

    measured_sd: float
    position_sd: float
    velocity_sd: float
    start_velocity_sd: float


def start_moments(measured: FloatArray, size: FloatArray, noise: BoxNoise) -> FloatArray:
    """Begin with one detection: where it is, at rest.

    Args:
        measured: (M, C) detected coordinates.
        size: (M, 1), or (M, C) for one a coordinate: the size that the noise is a share of, in the unit of
            the coordinate. Positive.

    Returns:
        (M, 5, C) moments: position, velocity per second, variance of the position, covariance of both,
        variance of the velocity.
    """
    moments = np.zeros((len(measured), 5, measured.shape[1]))
    moments[:, 0] = measured
    moments[:, 2] = (noise.measured_sd * size) ** 2
    moments[:, 4] = (noise.start_velocity_sd * size) ** 2
    return moments


def predict_moments(
    moments: FloatArray, seconds: float | FloatArray, size: FloatArray, noise: BoxNoise
) -> FloatArray:
    """The (M, 5, C) moments ``seconds`` later, one for all or (M, 1), when nothing was seen meanwhile.

    White noise drives position and velocity in continuous time, so the step length does not matter: two steps
    of 0.1 s give what one step of 0.2 s gives, and frames may come at any rate and drop.

    Source: discretised white-noise acceleration (Bar-Shalom et al. 2001, Estimation with Applications to
    Tracking and Navigation, section 6.2.2), plus a random walk of the position.
    """
    velocity, covariance, velocity_variance = moments[:, 1], moments[:, 3], moments[:, 4]
    area = size**2
    wander = noise.velocity_sd**2 * seconds
    later = moments.copy()
    later[:, 0] += seconds * velocity
    later[:, 2] += seconds * (2 * covariance + seconds * velocity_variance)
    later[:, 2] += (seconds * noise.position_sd**2 + wander * seconds**2 / 3) * area
    later[:, 3] += seconds * velocity_variance + (wander * seconds / 2) * area
    later[:, 4] += wander * area
    return later


def update_moments(
    moments: FloatArray, measured: FloatArray, size: FloatArray, noise: BoxNoise
) -> FloatArray:
    """The (M, 5, C) moments once the (M, C) coordinates ``measured`` were seen: Bayes' rule for Gaussians.

    Both position terms shrink by the same factor below 1, which keeps each 2x2 covariance positive definite.
    """
    measured_variance = (noise.measured_sd * size) ** 2
    variance, covariance = moments[:, 2], moments[:, 3]
    total = variance + measured_variance
    surprise = (measured - moments[:, 0]) / total
    kept = measured_variance / total
    updated = np.empty_like(moments)
    updated[:, 0] = moments[:, 0] + variance * surprise
    updated[:, 1] = moments[:, 1] + covariance * surprise
    updated[:, 2] = variance * kept
    updated[:, 3] = covariance * kept
    updated[:, 4] = moments[:, 4] - covariance * covariance / total
    return updated


def move_moments(moments: FloatArray, motion: FloatArray) -> FloatArray:
    """The moments of boxes after the camera moved, and the picture with it.

    Coordinates stay independent, so of a turn the covariances take over only how much it stretches.

    Args:
        moments: (M, 5, 4) of centre x, centre y, width, height.
        motion: (2, 3) where a place x, y of the picture before is now, an invertible affine map.

    Source: camera-motion compensation (Aharon et al. 2022, BoT-SORT, arXiv:2206.14651, section 3.2).
    """
    turn, shift = motion[:, :2], motion[:, 2]
    stretch = np.sqrt(abs(np.linalg.det(turn)))
    moved = moments.copy()
    moved[:, :2, :2] = moments[:, :2, :2] @ turn.T
    moved[:, 0, :2] += shift
    moved[:, :2, 2:] *= stretch
    moved[:, 2:] *= stretch**2
    return moved
