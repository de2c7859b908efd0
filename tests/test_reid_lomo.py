"""LOMO against a version that looks at every window and every pixel."""

import numpy as np
import pytest

from reid.lomo import (
    HEIGHT,
    SHORT_LENGTH,
    WIDTH,
    hsv_codes,
    local_maxima,
    open_lomo,
    retinex,
    shorten,
    siltp_codes,
)
from tests.drawn_people import draw_person


@pytest.mark.parametrize("shape", [(10, 10), (32, 12), (37, 24), (64, 23)])
def test_of_all_windows_of_one_height_the_largest_count_stays(shape: tuple[int, int]) -> None:
    codes = np.random.default_rng(0).integers(0, 7, shape)
    expected = []
    for top in range(0, shape[0] - 9, 5):
        windows = [codes[top : top + 10, left : left + 10] for left in range(0, shape[1] - 9, 5)]
        counts = [[int((window == code).sum()) for code in range(7)] for window in windows]
        expected.append(np.max(counts, axis=0))
    assert local_maxima(codes, 7).tolist() == np.array(expected).tolist()


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_a_texture_pattern_says_which_neighbours_are_brighter_or_darker(radius: int) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (9, 7)).astype(np.float32)
    found = siltp_codes(grey, radius)
    for row in range(9):
        for column in range(7):
            code = 0
            for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                other = grey[min(max(row + radius * down, 0), 8), min(max(column + radius * right, 0), 6)]
                its = grey[row, column]
                code = 3 * code + (1 if other > 1.3 * its else 2 if other < 0.7 * its else 0)
            assert found[row, column] == code


def test_a_pattern_does_not_mind_how_bright_it_is() -> None:
    grey = np.random.default_rng(2).integers(1, 100, (20, 20)).astype(np.float32)
    assert (siltp_codes(grey, 3) == siltp_codes(2 * grey, 3)).all()


def test_retinex_takes_a_slow_change_of_light_out() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(40, 120, (HEIGHT, WIDTH, 3)).astype(np.float32)
    light = np.linspace(0.7, 1.6, HEIGHT)[:, None, None]
    one, other = image.astype(np.uint8), (image * light).astype(np.uint8)
    apart = np.abs(one.astype(int) - other).mean() / np.ptp(one)
    assert np.abs(retinex(one) - retinex(other)).mean() < apart / 5


def test_colours_are_binned_by_hue_saturation_and_value() -> None:
    # Pure blue has hue 240 of 360 degrees, the 6th of 8 bins; black has neither hue nor saturation.
    colours = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], np.float32)
    assert hsv_codes(colours).tolist() == [[(5 * 8 + 7) * 8 + 7, 0]]


def test_pictures_of_any_size_become_26960_numbers_of_length_1() -> None:
    rng = np.random.default_rng(4)
    people = [draw_person(person, rng) for person in (1, 1, 2, 2)]
    plain = np.full((30, 20, 3), 128, np.uint8)
    found = open_lomo(batch_size=2).embed([*people, plain])
    assert found.shape == (5, 26960)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    alike = found @ found.T
    assert min(alike[0, 1], alike[2, 3]) > alike[:2, 2:4].max()
    assert open_lomo().embed([]).shape == (0, 26960)


def test_the_short_descriptor_has_nearly_the_same_cosines() -> None:
    long = np.random.default_rng(5).gamma(0.1, size=(8, 26960)).astype(np.float32)
    short = shorten(long)
    assert short.shape == (8, SHORT_LENGTH)
    cosines = [
        rows @ rows.T for rows in (it / np.linalg.norm(it, axis=1, keepdims=True) for it in (long, short))
    ]
    assert np.abs(cosines[0] - cosines[1]).max() < 0.15  # the deviation is 1 / sqrt(1024)
    assert shorten(long[:0]).shape == (0, SHORT_LENGTH)
