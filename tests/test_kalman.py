import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from foundation.arrays import FloatArray
from tracker.kalman import BoxNoise, move_moments, predict_moments, start_moments, update_moments

NOISE = BoxNoise(measured_sd=0.05, position_sd=0.27, velocity_sd=1.0, start_velocity_sd=2.0)


def dense(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(5, C) moments of one track -> (2C,) mean and (2C, 2C) covariance, positions before velocities."""
    mean = np.concatenate((moments[0], moments[1]))
    blocks = [[np.diag(moments[2]), np.diag(moments[3])], [np.diag(moments[3]), np.diag(moments[4])]]
    return mean, np.block(blocks)


def oracle_of(moments: FloatArray) -> KalmanFilter:
    coordinates = moments.shape[1]
    oracle = KalmanFilter(dim_x=2 * coordinates, dim_z=coordinates)
    mean, oracle.P = dense(moments)
    oracle.x = mean[:, None]
    oracle.H = np.eye(coordinates, 2 * coordinates)
    return oracle


def oracle_predict(oracle: KalmanFilter, seconds: float, size: float, noise: BoxNoise) -> None:
    """The textbook matrices of a velocity that wanders (white acceleration), plus a wandering position."""
    step = np.array([[1, seconds], [0, 1]])
    acceleration = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
    drift = noise.velocity_sd**2 * acceleration + noise.position_sd**2 * np.diag([seconds, 0])
    four = np.eye(4)
    oracle.predict(F=np.kron(step, four), Q=np.kron(drift * size**2, four))


def random_track_starts(count: int, seed: int) -> tuple[np.random.Generator, FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    return random, random.uniform(0, 2000, (count, 4)), random.uniform(5, 800, (count, 1))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_filterpy_on_many_tracks(seed: int) -> None:
    random, measured, size = random_track_starts(20, seed)
    noise = BoxNoise(*random.uniform(0.01, 3, 4))
    moments = start_moments(measured, size, noise)
    oracles = [oracle_of(track) for track in moments]
    for _ in range(40):
        seconds = float(random.choice([1 / 60, 1 / 30, 1 / 7, 2.0]))
        moments = predict_moments(moments, seconds, size, noise)
        for oracle, height in zip(oracles, size[:, 0], strict=True):
            oracle_predict(oracle, seconds, height, noise)
        seen = np.nonzero(random.random(20) < 0.7)[0]
        measured = moments[seen, 0] + random.normal(0, 1, (len(seen), 4)) * size[seen]
        moments[seen] = update_moments(moments[seen], measured, size[seen], noise)
        for row, values in zip(seen, measured, strict=True):
            oracles[row].update(values[:, None], R=np.eye(4) * (noise.measured_sd * size[row]) ** 2)
        for track, oracle in zip(moments, oracles, strict=True):
            mean, covariance = dense(track)
            np.testing.assert_allclose(mean, oracle.x[:, 0], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(covariance, oracle.P, rtol=1e-9, atol=1e-9 * oracle.P.max())


def test_stays_positive_definite_through_a_day_of_frames() -> None:
    random, measured, size = random_track_starts(8, 0)
    moments = start_moments(measured, size, NOISE)
    for step in range(20_000):
        seconds = 1e-4 if step % 3 else 0.5
        moments = predict_moments(moments, seconds, size, NOISE)
        if step % 7:
            measured = moments[:, 0] + random.normal(0, 0.05, (8, 4)) * size
            moments = update_moments(moments, measured, size, NOISE)
        variance, covariance, velocity_variance = moments[:, 2], moments[:, 3], moments[:, 4]
        assert (variance > 0).all()
        assert (velocity_variance > 0).all()
        assert (variance * velocity_variance > covariance**2).all()


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_many_short_steps_equal_one_long_step(steps: int) -> None:
    _, measured, size = random_track_starts(10, 1)
    moments = update_moments(start_moments(measured, size, NOISE), measured + 5, size, NOISE)
    once = predict_moments(moments, 1.2, size, NOISE)
    for _ in range(steps):
        moments = predict_moments(moments, 1.2 / steps, size, NOISE)
    np.testing.assert_allclose(moments, once, rtol=1e-10)


def test_no_time_changes_nothing() -> None:
    _, measured, size = random_track_starts(4, 2)
    moments = start_moments(measured, size, NOISE)
    np.testing.assert_array_equal(predict_moments(moments, 0.0, size, NOISE), moments)


def test_learns_a_steady_walk() -> None:
    size = np.full((1, 1), 100.0)
    moments = start_moments(np.zeros((1, 4)), size, NOISE)
    for frame in range(1, 91):
        moments = predict_moments(moments, 1 / 30, size, NOISE)
        moments = update_moments(moments, np.full((1, 4), 40.0 * frame / 30), size, NOISE)
    np.testing.assert_allclose(moments[0, 0], 120, atol=0.5)
    np.testing.assert_allclose(moments[0, 1], 40, atol=0.5)


def test_tracks_do_not_touch_each_other_and_arguments_stay_as_they_were() -> None:
    _, measured, size = random_track_starts(6, 3)
    moments = start_moments(measured, size, NOISE)
    before = moments.copy()
    together = update_moments(predict_moments(moments, 0.1, size, NOISE), measured + 1, size, NOISE)
    for row in range(6):
        one = slice(row, row + 1)
        alone = predict_moments(moments[one], 0.1, size[one], NOISE)
        alone = update_moments(alone, measured[one] + 1, size[one], NOISE)
        np.testing.assert_array_equal(alone, together[one])
    np.testing.assert_array_equal(moments, before)


def moments_of(samples: FloatArray) -> FloatArray:
    """(S, M, 2, 4) positions and velocities -> (M, 5, 4) their means, variances and covariances."""
    mean = samples.mean(axis=0)
    off = samples - mean
    variance, covariance = (off**2).mean(axis=0), (off[:, :, 0] * off[:, :, 1]).mean(axis=0)
    return np.stack((mean[:, 0], mean[:, 1], variance[:, 0], covariance, variance[:, 1]), axis=1)


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_camera_that_shifts_and_zooms_moves_moments_as_it_moves_samples(scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    shift = random.uniform(-50, 50, 2)
    wander = np.array([[1.0, 0.0], [0.6, 0.8]])  # velocities go with positions
    samples = random.uniform(-99, 99, (6, 2, 4)) + wander @ random.normal(0, 9, (100, 6, 2, 4))
    moments = moments_of(samples)
    before = moments.copy()
    moved = move_moments(moments, np.column_stack((scale * np.eye(2), shift)))
    places = scale * samples  # of velocities too, and of sizes
    places[:, :, 0, :2] += shift
    np.testing.assert_allclose(moved, moments_of(places), rtol=1e-9)
    np.testing.assert_array_equal(moments, before)


@pytest.mark.parametrize("turn_deg", [90.0, -30.0, 180.0])
def test_a_camera_that_turns_turns_places_and_ways_and_keeps_speeds_and_sizes(turn_deg: float) -> None:
    random = np.random.default_rng(0)
    moments = random.uniform(1, 99, (5, 5, 4))
    spin = np.exp(1j * np.deg2rad(turn_deg))
    motion = np.array([[spin.real, -spin.imag, 3.0], [spin.imag, spin.real, -4.0]])
    moved = move_moments(moments, motion)
    centers, ways = (moments[:, row, 0] + 1j * moments[:, row, 1] for row in (0, 1))
    np.testing.assert_allclose(moved[:, 0, 0] + 1j * moved[:, 0, 1], centers * spin + 3 - 4j)
    np.testing.assert_allclose(moved[:, 1, 0] + 1j * moved[:, 1, 1], ways * spin)
    np.testing.assert_allclose(np.hypot(*moved[:, 1, :2].T), np.abs(ways))
    np.testing.assert_allclose(moved[:, :, 2:], moments[:, :, 2:])
    np.testing.assert_allclose(moved[:, 2:], moments[:, 2:])


def test_a_mirrored_or_stretched_picture_gives_boxes_of_the_area_that_it_shows() -> None:
    moments = np.random.default_rng(1).uniform(1, 99, (5, 5, 4))
    moved = move_moments(moments, np.array([[-2.0, 0.0, 0.0], [0.0, 8.0, 0.0]]))
    np.testing.assert_allclose(moved[:, 0], moments[:, 0] * (-2, 8, 4, 4))
    np.testing.assert_allclose(moved[:, 1], moments[:, 1] * (-2, 8, 4, 4))
    np.testing.assert_allclose(moved[:, 2:], moments[:, 2:] * 16)


def test_a_camera_that_stands_still_moves_nobody() -> None:
    moments = np.random.default_rng(2).uniform(1, 99, (5, 5, 4))
    np.testing.assert_array_equal(move_moments(moments, np.eye(2, 3)), moments)


def test_nobody_is_fine() -> None:
    nobody = start_moments(np.empty((0, 4)), np.empty((0, 1)), NOISE)
    later = predict_moments(nobody, 1.0, np.empty((0, 1)), NOISE)
    assert update_moments(later, np.empty((0, 4)), np.empty((0, 1)), NOISE).shape == (0, 5, 4)
    assert move_moments(nobody, np.eye(2, 3)).shape == (0, 5, 4)
