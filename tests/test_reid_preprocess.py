"""From BGR pictures of any size to the input of a network."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundation.errors import ReuniteError
from reid.preprocess import DEFAULT, Preprocess

PLAIN = Preprocess(height=4, width=2, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_planes_are_red_green_blue_and_normalised_each_by_itself() -> None:
    orange = np.full((4, 2, 3), (0, 102, 255), np.uint8)  # BGR
    preprocess = Preprocess(4, 2, mean=(0.5, 0.4, 0.25), std=(0.5, 0.2, 0.25))
    red, green, blue = preprocess([orange])[0]
    np.testing.assert_allclose(red, 1.0, atol=1e-6)  # (1 - 0.5) / 0.5
    np.testing.assert_allclose(green, 0.0, atol=1e-6)  # (0.4 - 0.4) / 0.2
    np.testing.assert_allclose(blue, -1.0, atol=1e-6)  # (0 - 0.25) / 0.25


def test_a_picture_of_the_right_size_is_not_changed() -> None:
    image = noise(4, 2)
    got = PLAIN([image])[0]
    np.testing.assert_allclose(got, image[..., ::-1].transpose(2, 0, 1) / 255, atol=1e-6)


def test_shrinking_averages_every_pixel() -> None:
    stripes = np.zeros((16, 8, 3), np.uint8)
    stripes[::4] = 240  # one row of four: sampling single rows would see all of it or nothing
    np.testing.assert_allclose(PLAIN([stripes])[0], 60 / 255, atol=0.003)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (160, 64), (1080, 1920)])
def test_any_size_becomes_the_input_size(size: tuple[int, int]) -> None:
    got = DEFAULT([noise(*size), noise(160, 64)])
    assert got.shape == (2, 3, 160, 64)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    assert np.isfinite(got).all()


def test_no_pictures_give_an_empty_batch() -> None:
    assert DEFAULT([]).shape == (0, 3, 160, 64)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    images = [noise(50 + 10 * seed, 30, seed) for seed in range(3)]
    whole = DEFAULT(images)
    for place, image in enumerate(images):
        np.testing.assert_array_equal(DEFAULT([image])[0], whole[place])


def test_strided_and_read_only_pictures_work() -> None:
    frame = noise(100, 100)
    frame.flags.writeable = False
    crop = frame[10:90, 20:60][:, ::-1]
    np.testing.assert_array_equal(DEFAULT([crop]), DEFAULT([crop.copy()]))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 0, 3), np.uint8),
        np.zeros((5, 5), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3), np.float32),
    ],
)
def test_a_bad_picture_is_named_by_its_place(image: NDArray[Any]) -> None:
    with pytest.raises(ReuniteError, match=r"picture 1 of 2: .*got (uint8|float32) of shape"):
        DEFAULT([noise(5, 5), image])


def test_it_survives_json() -> None:
    preprocess = Preprocess(256, 128, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 0}, "height and width"),
        ({"width": 64.0}, "height and width"),
        ({"height": True}, "height and width"),
        ({"mean": [0.5, 0.5]}, "mean must be three"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean must be three"),
        ({"mean": ["a", 0.5, 0.5]}, "three numbers"),
        ({"std": [1.0, 0.0, 1.0]}, "std must be three"),
        ({"std": 1.0}, "three numbers"),
        ({"order": "bgr"}, "needs exactly height, width, mean, std"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ReuniteError, match=message):
        Preprocess.from_dict({**DEFAULT.to_dict(), **change})


def test_a_missing_key_is_refused() -> None:
    with pytest.raises(ReuniteError, match=r"needs exactly height, width, mean, std .*, got height"):
        Preprocess.from_dict({"height": 4})
