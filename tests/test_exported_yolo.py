"""YOLO exports that are run without ultralytics: letterbox, decoding, and the very boxes of ultralytics."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from foundation.arrays import Image
from foundation.errors import ReuniteError
from tests.conftest import shared_folder
from tracker.build import build_detector
from tracker.config import UltralyticsDetectorConfig
from tracker.detectors.exported_yolo import (
    ExportedYolo,
    Infer,
    Network,
    find_export,
    fitting_size,
)
from tracker.detectors.openvino_yolo import read_yolo
from tracker.detectors.yolo import UltralyticsDetector
from tracker.geometry import iou_matrix
from tracker.stages import Detector
from tracker.types import CameraName, Detections, Frame, Tick, blank_image

NAMES = {0: "car", 1: "person", 2: "chair"}


def tick_of(*images: Image) -> Tick:
    return Tick(0.0, tuple(Frame(CameraName(f"cam{i}"), 1, 0.0, image) for i, image in enumerate(images)))


def detector_of(*columns: list[float], takes_any: bool = False) -> ExportedYolo:
    """A network of 640 x 640 that gives these: centre x, y, width, height, scores of car, person, chair."""
    output: NDArray[np.float32] = np.array(columns, np.float32).reshape(-1, 7).T

    def open_it(size: tuple[int, int]) -> list[Infer]:
        return [lambda picture: output] * 2

    network = Network(Path("some.xml"), (640, 640), takes_any, NAMES, 3, 2, open_it)
    return ExportedYolo(network, UltralyticsDetectorConfig())


# Pictures


@pytest.mark.parametrize(
    ("picture", "largest", "fits"),
    [
        ((1920, 1080), (640, 640), (640, 384)),  # 640 x 360
        ((768, 576), (640, 640), (640, 480)),
        ((1080, 1920), (640, 640), (384, 640)),
        ((500, 500), (640, 640), (640, 640)),
        ((5000, 10), (640, 640), (640, 32)),
        ((1920, 1080), (640, 320), (576, 320)),  # 569 x 320
    ],
)
def test_the_input_is_the_smallest_that_holds_the_picture_as_large(
    picture: tuple[int, int], largest: tuple[int, int], fits: tuple[int, int]
) -> None:
    assert fitting_size(picture, largest) == fits


# Boxes


def test_boxes_come_back_in_pixels_of_the_frame() -> None:
    # 1280 x 720 stands in 640 x 640 at half its size, from row 140 on.
    found = detector_of([320, 320, 20, 60, 0, 0.9, 0]).detect(tick_of(blank_image(1280, 720)))
    assert found[0].boxes.tolist() == [[620, 300, 660, 420]]
    assert found[0].scores == pytest.approx([0.9])


def test_a_box_that_is_more_a_chair_and_a_score_that_is_too_low_are_no_people() -> None:
    cells = [[100, 300, 20, 60, 0, 0.5, 0.6], [300, 300, 20, 60, 0, 0.09, 0], [500, 300, 20, 60, 0, 0.1, 0]]
    found = detector_of(*cells).detect(tick_of(blank_image(640, 640)))
    assert found[0].boxes.tolist() == [[490, 270, 510, 330]], "at min_score, 0.1, it stays"


def test_boxes_are_clipped_and_what_has_no_area_then_goes() -> None:
    cells = [[5, 300, 20, 60, 0, 0.9, 0], [-50, 300, 20, 60, 0, 0.8, 0], [300, 300, 0, 60, 0, 0.7, 0]]
    found = detector_of(*cells).detect(tick_of(blank_image(640, 640)))
    assert found[0].boxes.tolist() == [[0, 270, 15, 330]]


def test_of_two_boxes_on_one_person_the_better_stays() -> None:
    cells = [[100, 300, 40, 100, 0, 0.5, 0], [102, 300, 40, 100, 0, 0.8, 0]]
    found = detector_of(*cells).detect(tick_of(blank_image(640, 640)))
    assert found[0].scores == pytest.approx([0.8])


def test_every_frame_has_its_own_people_or_nobody_whatever_its_size() -> None:
    def infer(picture: Image) -> NDArray[np.float32]:
        bright = picture[picture.shape[0] // 2, picture.shape[1] // 2, 0]  # stands where it is bright
        return np.array([[bright, 32, 8, 16, 0, 0.9 if bright else 0.01, 0]], np.float32).T

    network = Network(Path("some.xml"), (64, 64), True, NAMES, 3, 2, lambda _: [infer] * 2)
    detector = ExportedYolo(network, UltralyticsDetectorConfig())
    images = [
        np.full((64 * zoom, 64 * zoom, 3), level, np.uint8) for level, zoom in ((20, 1), (0, 1), (30, 2))
    ]
    for _ in range(2):
        found = detector.detect(tick_of(*images))
        assert [people.boxes.tolist() for people in found] == [[[16, 24, 24, 40]], [], [[52, 48, 68, 80]]]


def test_a_network_without_people_is_refused() -> None:
    network = Network(Path("cars.xml"), (640, 640), False, {0: "car", 1: "bus"}, 2, 1, lambda _: [])
    with pytest.raises(ReuniteError, match="none of its 2 classes"):
        ExportedYolo(network, UltralyticsDetectorConfig())


def test_an_error_of_the_runtime_reaches_the_caller_and_the_next_tick_goes_on() -> None:
    answers: Iterator[RuntimeError | NDArray[np.float32]] = iter(
        [RuntimeError("out of memory"), np.zeros((7, 1), np.float32)]
    )

    def infer(picture: Image) -> NDArray[np.float32]:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    network = Network(Path("some.xml"), (64, 64), False, NAMES, 3, 1, lambda _: [infer])
    detector = ExportedYolo(network, UltralyticsDetectorConfig())
    with pytest.raises(RuntimeError, match="out of memory"):
        detector.detect(tick_of(blank_image(64, 64)))
    assert len(detector.detect(tick_of(blank_image(64, 64)))[0]) == 0


# What is an export


@pytest.mark.parametrize("name", ["missing_openvino_model", "a.pt", "empty_openvino_model", "broken.onnx"])
def test_what_is_no_export_is_left_to_ultralytics(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty_openvino_model").mkdir()
    (tmp_path / "a.pt").write_bytes(b"zip")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    assert find_export(UltralyticsDetectorConfig(weights=str(tmp_path / name))) is None


# Real pictures


FOLDER = shared_folder() / "weights" / "yolo11n_int8_openvino_model"


def frames_of(name: str, every: int, count: int) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(shared_folder() / "data" / "video" / f"{name}.mp4"))
    for number in range(every * count):
        there, image = capture.read()
        assert there
        if number % every == 0:
            yield np.asarray(image, np.uint8)


def square_of(images: list[Image]) -> list[Image]:
    side = min(images[0].shape[:2])
    return [np.ascontiguousarray(image[:side, :side]) for image in images]


@pytest.fixture(scope="module", params=["PETS09-S2L1", "MOT16-11"])
def images(request: pytest.FixtureRequest) -> list[Image]:
    """Some of a real video."""
    return list(frames_of(request.param, every=20, count=6))


@pytest.fixture(scope="module")
def ultralytics() -> UltralyticsDetector:
    """With the grey bars, as ultralytics runs this export."""
    pytest.importorskip("ultralytics", reason="an extra of the package, AGPL-3.0")
    return UltralyticsDetector(UltralyticsDetectorConfig(weights=str(FOLDER)))


@pytest.mark.real
def test_boxes_are_those_of_ultralytics_on_the_whole_square(
    images: list[Image], ultralytics: UltralyticsDetector
) -> None:
    config = UltralyticsDetectorConfig(weights=str(FOLDER))
    network = find_export(config)
    assert network is not None
    # With the bars too; and on square pictures, which have none.
    for network_used, shown in ((network._replace(takes_any=False), images), (network, square_of(images))):
        ours = ExportedYolo(network_used, config)
        for image in shown:
            (mine,), (other,) = ours.detect(tick_of(image)), ultralytics.detect(tick_of(image))
            assert len(mine) == len(other) > 0
            apart = np.abs(mine.boxes[:, None] - other.boxes[None]).max(axis=2)
            assert apart.min(axis=1).max() < 1
            assert mine.scores == pytest.approx(other.scores[apart.argmin(axis=1)], abs=1e-3)


@pytest.mark.real
def test_without_the_grey_bars_the_same_people_are_found(images: list[Image]) -> None:
    config = UltralyticsDetectorConfig(weights=str(FOLDER), min_score=0.3)
    network = find_export(config)
    assert network is not None
    narrow = ExportedYolo(network, config).detect(tick_of(*images))
    square = ExportedYolo(network._replace(takes_any=False), config).detect(tick_of(*images))
    overlaps = [
        iou_matrix(a.boxes, b[b.scores > 0.4].boxes).max(axis=0) for a, b in zip(narrow, square, strict=True)
    ]
    found: NDArray[Any] = np.concatenate(overlaps)
    assert (found > 0.8).mean() > 0.97
    assert np.median(found) > 0.97


@pytest.mark.real
def test_an_export_has_a_network_for_every_shape_and_keeps_its_classes() -> None:
    model = read_yolo(FOLDER / "yolo11n.xml", 640)
    assert model is not None
    assert (model.size, model.channels, model.is_open) == ((640, 640), 84, False)
    for width, height in ((640, 384), (32, 32), (320, 640)):
        narrow = model.at_size((width, height))
        cells = width * height * (1 / 64 + 1 / 256 + 1 / 1024)
        assert list(narrow.output(0).get_shape()) == [1, 84, cells]


@pytest.mark.real
def test_ticks_from_many_threads_give_what_one_after_the_other_gives() -> None:
    from concurrent.futures import ThreadPoolExecutor

    detector: Detector = build_detector(UltralyticsDetectorConfig(weights=str(FOLDER)), {})
    assert isinstance(detector, ExportedYolo)
    ticks = [tick_of(image, image[::2, ::2]) for image in frames_of("PETS09-S2L1", every=5, count=8)]
    in_turn = [detector.detect(tick) for tick in ticks]
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(detector.detect, ticks))
    flat: list[tuple[Detections, Detections]] = [
        pair for one, other in zip(in_turn, at_once, strict=True) for pair in zip(one, other, strict=True)
    ]
    assert any(len(one) for one, _ in flat)
    assert all(np.array_equal(one.boxes, other.boxes) for one, other in flat)
    assert all(np.array_equal(one.scores, other.scores) for one, other in flat)
