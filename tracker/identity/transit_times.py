"""Transit times: how long people take from camera to camera, and which cameras see the same place."""

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.types import State

SHORTEST_S, LONGEST_S = 0.1, 3600.0
BROAD = 1 / np.log(LONGEST_S / SHORTEST_S)
"""Density of the logarithm of an absence that nothing is known about."""

STEP = 0.05
GRID = np.arange(np.log(SHORTEST_S), np.log(LONGEST_S) + STEP, STEP)
"""Logarithms of absences for which the odds are tabulated; much finer than `WIDTH`."""

PRIOR_TRANSITS = 5.0
"""This many transit times weigh as much as knowing nothing."""

WIDTH = 0.35
"""Standard deviation of each learnt absence on the logarithmic scale: a third longer or shorter."""

MAX_KEPT = 64
"""Transit times that are kept of each pair of cameras; the newest."""

SHARED_LOG_ODDS = 1.5
"""For somebody who is seen at this moment in a camera that sees the same place."""

HIT_RATE = 0.003
"""A pair of tracks seen at once in two cameras is a hit when only this share of strangers is as alike."""

MIN_HITS, MIN_RATIO = 5, 10.0
"""This many hits, and this many times what chance gives, and two cameras see the same place."""


class TransitTimes:
    """Transit times between C cameras, learnt from sure matches."""

    def __init__(self, cameras: int) -> None:
        self._absences: dict[tuple[int, int], list[float]] = {}
        self._tests = np.zeros((cameras, cameras))
        self._hits = np.zeros((cameras, cameras))
        self._cameras = cameras
        self._table = np.zeros((cameras, cameras, len(GRID)))
        self._is_known = np.zeros(cameras, np.bool_)  # whether its rows of the table are up to date

    def add_camera(self) -> None:
        """One more, the last."""
        self._cameras += 1
        self._tests, self._hits = (np.pad(it, (0, 1)) for it in (self._tests, self._hits))
        self._table = np.zeros((self._cameras, self._cameras, len(GRID)))
        self._is_known = np.zeros(self._cameras, np.bool_)

    def only_overlaps(self) -> "TransitTimes":
        """What is known of the places that cameras share, and nothing else."""
        transit_times = TransitTimes(self._cameras)
        transit_times._tests, transit_times._hits = self._tests.copy(), self._hits.copy()
        return transit_times

    def add(self, before: int, after: int, absence_s: float) -> None:
        """Somebody surely left one camera and came into another (or the same) this much later."""
        if absence_s > 0:
            known = self._absences.setdefault((before, after), [])
            known.append(float(np.log(np.clip(absence_s, SHORTEST_S, LONGEST_S))))
            del known[:-MAX_KEPT]
            self._is_known[before] = False

    def add_together(self, first: IntArray, second: int, is_hit: BoolArray) -> None:
        """Tracks of cameras ``first`` (N,) were seen while one of ``second`` was; ``is_hit`` (N,): alike."""
        self._tests[:, second] += np.bincount(first, minlength=self._cameras)
        self._hits[:, second] += np.bincount(first, is_hit, self._cameras)

    @property
    def overlap(self) -> BoolArray:
        """(C, C) which cameras see the same place; a camera does not overlap itself."""
        tests, hits = self._tests + self._tests.T, self._hits + self._hits.T
        found = (hits >= MIN_HITS) & (hits >= MIN_RATIO * HIT_RATE * tests)
        np.fill_diagonal(found, False)
        return found

    def log_odds(self, before: IntArray, after: IntArray, absence_s: FloatArray) -> FloatArray:
        """(N,) how much likelier these absences are for one person than for two, natural logarithm.

        ``before`` (N,) are the cameras that were left, ``after`` (N,) those that were entered.
        """
        for camera in np.nonzero(~self._is_known)[0]:
            self._tabulate(int(camera))
        place = (np.log(np.clip(absence_s, SHORTEST_S, LONGEST_S)) - GRID[0]) / STEP
        left = np.minimum(place.astype(np.int64), len(GRID) - 2)
        share, rows = place - left, (before * self._cameras + after) * len(GRID) + left
        table = self._table.ravel()
        return np.asarray((1 - share) * table[rows] + share * table[rows + 1])

    def _tabulate(self, before: int) -> None:
        """Log odds of all absences on `GRID` after leaving one camera."""
        from_here = sum(len(known) for (camera, _), known in self._absences.items() if camera == before)
        for after in range(self._cameras):
            known = np.array(self._absences.get((before, after), ()))
            share = (len(known) + 1) / (from_here + self._cameras) * self._cameras
            density = np.exp(-0.5 * ((GRID[:, None] - known) / WIDTH) ** 2).sum(axis=1)
            density /= WIDTH * np.sqrt(2 * np.pi)
            mixed = (density + PRIOR_TRANSITS * BROAD) / (len(known) + PRIOR_TRANSITS)
            self._table[before, after] = np.clip(np.log(mixed / BROAD) + np.log(share), -3.0, 3.0)
        self._is_known[before] = True

    def state(self) -> State:
        """What was learnt."""
        pairs = [(*pair, value) for pair, values in self._absences.items() for value in values]
        return {
            "absences": np.array(pairs, np.float64).reshape(-1, 3),
            "tests": self._tests.copy(),
            "hits": self._hits.copy(),
        }

    def restore(self, state: State) -> None:
        self._absences = {}
        for before, after, value in state["absences"]:
            self._absences.setdefault((int(before), int(after)), []).append(float(value))
        self._is_known[:] = False
        self._tests, self._hits = state["tests"].copy(), state["hits"].copy()
