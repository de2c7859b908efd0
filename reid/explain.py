"""``reunite explain A B``: which parts of two pictures make a network say that they show one person."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from foundation.arrays import EmbeddingArray, Image
from foundation.command import Command
from foundation.errors import ReuniteError
from reid.data import FolderImages, PictureError, Record
from reid.outputs import check_output
from reid.runtime import Embedder
from reid.sheet import write_picture
from reid.weights import DEFAULT_WEIGHTS
from reid.zoo import add_network_options, open_asked

STRONGEST = 5
"""Dimensions that are shown, as in the paper."""

COVER_HEIGHT, COVER_WIDTH = 0.15, 0.35
"""Of the picture, what is covered at a time: of a person about a shoulder, a bag, or a shin."""

STEPS_DOWN, STEPS_ACROSS = 20, 8
"""Places of the cover."""

TILE_HEIGHT, TILE_WIDTH, GAP, LINE = 192, 80, 6, 18
INK = (60, 60, 60)
SHOWN_SHARE = 0.6
"""How much of a tile is heat where it is strongest; the rest is the picture."""

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why two pictures are alike to a network.

    Attributes:
        similarity: Cosine of their embeddings, which is the sum of the contributions of all dimensions.
        dimensions: The strongest ones, the strongest first.
        contributions: (N,) what each adds to the similarity.
        maps: For both pictures (N, `STEPS_DOWN`, `STEPS_ACROSS`) how much of what a dimension adds is lost
            when this place is covered; 0 where nothing is lost.
    """

    similarity: float
    dimensions: NDArray[np.int64]
    contributions: Map
    maps: tuple[Map, Map]


def explain(embedder: Embedder, first: Image, second: Image, count: int = STRONGEST) -> Explanation:
    """Cover one place of a picture after another and see what is lost of the strongest dimensions.

    It asks nothing of a network but embeddings, so ours are explained as any other.

    Args:
        embedder: The network.
        first: (H, W, 3) BGR of any size.
        second: Another one.
        count: How many dimensions.

    Source: the five strongest dimensions of the similarity, "Re-ID done right" (Almazan et al. 2018,
    arXiv:1801.05339), section 5.4; covering, Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2.
    """
    ours, theirs = embedder.embed([first, second])
    products = ours * theirs
    dimensions = np.argsort(-products, kind="stable")[:count]
    maps = tuple(
        _lost(embedder, image, own[dimensions], other[dimensions], dimensions)
        for image, own, other in ((first, ours, theirs), (second, theirs, ours))
    )
    return Explanation(float(products.sum()), dimensions, products[dimensions], (maps[0], maps[1]))


def covers(height: int, width: int) -> list[tuple[slice, slice]]:
    """Rows and columns of each place of the cover, line by line; it may hang over the edge."""
    tall, wide = max(1, round(COVER_HEIGHT * height)), max(1, round(COVER_WIDTH * width))
    centres = [
        [(number + 0.5) / steps * side for number in range(steps)]
        for steps, side in ((STEPS_DOWN, height), (STEPS_ACROSS, width))
    ]
    return [
        (
            slice(max(0, round(down - tall / 2)), max(1, round(down + tall / 2))),
            slice(max(0, round(right - wide / 2)), max(1, round(right + wide / 2))),
        )
        for down in centres[0]
        for right in centres[1]
    ]


def _lost(
    embedder: Embedder,
    image: Image,
    own: EmbeddingArray,
    other: EmbeddingArray,
    dimensions: NDArray[np.int64],
) -> Map:
    """(N, rows, columns) of what the dimensions add, lost when a place has the mean colour of the picture."""
    mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    covered = []
    for rows, columns in covers(*image.shape[:2]):
        covered.append(image.copy())
        covered[-1][rows, columns] = mean
    found = embedder.embed(covered)[:, dimensions]
    lost = np.maximum((own - found) * other, 0)
    return np.asarray(lost.T.reshape(len(dimensions), STEPS_DOWN, STEPS_ACROSS), np.float32)


