"""Finished tracks made better: against filterpy, against brute force, and with people who walk as told."""

from itertools import permutations

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from foundation.arrays import BoolArray, FloatArray, IntArray
from foundation.mot_files import MotTable
from tracker.config import OfflineConfig
from tracker.kalman import BoxNoise
from tracker.smoothing import is_of_likely_track, join_tracks, smooth_moments, smooth_tracks, smooth_ways
from tracker.smoothing.joining import _best_pairs

CONFIG = OfflineConfig()
RATE = 25.0
WALK = 60.0
"""Pixels per second; people are 100 px high."""


def walker(
    track: int, frames: IntArray, start: float = 0.0, top: float = 50.0, score: float = 0.9
) -> MotTable:
    """Somebody who walks to the right, ``start`` px from the left in frame 0."""
    left = start + WALK * frames / RATE
    size = np.ones_like(left)
    boxes = np.column_stack((left, top * size, 40 * size, 100 * size))
    return MotTable.of_people(frames, np.full(len(frames), track), boxes, np.full(len(frames), score))


def together(*parts: MotTable) -> MotTable:
    names = ("frames", "ids", "boxes", "scores")
    return MotTable.of_people(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def smooth(table: MotTable, config: OfflineConfig = CONFIG) -> MotTable:
    return smooth_tracks(table, table.frames / RATE, 0.6, config)


def firsts_of(table: MotTable, config: OfflineConfig = CONFIG) -> dict[int, int]:
    joined = join_tracks(table, table.frames / RATE, config)
    return dict(zip(table.ids.tolist(), joined.tolist(), strict=True))


def oracle(
    measured: FloatArray, is_seen: BoolArray, times: FloatArray, size: FloatArray, noise: BoxNoise
) -> tuple[FloatArray, FloatArray]:
    """(T, 2) means and (T, 2, 2) covariances of one coordinate: filterpy's filter and its RTS smoother."""
    filter_ = KalmanFilter(dim_x=2, dim_z=1)
    filter_.H = np.array([[1.0, 0.0]])
    filter_.x = np.array([[measured[0]], [0.0]])
    filter_.P = np.diag([noise.measured_sd, noise.start_velocity_sd]) ** 2 * size[0] ** 2
    means, covariances, steps, drifts = [filter_.x], [filter_.P], [np.eye(2)], [np.zeros((2, 2))]
    for row in range(1, len(times)):
        dt = times[row] - times[row - 1]
        step = np.array([[1, dt], [0, 1]])
        drift = noise.velocity_sd**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        drift = (drift + noise.position_sd**2 * np.diag([dt, 0])) * (0.5 * (size[row - 1] + size[row])) ** 2
        filter_.predict(F=step, Q=drift)
        if is_seen[row]:
            filter_.update(measured[row], R=np.array([[(noise.measured_sd * size[row]) ** 2]]))
        means.append(filter_.x)
        covariances.append(filter_.P)
        steps.append(step)
        drifts.append(drift)
    # filterpy 2 takes the matrices that led to a step, as they are given here.
    x, p, *_ = filter_.rts_smoother(np.array(means), np.array(covariances), Fs=steps, Qs=drifts)
    return x[:, :, 0], p


@pytest.mark.parametrize("seed", range(5))
def test_the_smoother_agrees_with_filterpy(seed: int) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 40, 12)
    rows = int(lengths.sum())
    times = np.cumsum(random.choice([1 / 60, 1 / 25, 1.7], rows))
    is_seen = random.random(rows) < 0.6
    starts = np.cumsum(lengths) - lengths
    is_seen[starts] = True
    measured, size = random.normal(0, 30, (rows, 3)).cumsum(axis=0), random.uniform(20, 300, (rows, 1))
    noise = BoxNoise(*random.uniform(0.05, 2, 4))
    unseen = np.where(is_seen[:, None], measured, np.nan)  # must not be read
    moments = smooth_moments(unseen, is_seen, times, size, lengths, noise)
    for start, length in zip(starts, lengths, strict=True):
        part = slice(start, start + length)
        for column in range(3):
            means, covariances = oracle(
                measured[part, column], is_seen[part], times[part], size[part, 0], noise
            )
            ours = moments[part, :, column]
            np.testing.assert_allclose(ours[:, :2], means, rtol=1e-7, atol=1e-7)
            expected = covariances[:, [0, 0, 1], [0, 1, 1]]
            np.testing.assert_allclose(ours[:, 2:], expected, rtol=1e-6, atol=1e-7 * expected.max())


