"""Exports of any YOLO: people are found in each layout, or a sentence says why not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from foundation.errors import ReuniteError
from tracker.build import build_detector
from tracker.config import UltralyticsDetectorConfig
from tracker.detectors.yolo_layout import Layout, find_layout, person_class, read_names
from tracker.types import CameraName, Detections, Frame, Tick, blank_image

SIZE = 192
CELLS = 24 * 24 + 12 * 12 + 6 * 6
NAMES = {0: "car", 1: "person", 2: "chair"}


def write_export(path: Path, output: NDArray[np.float32], **meta: str) -> Path:
    """A model that gives this for every picture of 192 x 192 pixels."""
    nodes = [
        helper.make_node("Constant", [], ["boxes"], value=numpy_helper.from_array(output[None])),
        helper.make_node("ReduceMax", ["images"], ["most"], keepdims=0),
        helper.make_node("Constant", [], ["none"], value=numpy_helper.from_array(np.array(0, np.float32))),
        helper.make_node("Mul", ["most", "none"], ["zero"]),
        helper.make_node("Add", ["boxes", "zero"], ["output0"]),
    ]
    entrance = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])
    way_out = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, *output.shape])
    model = helper.make_model(
        helper.make_graph(nodes, "drawn", [entrance], [way_out]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    helper.set_model_props(model, meta)
    onnx.save(model, path)
    return path


def people_of(path: Path, **settings: Any) -> Detections:
    detector = build_detector(UltralyticsDetectorConfig(weights=str(path), **settings), {})
    (people,) = detector.detect(Tick(0.0, (Frame(CameraName("door"), 1, 0.0, blank_image(SIZE, SIZE) + 1),)))
    return people


def output_of(layout: Layout) -> NDArray[np.float32]:
    """One person of score 0.72 at 20, 30, 10 x 20 pixels, and a car, among boxes of nothing."""
    has_objectness = layout in (Layout.V5, Layout.V5_TURNED)
    rows = np.zeros((3 * CELLS if has_objectness else CELLS, 8 if has_objectness else 7), np.float32)
    if has_objectness:
        rows[5] = [20, 30, 10, 20, 0.9, 0.1, 0.8, 0]
        rows[9] = [50, 30, 10, 20, 0.9, 0.9, 0.1, 0]
        rows[11] = [40, 30, 10, 20, 0.01, 0.1, 0.9, 0]  # like a person, if there were anything
    else:
        rows[5] = [20, 30, 10, 20, 0.1, 0.72, 0]
        rows[9] = [50, 30, 10, 20, 0.9, 0.1, 0]
    return rows.T if layout in (Layout.V8, Layout.V5_TURNED) else rows


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize(
    "names", [str(NAMES), str(list(NAMES.values())), json.dumps(NAMES), json.dumps(list(NAMES.values()))]
)
def test_people_are_found_in_every_layout(tmp_path: Path, layout: Layout, names: str) -> None:
    people = people_of(write_export(tmp_path / "any.onnx", output_of(layout), names=names, task="detect"))
    assert people.scores == pytest.approx([0.72])
    assert people.boxes == pytest.approx(np.array([[15.0, 20, 25, 40]]))


@pytest.mark.parametrize("layout", [Layout.V8, Layout.V5])
def test_without_names_the_class_is_asked_for_and_taken(tmp_path: Path, layout: Layout) -> None:
    path = write_export(tmp_path / "any.onnx", output_of(layout))
    with pytest.raises(ReuniteError, match=r"does not say .* 3 classes are; set detector\.person_class"):
        people_of(path)
    assert people_of(path, person_class=1).scores == pytest.approx([0.72])
    with pytest.raises(ReuniteError, match=r"detector\.person_class: .* has the classes 0 to 2, got 3"):
        people_of(path, person_class=3)


@pytest.mark.parametrize("shape", [(CELLS, 8), (CELLS + 1, 7), (7,), (2000, 6)])
def test_an_output_that_nobody_knows_is_a_sentence(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write_export(tmp_path / "any.onnx", np.zeros(shape, np.float32), names=str(NAMES))
    with pytest.raises(ReuniteError, match=r"is no YOLO that can be read: for 192x192 and 3 classes"):
        people_of(path)


def test_weights_that_give_no_numbers_are_a_sentence(tmp_path: Path) -> None:
    path = write_export(tmp_path / "any.onnx", output_of(Layout.V8) + np.float32(np.nan), names=str(NAMES))
    with pytest.raises(ReuniteError, match="the network gives no numbers; are its weights whole"):
        people_of(path)


@pytest.mark.parametrize(
    ("shape", "classes", "layout"),
    [
        ((84, 8400), 80, Layout.V8),
        ((116, 8400), 80, Layout.V8),  # masks
        ((56, 8400), 1, Layout.V8),  # poses
        ((8400, 84), 80, Layout.V8_TURNED),
        ((25200, 85), 80, Layout.V5),
        ((25200, 8), 3, Layout.V5),
        ((85, 25200), 80, Layout.V5_TURNED),
        ((84, 8400), None, Layout.V8),
        ((25200, 85), None, Layout.V5),
        ((8400, 85), 80, None),  # YOLOX
        ((8400, 85), None, None),
        ((8400, 6), None, None),
        ((300, 6), 80, None),
        ((83, 8400), 80, None),
        ((8400,), 80, None),
    ],
)
def test_the_shape_tells_the_layout(
    shape: tuple[int, ...], classes: int | None, layout: Layout | None
) -> None:
    assert find_layout(shape, classes, 8400) is layout


@pytest.mark.parametrize("said", [None, "", "person", "{", 7, [], {}, {"a": "person"}, "{1: 2: 3}"])
def test_names_that_are_none(said: object) -> None:
    assert read_names(said) is None


def test_who_is_a_person() -> None:
    assert person_class(Path("a"), {0: "car", 1: " Person"}, None, 2) == 1
    assert person_class(Path("a"), None, None, 1) == 0
    assert person_class(Path("a"), {0: "car", 1: "person"}, 0, 2) == 0
