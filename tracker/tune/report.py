"""What tuning brought: the table, the YAML with its head comment, and the figures as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from foundation.errors import ReuniteError
from foundation.files import write_whole
from foundation.passwords import mask_password
from tracker.config import RunConfig, dump_config
from tracker.metrics import Scores
from tracker.tune.keys import Range
from tracker.tune.parts import Split

METRICS = ("HOTA", "MOTA", "IDF1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What tuning brought.

    Attributes:
        config: The best configuration.
        metric: What was searched for.
        trials: How many were made.
        split: What it was made on.
        tuning: Scores on the tuning part, before and after.
        held_out: On the held-out part; None where nothing was held out.
        ranges: All that was searched, by key.
        values: The best values, by key.
        importance: By key, shares that sum to 1; empty where too few trials were made.
    """

    config: RunConfig
    metric: str
    trials: int
    split: Split
    tuning: tuple[Scores, Scores]
    held_out: tuple[Scores, Scores] | None
    ranges: Mapping[str, Range]
    values: Mapping[str, float]
    importance: Mapping[str, float]

    @property
    def changed(self) -> dict[str, tuple[float, float]]:
        """Before and after of every number that changed, by key."""
        pairs = {key: (it.present, self.values[key]) for key, it in self.ranges.items()}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def warning(self) -> str:
        """One sentence on why not to trust the new values; empty where there is no reason."""
        if not self.tuning[0].clear.true_positives and not self.tuning[1].clear.true_positives:
            return (
                "No people were found where the ground truth has some: does it belong to these sequences, "
                "and "
                "are the detector's scores as high as detector.likely_score asks?"
            )
        if not self.changed:
            return "Nothing was better than the present values."
        if self.held_out is None:
            return "Nothing was held out, so it is not known whether these values are better elsewhere too."
        before, after = (scores.as_dict()[self.metric] for scores in self.held_out)
        if after < before:
            return (
                f"On the held-out part {self.metric} fell from {100 * before:.1f} to {100 * after:.1f}: "
                "these values fit the tuning part alone, so keep the old ones, or tune on more sequences."
            )
        return ""

    def rows(self) -> list[tuple[str, str, Scores]]:
        """Part, before or after, scores."""
        sides = [("tuning part", self.tuning), *([("held-out part", self.held_out)] if self.held_out else [])]
        return [
            (part, when, it)
            for part, pair in sides
            for when, it in zip(("before", "after"), pair, strict=True)
        ]


def outcome_table(outcome: Outcome) -> Group:
    """What is printed: scores before and after, then every number that changed."""
    scores = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("", "", *METRICS, "switches"):
        scores.add_column(column, justify="right" if column else "left", no_wrap=True)
    for part, when, figures in outcome.rows():
        if when == "before" and scores.row_count:
            scores.add_section()
        scores.add_row(part if when == "before" else "", when, *_cells(figures))
    if not outcome.changed:
        return Group(scores)
    changes = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    changes.add_column("changed", no_wrap=True)
    for column in ("before", "after", *(("importance %",) if outcome.importance else ())):
        changes.add_column(column, justify="right", no_wrap=True)
    weight = outcome.importance
    for key in sorted(outcome.changed, key=lambda key: -weight.get(key, 0.0)):
        before, after = outcome.changed[key]
        share = [f"{100 * weight[key]:.0f}"] if weight else []
        changes.add_row(escape(key), f"{before:.4g}", f"{after:.4g}", *share)
    return Group(scores, "", changes)


def write_outcome(folder: Path, outcome: Outcome) -> list[Path]:
    """Write tuned.yaml and scores.json; gives both.

    Raises:
        ReuniteError: They cannot be written.
    """
    files = {folder / "tuned.yaml": _yaml(outcome), folder / "scores.json": _json(outcome)}
    try:
        for file, text in files.items():
            write_whole(file, text.encode())
    except OSError as error:
        raise ReuniteError(
            f"{folder}: cannot be written: {error.strerror}; the trials are kept: make room, then give the "
            "same command with --resume"
        ) from None
    return list(files)


def _yaml(outcome: Outcome) -> str:
    split = outcome.split
    lines = [
        f"Made by reunite tune: the best of {outcome.trials} trials, for {outcome.metric}.",
        f"Tuning part: {split.tuning_name}",
        f"Held-out part: {split.held_out_name or 'nothing'}",
    ]
    lines += [f"WARNING: {outcome.warning}"] if outcome.warning else []
    lines += ["", f"{'':13} {'':6} {'HOTA':>6} {'MOTA':>6} {'IDF1':>6} switches"]
    for part, when, scores in outcome.rows():
        hota, mota, idf1, switches = _cells(scores)
        lines.append(f"{part:13} {when:6} {hota:>6} {mota:>6} {idf1:>6} {switches:>8}")
    if outcome.changed:
        lines += [
            "",
            *(f"{key}: {before:.4g} -> {after:.4g}" for key, (before, after) in outcome.changed.items()),
        ]
    head = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    parts = outcome.config.reading.secret_path_parts
    sources = tuple(mask_password(address, parts) for address in outcome.config.source)
    return f"{head}\n{dump_config(outcome.config.model_copy(update={'source': sources}))}"


def _json(outcome: Outcome) -> str:
    sides = {"tuning": outcome.tuning, "held_out": outcome.held_out}
    figures = {
        "metric": outcome.metric,
        "trials": outcome.trials,
        "tuning_part": outcome.split.tuning_name,
        "held_out_part": outcome.split.held_out_name or None,
        "scores": {
            side: {"before": pair[0].as_dict(), "after": pair[1].as_dict()} if pair else None
            for side, pair in sides.items()
        },
        "changed": {key: {"before": pair[0], "after": pair[1]} for key, pair in outcome.changed.items()},
        "importance": dict(outcome.importance),
        "warning": outcome.warning or None,
    }
    return json.dumps(figures, indent=2) + "\n"


def _cells(scores: Scores) -> list[str]:
    figures = scores.as_dict()
    return [*(f"{100 * figures[name]:.1f}" for name in METRICS), str(figures["IDSW"])]
