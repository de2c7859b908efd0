"""Losses of what only some networks give: attributes, key points, the quality of a tracklet's pictures.

Labels are NaN where nothing is known; what is not known teaches nothing.
"""

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses import batch_soft_triplet, hinge, pairwise_distances, triplet_masks


def key_point_distance(found: Tensor, known: Tensor) -> Tensor:
    """Mean distance of (B, K, 2) points from where they are known to be, as shares of the picture."""
    is_known = known.isfinite().all(dim=2)
    squared = (found - known.nan_to_num()).square().sum(dim=2)
    return ((squared + 1e-12).sqrt() * is_known).sum() / is_known.sum().clamp(min=1)


def attribute_cross_entropy(logits: Tensor, known: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of (B, A) attributes in which those that few people have weigh as much as the others.

    Args:
        logits: (B, A).
        known: (B, A) 1, 0 or NaN.
        shares: (B, A), w: of how many people of the training set each is true.

    Returns:
        The mean of ``-p log q / (2 w) - (1 - p) log(1 - q) / (2 (1 - w))``.

    Source: ACRN (Schumann and Stiefelhagen 2017), equation 1; reid-tutorial, L_wce.
    """
    is_known = known.isfinite()
    truth = known.nan_to_num()
    w = shares.clamp(0.01, 0.99)
    weights = truth / (2 * w) + (1 - truth) / (2 * (1 - w))
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (weights * each * is_known).sum() / is_known.sum().clamp(min=1)


def attribute_triplet(
    features: Tensor, logits: Tensor, labels: Tensor, margin: float, share: float
) -> Tensor:
    """Mean over all triplets of the hinge of squared distances, attributes counted ``share`` times as much.

    Source: ACRN, equation 3; reid-tutorial, L_ACRN, with the hinge that its triplets have.
    """
    of_people, of_attributes = (pairwise_distances(rows).square() for rows in (features, logits.sigmoid()))
    distances = of_people + share * of_attributes
    valid = triplet_masks(labels)
    values = hinge(distances[:, :, None] - distances[:, None, :], margin)
    return (values * valid).sum() / valid.sum().clamp(min=1)


def tracklet_triplet(features: Tensor, quality: Tensor, labels: Tensor, margin: float | None) -> Tensor:
    """Batch-soft triplet loss of tracklets instead of pictures: two of each person in the batch.

    The pictures of a person are dealt to both in turns; each is pooled by the softmax of its qualities.

    Args:
        features: (B, E), quality: (B, 1), labels: (B,). Whoever has one picture has one tracklet.
        margin: As `batch_soft_triplet`.
    """
    order = torch.argsort(labels, stable=True)
    people, counts = torch.unique_consecutive(labels[order], return_counts=True)
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    turn = (torch.arange(len(labels), device=labels.device) - starts) % 2
    person = torch.repeat_interleave(torch.arange(len(people), device=labels.device), counts)
    tracklet = torch.empty_like(labels)
    tracklet[order] = 2 * person + turn
    pooled = pool_tracklets(features, quality.squeeze(1), tracklet)
    return batch_soft_triplet(pooled, people[torch.unique(tracklet) // 2], margin)


def pool_tracklets(features: Tensor, quality: Tensor, tracklet: Tensor) -> Tensor:
    """(T, E) of length 1: the mean of each tracklet's (B, E) features by the softmax of (B,) qualities.

    Tracklets, of which (B,) says the number of each picture's, come in the order of their numbers.
    """
    numbers, place = torch.unique(tracklet, return_inverse=True)
    best = torch.full_like(numbers, -torch.inf, dtype=quality.dtype)
    best = best.scatter_reduce(0, place, quality.detach(), "amax")
    weight = (quality - best[place]).exp()  # the softmax's divisor is lost in the length
    sums = features.new_zeros(len(numbers), features.shape[1]).index_add(0, place, features * weight[:, None])
    return functional.normalize(sums, dim=1)
