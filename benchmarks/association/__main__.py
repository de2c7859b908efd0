"""Speed of the camera tracker alone: N boxes that walk over a 1080p picture, one process, no pixels.

    python -m benchmarks.association
    python -m benchmarks.association --boxes 50 200 --frames 300 --repeats 9
    python -m benchmarks.association --peers PEERS/bin/python --json speed.json

Where PEERS is a virtual environment with any of them: pip install 'boxmot>=25' ultralytics 'trackers>=2.6'.
(norfair wants an older rich and numpy than those, so it needs an environment of its own: --peers
PEERS/bin/python NORFAIR/bin/python.) boxmot before 25 had other names for what is called here.

The tracker has the settings of `TrackingConfig()`. What counts is processor time, which other work on the
machine changes little, and trackers take turns; each figure is the median of its turns, "ours" is our
frames/s divided by theirs. The boxes are as large when there are many, so 1,000 of them are a crowd in which
everybody overlaps ten others; the table says so.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.association.peers import PeersPython
from benchmarks.association.peers_worker import PEERS, Runner, Timing, time_runner
from benchmarks.association.scene import FRAME_RATE, moving_boxes
from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from tracker.camera_tracker import CameraTracker
from tracker.config import TrackingConfig
from tracker.geometry import iou_matrix
from tracker.types import CameraName, Observations

OURS = "Reunite"
WARM_UP_BOXES, WARM_UP_FRAMES = 10, 20
"""What every tracker gets before anything is measured: libraries load and compile on first use."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one tracker at one number of boxes; without a figure the note says why.

    Attributes:
        frames_per_s: Median over the turns.
        us_per_box: What a box of a frame takes.
        ours_over_it: Our frames/s divided by its.
        tracked: How many people it tracked in its last frame.
    """

    boxes: int
    tracker: str
    frames_per_s: float | None = None
    us_per_box: float | None = None
    ours_over_it: float | None = None
    tracked: int | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.frames_per_s is None:
            return f"{self.tracker:24s} {'-':>9} {'-':>9} {'-':>7} {'-':>8}  {self.note}"
        return (
            f"{self.tracker:24s} {self.frames_per_s:9.1f} {self.us_per_box:9.1f} "
            f"{self.ours_over_it:6.1f}x {self.tracked:8d}  {self.note}"
        ).rstrip()


def camera_tracker() -> Runner:
    """Our tracker, which has seen nothing yet."""
    tracker = CameraTracker(CameraName("benchmark"), TrackingConfig())
    numbers = count()

    def update(found: Observations) -> int:
        candidates = tracker.compare(tracker.predict(next(numbers) / FRAME_RATE), found)
        return len(tracker.update(candidates, found).tracks)

    return Runner(
        prepare=lambda boxes, scores: Observations(boxes, scores, np.empty((len(boxes), 0), np.float32)),
        update=update,
    )


def take_turns(
    contenders: Mapping[str, Callable[[], Timing | str]], repeats: int, num_frames: int
) -> dict[str, list[Timing] | str]:
    """Time each contender so often, one after another; who fails or does not finish has no further turn."""
    outcomes: dict[str, list[Timing] | str] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            before = outcomes[name]
            if isinstance(before, str) or (before and before[-1].frames < num_frames):
                continue
            outcome = contender()
            outcomes[name] = outcome if isinstance(outcome, str) else [*before, outcome]
    return outcomes


def summarise(boxes: int, num_frames: int, outcomes: Mapping[str, list[Timing] | str]) -> list[Row]:
    """A row for every tracker, ours among them."""
    rates = {
        name: statistics.median(turn.frames / turn.seconds for turn in turns)
        for name, turns in outcomes.items()
        if not isinstance(turns, str)
    }
    rows = []
    for name, turns in outcomes.items():
        if isinstance(turns, str):
            rows.append(Row(boxes, name, note=turns))
            continue
        last, rate = turns[-1], rates[name]
        finished = last.frames == num_frames
        note = (
            "" if finished else f"{last.frames} of {num_frames} frames in {last.seconds:.1f} s, then stopped"
        )
        rows.append(Row(boxes, name, rate, 1e6 / rate / boxes, rates[OURS] / rate, last.tracked, note))
    return rows


def measure(
    boxes: FloatArray,
    scores: FloatArray,
    repeats: int,
    limit_s: float,
    peers: Mapping[str, PeersPython | None],
) -> list[Row]:
    """Time our tracker and the peers, None for one that is not there, on (F, N, 4) boxes, (F, N) scores."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.npz"
        np.savez(scene, boxes=boxes, scores=scores)

        def timed(peer: str, python: PeersPython | None) -> Timing | str:
            return "not installed" if python is None else python.time(peer, scene, limit_s)

        contenders = {peer: partial(timed, peer, python) for peer, python in peers.items()}

        def ours() -> Timing:
            return time_runner(camera_tracker(), boxes, scores, limit_s)

        outcomes = take_turns({OURS: ours, **contenders}, repeats, len(boxes))
    return summarise(boxes.shape[1], len(boxes), outcomes)


def mean_overlapped(boxes: FloatArray) -> float:
    """How many others a box of (N, 4) overlaps, on average."""
    return float((iou_matrix(boxes, boxes) > 0).sum() / len(boxes) - 1)


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    rows, scenes = [], []
    try:
        with ExitStack() as stack:
            pythons = [stack.enter_context(PeersPython(python)) for python in options.peers]
            peers = {
                peer: next((python for python in pythons if peer in python.versions), None)
                for peer in (PEERS if pythons else ())
            }
            versions = {peer: python.versions[peer] for peer, python in peers.items() if python}
            measure(*moving_boxes(WARM_UP_BOXES, WARM_UP_FRAMES), 1, options.limit_s, peers)
            for number in options.boxes:
                boxes, scores = moving_boxes(number, options.frames)
                overlapped = mean_overlapped(boxes[0])
                scenes.append({"boxes": number, "overlapped": overlapped})
                print(f"\n{number} boxes, each overlaps {overlapped:.1f} others, {options.frames} frames")
                print(f"{'':24s} {'frames/s':>9} {'us/box':>9} {'ours':>7} {'tracked':>8}")
                for row in measure(boxes, scores, options.repeats, options.limit_s, peers):
                    rows.append(row)
                    print(row, flush=True)
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n" + "; ".join([f"{options.repeats} turns", *(f"{peer} {it}" for peer, it in versions.items())]))
    if options.json:
        about = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "versions": {"numpy": np.__version__, **versions},
            "frames": options.frames,
            "repeats": options.repeats,
            "limit_s": options.limit_s,
            "scenes": scenes,
        }
        report = {**about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.association",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--boxes", type=at_least_one, nargs="+", default=[10, 50, 200, 500, 1000], metavar="N"
    )
    parser.add_argument("--frames", type=at_least_one, default=100)
    parser.add_argument("--repeats", type=at_least_one, default=5, help="turns that each tracker gets")
    parser.add_argument(
        "--peers",
        type=Path,
        nargs="+",
        default=[],
        metavar="PYTHON",
        help="Pythons that have other trackers; each is timed in the first that has it",
    )
    parser.add_argument(
        "--limit-s",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="a turn that takes longer is stopped after a frame and is the last (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures")
    return parser


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
