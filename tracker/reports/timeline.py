"""The timeline: one page for a whole run. People by rows, cameras by colour, time across."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from foundation.figures import FAINT, PALETTE, color, count, drawing, fonts_for, short_name, write_figure
from tracker.colors import camera_color, person_color
from tracker.reports.visits import Visits
from tracker.types import CameraName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS, MAX_LANES = 40, 64
"""Of more people those longest in view have a row, of more cameras the busiest a lane: one page is enough."""

WIDTH_INCH, ROW_INCH = 15.0, 0.21
MIN_LANE_INCH, MAX_LANE_INCH, LANES_INCH = 0.15, 0.3, 7.0
"""Least and most height of a lane, and what all share in between."""
BINS = 1500
"""Steps of time that can be told apart across the page."""
MIN_BINS = 3
"""A visit is drawn this wide at least, if that hides nothing: in days, minutes would be too thin to see."""
OCCUPANCY_BINS = 300
BAR_HEIGHT = 0.8
HATCHES = ("", "////", "----", "xxxx", "||||", "++++", "\\\\\\\\", "//--")
"""Cameras beyond the eighth have the colours once more, with stripes."""

MAX_TICKS = 12
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY_S = 86400
UNIX_TIME_S = 1e8
"""Times from here on are of a live clock; no file is three years long."""


def write_timeline(path: Path, visits: Visits, cameras: Sequence[CameraName]) -> list[Path]:
    """Write the timeline of a run as PNG and SVG; the files.

    Args:
        path: Of the PNG.
        visits: Of all cameras.
        cameras: All cameras of the run, as the indices count them.
    """
    return write_figure(draw_timeline(visits, cameras), path)


def draw_timeline(visits: Visits, cameras: Sequence[CameraName]) -> "Figure":
    """The figure of `write_timeline`: above a row for each person, below the occupancy of each camera.

    People stand in the order in which they came. Cameras that see a person at once share the row's height.
    The occupancy counts everybody, also those who have no row.
    """
    span = Span.of(visits)
    people = people_to_show(visits)
    lanes = cameras_to_show(visits, len(cameras))
    lane_inch = min(max(LANES_INCH / max(len(lanes), 1), MIN_LANE_INCH), MAX_LANE_INCH)
    heights = [max(len(people), 2) * ROW_INCH, max(len(lanes), 2) * lane_inch]
    with drawing(WIDTH_INCH, sum(heights) + 1.4) as figure:
        rows, occupancy = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        _draw_people(rows, visits, people, cameras, span)
        highest = _draw_occupancy(occupancy, visits, lanes, cameras, span)
        span.label(occupancy)
        num_people = len(np.unique(visits.identity_ids))
        title = f"{count(num_people, 'person', 'people')} in {count(len(cameras), 'camera', 'cameras')}"
        figure.suptitle(title, x=0.008, ha="left", fontsize=14)
        longest = "" if len(people) == num_people else f": the {len(people)} longest in view"
        rows.set_title(f"Who was where{longest}")
        busiest = "" if len(lanes) == len(cameras) else f", the {len(lanes)} busiest cameras"
        everybody = f"all {num_people:,} counted{busiest}; lane height = {highest:.2g}"
        occupancy.set_title(f"People in view, {everybody}")
    return figure


def people_to_show(visits: Visits) -> IntArray:
    """Identities by their first sighting; of more than `MAX_ROWS` those longest in view."""
    identities, place = np.unique(visits.identity_ids, return_inverse=True)
    came_s = np.full(len(identities), np.inf)
    np.minimum.at(came_s, place, visits.begin_s)
    shown = np.argsort(-_seconds(visits, identities), kind="stable")[:MAX_ROWS]
    return np.asarray(identities[shown[np.lexsort((identities[shown], came_s[shown]))]])


def cameras_to_show(visits: Visits, num_cameras: int) -> IntArray:
    """Cameras in their order; of more than `MAX_LANES` those that had people in view for longest."""
    seen_s = np.bincount(visits.cameras, visits.end_s - visits.begin_s, num_cameras)
    return np.sort(np.argsort(-seen_s, kind="stable")[:MAX_LANES])


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is shown, from ``begin_s`` to ``end_s``; on the clock, or since the first frame."""

    begin_s: float
    end_s: float
    is_clock: bool

    @classmethod
    def of(cls, visits: Visits) -> "Span":
        """Of all visits; of files from their first frame."""
        first, last = (visits.begin_s.min(), visits.end_s.max()) if len(visits) else (0.0, 1.0)
        is_clock = bool(first >= UNIX_TIME_S)
        begin_s = float(first) if is_clock else min(0.0, float(first))
        return cls(begin_s, max(float(last), begin_s + 1), is_clock)

    def x(self, time_s: FloatArray) -> FloatArray:
        """Times as matplotlib has them: of a clock days since 1970."""
        return time_s / DAY_S if self.is_clock else time_s

    def edges(self, bins: int) -> FloatArray:
        """(bins + 1,) moments that cut the time into equal parts."""
        return np.linspace(self.begin_s, self.end_s, bins + 1)

    def label(self, axes: "Axes") -> None:
        """Put round times, and what they count, at the foot of the axes."""
        axes.set_xlim(*self.x(np.array([self.begin_s, self.end_s])).tolist())
        if self.is_clock:
            from dateutil.tz import tzlocal
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(tzlocal(), maxticks=MAX_TICKS)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            formatter = ConciseDateFormatter(locator, tzlocal())  # type: ignore[no-untyped-call]
            formatter.formats[-1] = "%H:%M:%S.%f"
            axes.xaxis.set_major_formatter(formatter)
            axes.set_xlabel("local time")
            return
        least = (self.end_s - self.begin_s) / MAX_TICKS
        step_s = next((step for step in TICKS_S if step >= least), DAY_S * ceil(least / DAY_S))
        first, last = ceil(round(self.begin_s / step_s, 9)), int(self.end_s / step_s + 1e-9)
        ticks = (np.arange(first, last + 1) * step_s).tolist()
        axes.set_xticks(ticks, [duration(tick, self.end_s, step_s) for tick in ticks])
        unit = ("days, hours:minutes" if self.end_s >= DAY_S else
                "hours:minutes:seconds" if self.end_s >= 3600 else "minutes:seconds")  # fmt: skip
        axes.set_xlabel(f"time since the first frame, {unit}")


