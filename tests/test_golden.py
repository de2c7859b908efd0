"""End-to-end scores that may only rise; tests/golden/ holds them rounded down, as processors differ."""

import json
from pathlib import Path

import pytest

from benchmarks.mot16 import score_all
from tests.conftest import shared_folder
from tracker.config import TrackingConfig
from tracker.evaluate import evaluate_results
from tracker.run import main

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"


def fallen(scores: dict[str, float], golden: dict[str, float]) -> dict[str, float]:
    """The scores that are below their golden ones."""
    return {name: scores[name] for name in golden if scores[name] < golden[name]}


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "detections", "half"),
    [("yolox-second-halves", "mot17-yolox", "second"), ("public", None, "all")],
)
def test_mot16_from_detections(name: str, detections: str | None, half: str) -> None:
    data = shared_folder() / "data"
    folder = data / detections if detections else None
    scores = score_all(folder, half, TrackingConfig(), data / "mot16").as_dict()
    assert not fallen(scores, json.loads((GOLDEN / "mot16.json").read_text())[name])


@pytest.mark.usefixtures("blank_figures")
def test_the_sample_scene_as_make_run_tracks_it(tmp_path: Path) -> None:
    videos = str(ROOT / "videos")
    output = f"output.folder={tmp_path}"
    # What a plain installation runs on; OpenVINO's 16 bits would hang on the machine.
    runtime = "embedder.runtime=onnx"
    config = str(ROOT / "configs" / "embedded.yaml")
    assert main([videos, "--config", config, "--set", output, "--set", runtime]) == 0
    golden = json.loads((GOLDEN / "sample-scene.json").read_text())
    for name, many_cameras in (("each-camera", False), ("all-cameras", True)):
        report = evaluate_results(tmp_path / "track", ROOT / "videos", many_cameras=many_cameras)
        assert not fallen(report.combined.as_dict(), golden[name])
