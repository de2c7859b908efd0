"""``reunite live --run``: a finished run is looked at, and nothing of it changes."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tests.clips import write_clip
from tests.live_server import wait_until
from tracker.config import RunConfig, dump_config
from tracker.events.store import EventStore
from tracker.live.command import main
from tracker.live.replay import Player, RecordedRun
from tracker.live.site import Site
from tracker.recording.journal import ROW
from tracker.reports.tables import as_arrow
from tracker.reports.tracks import write_tracks
from tracker.types import CameraName, Tracklets

CAMERAS = [CameraName("door"), CameraName("hall")]
RATE = 20
SEEN = [("door", 1, 7, 1, 20), ("hall", 1, 7, 25, 40), ("hall", 2, 0, 30, 40)]
"""Camera, track, person, first and last frame."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run over two clips; whose people stand still."""
    (tmp_path / "videos").mkdir()
    for name in CAMERAS:
        write_clip(tmp_path / "videos" / f"{name}.mp4", range(40), rate=RATE)
    folder = tmp_path / "run"
    folder.mkdir()
    sources = tuple(str(tmp_path / "videos" / f"{camera}.mp4") for camera in CAMERAS)
    write_whole(folder / "config.yaml", dump_config(RunConfig(source=sources)).encode())
    rows, who = [], []
    for camera, track, person, first, last in SEEN:
        for frame in range(first, last + 1):
            rows.append(
                (CAMERAS.index(CameraName(camera)), frame, (frame - 1) / RATE, track, [9, 9, 40, 90], 0.9)
            )
            who.append(person)
    names = ("camera", "frame", "time", "track", "box", "score")
    table = np.zeros(len(rows), ROW)
    for field, column in zip(names, zip(*rows, strict=True), strict=True):
        table[field] = column
    pq.write_table(as_arrow(table, CAMERAS, np.array(who)), folder / "sightings.parquet")
    columns = [np.array(it) for it in zip(*SEEN, strict=True)]
    times = [(columns[3] - 1) / RATE, (columns[4] - 1) / RATE]
    tracks = Tracklets(
        cameras=columns[0].astype(object), track_ids=columns[1], identity_ids=columns[2], begin_s=times[0],
        end_s=times[1], decided_s=times[0], frames=columns[4] - columns[3] + 1,
        num_embeddings=np.zeros(3, np.int64), embeddings=np.zeros((3, 0), np.float32),
    )  # fmt: skip
    write_tracks(folder / "tracks.csv", [tracks])
    return folder


def test_people_and_events_of_a_run_are_there_once_however_often_it_is_looked_at(run: Path) -> None:
    site = Site(run / "site", run)
    for _ in range(2):
        RecordedRun(run).fill(site)
    store = EventStore(site.events)
    offset_s = RecordedRun(run).offset_s
    assert [(it.camera, it.person, round(it.begin_s - offset_s, 2)) for it in store.stays()] == [
        ("door", 7, 0.0), ("hall", 7, 1.2), ("hall", None, 1.45),
    ]  # fmt: skip
    told = [(it["type"], it["person"], it["camera"]) for it in store.events("type LIKE 'person.%'")]
    assert told == [("person.new", 7, "door"), ("person.moved", 7, "hall"), ("person.left", 7, "hall")]
    assert [it.name for it in site.cameras()] == ["door", "hall"]


class Heard:
    """A link to nobody, that remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.sent.append({**header, "body": body})


def test_the_video_is_played_with_the_people_of_its_frames_and_nothing_can_be_changed(run: Path) -> None:
    site, heard, stop = Site(run / "site", run), Heard(), threading.Event()
    player = Player(RecordedRun(run), site)
    player.publisher.connect(heard)  # type: ignore[arg-type]
    player.answer(({"type": "want", "cameras": {"door": [320]}}, b""))
    thread = threading.Thread(target=player.play, args=(stop,))
    thread.start()
    frames = wait_until(lambda: [it for it in heard.sent if it["type"] == "frame" and it["boxes"]])
    player.answer(({"type": "correct", "kind": "merge", "kept": 1, "gone": 7, "id": 3}, b""))
    (reply,) = wait_until(lambda: [it for it in heard.sent if it["type"] == "reply"])
    cameras = wait_until(lambda: [it for it in heard.sent if it["type"] == "cameras"])[-1]["cameras"]
    stop.set()
    thread.join()
    player.close()
    assert "finished run" in reply["refused"]
    assert {it["name"] for it in cameras} == {"door", "hall"}
    for frame in frames:
        assert 1 <= frame["tick"] <= 20
        assert [(it["person"], it["track"]) for it in frame["boxes"]] == [(7, 1)]
        assert frame["delay_s"] is None
        assert frame["body"][:2] == b"\xff\xd8"


def test_a_run_whose_videos_are_gone_still_has_its_people(run: Path, tmp_path: Path) -> None:
    for video in (tmp_path / "videos").iterdir():
        video.unlink()
    recorded = RecordedRun(run)
    assert recorded.open() is None
    recorded.fill(Site(run / "site", run))
    assert len(EventStore(run / "site" / "events.sqlite").stays()) == 3


def test_what_is_no_finished_run_says_what_to_do(tmp_path: Path, run: Path) -> None:
    with pytest.raises(ReuniteError, match="is no run; name a folder"):
        RecordedRun(tmp_path)
    (run / "state").mkdir()
    with pytest.raises(ReuniteError, match="reunite track --resume"):
        RecordedRun(run)


def test_a_run_is_not_tracked_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rtsp://host/a", "--run", str(run)]) == 2
    assert "leave sources" in capsys.readouterr().err
