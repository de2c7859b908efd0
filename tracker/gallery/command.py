"""``reunite gallery``: the people that are remembered between runs."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from foundation.command import EXIT_NOT_ALL_WELL, Command
from foundation.errors import ReuniteError
from tracker.config.retention import seconds_of
from tracker.gallery.export import export_gallery, person_as_dict, pictures_of
from tracker.gallery.people import PersonSummary, PictureKey
from tracker.gallery.repair import check_gallery, repair_gallery
from tracker.gallery.store import Gallery, UnknownPersonError

DEFAULT_PATH = Path("gallery.sqlite")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    _add_everywhere(parser, DEFAULT_PATH, as_json=False)
    careful = argparse.ArgumentParser(add_help=False)
    careful.add_argument("--yes", action="store_true", help="do not ask")
    careful.add_argument("--dry-run", action="store_true", help="only say who would be forgotten")
    # Once more for each command, so that they may stand before it or after it; there, left out is not said.
    everywhere = argparse.ArgumentParser(add_help=False)
    _add_everywhere(everywhere, argparse.SUPPRESS, as_json=argparse.SUPPRESS)
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")

    def add(name: str, purpose: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        description = f"{purpose[0].upper()}{purpose[1:]}."
        return commands.add_parser(
            name, help=purpose, description=description, parents=[everywhere, *parents]
        )

    add("list", "everybody: when and where they were seen, and how often")
    add("show", "one person, with every camera and picture").add_argument("number", type=int, metavar="ID")
    merge = add("merge", "say that two people are one; A stands for both, and 'split' undoes it")
    merge.add_argument("kept", type=int, metavar="A")
    merge.add_argument("merged", type=int, metavar="B")
    split = add(
        "split", "take a person that was merged out again; of one that others were merged into, the last"
    )
    split.add_argument("number", type=int, metavar="ID")
    add("check", "say what is wrong with a gallery's file, without changing it")
    repair = add("repair", "write a new gallery with all that can be read of a damaged one")
    repair.add_argument(
        "--to", type=Path, metavar="PATH", help="the new file (default: the gallery's name with -repaired)"
    )
    repair.add_argument(
        "--like",
        type=Path,
        metavar="PATH",
        help="a gallery of the same network, for one that does not say any more which it was",
    )
    forget = add("forget", "leave nothing of a person in the file; cannot be undone", careful)
    forget.add_argument("number", type=int, metavar="ID")
    export = add("export", "write people.json, embeddings.npy and the thumbnails into a folder")
    export.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="must be empty or not exist (default: the gallery's name with -export)",
    )
    prune = add("prune", "forget everybody who was not seen for some time; cannot be undone", careful)
    prune.add_argument(
        "--older-than",
        type=read_duration,
        required=True,
        metavar="AGE",
        help="how long ago they were last seen: a number and s, m, h, d or w, for example 7d",
    )


def _add_everywhere(parser: argparse.ArgumentParser, gallery: Path | str, as_json: bool | str) -> None:
    """The options of every command, with these defaults."""
    parser.add_argument(
        "--gallery",
        type=Path,
        default=gallery,
        metavar="PATH",
        help=f"a gallery's file, or the folder of a run (default: {DEFAULT_PATH} in the working folder)",
    )
    parser.add_argument(
        "--json", action="store_true", default=as_json, help="print JSON instead of tables and sentences"
    )


def read_duration(text: str) -> float:
    """Seconds that ``7d``, ``12h`` and the like stand for.

    Raises:
        argparse.ArgumentTypeError: It stands for nothing.
    """
    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class Answer(NamedTuple):
    """What a command has to say: as JSON, and as the tables and sentences that people read."""

    report: dict[str, Any]
    lines: Sequence[str | Table]


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Do what was asked and say what was done; 1 if it was not confirmed."""
    if arguments.command in ("check", "repair"):
        return check_or_repair(gallery_path(arguments.gallery), arguments, console)
    with Gallery(gallery_path(arguments.gallery)) as gallery:
        if arguments.command in ("forget", "prune"):
            answer = forget(gallery, arguments, console)
        else:
            answer = look_or_mend(gallery, arguments)
    if answer is None:
        print("nobody was forgotten", file=sys.stderr)
        return EXIT_NOT_ALL_WELL
    if arguments.json:
        print(json.dumps(answer.report, indent=2))
        return 0
    for line in answer.lines:
        console.print(line, soft_wrap=isinstance(line, str))
    return 0


