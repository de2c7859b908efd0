"""Three RTSP cameras on loopback, two of them killed and frozen at random: what does it cost the third?

python -m benchmarks.live --minutes 10
"""

import argparse
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tests.clips import read_code, write_clip
from tests.loopback import RtspCamera, missing_for_rtsp
from tracker.config import LiveConfig, SourceConfig
from tracker.sources import open_source
from tracker.stages import CameraReport

RATE = 20
LOOP = 1000
"""Frames until the numbers in the pictures begin again: the longest outage is shorter."""


class Trouble:
    """Kills and freezes one camera at random moments, from a thread of its own."""

    def __init__(self, camera: RtspCamera, seed: int, mean_pause_s: float) -> None:
        self._camera, self._random, self._mean_pause_s = camera, random.Random(seed), mean_pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kills = self.freezes = 0
        self.down_s = 0.0
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._random.expovariate(1 / self._mean_pause_s)):
            is_kill, down_s = self._random.random() < 0.5, self._random.uniform(0.5, 12)
            begin = time.monotonic()
            (self._camera.kill if is_kill else self._camera.freeze)()
            self._stop.wait(down_s)
            (self._camera.switch_on if is_kill else self._camera.thaw)()
            self.kills += is_kill
            self.freezes += not is_kill
            self.down_s += time.monotonic() - begin

    def end(self) -> None:
        """Stop, with the camera switched on."""
        self._stop.set()
        self._thread.join()


class Watched:
    """What came of one camera: when each frame arrived, its number in the clip, how late its tick was."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.codes: list[int] = []
        self.tick_delays: list[float] = []


def watch(
    cameras: Sequence[RtspCamera], seconds: float, config: LiveConfig, work_s: float
) -> tuple[list[Watched], list[CameraReport]]:
    """Take all ticks of these cameras for so long, working ``work_s`` on each tick, on average."""
    source = open_source([camera.address() for camera in cameras], SourceConfig(live=config), {})
    random_work = random.Random(0)
    watched = {name: Watched() for name in source.reports}
    timer = threading.Timer(seconds, source.close)
    timer.start()
    for tick in source.ticks():
        now = time.time()
        for frame in tick.frames:
            seen = watched[frame.camera]
            seen.times.append(frame.time)
            seen.codes.append(read_code(frame.image))
            seen.tick_delays.append(now - frame.time)
        if work_s:
            time.sleep(random_work.gammavariate(2, work_s / 2))
    timer.join()
    return list(watched.values()), list(source.reports.values())


def describe(values: Sequence[float]) -> str:
    """Median, 95 and 99 and 99.9 percent, and the highest, in milliseconds."""
    marks = np.percentile(values, [50, 95, 99, 99.9, 100]) * 1000
    return "".join(f"{mark:9.1f}" for mark in marks)


def missed(codes: Sequence[int]) -> int:
    """Frames that were sent between the first and the last but did not come."""
    return sum((after - before - 1) % LOOP for before, after in itertools.pairwise(codes))


def main() -> int:
    """Print what happened; 1 if the untouched camera lost a frame, by our fault or by being dropped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--alone-minutes", type=float, default=2.0, help="the untouched camera by itself")
    parser.add_argument("--mean-pause-s", type=float, default=15.0, help="between two troubles of a camera")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queue-frames", type=int, default=LiveConfig().queue_frames)
    parser.add_argument("--work-ms", type=float, default=0.0, help="pretended work on each tick, on average")
    arguments = parser.parse_args()
    if reason := missing_for_rtsp():
        parser.error(reason)
    config, work_s = LiveConfig(queue_frames=arguments.queue_frames), arguments.work_ms / 1000
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clip = write_clip(Path(folder) / "loop.mp4", range(LOOP), rate=RATE, size=(320, 240))
        cameras = [stack.enter_context(RtspCamera(clip, rate=RATE)) for _ in range(3)]
        (alone,), (alone_report,) = watch(cameras[:1], arguments.alone_minutes * 60, config, work_s)
        troubles = [
            Trouble(camera, arguments.seed + index, arguments.mean_pause_s)
            for index, camera in enumerate(cameras[1:])
        ]
        watched, reports = watch(cameras, arguments.minutes * 60, config, work_s)
        for trouble in troubles:
            trouble.end()

    print(f"{'camera':12} kills freezes  down s    read dropped reconnects  longest gap s")
    names = ["alone", "untouched", "troubled 1", "troubled 2"]
    for index, (name, seen, report) in enumerate(
        zip(names, [alone, *watched], [alone_report, *reports], strict=True)
    ):
        kills, freezes, down_s = 0, 0, 0.0
        if index >= 2:
            trouble = troubles[index - 2]
            kills, freezes, down_s = trouble.kills, trouble.freezes, trouble.down_s
        print(
            f"{name:12} {kills:5d} {freezes:7d} {down_s:7.1f} {report.read:7d} {report.dropped:7d}"
            f" {report.reconnects:10d} {np.diff(seen.times).max():14.2f}"
        )
    print(f"\n{'ms':34}{'median':>9}{'95 %':>9}{'99 %':>9}{'99.9 %':>9}{'most':>9}")
    for name, seen in (("alone", alone), ("untouched", watched[0])):
        print(f"{name + ': between two arrivals':34}{describe(np.diff(seen.times).tolist())}")
        print(f"{name + ': from arrival to tick':34}{describe(seen.tick_delays)}")
    lost = missed(watched[0].codes)
    print(f"\nframes that the untouched camera sent and the tracker did not get: {lost}")
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
