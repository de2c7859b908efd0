"""Curves as figures: loss and scores over the epochs of a training, scores over the cost of stages."""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.figures import drawing, write_figure
from reid.budget import Point, Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH_INCH, PANEL_INCH = 11.0, 3.4
NO_CURVES = ("epoch", "lr", "pictures_per_s", "seconds")
SCORES = ("mAP", "rank1", "average_mAP", "average_rank1")


def write_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> list[Path]:
    """Write the figure of `draw_curves` as PNG, to ``path``, and SVG; the files."""
    return write_figure(draw_curves(rows), path)


def draw_curves(rows: Sequence[Mapping[str, float]]) -> "Figure":
    """Above the loss and its parts, below the scores in [0, 1] of the epochs that have them.

    Args:
        rows: One for each epoch, with its number under "epoch"; other names are curves.
    """
    from matplotlib.ticker import MaxNLocator

    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in NO_CURVES]
    losses, scores = [it for it in names if it not in SCORES], [it for it in SCORES if it in names]
    panels = {label: panel for label, panel in (("loss", losses), ("score", scores)) if panel}
    with drawing(WIDTH_INCH, PANEL_INCH * len(panels)) as figure:
        plots = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, panel) in zip(plots, panels.items(), strict=True):
            for name in panel:
                points = [(row["epoch"], row[name]) for row in rows if isfinite(row.get(name, float("nan")))]
                epochs, values = zip(*points, strict=True) if points else ((), ())
                last = f"  {values[-1]:.3f}" if values else ""
                axes.plot(epochs, values, marker=".", label=f"{name}{last}")
            axes.set_ylabel(label)
            if axes.dataLim.y0 >= 0:
                axes.set_ylim(bottom=0)
            axes.grid(visible=True)
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1), title="at the end", alignment="left")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def write_stage_curves(path: Path, title: str, curves: Mapping[Rule, Sequence[Point]]) -> None:
    """Rank-1 and mAP over multiply-adds as PNG and SVG, and the numbers as JSON beside them."""
    write_figure(draw_stage_curves(title, curves), path)
    numbers: dict[str, Any] = {
        name: [dict(zip(("multiply_adds", "rank1", "mAP"), point, strict=True)) for point in points]
        for name, points in curves.items()
    }
    path.with_suffix(".json").write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def draw_stage_curves(title: str, curves: Mapping[Rule, Sequence[Point]]) -> "Figure":
    """On the left rank-1, on the right mAP, in percent; a line for each rule."""
    with drawing(11.0, 4.0) as figure:
        figure.suptitle(title)
        for axes, (place, label) in zip(
            figure.subplots(1, 2), ((1, "rank-1, percent"), (2, "mAP, percent")), strict=True
        ):
            for name, points in curves.items():
                ordered = sorted(points)
                costs = [point.multiply_adds / 1e6 for point in ordered]
                axes.plot(costs, [100 * point[place] for point in ordered], marker=".", label=name)
            axes.set_xlabel("million multiply-adds a picture, mean")
            axes.set_ylabel(label)
            axes.grid(visible=True)
            axes.legend()
    return figure
