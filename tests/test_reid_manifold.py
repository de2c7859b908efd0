"""The smoothed manifold against its equation solved at once."""

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid import manifold
from reid.manifold import check_fits_memory, manifold_distances, random_walk, smooth
from reid.retrieval import normalise


def embeddings(count: int, seed: int) -> EmbeddingArray:
    return normalise(np.random.default_rng(seed).normal(size=(count, 3)))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
@pytest.mark.parametrize(("count", "neighbours"), [(1, 3), (4, 20), (9, 3)])
@pytest.mark.parametrize("chunk", [1, 20, 2**22])
def test_the_fixed_point_is_that_of_the_closed_form(
    alpha: float, count: int, neighbours: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifold, "CHUNK_CELLS", chunk)
    walk = random_walk(embeddings(count, seed=count), neighbours)
    known = np.eye(count, dtype=np.float32)
    known[0, -1] = known[-1, 0] = 1
    # vec(Q) = alpha (P x P) vec(Q) + (1 - alpha) vec(L), for the N^2 pairs at once
    chances = walk.toarray()
    pairs = np.eye(count**2) - alpha * np.kron(chances, chances)
    whole = np.linalg.solve(pairs, (1 - alpha) * known.ravel()).reshape(count, count)
    np.testing.assert_allclose(smooth(walk, known, alpha), whole, atol=2e-4)


def test_a_walk_goes_to_the_nearest_and_most_to_the_picture_itself() -> None:
    points = embeddings(12, seed=0)
    chances = random_walk(points, 4).toarray()
    assert chances.sum(axis=1) == pytest.approx(1)
    assert ((chances > 0).sum(axis=1) == 4).all()
    assert chances.argmax(axis=1).tolist() == list(range(12))
    nearest = np.argsort(-(points @ points.T), axis=1)[:, :4]
    assert all(set(np.flatnonzero(row)) == set(near) for row, near in zip(chances, nearest, strict=True))


def test_what_lies_on_one_manifold_is_nearer_than_what_only_looks_near() -> None:
    # Along an arc, step by step, its far end is still the query's; the stray is nearer, but beside the arc.
    angles = np.linspace(0, 1.2, 25)
    arc = np.stack([np.cos(angles), np.sin(angles), np.zeros(25)], axis=1)
    stray = np.stack([np.cos([0.9] * 3), np.zeros(3), np.sin([0.9] * 3)], axis=1)
    query, gallery = normalise(arc[:1]), normalise(np.concatenate([stray, arc[1:]]))
    plain = 1 - query @ gallery.T
    smoothed = manifold_distances(query, gallery, neighbours=4)
    assert plain[0, :3].max() < plain[0, -1]
    assert smoothed[0, :3].min() > smoothed[0, -1]


def test_people_who_are_known_change_who_is_near() -> None:
    query, gallery = embeddings(3, seed=1), embeddings(5, seed=2)
    known = embeddings(8, seed=3)
    alone = manifold_distances(query, gallery, known, np.arange(8), neighbours=4)
    together = manifold_distances(query, gallery, known, np.arange(8) // 4, neighbours=4)
    assert alone.shape == together.shape == (3, 5)
    assert (together < alone + 1e-6).all()
    assert (together < alone - 1e-4).any()


def test_a_graph_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(ReuniteError, match=r"10000000 pictures needs 800000 GB .* this machine has \d+"):
        check_fits_memory(10_000_000)
    with pytest.raises(ValueError, match="alpha"):
        smooth(random_walk(embeddings(3, 0)), np.eye(3, dtype=np.float32), 1.0)
