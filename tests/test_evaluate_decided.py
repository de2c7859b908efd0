"""Seconds until it was decided who somebody is: by hand, against plain loops, as the command prints them."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tests.scoring import write_result, write_sequence
from tracker.evaluate import Report, evaluate_results, main, scores_table
from tracker.metrics.decided import CLOCK_SLACK_S, decided_after, find_tracks
from tracker.metrics.reentry import NOT_FOUND, Presence, find_visits
from tracker.reports.tracks import write_tracks
from tracker.types import Tracklets

ANNA, BERT = 1, 2
CAMERAS = ("cam1", "cam2")
Box = tuple[int, int, float, int]
"""Person, camera, second, and the identity in the result (`NOT_FOUND`: missed)."""


def presence_of(boxes: Sequence[Box]) -> Presence:
    people, cameras, times, identities = map(np.array, zip(*boxes, strict=True))
    return Presence(people, cameras, times.astype(np.float64), np.ones(len(boxes), np.bool_), identities)


def every_tenth(person: int, camera: int, begin_s: float, end_s: float, identity: int) -> list[Box]:
    tenths = range(round(10 * begin_s), round(10 * end_s) + 1)
    return [(person, camera, tenth / 10, identity) for tenth in tenths]


def tracks_of(*rows: tuple[str, int, float, float, float]) -> Tracklets:
    """Rows of camera, identity, first and last seen and decided."""
    cameras, identities, begin_s, end_s, decided_s = zip(*rows, strict=True)
    count = len(rows)
    return Tracklets(
        np.array(cameras, object),
        np.arange(1, count + 1),
        np.array(identities),
        np.array(begin_s, np.float64),
        np.array(end_s, np.float64),
        np.array(decided_s, np.float64),
        np.ones(count, np.int64),
        np.ones(count, np.int64),
        np.zeros((count, 0), np.float32),
    )


def waits(boxes: Sequence[Box], tracks: Sequence[int], decided_s: Sequence[float]) -> tuple[float, float]:
    presence = presence_of(boxes)
    return decided_after(find_visits(presence), presence, np.array(tracks), np.array(decided_s, np.float64))


# Which track


def test_camera_identity_and_time_say_which_track_a_box_is_of() -> None:
    table = tracks_of(
        ("cam2", 7, 0, 9, 0), ("cam1", 7, 0, 1, 0), ("cam1", 7, 3, 4, 0), ("cam1", 8, 0, 4, 0)
    )  # fmt: skip
    boxes = [
        (ANNA, 0, 0.5, 7),
        (ANNA, 0, 3.0, 7),
        (BERT, 0, 3.0, 8),
        (BERT, 1, 3.0, NOT_FOUND),
        (ANNA, 1, 9.0, 7),
    ]
    found = find_tracks(presence_of(boxes), CAMERAS, table)
    assert found is not None
    assert found.tolist() == [1, 2, 3, NOT_FOUND, 0]


def test_frames_need_not_be_evenly_spaced() -> None:
    table = tracks_of(("cam1", 7, 5, 6, 0), ("cam1", 7, 8, 9, 0))
    for time, track in ((5 - CLOCK_SLACK_S, 0), (6.9, 0), (7.1, 1), (9 + CLOCK_SLACK_S, 1)):
        found = find_tracks(presence_of([(ANNA, 0, time, 7)]), CAMERAS, table)
        assert found is not None
        assert found.tolist() == [track]


@pytest.mark.parametrize("box", [(ANNA, 0, 3.5, 7), (ANNA, 0, 0.0, 8), (ANNA, 1, 0.0, 7), (ANNA, 0, -1.5, 7)])
def test_a_box_without_a_track_says_that_the_table_is_another_one(box: Box) -> None:
    table = tracks_of(("cam1", 7, 0, 2, 0))
    assert find_tracks(presence_of([(ANNA, 0, 1.0, 7)]), CAMERAS, table) is not None
    assert find_tracks(presence_of([(ANNA, 0, 1.0, 7), box]), CAMERAS, table) is None


def test_where_nobody_was_found_no_track_is_needed() -> None:
    presence = presence_of([(ANNA, 0, 0.0, NOT_FOUND)])
    found = find_tracks(presence, CAMERAS, tracks_of(("cam1", 7, 9, 9, 9)))
    assert found is not None
    assert found.tolist() == [NOT_FOUND]
    assert decided_after(find_visits(presence), presence, found, np.zeros(1)) == (0, 0)


# How soon


def test_seconds_count_from_when_somebody_was_found() -> None:
    boxes = [*every_tenth(ANNA, 0, 0, 0.9, NOT_FOUND), *every_tenth(ANNA, 0, 1, 5, 7)]
    assert waits(boxes, [0] * len(boxes), [2.5]) == pytest.approx((1.5, 1.5))


def test_a_track_that_was_decided_before_it_finds_somebody_is_decided_at_once() -> None:
    first, second = every_tenth(ANNA, 0, 0, 4, 7), every_tenth(BERT, 0, 4.1, 9, 7)
    assert waits([*first, *second], [0] * (len(first) + len(second)), [1.0]) == pytest.approx((0.0, 1.0))


def test_who_comes_back_is_waited_for_again() -> None:
    visits = [every_tenth(ANNA, 0, 10 * n, 10 * n + 5, 7) for n in range(3)]
    tracks = [track for track, visit in enumerate(visits) for _ in visit]
    boxes = [box for visit in visits for box in visit]
    assert waits(boxes, tracks, [0.5, 12.0, 21.0]) == pytest.approx((1.0, 2.0))
    # A track may last through an absence; it is known again from the first box on.
    assert waits(boxes, [0] * len(boxes), [0.5]) == pytest.approx((0.0, 0.5))


@pytest.mark.parametrize("never", [np.nan, np.inf])
def test_what_was_never_decided_is_waited_for_without_end(never: float) -> None:
    boxes = [*every_tenth(ANNA, 0, 0, 5, 7), *every_tenth(BERT, 1, 0, 5, 8)]
    tracks = [0 if person == ANNA else 1 for person, *_ in boxes]
    assert waits(boxes, tracks, [2.0, never]) == (2.0, np.inf)
    assert waits(boxes, tracks, [never, never]) == (np.inf, np.inf)


def by_plain_loops(boxes: list[tuple[Box, int]], decided_s: FloatArray) -> list[float]:
    """Seconds of each visit that was found, in the words of the docstrings; boxes with their tracks."""
    known: list[tuple[int, float]] = []  # identities, and when one was settled for somebody
    last: dict[tuple[int, int], float] = {}
    for (person, _, time, identity), track in boxes:
        if identity != NOT_FOUND:
            if time - last.get((track, person), -np.inf) >= 1.0 - 1e-6 and decided_s[track] < np.inf:
                known.append((identity, max(time, decided_s[track])))
            last[track, person] = time
    waited = []
    for person in {box[0] for box, _ in boxes}:
        visit: list[Box] = []
        for box in [*(box for box, _ in boxes if box[0] == person), (person, 0, np.inf, NOT_FOUND)]:
            if visit and box[2] - visit[-1][2] >= 1.0 - 1e-6:
                names = [one[3] for one in visit if one[3] != NOT_FOUND]
                if names:
                    name = max(dict.fromkeys(names), key=names.count)
                    found_s = next(one[2] for one in visit if one[3] != NOT_FOUND)
                    later = [s - found_s for identity, s in known if identity == name and s >= found_s - 1e-6]
                    waited.append(max(0.0, min(later, default=np.inf)))
                visit = []
            visit.append(box)
    return sorted(waited)


@pytest.mark.parametrize("seed", range(30))
def test_seconds_equal_plain_loops_on_random_worlds(seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes = [
        ((person, 0, tenth / 10, NOT_FOUND if random.uniform() < 0.3 else int(track) % 4), int(track))
        for person in range(4)
        for begin, length, track in random.integers((0, 1, 0), (150, 40, 12), (5, 3))
        for tenth in range(begin, begin + length)
    ]
    # Nobody has two boxes in a frame, and no track has.
    boxes = [*{(box[0], box[2]): (box, track) for box, track in boxes}.values()]
    boxes = [*{(track, box[2]): (box, track) for box, track in boxes}.values()]
    boxes.sort(key=lambda pair: (pair[0][2], pair[0][0]))
    decided_s = random.uniform(0, 20, 12)
    decided_s[random.uniform(size=12) < 0.2] = np.inf
    presence, tracks = presence_of([box for box, _ in boxes]), np.array([track for _, track in boxes])
    expected = by_plain_loops(boxes, decided_s)
    half, most = decided_after(find_visits(presence), presence, tracks, decided_s)
    assert half == pytest.approx(expected[(len(expected) - 1) // 2])
    assert most == pytest.approx(expected[int(np.ceil(0.95 * len(expected))) - 1])


# The command


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Anna is in cam1 in the first second and in cam2 in the fourth, 25 frames a second, under one number."""
    for name, first in zip(CAMERAS, (1, 76), strict=True):
        frames = np.arange(first, first + 26)
        box = np.tile([5.0, 5.0, 20.0, 40.0], (26, 1))
        truth = MotTable.of_people(frames, np.full(26, ANNA), box, np.ones(26))
        write_sequence(tmp_path / "gt", name, truth, 200)
        write_result(
            tmp_path / "run" / "mot", name, MotTable.of_people(frames, np.full(26, 7), box, np.ones(26))
        )
    return tmp_path