def check_or_repair(path: Path, arguments: argparse.Namespace, console: Console) -> int:
    """Say what is wrong with a file, and write what can be saved of it; 1 if anything is wrong."""
    target: Path | None = None
    if arguments.command == "check":
        findings = check_gallery(path)
    else:
        target = arguments.to or path.with_name(f"{path.stem}-repaired{path.suffix}")
        like = None
        if arguments.like:
            with Gallery(gallery_path(arguments.like)) as other:
                like = other.network
        findings = repair_gallery(path, target, like)
    if arguments.json:
        written = {"written": str(target)} if target else {}
        print(json.dumps({**asdict(findings), **written}, indent=2))
    else:
        for problem in findings.problems:
            console.print(f"problem: {problem}", soft_wrap=True)
        console.print(f"{'saved: ' if target else ''}{findings.summary()}", soft_wrap=True)
        if target:
            console.print(f"written to {target}; {path} is as it was", soft_wrap=True)
        elif findings.problems:
            console.print("'repair' writes a new gallery with all that can be read", soft_wrap=True)
    return EXIT_NOT_ALL_WELL if findings.problems else 0


def gallery_path(path: Path) -> Path:
    """The gallery's file that a user means, who may name the folder of a run.

    Raises:
        ReuniteError: It is a folder without one.
    """
    if not path.is_dir():
        return path
    if not (path / DEFAULT_PATH).exists():
        raise ReuniteError(
            f"{path}: no {DEFAULT_PATH} in this folder; where its run was given gallery.path, name that file"
        )
    return path / DEFAULT_PATH


def look_or_mend(gallery: Gallery, arguments: argparse.Namespace) -> Answer:
    """What needs no confirmation: nothing of it is lost."""
    match arguments.command:
        case "list":
            people = gallery.people()
            report = {"network": asdict(gallery.network), "people": [person_as_dict(it) for it in people]}
            return Answer(
                report, [people_table(people), f"people: {len(people)}; network: {gallery.network}"]
            )
        case "show":
            person = find_person(gallery, arguments.number)
            pictures = [(key, bool(jpeg)) for key, _, jpeg in pictures_of(gallery, person)]
            rows = [{**key._asdict(), "has_thumbnail": has} for key, has in pictures]
            report = {**person_as_dict(person), "pictures": rows}
            return Answer(report, [people_table([person]), cameras_table(person), pictures_table(pictures)])
        case "merge":
            kept, merged = gallery.survivor(arguments.kept), gallery.survivor(arguments.merged)
            if kept == merged:
                raise ReuniteError(f"{arguments.kept} and {arguments.merged} are one person already")
            gallery.merge(kept, merged)
            done = f"{merged} is person {kept} now; 'split {merged}' undoes it"
            return Answer({"kept": kept, "merged": merged}, [done])
        case "split":
            undone = gallery.split(arguments.number)
            return Answer(asdict(undone), [f"{undone.kept} and {undone.merged} are two people again"])
        case _:
            folder = arguments.folder or gallery.path.with_name(f"{gallery.path.stem}-export")
            report = export_gallery(gallery, folder)
            return Answer(report, [f"people: {len(report['people'])}; written to {folder}"])


