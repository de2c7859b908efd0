"""What may and may not happen to a training picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reid.augment import Augmenter, erase, jitter_colours, shift
from reid.autoaugment import LEVELS, OPERATIONS, POLICY, auto_augment
from reid.config import AugmentConfig, ErasingConfig

FILL = (104, 116, 124)
NOTHING = {
    "flip_probability": 0,
    "pad_px": 0,
    "erasing": {"probability": 0},
}


def picture(seed: int = 0, height: int = 40, width: int = 20) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def augmenter(**values: object) -> Augmenter:
    return Augmenter(AugmentConfig.model_validate(NOTHING | values), FILL)


def test_nothing_asked_changes_nothing() -> None:
    image = picture()
    assert np.array_equal(augmenter()(image, np.random.default_rng(0)), image)


def test_all_together_keep_the_given_picture_and_its_size() -> None:
    image = picture()
    before = image.copy()
    everything = augmenter(
        flip_probability=0.5,
        pad_px=5,
        jitter_probability=0.5,
        autoaugment_probability=0.5,
        erasing={"probability": 0.5},
    )
    for seed in range(100):
        changed = everything(image, np.random.default_rng(seed))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        again = everything(image, np.random.default_rng(seed))
        assert np.array_equal(changed, again)
    assert np.array_equal(image, before)


def test_flip_mirrors_left_and_right() -> None:
    image = picture()
    flipped = augmenter(flip_probability=1)(image, np.random.default_rng(0))
    assert np.array_equal(flipped, image[:, ::-1])


def test_half_of_the_pictures_are_flipped() -> None:
    image, rng, half = picture(), np.random.default_rng(0), augmenter(flip_probability=0.5)
    flipped = sum(not np.array_equal(half(image, rng), image) for _ in range(1000))
    assert 450 < flipped < 550


def test_shift_is_a_crop_of_the_padded_picture() -> None:
    image = picture()
    padded = np.pad(image, ((5, 5), (5, 5), (0, 0)))
    crops = {padded[top : top + 40, left : left + 20].tobytes() for top in range(11) for left in range(11)}
    rng = np.random.default_rng(0)
    seen = {shift(image, 5, rng).tobytes() for _ in range(2000)}
    assert seen == crops


def test_jitter_without_strength_changes_nothing() -> None:
    image = picture()
    assert np.array_equal(jitter_colours(image, 0.0, np.random.default_rng(0)), image)


def test_jitter_keeps_a_grey_picture_grey() -> None:
    grey = np.full((8, 4, 3), 100, np.uint8)
    for seed in range(20):
        changed = jitter_colours(grey, 0.3, np.random.default_rng(seed))
        assert changed.min() == changed.max()
        assert 70 <= changed[0, 0, 0] <= 130


@pytest.mark.parametrize("seed", range(200))
def test_erasing_fills_one_rectangle_within_its_limits(seed: int) -> None:
    image, config = np.zeros((160, 64, 3), np.uint8), ErasingConfig()
    erase(image, config, np.array(FILL, np.uint8), np.random.default_rng(seed))
    rows, columns = np.nonzero(image.any(axis=2))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert len(rows) == height * width
    assert (image[rows, columns] == FILL).all()
    slack = 1 + 1 / height + 1 / width  # sides are whole pixels
    assert 0.02 / slack <= height * width / (160 * 64) <= 0.4 * slack
    assert 0.3 / slack <= height / width <= 3.3 * slack


def test_erasing_gives_up_where_nothing_fits() -> None:
    image = picture(height=4, width=4)
    before = image.copy()
    erase(
        image, ErasingConfig(min_area=1.0, max_area=1.0), np.array(FILL, np.uint8), np.random.default_rng(0)
    )
    assert np.array_equal(image, before)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("level", [-1.0, 0.0, 0.5, 1.0])
def test_an_operation_keeps_the_size_and_the_given_picture(name: str, level: float) -> None:
    image = picture()
    before = image.copy()
    changed = OPERATIONS[name](image, level)
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "name", ["shear_x", "rotate", "posterize", "solarize", "color", "contrast", "sharpness"]
)
def test_level_0_changes_nothing(name: str) -> None:
    image = picture()
    assert np.array_equal(OPERATIONS[name](image, 0.0), image)


def test_operations_by_hand() -> None:
    row = np.array([[[0, 100, 200], [50, 100, 250]]], np.uint8)
    assert OPERATIONS["invert"](row, 1).tolist() == [[[255, 155, 55], [205, 155, 5]]]
    assert OPERATIONS["posterize"](row, 1).tolist() == [[[0, 96, 192], [48, 96, 240]]]
    assert OPERATIONS["solarize"](row, 0.5).tolist() == [[[0, 100, 55], [50, 100, 5]]]
    # The channel of one value stays, the others reach from 0 to 255.
    assert OPERATIONS["autocontrast"](row, 0).tolist() == [[[0, 100, 0], [255, 100, 255]]]


def test_rotation_by_30_degrees_both_ways() -> None:
    image = np.zeros((101, 101, 3), np.uint8)
    image[48:53, 90] = 255  # to the right of the middle
    up, down = (OPERATIONS["rotate"](image, level) for level in (1.0, -1.0))
    assert np.mean(np.nonzero(up[..., 0] > 190)[0]) == pytest.approx(50 - 40 * 0.5, abs=1)
    assert np.mean(np.nonzero(down[..., 0] > 190)[0]) == pytest.approx(50 + 40 * 0.5, abs=1)


def test_the_policy_is_the_published_table() -> None:
    assert len(POLICY) == 25
    for pair in POLICY:
        for name, probability, magnitude in pair:
            assert name in OPERATIONS
            assert 0 <= probability <= 1
            assert 0 <= magnitude <= LEVELS


def test_autoaugment_draws_from_the_generator_alone() -> None:
    image = picture()
    drawn = [auto_augment(image, np.random.default_rng(seed)).tobytes() for seed in range(50)]
    assert drawn == [auto_augment(image, np.random.default_rng(seed)).tobytes() for seed in range(50)]
    assert len(set(drawn)) > 20