TRACKS = tracks_of(("cam1", 7, 0, 1, 0.4), ("cam2", 7, 3, 4, 3.92))


def report_of(folder: Path, min_away_s: float = 1.0) -> Report:
    return evaluate_results(folder / "run", folder / "gt", many_cameras=True, min_away_s=min_away_s)


def printed(report: Report) -> str:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(scores_table(report))
    return " ".join(capture.get().split())


def test_seconds_until_decided_are_printed_where_the_run_tells_them(site: Path) -> None:
    assert "seconds until decided" not in printed(report_of(site))
    write_tracks(site / "run" / "tracks.csv", [TRACKS])
    report = report_of(site)
    assert report.reentry
    assert report.reentry.decided_s == pytest.approx((0.4, 0.92))
    assert printed(report).endswith("seconds until decided who somebody is: median 0.4, 95 % at most 0.9")
    # With a longer absence it is one visit, which was decided once.
    longer = report_of(site, min_away_s=2.5).reentry
    assert longer
    assert longer.decided_s == pytest.approx((0.4, 0.4))


def test_what_was_never_decided_is_said_so(site: Path) -> None:
    write_tracks(site / "run" / "tracks.csv", [replace(TRACKS, decided_s=np.array([0.4, np.nan]))])
    assert printed(report_of(site)).endswith("median 0.4, 95 % at most never")
    command = [str(site / "run"), "--gt", str(site / "gt"), "--json", str(site / "scores.json")]
    assert main([*command, "--many-cameras"]) == 0
    assert json.loads((site / "scores.json").read_text())["reentry"]["decided_s"] == [0.4, None]


def test_tracks_of_a_live_run_have_another_clock_and_cost_a_warning(site: Path) -> None:
    unix_s = 1_763_700_000.0
    live = replace(TRACKS, begin_s=TRACKS.begin_s + unix_s, end_s=TRACKS.end_s + unix_s)
    write_tracks(site / "run" / "tracks.csv", [live])
    report = report_of(site)
    assert report.reentry
    assert report.reentry.decided_s is None
    assert report.reentry.counts.returns_recognised == 1
    assert "warning: no seconds until decided: tracks.csv is not of these results" in printed(report)


def test_a_damaged_tracks_file_is_refused_by_name(site: Path) -> None:
    (site / "run" / "tracks.csv").write_text("camera\n")
    with pytest.raises(ReuniteError, match=r"tracks.csv: cannot be read: its first line is not"):
        report_of(site)
    # One camera at a time needs no tracks.
    assert evaluate_results(site / "run", site / "gt").reentry is None
