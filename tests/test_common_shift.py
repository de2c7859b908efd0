"""What all people are off by is the camera's: found where it is there, and next to free where it is not."""

import numpy as np
import pytest

from tests.test_camera_tracker import FRAME_S, follow, ids_of, people, tracker_of
from tracker.camera_tracker import CameraTracker, shift
from tracker.config import TrackingConfig

LEFTS_PX = (0.0, 200.0, 400.0, 600.0, 800.0)
IDS = [1, 2, 3, 4, 5]


def steady(tracker: CameraTracker, frames: int = 4) -> float:
    """The same five people in each frame; the time of the next one."""
    for number in range(frames):
        assert ids_of(follow(tracker, number * FRAME_S, people(*LEFTS_PX))) == IDS
    return frames * FRAME_S


@pytest.mark.parametrize("off_px", [15.0, 60.0])
def test_people_are_known_again_after_a_jolt_of_the_camera(off_px: float) -> None:
    # 40 px wide, so after 60 px nobody overlaps where they were.
    tracker = tracker_of()
    time = steady(tracker)
    found = people(*(left + off_px for left in LEFTS_PX))
    candidates = tracker.compare(tracker.predict(time), found)
    np.testing.assert_allclose(candidates.boxes, found.boxes, atol=1e-6)
    assert ids_of(follow(tracker, time, found)) == IDS


def test_without_it_a_jolt_makes_other_people_of_them() -> None:
    tracker = tracker_of(TrackingConfig(common_shift=False))
    time = steady(tracker)
    assert not set(ids_of(follow(tracker, time, people(*(left + 60 for left in LEFTS_PX))))) & set(IDS)


def test_one_who_starts_to_run_moves_no_camera() -> None:
    tracker = tracker_of()
    time = steady(tracker)
    found = people(*LEFTS_PX[:-1], LEFTS_PX[-1] + 15)
    candidates = tracker.compare(tracker.predict(time), found)
    np.testing.assert_allclose(candidates.boxes, people(*LEFTS_PX).boxes, atol=1e-6)


def test_where_the_camera_stands_still_not_everybody_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "_nearest", lambda *_: pytest.fail("all were compared"))
    steady(tracker_of())


def test_of_a_crowd_some_tell_it_for_all() -> None:
    tracker, lefts = tracker_of(), [60.0 * place for place in range(2 * shift.MAX_PEOPLE)]
    for number in range(4):
        follow(tracker, number * FRAME_S, people(*lefts))
    found = people(*(left + 15 for left in lefts))
    candidates = tracker.compare(tracker.predict(4 * FRAME_S), found)
    np.testing.assert_allclose(candidates.boxes, found.boxes, atol=1e-6)
