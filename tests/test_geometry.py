import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.geometry import height_iou_matrix, iou_matrix, xywh_to_xyxy, xyxy_to_xywh
from tracker.types import FloatArray

BOX = np.array([[0.0, 0.0, 10.0, 20.0]])


def random_boxes(count: int, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    corners = random.uniform(-50, 50, (count, 2))
    return np.concatenate((corners, corners + random.uniform(1, 60, (count, 2))), axis=1)


def test_xywh_means_left_top_width_height() -> None:
    assert xywh_to_xyxy(np.array([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[1, 2, 4, 6]]
    assert xyxy_to_xywh(np.array([[1.0, 2.0, 4.0, 6.0]])).tolist() == [[1, 2, 3, 4]]


def test_conversions_leave_their_argument_alone() -> None:
    boxes = BOX.copy()
    xywh_to_xyxy(boxes)
    xyxy_to_xywh(boxes)
    assert boxes.tolist() == BOX.tolist()


@given(arrays(np.float64, (5, 4), elements=st.floats(-1e4, 1e4)))
def test_conversions_undo_each_other(boxes: FloatArray) -> None:
    np.testing.assert_allclose(xyxy_to_xywh(xywh_to_xyxy(boxes)), boxes, atol=1e-8)


@pytest.mark.parametrize(
    ("other", "iou", "height_iou"),
    [
        ([0, 0, 10, 20], 1, 1),
        ([5, 0, 15, 20], 1 / 3, 1),
        ([0, 10, 10, 30], 1 / 3, 1 / 3),
        ([2, 5, 8, 15], 60 / 200, 10 / 20),
        ([10, 0, 20, 20], 0, 1),
        ([0, 20, 10, 40], 0, 0),
        ([100, 100, 110, 120], 0, 0),
    ],
)
def test_overlap_by_hand(other: list[float], iou: float, height_iou: float) -> None:
    boxes = np.array([other], dtype=np.float64)
    assert iou_matrix(BOX, boxes) == pytest.approx(iou)
    assert height_iou_matrix(BOX, boxes) == pytest.approx(height_iou)


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([[3.0, 3.0, 3.0, 3.0]])
    assert iou_matrix(point, np.concatenate((point, BOX))).tolist() == [[0, 0]]


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_no_boxes_give_an_empty_matrix(rows: int, columns: int) -> None:
    for function in (iou_matrix, height_iou_matrix):
        assert function(random_boxes(rows, 0), random_boxes(columns, 1)).shape == (rows, columns)


@pytest.mark.parametrize("seed", range(5))
def test_overlap_equals_counting_small_squares(seed: int) -> None:
    boxes = np.round(random_boxes(8, seed))
    inside = np.zeros((8, 240, 240), dtype=bool)
    for row, (x1, y1, x2, y2) in enumerate(boxes.astype(int) + 60):
        inside[row, y1:y2, x1:x2] = True
    flat = inside.reshape(8, -1).astype(np.float64)
    shared = flat @ flat.T
    areas = flat.sum(axis=1)
    np.testing.assert_allclose(iou_matrix(boxes, boxes), shared / (areas[:, None] + areas - shared))


@pytest.mark.parametrize("function", [iou_matrix, height_iou_matrix])
@pytest.mark.parametrize("seed", range(5))
def test_overlap_is_symmetric_bounded_and_unmoved_by_a_shift(function: type, seed: int) -> None:
    a, b = random_boxes(6, seed), random_boxes(9, seed + 100)
    overlap = function(a, b)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    np.testing.assert_allclose(overlap, function(b, a).T)
    np.testing.assert_allclose(overlap, function(a + 7, b + 7), atol=1e-12)
    np.testing.assert_allclose(np.diag(function(a, a)), 1)
