"""Drawn embeddings: that they have the cosines they are said to have."""

import numpy as np
import pytest

from benchmarks.identity.appearance import NOBODY, CameraEmbeddings, DrawnPeople, Spread
from foundation.arrays import EmbeddingArray, FloatArray

PEOPLE = np.arange(300)
EVERYBODY = np.ones(len(PEOPLE), np.bool_)


def looks_of_two_cameras(spread: Spread) -> list[CameraEmbeddings]:
    drawn = DrawnPeople(spread, len(PEOPLE), np.random.default_rng(1))
    return [CameraEmbeddings(drawn, np.random.default_rng(seed)) for seed in (2, 3)]


def cosines(a: EmbeddingArray, b: EmbeddingArray) -> FloatArray:
    return np.asarray((a * b).sum(axis=1), np.float64)


@pytest.mark.parametrize(
    "spread",
    [
        Spread(),
        Spread(
            0.8, 0.7, 0.6, 0.1, look_alike=0.4, different_same_camera=0.3, different=0.2, sd_different=0.1
        ),
    ],
)
def test_drawn_pictures_have_the_stated_cosines(spread: Spread) -> None:
    door, hall = looks_of_two_cameras(spread)
    first = door.draw(0.0, PEOPLE, EVERYBODY)
    for half_seconds in range(1, 20):
        door.draw(half_seconds / 2, PEOPLE, ~EVERYBODY)
    same_tracklet, next_tracklet = (door.draw(time, PEOPLE, EVERYBODY) for time in (10.0, 60.0))
    elsewhere = [hall.draw(time, PEOPLE, EVERYBODY) for time in (0.0, 60.0, 120.0, 180.0)]
    alike = PEOPLE[:, None] // spread.group_size == PEOPLE // spread.group_size
    np.fill_diagonal(alike, False)
    others = ~alike & ~np.eye(len(PEOPLE), dtype=np.bool_)
    across = first @ elsewhere[0].T
    returned = np.concatenate(
        [cosines(picture, there) for picture in (first, next_tracklet) for there in elsewhere]
    )

    assert first.dtype == np.float32
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    assert cosines(first, same_tracklet).mean() == pytest.approx(spread.same_tracklet, abs=0.02)
    assert cosines(first, next_tracklet).mean() == pytest.approx(spread.same_camera, abs=0.03)
    assert returned.mean() == pytest.approx(spread.other_camera, abs=0.03)
    assert returned.std() == pytest.approx(spread.sd_other_camera, abs=0.015)
    assert across[alike].mean() == pytest.approx(spread.look_alike, abs=0.03)
    assert across[others].mean() == pytest.approx(spread.different, abs=0.03)
    assert across[others].std() == pytest.approx(spread.sd_different, abs=0.01)
    assert (first @ first.T)[others].mean() == pytest.approx(spread.different_same_camera, abs=0.03)


def test_pictures_of_one_moment_are_nearly_the_same() -> None:
    door, _ = looks_of_two_cameras(Spread())
    first, next_frame = (door.draw(time, PEOPLE, EVERYBODY) for time in (0.0, 0.05))
    assert cosines(first, next_frame).min() > 0.95


def test_nobody_asked_for_is_drawn_and_a_false_alarm_is_like_no_one() -> None:
    door, _ = looks_of_two_cameras(Spread())
    people = np.array([4, NOBODY, NOBODY, 7])
    embeddings = door.draw(0.0, people, np.array([True, True, True, False]))
    assert embeddings.any(axis=1).tolist() == [True, True, True, False]
    assert abs(embeddings[1] @ embeddings[2] - Spread().different) < 5 * Spread().sd_different
    assert door.draw(1.0, np.empty(0, np.int64), np.empty(0, np.bool_)).shape == (0, Spread().length)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"other_camera": 0.8}, "other_camera must be at most same_camera, 0.7"),
        ({"same_tracklet": 1.2}, "same_tracklet must be at most 1"),
        ({"sd_other_camera": 0.02}, "sd_other_camera 0.02 cannot be reached"),
        ({"sd_other_camera": 0.5}, "sd_other_camera 0.5 cannot be reached"),
        ({"different_same_camera": 0.4}, "a camera makes two people more alike"),
        ({"pose_s": 0.0}, "pose_s must be above 0"),
    ],
)
def test_a_spread_that_no_pictures_can_have_is_refused(values: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Spread(**values)  # type: ignore[arg-type]
