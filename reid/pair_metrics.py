"""Metrics that are learnt from pairs, without a network: KISSME and XQDA.

Both take the difference of two embeddings for normally distributed, narrowly where they show one person by
two cameras and widely where they show two people; the distance is the logarithm of the two likelihoods'
ratio. KISSME (Koestinger et al. 2012, CVPR) asks that of the principal components, XQDA (Liao et al. 2015,
arXiv:1406.4216, section 4) of the directions in which the two differ most.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.retrieval import UNKNOWN_CAMERA, Ints, People

log = logging.getLogger(__name__)

MetricKind = Literal["kissme", "xqda"]
METRICS: tuple[MetricKind, ...] = ("kissme", "xqda")

Doubles = NDArray[np.float64]

MAX_COMPONENTS = {"kissme": 100, "xqda": 1000}
"""Principal components that each begins with. KISSME inverts both covariances, which are singular in more
than a few dozen; XQDA has a ridge."""

RIDGE = 1e-3
"""Is added to the covariance of one person, of components scaled to a mean variance of 1."""

POWER_ITERATIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class PairMetric:
    """A squared distance, the weighted sum of squares of ``W' (x - z)``; it may be negative.

    Attributes:
        projection: (D, K), W.
        weights: (K,) of the squares.
    """

    projection: Doubles
    weights: Doubles

    def distances(self, queries: EmbeddingArray, gallery: EmbeddingArray) -> EmbeddingArray:
        """(Q, G) of (Q, D) and (G, D)."""
        left, right = queries @ self.projection, gallery @ self.projection
        own = (left**2 @ self.weights)[:, None] + right**2 @ self.weights
        return np.asarray(own - 2 * (left * self.weights) @ right.T, np.float32)


def learn_metric(kind: MetricKind, embeddings: EmbeddingArray, people: People) -> PairMetric:
    """Learn from embeddings of people who are known.

    Args:
        kind: ``kissme`` or ``xqda``.
        embeddings: (N, D).
        people: Who is on the N pictures. Pairs by one camera teach nothing; an unknown camera is another
            one each time.

    Raises:
        ReuniteError: No person is seen by two cameras, or there is one person only.
    """
    components = principal_components(embeddings, MAX_COMPONENTS[kind])
    reduced = embeddings @ components - embeddings.mean(axis=0) @ components
    scale = max(float(np.sqrt((reduced**2).mean())), 1e-12)
    same, different = pair_covariances(reduced / scale, people)
    ridge = RIDGE * np.eye(len(same))
    # Along these directions people differ as much as one person does, times the gain, and the likelihoods'
    # ratio is a sum: inv(same) - inv(different) is their outer products, weighed by 1 - 1 / gain.
    gains, directions = linalg.eigh(different + (ridge if kind == "kissme" else 0), same + ridge)
    if kind == "xqda":
        # Directions in which two people differ no more than one person does tell nothing.
        count = max(1, int((gains > 1).sum()))
        log.info("xqda: %d of %d directions tell people apart", count, len(gains))
        gains, directions = gains[-count:], directions[:, -count:]
    return PairMetric(components @ directions / scale, 1 - 1 / gains)


def principal_components(embeddings: EmbeddingArray, count: int) -> Doubles:
    """(D, K) orthonormal directions of the largest variance of (N, D); K is at most ``count``, D and N - 1.

    Source: Halko et al. 2011, "Finding structure with randomness", algorithms 4.4 and 5.1: a few passes over
    the embeddings, instead of a matrix of D x D, which for LOMO would take 6 GB.
    """
    total, length = embeddings.shape
    count = max(1, min(count, length, total - 1))
    mean = embeddings.mean(axis=0)

    def times(directions: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(embeddings @ directions - mean @ directions)

    def back(weights: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(embeddings.T @ weights - np.outer(mean, weights.sum(axis=0)))

    more = min(count + 10, length, total)
    start = np.random.default_rng(0).standard_normal((length, more)).astype(np.float32)
    basis = np.linalg.qr(times(start))[0]
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(times(np.linalg.qr(back(basis))[0]))[0]
    directions = np.linalg.svd(back(basis), full_matrices=False)[0]
    return np.asarray(directions[:, :count], np.float64)


def pair_covariances(embeddings: NDArray[Any], people: People) -> tuple[Doubles, Doubles]:
    """Mean outer product of the difference of two embeddings (N, D), over pairs by two cameras.

    Returns:
        (D, D) over the pairs of one person, and over those of two people.

    Raises:
        ReuniteError: There is no pair of one of the kinds.
    """
    rows = np.arange(len(embeddings))
    cameras = np.where(people.cameras == UNKNOWN_CAMERA, -1 - rows, people.cameras)
    of_camera = _groups(cameras)
    of_person = _groups(people.persons)
    of_both = _groups(of_person * (of_camera.max(initial=0) + 1) + of_camera)
    everything, persons, by_camera, both = (
        _pairs(embeddings, groups) for groups in (np.zeros_like(rows), of_person, of_camera, of_both)
    )
    same, num_same = persons[0] - both[0], persons[1] - both[1]
    different = everything[0] - by_camera[0] - same
    num_different = everything[1] - by_camera[1] - num_same
    if not num_same or not num_different:
        raise ReuniteError(
            f"metric: {num_same} pairs of one person by two cameras and {num_different} of two people to "
            "learn from; both are needed"
        )
    return same / num_same, different / num_different


def _groups(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].ravel()


def _pairs(embeddings: NDArray[Any], groups: Ints) -> tuple[Doubles, int]:
    """Sum over the pairs within groups of the differences' outer product, and how many pairs there are.

    Over a group of n it is ``n * sum(x x') - sum(x) sum(x)'``, so no pair is ever made.
    """
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), embeddings.shape[1]))
    np.add.at(sums, groups, embeddings)
    scatter = (embeddings * counts[groups, None]).T @ embeddings - sums.T @ sums
    return np.asarray(scatter, np.float64), int((counts * (counts - 1) // 2).sum())
