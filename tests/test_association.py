from itertools import combinations, permutations

import numpy as np
import pytest

from tracker.association import fuse_appearance, fuse_score, match_lowest_cost
from tracker.types import FloatArray

MAX_COST = 0.7
SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (1, 4), (4, 1), (4, 3), (3, 5), (4, 4), (5, 5)]


def lowest_total_by_brute_force(cost: FloatArray, max_cost: float = MAX_COST) -> float:
    """Of every set of pairs: their costs, and ``max_cost`` for each further pair there could have been."""
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    rows, columns = cost.shape
    totals: list[float] = [
        sum(float(cost[row, column]) for row, column in zip(chosen, partners, strict=True))
        + max_cost * (rows - size)
        for size in range(rows + 1)
        for chosen in combinations(range(rows), size)
        for partners in permutations(range(columns), size)
        if all(cost[row, column] <= max_cost for row, column in zip(chosen, partners, strict=True))
    ]
    return min(totals)


def total_of(cost: FloatArray, max_cost: float = MAX_COST) -> float:
    pairs = match_lowest_cost(cost, max_cost).pairs
    return float(cost[pairs[:, 0], pairs[:, 1]].sum() + max_cost * (min(cost.shape) - len(pairs)))


def test_gate_acts_before_the_solver() -> None:
    # Solving first would choose 0.71 + 0.68 over 0.40 + 1.00, then drop 0.71.
    matches = match_lowest_cost(np.array([[0.40, 0.71], [0.68, 1.00]]), max_cost=0.70)
    assert matches.pairs.tolist() == [[0, 0]]
    assert matches.unmatched_rows.tolist() == [1]
    assert matches.unmatched_columns.tolist() == [1]


def test_two_fair_pairs_beat_one_good_pair() -> None:
    # 0.1 alone leaves two apart: 0.1 + 0.7; the other way costs 0.3 + 0.4.
    matches = match_lowest_cost(np.array([[0.1, 0.3], [0.4, 0.9]]), max_cost=0.7)
    assert matches.pairs.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(20))
def test_total_cost_equals_brute_force(shape: tuple[int, int], seed: int) -> None:
    cost = np.random.default_rng(seed).uniform(0, 1, shape)
    assert total_of(cost) == pytest.approx(lowest_total_by_brute_force(cost))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(20))
def test_total_cost_equals_brute_force_with_ties_and_forbidden_pairs(
    shape: tuple[int, int], seed: int
) -> None:
    # Costs on a coarse grid: ties, costs equal to the gate, negative costs; half of the pairs forbidden.
    random = np.random.default_rng(seed)
    cost = random.choice([-0.5, 0.0, 0.2, 0.7, 0.9], shape)
    cost[random.random(shape) < 0.5] = np.inf
    assert total_of(cost) == pytest.approx(lowest_total_by_brute_force(cost))


@pytest.mark.parametrize("seed", range(10))
def test_every_row_and_column_is_in_one_place_and_no_pair_is_above_the_gate(seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 1, (30, 40)) ** 0.3
    matches = match_lowest_cost(cost, MAX_COST)
    rows, columns = matches.pairs.T
    assert sorted([*rows, *matches.unmatched_rows]) == list(range(30))
    assert sorted([*columns, *matches.unmatched_columns]) == list(range(40))
    assert (cost[rows, columns] <= MAX_COST).all()
    assert rows.tolist() == sorted(rows)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_rows_and_columns_does_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 1, (12, 9))
    rows, columns = random.permutation(12), random.permutation(9)
    plain = {(row, column) for row, column in match_lowest_cost(cost, MAX_COST).pairs.tolist()}
    mixed = match_lowest_cost(cost[rows][:, columns], MAX_COST).pairs
    assert {(rows[row], columns[column]) for row, column in mixed} == plain


def test_a_pair_that_costs_as_much_as_the_gate_is_made() -> None:
    assert match_lowest_cost(np.array([[0.7]]), 0.7).pairs.tolist() == [[0, 0]]


def test_all_forbidden_leaves_everybody_apart() -> None:
    matches = match_lowest_cost(np.full((2, 3), np.inf), 0.7)
    assert matches.pairs.shape == (0, 2)
    assert matches.unmatched_rows.tolist() == [0, 1]
    assert matches.unmatched_columns.tolist() == [0, 1, 2]


def test_the_cost_is_not_changed() -> None:
    cost = np.array([[0.9, 0.1], [0.2, np.inf]])
    before = cost.copy()
    match_lowest_cost(cost, 0.5)
    np.testing.assert_array_equal(cost, before)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_cost_that_is_no_cost_is_refused_with_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match=r"cost\[1, 0\] is (nan|-inf)"):
        match_lowest_cost(np.array([[0.1, 0.2], [bad, 0.4]]), 0.7)


def test_a_wrong_shape_or_gate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        match_lowest_cost(np.zeros(3), 0.7)
    with pytest.raises(ValueError, match="max_cost must be finite, got inf"):
        match_lowest_cost(np.zeros((1, 1)), np.inf)


def test_fused_scores_are_cut_off_at_0_and_1() -> None:
    fused = fuse_score(np.full((2, 3), 0.5), np.array([0.5, 139.0, -1.0]))
    assert fused.tolist() == [[0.25, 0.5, 0.0]] * 2


def test_appearance_is_mixed_in_and_forbids_people_who_look_unlike() -> None:
    cost = np.array([[0.2, 0.4, np.inf]])
    distance = np.array([[0.4, 0.6, 0.0]])
    fused = fuse_appearance(cost, distance, weight=0.25, max_cosine_distance=0.5)
    np.testing.assert_allclose(fused, [[0.25, np.inf, np.inf]])
