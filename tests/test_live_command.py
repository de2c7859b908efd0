"""``reunite live`` as it is started: two processes, a page, and a server that may be killed."""

import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.clips import write_clip
from tests.live_server import DEADLINE_S, receive_picture, wait_until
from tracker.live.command import COMMAND, live, main
from tracker.live.rights import API
from tracker.live.users import main as user_main

ROOT = Path(__file__).resolve().parents[1]


class Running:
    """The command, and a browser that is signed in."""

    def __init__(self, folder: Path) -> None:
        for name in ("door", "hall"):
            write_clip(folder / "cameras" / f"{name}.mp4", range(60), rate=20)
        self.site = folder / "site"
        line = [sys.executable, "-m", "tracker", "live", str(folder / "cameras"), "--config", "embedded"]
        line += ["--set", "embedder.kind=none", "--port", "0", "--no-browser", "--site", str(self.site)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        while not (found := re.search(r"(http://(\S+)/)#token=(\S+)", self.lines.get(timeout=DEADLINE_S))):
            pass
        self.address = found[2]
        self.browser = httpx.Client(base_url=found[1], headers={"X-Reunite": "1"}, timeout=DEADLINE_S)
        answer = self.browser.post(f"{API}/session", json={"token": found[3]})
        assert answer.json()["role"] == "admin"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def servers(self) -> list[int]:
        """The processes that the command has started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        # Started by a thread of it, they may be that thread's.
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):
                children += " " + (task / "children").read_text()
        return sorted({int(number) for number in children.split()})

    def statuses(self) -> dict[str, str]:
        return {it["name"]: it["status"] for it in self.browser.get(f"{API}/cameras").json()["cameras"]}

    def picture(self) -> int:
        """The number of the next picture on the wall."""
        headers = {"Cookie": f"reunite={self.browser.cookies['reunite']}"}
        with connect(
            f"ws://{self.address}{API}/wall",
            origin=Origin(f"http://{self.address}"),
            additional_headers=headers,
        ) as wall:
            wall.send(json.dumps({"type": "subscribe", "cameras": {"c1": 320}}))
            return int(receive_picture(wall)[0]["tick"])

    def close(self) -> None:
        self.browser.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "cameras").mkdir()
    running = Running(tmp_path)
    yield running
    running.close()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_server_that_is_killed_comes_back_and_no_event_is_lost(running: Running) -> None:
    wait_until(lambda: set(running.statuses().values()) == {"online"})
    before = running.picture()
    (server,) = running.servers()
    os.kill(server, signal.SIGKILL)

    def is_back() -> int:
        with suppress(OSError, httpx.HTTPError, WebSocketException, KeyError):
            return running.picture()
        return 0

    assert wait_until(is_back) > before, "the same session, the same run"
    assert wait_until(lambda: running.servers() != [server])
    events = running.browser.get(f"{API}/events", params={"after": 0, "limit": 500}).json()["events"]
    assert [it["seq"] for it in events] == list(range(1, len(events) + 1))
    assert [it["type"] for it in events].count("camera.online") == 2
    lines = wait_until(lambda: (running.site / "events.jsonl").read_text().splitlines())
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(DEADLINE_S) == 0
    assert running.site.stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_tracker_that_is_killed_leaves_no_server(running: Running) -> None:
    wait_until(lambda: running.servers())
    (server,) = running.servers()
    running.process.kill()
    running.process.wait()

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{server}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    wait_until(is_gone)


def test_users_are_added_listed_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = ["--site", str(tmp_path / "site")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert user_main(["add", "anna", "--role", "operator", "--cameras", "c1,c3", *site]) == 0
    assert user_main(["list", *site]) == 0
    out = capsys.readouterr().out
    assert "anna may sign in as operator" in out
    assert "c1, c3" in out
    assert user_main(["remove", "anna", *site]) == 0
    assert user_main(["remove", "anna", *site]) == 2
    assert "there is no such user" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    assert user_main(["add", "anna", *site]) == 2
    assert user_main(["add", "anna", "--cameras", "door", *site]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tls-cert", "nowhere.pem"], "belong together"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], "no such file"),
        (["nowhere.mp4"], "nowhere.mp4"),
        (["clip.mp4", "--port", "80000"], "from 0 to 65535"),
        (["clip.mp4", "--port", "-1"], "from 0 to 65535"),
        (["clip.mp4", "--set", "embedder.kind=reid", "--set", "embedder.weights=nowhere.pt"], "no such file"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", range(3))
    assert main(["--port", "0", *words, "--config", "embedded", "--no-browser"]) == 2
    said, error = capsys.readouterr()
    assert told in error
    assert len(error.splitlines()) == 1
    assert "#token=" not in said, "an address where nothing answers any more"


def test_a_run_that_is_ended_says_where_it_is_kept(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", range(60), rate=20)
    words = [str(tmp_path / "clip.mp4"), "--config", "embedded", "--set", "embedder.kind=none"]
    words += ["--port", "0", "--no-browser", "--site", str(tmp_path / "site")]
    said, stop = io.StringIO(), threading.Event()
    stop.set()
    assert live(COMMAND.parser().parse_args(words), Console(file=said, width=200), stop) == 0
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("open http://")
    folder = tmp_path / "site" / "runs" / "track"
    assert lines[-1] == f"the run is kept in {folder} (reunite live --run shows it again)"
    assert (folder / "sightings.parquet").is_file()
