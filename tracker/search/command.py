"""``reunite search PHOTO``: who of a gallery is on a photo."""

import argparse
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from foundation.arrays import Image
from foundation.command import EXIT_NOT_ALL_WELL, Command
from foundation.errors import ReuniteError
from foundation.figures import png_of
from foundation.files import write_whole
from tracker.build import build_detector, build_embedder, similarity_of
from tracker.config import DetectorConfig, RunConfig, load_config
from tracker.config.options import add_settings
from tracker.gallery import Gallery
from tracker.gallery.command import DEFAULT_PATH, gallery_path
from tracker.search.answer import Answer, find_matches
from tracker.search.photo import cut_out, embed_person, find_people, open_photo, whole_picture
from tracker.search.ranking import PRIOR_REMEMBERED, rank_people
from tracker.search.sheet import contact_sheet
from tracker.sinks.overlay import OverlayPainter
from tracker.types import Detections, Frame, Sightings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture with a person on it")
    parser.add_argument(
        "--gallery",
        type=Path,
        default=DEFAULT_PATH,
        metavar="PATH",
        help=f"a gallery's file, or the folder of a run (default: {DEFAULT_PATH} in the working folder)",
    )
    question = parser.add_argument_group("the question")
    which = question.add_mutually_exclusive_group()
    which.add_argument("--person", type=int, metavar="N", help="which of several people, by their numbers")
    which.add_argument(
        "--crop", action="store_true", help="the whole picture is one person; nobody is looked for on it"
    )
    question.add_argument(
        "--sure",
        type=read_probability,
        default=0.5,
        metavar="P",
        help="whoever is at least so probable is named, above 0 and up to 1 (default: 0.5)",
    )
    output = parser.add_argument_group("what is shown and written")
    output.add_argument(
        "--count", type=read_count, default=10, metavar="N", help="how many people are shown (default: 10)"
    )
    output.add_argument("--json", type=Path, metavar="FILE", help="write the answer as JSON too")
    output.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="where the contact sheet goes, a .png (default: a new one in runs/search)",
    )
    add_settings(parser, "detector.kind=onnx")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Answer; 0 where somebody is found, 1 where nobody is."""
    return EXIT_NOT_ALL_WELL if search(arguments, console).person is None else 0


def read_probability(text: str) -> float:
    """The number, above 0 and at most 1.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    with suppress(ValueError):
        if 0 < float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be above 0 and at most 1, for example 0.9")


