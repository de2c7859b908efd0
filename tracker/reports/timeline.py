"""The timeline: one picture of a whole run. People by rows, cameras by colour, time across."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import cv2
import numpy as np

from foundation.files import write_whole
from tracker.types import BoolArray, CameraName, Columns, FloatArray, Image, IntArray

MAX_GAP_S = 1.0
"""A person who is not seen for longer was away; the bar is cut."""
MAX_PEOPLE = 1000
"""Rows that a picture can hold and still be opened anywhere; beyond, those seen longest are drawn."""

WIDTH, MARGIN = 1600, 24
MIN_BAR = 3
"""A visit is drawn this many pixels wide at least, if that hides nothing: in days, minutes are no pixel."""
ROWS_HEIGHT, MIN_ROW, MAX_ROW = 640, 15, 34
"""Pixels that all rows share, and the least and most of one row. Beyond ROWS_HEIGHT the axis is repeated."""
AXIS_HEIGHT = 42
MAX_TICKS = 12
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY_S = 86400
UNIX_TIME_S = 1e8
"""Times from here on are of a live clock; no file is three years long."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, BAND, GRID, INK, FAINT = (255,) * 3, (244,) * 3, (214,) * 3, (40,) * 3, (110,) * 3
COLORS = (
    (178, 114, 0), (0, 159, 230), (115, 158, 0), (0, 94, 213),
    (233, 180, 86), (167, 121, 204), (66, 228, 240), (90, 90, 90),
)  # fmt: skip
"""BGR. The palette of Okabe and Ito (2008), which colour-blind people can tell apart; grey for its black."""


@dataclass(frozen=True, slots=True, eq=False)
class Visits(Columns):
    """V stretches of time in which one camera saw one person without a break.

    Attributes:
        identity_ids: (V,) who.
        cameras: (V,) index of the camera.
        begin_s, end_s: (V,) first and last sighting, seconds.
    """

    identity_ids: IntArray
    cameras: IntArray
    begin_s: FloatArray
    end_s: FloatArray


def write_timeline(
    path: Path, sightings: Iterable[tuple[IntArray, FloatArray, IntArray]], cameras: Sequence[CameraName]
) -> Path:
    """Write the timeline of a run as a PNG; a cut leaves the file of before, or the new one whole.

    Args:
        path: Where to.
        sightings: The run in pieces, each the camera (R,), time in seconds (R,) and identity (R,) of its R
            sightings; the times of a camera rise. Memory grows with the visits, not with the sightings.
        cameras: All cameras of the run, as the indices count them.

    Returns:
        ``path``.
    """
    _, png = cv2.imencode(".png", draw_timeline(find_visits(sightings), cameras))
    write_whole(path, png.tobytes())
    return path


def find_visits(sightings: Iterable[tuple[IntArray, FloatArray, IntArray]]) -> Visits:
    """Join the sightings of `write_timeline` into visits, by identity, camera and time."""
    none, never = np.empty(0, np.int64), np.empty(0)
    parts = [Visits(none, none, never, never)]
    parts += [
        _join(Visits(identity_ids, cameras.astype(np.int64), times, times))
        for cameras, times, identity_ids in sightings
    ]
    names = ("identity_ids", "cameras", "begin_s", "end_s")
    return _join(Visits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names)))


