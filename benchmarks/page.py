"""The page of `reunite live` in a real browser: delay, size, and what hours of watching cost.

    python -m benchmarks.page delay --seconds 60    capture to drawn, by a clock in the picture, over RTSP
    python -m benchmarks.page load                  bytes and seconds of a cold start
    python -m benchmarks.page soak --minutes 60 --cameras 4 --viewers 3

Cameras are RTSP servers on loopback (tests/rtsp_clock.py) that show the time. The browser reads it from what
it has drawn and compares it with its own clock, which is the same. Nobody is in the pictures, but people are
looked for in them, as `--config` says.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser

from tests.browser import LiveSite, Window, missing_for_browser, open_browser
from tests.loopback import SYSTEM_PYTHON, free_port, missing_for_rtsp

CLOCK = Path(__file__).resolve().parents[1] / "tests" / "rtsp_clock.py"
SETTINGS = ("--set", "embedder.kind=none")
BITS, BLOCK, WIDTH = 20, 32, 640
READ = """([bits, block, width]) => {
    // Once for each picture that is drawn: how old it is, by the time that stands in it.
    window.delays = [];
    const seen = new Map();
    const look = () => {
        for (const tile of document.querySelectorAll(".tile[data-tick]")) {
            if (seen.get(tile) === tile.dataset.tick) continue;
            const isFirst = !seen.has(tile);
            seen.set(tile, tile.dataset.tick);
            const canvas = tile.querySelector("canvas");
            const scale = canvas.width / width;
            const high = Math.ceil(block * scale);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, high);
            const row = Math.floor((block / 2) * scale) * canvas.width;
            let stamp = 0;
            for (let bit = 0; bit < bits; bit++)
                stamp = stamp * 2 + (data[4 * (row + Math.floor((bit + 0.5) * block * scale))] > 128);
            const age = (Date.now() - stamp) % 2 ** bits;
            if (!isFirst) window.delays.push(age < 0 ? age + 2 ** bits : age);
        }
        requestAnimationFrame(look);
    };
    look();
}"""
LOAD = """() => {
    const parts = ["resource", "navigation"].flatMap((type) => performance.getEntriesByType(type));
    const ours = parts.filter(({ name }) => !name.includes("/api/"));
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [ours.length, ours.reduce((sum, it) => sum + it.decodedBodySize, 0), paint?.startTime ?? NaN];
}"""


@contextmanager
def clocks(count: int, rate: int) -> Iterator[list[str]]:
    """Cameras that show the time; their addresses."""
    with ExitStack() as stack:
        addresses = []
        for _ in range(count):
            port = free_port()
            line = [str(SYSTEM_PYTHON), str(CLOCK), f"--port={port}", f"--rate={rate}"]
            process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline().strip() == "ready"
            addresses.append(f"rtsp://127.0.0.1:{port}/live")
        yield addresses


@contextmanager
def running(arguments: argparse.Namespace) -> Iterator[tuple[LiveSite, Browser, object]]:
    """A site with cameras, a browser, and the cookie of its administrator."""
    with (
        tempfile.TemporaryDirectory() as folder,
        clocks(arguments.cameras, arguments.rate) as addresses,
        open_browser() as browser,
        closing(LiveSite(Path(folder), *addresses, "--config", arguments.config, *SETTINGS)) as site,
    ):
        window = Window(browser, site.address)
        window.page.goto(site.entry)
        window.page.wait_for_selector("main h1", state="attached")
        state = window.state()
        window.close()
        yield site, browser, state


def measure_delay(arguments: argparse.Namespace) -> int:
    """Print how old pictures are when they are on the screen; 1 if they are too old."""
    with running(arguments) as (site, browser, state):
        window = Window(browser, site.address, state, viewport={"width": 1280, "height": 800})
        page = window.go()
        page.wait_for_selector(".tile[data-tick]")
        page.evaluate(READ, [BITS, BLOCK, WIDTH])
        page.wait_for_timeout(arguments.seconds * 1000)
        delays = np.array(page.evaluate("window.delays"))
        window.close()
    median, most = np.percentile(delays, [50, 95])
    print(f"{len(delays)} pictures, from capture to drawn: median {median:.0f} ms, 95 % {most:.0f} ms")
    return int(median >= 400 or most >= 1000)


def measure_load(arguments: argparse.Namespace) -> int:
    """Print bytes and seconds of a cold start; 1 if it is too much."""
    with running(arguments) as (site, browser, state):
        worst_s, size = 0.0, 0
        for _ in range(arguments.rounds):
            window = Window(browser, site.address, state)
            began = time.monotonic()
            window.page.goto(site.address)
            window.page.wait_for_selector(".tile")
            usable_s = time.monotonic() - began
            window.page.wait_for_selector(".tile[data-tick]")
            parts, size, paint_ms = window.page.evaluate(LOAD)
            print(
                f"{parts} files, {size / 1000:.0f} kB; first paint {paint_ms / 1000:.2f} s, "
                f"usable {usable_s:.2f} s, first picture {time.monotonic() - began:.2f} s"
            )
            worst_s = max(worst_s, usable_s)
            window.close()
    return int(size >= 300_000 or worst_s >= 1.0)


def soak(arguments: argparse.Namespace) -> int:
    """Print memory and sockets by the minute, with viewers and after they are gone; 1 if anything grows."""
    with running(arguments) as (site, browser, state):
        before = sockets_of(site.server_id())
        windows = [Window(browser, site.address, state) for _ in range(arguments.viewers)]
        for window in windows:
            window.go().wait_for_selector(".tile[data-tick]")
        rows = []
        for minute in range(1, round(arguments.minutes) + 1):
            windows[0].page.wait_for_timeout(60_000)
            server = site.server_id()
            rows.append((resident_mib(site.process_id), resident_mib(server), sockets_of(server)))
            ours, theirs, sockets = rows[-1]
            print(f"minute {minute}: {ours:.0f} and {theirs:.0f} MiB, {sockets} sockets", flush=True)
        for window in windows:
            window.close()
        time.sleep(10)
        after = sockets_of(site.server_id())
    settled = rows[len(rows) // 4 :]
    grown = [settled[-1][column] / settled[0][column] for column in (0, 1)]
    print(f"from a quarter on: memory x {grown[0]:.3f} and x {grown[1]:.3f}; sockets {before} -> {after}")
    return int(max(grown) > 1.1 or after > before)


def resident_mib(process: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sockets_of(process: int) -> int:
    """Open sockets of a process."""
    return sum(str(it.readlink()).startswith("socket:") for it in Path(f"/proc/{process}/fd").iterdir())


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one thing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["delay", "load", "soak"])
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--rate", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--viewers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--config", default="embedded")
    arguments = parser.parse_args(argv)
    if reason := missing_for_browser() or missing_for_rtsp():
        parser.error(reason)
    measures = {"delay": measure_delay, "load": measure_load, "soak": soak}
    return measures[arguments.what](arguments)


if __name__ == "__main__":
    sys.exit(main())
