"""Speed of a whole run, beside its detector alone and beside trackers of others with the same weights.

    python -m benchmarks.pipeline --shared ../shared --peers PYTHON --output FOLDER
    python -m benchmarks.pipeline --shared ../shared --output FOLDER --scenes PETS09-S2L1 --repeats 1

PYTHON is one that has ultralytics, boxmot (25 or later) and what the weights need (openvino). Every turn is a
process of its own; contenders take turns within each repeat, and figures are medians over repeats. Frames/s
and processor ms count from the first frame's result on, so loading of models is left out for everybody; of a
run they include all that it writes. Processor ms are those of all cores; other work on the machine changes
them less than frames/s, so a busy machine compares by them. Where there is ground truth HOTA stands beside;
in brackets that of the tracks before they are linked to people. FOLDER gets pipeline.json and pipeline.png,
where the time of the runs went.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pyarrow.parquet import read_table

from benchmarks.pipeline.peers_worker import PEERS
from benchmarks.pipeline.picture import write_picture
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, format_results
from tracker.evaluate import evaluate_results
from tracker.geometry import xyxy_to_xywh

WEIGHTS = "yolo11n_int8_openvino_model"
RUN, RUN_WITH_VIDEO, DETECTOR, DECODED = "Reunite", "Reunite with videos", "detector", "detector, decoded"
OURS = {DECODED: "decoded", DETECTOR: "detector", RUN: "run", RUN_WITH_VIDEO: "run+video"}
PEERS_WORKER = Path(__file__).with_name("peers_worker.py")
ROOT = Path(__file__).resolve().parents[2]
SEEN = ["frame", "track", "x1", "y1", "x2", "y2", "score"]
"""Columns of ``sightings.parquet``."""


@dataclass(frozen=True)
class Scene:
    """Videos that are tracked together, and where the ground truth of the only one lies."""

    name: str
    videos: tuple[Path, ...]
    truth: Path | None


def find_scenes(shared: Path) -> list[Scene]:
    data = shared / "data"
    cameras = tuple(sorted((data / "ufes-4cam").glob("cam*.mp4")))
    return [
        Scene("PETS09-S2L1", (data / "video" / "PETS09-S2L1.mp4",), data / "video" / "PETS09-S2L1"),
        Scene("MOT16-11", (data / "video" / "MOT16-11.mp4",), data / "mot16" / "MOT16-11"),
        Scene("UFES, 4 cameras", cameras, None),
    ]


def take_turn(command: Sequence[str]) -> dict[str, Any]:
    """Start a worker; what it says.

    Raises:
        ReuniteError: It failed.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ReuniteError(f"{' '.join(map(str, command))}: ended with {done.returncode}: {said}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def measure(
    scene: Scene, contenders: Sequence[str], weights: Path, peers: Path | None, output: Path, repeats: int
) -> dict[str, dict[str, Any]]:
    """Of each contender its frames/s of every repeat, processor ms a frame, and HOTA; failed peers: why."""
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    measured: dict[str, dict[str, Any]] = {}
    for repeat in range(repeats):
        for name in contenders:
            if name in measured:  # it failed before
                continue
            out = output / scene.name.replace(", ", "-").replace(" ", "-") / name.replace(" ", "-")
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            if name in OURS:
                worker = [sys.executable, "-m", "benchmarks.pipeline.ours_worker", OURS[name]]
            else:
                worker = [str(peers), str(PEERS_WORKER), name]
            try:
                turn = take_turn([*worker, *map(str, (weights, out, *scene.videos))])
            except ReuniteError as error:
                if name in OURS:
                    raise
                measured[name] = {"failure": str(error)}
                continue
            turns[name].append(turn)
            print(
                f"{repeat + 1}: {scene.name}: {name}: {turn['frames'] / turn['seconds']:.1f} frames/s",
                file=sys.stderr,
            )
            if scene.truth and repeat == 0 and name not in (DETECTOR, DECODED):
                turn |= score(out, scene.videos[0].stem, scene.truth)
    for name, took in turns.items():
        if name not in measured:
            measured[name] = summarise(took)
    return {name: measured[name] for name in contenders}


