"""What is minimised: parts by name, weighted, and the mean over the heads."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn import functional

from foundation.errors import ReuniteError
from reid import losses
from reid.config import DistillationConfig, LossConfig, Losses
from reid.distillation import Teacher, Teachers
from reid.models import ReidOutput
from reid.objective import distillation_parts, loss_parts
from reid.runtime import Embedder
from reid.training_pictures import Batch

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def output(heads: int = 2) -> ReidOutput:
    generator = torch.Generator().manual_seed(3)
    names = ("global", "local")[:heads]
    features = {name: torch.randn(6, 4, generator=generator) for name in names}
    logits = {name: torch.randn(6, 3, generator=generator) for name in names}
    return ReidOutput(torch.cat(list(features.values()), dim=1), features, logits)


def config(**parts: dict[str, object]) -> dict[str, LossConfig]:
    nothing: dict[str, dict[str, object]] = {"cross_entropy": {"weight": 0}, "metric": {"weight": 0}}
    found: dict[str, LossConfig] = TypeAdapter(Losses).validate_python(nothing | parts)
    return found


def test_parts_are_weighted_means_over_the_heads() -> None:
    found = output()
    centres = {"global": torch.ones(3, 4), "local": torch.zeros(3, 4)}
    wanted = config(
        cross_entropy={"weight": 2.0, "smoothing": 0.2},
        metric={"kind": "triplet", "weight": 0.5, "margin": 0.3},
        centre={"weight": 0.1},
    )
    parts = loss_parts(wanted, found, LABELS, centres)
    assert list(parts) == ["cross_entropy", "metric", "centre"]

    def mean(values: list[Tensor]) -> float:
        return sum(value.item() for value in values) / len(values)

    each = [losses.cross_entropy(logits, LABELS, 0.2) for logits in found.logits.values()]
    assert parts["cross_entropy"].item() == pytest.approx(2 * mean(each))
    each = [losses.triplet(head, LABELS, 0.3) for head in found.features.values()]
    assert parts["metric"].item() == pytest.approx(0.5 * mean(each))
    each = [losses.centre_loss(found.features[name], LABELS, centres[name]) for name in centres]
    assert parts["centre"].item() == pytest.approx(0.1 * mean(each))


def test_a_part_acts_on_the_outputs_that_it_names() -> None:
    found = output()
    wanted = config(
        one={"kind": "triplet", "outputs": ["local"], "weight": 2.0, "margin": 0.3},
        other={"kind": "contrastive", "outputs": ["global"], "margin": 0.5},
    )
    parts = loss_parts(wanted, found, LABELS, {})
    assert parts["one"].item() == pytest.approx(
        2 * losses.triplet(found.features["local"], LABELS, 0.3).item()
    )
    assert parts["other"].item() == pytest.approx(
        losses.contrastive(found.features["global"], LABELS, 0.5).item()
    )
    nowhere = config(one={"kind": "cross_entropy", "outputs": ["stage9"]})
    with pytest.raises(ReuniteError, match=r"losses.one.outputs: .* 'stage9' .* known are global, local"):
        loss_parts(nowhere, found, LABELS, {})


def test_a_part_of_weight_0_is_left_out() -> None:
    assert list(loss_parts(config(metric={"weight": 1}), output(), LABELS, {})) == ["metric"]


def test_scale_multiplies_the_logits_before_the_softmax() -> None:
    found = output(heads=1)
    part = loss_parts(config(cross_entropy={"scale": 16.0, "smoothing": 0.0}), found, LABELS, {})
    probability = torch.softmax(16 * found.logits["global"], dim=1)[torch.arange(6), LABELS]
    assert part["cross_entropy"].item() == pytest.approx(-probability.log().mean().item(), rel=1e-5)


def test_scale_lets_features_of_length_1_be_sure() -> None:
    # The best that classifiers of length 1 can do: the feature of each person on its own axis.
    sure = ReidOutput(torch.eye(3), {"global": torch.eye(3)}, {"global": torch.eye(3)})
    people = torch.arange(3)

    def left(scale: float) -> float:
        wanted = config(cross_entropy={"scale": scale, "smoothing": 0.0})
        return loss_parts(wanted, sure, people, {})["cross_entropy"].item()

    assert left(1.0) > 0.5
    assert left(16.0) < 1e-6


def distillation(**weights: float) -> DistillationConfig:
    nothing = {"distances": 0.0, "embeddings": 0.0, "neighbours": 0.0}
    return DistillationConfig.model_validate({"teacher": "t.onnx", **nothing, **weights})


def teacher_and_projection() -> tuple[Tensor, nn.Linear]:
    torch.manual_seed(1)
    return functional.normalize(torch.randn(20, 5), dim=1), nn.Linear(8, 5, bias=False)


ROWS = torch.tensor([4, 19, 0, 7, 7, 11])


def test_the_teacher_is_copied_by_the_parts_that_have_a_weight() -> None:
    found = output()
    teacher, projection = teacher_and_projection()
    student, targets = projection(found.embedding), teacher[ROWS]
    whole = distillation(distances=10.0, embeddings=2.0, neighbours=0.5, neighbours_temperature=0.1)
    parts = {
        name: value.item()
        for name, value in distillation_parts(whole, found, teacher[ROWS], teacher, projection).items()
    }
    assert parts == {
        "teacher_distances": pytest.approx(
            10 * losses.distillation_distances(found.embedding, targets).item()
        ),
        "teacher_embeddings": pytest.approx(2 * losses.distillation_embeddings(student, targets).item()),
        "teacher_neighbours": pytest.approx(
            losses.distillation_neighbours(student, targets, teacher, 0.1).item() / 2
        ),
    }
    for name in ("distances", "embeddings", "neighbours"):
        alone = distillation_parts(distillation(**{name: 1.0}), found, teacher[ROWS], teacher, projection)
        assert list(alone) == [f"teacher_{name}"]


def test_what_is_near_in_the_bank_moves_network_and_projection() -> None:
    found = output()
    found.embedding.requires_grad_()
    teacher, projection = teacher_and_projection()
    (part,) = distillation_parts(
        distillation(neighbours=1.0), found, teacher[ROWS], teacher, projection
    ).values()
    torch.autograd.backward(part)
    for grad in (found.embedding.grad, projection.weight.grad):
        assert grad is not None
        assert grad.abs().sum() > 0


def test_a_teacher_says_what_it_knows_or_what_it_sees() -> None:
    bank = torch.eye(4)
    images = torch.randint(
        1, 255, (2, 8, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    batch = Batch((images,), torch.tensor([0, 0]), torch.tensor([3, 1]), list(images.numpy()), {})
    assert Teacher(bank, None).targets(batch, 0).tolist() == bank[[3, 1]].tolist()
    live = Embedder("mean", "none", np.stack, lambda seen: seen.mean(axis=(1, 2)).astype(np.float32), 8, 3)
    colours = images.double().mean(dim=(1, 2))
    expected = colours / colours.norm(dim=1, keepdim=True)
    assert Teacher(bank, Teachers([live])).targets(batch, 0).numpy() == pytest.approx(
        expected.numpy(), abs=1e-5
    )