def draw_timeline(visits: Visits, cameras: Sequence[CameraName]) -> Image:
    """The picture (H, W, 3) BGR of `write_timeline`, from what `find_visits` gave.

    People stand in the order in which they came. Cameras that see a person at once share the row's height.
    """
    shown, note = _people_to_show(visits)
    axis = _Axis.of(visits)
    row_height = int(np.clip(ROWS_HEIGHT // max(1, len(shown)), MIN_ROW, MAX_ROW))
    size = 0.36 + 0.2 * (row_height - MIN_ROW) / (MAX_ROW - MIN_ROW)
    left = MARGIN + max((text_width(str(identity), size) for identity in shown), default=0) + 10
    span = range(left, WIDTH - left)
    patterns = [_pattern(camera, row_height - 4, len(span)) for camera in range(len(cameras))]
    legend, ruler = _legend(cameras), axis.draw(span)
    begins, ends = (np.searchsorted(visits.identity_ids, shown, side) for side in ("left", "right"))
    strips = [_header(_title(visits, cameras) + note, axis.note)]
    for row, (identity, begin, end) in enumerate(zip(shown.tolist(), begins, ends, strict=True)):
        if row % (ROWS_HEIGHT // row_height) == 0:
            strips += [legend, ruler]
        strip = np.full((row_height, WIDTH, 3), BAND if row % 2 else WHITE, np.uint8)
        strip[:, axis.columns(span)] = GRID
        seen = _seen(visits[begin:end], len(cameras), axis, len(span))
        _draw_bars(strip[2:-2, span.start : span.stop], seen, cameras, patterns)
        width = text_width(str(identity), size)
        for x in (left - 10 - width, span.stop + 10):
            write_text(strip, str(identity), x, row_height // 2, size, INK)
        came = span.start + int(seen.any(axis=0).argmax())
        if came > 3 * left:  # far from the number at the edge
            write_text(strip, str(identity), came - width - 6, row_height // 2, size, FAINT)
        strips.append(strip)
    return np.vstack([*strips, ruler])


@dataclass(frozen=True, slots=True)
class _Axis:
    """Time across: from ``begin_s`` to ``end_s``, with a label each ``step_s``."""

    begin_s: float
    end_s: float
    step_s: float
    is_clock: bool

    @classmethod
    def of(cls, visits: Visits) -> "_Axis":
        first, last = (visits.begin_s.min(), visits.end_s.max()) if len(visits) else (0.0, 1.0)
        is_clock = bool(first >= UNIX_TIME_S)
        begin_s = float(first) if is_clock else min(0.0, float(first))
        end_s = max(float(last), begin_s + 1)
        least = (end_s - begin_s) / MAX_TICKS
        step_s = next((step for step in TICKS_S if step >= least), DAY_S * ceil(least / DAY_S))
        return cls(begin_s, end_s, step_s, is_clock)

    @property
    def note(self) -> str:
        if self.is_clock:
            zone = f"{datetime.fromtimestamp(self.begin_s, UTC).astimezone():%z}"
            return f"local time, UTC{zone[:3]}:{zone[3:5]}"
        return "time since the first frame, " + (
            "days, hours:minutes" if self.end_s >= DAY_S else "hours:minutes:seconds" if self.end_s >= 3600
            else "minutes:seconds"
        )  # fmt: skip

    def column(self, time_s: FloatArray, width: int) -> IntArray:
        """The pixels (V,) of times (V,) in a plot of this width."""
        share = (time_s - self.begin_s) / (self.end_s - self.begin_s)
        return np.rint(share * (width - 1)).astype(np.int64)

    def ticks(self) -> FloatArray:
        """(T,) times with a label: round ones, in the local time of a live clock."""
        away = datetime.fromtimestamp(self.begin_s, UTC).astimezone().utcoffset() if self.is_clock else None
        shift_s = away.total_seconds() if away else 0.0
        first = ceil(round((self.begin_s + shift_s) / self.step_s, 9))
        last = int((self.end_s + shift_s) / self.step_s + 1e-9)
        return np.arange(first, last + 1, dtype=np.float64) * self.step_s - shift_s

    def columns(self, span: range) -> IntArray:
        """(T,) pixels of the ticks in the picture."""
        return span.start + self.column(self.ticks(), len(span))

    def draw(self, span: range) -> Image:
        """A strip with the labels."""
        strip = np.full((AXIS_HEIGHT, WIDTH, 3), WHITE, np.uint8)
        strip[-1, span.start : span.stop] = strip[0, span.start : span.stop] = GRID
        day = ""
        for time_s, x in zip(self.ticks().tolist(), self.columns(span).tolist(), strict=True):
            strip[:, x] = GRID
            text, new_day = self._label(time_s)
            lines = [text, new_day] if new_day != day else [text]
            day = new_day
            for line, y in zip(lines, (13, 29) if len(lines) == 2 else (21,), strict=True):
                width = text_width(line, 0.42)
                left = min(max(x - width // 2, 4), WIDTH - 4 - width)
                strip[y - 7 : y + 8, left - 3 : left + width + 3] = WHITE
                write_text(strip, line, left, y, 0.42, INK)
        return strip

    def _label(self, time_s: float) -> tuple[str, str]:
        """The time and, of a live clock, the day."""
        if self.is_clock:
            moment = datetime.fromtimestamp(time_s, UTC).astimezone()
            return f"{moment:%H:%M}" if self.step_s >= 60 else f"{moment:%H:%M:%S}", f"{moment:%Y-%m-%d}"
        minutes, seconds = divmod(round(time_s, 1), 60)
        hours, minutes = divmod(int(minutes), 60)
        if self.end_s >= DAY_S:
            return f"{hours // 24}d {hours % 24:02}:{minutes:02}", ""
        decimals = f"{seconds:04.1f}" if self.step_s < 1 else f"{seconds:02.0f}"
        return f"{hours}:{minutes:02}:{decimals}" if self.end_s >= 3600 else f"{minutes}:{decimals}", ""


def _join(visits: Visits) -> Visits:
    """Visits of a person to a camera with no more than `MAX_GAP_S` between them become one."""
    if not len(visits):
        return visits
    visits = visits[np.lexsort((visits.begin_s, visits.cameras, visits.identity_ids))]
    goes_on = (
        (np.diff(visits.identity_ids) == 0)
        & (np.diff(visits.cameras) == 0)
        & (visits.begin_s[1:] - visits.end_s[:-1] <= MAX_GAP_S)
    )
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    joined = visits[first]
    ends_s = np.maximum.reduceat(visits.end_s, first)
    return Visits(joined.identity_ids, joined.cameras, joined.begin_s, ends_s)


def _people_to_show(visits: Visits) -> tuple[IntArray, str]:
    """Identities by their first sighting; of too many those seen longest, and a word about the others."""
    identities, place = np.unique(visits.identity_ids, return_inverse=True)
    seen_s = np.bincount(place, visits.end_s - visits.begin_s, len(identities))
    came_s = np.full(len(identities), np.inf)
    np.minimum.at(came_s, place, visits.begin_s)
    longest = np.argsort(-seen_s, kind="stable")
    shown, others = longest[:MAX_PEOPLE], longest[MAX_PEOPLE:]
    shown = shown[np.lexsort((identities[shown], came_s[shown]))]
    if not len(others):
        return identities[shown], ""
    return identities[shown], f"; the {MAX_PEOPLE} seen longest, others {seen_s[others].max():.1f} s at most"


def _seen(visits: Visits, num_cameras: int, axis: _Axis, width: int) -> BoolArray:
    """(C, W) which camera sees one person in which column."""
    seen = np.zeros((num_cameras, width), np.bool_)
    columns = zip(axis.column(visits.begin_s, width), axis.column(visits.end_s, width) + 1, strict=True)
    spans = [(int(camera), slice(*span)) for camera, span in zip(visits.cameras, columns, strict=True)]
    for camera, span in spans:
        seen[camera, span] = True
    for camera, span in spans:
        if span.stop - span.start < MIN_BAR:
            wider = slice(min(span.start, width - MIN_BAR), min(span.start, width - MIN_BAR) + MIN_BAR)
            seen[camera, wider] |= ~seen[:, wider].any(axis=0)
    return seen


def _draw_bars(row: Image, seen: BoolArray, cameras: Sequence[CameraName], patterns: Sequence[Image]) -> None:
    """Paint one person's bars (C, W) into a row (h, W, 3); the name of the camera in each where it fits."""
    at_once = seen.sum(axis=0)
    lanes = np.arange(len(row))[:, None] * at_once // len(row)
    place = np.cumsum(seen, axis=0) - 1
    for camera in np.flatnonzero(seen.any(axis=1)).tolist():
        where = seen[camera] & (lanes == place[camera])
        row[where] = patterns[camera][where]
        edges = np.flatnonzero(np.diff(seen[camera] & (at_once == 1), prepend=False, append=False))
        name, size = plain_name(cameras[camera], camera), 0.42
        if len(row) >= 16 and camera < len(COLORS):  # no name over stripes
            for begin, end in edges.reshape(-1, 2):
                if end - begin >= text_width(name, size) + 12:
                    write_text(row, name, begin + 6, len(row) // 2, size, _ink_on(COLORS[camera]))


def _pattern(camera: int, height: int, width: int) -> Image:
    """(h, W, 3) the colour of a camera; when colours are used up, with stripes of three directions."""
    pattern = np.full((height, width, 3), COLORS[camera % len(COLORS)], np.uint8)
    y, x = np.mgrid[:height, :width]
    match camera // len(COLORS) % 4:
        case 1:
            pattern[(x + y) % 6 < 2] = WHITE
        case 2:
            pattern[(x - y) % 6 < 2] = WHITE
        case 3:
            pattern[y % 4 < 1] = WHITE
    return pattern


def _title(visits: Visits, cameras: Sequence[CameraName]) -> str:
    num_people = len(np.unique(visits.identity_ids))
    people = {0: "nobody", 1: "1 person"}.get(num_people, f"{num_people} people")
    return f"{people} in {len(cameras)} camera{'s' if len(cameras) != 1 else ''}"


def _header(title: str, note: str) -> Image:
    header = np.full((40, WIDTH, 3), WHITE, np.uint8)
    write_text(header, title, MARGIN, 28, 0.7, INK)
    write_text(header, note, WIDTH - MARGIN - text_width(note, 0.45), 28, 0.45, FAINT)
    return header


def _legend(cameras: Sequence[CameraName]) -> Image:
    """The colours of the cameras, in as many lines as they need."""
    places, x, y = [], MARGIN, 18
    for index, camera in enumerate(cameras):
        name = plain_name(camera, index)
        width = 30 + text_width(name, 0.5) + 26
        if x > MARGIN and x + width > WIDTH - MARGIN:
            x, y = MARGIN, y + 26
        places.append((x, y, name))
        x += width
    legend = np.full((y + 19, WIDTH, 3), WHITE, np.uint8)
    for index, (x, y, name) in enumerate(places):
        legend[y - 8 : y + 8, x : x + 22] = _pattern(index, 16, 22)
        write_text(legend, name, x + 30, y, 0.5, INK)
    return legend


def plain_name(camera: CameraName, index: int) -> str:
    """A name in the letters that OpenCV can draw, accents dropped; else the camera's place in the run."""
    letters = unicodedata.normalize("NFKD", camera)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    if not plain.isascii() or not plain.isprintable():
        return f"camera {index + 1}"
    return plain if len(plain) <= 40 else f"{plain[:18]}...{plain[-18:]}"


def _ink_on(color: tuple[int, int, int]) -> tuple[int, ...]:
    return WHITE if 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2] < 150 else INK


def text_width(text: str, size: float) -> int:
    """Pixels that a line of text takes, as `write_text` writes it."""
    return int(cv2.getTextSize(text, FONT, size, 1)[0][0])


def write_text(picture: Image, text: str, x: int, y: int, size: float, color: tuple[int, ...]) -> None:
    """Write with the left end at x and the middle of the letters at y."""
    height = cv2.getTextSize("0", FONT, size, 1)[0][1]
    cv2.putText(picture, text, (int(x), int(y) + height // 2), FONT, size, color, 1, cv2.LINE_AA)
