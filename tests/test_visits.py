"""Visits out of sightings, and how many go on at once."""

from collections.abc import Iterable

import numpy as np
import pytest

from foundation.arrays import FloatArray, IntArray
from tracker.reports.visits import VisitFinder, Visits

DOOR, YARD = 0, 1
Sightings = tuple[IntArray, FloatArray, IntArray]


def seen(camera: int, identity: int, *times: float) -> Sightings:
    return np.full(len(times), camera), np.array(times, np.float64), np.full(len(times), identity)


def find_visits(pieces: Iterable[Sightings]) -> Visits:
    """The visits of sightings that come in pieces."""
    finder = VisitFinder()
    for piece in pieces:
        finder.add(*piece)
    return finder.visits()


def visit_rows(visits: Visits) -> list[tuple[int, int, float, float]]:
    columns = (visits.identity_ids, visits.cameras, visits.begin_s, visits.end_s)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_visit_goes_on_over_a_second_and_ends_after_it() -> None:
    joined = find_visits([seen(DOOR, 7, 0.0, 0.5, 1.5, 2.6, 3.0)])
    assert visit_rows(joined) == [(7, DOOR, 0.0, 1.5), (7, DOOR, 2.6, 3.0)]


def test_cameras_and_people_have_their_own_visits() -> None:
    pieces = [seen(YARD, 7, 0.0, 1.0), seen(DOOR, 7, 0.5, 1.5), seen(DOOR, 3, 0.5, 1.5)]
    assert visit_rows(find_visits(pieces)) == [(3, DOOR, 0.5, 1.5), (7, DOOR, 0.5, 1.5), (7, YARD, 0.0, 1.0)]


def test_without_people_there_are_no_visits_and_who_is_undecided_has_none() -> None:
    for pieces in ([], [seen(DOOR, 1)], [seen(DOOR, 0, 1.0, 2.0)]):
        assert visit_rows(find_visits(pieces)) == []


@pytest.mark.parametrize("seed", range(20))
def test_visits_equal_brute_force_however_the_run_is_cut(seed: int) -> None:
    random = np.random.default_rng(seed)
    moments = np.sort(random.uniform(0, 60, 300)).round(2)
    cameras, identities = random.integers(2, size=300), random.integers(1, 5, 300)
    expected = []
    for key in sorted(set(zip(identities.tolist(), cameras.tolist(), strict=True))):
        own = [moment for moment, *it in zip(moments, identities, cameras, strict=True) if tuple(it) == key]
        begin = last = own[0]
        for moment in own[1:]:
            if moment - last > 1.0:
                expected.append((*key, begin, last))
                begin = moment
            last = moment
        expected.append((*key, begin, last))
    for cuts in ([], [150], sorted(random.integers(0, 300, 20).tolist())):
        pieces = zip(*(np.split(column, cuts) for column in (cameras, moments, identities)), strict=True)
        assert visit_rows(find_visits(pieces)) == expected


@pytest.mark.parametrize("zero_s", [0.0, 1.7e9])
@pytest.mark.parametrize("seed", range(10))
def test_occupancy_equals_brute_force(seed: int, zero_s: float) -> None:
    random = np.random.default_rng(seed)
    begins = random.integers(0, 900, 40) / 10.0
    ends = begins + random.integers(0, 100, 40) / 10.0
    none = np.zeros(40, np.int64)
    visits = Visits(none, none, zero_s + begins, zero_s + ends)
    fine = (np.arange(1000) + 0.5) / 10
    at_once = ((begins[:, None] < fine) & (fine < ends[:, None])).sum(axis=0)
    edges = zero_s + np.linspace(0, 100, 21)
    assert visits.in_view(edges) == pytest.approx(at_once.reshape(20, 50).mean(axis=1), abs=1e-6)
    closed = [((begins <= moment) & (moment <= ends)).sum() for moment in begins]
    assert visits.most_in_view() == max(closed)


def test_nobody_is_in_view_where_there_are_no_visits() -> None:
    visits = find_visits([])
    assert visits.most_in_view() == 0
    assert visits.in_view(np.array([0.0, 1.0, 2.0])).tolist() == [0, 0]
