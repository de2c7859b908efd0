"""How well embeddings find people again: distances, CMC, mAP, mINP, re-ranking and query expansion.

Pure functions of arrays. Q queries, G gallery pictures, D embedding length; small distances are alike. Who
counts as what is the protocol of Market-1501 (Zheng et al. 2015, ICCV). For a query, a gallery picture is

- *junk* if its person is -1, or if it shows the same person by the same camera: it is taken out of the
  ranking, neither right nor wrong. Camera 0 is unknown and is never the same camera;
- *right* if it shows the same person by another camera;
- *wrong* otherwise; so are the distractors, whose person is 0.

A query that nothing in the gallery is right for, as everybody's whose person is -1 or 0, is left out of all
figures, and their number is returned. Equal distances keep the order of the gallery, as MATLAB's stable
sort does in the official code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from foundation.arrays import EmbeddingArray

Ints = NDArray[np.int64]

JUNK, DISTRACTOR = -1, 0
"""Persons who are none: a bad box that does not count, and a picture that is wrong for every query."""

UNKNOWN_CAMERA = 0

MIN_LENGTH = 1e-6
"""An embedding that is this near to the mean of its camera has no direction of its own."""

CHUNK_CELLS = 2**22
"""Distances in work at a time; with the sorting of them about 100 MB, whatever Q and G are."""


class People(NamedTuple):
    """Whom N pictures show, and which camera saw them.

    Attributes:
        persons: (N,) from 1; `JUNK` and `DISTRACTOR` are no person.
        cameras: (N,) from 1, or `UNKNOWN_CAMERA`.
    """

    persons: Ints
    cameras: Ints


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalScores:
    """What the Q queries found; fractions, not percent.

    Attributes:
        first_ranks: (Q,) place of the first right picture, from 1, junk not counted; 0 for a query that was
            left out.
        average_precisions: (Q,) mean over the right pictures of the precision at their places, which is what
            every Python evaluation since Open-ReID publishes; the trapezoids of the official MATLAB code
            differ (docs/reid-evaluation.md says by how much). NaN for a query that was left out.
        inverse_penalties: (Q,) right pictures over the place of the last of them (Ye et al. 2021,
            arXiv:2001.04193, equation 5). NaN for a query that was left out.
    """

    first_ranks: Ints
    average_precisions: NDArray[np.float64]
    inverse_penalties: NDArray[np.float64]

    @property
    def judged(self) -> int:
        """Number of queries that the figures are means of."""
        return int((self.first_ranks > 0).sum())

    @property
    def left_out(self) -> int:
        """Number of queries without a right picture in the gallery."""
        return len(self.first_ranks) - self.judged

    def rank(self, k: int) -> float:
        """CMC at k: share of the queries with a right picture among the first k; NaN if none was judged."""
        ranks = self.first_ranks[self.first_ranks > 0]
        return float((ranks <= k).mean()) if len(ranks) else float("nan")

    @property
    def mean_average_precision(self) -> float:
        """MAP; NaN if no query was judged."""
        return _mean(self.average_precisions)

    @property
    def mean_inverse_penalty(self) -> float:
        """MINP; NaN if no query was judged."""
        return _mean(self.inverse_penalties)

    def as_dict(self) -> dict[str, float | int]:
        """All figures, ready for JSON."""
        return {
            "rank1": self.rank(1),
            "rank5": self.rank(5),
            "rank10": self.rank(10),
            "mAP": self.mean_average_precision,
            "mINP": self.mean_inverse_penalty,
            "queries": self.judged,
            "left_out": self.left_out,
        }


def score_embeddings(
    queries: EmbeddingArray, gallery: EmbeddingArray, query_people: People, gallery_people: People
) -> RetrievalScores:
    """Rank the gallery for each query by cosine distance and score the ranking, a chunk at a time.

    Args:
        queries: (Q, D) of any length but 0.
        gallery: (G, D) likewise.
        query_people: Who is on the Q queries.
        gallery_people: Who is on the G gallery pictures.

    Raises:
        ValueError: A shape does not fit, or an embedding is zero or not finite.
    """
    queries, gallery = normalise(queries), normalise(gallery)
    _check_people(query_people, len(queries), gallery_people, len(gallery))
    return _join(
        _score_rows(1 - queries[rows] @ gallery.T, _rows_of(query_people, rows), gallery_people)
        for rows in _chunks(len(queries), len(gallery))
    )


def score_distances(
    distances: EmbeddingArray, query_people: People, gallery_people: People
) -> RetrievalScores:
    """Score the ranking that distances give.

    Args:
        distances: (Q, G) of either sign: those of a similarity are the similarity with the sign changed.
        query_people: Who is on the Q queries.
        gallery_people: Who is on the G gallery pictures.

    Raises:
        ValueError: A shape does not fit, or a distance is NaN.
    """
    if distances.ndim != 2 or np.isnan(distances).any():
        raise ValueError(f"distances must be (Q, G) without NaN, got shape {distances.shape}")
    _check_people(query_people, len(distances), gallery_people, distances.shape[1])
    return _join(
        _score_rows(distances[rows], _rows_of(query_people, rows), gallery_people)
        for rows in _chunks(*distances.shape)
    )


def normalise(embeddings: NDArray[Any]) -> EmbeddingArray:
    """Scale each of the (N, D) embeddings to length 1, as float32.

    Raises:
        ValueError: Not (N, D), or a row is zero or not finite and so has no direction.
    """
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings must be (N, D), got {embeddings.shape}")
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1, keepdims=True)
    bad = ~(np.isfinite(lengths) & (lengths > 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"embedding {row} has length {lengths[row, 0]}; it must be finite and not 0")
    return np.asarray(embeddings / lengths, np.float32)


def center_cameras(embeddings: EmbeddingArray, cameras: Ints) -> EmbeddingArray:
    """(N, D) embeddings without the mean of their camera (N,), of length 1 again; N may be 0.

    What all people in front of one camera have in common is its light and its view, not who they are: the
    tracker takes it out too. Cameras with one picture, and the unknown one, stay as they are.

    Source: camera bias of re-identification (Song et al. 2025, arXiv:2502.10195), the mean alone.
    """
    centered = embeddings.copy()
    for camera in np.unique(cameras[cameras != UNKNOWN_CAMERA]):
        rows = np.flatnonzero(cameras == camera)
        if len(rows) > 1:
            centered[rows] -= embeddings[rows].mean(axis=0)
    lengths = np.linalg.norm(centered, axis=1, keepdims=True)
    return np.where(lengths > MIN_LENGTH, centered / np.maximum(lengths, MIN_LENGTH), embeddings)


def cosine_distances(queries: EmbeddingArray, gallery: EmbeddingArray) -> EmbeddingArray:
    """(Q, G) distances, 1 - cosine, in [0, 2], of (Q, D) and (G, D) embeddings of any length but 0.

    Raises:
        ValueError: As `normalise`.
    """
    return np.asarray(1 - normalise(queries) @ normalise(gallery).T, np.float32)


def right_and_junk(
    query_people: People, gallery_people: People
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which gallery pictures are right and which are junk: two (Q, G) masks; the others are wrong."""
    same_person = query_people.persons[:, None] == gallery_people.persons
    same_camera = query_people.cameras[:, None] == gallery_people.cameras
    same_camera &= gallery_people.cameras != UNKNOWN_CAMERA
    junk = (same_person & same_camera) | (gallery_people.persons == JUNK)
    return same_person & ~junk & (query_people.persons[:, None] > DISTRACTOR), junk


