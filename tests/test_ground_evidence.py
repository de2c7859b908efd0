"""What places on the ground say of who is who."""

import numpy as np
import pytest

from foundation.arrays import BoolArray, FloatArray
from tests.worlds import GroundWorld, ground_world
from tracker.config import GroundConfig
from tracker.identity import ground, moments
from tracker.identity.ground import GroundLog, Together, together_log_odds, transition_log_odds

CONFIG = GroundConfig()
AREA_M2 = 100.0


# The evidence


def transition(away_m: float, absence_s: float, area_m2: float = AREA_M2) -> float:
    end, begin = np.array([[3.0, 4.0]]), np.array([3.0 + away_m, 4.0])
    return float(transition_log_odds(end, begin, np.array([absence_s]), area_m2, CONFIG)[0])


def test_a_transit_by_hand() -> None:
    # After 2 s: 2 / 12 may be anywhere; the others have a variance of 2 * 0.25 + 1.8**2 / 2 = 2.12.
    density = np.exp(-4 / 4.24) / (2 * np.pi * 2.12)
    assert transition(2, 2) == pytest.approx(np.log(0.95 * (10 / 12 * 100 * density + 2 / 12) + 0.05))
    # 6 m are what 2 s allow, 3 * sqrt(2) * 0.5 the errors of two positions; 5 m more are ten of them.
    assert transition(6 + 2.1213203 + 5, 2) == pytest.approx(np.log(0.95 * 2 / 12 + 0.05) - 10, abs=0.01)


def test_who_was_near_is_likelier_and_nobody_flies() -> None:
    odds = [transition(away, 1) for away in np.linspace(0, 50, 200)]
    assert all(np.diff(odds) <= 0)
    assert odds[0] > 2
    assert transition(50, 1) < -50
    assert transition(50, 50) > -1


def test_after_long_places_say_nothing() -> None:
    assert abs(transition(0, 3600)) < 0.01
    assert abs(transition(500, 3600)) < 0.01


def test_clocks_that_differ_do_not_make_a_way_negative() -> None:
    assert transition(0.5, -0.4) == transition(0.5, 0.0) > 0


def test_unknown_places_say_nothing() -> None:
    nowhere = np.full((2, 2), np.nan)
    gone = np.array([1.0, np.nan])
    assert transition_log_odds(nowhere, np.zeros(2), gone, AREA_M2, CONFIG).tolist() == [0, 0]
    assert transition_log_odds(np.zeros((1, 2)), nowhere[0], gone[:1], AREA_M2, CONFIG).tolist() == [0]
    assert transition_log_odds(np.empty((0, 2)), np.zeros(2), np.empty(0), AREA_M2, CONFIG).shape == (0,)
    never = Together(np.array([np.nan]), np.zeros(1))
    assert together_log_odds(never, AREA_M2, CONFIG).tolist() == [0]


def test_who_is_at_one_place_in_two_cameras_is_one_person() -> None:
    distances = np.linspace(0, 12, 50)
    odds = together_log_odds(Together(distances, np.full(50, 5.0)), AREA_M2, CONFIG)
    assert all(np.diff(odds) < 0)
    assert odds[0] > 1
    assert odds[-1] < -10
    # Those who walk together are near each other, too: a metre is not half as good as none.
    assert 0 < float(np.interp(1.3, distances, odds)) < 0.5 * odds[0]
    short = together_log_odds(Together(distances, np.full(50, 0.5)), AREA_M2, CONFIG)
    assert np.allclose(short / odds, (0.5 / 1.5) / (5 / 6))


# What is remembered


def test_first_and_last_are_the_first_and_last_known_places() -> None:
    log = GroundLog()
    nowhere = [np.nan, np.nan]
    log.add(np.array([0, 1]), 1.0, np.array([nowhere, [5.0, 5.0]]))
    log.add(np.array([1, 0]), 2.0, np.array([[6.0, 6.0], [1.0, 1.0]]))
    log.add(np.array([0]), 3.0, np.array([nowhere]))
    log.add(np.array([], np.int64), 4.0, np.empty((0, 2)))
    assert log.first_s[:2].tolist() == [2.0, 1.0]
    assert log.last_s[:2].tolist() == [2.0, 2.0]
    assert log.first_xy[:2].tolist() == [[1, 1], [5, 5]]
    assert log.last_xy[:2].tolist() == [[1, 1], [6, 6]]
    assert log.area_m2 == 2 * ground.CELL_M**2


def walks(seed: int, start_s: float = 0.0) -> tuple[GroundLog, list[tuple[FloatArray, FloatArray]]]:
    """Ten people who are seen at their own times: the log, and times and places of each."""
    random = np.random.default_rng(seed)
    seen = []
    for _ in range(10):
        begin = random.uniform(0, 10)
        times = (
            start_s + begin + np.cumsum(random.choice([0.04, 0.2, 0.7, 2.5], 40, p=[0.3, 0.4, 0.25, 0.05]))
        )
        seen.append((times, np.cumsum(random.normal(0, 0.3, (40, 2)), axis=0)))
    log = GroundLog()
    moments = sorted((time, row, at) for row, (times, _) in enumerate(seen) for at, time in enumerate(times))
    for time, row, at in moments:
        log.add(np.array([row]), time, seen[row][1][at : at + 1])
    return log, seen


