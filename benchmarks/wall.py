"""How fast tracking is with nobody, one and eight watching.

    python -m benchmarks.wall videos --viewers 0 1 8

Each round tracks the same recordings as fast as it can, with a real server in a process of its own, whose
viewers take what they get in another, which yields to all else: theirs would be other machines. Rounds take
turns, so that what else the machine does hits all alike.
"""

import argparse
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from websockets.sync.client import connect

from tracker.config import load_config
from tracker.live.accounts import Accounts
from tracker.live.keeper import ServerKeeper, listen
from tracker.live.rights import API, Role
from tracker.live.site import Site
from tracker.live.tracking import LiveObserver
from tracker.recording.run import TrackingRun
from tracker.sources import locate_cameras


def watch(address: str, token: str, viewers: int, stop: Event, told: "Queue[int]") -> None:
    """So many viewers in one process, each taking all cameras at 640; tells how many pictures they got."""
    os.nice(19)
    pictures: list[int] = []

    def take() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        with connect(f"ws://{address}{API}/wall", additional_headers=headers, max_size=None) as wall:
            cameras: dict[str, int] = {}
            while not stop.is_set():
                try:
                    message = wall.recv(0.5)
                except TimeoutError:
                    continue
                if isinstance(message, bytes):
                    pictures.append(len(message))
                elif not cameras and (known := json.loads(message).get("cameras")):
                    cameras = {it["id"]: 640 for it in known}
                    wall.send(json.dumps({"type": "subscribe", "cameras": cameras}))

    threads = [threading.Thread(target=take, daemon=True) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(len(pictures))


def round_of(sources: Sequence[str], config_name: str, viewers: int) -> tuple[float, float, int]:
    """Frames per second of tracking, CPU seconds of the tracking process, and pictures taken."""
    with TemporaryDirectory() as folder:
        site = Site(Path(folder) / "site")
        overrides = [f"output.folder={folder}/runs"]
        config = load_config(config_name, overrides).model_copy(update={"source": tuple(sources)})
        cameras = locate_cameras(config.source)
        site.know_cameras(cameras)
        _, token = Accounts(site).add_token("benchmark", Role.VIEWER, None)
        observer = LiveObserver(site, "benchmark", cameras, 0.01)
        with listen("127.0.0.1", 0) as door:
            keeper = ServerKeeper(["--site", str(site.folder)], door, observer.connect, observer.answer)
            context = multiprocessing.get_context("spawn")
            stop, told = context.Event(), context.Queue()
            address = f"127.0.0.1:{door.getsockname()[1]}"
            watching = context.Process(target=watch, args=(address, token, viewers, stop, told))
            watching.start()
            time.sleep(5)  # the server and the viewers are there
            with TrackingRun(config, threading.Event(), observer=observer) as run:
                observer.follow(run)
                cpu = time.process_time()
                run.run(Console(quiet=True))
                spent_cpu = time.process_time() - cpu
                frames = sum(run.progress.frames.values())
                rate = frames / max(run.progress.elapsed_s, 1e-9)
            stop.set()
            pictures = told.get(timeout=60)
            watching.join()
            keeper.close()
        observer.close()
    return rate, spent_cpu, pictures


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each number of viewers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wall", description=__doc__)
    parser.add_argument("source", nargs="+")
    parser.add_argument("--config", default="embedded")
    parser.add_argument("--viewers", type=int, nargs="+", default=[0, 1, 8])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    sources = [str(Path(it).resolve()) for it in arguments.source]
    rates: dict[int, list[tuple[float, float, int]]] = {it: [] for it in arguments.viewers}
    for turn in range(arguments.rounds):
        for viewers in arguments.viewers[:: (1, -1)[turn % 2]]:
            rates[viewers].append(round_of(sources, arguments.config, viewers))
            print(viewers, rates[viewers][-1], file=sys.stderr, flush=True)
    for viewers, rounds in rates.items():
        rate, cpu, pictures = (float(np.median([it[index] for it in rounds])) for index in range(3))
        print(f"{viewers} viewers: {rate:.1f} frames/s, {cpu:.1f} s of CPU, {pictures:.0f} pictures taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