def duration(seconds: float, longest_s: float, step_s: float = 1.0) -> str:
    """Seconds as a clock shows them, with the parts that the longest of them needs."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    if longest_s >= DAY_S:
        return f"{hours // 24}d {hours % 24:02}:{minutes:02}"
    decimals = f"{rest:04.1f}" if step_s < 1 else f"{int(rest):02}"
    return f"{hours}:{minutes:02}:{decimals}" if longest_s >= 3600 else f"{minutes}:{decimals}"


def _draw_people(
    axes: "Axes", visits: Visits, people: IntArray, cameras: Sequence[CameraName], span: Span
) -> None:
    """A row for each person: their colour and number as in the overlay, bars, and how long in view."""
    from matplotlib.collections import PolyCollection

    edges = span.x(span.edges(BINS))
    boxes: dict[int, list[FloatArray]] = {camera: [] for camera in range(len(cameras))}
    for row, identity in enumerate(people.tolist()):
        seen = seen_by(visits[visits.identity_ids == identity], len(cameras), span)
        for camera, begin, end, low, high in bars_of(seen):
            bottom, top = (row + BAR_HEIGHT * (share - 0.5) for share in (low, high))
            left, right = edges[begin], edges[end]
            boxes[camera].append(np.array([(left, bottom), (right, bottom), (right, top), (left, top)]))
    for camera, corners in boxes.items():
        if corners:
            bars = PolyCollection(
                corners,
                facecolor=color(camera_color(camera)),
                edgecolor="white",
                linewidth=0,
                hatch=_hatch(camera),
                label=cameras[camera],
            )
            axes.add_collection(bars)
    places = np.arange(len(people))
    axes.set_ylim(max(len(people), 1) - 0.5, -0.5)
    axes.set_yticks(places, [str(identity) for identity in people.tolist()])
    axes.tick_params(axis="y", length=0, pad=16)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    swatches = [color(person_color(identity)) for identity in people.tolist()]
    beside = axes.get_yaxis_transform()
    axes.scatter(
        np.full(len(people), -0.007), places, 42, swatches, marker="s", transform=beside, clip_on=False
    )
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    seconds = _seconds(visits, people)
    longest_s = float(seconds.max(initial=0))
    for row, seconds_in_view in enumerate(seconds.tolist()):
        text = duration(seconds_in_view, longest_s, 0.1 if longest_s < 600 else 1.0)
        axes.text(1.004, row, text, transform=beside, va="center", fontsize=8, color=FAINT)
    for x, text, side in ((-0.0135, "person", "right"), (1.004, "in view", "left")):
        axes.annotate(
            text, (x, 1), (0, 4), "axes fraction", "offset points", ha=side, fontsize=8, color=FAINT
        )


def seen_by(visits: Visits, num_cameras: int, span: Span) -> BoolArray:
    """(C, BINS) which camera sees one person when."""
    seen = np.zeros((num_cameras, BINS), np.bool_)
    share = BINS / (span.end_s - span.begin_s)
    begins = np.clip(np.floor((visits.begin_s - span.begin_s) * share).astype(int), 0, BINS - 1)
    ends = np.maximum(np.ceil((visits.end_s - span.begin_s) * share - 1e-6).astype(int), begins + 1)
    rows = list(zip(visits.cameras.tolist(), begins.tolist(), ends.tolist(), strict=True))
    for camera, begin, end in rows:
        seen[camera, begin:end] = True
    for camera, begin, end in rows:
        if end - begin < MIN_BINS:
            wider = slice(min(begin, BINS - MIN_BINS), min(begin, BINS - MIN_BINS) + MIN_BINS)
            seen[camera, wider] |= ~seen[:, wider].any(axis=0)
    return seen


def bars_of(seen: BoolArray) -> list[tuple[int, int, int, float, float]]:
    """Camera, first step, last step + 1, and lower and upper edge as shares of the row, of each bar."""
    at_once, place = seen.sum(axis=0), np.cumsum(seen, axis=0) - 1
    bars = []
    for camera in np.flatnonzero(seen.any(axis=1)).tolist():
        kind = np.where(seen[camera], place[camera] * (len(seen) + 1) + at_once, -1)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(kind)) + 1, [len(kind)]]).tolist()
        for begin, end in pairwise(starts):
            if seen[camera, begin]:
                lane, lanes = int(place[camera, begin]), int(at_once[begin])
                bars.append((camera, begin, end, lane / lanes, (lane + 1) / lanes))
    return bars


def _draw_occupancy(
    axes: "Axes", visits: Visits, shown: IntArray, cameras: Sequence[CameraName], span: Span
) -> float:
    """A lane for each camera, in its colour: how many it sees, in the mean of each step of time.

    Returns:
        How many a full lane is.
    """
    edges = span.edges(OCCUPANCY_BINS)
    of_camera = [visits[visits.cameras == camera] for camera in shown.tolist()]
    in_view = [own.in_view(edges) for own in of_camera]
    highest = max((float(mean.max()) for mean in in_view), default=0.0) or 1.0
    beside = axes.get_yaxis_transform()
    for lane, (camera, own, mean) in enumerate(zip(shown.tolist(), of_camera, in_view, strict=True)):
        axes.stairs(
            lane - 0.85 * mean / highest,
            span.x(edges),
            baseline=lane,
            fill=True,
            facecolor=color(camera_color(camera)),
            edgecolor="white",
            linewidth=0,
            hatch=_hatch(camera),
            label=cameras[camera],
        )
        name = short_name(cameras[camera])
        axes.text(-0.005, lane - 0.3, name, transform=beside, ha="right", va="center", family=fonts_for(name))
        most = f"at most {own.most_in_view()}"
        axes.text(1.004, lane - 0.3, most, transform=beside, va="center", fontsize=8, color=FAINT)
    axes.hlines(np.arange(len(shown)), *axes.get_xlim(), color=FAINT, linewidth=0.6)
    axes.set_ylim(max(len(shown), 1) - 0.9, -1)
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    return highest


def _hatch(camera: int) -> str:
    return HATCHES[camera // len(PALETTE) % len(HATCHES)]


def _seconds(visits: Visits, identities: IntArray) -> FloatArray:
    """(N,) how long each was in view of any camera; two that see somebody at once count once."""
    seconds = []
    for identity in identities.tolist():
        own = visits[slice(*np.searchsorted(visits.identity_ids, [identity, identity + 1]))]
        own = own[np.argsort(own.begin_s)]
        seen_until = np.concatenate([[-np.inf], np.maximum.accumulate(own.end_s)[:-1]])
        seconds.append(float(np.maximum(own.end_s - np.maximum(own.begin_s, seen_until), 0).sum()))
    return np.array(seconds)
