"""Losses as pure functions of (B, D) embeddings and (B,) labels; each gives one number to minimise.

Distances are Euclidean. Where a batch holds no pair, triplet or quadruplet of the kind that a loss
compares, the loss is 0. ``margin`` is in the unit of the distance.
"""

import torch
from torch import Tensor
from torch.nn import functional

MIN_SQUARED_DISTANCE = 1e-12
"""The root has an infinite slope at 0; pictures closer than 1e-6 count as equal and pull at nothing."""


def pairwise_distances(embeddings: Tensor) -> Tensor:
    """(B, B) Euclidean distances between the rows of (B, D)."""
    squared = embeddings.square().sum(dim=1)
    between = squared[:, None] + squared[None, :] - 2 * embeddings @ embeddings.T
    return between.clamp(min=MIN_SQUARED_DISTANCE).sqrt()


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy of (B, C) logits with smoothed labels.

    The right person gets ``1 - smoothing + smoothing / C``, each other ``smoothing / C``.

    Source: Bag of Tricks (Luo et al. 2019, arXiv:1903.07071), section 3.3.
    """
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def batch_soft_triplet(embeddings: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
    """Mean over anchors of the weighted mean distance to the same person less that to others.

    The weights are the softmax of the distance for the same person and of the negative distance for
    others, so hard pictures weigh more without one outlier deciding all.

    Args:
        embeddings: (B, D), labels: (B,). An anchor alone of its person, or without others, is left out.
        margin: A hinge with this margin; None is softplus, which needs none.

    Source: Robust-ReID, equations 4 and 5; Ristani and Tomasi 2018, arXiv:1803.10859.
    """
    distances = pairwise_distances(embeddings)
    positive, negative = _positives(labels), _negatives(labels)
    anchors = positive.any(dim=1) & negative.any(dim=1)
    if not anchors.any():
        return embeddings.sum() * 0
    distances, positive, negative = distances[anchors], positive[anchors], negative[anchors]
    near = distances.masked_fill(~positive, -torch.inf).softmax(dim=1)
    far = (-distances).masked_fill(~negative, -torch.inf).softmax(dim=1)
    return hinge((near * distances).sum(dim=1) - (far * distances).sum(dim=1), margin).mean()


def batch_hard_triplet(embeddings: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
    """Mean over anchors of the farthest picture of the same person less the nearest of another.

    Args:
        embeddings: (B, D), labels: (B,). An anchor alone of its person, or without others, is left out.
        margin: A hinge with this margin; None is softplus.

    Source: Robust-ReID, equation 3; Hermans et al. 2017, arXiv:1703.07737, equation 5.
    """
    anchors, farthest, nearest = hardest_pairs(embeddings, labels)
    if not len(anchors):
        return embeddings.sum() * 0
    distances = pairwise_distances(embeddings)
    return hinge(distances[anchors, farthest] - distances[anchors, nearest], margin).mean()


def hardest_pairs(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the anchors, of the farthest picture of each one's person and of the nearest of another.

    An anchor alone of its person, or without others, is left out.
    """
    distances = pairwise_distances(embeddings.detach())
    positive, negative = _positives(labels), _negatives(labels)
    farthest = distances.masked_fill(~positive, -torch.inf).argmax(dim=1)
    nearest = distances.masked_fill(~negative, torch.inf).argmin(dim=1)
    anchors = torch.nonzero(positive.any(dim=1) & negative.any(dim=1)).flatten()
    return anchors, farthest[anchors], nearest[anchors]


