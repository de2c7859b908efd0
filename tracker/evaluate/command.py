"""``reunite evaluate RESULTS --gt GROUND_TRUTH``: how good the tracking is."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from foundation.command import Command
from foundation.errors import ReuniteError
from tracker.evaluate.files import ALL_FRAMES
from tracker.evaluate.report import Report, evaluate_results
from tracker.evaluate.tables import scores_table
from tracker.metrics.events import write_events
from tracker.metrics.reentry import MIN_AWAY_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "results",
        type=Path,
        metavar="RESULTS",
        help="a MOTChallenge text file, a folder of them (NAME.txt), a run folder (with mot/NAME.txt) or a "
        "TrackEval tracker folder (with data/NAME.txt)",
    )
    truth = parser.add_argument_group("what to score")
    truth.add_argument(
        "--gt",
        type=Path,
        required=True,
        metavar="GROUND_TRUTH",
        help="a gt.txt, a sequence folder (with gt/gt.txt), or a folder of sequences (NAME/gt/gt.txt or "
        "train/NAME/gt/gt.txt); a sequence without a result counts as all missed",
    )
    truth.add_argument(
        "--frames",
        default=ALL_FRAMES,
        metavar="A-B",
        help="score frames A to B alone, or 'second-half': from LENGTH // 2 + 2, as MOT17 is halved for "
        "validation (default: all)",
    )
    cameras = parser.add_argument_group("many cameras")
    cameras.add_argument(
        "--many-cameras",
        action="store_true",
        help="the sequences are cameras that share clock and identities: the same id is the same person in "
        "all; also score how people who come back are taken",
    )
    cameras.add_argument(
        "--min-away",
        type=float,
        default=MIN_AWAY_S,
        metavar="SECONDS",
        help="with --many-cameras: whoever is out of all cameras for so long has come back "
        f"(default: {MIN_AWAY_S:g})",
    )
    files = parser.add_argument_group("what is written")
    files.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, as fractions")
    files.add_argument(
        "--events",
        type=Path,
        metavar="CSV",
        help="also write what happened in each frame, MATCH, SWITCH, MISS or FP, as the event table of "
        "motmetrics",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Score, print the table, write what was asked for."""
    report = evaluate_results(
        arguments.results,
        arguments.gt,
        many_cameras=arguments.many_cameras,
        frames=arguments.frames,
        min_away_s=arguments.min_away,
    )
    if arguments.json:
        write_json(arguments.json, report)
    if arguments.events:
        write_events(arguments.events, report.pairs, report.frames)
    console.print(scores_table(report))
    return 0


def write_json(file: Path, report: Report) -> None:
    """Write all figures of the report.

    Raises:
        ReuniteError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReuniteError(f"{file}: cannot write the scores: {error.strerror}") from None


COMMAND = Command(
    name="evaluate",
    description="Score tracking results against ground truth: HOTA, MOTA, IDF1 and what they are made of, "
    "with the conventions of TrackEval. Figures in the table are percent.",
    examples=(
        "runs/track --gt videos/ --many-cameras",
        "runs/track/mot/MOT16-11.txt --gt MOT16/train/MOT16-11",
        "runs/track --gt videos/ --events events.csv",
        "trackers/mine --gt MOT17/train --frames second-half --json scores.json",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main
