"""``reunite embed WEIGHTS SOURCE --out FILE``: embeddings of people, for use elsewhere.

SOURCE is a folder of crops, or a video or a folder of pictures together with a MOTChallenge detection file.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from foundation.arrays import EmbeddingArray, Image
from foundation.command import Command
from foundation.errors import ReuniteError
from foundation.images import is_hidden, is_sequence, numbered_images, sequence_images, sequence_info
from foundation.mot_files import read_mot
from foundation.video import VideoFile
from reid.data import PICTURE_SUFFIXES, FolderImages, PictureError, Record
from reid.outputs import check_output
from reid.runtime import Embedder
from reid.zoo import add_network_options, open_asked

AT_ONCE = 256
"""Crops that are in memory together."""

OUT_SUFFIXES = (".npz", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help=".safetensors, .onnx, OpenVINO .xml or .torchscript; or the name of a network, as in: "
        "reunite judge --help",
    )
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="a folder of crops; with --detections a video or pictures"
    )
    files = parser.add_argument_group("files")
    files.add_argument("--out", type=Path, required=True, metavar="FILE", help=".npz or .parquet")
    files.add_argument(
        "--detections",
        type=Path,
        metavar="DET",
        help="a MOTChallenge file: frame, id, left, top, width, height, score, ...",
    )
    add_network_options(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Embed, write, and say what was left out."""
    skipped: list[str] = []
    check_output("--out", arguments.out, OUT_SUFFIXES)
    embedder = open_asked(arguments)
    try:
        if arguments.detections:
            crops = crops_of_detections(arguments.source, arguments.detections, skipped)
        else:
            crops = crops_of_folder(arguments.source, skipped)
        columns = embed_crops(embedder, crops)
        write_columns(arguments.out, columns)
    finally:  # they may be the reason for an error
        for line in skipped:
            print(f"left out: {line}", file=sys.stderr)
    rows, length = columns["embeddings"].shape
    console.print(
        f"{arguments.out}: {rows} embeddings of {length} numbers, {len(skipped)} crops left out",
        soft_wrap=True,
    )
    return 0


Crop = tuple[Image, dict[str, Any]]
"""A crop and what is known of it: one value for each column."""


def embed_crops(embedder: Embedder, crops: Iterator[Crop]) -> dict[str, NDArray[Any]]:
    """Embed crops as they come.

    Returns:
        ``embeddings`` (N, D), and (N, ...) for each thing that is known of the crops.

    Raises:
        ReuniteError: There is no crop.
    """
    parts: list[EmbeddingArray] = []
    known: list[dict[str, Any]] = []
    waiting: list[Image] = []
    for image, facts in crops:
        waiting.append(image)
        known.append(facts)
        if len(waiting) == AT_ONCE:
            parts.append(embedder.embed(waiting))
            waiting.clear()
    parts.append(embedder.embed(waiting))
    if not known:
        raise ReuniteError("nothing to embed: no crop could be read")
    columns = {name: np.array([facts[name] for facts in known]) for name in known[0]}
    return {"embeddings": np.concatenate(parts), **columns}


def crops_of_folder(folder: Path, skipped: list[str]) -> Iterator[Crop]:
    """All pictures below a folder, sorted by path; those that cannot be read are named in ``skipped``."""
    if not folder.is_dir():
        raise ReuniteError(f"{folder}: no such folder; a video needs --detections")
    images = FolderImages(folder)
    for path in _pictures_below(folder):
        name = path.relative_to(folder).as_posix()
        try:
            yield images.read(Record(name, 0, 0)), {"path": name}
        except PictureError as error:
            skipped.append(str(error))


def crops_of_detections(source: Path, detections: Path, skipped: list[str]) -> Iterator[Crop]:
    """What lies in the boxes of a MOTChallenge file, frame by frame; boxes are clipped to the picture.

    Boxes outside of the picture and frames that are not there or cannot be read are named in ``skipped``.

    Raises:
        ReuniteError: The file or the pictures cannot be read.
    """
    table = read_mot(detections)
    rows_of_frame: dict[int, list[int]] = {}
    for row, frame in enumerate(table.frames.tolist()):
        rows_of_frame.setdefault(frame, []).append(row)
    for frame, picture in _frames(source, skipped):
        for row in rows_of_frame.pop(frame, ()):
            if isinstance(picture, PictureError):
                skipped.append(f"{detections}, row {row + 1}: {picture}")
                continue
            left, top, width, height = table.boxes[row]
            x, y = max(0, round(left)), max(0, round(top))
            crop = picture[y : max(0, round(top + height)), x : max(0, round(left + width))]
            if crop.size:
                yield crop, {"frame": frame, "row": row + 1, "box": table.boxes[row]}
            else:
                skipped.append(f"{detections}, row {row + 1}: the box lies outside of the picture")
        if not rows_of_frame:
            return
    skipped.extend(
        f"{detections}, row {row + 1}: frame {frame} is not in {source}"
        for frame, rows in rows_of_frame.items()
        for row in rows
    )


def _frames(source: Path, skipped: list[str]) -> Iterator[tuple[int, Image | PictureError]]:
    """Frames of a video or folder, or why one cannot be read; read and numbered as the tracker does."""
    if source.is_dir():
        sequence = is_sequence(source)
        folder = sequence_images(source, sequence_info(source)) if sequence else source
        images = FolderImages(folder)
        for frame, path in numbered_images(folder, by_name=sequence):
            try:
                yield frame, images.read(Record(path.name, 0, 0))
            except PictureError as error:
                yield frame, error
        return
    video = VideoFile(str(source))
    try:
        for frame, _, image in video.pictures():
            yield frame, image
        if video.is_damaged or video.stopped_by:
            skipped.append(f"{source}: it is cut off or damaged, and not all of it could be read")
    finally:
        video.close()


def _pictures_below(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    return sorted(
        path for path in found if not any(map(is_hidden, (path, *path.relative_to(folder).parents)))
    )


def write_columns(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Write columns of N rows as .npz or .parquet, by the end of the name."""
    if path.suffix == ".npz":
        np.savez_compressed(path, **columns)  # type: ignore[arg-type]
        return
    import pyarrow
    import pyarrow.parquet

    arrays = {
        name: pyarrow.array(values)
        if values.ndim == 1
        else pyarrow.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
        for name, values in columns.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(arrays), path)


COMMAND = Command(
    name="embed",
    description="Write the embeddings of crops or detections.",
    examples=(
        "weights.safetensors crops/ --out crops.npz",
        "osnet.onnx MOT16-11.mp4 --preprocess imagenet --detections det.txt --out det.parquet",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="""\
An .npz holds embeddings (N, D) and, row by row, path (crops) or frame, row and box (detections; row counts
the rows of the file from 1, blank lines not counted; box is left, top, width, height as in it). A .parquet
holds the same as columns.""",
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.embed"))