def places_on_the_grid(times: FloatArray, xy: FloatArray) -> dict[int, FloatArray]:
    """Interpolated at multiples of half a second, the last one before each sighting, not over long gaps."""
    found = {}
    for before, after in zip(range(len(times) - 1), range(1, len(times)), strict=True):
        step = int(times[after] // 0.5)
        if times[before] < step * 0.5 and times[after] - times[before] <= 1.0:
            share = (step * 0.5 - times[before]) / (times[after] - times[before])
            found[step] = xy[before] + share * (xy[after] - xy[before])
    return found


@pytest.mark.parametrize("start_s", [0.0, 1.7e9])
@pytest.mark.parametrize("seed", range(5))
def test_mean_distances_equal_brute_force(seed: int, start_s: float) -> None:
    log, seen = walks(seed, start_s)
    grids = [places_on_the_grid(*one) for one in seen]
    rows = np.random.default_rng(seed).permutation(10)[:7]
    for row in range(10):
        expected_m, expected_s = [], []
        for other in rows.tolist():
            apart = [
                np.linalg.norm(grids[row][at] - grids[other][at]) for at in grids[row] if at in grids[other]
            ]
            expected_m.append(np.mean(apart) if apart else np.nan)
            expected_s.append(0.5 * len(apart))
        found = log.together(rows, row)
        assert found.seconds.tolist() == expected_s
        assert np.allclose(found.distance_m, expected_m, atol=1e-5, equal_nan=True)
        assert len(grids[row]) > 5


def test_tracklets_that_share_no_time_have_no_distance() -> None:
    log = GroundLog()
    for row, begin in enumerate((0.0, 100.0)):
        for time in begin + np.arange(0, 5, 0.25):
            log.add(np.array([row]), time, np.zeros((1, 2)))
    log.add(np.array([2]), 105.0, np.full((1, 2), np.nan))
    assert np.isnan(log.together(np.array([1, 2]), 0).distance_m).all()
    assert np.isnan(log.together(np.array([0, 1]), 2).distance_m).all()
    assert log.together(np.array([0]), 0).distance_m.tolist() == [0.0]
    assert log.together(np.array([], np.int64), 0).seconds.shape == (0,)


def test_only_the_newest_positions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "MAX_POSITIONS", 2000)
    log, rows = GroundLog(), np.array([0, 1])
    for time in np.arange(0, 1600, 0.5):
        log.add(rows, time, np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert 1000 <= len(log.state()["step"]) <= 2000
    found = log.together(np.array([1]), 0)
    assert found.distance_m.tolist() == [5.0]
    assert 250 <= found.seconds[0] <= 500
    assert log.first_s[:2].tolist() == [0, 0]


def test_a_restored_log_goes_on_as_if_nothing_had_happened() -> None:
    log, _ = walks(3)
    state = log.state()
    other = GroundLog()
    other.restore({name: column.copy() for name, column in state.items()})
    rows = np.arange(9)
    for one in (log, other):
        for time in np.arange(40, 50, 0.3):
            one.add(np.array([2, 9, 77]), time, np.array([[1.0, time], [2.0, time], [30.0, 30.0]]))
    assert all(np.array_equal(log.state()[name], other.state()[name], equal_nan=True) for name in state)
    assert log.area_m2 == other.area_m2
    assert np.array_equal(
        log.together(rows, 9).distance_m, other.together(rows, 9).distance_m, equal_nan=True
    )
    assert len(state["first_s"]) < 77  # what was saved did not change since


# A simulated world


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> GroundWorld:
    return ground_world(tmp_path_factory.mktemp("hall"), cameras=3, people=10, seconds=60, seed=4)


def pairs(world: GroundWorld) -> tuple[FloatArray, BoolArray]:
    """Log odds and truth (K,) of tracklets that two cameras saw at one time, for a second or more."""
    odds, is_same = [], []
    for row in range(len(world.people)):
        others = np.flatnonzero(world.cameras[:row] != world.cameras[row])
        found = world.log.together(others, row)
        is_long = found.seconds >= 1
        odds.append(together_log_odds(found, world.log.area_m2, world.config)[is_long])
        is_same.append((world.people[others] == world.people[row])[is_long])
    return np.concatenate(odds), np.concatenate(is_same)


def test_places_tell_who_is_one_person_in_cameras_that_overlap(hall: GroundWorld) -> None:
    odds, is_same = pairs(hall)
    assert is_same.sum() > 30
    assert (~is_same).sum() > 200
    assert (odds[is_same] > 0).mean() > 0.97
    assert (odds[~is_same] > 0).mean() < 0.1
    assert np.quantile(odds[~is_same], 0.5) < -3
    # What is said is not more than what is true: strangers with odds of e^2 are rarer than e^-2.
    assert (odds[~is_same] > 2).mean() < np.exp(-2) * (odds[is_same] > 2).mean()


def test_ways_of_one_person_are_never_impossible(hall: GroundWorld) -> None:
    log = hall.log
    same, different = [], []
    for row in range(len(hall.people)):
        before = np.flatnonzero(log.last_s[: len(hall.people)] < log.first_s[row])
        absence_s = log.first_s[row] - log.last_s[before]
        odds = transition_log_odds(
            log.last_xy[before], log.first_xy[row], absence_s, log.area_m2, hall.config
        )
        is_same, is_soon = hall.people[before] == hall.people[row], absence_s < 4
        same += odds[is_same & is_soon].tolist()
        different += odds[~is_same & is_soon].tolist()
    assert len(same) > 10
    assert min(same) > -3
    assert np.median(same) > 0 > np.median(different)
