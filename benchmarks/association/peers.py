"""Trackers of others, timed in a Python that has them: not all of them go together in one."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.association.peers_worker import Timing
from foundation.errors import ReuniteError

WORKER = Path(__file__).with_name("peers_worker.py")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Small matrices are slower on many threads; and our own tracker has one."""


class PeersPython:
    """Another Python, which times one peer at a time; a context manager.

    Attributes:
        versions: Of the peers it has.
    """

    def __init__(self, python: Path) -> None:
        """Start it.

        Raises:
            ReuniteError: It does not start, or has no numpy.
        """
        self._python = python
        self.versions: Mapping[str, str] = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def time(self, peer: str, scene: Path, limit_s: float) -> Timing | str:
        """How long a peer takes for a scene; or why that is not known. One that crashes harms no other."""
        assert self._process.stdin is not None
        asked = {"peer": peer, "scene": str(scene), "limit_s": limit_s}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer = self._answer()
        if answer is None:
            self._process.communicate()
            failure = f"ended its Python with exit status {self._process.returncode}"
            self._start()
            return failure
        return str(answer["failure"]) if "failure" in answer else Timing(**answer)

    def _start(self) -> dict[str, str]:
        try:
            self._process = subprocess.Popen(
                [self._python, WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, **ONE_THREAD},
            )
        except OSError as error:
            raise ReuniteError(f"--peers {self._python}: {error.strerror}; it must be a Python") from error
        versions = self._answer()
        if versions is None:
            self._process.communicate()
            raise ReuniteError(f"--peers {self._python}: it must be a Python that has numpy")
        return versions

    def _answer(self) -> dict[str, Any] | None:
        """The next line it writes, None if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None
