"""A picture sheet: queries and what was found for them, right in green, wrong in red."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from foundation.arrays import Image

TILE_HEIGHT, TILE_WIDTH = 160, 72
BORDER, GAP, LINE = 4, 6, 14
WHITE, GREY, GREEN, RED = (255, 255, 255), (96, 96, 96), (64, 160, 0), (48, 32, 208)
"""BGR. A tick and a cross say the same, for whoever cannot tell green from red."""


class Found(NamedTuple):
    """One picture of the ranking; the caption has up to two lines."""

    image: Image
    right: bool
    caption: str


class SheetRow(NamedTuple):
    """One query and its first matches, near to far."""

    image: Image
    caption: str
    found: Sequence[Found]


def draw_sheet(parts: Sequence[tuple[str, Sequence[SheetRow]]]) -> Image:
    """Draw all rows below each other: (H, W, 3) BGR.

    Args:
        parts: Title and rows of each part, such as the best and the worst queries.
    """
    columns = 1 + max((len(row.found) for _, rows in parts for row in rows), default=0)
    width = max(columns * (TILE_WIDTH + GAP) + 3 * GAP, 480)
    strips = []
    for title, rows in parts:
        strips.append(_strip(width, 2 * LINE + GAP))
        _write(strips[-1], title, (GAP, LINE + GAP), GREY, size=0.55)
        strips.extend(_draw_row(row, width) for row in rows)
    return np.concatenate(strips) if strips else _strip(width, LINE)


def _draw_row(row: SheetRow, width: int) -> Image:
    strip = _strip(width, TILE_HEIGHT + 2 * LINE + GAP)
    _paste(strip, GAP, row.image, row.caption, GREY)
    for place, found in enumerate(row.found, start=1):
        # A wider gap parts the query from what was found.
        left = 2 * GAP + place * (TILE_WIDTH + GAP)
        colour = GREEN if found.right else RED
        _paste(strip, left, found.image, found.caption, colour)
        _mark(strip, (left + TILE_WIDTH - 16, 16), found.right, colour)
    return strip


def _paste(strip: Image, left: int, image: Image, caption: str, colour: tuple[int, int, int]) -> None:
    inside = (TILE_WIDTH - 2 * BORDER, TILE_HEIGHT - 2 * BORDER)
    strip[:TILE_HEIGHT, left : left + TILE_WIDTH] = colour
    strip[BORDER : TILE_HEIGHT - BORDER, left + BORDER : left + TILE_WIDTH - BORDER] = cv2.resize(
        image, inside
    )
    for number, line in enumerate(caption.splitlines(), start=1):
        _write(strip, line, (left, TILE_HEIGHT + number * LINE), colour)


def _mark(strip: Image, centre: tuple[int, int], right: bool, colour: tuple[int, int, int]) -> None:
    x, y = centre
    cv2.circle(strip, centre, 8, WHITE, -1, cv2.LINE_AA)
    lines = (
        [[(x - 4, y), (x - 1, y + 4), (x + 5, y - 4)]]
        if right
        else [[(x - 4, y - 4), (x + 4, y + 4)], [(x - 4, y + 4), (x + 4, y - 4)]]
    )
    for line in lines:
        cv2.polylines(strip, [np.array(line, np.int32)], False, colour, 2, cv2.LINE_AA)


def _write(
    strip: Image, text: str, place: tuple[int, int], colour: tuple[int, int, int], size: float = 0.36
) -> None:
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)


def _strip(width: int, height: int) -> Image:
    return np.full((height, width, 3), 255, np.uint8)
