"""A run in a process of its own, which a test may stop or kill: forked where all is imported already."""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from foundation.command import leave
from tracker.recording.run import TrackingRun
from tracker.run import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tracker.run"])

SAID = "said.txt"
"""What a run printed, in the folder that it works in."""


def start_run(
    folder: Path,
    words: Sequence[str],
    signals: Sequence[int] = (),
    pause_s: float = 0.0,
    max_bytes: int = resource.RLIM_INFINITY,
) -> BaseProcess:
    """The command in this folder.

    Args:
        signals: Sent to it after its first checkpoint, ``pause_s`` between them.
        max_bytes: It can write no longer file, as on a full disk.
    """
    process = FORKS.Process(target=_run, args=(folder, words, [*signals], pause_s, max_bytes))
    process.start()
    return process


def _run(folder: Path, words: Sequence[str], signals: list[int], pause_s: float, max_bytes: int) -> None:
    os.chdir(folder)
    sys.stdout = sys.stderr = Path(SAID).open("a", buffering=1)  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes))
    checkpoint = TrackingRun._checkpoint

    def checkpoint_and_stop(*arguments: Any) -> None:
        checkpoint(*arguments)
        while signals:
            os.kill(os.getpid(), signals.pop(0))
            time.sleep(pause_s if signals else 0)

    TrackingRun._checkpoint = checkpoint_and_stop  # type: ignore[assignment, method-assign]
    leave(main(words))
