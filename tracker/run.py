"""``reunite track SOURCE...``: track people, write where everybody was."""

import argparse
import json
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from foundation.command import EXIT_INTERRUPTED, EXIT_NOT_ALL_WELL, Command, StopSignals, leave
from foundation.errors import ReuniteError
from foundation.passwords import mask_password
from foundation.text import PlainConsole, visible
from tracker.config import RunConfig, load_config
from tracker.config.options import add_settings
from tracker.recording.folder import RunFolder
from tracker.recording.run import TrackingRun
from tracker.reports.certainty import what_would_help
from tracker.sinks.live import Shows
from tracker.sources import locate_cameras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="video, folder of videos (each one camera), folder of images, MOTChallenge sequence or folder "
        "of them, webcam number, rtsp:// or http:// address, or a .streams file with one address a line",
    )
    parser.add_argument(
        "--align",
        choices=("names", "metadata", "none"),
        help="recordings that did not begin together: when each began is told by the name of its file, or by "
        "what the file says of itself (default: none, all began together)",
    )
    add_settings(parser, "tracking.max_lost_s=2")
    output = parser.add_argument_group("what is written")
    output.add_argument("--name", help="name of the run's folder in runs/ (default: track)")
    output.add_argument("--save-video", action="store_true", help="write an overlay video of each camera")
    output.add_argument("--show", action="store_true", help="show a window while tracking; q ends the run")
    output.add_argument(
        "--live-table", action="store_true", help="show who is where now, in the place of the progress"
    )
    output.add_argument(
        "--json",
        action="store_true",
        help="print who is where now as one JSON line a second; all else goes to standard error",
    )
    scores = parser.add_argument_group("scores")
    scores.add_argument(
        "--gt", type=Path, metavar="PATH", help="ground truth to score the run with when it is done"
    )
    scores.add_argument(
        "--many-cameras", action="store_true", help="with --gt: the cameras share the identities of the truth"
    )
    resuming = parser.add_argument_group("going on")
    resuming.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue a run that was cut off (default: the newest one in runs/); takes no other setting. A "
        "live run connects to its cameras again",
    )
    resuming.add_argument(
        "--no-continue",
        action="store_true",
        help="with --resume: of a live run, only write down what it had seen",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Track until the sources end or Ctrl-C; the exit code."""
    with StopSignals("stopped at once; go on from the last checkpoint with: reunite track --resume") as stop:
        return track(arguments, console, stop)


def track(arguments: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    """Start or resume a run, score it if asked; gives the exit code."""
    if arguments.many_cameras and not arguments.gt:
        raise ReuniteError("--many-cameras: is about the scores, and needs --gt PATH")
    if arguments.no_continue and arguments.resume is None:
        raise ReuniteError("--no-continue: is about a run that was cut off, and needs --resume")
    if arguments.json:
        console = speak_to_standard_error()
    if arguments.resume is None:
        config, folder = read_config(arguments), None
    else:
        refuse_settings(arguments)
        path = Path(arguments.resume) if arguments.resume else RunFolder.newest_unfinished(Path("runs"))
        folder, config = RunFolder.reopen(path)
        config = with_passwords(config, arguments.source, goes_on=not arguments.no_continue)
    if arguments.gt:
        check_ground_truth(arguments.gt, config)  # better now than after hours
    with TrackingRun(config, stop, folder, goes_on=not arguments.no_continue) as run:
        console.print(visible(f"writing to {run.folder.path}"), soft_wrap=True)
        for camera, it in run.source.reports.items():
            if it.start_known_from:
                told = f"begins {it.start_s:.3f} s after the first: {it.start_known_from}"
                console.print(visible(f"camera {camera} {told}"), soft_wrap=True)
        complete, files = run.run(console, Shows(arguments.live_table, arguments.json))
        code = report_end(run, complete, files, console)
    if arguments.gt and complete:
        from tracker.evaluate import evaluate_results, scores_table

        report = evaluate_results(run.folder.path, arguments.gt, arguments.many_cameras)
        console.print(scores_table(report))
    return code


def speak_to_standard_error() -> Console:
    """Leave standard output to the JSON lines: a console, and the log, for everything else."""
    console = PlainConsole(stderr=True, width=None if sys.stderr.isatty() else 200)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler):
            handler.console = console
    return console


def read_config(arguments: argparse.Namespace) -> RunConfig:
    """The configuration that the command line asks for, sources as absolute paths."""
    overrides = list(arguments.overrides)
    if arguments.name:
        overrides.append(f"output.name={json.dumps(arguments.name)}")
    if arguments.align:
        overrides.append(f"reading.align={arguments.align}")
    if arguments.save_video:
        overrides.append("output.save_video=true")
    if arguments.show:
        overrides.append("output.show=true")
    config = load_config(arguments.config, overrides)
    addresses = tuple(arguments.source) or config.source
    if not addresses:
        raise ReuniteError(
            "no source: name a video, a folder or an address, for example: reunite track videos/"
        )
    paths = {key: getattr(config.detector, key, "") for key in ("weights", "weights_folder", "path")}
    detector = config.detector.model_copy(
        update={key: _absolute(path) for key, path in paths.items() if path}
    )
    path = config.gallery.path  # which need not be there yet
    gallery = config.gallery.model_copy(update={"path": str(Path(path).resolve()) if path else None})
    sources = tuple(map(_absolute, addresses))
    return config.model_copy(update={"source": sources, "detector": detector, "gallery": gallery})


def check_ground_truth(path: Path, config: RunConfig) -> None:
    """See that every camera has ground truth.

    Raises:
        ReuniteError: One has none.
    """
    # Imported where it is needed: scoring loads SciPy, which would slow every start.
    from tracker.evaluate import find_ground_truth

    truth = find_ground_truth(path)
    missing = [
        camera
        for camera in locate_cameras(config.source, config.reading.secret_path_parts)
        if camera not in truth
    ]
    if missing:
        raise ReuniteError(f"--gt {path}: has nothing for {', '.join(missing)}; it has {', '.join(truth)}")


def with_passwords(config: RunConfig, addresses: Sequence[str], *, goes_on: bool = True) -> RunConfig:
    """A run's folder keeps no passwords, so ``--resume RUN SOURCE...`` may give the same addresses again.

    Where a live run does not go on nobody needs them.

    Raises:
        ReuniteError: An address needs its password, or others than those of the run are given.
    """
    absolute = tuple(map(_absolute, addresses))
    if not absolute:
        hidden = [address for address in config.source if "***" in address]
        if hidden and goes_on:
            raise ReuniteError(
                f"{hidden[0]}: passwords are not kept; give the addresses of the run again after --resume RUN"
            )
        return config
    parts = config.reading.secret_path_parts
    if tuple(mask_password(address, parts) for address in absolute) != config.source:
        raise ReuniteError(
            f"--resume: the addresses of this run are {', '.join(config.source)}; give the same"
        )
    return config.model_copy(update={"source": absolute})


def _absolute(address: str) -> str:
    """A path that is there, from the root, so that a run can be resumed from any folder."""
    return str(Path(address).resolve()) if Path(address).exists() else address


def refuse_settings(arguments: argparse.Namespace) -> None:
    """A resumed run must give what the uninterrupted one would have given.

    Raises:
        ReuniteError: Settings were given beside ``--resume``.
    """
    settings = ("config", "overrides", "align", "name", "save_video", "show")
    given = [name for name in settings if getattr(arguments, name)]
    if given:
        raise ReuniteError(
            "--resume goes on with the settings of the run: leave out every other one but --gt"
        )


def report_end(run: TrackingRun, complete: bool, files: Sequence[Path], console: Console) -> int:
    """Say what was done, what went wrong and which files there are; the exit code."""
    frames, identities = sum(run.progress.frames.values()), run.identities
    found = f"{identities.num_identities} people, {identities.undecided} undecided"
    console.print(f"{frames} frames of {len(run.cameras)} camera(s), {found}")
    if count := identities.people_count():
        advice = what_would_help(count, identities.overlaps(), run.cameras, run.config.ground)
        console.print("; ".join(filter(None, (str(count), advice))), soft_wrap=True)
    if overlaps := identities.overlaps():
        pairs = ", ".join(f"{first} and {second}" for first, second in overlaps)
        console.print(visible(f"see one place: {pairs}"), soft_wrap=True)
    for problem in run.problems:
        console.print(visible(f"problem: {problem}"), style="bold yellow", soft_wrap=True)
    for camera, report in run.source.reports.items():
        if report.remark:
            console.print(visible(f"note: camera {camera}: {report.remark}"), soft_wrap=True)
    console.print("wrote:", *(visible(f"  {file}") for file in files), sep="\n", soft_wrap=True)
    if not complete:
        way_on = visible(f"not complete; go on with: reunite track --resume {run.folder.path}")
        console.print(way_on, soft_wrap=True)
        return EXIT_NOT_ALL_WELL if run.problems else EXIT_INTERRUPTED
    return EXIT_NOT_ALL_WELL if run.problems else 0


COMMAND = Command(
    name="track",
    description="Track the people in videos or live streams and write where everybody was.",
    examples=(
        "videos/ --config embedded --save-video",
        "nvr/ --align names                       each began when its name says",
        "rtsp://10.0.0.5/stream 0 --config onnx --set gallery.path=people.sqlite",
        "MOT16/train --config file --gt MOT16/train",
        "--resume runs/track",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="The run is written to runs/track, runs/track2, ...; nothing is ever overwritten.",
)
main = COMMAND.main

if __name__ == "__main__":
    leave(main(prog="python -m tracker.run"))
