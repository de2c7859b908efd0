"""The best picture of each track, small, for those who allow that pictures of people are kept."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from foundation.arrays import Image
from tracker.geometry import pixel_boxes
from tracker.types import CameraName, Frame, Sightings, State

HEIGHT_PX = 128
"""No portrait is higher."""

BETTER = 1.1
"""A picture takes the place of another when it is this many times better: each costs an encoding."""

BORDER_PX = 2
"""Whoever is nearer to the border of the picture may be cut off by it: many detectors clip their boxes."""

CUT = 0.5
"""What a picture is worth that shows somebody cut off."""

MAX_PORTRAITS = 4096
"""This many are kept, about 12 MB; of the oldest only the time. A live run has saved those long before."""

TrackKey = tuple[CameraName, int]
"""Camera, and number of the track there."""


class Portrait(NamedTuple):
    """A track at its best.

    Attributes:
        time: When that was, as `Frame.time`.
        jpeg: The picture; empty where it is no longer kept.
    """

    time: float
    jpeg: bytes


class Portraits:
    """A sink that keeps the best crop of each track: large, whole, and sure to be a person."""

    def __init__(self) -> None:
        # In the order in which the tracks were at their best: how good, and the picture.
        self._best: dict[TrackKey, tuple[float, Portrait]] = {}
        self._kept: dict[TrackKey, None] = {}  # those whose JPEG is there

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Look whether anybody is seen better than before."""
        if frame.is_blank:
            return
        inside = pixel_boxes(sightings.boxes, frame)
        heights = inside[:, 3] - inside[:, 1]
        has_area = (heights > 0) & (inside[:, 2] > inside[:, 0])
        corners = sightings.boxes
        is_whole = (corners[:, :2] >= BORDER_PX).all(axis=1)
        is_whole &= (corners[:, 2:] <= np.array(frame.size) - BORDER_PX).all(axis=1)
        # A detector that reads files may give any score.
        worth = heights * np.clip(sightings.scores, 0.01, 1.0) * np.where(is_whole, 1.0, CUT)
        for row in np.nonzero(has_area)[0].tolist():
            key = frame.camera, int(sightings.track_ids[row])
            if key not in self._best or worth[row] >= BETTER * self._best[key][0]:
                x1, y1, x2, y2 = inside[row].tolist()
                self._put(key, float(worth[row]), Portrait(frame.time, _jpeg(frame.image[y1:y2, x1:x2])))

    def portraits(self) -> dict[TrackKey, Portrait]:
        """The best so far of each track that was ever seen with a picture."""
        return {key: portrait for key, (_, portrait) in self._best.items()}

    def forget(self, tracks: Iterable[TrackKey]) -> None:
        """These tracks are over, and their pictures kept elsewhere or nowhere."""
        for key in tracks:
            self._best.pop(key, None)
            self._kept.pop(key, None)

    def state(self) -> State:
        portraits = [portrait for _, portrait in self._best.values()]
        return {
            "cameras": np.array([camera for camera, _ in self._best], np.str_),
            "track_ids": np.array([track for _, track in self._best], np.int64),
            "worth": np.array([worth for worth, _ in self._best.values()]),
            "times": np.array([portrait.time for portrait in portraits]),
            "lengths": np.array([len(portrait.jpeg) for portrait in portraits], np.int64),
            "jpegs": np.frombuffer(b"".join(portrait.jpeg for portrait in portraits), np.uint8),
        }

    def restore(self, state: State) -> None:
        self._best, self._kept = {}, {}
        ends = np.cumsum(state["lengths"])
        columns = ("cameras", "track_ids", "worth", "times", "lengths")
        rows = zip(*(state[name].tolist() for name in columns), ends.tolist(), strict=True)
        for camera, track_id, worth, time, length, end in rows:
            jpeg = state["jpegs"][end - length : end].tobytes()
            self._put((CameraName(camera), track_id), worth, Portrait(time, jpeg))

    def close(self) -> None:
        """Nothing was begun."""

    def _put(self, key: TrackKey, worth: float, portrait: Portrait) -> None:
        self._best.pop(key, None)
        self._kept.pop(key, None)
        self._best[key] = worth, portrait
        if portrait.jpeg:
            self._kept[key] = None
        if len(self._kept) > MAX_PORTRAITS:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            worth, portrait = self._best[oldest]
            self._best[oldest] = worth, portrait._replace(jpeg=b"")


def _jpeg(crop: Image) -> bytes:
    """A crop (H, W, 3), made smaller where it is higher than `HEIGHT_PX`."""
    height, width = crop.shape[:2]
    if height > HEIGHT_PX:
        size = max(round(width * HEIGHT_PX / height), 1), HEIGHT_PX
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, coded = cv2.imencode(".jpg", crop)
    assert done  # OpenCV refuses only empty pictures
    return coded.tobytes()
