"""Detectors that look at one picture, or at a file: NMS, YOLOX, ultralytics, det.txt."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from foundation.arrays import Image
from foundation.errors import ReuniteError
from foundation.mot_files import read_mot
from foundation.weights import WEIGHTS_VARIABLE, find_weights, weights_folder
from tests.conftest import shared_folder
from tracker.config import FileDetectorConfig, OnnxDetectorConfig, UltralyticsDetectorConfig
from tracker.detectors.mot_file import FileDetector
from tracker.detectors.nms import suppress_overlaps
from tracker.detectors.onnx_yolox import OnnxDetector, decode_yolox, yolox_grid
from tracker.detectors.yolo import UltralyticsDetector, _import_yolo
from tracker.detectors.yolo_layout import person_class
from tracker.geometry import iou_matrix, xywh_to_xyxy
from tracker.stages import Detector
from tracker.types import CameraName, Detections, Frame, Tick, blank_image


def tick_of(*images: Image, number: int = 1) -> Tick:
    return Tick(
        0.0,
        tuple(Frame(CameraName(f"cam{i}"), number, 0.0, image) for i, image in enumerate(images, start=1)),
    )


def plain(width: int, height: int, blue_green_red: tuple[int, int, int]) -> Image:
    return np.full((height, width, 3), blue_green_red, np.uint8)


# Non-maximum suppression


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], np.float64)
    assert suppress_overlaps(boxes, np.array([-0.5, 0.9, 0.1]), 0.5).tolist() == [1, 2]


def test_a_box_that_only_a_dropped_box_overlaps_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float64)
    assert suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


@given(
    st.lists(
        st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2, st.integers(-3, 3)), max_size=12
    ),
    st.floats(0, 1),
)
def test_kept_boxes_are_apart_and_dropped_ones_lie_on_a_better_one(
    rows: list[tuple[int, int, int, int, int]], max_iou: float
) -> None:
    table = np.array(rows, np.float64).reshape(-1, 5)
    boxes, scores = xywh_to_xyxy(table[:, :4]), table[:, 4]
    kept = suppress_overlaps(boxes, scores, max_iou)
    overlaps = iou_matrix(boxes, boxes) > max_iou
    assert not np.triu(overlaps[np.ix_(kept, kept)], 1).any()
    assert (np.diff(scores[kept]) <= 0).all()
    for dropped in set(range(len(boxes))) - set(kept.tolist()):
        assert any(overlaps[dropped, row] and scores[row] >= scores[dropped] for row in kept)


# Weights


def test_weights_are_a_path_or_a_name_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "net.onnx").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert find_weights("net.onnx", tmp_path / "shelf") == tmp_path / "shelf" / "net.onnx"
    assert find_weights("sub/net.onnx", tmp_path / "shelf") is None
    (tmp_path / "here" / "net.onnx").touch()
    assert find_weights("net.onnx", tmp_path / "shelf") == Path("net.onnx")


def test_the_setting_beats_the_variable_beats_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    assert weights_folder("") == Path("weights")
    monkeypatch.setenv(WEIGHTS_VARIABLE, "/shelf")
    assert weights_folder("") == Path("/shelf")
    assert weights_folder("/mine") == Path("/mine")


# YOLOX through ONNX Runtime


def write_yolox(
    path: Path, batch: int | str, width: int, height: int, cell: int, raw: Sequence[float], columns: int = 6
) -> Path:
    """A model with one box, at row ``cell``, whose objectness is the blue of the top left pixel / 255."""
    rows = len(yolox_grid(width, height)[0])
    box, where = np.zeros((2, 1, rows, columns), np.float32)
    box[0, cell, :4], box[0, cell, 5], where[0, cell, 4] = raw, 1.0, 1 / 255
    constants: dict[str, NDArray[Any]] = {
        "box": box,
        "where": where,
        "starts": np.zeros(4, np.int64),
        "ends": np.array([9999, 1, 1, 1]),
        "shape": np.array([-1, 1, 1]),
    }
    nodes = [
        helper.make_node("Slice", ["images", "starts", "ends"], ["corner"]),
        helper.make_node("Reshape", ["corner", "shape"], ["blue"]),
        helper.make_node("Mul", ["blue", "where"], ["objectness"]),
        helper.make_node("Add", ["objectness", "box"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, height, width])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, rows, columns])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def test_a_raw_row_is_decoded_from_its_cell_and_stride() -> None:
    grid, strides = yolox_grid(64, 32)
    assert len(grid) == 8 * 4 + 4 * 2 + 2 * 1
    assert grid[9].tolist() == [1, 1]
    assert strides[[31, 32, 39, 40]].tolist() == [8, 16, 16, 32]
    # Centre (1 + 0.5, 1 + 0.25) cells of 8 pixels, size e^0 and e^ln2 cells.
    raw = np.array([[0.5, 0.25, 0.0, np.log(2.0)]])
    assert decode_yolox(raw, grid[9:10], strides[9:10]) == pytest.approx(np.array([[8.0, 2.0, 16.0, 18.0]]))


@pytest.mark.parametrize("batch", ["n", 1, 2, 5])
def test_every_frame_of_a_tick_gets_its_own_boxes(tmp_path: Path, batch: int | str) -> None:
    path = write_yolox(tmp_path / "net.onnx", batch, 64, 32, 9, (0.5, 0.25, 0.0, 0.0))
    detector = OnnxDetector(OnnxDetectorConfig(weights=str(path), threads=1))
    found = detector.detect(
        tick_of(plain(64, 32, (255, 0, 9)), plain(128, 64, (51, 0, 0)), plain(64, 32, (0, 255, 255)))
    )
    assert [len(people) for people in found] == [1, 1, 0]
    assert found[0].boxes == pytest.approx(np.array([[8.0, 6.0, 16.0, 14.0]]))
    assert found[1].boxes == pytest.approx(np.array([[16.0, 12.0, 32.0, 28.0]]))  # twice as large a picture
    assert [people.scores.tolist() for people in found[:2]] == [pytest.approx([1.0]), pytest.approx([0.2])]
    assert detector.state() == {}


def test_open_sides_take_the_size_of_the_setting(tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "net.onnx", "n", 96, 96, 0, (0.5, 0.5, 0.0, 0.0))
    model = onnx.load(str(path))
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    onnx.save(model, str(path))
    detector = OnnxDetector(OnnxDetectorConfig(weights=str(path), image_size_px=96))
    assert len(detector.detect(tick_of(plain(50, 90, (200, 0, 0))))[0]) == 1


def test_a_missing_onnx_file_names_the_way_out(tmp_path: Path) -> None:
    config = OnnxDetectorConfig(weights="none.onnx", weights_folder=str(tmp_path))
    with pytest.raises(ReuniteError, match=rf"'none.onnx'.*{tmp_path}.*REUNITE_WEIGHTS.*embedded"):
        OnnxDetector(config)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ReuniteError, match=r"net.onnx: ONNX Runtime cannot load it"):
        OnnxDetector(OnnxDetectorConfig(weights=str(path)))


def test_a_model_that_is_no_yolox_is_named_with_its_shape(tmp_path: Path) -> None:
    path = write_yolox(tmp_path / "net.onnx", 1, 64, 32, 0, (0, 0, 0, 0), columns=84)
    with pytest.raises(ReuniteError, match=r"no YOLOX people detector.*\(1, 42, 84\).*\(batch, 42, 85\)"):
        OnnxDetector(OnnxDetectorConfig(weights=str(path)))


# Files


def write_detections(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows))
    return path


def test_rows_are_found_by_camera_and_frame(tmp_path: Path) -> None:
    write_detections(tmp_path / "cam1.txt", "3,-1,5,6,10,20,0.5", "1,-1,1,2,3,4,0.9", "3,-1,0,0,1,1,-2")
    write_detections(tmp_path / "cam2" / "det" / "det.txt")
    locations = {CameraName("cam1"): "a.mp4", CameraName("cam2"): "b.mp4"}
    detector = FileDetector(FileDetectorConfig(path=str(tmp_path), min_score=-9), locations)
    blank = blank_image(64, 48)
    first, nobody = detector.detect(tick_of(blank, blank, number=3))
    assert first.boxes.tolist() == [[5, 6, 15, 26], [0, 0, 1, 1]]
    assert first.scores.tolist() == [0.5, -2]
    assert len(nobody) == 0
    assert [len(detector.detect(tick_of(blank, number=number))[0]) for number in (1, 2, 4)] == [1, 0, 0]
    assert detector.state() == {}


@pytest.mark.parametrize("source", ["cam1.mp4", "SEQ", "SEQ/img1"])
def test_without_a_path_det_txt_lies_beside_the_source(tmp_path: Path, source: str) -> None:
    (tmp_path / "SEQ" / "img1").mkdir(parents=True)
    folder = "cam1" if source.endswith(".mp4") else "SEQ"
    write_detections(tmp_path / folder / "det" / "det.txt", "1,-1,5,6,10,20,0.5")
    detector = FileDetector(FileDetectorConfig(), {CameraName("cam1"): str(tmp_path / source)})
    assert len(detector.detect(tick_of(blank_image(64, 48)))[0]) == 1


def test_a_camera_without_detections_is_named_with_the_places_that_were_tried(tmp_path: Path) -> None:
    config = FileDetectorConfig(path=str(tmp_path))
    with pytest.raises(ReuniteError, match=r"camera 'door'.*door.txt or .*door/det/det.txt.*detector.path"):
        FileDetector(config, {CameraName("door"): "door.mp4"})


@pytest.mark.parametrize("row", ["2,-1,nan,0,5,5,1", "2,-1,0,0,-5,5,1", "2,-1,0,0,5,0,1"])
def test_a_row_that_is_no_box_is_named(tmp_path: Path, row: str) -> None:
    write_detections(tmp_path / "door.txt", "1,-1,0,0,5,5,1", row)
    with pytest.raises(ReuniteError, match=r"door.txt, row 2"):
        FileDetector(FileDetectorConfig(path=str(tmp_path)), {CameraName("door"): "door.mp4"})


def test_rows_below_the_lowest_score_are_dropped(tmp_path: Path) -> None:
    write_detections(tmp_path / "cam1.txt", *(f"1,-1,{score},0,5,5,{score}" for score in (3, -1, 0.5, 0.4)))
    config = FileDetectorConfig(path=str(tmp_path), min_score=0.5)
    detector = FileDetector(config, {CameraName("cam1"): "a.mp4"})
    assert detector.detect(tick_of(blank_image(64, 48)))[0].boxes[:, 0].tolist() == [3, 0.5]


def test_a_sigmoid_brings_any_score_into_the_unit_interval(tmp_path: Path) -> None:
    write_detections(tmp_path / "cam1.txt", *(f"1,-1,0,0,5,5,{score}" for score in (-1e6, -1, 0, 3, 1e6)))
    config = FileDetectorConfig(path=str(tmp_path), score_transform="sigmoid", min_score=0)
    detector = FileDetector(config, {CameraName("cam1"): "a.mp4"})
    scores = detector.detect(tick_of(blank_image(64, 48)))[0].scores
    assert scores == pytest.approx([0, 1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-3)), 1])


# ultralytics


def test_the_person_class_is_found_by_its_name_or_because_it_is_alone() -> None:
    assert person_class(Path("a.pt"), {0: "car", 1: "Person"}, None, 2) == 1
    assert person_class(Path("a.pt"), {0: "pedestrian"}, None, 1) == 0
    with pytest.raises(ReuniteError, match=r"a.pt: none of its 2 classes \(car, dog, ...\)"):
        person_class(Path("a.pt"), {0: "car", 1: "dog"}, None, 2)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ReuniteError, match=r"pip install -e '\.\[ultralytics\]'"):
        UltralyticsDetector(UltralyticsDetectorConfig(weights="yolo11n.pt"))


def test_weights_that_cannot_be_downloaded_name_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ultralytics", reason="an extra of the package, AGPL-3.0")
    from ultralytics.utils import downloads

    def fail(file: str | Path) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(downloads, "attempt_download_asset", fail)
    monkeypatch.chdir(tmp_path)
    config = UltralyticsDetectorConfig(weights="yolo11n.pt", weights_folder=str(tmp_path / "shelf"))
    with pytest.raises(ReuniteError, match=rf"{tmp_path}/shelf.*no route to host.*REUNITE_WEIGHTS.*embedded"):
        UltralyticsDetector(config)


def test_an_export_that_does_not_exist_is_not_searched_in_the_network(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="an extra of the package, AGPL-3.0")
    config = UltralyticsDetectorConfig(weights=str(tmp_path / "x_openvino_model"))
    with pytest.raises(ReuniteError, match=r"x_openvino_model.*there is no such file"):
        UltralyticsDetector(config)


def test_a_pt_file_runs_quietly_and_writes_nothing(tmp_path: Path) -> None:
    """In a process of its own: what ultralytics prints and writes, it does when it is first imported."""
    pytest.importorskip("ultralytics", reason="an extra of the package, AGPL-3.0")
    script = """
        import os, sys
        import cv2
        cv2.setNumThreads(2)
        import numpy as np
        from tracker.config import UltralyticsDetectorConfig
        from tracker.detectors.yolo import UltralyticsDetector, _import_yolo
        from tracker.types import CameraName, Frame, Tick
        model = _import_yolo()("yolo11n.yaml")
        model.model.names = {number: f"class {number}" for number in range(79)} | {79: "person"}
        model.save(sys.argv[1])
        detector = UltralyticsDetector(UltralyticsDetectorConfig(weights=sys.argv[1], image_size_px=64))
        sizes = {"a": 64, "b": 96, "c": 64}
        frames = [Frame(CameraName(c), 1, 0.0, np.zeros((48, w, 3), np.uint8)) for c, w in sizes.items()]
        assert [len(people) for people in detector.detect(Tick(0.0, tuple(frames)))] == [0, 0, 0]
        assert cv2.getNumThreads() == 2, cv2.getNumThreads()
        from ultralytics.utils import AUTOINSTALL, ONLINE, SAFE_LOAD
        from ultralytics.utils.events import events
        assert (AUTOINSTALL, ONLINE, SAFE_LOAD, events.enabled) == (False, False, True, False)
    """
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}
    for name in ("YOLO_CONFIG_DIR", "XDG_CONFIG_HOME"):
        environment.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "net.pt")],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []


# Real pictures


def pets_frames(numbers: Sequence[int]) -> tuple[list[Image], list[Detections]]:
    """Pictures of PETS09-S2L1, and who is to be found there."""
    folder = shared_folder() / "data" / "video"
    truth = read_mot(folder / "PETS09-S2L1" / "gt" / "gt.txt")
    truth = truth[truth.scores > 0]
    capture = cv2.VideoCapture(str(folder / "PETS09-S2L1.mp4"))
    images, people = [], []
    for number in range(1, max(numbers) + 1):
        there, image = capture.read()
        assert there
        if number in numbers:
            rows = truth[truth.frames == number]
            images.append(np.asarray(image, np.uint8))
            people.append(Detections(xywh_to_xyxy(rows.boxes), rows.scores))
    return images, people


def found_share(found: Sequence[Detections], people: Sequence[Detections], min_score: float) -> float:
    hits = [
        (iou_matrix(seen.boxes[seen.scores >= min_score], truth.boxes) >= 0.5).any(axis=0)
        for seen, truth in zip(found, people, strict=True)
    ]
    return float(np.concatenate(hits).mean())


@pytest.mark.real
@pytest.mark.parametrize("kind", ["onnx", "ultralytics"])
def test_networks_find_people_and_a_batch_gives_what_single_frames_give(kind: str) -> None:
    weights = shared_folder() / "weights"
    detector: Detector
    if kind == "onnx":
        detector = OnnxDetector(OnnxDetectorConfig(weights=str(weights / "yolox_nano.onnx"), threads=2))
    else:
        folder = str(weights / "yolo11n_int8_openvino_model")
        detector = UltralyticsDetector(UltralyticsDetectorConfig(weights=folder))
    images, people = pets_frames([1, 80, 160, 240])
    found = detector.detect(tick_of(*images))
    for image, together in zip(images, found, strict=True):
        (alone,) = detector.detect(tick_of(image))
        assert np.array_equal(alone.boxes, together.boxes)
        assert np.array_equal(alone.scores, together.scores)
    assert found_share(found, people, 0.25) > 0.85
    mixed = detector.detect(tick_of(images[0], blank_image(1920, 1080), images[1]))
    assert len(mixed[1]) == 0
    assert found_share([mixed[0], mixed[2]], people[:2], 0.25) > 0.85


def test_one_file_is_enough_for_one_video_and_cars_are_no_people(tmp_path: Path) -> None:
    (tmp_path / "any.txt").write_text("1,1,10,20,30,40,0.9,1,0,0\n1,2,60,20,30,40,0.8,4,0,0\n")
    config = FileDetectorConfig(path=str(tmp_path / "any.txt"))
    detector = FileDetector(config, {CameraName("door"): "door.mp4"})
    frame = Frame(CameraName("door"), 1, 0.0, blank_image(160, 120))
    assert detector.detect(Tick(0.0, (frame,)))[0].scores.tolist() == [0.9]
    with pytest.raises(ReuniteError, match="is one file, but there are 2 cameras"):
        FileDetector(config, {CameraName("door"): "door.mp4", CameraName("hall"): "hall.mp4"})


def test_a_pt_file_with_weights_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics", reason="an extra of the package, AGPL-3.0")
    path = str(tmp_path / "nan.pt")
    model = _import_yolo()("yolo11n.yaml")
    next(model.model.parameters()).data.fill_(float("nan"))
    model.save(path)
    with pytest.raises(ReuniteError, match=r"nan\.pt: holds weights that are no numbers"):
        UltralyticsDetector(UltralyticsDetectorConfig(weights=path))
