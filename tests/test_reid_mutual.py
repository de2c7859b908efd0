"""Mutual learning and DarkRank against their formulas written out."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from reid.mutual import (
    candidate_scores,
    copied_classes,
    copied_distances,
    log_likelihood,
    over_pairs,
    ranks_hard,
    ranks_soft,
)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chance(scores: list[float], order: tuple[int, ...]) -> float:
    """Of drawing this order, one after the other."""
    product, left = 1.0, list(order)
    for place in order:
        product *= math.exp(scores[place]) / sum(math.exp(scores[it]) for it in left)
        left.remove(place)
    return product


def test_classes_are_copied_both_ways() -> None:
    one, other = some(3, 4, seed=1), some(3, 4, seed=2)
    p, q = one.softmax(1), other.softmax(1)
    both = ((q * (q / p).log()).sum(1) + (p * (p / q).log()).sum(1)).mean() / 2
    assert over_pairs(copied_classes, [one, other]).item() == pytest.approx(both.item(), rel=1e-5)
    assert over_pairs(copied_classes, [one, one]).item() == pytest.approx(0, abs=1e-6)
    assert over_pairs(copied_classes, [one]).item() == 0


def test_what_is_copied_has_no_gradient() -> None:
    own, other = some(4, 5, seed=1).requires_grad_(), some(4, 5, seed=2)
    # Of the student's own side alone, as if the other were a fixed teacher.
    for copied in (copied_classes, copied_distances):
        (with_both,) = torch.autograd.grad(over_pairs(copied, [own, other.clone().requires_grad_()]), own)
        (alone,) = torch.autograd.grad(over_pairs(copied, [own, other]), own)
        torch.testing.assert_close(with_both, alone)
        assert with_both.abs().sum() > 0


def test_distances_of_the_batch_are_copied() -> None:
    students = [some(4, 3, seed=1), some(4, 6, seed=2), some(4, 2, seed=3)]
    tables = [torch.cdist(rows, rows) for rows in students]
    expected = torch.stack([(one - other).square().mean() for one, other in permutations(tables, 2)]).mean()
    assert over_pairs(copied_distances, students).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_chances_of_all_orders_add_up_to_one() -> None:
    scores = some(4)
    orders = list(permutations(range(4)))
    found = torch.stack([log_likelihood(scores[list(order)]) for order in orders]).exp()
    assert found.tolist() == pytest.approx([chance(scores.tolist(), order) for order in orders])
    assert found.sum().item() == pytest.approx(1)


def test_an_anchor_ranks_the_pictures_that_follow_it() -> None:
    embeddings = some(6, 3)
    units = embeddings / embeddings.norm(dim=1, keepdim=True)
    found = candidate_scores(embeddings)
    assert found.shape == (6, 4)
    assert found[4, 2].item() == pytest.approx(-3 * (units[4] - units[1]).norm().item() ** 3, rel=1e-4)
    assert candidate_scores(embeddings[:3]).shape == (3, 2)


def test_ranking_transfer_is_that_of_the_paper() -> None:
    student, teacher = some(6, 3, seed=1), some(6, 5, seed=2)
    ours, theirs = candidate_scores(student).tolist(), candidate_scores(teacher).tolist()
    hard = soft = 0.0
    for own, other in zip(ours, theirs, strict=True):
        best = tuple(sorted(range(4), key=lambda place: -other[place]))
        hard -= math.log(chance(own, best)) / 6
        for order in permutations(range(4)):
            p = chance(other, order)
            soft += p * math.log(p / chance(own, order)) / 6
    assert ranks_hard(student, teacher).item() == pytest.approx(hard, rel=1e-4)
    assert ranks_soft(student, teacher).item() == pytest.approx(soft, rel=1e-4)
    assert ranks_soft(student, student).item() == pytest.approx(0, abs=1e-6)
