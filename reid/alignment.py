"""AlignedReID: two people compared stripe by stripe, along the shortest path from their heads to their feet.

Source: Zhang et al. 2017 (arXiv:1711.08184), section 3; reid-tutorial, "AlignedReID".
"""

import torch
from torch import Tensor

from reid.losses import hardest_pairs, hinge

PAIRS_AT_ONCE = 1 << 14
"""Pairs whose tables are in memory together, 4 MB of 8 x 8: they stay in a core's cache."""


def stripe_distances(left: Tensor, right: Tensor) -> Tensor:
    """Every stripe of one person with every stripe of the other, in [0, 1).

    Args:
        left: (..., S, E) features of S stripes, from head to feet.
        right: (..., T, E).

    Returns:
        (..., S, T) of ``(e^x - 1) / (e^x + 1)``, where x is the Euclidean distance; that is ``tanh(x / 2)``.
    """
    squared = left.square().sum(-1)[..., :, None] + right.square().sum(-1)[..., None, :]
    between = squared - 2 * left @ right.transpose(-1, -2)
    return torch.tanh(between.clamp(min=1e-12).sqrt() / 2)


def shortest_paths(distances: Tensor) -> Tensor:
    """(...) cost of the shortest path through tables (..., S, T), down and to the right, both ends counted.

    ``S(i, j) = min(S(i - 1, j), S(i, j - 1)) + d(i, j)``, cell by cell for all tables at once.
    """
    down, across = distances.shape[-2:]
    path = list(distances[..., 0, :].cumsum(-1).unbind(-1))
    for row in range(1, down):
        cells = distances[..., row, :].unbind(-1)
        path[0] = path[0] + cells[0]
        for column in range(1, across):
            path[column] = torch.minimum(path[column], path[column - 1]) + cells[column]
    return path[-1]


def aligned_distances(left: Tensor, right: Tensor) -> Tensor:
    """(N, M) aligned distances of (N, S, E) and (M, S, E) stripes; no gradient, and any number of pairs."""
    step = max(1, PAIRS_AT_ONCE // max(1, len(right)))
    with torch.no_grad():
        rows = []
        for some in torch.split(left, step):
            tables = stripe_distances(some.flatten(0, 1), right.flatten(0, 1))
            tables = tables.view(len(some), left.shape[1], len(right), right.shape[1])
            # Pairs last and side by side, so that each cell of all tables is one stretch of memory.
            tables = tables.permute(1, 3, 0, 2).contiguous().permute(2, 3, 0, 1)
            rows.append(shortest_paths(tables))
    return torch.cat(rows) if rows else left.new_zeros(0, len(right))


def aligned_triplet(stripes: Tensor, features: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Batch-hard triplet loss of the aligned distance, on the pairs that are hardest by the whole person.

    The global distance is cheaper and steadier, and so says which pictures are hard.

    Args:
        stripes: (B, S, E), (B, D) of the whole person, and (B,) labels. An anchor alone of its person, or
            without others, is left out.
        margin: Of the hinge.
    """
    anchors, farthest, nearest = hardest_pairs(features, labels)
    if not len(anchors):
        return stripes.sum() * 0
    near, far = (
        shortest_paths(stripe_distances(stripes[anchors], stripes[others])) for others in (farthest, nearest)
    )
    return hinge(near - far, margin).mean()
