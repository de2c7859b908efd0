"""What a training tells while it runs: a line, a CSV file, a picture of the curves, TensorBoard."""

import csv
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reid.curves import draw_curves

LINE_EVERY_S = 60.0
"""Between two lines of an epoch that go to a file; on a screen the line moves with each step."""

Row = dict[str, float]
"""One epoch: its number from 1 under "epoch", the learning rate, loss parts, speed and scores."""


class TrainingLog:
    """Writes the rows of a run; the earlier ones of a resumed run come from its checkpoint."""

    def __init__(self, folder: Path, epochs: int, rows: Sequence[Row]) -> None:
        """``rows`` are those of the epochs that are done."""
        self.rows = list(rows)
        self._folder, self._epochs = folder, epochs
        self._tensorboard = _open_tensorboard(folder)
        self._start, self._start_epoch = time.monotonic(), float(len(rows))
        self._epoch_start = self._last_line = self._start
        self._sums: dict[str, float] = {}
        self._steps = self._pictures = 0

    def start_epoch(self) -> None:
        """Forget the sums of the epoch before."""
        self._sums, self._steps, self._pictures, self._epoch_start = {}, 0, 0, time.monotonic()

    def step(self, parts: Mapping[str, float], pictures: int, epoch: float) -> None:
        """Take in the loss parts of one step; ``epoch`` is how far the training is now."""
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1
        self._pictures += pictures
        if sys.stderr.isatty():
            print(f"\r\033[K{self._line(epoch)}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            print(self._line(epoch), file=sys.stderr, flush=True)

    def end_epoch(self, lr: float, scores: Mapping[str, float]) -> None:
        """Print and write the row of the epoch that ends now."""
        number = len(self.rows) + 1
        seconds = time.monotonic() - self._epoch_start
        means = {name: total / max(self._steps, 1) for name, total in self._sums.items()}
        row = {"epoch": number, "lr": lr, "loss": sum(means.values()), **means}
        row |= {"pictures_per_s": self._pictures / seconds, "seconds": seconds, **scores}
        self.rows.append(row)
        found = "".join(f" {name} {value:.4f}" for name, value in scores.items())
        start = "\r\033[K" if sys.stderr.isatty() else ""
        print(f"{start}{self._line(number)}{found}", file=sys.stderr, flush=True)
        self._write_csv()
        draw_curves(self._folder / "curves.png", self.rows)
        if self._tensorboard is not None:
            for name, value in row.items():
                self._tensorboard.add_scalar(name, value, number)
            self._tensorboard.flush()

    def _line(self, epoch: float) -> str:
        seconds = time.monotonic() - self._start
        left = seconds / (epoch - self._start_epoch) * (self._epochs - epoch)
        means = {name: total / max(self._steps, 1) for name, total in self._sums.items()}
        parts = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        speed = self._pictures / (time.monotonic() - self._epoch_start)
        hours, minutes = divmod(round(left / 60), 60)
        return (
            f"epoch {epoch:.2f}/{self._epochs} loss {sum(means.values()):.3f} ({parts}) "
            f"{speed:.0f} pictures/s, {hours}:{minutes:02d} h left"
        )

    def _write_csv(self) -> None:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with (self._folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.rows)


def _open_tensorboard(folder: Path) -> Any:
    """A writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
