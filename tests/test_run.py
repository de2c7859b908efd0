"""The command, from its words to its files: whole runs over detections, cut off and continued."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from benchmarks.resume import results_of
from foundation.command import EXIT_INTERRUPTED
from foundation.figures import png_of, svg_of
from tests.forked_run import SAID, start_run
from tracker.config import load_config
from tracker.multi_camera_tracker import name_tracks
from tracker.recording.checkpoint import load_checkpoint, save_checkpoint
from tracker.recording.journal import Journal
from tracker.recording.run import TrackingRun
from tracker.run import main
from tracker.types import CameraName, Frame, Tracks, blank_image

pytestmark = pytest.mark.usefixtures("blank_figures")


def write_sequence(folder: Path, frames: int, seed: int) -> Path:
    """A MOTChallenge sequence without pictures: four people who walk, detected with noise and misses."""
    rng = np.random.default_rng(seed)
    (folder / "det").mkdir(parents=True)
    (folder / "gt").mkdir()
    start, speed = rng.uniform(50, 500, (4, 2)), rng.uniform(-1, 1, (4, 2))
    rows, truth = [], []
    for frame in range(1, frames + 1):
        for person, (x, y) in enumerate(start + speed * 30 * np.sin(frame / 30 + np.arange(4)[:, None])):
            truth.append(f"{frame},{person + 1},{x:.2f},{y:.2f},40,100,1,1,1")
            if rng.uniform() < 0.9:
                dx, dy = rng.normal(0, 1, 2)
                rows.append(
                    f"{frame},-1,{x + dx:.2f},{y + dy:.2f},40,100,{rng.uniform(0.65, 1):.3f},-1,-1,-1"
                )
    (folder / "det" / "det.txt").write_text("\n".join(rows) + "\n")
    (folder / "gt" / "gt.txt").write_text("\n".join(truth) + "\n")
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nframeRate=25\nseqLength={frames}\nimWidth=640\nimHeight=640\n"
    )
    return folder


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cameras of 120 frames; the working folder is empty and writable."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("door", "yard")):
        write_sequence(tmp_path / "scene" / name, 120, seed)
    return tmp_path / "scene"


FILE = ["--set", "detector.kind=file", "--set", "embedder.kind=none"]
"""There are no pictures, and to open a network takes longer than to track these scenes."""

OFTEN = [*FILE, "--set", "output.checkpoint_s=0.02"]
DEADLINE_S = 300
"""Far longer than any run here takes on a busy machine."""


def test_a_run_writes_all_it_promises_and_names_it(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for draw in (png_of, svg_of):  # here figures are drawn
        monkeypatch.setattr(f"foundation.figures.{draw.__name__}", draw)
    network = ["--set", "embedder.kind=reid"]  # as it is by default
    assert main([str(scene), *FILE, *network, "--gt", str(scene), "--save-video"]) == 0
    run = Path("runs/track")
    out = capsys.readouterr().out
    for name in (
        "mot/door.txt",
        "mot/yard.txt",
        "offline/mot/yard.txt",
        "sightings.parquet",
        "timeline.png",
        "summary.json",
        "config.yaml",
        "videos/door.mp4",
    ):
        assert (run / name).stat().st_size
        assert name in out
    assert not (run / "state").exists()
    summary = json.loads((run / "summary.json").read_text())
    assert summary["complete"]
    assert summary["cameras"]["yard"]["frames"] == 120
    table = pq.read_table(run / "sightings.parquet")
    assert table.num_rows == summary["sightings"] > 700
    assert set(table["camera"].to_pylist()) == {"door", "yard"}
    assert yaml.safe_load((run / "config.yaml").read_text())["source"] == [str(scene)]
    assert "HOTA" in out
    assert "door" in out


def test_the_journal_is_read_once_for_all_results_and_once_for_the_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(5):
        write_sequence(tmp_path / "scene" / f"camera{seed}", 20, seed)
    passes, read = list[Journal](), Journal.read

    def counted(journal: Journal, chunk_rows: int = 50) -> Iterator[np.ndarray]:
        passes.append(journal)
        return read(journal, chunk_rows)

    monkeypatch.setattr(Journal, "read", counted)
    assert main(["scene", *FILE, "--name", "plain"]) == 0
    assert len(passes) == 1
    assert main(["scene", *FILE, "--name", "drawn", "--save-video"]) == 0
    assert len(passes) == 1 + 2
    assert results_of(Path("runs/drawn")) == results_of(Path("runs/plain"))


def test_nothing_is_ever_overwritten(scene: Path) -> None:
    for _ in range(3):
        assert main([str(scene / "door"), *FILE]) == 0
    assert main([str(scene / "door"), *FILE, "--name", "7"]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["7", "track", "track2", "track3"]
    assert results_of(Path("runs/track")) == results_of(Path("runs/track3"))


def test_cameras_do_not_change_each_other(scene: Path) -> None:
    assert main([str(scene), *FILE, "--name", "both"]) == 0
    assert main([str(scene / "yard"), *FILE, "--name", "alone"]) == 0

    def boxes(name: str) -> list[str]:
        lines = Path(f"runs/{name}/mot/yard.txt").read_text().splitlines()
        return sorted(",".join([line.split(",")[0], *line.split(",")[2:]]) for line in lines)

    assert boxes("both") == boxes("alone")


def test_the_order_of_files_does_not_matter(scene: Path) -> None:
    for name, order in (("one", ("door", "yard")), ("other", ("yard", "door"))):
        assert main([*(str(scene / camera) for camera in order), *FILE, "--name", name]) == 0
    for file in ("tracks.csv", "events.jsonl", "mot/door.txt", "mot/yard.txt"):
        one, other = ((Path("runs") / name / file).read_text().splitlines() for name in ("one", "other"))
        assert len(one) > 4
        assert sorted(one) == sorted(other)


def wait_for_checkpoints(process: BaseProcess, run: Path, count: int) -> None:
    """Wait until so many checkpoints were there, one after the other, or the run has ended."""
    seen: set[int] = set()
    while process.is_alive() and len(seen) < count:
        with suppress(FileNotFoundError):  # not yet there, or gone with the end of the run
            seen.add((run / "state" / "checkpoint.npz").stat().st_mtime_ns)
        time.sleep(0.001)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene, and a run over it that nothing cut off."""
    folder = tmp_path_factory.mktemp("whole")
    write_sequence(folder / "scene" / "door", 600, 1)
    write_sequence(folder / "scene" / "yard", 500, 2)
    assert main([str(folder / "scene"), *OFTEN, "--set", f"output.folder={folder}", "--name", "whole"]) == 0
    return folder


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_gives_the_same_result_in_the_end(
    whole: Path, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(seed)
    words = [str(whole / "scene"), *OFTEN, "--name", "cut"]
    kills = 0
    for _ in range(3):
        process = start_run(tmp_path, words)
        wait_for_checkpoints(process, tmp_path / "runs/cut", int(rng.integers(2, 4)))
        time.sleep(rng.uniform(0, 0.02))  # anywhere between two checkpoints
        process.kill()
        process.join(DEADLINE_S)
        kills += process.exitcode == -signal.SIGKILL
        words = ["--resume", "runs/cut"]
        if process.exitcode == 0:
            break
    if process.exitcode != 0:
        assert main(words) == 0
    assert kills > 0
    assert results_of(tmp_path / "runs" / "cut") == results_of(whole / "whole")


def stopped_run(*signals: int, pause_s: float = 0.0) -> str:
    """A run over scene/ in the working folder that these end after its first checkpoint; what it said."""
    write_sequence(Path("scene/door"), 600, 1)
    process = start_run(Path.cwd(), ["scene", *OFTEN], signals, pause_s)
    process.join(DEADLINE_S)
    assert process.exitcode == EXIT_INTERRUPTED
    return Path(SAID).read_text()


def test_ctrl_c_writes_what_was_done_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = stopped_run(signal.SIGINT)
    assert "--resume runs/track" in said
    summary = json.loads(Path("runs/track/summary.json").read_text())
    assert not summary["complete"]
    assert 0 < summary["frames"] < 600
    last_line = Path("runs/track/mot/door.txt").read_text().splitlines()[-1]
    assert int(last_line.split(",")[0]) <= summary["frames"]
    assert main(["--resume"]) == 0  # the newest one
    assert main(["scene", *FILE, "--name", "whole"]) == 0
    assert results_of(Path("runs/track")) == results_of(Path("runs/whole"))


def test_two_polite_kills_at_once_are_one_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = stopped_run(signal.SIGTERM, signal.SIGTERM, pause_s=0.1)
    assert "--resume runs/track" in said
    summary = json.loads(Path("runs/track/summary.json").read_text())
    assert Path("runs/track/mot/door.txt").exists()
    assert summary["frames"] > 0


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "scene" / "door", 1000, 1)
    # A limit on the size of files stands for a full disk: the write fails in the same place.
    full = start_run(tmp_path, ["scene", *FILE, "--set", "output.checkpoint_s=0.01"], max_bytes=70_000)
    full.join(DEADLINE_S)
    assert full.exitcode == 2
    said = Path(SAID).read_text()
    assert "cannot write (File too large)" in said
    assert "--resume runs/track" in said
    assert "Traceback" not in said
    assert main(["--resume", "runs/track"]) == 0
    assert main(["scene", *FILE, "--name", "whole"]) == 0
    assert results_of(Path("runs/track")) == results_of(Path("runs/whole"))


