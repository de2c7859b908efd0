"""Bodies that nobody can recognise, in what is shown and in what is saved."""

from dataclasses import dataclass

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image
from tracker.config import OutputConfig
from tracker.types import Frame, Sightings

BLOCKS = (5, 12)
"""Across and along a body: so many blocks of one colour are left of it."""


@dataclass(frozen=True, slots=True)
class Blur:
    """Whose bodies are hidden.

    Attributes:
        kind: ``none``, ``all``, or ``all_but``: everybody but one person.
        but: That person.
    """

    kind: str = "none"
    but: int | None = None

    @classmethod
    def of(cls, config: OutputConfig) -> "Blur":
        """As a run is set."""
        return cls(config.blur, config.blur_but)

    def apply(self, frame: Frame, sightings: Sightings) -> Image:
        """The picture (H, W, 3) of a frame as it may be shown; whoever is undecided is hidden too."""
        if self.kind == "none" or frame.is_blank:
            return frame.image
        is_hidden = np.ones(len(sightings), np.bool_)
        if self.kind == "all_but":
            is_hidden = sightings.identity_ids != (self.but or -1)
        return blur_bodies(frame.image, sightings.boxes[is_hidden])


NO_BLUR = Blur()


def blur_bodies(image: Image, boxes: FloatArray) -> Image:
    """A copy of a picture (H, W, 3) on which nobody in the boxes (N, 4) can be recognised.

    Each box is drawn from a few pixels of its own colour, a dozen from head to feet: what is left is how
    somebody moves.
    """
    picture = np.ascontiguousarray(image).copy()
    height, width = picture.shape[:2]
    limits = np.array([width, height, width, height])
    for x1, y1, x2, y2 in np.clip(boxes, 0, limits).round().astype(int).tolist():
        if x2 > x1 and y2 > y1:
            few = cv2.resize(picture[y1:y2, x1:x2], BLOCKS, interpolation=cv2.INTER_AREA)
            picture[y1:y2, x1:x2] = cv2.resize(few, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return picture
