"""What is older than the settings allow goes, while a run goes on; nothing else does."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from foundation.config import ConfigError
from tests.live_runs import START, Presence, live_run
from tests.test_recording import CAMERAS, DOOR, HOUR, NONE, event, put, read, tracks
from tracker.config import load_config
from tracker.config.retention import RetentionConfig, seconds_of
from tracker.gallery import Gallery
from tracker.recording.checkpoint import Checkpoints, Progress
from tracker.recording.live import LiveRecording
from tracker.recording.reader import read_hours
from tracker.sinks.events import EventLog

pytestmark = pytest.mark.usefixtures("blank_figures")

DAY = 86400.0


def test_durations_are_a_number_and_a_unit() -> None:
    assert [seconds_of(it) for it in ("90s", "1.5h", "7d", "2w")] == [90, 5400, 7 * DAY, 14 * DAY]
    for wrong in ("7", "d", "-1d", "0h", "7 d", "forever"):
        with pytest.raises(ConfigError, match=r"retention\.events: .*for example 7d"):
            load_config(None, [f"retention.events='{wrong}'"])
    assert load_config(None, ["retention.events=null"]).retention.seconds("events") is None
    assert RetentionConfig().seconds("gallery") == DAY


def test_hours_tracks_and_events_of_before_go(tmp_path: Path) -> None:
    recording = LiveRecording(tmp_path, CAMERAS, Progress())
    for hour in range(5):
        put(recording._hours, DOOR, hour + 1, HOUR + 3600 * hour + 10, hour + 1)
    recording._hours.save()
    recording._hours.close_hours(HOUR + 4 * 3600 + 61)
    assert recording._hours._closing is not None
    recording._hours._closing.join()
    times = [HOUR + 3600 * hour for hour in range(5)]
    recording.store.write(
        tracks(*(("door", row + 1, row + 1, it, it + 20) for row, it in enumerate(times))),
        NONE,
        [event(it, "new", row + 1, row + 1) for row, it in enumerate(times)],
    )
    recording.drop_before(HOUR + 2 * 3600 + 5, HOUR + 3600)
    rows = np.concatenate(list(read_hours(tmp_path / "recording", CAMERAS)))
    assert rows["track"].tolist() == [3, 4, 5]
    assert [row[1] for row in read(recording.store)] == [3, 4, 5]
    assert [it.track_id for it in recording.store.events()] == [2, 3, 4, 5]
    recording.close()


def test_the_log_of_events_loses_its_beginning_and_a_run_goes_on_from_it(tmp_path: Path) -> None:
    told = [event(it, "new", it, it) for it in range(1, 9)]
    log = EventLog(tmp_path / "events.jsonl", lambda: told)
    size = log.save()
    told = []
    assert not log.drop_before(1)
    assert log.drop_before(5)
    told = [event(9, "new", 9, 9)]
    log.flush()
    log.close()  # killed before the next checkpoint
    again = EventLog(tmp_path / "events.jsonl", list, size, may_be_shorter=True)
    again.close()
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["time"] for line in lines] == [5, 6, 7, 8, 9]


def test_a_run_forgets_who_was_away_for_long_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comers: list[Presence] = [("door", 0, 0, 6), ("door", 1, 1, 7), ("yard", 1, 30, 36), ("door", 0, 60, 66)]
    settings = [f"output.folder={tmp_path / 'runs'}", "source=rtsp://nowhere/x"]
    monkeypatch.setattr(Checkpoints, "is_due", lambda _: True)  # after each frame, however quick the machine
    settings += ["retention.gallery=40s", "retention.videos=2d", "identity.keep_tracklets_s=5"]
    config = load_config(None, settings)
    made = live_run(monkeypatch, config, comers, (0, 50), is_cut=True)
    videos = made / "videos"
    videos.mkdir()
    for name, age_s in (("door-old.mp4", 3 * DAY), ("door-new.mp4", DAY)):
        (videos / name).touch()
        os.utime(videos / name, (START - age_s, START - age_s))
    from tracker.recording.folder import RunFolder

    reopened, again = RunFolder.reopen(made)
    live_run(monkeypatch, again, comers, (50, 67), reopened)
    assert [path.name for path in videos.iterdir()] == ["door-new.mp4"]
    with Gallery(made / "gallery.sqlite") as gallery:
        assert [it.number for it in gallery.people()] == [2, 3]  # who came back is somebody new
    assert json.loads((made / "summary.json").read_text())["people"] == 3