def draw(explanation: Explanation, first: Image, second: Image) -> Image:
    """A sheet (H, W, 3) BGR: a row for each picture, with the heat of all dimensions together and of each."""
    captions = ["", "together"] + [
        f"{dimension}: {share:+.3f}"
        for dimension, share in zip(explanation.dimensions, explanation.contributions, strict=True)
    ]
    rows = []
    for image, maps in zip((first, second), explanation.maps, strict=True):
        size = (TILE_WIDTH, TILE_HEIGHT)
        picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        tiles = [picture, *(_heat(picture, heat) for heat in (maps.sum(axis=0), *maps))]
        strip = np.full((TILE_HEIGHT + LINE, len(tiles) * (TILE_WIDTH + GAP) + GAP, 3), 255, np.uint8)
        for place, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
            left = GAP + place * (TILE_WIDTH + GAP)
            strip[:TILE_HEIGHT, left : left + TILE_WIDTH] = tile
            below = (left, TILE_HEIGHT + LINE - 5)
            cv2.putText(strip, caption, below, cv2.FONT_HERSHEY_SIMPLEX, 0.36, INK, 1, cv2.LINE_AA)
        rows.append(strip)
    return np.concatenate(rows)


def _heat(picture: Image, heat: Map) -> Image:
    largest = heat.max()
    even = cv2.resize(heat / largest if largest > 0 else heat, (TILE_WIDTH, TILE_HEIGHT))
    share = SHOWN_SHARE * np.clip(even, 0, 1)[:, :, None]
    warm = cv2.applyColorMap((255 * np.clip(even, 0, 1)).astype(np.uint8), cv2.COLORMAP_HOT)
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[:, :, None], 3, axis=2)
    return np.asarray(grey * (1 - share) + warm * share, np.uint8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument("pictures", nargs=2, type=Path, metavar="PICTURE", help="crops of one person each")
    parser.add_argument(
        "--weights",
        default=str(DEFAULT_WEIGHTS),
        metavar="WEIGHTS",
        help="the network, as in: reunite judge --help (default: the one that ships)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("explanation.png"),
        metavar="PNG",
        help="the sheet (default: explanation.png)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also the numbers and maps")
    add_network_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Explain, draw, and say the similarity."""
    out: Path = arguments.out
    check_output("--out", out, (".png",))
    if arguments.json:
        check_output("--json", arguments.json)
    first, second = (_read(path) for path in arguments.pictures)
    embedder = open_asked(arguments)
    explanation = explain(embedder, first, second)
    write_picture(out, draw(explanation, first, second))
    if arguments.json:
        arguments.json.write_text(json.dumps(to_json(explanation)) + "\n", encoding="utf-8")
    share = float(explanation.contributions.sum())
    console.print(
        f"{out}: cosine {explanation.similarity:.3f}, of which {share:.3f} by "
        f"{len(explanation.dimensions)} of {embedder.embedding_length} dimensions",
        soft_wrap=True,
    )
    return 0


def to_json(explanation: Explanation) -> dict[str, Any]:
    """Everything, as JSON values."""
    return {
        "similarity": explanation.similarity,
        "dimensions": explanation.dimensions.tolist(),
        "contributions": explanation.contributions.tolist(),
        "maps": [maps.tolist() for maps in explanation.maps],
    }


def _read(path: Path) -> Image:
    try:
        return FolderImages(path.parent).read(Record(path.name, 0, 0))
    except PictureError as error:
        raise ReuniteError(str(error)) from None


COMMAND = Command(
    name="explain",
    description="Draw which parts of two pictures the five strongest dimensions of their similarity look at: "
    "what is lost of them when a part is covered.",
    examples=("anna-door.jpg anna-hall.jpg", "a.jpg b.jpg --weights weights.safetensors --out why.png"),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.explain"))
