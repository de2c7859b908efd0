"""The early exit of a network: both halves are the whole, and a site makes its early embeddings better."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foundation.errors import ReuniteError
from reid.checkpoint import save_weights
from reid.convert import EmbeddingOnly
from reid.early import export_early, fit_linear, whiten
from reid.exits import CONSTANT, PRIOR_CROPS, SiteHead, exit_files, open_exit
from reid.export import main
from reid.models import build_model
from reid.models.early import EarlyStage, LaterStages
from reid.models.harmonious import StagedNetwork
from reid.preprocess import DEFAULT
from tests.drawn_people import TINY, draw_market
from tracker.config import ReidEmbedderConfig
from tracker.embedders.early_exit import EarlyExitEmbedder
from tracker.embedders.reid import ReidEmbedder, fingerprint
from tracker.types import CameraName, Detections, Frame, Tick

SETTINGS = {**TINY, "widths": [4, 8, 8]}
PICTURES = torch.rand(3, 3, 160, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with an early exit."""
    folder = tmp_path_factory.mktemp("early")
    torch.manual_seed(0)
    path = folder / "tiny.safetensors"
    save_weights(path, build_model("robust-reid-025x", **SETTINGS), "robust-reid-025x", SETTINGS, DEFAULT, {})
    market = draw_market(folder / "market")
    assert main([str(path), "--to", "onnx", "--early", "--data", market]) == 0
    return path


RESIDUAL = {"stem_width": 4, "widths": [4, 8, 8], "repeats": [1, 1, 1], "head_length": 8}


@pytest.mark.parametrize(
    ("name", "settings"), [("robust-reid-025x", SETTINGS), ("robust-reid-residual", RESIDUAL)]
)
def test_both_halves_give_what_the_whole_network_gives(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build_model(name, **settings).eval()
    assert isinstance(model, StagedNetwork)
    early = EarlyStage(model, PICTURES[:1]).eval()
    with torch.inference_mode():
        left = early(PICTURES)
        later = LaterStages(early, PICTURES[:2]).eval()
        found = later(left[:, early.head.out_features + early.code_length :])
        assert torch.equal(found, EmbeddingOnly(model)(PICTURES))


def test_the_early_embedding_is_the_best_linear_guess() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(4000, 12)) @ (np.eye(12) + 0.2) + 3
    weights, bias = whiten(inputs)
    codes = inputs @ weights.T + bias
    np.testing.assert_allclose(np.cov(codes.T), np.eye(12), atol=0.02)
    outputs = rng.normal(size=(4000, 5))
    head, aim = fit_linear(codes, outputs, ridge=1e-9)
    design = np.column_stack((inputs, np.ones(4000)))
    slow = design @ np.linalg.lstsq(design, outputs, rcond=None)[0]
    np.testing.assert_allclose(codes @ head.T + aim, slow, atol=1e-6)


def test_a_site_teaches_what_a_ridge_regression_over_all_its_crops_says() -> None:
    rng = np.random.default_rng(0)
    codes, off = rng.normal(size=(50, 6)), rng.normal(size=(50, 4))
    early = rng.normal(size=(50, 4)).astype(np.float32)
    head = SiteHead(6, 4)
    for some in (slice(0, 1), slice(1, 30), slice(30, 50)):
        head.learn(early[some], codes[some].astype(np.float32), (early + off)[some].astype(np.float32))
    design = np.column_stack((codes, np.full(50, CONSTANT)))
    weights = np.linalg.solve(design.T @ design + PRIOR_CROPS * np.eye(7), design.T @ off)
    slow = early + design @ weights
    slow /= np.linalg.norm(slow, axis=1, keepdims=True)
    np.testing.assert_allclose(head.correct(early, codes.astype(np.float32)), slow, atol=1e-5)
    again = SiteHead(6, 4)
    again.restore(head.state())
    np.testing.assert_array_equal(
        again.correct(early, codes.astype(np.float32)), head.correct(early, codes.astype(np.float32))
    )


def tick_of_one(rng: np.random.Generator) -> tuple[Tick, list[Detections]]:
    frame = Frame(CameraName("door"), 1, 0.0, rng.integers(0, 255, (200, 200, 3), np.uint8))
    boxes = [[10, 10, 60, 150], [80, 20, 140, 190], [-50, -50, -10, -10]]
    return Tick(0.0, (frame,)), [Detections.of(boxes, [0.9, 0.8, 0.7])]


def test_who_is_asked_for_gets_the_embedding_of_the_whole_network(weights: Path) -> None:
    embedder = EarlyExitEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="onnx"))
    tick, people = tick_of_one(np.random.default_rng(0))
    everybody, first = [np.ones(3, np.bool_)], [np.array([True, False, False])]
    network = ReidEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch"))
    whole = network.embed(tick, people, everybody)[0].embeddings
    look = embedder.look(tick, people, everybody)
    found = embedder.finish(look, first)[0].embeddings
    np.testing.assert_allclose(found[0], whole[0], atol=1e-5)
    np.testing.assert_array_equal(found[1:], look.observations[0].embeddings[1:])
    assert not found[2].any()  # outside of the picture
    for _ in range(200):
        embedder.finish(look, first)
    taught = embedder.look(tick, people, everybody).observations[0].embeddings
    assert taught[0] @ whole[0] > max(0.99, look.observations[0].embeddings[0] @ whole[0])
    nobody = [np.zeros(3, np.bool_)]
    assert not embedder.finish(embedder.look(tick, people, nobody), nobody)[0].embeddings.any()


def test_an_exit_of_other_weights_is_refused(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(
        other, build_model("robust-reid-025x", **SETTINGS), "robust-reid-025x", SETTINGS, DEFAULT, {}
    )
    with pytest.raises(ReuniteError, match="has no early exit"):
        open_exit(other, fingerprint(other), "onnx", 32)
    model = build_model("robust-reid-025x", **SETTINGS)
    save_weights(other, model, "robust-reid-025x", SETTINGS, DEFAULT, {})
    for ours, theirs in zip(exit_files(other), exit_files(weights), strict=True):
        ours.write_bytes(theirs.read_bytes())
    with pytest.raises(ReuniteError, match="is an exit of other weights than other"):
        open_exit(other, fingerprint(other), "onnx", 32)


def test_exits_need_a_runtime_for_both_halves(weights: Path) -> None:
    with pytest.raises(ReuniteError, match="need embedder"):
        EarlyExitEmbedder(ReidEmbedderConfig(weights=str(weights), runtime="pytorch"))


def test_a_network_without_a_first_stage_has_no_exit(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match="only robust-reid and ha-cnn"):
        export_early(tmp_path / "it.safetensors", build_model("parts-025x"), DEFAULT, [])
