"""A report as the tables that are printed."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from tracker.evaluate.report import Report
from tracker.metrics import Scores
from tracker.metrics.reentry import Reentry

PERCENT_COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "Rcll", "Prcn")
COUNT_COLUMNS = ("MT", "ML", "FP", "FN", "IDSW", "Frag")


def scores_table(report: Report) -> Group:
    """What is printed: scores and, of many cameras, what became of people who came back."""
    tables: list[Table | str] = [sequences_table(report)]
    if report.reentry:
        tables += ["", reentry_table(report.reentry)]
        if report.reentry.decided_s:
            tables += ["", decided_line(*report.reentry.decided_s)]
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
    if report.has_other_tracks:
        warnings.append(
            "warning: no seconds until decided: tracks.csv is not of these results, or its run was live."
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


def decided_line(median_s: float, most_s: float) -> str:
    """How soon it was decided who somebody is, once they were found."""
    median, most = (f"{s:.1f}" if math.isfinite(s) else "never" for s in (median_s, most_s))
    return f"seconds until decided who somebody is: median {median}, 95 % at most {most}"


def _cells(scores: Scores) -> list[str]:
    figures = scores.as_dict()
    percent = [f"{100 * figures[column]:.1f}" for column in PERCENT_COLUMNS]
    return [*percent, *(str(figures[column]) for column in COUNT_COLUMNS)]
