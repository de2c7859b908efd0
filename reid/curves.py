"""The course of a training as a picture: loss and scores over the epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1100, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 260, 20, 40
"""Pixels of one panel, and of the margins around its axes; the names of the curves stand on the right."""

BLACK, GREY = (0, 0, 0), (225, 225, 225)
COLOURS = (
    (180, 119, 31), (14, 127, 255), (44, 160, 44), (40, 39, 214),
    (189, 103, 148), (75, 86, 140), (194, 119, 227), (207, 190, 23),
)  # fmt: skip
"""BGR; the loss has at most six parts."""

NO_CURVES = ("epoch", "lr", "pictures_per_s", "seconds")
SCORES = ("mAP", "rank1", "average_mAP", "average_rank1")


def draw_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write a PNG: above the loss and its parts, below the scores in [0, 1] of the epochs that have them.

    Args:
        path: Where to.
        rows: One for each epoch, with its number under "epoch"; other names are curves.
    """
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in NO_CURVES]
    panels = [[name for name in names if name not in SCORES], [name for name in SCORES if name in names]]
    last = max(row["epoch"] for row in rows)
    cv2.imwrite(str(path), np.vstack([_panel(rows, panel, last) for panel in panels if panel]))


def _panel(rows: Sequence[Mapping[str, float]], names: Sequence[str], last: float) -> NDArray[np.uint8]:
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    highest = max(
        [row[name] for row in rows for name in names if np.isfinite(row.get(name, np.nan))], default=1.0
    )
    highest = highest or 1.0
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in range(6):
        y, x = round(bottom - tick / 5 * (bottom - TOP)), round(LEFT + tick / 5 * (right - LEFT))
        cv2.line(picture, (LEFT, y), (right, y), GREY)
        _write(picture, f"{highest * tick / 5:.3g}", (8, y + 4), BLACK)
        _write(picture, f"{last * tick / 5:g}", (x - 8, bottom + 20), BLACK)
    for place, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        values = [(row["epoch"], row[name]) for row in rows if np.isfinite(row.get(name, np.nan))]
        points = [
            (round(LEFT + epoch / last * (right - LEFT)), round(bottom - value / highest * (bottom - TOP)))
            for epoch, value in values
        ]
        cv2.polylines(picture, [np.array(points, np.int32).reshape(-1, 1, 2)], False, colour, 2, cv2.LINE_AA)
        for point in points[-1:]:
            cv2.circle(picture, point, 3, colour, -1, cv2.LINE_AA)
        label = f"{name} {values[-1][1]:.3f}" if values else name
        _write(picture, label, (right + 16, TOP + 12 + 22 * place), colour)
    return picture


def _write(
    picture: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
