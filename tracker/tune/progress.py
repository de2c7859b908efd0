"""How far the search is: a bar on a terminal, a line every ten seconds elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class TrialBar:
    """Shows trials done, time left and the best figure so far; use it in a ``with`` statement."""

    def __init__(self, console: Console, metric: str, done: int, total: int) -> None:
        self._console, self._metric, self._total = console, metric, total
        self._done_before, self._began = done, time.monotonic()
        self._next_line = self._began + LINE_EVERY_S
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials, best {task.fields[best]}, left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("search", total=total, completed=done, best="")

    def __enter__(self) -> "TrialBar":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def show(self, done: int, first: float, best: float) -> None:
        """Say where the search stands: trials done, the figure of the present values and the best one."""
        text = f"{self._metric} {100 * best:.2f} (before {100 * first:.2f})"
        self._progress.update(self._task, completed=done, best=text)
        now = time.monotonic()
        if not self._console.is_terminal and (now >= self._next_line or done == self._total):
            self._next_line = now + LINE_EVERY_S
            left_s = (now - self._began) / max(1, done - self._done_before) * (self._total - done)
            left = f", {timedelta(seconds=round(left_s))} left" if done < self._total else ""
            self._console.print(f"{done}/{self._total} trials, best {text}{left}", soft_wrap=True)
