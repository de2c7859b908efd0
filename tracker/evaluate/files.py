"""Which files hold results and which hold ground truth, and which of their frames count."""

import json
import os
import re
from pathlib import Path

import numpy as np

from foundation.errors import ReuniteError
from foundation.images import is_hidden
from foundation.mot_files import PEDESTRIAN, MotTable, SequenceInfo, read_mot, read_seqinfo
from tracker.metrics import GroundTruth
from tracker.metrics.overlap import IGNORED_CLASSES, NON_MOTORISED_VEHICLE

ALL_FRAMES, SECOND_HALF = "all", "second-half"


def find_results(results: Path) -> dict[str, Path]:
    """Result files by the name of their sequence; see `evaluate_results`."""
    if results.is_file():
        return {results.stem: results}
    for folder in (results / "mot", results / "data", results):
        files = sorted(file for file in folder.glob("*.txt") if not is_hidden(file))
        if files:
            return {file.stem: file for file in files}
    what = "has no NAME.txt, mot/NAME.txt or data/NAME.txt" if results.is_dir() else "no such file or folder"
    raise ReuniteError(f"{results}: {what}; name a result file, a folder of them, or a run folder")


def find_ground_truth(path: Path) -> dict[str, Path]:
    """Ground truth files by the name of their sequence; see `evaluate_results`."""
    if path.is_file():
        in_sequence = path.parent.name == "gt"
        return {_full(path).parents[1].name if in_sequence else path.stem: path}
    own = path / "gt" / "gt.txt"
    if own.is_file():
        return {_full(path).name: own}
    for pattern in ("*/gt/gt.txt", "train/*/gt/gt.txt", "val/*/gt/gt.txt", "test/*/gt/gt.txt"):
        files = sorted(file for file in path.glob(pattern) if not is_hidden(file.parents[1]))
        if files:
            return {file.parents[1].name: file for file in files}
    what = (
        "has no gt/gt.txt, NAME/gt/gt.txt or NAME/gt/gt.txt below train, val or test"
        if path.is_dir()
        else "no such file or folder"
    )
    raise ReuniteError(f"{path}: {what}; name a gt.txt, a sequence, or a folder of sequences")


def read_result(file: Path) -> MotTable:
    """Read a result file.

    Raises:
        ReuniteError: It cannot be read, or holds others than people, as ground truth given as a result does.
    """
    table = read_mot(file, unique_ids=True)
    others = np.flatnonzero(table.classes > PEDESTRIAN)
    if len(others):
        kind, frame = table.classes[others[0]], table.frames[others[0]]
        raise ReuniteError(
            f"{file}: a box of class {kind} in frame {frame}; a result holds people, class {PEDESTRIAN}, "
            "alone: leave the other boxes out"
        )
    return table


def read_ground_truth(file: Path, name: str, result: MotTable) -> GroundTruth:
    """Read a gt.txt and the seqinfo.ini of its sequence, if there is one; see `evaluate_results`."""
    table = read_mot(file, unique_ids=True, is_truth=True)
    info = read_info(file)
    num_frames = (
        info.length
        if info
        else max((int(part.frames.max()) for part in (table, result) if len(part)), default=0)
    )
    # MOT20 alone takes class 6 out as well; its ground truth marks bicycles that people push so.
    is_mot20 = name.startswith("MOT20")
    ignored = IGNORED_CLASSES | {NON_MOTORISED_VEHICLE} if is_mot20 else IGNORED_CLASSES
    return GroundTruth(name, table, num_frames, ignored)


def read_info(file: Path) -> SequenceInfo | None:
    """The seqinfo.ini of the sequence of a gt.txt; None where there is none."""
    info = _full(file).parents[1] / "seqinfo.ini"
    return read_seqinfo(info) if file.parent.name == "gt" and info.is_file() else None


def read_starts(summary: Path) -> dict[str, float]:
    """Seconds after the first camera at which each one of a run began; empty without a ``summary.json``.

    Raises:
        ReuniteError: The file cannot be read.
    """
    if not summary.is_file():
        return {}
    try:
        cameras = json.loads(summary.read_text(encoding="utf-8"))["cameras"]
        return {name: float(camera.get("start_s", 0.0)) for name, camera in cameras.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReuniteError(f"{summary}: cannot be read: {error}") from None


def frames_to_score(frames: str, truth: GroundTruth) -> range:
    """The frames of one sequence that ``all``, ``second-half`` or ``A-B`` means.

    Raises:
        ReuniteError: It means nothing, or no frame of this sequence.
    """
    last = truth.num_frames
    if frames == ALL_FRAMES:
        return range(1, last + 1)
    if frames == SECOND_HALF:
        return range(last // 2 + 2, last + 1)
    window = re.fullmatch(r"(\d+)-(\d+)", frames)
    if not window:
        raise ReuniteError(f"--frames {frames}: write A-B, for example 1-300, or '{SECOND_HALF}'")
    begin, end = int(window[1]), int(window[2])
    if not 1 <= begin <= min(end, last):
        raise ReuniteError(
            f"--frames {frames}: {truth.name} has frames 1 to {last}, and A must not be above B"
        )
    return range(begin, min(end, last) + 1)


def _full(path: Path) -> Path:
    """From the root, without dots; links are not followed, so a linked file keeps its neighbours."""
    return Path(os.path.abspath(path))
