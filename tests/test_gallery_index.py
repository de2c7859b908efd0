"""The index: what it answers is what comparing with everybody would answer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.arrays import EmbeddingArray, IntArray
from tests.galleries import DIMENSION, unit_rows
from tracker.gallery import GalleryIndex, GalleryWriter, Network, Person, Pictures, Presence
from tracker.types import CameraName


def drawn_bank(seed: int, people: int, most: int = 5) -> tuple[IntArray, EmbeddingArray]:
    """Numbers (R,) in random order, and embeddings (R, D); each person has 1 to ``most`` pictures."""
    random = np.random.default_rng(seed)
    names = random.choice(10 * people + 1, people, replace=False) + 1
    numbers = random.permutation(np.repeat(names, random.integers(1, most + 1, people)))
    return numbers, unit_rows(random, len(numbers))


def by_brute_force(
    numbers: IntArray, embeddings: EmbeddingArray, query: EmbeddingArray, top: int
) -> list[tuple[float, int]]:
    """(-similarity, number) of everybody, best first."""
    cosines = embeddings.astype(np.float16).astype(np.float64) @ query
    return sorted(
        (-float(np.mean(np.sort(cosines[numbers == number])[-top:])), int(number))
        for number in set(numbers.tolist())
    )


@pytest.mark.parametrize("top", [1, 2, 9])
@pytest.mark.parametrize("people", [0, 1, 2, 40])
@pytest.mark.parametrize("seed", range(3))
def test_the_answer_equals_brute_force(seed: int, people: int, top: int) -> None:
    numbers, embeddings = drawn_bank(seed, people)
    index = GalleryIndex(DIMENSION, top=top)
    index.put(numbers, embeddings)
    queries = unit_rows(np.random.default_rng(seed + 100), 6)
    for count in (0, 1, 5, 99):
        ranking = index.best(queries, count)
        assert ranking.numbers.shape == ranking.similarities.shape == (6, min(count, people))
        for row, query in enumerate(queries):
            expected = by_brute_force(numbers, embeddings, query, top)[:count]
            assert ranking.numbers[row].tolist() == [number for _, number in expected]
            np.testing.assert_allclose(ranking.similarities[row], [-it for it, _ in expected], atol=1e-6)
    assert index.best(queries[:0], 3).numbers.shape == (0, min(3, people))
    everybody = sorted(set(numbers.tolist()))
    exact = index.similarities(queries, everybody)
    for row, query in enumerate(queries):
        expected_of = {number: -it for it, number in by_brute_force(numbers, embeddings, query, top)}
        np.testing.assert_allclose(exact[row], [expected_of[number] for number in everybody], atol=1e-6)


def test_mean_of_the_best_two_by_hand() -> None:
    index = GalleryIndex(2, top=2)
    axes = np.eye(2, dtype=np.float32)
    index.put(np.array([7, 7, 7, 9]), np.stack([axes[0], -axes[0], axes[1], 0.6 * axes[0] + 0.8 * axes[1]]))
    ranking = index.best(axes[:1], 2)
    assert ranking.numbers.tolist() == [[9, 7]]  # 0.6 of one picture; (1 + 0) / 2 of three
    np.testing.assert_allclose(ranking.similarities, [[0.6, 0.5]], atol=1e-3)


def test_equal_people_come_by_rising_number() -> None:
    index = GalleryIndex(2)
    index.put(np.array([5, 3, 4]), np.tile(np.eye(2, dtype=np.float32)[0], (3, 1)))
    assert index.best(np.eye(2, dtype=np.float32), 3).numbers.tolist() == [[3, 4, 5]] * 2


def test_whoever_is_forbidden_is_left_out_before_anybody_is_chosen() -> None:
    numbers, embeddings = drawn_bank(0, 50)
    index = GalleryIndex(DIMENSION, candidates=4)
    index.put(numbers, embeddings)
    query = unit_rows(np.random.default_rng(1), 1)
    forbidden = index.best(query, 10).numbers[0].tolist()
    ranking = index.best(query, 4, [*forbidden, *forbidden[:3], 10**9])
    assert ranking.numbers.shape == (1, 4)
    assert not set(forbidden) & set(ranking.numbers[0].tolist())
    assert index.best(query, 4, set(numbers.tolist())).numbers.shape == (1, 0)
    assert index.best(query, 99, forbidden).numbers.shape == (1, 40)


@given(st.lists(st.tuples(st.sampled_from(["put", "put", "remove"]), st.integers(1, 9), st.integers(1, 4))))
@settings(max_examples=100, deadline=None)
def test_changing_in_place_gives_the_index_that_building_anew_gives(
    changes: list[tuple[str, int, int]],
) -> None:
    index, people = GalleryIndex(DIMENSION, candidates=3), dict[int, EmbeddingArray]()
    for step, (what, number, count) in enumerate(changes):
        if what == "put":
            people[number] = unit_rows(np.random.default_rng(step), count)
            index.put(np.full(count, number), people[number])
        elif number in people:
            del people[number]
            index.remove(number)
        else:
            with pytest.raises(KeyError):
                index.remove(number)
        assert len(index) == len(people)
        assert [number in index for number in range(11)] == [number in people for number in range(11)]
    anew = GalleryIndex(DIMENSION, candidates=3)
    for number, embeddings in people.items():
        anew.put(np.full(len(embeddings), number), embeddings)
    queries = unit_rows(np.random.default_rng(99), 4)
    for count in (1, 9):
        mine, theirs = index.best(queries, count), anew.best(queries, count)
        assert mine.numbers.tolist() == theirs.numbers.tolist()
        assert mine.similarities.tobytes() == theirs.similarities.tobytes()


@pytest.mark.parametrize("top", [1, 3])
def test_a_similarity_does_not_depend_on_who_else_is_asked_about(top: int) -> None:
    # Sums of matrix products do, in the last bit; a resumed run must decide as the uninterrupted one.
    dimension = 250
    random = np.random.default_rng(0)
    numbers = np.repeat(np.arange(1, 301), random.integers(1, 9, 300))
    index = GalleryIndex(dimension, top=top)
    index.put(numbers, unit_rows(random, len(numbers), dimension))
    queries = unit_rows(random, 7, dimension)
    together = index.similarities(queries, range(1, 301))
    for number in (1, 2, 150, 299, 300):
        for row in range(7):
            alone = index.similarities(queries[row : row + 1], [number])
            assert alone[0, 0] == together[row, number - 1]
    some = random.permutation(300)[:111]
    assert np.array_equal(index.similarities(queries, (some + 1).tolist()), together[:, some])


def test_a_person_is_as_similar_after_a_restart_as_before(tmp_path: Path) -> None:
    rows = unit_rows(np.random.default_rng(0), 5)
    before, after = GalleryIndex(DIMENSION), GalleryIndex(DIMENSION)
    with GalleryWriter(tmp_path / "gallery.sqlite", Network("drawn", "1", DIMENSION)) as gallery:
        (number,) = gallery.reserve(1)
        before.put(np.full(5, number), rows)
        pictures = Pictures(np.full(5, "door", np.object_), np.arange(5.0), rows)
        gallery.save([Person(number, {CameraName("door"): Presence(0, 5, 5)}, pictures)])
        saved = gallery.appearances()
    after.put(saved.numbers, saved.embeddings)
    queries = unit_rows(np.random.default_rng(1), 9)
    first, second = (index.similarities(queries, [number]) for index in (before, after))
    assert first.tobytes() == second.tobytes()


def test_what_was_put_is_not_changed_from_outside() -> None:
    index, rows = GalleryIndex(DIMENSION), unit_rows(np.random.default_rng(0), 2).astype(np.float16)
    index.put(np.array([1, 1]), rows)
    before = index.similarities(np.eye(DIMENSION, dtype=np.float32), [1])
    rows[:] = 0
    assert np.array_equal(index.similarities(np.eye(DIMENSION, dtype=np.float32), [1]), before)


@pytest.mark.parametrize(
    ("views", "people"), [(1, 3000), (2, 3000), (4, 3000)], ids=["alike", "two sides", "four sides"]
)
def test_above_the_candidates_those_who_return_are_still_found(views: int, people: int) -> None:
    # Pictures of one side have a cosine of 0.7, of two sides 0.4, of two people 0; brute force finds all.
    random = np.random.default_rng(views)
    sides = unit_rows(random, people * views, 64).reshape(people, views, 64)
    sides = np.sqrt(0.4) * unit_rows(random, people, 64)[:, None] + np.sqrt(0.3) * sides
    seen = sides[:, random.integers(0, views, 5)] + np.sqrt(0.3) * unit_rows(random, people * 5, 64).reshape(
        people, 5, 64
    )
    seen = (seen / np.linalg.norm(seen, axis=2, keepdims=True)).astype(np.float32)
    index, numbers = GalleryIndex(64), np.arange(1, people + 1)
    index.put(np.repeat(numbers, 4), seen[:, :4].reshape(-1, 64))
    returned, queries = numbers[:300], seen[:300, 4]
    right = index.similarities(queries, numbers.tolist()).argmax(axis=1) + 1 == returned
    assert right.mean() > 0.9
    assert (index.best(queries, 1).numbers[right, 0] == returned[right]).mean() > 0.99


def test_arguments_that_make_no_sense_are_refused() -> None:
    index = GalleryIndex(4)
    rows = np.eye(4, dtype=np.float32)
    for numbers, embeddings in (
        (np.arange(3), rows),
        (np.arange(4), rows[:, :3]),
        (np.eye(4, dtype=int), rows),
    ):
        with pytest.raises(ValueError, match="must have shape"):
            index.put(numbers, embeddings)
    with pytest.raises(ValueError, match="finite"):
        index.put(np.arange(4), np.where(rows == 1, np.nan, rows))
    with pytest.raises(ValueError, match="must have shape"):
        index.best(rows[0], 1)
    with pytest.raises(KeyError):
        index.similarities(rows, [1])
    for wrong in ({"dimension": 0}, {"dimension": 4, "top": 0}, {"dimension": 4, "candidates": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            GalleryIndex(**wrong)
    assert len(index) == 0
