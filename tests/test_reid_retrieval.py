"""Scores against a slow version that walks down each ranking, as the official Market-1501 code does."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from foundation.arrays import EmbeddingArray
from reid import retrieval
from reid.retrieval import (
    Ints,
    People,
    RetrievalScores,
    cosine_distances,
    expand_queries,
    normalise,
    rank_gallery,
    rerank,
    score_distances,
    score_embeddings,
)

A, B, C = 1, 2, 3
"""Three people."""


def people(*pairs: tuple[int, int]) -> People:
    """Person and camera of each picture."""
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return People(table[:, 0], table[:, 1])


class Walked(NamedTuple):
    first_rank: int
    average_precision: float
    inverse_penalty: float


def walk_down(distances: Sequence[float], person: int, camera: int, gallery: People) -> Walked | None:
    """One query, judged picture by picture; None where nothing in the gallery is right."""
    ranking = sorted(range(len(distances)), key=lambda row: (distances[row], row))
    place, hits, precisions = 0, 0, []
    first = last = 0
    for row in ranking:
        its_person, its_camera = int(gallery.persons[row]), int(gallery.cameras[row])
        if its_person == -1:
            continue
        if its_person == person and its_camera == camera and camera != 0:
            continue
        place += 1
        if its_person == person and person > 0:
            hits += 1
            first = first or place
            last = place
            precisions.append(hits / place)
    return Walked(first, sum(precisions) / hits, hits / last) if hits else None


def assert_equals_the_walk(
    scores: RetrievalScores, distances: EmbeddingArray, queries: People, gallery: People
) -> None:
    walked = [
        walk_down(row.tolist(), int(person), int(camera), gallery)
        for row, person, camera in zip(distances, *queries, strict=True)
    ]
    judged = [walk for walk in walked if walk is not None]
    assert scores.left_out == len(walked) - len(judged)
    assert scores.judged == len(judged)
    assert scores.first_ranks.tolist() == [walk.first_rank if walk else 0 for walk in walked]
    for k in (1, 5, 10):
        expected = np.mean([walk.first_rank <= k for walk in judged]) if judged else np.nan
        assert scores.rank(k) == pytest.approx(expected, nan_ok=True)
    expected_map = np.mean([walk.average_precision for walk in judged]) if judged else np.nan
    assert scores.mean_average_precision == pytest.approx(expected_map, abs=1e-12, nan_ok=True)
    expected_inp = np.mean([walk.inverse_penalty for walk in judged]) if judged else np.nan
    assert scores.mean_inverse_penalty == pytest.approx(expected_inp, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("chunk_cells", [1, 97, 2**22])
@pytest.mark.parametrize("values", ["any sign", "negative", "few", "equal"])
@pytest.mark.parametrize("seed", range(8))
def test_scores_equal_a_walk_down_the_ranking(
    monkeypatch: pytest.MonkeyPatch, seed: int, values: str, chunk_cells: int
) -> None:
    monkeypatch.setattr(retrieval, "CHUNK_CELLS", chunk_cells)
    random = np.random.default_rng(seed)
    num_queries, num_gallery = int(random.integers(1, 20)), int(random.integers(1, 60))
    queries = People(random.integers(-1, 6, num_queries), random.integers(0, 4, num_queries))
    gallery = People(random.integers(-1, 6, num_gallery), random.integers(0, 4, num_gallery))
    shape = (num_queries, num_gallery)
    drawn: dict[str, NDArray[np.float64]] = {
        "any sign": random.normal(size=shape),
        "negative": -random.uniform(0.1, 1, shape),
        "few": random.integers(-2, 2, shape) / 4,
        "equal": np.full(shape, 0.25),
    }
    distances = drawn[values].astype(np.float32)
    assert_equals_the_walk(score_distances(distances, queries, gallery), distances, queries, gallery)


@pytest.mark.parametrize("seed", range(5))
def test_embeddings_score_as_their_distances_do(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    random = np.random.default_rng(seed)
    queries, gallery = (random.normal(size=(rows, 5)).astype(np.float32) for rows in (7, 40))
    query_people = People(random.integers(1, 5, 7), random.integers(1, 4, 7))
    gallery_people = People(random.integers(-1, 5, 40), random.integers(1, 4, 40))
    # The same numbers, so that rounding cannot exchange two that are nearly equal.
    monkeypatch.setattr(retrieval, "CHUNK_CELLS", 40 * 7)
    scores = score_embeddings(queries, gallery, query_people, gallery_people)
    assert_equals_the_walk(scores, cosine_distances(queries, gallery), query_people, gallery_people)


def test_a_ranking_by_hand() -> None:
    # Near to far: junk box, A by the same camera, distractor, A, B, A.
    gallery = people((-1, 2), (A, 1), (0, 2), (A, 2), (B, 2), (A, 3))
    distances = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]], np.float32)
    scores = score_distances(distances, people((A, 1)), gallery)
    # What counts: wrong, right, wrong, right.
    assert scores.first_ranks.tolist() == [2]
    assert scores.mean_average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scores.mean_inverse_penalty == pytest.approx(2 / 4)
    assert (scores.rank(1), scores.rank(5)) == (0.0, 1.0)


def test_right_pictures_of_negative_similarity_count() -> None:
    gallery = people((A, 2), (B, 2), (A, 3))
    similarities = np.array([[-0.2, -0.5, -0.9]], np.float32)
    scores = score_distances(-similarities, people((A, 1)), gallery)
    assert scores.mean_average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_equal_distances_keep_the_order_of_the_gallery() -> None:
    distances = np.zeros((1, 3), np.float32)
    assert rank_gallery(distances).tolist() == [[0, 1, 2]]
    for place, gallery in enumerate(
        [people((A, 2), (B, 2), (C, 2)), people((B, 2), (A, 2), (C, 2)), people((B, 2), (C, 2), (A, 2))],
        start=1,
    ):
        assert score_distances(distances, people((A, 1)), gallery).first_ranks.tolist() == [place]


def test_junk_before_an_equal_right_picture_does_not_move_it() -> None:
    gallery = people((-1, 2), (A, 1), (A, 2))
    assert score_distances(np.zeros((1, 3), np.float32), people((A, 1)), gallery).rank(1) == 1.0


def test_an_unknown_camera_is_never_the_same_camera() -> None:
    assert score_distances(np.zeros((1, 1), np.float32), people((A, 0)), people((A, 0))).rank(1) == 1.0


@pytest.mark.parametrize("query", [(A, 1), (-1, 1), (0, 1)])
def test_queries_without_a_right_picture_are_left_out_and_counted(query: tuple[int, int]) -> None:
    gallery = people((A, 1), (B, 2), (-1, 2), (0, 2))
    scores = score_distances(np.zeros((1, 4), np.float32), people(query), gallery)
    assert (scores.judged, scores.left_out) == (0, 1)
    figures = (scores.rank(1), scores.mean_average_precision, scores.mean_inverse_penalty)
    assert all(np.isnan(figure) for figure in figures)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_no_queries_or_no_gallery_is_no_error(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    queries, gallery = (random.normal(size=(rows, 4)).astype(np.float32) for rows in shape)
    sides = (people(*[(A, 1)] * shape[0]), people(*[(A, 2)] * shape[1]))
    for scores in (
        score_embeddings(queries, gallery, *sides),
        score_distances(np.empty(shape, np.float32), *sides),
    ):
        assert (scores.judged, scores.left_out) == (0, shape[0])


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.full((1, 3), np.nan), np.full((1, 3), np.inf)])
def test_an_embedding_without_a_direction_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="embedding 0 has length"):
        normalise(bad)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"gallery persons must have shape \(2,\), got \(1,\)"):
        score_distances(np.zeros((1, 2), np.float32), people((A, 1)), people((A, 2)))
    with pytest.raises(ValueError, match="without NaN"):
        score_distances(np.full((1, 1), np.nan, np.float32), people((A, 1)), people((A, 2)))
    with pytest.raises(ValueError, match=r"embeddings must be \(N, D\)"):
        normalise(np.ones(3))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k1", "k2", "share"), [(20, 6, 0.3), (5, 3, 0.0), (4, 1, 0.5), (50, 6, 0.3)])
def test_reranked_distances_equal_the_sets_of_the_paper(seed: int, k1: int, k2: int, share: float) -> None:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(6, 8))
    queries, gallery = (
        (centres[random.integers(0, 6, rows)] + 0.5 * random.normal(size=(rows, 8))).astype(np.float32)
        for rows in (5, 30)
    )
    expected = rerank_with_sets(queries, gallery, k1, k2, share)
    assert rerank(queries, gallery, k1, k2, share) == pytest.approx(expected, abs=2e-5)


def rerank_with_sets(
    queries: EmbeddingArray, gallery: EmbeddingArray, k1: int, k2: int, share: float
) -> NDArray[np.float64]:
    """Zhong et al. 2017, section 3, one picture after another."""
    points = np.concatenate([normalise(queries), normalise(gallery)]).astype(np.float64)
    total = len(points)
    squared = ((points[:, None] - points) ** 2).sum(axis=2)
    squared /= squared.max(axis=1, keepdims=True)
    nearest = squared.argsort(axis=1, kind="stable")

    def mutual(row: int, k: int) -> set[int]:
        return {int(other) for other in nearest[row, : k + 1] if row in nearest[other, : k + 1]}

    vectors = np.zeros((total, total))
    for row in range(total):
        own = mutual(row, k1)
        expanded = set(own)
        for candidate in own:
            theirs = mutual(candidate, round(k1 / 2))
            if len(theirs & own) > 2 / 3 * len(theirs):
                expanded |= theirs
        for other in expanded:
            vectors[row, other] = np.exp(-squared[row, other])
        vectors[row] /= vectors[row].sum()
    vectors = np.stack([vectors[nearest[row, :k2]].mean(axis=0) for row in range(total)])
    answer = np.empty((len(queries), len(gallery)))
    for query in range(len(queries)):
        for place in range(len(gallery)):
            pair = vectors[[query, len(queries) + place]]
            jaccard = 1 - pair.min(axis=0).sum() / pair.max(axis=0).sum()
            answer[query, place] = (1 - share) * jaccard + share * squared[query, len(queries) + place]
    return answer


def test_reranking_in_chunks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    queries, gallery = (random.normal(size=(rows, 8)).astype(np.float32) for rows in (5, 60))
    whole = rerank(queries, gallery)
    monkeypatch.setattr(retrieval, "CHUNK_CELLS", 130)
    assert rerank(queries, gallery) == pytest.approx(whole, abs=1e-5)


def test_an_original_share_of_1_keeps_the_ranking() -> None:
    random = np.random.default_rng(0)
    queries, gallery = (random.normal(size=(rows, 8)).astype(np.float32) for rows in (5, 30))
    expected = rank_gallery(cosine_distances(queries, gallery))
    assert rank_gallery(rerank(queries, gallery, original_share=1.0)).tolist() == expected.tolist()


@pytest.mark.parametrize(("k1", "k2", "share"), [(0, 6, 0.3), (20, 0, 0.3), (20, 6, 1.1)])
def test_reranking_refuses_what_cannot_be(k1: int, k2: int, share: float) -> None:
    with pytest.raises(ValueError, match="k1 and k2 must be at least 1"):
        rerank(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), k1, k2, share)


def test_an_expanded_query_is_the_mean_of_itself_and_its_nearest() -> None:
    gallery = np.array([[0.0, 1.0], [1.0, 0.2], [-1.0, 0.0]], np.float32)
    queries = np.array([[2.0, 0.0]], np.float32)
    mean = np.array([1.0, 0.0]) + gallery[1] / np.linalg.norm(gallery[1])
    assert expand_queries(queries, gallery, 1)[0] == pytest.approx(mean / np.linalg.norm(mean))
    assert expand_queries(queries, gallery, 99).shape == (1, 2)
    with pytest.raises(ValueError, match="count must be at least 1"):
        expand_queries(queries, gallery, 0)


def clustered(rows: Ints, centres: NDArray[np.float64], random: np.random.Generator) -> EmbeddingArray:
    noise = 1.3 * random.normal(size=(len(rows), centres.shape[1]))
    return (centres[rows] + noise).astype(np.float32)


def test_reranking_finds_more_of_as_many_people_as_the_shared_split_has() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(201, 64))
    query_people = People(random.integers(1, 201, 882), random.integers(1, 7, 882))
    gallery_people = People(random.integers(1, 201, 2140), random.integers(1, 7, 2140))
    queries, gallery = (clustered(side.persons, centres, random) for side in (query_people, gallery_people))
    scores = score_embeddings(queries, gallery, query_people, gallery_people)
    assert 0.2 < scores.mean_average_precision < 0.9
    assert score_distances(rerank(queries, gallery), query_people, gallery_people).mean_average_precision > (
        scores.mean_average_precision + 0.05
    )
