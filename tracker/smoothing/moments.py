"""Where boxes were, given all that was seen before and after: the smoother to the filter of `kalman`."""

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.kalman import BoxNoise, predict_moments, start_moments, update_moments


def smooth_moments(
    measured: FloatArray,
    is_seen: BoolArray,
    times: FloatArray,
    size: FloatArray,
    lengths: IntArray,
    noise: BoxNoise,
) -> FloatArray:
    """Filter many tracks forwards, then let what came later correct what came before.

    All tracks take their n-th step at once, the longest first, so those that still go on are always the
    first ones: the loops run over the steps of the longest track, not over tracks.

    Args:
        measured: (R, C) detected coordinates, track after track, each by rising time.
        is_seen: (R,) False where nothing was detected; ``measured`` does not matter there. The first row
            of a track is seen.
        times: (R,) seconds, rising within a track.
        size: (R, 1) what the noise is a share of, as in `start_moments`.
        lengths: (M,) rows of each track, 1 or more; R in all.

    Returns:
        (R, 5, C) moments as in `start_moments`: best estimates, their variances and covariances.

    Source: Rauch, Tung and Striebel 1965, AIAA Journal 3(8), in closed form for 2x2 covariances.
    """
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    steps = int(lengths.max(initial=0))
    going_on = np.searchsorted(-lengths[order], -np.arange(steps))  # how many have a row n
    moments = np.empty((len(measured), 5, measured.shape[1]))

    def predict(rows: IntArray) -> FloatArray:
        """The moments of ``rows`` as the rows before foretell them."""
        between = 0.5 * (size[rows - 1] + size[rows])
        seconds = (times[rows] - times[rows - 1])[:, None]
        return predict_moments(moments[rows - 1], seconds, between, noise)

    moments[starts] = start_moments(measured[starts], size[starts], noise)
    for step in range(1, steps):
        rows = starts[: going_on[step]] + step
        moments[rows] = predict(rows)
        rows = rows[is_seen[rows]]
        moments[rows] = update_moments(moments[rows], measured[rows], size[rows], noise)
    for step in range(steps - 1, 0, -1):
        rows = starts[: going_on[step]] + step
        seconds = (times[rows] - times[rows - 1])[:, None]
        moments[rows - 1] = _corrected(moments[rows - 1], predict(rows), moments[rows], seconds)
    return moments


def _corrected(
    filtered: FloatArray, predicted: FloatArray, smoothed: FloatArray, seconds: FloatArray
) -> FloatArray:
    """The (M, 5, C) moments of a step, once the next one was ``predicted`` and turned out ``smoothed``."""
    variance, covariance, velocity_variance = filtered[:, 2], filtered[:, 3], filtered[:, 4]
    before, between, after = predicted[:, 2], predicted[:, 3], predicted[:, 4]
    determinant = before * after - between * between
    # How position and velocity go with the next position and velocity; times the inverse: the gain.
    with_position = variance + seconds * covariance, covariance + seconds * velocity_variance
    with_velocity = covariance, velocity_variance
    gain = [
        ((first * after - second * between) / determinant, (second * before - first * between) / determinant)
        for first, second in zip(with_position, with_velocity, strict=True)
    ]
    (position, position_by_velocity), (velocity_by_position, velocity) = gain
    surprise = smoothed - predicted
    corrected = np.empty_like(filtered)
    corrected[:, 0] = filtered[:, 0] + position * surprise[:, 0] + position_by_velocity * surprise[:, 1]
    corrected[:, 1] = filtered[:, 1] + velocity_by_position * surprise[:, 0] + velocity * surprise[:, 1]
    for row, (one, other) in ((2, (0, 0)), (3, (0, 1)), (4, (1, 1))):
        (a, b), (c, d) = gain[one], gain[other]
        corrected[:, row] = filtered[:, row] + (
            a * c * surprise[:, 2] + (a * d + b * c) * surprise[:, 3] + b * d * surprise[:, 4]
        )
    return corrected
