"""Every loss against a slow version that loops over pictures as the paper words it."""

import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor
from torch.nn import functional

from reid import losses

MARGIN = 0.3
LABELS = {
    "two of each": [0, 0, 1, 1, 2, 2],
    "uneven": [4, 1, 4, 4, 2, 1, 9],
    "one alone": [0, 0, 0, 7],
    "one person": [3, 3, 3],
    "all different": [0, 1, 2],
    "one picture": [5],
}


def drawn(labels: list[int], seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(len(labels), 5, generator=generator, dtype=torch.float64)
    return embeddings, torch.tensor(labels)


def distance(embeddings: Tensor, i: int, j: int) -> float:
    return math.dist(embeddings[i].tolist(), embeddings[j].tolist())


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def hinge(value: float) -> float:
    return max(0.0, value)


def exceeding(value: float, margin: float | None) -> float:
    return math.log1p(math.exp(value)) if margin is None else hinge(value + margin)


def anchors(embeddings: Tensor, labels: Tensor) -> Iterator[tuple[list[float], list[float]]]:
    """Distances to the same person and to others, of each picture that has both."""
    people = labels.tolist()
    for a, person in enumerate(people):
        near = [distance(embeddings, a, p) for p, other in enumerate(people) if other == person and p != a]
        far = [distance(embeddings, a, n) for n, other in enumerate(people) if other != person]
        if near and far:
            yield near, far


def weighted(distances: list[float], sign: int) -> float:
    weights = [math.exp(sign * value) for value in distances]
    return sum(w * d for w, d in zip(weights, distances, strict=True)) / sum(weights)


def slow_batch_soft(embeddings: Tensor, labels: Tensor, margin: float | None) -> float:
    values = [weighted(near, 1) - weighted(far, -1) for near, far in anchors(embeddings, labels)]
    return mean([exceeding(value, margin) for value in values])


def slow_batch_hard(embeddings: Tensor, labels: Tensor, margin: float | None) -> float:
    return mean([exceeding(max(near) - min(far), margin) for near, far in anchors(embeddings, labels)])


def slow_triplet(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    pairs = [pair for near, far in anchors(embeddings, labels) for pair in itertools.product(near, far)]
    return mean([hinge(p - n + margin) for p, n in pairs])


def slow_improved_triplet(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    pairs = [pair for near, far in anchors(embeddings, labels) for pair in itertools.product(near, far)]
    return mean([hinge(p - n + margin) + hinge(p - 0.1) for p, n in pairs])


def slow_quadruplet(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    people, second = labels.tolist(), []
    for a, p, b, c in itertools.product(range(len(people)), repeat=4):
        if a != p and people[a] == people[p] and len({people[a], people[b], people[c]}) == 3:
            value = distance(embeddings, a, p) - distance(embeddings, b, c) + margin / 2
            second.append(hinge(value))
    return slow_triplet(embeddings, labels, margin) + mean(second)


def slow_contrastive(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    people = labels.tolist()
    return mean(
        [
            distance(embeddings, i, j)
            if people[i] == people[j]
            else hinge(margin - distance(embeddings, i, j))
            for i, j in itertools.permutations(range(len(people)), 2)
        ]
    )


def slow_margin_sample_mining(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    people = labels.tolist()
    near: list[float] = []
    far: list[float] = []
    for i, j in itertools.combinations(range(len(people)), 2):
        (near if people[i] == people[j] else far).append(distance(embeddings, i, j))
    return hinge(max(near) - min(far) + margin) if near and far else 0.0


METRIC_LOSSES = [
    (losses.batch_soft_triplet, slow_batch_soft, None),
    (losses.batch_soft_triplet, slow_batch_soft, MARGIN),
    (losses.batch_hard_triplet, slow_batch_hard, None),
    (losses.batch_hard_triplet, slow_batch_hard, MARGIN),
    (losses.triplet, slow_triplet, MARGIN),
    (losses.improved_triplet, slow_improved_triplet, MARGIN),
    (losses.quadruplet, slow_quadruplet, MARGIN),
    (losses.contrastive, slow_contrastive, 4.0),
    (losses.margin_sample_mining, slow_margin_sample_mining, MARGIN),
]
Loss = Callable[[Tensor, Tensor, float | None], Tensor]
SlowLoss = Callable[[Tensor, Tensor, float | None], float]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("fast", "slow", "margin"), METRIC_LOSSES)
def test_equals_the_loop(
    fast: Loss, slow: SlowLoss, margin: float | None, seed: int, labels: list[int]
) -> None:
    embeddings, people = drawn(labels, seed)
    assert fast(embeddings, people, margin).item() == pytest.approx(
        slow(embeddings, people, margin), abs=1e-9
    )


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize(("fast", "slow", "margin"), METRIC_LOSSES)
def test_equal_pictures_give_finite_gradients(
    fast: Loss, slow: SlowLoss, margin: float | None, labels: list[int]
) -> None:
    # The root of a squared distance has an infinite slope at 0.
    embeddings = torch.ones(len(labels), 5, requires_grad=True)
    torch.autograd.backward(fast(embeddings, torch.tensor(labels), margin))
    assert embeddings.grad is not None
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize(("fast", "slow", "margin"), METRIC_LOSSES)
def test_gradients_are_those_of_small_steps(fast: Loss, slow: SlowLoss, margin: float | None) -> None:
    embeddings, people = drawn(LABELS["uneven"], 1)
    torch.autograd.gradcheck(lambda values: fast(values, people, margin), embeddings.requires_grad_())


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("seed", range(3))
def test_equals_pytorch_metric_learning_where_it_has_the_same(seed: int, labels: list[int]) -> None:
    embeddings, people = drawn(labels, seed)
    distance = LpDistance(normalize_embeddings=False)
    hardest = BatchHardMiner(distance=distance)(embeddings, people)
    for margin in (MARGIN, None):
        kind = {"margin": margin or 0.0, "smooth_loss": margin is None}
        reference = TripletMarginLoss(**kind, distance=distance, reducer=MeanReducer())
        found = losses.batch_hard_triplet(embeddings, people, margin)
        assert found.item() == pytest.approx(reference(embeddings, people, hardest).item(), abs=1e-9)
    reference = TripletMarginLoss(margin=MARGIN, distance=distance, reducer=MeanReducer())
    found = losses.triplet(embeddings, people, MARGIN)
    assert found.item() == pytest.approx(reference(embeddings, people).item(), abs=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_spreads_the_smoothing_over_all_people(smoothing: float) -> None:
    logits, labels = drawn([2, 0, 4, 4], 0)
    expected = []
    for row, person in zip(logits.tolist(), labels.tolist(), strict=True):
        total = math.log(sum(math.exp(value) for value in row))
        wanted = [smoothing / 5 + (1 - smoothing) * (other == person) for other in range(5)]
        expected.append(sum(w * (total - value) for w, value in zip(wanted, row, strict=True)))
    assert losses.cross_entropy(logits, labels, smoothing).item() == pytest.approx(mean(expected))


def test_centre_loss_by_hand() -> None:
    centres = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    embeddings = torch.tensor([[3.0, 4.0], [1.0, 2.0]])
    assert losses.centre_loss(embeddings, torch.tensor([0, 1]), centres).item() == pytest.approx((25 + 1) / 4)


def test_centres_move_by_the_rule_of_the_paper() -> None:
    centres = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    embeddings = torch.tensor([[3.0, 0.0], [6.0, 0.0], [1.0, 3.0]])
    moved = losses.moved_centres(embeddings, torch.tensor([0, 0, 1]), centres, rate=0.5)
    # Person 0: 0.5 * (3 + 6) / (1 + 2); person 1: 0.5 * 2 / (1 + 1); person 2 was not seen.
    assert moved.tolist() == [[1.5, 0.0], [1.0, 1.5], [5.0, 5.0]]
    assert centres[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_distillation_of_distances_equals_the_loop(count: int) -> None:
    (student, _), (teacher, _) = drawn([0] * count, 0), drawn([0] * count, 1)

    def cosine(rows: Tensor, i: int, j: int) -> float:
        return float(rows[i] @ rows[j] / rows[i].norm() / rows[j].norm())

    pairs = itertools.permutations(range(count), 2)
    expected = mean([(cosine(student, i, j) - cosine(teacher, i, j)) ** 2 for i, j in pairs])
    found = losses.distillation_distances(student, teacher).item()
    assert found == pytest.approx(expected, abs=1e-12)


def test_distillation_of_distances_forgives_turns_lengths_and_width() -> None:
    teacher, _ = drawn([0] * 4, 0)
    turn = torch.linalg.qr(drawn([0] * 5, 1)[0])[0]
    student = torch.cat([3 * teacher @ turn, torch.zeros(4, 2, dtype=torch.float64)], dim=1)
    assert losses.distillation_distances(student, teacher).item() == pytest.approx(0, abs=1e-12)


def test_distillation_of_embeddings_is_one_minus_cosine() -> None:
    student = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    teacher = torch.tensor([[5.0, 0.0], [0.0, -1.0], [0.0, 3.0]])
    assert losses.distillation_embeddings(student, teacher).item() == pytest.approx((0 + 2 + 1) / 3)


def bank_of(count: int) -> Tensor:
    return functional.normalize(drawn([0] * count, 2)[0], dim=1)


@pytest.mark.parametrize(("count", "others"), [(1, 1), (1, 6), (4, 6), (4, 1)])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_distillation_of_neighbours_equals_the_loop(count: int, others: int, temperature: float) -> None:
    (student, _), (teacher, _), bank = drawn([0] * count, 0), drawn([0] * count, 1), bank_of(others)

    def seen_by(row: Tensor) -> list[float]:
        cosines = [float(row @ other / row.norm()) for other in bank]
        powers = [math.exp(cosine / temperature) for cosine in cosines]
        return [power / sum(powers) for power in powers]

    expected = mean(
        [
            sum(p * math.log(p / q) for p, q in zip(seen_by(theirs), seen_by(ours), strict=True))
            for ours, theirs in zip(student, teacher, strict=True)
        ]
    )
    found = losses.distillation_neighbours(student, teacher, bank, temperature).item()
    assert found == pytest.approx(expected, abs=1e-9)


def test_distillation_of_neighbours_is_0_for_a_copy_of_any_length_and_positive_otherwise() -> None:
    teacher, bank = drawn([0] * 4, 1)[0], bank_of(6)
    copied = losses.distillation_neighbours(3 * teacher, teacher, bank, 0.05)
    assert copied.item() == pytest.approx(0, abs=1e-12)
    assert losses.distillation_neighbours(-teacher, teacher, bank, 0.05).item() > 1


def test_gradients_of_neighbours_are_those_of_small_steps() -> None:
    student, teacher, bank = drawn([0] * 4, 0)[0], drawn([0] * 4, 1)[0], bank_of(6)
    torch.autograd.gradcheck(
        lambda values: losses.distillation_neighbours(values, teacher, bank, 0.2), student.requires_grad_()
    )
