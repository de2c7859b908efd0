"""The command line: python -m tracker.simulate OUT."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tracker.errors import ReuniteError
from tracker.simulate.config import SimulationConfig
from tracker.simulate.simulation import simulate

_OPTIONS = {"frame_rate": "--fps", "width": "--size", "height": "--size"}


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate; 0 when it was done, 2 when it could not be, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        config = _config(arguments)
        _run(arguments.out, config, arguments.force)
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; nothing was left in {arguments.out}", file=sys.stderr)
        return 130
    written = f"{'videos, ' if config.video else ''}ground truth, detections, calibration.json"
    print(f"{arguments.out}: {config.cameras} camera(s), {config.frames} frames each: {written}")
    return 0


def _run(out: Path, config: SimulationConfig, force: bool) -> None:
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
    )
    with Progress(*columns, TimeRemainingColumn(), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("simulating", total=config.frames)
        simulate(out, config, force, lambda done: progress.update(task, completed=done))


def _parser() -> argparse.ArgumentParser:
    default = SimulationConfig()
    parser = argparse.ArgumentParser(
        prog="python -m tracker.simulate",
        description="Make a world of cameras and people with known identities: H.264 videos, MOTChallenge "
        "ground truth with identities shared over cameras, calibration, and noisy detections.",
        epilog="The same arguments give the same bytes.",
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT", help="folder to write to; must be empty or not exist"
    )
    parser.add_argument("--cameras", type=int, default=default.cameras, help="default %(default)s")
    parser.add_argument(
        "--people", type=int, default=default.people, help="in the whole world, default %(default)s"
    )
    parser.add_argument("--seconds", type=float, default=default.seconds, help="default %(default)s")
    parser.add_argument(
        "--seed", type=int, default=default.seed, help="another number, another world; default %(default)s"
    )
    parser.add_argument(
        "--layout",
        default=default.layout,
        help="'separate': one room for each camera and unseen corridors between (default); "
        "'overlapping': one room that all cameras look into",
    )
    parser.add_argument(
        "--fps", type=float, default=default.frame_rate, help="frames per second, default %(default)s"
    )
    parser.add_argument(
        "--size",
        default=f"{default.width}x{default.height}",
        help="WIDTHxHEIGHT in pixels, default %(default)s",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="text files only, about a hundred times faster"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier simulation in OUT")
    return parser


def _config(arguments: argparse.Namespace) -> SimulationConfig:
    width, cross, height = arguments.size.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise ReuniteError(f"--size {arguments.size}: write WIDTHxHEIGHT in pixels, for example 640x360")
    values = {name: getattr(arguments, name) for name in ("cameras", "people", "seconds", "seed", "layout")}
    values |= {"frame_rate": arguments.fps, "width": width, "height": height, "video": not arguments.no_video}
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
