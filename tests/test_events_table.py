"""What happened in each frame, beside motmetrics, which reads the same table."""

from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
import pandas as pd
import pytest

from tests.scoring import noisy_result, random_world, write_result, write_sequence
from tracker.cli import main
from tracker.metrics import FramePair, GroundTruth, compare, count_clear, count_identity
from tracker.metrics.events import COLUMNS, frame_events, write_events
from tracker.metrics.overlap import EPSILON, MIN_IOU


def table_of(pairs: dict[int, FramePair], file: Path) -> Any:
    """What pandas reads of the file."""
    write_events(file, {"door": pairs}, {"door": range(1, 81)})
    return pd.read_csv(file, index_col=["FrameId", "Event"])


def what_happened(events: Any) -> list[tuple[Any, ...]]:
    """Its rows, each with its frame, in an order that does not depend on who wrote them."""
    rows = events.reset_index()[["FrameId", "Type", "OId", "HId", "D"]]
    rows = rows.astype({"Type": str})[rows.Type.isin(["RAW", "MATCH", "SWITCH", "MISS", "FP"])].fillna(-1.0)
    return sorted(tuple(row) for row in rows.round(9).itertuples(index=False))


def test_by_hand() -> None:
    first = FramePair(np.array([7]), np.array([1, 2]), np.array([[0.75, 0.0]]))
    second = FramePair(np.array([7, 8]), np.array([2]), np.array([[0.5], [0.2]]))
    assert list(frame_events({4: first, 6: second}, range(4, 7))) == [
        (4, 0, "RAW", None, None, None),
        (4, 1, "RAW", 7, 1, 0.25),
        (4, 2, "RAW", None, 2, None),
        (4, 3, "MATCH", 7, 1, 0.25),
        (4, 4, "FP", None, 2, None),
        (5, 0, "RAW", None, None, None),
        (6, 0, "RAW", None, None, None),
        (6, 1, "RAW", 7, 2, 0.5),
        (6, 2, "RAW", 8, None, None),
        (6, 3, "SWITCH", 7, 2, 0.5),
        (6, 4, "MISS", 8, None, None),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_table_is_that_of_motmetrics(seed: int, tmp_path: Path) -> None:
    # Where at most one track overlaps a person, every tool has to make the same pairs.
    random = np.random.default_rng(seed)
    pairs = {}
    accumulator = motmetrics.MOTAccumulator()
    for frame in range(1, 81):
        people = np.flatnonzero(random.uniform(size=6) < 0.7)
        tracks = random.permutation(6)[: random.integers(7)]
        ious = np.zeros((len(people), len(tracks)))
        for row, column in zip(range(len(people)), range(len(tracks)), strict=False):
            ious[row, column] = random.uniform(0.2, 1)
        pairs[frame] = FramePair(people, tracks, ious)
        distances = np.where(ious >= MIN_IOU - EPSILON, 1 - ious, np.nan)
        accumulator.update(people, tracks, distances, frameid=frame)
    ours = table_of(pairs, tmp_path / "events.csv")
    assert list(ours.reset_index().columns) == list(accumulator.events.reset_index().columns) == list(COLUMNS)
    assert what_happened(ours) == what_happened(accumulator.events)


@pytest.mark.parametrize("seed", range(6))
def test_motmetrics_computes_our_scores_from_the_table(seed: int, tmp_path: Path) -> None:
    truth = random_world(seed)
    last = int(truth.frames.max())
    pairs = compare(noisy_result(truth, seed), GroundTruth("door", truth, last))
    events = table_of(pairs, tmp_path / "events.csv")
    names = ["num_misses", "num_false_positives", "num_switches", "mota", "idtp", "idfp", "idfn"]
    theirs = motmetrics.metrics.create().compute(events, metrics=names, return_dataframe=False)
    clear, identity = count_clear([*pairs.values()]), count_identity([*pairs.values()])
    assert clear.switches == theirs["num_switches"] > 0
    assert clear.false_negatives == theirs["num_misses"]
    assert clear.false_positives == theirs["num_false_positives"]
    assert (identity.true_positives, identity.false_positives, identity.false_negatives) == (
        theirs["idtp"],
        theirs["idfp"],
        theirs["idfn"],
    )


def test_the_command_writes_it_with_a_column_for_several_sequences(tmp_path: Path) -> None:
    for seed, name in enumerate(("door", "yard")):
        truth = random_world(seed)
        last = int(truth.frames.max())
        write_sequence(tmp_path / "gt", name, truth, last)
        write_result(tmp_path / "results", name, noisy_result(truth, seed))
    file = tmp_path / "events.csv"
    results, truths = next((tmp_path / "results").rglob("*.txt")).parent, tmp_path / "gt"
    truths = next(truths.rglob("gt.txt")).parents[2]
    assert main(["evaluate", str(results), "--gt", str(truths), "--events", str(file)]) == 0
    events = pd.read_csv(file)
    assert list(events.columns) == ["Sequence", *COLUMNS]
    assert set(events.Sequence) == {"door", "yard"}
    one = [str(results / "door.txt"), "--gt", str(truths / "door"), "--events", str(file)]
    assert main(["evaluate", *one]) == 0
    assert list(pd.read_csv(file).columns) == list(COLUMNS)
