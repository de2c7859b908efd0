"""How many people there were, and how sure that is."""

import numpy as np
import pytest

from tests.test_identity import CONFIG, A, B, C, crowd, play
from tracker.config import GroundConfig
from tracker.identity import IdentityLinker
from tracker.identity.count import PeopleCount, count_people
from tracker.reports.certainty import what_would_help
from tracker.types import CameraName


def test_whoever_comes_first_is_one_person() -> None:
    first = count_people(np.array([np.nan]), 1, 1e-9)
    assert (first.low, first.high) == (1, 1)
    assert first.expected == pytest.approx(1.0)
    assert str(PeopleCount(1.0, 1, 1)) == "about 1 person"
    assert str(PeopleCount(3.2, 2, 5)) == "about 3 people (2 to 5)"
    assert count_people(np.empty(0), 0, 0.01) == PeopleCount(0.0, 0, 0)


@pytest.mark.parametrize(("people", "returns"), [(10, 0), (10, 8), (60, 30), (300, 1500)])
def test_what_is_expected_is_the_number_of_strangers_where_those_who_return_look_like_it(
    people: int, returns: int
) -> None:
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(50):
        strangers, back = rng.uniform(size=people - 1), rng.uniform(0, 0.1, returns)
        count = count_people(np.concatenate(([np.nan], strangers, back)), people + returns, 1e-9)
        assert (count.low, count.high) == (1, people + returns)
        counts.append(count.expected)
    assert np.mean(counts) == pytest.approx(people, rel=0.1)


def test_at_least_as_many_as_were_seen_at_once_and_at_most_as_many_as_have_numbers() -> None:
    chances = np.array([np.nan, np.nan, np.nan, 0.01, 0.02, 0.5])
    count = count_people(chances, 6, 1e-9)
    assert (count.low, count.high) == (3, 6)
    assert 3 < count.expected < 6


def test_strangers_who_may_have_been_taken_for_somebody_are_in_the_bound_alone() -> None:
    count = count_people(np.linspace(0, 1, 200), 200, 0.05)
    assert count.expected == pytest.approx(200, abs=1)
    assert count.low == 1
    assert count.high > 210


def test_a_sample_stands_for_all() -> None:
    chances = np.random.default_rng(1).uniform(size=400) ** 2
    whole, sample = count_people(chances, 400, 0.01), count_people(chances[::4], 400, 0.01)
    assert sample.expected == pytest.approx(whole.expected, rel=0.15)
    assert (sample.low, sample.high) == (whole.low, whole.high)


def test_a_linker_counts_those_it_knows_and_says_nothing_where_it_compares_nobody() -> None:
    linker = IdentityLinker(CONFIG, (A, B, C))
    assert linker.people_count() is None
    play(linker, crowd(3, people=8), 3, spread=0.3)
    linker.link_offline()
    count = linker.people_count()
    assert count is not None
    assert count.low <= 8 <= count.high


def test_what_would_help_is_what_is_missing() -> None:
    pair = [(CameraName("a"), CameraName("b"))]
    cameras = list(pair[0])
    unsure, none = PeopleCount(6.0, 3, 9), GroundConfig()
    row = ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))
    known = GroundConfig(homographies={"a": row, "b": row})
    assert what_would_help(PeopleCount(6.0, 6, 7), [], cameras, none) == ""
    assert what_would_help(PeopleCount(60.0, 55, 65), [], cameras, none) == ""
    assert "identity.overlap" in what_would_help(unsure, [], cameras, none)
    assert "homographies of the cameras" in what_would_help(unsure, pair, cameras, none)
    assert "network" in what_would_help(unsure, pair, cameras, known)
    assert "network" in what_would_help(unsure, [], cameras[:1], none)
