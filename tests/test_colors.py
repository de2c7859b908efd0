"""The colours of people and cameras, as eyes see them."""

from itertools import combinations

import numpy as np
import pytest

from foundation.figures import PALETTE
from tracker.colors import (
    EYES,
    NUM_PEOPLE,
    UNDECIDED,
    appearance,
    camera_color,
    contrast,
    ink_on,
    people_colors,
    person_color,
)


def test_lightness_and_distance_are_those_of_oklab() -> None:
    seen = appearance(np.array([(255, 255, 255), (0, 0, 0), (255, 0, 0)]))
    assert seen[0, :, 0] == pytest.approx([1.0, 0.0, 0.627955], abs=1e-4)
    assert seen[0, 2, 1:] == pytest.approx([0.224863, 0.125846], abs=1e-4)


def test_red_and_green_look_more_alike_to_the_colour_blind() -> None:
    red, green = (200, 60, 40), (110, 120, 30)
    distances = np.linalg.norm(np.diff(appearance(np.array([red, green])), axis=1)[:, 0], axis=1)
    assert (distances[1:] < distances[0] / 2).all()


@pytest.mark.parametrize(("people", "least"), [(4, 0.2), (8, 0.12), (16, 0.07), (NUM_PEOPLE, 0.03)])
def test_however_few_people_there_are_their_colours_are_far_apart_to_all_eyes(
    people: int, least: float
) -> None:
    seen = appearance(np.array([person_color(identity) for identity in range(1, people + 1)]))
    assert len(seen) == len(EYES)
    for own in seen:
        assert min(np.linalg.norm(one - other) for one, other in combinations(own, 2)) > least


def test_the_undecided_are_grey_and_nobody_else_is() -> None:
    assert person_color(0) == UNDECIDED
    spread = np.ptp(np.array(people_colors()), axis=1)
    assert (spread > 40).all()


def test_colours_come_once_more_when_all_are_given() -> None:
    assert len(set(people_colors())) == NUM_PEOPLE
    assert person_color(1 + NUM_PEOPLE) == person_color(1)
    assert camera_color(8) == camera_color(0) != camera_color(1)


def test_ink_can_be_read_on_every_colour() -> None:
    assert ink_on((255, 255, 0)) == (0, 0, 0)
    assert ink_on((0, 0, 120)) == (255, 255, 255)
    for color in (UNDECIDED, *PALETTE, *people_colors()):
        assert contrast(ink_on(color), color) >= 4.5
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)  # WebAIM's #777
