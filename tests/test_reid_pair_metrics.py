"""Learnt metrics against sums over every pair."""

from dataclasses import replace

import numpy as np
import pytest

from foundation.errors import ReuniteError
from reid.data import Record
from reid.judging import Embedded, WayOfRanking, center_both_sides, rank
from reid.pair_metrics import (
    METRICS,
    RIDGE,
    MetricKind,
    learn_metric,
    pair_covariances,
    principal_components,
)
from reid.retrieval import People, center_cameras, normalise, score_distances, score_embeddings


def some_people(count: int, pictures: int, seed: int, length: int = 6) -> tuple[np.ndarray, People]:
    """Two directions say who it is; the others, ten times as strong, say nothing."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(1, count + 1), pictures)
    signal = rng.normal(size=(count, 2))[persons - 1] + 0.1 * rng.normal(size=(len(persons), 2))
    noise = 10 * rng.normal(size=(len(persons), length - 2))
    embeddings = np.concatenate([signal, noise], axis=1).astype(np.float32)
    return embeddings, People(persons, rng.integers(0, 4, len(persons)))


def test_covariances_equal_the_mean_over_every_pair() -> None:
    embeddings, people = some_people(5, 4, seed=0)
    sums = {True: np.zeros((6, 6)), False: np.zeros((6, 6))}
    counts = {True: 0, False: 0}
    for first in range(len(embeddings)):
        for second in range(first):
            cameras = people.cameras[[first, second]]
            if cameras[0] == cameras[1] != 0:
                continue
            is_same = bool(people.persons[first] == people.persons[second])
            apart = (embeddings[first] - embeddings[second]).astype(np.float64)
            sums[is_same] += np.outer(apart, apart)
            counts[is_same] += 1
    for found, is_same in zip(pair_covariances(embeddings, people), (True, False), strict=True):
        np.testing.assert_allclose(found, sums[is_same] / counts[is_same], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", METRICS)
def test_a_metric_finds_the_directions_that_tell_people_apart(kind: MetricKind) -> None:
    metric = learn_metric(kind, *some_people(40, 4, seed=1))
    embeddings, people = some_people(20, 4, seed=2)
    sides = [
        (embeddings[part::2], People(people.persons[part::2], people.cameras[part::2])) for part in (0, 1)
    ]
    (queries, asked), (gallery, there) = sides
    plain = score_embeddings(queries, gallery, asked, there)
    learnt = score_distances(metric.distances(queries, gallery), asked, there)
    assert plain.mean_average_precision < 0.4
    assert learnt.mean_average_precision > 0.8


@pytest.mark.parametrize("kind", METRICS)
def test_distances_are_those_of_each_pair(kind: MetricKind) -> None:
    embeddings, people = some_people(10, 3, seed=3)
    metric = learn_metric(kind, embeddings, people)
    found = metric.distances(embeddings[:3], embeddings[3:8])
    for row, query in enumerate(embeddings[:3]):
        for column, other in enumerate(embeddings[3:8]):
            apart = metric.projection.T @ (query - other)
            assert found[row, column] == pytest.approx(metric.weights @ apart**2, rel=1e-3, abs=1e-3)


def test_kissme_is_the_difference_of_the_inverse_covariances() -> None:
    embeddings, people = some_people(30, 4, seed=6)
    metric = learn_metric("kissme", embeddings, people)
    same, different = (
        np.linalg.inv(covariance + RIDGE * (embeddings - embeddings.mean(axis=0)).var() * np.eye(6))
        for covariance in pair_covariances(embeddings, people)
    )
    found = metric.projection * metric.weights @ metric.projection.T
    np.testing.assert_allclose(found, same - different, rtol=1e-3, atol=1e-5)


def test_known_people_are_centred_like_those_who_are_judged() -> None:
    sides = []
    for seed in range(3):
        embeddings, people = some_people(20, 4, seed)
        records = tuple(Record("", *it) for it in zip(people.persons, people.cameras, strict=True))
        sides.append(Embedded(normalise(embeddings + 3 * people.cameras[:, None]), records, ()))
    queries, gallery, known = sides
    found = rank(queries, gallery, WayOfRanking(metric="xqda", center_cameras=True), known).distances()
    centred = replace(known, embeddings=center_cameras(known.embeddings, known.people.cameras))
    by_hand = rank(*center_both_sides(queries, gallery), WayOfRanking(metric="xqda"), centred).distances()
    np.testing.assert_allclose(found, by_hand)


def test_principal_components_are_those_of_the_whole_decomposition() -> None:
    rng = np.random.default_rng(4)
    embeddings = (rng.normal(size=(80, 30)) * 2.0 ** -np.arange(30)).astype(np.float32) + 5
    found = principal_components(embeddings, 4)
    whole = np.linalg.svd(embeddings - embeddings.mean(axis=0), full_matrices=False)[2][:4].T
    assert found.shape == (30, 4)
    assert np.abs((found * whole).sum(axis=0)) == pytest.approx(1, abs=1e-3)
    assert principal_components(embeddings[:3], 100).shape == (30, 2)


def test_pairs_of_one_kind_are_refused_in_a_sentence() -> None:
    embeddings, people = some_people(5, 4, seed=5)
    one_camera = People(people.persons, np.ones_like(people.cameras))
    with pytest.raises(ReuniteError, match="0 pairs of one person by two cameras"):
        learn_metric("xqda", embeddings, one_camera)
    with pytest.raises(ReuniteError, match="and 0 of two people"):
        learn_metric("kissme", embeddings, People(np.ones_like(people.persons), people.cameras))
