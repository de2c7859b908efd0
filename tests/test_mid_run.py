"""What fails while a run goes on: one true sentence, and the run can be resumed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from reid.checkpoint import save_weights
from reid.models import build_model
from reid.preprocess import DEFAULT
from tests.clips import write_clip
from tracker.cli import main
from tracker.detectors.mot_file import FileDetector
from tracker.types import Detections, Tick

pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Camera door: 40 frames with one detection each."""
    (tmp_path / "scene").mkdir()
    write_clip(tmp_path / "scene" / "door.mp4", range(40), rate=10)
    (tmp_path / "scene" / "door.txt").write_text("".join(f"{it},-1,20,20,40,80,0.9\n" for it in range(1, 41)))
    return tmp_path / "scene"


def save_network(path: Path, broken: bool) -> None:
    torch.manual_seed(0)
    model = build_model("robust-reid-025x")
    save_weights(path, model, "robust-reid-025x", {}, DEFAULT, {})
    if broken:
        data = bytearray(path.read_bytes())
        begin = 8 + int.from_bytes(data[:8], "little")
        data[begin:] = b"\xff\xff\xff\xff" * ((len(data) - begin) // 4)  # NaN, all of them
        path.write_bytes(data)


def settings(scene: Path) -> list[str]:
    return [
        *(str(scene), "--config", "file", "--set", f"detector.path={scene}"),
        *("--set", f"output.folder={scene.parent / 'runs'}"),
    ]


def test_weights_that_give_nan_are_said_and_the_run_can_be_resumed(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, run = scene.parent / "mine.safetensors", scene.parent / "runs" / "track"
    save_network(weights, broken=True)
    given = [*settings(scene), "--set", f"embedder={{kind: reid, weights: {weights}, runtime: pytorch}}"]
    assert main(["track", *given]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "are these weights whole?; nothing that was saved is lost" in said
    assert f"reunite track --resume {run}" in said
    assert main(["track", "--resume", str(run)]) == 2, "the weights are as they were"


def test_a_detector_that_fails_in_mid_run_loses_nothing(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", *settings(scene), "--name", "whole"]) == 0
    detect = FileDetector.detect

    def fails(self: FileDetector, tick: Tick) -> Sequence[Detections]:
        if tick.frames[0].number == 25:
            raise OSError(5, "Input/output error")
        return detect(self, tick)

    with monkeypatch.context() as broken:
        broken.setattr(FileDetector, "detect", fails)
        assert main(["track", *settings(scene), "--set", "output.checkpoint_s=0.001", "--name", "cut"]) == 2
    assert "--resume" in capsys.readouterr().err
    runs = scene.parent / "runs"
    assert main(["track", "--resume", str(runs / "cut")]) == 0
    for name in ("mot/door.txt", "tracks.csv", "offline/mot/door.txt"):
        assert (runs / "cut" / name).read_bytes() == (runs / "whole" / name).read_bytes()
