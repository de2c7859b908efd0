"""Memory of a long run: one hour of four simulated cameras' detections, resident size once a second.

python -m benchmarks.memory --hours 1
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    """Print ten points of the run; 1 if memory grew by more than a tenth after its first quarter."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--people", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene"
        simulate = [sys.executable, "-m", "tracker.simulate", str(scene), "--no-video", "--seed", "1"]
        simulate += ["--cameras", str(arguments.cameras), "--people", str(arguments.people)]
        begin = time.monotonic()
        subprocess.run([*simulate, "--seconds", str(arguments.hours * 3600)], check=True, capture_output=True)
        took_s = time.monotonic() - begin
        print(f"simulated {arguments.hours:g} h of {arguments.cameras} cameras in {took_s:.0f} s")
        command = [sys.executable, "-m", "tracker.run", str(scene), "--set", "detector.kind=file"]
        process = subprocess.Popen(
            [*command, "--set", f"output.folder={folder}/runs"], stdout=subprocess.DEVNULL
        )
        samples: list[tuple[float, float]] = []
        begin = time.monotonic()
        while process.poll() is None:
            samples.append((time.monotonic() - begin, resident_mib(process.pid)))
            time.sleep(1)
        if process.returncode:
            return 2
    samples = [sample for sample in samples if sample[1]]
    print("   seconds  resident MiB")
    for index in range(10):
        seconds, mib = samples[(len(samples) - 1) * index // 9]
        print(f"{seconds:10.0f}  {mib:12.1f}")
    quarter = max(mib for _, mib in samples[: len(samples) // 4 + 1])
    peak = max(mib for _, mib in samples)
    print(f"peak of the first quarter {quarter:.1f} MiB, of the whole run {peak:.1f} MiB")
    return int(peak > quarter * 1.1)


def resident_mib(pid: int) -> float:
    """Resident set size of a process; 0 when it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


if __name__ == "__main__":
    sys.exit(main())
