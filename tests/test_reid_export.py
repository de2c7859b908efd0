"""Exported networks give what PyTorch gives, and say how pictures are prepared and what INT8 loses."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid import export, exporting
from reid.checkpoint import save_weights
from reid.convert import to_openvino
from reid.data import open_dataset, read_pictures
from reid.export import SUFFIXES
from reid.exporting import INT8_KEY, MAX_DIFFERENCE, export_model
from reid.judging import judge
from reid.models import ReidOutput, build_model
from reid.preprocess import DEFAULT, PREPROCESS_KEY, Preprocess
from reid.runtime import Runtime, open_embedder
from tests.drawn_people import PEOPLE, PICTURES, TINY, draw_market

pytestmark = pytest.mark.slow

PREPROCESS = Preprocess(8, 6, (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
RUNTIME_OF: dict[str, Runtime] = {"onnx": "onnx", "openvino": "openvino", "torchscript": "pytorch"}


def is_tracing() -> bool:
    return bool(torch._C._get_tracing_state())


class SmallNetwork(nn.Module):
    """Enough of a network to be exported in no time."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.linear = nn.Linear(3, 4)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(4, 3, generator=generator))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, pictures: Tensor) -> ReidOutput:
        feature = self.norm(self.linear(pictures.mean(dim=(2, 3))))
        return ReidOutput(nn.functional.normalize(feature), {"global": feature}, {})


class OnlyForTwo(SmallNetwork):
    """Holds the number of pictures it was traced with, as a careless reshape does."""

    def forward(self, pictures: Tensor) -> ReidOutput:
        return super().forward(pictures.reshape(2, 3, 8, 6) if is_tracing() else pictures)


class DiffersWhenTraced(SmallNetwork):
    def forward(self, pictures: Tensor) -> ReidOutput:
        return super().forward(pictures + 0.01 if is_tracing() else pictures)


def pictures_of_people(count: int) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (20 + place, 10, 3), np.uint8) for place in range(count)]


@pytest.mark.parametrize("to", SUFFIXES)
def test_an_exported_file_needs_nothing_but_itself(tmp_path: Path, to: str) -> None:
    model = SmallNetwork().eval()
    out = tmp_path / f"small{SUFFIXES[to]}"
    assert export_model(model, PREPROCESS, to, out) <= 1e-6
    embedder = open_embedder(out, exact=True)
    assert embedder.runtime.startswith(RUNTIME_OF[to])
    images = pictures_of_people(7)
    with torch.inference_mode():
        expected = model(torch.from_numpy(PREPROCESS(images))).embedding.numpy()
    for count in (0, 1, 7):
        assert embedder.embed(images[:count]) == pytest.approx(expected[:count], abs=1e-5)


@pytest.mark.parametrize("to", ["openvino", "torchscript"])
@pytest.mark.parametrize("network", [OnlyForTwo, DiffersWhenTraced])
def test_a_file_that_cannot_be_relied_on_is_removed(
    tmp_path: Path, to: str, network: type[SmallNetwork]
) -> None:
    with pytest.raises(ReuniteError, match="was removed, as it cannot be relied on"):
        export_model(network(), PREPROCESS, to, tmp_path / f"small{SUFFIXES[to]}")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ours.safetensors"
    torch.manual_seed(0)
    model = build_model("robust-reid-025x", **TINY).eval()
    save_weights(path, model, "robust-reid-025x", TINY, DEFAULT, {})
    return path


@pytest.mark.parametrize("to", ["openvino", "torchscript"])  # of ONNX, which is slow: tests/test_reid_path.py
def test_the_command_writes_our_network_beside_its_weights(
    weights: Path, to: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(weights), "--to", to]) == 0
    out = weights.with_suffix(SUFFIXES[to])
    assert str(out) in capsys.readouterr().out
    images = pictures_of_people(3)
    expected = open_embedder(weights, "pytorch").embed(images)
    assert open_embedder(out, exact=True).embed(images) == pytest.approx(expected, abs=MAX_DIFFERENCE)


