"""The network as the tracker's embedder: crops of all cameras in one batch, only of whom somebody wants."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from foundation.arrays import BoolArray, Image
from foundation.errors import ReuniteError
from reid.checkpoint import save_weights
from reid.convert import OPSET
from reid.models import build_model
from reid.preprocess import DEFAULT
from reid.runtime import open_embedder
from reid.weights import DEFAULT_WEIGHTS
from tracker.config import ReidEmbedderConfig
from tracker.embedders.reid import ReidEmbedder, fingerprint
from tracker.geometry import pixel_boxes
from tracker.types import CameraName, Detections, Frame, Observations, Tick, blank_image

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, build_model("robust-reid-025x"), "robust-reid-025x", {}, DEFAULT, {})
    return path


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8)


def frame_of(name: str, image: Image) -> Frame:
    return Frame(CameraName(name), 1, 0.0, image)


def people_at(*boxes: Box) -> Detections:
    return Detections(np.array(boxes, np.float64).reshape(-1, 4), np.linspace(0.5, 0.9, len(boxes)))


def embed(
    embedder: ReidEmbedder, frames: list[Frame], people: list[Detections], needed: list[BoolArray]
) -> list[Observations]:
    return list(embedder.embed(Tick(0.0, tuple(frames)), people, needed))


def test_each_crop_is_embedded_as_by_itself_and_only_where_wanted(weights: Path) -> None:
    embedder = ReidEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch"))
    a, b = picture(1), picture(2)
    people = [people_at((10, 20, 50, 120), (60.5, 20.2, 99.5, 119.9)), people_at(), people_at((0, 0, 40, 90))]
    needed = [np.array([False, True]), np.array([], np.bool_), np.array([True])]
    frames = [frame_of("a", a), frame_of("nobody", a), frame_of("b", b)]
    first, none, last = embed(embedder, frames, people, needed)
    alone = open_embedder(weights, "pytorch").embed([a[20:120, 60:100], b[:90, :40]])
    assert not first.embeddings[0].any()
    assert first.embeddings[1] == pytest.approx(alone[0], abs=1e-5)
    assert last.embeddings[0] == pytest.approx(alone[1], abs=1e-5)
    assert none.embeddings.shape == (0, alone.shape[1])
    assert first.boxes is people[0].boxes
    assert first.scores is people[0].scores


def test_a_box_beyond_the_picture_is_cut_and_one_outside_is_not_looked_at(weights: Path) -> None:
    embedder = ReidEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch"))
    image = picture(3)
    people = people_at((-30, -10, 20, 60), (400, 20, 440, 120), (1e9, 1e9, 2e9, 2e9))
    (seen,) = embed(embedder, [frame_of("a", image)], [people], [np.ones(3, np.bool_)])
    assert seen.embeddings[0] == pytest.approx(
        open_embedder(weights, "pytorch").embed([image[:60, :20]])[0], abs=1e-5
    )
    assert not seen.embeddings[1:].any()


def test_a_frame_without_a_picture_is_not_looked_at(weights: Path) -> None:
    embedder = ReidEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch"))
    people = people_at((10, 20, 50, 120))
    (seen,) = embed(embedder, [frame_of("a", blank_image(320, 240))], [people], [np.ones(1, np.bool_)])
    assert not seen.embeddings.any()


def test_pixel_boxes_hold_every_pixel_that_a_box_touches() -> None:
    boxes = people_at((0.2, 0.9, 1.1, 2.0), (318.7, 238.1, 500, 500)).boxes
    assert pixel_boxes(boxes, frame_of("a", picture(0))).tolist() == [[0, 0, 2, 2], [318, 238, 320, 240]]


@pytest.mark.parametrize("runtime", ["auto", "onnx", "openvino", "pytorch"])
def test_the_network_that_ships_opens_untold_and_is_the_same_on_all_runtimes(runtime: str) -> None:
    image = picture(4)
    people = people_at((10, 20, 50, 120), (100, 20, 160, 200))
    everybody = [np.ones(2, np.bool_)]
    config = ReidEmbedderConfig.model_validate({"runtime": runtime})
    (seen,) = embed(ReidEmbedder(config), [frame_of("a", image)], [people], everybody)
    reference = ReidEmbedder(ReidEmbedderConfig(runtime="pytorch"))
    (expected,) = embed(reference, [frame_of("a", image)], [people], everybody)
    cosines = (seen.embeddings * expected.embeddings).sum(axis=1)
    assert cosines == pytest.approx(1.0, abs=0.01)  # 16 bits where the CPU has them


def test_the_network_that_ships_says_nothing_of_the_machine_it_was_made_on() -> None:
    for suffix in (".onnx", ".safetensors"):
        content = DEFAULT_WEIGHTS.with_suffix(suffix).read_bytes()
        assert b".py" not in content
        assert b"site-packages" not in content


def test_the_onnx_file_that_ships_is_read_by_the_oldest_openvino_that_is_allowed() -> None:
    (opset,) = onnx.load(DEFAULT_WEIGHTS.with_suffix(".onnx")).opset_import
    assert opset.version == OPSET


def test_the_network_that_ships_is_one_whatever_file_and_runtime_it_is_opened_from(weights: Path) -> None:
    configs = [
        ReidEmbedderConfig(runtime="onnx"),
        ReidEmbedderConfig(runtime="pytorch"),
        ReidEmbedderConfig(weights=str(DEFAULT_WEIGHTS.with_suffix(".onnx"))),
    ]
    first, *others = (ReidEmbedder(config).network for config in configs)
    assert first is not None
    assert others == [first, first]
    assert (first.name, first.dimension) == (DEFAULT_WEIGHTS.stem, 256)
    other = ReidEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch")).network
    assert other is not None
    assert other.fingerprint != first.fingerprint


def test_another_preprocessing_and_another_half_of_two_files_are_another_network(tmp_path: Path) -> None:
    path = tmp_path / "other.xml"
    path.write_bytes(b"layers")
    path.with_suffix(".bin").write_bytes(b"weights")
    before = fingerprint(path)
    assert fingerprint(path, "imagenet") != fingerprint(path, "bgr255") != before
    path.with_suffix(".bin").write_bytes(b"others")
    assert fingerprint(path) != before
    path.with_suffix(".bin").unlink()
    with pytest.raises(ReuniteError, match=r"other\.xml: cannot be read"):
        fingerprint(path)


def test_weights_that_are_not_there_are_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match=r"embedder: .*none\.onnx: no such file"):
        ReidEmbedder(ReidEmbedderConfig(weights=str(tmp_path / "none.onnx")))
