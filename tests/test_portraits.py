"""The best picture of each track, small."""

import cv2
import numpy as np
import pytest

from foundation.arrays import Image
from tracker.sinks import portraits as portraits_module
from tracker.sinks.portraits import HEIGHT_PX, Portrait, Portraits
from tracker.types import CameraName, Frame, Sightings, blank_image

DOOR, YARD = CameraName("door"), CameraName("yard")
Box = tuple[float, float, float, float]


def write(
    sink: Portraits, time: float, *boxes: Box, score: float = 0.9, camera: CameraName = DOOR, grey: int = 90
) -> None:
    """Show the picture of one grey with these people, tracks 1, 2 and so on."""
    tracks = np.arange(1, len(boxes) + 1)
    people = Sightings(tracks, tracks, np.array(boxes, np.float64).reshape(-1, 4), np.full(len(boxes), score))
    sink.write(Frame(camera, 1, time, np.full((400, 300, 3), grey, np.uint8)), people)


def pixels(portrait: Portrait) -> Image:
    found = cv2.imdecode(np.frombuffer(portrait.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


def test_the_largest_view_is_kept_and_made_small() -> None:
    sink = Portraits()
    write(sink, 1.0, (50, 50, 80, 150), grey=50)
    write(sink, 2.0, (50, 50, 130, 350), grey=200)
    write(sink, 3.0, (50, 50, 80, 150), grey=50)
    found = sink.portraits()[DOOR, 1]
    assert found.time == 2.0
    assert pixels(found).shape == (HEIGHT_PX, round(80 * HEIGHT_PX / 300), 3)
    assert pixels(found).mean() == pytest.approx(200, abs=2)


def test_somebody_small_is_not_made_larger() -> None:
    sink = Portraits()
    write(sink, 1.0, (50, 50, 70, 100))
    assert pixels(sink.portraits()[DOOR, 1]).shape == (50, 20, 3)


@pytest.mark.parametrize("cut", [(-9.0, 50.0, 51.0, 230.0), (0.5, 50.0, 60.0, 230.0), (50, 220, 110, 400)])
def test_whoever_is_cut_off_is_shown_only_until_seen_whole(cut: Box) -> None:
    sink = Portraits()
    write(sink, 1.0, cut)
    assert sink.portraits()[DOOR, 1].time == 1.0
    write(sink, 2.0, (50, 50, 90, 170))
    assert sink.portraits()[DOOR, 1].time == 2.0
    write(sink, 3.0, cut)
    assert sink.portraits()[DOOR, 1].time == 2.0


def test_a_doubtful_detection_is_worth_less() -> None:
    sink = Portraits()
    write(sink, 1.0, (50, 50, 90, 170), score=0.9)
    write(sink, 2.0, (50, 50, 90, 220), score=0.3)
    assert sink.portraits()[DOOR, 1].time == 1.0


def test_a_picture_that_is_hardly_better_is_not_encoded_anew() -> None:
    sink = Portraits()
    for step in range(5):
        write(sink, float(step), (50, 50, 90, 150 + step))
    assert sink.portraits()[DOOR, 1].time == 0.0


def test_tracks_and_cameras_are_kept_apart_and_nobody_is_made_up() -> None:
    sink = Portraits()
    write(sink, 1.0, (50, 50, 90, 150), (400, 50, 440, 150), (1e9, 1e9, 2e9, 2e9))
    write(sink, 2.0, (50, 50, 90, 150), camera=YARD)
    write(sink, 3.0)
    nothing = Frame(YARD, 1, 4.0, blank_image(300, 400))
    sink.write(
        nothing, Sightings(np.array([5]), np.array([5]), np.array([[50.0, 50, 90, 150]]), np.array([0.9]))
    )
    assert {key: it.time for key, it in sink.portraits().items()} == {(DOOR, 1): 1.0, (YARD, 1): 2.0}


def test_a_restored_sink_goes_on_as_if_nothing_had_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portraits_module, "MAX_PORTRAITS", 2)
    sink, restored = Portraits(), Portraits()
    write(sink, 1.0, (50, 50, 90, 150), (100, 50, 140, 150), (150, 50, 190, 150))
    write(sink, 2.0, (50, 50, 90, 170))
    restored.restore(sink.state())
    assert restored.portraits() == sink.portraits()
    for each in (sink, restored):
        write(each, 3.0, (50, 50, 90, 150), camera=YARD)
    assert restored.portraits() == sink.portraits()
    empty = Portraits()
    empty.restore(Portraits().state())
    assert empty.portraits() == {}


def test_pictures_of_the_oldest_go_but_not_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portraits_module, "MAX_PORTRAITS", 2)
    sink = Portraits()
    write(sink, 1.0, (50, 50, 90, 150), (100, 50, 140, 150))
    write(sink, 2.0, (50, 50, 90, 170))  # the first is at its best now
    write(sink, 3.0, (50, 50, 90, 150), camera=YARD)
    found = sink.portraits()
    assert found[DOOR, 2] == Portrait(1.0, b"")
    assert found[DOOR, 1].jpeg
    assert found[YARD, 1].jpeg
