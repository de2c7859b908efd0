"""How long each stage of a run is at work, how late what it finds is, and the names of hours."""

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

HOUR_S = 3600.0
NAME = "%Y-%m-%dT%H"
"""Of an hour, UTC, as it stands in names of files."""


class StageClock:
    """Adds up the seconds for which each stage is at work; stages overlap.

    Args:
        seconds: Where they are added up; None: in a table of its own.
        now: What says how late it is, in seconds.
    """

    def __init__(
        self, seconds: dict[str, float] | None = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.seconds, self._now = {} if seconds is None else seconds, now

    @contextmanager
    def of(self, stage: str) -> Generator[None, None, None]:
        """Count the time inside the ``with`` for this stage."""
        start = self._now()
        try:
            yield
        finally:
            self.add(stage, self._now() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds for this stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


class Delays:
    """Counts delays by their length, each within 3 %, in memory that does not grow.

    Args:
        counts: Of `counts`, of an earlier part of a run.
    """

    SHORTEST_S, STEP = 0.001, 1.06
    """What is shorter counts as this long; each count is of delays up to this many times longer."""
    LONGEST = 256
    """This many counts: what is longer than 50 minutes is in the last one."""

    def __init__(self, counts: Sequence[int] = ()) -> None:
        self.counts = [*counts, *[0] * (self.LONGEST - len(counts))]

    def add(self, delay_s: float) -> None:
        """Count one delay."""
        place = int(math.log(max(delay_s, self.SHORTEST_S) / self.SHORTEST_S) / math.log(self.STEP))
        self.counts[min(place, self.LONGEST - 1)] += 1

    def quantile(self, share: float) -> float:
        """The delay in seconds that this share of all do not exceed; nan where there is none."""
        wanted, so_far = share * sum(self.counts), 0
        for place, count in enumerate(self.counts):
            so_far += count
            if count and so_far >= wanted:
                return self.SHORTEST_S * math.pow(self.STEP, place + 0.5)
        return math.nan


def hour_of(time_s: float) -> str:
    """The name of the hour of a moment, Unix time."""
    return datetime.fromtimestamp(time_s, UTC).strftime(NAME)


def begin_of(hour: str) -> float:
    """When the hour of this name began, Unix time."""
    return datetime.strptime(hour, NAME).replace(tzinfo=UTC).timestamp()
