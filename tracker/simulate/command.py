"""``reunite simulate OUT``: a world of cameras and people with known identities."""

import argparse
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from foundation.command import Command
from foundation.errors import ReuniteError
from tracker.simulate.config import SimulationConfig
from tracker.simulate.simulation import simulate

_OPTIONS = {"frame_rate": "--fps", "width": "--size", "height": "--size", "crops_every_s": "--crops"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    default = SimulationConfig()
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder to write to; must be empty or not exist"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier simulation in OUT")
    world = parser.add_argument_group("the world")
    world.add_argument(
        "--cameras", type=int, default=default.cameras, metavar="N", help="how many (default: %(default)s)"
    )
    world.add_argument(
        "--people",
        type=int,
        default=default.people,
        metavar="N",
        help="how many in the whole world (default: %(default)s)",
    )
    world.add_argument(
        "--seconds", type=float, default=default.seconds, metavar="S", help="how long (default: %(default)g)"
    )
    world.add_argument(
        "--layout",
        default=default.layout,
        help="'separate': one room for each camera and unseen corridors between (default); "
        "'overlapping': one room that all cameras look into",
    )
    world.add_argument(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help="another number, another world (default: %(default)s)",
    )
    pictures = parser.add_argument_group("the pictures")
    pictures.add_argument(
        "--fps",
        type=float,
        default=default.frame_rate,
        metavar="F",
        help="frames per second (default: %(default)g)",
    )
    pictures.add_argument(
        "--size",
        default=f"{default.width}x{default.height}",
        metavar="WxH",
        help="width and height in pixels (default: %(default)s)",
    )
    pictures.add_argument(
        "--no-video", action="store_true", help="text files only, about a hundred times faster"
    )
    pictures.add_argument(
        "--crops",
        type=float,
        default=default.crops_every_s,
        metavar="S",
        help="also write a crop of everybody every S seconds to people/, with joints and attributes, to "
        "train an embedding network with: --data market1501=OUT/people",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Simulate, and say what was written."""
    config = _config(arguments)
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
    )
    out = arguments.out
    try:
        with Progress(
            *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
        ) as progress:
            task = progress.add_task("simulating", total=config.frames)
            simulate(out, config, arguments.force, lambda done: progress.update(task, completed=done))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; nothing was left in {out}") from None
    drawn = {"videos": config.video, "crops": config.crops_every_s > 0}
    files = [name for name, is_wanted in drawn.items() if is_wanted]
    written = ", ".join([*files, "ground truth", "detections", "calibration.json"])
    console.print(
        f"{out}: {config.cameras} camera(s), {config.frames} frames each: {written}", soft_wrap=True
    )
    return 0


def _config(arguments: argparse.Namespace) -> SimulationConfig:
    width, cross, height = arguments.size.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ReuniteError(f"--size {arguments.size}: write WIDTHxHEIGHT in pixels, for example 640x360")
    values = {name: getattr(arguments, name) for name in ("cameras", "people", "seconds", "seed", "layout")}
    values |= {"frame_rate": arguments.fps, "width": width, "height": height, "video": not arguments.no_video}
    values |= {"crops_every_s": arguments.crops}
    try:
        return SimulationConfig.model_validate(values)
    except ValidationError as error:
        raise ReuniteError("; ".join(_describe(problem) for problem in error.errors())) from None


def _describe(problem: object) -> str:
    assert isinstance(problem, dict)
    if not problem["loc"]:
        return f"--size: {problem['ctx']['error']}"
    name = str(problem["loc"][0])
    return f"{_OPTIONS.get(name, '--' + name)}: {problem['msg']}, got {problem['input']!r}"


COMMAND = Command(
    name="simulate",
    description="Make a world of cameras and people with known identities: H.264 videos, MOTChallenge ground "
    "truth with identities shared over cameras, calibration, and noisy detections.",
    examples=(
        "my-world --cameras 4 --people 30 --seconds 120",
        "my-world --layout overlapping --no-video --force",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="The same arguments give the same bytes.",
)
main = COMMAND.main
