"""The contact sheet: the photo's person, and beside it the people it may be."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracker.letterbox import letterbox
from tracker.reports.timeline import COLORS, FAINT, GRID, INK, WHITE, text_width, write_text
from tracker.search.answer import Answer, local_time
from tracker.types import Image

TILES_ACROSS = 6
TILE_WIDTH, TILE_HEIGHT, MARGIN = 156, 264, 20
HEADER_HEIGHT, LINE_HEIGHT, CAPTION_LINES = 64, 19, 3
FRAME_WIDTH = 5
TEXT_SIZE = 0.42
SURE = COLORS[2]
"""Green; the caption says it too."""
NO_THUMBNAIL = ("no picture was", "kept; runs with", "gallery.thumbnails", "=true keep them")


class Tile(NamedTuple):
    """One picture with what stands below it.

    Attributes:
        image: (H, W, 3) BGR; None: there is none.
        caption: Up to `CAPTION_LINES` lines.
        is_sure: Whether it is framed as the answer.
    """

    image: Image | None
    caption: Sequence[str]
    is_sure: bool


def contact_sheet(answer: Answer, photo: Image, caption: Sequence[str], note: str) -> Image:
    """The sheet of an answer; ``photo`` (H, W, 3) BGR is the person on it, ``note`` a second line."""
    tiles = [Tile(photo, caption, is_sure=False)]
    for match in answer.matches:
        is_sure = match.probability >= answer.sure
        number, percent = match.person.number, f"{match.probability:.1%}{'' if is_sure else ' ?'}"
        lines = (f"person {number}: {percent}", match.nearest.camera, local_time(match.nearest.time))
        tiles.append(Tile(match.thumbnail, lines, is_sure))
    return draw_tiles(answer.sentence(), note, tiles)


def draw_tiles(title: str, note: str, tiles: Sequence[Tile]) -> Image:
    """A sheet (H, W, 3) BGR: title and note, then the tiles in rows.

    The letters are OpenCV's: others than ASCII appear as a question mark, and what is too long is cut.
    """
    width = 2 * MARGIN + TILES_ACROSS * (TILE_WIDTH + MARGIN)
    header = np.full((HEADER_HEIGHT, width, 3), WHITE, np.uint8)
    _write(header, title, MARGIN, 24, 0.62, INK, width - 2 * MARGIN)
    _write(header, note, MARGIN, 49, 0.45, FAINT, width - 2 * MARGIN)
    strips = [header]
    for start in range(0, len(tiles), TILES_ACROSS):
        height = TILE_HEIGHT + CAPTION_LINES * LINE_HEIGHT + MARGIN
        strips.append(np.full((height, width, 3), WHITE, np.uint8))
        for column, tile in enumerate(tiles[start : start + TILES_ACROSS]):
            _draw_tile(strips[-1], MARGIN + column * (TILE_WIDTH + MARGIN), tile)
    return np.vstack(strips)


def _draw_tile(strip: Image, left: int, tile: Tile) -> None:
    room = strip[:TILE_HEIGHT, left : left + TILE_WIDTH]
    room[:] = SURE if tile.is_sure else GRID
    inside = room[FRAME_WIDTH:-FRAME_WIDTH, FRAME_WIDTH:-FRAME_WIDTH]
    inside[:] = GRID
    if tile.image is None:
        for line, text in enumerate(NO_THUMBNAIL):
            y = TILE_HEIGHT // 2 + (line - 2) * LINE_HEIGHT
            _write(room, text, 2 * FRAME_WIDTH, y, TEXT_SIZE, FAINT, TILE_WIDTH - 4 * FRAME_WIDTH)
    else:
        inside[:] = letterbox(tile.image, (inside.shape[1], inside.shape[0]), GRID).picture
    for line, text in enumerate(tile.caption[:CAPTION_LINES]):
        y = TILE_HEIGHT + 12 + line * LINE_HEIGHT
        _write(strip, text, left, y, TEXT_SIZE, FAINT if line else INK, TILE_WIDTH)


def _write(
    picture: Image, text: str, x: int, y: int, size: float, color: tuple[int, ...], max_width: int
) -> None:
    text = text.encode("ascii", "replace").decode()
    if text_width(text, size) > max_width:
        while text and text_width(f"{text}...", size) > max_width:
            text = text[:-1]
        text += "..."
    write_text(picture, text, x, y, size, color)
