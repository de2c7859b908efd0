"""benchmarks.pipeline: what it reports of the turns it took."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from pyarrow import table
from pyarrow.parquet import write_table

from benchmarks.pipeline.__main__ import (
    DETECTOR,
    RUN,
    RUN_WITH_VIDEO,
    main,
    print_scene,
    ratios,
    score,
    summarise,
    take_turn,
)
from benchmarks.pipeline.peers_worker import to_mot
from benchmarks.pipeline.picture import draw_bars
from foundation.errors import ReuniteError
from tests.conftest import shared_folder


def turn(seconds: float, **more: Any) -> dict[str, Any]:
    return {"frames": 100, "seconds": seconds, "processor_s": 2 * seconds, **more}


def run_turn(seconds: float) -> dict[str, Any]:
    stages, waited = {"detect": seconds, "track": 0.1}, {"detect": 0.5}
    return turn(seconds, stages=stages, waited=waited, elapsed_s=seconds - 0.1)


def test_a_row_holds_medians_and_the_stages_of_the_median_turn() -> None:
    row = summarise([run_turn(seconds) for seconds in (4.0, 1.0, 2.0)])
    assert row["frames_per_s"] == 50
    assert row["frames_per_s_of_repeats"] == [25, 100, 50]
    assert row["processor_ms"] == 40
    assert row["stage_ms"] == {"detect": 20, "track": 1}
    assert row["waited_ms"] == {"detect": 5}
    assert row["elapsed_ms"] == pytest.approx(19)


def test_ratios_compare_what_stood_side_by_side() -> None:
    rows = {
        # The machine was twice as slow in the second repeat; the ratio is the same in each.
        DETECTOR: summarise([turn(1.0), turn(2.0), turn(1.0)]),
        RUN: summarise([run_turn(1.1), run_turn(2.2), run_turn(1.1)]),
        "ultralytics ByteTrack": summarise([turn(2.2), turn(4.4), turn(2.2)]),
        "ultralytics BoT-SORT": summarise([turn(9.0)] * 3),
        "boxmot ByteTrack": {"failure": "no such module"},
    }
    found = ratios(rows)
    assert found[f"time of {RUN} / {DETECTOR}"] == pytest.approx(1.1)
    assert found[f"frames/s of {RUN} / ultralytics ByteTrack, the fastest peer"] == pytest.approx(2.0)
    assert found[f"processor time of {RUN} / {DETECTOR}"] == pytest.approx(1.1)
    assert not any(RUN_WITH_VIDEO in what for what in found)


def test_peers_people_become_lines_of_motchallenge() -> None:
    assert (
        to_mot(7, np.array([[10.0, 20.0, 30.0, 60.0, 3.0, 0.5]]))
        == "7,3,10.00,20.00,20.00,40.00,0.5000,-1,-1,-1\n"
    )
    assert to_mot(7, np.empty((0, 6))) == ""


def test_of_a_run_both_people_and_tracks_are_scored(tmp_path: Path) -> None:
    (tmp_path / "gt").mkdir()
    truth = [f"{frame},{1 + frame // 3},10,20,20,40,1,1,1\n" for frame in range(1, 6)]
    (tmp_path / "gt" / "gt.txt").write_text("".join(truth))
    (tmp_path / "run" / "mot").mkdir(parents=True)
    people = [f"{frame},9,10,20,20,40,0.9,-1,-1,-1\n" for frame in range(1, 6)]
    (tmp_path / "run" / "mot" / "yard.txt").write_text("".join(people))
    frames = np.arange(1, 6)
    sides = {"x1": 10, "y1": 20, "x2": 30, "y2": 60}
    corners = {name: np.full(5, side, np.float32) for name, side in sides.items()}
    columns = {"frame": frames, "track": 1 + frames // 3, **corners, "score": np.full(5, 0.9, np.float32)}
    write_table(table(columns), tmp_path / "run" / "sightings.parquet")
    scores = score(tmp_path, "yard", tmp_path)
    # The tracks are those of the truth, which gives whoever returns a new number; a person is one number.
    assert scores["scores_of_tracks"] == {"HOTA": 1, "MOTA": 1, "IDF1": 1}
    assert scores["scores"]["IDF1"] == pytest.approx(0.6)


def test_the_table_shows_the_tracks_of_a_run_beside_its_people(capsys: pytest.CaptureFixture[str]) -> None:
    people, tracks = ({"HOTA": hota, "MOTA": 0.8, "IDF1": 0.7} for hota in (0.51, 0.56))
    rows = {
        DETECTOR: summarise([turn(1.0)]),
        RUN: summarise([run_turn(1.25) | {"scores": people, "scores_of_tracks": tracks}]),
        "boxmot ByteTrack": {"failure": "no such module"},
    }
    print_scene("yard", rows)
    said = capsys.readouterr().out
    assert "| detector | 100.0 | 20.0 |  |  |  |" in said
    assert "| Reunite | 80.0 | 25.0 | 51.0 (56.0) | 80.0 (80.0) | 70.0 (70.0) |" in said
    assert "| boxmot ByteTrack | no such module |" in said
    assert "time of Reunite / detector: 1.25" in said


def test_a_worker_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(ReuniteError, match="ended with 3: no weights"):
        take_turn([sys.executable, "-c", "import sys; print('no weights', file=sys.stderr); sys.exit(3)"])


def test_a_bar_is_as_long_as_its_time() -> None:
    fast, slow = summarise([run_turn(1.0)]), summarise([turn(2.0)])
    (axes,) = draw_bars({"yard": {RUN: fast, "other": slow, "broken": {"failure": "gone"}}}).axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    stages = [f"{RUN}: detect, at work", f"{RUN}: track, at work", f"{RUN}: waited for detect"]
    assert labels == [RUN, "other", *stages]
    assert widths == pytest.approx([10, 20, 10, 1, 5])
    assert [text.get_text() for text in axes.texts] == ["10.0", "20.0", "10.0", "1.0", "5.0"]
    assert axes.get_xlabel().startswith("milliseconds a frame")


@pytest.mark.parametrize("benchmark", ["association", "pipeline"])
def test_workers_of_peers_need_nothing_of_reunite(benchmark: str) -> None:
    worker = Path(__file__).parents[1] / "benchmarks" / benchmark / "peers_worker.py"
    script = f"import runpy, sys; runpy.run_path({str(worker)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded
    assert not loaded & {"tracker", "reid", "benchmarks"}


@pytest.mark.real
def test_it_measures_a_detector_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--shared", str(shared_folder()), "--output", str(tmp_path), "--repeats", "1"]
    assert main([*command, "--scenes", "PETS09-S2L1", "--only", "detector, decoded"]) == 0
    (row,) = json.loads((tmp_path / "pipeline.json").read_text())["scenes"]["PETS09-S2L1"][
        "contenders"
    ].values()
    assert row["frames_per_s"] > 0
    assert (tmp_path / "pipeline.png").exists()
    assert "| detector, decoded |" in capsys.readouterr().out
