"""Batch norms that are used to one place."""

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from foundation.cosine_prior import CosinePrior
from reid.adapt import MAX_CROPS, adapt, draw_crops, main
from reid.checkpoint import load_model, save_weights, write_prior
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.stored_prior import find_prior
from reid.training_pictures import network_input
from tests.drawn_people import TINY, draw_person

SIZE = Preprocess(32, 16)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "here.safetensors"
    save_weights(
        path, build_model("robust-reid-025x", **TINY), "robust-reid-025x", TINY, SIZE, {"why": "a test"}
    )
    return path


def draw_crops_to(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), draw_person(number, np.random.default_rng(number)))
    return folder


def test_an_adapted_network_sees_a_place_as_it_saw_it_in_training() -> None:
    torch.manual_seed(0)
    model = build_model("robust-reid-025x", **TINY).eval()
    rng = np.random.default_rng(1)
    crops = np.stack([SIZE.resize(draw_person(number, rng)) for number in range(100)])
    inputs = network_input(torch.from_numpy(crops), SIZE)
    with torch.no_grad():
        before = model(inputs).embedding
        adapt(model, SIZE, crops)
        assert not model.training
        found, expected = model(inputs).embedding, model.train()(inputs).embedding
    # Not equal: what training divides by N, statistics divide by N - 1.
    assert (found - expected).square().mean() < 0.01 * (before - expected).square().mean()


def test_the_command_keeps_what_the_weights_say_of_themselves(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior = CosinePrior(
        **dict(zip(CosinePrior.__dataclass_fields__, np.linspace(0.1, 0.6, 20).tolist(), strict=False))
    )
    write_prior(weights, prior)
    crops, out = draw_crops_to(tmp_path / "crops", 70), tmp_path / "out.safetensors"
    (crops / "broken.jpg").write_bytes(b"no picture")
    assert main([str(weights), str(crops), "--out", str(out)]) == 0
    shutil.copy(weights, same := tmp_path / "same.safetensors")
    assert main([str(same), str(crops), "--out", str(same)]) == 0
    assert find_prior(same) == prior, "also where it takes its own place"
    said = capsys.readouterr()
    assert "adapted to 70 of 70 crops, 1 left out; use it with --set embedder.weights=" in " ".join(
        said.out.split()
    )
    assert "broken.jpg: no picture that OpenCV can read" in said.err
    (before, _, _), (after, size, about) = load_model(weights), load_model(out)
    assert size == SIZE
    assert (about["why"], about["adapted_to_crops"]) == ("a test", 70)
    assert find_prior(out) == prior
    old, new = before.state_dict(), after.state_dict()
    statistics = {name for name in old if "running" in name or name.endswith("num_batches_tracked")}
    assert all(torch.equal(old[name], new[name]) for name in old.keys() - statistics)
    assert not any(torch.equal(old[name], new[name]) for name in statistics if name.endswith("running_mean"))


@pytest.mark.parametrize(
    ("network", "source", "words"),
    [
        ("here.safetensors", "crops", "only 3 crops: at least 64 are needed"),
        ("here.safetensors", "nowhere", "no such folder; a video needs --detections"),
        ("right.safetensors", "crops", "sees one picture at a time"),
        ("person-reidentification-retail-0288", "crops", "take a .safetensors of ours"),
    ],
)
def test_what_cannot_be_adapted_is_refused(
    weights: Path,
    tmp_path: Path,
    network: str,
    source: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {"base": "robust-reid-025x", "base_settings": TINY, "length": 8, "side_px": 96}
    right = build_model("done-right", **settings)
    save_weights(tmp_path / "right.safetensors", right, "done-right", settings, right.preprocess, {})  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    draw_crops_to(tmp_path / "crops", 3)
    out = tmp_path / "out.safetensors"
    assert main([network, source, "--out", str(out)]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_every_crop_of_many_has_the_same_chance() -> None:
    tiny = Preprocess(1, 1)
    crops = (np.full((1, 1, 3), number % 4, np.uint8) for number in range(4 * MAX_CROPS))
    drawn, seen = draw_crops(crops, tiny, np.random.default_rng(0))
    assert (len(drawn), seen) == (MAX_CROPS, 4 * MAX_CROPS)
    counts = np.bincount(drawn[:, 0, 0, 0], minlength=4)
    assert counts == pytest.approx(MAX_CROPS / 4, rel=0.15)