def test_smoothing_is_the_same_in_both_directions_of_time() -> None:
    # A filter lags behind, a smoother does not; nothing but the first row's prior has a direction.
    random = np.random.default_rng(0)
    noise = BoxNoise(0.07, 0.1, 0.4, 1000.0)
    measured, times = random.normal(0, 5, (30, 1)).cumsum(axis=0), np.arange(30) / RATE
    size, lengths, is_seen = np.full((30, 1), 100.0), np.array([30]), np.ones(30, np.bool_)
    forwards = smooth_moments(measured, is_seen, times, size, lengths, noise)
    backwards = smooth_moments(measured[::-1], is_seen, times, size, lengths, noise)[::-1]
    np.testing.assert_allclose(forwards[:, 0], backwards[:, 0], atol=1e-3)
    np.testing.assert_allclose(forwards[:, 1], -backwards[:, 1], atol=1e-2)


def test_noise_goes_and_the_walk_stays() -> None:
    table = walker(1, np.arange(1, 101))
    random = np.random.default_rng(0)
    noisy = MotTable.of_people(
        table.frames, table.ids, table.boxes + random.normal(0, 4, (100, 4)), table.scores
    )
    before, after = (np.abs(boxes - table.boxes).mean() for boxes in (noisy.boxes, smooth(noisy).boxes))
    assert after < 0.5 * before


def test_a_gap_is_filled_where_the_person_walked() -> None:
    whole = walker(1, np.arange(1, 81))
    seen = (whole.frames < 30) | (whole.frames > 60)
    filled = smooth(whole[seen])
    assert filled.frames.tolist() == whole.frames.tolist()
    assert filled.ids.tolist() == whole.ids.tolist()
    np.testing.assert_allclose(filled.boxes, whole.boxes, atol=1.0)


@pytest.mark.parametrize(("gap", "is_filled"), [(75, True), (76, False)])
def test_only_gaps_up_to_the_longest_are_filled(gap: int, is_filled: bool) -> None:
    frames = np.append(np.arange(1, 51), np.arange(50 + gap, 101 + gap))
    filled = smooth(walker(1, frames), OfflineConfig(max_gap_s=3.0, min_found_share=0.0))
    assert len(filled) == (frames[-1] if is_filled else len(frames))


def test_a_long_gap_of_who_was_seldom_found_is_filled_only_where_somebody_nearer_hides_them() -> None:
    ends = np.append(np.arange(1, 11), np.arange(41, 51))  # 1.2 s are missing, found in 20 of 50 frames
    seldom, often = walker(1, ends), walker(1, np.append(np.arange(1, 41), np.arange(71, 81)))
    nearer = walker(2, np.arange(1, 51), top=90)  # hides the lower part
    further = walker(2, np.arange(1, 51), top=-60)
    for others, filled in ((None, 20), (further, 20), (nearer, 50)):
        result = smooth(seldom if others is None else together(seldom, others))
        assert np.count_nonzero(result.ids == 1) == filled
    assert len(smooth(often)) == 80
    brief = walker(1, np.array([1, 2, 14, 15]))  # 0.48 s are not long
    assert len(smooth(brief)) == 15


def test_a_score_in_a_gap_lies_between_those_around_it() -> None:
    frames = np.array([1, 2, 5, 6])
    table = walker(1, frames)
    table = MotTable.of_people(frames, table.ids, table.boxes, np.array([1.0, 0.9, 0.6, 0.7]))
    np.testing.assert_allclose(smooth(table).scores, [1.0, 0.9, 0.8, 0.7, 0.6, 0.7])


def test_a_broken_track_is_joined_filled_and_keeps_the_first_number() -> None:
    whole = walker(3, np.arange(1, 121))
    broken = together(walker(7, np.arange(1, 41)), walker(9, np.arange(70, 121)))
    better = smooth(broken)
    assert better.frames.tolist() == whole.frames.tolist()
    assert set(better.ids.tolist()) == {7}
    np.testing.assert_allclose(better.boxes, whole.boxes, atol=1.0)


