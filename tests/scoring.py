"""What the scoring tests share: TrackEval as the oracle, and worlds and results with known ids."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import trackeval

from foundation.mot_files import MotTable, SequenceInfo, format_ground_truth, format_seqinfo, write_mot
from tracker.geometry import iou_matrix, xywh_to_xyxy, xyxy_to_xywh

HOTA_KEYS = {"HOTA": "HOTA", "DetA": "DetA", "AssA": "AssA", "LocA": "LocA"}
CLEAR_KEYS = {
    "MOTA": "MOTA",
    "MOTP": "MOTP",
    "Rcll": "CLR_Re",
    "Prcn": "CLR_Pr",
    "TP": "CLR_TP",
    "FP": "CLR_FP",
    "FN": "CLR_FN",
    **{key: key for key in ("MT", "PT", "ML", "IDSW", "Frag")},
}
IDENTITY_KEYS = {key: key for key in ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN")}
COMBINED = "COMBINED_SEQ"


def trackeval_scores(
    truth_folder: Path, results: Path, lengths: Mapping[str, int], benchmark: str = "MOT16"
) -> dict[str, dict[str, float]]:
    """What TrackEval says of NAME/gt/gt.txt and NAME.txt: figures by sequence, and `COMBINED`."""
    quiet = {"PRINT_CONFIG": False}
    dataset = {
        "GT_FOLDER": str(truth_folder),
        "TRACKERS_FOLDER": str(results.parent),
        "TRACKERS_TO_EVAL": [results.name],
        "TRACKER_SUB_FOLDER": "",
        "SEQ_INFO": dict(lengths),
        "BENCHMARK": benchmark,
        "SKIP_SPLIT_FOL": True,
        **quiet,
    }
    options = {
        "PRINT_RESULTS": False,
        "TIME_PROGRESS": False,
        "OUTPUT_SUMMARY": False,
        "OUTPUT_DETAILED": False,
        "PLOT_CURVES": False,
        "BREAK_ON_ERROR": True,
        "LOG_ON_ERROR": None,
        **quiet,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        answer, _ = trackeval.Evaluator(options).evaluate(
            [trackeval.datasets.MotChallenge2DBox(dataset)],
            [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(quiet), trackeval.metrics.Identity(quiet)],
        )
    scores = {}
    for name, classes in answer["MotChallenge2DBox"][results.name].items():
        metrics = classes["pedestrian"]
        scores[name] = {
            **{ours: float(np.mean(metrics["HOTA"][theirs])) for ours, theirs in HOTA_KEYS.items()},
            **{ours: float(metrics["CLEAR"][theirs]) for ours, theirs in CLEAR_KEYS.items()},
            **{ours: float(metrics["Identity"][theirs]) for ours, theirs in IDENTITY_KEYS.items()},
        }
    return scores


def assert_equal_scores(ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    """Counts equal, fractions to 1e-9, and no figure left out on either side."""
    assert ours.keys() == theirs.keys()
    off = {
        key: (ours[key], theirs[key])
        for key in ours
        if abs(ours[key] - theirs[key]) > (0 if isinstance(ours[key], int) else 1e-9)
    }
    assert not off


def write_sequence(folder: Path, name: str, truth: MotTable, num_frames: int) -> None:
    """Write NAME/gt/gt.txt and NAME/seqinfo.ini."""
    (folder / name / "gt").mkdir(parents=True)
    (folder / name / "gt" / "gt.txt").write_text(format_ground_truth(truth))
    info = SequenceInfo(name, 25.0, num_frames, 640, 480)
    (folder / name / "seqinfo.ini").write_text(format_seqinfo(info))


def write_result(folder: Path, name: str, result: MotTable) -> None:
    """Write NAME.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    write_mot(folder / f"{name}.txt", result)


def random_world(seed: int, num_frames: int = 60, num_people: int = 12) -> MotTable:
    """People and other things who walk across each other, some of them flagged 0, some away for a while."""
    random = np.random.default_rng(seed)
    frames = np.repeat(np.arange(1, num_frames + 1), num_people)
    ids = np.tile(np.arange(1, num_people + 1), num_frames)
    start = random.uniform(0, 120, (1, num_people, 2))
    steps = random.normal(0, 2, (num_frames, num_people, 2)) + random.normal(0, 1, (1, num_people, 2))
    sizes = np.broadcast_to(random.uniform((15, 40), (30, 80), (num_people, 2)), steps.shape)
    boxes = np.concatenate([start + np.cumsum(steps, axis=0), sizes], axis=2).reshape(-1, 4).round(1)
    classes = random.choice([1, 1, 1, 1, 2, 3, 6, 7, 8, 9, 12], num_people)[ids - 1]
    flags = (random.uniform(size=num_people) > 0.1)[ids - 1].astype(float)
    begin, length = (
        random.integers(1, num_frames, num_people),
        random.integers(0, num_frames // 3 + 1, num_people),
    )
    away = (frames >= begin[ids - 1]) & (frames < (begin + length)[ids - 1])
    return MotTable(frames, ids, boxes, flags, classes, np.ones(len(ids)))[~away]


def noisy_result(truth: MotTable, seed: int, jitter_px: float = 3.0) -> MotTable:
    """The truth with misses, jitter, ids that change and are exchanged, false boxes and an empty stretch."""
    random = np.random.default_rng(seed)
    last = int(truth.frames.max())
    seen = truth[random.uniform(size=len(truth)) > 0.15]
    # Ids change every few frames; the modulus lets two people exchange theirs now and then.
    period = random.integers(5, 40)
    ids = (seen.ids * 7 + seen.frames // period * (seen.ids % 3)) % 50 + 1
    boxes = np.concatenate([seen.boxes, seen.boxes[::9] + 25.0])
    boxes[:, :2] += random.normal(0, jitter_px, (len(boxes), 2))
    frames = np.concatenate([seen.frames, seen.frames[::9]])
    ids = np.concatenate([ids, 60 + seen.ids[::9]])
    keys = frames * 1000 + ids
    _, first = np.unique(keys, return_index=True)  # an id is once in a frame
    result = MotTable.of_people(frames, ids, boxes.round(2), np.ones(len(ids)))[np.sort(first)]
    stretch = random.integers(1, last)
    return result[(result.frames < stretch) | (result.frames > stretch + 3)]


def linked(detections: MotTable, min_score: float, max_gap_frames: int = 3) -> MotTable:
    """Detections with ids: each continues the recent box that it overlaps most, best pairs first."""
    kept = detections[detections.scores >= min_score]
    corners = xywh_to_xyxy(kept.boxes)
    ids = np.zeros(len(kept), np.int64)
    recent: dict[int, int] = {}
    next_id = 1
    for frame in np.unique(kept.frames):
        rows = np.flatnonzero(kept.frames == frame)
        recent = {track: row for track, row in recent.items() if frame - kept.frames[row] <= max_gap_frames}
        tracks, before = list(recent), list(recent.values())
        ious = iou_matrix(corners[before], corners[rows])
        for best in np.argsort(-ious, axis=None):
            index, column = divmod(int(best), len(rows))
            if ious[index, column] < 0.4:
                break
            if ids[rows[column]] == 0 and tracks[index] not in ids[rows]:
                ids[rows[column]] = tracks[index]
        for row in rows:
            if ids[row] == 0:
                ids[row], next_id = next_id, next_id + 1
            recent[int(ids[row])] = int(row)
    return MotTable.of_people(kept.frames, ids, xyxy_to_xywh(corners), kept.scores)
