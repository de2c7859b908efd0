"""What cosines mean is measured as it was drawn."""

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.data import Record
from reid.prior import measure_prior


def drawn(people: int, pictures: int, camera_shift: float) -> tuple[EmbeddingArray, list[Record]]:
    """Embeddings of people by two cameras: a direction of the person, of the camera, and noise."""
    rng = np.random.default_rng(0)
    cameras = rng.normal(size=(2, 64)) * camera_shift
    rows, records = [], []
    for person in range(1, people + 1):
        direction = rng.normal(size=64)
        for camera in (1, 2):
            for number in range(pictures):
                rows.append(direction + cameras[camera - 1] + 0.7 * rng.normal(size=64))
                records.append(Record(f"{person:04d}_c{camera}s1_{100 * number:06d}_00.jpg", person, camera))
    embeddings = np.array(rows, np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), records


@pytest.mark.parametrize("camera_shift", [0.0, 1.0])
def test_people_are_told_apart_whatever_their_cameras_have_in_common(camera_shift: float) -> None:
    prior = measure_prior(*drawn(60, 4, camera_shift))
    assert abs(prior.mean_different) < 0.08
    # Means of four pictures: 1 of the person to 0.49 / 4 of noise; of single ones to 0.49.
    assert prior.mean_same == pytest.approx(1 / (1 + 0.49 / 4), abs=0.06)
    assert prior.mean_within == pytest.approx(1 / 1.49, abs=0.06)
    assert 0 < prior.sd_same < prior.sd_different
    assert prior.mean_same > prior.mean_within > prior.mean_different


def test_strangers_above_a_cosine_are_as_many_as_the_mixture_says() -> None:
    from reid.prior import _above, _mixture

    rng = np.random.default_rng(1)
    cosines = np.concatenate([rng.normal(0, 0.1, 95_000), rng.normal(0.35, 0.12, 5_000)])
    mean, sd, share, more, sd_of_look_alikes = _mixture(cosines)
    for cosine in (0.2, 0.4, 0.6):
        said = (1 - share) * _above(np.array([cosine]), mean, sd)
        said += share * _above(np.array([cosine]), mean + more, sd_of_look_alikes)
        assert said[0] == pytest.approx((cosines > cosine).mean(), rel=0.25)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ReuniteError, match=r"prior: 3 pairs of one person in two cameras, .* are too few"):
        measure_prior(*drawn(3, 4, 0.0))
    with pytest.raises(ReuniteError, match="are too few"):
        measure_prior(np.empty((0, 8), np.float32), [])
