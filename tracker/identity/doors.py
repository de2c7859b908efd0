"""Doors: where in a picture people come into view and leave it, and which leads to which."""

import numpy as np

from tracker.geometry import centers_of
from tracker.types import FloatArray, IntArray

ROWS, COLUMNS = 3, 3
"""A picture is cut into so many fields; each is a door."""

PER_CAMERA = ROWS * COLUMNS

PRIOR_WAYS = 5.0
"""So many ways out of a door weigh as much as knowing only through which doors people come in at all."""

MOST = 1.5
"""The log odds of a door are at most this, for and against."""


class Doors:
    """Through which door people came in who had left by another; doors are numbered over all cameras."""

    def __init__(self, cameras: int, entries: IntArray) -> None:
        """Know the doors (N,) at which tracks began, and no way yet."""
        doors = cameras * PER_CAMERA
        self._entries = np.bincount(entries, minlength=doors)
        self._ways = np.zeros((doors, doors))

    @staticmethod
    def of(camera: int, boxes: FloatArray, size: tuple[int, int]) -> IntArray:
        """(N,) the door nearest to each box (N, 4) of a picture of this width and height, in pixels."""
        places = centers_of(boxes) * (COLUMNS, ROWS) / size
        fields = np.clip(places, 0, (COLUMNS - 1, ROWS - 1)).astype(np.int64)
        return np.asarray(camera * PER_CAMERA + fields[:, 1] * COLUMNS + fields[:, 0])

    def add(self, out: int, into: int) -> None:
        """Somebody surely left by one door and came in through another."""
        self._ways[out, into] += 1

    def log_odds(self, out: IntArray, into: IntArray) -> FloatArray:
        """(N,) how much likelier one person took these doors than two, given their cameras; natural log."""
        camera = into // PER_CAMERA
        of_camera = self._entries.reshape(-1, PER_CAMERA).sum(axis=1)
        base = (self._entries[into] + 1) / (of_camera[camera] + PER_CAMERA)
        there = self._ways.reshape(len(self._ways), -1, PER_CAMERA).sum(axis=2)[out, camera]
        share = (self._ways[out, into] + PRIOR_WAYS * base) / (there + PRIOR_WAYS)
        return np.asarray(np.clip(np.log(share / base), -MOST, MOST))
