"""Boxes and how they overlap: by hand, by counting squares, and the lists against the matrix."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foundation.arrays import FloatArray
from tracker import geometry
from tracker.geometry import (
    iou_matrix,
    iou_of_pairs,
    move_boxes,
    overlapping_pairs,
    overlaps_of_pairs,
    plain_and_grown,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

BOX = np.array([[0.0, 0.0, 10.0, 20.0]])
QUARTER_TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
"""Right becomes down, and down becomes left."""


def random_boxes(count: int, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    corners = random.uniform(-50, 50, (count, 2))
    return np.concatenate((corners, corners + random.uniform(1, 60, (count, 2))), axis=1)


def all_pairs(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Every box of one set beside every box of another, row by row of the matrix of both."""
    return np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))


def matrix_of_pairs(a: FloatArray, b: FloatArray) -> FloatArray:
    return iou_of_pairs(*all_pairs(a, b)).reshape(len(a), len(b))


def height_matrix_of_pairs(a: FloatArray, b: FloatArray) -> FloatArray:
    return overlap_of_heights(*all_pairs(a, b)).reshape(len(a), len(b))


def overlap_of_heights(a: FloatArray, b: FloatArray) -> FloatArray:
    return overlaps_of_pairs(*plain_and_grown((a, b), 0.3))[1]


def overlapping(a: FloatArray, b: FloatArray) -> list[tuple[int, int]]:
    rows, columns = overlapping_pairs(a, b)
    return sorted(zip(rows.tolist(), columns.tolist(), strict=True))


def overlapping_by_matrix(a: FloatArray, b: FloatArray) -> list[tuple[int, int]]:
    return [(row, column) for row, column in np.argwhere(iou_matrix(a, b) > 0).tolist()]


def boxes_on_a_grid(most: int = 12) -> st.SearchStrategy[FloatArray]:
    """Up to ``most`` boxes on whole pixels: many touch, begin together, repeat or contain each other."""
    corners = arrays(np.int64, st.tuples(st.integers(0, most), st.just(4)), elements=st.integers(0, 6))
    return corners.map(lambda c: np.concatenate((c[:, :2], c[:, :2] + c[:, 2:] + 1), axis=1) * 1.0)


@pytest.fixture(params=[0, 10**9], ids=["many", "few"], scope="module")
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test once as with many boxes and once as with few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "DENSE_BELOW", request.param)
        yield


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
    assert iou_of_pairs(BOX, boxes) == pytest.approx(iou)
    assert overlap_of_heights(BOX, boxes) == pytest.approx(height_iou)
    assert overlaps_of_pairs(*plain_and_grown((BOX, boxes), 0.0))[0] == pytest.approx(iou)


def test_boxes_without_area_overlap_nothing() -> None:
    point = np.array([[3.0, 3.0, 3.0, 3.0]])
    assert iou_matrix(point, np.concatenate((point, BOX))).tolist() == [[0, 0]]


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (3, 0)])
def test_no_boxes_have_no_overlaps(rows: int, columns: int) -> None:
    a, b = random_boxes(rows, 0), random_boxes(columns, 1)
    for function in (iou_matrix, matrix_of_pairs, height_matrix_of_pairs):
        assert function(a, b).shape == (rows, columns)
    assert overlapping(a, b) == []


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


@pytest.mark.parametrize("function", [iou_matrix, matrix_of_pairs, height_matrix_of_pairs])
@pytest.mark.parametrize("seed", range(5))
def test_overlap_is_symmetric_bounded_and_unmoved_by_a_shift(function: type, seed: int) -> None:
    a, b = random_boxes(6, seed), random_boxes(9, seed + 100)
    overlap = function(a, b)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    np.testing.assert_allclose(overlap, function(b, a).T)
    np.testing.assert_allclose(overlap, function(a + 7, b + 7), atol=1e-12)
    np.testing.assert_allclose(np.diag(function(a, a)), 1)


@given(boxes_on_a_grid(), boxes_on_a_grid())
def test_overlaps_of_pairs_are_those_of_the_matrix(a: FloatArray, b: FloatArray) -> None:
    np.testing.assert_array_equal(matrix_of_pairs(a, b), iou_matrix(a, b))


