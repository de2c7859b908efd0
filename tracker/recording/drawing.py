"""The videos of a run over files: they are read once more when it is known who everybody is."""

import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from tracker.config import RunConfig
from tracker.pipeline import read_ahead
from tracker.recording.sightings import SightingsReader
from tracker.sinks.overlay import OverlayVideos
from tracker.sinks.progress import ProgressBars
from tracker.sources import open_source


class Drawn(NamedTuple):
    """What became of the videos.

    Attributes:
        is_whole: Whether all was drawn.
        files: The videos.
        problems: A sentence for each camera that could not be read to its end.
    """

    is_whole: bool
    files: list[Path]
    problems: list[str]


def draw_videos(
    config: RunConfig, people: SightingsReader, videos: OverlayVideos, stop: threading.Event, console: Console
) -> Drawn:
    """Draw the people with their final identities, until ``stop`` is set."""
    source = open_source(config.source, config.reading, {})
    with ExitStack() as stack:
        stack.callback(source.close)
        stack.callback(videos.close)
        console.print("drawing the videos, with final identities", highlight=False)
        bars = ProgressBars(console, source.reports, {}, verb="drawing ")
        stack.callback(bars.close)
        for tick in stack.enter_context(closing(read_ahead(source.ticks(), 3, stop))):
            for frame in tick.frames:
                sightings = people.people(frame)
                videos.write(frame, sightings)
                bars.write(frame, sightings)
    problems = [report.problem for report in source.reports.values() if report.problem]
    return Drawn(not stop.is_set(), videos.files, problems)
