"""The pairs of lowest total cost: by hand, by brute force and by another solver, however they are found."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from foundation.arrays import FloatArray, IntArray
from tracker import association
from tracker.association import cheapest_pairs

MAX_COST = 0.7


@pytest.fixture(params=[0, 10**9], ids=["many", "few"], scope="module", autouse=True)
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of this file once as with many people and once as with few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(association, "SOLVED_AT_ONCE", request.param)
        yield


def listed(cost: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """(M, N) costs as rows, columns and cost of every cell."""
    rows, columns = (places.ravel() for places in np.indices(cost.shape))
    return rows, columns, cost.ravel()


def chosen_of(cost: FloatArray, max_cost: float = MAX_COST) -> list[tuple[int, int]]:
    """Rows and columns of the pairs that are chosen when all cells of a matrix are listed."""
    rows, columns, costs = listed(cost)
    chosen = cheapest_pairs(rows, columns, costs, max_cost, (len(cost), cost.shape[1]))
    return list(zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True))


def total_of(rows: IntArray, columns: IntArray, cost: FloatArray, shape: tuple[int, int]) -> float:
    """What a choice costs more than to leave all apart, once it is seen to be a choice."""
    chosen = cheapest_pairs(rows, columns, cost, MAX_COST, shape)
    assert (np.diff(chosen) > 0).all()
    assert len(np.unique(rows[chosen])) == len(np.unique(columns[chosen])) == len(chosen)
    assert (cost[chosen] <= MAX_COST).all()
    return float((cost[chosen] - MAX_COST).sum())


def lowest_total_by_brute_force(cost: FloatArray) -> float:
    """Row by row, the lowest total for every set of columns that the rows so far can have taken."""
    totals = {frozenset[int](): 0.0}
    for row in cost.tolist():
        for taken, total in list(totals.items()):
            for column in {column for column, value in enumerate(row) if value <= MAX_COST} - taken:
                with_it = total + row[column] - MAX_COST
                totals[taken | {column}] = min(totals.get(taken | {column}, 0.0), with_it)
    return min(totals.values())


def costs(most: int) -> st.SearchStrategy[FloatArray]:
    """Matrices of all shapes; costs in tenths, so that many tie or lie on the gate, and forbidden pairs."""
    cost = st.one_of(st.integers(-5, 9).map(lambda tenths: tenths / 10), st.just(np.inf), st.floats(0, 1))
    return arrays(np.float64, st.tuples(st.integers(0, most), st.integers(0, most)), elements=cost)


def test_the_gate_acts_before_the_solver() -> None:
    # Solving first would choose 0.71 + 0.68 over 0.40 + 1.00, then drop 0.71.
    assert chosen_of(np.array([[0.40, 0.71], [0.68, 1.00]]), max_cost=0.70) == [(0, 0)]


def test_two_fair_pairs_beat_one_good_pair() -> None:
    # 0.1 alone leaves two apart: 0.1 + 0.7; the other way costs 0.3 + 0.4.
    assert chosen_of(np.array([[0.1, 0.3], [0.4, 0.9]])) == [(0, 1), (1, 0)]


def test_one_good_pair_beats_two_poor_pairs() -> None:
    assert chosen_of(np.array([[0.1, 0.5], [0.5, 0.9]])) == [(0, 0)]


def test_who_gave_way_to_a_sure_pair_is_paired_elsewhere() -> None:
    # 0, 0 is sure; once it is gone 1, 1 is; once that is gone 2, 2 is; and then come two that are not.
    cost = np.full((5, 5), np.inf)
    cost[[0, 1, 1, 2, 2], [0, 0, 1, 1, 2]] = 0.0, 0.2, 0.3, 0.4, 0.6
    cost[3:, 3:] = [[0.1, 0.3], [0.4, 0.9]]
    assert chosen_of(cost) == [(0, 0), (1, 1), (2, 2), (3, 4), (4, 3)]


def test_sure_pairs_of_many_people_need_no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    # Everybody has a rival, who is dearer; 118 and 119 want the same column, which 119 gains so much by that
    # 118 stays apart, as 117 is sure of its own.
    cost = np.full((120, 120), np.inf)
    np.fill_diagonal(cost, 0.1)
    np.fill_diagonal(cost[1:], 0.55)
    cost[118, 118], cost[119, 118], cost[119, 119] = 0.4, 0.05, 0.6
    expected = [*((row, row) for row in range(118)), (119, 118)]
    assert chosen_of(cost) == expected
    monkeypatch.setattr(association, "SOLVED_AT_ONCE", 0)
    monkeypatch.setattr(association, "_solved_pairs", lambda *_: pytest.fail("the solver was called"))
    assert chosen_of(cost) == expected


@given(costs(most=5))
def test_total_cost_equals_brute_force(cost: FloatArray) -> None:
    total = total_of(*listed(cost), shape=(len(cost), cost.shape[1]))
    assert total == pytest.approx(lowest_total_by_brute_force(cost))


@given(costs(most=10), st.randoms(use_true_random=False))
def test_forbidden_pairs_may_be_left_out_and_others_listed_in_any_order(
    cost: FloatArray, random: np.random.Generator
) -> None:
    rows, columns, values = listed(cost)
    places = np.flatnonzero(values < np.inf).tolist()
    random.shuffle(places)
    shape = len(cost), cost.shape[1]
    total = total_of(rows[places], columns[places], values[places], shape)
    assert total == pytest.approx(total_of(rows, columns, values, shape))


@pytest.mark.parametrize("density", [0.002, 0.01, 0.05, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_gets_the_pairs_of_another_solver(density: float, seed: int) -> None:
    # Costs that never tie have one answer, however contested.
    random = np.random.default_rng(seed)
    cost = np.where(random.random((300, 280)) < density, random.random((300, 280)), np.inf)
    rows, columns = linear_sum_assignment(np.minimum(cost, MAX_COST))
    expected = [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if cost[pair] <= MAX_COST]
    assert chosen_of(cost) == expected


@pytest.mark.parametrize("seed", range(5))
def test_order_of_rows_and_columns_does_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 1, (12, 9))
    rows, columns = random.permutation(12), random.permutation(9)
    mixed = chosen_of(cost[rows][:, columns])
    assert sorted((rows[row], columns[column]) for row, column in mixed) == chosen_of(cost)


def test_the_best_pairs_of_all_rows_are_taken_if_their_columns_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(association, "_solved_pairs", lambda *_: pytest.fail("the solver was called"))
    cost = np.array([[0.1, 0.2, 0.6], [0.3, 0.2, 0.6], [0.6, 0.5, 0.4]])
    assert chosen_of(cost) == [(0, 0), (1, 1), (2, 2)]
    assert chosen_of(cost[:, ::-1]) == [(0, 2), (1, 1), (2, 0)]


def test_a_pair_that_costs_as_much_as_the_gate_is_made_if_nobody_else_wants_either() -> None:
    place, cost = (np.array([3]), np.array([1])), np.array([MAX_COST])
    assert cheapest_pairs(*place, cost, MAX_COST, (4, 2)).tolist() == [0]
    above = np.nextafter(cost, np.inf)
    assert cheapest_pairs(*place, above, MAX_COST, (4, 2)).tolist() == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (3, 2)])
def test_nobody_or_only_forbidden_pairs(shape: tuple[int, int]) -> None:
    nothing = np.empty(0, np.int64)
    assert cheapest_pairs(nothing, nothing, np.empty(0), MAX_COST, shape).tolist() == []
    assert chosen_of(np.full(shape, np.inf)) == []


def test_arguments_stay_as_they_were() -> None:
    arguments = listed(np.array([[0.9, 0.1], [0.2, np.inf]]))
    before = [column.copy() for column in arguments]
    cheapest_pairs(*arguments, 0.5, (2, 2))
    for column, kept in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(column, kept)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_cost_that_is_no_cost_is_refused_with_its_place(bad: float) -> None:
    cost = np.array([0.2, np.inf, bad])
    with pytest.raises(ValueError, match=f"cost of row 1, column 2 is {bad}"):
        cheapest_pairs(np.array([0, 0, 1]), np.array([0, 1, 2]), cost, MAX_COST, (3, 3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gate_that_is_no_gate_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=f"max_cost must be finite, got {bad}"):
        chosen_of(np.zeros((1, 1)), bad)
