"""AlignedReID against its plain recursion."""

import math
from collections.abc import Sequence

import pytest
import torch

from reid import alignment
from reid.alignment import aligned_distances, aligned_triplet, shortest_paths, stripe_distances


def cheapest(table: Sequence[Sequence[float]], row: int, column: int) -> float:
    """The recursion as it is printed."""
    if row == column == 0:
        return table[0][0]
    before = []
    if row:
        before.append(cheapest(table, row - 1, column))
    if column:
        before.append(cheapest(table, row, column - 1))
    return min(before) + table[row][column]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 4), (6, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_the_shortest_path_is_that_of_the_recursion(shape: tuple[int, int], seed: int) -> None:
    tables = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(seed))
    tables[0] = (tables[0] * 3).round()  # ties
    found = shortest_paths(tables)
    assert found.shape == (2, 3)
    for row in range(2):
        for column in range(3):
            table = tables[row, column].tolist()
            assert found[row, column].item() == pytest.approx(cheapest(table, shape[0] - 1, shape[1] - 1))


@pytest.mark.parametrize("at_once", [1, 7, 1 << 14])
def test_aligned_distances_are_those_of_each_pair(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "PAIRS_AT_ONCE", at_once)
    torch.manual_seed(0)
    left, right = torch.randn(3, 4, 5), torch.randn(6, 4, 5)
    found = aligned_distances(left, right)
    for row in range(3):
        for column in range(6):
            table = []
            for one in left[row]:
                x = [(one - other).norm().item() for other in right[column]]
                table.append([(math.exp(it) - 1) / (math.exp(it) + 1) for it in x])
            assert found[row, column].item() == pytest.approx(cheapest(table, 3, 3), rel=1e-5)
    assert aligned_distances(left[:0], right).shape == (0, 6)
    assert aligned_distances(left, right[:0]).shape == (3, 0)


def test_a_person_in_a_box_that_is_cut_is_still_aligned() -> None:
    body = torch.eye(8)[None]  # eight stripes that have nothing in common
    cut = torch.cat([body[:, 2:], body[:, -1:], body[:, -1:]], dim=1)  # the box begins two stripes lower
    other = torch.flip(torch.eye(8), dims=(0,))[None]
    table = stripe_distances(body, cut)[0]
    straight = table.diagonal().sum() + table.diagonal(1).sum()  # as if nothing were cut
    assert aligned_distances(body, cut)[0, 0] < straight
    assert aligned_distances(body, cut)[0, 0] < aligned_distances(body, other)[0, 0]


def test_the_triplets_are_those_that_are_hard_by_the_whole_person() -> None:
    torch.manual_seed(0)
    stripes = torch.randn(6, 3, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    features = torch.tensor([[0.0], [0.5], [2.0], [3.0], [3.1], [9.0]])
    total = 0.0
    # By |difference|: anchor, farthest of its person, nearest of another. The sixth is alone.
    for anchor, far, near in ((0, 2, 3), (1, 2, 3), (2, 0, 3), (3, 4, 2), (4, 3, 2)):
        same, other = (aligned_distances(stripes[[anchor]], stripes[[it]]).item() for it in (far, near))
        total += max(same - other + 0.3, 0)
    loss = aligned_triplet(stripes, features, labels, 0.3)
    assert loss.item() == pytest.approx(total / 5, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert stripes.grad is not None
    assert stripes.grad[:5].abs().sum() > 0
    assert aligned_triplet(stripes, features, torch.arange(6), 0.3).item() == 0
