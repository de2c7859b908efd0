"""Tuning, from sequences on the disk to the files it writes: recordings, what is held out, the command."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from tests.clips import cut_clip
from tests.test_run import write_sequence
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import RunConfig, load_config
from tracker.evaluate import evaluate_results
from tracker.run import main as run_main
from tracker.sources.addresses import find_cameras
from tracker.tune.command import main
from tracker.tune.parts import GAP, choose_held_out, pair_truth, split_recordings
from tracker.tune.recording import Recorder, Recording
from tracker.tune.scoring import track
from tracker.types import CameraName, Frame, Observations

VIDEOS = Path(__file__).resolve().parents[1] / "videos"
FILE = ["--set", "detector.kind=file", "--set", "embedder.kind=none"]
KEYS = ["--keys", "tracking.max_lost_s", "tracking.stages.0.max_cost"]
CAMERAS = [CameraName(name) for name in ("door", "hall", "yard")]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sequences of 160 frames, 6.4 s; the working folder is empty and writable."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("door", "yard")):
        write_sequence(tmp_path / "scene" / name, 160, seed)
    return tmp_path / "scene"


def recorded(
    folder: Path, source: Path, config: RunConfig, stop: threading.Event | None = None
) -> list[Recording]:
    recordings = Recorder(config, folder).record(
        find_cameras([str(source)]), Console(quiet=True), stop or threading.Event()
    )
    assert recordings is not None
    return recordings


def write_motions(folder: Path, camera: str, frames: int, sway_px: float) -> None:
    """What ``camera_motion.kind=file`` reads: a camera that sways."""
    folder.mkdir(exist_ok=True)
    lines = (f"{frame} 1 0 {sway_px * np.sin(frame / 4):.3f} 0 1 0\n" for frame in range(frames))
    (folder / f"{camera}.txt").write_text("".join(lines))


# Recordings


@pytest.mark.usefixtures("blank_figures")
def test_a_recording_is_tracked_exactly_as_the_run_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With embeddings, which the run makes only where the association asks for them; with camera motion."""
    monkeypatch.chdir(tmp_path)
    settings = ["detector.kind=file", "detector.likely_score=0.3", "identity.link=false"]
    settings += ["camera_motion.kind=file", "camera_motion.path=motions"]
    video = cut_clip(VIDEOS / "cam1.mp4", tmp_path, 200)
    shutil.copytree(VIDEOS / "cam1", tmp_path / "cam1")
    write_motions(Path("motions"), "cam1", 1000, sway_px=20.0)
    assert run_main([str(video), *(word for it in settings for word in ("--set", it))]) == 0
    written = pq.read_table("runs/track/sightings.parquet")
    summary = json.loads(Path("runs/track/summary.json").read_text())
    (recording,) = recorded(tmp_path / "kept", video, load_config(None, settings))
    assert summary["embedded"] < sum(len(seen) for seen in recording.observations)
    result = track(recording, load_config(None, settings))
    assert result.frames.tolist() == written["frame"].to_pylist()
    assert result.ids.tolist() == written["track"].to_pylist()
    assert result.boxes[:, 0] == pytest.approx(np.array(written["x1"].to_pylist()), abs=1e-3)
    still = np.tile(np.eye(2, 3), (len(recording.numbers), 1, 1))
    unmoved = track(replace(recording, motions=still), load_config(None, settings))
    assert unmoved.boxes.tolist() != result.boxes.tolist(), "the motions must matter"
    found = dict(zip(recording.numbers.tolist(), recording.observations, strict=True))
    counts = Counter(result.frames.tolist())
    assert any(counts[number] > len(found[number]) for number in counts), "some must coast"


def test_camera_motion_is_asked_once_a_frame_and_knows_where_people_are(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int, int]] = []

    class Sway(NoCameraMotion):
        def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
            asked.append((frame.camera, frame.number, len(boxes)))
            return np.array([[1.0, 0.0, frame.number], [0.0, 1.0, len(boxes)]])

    monkeypatch.setattr("tracker.tune.recording.build_camera_motion", lambda *_: Sway())
    config = load_config(None, ["detector.kind=file", "embedder.kind=none"])
    for _ in range(2):  # the second time from the disk
        recordings = recorded(tmp_path / "kept", scene, config)
        for it in recordings:
            assert it.motions[:, 0, 2].tolist() == it.numbers.tolist()
            assert it.motions[:, 1, 2].tolist() == [len(seen) for seen in it.observations]
    assert asked == [
        (it.camera, number, len(seen))
        for it in recordings
        for number, seen in zip(it.numbers.tolist(), it.observations, strict=True)
    ]


