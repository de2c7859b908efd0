"""Scores of the camera tracker on MOT16 detections from files: online, without pixels, one set of values.

    python -m benchmarks.mot16 --detections ../shared/data/mot17-yolox --half second
    python -m benchmarks.mot16 --detections public
    python -m benchmarks.mot16 --detections public --set tracking.max_lost_s=2
    python -m benchmarks.mot16 --detections public --config configs/association/bytetrack.yaml --motion none
    python -m benchmarks.mot16 --detections public --offline

YOLOX was trained on the first halves, so only its second halves count (frames from length // 2 + 2); the
tracker starts there. Public (DPM) scores are unbounded and go through 1 / (1 + exp(-score)); they mean
something else than YOLOX's, so the score from which somebody is likely there differs, and nothing else does.
How the cameras moved is known from files (``--motion``), as the pictures of most sequences are not there.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, read_mot, read_seqinfo
from tracker.camera_motion.file import read_motions
from tracker.camera_tracker import CameraTracker, Update
from tracker.config import OfflineConfig, TrackingConfig, load_config
from tracker.geometry import xywh_to_xyxy, xyxy_to_xywh
from tracker.metrics import GroundTruth, Scores, score_sequence
from tracker.smoothing import smooth_tracks
from tracker.types import CameraName, Observations

MOT16 = Path(__file__).resolve().parents[2] / "shared" / "data" / "mot16"
MOTION = MOT16.parent / "mot17-yolox" / "gmc"
LIKELY_YOLOX = 0.6
LIKELY_PUBLIC = 0.5
"""From these scores on somebody is likely there; 0.5 is a raw DPM score of 0."""

MIN_SCORE = 0.1
"""Detections below this are dropped, as every detector does."""


@dataclass(frozen=True, slots=True, eq=False)
class Sequence16:
    """One sequence, ready to track.

    Attributes:
        truth: Who is there.
        frame_rate: Frames per second.
        frames: The frames to track and score.
        observations: Who was found, one for each of ``frames``.
        motions: How the camera moved the picture of the frame before to that of each, (2, 3); None where
            nobody knows.
    """

    truth: GroundTruth
    frame_rate: float
    frames: range
    observations: tuple[Observations, ...]
    motions: tuple[FloatArray | None, ...]


def read_sequence(folder: Path, detections: Path | None, half: str, motion: Path | None = None) -> Sequence16:
    """Read a MOT16 sequence folder.

    Args:
        folder: The sequence.
        detections: A folder of SEQUENCE.txt files; None takes its public ones.
        half: ``all``, ``first`` or ``second``.
        motion: As in `score_all`.
    """
    info = read_seqinfo(folder / "seqinfo.ini")
    found = read_mot(folder / "det" / "det.txt" if detections is None else detections / f"{folder.name}.txt")
    scores = 1 / (1 + np.exp(-found.scores)) if detections is None else found.scores
    middle = info.length // 2 + 1
    frames = {
        "all": range(1, info.length + 1),
        "first": range(1, middle + 1),
        "second": range(middle + 1, info.length + 1),
    }[half]
    found, scores = found[scores >= MIN_SCORE], scores[scores >= MIN_SCORE]
    order = np.argsort(found.frames, kind="stable")
    limits = np.searchsorted(found.frames[order], [*frames, frames.stop])
    boxes = xywh_to_xyxy(found.boxes)
    observations = tuple(
        Observations(boxes[rows], scores[rows], np.empty((len(rows), 0), np.float32))
        for rows in (order[start:stop] for start, stop in pairwise(limits))
    )
    truth = GroundTruth(folder.name, read_mot(folder / "gt" / "gt.txt", unique_ids=True), info.length)
    motions: tuple[FloatArray | None, ...]
    if motion is not None:
        motions = tuple(read_motions(motion / f"{folder.name}.txt")[frames.start - 1 : frames.stop - 1])
    else:
        motions = (None,) * len(frames)
    return Sequence16(truth, info.frame_rate, frames, observations, motions)


def track(sequence: Sequence16, config: TrackingConfig, likely_score: float) -> tuple[MotTable, float]:
    """Track a sequence online. Returns the result and the seconds that the tracker took."""
    tracker = CameraTracker(CameraName(sequence.truth.name), config, likely_score)
    began = time.perf_counter()
    tracks: list[Update] = []
    for frame, found, motion in zip(sequence.frames, sequence.observations, sequence.motions, strict=True):
        prediction = tracker.predict(frame / sequence.frame_rate, motion)
        tracks.append(tracker.update(tracker.compare(prediction, found), found))
    taken_s = time.perf_counter() - began
    return to_table(sequence.frames, tracks), taken_s


def to_table(frames: range, tracks: Sequence[Update]) -> MotTable:
    """The tracks of some frames, also those that were coasting, as the rows of a result file."""
    return MotTable.of_people(
        np.repeat(np.array(frames), [len(seen) + len(coasting) for seen, coasting in tracks]),
        np.concatenate([part.track_ids for parts in tracks for part in parts]),
        xyxy_to_xywh(np.concatenate([part.boxes for parts in tracks for part in parts])),
        np.concatenate([part.scores for parts in tracks for part in parts]),
    )


def print_row(name: str, scores: Scores, frames_per_s: float) -> None:
    clear = scores.clear
    print(
        f"{name:<10} {100 * scores.hota:6.2f} {100 * scores.det_a:6.2f} {100 * scores.ass_a:6.2f} "
        f"{100 * scores.mota:6.2f} {100 * scores.idf1:6.2f} {clear.switches:9d} {frames_per_s:9.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--detections", default="public", help="'public', or a folder of SEQUENCE.txt files")
    parser.add_argument("--half", choices=("all", "first", "second"), default="all")
    parser.add_argument("--mot16", type=Path, default=MOT16, help="the folder of sequences with ground truth")
    parser.add_argument(
        "--motion",
        default=MOTION,
        metavar="HOW",
        help="how the cameras moved: a folder of SEQUENCE.txt files (default: those of MOT17 beside MOT16), "
        "or 'none', where only the boxes tell it",
    )
    parser.add_argument("--offline", action="store_true", help="fill gaps and smooth, knowing all frames")
    parser.add_argument(
        "--config", type=Path, action="append", metavar="YAML", help="of which tracking and offline count"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in tracker.run")
    options = parser.parse_args(arguments)
    detections = None if options.detections == "public" else Path(options.detections)
    motion = None if options.motion == "none" else Path(options.motion)
    config = load_config(options.config, options.set)
    offline = config.offline if options.offline else None
    score_all(detections, options.half, config.tracking, options.mot16, motion, offline)


def score_all(
    detections: Path | None,
    half: str,
    config: TrackingConfig,
    mot16: Path = MOT16,
    motion: Path | None = MOTION,
    offline: OfflineConfig | None = None,
) -> Scores:
    """Track and score all sequences, printing a row for each; the scores of all together.

    Args:
        detections: A folder of SEQUENCE.txt files with scores like YOLOX's; None takes the public ones.
        half: ``all``, ``first`` or ``second``.
        motion: A folder of SEQUENCE.txt files that say how the cameras moved; None: only the boxes tell it.
        offline: How to smooth the finished tracks; None leaves them as they were seen.

    Raises:
        ReuniteError: There are no sequences.
    """
    folders = sorted(path.parent for path in mot16.glob("*/seqinfo.ini"))
    if not folders:
        raise ReuniteError(f"{mot16}: no sequence (a folder with seqinfo.ini) is there")
    likely_score = LIKELY_PUBLIC if detections is None else LIKELY_YOLOX
    columns = " ".join(f"{name:>6}" for name in ("HOTA", "DetA", "AssA", "MOTA", "IDF1"))
    print(f"{'':<10} {columns} {'switches':>9} {'frames/s':>9}")
    rows: list[Scores] = []
    num_frames, seconds = 0, 0.0
    for folder in folders:
        sequence = read_sequence(folder, detections, half, motion)
        result, taken = track(sequence, config, likely_score)
        if offline is not None:
            result = result[
                result.scores != 0
            ]  # without those that were coasting: the smoother knows both ends of a gap
            result = smooth_tracks(result, result.frames / sequence.frame_rate, likely_score, offline)
        rows.append(score_sequence(result, sequence.truth, sequence.frames))
        print_row(folder.name, rows[-1], len(sequence.frames) / taken)
        num_frames, seconds = num_frames + len(sequence.frames), seconds + taken
    combined = sum(rows[1:], start=rows[0])
    print_row("combined", combined, num_frames / seconds)
    return combined


if __name__ == "__main__":
    main()
