"""A stream of queries with a budget of multiply-adds on average: which ones exit a network early.

A query may exit at any of S stages, and is then looked for with the embedding of that stage. It exits where
its confidence reaches the threshold of the stage; thresholds are learnt on training people.

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
"""All exit at the first or at the last stage, as far as floating-point numbers can tell."""

POINTS = 15
"""Budgets of a curve, the cheapest and the dearest among them."""


class Stream(NamedTuple):
    """What Q queries would find at each of S stages.

    Attributes:
        confidence: (S, Q) by rule: of ``distance``, minus that to the nearest in the gallery; of ``margin``,
            how much farther the nearest of another person is.
        is_first: (S, Q) 1 where the first that is found is right, else 0; NaN for a query that cannot be
            judged.
        precisions: (S, Q) average precision; NaN likewise.
    """

    confidence: dict[Rule, Floats]
    is_first: Floats
    precisions: Floats


class Point(NamedTuple):
    """One budget: the multiply-adds that a query really took on average, rank-1 and mAP as fractions."""

    multiply_adds: float
    rank1: float
    mean_average_precision: float


def proportions(costs: Sequence[float], budget: float) -> Floats:
    """(S,) shares of the queries that exit at each stage, so that the mean cost is the budget.

    They are a geometric series: with infinitely many stages, the same share of those that reach a stage would
    exit there.

    Args:
        costs: (S,) of a query that exits at each stage, rising.
        budget: Mean cost of a query.

    Raises:
        ReuniteError: No shares cost that little or that much.

    Source: DaRe, equation 3.
    """
    known = np.asarray(costs, np.float64)
    if not known[0] <= budget <= known[-1]:
        raise ReuniteError(
            f"budget {budget:.4g}: must be from {known[0]:.4g} (all exit at the first stage) to "
            f"{known[-1]:.4g} (all at the last) multiply-adds"
        )

    def shares(log_ratio: float) -> Floats:
        powers = log_ratio * np.arange(len(known))
        weights = np.exp(powers - powers.max())
        return np.asarray(weights / weights.sum(), np.float64)

    def excess(log_ratio: float) -> float:
        return float(shares(log_ratio) @ known - budget)

    if excess(-MAX_LOG_RATIO) >= 0:
        return shares(-MAX_LOG_RATIO)
    if excess(MAX_LOG_RATIO) <= 0:
        return shares(MAX_LOG_RATIO)
    return shares(float(brentq(excess, -MAX_LOG_RATIO, MAX_LOG_RATIO)))


def learn_thresholds(confidence: Floats, shares: Floats) -> Floats:
    """(S - 1,) the least confidence with which a query exits at each stage but the last.

    Args:
        confidence: (S, Q) of queries of training people.
        shares: (S,) of them that exit at each stage.
    """
    stays = np.ones(confidence.shape[1], bool)
    left, thresholds = 1.0, []
    for stage, share in enumerate(shares[:-1].tolist()):
        waiting = np.sort(confidence[stage, stays])[::-1]
        count = round(min(1.0, share / left if left > 1e-12 else 1.0) * len(waiting))
        threshold = float(waiting[count - 1]) if count else np.inf
        if count == len(waiting):
            threshold = -np.inf
        thresholds.append(threshold)
        stays &= confidence[stage] < threshold
        left -= share
    return np.array(thresholds)


def exit_stages(confidence: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """(Q,) the first stage, from 0, whose threshold the confidence reaches; the last where none does."""
    last = np.ones((1, confidence.shape[1]), bool)
    exits = np.concatenate([confidence[:-1] >= thresholds[:, None], last])
    return np.asarray(exits.argmax(axis=0), np.int64)


def curve(stream: Stream, training: Stream, costs: Sequence[float], rule: Rule) -> list[Point]:
    """Points of `POINTS` budgets, from the first stage alone to the last; of ``random`` one for each stage.

    Between these the straight line is what exiting at random at one of the two stages gives.

    Args:
        stream: The queries that are judged.
        training: Queries of training people, on whose confidence the thresholds are learnt.
        costs: (S,) multiply-adds of a query that exits at each stage.
        rule: How it is decided which queries exit.
    """
    known = np.asarray(costs, np.float64)
    if rule == "random":
        stages = zip(known, stream.is_first, stream.precisions, strict=True)
        return [Point(float(cost), *map(_mean, scores)) for cost, *scores in stages]
    points = []
    for budget in np.linspace(known[0], known[-1], POINTS):
        thresholds = learn_thresholds(training.confidence[rule], proportions(costs, float(budget)))
        exits = exit_stages(stream.confidence[rule], thresholds)
        queries = np.arange(len(exits))
        scores = (stream.is_first[exits, queries], stream.precisions[exits, queries])
        points.append(Point(float(known[exits].mean()), *map(_mean, scores)))
    return points


def make_stream(queries: Sequence[Embedded], gallery: Sequence[Embedded]) -> Stream:
    """What queries find at each stage; one `Embedded` for each, the same pictures in the same order.

    Confidence is measured on the gallery pictures of other cameras than the query's own, as these are what a
    query is judged by; on all where cameras are not known.
    """
    distance, margin, first, precisions = [], [], [], []
    for ours, theirs in zip(queries, gallery, strict=True):
        nearest, nearest_other = nearest_two(ours.embeddings, theirs.embeddings, ours.people, theirs.people)
        distance.append(-nearest)
        margin.append(nearest_other - nearest)
        scores = score_embeddings(ours.embeddings, theirs.embeddings, ours.people, theirs.people)
        first.append(np.where(scores.first_ranks > 0, scores.first_ranks == 1, np.nan))
        precisions.append(scores.average_precisions)
    confidence: dict[Rule, Floats] = {"distance": np.stack(distance), "margin": np.stack(margin)}
    return Stream(confidence, np.stack(first), np.stack(precisions))


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
