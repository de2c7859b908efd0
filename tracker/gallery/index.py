"""Who in the gallery looks most like this? Answered in memory, in two passes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import EmbeddingArray, IntArray, check_shape

CANDIDATES = 512
"""How many people the first pass lets through. What that loses: docs/gallery.md."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The C people that are most like each of Q queries, best first; equal ones by rising number.

    Attributes:
        numbers: (Q, C) who.
        similarities: (Q, C) cosine in [-1, 1], as `GalleryIndex` defines it for a person.
    """

    numbers: IntArray
    similarities: EmbeddingArray


class GalleryIndex:
    """People and their pictures, changed in place.

    A person is as similar to a query as the mean cosine of the ``top`` pictures that are most like it, or of
    all where there are fewer. The first pass takes the mean of all pictures, one row of a matrix for each
    person, and lets the best ``candidates`` through; the second is exact. So with up to ``candidates`` people
    the answer is exact, and above it somebody can be missed whose pictures differ much from each other.

    A similarity depends on the query and the person's pictures alone, to the last bit: not on who else is
    there, nor on the order in which they came. Embeddings are rounded to half precision, as in the file, so
    a person is as similar before a restart as after it.

    Args:
        dimension: D, length of an embedding.
        top: How many of a person's pictures count.
        candidates: How many people the second pass looks at.
    """

    def __init__(self, dimension: int, top: int = 1, candidates: int = CANDIDATES) -> None:
        if dimension < 1 or top < 1 or candidates < 1:
            raise ValueError(
                f"dimension, top and candidates must be 1 or more, got {dimension}, {top} and {candidates}"
            )
        self._dimension, self._top, self._candidates = dimension, top, candidates
        # Row or item s of all three is the same person. Rows after the last person are spare.
        self._pictures: list[EmbeddingArray] = []
        self._numbers = np.zeros(0, np.int64)
        self._means = np.zeros((0, dimension), np.float32)
        self._rows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    def put(self, numbers: IntArray, embeddings: NDArray[np.floating[Any]]) -> None:
        """Add people, or replace all pictures of people who are there.

        Args:
            numbers: (R,) who each picture shows, in any order.
            embeddings: (R, D) each of length 1.

        Raises:
            ValueError: The shapes are wrong, or an embedding is not finite.
        """
        check_shape("numbers", numbers, (None,))
        check_shape("embeddings", embeddings, (len(numbers), self._dimension))
        if not np.isfinite(embeddings.sum(axis=1, dtype=np.float32)).all():
            raise ValueError("embeddings must be finite")
        order = np.argsort(numbers, kind="stable")
        people, starts = np.unique(numbers[order], return_index=True)
        # Kept in single precision: widening the candidates' pictures would be most of a query's time.
        pictures = embeddings[order].astype(np.float16, copy=False).astype(np.float32)
        counts = np.diff(starts, append=len(numbers))
        rows = [self._rows.setdefault(number, len(self._rows)) for number in people.tolist()]
        self._make_room(len(self._rows))
        self._numbers[rows] = people
        self._means[rows] = np.add.reduceat(pictures, starts) / counts[:, None].astype(np.float32)
        for row, start, count in zip(rows, starts.tolist(), counts.tolist(), strict=True):
            self._pictures[row : row + 1] = [pictures[start : start + count]]  # new rows come in order

    def remove(self, number: int) -> None:
        """Forget a person.

        Raises:
            KeyError: There is none with this number.
        """
        row, last = self._rows.pop(number), len(self) - 1
        self._pictures[row] = self._pictures[last]
        self._pictures.pop()
        if row != last:  # the last one fills the gap
            self._numbers[row] = self._numbers[last]
            self._means[row] = self._means[last]
            self._rows[int(self._numbers[row])] = row

    def best(self, queries: EmbeddingArray, count: int, forbidden: Collection[int] = ()) -> Ranking:
        """The people that are most like each query.

        Args:
            queries: (Q, D) embeddings of length 1.
            count: How many people are asked for.
            forbidden: Numbers of people it cannot be, because they are somewhere else at this time. They
                are left out before anybody is chosen. Numbers that are not there do no harm.

        Returns:
            C people for each query: ``count``, or all that are allowed where there are fewer.
        """
        check_shape("queries", queries, (None, self._dimension))
        barred = [self._rows[number] for number in set(forbidden) if number in self._rows]
        count = min(count, len(self) - len(barred))
        width = min(max(count, self._candidates), len(self) - len(barred))
        numbers = np.empty((len(queries), count), np.int64)
        similarities = np.empty((len(queries), count), np.float32)
        for query, embedding in enumerate(queries if count else ()):
            # Faster than BLAS here, which for one query at 100,000 people takes twice as long, and far longer
            # where its threads do not get all cores.
            rough = np.einsum("pd,d->p", self._means[: len(self)], embedding)
            rough[barred] = -np.inf
            rows = np.argpartition(rough, -width)[-width:]
            exact = self._exact(embedding[None], rows)[0]
            best = np.lexsort((self._numbers[rows], -exact))[:count]
            numbers[query], similarities[query] = self._numbers[rows[best]], exact[best]
        return Ranking(numbers, similarities)

    def similarities(self, queries: EmbeddingArray, numbers: Collection[int]) -> EmbeddingArray:
        """How similar each query (Q, D) is to each of P named people: (Q, P), exact.

        Raises:
            KeyError: One of them is not there.
        """
        check_shape("queries", queries, (None, self._dimension))
        return self._exact(queries, np.array([self._rows[number] for number in numbers], np.int64))

    def _exact(self, queries: EmbeddingArray, rows: IntArray) -> EmbeddingArray:
        """Similarity of Q queries to the people in S rows: (Q, S)."""
        if not rows.size:
            return np.empty((len(queries), 0), np.float32)
        parts = [self._pictures[row] for row in rows.tolist()]
        counts = np.array([len(part) for part in parts])
        pictures = np.concatenate(parts)
        # Not BLAS: its sums depend on where in the matrix a picture stands, in the last bit.
        cosines = np.einsum("qd,rd->qr", queries, pictures)
        real = np.arange(counts.max()) < counts[:, None]
        ranked = np.full((len(queries), *real.shape), -np.inf, np.float32)
        ranked[:, real] = cosines
        ranked.sort(axis=2)
        total = np.zeros(ranked.shape[:2], np.float32)
        for place in range(1, min(self._top, ranked.shape[2]) + 1):
            total += np.where(counts >= place, ranked[:, :, -place], 0)
        similarities: EmbeddingArray = total / np.minimum(counts, self._top).astype(np.float32)
        return similarities

    def _make_room(self, people: int) -> None:
        """Let the matrix hold this many people; it at least doubles, so adding one by one stays cheap."""
        if people > len(self._numbers):
            spare = max(people, 2 * len(self._numbers)) - len(self._numbers)
            self._numbers = np.concatenate([self._numbers, np.zeros(spare, np.int64)])
            self._means = np.concatenate([self._means, np.zeros((spare, self._dimension), np.float32)])