def test_scores_that_a_trial_drops_are_those_that_the_detector_drops(scene: Path, tmp_path: Path) -> None:
    low, high = (
        load_config(None, ["detector.kind=file", "embedder.kind=none", f"detector.min_score={score}"])
        for score in (0.1, 0.8)
    )
    for loose, strict in zip(
        recorded(tmp_path / "kept", scene, low), recorded(tmp_path / "kept", scene, high), strict=True
    ):
        counts = [sum(map(len, it.observations)) for it in (loose, strict)]
        assert counts[0] > counts[1] > 0
        assert track(loose, high).boxes.tolist() == track(strict, high).boxes.tolist()


def test_a_recording_reads_back_to_the_same_numbers() -> None:
    random = np.random.default_rng(0)
    observations = tuple(
        Observations(random.normal(size=(n, 4)), random.random(n), random.random((n, 3)).astype(np.float32))
        for n in (0, 2, 1, 0)
    )
    motions = random.normal(size=(4, 2, 3))
    before = Recording(CameraName("door"), np.arange(2, 6), np.arange(4) / 7, motions, observations)
    after = Recording.from_bytes(CameraName("door"), before.to_bytes())
    assert after.to_bytes() == before.to_bytes()
    assert [len(seen) for seen in after.observations] == [0, 2, 1, 0]
    assert after.observations[1].embeddings.tolist() == observations[1].embeddings.tolist()
    np.testing.assert_array_equal(after.motions, motions)
    some = after.within(range(3, 5))
    assert some.numbers.tolist() == [3, 4]
    assert [len(seen) for seen in some.observations] == [2, 1]
    np.testing.assert_array_equal(some.motions, motions[1:3])


