"""The way of an embedding network: trained by the recipe, judged, exported, and used on every runtime."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reid import evaluate, export, exporting, train
from reid.checkpoint import load_model, save_weights
from reid.models import build_model
from reid.preprocess import DEFAULT
from reid.runtime import open_embedder
from tests.drawn_people import PEOPLE, TINY, draw_market, draw_person
from tests.test_camera_tracker import follow
from tracker.camera_tracker import CameraTracker
from tracker.config import AssociationStage, ReidEmbedderConfig, TrackingConfig
from tracker.embedders.reid import ReidEmbedder
from tracker.types import CameraName, Detections, Frame, Tick

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "reid" / "robust-reid-025x.yaml"
EPOCHS = 10
"""Of two steps, as six people with four pictures each fill two batches of six people with two."""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def run_folder(market: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty steps of the recipe, with a smaller network and a teacher that knows nothing."""
    folder = tmp_path_factory.mktemp("path")
    teacher = folder / "teacher.safetensors"
    torch.manual_seed(1)
    save_weights(teacher, build_model("robust-reid-025x", **TINY), "robust-reid-025x", TINY, DEFAULT, {})
    changes = {
        "model.settings": {**TINY, "head_relu": False},
        "batch": {"people": PEOPLE, "pictures": 2},
        "distillation.teacher": str(teacher),
        "distillation.convention": None,
        "schedule.epochs": EPOCHS,
        "average.decay": 0.8,  # that of the recipe would be its first weights after so few steps
        "threads": 1,
    }
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    assert train.main([str(RECIPE), "--data", market, "--runs", str(folder / "runs"), *settings]) == 0
    return folder / "runs" / "robust-reid-025x"


@pytest.fixture(scope="module")
def export_to(run_folder: Path) -> Callable[[str], Path]:
    """The averaged network in another format beside its weights, written once: ONNX takes many seconds."""

    @functools.cache
    def write(to: str) -> Path:
        weights = run_folder / "averaged.safetensors"
        assert export.main([str(weights), "--to", to]) == 0
        return weights.with_suffix(export.SUFFIXES[to])

    return write


def judged(weights: Path, market: str, report: Path, runtime: str) -> dict[str, float]:
    arguments = [str(weights), "--data", market, "--runtime", runtime, "--json", str(report)]
    assert evaluate.main(arguments) == 0
    [figures] = json.loads(report.read_text(encoding="utf-8"))["results"]
    return {name: figures[name] for name in ("mAP", "rank1", "queries", "left_out")}


def test_judging_finds_what_training_reported(market: str, run_folder: Path, tmp_path: Path) -> None:
    with (run_folder / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [*range(1, EPOCHS + 1)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    for file_name, column in (("weights", "mAP"), ("averaged", "average_mAP")):
        weights = run_folder / f"{file_name}.safetensors"
        figures = judged(weights, market, tmp_path / "report.json", "pytorch")
        assert figures["mAP"] == pytest.approx(float(rows[-1][column]), abs=1e-6)
        assert (figures["queries"], figures["left_out"]) == (12, 0)


@pytest.mark.parametrize(
    ("to", "runtime"), [("onnx", "onnx"), ("openvino", "openvino"), ("torchscript", "pytorch")]
)
def test_an_exported_network_is_the_trained_one(
    market: str,
    run_folder: Path,
    export_to: Callable[[str], Path],
    tmp_path: Path,
    to: str,
    runtime: str,
) -> None:
    trained = run_folder / "averaged.safetensors"
    out = export_to(to)
    random = np.random.default_rng(2)
    # Of many sizes, as a detector gives them, and more than a batch.
    crops = [draw_person(person, random)[: 64 - person, : 32 - person] for person in range(11)]
    model, preprocess, _ = load_model(trained)
    with torch.inference_mode():
        expected = model(torch.from_numpy(preprocess(crops))).embedding.numpy()
    embedder = open_embedder(out, batch_size=4, exact=True)
    assert embedder.runtime.startswith(runtime)
    assert np.abs(embedder.embed(crops) - expected).max() < exporting.MAX_DIFFERENCE
    expected_figures = judged(trained, market, tmp_path / "ours.json", "pytorch")
    found_figures = judged(out, market, tmp_path / "theirs.json", runtime)
    assert found_figures == pytest.approx(expected_figures, abs=1e-6)


@pytest.mark.parametrize("to", ["", "onnx"], ids=["as trained", "onnx"])
def test_the_tracker_uses_it(run_folder: Path, export_to: Callable[[str], Path], to: str) -> None:
    """Two people stand side by side and change their coats: they are two new people, not the same two."""
    weights = export_to(to) if to else run_folder / "averaged.safetensors"
    embedder = ReidEmbedder(ReidEmbedderConfig(weights=str(weights)))
    random = np.random.default_rng(3)
    boxes = np.array([[20.0, 10.0, 52.0, 74.0], [90.0, 10.0, 122.0, 74.0]])
    found = Detections(boxes, np.full(2, 0.9))
    observations = []
    for people in ((0, 3), (0, 3), (3, 0)):
        image = np.full((100, 160, 3), 128, np.uint8)
        for (x1, y1, x2, y2), person in zip(boxes.astype(int), people, strict=True):
            image[y1:y2, x1:x2] = draw_person(person, random)[: y2 - y1, : x2 - x1]
        tick = Tick(0.0, (Frame(CameraName("door"), 1, 0.0, image),))
        observations.append(embedder.embed(tick, [found], [np.ones(2, np.bool_)])[0])
    first, second, changed = (seen.embeddings for seen in observations)
    alike, unlike = (first * second).sum(axis=1), (first * changed).sum(axis=1)
    assert (alike > unlike + 0.05).all()
    strict = AssociationStage(
        tracks=("tracked",),
        max_cost=0.9,
        appearance_weight=0.5,
        max_cosine_distance=1 - float(alike.min()) + 0.01,
    )
    tracker = CameraTracker(CameraName("door"), TrackingConfig(stages=(strict,)))
    ids = [follow(tracker, 0.1 * number, seen).track_ids.tolist() for number, seen in enumerate(observations)]
    assert ids == [[1, 2], [1, 2], []]
