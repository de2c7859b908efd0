"""What a training tells while it runs: a bar or lines, a CSV file, a picture of the curves, TensorBoard."""

import csv
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text
from torch.utils.tensorboard import SummaryWriter

from reid.curves import write_curves

LINE_EVERY_S = 60.0
"""Between two lines of an epoch where there is no terminal to draw a bar on."""

Row = dict[str, float]
"""One epoch: its number from 1 under "epoch", the learning rate, loss parts, speed and scores."""


class TrainingLog:
    """Shows how far a run is and writes its rows; used as a context, so that bar and files are closed."""

    def __init__(self, console: Console, folder: Path, epochs: int, rows: Sequence[Row]) -> None:
        """Go on where the run stands.

        Args:
            console: Gets a bar that moves with each step if it is a terminal, else a line each minute.
            folder: Gets ``log.csv``, ``curves.png``, ``curves.svg`` and ``tensorboard/``.
            epochs: Of the whole run.
            rows: Those of the epochs that are done, from the checkpoint.
        """
        self.rows = list(rows)
        self._console, self._folder, self._epochs = console, folder, epochs
        # What an epoch wrote that was cut before its checkpoint is hidden by the one that repeats it.
        self._tensorboard: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=len(rows) + 1)
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._start, self._start_epoch = time.monotonic(), float(len(rows))
        self._epoch_start = self._last_line = self._start
        self._epoch_s = 0.0
        self._sums: dict[str, float] = {}
        self._steps = self._pictures = 0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self._tensorboard.close()

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self._sums, self._steps, self._pictures, self._epoch_start = {}, 0, 0, time.monotonic()

    def step(self, parts: Mapping[str, float], pictures: int, epoch: float) -> None:
        """Take in the loss parts of one step; ``epoch`` is how far the training is now."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        self._pictures += pictures
        now = time.monotonic()
        self._epoch_s = now - self._epoch_start
        if self._live is not None:
            bar = ProgressBar(total=self._epochs, completed=epoch)  # last: it does not end its line
            self._live.update(Group(Text(self._line(epoch)), bar))
        elif now - self._last_line > LINE_EVERY_S:
            self._last_line = now
            self._print(self._line(epoch))

    def end_epoch(self, lr: float, scores: Mapping[str, float]) -> None:
        """Print and write the row of the epoch that ends now, with at least one step in it."""
        number = len(self.rows) + 1
        means = self._means()
        row = {"epoch": number, "lr": lr, "loss": sum(means.values()), **means}
        row |= {"pictures_per_s": self._pictures / self._epoch_s}
        row |= {"seconds": time.monotonic() - self._epoch_start, **scores}
        self.rows.append(row)
        self._print(self._line(number) + "".join(f", {name} {value:.4f}" for name, value in scores.items()))
        self._write_csv()
        write_curves(self._folder / "curves.png", self.rows)
        for name, value in row.items():
            self._tensorboard.add_scalar(name, value, number)
        self._tensorboard.flush()

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _line(self, epoch: float) -> str:
        done = epoch - self._start_epoch
        left = timedelta(seconds=round((time.monotonic() - self._start) / done * (self._epochs - epoch)))
        speed = self._pictures / self._epoch_s
        means = self._means()
        parts = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        return (
            f"epoch {epoch:.2f}/{self._epochs}, {speed:.0f} pictures/s, {left} left, "
            f"loss {sum(means.values()):.3f} ({parts})"
        )

    def _means(self) -> dict[str, float]:
        return {name: total / self._steps for name, total in self._sums.items()}

    def _write_csv(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with (self._folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