def test_a_run_without_anybody_is_a_run(scene: Path) -> None:
    for camera in ("door", "yard"):
        (scene / camera / "det" / "det.txt").write_text("")
    assert main([str(scene), *FILE, "--gt", str(scene)]) == 0
    assert Path("runs/track/mot/door.txt").read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no source: name a video"),
        (["scene", *FILE, "--many-cameras"], "--many-cameras: is about the scores, and needs --gt PATH"),
        (["nowhere.mp4", *FILE], "nowhere.mp4"),
        (
            ["scene", "--set", "detector.kind=yolo"],
            "must be one of ultralytics, onnx, file, embedded, got 'yolo'",
        ),
        (["scene", "--set", "tracking.max_lost_sec=1"], "did you mean 'max_lost_s'?"),
        (["scene", "--config", "missing.yaml"], "missing.yaml: cannot read the configuration"),
        (["--resume", "runs/none"], "runs/none: no config.yaml in it"),
        (["--resume"], "nothing to resume"),
        (["--name", "x", "--resume", "runs/none"], "leave out every other"),
        (["scene", *FILE, "--name", "a/b"], "output.name"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence_and_leaves_no_folder(
    scene: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error.replace("\n", " ")
    assert not Path("runs").exists()


def test_a_complete_run_has_nothing_to_resume(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(scene), *FILE]) == 0
    assert main(["--resume", "runs/track"]) == 2
    assert "this run is complete" in capsys.readouterr().err


def test_a_broken_video_is_named_and_the_others_are_tracked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "scene" / "door", 50, 1)
    (tmp_path / "broken.mp4").write_bytes(b"\x00" * 1000)
    assert main(["scene", "broken.mp4", *FILE]) == 1
    out = capsys.readouterr().out
    assert "problem: " in out
    assert "broken" in out
    summary = json.loads(Path("runs/track/summary.json").read_text())
    assert summary["cameras"]["door"]["frames"] == 50
    assert "broken" in summary["cameras"]["broken"]["problem"]