@given(boxes_on_a_grid(), boxes_on_a_grid())
def test_overlap_of_heights_is_that_of_boxes_as_wide_as_each_other(a: FloatArray, b: FloatArray) -> None:
    heights = height_matrix_of_pairs(a, b)
    a[:, 0::2] = b[:, 0::2] = 0, 1
    np.testing.assert_allclose(heights, iou_matrix(a, b))


@pytest.mark.usefixtures("_both_ways")
def test_boxes_that_only_touch_do_not_overlap() -> None:
    around = np.array([[10, 0, 20, 20], [-9, 0, 0, 20], [0, 20, 10, 30], [0, -9, 10, 0]], np.float64)
    assert overlapping(BOX, around) == overlapping(around, BOX) == []
    wider, higher = np.array([-0.1, 0, 0.1, 0]), np.array([0, -0.1, 0, 0.1])
    assert overlapping(BOX, around + wider) == [(0, 0), (0, 1)]
    assert overlapping(BOX, around + higher) == [(0, 2), (0, 3)]


@pytest.mark.usefixtures("_both_ways")
@given(boxes_on_a_grid(), boxes_on_a_grid())
def test_overlapping_pairs_are_those_that_share_area_each_once(a: FloatArray, b: FloatArray) -> None:
    assert overlapping(a, b) == overlapping_by_matrix(a, b)


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("count", [150, 1000])
def test_a_crowd_gives_the_pairs_of_the_matrix(count: int) -> None:
    random = np.random.default_rng(count)
    corners = random.uniform((0, 0), (1920, 1080), (2, count, 2))
    sizes = random.uniform((30, 80), (60, 160), (2, count, 2))
    sizes[0, 0] = 1920, 1080  # as wide as the picture
    a, b = np.concatenate((corners, corners + sizes), axis=2)
    assert overlapping(a, b) == overlapping_by_matrix(a, b)


@pytest.mark.parametrize(
    ("motion", "moved"),
    [
        ([[1, 0, 5], [0, 1, -7]], [15, 13, 25, 33]),
        ([[2, 0, 0], [0, 2, 0]], [20, 40, 40, 80]),
        ([[1, 0, 5], [0, 4, -7]], [10, 93, 30, 133]),  # lengths twice, as areas are four times
        (QUARTER_TURN, [-35, 5, -25, 25]),  # people stay upright
        (-QUARTER_TURN, [25, -25, 35, -5]),
    ],
)
def test_boxes_move_with_the_picture_by_hand(motion: list[list[float]], moved: list[float]) -> None:
    boxes = np.array([[10.0, 20.0, 20.0, 40.0], [10.0, 20.0, 20.0, 40.0]])
    assert move_boxes(boxes, np.array(motion, np.float64)).tolist() == [moved] * 2
    assert boxes.tolist() == [[10, 20, 20, 40]] * 2


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_camera_that_stands_still_moves_no_box(count: int) -> None:
    boxes = random_boxes(count, 0)
    np.testing.assert_allclose(move_boxes(boxes, np.eye(2, 3)), boxes, rtol=0, atol=1e-12)


@given(st.integers(0, 100), st.floats(0, 7), st.floats(0.2, 5))
def test_boxes_come_back(seed: int, angle: float, scale: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    back = np.linalg.inv(turn)
    there, again = np.column_stack((turn, (3, -4))), np.column_stack((back, back @ (-3, 4)))
    boxes = random_boxes(6, seed)
    np.testing.assert_allclose(move_boxes(move_boxes(boxes, there), again), boxes, atol=1e-9)


def test_grown_boxes_by_hand() -> None:
    boxes = np.array([[0.0, 0.0, 40.0, 100.0], [-10.0, 5.0, 0.0, 10.0]])
    before = boxes.copy()
    (plain, grown), nothing = plain_and_grown((boxes, np.empty((0, 4))), 0.1)
    by_hand = np.array([[-4.0, -10.0, 44.0, 110.0], [-11.0, 4.5, 1.0, 10.5]])
    np.testing.assert_allclose(grown.T, by_hand)
    assert plain.T.tolist() == boxes.tolist() == before.tolist()
    assert nothing.shape == (2, 4, 0)
