"""A picture inside a room of another shape."""

import cv2
import numpy as np

from tracker.letterbox import letterbox

GREY = 114


def test_the_picture_stands_in_the_middle() -> None:
    room, scale, corner = letterbox(np.full((100, 200, 3), 7, np.uint8), (64, 64), GREY)
    assert (scale, corner) == (0.32, (0, 16))
    assert (room[16:48] == 7).all()
    assert (room[:16] == GREY).all()
    assert (room[48:] == GREY).all()


def test_of_an_odd_number_of_free_rows_the_larger_half_is_below() -> None:
    room, _, corner = letterbox(np.zeros((31, 64, 3), np.uint8), (64, 64), GREY)
    assert corner == (0, 16)
    assert (room[:, 0, 0] == GREY).tolist() == [True] * 16 + [False] * 31 + [True] * 17


def test_the_picture_stands_in_the_corner_where_that_is_asked() -> None:
    room, scale, corner = letterbox(np.zeros((10, 5, 3), np.uint8), (20, 20), (1, 2, 3), centred=False)
    assert (scale, corner) == (2.0, (0, 0))
    assert not room[:, :10].any()
    assert (room[:, 10:] == (1, 2, 3)).all()


def test_a_picture_of_the_same_shape_fills_the_room_and_a_sliver_keeps_a_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    whole = letterbox(image, (15, 10), GREY, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(whole.picture, cv2.resize(image, (15, 10), interpolation=cv2.INTER_LINEAR))
    sliver = letterbox(np.zeros((1000, 1, 3), np.uint8), (10, 10), GREY)
    assert (sliver.picture == 0).all(axis=2).sum(axis=1).tolist() == [1] * 10
