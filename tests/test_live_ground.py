"""Where people stand on the page's map."""

import numpy as np
import pytest

from tracker import Tick, blank_image
from tracker.config import GroundConfig
from tracker.ground import GroundPlane
from tracker.live.ground import Standing
from tracker.types import CameraName, Sightings

SCALE = 0.01
"""Metres for each pixel: both cameras look straight down."""


def standing(*, is_y_down: bool) -> Standing:
    down = ((SCALE, 0.0, 0.0), (0.0, SCALE if is_y_down else -SCALE, 0.0), (0.0, 0.0, 1.0))
    cameras = ["door", "hall"]
    config = GroundConfig(homographies=dict.fromkeys(cameras, down))
    return Standing(GroundPlane(config, [CameraName(camera) for camera in cameras]))


def people(**boxes: tuple[float, float]) -> Sightings:
    """Somebody whose feet are at x, y for each number; 0 is undecided."""
    numbers = np.array([int(name.strip("p")) for name in boxes], np.int64)
    rows = np.array([[x - 5, y - 40, x + 5, y] for x, y in boxes.values()]).reshape(-1, 4)
    return Sightings(numbers + 1, numbers, rows, np.ones(len(numbers)))


@pytest.mark.parametrize("is_y_down", [True, False])
def test_places_are_metres_with_y_downwards_as_maps_are_drawn(is_y_down: bool) -> None:
    places = standing(is_y_down=is_y_down)
    tick = Tick.of(10.0, {"door": blank_image(640, 360), "hall": blank_image(640, 360)})
    places.see(tick, {"door": people(p1=(200, 100), p0=(50, 50)), "hall": people(p2=(300, 300))})
    assert places.of(1) == [2.0, 1.0]
    assert places.of(2) == [3.0, 3.0]
    assert places.of(0) is places.of(None) is places.of(3) is None
    assert places.of_track((CameraName("door"), 1)) == [0.5, 0.5], "who is undecided stands somewhere too"
    assert places.of_track((CameraName("hall"), 1)) is None


def test_who_is_not_seen_any_more_has_no_place() -> None:
    places = standing(is_y_down=True)
    for time, seen in ((10.0, people(p1=(200, 100))), (11.0, people()), (13.0, people())):
        places.see(Tick.of(time, {"door": blank_image(640, 360)}), {"door": seen})
        assert (places.of(1) is None) == (time > 12)
