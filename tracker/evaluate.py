"""``python -m tracker.evaluate RESULTS --gt GROUND_TRUTH``: how good the tracking is."""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from tracker.errors import ReuniteError
from tracker.metrics import FramePair, GroundTruth, Scores, compare, score_cameras
from tracker.metrics.calibration import read_calibration
from tracker.metrics.overlap import IGNORED_CLASSES, NON_MOTORISED_VEHICLE
from tracker.metrics.reentry import (
    MIN_AWAY_S,
    Presence,
    Reentry,
    count_reentries,
    find_presence,
    find_stays,
)
from tracker.mot_files import MotTable, SequenceInfo, read_mot, read_seqinfo

EXIT_USAGE = 2
PERCENT_COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "Rcll", "Prcn")
COUNT_COLUMNS = ("MT", "ML", "FP", "FN", "IDSW", "Frag")
ALL_FRAMES, SECOND_HALF = "all", "second-half"
EXAMPLES = """examples:
  python -m tracker.evaluate runs/track --gt videos/ --many-cameras
  python -m tracker.evaluate runs/track/mot/MOT16-11.txt --gt MOT16/train/MOT16-11
  python -m tracker.evaluate trackers/mine --gt MOT17/train --frames second-half --json scores.json
"""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Scores of every sequence and of all together.

    Attributes:
        sequences: Scores of each sequence or camera by itself, by name.
        combined: Of all sequences, from the sums of their counts; with ``many_cameras`` of all cameras,
            where the same id in every camera is the same person.
        many_cameras: Which of the two ``combined`` is.
        missing: Sequences with ground truth and no result; scored as if nobody had been found.
        reentry: With ``many_cameras``: what became of people who came back; None where a camera is untimed.
        untimed: Cameras without a seqinfo.ini, whose frames have no known time.
    """

    sequences: Mapping[str, Scores]
    combined: Scores
    many_cameras: bool
    missing: tuple[str, ...]
    reentry: Reentry | None
    untimed: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; fractions, not percent."""
        return {
            "many_cameras": self.many_cameras,
            "missing": list(self.missing),
            "combined": self.combined.as_dict(),
            "reentry": self.reentry.as_dict() if self.reentry else None,
            "sequences": {name: scores.as_dict() for name, scores in self.sequences.items()},
        }


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


def evaluate_results(
    results: Path,
    ground_truth: Path,
    many_cameras: bool = False,
    frames: str = ALL_FRAMES,
    min_away_s: float = MIN_AWAY_S,
) -> Report:
    """Score result files against ground truth files.

    Result and ground truth are paired by name. A result file that is named itself, not its folder, is
    scored alone: with its sequence, or, where the ground truth is one sequence, with that whatever its name.

    Args:
        results: A text file, a folder of NAME.txt, or a folder that has those in ``mot`` or ``data``.
        ground_truth: A gt.txt, a folder with gt/gt.txt, or a folder of NAME/gt/gt.txt or
            train/NAME/gt/gt.txt. A seqinfo.ini beside ``gt`` says how many frames there are; without it
            the last box of ground truth or result is in the last frame.
        many_cameras: Identities are shared by all sequences, and frame 1 is taken at the same moment.
        frames: ``all``, ``second-half`` or ``A-B``, both included.
        min_away_s: With ``many_cameras``: seconds out of all cameras that make a return.

    Raises:
        ReuniteError: Nothing is there, a result has no ground truth, a file cannot be read, a box is in a
            frame after the last, ``frames`` lies outside of a sequence, or ``min_away_s`` is no longer than
            the time between two frames.
    """
    truth_files = find_ground_truth(ground_truth)
    result_files = find_results(results)
    if results.is_file():
        name = next(iter(truth_files)) if len(truth_files) == 1 else results.stem
        result_files = {name: results}
        truth_files = {name: truth_files[name]} if name in truth_files else truth_files
    for name, file in result_files.items():
        if name not in truth_files:
            raise ReuniteError(
                f"{file}: no ground truth named '{name}' in {ground_truth}, "
                f"which has {', '.join(truth_files)}"
            )
    sequences: dict[str, Scores] = {}
    cameras: list[list[FramePair]] = []  # kept only where they are scored together
    presence: list[Presence] = []
    untimed: list[str] = []
    for name, file in truth_files.items():
        result = read_mot(result_files[name], unique_ids=True) if name in result_files else MotTable.empty()
        truth = read_ground_truth(file, name, result)
        window = frames_to_score(frames, truth)
        pairs = compare(result, truth, window)
        sequences[name] = score_cameras([pairs])
        if many_cameras:
            cameras.append(pairs)
            info = read_info(file)
            if info is None:
                untimed.append(name)
                continue
            if not min_away_s > 1 / info.frame_rate:
                raise ReuniteError(
                    f"--min-away {min_away_s:g}: must be longer than the {1 / info.frame_rate:g} s between "
                    f"two frames of {name}"
                )
            presence.append(find_presence(len(cameras), truth, pairs, window, info.frame_rate))
    reentry = None
    if many_cameras and not untimed:
        counts = count_reentries(find_stays(Presence.together(presence), min_away_s))
        reentry = Reentry(min_away_s, counts, read_calibration(results / "calibration.json"))
    first, *others = sequences.values()
    return Report(
        sequences=sequences,
        combined=score_cameras(cameras) if many_cameras else sum(others, start=first),
        many_cameras=many_cameras,
        missing=tuple(name for name in truth_files if name not in result_files),
        reentry=reentry,
        untimed=tuple(untimed),
    )


