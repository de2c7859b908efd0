"""The benchmark of speed: the scene, whose turn it is, and peers that are there, crash, or are too slow."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.association.__main__ import OURS, main, mean_overlapped, summarise, take_turns
from benchmarks.association.peers import PeersPython
from benchmarks.association.peers_worker import PEERS, Runner, Timing, time_runner
from benchmarks.association.scene import FRAME_RATE, SPEED_PX_PER_S, moving_boxes
from foundation.arrays import FloatArray
from foundation.errors import ReuniteError

FAKE_NORFAIR = """
import os
class Detection:
    def __init__(self, points, scores):
        assert points.shape == (2, 2) and scores.shape == (2,)
class Tracker:
    def __init__(self, distance_function, distance_threshold):
        print("what a library prints is no answer")
    def update(self, detections):
        if len(detections) == 13:
            os._exit(7)
        if len(detections) == 14:
            raise RuntimeError("14 are\\ntoo many")
        return detections[1:]
"""


@pytest.fixture
def with_fake_norfair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other Pythons find a norfair 9.9 that tracks all but one, ends with 13 and raises with 14."""
    library = tmp_path / "library"
    about = library / "norfair-9.9.dist-info" / "METADATA"
    about.parent.mkdir(parents=True)
    about.write_text("Metadata-Version: 2.1\nName: norfair\nVersion: 9.9\n")
    (library / "norfair.py").write_text(FAKE_NORFAIR)
    monkeypatch.setenv("PYTHONPATH", str(library))


@pytest.fixture
def scene(tmp_path: Path) -> Callable[[int], Path]:
    """Writes three frames of so many boxes."""

    def write(count: int) -> Path:
        boxes, scores = moving_boxes(count, 3)
        np.savez(tmp_path / f"{count}.npz", boxes=boxes, scores=scores)
        return tmp_path / f"{count}.npz"

    return write


def test_people_keep_their_size_and_walk() -> None:
    boxes, scores = moving_boxes(300, 60)
    sizes = boxes[..., 2:] - boxes[..., :2]
    assert boxes.shape == (60, 300, 4)
    assert sizes == pytest.approx(np.broadcast_to(sizes[0], sizes.shape))
    assert (sizes.min(axis=(0, 1)) >= (30, 80)).all()
    assert (sizes.max(axis=(0, 1)) <= (60, 160)).all()
    assert scores.min() >= 0.5
    assert scores.max() <= 1.0
    walked = np.abs(boxes[30, :, 0] - boxes[0, :, 0]) / (30 / FRAME_RATE)
    assert np.median(walked) == pytest.approx(0.67 * SPEED_PX_PER_S, rel=0.15)


@pytest.mark.parametrize(("count", "overlapped"), [(10, 0.1), (200, 2.0), (1000, 10.0)])
def test_it_is_as_crowded_as_the_benchmark_says(count: int, overlapped: float) -> None:
    assert mean_overlapped(moving_boxes(count, 1)[0][0]) == pytest.approx(overlapped, rel=0.1, abs=0.2)


def test_a_runner_is_stopped_after_the_frame_in_which_the_limit_is_reached() -> None:
    def update(frame: FloatArray) -> int:
        time.sleep(0.02)
        return len(frame)

    boxes, scores = moving_boxes(7, 100)
    timing = time_runner(Runner(lambda boxes, _: boxes, update), boxes, scores, limit_s=0.05)
    assert 1 <= timing.frames <= 3
    assert timing.tracked == 7
    assert 0 < timing.seconds < 0.05  # of processor time, which sleeping takes none of


def test_trackers_take_turns_until_they_fail_or_do_not_finish() -> None:
    turns: list[str] = []

    def contender(name: str, outcome: Timing | str) -> Callable[[], Timing | str]:
        return lambda: turns.append(name) or outcome  # type: ignore[func-returns-value]

    finished, stopped = Timing(1.0, 10, 5), Timing(9.0, 2, 5)
    outcomes = take_turns(
        {"a": contender("a", finished), "b": contender("b", "broken"), "c": contender("c", stopped)}, 3, 10
    )
    assert turns == ["a", "b", "c", "a", "a"]
    assert outcomes == {"a": [finished] * 3, "b": "broken", "c": [stopped]}


def test_figures_are_those_of_the_median_turn() -> None:
    ours = [Timing(seconds, 10, 5) for seconds in (0.1, 5.0, 0.2)]
    rows = summarise(5, 10, {OURS: ours, "slow": [Timing(8.0, 4, 3)], "broken": "why"})
    assert [row.frames_per_s for row in rows] == [pytest.approx(50), pytest.approx(0.5), None]
    assert [row.us_per_box for row in rows] == [pytest.approx(4000), pytest.approx(400_000), None]
    assert [row.ours_over_it for row in rows] == [pytest.approx(1), pytest.approx(100), None]
    assert [row.note for row in rows] == ["", "4 of 10 frames in 8.0 s, then stopped", "why"]
    assert str(rows[2]).endswith("why")


@pytest.mark.usefixtures("with_fake_norfair")
def test_a_peer_that_crashes_or_raises_harms_no_other(scene: Callable[[int], Path]) -> None:
    with PeersPython(Path(sys.executable)) as python:
        assert python.versions["norfair IoU"] == "9.9"
        assert python.time("norfair IoU", scene(13), 9.0) == "ended its Python with exit status 7"
        assert python.time("norfair IoU", scene(14), 9.0) == "RuntimeError: 14 are too many"
        timing = python.time("norfair IoU", scene(6), 9.0)
    assert isinstance(timing, Timing)
    assert (timing.frames, timing.tracked) == (3, 5)


def test_what_is_no_python_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = tmp_path / "ends"
    ends.write_text("#!/bin/sh\nexit 3\n")
    ends.chmod(0o755)
    with pytest.raises(ReuniteError, match="must be a Python that has numpy"):
        PeersPython(ends)
    assert main(["--peers", str(tmp_path / "nothing")]) == 2
    assert "No such file or directory; it must be a Python" in capsys.readouterr().err


@pytest.mark.usefixtures("with_fake_norfair")
def test_the_table_has_every_tracker_and_says_which_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "speed.json"
    command = ["--boxes", "6", "20", "--frames", "4", "--repeats", "2", "--peers", sys.executable]
    assert main([*command, "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    rows = {(row["boxes"], row["tracker"]): row for row in report["rows"]}
    assert rows.keys() == {(count, name) for count in (6, 20) for name in (OURS, *PEERS)}
    assert rows[20, OURS]["tracked"] > 15
    assert rows[20, OURS]["us_per_box"] == pytest.approx(1e6 / rows[20, OURS]["frames_per_s"] / 20)
    assert rows[20, "norfair IoU"]["tracked"] == 19
    assert report["versions"]["norfair IoU"] == "9.9"
    missing = PEERS.keys() - report["versions"].keys()
    assert {rows[6, peer]["note"] for peer in missing} == {"not installed"}
    assert (
        f"20 boxes, each overlaps {report['scenes'][1]['overlapped']:.1f} others" in capsys.readouterr().out
    )


def test_without_peers_our_tracker_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--boxes", "5", "--frames", "3", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert OURS in printed
    assert not any(peer in printed for peer in PEERS)
