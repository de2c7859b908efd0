"""Which door leads to which."""

import numpy as np
import pytest

from tracker.identity.entry_exit_zones import MOST, PER_CAMERA, EntryExitZones


def test_zones_are_fields_of_the_picture() -> None:
    boxes = np.array([[0.0, 0, 20, 40], [310, 230, 330, 260], [150, 100, 170, 140], [-90, -90, -50, -10]])
    assert EntryExitZones.of(2, boxes, (320, 240)).tolist() == [
        2 * PER_CAMERA + field for field in (0, 8, 4, 0)
    ]
    assert EntryExitZones.of(0, np.empty((0, 4)), (320, 240)).tolist() == []


def test_without_transitions_zones_say_nothing() -> None:
    zones = EntryExitZones(2, np.array([3, 3, 12]))
    assert zones.log_odds(np.array([0, 5]), np.array([12, 3])) == pytest.approx(0.0)


def test_transitions_count_for_their_zones_and_against_others() -> None:
    random = np.random.default_rng(0)
    zones = EntryExitZones(2, PER_CAMERA + random.integers(0, 4, 400))  # by four doors of the second camera
    for _ in range(20):
        zones.add(0, PER_CAMERA)
        zones.add(1, PER_CAMERA + 1)
    right, wrong, never, other = zones.log_odds(np.array([0, 0, 5, 0]), PER_CAMERA + np.array([0, 1, 0, 8]))
    assert 1.0 < right <= MOST
    assert wrong < -1.0
    assert never == pytest.approx(0.0)
    assert other < 0