def find_results(results: Path) -> dict[str, Path]:
    """Result files by the name of their sequence; see `evaluate_results`."""
    if results.is_file():
        return {results.stem: results}
    for folder in (results / "mot", results / "data", results):
        files = sorted(folder.glob("*.txt"))
        if files:
            return {file.stem: file for file in files}
    what = "has no NAME.txt, mot/NAME.txt or data/NAME.txt" if results.is_dir() else "no such file or folder"
    raise ReuniteError(f"{results}: {what}; name a result file, a folder of them, or a run folder")


def find_ground_truth(path: Path) -> dict[str, Path]:
    """Ground truth files by the name of their sequence; see `evaluate_results`."""
    if path.is_file():
        in_sequence = path.parent.name == "gt"
        return {_full(path).parents[1].name if in_sequence else path.stem: path}
    own = path / "gt" / "gt.txt"
    if own.is_file():
        return {_full(path).name: own}
    for pattern in ("*/gt/gt.txt", "train/*/gt/gt.txt"):
        files = sorted(path.glob(pattern))
        if files:
            return {file.parents[1].name: file for file in files}
    what = (
        "has no gt/gt.txt, NAME/gt/gt.txt or train/NAME/gt/gt.txt"
        if path.is_dir()
        else "no such file or folder"
    )
    raise ReuniteError(f"{path}: {what}; name a gt.txt, a sequence, or a folder of sequences")


def read_ground_truth(file: Path, name: str, result: MotTable) -> GroundTruth:
    """Read a gt.txt and the seqinfo.ini of its sequence, if there is one; see `evaluate_results`."""
    table = read_mot(file, unique_ids=True)
    info = read_info(file)
    num_frames = (
        info.length
        if info
        else max((int(part.frames.max()) for part in (table, result) if len(part)), default=0)
    )
    # MOT20 alone takes class 6 out as well; its ground truth marks bicycles that people push so.
    is_mot20 = name.startswith("MOT20")
    ignored = IGNORED_CLASSES | {NON_MOTORISED_VEHICLE} if is_mot20 else IGNORED_CLASSES
    return GroundTruth(name, table, num_frames, ignored)


def read_info(file: Path) -> SequenceInfo | None:
    """The seqinfo.ini of the sequence of a gt.txt; None where there is none."""
    info = _full(file).parents[1] / "seqinfo.ini"
    return read_seqinfo(info) if file.parent.name == "gt" and info.is_file() else None


