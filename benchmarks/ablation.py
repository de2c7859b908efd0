"""What each part of the association gives: one thing changed at a time, over all data, one set of values.

    python -m benchmarks.ablation --shared ../shared
    python -m benchmarks.ablation --shared ../shared --only presets

Prints HOTA / MOTA / IDF1 in percent, online, motion only, as a table in Markdown. `/4` takes every fourth
frame of the YOLOX halves: what happens when frames drop. `blind` is YOLOX without the files that say how the
cameras moved. PETS and CAMPUS are tracked with their public detections; scores of PETS divided by 50. Of
CAMPUS the first minute of each view counts.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.mot16 import LIKELY_PUBLIC, LIKELY_YOLOX, MIN_SCORE, Sequence16, read_sequence, track
from foundation.arrays import FloatArray
from foundation.mot_files import MotTable, read_mot, read_seqinfo
from tracker.config import RunConfig, TrackingConfig, load_config, with_values
from tracker.geometry import xywh_to_xyxy
from tracker.metrics import GroundTruth, Scores, score_sequence
from tracker.types import Observations

PRESETS = Path(__file__).resolve().parents[1] / "configs" / "association"
LIKELY_CAMPUS = 0.5
"""YOLOv8n's scores in these files begin there."""
CAMPUS_FRAMES = 1800

Scored = tuple[Sequence16, float]
"""A sequence, and the score from which somebody is likely there."""


def data_sets(shared: Path) -> dict[str, list[Scored]]:
    """All sequences, by the name of their column."""
    data = shared / "data"
    folders = sorted(path.parent for path in (data / "mot16").glob("*/seqinfo.ini"))
    yolox, motion = data / "mot17-yolox", data / "mot17-yolox" / "gmc"
    halves = [read_sequence(folder, yolox, "second", motion) for folder in folders]
    blind = [read_sequence(folder, yolox, "second") for folder in folders]
    public = [read_sequence(folder, None, "all", motion) for folder in folders]
    return {
        "YOLOX": [(sequence, LIKELY_YOLOX) for sequence in halves],
        "/4": [(every_fourth(sequence), LIKELY_YOLOX) for sequence in halves],
        "blind": [(sequence, LIKELY_YOLOX) for sequence in blind],
        "public": [(sequence, LIKELY_PUBLIC) for sequence in public],
        "PETS": [(pets(data / "video" / "PETS09-S2L1"), LIKELY_YOLOX)],
        "CAMPUS": [(campus(view), LIKELY_CAMPUS) for view in sorted((data / "campus-auditorium").glob("*/"))],
    }


def every_fourth(sequence: Sequence16) -> Sequence16:
    """Every fourth frame; motions of the frames between are put together."""
    frames = sequence.frames[::4]
    motions: list[FloatArray | None] = []
    for number in range(len(frames)):
        whole = np.eye(3)
        for motion in sequence.motions[max(0, 4 * number - 3) : 4 * number + 1]:
            whole = np.vstack((np.eye(2, 3) if motion is None else motion, (0, 0, 1))) @ whole
        motions.append(whole[:2])
    table = sequence.truth.table
    truth = replace(sequence.truth, table=table[np.isin(table.frames, np.array(frames))])
    return replace(
        sequence, truth=truth, frames=frames, observations=sequence.observations[::4], motions=tuple(motions)
    )


def pets(folder: Path) -> Sequence16:
    """PETS09-S2L1; its ground truth is of the form of MOT15, every row a person."""
    truth, found = read_mot(folder / "gt" / "gt.txt"), read_mot(folder / "det" / "det.txt")
    truth = truth[truth.scores > 0]
    people = MotTable.of_people(truth.frames, truth.ids, truth.boxes, truth.scores)
    return _sequence(GroundTruth("PETS09-S2L1", people, 795), 7.0, found, np.clip(found.scores / 50, 0, 1))


def campus(folder: Path) -> Sequence16:
    """The first frames of one view."""
    info = read_seqinfo(folder / "seqinfo.ini")
    truth, found = read_mot(folder / "gt" / "gt.txt"), read_mot(folder / "det" / "det.txt")
    truth = truth[truth.frames <= CAMPUS_FRAMES]
    return _sequence(GroundTruth(folder.name, truth, CAMPUS_FRAMES), info.frame_rate, found, found.scores)


