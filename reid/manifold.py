"""Re-ranking on the supervised smoothed manifold: two pictures are alike if what is near them is.

Pictures are nodes of a graph whose edges are affinities of near pictures. What is known of a pair of nodes
spreads to neighbouring pairs, which gives the similarity Q = alpha P Q P' + (1 - alpha) L: P is the random
walk on the graph, L says which pairs are known to be one person, a picture with itself at least.

Source: Bai et al. 2017 (arXiv:1703.08359), equations 2 to 6; reid-tutorial, "Supervised Smoothed Manifold".
"""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.retrieval import CHUNK_CELLS, Ints, nearest_neighbours, normalise

NEIGHBOURS = 10
"""Of each node in the graph, itself among them. On Market's 200 people, whose mAP is 66.4 by cosines, 10 and
20 give 79.2 and 76.8 with an alpha of 0.5."""

ALPHA = 0.5
"""How much of what a pair is worth comes from the pairs beside it; 0.9 gives 77.7, at five times the cost."""

TOLERANCE = 1e-4
"""Of Q, whose largest value is 1."""


def manifold_distances(
    queries: EmbeddingArray,
    gallery: EmbeddingArray,
    known: EmbeddingArray | None = None,
    persons: Ints | None = None,
    *,
    neighbours: int = NEIGHBOURS,
    alpha: float = ALPHA,
) -> EmbeddingArray:
    """Distances that follow the manifold on which all pictures lie.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        known: (N, D) of people who are known, for supervision; they are neither queries nor gallery.
        persons: (N,) who they are.
        neighbours: Of each node.
        alpha: In [0, 1); 0 leaves only what is known.

    Returns:
        (Q, G), the similarity with the sign changed.

    Raises:
        ReuniteError: The pairs of all pictures do not fit into memory.
    """
    sides = [queries, gallery] + ([known] if known is not None else [])
    total = sum(map(len, sides))
    check_fits_memory(total)
    walk = random_walk(normalise(np.concatenate(sides)), neighbours)
    start = np.eye(total, dtype=np.float32)
    if persons is not None:
        start[-len(persons) :, -len(persons) :] = persons[:, None] == persons
    found = smooth(walk, start, alpha)
    return -found[: len(queries), len(queries) : len(queries) + len(gallery)]


def check_fits_memory(total: int) -> None:
    """Refuse a graph of so many pictures before anything is computed.

    Raises:
        ReuniteError: Says how much memory it would need, and how much there is.
    """
    needed = 2 * total * total * np.dtype(np.float32).itemsize
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else math.inf
    if needed > there:
        raise ReuniteError(
            f"manifold: a graph of {total} pictures needs {needed / 1e9:.0f} GB of memory, this machine has "
            f"{there / 1e9:.0f}; rank by k-reciprocal neighbours (--rerank), which needs little, or judge "
            "fewer pictures"
        )


def random_walk(everything: EmbeddingArray, neighbours: int = NEIGHBOURS) -> sparse.csr_matrix:
    """(N, N) chances of going from one picture to each of its nearest, of (N, D) embeddings of length 1.

    The affinity is ``exp(-d^2 / sigma^2)``, where sigma^2 is the mean squared distance of neighbours.
    """
    total = len(everything)
    count = min(neighbours, total)
    nearest = nearest_neighbours(everything, everything, count)
    squared = 2 - 2 * np.einsum("nd,nkd->nk", everything, everything[nearest])
    scale = float(squared.mean()) if squared.mean() > 0 else 1.0
    weights = np.exp(-squared / scale)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(total), count)
    return sparse.csr_matrix((weights.ravel(), (rows, nearest.ravel())), (total, total))


def smooth(walk: Any, known: NDArray[np.float32], alpha: float) -> NDArray[np.float32]:
    """The fixed point of ``Q = alpha P Q P' + (1 - alpha) L``, to `TOLERANCE` of the largest value of L.

    A step brings any two Q nearer to each other by alpha, in the largest difference, since no row of P adds
    up to more than 1; so it is known beforehand how many are needed.

    Args:
        walk: (N, N), P, sparse.
        known: (N, N), L.
        alpha: In [0, 1).
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha must be in [0, 1), got {alpha}")
    found = known.copy()
    steps = math.ceil(math.log(TOLERANCE) / math.log(alpha)) if alpha else 1
    parts = [slice(start, start + width) for width in [max(1, CHUNK_CELLS // len(known))]
             for start in range(0, len(known), width)]  # fmt: skip
    for _ in range(steps):
        for part in parts:  # in place, as a second copy might not fit
            found[:, part] = walk @ found[:, part]
        for part in parts:
            found[part] = alpha * (walk @ found[part].T).T + (1 - alpha) * known[part]
    return found
