"""Entry and exit zones: where in a picture tracklets begin and end, and which leads to which."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.geometry import centers_of

ROWS, COLUMNS = 3, 3
"""A picture is cut into this many zones."""

PER_CAMERA = ROWS * COLUMNS

PRIOR_TRANSITIONS = 5.0
"""This many transitions out of a zone weigh as much as knowing only in which zones people come in at all."""

MOST = 1.5
"""The log odds of a zone are at most this, for and against."""


class EntryExitZones:
    """Transitions from exit zones to entry zones; zones are numbered over all cameras."""

    def __init__(self, cameras: int, entries: IntArray) -> None:
        """Begin with the zones (N,) in which tracklets began, and no transition."""
        zones = cameras * PER_CAMERA
        self._entries = np.bincount(entries, minlength=zones)
        self._transitions = np.zeros((zones, zones))

    @staticmethod
    def of(camera: int, boxes: FloatArray, size: tuple[int, int]) -> IntArray:
        """(N,) the zone of each box (N, 4) of a picture of this width and height, in pixels."""
        column, row = (
            np.minimum(np.maximum(at * fields / length, 0), fields - 1).astype(np.int64)
            for at, fields, length in zip(centers_of(boxes).T, (COLUMNS, ROWS), size, strict=True)
        )
        return np.asarray(camera * PER_CAMERA + row * COLUMNS + column)

    def add(self, out: int, into: int) -> None:
        """Somebody surely left in one zone and came in in another."""
        self._transitions[out, into] += 1

    def log_odds(self, out: IntArray, into: IntArray) -> FloatArray:
        """(N,) log odds that one person rather than two made these transitions, given their cameras."""
        camera = into // PER_CAMERA
        of_camera = self._entries.reshape(-1, PER_CAMERA).sum(axis=1)
        base = (self._entries[into] + 1) / (of_camera[camera] + PER_CAMERA)
        there = self._transitions.reshape(len(self._transitions), -1, PER_CAMERA).sum(axis=2)[out, camera]
        share = (self._transitions[out, into] + PRIOR_TRANSITIONS * base) / (there + PRIOR_TRANSITIONS)
        return np.asarray(np.clip(np.log(share / base), -MOST, MOST))
