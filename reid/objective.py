"""What a configuration minimises: parts by name and weighted, each a loss of some outputs of the network."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid import losses
from reid.alignment import aligned_triplet
from reid.config import NEEDS, DistillationConfig, LossConfig, MutualConfig
from reid.models import ReidOutput
from reid.models.students import of_students
from reid.mutual import copied_classes, copied_distances, over_pairs, ranks_hard, ranks_soft
from reid.output_losses import (
    attribute_cross_entropy,
    attribute_triplet,
    key_point_distance,
    tracklet_triplet,
)
from reid.sampling import NOBODY

NOTHING_KNOWN: Mapping[str, Tensor] = MappingProxyType({})

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
    known: Mapping[str, Tensor] = NOTHING_KNOWN,
) -> dict[str, Tensor]:
    """What is minimised, by name, already weighted; each is the mean over its outputs, in float32.

    Args:
        config: Which losses, of which outputs, and their weights.
        output: Of the network, for a batch of B.
        labels: (B,) people; pictures of `NOBODY` do not count.
        centres: (people, E) of each output, by its name; empty where there is no centre loss.
        epoch: When this is; parts may begin late or end early.
        known: (B, ...) what else is known of the pictures, by kind; see `reid.training_pictures.Batch`.
    """
    shows_somebody = labels != NOBODY
    labels = labels[shows_somebody]
    if not len(labels):
        return {}
    features, logits, others, known = (
        {name: rows[shows_somebody].float() for name, rows in named.items()}
        for named in (output.features, output.logits, output.others, known)
    )
    output = ReidOutput(output.embedding[shows_somebody], features, logits, others)
    parts = {}
    for name, part in config.items():
        ends = part.until_epoch if part.until_epoch is not None else float("inf")
        if part.weight and part.from_epoch <= epoch < ends:
            each = [
                loss_of(part, acted_on, labels, centres.get(of), beside(of, output.others), known)
                for of, acted_on in outputs_of(name, part, output).items()
            ]
            parts[name] = part.weight * torch.stack(each).mean()
    return parts


def joined(outputs: Sequence[ReidOutput]) -> ReidOutput:
    """The outputs for parts of a batch as those for the whole."""
    if len(outputs) == 1:
        return outputs[0]
    features, logits, others = (
        {name: torch.cat([each[name] for each in named]) for name in named[0]}
        for named in (
            [it.features for it in outputs],
            [it.logits for it in outputs],
            [it.others for it in outputs],
        )
    )
    return ReidOutput(torch.cat([it.embedding for it in outputs]), features, logits, others)


def outputs_of(name: str, part: LossConfig, output: ReidOutput) -> dict[str, Tensor]:
    """The logits or features that a part of the loss acts on, by their names.

    Raises:
        ReuniteError: The network has none of such a name.
    """
    known = output.logits if part.kind == "cross_entropy" else output.features
    if (needed := NEEDS.get(part.kind)) is not None:
        if needed not in output.others:
            raise ReuniteError(
                f"losses.{name}: {part.kind} acts on {needed!r}, which this network does not give; take the "
                "network parts-025x, whose setting 'parts' says what it gives"
            )
        known = {of: feature for of, feature in known.items() if needed in beside(of, output.others)}
    for of in part.outputs:
        if of not in known:
            raise ReuniteError(
                f"losses.{name}.outputs: {part.kind} finds no output {of!r} in this network, known are "
                f"{', '.join(known) or 'none'}"
            )
    chosen = part.outputs or tuple(known)
    return {of: rows for of, rows in known.items() if of in chosen or of.partition("/")[2] in chosen}


def beside(of: str, others: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The other outputs of the student whose output ``of`` is; see `reid.models.students`."""
    student = of.partition("/")[0] + "/" if "/" in of else ""
    return {
        name.removeprefix(student): rows
        for name, rows in others.items()
        if (name.startswith(student) if student else "/" not in name)
    }


def loss_of(
    part: LossConfig,
    acted_on: Tensor,
    labels: Tensor,
    centres: Tensor | None,
    others: Mapping[str, Tensor],
    known: Mapping[str, Tensor],
) -> Tensor:
    """A loss of one output, (B, classes) logits or (B, E) features, and (B,) people; not weighted.

    ``others`` are outputs of the same network, ``known`` what is known of the pictures.
    """
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
        case "tracklet_triplet":
            return tracklet_triplet(acted_on, others["quality"], labels, part.margin)
        case "attributes":
            attributes, shares = known["attributes"], known["attribute_shares"]
            named, given = attributes.shape[1], others["attributes"].shape[1]
            if named != given:
                raise ReuniteError(
                    f"the data names {named} attributes, the network gives {given}: set "
                    f"model.settings.count={named}"
                )
            return attribute_cross_entropy(others["attributes"], attributes, shares)
        case "key_points":
            return key_point_distance(others["key_points"], known["key_points"])
    assert part.margin is not None  # the config refuses it
    match part.kind:
        case "aligned_triplet":
            return aligned_triplet(others["stripes"], acted_on, labels, part.margin)
        case "attribute_triplet":
            return attribute_triplet(acted_on, others["attributes"], labels, part.margin, part.scale)
        case _:
            return NEED_MARGIN[part.kind](acted_on, labels, part.margin)


def centre_rates(config: Mapping[str, LossConfig], output: ReidOutput) -> dict[str, float]:
    """The outputs that have centres, and how far these move in each step."""
    return {
        of: part.rate
        for name, part in config.items()
        if part.kind == "centre" and part.weight
        for of in outputs_of(name, part, output)
    }


def mutual_parts(config: MutualConfig, output: ReidOutput) -> dict[str, Tensor]:
    """What students still have to learn from each other, by name and weighted.

    Heads of one name are compared; pictures without identities take part.
    """
    logits = [of_students(output.logits, name) for name in output.logits if "/" not in name]
    embeddings = [of_students(output.others, "embedding")]
    parts = {}
    for name, copied, weight, of_all in (
        ("classes", copied_classes, config.classes, logits),
        ("distances", copied_distances, config.distances, embeddings),
        ("ranks_soft", ranks_soft, config.ranks_soft, embeddings),
        ("ranks_hard", ranks_hard, config.ranks_hard, embeddings),
    ):
        if weight and of_all:
            each = [over_pairs(copied, [one.float() for one in students]) for students in of_all]
            parts[f"mutual_{name}"] = weight * torch.stack(each).mean()
    return parts


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