def frames_to_score(frames: str, truth: GroundTruth) -> range:
    """The frames of one sequence that ``all``, ``second-half`` or ``A-B`` means.

    Raises:
        ReuniteError: It means nothing, or no frame of this sequence.
    """
    last = truth.num_frames
    if frames == ALL_FRAMES:
        return range(1, last + 1)
    if frames == SECOND_HALF:
        return range(last // 2 + 2, last + 1)
    window = re.fullmatch(r"(\d+)-(\d+)", frames)
    if not window:
        raise ReuniteError(f"--frames {frames}: write A-B, for example 1-300, or '{SECOND_HALF}'")
    begin, end = int(window[1]), int(window[2])
    if not 1 <= begin <= min(end, last):
        raise ReuniteError(
            f"--frames {frames}: {truth.name} has frames 1 to {last}, and A must not be above B"
        )
    return range(begin, min(end, last) + 1)


def scores_table(report: Report) -> Group:
    """What is printed: scores and, of many cameras, what became of people who came back."""
    tables: list[Table | str] = [sequences_table(report)]
    if report.reentry:
        tables += ["", reentry_table(report.reentry)]
    return Group(*tables)


def sequences_table(report: Report) -> Table:
    """A row for each sequence and, where there are several, one for all; percent and counts."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column("", no_wrap=True)
    for column in (*PERCENT_COLUMNS, *COUNT_COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    for name, scores in report.sequences.items():
        table.add_row(escape(name), *_cells(scores))
    if len(report.sequences) > 1:
        table.add_section()
        table.add_row(
            "ALL CAMERAS" if report.many_cameras else "COMBINED", *_cells(report.combined), style="bold"
        )
    warnings = []
    if report.missing:
        warnings.append(
            f"warning: no result for {', '.join(report.missing)}: counted as all missed. To leave a sequence "
            "out, name the others' ground truth or one result file."
        )
    if report.untimed:
        warnings.append(
            f"warning: no re-entry scores: {', '.join(report.untimed)} without seqinfo.ini, which has the "
            "frame rate."
        )
    if warnings:
        table.caption_justify, table.caption_style = "left", "yellow"
        table.caption = escape("\n".join(warnings))
    return table


def reentry_table(reentry: Reentry) -> Table:
    """Returns and strangers: counts, percent, and beside them the percent that the run had stated."""
    counts, stated = reentry.counts, reentry.calibration
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column(f"after {reentry.min_away_s:g} s or more in no camera", no_wrap=True)
    for column in ("count", "%", *(("expected", "at most", "true/at most") if stated else ())):
        table.add_column(column, justify="right", no_wrap=True)

    def add(what: str, count: int, of: int = 0, *more: str) -> None:
        table.add_row(what, str(count), f"{100 * count / of:.1f}" if of else "", *more)

    add("returns", counts.returns)
    add("  into another camera", counts.returns_elsewhere, counts.returns)
    add("  found, now and before", counts.returns_found, counts.returns)
    add("    recognised", counts.returns_recognised, counts.returns_found)
    missed, merged = list[str](), list[str]()
    if stated:
        missed = [f"{100 * stated.expected_missed_rate:.1f}"]
        error = reentry.calibration_error
        merged = [
            f"{100 * stated.expected_false_merge_rate:.1f}",
            f"{100 * stated.max_false_merge_rate:.1f}",
            "" if error is None else f"{error:.2f}",
        ]
    add("    missed: a new identity", counts.returns_missed, counts.returns_found, *missed)
    add("    taken for somebody else", counts.returns_mistaken, counts.returns_found)
    add("strangers, found for the first time", counts.strangers)
    add("    taken for somebody", counts.strangers_mistaken, counts.strangers, *merged)
    return table


def write_json(file: Path, report: Report) -> None:
    """Write all figures of the report.

    Raises:
        ReuniteError: The file cannot be written.
    """
    try:
        file.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ReuniteError(f"{file}: cannot write the scores: {error.strerror}") from None


def _full(path: Path) -> Path:
    """From the root, without dots; links are not followed, so a linked file keeps its neighbours."""
    return Path(os.path.abspath(path))


def _cells(scores: Scores) -> list[str]:
    figures = scores.as_dict()
    percent = [f"{100 * figures[column]:.1f}" for column in PERCENT_COLUMNS]
    return [*percent, *(str(figures[column]) for column in COUNT_COLUMNS)]


if __name__ == "__main__":
    sys.exit(main())
