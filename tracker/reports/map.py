"""The map: the ways of people over the ground, seen from above, one colour for each person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import Columns, FloatArray, IntArray
from foundation.figures import (
    GRID,
    Label,
    color,
    count,
    drawing,
    place_labels,
    short_name,
    write_figure,
)
from tracker.colors import camera_color, ink_on, person_color
from tracker.ground import GroundPlane
from tracker.types import CameraName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEP_S = 0.5
"""A person has one place in each stretch of this time: the mean of what all cameras saw."""
MAX_PLACES = 400_000
"""Of longer runs the stretches are twice as long, four times, ... until no more are needed."""
MAX_EMPTY = 1
"""A way goes on over this many stretches in which no camera saw the person; beyond, it is cut."""
MAX_NAMED = 40
"""Of more people only those seen longest have a colour and their number in the map."""

PAGE_INCH: FloatArray = np.array([14.0, 10.0])
FRAME_INCH: FloatArray = np.array([0.8, 1.0])
"""The ground, whose longer side fills the page, and what stands around it."""
LEAST_EXTENT_M = 4.0
MAX_LINES = 12
STEPS_M = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


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


def write_map(path: Path, ways: Ways, cameras: Sequence[CameraName], *, is_y_down: bool) -> list[Path]:
    """Write the map of a run as PNG and SVG; the files.

    Args:
        path: Of the PNG.
        ways: Where people were.
        cameras: All cameras of the run, as the indices count them.
        is_y_down: Whether y points down on the plane, as in pictures.
    """
    return write_figure(draw_map(ways, cameras, is_y_down), path)


class WayFinder:
    """Where people were, out of sightings; people who are undecided (0) are left out.

    Beyond one place for each person memory does not grow with the run.

    Args:
        cameras: All cameras of the run, as the indices count them.
        ground: The plane on which they see people; cameras without a homography see none.
    """

    def __init__(self, cameras: Sequence[CameraName], ground: GroundPlane) -> None:
        none = np.empty(0, np.int64)
        self._cameras, self._ground, self._step_s = cameras, ground, STEP_S
        self._parts = [PlacesByStep(none, none, none, np.empty((0, 2)))]
        self._views = [np.empty((0, 2)) for _ in cameras]

    def add(
        self,
        indices: IntArray,
        times: FloatArray,
        identity_ids: IntArray,
        boxes: NDArray[np.floating[Any]],
    ) -> None:
        """Take camera (R,), time in seconds (R,), identity (R,) and box (R, 4) in pixels of R sightings."""
        for camera in np.unique(indices).tolist():
            rows = np.flatnonzero((indices == camera) & (identity_ids > 0))
            xy = self._ground.positions(self._cameras[camera], boxes[rows].astype(np.float64))
            seen = np.isfinite(xy[:, 0])
            rows, xy = rows[seen], xy[seen]
            if len(rows):
                self._views[camera] = _hull(np.concatenate((self._views[camera], xy)))
                steps = np.floor(times[rows] / self._step_s).astype(np.int64)
                ones = np.ones(len(rows), np.int64)
                self._parts.append(PlacesByStep(identity_ids[rows], steps, ones, xy))
        if sum(map(len, self._parts)) > 2 * MAX_PLACES:
            self._join()

    def ways(self) -> Ways:
        """All ways so far."""
        self._join()
        return Ways(self._parts[0], self._step_s, self._views)

    def _join(self) -> None:
        places = _join(self._parts)
        while len(places) > MAX_PLACES and (places.steps // 2 != places.steps).any():
            self._step_s *= 2
            places = _join([replace(places, steps=places.steps // 2)])
        self._parts[:] = [places]


def draw_map(ways: Ways, cameras: Sequence[CameraName], is_y_down: bool) -> "Figure":
    """The figure of `write_map`; its axes are metres.

    Each of those seen longest has a colour, as in the overlay, and a dot and number where they came first;
    the ways of others are grey.
    """
    identities, seen = np.unique(ways.places.identity_ids, return_counts=True)
    named = np.sort(identities[np.argsort(-seen, kind="stable")[:MAX_NAMED]])
    low, high = _extent(np.concatenate([_xy(ways.places), *ways.views]))
    inch_per_m = min(PAGE_INCH / (high - low))
    with drawing(*(inch_per_m * (high - low) + FRAME_INCH).tolist()) as figure:
        axes = figure.subplots()
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set(xlabel="x, metres", ylabel="y, metres, downwards" if is_y_down else "y, metres")
        if is_y_down:
            axes.invert_yaxis()
        axes.set(xticks=_ticks(low, high, 0), yticks=_ticks(low, high, 1))
        axes.grid(visible=True)
        begins = _draw_ways(axes, ways.places, named)
        names = _draw_views(axes, ways.views, cameras)
        place_labels(axes, names + [_number(identity, begins[identity]) for identity in named.tolist()])
        on = f"on the ground of {count(sum(map(bool, map(len, ways.views))), 'camera', 'cameras')}"
        figure.suptitle(f"{count(len(identities), 'person', 'people')} {on}", x=0.02, ha="left", fontsize=14)
        grey = f"; in colour the {len(named)} seen longest" if len(named) < len(identities) else ""
        axes.set_title(f"dot: where somebody came first; one place each {ways.step_s:g} s{grey}", fontsize=9)
    return figure


def _draw_ways(axes: "Axes", places: PlacesByStep, named: IntArray) -> dict[int, tuple[float, float]]:
    """Draw the ways, and a dot for each who is named; where those came first, by identity."""
    from matplotlib.collections import LineCollection

    lines: dict[int, list[FloatArray]] = {}
    for way in _cut(places):
        lines.setdefault(int(way.identity_ids[0]), []).append(_smooth(_xy(way)))
    begins: dict[int, tuple[float, float]] = {}
    for identity, own in lines.items():
        is_named = identity in named
        line_color = color(person_color(identity)) if is_named else GRID
        order, width = (2.0, 1.6) if is_named else (1.5, 0.8)
        axes.add_collection(
            LineCollection(own, colors=[line_color], linewidth=width, zorder=order, label=str(identity))
        )
        if is_named:
            begins[identity] = (float(own[0][0, 0]), float(own[0][0, 1]))
            axes.plot(*begins[identity], "o", color=line_color, markeredgecolor="white", zorder=3)
    return begins


def _draw_views(axes: "Axes", views: Sequence[FloatArray], cameras: Sequence[CameraName]) -> list[Label]:
    """Outline the ground on which each camera saw people, in its colour of the timeline; their names."""
    names: list[Label] = []
    middle = np.array([axes.get_xlim(), axes.get_ylim()]).mean(axis=1)
    for index, corners in enumerate(views):
        if not len(corners):
            continue
        name, own = short_name(cameras[index]), color(camera_color(index))
        axes.fill(*corners.T, facecolor=(*own, 0.06), edgecolor=own, linestyle="--", linewidth=1, label=name)
        x, y = corners[np.linalg.norm(corners - middle, axis=1).argmax()].tolist()
        box = {"facecolor": "white", "edgecolor": own, "boxstyle": "round,pad=0.2"}
        names.append((name, (x, y), {"bbox": box, "fontsize": 10, "zorder": 4}))
    return names


def _number(identity: int, point: tuple[float, float]) -> Label:
    """The label of a person, on a plate of their colour."""
    plate = color(person_color(identity))
    box = {"facecolor": plate, "edgecolor": "none", "boxstyle": "round,pad=0.15"}
    line = {"arrowstyle": "-", "color": plate, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    ink = color(ink_on(person_color(identity)))
    return str(identity), point, {"bbox": box, "color": ink, "arrowprops": line, "fontsize": 8, "zorder": 4}


def _ticks(low: FloatArray, high: FloatArray, axis: int) -> list[float]:
    """Round metres along one axis, as far apart as along the other."""
    step_m = next((it for it in STEPS_M if it >= (high - low).max() / MAX_LINES), STEPS_M[-1])
    return [it * step_m for it in range(ceil(low[axis] / step_m), floor(high[axis] / step_m) + 1)]


def _extent(xy: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper corner (2,) of the ground that is shown for points (N, 2), with a margin."""
    if not len(xy):
        xy = np.zeros((1, 2))
    low, high = xy.min(axis=0), xy.max(axis=0)
    margin = np.maximum(0.05 * (high - low).max(), (LEAST_EXTENT_M - (high - low)) / 2)
    return low - margin, high + margin


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
