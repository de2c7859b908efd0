"""From what moves to people: how tall they are at each row, and how many explain the moving pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.geometry import xywh_to_xyxy

MIN_HEIGHT_PX = 12.0
"""Of a person in the picture that the background is learned in; smaller ones are noise."""
WIDTH_SHARE = 0.38
"""Width of a person's box as a share of its height."""
MIN_WIDTH_SHARE = 0.26
"""The narrowest box that the pixels may ask for; MAX_REACH to both sides is the widest."""
MAX_REACH = 0.3
MAX_TALLER = 1.12
"""People are at most this much taller or shorter than the line says."""
FEET_SHARE = 0.02
"""Boxes reach this share of the height below the place: shoes are taken for their own shadow."""
TAIL = 0.02
"""This share of the moving pixels may lie outside the box on each side."""
MIN_FILL = 0.05
"""Moving pixels, as a share of the squared height, from which on they shape the box."""
USUAL_SLOPE = 0.4
"""Of a height line: a street from a roof has 0.2, a room from its ceiling 0.6."""
PRIOR_SPREAD_PX = 3.0
"""Where the rows of the samples spread by this much, they and the usual slope count alike."""
MIN_SAMPLES = 30
"""Heights to be seen before the line through them is used."""


class Part(NamedTuple):
    """A rectangle of the silhouette, in shares of the height from the middle of the feet, y from the head.

    The last three are what one pixel speaks for a person there: the log of how much more likely such a
    pixel is in this part of a person than elsewhere.
    """

    left: float
    right: float
    top: float
    bottom: float
    if_moving: float
    if_shadow: float
    if_still: float


IF_SHADOW = 0.7
"""Grey trousers look like a shadow on the floor, so what looks like one speaks for a person a little."""


def _body_part(left: float, right: float, top: float, bottom: float, moving_share: float) -> Part:
    elsewhere = 0.05
    return Part(
        left,
        right,
        top,
        bottom,
        float(np.log(moving_share / elsewhere)),
        IF_SHADOW,
        float(np.log((1 - moving_share) / (1 - elsewhere))),
    )


# Shares of moving pixels: the mean silhouette of 3,486 lone people in PETS09-S2L1. What moves under the feet
# speaks against a person there: they would float before somebody else, who is to be found first.
BODY = (
    _body_part(-0.07, 0.07, 0.0, 0.15, 0.6),
    _body_part(-0.15, 0.15, 0.15, 0.5, 0.8),
    _body_part(-0.14, 0.14, 0.5, 0.97, 0.52),
)
GROUND = Part(-0.15, 0.15, 1.02, 1.2, -2.6, 0.0, 0.0)
EXPLAINED = (-0.2, 0.2, -0.02, 1.03)
"""The part of the picture that a person explains: left, right, top, bottom as in `Part`."""
STEP_SHARE = 0.05
"""Places are tried this share of the height apart."""
PASSES = 3
"""Everybody is placed again, given the others, this often less one."""


@dataclass(frozen=True, slots=True)
class HeightLine:
    """People's height by the row of their feet: ``slope * row + offset``, in pixels.

    A camera that is not tilted sideways sees the ground plane like this: height falls to zero at the horizon.
    """

    slope: float
    offset: float

    def at(self, rows: FloatArray) -> FloatArray:
        """Heights for (N,) rows of feet."""
        return self.slope * rows + self.offset

    @classmethod
    def fit(cls, rows: FloatArray, heights: FloatArray, sureness: FloatArray) -> Self:
        """The line that most of the (N,) samples lie on, by least absolute relative residuals.

        Reweighted least squares; a third of the samples may be half people, pairs or cars.
        """
        sureness = sureness / sureness.mean()
        centre = float(np.average(rows, weights=sureness))
        columns = np.stack([rows - centre, np.ones_like(rows)], axis=1)
        prior = np.diag([len(rows) * PRIOR_SPREAD_PX**2, 0.0])
        usual = np.array([USUAL_SLOPE, 0.0])
        slope, level = USUAL_SLOPE, float(np.median(heights))
        for _ in range(30):
            expected = np.maximum(slope * (rows - centre) + level, MIN_HEIGHT_PX / 2)
            residuals = np.abs(heights - expected) / expected
            weights = sureness / (np.maximum(residuals, 0.02) * expected**2)
            weights /= weights.mean()
            weighted = columns * weights[:, None]
            slope, level = np.linalg.solve(weighted.T @ columns + prior, weighted.T @ heights + prior @ usual)
        return cls(float(slope), float(level - slope * centre))


