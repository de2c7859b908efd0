"""End-to-end scores that may only rise; tests/golden/ holds them, rounded down to a thousandth."""

import json
from pathlib import Path

import pytest

from benchmarks.mot16 import score_all
from tests.conftest import shared_folder
from tracker.config import TrackingConfig

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "detections", "half"),
    [("yolox-second-halves", "mot17-yolox", "second"), ("public", None, "all")],
)
def test_mot16_from_detections(name: str, detections: str | None, half: str) -> None:
    data = shared_folder() / "data"
    folder = data / detections if detections else None
    scores = score_all(folder, half, TrackingConfig(), data / "mot16").as_dict()
    golden = json.loads((GOLDEN / "mot16.json").read_text())[name]
    assert {key: scores[key] for key in golden if scores[key] < golden[key]} == {}
