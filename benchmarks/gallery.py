"""Speed, size and recall of the gallery: queries, loading, saving and forgetting, beside brute force.

python -m benchmarks.gallery
python -m benchmarks.gallery --people 1000 10000 --top 2

Embeddings are drawn so that cosines are about those of the network that shipped before: 0.10 +- 0.12
between two people, 0.55 between pictures of one person from two cameras, 0.80 from one camera. Everybody
has two pictures from each of two cameras. The first half of the queries are people who are there, seen by
one of those cameras or a third; the others are strangers.
"""

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray
from tracker.gallery import Gallery, GalleryIndex, GalleryWriter, Network, Person, Pictures, Presence
from tracker.gallery.index import CANDIDATES
from tracker.types import CameraName

CAMERAS, REMEMBERED_CAMERAS, PICTURES = 3, 2, 2
SHARES = {"everybody": 0.10, "person": 0.45, "person in camera": 0.25, "picture": 0.20}
"""What share of an embedding two pictures have in common: the sum of what they share is their cosine."""
FREE_DIMENSIONS = 60
"""People differ in so many directions: it makes the cosines of two people scatter by 0.12."""
CHUNK = 5000
SAVED_AT_ONCE = 50
"""People whom a run saves in one transaction."""


def drawn_pictures(first: int, count: int, dimension: int) -> EmbeddingArray:
    """Pictures of people from ``first`` on: (P, CAMERAS, PICTURES + 1, D); alike for the same arguments."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(dimension, FREE_DIMENSIONS + 1)))[0].T
    random = np.random.default_rng((1, first))

    def part(name: str, cameras: int, pictures: int) -> EmbeddingArray:
        rows = random.standard_normal((count, cameras, pictures, FREE_DIMENSIONS), np.float32)
        rows *= np.sqrt(SHARES[name]) / np.linalg.norm(rows, axis=-1, keepdims=True)
        return rows

    rows = part("person", 1, 1) + part("person in camera", CAMERAS, 1)
    rows = rows + part("picture", CAMERAS, PICTURES + 1)
    embeddings: EmbeddingArray = (rows @ axes[1:] + np.sqrt(SHARES["everybody"]) * axes[0]).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
    return embeddings


def remembered(people: int, dimension: int) -> Iterator[tuple[range, EmbeddingArray]]:
    """Numbers from 1 and what the gallery holds of them, (P, 4, D), a chunk of people at a time."""
    for first in range(1, people + 1, CHUNK):
        count = min(CHUNK, people + 1 - first)
        seen = drawn_pictures(first, count, dimension)[:, :REMEMBERED_CAMERAS, :PICTURES]
        yield range(first, first + count), seen.reshape(count, -1, dimension)


def drawn_queries(count: int, dimension: int, people: int) -> tuple[EmbeddingArray, IntArray]:
    """Pictures (Q, D) that are not in the gallery, and who it is, 0 for the strangers of the second half."""
    here = drawn_pictures(1, min(CHUNK, people), dimension)[: count // 2]
    cameras = np.random.default_rng(2).integers(0, CAMERAS, len(here))
    returning = here[np.arange(len(here)), cameras, PICTURES]
    strangers = drawn_pictures(10**9, count // 2, dimension)[:, 0, 0]
    who = np.concatenate([np.arange(len(here)) + 1, np.zeros(len(strangers), np.int64)])
    return np.concatenate([returning, strangers]), who


def brute_force(
    people: int, queries: EmbeddingArray, top: int, stored: DTypeLike
) -> tuple[IntArray, EmbeddingArray]:
    """The best person (Q,) of all for each query and the similarity (Q,), pictures rounded to ``stored``."""
    numbers, best = np.zeros(len(queries), np.int64), np.full(len(queries), -np.inf, np.float32)
    for names, pictures in remembered(people, queries.shape[1]):
        rows = pictures.astype(stored).astype(np.float32)
        cosines = np.einsum("qd,pkd->qpk", queries, rows, optimize=True)
        similarities = np.sort(cosines, axis=2)[:, :, -top:].mean(axis=2)
        here = similarities.argmax(axis=1)
        found = similarities[np.arange(len(queries)), here]
        numbers = np.where(found > best, here + names[0], numbers)
        best = np.maximum(found, best)
    return numbers, best


def fill(path: Path, people: int, dimension: int) -> float:
    """Save everybody; seconds for ``SAVED_AT_ONCE`` people, the median."""
    took_s = []
    cameras = np.array([CameraName(f"camera {it}") for it in range(REMEMBERED_CAMERAS)], np.object_)
    cameras = np.repeat(cameras, PICTURES)
    with GalleryWriter(path, Network("drawn", "0", dimension)) as gallery:
        gallery.reserve(people)
        for names, pictures in remembered(people, dimension):
            group = [
                Person(
                    number,
                    {camera: Presence(number, number + 60, 1000) for camera in set(cameras)},
                    Pictures(cameras, np.linspace(number, number + 60, len(rows)), rows),
                )
                for number, rows in zip(names, pictures, strict=True)
            ]
            for start in range(0, len(group), SAVED_AT_ONCE):
                begin = time.perf_counter()
                gallery.save(group[start : start + SAVED_AT_ONCE])
                took_s.append(time.perf_counter() - begin)
    return float(np.median(took_s))


def query_ms(index: GalleryIndex, queries: EmbeddingArray) -> FloatArray:
    """Milliseconds of each query, one at a time, for the best five people."""
    index.best(queries[:1], 5)
    took = []
    for row in range(len(queries)):
        begin = time.perf_counter()
        index.best(queries[row : row + 1], 5)
        took.append((time.perf_counter() - begin) * 1e3)
    return np.array(took)


def memory_mib(path: Path, options: argparse.Namespace) -> tuple[float, float]:
    """What the index takes when it is loaded, and the most that loading takes."""
    tracemalloc.start()
    index = GalleryIndex(options.dimension, options.top, options.candidates)
    with Gallery(path) as gallery:
        appearances = gallery.appearances()
    index.put(appearances.numbers, appearances.embeddings)
    del appearances
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return now / 2**20, peak / 2**20


def measure(people: int, options: argparse.Namespace, folder: Path) -> None:
    """Print all figures of a gallery of so many people."""
    path = folder / f"{people}.sqlite"
    save_s = fill(path, people, options.dimension)
    print(f"\n{people} people x {REMEMBERED_CAMERAS * PICTURES} embeddings of {options.dimension}")
    print(f"  file                 {path.stat().st_size / 2**20:9.1f} MiB")
    print(f"  save {SAVED_AT_ONCE} people       {save_s * 1e3:9.1f} ms")
    begin = time.perf_counter()
    with Gallery(path) as gallery:
        appearances = gallery.appearances()
    read_s = time.perf_counter() - begin
    index = GalleryIndex(options.dimension, options.top, options.candidates)
    index.put(appearances.numbers, appearances.embeddings)
    load_s = time.perf_counter() - begin
    print(f"  load                 {load_s:9.2f} s ({read_s:.2f} s of it reading the file)")
    del appearances
    now_mib, peak_mib = memory_mib(path, options)
    print(f"  index in memory      {now_mib:9.1f} MiB (while loading: {peak_mib:.1f} MiB)")
    with Gallery(path) as gallery:
        begin = time.perf_counter()
        gallery.people()
        print(f"  list everybody       {time.perf_counter() - begin:9.2f} s")
        begin = time.perf_counter()
        gallery.forget(people)
        print(f"  forget one           {time.perf_counter() - begin:9.2f} s")
    queries, who = drawn_queries(options.queries, options.dimension, people)
    took_ms = query_ms(index, queries)
    fastest, slow = took_ms.min(), np.percentile(took_ms, 95)
    print(
        f"  query, median        {np.median(took_ms):9.2f} ms "
        f"(fastest {fastest:.2f}, 95% below {slow:.2f} ms)"
    )
    begin = time.perf_counter()
    index.best(queries, 5)
    together_ms = (time.perf_counter() - begin) / len(queries) * 1e3
    print(f"  query, {len(queries)} together {together_ms:9.2f} ms each")
    names, pictures = next(remembered(people, options.dimension))
    begin = time.perf_counter()
    for number, rows in zip(names, pictures, strict=True):
        index.remove(number)
        index.put(np.full(len(rows), number), rows)
    changed_us = (time.perf_counter() - begin) / len(names) * 1e6
    print(f"  remove and put one   {changed_us:9.0f} us")

    ranking = index.best(queries, 1)
    found, similarity = ranking.numbers[:, 0], ranking.similarities[:, 0]
    exact, highest = brute_force(people, queries, options.top, np.float16)
    full, full_highest = brute_force(people, queries, options.top, np.float32)
    known = who > 0
    print(
        f"  those who return     {percent(found == who, known)} named right, "
        f"{percent(exact == who, known)} by brute force"
    )
    print(
        f"  best person the same {percent(found == exact, known)} of those who return, "
        f"{percent(found == exact, ~known)} of strangers"
    )
    lost = np.maximum(highest - similarity, 0)[~known]
    print(f"  strangers' similarity {lost.mean():8.4f} too low in the mean, {lost.max():.4f} at most")
    print(
        f"  half precision       changes {np.count_nonzero(exact != full)} of {len(queries)} answers, "
        f"similarities by {np.abs(highest - full_highest).max():.6f} at most"
    )


def percent(right: BoolArray, among: BoolArray) -> str:
    """The share of those queries that are right."""
    return f"{100 * right[among].mean():.1f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--top", type=int, default=1, help="pictures of a person that count (default 1)")
    parser.add_argument("--candidates", type=int, default=CANDIDATES, help="default %(default)s")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for people in options.people:
            measure(people, options, Path(folder))


if __name__ == "__main__":
    main()
