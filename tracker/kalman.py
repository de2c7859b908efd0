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
    wander = noise.velocity_sd**2 * seconds
    spread = seconds * noise.position_sd**2 + wander * seconds**2 / 3
    grown = np.array([spread, wander * seconds / 2, wander]).reshape(3, -1, 1)
    before = _by_moment(moments)
    later = before.copy()
    # The position goes on with the velocity as its covariance does with the velocity's variance.
    later[0::3] += seconds * before[1::3]
    later[2] += seconds * (before[3] + later[3])
    later[2:] += grown * size**2
    return later.transpose(1, 0, 2)


def update_moments(
    moments: FloatArray, measured: FloatArray, size: FloatArray, noise: BoxNoise
) -> FloatArray:
    """The (M, 5, C) moments once the (M, C) coordinates ``measured`` were seen: Bayes' rule for Gaussians.

    Both position terms shrink by the same factor below 1, which keeps each 2x2 covariance positive definite.
    """
    before = _by_moment(moments)
    measured_variance = (noise.measured_sd * size) ** 2
    total = before[2] + measured_variance
    gain = before[2:4] / total  # of position and velocity
    updated = np.empty_like(before)
    updated[:2] = before[:2] + gain * (measured - before[0])
    updated[2:4] = before[2:4] * (measured_variance / total)
    updated[4] = before[4] - gain[1] * before[3]
    return updated.transpose(1, 0, 2)


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


def _by_moment(moments: FloatArray) -> FloatArray:
    """(M, 5, C) -> (5, M, C), one moment of all tracks after the other in memory: runs of C are slow."""
    return np.ascontiguousarray(moments.transpose(1, 0, 2))