def read_count(text: str) -> int:
    """The whole number, 1 or more.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    with suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, 1 or more")


def search(arguments: argparse.Namespace, console: Console) -> Answer:
    """Find the answer, print it and write it down.

    Raises:
        ReuniteError: The question cannot be answered, or the answer cannot be written.
    """
    path = gallery_path(arguments.gallery)
    config = load_config([*run_config(path), *arguments.config], arguments.overrides)
    sheet = sheet_path(arguments, config)
    photo = open_photo(arguments.photo)
    embedder = build_embedder(config.embedder)
    network = embedder.network
    if network is None:
        raise ReuniteError(
            f"embedder.kind={config.embedder.kind} does not tell people apart; take the embedder that the "
            "gallery was made with"
        )
    with Gallery(path, network) as gallery:
        known = gallery.appearances()
        people = {person.number: person for person in gallery.people()}
        known = known[np.isin(known.numbers, list(people))]  # without whom somebody forgot between the two
        if not len(known):
            raise ReuniteError(
                f"{gallery.path}: nobody is remembered in it; name a gallery that a run has filled"
            )
        if arguments.crop:
            person = whole_picture(photo)
        else:
            found = look_for_people(photo, arguments.photo, config.detector)
            person = choose_person(photo, found, arguments, sheet, console)
        crop = cut_out(photo, person)
        embeddings = embed_person(photo, person, embedder)
        suspects = rank_people(known, embeddings, similarity_of(config.identity.similarity, embedder))
        matches = find_matches(gallery, people, suspects, embeddings, arguments.count)
    answer = Answer(matches, suspects.nobody, arguments.sure)
    console.print(answer.sentence(), soft_wrap=True)
    console.print(answer.table())
    x, y = person.boxes[0, :2].round().astype(int).tolist()
    caption = ("the photo", arguments.photo.name, f"at {x}, {y}")
    note = f"{len(people)} people in {gallery.path}; named from {100 * arguments.sure:g}% on"
    _write(sheet, png_of(contact_sheet(answer, crop, caption, note)))
    if arguments.json:
        report = {
            "photo": str(arguments.photo),
            "box": person.boxes[0].tolist(),
            "gallery": str(gallery.path),
            "network": asdict(network),
            "prior_remembered": PRIOR_REMEMBERED,
            **answer.as_dict(),
        }
        _write(arguments.json, (json.dumps(report, indent=2) + "\n").encode())
    written = ", ".join(str(file) for file in (sheet, arguments.json) if file)
    console.print(f"wrote: {written}", soft_wrap=True)
    return answer


def run_config(gallery: Path) -> list[Path]:
    """The configuration of the run whose own gallery it is: people are found and compared as there."""
    beside = gallery.parent / "config.yaml"
    return [beside] if gallery.name == DEFAULT_PATH.name and beside.is_file() else []


def sheet_path(arguments: argparse.Namespace, config: RunConfig) -> Path:
    """Where the contact sheet goes; unless it was said where, to a name that is free.

    Raises:
        ReuniteError: It was said, and is no PNG.
    """
    given: Path | None = arguments.sheet
    if given is None:
        folder, stem, number = Path(config.output.folder) / "search", arguments.photo.stem, 1
        while (path := folder / f"{stem}{'' if number == 1 else number}.png").exists():
            number += 1
        return path
    if given.suffix.lower() != ".png":
        raise ReuniteError(f"--sheet {given}: must end in .png")
    return given


def look_for_people(photo: Frame, path: Path, config: DetectorConfig) -> Detections:
    """The people on the photo, from left to right; one or more.

    Raises:
        ReuniteError: There is nobody; the detector needs more than a photo, or cannot be had.
    """
    if config.kind in ("embedded", "file"):
        needs = "motion" if config.kind == "embedded" else "a video's file of detections"
        raise ReuniteError(
            f"detector.kind={config.kind} needs {needs}; for a photo take --set detector.kind=ultralytics or "
            "onnx, or cut the person out and take --crop"
        )
    try:
        detector = build_detector(config, {})
    except ReuniteError as error:
        reason = str(error).partition(" or take ")[0].rstrip(",;")  # a detector that a photo cannot have
        raise ReuniteError(f"{reason}, or cut the person out and take --crop") from None
    found = find_people(photo, detector, config.likely_score)
    if not len(found):
        raise ReuniteError(
            f"{path}: no person found; a photo that is already cropped: --crop takes the whole picture"
        )
    return found


def choose_person(
    photo: Frame, found: Detections, arguments: argparse.Namespace, sheet: Path, console: Console
) -> Detections:
    """The one who is asked for. Where that is not clear everybody is listed, and drawn beside the sheet.

    Raises:
        ReuniteError: There are several and nobody was chosen, or somebody who is not there.
    """
    wanted = arguments.person
    if wanted is None and len(found) == 1:
        return found
    if wanted is not None and 1 <= wanted <= len(found):
        return found[wanted - 1 : wanted]
    drawing = sheet.with_name(f"{sheet.stem}-people.png")
    numbers = np.arange(1, len(found) + 1)
    _write_png(drawing, OverlayPainter().paint(photo, Sightings(numbers, numbers, found.boxes, found.scores)))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in ("person", "left", "top", "right", "bottom", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    for number, box, score in zip(numbers.tolist(), found.boxes, found.scores.tolist(), strict=True):
        table.add_row(str(number), *(f"{edge:.0f}" for edge in box), f"{score:.2f}")
    console.print(table)
    many = "1 person is" if len(found) == 1 else f"{len(found)} people are"
    told = f"{arguments.photo}: {many} on it, with numbers in {drawing}; "
    if wanted is None:
        raise ReuniteError(f"{told}choose one: --person N")
    raise ReuniteError(f"{told}--person {wanted} is not one of them")


def _write_png(path: Path, image: Image) -> None:
    _, png = cv2.imencode(".png", image)
    _write(path, png.tobytes())


def _write(path: Path, content: bytes) -> None:
    if path.is_dir():
        raise ReuniteError(f"{path}: is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise ReuniteError(f"{path}: cannot be written: {error.strerror}; name another place") from None


COMMAND = Command(
    name="search",
    description="Say who of a gallery's people is on a photo, when and where they were seen, and how sure "
    "that is.",
    examples=(
        "photo.jpg --gallery people.sqlite",
        "photo.jpg --gallery runs/track     the people of one run",
        "group.jpg --person 2               the second of those who are on it",
        "crop.png --crop --sure 0.9         one person, cut out already",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="Before the comparison it is somebody of the gallery with "
    f"{PRIOR_REMEMBERED:.0%}%, and each of its people alike.\n"
    "Exit code: 0 if somebody is as sure as asked, 1 if nobody is.",
)
main = COMMAND.main
