"""How a person looks to another camera: what every change keeps, and what it changes."""

from collections.abc import Callable

import numpy as np
import pytest

from reid.augment import Augmenter
from reid.config import AugmentConfig
from reid.degrade import (
    Image,
    blur,
    change_light,
    compress,
    dress,
    lower_resolution,
    mix,
    rescale,
    surround,
    turn_hue,
)

CHANGES: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "rescale": lambda image, rng: rescale(image, 0.2, rng),
    "light": lambda image, rng: change_light(image, 0.4, rng),
    "resolution": lower_resolution,
    "blur": blur,
    "jpeg": compress,
    "mix": lambda image, rng: mix(image, image[::-1, ::-1], rng),
    "dress": lambda image, rng: dress(image, image[::-1, ::-1], rng),
    "surround": lambda image, rng: surround(image, image[::-1, ::-1], rng),
}


def picture(height: int = 128, width: int = 64) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("size", [(128, 64), (160, 64), (48, 21)])
def test_a_change_depends_on_its_generator_alone_and_leaves_its_input(
    name: str, size: tuple[int, int]
) -> None:
    image = picture(*size)
    before = image.copy()
    for seed in range(8):
        changed, again = (CHANGES[name](image, np.random.default_rng(seed)) for _ in range(2))
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
        assert np.array_equal(changed, again)
    assert np.array_equal(image, before)
    different = {CHANGES[name](image, np.random.default_rng(seed)).tobytes() for seed in range(8)}
    assert len(different) > 1


def test_a_picture_that_is_small_already_keeps_its_resolution() -> None:
    small = picture(24, 12)
    assert np.array_equal(lower_resolution(small, np.random.default_rng(0)), small)


def test_light_without_strength_changes_next_to_nothing() -> None:
    image = picture()
    changed = change_light(image, 0.0, np.random.default_rng(0))
    assert np.abs(changed.astype(int) - image).max() <= 1  # both steps round


def test_light_keeps_grey_grey_but_for_a_cast_of_the_whole_picture() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(8, axis=1)
    changed = change_light(grey, 0.4, np.random.default_rng(3)).astype(float)
    assert (np.diff(changed[:, 0], axis=0) >= -1).all()  # darker stays darker


def test_what_is_mixed_in_comes_from_the_other_picture() -> None:
    black, white = np.zeros((64, 32, 3), np.uint8), np.full((64, 32, 3), 255, np.uint8)
    shares = [mix(black, white, np.random.default_rng(seed)).mean() / 255 for seed in range(200)]
    assert min(shares) > 0.05
    assert max(shares) <= 0.61


def test_another_hue_keeps_brightness_and_what_has_no_colour() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2).repeat(8, axis=1)
    assert np.abs(turn_hue(grey, np.random.default_rng(1)).astype(int) - grey).max() <= 1
    colours = np.random.default_rng(0).integers(100, 156, (16, 8, 3), np.uint8)  # none is cut off at 0 or 255
    turned = turn_hue(colours, np.random.default_rng(1))
    brightness = np.array([0.114, 0.587, 0.299])
    np.testing.assert_allclose(turned @ brightness, colours @ brightness, atol=1.0)
    assert np.abs(turned.astype(int) - colours).max() > 10


def test_other_clothes_are_the_legs_of_another_picture_or_other_colours() -> None:
    blue, white = np.full((100, 40, 3), (200, 60, 60), np.uint8), np.full((100, 40, 3), 255, np.uint8)
    heads, feet = set(), set()
    for seed in range(60):
        dressed = dress(blue, white, np.random.default_rng(seed))
        assert (dressed[:38] == dressed[0]).all()
        assert (dressed[63:] == dressed[-1]).all()
        heads.add((dressed[0] == blue[0]).all())
        feet.add((dressed[-1] == white[0]).all())
    assert heads == feet == {True, False}


def test_the_middle_stays_and_the_sides_become_those_of_another_picture() -> None:
    black, white = np.zeros((100, 50, 3), np.uint8), np.full((100, 50, 3), 255, np.uint8)
    for seed in range(60):
        changed = surround(black, white, np.random.default_rng(seed))
        assert not changed[:, 23:27].any()
        assert (changed[:15, [0, -1]] == 255).all()
        assert changed.mean() / 255 > 0.15


def test_a_low_resolution_has_less_detail() -> None:
    image = picture()
    assert lower_resolution(image, np.random.default_rng(1)).std() < image.std()


@pytest.mark.parametrize("change", ["mix", "dress", "surround"])
def test_the_augmenter_says_which_pictures_show_nobody(change: str) -> None:
    others = np.stack([picture(), 255 - picture()])
    never, always = (
        Augmenter(AugmentConfig.model_validate({f"{change}_probability": chance}), (0, 0, 0))
        for chance in (0, 1)
    )
    assert never.mixed(others[0], others, np.random.default_rng(0))[1] is False
    changed = [always.mixed(others[0], others, np.random.default_rng(seed)) for seed in range(8)]
    assert all(nobody for _, nobody in changed)
    assert any(not np.array_equal(image, others[0]) for image, _ in changed)


def test_all_changes_together_are_drawn_from_one_generator() -> None:
    config = AugmentConfig(
        scale=0.1,
        light_probability=1,
        low_resolution_probability=1,
        blur_probability=1,
        jpeg_probability=1,
        mix_probability=1,
    )
    augment = Augmenter(config, (1, 2, 3))
    first, second = (augment(picture(), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == picture().shape