class Blobs(NamedTuple):
    """Connected moving pixels, one row each.

    boxes: (N, 4) x1, y1, x2, y2; areas: (N,) moving pixels.
    """

    boxes: FloatArray
    areas: FloatArray


def find_blobs(moving: BoolArray) -> Blobs:
    """The blobs that are high enough to be somebody."""
    statistics = cv2.connectedComponentsWithStats(moving.astype(np.uint8), connectivity=8)[2]
    blobs = np.asarray(statistics[1:], np.float64)  # the first row is all that does not move
    blobs = blobs[blobs[:, cv2.CC_STAT_HEIGHT] >= MIN_HEIGHT_PX]
    return Blobs(xywh_to_xyxy(blobs[:, :4]), blobs[:, cv2.CC_STAT_AREA])


def looks_like_one_person(blobs: Blobs, width: int, height: int) -> BoolArray:
    """(N,) True for a blob of a person's proportions that the picture's edge does not cut."""
    boxes = blobs.boxes
    sizes = boxes[:, 2:] - boxes[:, :2]
    aspects = sizes[:, 1] / sizes[:, 0]
    fill = blobs.areas / sizes.prod(axis=1)
    inside = (boxes[:, :2] > 0).all(axis=1) & (boxes[:, 2] < width) & (boxes[:, 3] < height)
    one: BoolArray = inside & (aspects > 1.2) & (aspects < 4.5) & (fill > 0.35) & (fill < 0.9)
    return one