def forget(gallery: Gallery, arguments: argparse.Namespace, console: Console) -> Answer | None:
    """Forget one person, or all who were not seen for long; None if the user does not want it after all."""
    if arguments.command == "forget":
        people = [find_person(gallery, arguments.number)]
        carry_out = partial(forget_one, gallery, people[0].number, arguments.gallery)
    else:
        before = time.time() - arguments.older_than
        people = [person for person in gallery.people() if person.seen.last_seen < before]
        carry_out = partial(gallery.prune, before)  # whoever comes back while the user thinks stays
    numbers = sorted(number for person in people for number in (person.number, *person.also))
    listed = ", ".join(map(str, numbers)) or "none"
    if arguments.dry_run:
        return Answer({"would_forget": numbers}, [people_table(people), f"would forget: {listed}"])
    if not people:
        return Answer({"forgotten": []}, ["forgot: none"])
    if not arguments.yes:
        if not arguments.json:
            console.print(people_table(people))
        if not confirmed(f"forget {listed} for good?"):
            return None
    gone = carry_out()
    return Answer({"forgotten": gone}, [f"forgot: {', '.join(map(str, gone))}"])


def forget_one(gallery: Gallery, number: int, path: Path) -> list[int]:
    """Forget a person in a gallery or, where its run is named by its folder, in all of the run's files."""
    if not path.is_dir():
        return gallery.forget(number)
    from tracker.recording.forget import forget_in_run

    forgotten = forget_in_run(path, number)
    if forgotten.is_going_on:
        print("the run is going on: it forgets them with its next checkpoint", file=sys.stderr)
    if forgotten.still_shown:
        shown = ", ".join(str(it) for it in forgotten.still_shown)
        print(f"videos show whoever walked through them; delete them if need be: {shown}", file=sys.stderr)
    return forgotten.numbers


def find_person(gallery: Gallery, number: int) -> PersonSummary:
    """The person that a number stands for, whether it was merged or not.

    Raises:
        UnknownPersonError: Nobody is remembered under it.
    """
    for person in gallery.people():
        if number == person.number or number in person.also:
            return person
    raise UnknownPersonError(f"{gallery.path}: nobody is remembered as person {number}")


def confirmed(question: str) -> bool:
    """Whether the user says yes.

    Raises:
        ReuniteError: Nobody is there to be asked.
    """
    if not sys.stdin.isatty():
        raise ReuniteError(f"{question} There is no terminal to ask at: add --yes, or --dry-run to see who")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def people_table(people: Sequence[PersonSummary]) -> Table:
    """A row for each person."""
    table = _table("person", "also", "first seen", "last seen", "sightings", "pictures", "cameras")
    for person in people:
        also, cameras = ", ".join(map(str, person.also)), ", ".join(person.presence)
        pictures = f"{person.pictures} ({person.thumbnails})" if person.thumbnails else str(person.pictures)
        seen = person.seen
        times = _local(seen.first_seen), _local(seen.last_seen)
        table.add_row(str(person.number), also, *times, str(seen.sightings), pictures, cameras)
    return table


def cameras_table(person: PersonSummary) -> Table:
    """A row for each camera that saw a person."""
    table = _table("camera", "first seen", "last seen", "sightings")
    for camera, seen in person.presence.items():
        times = _local(seen.first_seen), _local(seen.last_seen)
        table.add_row(camera, *times, str(seen.sightings))
    return table


def pictures_table(pictures: Sequence[tuple[PictureKey, bool]]) -> Table:
    """A row for each picture, and whether it has a thumbnail."""
    table = _table("picture", "saved as", "time", "thumbnail", "camera")
    for count, (key, has_thumbnail) in enumerate(pictures, start=1):
        what = "yes" if has_thumbnail else "no"
        table.add_row(str(count), str(key.number), _local(key.time), what, key.camera)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        numbers = column in ("person", "sightings", "pictures", "picture", "saved as")
        table.add_column(
            column, justify="right" if numbers else "left", no_wrap=column not in ("also", "cameras")
        )
    return table


def _local(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s).strftime("%Y-%m-%d %H:%M:%S")


COMMAND = Command(
    name="gallery",
    description="Look at the people that are remembered between runs, and put them in order.",
    examples=(
        "list",
        "show 12 --json",
        "merge 12 31             31 was person 12 all along",
        "split 31                no, it was not",
        "forget 12",
        "prune --older-than 7d --dry-run",
        "export my-export --gallery shop.sqlite",
        "check",
        "repair --to whole.sqlite",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main
