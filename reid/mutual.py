"""Mutual learning: students copy each other's classes, distances, and order of who is nearer.

Each learns from the labels too. There is no teacher: in each pair of students both copy the other, whose side
has no gradient.
"""

from collections.abc import Callable, Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses import pairwise_distances

CANDIDATES = 4
"""Pictures that an anchor ranks: 24 orders, all of which `ranks_soft` weighs."""

SCORE_SCALE, SCORE_POWER = 3.0, 3.0
"""A candidate's score is ``-scale * distance ** power`` (Chen et al. 2017, arXiv:1707.01220, section 4.1)."""


def over_pairs(copied: Callable[[Tensor, Tensor], Tensor], students: Sequence[Tensor]) -> Tensor:
    """Mean of a loss of two students over all ordered pairs of them; 0 for one alone."""
    parts = [copied(own, other.detach()) for own, other in permutations(students, 2)]
    return torch.stack(parts).mean() if parts else students[0].sum() * 0


def copied_classes(own: Tensor, other: Tensor) -> Tensor:
    """``KL(p_other || p_own)`` of (B, C) logits each.

    Source: Zhang et al. 2017 (arXiv:1706.00384), equation 8.
    """
    ours, theirs = (functional.log_softmax(logits, dim=1) for logits in (own, other))
    return functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)


def copied_distances(own: Tensor, other: Tensor) -> Tensor:
    """Mean squared difference of the distances in a batch, of (B, D) and (B, E) features.

    Source: reid-tutorial, "Metric Mutual Learning", the loss L_M; its two terms are the two orders.
    """
    return (pairwise_distances(own) - pairwise_distances(other)).square().mean()


def ranks_hard(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over anchors of ``-log P(the teacher's order of the candidates)``, P by the student's scores.

    Args:
        student: (B, D), teacher: (B, E), of which each anchor ranks the next `CANDIDATES` pictures.

    Source: DarkRank (Chen et al. 2017, arXiv:1707.01220), equation 9.
    """
    ours, theirs = candidate_scores(student), candidate_scores(teacher)
    order = theirs.argsort(dim=1, descending=True, stable=True)
    return -log_likelihood(ours.gather(1, order)).mean()


def ranks_soft(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over anchors of ``KL(P_teacher || P_student)``, P over all orders of the candidates.

    Source: DarkRank (Chen et al. 2017, arXiv:1707.01220), equation 8.
    """
    ours, theirs = candidate_scores(student), candidate_scores(teacher)
    orders = torch.tensor(list(permutations(range(ours.shape[1]))), device=ours.device)
    own, other = (log_likelihood(scores[:, orders]) for scores in (ours, theirs))
    return functional.kl_div(own, other, reduction="batchmean", log_target=True)


def candidate_scores(embeddings: Tensor) -> Tensor:
    """(B, K) scores of the K pictures that follow each one in the batch, round the end."""
    total = len(embeddings)
    count = min(CANDIDATES, total - 1)
    rows = torch.arange(total, device=embeddings.device)
    candidates = (rows[:, None] + 1 + torch.arange(count, device=embeddings.device)) % total
    distances = pairwise_distances(functional.normalize(embeddings, dim=1))
    return -SCORE_SCALE * distances.gather(1, candidates) ** SCORE_POWER


def log_likelihood(scores: Tensor) -> Tensor:
    """(...) log probability of drawing K candidates in the order of their (..., K) scores.

    One is drawn after the other, with a probability in proportion to ``exp(score)`` among those left
    (Plackett and Luce).
    """
    left = scores.flip(-1).logcumsumexp(dim=-1).flip(-1)
    return (scores - left).sum(dim=-1)
