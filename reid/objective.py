"""What a configuration minimises: parts by name and weighted, each a loss of some outputs of the network."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid import losses
from reid.config import DistillationConfig, LossConfig
from reid.models import ReidOutput
from reid.sampling import NOBODY

NEED_MARGIN: Mapping[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "triplet": losses.triplet,
    "improved_triplet": losses.improved_triplet,
    "quadruplet": losses.quadruplet,
    "contrastive": losses.contrastive,
    "margin_sample_mining": losses.margin_sample_mining,
    "ranking": losses.ranking,
}
"""Metric losses of (B, E) features, (B,) people and a margin."""


def loss_parts(
    config: Mapping[str, LossConfig],
    output: ReidOutput,
    labels: Tensor,
    centres: Mapping[str, Tensor],
    epoch: float = 0.0,
) -> dict[str, Tensor]:
    """What is minimised, by name, already weighted; each is the mean over its outputs, in float32.

    Args:
        config: Which losses, of which outputs, and their weights.
        output: Of the network, for a batch of B.
        labels: (B,) people; pictures of `NOBODY` do not count.
        centres: (people, E) of each output, by its name; empty where there is no centre loss.
        epoch: When this is; parts may begin late or end early.
    """
    shows_somebody = labels != NOBODY
    labels = labels[shows_somebody]
    if not len(labels):
        return {}
    features, logits = (
        {name: rows[shows_somebody].float() for name, rows in named.items()}
        for named in (output.features, output.logits)
    )
    output = ReidOutput(output.embedding[shows_somebody], features, logits)
    parts = {}
    for name, part in config.items():
        ends = part.until_epoch if part.until_epoch is not None else float("inf")
        if part.weight and part.from_epoch <= epoch < ends:
            each = [
                loss_of(part, acted_on, labels, centres.get(of))
                for of, acted_on in outputs_of(name, part, output).items()
            ]
            parts[name] = part.weight * torch.stack(each).mean()
    return parts


def joined(outputs: Sequence[ReidOutput]) -> ReidOutput:
    """What a network said about pictures one after the other, as if it had seen them at once."""
    if len(outputs) == 1:
        return outputs[0]
    features, logits = (
        {name: torch.cat([each[name] for each in named]) for name in named[0]}
        for named in ([it.features for it in outputs], [it.logits for it in outputs])
    )
    return ReidOutput(torch.cat([it.embedding for it in outputs]), features, logits)


def outputs_of(name: str, part: LossConfig, output: ReidOutput) -> dict[str, Tensor]:
    """The logits or features that a part of the loss acts on, by their names.

    Raises:
        ReuniteError: The network has none of such a name.
    """
    if part.kind == "cross_entropy":
        known = output.logits
    else:
        known = {of: feature for of, feature in output.features.items() if feature.ndim == 2}
    for of in part.outputs:
        if of not in known:
            raise ReuniteError(
                f"losses.{name}.outputs: {part.kind} finds no output {of!r} in this network, known are "
                f"{', '.join(known) or 'none'}"
            )
    return {of: known[of] for of in part.outputs or known}


def loss_of(part: LossConfig, acted_on: Tensor, labels: Tensor, centres: Tensor | None) -> Tensor:
    """A loss of one output, (B, classes) logits or (B, E) features, and (B,) people; not weighted."""
    match part.kind:
        case "cross_entropy":
            return losses.cross_entropy(part.scale * acted_on, labels, part.smoothing)
        case "centre":
            assert centres is not None  # the learner keeps them where there is this loss
            return losses.centre_loss(acted_on, labels, centres)
        case "batch_soft_triplet":
            return losses.batch_soft_triplet(acted_on, labels, part.margin)
        case "batch_hard_triplet":
            return losses.batch_hard_triplet(acted_on, labels, part.margin)
        case _:
            assert part.margin is not None  # the config refuses it
            return NEED_MARGIN[part.kind](acted_on, labels, part.margin)


def centre_rates(config: Mapping[str, LossConfig], output: ReidOutput) -> dict[str, float]:
    """The outputs that have centres, and how far these move in each step."""
    return {
        of: part.rate
        for name, part in config.items()
        if part.kind == "centre" and part.weight
        for of in outputs_of(name, part, output)
    }


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
