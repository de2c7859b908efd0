"""Many cameras in one process against one process after another.

python -m benchmarks.cameras ../shared/data/ufes-4cam --set detector.weights=yolo11n_int8_openvino_model
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Print the seconds of both, whole commands; medians of the repeats."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of synchronous videos")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    videos = sorted(arguments.folder.glob("*.mp4"))
    settings = [part for override in arguments.overrides for part in ("--set", override)]
    together, apart = [], []
    with tempfile.TemporaryDirectory() as runs:
        settings += ["--set", f"output.folder={runs}"]
        for _ in range(arguments.repeats):
            together.append(seconds_of([str(arguments.folder), *settings]))
            apart.append(sum(seconds_of([str(video), *settings]) for video in videos))
        summary = json.loads((Path(runs) / "track" / "summary.json").read_text())
    one, many = sorted(together)[arguments.repeats // 2], sorted(apart)[arguments.repeats // 2]
    print(f"{len(videos)} cameras, {summary['frames']} frames; one process: {json.dumps(summary['seconds'])}")
    print(f"one process {one:.1f} s, one after another {many:.1f} s: {many / one:.2f} times as fast")
    return int(one >= many)


def seconds_of(arguments: list[str]) -> float:
    """How long the command takes, start-up included."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "tracker.run", *arguments], check=True, capture_output=True)
    return time.monotonic() - begin


if __name__ == "__main__":
    sys.exit(main())
