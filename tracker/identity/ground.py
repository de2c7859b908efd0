"""What places on the ground say of who is who: how far, in which time, and how near at one time."""

from typing import NamedTuple

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.config import GroundConfig
from tracker.identity.moments import STEP_S, MomentLog
from tracker.types import State

WALK_M_S, WANDER_S = 0.9, 10.0
"""How many metres from the old place people are found for each second; after how long half may be anywhere.

People walk 0.94 to 1.43 m/s (means of groups, Bohannon and Andrews 2011, doi 10.1016/j.physio.2010.12.004),
but turn and stop. Of 0.9 and 1.3 m/s, and 10, 30, 100 and 300 s, these have the lowest log loss in two
simulated worlds (docs/ground.md)."""

WRONG_SHARE = 0.05
"""Of this share of positions nothing follows: feet are hidden, a box is cut."""

COMPANY_SHARE, COMPANY_M = 0.1, 1.0
"""This share of the pairs of different people in view at once are together, at about this distance."""

CELL_M = 2.0
"""Side of the squares in which the places are counted where tracks begin."""


class Together(NamedTuple):
    """How near N tracklets were to another while both were in view.

    Attributes:
        distance_m: (N,) mean distance; nan where they share no time.
        seconds: (N,) time they share.
    """

    distance_m: FloatArray
    seconds: FloatArray


def transition_log_odds(
    end_xy: FloatArray, begin_xy: FloatArray, absence_s: FloatArray, area_m2: float, config: GroundConfig
) -> FloatArray:
    """How much likelier one person went from there to here in that time than two people were there and here.

    Somebody who walks on is found around the old place, at a distance that grows as `WALK_M_S`; somebody who
    does not, or a stranger, anywhere. Beyond ``max_speed_m_s`` and three standard deviations of the
    positions, each ``position_sd_m`` more makes it 2.7 times less likely.

    Args:
        end_xy: (N, 2) metres, where N tracklets ended.
        begin_xy: (2,) metres, where another began.
        absence_s: (N,) seconds between; below 0 (clocks differ) counts as 0.
        area_m2: The area over which strangers are spread; `GroundLog.area_m2`.
        config: How exact positions are, and how fast people may be.

    Returns:
        (N,) natural logarithm; 0 where a position is nan.
    """
    away_m = np.linalg.norm(end_xy - begin_xy, axis=1)
    time_s = np.maximum(absence_s, 0.0)
    variance = 2 * config.position_sd_m**2 + (WALK_M_S * time_s) ** 2 / 2
    elsewhere = time_s / (time_s + WANDER_S)
    ratio = (1 - elsewhere) * area_m2 * _density(away_m, variance) + elsewhere
    log_odds = np.log((1 - WRONG_SHARE) * ratio + WRONG_SHARE)
    log_odds -= _beyond(away_m - config.max_speed_m_s * time_s, config.position_sd_m)
    return np.nan_to_num(log_odds)


def together_log_odds(together: Together, area_m2: float, config: GroundConfig) -> FloatArray:
    """How much likelier two tracklets in view at once are one person than two, from how near they were.

    One person is measured twice at one place; two people are anywhere, but `COMPANY_SHARE` of them go
    together. Of a moment less is believed than of a while: half after one second.

    Args:
        together: Of N tracklets.
        area_m2: The area over which strangers are spread; `GroundLog.area_m2`.
        config: How exact positions are.

    Returns:
        (N,) natural logarithm; 0 where the tracklets share no time.
    """
    distance_m, seconds = together
    variance = 2 * config.position_sd_m**2
    same = (1 - WRONG_SHARE) * _density(distance_m, variance) + WRONG_SHARE / area_m2
    company = COMPANY_SHARE * _density(distance_m, variance + COMPANY_M**2)
    log_odds = np.log(same / (company + (1 - COMPANY_SHARE) / area_m2))
    log_odds -= _beyond(distance_m, config.position_sd_m)
    return np.nan_to_num(log_odds * seconds / (seconds + 1))


class GroundLog(MomentLog):
    """Where on the ground the N tracks so far were, in metres."""

    def __init__(self) -> None:
        super().__init__(2)
        self._cells: set[tuple[int, int]] = set()

    @property
    def area_m2(self) -> float:
        """Square metres on which tracklets began: where strangers come into view."""
        return max(len(self._cells), 1) * CELL_M**2

    def add(self, rows: IntArray, time_s: float, xy: FloatArray) -> FloatArray:
        """See `MomentLog.add`."""
        new_xy = super().add(rows, time_s, xy)
        self._cells.update(_cells(new_xy))
        return new_xy

    def together(self, rows: IntArray, row: int) -> Together:
        """How near different tracklets (N,) were to another one while both were in view."""
        if np.isnan(self.first_s[row]):
            return Together(np.full(len(rows), np.nan), np.zeros(len(rows)))
        begin, end = int(self.first_s[row] // STEP_S), int(self.last_s[row] // STEP_S)
        owners, steps, xy = self.moments(self.first_s[row], self.last_s[row])
        steps = steps - begin
        here = np.full((end - begin + 1, 2), np.nan)
        here[steps[owners == row]] = xy[owners == row]
        distance_m = np.linalg.norm(xy - here[steps], axis=1)
        place = np.full(len(self.first_s), -1)
        place[rows] = np.arange(len(rows))
        group = place[owners]
        shared = (group >= 0) & np.isfinite(distance_m)
        count = np.bincount(group[shared], minlength=len(rows))
        total = np.bincount(group[shared], distance_m[shared], len(rows))
        mean_m: FloatArray = total / np.where(count, count, np.nan)
        return Together(mean_m, np.asarray(count * STEP_S, np.float64))

    def state(self) -> State:
        """See `MomentLog.state`."""
        return super().state() | {"cells": np.array(sorted(self._cells), np.int64).reshape(-1, 2)}

    def restore(self, state: State) -> None:
        super().restore(state)
        self._cells = {(x, y) for x, y in state["cells"].tolist()}


def _density(distance_m: FloatArray, variance: FloatArray | float) -> FloatArray:
    """Of a place at this distance (N,), per square metre; Gaussian, variance along each axis."""
    return np.asarray(np.exp(-(distance_m**2) / (2 * variance)) / (2 * np.pi * variance))


def _beyond(distance_m: FloatArray, position_sd_m: float) -> FloatArray:
    """(N,) in standard deviations of a position, how far beyond what the errors of two positions explain."""
    return np.asarray(np.maximum(distance_m / position_sd_m - 3 * np.sqrt(2), 0.0))


def _cells(xy: FloatArray) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in np.floor(xy / CELL_M).tolist()]