def rank_gallery(distances: EmbeddingArray) -> Ints:
    """(Q, G) gallery rows from near to far; equal distances in the order of the gallery."""
    return np.argsort(distances, axis=1, kind="stable")


def expand_queries(queries: EmbeddingArray, gallery: EmbeddingArray, count: int) -> EmbeddingArray:
    """Replace each query by the mean of itself and its ``count`` nearest gallery embeddings.

    It uses no labels; junk and distractors take part as anything else in the gallery.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        count: How many neighbours; more than G takes all.

    Returns:
        (Q, D) of length 1.

    Source: average query expansion, Chum et al. 2007 (doi:10.1109/ICCV.2007.4408891).
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    queries, gallery = normalise(queries), normalise(gallery)
    nearest = nearest_neighbours(queries, gallery, min(count, len(gallery)))
    return normalise(queries + gallery[nearest].sum(axis=1))


def rerank(
    queries: EmbeddingArray, gallery: EmbeddingArray, k1: int = 20, k2: int = 6, original_share: float = 0.3
) -> EmbeddingArray:
    """Distances that also ask whether two pictures have the same neighbours.

    Memory is that of the (Q, G) answer and of about 2 x k1 neighbours for each of the Q + G pictures.

    Args:
        queries: (Q, D).
        gallery: (G, D).
        k1: Neighbours that must be mutual.
        k2: Neighbours over which the neighbourhoods are averaged; 1 does not average.
        original_share: Lambda, the share of the original distance in the answer.

    Returns:
        (Q, G) distances in [0, 1].

    Source: Zhong et al. 2017, arXiv:1701.08398, with its k1, k2 and lambda for Market-1501. As in their code
    distances are squared Euclidean, divided by the largest of their row.
    """
    if k1 < 1 or k2 < 1 or not 0 <= original_share <= 1:
        raise ValueError(
            f"k1 and k2 must be at least 1 and the share in [0, 1]: {k1}, {k2}, {original_share}"
        )
    everything = np.concatenate([normalise(queries), normalise(gallery)])
    total, num_queries = len(everything), len(queries)
    nearest = nearest_neighbours(everything, everything, min(max(k1 + 1, k2), total))
    weights = _neighbourhoods(everything, nearest, min(k1 + 1, total))
    if k2 > 1:
        rows = np.repeat(np.arange(total), min(k2, total))
        columns = nearest[:, : min(k2, total)].ravel()
        mean = sparse.csr_matrix((np.full(len(rows), 1 / min(k2, total), np.float32), (rows, columns)))
        weights = (mean @ weights).tocsr()
    by_neighbour = weights[num_queries:].tocsc()
    answer = np.empty((num_queries, len(gallery)), np.float32)
    for query in range(num_queries):
        own = weights[query]
        shared = by_neighbour[:, own.indices]
        smaller = np.minimum(shared.data, np.repeat(own.data, np.diff(shared.indptr)))
        overlap = np.bincount(shared.indices, smaller, minlength=len(gallery))
        answer[query] = 1 - overlap / (2 - overlap)
    answer *= 1 - original_share
    for rows_done in _chunks(num_queries, total):
        squared = 1 - everything[rows_done] @ everything.T
        answer[rows_done] += original_share * (squared[:, num_queries:] / _largest(squared))
    return answer


def _neighbourhoods(everything: EmbeddingArray, nearest: Ints, count: int) -> sparse.csr_matrix:
    """(N, N) weights of each picture's expanded mutual neighbours, each row adding up to 1.

    ``count`` is k1 + 1, as a picture is its own nearest neighbour. Equations 3, 4 and 7 of Zhong et al.
    """
    total = len(everything)
    mutual = _mutual_neighbours(nearest, count)
    # As in their code k1 / 2 is rounded to even, and the picture itself comes on top.
    half = _mutual_neighbours(nearest, min(int(np.around((count - 1) / 2)) + 1, total))
    # A neighbour brings its own half as many neighbours along if more than 2/3 of them are mutual already.
    common = (mutual @ half.T).multiply(mutual).tocoo()
    brings = 3 * common.data > 2 * np.diff(half.indptr)[common.col]
    brought = sparse.csr_matrix(
        (common.data[brings], (common.row[brings], common.col[brings])), (total, total)
    )
    expanded = (mutual + brought @ half).tocoo()
    largest = np.concatenate(
        [_largest(1 - everything[rows] @ everything.T)[:, 0] for rows in _chunks(total, total)]
    )
    weights = np.empty(expanded.nnz, np.float32)
    for some in _chunks(expanded.nnz, everything.shape[1]):
        rows, columns = expanded.row[some], expanded.col[some]
        distances = 1 - np.einsum("nd,nd->n", everything[rows], everything[columns])
        weights[some] = np.exp(-distances / largest[rows])
    weights /= np.bincount(expanded.row, weights, minlength=total).astype(np.float32)[expanded.row]
    return sparse.csr_matrix((weights, (expanded.row, expanded.col)), (total, total))


def _mutual_neighbours(nearest: Ints, count: int) -> sparse.csr_matrix:
    """(N, N) ones where each of two pictures is among the first ``count`` neighbours of the other."""
    total = len(nearest)
    rows = np.repeat(np.arange(total), count)
    ones = np.ones(total * count, np.float32)
    forward = sparse.csr_matrix((ones, (rows, nearest[:, :count].ravel())), (total, total))
    return forward.multiply(forward.T).tocsr()


def nearest_neighbours(queries: EmbeddingArray, gallery: EmbeddingArray, count: int) -> Ints:
    """(Q, count) gallery rows from near to far, of embeddings of length 1; ties in gallery order."""
    parts = [
        rank_gallery(1 - queries[rows] @ gallery.T)[:, :count] for rows in _chunks(len(queries), len(gallery))
    ]
    return np.concatenate(parts) if parts else np.empty((0, count), np.int64)


def _largest(distances: EmbeddingArray) -> EmbeddingArray:
    """(Q, 1) largest of each row; 1 where all are 0, so that it can be divided by."""
    largest = distances.max(axis=1, keepdims=True)
    return np.where(largest > 0, largest, np.float32(1))


def _score_rows(distances: EmbeddingArray, query_people: People, gallery_people: People) -> RetrievalScores:
    right, junk = right_and_junk(query_people, gallery_people)
    rows, columns = np.nonzero(right)
    places = _places(distances, junk, rows, columns)
    order = np.lexsort((places, rows))
    rows, places = rows[order], places[order]
    counts = right.sum(axis=1)
    # The h-th right picture of its query, from 1: its number among all hits less the hits of earlier queries.
    before = np.cumsum(counts) - counts
    hits = np.arange(1, len(rows) + 1) - before[rows]
    found = counts > 0
    first_ranks = np.zeros(len(counts), np.int64)
    average_precisions = np.full(len(counts), np.nan)
    inverse_penalties = np.full(len(counts), np.nan)
    first_ranks[found] = places[before[found]]
    average_precisions[found] = np.bincount(rows, hits / places, len(counts))[found] / counts[found]
    inverse_penalties[found] = counts[found] / places[(before + counts - 1)[found]]
    return RetrievalScores(first_ranks, average_precisions, inverse_penalties)


def _places(distances: EmbeddingArray, junk: NDArray[np.bool_], rows: Ints, columns: Ints) -> Ints:
    """The place, from 1, of each cell (row, column) among the cells of its row that are no junk.

    Sorting the values and looking the few right ones up takes a third of the time of sorting the indices.
    """
    ordered = np.sort(np.where(junk, np.inf, distances), axis=1)
    values = distances[rows, columns]
    nearer, equal = np.empty_like(rows), np.empty_like(rows)
    bounds = np.searchsorted(rows, np.arange(len(distances) + 1))
    for row, (start, end) in enumerate(pairwise(bounds.tolist())):
        nearer[start:end] = ordered[row].searchsorted(values[start:end], "left")
        equal[start:end] = ordered[row].searchsorted(values[start:end], "right") - nearer[start:end]
    for cell in np.flatnonzero(equal > 1):
        row, earlier = rows[cell], slice(columns[cell])
        nearer[cell] += ((distances[row, earlier] == values[cell]) & ~junk[row, earlier]).sum()
    return nearer + 1


def _join(parts: Iterator[RetrievalScores]) -> RetrievalScores:
    rows = list(parts)
    none = np.empty(0)
    return RetrievalScores(
        np.concatenate([np.empty(0, np.int64), *(part.first_ranks for part in rows)]),
        np.concatenate([none, *(part.average_precisions for part in rows)]),
        np.concatenate([none, *(part.inverse_penalties for part in rows)]),
    )


def _chunks(num_rows: int, num_columns: int) -> Iterator[slice]:
    step = max(1, CHUNK_CELLS // max(1, num_columns))
    return (slice(start, min(start + step, num_rows)) for start in range(0, num_rows, step))


def _rows_of(people: People, rows: slice) -> People:
    return People(people.persons[rows], people.cameras[rows])


def _check_people(query_people: People, queries: int, gallery_people: People, gallery: int) -> None:
    for name, people, rows in (("query", query_people, queries), ("gallery", gallery_people, gallery)):
        for column, values in zip(People._fields, people, strict=True):
            if values.shape != (rows,):
                raise ValueError(f"{name} {column} must have shape ({rows},), got {values.shape}")


def _mean(values: NDArray[np.float64]) -> float:
    judged = values[~np.isnan(values)]
    return float(judged.mean()) if len(judged) else float("nan")
