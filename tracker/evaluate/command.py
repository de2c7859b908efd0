"""``python -m tracker.evaluate RESULTS --gt GROUND_TRUTH``: how good the tracking is."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tracker.errors import ReuniteError
from tracker.evaluate.files import ALL_FRAMES
from tracker.evaluate.report import Report, evaluate_results
from tracker.evaluate.tables import scores_table
from tracker.metrics.reentry import MIN_AWAY_S

EXIT_USAGE = 2
EXAMPLES = """examples:
  python -m tracker.evaluate runs/track --gt videos/ --many-cameras
  python -m tracker.evaluate runs/track/mot/MOT16-11.txt --gt MOT16/train/MOT16-11
  python -m tracker.evaluate trackers/mine --gt MOT17/train --frames second-half --json scores.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 all well, 2 the input cannot be scored."""
    arguments = make_parser().parse_args(argv)
    try:
        report = evaluate_results(
            arguments.results,
            arguments.gt,
            many_cameras=arguments.many_cameras,
            frames=arguments.frames,
            min_away_s=arguments.min_away,
        )
        if arguments.json:
            write_json(arguments.json, report)
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    # A file or pipe has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 200).print(scores_table(report))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tracker.evaluate",
        description="Score tracking results against ground truth: HOTA, MOTA, IDF1 and what they are made "
        "of, with the conventions of TrackEval. Figures in the table are percent.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        type=Path,
        metavar="RESULTS",
        help="a MOTChallenge text file, a folder of them (NAME.txt), a run folder (with mot/NAME.txt) or a "
        "TrackEval tracker folder (with data/NAME.txt)",
    )
    parser.add_argument(
        "--gt",
        type=Path,
        required=True,
        metavar="GROUND_TRUTH",
        help="a gt.txt, a sequence folder (with gt/gt.txt), or a folder of sequences (NAME/gt/gt.txt or "
        "train/NAME/gt/gt.txt); a sequence without a result counts as all missed",
    )
    parser.add_argument(
        "--many-cameras",
        action="store_true",
        help="the sequences are cameras that share clock and identities: the same id is the same person in "
        "all; also score how people who come back are taken",
    )
    parser.add_argument(
        "--min-away",
        type=float,
        default=MIN_AWAY_S,
        metavar="SECONDS",
        help="with --many-cameras: whoever is out of all cameras for so long has come back "
        f"(default: {MIN_AWAY_S:g})",
    )
    parser.add_argument(
        "--frames",
        default=ALL_FRAMES,
        metavar="A-B",
        help="score frames A to B alone, or 'second-half': from LENGTH // 2 + 2, as MOT17 is halved for "
        "validation (default: all)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, as fractions")
    return parser


def write_json(file: Path, report: Report) -> None:
    """Write all figures of the report.

    Raises:
        ReuniteError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReuniteError(f"{file}: cannot write the scores: {error.strerror}") from None
