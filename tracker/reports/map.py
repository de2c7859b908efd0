"""The map: the ways of people over the ground, seen from above, one colour for each person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.files import write_whole
from tracker.ground import GroundPlane
from tracker.reports.timeline import (
    COLORS,
    FAINT,
    GRID,
    INK,
    MARGIN,
    WHITE,
    WIDTH,
    plain_name,
    text_width,
    write_text,
)
from tracker.sinks.overlay import color_of
from tracker.types import CameraName, Columns, FloatArray, Image, IntArray

STEP_S = 0.5
"""A person has one place in each stretch of this time: the mean of what all cameras saw."""
MAX_PLACES = 400_000
"""Of longer runs the stretches are twice as long, four times, ... until no more are needed."""
MAX_EMPTY = 1
"""A way goes on over so many stretches in which nobody saw the person; beyond, it is cut."""
MAX_NAMED = 60
"""Of more people only those seen longest have their number in the picture."""

HEIGHT = 1100
MAX_PX_PER_M = 120.0
LEAST_EXTENT_M = 4.0
MAX_LINES = 12
FRACTION_BITS = 4
"""OpenCV draws at sixteenths of a pixel."""
STEPS_M = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SHADE = 0.95
"""Ground that a camera sees is darker by this; by more where several do."""

SightingColumns = tuple[IntArray, FloatArray, IntArray, NDArray[np.floating[Any]]]
"""Camera (R,), time in seconds (R,), identity (R,) and box (R, 4) in pixels of R sightings."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacesByStep(Columns):
    """Where people were, one row for each person and stretch of time, sorted by both.

    Attributes:
        identity_ids: (P,) who.
        steps: (P,) number of the stretch.
        counts: (P,) of how many sightings.
        sums: (P, 2) sum of their positions, metres.
    """

    identity_ids: IntArray
    steps: IntArray
    counts: IntArray
    sums: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """All that the map shows.

    Attributes:
        places: Where people were.
        step_s: Length of a stretch of time, seconds.
        views: For each camera the corners (V, 2), metres, of the convex ground on which it saw people.
    """

    places: PlacesByStep
    step_s: float
    views: list[FloatArray]


def write_map(
    path: Path, sightings: Iterable[SightingColumns], cameras: Sequence[CameraName], ground: GroundPlane
) -> Path:
    """Write the map of a run as a PNG; a cut leaves the file of before, or the new one whole.

    Args:
        path: Where to.
        sightings: The run in pieces. Beyond one place for each person memory does not grow with it.
        cameras: All cameras of the run, as the indices count them.
        ground: The plane on which they see people; cameras without a homography see nobody.

    Returns:
        ``path``.
    """
    _, png = cv2.imencode(".png", draw_map(find_ways(sightings, cameras, ground), cameras, ground.is_y_down))
    write_whole(path, png.tobytes())
    return path