def test_three_parts_of_one_way_are_joined() -> None:
    parts = together(*(walker(track, np.arange(a, a + 30)) for track, a in ((5, 1), (2, 50), (8, 101))))
    assert firsts_of(parts) == {5: 5, 2: 5, 8: 5}


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (walker(2, np.arange(70, 121), start=150), "too far away"),
        (walker(2, np.arange(70, 121), top=200), "too far below"),
        (walker(2, np.arange(30, 90)), "both are there at once"),
        (walker(2, np.arange(40, 90)), "both are there in one frame"),
        (walker(2, np.arange(40 + 76, 180)), "after too long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_others_are_not_joined(second: MotTable, why: str) -> None:
    assert firsts_of(together(walker(1, np.arange(1, 41)), second)) == {1: 1, 2: 2}, why


def test_who_runs_the_other_way_is_somebody_else() -> None:
    first, second = walker(1, np.arange(1, 41)), walker(2, np.arange(50, 90))
    second.boxes[:, 0] = (
        first.boxes[-1, 0] - 3 * WALK * np.arange(40) / RATE
    )  # from where the first was last seen
    assert firsts_of(together(first, second)) == {1: 1, 2: 2}


def test_people_who_pass_each_other_unseen_are_joined_each_with_himself() -> None:
    frames = np.arange(1, 121)
    seen = (frames < 45) | (frames > 65)
    right = walker(1, frames)
    left = MotTable.of_people(frames, right.ids, right.boxes[::-1].copy(), right.scores)
    parts = []
    for number, table in ((1, right), (3, left)):
        table = table[seen]
        ids = np.where(table.frames < 55, number, number + 1)
        parts.append(MotTable.of_people(table.frames, ids, table.boxes, table.scores))
    assert firsts_of(together(*parts)) == {1: 1, 2: 1, 3: 3, 4: 3}


def test_who_may_not_be_joined_is_not() -> None:
    broken = together(walker(7, np.arange(1, 41)), walker(9, np.arange(70, 121)))
    asked: list[tuple[list[int], list[int]]] = []

    def nobody(earlier: IntArray, later: IntArray) -> BoolArray:
        asked.append((earlier.tolist(), later.tolist()))
        return np.zeros(len(earlier), np.bool_)

    joined = join_tracks(broken, broken.frames / RATE, CONFIG, nobody)
    assert asked == [([7], [9])]
    assert joined.tolist() == broken.ids.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_the_pairs_have_the_highest_total_gain(seed: int) -> None:
    random = np.random.default_rng(seed)
    gain = np.where(random.random((4, 5)) < 0.7, random.uniform(0.01, 5, (4, 5)), 0.0)
    rows, columns = np.nonzero(gain)
    pairs = _best_pairs(rows, columns, gain[rows, columns], 5)
    best = max(
        sum(gain[row, column] for row, column in enumerate(some)) for some in permutations(range(5), 4)
    )
    assert sum(gain[pair] for pair in pairs) == pytest.approx(best)
    assert all(gain[pair] > 0 for pair in pairs)
    for side in zip(*pairs, strict=True):
        assert len(set(side)) == len(side)


def test_tracks_of_unlikely_people_go() -> None:
    ghost = walker(2, np.arange(1, 11), top=200)
    for share, stays in ((0.5, False), (0.6, True)):
        scores = np.where(np.arange(10) < 10 * share, 0.9, 0.3)
        table = together(
            walker(1, np.arange(1, 11)), MotTable.of_people(ghost.frames, ghost.ids, ghost.boxes, scores)
        )
        is_likely = is_of_likely_track(table, 0.6, 0.6)
        assert is_likely.tolist() == [True] * 10 + [stays] * 10
        assert set(smooth(table).ids.tolist()) == ({1, 2} if stays else {1})


def test_between_two_ways_of_a_person_nothing_is_filled() -> None:
    # As where another track of the same person lies between the two parts of a joined one.
    frames = np.array([1, 2, 5, 6, 9, 10])
    table = walker(1, frames)
    ways = np.array([1, 1, 2, 2, 1, 1])
    assert smooth_ways(table, frames / RATE, ways, CONFIG).frames.tolist() == frames.tolist()
    assert len(smooth_ways(table, frames / RATE, np.ones(6, np.int64), CONFIG)) == 10


def test_the_order_of_rows_does_not_matter_and_arguments_stay_as_they_were() -> None:
    table = together(
        walker(7, np.arange(1, 41)), walker(9, np.arange(70, 121)), walker(2, np.arange(1, 90), top=300)
    )
    before = table.boxes.copy()
    shuffled = table[np.random.default_rng(0).permutation(len(table))]
    one, other = smooth(table), smooth(shuffled)
    assert one.frames.tolist() == other.frames.tolist()
    assert one.ids.tolist() == other.ids.tolist()
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(table.boxes, before)
    assert len(set(zip(one.frames.tolist(), one.ids.tolist(), strict=True))) == len(one)


def test_the_frame_rate_does_not_matter() -> None:
    # Twice the rate, every second frame without anybody: more is filled, and nothing else changes.
    table = walker(1, np.append(np.arange(1, 30), np.arange(40, 60)))
    table.boxes[:] += np.random.default_rng(0).normal(0, 3, table.boxes.shape)
    fast = MotTable.of_people(table.frames * 2, table.ids, table.boxes, table.scores)
    slow, fast = (smooth_ways(it, table.frames / RATE, it.ids, CONFIG) for it in (table, fast))
    both = fast[fast.frames % 2 == 0]
    assert both.frames.tolist() == (2 * slow.frames).tolist()
    np.testing.assert_allclose(both.boxes, slow.boxes, atol=0.05)


def test_nobody_and_one_box_are_fine() -> None:
    assert len(smooth(MotTable.empty())) == 0
    one = smooth(walker(4, np.array([17])))
    assert (one.frames.tolist(), one.ids.tolist()) == ([17], [4])
    np.testing.assert_allclose(one.boxes, walker(4, np.array([17])).boxes)
