"""``reunite live --run``: a finished run is looked at, and nothing of it changes."""

import io
import itertools
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tests.clips import write_clip
from tests.live_server import DEADLINE_S, wait_until
from tracker.config import RunConfig, SourceConfig, dump_config
from tracker.events.store import EventStore
from tracker.live.command import COMMAND, main, replay
from tracker.live.replay import Player, RecordedRun
from tracker.live.rights import API
from tracker.live.site import Site
from tracker.recording.journal import ROW
from tracker.reports.tables import as_arrow
from tracker.reports.tracks import write_tracks
from tracker.types import CameraName, Tracklets

CAMERAS = [CameraName("door"), CameraName("hall")]
RATE = 20
UNIX_BEGIN_S = 1_700_000_000.0
Seen = tuple[str, int, int, int, int]
SEEN: list[Seen] = [("door", 1, 7, 1, 20), ("hall", 1, 7, 25, 40), ("hall", 2, 0, 30, 40)]
"""Camera, track, person, first and last frame."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run over two clips; whose people stand still."""
    return write_run(tmp_path, SEEN)


def write_run(tmp_path: Path, seen: Sequence[Seen], begin_s: float = 0.0, *, loop: bool = False) -> Path:
    """A run of the people who are seen; with ``loop`` as ``reunite live`` leaves one, in Unix times."""
    (tmp_path / "videos").mkdir()
    for name in CAMERAS:
        write_clip(tmp_path / "videos" / f"{name}.mp4", range(40), rate=RATE)
    folder = tmp_path / "run"
    folder.mkdir()
    sources = tuple(str(tmp_path / "videos" / f"{camera}.mp4") for camera in CAMERAS)
    config = RunConfig(source=sources, reading=SourceConfig(loop=loop))
    write_whole(folder / "config.yaml", dump_config(config).encode())
    rows, who = [], []
    for camera, track, person, first, last in seen:
        for frame in range(first, last + 1):
            time_s = begin_s + (frame - 1) / RATE
            rows.append((CAMERAS.index(CameraName(camera)), frame, time_s, track, [9, 9, 40, 90], 0.9))
            who.append(person)
    names = ("camera", "frame", "time", "track", "box", "score")
    table = np.zeros(len(rows), ROW)
    for field, column in zip(names, zip(*rows, strict=True), strict=True):
        table[field] = column
    pq.write_table(as_arrow(table, CAMERAS, np.array(who)), folder / "sightings.parquet")
    columns = [np.array(it) for it in zip(*seen, strict=True)]
    times = [begin_s + (columns[3] - 1) / RATE, begin_s + (columns[4] - 1) / RATE]
    tracks = Tracklets(
        cameras=columns[0].astype(object), track_ids=columns[1], identity_ids=columns[2], begin_s=times[0],
        end_s=times[1], decided_s=times[0], frames=columns[4] - columns[3] + 1,
        num_embeddings=np.zeros(len(seen), np.int64), embeddings=np.zeros((len(seen), 0), np.float32),
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


@contextmanager
def replaying(recorded: RecordedRun, site: Site, heard: Heard, stop: threading.Event) -> Iterator[Player]:
    """The player of a run while it plays."""
    player = Player(recorded, site)
    player.publisher.connect(heard)  # type: ignore[arg-type]
    thread = threading.Thread(target=player.play, args=(stop,))
    thread.start()
    try:
        yield player
    finally:
        stop.set()
        thread.join()
        player.close()


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


@pytest.mark.parametrize("is_live", [True, False])
def test_whoever_is_here_in_a_replay_came_when_the_log_says_and_not_in_1970(
    tmp_path: Path, *, is_live: bool
) -> None:
    # The first of them comes late: until then nothing says when a recording that was looped began.
    seen: list[Seen] = [("door", 1, 7, 11, 30)]
    folder = write_run(tmp_path, seen, UNIX_BEGIN_S if is_live else 0.0, loop=is_live)
    os.utime(folder / "config.yaml", (UNIX_BEGIN_S - 3, UNIX_BEGIN_S - 3))
    begin_s = UNIX_BEGIN_S if is_live else UNIX_BEGIN_S - 3
    site, heard, stop = Site(folder / "site", folder), Heard(), threading.Event()
    recorded = RecordedRun(folder)
    recorded.fill(site)
    with replaying(recorded, site, heard, stop) as player:
        player.answer(({"type": "want", "cameras": {"door": [320]}}, b""))
        here = wait_until(lambda: [it for it in heard.sent if it["type"] == "people" and it["people"]])
        frames = wait_until(lambda: [it for it in heard.sent if it["type"] == "frame" and it["boxes"]])
    (stay,) = EventStore(site.events).stays()
    assert abs(stay.begin_s - (begin_s + 0.5)) < 0.01
    assert [(it["person"], round(it["since"] - stay.begin_s, 2)) for it in here[0]["people"]] == [(7, 0.0)]
    assert abs(frames[0]["time"] - begin_s - (frames[0]["tick"] - 1) / RATE) < 0.01
    early = [it for it in heard.sent if it["type"] == "frame" and it["tick"] < 11]
    assert all(abs(it["time"] - begin_s) < 5 for it in early), "before anybody is seen, about right"


def test_a_replay_that_begins_again_counts_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.live.publisher.RATES_OVER_S", 0.5)  # far less than the videos take
    site, heard, stop = Site(run / "site", run), Heard(), threading.Event()

    def rounds() -> int:
        ticks = [it["tick"] for it in list(heard.sent) if it["type"] == "frame"]
        return sum(later < earlier for earlier, later in itertools.pairwise(ticks))

    with replaying(RecordedRun(run), site, heard, stop) as player:
        player.answer(({"type": "want", "cameras": {"door": [320]}}, b""))
        wait_until(lambda: rounds() == 1)
        begun = len(heard.sent)
        wait_until(lambda: sum(it["type"] == "cameras" for it in heard.sent[begun:]) >= 2)
    told = [camera for it in heard.sent if it["type"] == "cameras" for camera in it["cameras"]]
    assert min(it["fps"] for it in told) >= 0.0
    assert all(0 < it["fps"] <= 2 * RATE for it in told[-2 * len(CAMERAS) :])


def test_what_users_keep_of_a_run_is_written_beside_it_and_the_run_stays_as_it_is(run: Path) -> None:
    before = {it: it.read_bytes() for it in run.iterdir() if it.is_file()}
    said, stop = io.StringIO(), threading.Event()
    arguments = COMMAND.parser().parse_args(["--run", str(run), "--port", "0", "--no-browser"])
    thread = threading.Thread(target=replay, args=(arguments, Console(file=said, width=200), stop))
    thread.start()
    try:
        found = wait_until(lambda: re.search(r"open (http://\S+)/#token=(\S+)", said.getvalue()))
        with httpx.Client(base_url=found[1] + API, headers={"X-Reunite": "1"}, timeout=DEADLINE_S) as client:
            assert client.post("/session", json={"token": found[2]}).status_code == 200
            wait_until(lambda: len(client.get("/cameras").json()["cameras"]) == len(CAMERAS))
            points = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
            zone = {"camera": "c1", "kind": "zone", "name": "desk", "points": points}
            assert client.post("/zones", json=zone).status_code == 201
            assert client.post("/tokens", json={"name": "desk", "role": "viewer"}).status_code == 201
            assert client.put("/people/7/name", json={"name": "Anna"}).status_code == 204
            assert client.post("/watchlist", json={"person": 7}).status_code == 201
            paused = client.post("/cameras/c1/pause")
            assert paused.status_code == 409
            assert "finished run" in paused.json()["error"]["message"]
    finally:
        stop.set()
        thread.join()
    assert {it: it.read_bytes() for it in run.iterdir() if it.is_file()} == before


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