def find_ways(
    sightings: Iterable[SightingColumns], cameras: Sequence[CameraName], ground: GroundPlane
) -> Ways:
    """Where people were, out of the sightings of `write_map`; people who are undecided (0) are left out."""
    none = np.empty(0, np.int64)
    parts, step_s = [PlacesByStep(none, none, none, np.empty((0, 2)))], STEP_S
    views = [np.empty((0, 2)) for _ in cameras]

    def join() -> None:
        nonlocal step_s
        places = _join(parts)
        while len(places) > MAX_PLACES and (places.steps // 2 != places.steps).any():
            step_s *= 2
            places = _join([replace(places, steps=places.steps // 2)])
        parts[:] = [places]

    for indices, times, identity_ids, boxes in sightings:
        for camera in np.unique(indices).tolist():
            rows = np.flatnonzero((indices == camera) & (identity_ids > 0))
            xy = ground.positions(cameras[camera], boxes[rows].astype(np.float64))
            seen = np.isfinite(xy[:, 0])
            rows, xy = rows[seen], xy[seen]
            if len(rows):
                views[camera] = _hull(np.concatenate((views[camera], xy)))
                steps = np.floor(times[rows] / step_s).astype(np.int64)
                parts.append(PlacesByStep(identity_ids[rows], steps, np.ones(len(rows), np.int64), xy))
        if sum(map(len, parts)) > 2 * MAX_PLACES:
            join()
    join()
    return Ways(parts[0], step_s, views)


def draw_map(ways: Ways, cameras: Sequence[CameraName], is_y_down: bool) -> Image:
    """The picture (H, W, 3) BGR of `write_map`, from what `find_ways` gave."""
    places = ways.places
    identities, seen = np.unique(places.identity_ids, return_counts=True)
    named = identities[np.argsort(-seen, kind="stable")[:MAX_NAMED]]
    frame = _Frame.around(np.concatenate([_xy(places), *ways.views]), is_y_down)
    picture = frame.draw_ground(ways.views)
    outlines = {index: frame.pixels(view) for index, view in enumerate(ways.views) if len(view)}
    for index, corners in outlines.items():
        color = COLORS[index % len(COLORS)]
        cv2.polylines(picture, [_fixed(corners)], True, color, 1, cv2.LINE_AA, FRACTION_BITS)
    begins: dict[int, FloatArray] = {}
    for way in _cut(places):
        identity = int(way.identity_ids[0])
        pixels = frame.pixels(_smooth(_xy(way)))
        cv2.polylines(picture, [_fixed(pixels)], False, color_of(identity), 2, cv2.LINE_AA, FRACTION_BITS)
        begins.setdefault(identity, pixels[0])
    labels, middle = _Labels(picture), np.array([WIDTH, frame.size[1]]) / 2
    for index, corners in outlines.items():
        outermost = corners[np.linalg.norm(corners - middle, axis=1).argmax()]
        labels.write(plain_name(cameras[index], index), outermost, COLORS[index % len(COLORS)])
    for identity in named.tolist():
        labels.dot(begins[identity], color_of(identity))
    for identity in named.tolist():
        labels.write(str(identity), begins[identity], INK)
    title = _count(len(identities), "person", "people") + " on the ground of " + _count(
        len(outlines), "camera", "cameras"
    )  # fmt: skip
    if len(named) < len(identities):
        title += f"; numbers of the {MAX_NAMED} seen longest"
    note = f"dot: where somebody came first; one place each {ways.step_s:g} s"
    return np.vstack([_header(title, note), picture, _legend(np.sort(named), frame)])


@dataclass(frozen=True, slots=True)
class _Frame:
    """Which ground is shown: from ``low`` to ``high`` in metres, a line each ``step_m``."""

    low: tuple[float, float]
    high: tuple[float, float]
    px_per_m: float
    step_m: float
    is_y_down: bool

    @classmethod
    def around(cls, points: FloatArray, is_y_down: bool) -> "_Frame":
        if not len(points):
            points = np.zeros((1, 2))
        low, high = points.min(axis=0), points.max(axis=0)
        margin = np.maximum(0.05 * (high - low).max(), (LEAST_EXTENT_M - (high - low)) / 2)
        low, high = low - margin, high + margin
        width, height = high - low
        px_per_m = min((WIDTH - 4 * MARGIN) / width, HEIGHT / height, MAX_PX_PER_M)
        step_m = next((it for it in STEPS_M if it >= max(width, height) / MAX_LINES), STEPS_M[-1])
        return cls(tuple(low), tuple(high), float(px_per_m), step_m, is_y_down)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the ground in pixels."""
        width, height = (np.subtract(self.high, self.low) * self.px_per_m).astype(int).tolist()
        return width, height

    def pixels(self, xy: FloatArray) -> FloatArray:
        """(N, 2) places in the picture of points (N, 2) in metres."""
        x, y = ((xy - self.low) * self.px_per_m).T
        left = (WIDTH - self.size[0]) // 2
        return np.column_stack([left + x, y if self.is_y_down else self.size[1] - y])

    def draw_ground(self, views: Sequence[FloatArray]) -> Image:
        """A strip with lines, their metres, and the ground that cameras see."""
        picture = np.full((self.size[1] + 30, WIDTH, 3), WHITE, np.uint8)
        seen = np.ones(picture.shape[:2], np.float32)
        for view in views:
            if len(view):
                inside = np.zeros(seen.shape, np.uint8)
                cv2.fillPoly(inside, [_fixed(self.pixels(view))], 1, cv2.LINE_8, FRACTION_BITS)
                seen[inside > 0] *= SHADE
        picture = np.rint(picture * seen[..., None]).astype(np.uint8)
        (left, top), (right, bottom) = self._corners
        for axis in (0, 1):
            lines = np.arange(np.ceil(self.low[axis] / self.step_m), self.high[axis] / self.step_m)
            for metres in (lines * self.step_m).tolist():
                point = np.array([self.low])
                point[0, axis] = metres
                x, y = np.rint(self.pixels(point)[0]).astype(int).tolist()
                ends = ((x, top), (x, bottom)) if axis == 0 else ((left, y), (right, y))
                cv2.line(picture, ends[0], ends[1], GRID, 1)
                text = f"{metres + 0.0:g}"  # not -0
                width = text_width(text, 0.42)
                if axis == 0:
                    write_text(picture, text, x - width // 2, bottom + 14, 0.42, FAINT)
                else:
                    write_text(picture, text, left - width - 8, y, 0.42, FAINT)
        cv2.rectangle(picture, (left, top), (right, bottom), GRID, 1)
        return picture

    @property
    def _corners(self) -> tuple[tuple[int, int], tuple[int, int]]:
        left = (WIDTH - self.size[0]) // 2
        return (left, 0), (left + self.size[0], self.size[1])


def _join(parts: Sequence[PlacesByStep]) -> PlacesByStep:
    """Rows of one person and one stretch become one."""
    names = ("identity_ids", "steps", "counts", "sums")
    places = PlacesByStep(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    if not len(places):
        return places
    places = places[np.lexsort((places.steps, places.identity_ids))]
    is_new = (np.diff(places.identity_ids) != 0) | (np.diff(places.steps) != 0)
    first = np.flatnonzero(np.concatenate([[True], is_new]))
    return PlacesByStep(
        places.identity_ids[first],
        places.steps[first],
        np.add.reduceat(places.counts, first),
        np.add.reduceat(places.sums, first),
    )


def _cut(places: PlacesByStep) -> list[PlacesByStep]:
    """Unbroken ways."""
    breaks = (np.diff(places.identity_ids) != 0) | (np.diff(places.steps) > MAX_EMPTY + 1)
    ends = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(places)]
    return [places[begin:end] for begin, end in pairwise(ends) if end > begin]


def _xy(places: PlacesByStep) -> FloatArray:
    """(P, 2) metres."""
    return places.sums / places.counts[:, None]


def _smooth(xy: FloatArray) -> FloatArray:
    """Each point but the ends a quarter of the way to both neighbours: (P, 2)."""
    smooth = xy.copy()
    smooth[1:-1] = (xy[:-2] + 2 * xy[1:-1] + xy[2:]) / 4
    return smooth


def _hull(xy: FloatArray) -> FloatArray:
    """Corners (V, 2) of the smallest convex ground that holds all points (N, 2)."""
    middle = xy.mean(axis=0)  # OpenCV takes float32, which is coarse far from 0
    corners = cv2.convexHull((xy - middle).astype(np.float32), returnPoints=False)
    return np.asarray(xy[corners[:, 0]])


def _fixed(pixels: FloatArray) -> IntArray:
    """Pixels (N, 2) as OpenCV takes them, with a fraction."""
    return np.rint(pixels * (1 << FRACTION_BITS)).astype(np.int32)


class _Labels:
    """Dots, and names beside points, none over another; what finds no room is left out, the legend has it."""

    def __init__(self, picture: Image) -> None:
        self._picture = picture
        self._taken = np.zeros(picture.shape[:2], np.bool_)

    def dot(self, point: FloatArray, color: tuple[int, ...]) -> None:
        x, y = np.rint(point).astype(int).tolist()
        cv2.circle(self._picture, (x, y), 6, WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(self._picture, (x, y), 5, color, cv2.FILLED, cv2.LINE_AA)
        self._taken[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = True

    def write(self, text: str, point: FloatArray, color: tuple[int, ...]) -> None:
        width, (x, y) = text_width(text, 0.5), np.rint(point).astype(int).tolist()
        sides = (x - 10 - width, x + 10)
        for down in (0, -15, 15, -30, 30, -45, 45):
            for left in sides if x < WIDTH / 2 else sides[::-1]:  # outwards, if there is room
                area = (slice(y + down - 7, y + down + 8), slice(left - 2, left + width + 2))
                is_inside = area[0].start >= 0 and area[1].start >= 0 and left + width <= WIDTH
                if is_inside and not self._taken[area].any():
                    self._taken[area] = True
                    self._picture[area] = self._picture[area] // 2 + 127  # to be read over ways
                    write_text(self._picture, text, left, y + down, 0.5, color)
                    return


def _header(title: str, note: str) -> Image:
    header = np.full((52, WIDTH, 3), WHITE, np.uint8)
    write_text(header, title, MARGIN, 28, 0.7, INK)
    write_text(header, note, WIDTH - MARGIN - text_width(note, 0.45), 28, 0.45, FAINT)
    return header


def _legend(identities: IntArray, frame: _Frame) -> Image:
    """The scale bar, and the colours of the people in as many lines as they need."""
    bar_px = round(frame.step_m * frame.px_per_m)
    text = f"{frame.step_m:g} m"
    places, x, y = [], MARGIN + bar_px + text_width(text, 0.5) + 50, 22
    for identity in identities.tolist():
        width = 28 + text_width(str(identity), 0.5) + 18
        if x + width > WIDTH - MARGIN:
            x, y = MARGIN, y + 26
        places.append((x, y, identity))
        x += width
    legend = np.full((y + 24, WIDTH, 3), WHITE, np.uint8)
    legend[20:24, MARGIN : MARGIN + bar_px] = INK
    legend[14:30, [MARGIN, MARGIN + bar_px - 1]] = INK
    write_text(legend, text, MARGIN + bar_px + 10, 22, 0.5, INK)
    for x, y, identity in places:
        legend[y - 2 : y + 2, x : x + 20] = color_of(identity)
        write_text(legend, str(identity), x + 28, y, 0.5, INK)
    return legend


def _count(number: int, one: str, many: str) -> str:
    return f"{number or 'no'} {one if number == 1 else many}"