def triplet(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over all triplets (anchor, same person, other) of ``[d(a, p) - d(a, n) + margin]+``.

    Source: Robust-ReID, equation 2; Schroff et al. 2015, arXiv:1503.03832.
    """
    return _mean(*_triplets(embeddings, labels, margin))


def ranking(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Half the mean over all triplets of ``[margin + d(a, p)^2 - d(a, n)^2]+``, with squared distances.

    Both pictures of one person take their turn as the query a.

    Source: "Re-ID done right" (Almazan et al. 2018, arXiv:1801.05339), equation 1.
    """
    squared = pairwise_distances(embeddings).square()
    values = (margin + squared[:, :, None] - squared[:, None, :]).clamp(min=0) / 2
    return _mean(values, triplet_masks(labels))


def improved_triplet(embeddings: Tensor, labels: Tensor, margin: float, max_positive: float = 0.1) -> Tensor:
    """The triplet loss, and the mean over the same triplets of ``[d(a, p) - max_positive]+``.

    Source: Cheng et al., CVPR 2016; reid-tutorial, "Improved Triplet Loss", where ``max_positive`` is beta.
    """
    values, valid = _triplets(embeddings, labels, margin)
    too_far = (pairwise_distances(embeddings) - max_positive).clamp(min=0)[:, :, None].expand_as(values)
    return _mean(values + too_far, valid)


def quadruplet(
    embeddings: Tensor, labels: Tensor, margin: float, other_margin: float | None = None
) -> Tensor:
    """The triplet loss, and the mean of ``[d(a, p) - d(b, c) + other_margin]+`` over pairs of others.

    The second part asks that any two pictures of one person be closer than any two of different people:
    b and c are two other people, neither of them the person of a and p.

    Args:
        embeddings: (B, D), labels: (B,).
        margin: Of the triplets.
        other_margin: Of the pairs without a common picture; None is half of ``margin``.

    Source: Chen et al. 2017, arXiv:1704.01719, equation 3.
    """
    distances = pairwise_distances(embeddings)
    other_margin = margin / 2 if other_margin is None else other_margin
    positive, negative = _positives(labels), _negatives(labels)
    same, others = positive.nonzero(), negative.nonzero()
    strangers = negative[same[:, 0]][:, others[:, 0]] & negative[same[:, 0]][:, others[:, 1]]
    between = distances[same[:, 0], same[:, 1]][:, None] - distances[others[:, 0], others[:, 1]][None, :]
    second = _mean((between + other_margin).clamp(min=0), strangers)
    return triplet(embeddings, labels, margin) + second


def contrastive(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over all pairs of the distance, if it is one person, else of ``[margin - distance]+``.

    Source: reid-tutorial, "Contrastive Loss".
    """
    distances = pairwise_distances(embeddings)
    values = torch.where(_positives(labels), distances, (margin - distances).clamp(min=0))
    return _mean(values, ~torch.eye(len(labels), dtype=torch.bool, device=labels.device))


def margin_sample_mining(embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``[farthest pair of one person - nearest pair of two people + margin]+``, one value for the batch.

    Source: Xiao et al. 2017, arXiv:1710.00478, equation 6.
    """
    distances = pairwise_distances(embeddings)
    positive, negative = _positives(labels), _negatives(labels)
    if not positive.any() or not negative.any():
        return embeddings.sum() * 0
    return (distances[positive].max() - distances[negative].min() + margin).clamp(min=0)


def centre_loss(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Half the mean squared distance of (B, D) embeddings to their people's rows of the (C, D) centres.

    Source: Wen et al. 2016, ECCV, equation 2, as a mean over the batch. The centres move by `moved_centres`.
    """
    return (embeddings - centres[labels]).square().sum(dim=1).mean() / 2


def moved_centres(embeddings: Tensor, labels: Tensor, centres: Tensor, rate: float = 0.5) -> Tensor:
    """The (C, D) centres after this batch: each goes to the pictures of its person by ``rate * n / (1 + n)``.

    Source: Wen et al. 2016, ECCV, equations 3 and 4.
    """
    count = torch.zeros(len(centres), 1, device=centres.device).index_add_(
        0, labels, torch.ones(len(labels), 1, device=centres.device)
    )
    pull = torch.zeros_like(centres).index_add_(0, labels, embeddings.detach() - centres[labels])
    return centres + rate * pull / (1 + count)


def distillation_distances(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference between the cosine similarities within the batch.

    Args:
        student: (B, D), teacher: (B, E) of the same pictures. Nothing is asked of D and E.

    Returns:
        The mean over all pairs of two pictures; 0 where there is one picture only.

    Source: Similarity-preserving distillation (Tung and Mori 2019, arXiv:1907.09682), with cosines of rows.
    """
    pairs = ~torch.eye(len(student), dtype=torch.bool, device=student.device)
    ours, theirs = functional.normalize(student, dim=1), functional.normalize(teacher, dim=1)
    return _mean((ours @ ours.T - theirs @ theirs.T).square(), pairs)


def distillation_embeddings(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cosine between the (B, E) rows of both; the student's come through a linear layer."""
    return 1 - functional.cosine_similarity(student, teacher, dim=1).mean()


def distillation_neighbours(student: Tensor, teacher: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """Mean Kullback-Leibler divergence of where the student sees a picture from where the teacher sees it.

    Where is a distribution over the bank: softmax of the cosines divided by the temperature. A batch holds
    few people, the bank all, so the student learns from each picture who is alike and who is not.

    Args:
        student: (B, E), come through a linear layer into the teacher's space. Of any length, as the next.
        teacher: (B, E) of the same pictures.
        bank: (N, E), the teacher's embeddings of all training pictures, of length 1.
        temperature: Of both distributions, in cosines, above 0.

    Source: SEED (Fang et al. 2021, arXiv:2101.04731), section 3.2, with all training pictures for its queue,
    one temperature, and less the teacher's entropy, so that 0 is a perfect copy.
    """
    ours, theirs = (
        functional.log_softmax(functional.normalize(rows, dim=1) @ bank.T / temperature, dim=1)
        for rows in (student, teacher)
    )
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def _positives(labels: Tensor) -> Tensor:
    """(B, B) pairs of two pictures of one person."""
    same = labels[:, None] == labels[None, :]
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)


def _negatives(labels: Tensor) -> Tensor:
    """(B, B) pairs of two people."""
    return labels[:, None] != labels[None, :]


def _triplets(embeddings: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """(B, B, B) hinge of each anchor, positive and negative, and where they are what they are called."""
    distances = pairwise_distances(embeddings)
    return hinge(distances[:, :, None] - distances[:, None, :], margin), triplet_masks(labels)


def triplet_masks(labels: Tensor) -> Tensor:
    """(B, B, B): where an anchor, another picture of its person and one of somebody else come together."""
    return _positives(labels)[:, :, None] & _negatives(labels)[:, None, :]


def hinge(difference: Tensor, margin: float | None) -> Tensor:
    """The hinge, or softplus where there is no margin."""
    return functional.softplus(difference) if margin is None else (difference + margin).clamp(min=0)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the valid values; 0, still with a gradient, where there are none."""
    return (values * valid).sum() / valid.sum().clamp(min=1)
