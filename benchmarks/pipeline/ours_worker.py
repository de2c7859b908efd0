"""One run of Reunite, or of its detector alone, timed; started by ``benchmarks.pipeline``.

    python -m benchmarks.pipeline.ours_worker WHAT WEIGHTS OUT VIDEO...

WHAT is ``detector`` (reads the videos and detects, with the same threads as a run), ``decoded`` (detects on
pictures that are decoded already), ``run``, or ``run+video``. The last line it prints is JSON: frames, and
seconds, also of processors, from the first tick's result on; of a run, which goes to OUT/run, until
everything is written, with the seconds of its stages.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from tracker.build import build_detector
from tracker.config import RunConfig, load_config
from tracker.pipeline import READ_AHEAD, work_ahead
from tracker.recording.run import TrackingRun
from tracker.sources import open_source
from tracker.types import Tick

DECODED_FRAMES = 120
"""So many pictures, at least, are decoded beforehand and looked at three times."""
POLL_S = 0.005
AFTERWARDS = ("link", "results", "draw")
"""Stages of a run that begin when the last frame is tracked."""


def time_detector(config: RunConfig, is_decoded: bool) -> dict[str, Any]:
    detector = build_detector(config.detector, {})
    with closing(open_source(config.source, config.reading, {})) as source:
        ticks = _repeat_some(source.ticks()) if is_decoded else source.ticks()
        depth = detector.ticks_at_once + READ_AHEAD
        with closing(
            work_ahead(ticks, detector.detect, detector.ticks_at_once, depth, threading.Event())
        ) as ahead:
            next(ahead)
            began, processor, frames = time.perf_counter(), time.process_time(), 0
            for worked in ahead:
                frames += len(worked.tick.frames)
        seconds = time.perf_counter() - began
        return {"frames": frames, "seconds": seconds, "processor_s": time.process_time() - processor}


def time_run(config: RunConfig) -> dict[str, Any]:
    began: list[float] = []
    with TrackingRun(config, threading.Event()) as run, Path("/dev/null").open("w") as nowhere:
        progress = run.progress

        def note_first_result() -> None:
            while not progress.frames:
                time.sleep(POLL_S)
            began.append(time.process_time())

        threading.Thread(target=note_first_result, daemon=True).start()
        run.run(Console(file=nowhere))
    processor_s = time.process_time() - began[0]
    seconds = progress.elapsed_s + sum(progress.seconds.get(stage, 0.0) for stage in AFTERWARDS)
    return {
        "frames": sum(progress.frames.values()) - len(progress.frames),  # from the first tick's result on
        "seconds": seconds,
        "processor_s": processor_s,
        "elapsed_s": progress.elapsed_s,
        "stages": progress.seconds,
        "waited": progress.waited,
    }


def _repeat_some(ticks: Iterator[Tick]) -> Iterator[Tick]:
    """The first ticks, three times over."""
    frames, kept = 0, []
    for tick in ticks:
        kept.append(tick)
        frames += len(tick.frames)
        if frames >= DECODED_FRAMES:
            break
    return itertools.chain.from_iterable(itertools.repeat(kept, 3))


def main() -> None:
    what, weights, out, *videos = sys.argv[1:]
    settings = [f"detector.weights={weights}", f"output.folder={out}", "output.name=run"]
    config = load_config(None, [*settings, f"output.save_video={str(what == 'run+video').lower()}"])
    config = config.model_copy(update={"source": tuple(videos)})
    is_run = what.startswith("run")
    print(json.dumps(time_run(config) if is_run else time_detector(config, what == "decoded")))


if __name__ == "__main__":
    main()
