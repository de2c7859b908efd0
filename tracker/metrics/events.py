"""What happened in each frame, as the event table of motmetrics, for those who debug that way.

Source: motmetrics 1.4 (https://github.com/cheind/py-motmetrics), ``MOTAccumulator``.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from tracker.metrics.counts import match_clear
from tracker.metrics.overlap import EPSILON, MIN_IOU, FramePair

COLUMNS = ("FrameId", "Event", "Type", "OId", "HId", "D")
"""Frame, count within the frame, what happened, person, track, and 1 - IoU where there are both."""

SEQUENCE = "Sequence"
"""A column before these, where there are several sequences."""

Row = tuple[int, int, str, int | None, int | None, float | None]


def frame_events(pairs: Mapping[int, FramePair], frames: Iterable[int]) -> Iterator[Row]:
    """The rows of one sequence, by `match_clear`, so that they add up to the scores.

    Of each frame first what there is, as motmetrics needs it to count anything: RAW without person and
    track, then a RAW for each pair that overlaps by `MIN_IOU` and for whoever is in no such pair. Then what
    happened: MATCH or SWITCH for each person that was found, MISS for the others, FP for each other track.

    Args:
        pairs: By frame number, in order; a frame that is not there is empty.
        frames: All frame numbers, in order, those of the pairs among them.
    """
    all_matches = match_clear([*pairs.values()])
    for frame in frames:
        if (pair := pairs.get(frame)) is None:
            yield frame, 0, "RAW", None, None, None
            continue
        matches = next(all_matches)
        people, tracks = pair.people.tolist(), pair.tracks.tolist()
        overlaps = pair.ious >= MIN_IOU - EPSILON
        rows: list[tuple[str, int | None, int | None, float | None]] = [("RAW", None, None, None)]
        rows += [
            ("RAW", people[row], tracks[column], 1 - float(pair.ious[row, column]))
            for row, column in np.argwhere(overlaps).tolist()
        ]
        rows += [("RAW", people[row], None, None) for row in np.flatnonzero(~overlaps.any(axis=1)).tolist()]
        rows += [("RAW", None, tracks[it], None) for it in np.flatnonzero(~overlaps.any(axis=0)).tolist()]
        found = zip(matches.rows.tolist(), matches.columns.tolist(), matches.is_switch.tolist(), strict=True)
        for row, column, is_switch in found:
            distance = 1 - float(pair.ious[row, column])
            rows.append(("SWITCH" if is_switch else "MATCH", people[row], tracks[column], distance))
        missed, wrong = (
            np.delete(ids, it) for ids, it in ((people, matches.rows), (tracks, matches.columns))
        )
        rows += [("MISS", int(person), None, None) for person in missed]
        rows += [("FP", None, int(track), None) for track in wrong]
        yield from ((frame, event, *row) for event, row in enumerate(rows))


def write_events(
    file: Path, sequences: Mapping[str, Mapping[int, FramePair]], frames: Mapping[str, Iterable[int]]
) -> None:
    """Write a CSV file; of several sequences their names stand in a column before the others.

    ``pandas.read_csv(file, index_col=["FrameId", "Event"])`` of one sequence is what
    ``MOTAccumulator.events`` would be, and motmetrics computes its figures from it.
    """
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        named = len(sequences) > 1
        writer.writerow([SEQUENCE, *COLUMNS] if named else COLUMNS)
        for name, pairs in sequences.items():
            writer.writerows([name, *row] if named else row for row in frame_events(pairs, frames[name]))
