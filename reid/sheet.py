"""A picture sheet: queries and what was found for them, right in green, wrong in red."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from reid.data import Dataset
from reid.judging import Embedded
from reid.retrieval import Ints, People, RetrievalScores, rank_gallery, right_and_junk

SHEET_QUERIES, SHEET_MATCHES = 6, 10
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


def chosen_queries(scores: RetrievalScores, count: int = SHEET_QUERIES) -> tuple[Ints, Ints]:
    """The rows of the best and of the worst queries by average precision, each worst or best first."""
    judged = np.flatnonzero(scores.first_ranks)
    order = judged[np.argsort(-scores.average_precisions[judged], kind="stable")]
    worst = order[::-1][: min(count, len(order))]
    best = order[: min(count, len(order) - len(worst))]
    return best, worst


def make_sheet(
    dataset: Dataset,
    queries: Embedded,
    gallery: Embedded,
    scores: RetrievalScores,
    distances: EmbeddingArray,
) -> Image:
    """Draw the best and the worst queries with their first matches, junk left out.

    Args:
        dataset: Where the pictures are.
        queries: Q of them.
        gallery: G of them.
        scores: Of the Q queries.
        distances: (Q, G).
    """

    def draw(query: int) -> SheetRow:
        record = queries.records[query]
        people = People(*(column[query : query + 1] for column in queries.people))
        right, junk = (mask[0] for mask in right_and_junk(people, gallery.people))
        order = rank_gallery(distances[query : query + 1])[0]
        found = [
            Found(
                dataset.images.read(gallery.records[row]),
                bool(right[row]),
                f"{gallery.records[row].person} c{gallery.records[row].camera}\n{distances[query, row]:.2f}",
            )
            for row in order[~junk[order]][:SHEET_MATCHES]
        ]
        caption = f"{record.person} c{record.camera}\nAP {100 * scores.average_precisions[query]:.0f}"
        return SheetRow(dataset.images.read(record), caption, found)

    titles = ("best queries (person, camera, distance)", "worst queries")
    return draw_sheet(
        [
            (title, [draw(int(q)) for q in rows])
            for title, rows in zip(titles, chosen_queries(scores), strict=True)
        ]
    )


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


def write_picture(path: Path, image: Image) -> None:
    """Write a sheet as PNG.

    Raises:
        ReuniteError: OpenCV cannot.
    """
    done, data = cv2.imencode(".png", image)
    if not done:
        raise ReuniteError(f"{path}: OpenCV cannot write the sheet as PNG")
    path.write_bytes(data.tobytes())


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
