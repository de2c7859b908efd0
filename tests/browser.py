"""A real browser at a real `reunite live`: what the tests of the page stand on."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
CONTRAST = (ROOT / "tests" / "contrast.js").read_text(encoding="utf-8").strip().removesuffix(";")
PATIENT_MS = 45_000
"""Nobody waits so long but on a machine that does much else."""

expect.set_options(timeout=PATIENT_MS)


def missing_for_browser() -> str:
    """Why there can be no browser here, and the way out; empty if there can."""
    return "" if chromium() else "no Chromium: apt-get install chromium"


def chromium() -> str | None:
    """The program that is driven."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Headless; without a sandbox, which root cannot have.

    A test without one fails in CI and is left out elsewhere.
    """
    if reason := missing_for_browser():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def text_of(log: Path) -> str:
    """What was written so far; it may end within a letter."""
    return log.read_text(encoding="utf-8", errors="replace")


class LiveSite:
    """A running `reunite live`."""

    def __init__(self, folder: Path, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        line = [sys.executable, "-m", "tracker", "live", *words]
        line += ["--site", str(folder / "site"), "--port", "0", "--no-browser"]
        log = folder / "live.log"  # not a pipe: whatever stops reading one stops those who write into it
        with log.open("w") as file:
            self._process = subprocess.Popen(
                line, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + PATIENT_MS / 1000
        while not (found := re.search(r"^open (https?://\S+)\n", said := text_of(log), re.MULTILINE)):
            is_waiting = self._process.poll() is None and time.monotonic() < deadline
            assert is_waiting, f"it did not begin:\n{said}"
            time.sleep(0.05)
        self.entry = found[1]
        parts = urlsplit(self.entry)
        self.address = f"{parts.scheme}://{parts.netloc}/"
        self.folder = folder / "site"

    @property
    def process_id(self) -> int:
        """Of the tracker."""
        return self._process.pid

    def server_id(self) -> int:
        """Of the process that serves."""
        children = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        pids = [pid for path in children for pid in path.read_text().split()]
        serving = [pid for pid in pids if b"tracker.live.serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(serving) == 1, serving
        return int(serving[0])

    def kill_server(self) -> None:
        """End the process that serves at once, as the kernel would where memory runs out."""
        os.kill(self.server_id(), signal.SIGKILL)

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Window:
    """One window of a browser, and what its console complained of."""

    def __init__(self, browser: Browser, address: str, state: Any = None, **settings: Any) -> None:
        self._context = browser.new_context(storage_state=state, **settings)
        self.address = address
        self.errors: list[str] = []
        self.page = self._context.new_page()
        self.page.set_default_timeout(PATIENT_MS)
        self.page.on("pageerror", lambda error: self.errors.append(f"{error.message}\n{error.stack}"))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def go(self, path: str = "") -> Page:
        """Show a page of the application, such as ``people``."""
        if self.page.url.startswith(self.address):
            self.page.evaluate("path => { location.hash = `#/${path}`; }", path)
        else:
            self.page.goto(f"{self.address}#/{path}")
        self.page.wait_for_selector("main h1")
        return self.page

    def state(self) -> Any:
        """Who is signed in, for another window."""
        return self._context.storage_state()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """What the API answers this window: status and JSON."""
        status, answer = self.page.evaluate(
            """async ([method, path, body]) => {
                const headers = { "X-Reunite": "1", "Content-Type": "application/json" };
                const sent = { method, headers, body: body === null ? undefined : JSON.stringify(body) };
                const answer = await fetch(`/api/v1${path}`, sent);
                return [answer.status, answer.status === 204 ? null : await answer.json()];
            }""",
            [method, path, body],
        )
        return int(status), answer

    def poor_contrast(self) -> Any:
        """Texts that cannot be read well enough: their contrast, and their words."""
        return self.page.evaluate(CONTRAST)

    def close(self) -> None:
        self._context.close()


MakeWindow = Callable[..., Window]
