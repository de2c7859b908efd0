"""The contact sheet: the photo's person, and beside it the people it may be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from foundation.arrays import Image
from foundation.figures import FAINT, GRID, PALETTE, color, drawing, short_name
from tracker.search.answer import Answer, local_time

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILES_ACROSS = 6
TILE_INCH = (1.6, 3.4)
LONGEST_LINE = 24
SURE = color(PALETTE[2])
"""Green; the caption says it too."""
NO_THUMBNAIL = "no picture was\nkept; runs with\ngallery.thumbnails\n=true keep them"


class Tile(NamedTuple):
    """One picture with what stands below it.

    Attributes:
        image: (H, W, 3) BGR; None: there is none.
        caption: Some lines.
        is_sure: Whether it is framed as the answer.
    """

    image: Image | None
    caption: Sequence[str]
    is_sure: bool


def contact_sheet(answer: Answer, photo: Image, caption: Sequence[str], note: str) -> "Figure":
    """The sheet of an answer; ``photo`` (H, W, 3) BGR is the person on it, ``note`` a second line."""
    tiles = [Tile(photo, caption, is_sure=False)]
    for match in answer.matches:
        is_sure = match.probability >= answer.sure
        number, percent = match.person.number, f"{match.probability:.1%}{'' if is_sure else ' ?'}"
        lines = (f"person {number}: {percent}", match.nearest.camera, local_time(match.nearest.time))
        tiles.append(Tile(match.thumbnail, lines, is_sure))
    rows = -(-len(tiles) // TILES_ACROSS)
    with drawing(TILES_ACROSS * TILE_INCH[0], rows * TILE_INCH[1] + 0.7) as figure:
        figure.suptitle(f"{answer.sentence()}\n{note}", x=0.01, ha="left", fontsize=9, wrap=True)
        places = figure.subplots(rows, TILES_ACROSS, squeeze=False).ravel()
        for axes, tile in zip(places, tiles, strict=False):
            _draw_tile(axes, tile)
        for axes in places[len(tiles) :]:
            axes.set_axis_off()
    return figure


def _draw_tile(axes: "Axes", tile: Tile) -> None:
    axes.set(xticks=[], yticks=[], facecolor=GRID)
    axes.spines[:].set(visible=True, color=SURE if tile.is_sure else GRID, linewidth=4)
    axes.set_box_aspect(1.7)
    axes.set_anchor("N")  # what is free in height belongs to the caption
    if tile.image is None:
        axes.text(0.5, 0.5, NO_THUMBNAIL, transform=axes.transAxes, ha="center", va="center", color=FAINT)
    else:
        axes.imshow(np.ascontiguousarray(tile.image[..., ::-1]))
        axes.set_adjustable("datalim")
    lines = "\n".join(short_name(line, LONGEST_LINE) for line in tile.caption)
    axes.set_xlabel(lines, loc="left", labelpad=6)
