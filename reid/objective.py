"""What a configuration minimises: the losses of all heads, by name and weighted."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reid import losses
from reid.config import DistillationConfig, LossConfig, MetricLossConfig
from reid.models import ReidOutput
from reid.sampling import NOBODY


def loss_parts(
    config: LossConfig, output: ReidOutput, labels: Tensor, centres: Sequence[Tensor]
) -> dict[str, Tensor]:
    """What is minimised, by name, already weighted; each is the mean over the heads, in float32.

    Args:
        config: Which losses, and their weights.
        output: Of the network, for a batch of B.
        labels: (B,) people; pictures of `NOBODY` do not count.
        centres: (people, E) of each head; empty where there is no centre loss.
    """
    parts = {}
    shows_somebody = labels != NOBODY
    labels = labels[shows_somebody]
    if not len(labels):
        return {}
    heads = [head.float()[shows_somebody] for head in output.heads]
    if config.cross_entropy.weight:
        scale, smoothing = config.cross_entropy.scale, config.cross_entropy.smoothing
        each = [
            losses.cross_entropy(scale * logits.float()[shows_somebody], labels, smoothing)
            for logits in output.logits
        ]
        parts["cross_entropy"] = config.cross_entropy.weight * torch.stack(each).mean()
    if config.metric.weight:
        each = [metric_loss(config.metric, head, labels) for head in heads]
        parts[config.metric.kind] = config.metric.weight * torch.stack(each).mean()
    if config.centre.weight:
        each = [
            losses.centre_loss(head, labels, of_head) for head, of_head in zip(heads, centres, strict=True)
        ]
        parts["centre"] = config.centre.weight * torch.stack(each).mean()
    return parts


def metric_loss(config: MetricLossConfig, features: Tensor, labels: Tensor) -> Tensor:
    """The metric loss that the config names, of (B, E) features and (B,) people; not weighted."""
    match config.kind:
        case "batch_soft_triplet":
            return losses.batch_soft_triplet(features, labels, config.margin)
        case "batch_hard_triplet":
            return losses.batch_hard_triplet(features, labels, config.margin)
    assert config.margin is not None  # the config refuses it
    function = {
        "triplet": losses.triplet,
        "improved_triplet": losses.improved_triplet,
        "quadruplet": losses.quadruplet,
        "contrastive": losses.contrastive,
        "margin_sample_mining": losses.margin_sample_mining,
    }[config.kind]
    return function(features, labels, config.margin)


def distillation_parts(
    config: DistillationConfig, output: ReidOutput, targets: Tensor, bank: Tensor, projection: nn.Module
) -> dict[str, Tensor]:
    """What the student still has to learn from the teacher, by name and weighted.

    Args:
        config: How much each part weighs.
        output: Of the student, for a batch of B.
        targets: (B, E) the teacher's embeddings of the batch.
        bank: (N, E) those of all training pictures, each of length 1.
        projection: From the student's embedding into the teacher's space.
    """
    embedding = output.embedding.float()
    projected = projection(embedding)
    parts = {}
    if config.distances:
        parts["teacher_distances"] = config.distances * losses.distillation_distances(embedding, targets)
    if config.embeddings:
        parts["teacher_embeddings"] = config.embeddings * losses.distillation_embeddings(projected, targets)
    if config.neighbours:
        parts["teacher_neighbours"] = config.neighbours * losses.distillation_neighbours(
            projected, targets, bank, config.neighbours_temperature
        )
    return parts