def test_the_environment_needs_no_terminal(tmp_path: Path) -> None:
    write_sequence(tmp_path / "scene" / "door", 50, 1)
    environment = {key: value for key, value in os.environ.items() if key not in ("TERM", "DISPLAY", "HOME")}
    command = [sys.executable, "-m", "tracker.run", "scene", *FILE]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run over scene/ that was stopped before its first frame was done."""
    monkeypatch.chdir(tmp_path)
    stop = threading.Event()
    words = [f"source={tmp_path / 'scene'}", "detector.kind=file", "embedder.kind=none"]
    with TrackingRun(load_config(None, words), stop) as run:
        stop.set()
        complete, _ = run.run(Console(quiet=True))
    assert not complete
    return run.folder.path


def test_a_run_whose_cameras_have_changed_is_not_resumed(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = interrupted(tmp_path, monkeypatch)
    write_sequence(scene / "hall", 20, 5)  # between door and yard
    assert main(["--resume", str(run)]) == 2
    assert "the cameras were door, yard and now are door, hall, yard" in capsys.readouterr().err
    assert (run / "state").is_dir()


def test_a_resumed_run_does_not_take_a_lost_camera_for_done(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = interrupted(tmp_path, monkeypatch)
    progress, states = load_checkpoint(run / "state" / "checkpoint.npz")
    progress.done[CameraName("yard")] = 1
    save_checkpoint(run / "state" / "checkpoint.npz", progress, states)
    (scene / "yard" / "seqinfo.ini").write_text("nonsense")
    assert main(["--resume", str(run)]) == 2
    assert "cannot resume" in capsys.readouterr().err
    assert (run / "state").is_dir()


@pytest.mark.parametrize("words", [["--set", "output.folder=afile"], ["--set", "output.folder=afile/runs"]])
def test_a_place_that_cannot_be_written_is_one_sentence(
    scene: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("afile").write_text("")
    assert main([str(scene), *FILE, *words]) == 2
    assert "afile" in capsys.readouterr().err


def test_a_window_without_a_screen_leaves_no_folder(
    scene: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main([str(scene), *FILE, "--show"]) == 2
    assert "--save-video" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_wrong_ground_truth_is_named_before_the_run(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(scene), *FILE, "--gt", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["rtsp:/admin:s3cret@127.0.0.1/x"],
        ["admin:s3cret@127.0.0.1/x"],
        ["--set", "source=[1, {a: 'rtsp://admin:s3cret@127.0.0.1/x'}]"],
        ["--set", "source.x=rtsp://admin:s3cret@127.0.0.1/x", "--set", "source.x.y=1"],
    ],
)
def test_a_password_is_never_printed_even_in_an_address_that_is_wrong(
    scene: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *FILE]) == 2
    printed = capsys.readouterr()
    assert "s3cret" not in printed.out + printed.err
    assert not Path("runs").exists()


def test_a_live_run_that_was_killed_still_gives_what_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, ["source=rtsp://me:s3cret@127.0.0.1:9/door", "detector.kind=embedded"])
    with TrackingRun(config, threading.Event()) as run:
        camera = run.cameras[0]
        tracks = Tracks(
            np.array([1]), np.array([[1.0, 2.0, 30.0, 90.0]]), np.array([0.9]), np.zeros((1, 0), np.float32)
        )
        frame = Frame(camera, 7, 100.0, blank_image(64, 48))
        assert run._live
        run._live.write(frame, name_tracks(run.identities, frame, tracks, tracks[:0]))
        run.progress.done[camera] = 7
        run._save()  # and then it is killed
    assert main(["--resume", str(run.folder.path)]) == 2  # without its password it cannot go on
    assert main(["--resume", str(run.folder.path), "--no-continue"]) == 0
    assert (run.folder.path / "mot" / f"{camera}.txt").read_text().startswith("7,1000000,1.000,2.000,")
    assert "s3cret" not in (run.folder.path / "config.yaml").read_text()


def test_a_sequence_without_pictures_is_refused_by_a_detector_that_needs_them(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(scene), "--set", "detector.kind=embedded"]) == 2
    assert "camera 'door' has no pictures" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_second_ctrl_c_ends_at_once_and_the_run_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = stopped_run(signal.SIGINT, signal.SIGTERM, pause_s=1.05)
    assert "Traceback" not in said
    assert main(["--resume", "runs/track"]) == 0


def test_a_camera_without_ground_truth_is_named_before_the_run(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(scene), *FILE, "--gt", str(scene / "door")]) == 2
    assert "has nothing for yard" in capsys.readouterr().err
