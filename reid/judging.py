"""How well a network finds people again: pictures are embedded, ranked and scored."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import cv2
import numpy as np

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from reid.data import Dataset, Record, read_pictures
from reid.manifold import manifold_distances
from reid.pair_metrics import MetricKind, learn_metric
from reid.retrieval import (
    People,
    RetrievalScores,
    center_cameras,
    cosine_distances,
    expand_queries,
    normalise,
    rerank,
    score_distances,
    score_embeddings,
)

Manifold = Literal["plain", "supervised"]
MANIFOLDS: tuple[Manifold, ...] = ("plain", "supervised")

CROP_SHARE = 1 / 1.125
"""Of each side of a picture that a crop shows: DaRe cuts it from a picture that was made larger by 1.125."""

Pool = Literal["mean", "quality", "attention"]
POOLS: tuple[Pool, ...] = ("mean", "quality", "attention")

MAX_QUALITY = 20.0
"""Beyond, other pictures of a tracklet do not count anyway, and the exponential grows too large."""

SHARPNESS_SIZE = (64, 128)

READ_AT_ONCE = 256
"""Pictures that are in memory together."""

Embed = Callable[[Sequence[Image]], EmbeddingArray]
"""From pictures (H, W, 3) BGR to (N, D) embeddings of length 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The pictures of one side, queries or gallery; a tracklet counts as one.

    Attributes:
        embeddings: (N, D) of length 1; of a tracklet, the direction of the mean.
        records: N, of a tracklet the first that could be read.
        skipped: Why, for each picture that could not be read.
    """

    embeddings: EmbeddingArray
    records: tuple[Record, ...]
    skipped: tuple[str, ...]

    @property
    def people(self) -> People:
        """Who is on the N pictures."""
        return People(
            np.array([record.person for record in self.records], np.int64),
            np.array([record.camera for record in self.records], np.int64),
        )


class Ranking(NamedTuple):
    """The gallery in the order of each query.

    Attributes:
        scores: How good it is.
        distances: Gives the (Q, G) distances that it follows; computed when asked, as they may be many.
    """

    scores: RetrievalScores
    distances: Callable[[], EmbeddingArray]


@dataclass(frozen=True, slots=True)
class WayOfRanking:
    """How distances come from embeddings.

    Attributes:
        rerank: Rank by k-reciprocal neighbours (`reid.retrieval.rerank`).
        query_expansion: Neighbours by which a query is expanded; 0 for none.
        center_cameras: Take the mean of each camera out (`reid.retrieval.center_cameras`).
        manifold: Rank on the smoothed manifold (`reid.manifold`); ``supervised`` by the training people.
        metric: Rank by a metric that is learnt from the training people (`reid.pair_metrics`).
        aligned: Weight of the aligned distance of stripes (`reid.alignment`) beside that of the whole person.
        stripes: How many stripes follow an embedding, and the length of each.
    """

    rerank: bool = False
    query_expansion: int = 0
    center_cameras: bool = False
    manifold: Manifold | None = None
    metric: MetricKind | None = None
    aligned: float = 0.0
    stripes: tuple[int, ...] = ()


COSINES = WayOfRanking()


def judge(
    embed: Embed,
    dataset: Dataset,
    way: WayOfRanking = COSINES,
    *,
    flip: bool = False,
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> RetrievalScores:
    """Embed the queries and the gallery of a data set and score what is found.

    Args:
        embed: The network.
        dataset: Its ``query`` and ``gallery`` are used.
        way: How it ranks; what learns from training people embeds them too.
        flip: Average the embeddings of each picture and its mirror image.
        tell: Is given one line for each picture that cannot be read and is left out.

    Raises:
        ReuniteError: There is no query or no gallery, or the network gave something without a direction.
    """
    embed = over_views(embed, flip=flip)
    queries, gallery = embed_both_sides(embed, dataset)
    for line in (*queries.skipped, *gallery.skipped):
        tell(f"left out: {line}")
    return rank(queries, gallery, way, embed_known(embed, dataset, way)).scores


def embed_known(embed: Embed, dataset: Dataset, way: WayOfRanking) -> Embedded | None:
    """The training people, where the way of ranking learns from them.

    Raises:
        ReuniteError: As `embed_records`, or there are none.
    """
    if not way.metric and way.manifold != "supervised":
        return None
    if not dataset.train:
        raise ReuniteError(
            f"{dataset.name}: metric and supervised manifold learn from training people, and there are none; "
            "take data with training pictures, or rank without"
        )
    return embed_records(embed, dataset, dataset.train)


def rank(queries: Embedded, gallery: Embedded, way: WayOfRanking, known: Embedded | None = None) -> Ranking:
    """What `judge` does once pictures are embedded; ``known`` are the training people."""
    if way.aligned:
        distances = _aligned(queries.embeddings, gallery.embeddings, way)
        return Ranking(score_distances(distances, queries.people, gallery.people), lambda: distances)
    if way.center_cameras:
        queries, gallery = center_both_sides(queries, gallery)
        if known is not None:
            known = replace(known, embeddings=center_cameras(known.embeddings, known.people.cameras))
    expanded = queries.embeddings
    if way.query_expansion:
        expanded = expand_queries(expanded, gallery.embeddings, way.query_expansion)
    if way.rerank:
        distances = rerank(expanded, gallery.embeddings)
    elif way.metric:
        assert known is not None
        metric = learn_metric(way.metric, known.embeddings, known.people)
        distances = metric.distances(expanded, gallery.embeddings)
    elif way.manifold:
        taught = (known.embeddings, known.people.persons) if known is not None else (None, None)
        distances = manifold_distances(expanded, gallery.embeddings, *taught)
    else:
        scores = score_embeddings(expanded, gallery.embeddings, queries.people, gallery.people)
        return Ranking(scores, partial(cosine_distances, expanded, gallery.embeddings))
    return Ranking(score_distances(distances, queries.people, gallery.people), lambda: distances)


def _aligned(queries: EmbeddingArray, gallery: EmbeddingArray, way: WayOfRanking) -> EmbeddingArray:
    """(Q, G) Euclidean distances of whole people plus the weighted aligned distances of their stripes."""
    import torch

    from reid.alignment import aligned_distances

    (whole, parts), (others, other_parts) = (
        split_beside(side, math.prod(way.stripes)) for side in (queries, gallery)
    )
    local = aligned_distances(
        *(torch.from_numpy(it).view(-1, *way.stripes) for it in (parts, other_parts))
    ).numpy()
    plain = np.sqrt(np.maximum(2 - 2 * whole @ others.T, 0))
    return np.asarray(plain + way.aligned * local, np.float32)


def split_beside(joined: EmbeddingArray, beside: int) -> tuple[EmbeddingArray, EmbeddingArray]:
    """Embeddings of length 1, and the ``beside`` numbers that follow each, in their own scale.

    The network gave them joined; whoever brought the row to length 1 since has divided both by one number.
    """
    whole, rest = np.split(joined, [joined.shape[1] - beside], axis=1)
    scale = np.linalg.norm(whole, axis=1, keepdims=True)
    return whole / scale, rest / scale


def center_both_sides(queries: Embedded, gallery: Embedded) -> tuple[Embedded, Embedded]:
    """Both sides without the mean of each camera, which is that of its queries and gallery together."""
    embeddings = np.concatenate([queries.embeddings, gallery.embeddings])
    cameras = np.concatenate([queries.people.cameras, gallery.people.cameras])
    centered = center_cameras(embeddings, cameras)
    split = len(queries.embeddings)
    return replace(queries, embeddings=centered[:split]), replace(gallery, embeddings=centered[split:])


def embed_both_sides(
    embed: Embed, dataset: Dataset, advance: Callable[[int], object] | None = None
) -> tuple[Embedded, Embedded]:
    """Embed queries and gallery; arguments and errors as in `judge`.

    ``advance`` is told of each batch how many pictures it had.
    """
    sides = []
    for name, records in (("query", dataset.query), ("gallery", dataset.gallery)):
        side = embed_records(embed, dataset, records, advance)
        if not side.records:
            reason = (
                f"none of {len(records)} {name} pictures can be read, for example {side.skipped[0]}"
                if side.skipped
                else f"there is no {name} picture; a folder for each person, without query/ and gallery/, "
                "is judged as 'folder-test=PATH'"
            )
            raise ReuniteError(f"{dataset.name}: nothing to judge with, {reason}")
        sides.append(side)
    return sides[0], sides[1]


def embed_records(
    embed: Embed,
    dataset: Dataset,
    records: Sequence[Record],
    advance: Callable[[int], object] | None = None,
) -> Embedded:
    """Embed pictures, some at a time, and bring those of a tracklet together; arguments as in `judge`.

    Raises:
        ReuniteError: The network gave something that is not finite, or zeros.
    """
    sums: list[EmbeddingArray] = []
    firsts: list[Record] = []
    row_of_tracklet: dict[int, int] = {}
    skipped: list[str] = []
    for start in range(0, len(records), READ_AT_ONCE):
        some = records[start : start + READ_AT_ONCE]
        pictures = read_pictures(dataset.images, some)
        skipped.extend(pictures.skipped)
        embeddings = embed(pictures.images)
        for record, embedding in zip(pictures.records, embeddings, strict=True):
            row = row_of_tracklet.setdefault(record.tracklet, len(sums)) if record.tracklet else len(sums)
            if row == len(sums):
                sums.append(embedding.copy())
                firsts.append(record)
            else:
                sums[row] += embedding
        if advance:
            advance(len(some))
    try:
        embeddings = normalise(np.stack(sums)) if sums else np.empty((0, 0), np.float32)
    except ValueError as error:
        raise ReuniteError(f"{dataset.name}: {error}; are these weights whole?") from None
    return Embedded(embeddings, tuple(firsts), tuple(skipped))


def over_tracklets(embed: Embed, pool: Pool, beside: int) -> Embed:
    """Scale embeddings so that the sum over a tracklet, as `embed_records` takes it, is a weighted one.

    ``quality`` counts sharp pictures more: the variance of the Laplacian at one size. ``attention`` counts
    them by the exponential of the quality that the network gives behind the embedding (``beside`` is 1).
    """
    if pool == "mean":
        return embed

    def embed_weighed(images: Sequence[Image]) -> EmbeddingArray:
        embeddings, rest = split_beside(embed(images), beside)
        if pool == "attention":
            weights = np.exp(np.clip(rest[:, 0], -MAX_QUALITY, MAX_QUALITY))
        else:
            weights = np.array([_sharpness(image) for image in images], np.float32)
        return np.asarray(embeddings * weights[:, None], np.float32)

    return embed_weighed


def _sharpness(image: Image) -> float:
    grey = cv2.cvtColor(cv2.resize(image, SHARPNESS_SIZE), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var()) + 1.0


def over_views(embed: Embed, *, flip: bool = False, crops: bool = False) -> Embed:
    """Embed a picture as the mean direction of its views: mirrored or not, whole or in five crops.

    Source: DaRe (Wang et al. 2018, arXiv:1805.08805), section 5, for five crops and their mirror images.
    """
    views: list[Callable[[Image], Image]] = list(FIVE_CROPS) if crops else [lambda image: image]
    if flip:
        views += [partial(_mirrored, view) for view in views]
    if len(views) == 1:
        return embed

    def embed_views(images: Sequence[Image]) -> EmbeddingArray:
        if not len(images):
            return embed(images)
        return normalise(sum(embed([view(image) for image in images]) for view in views))  # type: ignore[arg-type]

    return embed_views


def _mirrored(view: Callable[[Image], Image], image: Image) -> Image:
    return np.ascontiguousarray(view(image)[:, ::-1])


def _crop(down: float, right: float, image: Image) -> Image:
    """The crop whose free rows and columns stand above and left of it by these shares."""
    height, width = (max(1, round(side * CROP_SHARE)) for side in image.shape[:2])
    top, left = round((image.shape[0] - height) * down), round((image.shape[1] - width) * right)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


FIVE_CROPS = [
    partial(_crop, *place) for place in ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
]
"""The middle and the corners."""
