"""Where the time goes, as bars: one group for each scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.figures import PALETTE, color, drawing, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Mapping[str, Mapping[str, Any]]
"""Of each contender the row that ``benchmarks.pipeline`` reports."""

WIDTH_INCH, BAR_INCH = 11.0, 0.24
PEER, OURS, STAGE, WAITED = PALETTE[7], PALETTE[0], PALETTE[4], PALETTE[3]


def write_picture(path: Path, scenes: Mapping[str, Rows]) -> list[Path]:
    """Write the figure of `draw_bars` as PNG, to ``path``, and SVG; the files."""
    return write_figure(draw_bars(scenes), path)


def draw_bars(scenes: Mapping[str, Rows]) -> "Figure":
    """Milliseconds a frame of each contender, and of the stages of a run, in one plot for each scene."""
    bars = {name: _bars_of(rows) for name, rows in scenes.items()}
    heights = [len(own) for own in bars.values()]
    with drawing(WIDTH_INCH, BAR_INCH * sum(heights) + 0.7 * len(bars)) as figure:
        plots = figure.subplots(len(bars), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, own) in zip(plots, bars.items(), strict=True):
            axes.set_title(name)
            _draw_scene(axes, own)
        axes.set_xlabel("milliseconds a frame; the stages of a run overlap")
    return figure


def _bars_of(rows: Rows) -> list[tuple[str, float, tuple[int, int, int]]]:
    """Label, milliseconds and colour of each bar: contenders, then the stages of the first that is a run."""
    bars = [
        (contender, 1000 / row["frames_per_s"], OURS if "stage_ms" in row else PEER)
        for contender, row in rows.items()
        if "failure" not in row
    ]
    run = next((contender for contender, row in rows.items() if "stage_ms" in row), "")
    if run:
        bars += [(f"{run}: {it}, at work", took, STAGE) for it, took in rows[run]["stage_ms"].items()]
        bars += [(f"{run}: waited for {it}", took, WAITED) for it, took in rows[run]["waited_ms"].items()]
    return bars


def _draw_scene(axes: "Axes", bars: list[tuple[str, float, tuple[int, int, int]]]) -> None:
    labels, took_ms, colors = zip(*bars, strict=True)
    # The stages stand apart from the contenders, which alone can be compared.
    places = [place + 0.5 * (rgb in (STAGE, WAITED)) for place, rgb in enumerate(colors)]
    drawn = axes.barh(places, took_ms, 0.68, color=[color(rgb) for rgb in colors])
    axes.bar_label(drawn, [f"{took:.1f}" if took >= 0.05 else "< 0.1" for took in took_ms], padding=4)
    axes.set_yticks(places, labels)
    axes.set_ylim(places[-1] + 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