def _sequence(truth: GroundTruth, frame_rate: float, found: MotTable, scores: FloatArray) -> Sequence16:
    frames = range(1, truth.num_frames + 1)
    boxes = xywh_to_xyxy(found.boxes)
    observations = []
    for frame in frames:
        rows = np.flatnonzero((found.frames == frame) & (scores >= MIN_SCORE))
        observations.append(Observations(boxes[rows], scores[rows], np.empty((len(rows), 0), np.float32)))
    return Sequence16(truth, frame_rate, frames, tuple(observations), (None,) * len(frames))


def variants(ours: RunConfig) -> Iterator[tuple[str, TrackingConfig]]:
    """Everything that is measured, by name; each changes one thing of ``ours``."""
    tracking = ours.tracking

    def stages(**values: object) -> TrackingConfig:
        return whole(stages=tuple(stage.model_copy(update=values) for stage in tracking.stages))

    def whole(**values: object) -> TrackingConfig:
        return tracking.model_copy(update=values)

    first, low, young = tracking.stages
    yield "ours", tracking
    yield "no feet distance", stages(feet_weight=0.0)
    yield "no growing of boxes", stages(buffer=0.0)
    yield "IoU without the height factor", stages(similarity="iou")
    yield "no score in the similarity", stages(fuse_score=False)
    yield "measurement noise whatever the score", whole(score_doubt=0.0)
    yield "measurement noise whatever covers it", whole(cover_doubt=0.0)
    yield "no common shift", whole(common_shift=False)
    yield "no coasting", whole(coast_s=0.0)
    yield "coasting for 0.2 s", whole(coast_s=0.2)
    yield "the hidden coast as briefly as others", whole(hidden_coast_s=0.0)
    yield "second boxes start tracks", whole(max_confirm_iou=1.0)
    yield "births on people who are there", whole(max_birth_iou=1.0)
    yield "births reported at once", whole(confirm_frames=1)
    yield "births confirmed by three frames", whole(confirm_frames=3)
    yield "no low-score stage", whole(stages=(first, young))
    reviving = low.model_copy(update={"tracks": ("tracked", "lost")})
    yield "low scores revive lost tracks too", whole(stages=(first, reviving, young))
    yield "velocity direction, weight 0.1", stages(direction_weight=0.1)
    last_seen = first.model_copy(update={"tracks": ("lost",), "boxes": "last_seen", "max_cost": 0.7})
    yield "last round where people were last seen", whole(stages=(first, low, young, last_seen))
    yield "Mahalanobis gate at 4", stages(max_mahalanobis=4.0)
    for key in ("measured_sd", "position_sd", "velocity_sd", "start_velocity_sd"):
        for factor in (0.5, 2.0):
            value = factor * getattr(tracking.motion, key)
            yield f"`{key}` x {factor:g}", with_values(ours, {f"tracking.motion.{key}": value}).tracking
    for key, values in (("max_lost_s", (1.0, 2.5)), ("score_doubt", (1.5, 5.0)), ("cover_doubt", (0.5, 2.0))):
        for value in values:
            yield f"`{key}` {value:g}", whole(**{key: value})
    for number, name in enumerate(("first", "low-score", "tentative")):
        for change in (-0.04, 0.04):
            value = tracking.stages[number].max_cost + change
            key = f"tracking.stages.{number}.max_cost"
            yield f"{name} `max_cost` {value:.2f}", with_values(ours, {key: value}).tracking


def presets() -> Iterator[tuple[str, TrackingConfig]]:
    """The configurations that take after published trackers."""
    for path in sorted(PRESETS.glob("*.yaml")):
        yield path.stem, load_config(path).tracking


def row(config: TrackingConfig, sets: dict[str, list[Scored]]) -> list[Scores]:
    """The scores of one configuration on each set of sequences."""
    scores = []
    for sequences in sets.values():
        each = []
        for sequence, likely_score in sequences:
            frames = range(sequence.frames.start, sequence.frames.stop)
            each.append(score_sequence(track(sequence, config, likely_score)[0], sequence.truth, frames))
        scores.append(sum(each[1:], start=each[0]))
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared", type=Path, required=True, help="the folder with data/mot16 and the others"
    )
    parser.add_argument("--only", choices=("variants", "presets"), help="a part of the table")
    options = parser.parse_args(arguments)
    sets = data_sets(options.shared)
    print("| |", " | ".join(sets), "|\n|---|" + "---|" * len(sets))
    configs = [] if options.only == "presets" else list(variants(load_config()))
    configs += [] if options.only == "variants" else list(presets())
    for name, config in configs:
        cells = [
            f"{100 * it.hota:.1f} / {100 * it.mota:.1f} / {100 * it.idf1:.1f}" for it in row(config, sets)
        ]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
