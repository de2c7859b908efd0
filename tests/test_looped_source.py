"""Recordings that are played as if they were live cameras, and whoever follows a run over them."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from tests.clips import write_clip
from tracker.config import SourceConfig, load_config
from tracker.recording.run import TrackingRun
from tracker.sources import open_source
from tracker.sources.loop import LoopedSource
from tracker.types import CameraName, IdentityEvent, Sightings, Tick


def test_frames_come_at_their_own_pace_with_unix_times_and_numbers_that_rise(tmp_path: Path) -> None:
    write_clip(tmp_path / "door.mp4", range(10), rate=50)
    source = open_source([str(tmp_path / "door.mp4")], SourceConfig(loop=True))
    assert source.is_live
    begin, ticks = time.time(), []
    for tick in source.ticks():
        ticks.append(tick)
        if tick.frames[0].number > 12:
            source.close()
    times = [tick.time for tick in ticks]
    assert begin - 0.1 < times[0]
    assert times[-1] < time.time() + 0.1
    assert times[-1] - times[0] > 1.0, "there is a pause between two rounds"
    assert times == sorted(times)
    numbers = [tick.frames[0].number for tick in ticks]
    assert numbers == sorted(set(numbers))


def test_a_camera_that_is_paused_stops_no_other(tmp_path: Path) -> None:
    for name in ("door", "hall"):
        write_clip(tmp_path / f"{name}.mp4", range(20), rate=50)
    source = open_source([str(tmp_path)], SourceConfig(loop=True))
    assert isinstance(source, LoopedSource)
    seen: list[set[str]] = []
    for tick in source.ticks():
        seen.append({frame.camera for frame in tick.frames})
        if len(seen) == 3:
            source.pause(CameraName("door"), paused=True)
        if len(seen) == 8:
            source.pause(CameraName("door"), paused=False)
        if len(seen) == 12:
            source.close()
    assert all("door" not in cameras for cameras in seen[3:8])
    assert all("hall" in cameras for cameras in seen[3:8])
    assert any("door" in cameras for cameras in seen[8:])


@pytest.mark.parametrize("overload", ["skip", "drop"])
def test_what_is_late_is_skipped_or_dropped_and_counted(tmp_path: Path, overload: str) -> None:
    write_clip(tmp_path / "door.mp4", range(30), rate=50)
    config = SourceConfig.model_validate({"loop": True, "live": {"overload": overload}})
    source = open_source([str(tmp_path / "door.mp4")], config)
    for tick in source.ticks():
        if tick.frames[0].number == 1:
            time.sleep(0.5)
        elif not tick.is_skipped:
            source.close()
    (report,) = source.reports.values()
    assert 10 < (report.skipped if overload == "skip" else report.dropped) < report.read


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.events: list[IdentityEvent] = []

    def observe(
        self, tick: Tick, sightings: Mapping[str, Sightings], events: Sequence[IdentityEvent]
    ) -> None:
        assert set(sightings) == {frame.camera for frame in tick.frames}
        self.ticks.append(tick)
        self.events += events

    def obey(self) -> None:
        pass


def test_an_observer_is_told_every_tick_and_event_of_a_run(tmp_path: Path) -> None:
    write_clip(tmp_path / "door.mp4", range(20), rate=50)
    overrides = [f"output.folder={tmp_path / 'runs'}", "embedder.kind=none"]
    config = load_config("embedded", overrides).model_copy(update={"source": (str(tmp_path / "door.mp4"),)})
    notes = Notes()
    with TrackingRun(config, threading.Event(), observer=notes) as run:
        run.run(Console(quiet=True))
    assert [tick.frames[0].number for tick in notes.ticks] == list(range(1, 21))
