"""Kill a run at random moments, resume it, compare with a run that nobody touched.

python -m benchmarks.resume videos --config configs/embedded.yaml --kills 20
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def main() -> int:
    """Print one line for each trial; 1 if any result differed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", nargs="+")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--kills", type=int, default=20, help="how many runs are killed (default 20)")
    parser.add_argument("--checkpoint-s", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tracker.run", *map(str, arguments.source)]
        command += [
            "--config",
            str(arguments.config),
            "--set",
            f"output.checkpoint_s={arguments.checkpoint_s}",
        ]
        command += ["--set", f"output.folder={folder}"]
        for override in arguments.overrides:
            command += ["--set", override]
        begin = time.monotonic()
        subprocess.run([*command, "--name", "whole"], check=True, capture_output=True)
        took_s = time.monotonic() - begin
        whole = results_of(Path(folder) / "whole")
        print(f"uninterrupted: {took_s:.1f} s, {len(whole)} files")
        differing = 0
        for trial in range(1, arguments.kills + 1):
            moment_s = rng.uniform(0, took_s)
            name = f"cut-{trial}"
            at_frame = kill_after([*command, "--name", name], moment_s, Path(folder) / name)
            again = (Path(folder) / name / "config.yaml").exists()
            resume = [sys.executable, "-m", "tracker.run", "--resume", str(Path(folder) / name)]
            finished = not again or (Path(folder) / name / "state").exists()
            if finished:
                subprocess.run(
                    resume if again else [*command, "--name", name], check=True, capture_output=True
                )
            same = results_of(Path(folder) / name) == whole
            differing += not same
            print(
                f"{trial:3}  killed after {moment_s:6.2f} s, {at_frame}: {'equal' if same else 'DIFFERENT'}"
            )
    print(f"{arguments.kills - differing} of {arguments.kills} equal")
    return int(differing > 0)


def kill_after(command: list[str], seconds: float, run: Path) -> str:
    """Start the command, kill -9 it after this time, and say how far its last checkpoint had come."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if not (run / "state").exists():
        return "complete" if (run / "summary.json").exists() else "before the run began"
    if not (run / "state" / "checkpoint.npz").exists():
        return "before the first checkpoint"
    with np.load(run / "state" / "checkpoint.npz") as checkpoint:
        frames = json.loads(checkpoint["meta"].tobytes())["frames"]
    return f"{sum(frames.values())} frames safe"


def results_of(run: Path) -> dict[str, bytes]:
    """Everything a run found, without how long it took."""
    names = ("sightings.parquet", "tracks.csv", "events.jsonl")
    files = {path.name: path.read_bytes() for path in [*run.glob("mot/*.txt"), *(run / it for it in names)]}
    summary = json.loads((run / "summary.json").read_text())
    for timing in ("seconds", "waited", "elapsed_s", "frames_per_second"):
        del summary[timing]
    return files | {"summary.json": json.dumps(summary).encode()}


if __name__ == "__main__":
    sys.exit(main())
