"""RTSP cameras on loopback and a detector that is too slow: what becomes of tracks, and of a kill -9.

    python -m benchmarks.overload --minutes 5
    python -m benchmarks.overload --minutes 5 --kill

People walk through the pictures as a table has it, so who is where is known; the detector takes its time
asleep. The first row is without overload. With ``--kill`` the run is killed in the middle and goes on.
"""

import argparse
import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from tests.clips import write_clip
from tests.loopback import RtspCamera, missing_for_rtsp
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import load_config
from tracker.recording import run as recording
from tracker.recording.folder import RunFolder
from tracker.recording.reader import Recording
from tracker.recording.run import TrackingRun
from tracker.types import CameraName, Detections, Frame, Network, Observations, State, Tick

RATE = 20
STAY_S, EVERY_S = 12.0, 4.0
"""Every person is in view for so long, and somebody comes into each camera so often."""

PEOPLE = 12
NETWORK = Network("drawn", "beef", 64)
SPEED = 80.0
"""Pixels a second, of people 120 pixels high: 1.2 m/s of somebody who is 1.75 m tall."""


class Walkers:
    """A detector that sleeps ``work_s`` at each tick, and an embedder, of people who walk as a table says."""

    network: Network | None = NETWORK
    prior: CosinePrior | None = None
    ticks_at_once = 1

    def __init__(self, cameras: Sequence[str], work_s: float) -> None:
        self._place = {camera: index for index, camera in enumerate(cameras)}
        self._work_s = work_s
        looks = np.random.default_rng(0).normal(size=(PEOPLE, NETWORK.dimension))
        self._looks = looks / np.linalg.norm(looks, axis=1, keepdims=True)

    def in_view(self, camera: CameraName, time_s: float) -> list[tuple[int, float]]:
        """Each person, and for how many seconds they have been there."""
        since_s = time_s + EVERY_S / 3 * self._place[camera]
        newest = int(since_s // EVERY_S)
        slots = [slot for slot in range(newest, newest - 4, -1) if since_s - slot * EVERY_S < STAY_S]
        return [((slot * 5 + 3 * self._place[camera]) % PEOPLE, since_s - slot * EVERY_S) for slot in slots]

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """After as long as it takes."""
        time.sleep(self._work_s)
        return [self._detect(frame) for frame in tick.frames]

    def _detect(self, frame: Frame) -> Detections:
        here = self.in_view(frame.camera, frame.time)
        boxes = [
            (SPEED * spent_s, 200.0 * person, SPEED * spent_s + 50, 200.0 * person + 120)
            for person, spent_s in here
        ]
        return Detections.of(boxes, np.full(len(boxes), 0.9))

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """Everybody looks like themselves, and a bit different in each frame."""
        found = []
        for frame, seen in zip(tick.frames, detections, strict=True):
            noise = np.random.default_rng(frame.number).normal(size=(len(seen), NETWORK.dimension))
            looks = self._looks[(seen.boxes[:, 1] // 200).astype(np.int64)] + 0.05 * noise
            looks /= np.linalg.norm(looks, axis=1, keepdims=True)
            found.append(Observations(seen.boxes, seen.scores, looks.astype(np.float32)))
        return found

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


class Ear(logging.Handler):
    """Hears when a run says that more comes than it can track."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.said_s = time.monotonic(), float("nan")

    def emit(self, record: logging.LogRecord) -> None:
        if "more comes than can be tracked" in record.getMessage() and np.isnan(self.said_s):
            self.said_s = time.monotonic() - self.began


def track(options: argparse.Namespace) -> int:
    """The work of a process of its own: one run, from its beginning or from where it was killed."""
    settings = [f"output.folder={options.folder}", f"reading.live.overload={options.child}"]
    config = load_config(None, [*settings, "output.checkpoint_s=2"])
    config = config.model_copy(update={"source": tuple(options.address)})
    work_s = options.work_ms / 1000
    walkers = patch.multiple(
        recording,
        build_camera_motion=lambda *_: NoCameraMotion(),
        build_detector=lambda _, working: Walkers(list(working), work_s),
        build_embedder=lambda _: Walkers([], 0.0),
    )
    ear, stop, reopened = Ear(), threading.Event(), None
    logging.getLogger("tracker").addHandler(ear)
    if options.resume:
        reopened = RunFolder.reopen(RunFolder.newest_unfinished(options.folder))[0]
    with walkers, TrackingRun(config, stop, reopened) as run:
        threading.Timer(options.minutes * 60, stop.set).start()
        run.run(Console(file=(options.folder / "console.log").open("a"), width=300))
    print(f"{ear.said_s:.1f}")
    return 0


def row_of(name: str, run: Path, said: str, seconds: float) -> str:
    """What a run came to, as a row."""
    summary = json.loads((run / "summary.json").read_text())
    cameras = summary["cameras"].values()
    read, dropped, skipped = (sum(it[key] for it in cameras) for key in ("read", "dropped", "skipped"))
    delay_s = max(it["delay_s"]["median"] for it in cameras)
    recorded = Recording(run)
    lengths = [it for piece in recorded.tracklets() for it in (piece.end_s - piece.begin_s).tolist()]
    walkers = Walkers(recorded.cameras, 0.0)
    rows, people = 0, dict[int, set[int]]()
    for piece, who in recorded.sightings():
        rows += len(piece)
        for person, identity in {
            *zip((piece["box"][:, 1] / 200).round().astype(int).tolist(), who.tolist(), strict=True)
        }:
            people.setdefault(person, set()).add(identity)
    recorded.close()
    moments = np.arange(0, 60, 0.1)
    in_view = np.mean([len(walkers.in_view(it, moment)) for it in recorded.cameras for moment in moments])
    expected = in_view * RATE * seconds * len(recorded.cameras)
    identities = {identity for found in people.values() for identity in found} - {0}
    one_each = sum(len(found - {0}) == 1 for found in people.values())
    return (
        f"{name:12} {said:>9} {dropped / read:9.0%} {skipped / read:9.0%} {delay_s:9.2f} {len(lengths):7d}"
        f" {np.median(lengths):10.1f} {rows / expected:9.0%} {len(identities):11d} {one_each:9d}"
    )


def main() -> int:
    """Print a row for each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of each run")
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--work-ms", type=float, default=400.0, help="of the detector, for each tick")
    parser.add_argument("--kill", action="store_true", help="one more run, which is killed and goes on")
    for hidden in ("--child", "--address", "--folder", "--resume"):
        parser.add_argument(hidden, help=argparse.SUPPRESS, **HIDDEN[hidden])
    options = parser.parse_args()
    if options.child:
        return track(options)
    if reason := missing_for_rtsp():
        parser.error(reason)
    print(f"{'':12} said at s   dropped   skipped    late s  tracks   median s in a box  identities one each")
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        clip = write_clip(Path(place) / "loop.mp4", range(100), rate=RATE, size=(160, 120))
        cameras = [stack.enter_context(RtspCamera(clip, rate=RATE)) for _ in range(options.cameras)]
        addresses = [word for it in cameras for word in ("--address", it.address())]
        runs = [("no overload", "skip", 0.0, False), ("skip", "skip", options.work_ms, False)]
        runs += [("drop", "drop", options.work_ms, False)]
        runs += [("killed", "skip", options.work_ms, True)] if options.kill else []
        for number, (name, overload, work_ms, is_killed) in enumerate(runs):
            folder = Path(place) / str(number)
            folder.mkdir()
            command = [
                sys.executable,
                "-m",
                "benchmarks.overload",
                "--child",
                overload,
                "--folder",
                str(folder),
            ]
            command += [*addresses, "--work-ms", str(work_ms)]
            minutes = options.minutes / 2 if is_killed else options.minutes
            if is_killed:
                first = subprocess.Popen([*command, "--minutes", "99"], stdout=subprocess.DEVNULL)
                time.sleep(minutes * 60)
                first.send_signal(signal.SIGKILL)
                first.wait()
                command.append("--resume")
            ran = subprocess.run(
                [*command, "--minutes", str(minutes)], check=True, capture_output=True, text=True
            )
            print(row_of(name, folder / "track", ran.stdout.strip(), options.minutes * 60), flush=True)
    return 0


HIDDEN: dict[str, dict[str, Any]] = {
    "--child": {},
    "--address": {"action": "append"},
    "--folder": {"type": Path},
    "--resume": {"action": "store_true"},
}
"""What a process that this one starts is told."""


if __name__ == "__main__":
    raise SystemExit(main())
