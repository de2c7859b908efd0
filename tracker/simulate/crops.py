"""Crops of simulated people with what is known of them: who they are, their joints, what they wear.

The folder is laid out as Market-1501 is, so the training reads it as ``market1501=OUT/people``; beside it
labels.json names key points and attributes of every picture (docs/simulate.md).
"""

import json
from pathlib import Path

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image
from tracker.simulate.body import JOINT, Colour, Look, Poses
from tracker.simulate.cameras import Camera
from tracker.simulate.truth import Truth

KEY_POINTS = (
    "crown", "neck", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r",
)  # fmt: skip
"""Joints that are written, in this order; the left is the person's own."""

MIN_VISIBILITY, MIN_HEIGHT_PX = 0.7, 48
"""Whoever shows less gets no crop."""

TRAIN_SHARE = 0.7
"""Of the people; the others are to be found again."""

_COLOURS: dict[str, Colour] = {
    "black": (40, 40, 40), "white": (225, 225, 225), "grey": (140, 140, 140), "red": (50, 50, 200),
    "orange": (30, 130, 230), "yellow": (50, 205, 225), "green": (65, 145, 65), "blue": (180, 105, 45),
    "purple": (155, 80, 145), "brown": (50, 75, 120),
}  # fmt: skip

ATTRIBUTES = (
    "backpack", "shoulder_bag", "hat", "long_hair", "long_sleeves", "short_trousers", "skirt", "coat",
    *(f"top_{name}" for name in _COLOURS), *(f"bottom_{name}" for name in _COLOURS),
)  # fmt: skip


def attributes_of(look: Look) -> list[int]:
    """1 for each of `ATTRIBUTES` that somebody has, else 0."""
    is_long = look.hem < 0.5
    worn = (
        look.bag == "backpack",
        look.bag == "shoulder",
        look.hair_style == "cap",
        look.hair_style == "long",
        look.long_sleeves,
        look.short_trousers and not is_long,
        is_long and not look.hem_is_top,
        is_long and look.hem_is_top,
    )
    colours = [nearest == name for nearest in map(_name, (look.top, look.bottom)) for name in _COLOURS]
    return [int(it) for it in (*worn, *colours)]


def _name(colour: Colour) -> str:
    return min(_COLOURS, key=lambda name: float(np.square(np.subtract(_COLOURS[name], colour)).sum()))


class CropWriter:
    """Writes the crops of all cameras; `close` adds what is known of them."""

    def __init__(self, folder: Path, looks: list[Look], every: int) -> None:
        """``every``: frames from one crop of a person by a camera to the next."""
        self._folder, self._every = folder, every
        self._attributes = [attributes_of(look) for look in looks]
        self._first_of_test = round(TRAIN_SHARE * len(looks))
        self._asked: set[tuple[int, int]] = set()
        self._pictures: dict[str, dict[str, list[int] | list[list[float]]]] = {}
        for part in ("bounding_box_train", "query", "bounding_box_test"):
            (folder / part).mkdir(parents=True)

    def write(
        self, image: Image, frame: int, number: int, camera: Camera, truth: Truth, poses: Poses
    ) -> None:
        """Add the people of a frame who can be seen well.

        Args:
            image: (H, W, 3) what the camera sees.
            frame: Its number, from 0.
            number: Of the camera, from 0.
            camera: Whose picture it is.
            truth: Rows of that frame, among others.
            poses: Of the people in the room at that moment.
        """
        if frame % self._every:
            return
        row_of = {person: row for row, person in enumerate(poses.person.tolist())}
        for row in np.flatnonzero(truth.frames == frame).tolist():
            x1, y1, x2, y2 = np.round(truth.boxes[row]).astype(int).tolist()
            x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, image.shape[1]), min(y2, image.shape[0])
            person = int(truth.people[row])
            if truth.visibility[row] < MIN_VISIBILITY or y2 - y1 < MIN_HEIGHT_PX or x2 <= x1:
                continue
            pixels, _ = camera.project(poses.joints[row_of[person], [JOINT[name] for name in KEY_POINTS]])
            shares: FloatArray = (pixels - (x1, y1)) / (x2 - x1, y2 - y1)
            name = f"{self._part(person, number)}/{person + 1:04d}_c{number + 1}s1_{frame:06d}_00.png"
            _, png = cv2.imencode(".png", image[y1:y2, x1:x2])
            (self._folder / name).write_bytes(png.tobytes())  # `cv2.imwrite` does not say that a disk is full
            points = [[round(float(x), 4), round(float(y), 4)] for x, y in shares]
            self._pictures[name] = {"key_points": points, "attributes": self._attributes[person]}

    def _part(self, person: int, camera: int) -> str:
        """Of whoever is to be found again the first picture by each camera asks."""
        if person < self._first_of_test:
            return "bounding_box_train"
        if (person, camera) in self._asked:
            return "bounding_box_test"
        self._asked.add((person, camera))
        return "query"

    def close(self) -> None:
        """Write labels.json."""
        labels = {"key_points": KEY_POINTS, "attributes": ATTRIBUTES, "pictures": self._pictures}
        (self._folder / "labels.json").write_text(json.dumps(labels) + "\n", encoding="ascii")