def test_a_recording_is_kept_until_something_changes_that_it_hangs_on(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"

    def files(*settings: str) -> int:
        config = load_config(None, ["detector.kind=file", "embedder.kind=none", *settings])
        recorded(kept, scene / "door", config)
        return len([*kept.glob("door-*.npz")])

    assert files() == 1
    assert files("detector.likely_score=0.7", "tracking.max_lost_s=3") == 1
    (scene / "door/gt/gt.txt").write_text("1,1,1,1,10,10,1,1,1\n")
    assert files() == 1
    assert files("detector.min_score=0.2") == 2
    (scene / "door/det/det.txt").write_text("1,-1,1,1,10,10,0.9,-1,-1,-1\n")
    assert files() == 3
    damaged = max(kept.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
    damaged.write_bytes(damaged.read_bytes()[:500])
    assert files() == 3
    assert damaged.stat().st_size > 500
    moving = ["camera_motion.kind=file", f"camera_motion.path={tmp_path / 'motions'}"]
    write_motions(tmp_path / "motions", "door", 160, sway_px=1.0)
    assert files(*moving) == files(*moving) == 4
    write_motions(tmp_path / "motions", "door", 160, sway_px=2.0)
    assert files(*moving) == 5
    monkeypatch.setattr("tracker.tune.recording.build_camera_motion", lambda *_: NoCameraMotion())
    assert files("camera_motion.kind=flow") == 6
    assert files("camera_motion={kind: flow, longer_side_px: 100}") == 7
    assert files("embedder={kind: color}") == 8
    assert files("embedder={kind: color, chroma_bins: 4}") == 9


# Ground truth and what is held out


def test_ground_truth_is_paired_by_name(scene: Path) -> None:
    paths = [scene / "door", scene / "yard/gt/gt.txt"]
    files, unused = pair_truth([CameraName("yard")], paths)
    assert files == {"yard": scene / "yard/gt/gt.txt"}
    assert unused == ["door"]
    assert pair_truth([CameraName("any")], [scene / "door"])[0] == {"any": scene / "door/gt/gt.txt"}
    with pytest.raises(ReuniteError, match="--gt has nothing for roof; it has door, yard"):
        pair_truth([CameraName("roof"), CameraName("door")], [scene])


def test_two_files_for_one_source_are_refused(scene: Path, tmp_path: Path) -> None:
    other = write_sequence(tmp_path / "other" / "door", 10, 0)
    with pytest.raises(ReuniteError, match="both for 'door'"):
        pair_truth([CameraName("door")], [scene / "door", other])


def test_a_share_of_the_sequences_is_held_out_and_at_least_one_is_left() -> None:
    for share, count in (("0", 0), ("0.01", 1), ("0.3", 1), ("0.6", 2), ("0.89", 2)):
        chosen = [choose_held_out(CAMERAS, [share], seed) for seed in range(40)]
        assert {len(names) for names in chosen} == {count}
        assert len({*map(tuple, chosen)}) == (3 if count else 1), "chance must reach all"
    assert choose_held_out(CAMERAS[:1], ["0.3"], 0) == []
    assert choose_held_out(CAMERAS, ["yard", "door"], 0) == ["door", "yard"]


@pytest.mark.parametrize(
    ("held_out", "said"),
    [
        (["roof"], "--held-out roof: .*there are door, hall, yard"),
        (["1"], "write a share"),
        (["-0.1"], "write a share"),
        (["0.2", "0.3"], "write a share"),
        (["nan"], "write a share"),
        ([*CAMERAS], "none is left to tune on"),
    ],
)
def test_what_cannot_be_held_out_is_named(held_out: list[str], said: str) -> None:
    with pytest.raises(ReuniteError, match=said):
        choose_held_out(CAMERAS, held_out, 0)


def test_of_one_sequence_the_end_is_held_out_behind_a_gap(tmp_path: Path) -> None:
    write_sequence(tmp_path / "long", 1000, 3)
    config = load_config(None, ["detector.kind=file", "embedder.kind=none"])
    recordings = recorded(tmp_path / "kept", tmp_path / "long", config)
    files = {CameraName("long"): tmp_path / "long/gt/gt.txt"}
    split = split_recordings(recordings, files, [], ["0.3"])
    (tuning,), (kept,) = split.tuning, split.held_out
    assert tuning.frames.start == 1
    assert kept.frames.stop == 1001
    assert len(kept.frames) == pytest.approx(300, abs=2)
    assert kept.frames.start - tuning.frames.stop == pytest.approx(1000 * GAP, abs=2)
    assert tuning.recording.numbers.tolist() == list(tuning.frames)
    assert kept.recording.numbers.tolist() == list(kept.frames)
    assert split_recordings(recordings, files, [], ["0"]).held_out == ()


# The command


def test_the_written_configuration_gives_the_written_scores(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scene", "--gt", "scene", *FILE, *KEYS, "--trials", "12", "--held-out", "yard"]) == 0
    out = capsys.readouterr().out
    assert "searching 2 number(s) for HOTA on door; held out: yard" in out
    assert "runs/tune/tuned.yaml" in out
    said = json.loads(Path("runs/tune/scores.json").read_text())
    trials = [json.loads(line) for line in Path("runs/tune/trials.jsonl").read_text().splitlines()[1:]]
    assert len(trials) == said["trials"] == 12
    assert said["scores"]["tuning"]["after"]["HOTA"] == max(it["figures"]["HOTA"] for it in trials)
    assert said["scores"]["tuning"]["before"]["HOTA"] == trials[0]["figures"]["HOTA"]
    assert said["changed"].keys() <= set(KEYS)
    for name, settings in (("before", FILE), ("after", ["--config", "runs/tune/tuned.yaml"])):
        words = ["scene", *settings, "--set", "identity.link=false", "--name", name]
        assert run_main(words) == 0
        scores = evaluate_results(Path("runs") / name, scene).sequences
        for side, camera in (("tuning", "door"), ("held_out", "yard")):
            assert scores[camera].hota == pytest.approx(said["scores"][side][name]["HOTA"], abs=1e-4)
    assert load_config(Path("runs/tune/tuned.yaml")).identity.link
    head = Path("runs/tune/tuned.yaml").read_text().partition("\nsource:")[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert all(f"# {key}: " in head for key in said["changed"])
    assert ("WARNING" in head) == ("warning: " in out)


def test_what_is_held_out_plays_no_part_and_a_seed_repeats(scene: Path) -> None:
    words = ["scene", "--gt", "scene", *FILE, *KEYS, "--trials", "5", "--held-out", "yard"]
    assert main([*words, "--output", "runs/first"]) == 0
    truth = (scene / "yard/gt/gt.txt").read_text().splitlines()
    (scene / "yard/gt/gt.txt").write_text("\n".join(truth[::2]) + "\n")
    assert main([*words, "--output", "runs/second"]) == 0
    assert main([*words, "--output", "runs/third", "--seed", "1"]) == 0
    first, second, third = (
        Path(f"runs/{name}/trials.jsonl").read_text() for name in ("first", "second", "third")
    )
    assert first == second
    assert first != third


def test_ctrl_c_keeps_every_trial_and_the_rest_comes_out_the_same(scene: Path, tmp_path: Path) -> None:
    words = ["scene", "--gt", "scene", *FILE, *KEYS, "--held-out", "yard"]
    log = tmp_path / "runs/tune/trials.jsonl"
    command = [sys.executable, "-m", "tracker.tune", *words, "--trials", "1000"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        while not log.exists() or log.read_bytes().count(b"\n") < 4:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "go on with the same command and --resume" in out
    assert load_config(tmp_path / "runs/tune/tuned.yaml").detector.kind == "file"
    done = log.read_bytes().count(b"\n") - 1
    assert main([*words, "--trials", str(done + 3), "--resume"]) == 0
    assert main([*words, "--trials", str(done + 3), "--output", "runs/whole"]) == 0
    assert log.read_text() == Path("runs/whole/trials.jsonl").read_text()


def test_a_search_is_not_overwritten_nor_gone_on_with_otherwise(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["scene", "--gt", "scene", *FILE, *KEYS, "--trials", "1"]
    assert main(words) == 0
    before = Path("runs/tune/trials.jsonl").read_text()
    assert main(words) == 2
    assert "holds a search; go on with it (--resume), or name another --output" in capsys.readouterr().err
    assert main([*words, "--resume", "--metric", "MOTA", "--set", "tracking.max_lost_s=2"]) == 2
    assert "differs in: --keys or ranges, --metric, configuration;" in capsys.readouterr().err
    for camera in ("door", "yard"):
        write_motions(Path("motions"), camera, 160, sway_px=0.0)
    moving = ["--set", "camera_motion={kind: file, path: motions}"]
    assert main([*words, "--resume", *moving]) == 2
    assert "differs in: configuration;" in capsys.readouterr().err
    assert Path("runs/tune/trials.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.mp4", "--gt", "scene"], "nowhere.mp4: no such file"),
        (["scene", "--gt", "nowhere"], "nowhere: no such file or folder"),
        (["scene", "--gt", "scene/door"], "--gt has nothing for yard; it has door"),
        (["rtsp://u:secret@10.0.0.1/x", "--gt", "scene"], "is live; tuning needs recordings"),
        (["scene", "--gt", "scene", "--keys", "tracking.max_lost"], "did you mean 'tracking.max_lost_s'"),
        (["scene", "--gt", "scene", "--held-out", "roof"], "--held-out roof"),
        (["scene", "--gt", "scene", "--set", "tracking.max_lost_s=-1"], "tracking.max_lost_s"),
        (["scene/door", "--gt", "scene"], "too short to say anything"),
        (["scene", "--gt", "empty"], "no ground truth box that is to be found"),
        (["scene", "--gt", "scene", "--set", "detector.kind=embedded"], "has no pictures"),
        (["broken", "--gt", "empty/door"], "broken"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(
    scene: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    for name in ("door", "yard"):
        (Path("empty") / name / "gt").mkdir(parents=True)
        (Path("empty") / name / "gt/gt.txt").write_text("1,1,1,1,10,10,0,1,1\n")
    (Path("broken") / "img1").mkdir(parents=True)
    (Path("broken") / "img1/000001.jpg").write_text("no picture")
    assert main([*words[:3], *FILE, "--trials", "2", *words[3:]]) == 2
    error = capsys.readouterr().err
    assert said in error.replace("\n", " ")
    assert "secret" not in error
    assert "Traceback" not in error
    assert not Path("runs/tune").exists()


def test_without_optuna_the_way_out_is_named(
    scene: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "tracker.tune.search", raising=False)
    assert main(["scene", "--gt", "scene", *FILE]) == 2
    assert "pip install -e '.[tune]'" in capsys.readouterr().err
