"""Detections that somebody else made: MOTChallenge det.txt files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from foundation.arrays import IntArray
from foundation.errors import ReuniteError
from foundation.mot_files import NOT_PEOPLE, read_mot
from tracker.config import FileDetectorConfig
from tracker.geometry import xywh_to_xyxy
from tracker.types import CameraName, Detections, State, Tick

MAX_LOGIT = 500.0
"""e^500 is finite, and a sigmoid is 0 or 1 long before."""


class FileDetector:
    """Looks each frame up by its number in the file of its camera; never looks at pixels."""

    ticks_at_once = 1

    def __init__(self, config: FileDetectorConfig, locations: Mapping[CameraName, str]) -> None:
        """Read all files.

        Args:
            config: Where the files are.
            locations: What each camera is read from: a video, a sequence folder or its picture folder.

        Raises:
            ReuniteError: A camera has no file, or a file has a bad row, which is named.
        """
        if Path(config.path).is_file() and len(locations) > 1:
            raise ReuniteError(
                f"detector.path: {config.path} is one file, but there are {len(locations)} cameras; name the "
                "folder that holds a file for each of them"
            )
        self._people: dict[CameraName, Detections] = {}
        self._frames: dict[CameraName, IntArray] = {}
        for camera, location in locations.items():
            path = find_detections(config.path, camera, location)
            table = read_mot(path)
            table = table[~np.isin(table.classes, NOT_PEOPLE)]  # VisDrone's detections hold cars too
            table = table[np.argsort(table.frames, kind="stable")]
            scores = table.scores
            if config.score_transform == "sigmoid":
                scores = 1 / (1 + np.exp(-np.clip(scores, -MAX_LOGIT, MAX_LOGIT)))
            good = scores >= config.min_score
            self._people[camera] = Detections(xywh_to_xyxy(table.boxes[good]), scores[good])
            self._frames[camera] = table.frames[good]

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame; none where the file has no row. See `Detector`."""
        people = []
        for frame in tick.frames:
            numbers = self._frames[frame.camera]
            first, end = np.searchsorted(numbers, [frame.number, frame.number + 1])
            people.append(self._people[frame.camera][first:end])
        return people

    def state(self) -> State:
        """Nothing: frames are looked up by their number."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""


def find_detections(path: str, camera: CameraName, location: str) -> Path:
    """The file of one camera; arguments as in `FileDetectorConfig.path` and `FileDetector`.

    Raises:
        ReuniteError: There is none.
    """
    source = Path(location)
    if path and Path(path).is_file():
        return Path(path)
    if path:
        places = [Path(path, f"{camera}.txt"), Path(path, camera, "det", "det.txt")]
    elif source.is_dir():
        # The picture folder of a sequence, SEQ/img1, lies beside its det folder.
        places = [source / "det" / "det.txt", source.parent / "det" / "det.txt"]
    else:
        places = [source.with_suffix("") / "det" / "det.txt"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ReuniteError(
            f"camera {camera!r}: no detections at {' or '.join(map(str, places))}; "
            "set detector.path to the folder that holds them"
        )
    return found
