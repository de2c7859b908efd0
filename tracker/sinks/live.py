"""What a live run says while it goes on: on a screen, in a log, and as JSON for programs."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from foundation.text import visible
from tracker.sinks.now import CameraNow, CamerasNow, Repeating, count_people
from tracker.types import CameraName, Frame, Sightings

logger = logging.getLogger(__name__)

LINE_EVERY_S = 5.0
"""Where no terminal shows a table."""

OVERLOADED = 0.02
"""From this share of frames on that are dropped or skipped it is said."""


class Shows(NamedTuple):
    """What a run tells of who is where while it goes on.

    Attributes:
        table: A table of everybody in view, in the place of the progress of the cameras.
        json: One JSON line a second on standard output.
    """

    table: bool = False
    json: bool = False


class LiveScreen:
    """A sink that shows how each camera does and, where that is asked for, who is where.

    A table on a terminal, changed each second; elsewhere a line each `LINE_EVERY_S`. Too much work is said
    once when it begins, and once when it is over.

    Args:
        console: Where to.
        now: What is so.
        with_people: Whether everybody has a row.
    """

    def __init__(self, console: Console, now: CamerasNow, *, with_people: bool) -> None:
        self._console, self._now, self._with_people = console, now, with_people
        self._overloaded: set[CameraName] = set()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=False)
            self._live.start()
        self._repeating = Repeating(1.0 if self._live else LINE_EVERY_S, self._show)

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Nothing to do: what is so is asked for when it is shown."""

    def close(self) -> None:
        """Leave the table as it is."""
        self._repeating.close()
        if self._live:
            self._live.stop()

    def _show(self) -> None:
        cameras = self._now.now()
        self._tell_overload(cameras)
        if self._live:
            parts: list[RenderableType] = [cameras_table(cameras)]
            parts += [people_table(cameras)] if self._with_people else []
            self._live.update(Group(*parts), refresh=True)
            return
        self._console.print(live_line(cameras), markup=False, highlight=False, soft_wrap=True)
        if self._with_people:
            self._console.print(people_table(cameras))

    def _tell_overload(self, cameras: Mapping[CameraName, CameraNow]) -> None:
        for camera, it in cameras.items():
            is_overloaded = it.dropped + it.skipped >= OVERLOADED
            if is_overloaded and camera not in self._overloaded:
                what = [f"{it.dropped:.0%} of its frames are dropped"] if it.dropped >= OVERLOADED else []
                if it.skipped >= OVERLOADED:
                    what.append(f"people are looked for in {1 - it.skipped - it.dropped:.0%} of its frames")
                logger.warning(
                    "camera %r: more comes than can be tracked: %s; a lighter detector or embedder, smaller "
                    "pictures or fewer frames per second help",
                    str(camera), ", ".join(what),
                )  # fmt: skip
                self._overloaded.add(camera)
            elif camera in self._overloaded and not it.dropped + it.skipped:
                logger.warning("camera %r: every frame is tracked again", str(camera))
                self._overloaded.discard(camera)


class JsonLines:
    """A sink that prints who is where as one JSON line a second; keys: docs/running.md.

    Args:
        now: What is so.
        out: Where to; None: standard output.
    """

    def __init__(self, now: CamerasNow, out: TextIO | None = None) -> None:
        self._now, self._out = now, out or sys.stdout
        self._is_read = True
        self._repeating = Repeating(1.0, self._print)

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Nothing to do: what is so is asked for when it is printed."""

    def close(self) -> None:
        """A last line."""
        self._repeating.close()
        self._print()

    def _print(self) -> None:
        if not self._is_read:
            return
        try:
            print(json.dumps(as_json(self._now.now(), time.time())), file=self._out, flush=True)
        except OSError:  # whoever read it is gone; the run is not
            self._is_read = False
            logger.warning("standard output is closed: nobody reads the JSON lines any more")


def as_json(cameras: Mapping[CameraName, CameraNow], time_s: float) -> dict[str, Any]:
    """Everything that is so at this moment, Unix time in seconds."""
    people, undecided = count_people(cameras)
    return {
        "time": round(time_s, 3),
        "people": people,
        "undecided": undecided,
        "cameras": {
            camera: {
                "frames_per_second": round(it.frames_per_second, 2),
                "dropped": round(it.dropped, 4),
                "skipped": round(it.skipped, 4),
                "delay_s": round(it.delay_s, 3),
                "problem": it.problem,
                "people": [
                    {
                        "identity": person.identity_id,
                        "track": person.track_id,
                        "since": round(person.since_s, 3),
                        "box": [round(side, 1) for side in person.box],
                        "score": round(person.score, 3),
                    }
                    for person in it.people
                ],
            }
            for camera, it in cameras.items()
        },
    }


def live_line(cameras: Mapping[CameraName, CameraNow]) -> str:
    """For logs: one line over all cameras."""
    people, undecided = count_people(cameras)
    parts = [
        f"{visible(camera)} {it.frames} ({it.frames_per_second:.1f} frames/s, {_shares(it)}, "
        f"{it.delay_s:.2f} s late, {len(it.people)} in view)"
        for camera, it in cameras.items()
    ]
    return "; ".join([*parts, f"now {people} people, {undecided} undecided"])


def cameras_table(cameras: Mapping[CameraName, CameraNow]) -> Table:
    """A row for each camera."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("camera", "frames", "frames/s", "dropped", "skipped", "late", "in view"):
        table.add_column(column, justify="left" if column == "camera" else "right", no_wrap=True)
    for camera, it in cameras.items():
        table.add_row(
            visible(camera), str(it.frames), f"{it.frames_per_second:.1f}", f"{it.dropped:.0%}",
            f"{it.skipped:.0%}", f"{it.delay_s:.2f} s", "lost" if it.problem else str(len(it.people)),
        )  # fmt: skip
    return table


def people_table(cameras: Mapping[CameraName, CameraNow]) -> Table:
    """A row for each person in view, by number; who is undecided comes last, a row for each track."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("person", "where", "since"):
        table.add_column(column, justify="right" if column == "person" else "left", no_wrap=True)
    views: dict[tuple[int, str, int], list[tuple[str, float]]] = {}
    for camera, it in cameras.items():
        for person in it.people:
            key = (person.identity_id, "", 0) if person.identity_id else (0, camera, person.track_id)
            views.setdefault(key, []).append((visible(camera), person.since_s))
    for (identity, _, _), seen in sorted(views.items(), key=lambda item: (not item[0][0], item[0])):
        since = datetime.fromtimestamp(min(since_s for _, since_s in seen)).strftime("%H:%M:%S")
        table.add_row(str(identity) if identity else "?", ", ".join(camera for camera, _ in seen), since)
    return table


def _shares(it: CameraNow) -> str:
    if it.problem:
        return "lost"
    return f"{it.dropped:.0%} dropped" + (f", {it.skipped:.0%} skipped" if it.skipped else "")
