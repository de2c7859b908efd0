"""configs/association/: trackers as data, and whether they behave like those they take after."""

from pathlib import Path

import pytest

from benchmarks.mot16 import score_all
from tests.conftest import shared_folder
from tracker.config import RunConfig, TrackingConfig, load_config
from tracker.metrics import Scores

ROOT = Path(__file__).resolve().parents[1]
PRESETS = {path.stem: path for path in sorted((ROOT / "configs" / "association").glob("*.yaml"))}


def test_there_is_a_preset_for_each_of_the_published_trackers_and_ours() -> None:
    assert PRESETS.keys() == {"sort", "bytetrack", "oc-sort", "deep-sort", "reunite"}
    assert load_config(PRESETS["reunite"]).tracking == TrackingConfig()


@pytest.mark.parametrize("path", PRESETS.values(), ids=PRESETS)
def test_a_preset_states_everything_and_changes_nothing_but_the_tracking(path: Path) -> None:
    import yaml

    written = yaml.safe_load(path.read_text())
    config = load_config(path)
    assert written == {"tracking": config.tracking.model_dump(mode="json")}
    assert config.model_copy(update={"tracking": TrackingConfig()}) == RunConfig()


def test_a_preset_replaces_the_tracking_of_another_file_and_nothing_else() -> None:
    onnx = ROOT / "configs" / "onnx.yaml"
    both = load_config([onnx, PRESETS["sort"]], ["tracking.max_lost_s=0.2"])
    assert both.detector == load_config(onnx).detector
    sort = load_config(PRESETS["sort"]).tracking
    assert both.tracking == sort.model_copy(update={"max_lost_s": 0.2})


@pytest.mark.real
def test_presets_score_like_the_trackers_they_take_after() -> None:
    """Second halves, YOLOX, no camera motion given; boxmot 18.0 and roboflow SORT 2.1 on the same files."""
    data = shared_folder() / "data"

    def score(name: str) -> Scores:
        config = load_config(PRESETS[name]).tracking
        return score_all(data / "mot17-yolox", "second", config, data / "mot16", None)

    scores = {name: score(name) for name in ("sort", "oc-sort", "bytetrack", "reunite")}
    namesakes = {"sort": (0.572, 0.628), "oc-sort": (0.652, 0.755), "bytetrack": (0.670, 0.781)}
    for name, (hota, idf1) in namesakes.items():
        assert scores[name].hota == pytest.approx(hota, abs=0.035), name
        assert scores[name].idf1 == pytest.approx(idf1, abs=0.035), name
    ranking = sorted(scores, key=lambda name: scores[name].hota)
    assert ranking == ["sort", "oc-sort", "bytetrack", "reunite"]