class PersonPlacer:
    """Explains moving pixels by people of the height that the line says.

    All places are tried at once on integral images; the best one explains the pixels it covers, and so on
    until no place is good enough; then everybody is moved to the best place given the others.

    Source: the idea of probabilistic occupancy (Fleuret et al. 2008, "Multicamera people tracking with a
    probabilistic occupancy map"), with one camera and a greedy search.
    """

    def __init__(self, line: HeightLine, width: int, height: int, min_gain: float) -> None:
        """Lay out the places.

        Args:
            line: Heights in pixels of the moving picture.
            width, height: Its size.
            min_gain: Places worse than this stay empty; 1 is a whole person of average shape.
        """
        self._size = width, height
        self._min_gain = min_gain
        self._x, self._y, self._h = _lay_out_places(line, width, height)
        self._corners = [self._rectangles(part) for part in (*BODY, GROUND)]
        likely = np.exp([part.if_moving for part in BODY]) * 0.05
        self._full = self._h**2 * sum(
            (part.right - part.left) * (part.bottom - part.top) * part.if_moving * share
            for part, share in zip(BODY, likely, strict=True)
        )

    def place(self, moving: BoolArray, shadow: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Find the people.

        Args:
            moving: (h, w) True for pixels that people are to explain.
            shadow: (h, w) True for other pixels that people or their shadows explain.

        Returns:
            (N, 4) x1, y1, x2, y2, and (N,) how well the pixels speak for each: 1 is well.
        """
        places = np.flatnonzero(
            self._gains(moving, shadow, [], np.arange(len(self._x)), BODY) > self._min_gain
        )
        chosen: list[int] = []
        gains: list[float] = []
        for turn in range(PASSES):
            for number in range(len(chosen) if turn else 0):
                others = chosen[:number] + chosen[number + 1 :]
                chosen[number], gains[number] = self._best(moving, shadow, others, places)
            good = [number for number, gain in enumerate(gains) if gain >= self._min_gain]
            chosen, gains = [chosen[number] for number in good], [gains[number] for number in good]
            while len(places):
                place, gain = self._best(moving, shadow, chosen, places)
                if gain < self._min_gain:
                    break
                chosen.append(place)
                gains.append(gain)
        boxes = [self._fit_box(moving, chosen[:n] + chosen[n + 1 :], place) for n, place in enumerate(chosen)]
        return np.array(boxes).reshape(-1, 4), np.array(gains)

    def _fit_box(self, moving: BoolArray, others: Sequence[int], place: int) -> FloatArray:
        """(4,) the box of one person: about as tall as the line says; the pixels say the rest."""
        x, y, h = self._x[place], self._y[place], self._h[place]
        left, top = max(0, round(x - MAX_REACH * h)), max(0, round(y - MAX_TALLER * h))
        right, bottom = max(left, round(x + MAX_REACH * h)), max(top, round(y))
        body = (moving & self._free(moving.shape, others))[top:bottom, left:right]
        y2 = y + FEET_SHARE * h
        if body.sum() <= MIN_FILL * h * h:
            half = WIDTH_SHARE / 2 * h
            return np.array([x - half, y - h, x + half, y2])
        columns, rows = body.sum(axis=0).cumsum(), body.sum(axis=1).cumsum()
        tails = np.array([TAIL, 1 - TAIL]) * columns[-1]
        x1, x2 = left + np.searchsorted(columns, tails) + np.array([0, 1])
        spare = max(0.0, MIN_WIDTH_SHARE * h - (x2 - x1)) / 2
        highest = top + int(np.searchsorted(rows, tails[0])) - TAIL * h
        y1 = float(np.clip(highest, y - MAX_TALLER * h, y - h / MAX_TALLER))
        return np.array([x1 - spare, y1, x2 + spare, y2])

    def _best(
        self, moving: BoolArray, shadow: BoolArray, others: Sequence[int], places: IntArray
    ) -> tuple[int, float]:
        """The place that explains most, and its gain.

        A gain is a share of a whole person; what is explained counts in pixels, or small places on the
        upper half of a person would win.
        """
        gains = self._gains(moving, shadow, others, places, (*BODY, GROUND))
        best = int(np.where(gains >= self._min_gain, gains * self._full[places], 0.0).argmax())
        return int(places[best]), float(gains[best])

    def _gains(
        self,
        moving: BoolArray,
        shadow: BoolArray,
        others: Sequence[int],
        places: IntArray,
        parts: Sequence[Part],
    ) -> FloatArray:
        """(P,) what the pixels that ``others`` leave unexplained speak for each of ``places``."""
        free = self._free(moving.shape, others)
        sums = [
            cv2.integral((free & pixels).astype(np.uint8)).ravel()
            for pixels in (moving, shadow, ~(moving | shadow))
        ]
        supports = np.zeros((len(sums), len(places)))
        for part, corners in zip(parts, self._corners, strict=False):
            corner = corners[:, places]
            weights = (part.if_moving, part.if_shadow, part.if_still)
            for support, total, weight in zip(supports, sums, weights, strict=True):
                if weight:
                    support += weight * (
                        total[corner[3]] - total[corner[2]] - total[corner[1]] + total[corner[0]]
                    )
        # Shadow-like trousers need a moving coat: a shadow alone is no person.
        gains = supports[0] + np.minimum(supports[1], np.maximum(supports[0], 0)) + supports[2]
        shares: FloatArray = gains / self._full[places]
        return shares

    def _free(self, shape: tuple[int, ...], others: Sequence[int]) -> BoolArray:
        """(h, w) True for pixels that none of ``others`` explains."""
        free = np.ones(shape, np.bool_)
        left, right, top, bottom = EXPLAINED
        for place in others:
            x, y, h = self._x[place], self._y[place], self._h[place]
            rows = slice(max(0, round(y - h + top * h)), max(0, round(y - h + bottom * h)))
            free[rows, max(0, round(x + left * h)) : max(0, round(x + right * h))] = False
        return free

    def _rectangles(self, part: Part) -> NDArray[np.int64]:
        """(4, P) places in the flat integral image of the corners of a part, the top left one first."""
        width, height = self._size
        x1, x2 = (
            np.clip(np.rint(self._x + side * self._h), 0, width).astype(np.int64)
            for side in (part.left, part.right)
        )
        y1, y2 = (
            np.clip(np.rint(self._y - self._h + side * self._h), 0, height).astype(np.int64)
            for side in (part.top, part.bottom)
        )
        return np.stack([y * (width + 1) + x for y in (y1, y2) for x in (x1, x2)])


def _lay_out_places(line: HeightLine, width: int, height: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(P,) x and y of the feet and the height of every place; at least half of the body in the picture."""
    x, y, h = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    row = 0.0
    while True:
        tall = float(line.at(np.array([row]))[0])
        if row - tall / 2 > height or tall > 3 * height:
            break
        if tall >= MIN_HEIGHT_PX:
            columns = np.arange(0.0, width, max(1.0, STEP_SHARE * tall))
            x.append(columns)
            y.append(np.full(len(columns), row))
            h.append(np.full(len(columns), tall))
        row += max(1.0, STEP_SHARE * tall)
    return np.concatenate(x), np.concatenate(y), np.concatenate(h)
