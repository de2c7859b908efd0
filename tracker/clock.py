"""How long each stage of a run is at work."""

import time
from collections.abc import Generator
from contextlib import contextmanager


class StageClock:
    """Adds up the seconds for which each stage is at work; stages overlap.

    Args:
        seconds: Where they are added up; None: in a table of its own.
    """

    def __init__(self, seconds: dict[str, float] | None = None) -> None:
        self.seconds = {} if seconds is None else seconds

    @contextmanager
    def of(self, stage: str) -> Generator[None, None, None]:
        """Count the time inside the ``with`` for this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds for this stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
