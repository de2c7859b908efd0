"""Which sequence has which ground truth, and what of it is tuned on and what is held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tracker.evaluate import find_ground_truth
from tracker.evaluate.files import read_ground_truth, read_info
from tracker.tune.recording import Recording
from tracker.tune.scoring import Part
from tracker.types import CameraName

GAP = 0.1
"""Where one sequence is cut in two, this share of its time lies between: who is there at the cut would
else be in both."""
MIN_PART_S = 5.0
"""A shorter part says nothing about how long people are followed."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """What is searched on, and what only judges.

    Attributes:
        tuning: One part or more.
        held_out: Never seen by the search; empty where nothing is held out.
        tuning_name, held_out_name: What they are, for people to read.
    """

    tuning: tuple[Part, ...]
    held_out: tuple[Part, ...]
    tuning_name: str
    held_out_name: str


def pair_truth(
    cameras: Sequence[CameraName], paths: Sequence[Path]
) -> tuple[dict[CameraName, Path], list[str]]:
    """The ground truth file of each camera, and the names of those that no camera has.

    One camera and one file belong together, whatever their names.

    Args:
        cameras: In order.
        paths: Each as `find_ground_truth` takes it.

    Raises:
        ReuniteError: A camera has none or two, or a path leads to none.
    """
    files: dict[str, Path] = {}
    for path in paths:
        for name, file in find_ground_truth(path).items():
            if files.setdefault(name, file) != file:
                raise ReuniteError(f"--gt: {files[name]} and {file} are both for {name!r}; name one of them")
    if len(cameras) == len(files) == 1:
        return {cameras[0]: next(iter(files.values()))}, []
    missing = [camera for camera in cameras if camera not in files]
    if missing:
        raise ReuniteError(
            f"--gt has nothing for {', '.join(missing)}; it has {', '.join(files)}: files are paired with "
            "sources by name, so name the file or folder after the source, or leave the source out"
        )
    return {camera: files[camera] for camera in cameras}, sorted(files.keys() - set(cameras))


def choose_held_out(cameras: Sequence[CameraName], held_out: Sequence[str], seed: int) -> list[CameraName]:
    """The sequences that are held out whole; none where there is only one, or the share is 0.

    Args:
        cameras: All sequences.
        held_out: Names of some of them, or one share from 0 to below 1; of several, some chosen by chance.
        seed: What decides that chance.

    Raises:
        ReuniteError: A name is unknown, all sequences are named, or the share is none.
    """
    if held_out and set(held_out) <= set(cameras):
        if len(set(held_out)) == len(cameras):
            raise ReuniteError("--held-out: names every sequence, so none is left to tune on; leave one out")
        return [camera for camera in cameras if camera in held_out]
    share = _share(held_out)
    if share is None:
        unknown = [name for name in held_out if name not in cameras]
        raise ReuniteError(
            f"--held-out {' '.join(unknown)}: write a share such as 0.3 (0 for none), or names of sequences; "
            f"there are {', '.join(cameras)}"
        )
    if len(cameras) == 1 or not share:
        return []
    count = min(max(1, round(share * len(cameras))), len(cameras) - 1)
    chosen = np.random.default_rng(seed).choice(len(cameras), count, replace=False)
    return [cameras[index] for index in sorted(chosen.tolist())]


def _share(held_out: Sequence[str]) -> float | None:
    try:
        share = float(held_out[0]) if len(held_out) == 1 else -1.0
    except ValueError:
        return None
    return share if 0 <= share < 1 - GAP else None


def split_recordings(
    recordings: Sequence[Recording],
    truth_files: Mapping[CameraName, Path],
    whole: Sequence[CameraName],
    held_out: Sequence[str],
) -> Split:
    """Hold out whole sequences or, of a single one, its end.

    Args:
        recordings: All sequences.
        truth_files: Of each.
        whole: The sequences that `choose_held_out` gave.
        held_out: What it was given.

    Raises:
        ReuniteError: Ground truth cannot be read, or a side has none, or is too short.
    """
    parts = [_whole_part(recording, truth_files[recording.camera]) for recording in recordings]
    share = _share(held_out)
    if whole or len(parts) > 1 or not share:
        tuning = tuple(part for part in parts if part.recording.camera not in whole)
        kept = tuple(part for part in parts if part.recording.camera in whole)
        names = [", ".join(part.recording.camera for part in side) for side in (tuning, kept)]
        split = Split(tuning, kept, names[0], names[1])
    else:
        split = _cut(parts[0], share)
    _check(split.tuning, f"the tuning part ({split.tuning_name})")
    if split.held_out:
        _check(split.held_out, f"the held-out part ({split.held_out_name})")
    return split


def _whole_part(recording: Recording, file: Path) -> Part:
    truth = read_ground_truth(file, recording.camera, MotTable.empty())
    if read_info(file) is None:
        truth = replace(truth, num_frames=max(truth.num_frames, int(recording.numbers[-1])))
    frames = range(1, truth.num_frames + 1)
    return Part(recording.within(frames), truth, frames)


def _cut(part: Part, share: float) -> Split:
    """The end of a sequence is held out, and a gap before it belongs to neither part."""
    recording, name = part.recording, part.recording.camera
    times = recording.times
    limits = times[0] + (times[-1] - times[0]) * np.array([1 - share - GAP, 1 - share])
    begin, end = recording.numbers[np.searchsorted(times, limits)].tolist()
    sides = [range(1, begin), range(end, part.frames.stop)]
    tuning, kept = (Part(recording.within(frames), part.truth, frames) for frames in sides)
    names = [f"frames {frames.start} to {frames.stop - 1} of {name}" for frames in sides]
    return Split((tuning,), (kept,), names[0], names[1])


def _check(parts: Sequence[Part], what: str) -> None:
    seconds = sum(float(np.ptp(part.recording.times)) for part in parts if len(part.recording.times))
    if seconds < MIN_PART_S:
        raise ReuniteError(
            f"{what} is {seconds:.1f} s long, which is too short to say anything ({MIN_PART_S:g} s at "
            "least); give longer or more sequences"
        )
    if not sum(part.boxes_to_find for part in parts):
        raise ReuniteError(
            f"{what} has no ground truth box that is to be found (class 1 with a flag that is not 0); "
            "give ground truth with people"
        )
