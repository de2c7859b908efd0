"""Networks of other people: their input, their batch, and what is wrong with bad ones."""

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from foundation.errors import ReuniteError
from reid.runtime import CONVENTIONS, EmbedderError, open_embedder

HEIGHT, WIDTH = 4, 2


def write_onnx(
    path: Path,
    batch: int | str = "batch",
    scale: float = 1.0,
    out: str = "mean",
    channels: int = 3,
    height: int | str = HEIGHT,
    number: int = TensorProto.FLOAT,
    made_for: int = 0,
) -> Path:
    """A network that gives the mean of each channel, times ``scale``; its first two axes only if asked.

    Of ``made_for`` pictures the shape is written into it, as some exporters do.
    """
    nodes = [
        helper.make_node("Cast", ["pictures"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["cast"], ["pooled"]),
        helper.make_node("Reshape", ["pooled", "shape"], ["flat"])
        if made_for
        else helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["mean"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pictures", number, [batch, channels, height, WIDTH])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.array(scale, np.float32), "scale"),
            numpy_helper.from_array(np.array([made_for, channels], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def as_openvino(path: Path) -> Path:
    xml = path.with_suffix(".xml")
    openvino.save_model(openvino.convert_model(path), xml, compress_to_fp16=False)
    return xml


def coloured(*colours: tuple[int, int, int]) -> list[NDArray[np.uint8]]:
    """One picture of each colour (blue, green, red)."""
    return [np.full((9, 5, 3), colour, np.uint8) for colour in colours]


def unit(*values: float) -> list[float]:
    vector = np.array(values)
    return list(vector / np.linalg.norm(vector))


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_bgr255_gives_raw_bytes_with_blue_first(tmp_path: Path, kind: str) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    embedder = open_embedder(
        as_openvino(path) if kind == "openvino" else path, convention="bgr255", exact=True
    )
    assert embedder.embed(coloured((30, 20, 10)))[0] == pytest.approx(unit(30, 20, 10), abs=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_imagenet_gives_normalised_numbers_with_red_first(tmp_path: Path, kind: str) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    embedder = open_embedder(
        as_openvino(path) if kind == "openvino" else path, convention="imagenet", exact=True
    )
    mean, std, _ = CONVENTIONS["imagenet"]
    expected = unit(*((v / 255 - m) / s for v, m, s in zip((10, 20, 30), mean, std, strict=True)))
    assert embedder.embed(coloured((30, 20, 10)))[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 4, "batch"])
@pytest.mark.parametrize("kind", ["onnx", "openvino"])
@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_rows_stay_in_order_whatever_the_batch(
    tmp_path: Path, kind: str, batch: int | str, count: int
) -> None:
    path = write_onnx(tmp_path / "net.onnx", batch)
    embedder = open_embedder(
        as_openvino(path) if kind == "openvino" else path, convention="bgr255", batch_size=3, exact=True
    )
    colours = [(10 * place + 1, 100, 200) for place in range(count)]
    found = embedder.embed(coloured(*colours))
    assert found.shape == (count, 3)
    assert found.dtype == np.float32
    for row, colour in zip(found, colours, strict=True):
        assert row == pytest.approx(unit(*colour), abs=1e-5)


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_network_made_for_one_batch_gets_that_batch(tmp_path: Path, kind: str, count: int) -> None:
    path = write_onnx(tmp_path / "net.onnx", 4, made_for=4)
    embedder = open_embedder(as_openvino(path) if kind == "openvino" else path, convention="bgr255")
    colours = [(10 * place + 1, 100, 200) for place in range(count)]
    for row, colour in zip(embedder.embed(coloured(*colours)), colours, strict=True):
        assert row == pytest.approx(unit(*colour), abs=1e-3)


def test_an_input_of_any_number_of_axes_is_refused(tmp_path: Path) -> None:
    entrance = openvino.opset13.parameter(openvino.PartialShape.dynamic(), np.float32)
    openvino.save_model(openvino.Model([openvino.opset13.relu(entrance)], [entrance]), tmp_path / "any.xml")
    with pytest.raises(EmbedderError, match=r"any\.xml: its input must be pictures .*, got any shape"):
        open_embedder(tmp_path / "any.xml", convention="bgr255")


def test_a_network_that_gives_no_direction_is_named(tmp_path: Path) -> None:
    embedder = open_embedder(write_onnx(tmp_path / "zeros.onnx", scale=0.0), convention="bgr255")
    with pytest.raises(EmbedderError, match=r"zeros\.onnx: embedding 0 has length 0\.0"):
        embedder.embed(coloured((1, 2, 3)))


def test_a_file_that_does_not_say_how_to_prepare_pictures_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    with pytest.raises(
        EmbedderError,
        match=r"does not say how pictures are prepared; .* --preprocess, .*: imagenet, bgr255",
    ):
        open_embedder(path)
    with pytest.raises(EmbedderError, match="preprocessing 'rgb': must be one of imagenet, bgr255"):
        open_embedder(path, convention="rgb")


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_that_takes_no_pictures_is_refused(tmp_path: Path, channels: int) -> None:
    path = write_onnx(tmp_path / "net.onnx", channels=channels)
    with pytest.raises(EmbedderError, match="its input must be pictures"):
        open_embedder(path, convention="bgr255")


def test_a_network_of_unknown_size_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", height="height")
    with pytest.raises(EmbedderError, match="its input must be pictures"):
        open_embedder(path, convention="bgr255")


def test_a_network_that_gives_maps_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", out="pooled")
    with pytest.raises(EmbedderError, match=r"must give \(1, D\) for 1 pictures, gave \(1, 3, 1, 1\)"):
        open_embedder(path, convention="bgr255")


def test_a_network_that_takes_other_numbers_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", number=TensorProto.UINT8)
    with pytest.raises(EmbedderError, match=r"cannot be run on pictures in 32 bits.*tensor\(uint8\)"):
        open_embedder(path, convention="bgr255")


def test_openvino_is_quoted_for_what_it_says_and_not_for_where(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_bytes(b"something else")
    with pytest.raises(EmbedderError, match=r"cannot open it \(Unable to read the model"):
        open_embedder(tmp_path / "net.xml", convention="bgr255")


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".torchscript", ".safetensors"])
def test_a_file_of_something_else_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"something else" * 40)
    with pytest.raises(ReuniteError, match=rf"net\{suffix}: "):
        open_embedder(path, convention="bgr255")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere.onnx", "no such file"), ("net.pt", "must end in .* pickled weights are never opened")],
)
def test_a_path_that_cannot_be_a_network_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "net.pt").touch()
    with pytest.raises(EmbedderError, match=message):
        open_embedder(tmp_path / name)


def test_a_runtime_that_cannot_run_the_file_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    with pytest.raises(EmbedderError, match="runs on onnx, openvino, not on 'pytorch'"):
        open_embedder(path, "pytorch", "bgr255")
    with pytest.raises(EmbedderError, match="batch size 0"):
        open_embedder(path, "onnx", "bgr255", batch_size=0)
