"""A stream of queries that may cost so many multiply-adds on the mean: who leaves a network early.

A query may leave at any of S stages, and is then looked for with the embedding of that stage. How sure a
stage is of it is a number, large for sure; limits for it are learnt on people of the training.

Source: DaRe (Wang et al. 2018, arXiv:1805.08805), section 4.2.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.judging import Embedded
from reid.retrieval import JUNK, People, cosine_distances, score_embeddings

Floats = NDArray[np.float64]
Rule = Literal["random", "distance", "margin"]

MAX_LOG_RATIO = 40.0
"""All leave at the first or at the last stage, as far as numbers can tell."""

POINTS = 15
"""Budgets of a curve, the cheapest and the dearest among them."""


class Stream(NamedTuple):
    """What Q queries would find at each of S stages.

    Attributes:
        sureness: (S, Q) by rule: of ``distance``, minus that to the nearest in the gallery; of ``margin``,
            how much farther the nearest of another person is.
        is_first: (S, Q) whether the first that is found is right; NaN for a query that cannot be judged.
        precisions: (S, Q) average precision; NaN likewise.
    """

    sureness: dict[Rule, Floats]
    is_first: Floats
    precisions: Floats


class Point(NamedTuple):
    """One budget: the multiply-adds that a query really took on the mean, rank-1 and mAP, fractions."""

    multiply_adds: float
    rank1: float
    mean_average_precision: float


def proportions(costs: Sequence[float], budget: float) -> Floats:
    """(S,) shares of the queries that leave at each stage, so that the mean cost is the budget.

    The share of a stage is that of the one before times one number, as if everywhere the same share of those
    who come left.

    Args:
        costs: (S,) of a query that leaves at each stage, rising.
        budget: Mean cost of a query.

    Raises:
        ReuniteError: No shares cost that little or that much.

    Source: DaRe, equation 3.
    """
    known = np.asarray(costs, np.float64)
    if not known[0] <= budget <= known[-1]:
        raise ReuniteError(
            f"budget {budget:.4g}: must be from {known[0]:.4g} (all leave at the first stage) to "
            f"{known[-1]:.4g} (all at the last) multiply-adds"
        )

    def shares(log_ratio: float) -> Floats:
        powers = log_ratio * np.arange(len(known))
        weights = np.exp(powers - powers.max())
        return np.asarray(weights / weights.sum(), np.float64)

    def excess(log_ratio: float) -> float:
        return float(shares(log_ratio) @ known - budget)

    if excess(-MAX_LOG_RATIO) >= 0 or excess(MAX_LOG_RATIO) <= 0:
        return shares(-MAX_LOG_RATIO if excess(-MAX_LOG_RATIO) >= 0 else MAX_LOG_RATIO)
    return shares(float(brentq(excess, -MAX_LOG_RATIO, MAX_LOG_RATIO)))


def learn_limits(sureness: Floats, shares: Floats) -> Floats:
    """(S - 1,) how sure a stage must be of a query that leaves there.

    Args:
        sureness: (S, Q) of queries of training people.
        shares: (S,) of them that leave at each stage.
    """
    stays = np.ones(sureness.shape[1], bool)
    left, limits = 1.0, []
    for stage, share in enumerate(shares[:-1].tolist()):
        leaving = min(1.0, share / left) if left > 1e-12 else 1.0
        waiting = sureness[stage, stays]
        count = round(leaving * len(waiting))
        ordered = np.sort(waiting)[::-1]
        limit = -np.inf if count == len(ordered) else np.inf if count == 0 else float(ordered[count - 1])
        limits.append(limit)
        stays &= sureness[stage] < limit
        left -= share
    return np.array(limits)


def exit_stages(sureness: Floats, limits: Floats) -> NDArray[np.int64]:
    """(Q,) the first stage, from 0, that is as sure as its limit asks; the last where none is."""
    is_sure = np.concatenate([sureness[:-1] >= limits[:, None], np.ones((1, sureness.shape[1]), bool)])
    return np.asarray(is_sure.argmax(axis=0), np.int64)


def curve(stream: Stream, training: Stream, costs: Sequence[float], rule: Rule) -> list[Point]:
    """The points of `POINTS` budgets, from the first stage alone to the last; by ``random`` of of the stages.

    Between these the straight line is what leaving by lot at one of the two stages gives.

    Args:
        stream: The queries that are judged.
        training: Queries of training people, whose sureness the limits are learnt on.
        costs: (S,) multiply-adds of a query that leaves at each stage.
        rule: How it is decided who leaves.
    """
    known = np.asarray(costs, np.float64)
    if rule == "random":
        stages = zip(known, stream.is_first, stream.precisions, strict=True)
        return [Point(float(cost), *map(_mean, scores)) for cost, *scores in stages]
    points = []
    for budget in np.linspace(known[0], known[-1], POINTS):
        limits = learn_limits(training.sureness[rule], proportions(costs, float(budget)))
        leaves = exit_stages(stream.sureness[rule], limits)
        queries = np.arange(len(leaves))
        scores = (stream.is_first[leaves, queries], stream.precisions[leaves, queries])
        points.append(Point(float(known[leaves].mean()), *map(_mean, scores)))
    return points


def make_stream(queries: Sequence[Embedded], gallery: Sequence[Embedded]) -> Stream:
    """What queries find at each stage; one `Embedded` for each, the same pictures in the same order.

    A stage is sure by the gallery pictures of other cameras than the query's own, as these are what it is
    judged by; without numbers of cameras by all.
    """
    distance, margin, first, precisions = [], [], [], []
    for ours, theirs in zip(queries, gallery, strict=True):
        nearest, nearest_other = nearest_two(ours.embeddings, theirs.embeddings, ours.people, theirs.people)
        distance.append(-nearest)
        margin.append(nearest_other - nearest)
        scores = score_embeddings(ours.embeddings, theirs.embeddings, ours.people, theirs.people)
        first.append(np.where(scores.first_ranks > 0, scores.first_ranks == 1, np.nan))
        precisions.append(scores.average_precisions)
    sureness: dict[Rule, Floats] = {"distance": np.stack(distance), "margin": np.stack(margin)}
    return Stream(sureness, np.stack(first), np.stack(precisions))


def nearest_two(
    queries: EmbeddingArray, gallery: EmbeddingArray, query_people: People, gallery_people: People
) -> tuple[Floats, Floats]:
    """(Q,) cosine distances to the nearest in the gallery, and to the nearest of another person than that is.

    Pictures of the query's own camera and junk are passed over; 2, the largest distance, where there is none.
    """
    distances = cosine_distances(queries, gallery).astype(np.float64)
    same_camera = (query_people.cameras[:, None] == gallery_people.cameras) & (gallery_people.cameras > 0)
    distances[same_camera | (gallery_people.persons == JUNK)] = 2.0
    nearest = distances.argmin(axis=1)
    smallest = distances[np.arange(len(distances)), nearest]
    distances[gallery_people.persons[nearest][:, None] == gallery_people.persons] = 2.0
    return smallest, distances.min(axis=1, initial=2.0)


def training_sides(embedded: Embedded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of pictures of training people that are queries and gallery, as a test set is made.

    Of each person and camera the first picture is a query, all others are gallery.
    """
    people = embedded.people
    pairs = np.stack([people.persons, people.cameras], axis=1)
    queries = np.unique(pairs, axis=0, return_index=True)[1]
    return np.sort(queries), np.setdiff1d(np.arange(len(pairs)), queries)


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
