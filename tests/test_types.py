"""The values that pass between stages."""

import numpy as np
import pytest

from tracker.types import CameraName, Detections, Frame, Observations, Tick, blank_image


def frame(camera: str) -> Frame:
    return Frame(CameraName(camera), 1, 0.0, blank_image(4, 3))


def test_a_wrong_shape_is_named_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"Detections\.scores must have shape \(2\), got \(3,\)"):
        Detections(np.zeros((2, 4)), np.zeros(3))


def test_a_mask_selects_every_column() -> None:
    people = Observations(np.arange(8.0).reshape(2, 4), np.array([0.2, 0.9]), np.eye(2, dtype=np.float32))
    sure = people[people.scores > 0.5]
    assert sure.boxes.tolist() == [[4, 5, 6, 7]]
    assert sure.scores.tolist() == [0.9]
    assert sure.embeddings.tolist() == [[0, 1]]
    assert len(sure) == 1


def test_columns_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError):
        Detections.empty().scores = np.zeros(0)  # type: ignore[misc]


def test_a_tick_holds_one_frame_of_each_camera() -> None:
    assert len(Tick(0.0, (frame("a"), frame("b"))).frames) == 2
    with pytest.raises(ValueError, match="another camera"):
        Tick(0.0, (frame("a"), frame("a")))
    with pytest.raises(ValueError, match="one frame or more"):
        Tick(0.0, ())


def test_a_blank_image_has_its_size_and_takes_no_memory() -> None:
    image = blank_image(1920, 1080)
    assert image.shape == (1080, 1920, 3)
    assert not image.any()
    assert image.base is not None
    assert image.base.nbytes == 3
    assert Frame(CameraName("a"), 1, 0.0, image).size == (1920, 1080)