def test_safetensors_run_on_openvino_without_an_export(weights: Path) -> None:
    images = pictures_of_people(3)
    expected = open_embedder(weights, "pytorch").embed(images)
    embedder = open_embedder(weights, "openvino", exact=True)
    assert embedder.embed(images) == pytest.approx(expected, abs=MAX_DIFFERENCE)
    assert (embedder.runtime, embedder.embedding_length) == ("openvino CPU", expected.shape[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onnx", "--int8"], "needs --to openvino and --data"),
        (["--to", "openvino", "--int8"], "needs --to openvino and --data"),
        (["--to", "onnx", "--out", "there.xml"], "must end in .onnx"),
        (["--to", "torchscript", "--out", "gone/net.torchscript"], "there is no folder gone; make it first"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert export.main([str(tmp_path / "no.safetensors"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_weights_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(tmp_path / "no.safetensors"), "--to", "onnx"]) == 2
    assert "no.safetensors" in capsys.readouterr().err


def test_int8_stays_near_to_32_bits(tmp_path: Path) -> None:
    model = SmallNetwork().eval()
    pictures = PREPROCESS(pictures_of_people(20))
    quantised = exporting.quantise(to_openvino(model, PREPROCESS), pictures)
    kinds = {operation.get_type_name() for operation in quantised.get_ordered_ops()}
    assert "FakeQuantize" in kinds
    out = tmp_path / "int8.xml"
    openvino.save_model(quantised, out)
    images = pictures_of_people(20)
    with torch.inference_mode():
        expected = model(torch.from_numpy(pictures)).embedding.numpy()
    cosines = (open_embedder(out, exact=True).embed(images) * expected).sum(axis=1)
    assert cosines.min() > 0.99
    assert cosines.min() < 1.0


def test_int8_without_nncf_says_how_to_get_it_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    assert export.main(["no.safetensors", "--to", "openvino", "--int8", "--data", "folder=no"]) == 2
    assert "needs nncf, which is not installed: pip install -e '.[quantise]'" in capsys.readouterr().err


class NotNormalised(SmallNetwork):
    def forward(self, pictures: Tensor) -> ReidOutput:
        return ReidOutput(self.linear(pictures.mean(dim=(2, 3))), {}, {})


def test_a_rare_peak_is_not_cut_off() -> None:
    pictures = np.full((10, 3, 8, 6), 0.1, np.float32)
    pictures[7] = 10.0
    network = NotNormalised().eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures[7:8])).embedding.numpy()
    quantised = exporting.quantise(to_openvino(network, PREPROCESS), pictures)
    found = np.asarray(openvino.Core().compile_model(quantised, "CPU")(pictures[7:8])[0])
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


class TwoConvolutions(SmallNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, pictures: Tensor) -> ReidOutput:
        return super().forward(self.second(self.first(pictures).relu()))


def test_the_first_convolution_stays_in_32_bits() -> None:
    pictures = PREPROCESS(pictures_of_people(20))
    quantised = exporting.quantise(to_openvino(TwoConvolutions(), PREPROCESS), pictures)
    convolutions = [part for part in quantised.get_ordered_ops() if part.get_type_name() == "Convolution"]
    inputs = [part.input_value(0).get_node().get_type_name() for part in convolutions]
    assert inputs == ["Parameter", "FakeQuantize"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "tiny.xml"
    torch.manual_seed(0)
    export_model(build_model("robust-reid-025x", **TINY), DEFAULT, "openvino", path)
    return path


@pytest.fixture
def tiny(exported: Path, tmp_path: Path) -> Path:
    for file in exported.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / exported.name


def about_int8(path: Path) -> dict[str, Any]:
    file = path.with_name(f"{path.stem}-int8.xml")
    about: dict[str, Any] = json.loads(openvino.Core().read_model(file).get_rt_info([INT8_KEY]).value)
    return about


def test_an_int8_file_states_what_it_loses(
    market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, folder = tmp_path / "tiny.safetensors", tmp_path / "out"
    folder.mkdir()
    torch.manual_seed(0)
    save_weights(weights, build_model("robust-reid-025x", **TINY), "robust-reid-025x", TINY, DEFAULT, {})
    out = folder / "tiny.xml"
    arguments = [str(weights), "--to", "openvino", "--out", str(out), "--int8", "--data", market]
    assert export.main(arguments) == 0
    about = about_int8(out)
    assert (about["data"], about["calibration_pictures"]) == ("market1501", PEOPLE * PICTURES)
    printed = capsys.readouterr().out
    for name, file in (("fp32", out), ("int8", folder / "tiny-int8.xml")):
        scores = judge(open_embedder(file, exact=True).embed, open_dataset(market)).as_dict()
        assert about[name] == pytest.approx(scores)
        assert f"{100 * scores['mAP']:.2f}" in printed
    files = {"tiny.xml", "tiny.bin", "tiny-int8.xml", "tiny-int8.bin"}
    assert {path.name for path in folder.iterdir()} == files


def test_int8_is_calibrated_on_nobody_who_is_judged(
    market: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    def leave_as_it_is(model: Any, pictures: Any) -> Any:
        seen.append(pictures)
        return model

    monkeypatch.setattr(exporting, "quantise", leave_as_it_is)
    exporting.export_int8(market, tiny)
    dataset = open_dataset(market)
    assert np.array_equal(seen[0], DEFAULT(read_pictures(dataset.images, dataset.train).images))
    about = about_int8(tiny)
    assert about["int8"] == about["fp32"]
    assert "warning" not in capsys.readouterr().err


def test_a_great_loss_by_int8_is_warned_of(
    market: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def see_nothing(model: Any, pictures: object) -> Any:
        blind = Preprocess(DEFAULT.height, DEFAULT.width, std=(1e30, 1e30, 1e30))
        model.set_rt_info(json.dumps(blind.to_dict()), [PREPROCESS_KEY])
        return model

    monkeypatch.setattr(exporting, "quantise", see_nothing)
    exporting.export_int8(market, tiny)
    about = about_int8(tiny)
    loss = 100 * (about["fp32"]["mAP"] - about["int8"]["mAP"])
    assert loss > exporting.MAX_INT8_LOSS
    assert f"loses {loss:.2f} points of mAP, more than 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("bounding_box_train", "no training picture to calibrate INT8 with"),
        ("query", "nothing to judge with"),
    ],
)
def test_int8_needs_people_to_train_on_and_people_to_find(
    tmp_path: Path, tiny: Path, missing: str, message: str
) -> None:
    market = draw_market(tmp_path / "market")
    for picture in (tmp_path / "market" / missing).iterdir():
        picture.unlink()
    with pytest.raises(ReuniteError, match=message):
        exporting.export_int8(market, tiny)
    assert not tiny.with_name("tiny-int8.xml").exists()
