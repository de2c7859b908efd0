"""Did a change make it slower? Two commits take turns at one command, each in a checkout of its own.

    python -m benchmarks.commits OLD NEW -- -m tracker.run VIDEO --set output.folder={folder}
    python -m benchmarks.commits OLD NEW --repeats 5 -- -m benchmarks.association --boxes 200

What follows -- is given to Python, with paths as seen from here; `{folder}` becomes an empty folder. What
counts is processor time of all cores and of all processes that the command starts; the ratio is the median of
those of the rounds. They begin with the old and the new one in turn.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from foundation.errors import ReuniteError

ROOT = Path(__file__).resolve().parents[1]


def git(*arguments: str) -> str:
    """What git says.

    Raises:
        ReuniteError: It refused.
    """
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReuniteError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit, while they are needed."""
    git("worktree", "add", "--quiet", "--detach", str(folder), commit)
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def take_turn(checkout: Path, command: Sequence[str]) -> tuple[float, float]:
    """Run the command with the packages of a checkout; seconds of processors, and of the clock.

    Raises:
        ReuniteError: It failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = [word.replace("{folder}", folder) for word in command]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            [sys.executable, *given],
            # Not from the folder that this is called from: its packages would come first.
            env=os.environ | {"PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        took_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ReuniteError(f"{' '.join(given)}: ended with {done.returncode}: {said}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, took_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each round, and the ratio; 1 if the new one is slower than allowed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.commits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old")
    parser.add_argument("new", help="HEAD, for example")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--allowed", type=float, default=1.03, help="times the old one's processor time")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --: what Python is given")
    options = parser.parse_args(arguments)
    ratios = []
    with (
        tempfile.TemporaryDirectory() as folder,
        checkout(options.old, Path(folder) / "old") as old,
        checkout(options.new, Path(folder) / "new") as new,
    ):
        for turn in range(options.repeats):
            took = {tree: take_turn(tree, options.command) for tree in ((old, new), (new, old))[turn % 2]}
            ratios.append(took[new][0] / took[old][0])
            print(
                f"{options.old}: {took[old][0]:.1f} s of processors in {took[old][1]:.1f} s; "
                f"{options.new}: {took[new][0]:.1f} in {took[new][1]:.1f}; x {ratios[-1]:.3f}",
                flush=True,
            )
    print(f"{options.new} takes {median(ratios):.3f} times the processor time of {options.old}")
    return int(median(ratios) > options.allowed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReuniteError as error:
        sys.exit(str(error))