def summarise(turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of the report; stages are those of the turn of median speed."""
    rates = [turn["frames"] / turn["seconds"] for turn in turns]
    middle = turns[rates.index(sorted(rates)[len(rates) // 2])]
    row: dict[str, Any] = {
        "frames_per_s": median(rates),
        "frames_per_s_of_repeats": rates,
        "processor_ms": median(1000 * turn["processor_s"] / turn["frames"] for turn in turns),
    }
    row |= {key: turns[0][key] for key in ("scores", "scores_of_tracks") if key in turns[0]}
    if "stages" in middle:
        frames = middle["frames"]
        row["stage_ms"] = {stage: 1000 * took / frames for stage, took in middle["stages"].items()}
        row["waited_ms"] = {stage: 1000 * took / frames for stage, took in middle["waited"].items()}
        row["elapsed_ms"] = 1000 * middle["elapsed_s"] / frames
    return row


def ratios(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Medians over repeats of what stood side by side in one repeat."""

    def over_repeats(above: str, below: str) -> float:
        pairs = zip(
            rows[above]["frames_per_s_of_repeats"], rows[below]["frames_per_s_of_repeats"], strict=True
        )
        return float(median(first / second for first, second in pairs))

    found = {}
    for run in (RUN, RUN_WITH_VIDEO):
        for alone in (DETECTOR, DECODED):
            if run in rows and alone in rows:
                found[f"time of {run} / {alone}"] = over_repeats(alone, run)
                processor_ms = rows[run]["processor_ms"] / rows[alone]["processor_ms"]
                found[f"processor time of {run} / {alone}"] = processor_ms
    peers = [name for name, row in rows.items() if name in PEERS and "failure" not in row]
    if peers:
        fastest = max(peers, key=lambda name: float(rows[name]["frames_per_s"]))
        found[f"frames/s of {RUN} / {fastest}, the fastest peer"] = over_repeats(RUN, fastest)
    return found


def score(out: Path, name: str, truth: Path) -> dict[str, dict[str, float]]:
    """HOTA, MOTA and IDF1 of a result; of a run, whose numbers are people, those of its tracks beside them.

    MOTChallenge gives whoever returns a new number, so the tracks are what compares with peers.
    """

    def figures(file: Path) -> dict[str, float]:
        scores = evaluate_results(file, truth).combined.as_dict()
        return {key: scores[key] for key in ("HOTA", "MOTA", "IDF1")}

    if not (out / "run").is_dir():
        return {"scores": figures(out / f"{name}.txt")}
    table = read_table(out / "run" / "sightings.parquet", columns=SEEN)
    seen = {key: it.to_numpy() for key, it in zip(SEEN, table.columns, strict=True)}
    boxes = xyxy_to_xywh(np.stack([seen[key] for key in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float64))
    tracks = MotTable.of_people(seen["frame"], seen["track"], boxes, seen["score"].astype(np.float64))
    (out / f"{name}.txt").write_text(format_results(tracks), encoding="ascii")
    return {
        "scores": figures(out / "run" / "mot" / f"{name}.txt"),
        "scores_of_tracks": figures(out / f"{name}.txt"),
    }


def print_scene(name: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    print(f"\n| {name} | frames/s | processor ms a frame | HOTA | MOTA | IDF1 |\n|---|---|---|---|---|---|")
    for contender, row in rows.items():
        if "failure" in row:
            print(f"| {contender} | {row['failure']} | | | | |")
            continue
        of_people, of_tracks = row.get("scores", {}), row.get("scores_of_tracks", {})
        cells = [f"{100 * it:.1f}" for it in of_people.values()] or [""] * 3
        if of_tracks:
            cells = [f"{cell} ({100 * it:.1f})" for cell, it in zip(cells, of_tracks.values(), strict=True)]
        print(
            f"| {contender} | {row['frames_per_s']:.1f} | {row['processor_ms']:.1f} | {' | '.join(cells)} |"
        )
    print()
    for what, ratio in ratios(rows).items():
        print(f"{what}: {ratio:.2f}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder with weights/ and data/")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="without it only Reunite is measured")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--scenes", nargs="*", metavar="NAME", help="only these")
    names = [*OURS, *PEERS]
    parser.add_argument("--only", nargs="*", metavar="CONTENDER", choices=names, help=", ".join(names))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    contenders = [*OURS, *(PEERS if options.peers else ())]
    contenders = [name for name in contenders if not options.only or name in options.only]
    scenes = [
        it for it in find_scenes(options.shared.resolve()) if not options.scenes or it.name in options.scenes
    ]
    if not contenders or not scenes or options.repeats < 1:
        parser.error("nothing to measure: check --scenes, --only and --repeats")
    weights, output = options.shared.resolve() / "weights" / WEIGHTS, options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"cores": os.cpu_count(), "repeats": options.repeats, "scenes": {}}
    try:
        for scene in scenes:
            rows = measure(scene, contenders, weights, options.peers, output, options.repeats)
            report["scenes"][scene.name] = {"contenders": rows, "ratios": ratios(rows)}
            print_scene(scene.name, rows)
            (output / "pipeline.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        write_picture(
            output / "pipeline.png", {name: it["contenders"] for name, it in report["scenes"].items()}
        )
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
