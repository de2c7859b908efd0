"""Re-entry scores: by hand, against a second version in plain loops, and on real ground truth."""

import importlib.util
import io
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console

from foundation.errors import ReuniteError
from foundation.mot_files import (
    MotTable,
    SequenceInfo,
    format_ground_truth,
    format_seqinfo,
    read_mot,
    write_mot,
)
from tests.conftest import shared_folder
from tests.scoring import random_world, write_result, write_sequence
from tracker.evaluate import evaluate_results, main, scores_table
from tracker.metrics.calibration import Calibration, read_calibration
from tracker.metrics.overlap import GroundTruth, compare
from tracker.metrics.reentry import (
    NOT_FOUND,
    Presence,
    Reentry,
    ReentryCounts,
    Visits,
    count_reentries,
    find_presence,
    find_visits,
    seconds_until_decided,
)

RATE = 10.0
ANNA, BERT, CARL = 1, 2, 3
Visit = tuple[int, int, float, float, int]
"""Person, camera, first and last second, and the identity in the result (`NOT_FOUND`: missed)."""


def presence(*visits: Visit) -> Presence:
    """A box every tenth of a second."""
    rows = [
        (person, camera, frame / RATE, identity)
        for person, camera, begin, end, identity in visits
        for frame in range(round(begin * RATE), round(end * RATE) + 1)
    ]
    people, cameras, times, identities = map(np.array, zip(*rows, strict=True))
    return Presence(people, cameras, times, np.ones(len(rows), np.bool_), identities)


def count(*visits: Visit) -> ReentryCounts:
    return count_reentries(find_visits(presence(*visits)))


# By hand


def test_who_returns_to_the_same_camera_under_the_same_identity_is_recognised() -> None:
    assert count((ANNA, 0, 0, 5, 7), (ANNA, 0, 8, 12, 7)) == ReentryCounts(1, 0, 1, 1, 0, 0, 1, 0)


def test_who_returns_to_another_camera_under_a_new_identity_is_missed() -> None:
    assert count((ANNA, 0, 0, 5, 7), (ANNA, 1, 8, 12, 9)) == ReentryCounts(1, 1, 1, 0, 1, 0, 1, 0)


def test_a_time_away_counts_from_one_second_on() -> None:
    # From the frame at 0.2 s to the one at 1.2 s rounding leaves 0.9999999999999999 s.
    assert count((ANNA, 0, 0, 0.2, 7), (ANNA, 0, 1.2, 2, 7)).returns == 1
    assert count((ANNA, 0, 0, 0.2, 7), (ANNA, 0, 1.1, 2, 7)).returns == 0
    away_two = presence((ANNA, 0, 0, 1, 7), (ANNA, 0, 3, 4, 7))
    assert [len(find_visits(away_two, min_away_s)) for min_away_s in (0.5, 2.0, 2.1)] == [2, 2, 1]


def test_who_is_still_in_an_overlapping_camera_is_not_away() -> None:
    overlapping = (ANNA, 0, 0, 5, 7), (ANNA, 1, 4, 20, 7), (ANNA, 0, 15, 18, 8)
    assert count(*overlapping) == ReentryCounts(0, 0, 0, 0, 0, 0, 1, 0)
    # Last seen by cameras 0 and 1, first seen by 1 and 2: not another camera. Then by 0 alone: another.
    back = (ANNA, 0, 0, 5, 7), (ANNA, 1, 0, 5, 7), (ANNA, 1, 9, 10, 7), (ANNA, 2, 9, 12, 7)
    assert count(*back) == ReentryCounts(1, 0, 1, 1, 0, 0, 1, 0)
    assert count(*back, (ANNA, 0, 20, 21, 7)) == ReentryCounts(2, 1, 2, 2, 0, 0, 1, 0)


def test_a_return_that_nobody_detected_is_counted_and_not_held_against_the_identities() -> None:
    unseen = (ANNA, 0, 8, 12, NOT_FOUND)
    assert count((ANNA, 0, 0, 5, 7), unseen) == ReentryCounts(1, 0, 0, 0, 0, 0, 1, 0)
    # It is passed over: 7 is known from the visit before it.
    assert count((ANNA, 0, 0, 5, 7), unseen, (ANNA, 0, 20, 22, 7)) == ReentryCounts(2, 0, 1, 1, 0, 0, 1, 0)


def test_who_was_not_found_before_is_a_stranger_at_the_return() -> None:
    assert count((ANNA, 0, 0, 5, NOT_FOUND), (ANNA, 0, 8, 12, 7)) == ReentryCounts(1, 0, 0, 0, 0, 0, 1, 0)


def test_a_stranger_with_an_identity_in_use_is_taken_for_somebody() -> None:
    assert count((ANNA, 0, 0, 5, 7), (BERT, 0, 6, 9, 7)) == ReentryCounts(0, 0, 0, 0, 0, 0, 2, 1)
    # The error counts once: when they come back, both are taken for who they were before.
    merged = (ANNA, 0, 0, 5, 7), (BERT, 0, 6, 9, 7), (ANNA, 1, 20, 25, 7), (BERT, 1, 30, 35, 7)
    assert count(*merged) == ReentryCounts(2, 2, 2, 2, 0, 0, 2, 1)


def test_one_identity_for_everybody_recognises_all_and_takes_all_strangers_but_one_for_somebody() -> None:
    visits = [(person, 0, 10.0 * turn + person, 10.0 * turn + person + 1, 1) for turn in (0, 1) for person in
             (ANNA, BERT, CARL)]  # fmt: skip
    assert count(*visits) == ReentryCounts(3, 0, 3, 3, 0, 0, 3, 2)


def test_a_return_may_be_taken_for_somebody_else() -> None:
    visits = (ANNA, 0, 0, 5, 7), (BERT, 0, 0, 5, 8), (ANNA, 0, 10, 15, 8)
    assert count(*visits) == ReentryCounts(1, 0, 1, 0, 0, 1, 2, 0)


def test_any_earlier_identity_of_the_person_is_right() -> None:
    visits = (ANNA, 0, 0, 1, 7), (ANNA, 0, 5, 6, 8), (ANNA, 0, 10, 11, 7), (ANNA, 0, 15, 16, 8)
    assert count(*visits) == ReentryCounts(3, 0, 3, 2, 1, 0, 1, 0)


def test_a_switch_within_a_visit_leaves_it_the_identity_of_most_boxes() -> None:
    # Anna is 7 for three seconds, then 9 for one; Bert borrows 7 for one second of his five as 8.
    visits = (ANNA, 0, 0, 3, 7), (ANNA, 0, 3.1, 4, 9), (BERT, 0, 2, 6, 8), (BERT, 0, 6.1, 7, 7)
    visit_of_anna, visit_of_bert = find_visits(presence(*visits)).identity_ids
    assert (visit_of_anna, visit_of_bert) == (7, 8)
    back = (ANNA, 0, 20, 22, 7), (BERT, 0, 20, 22, 8)
    assert count(*visits, *back) == ReentryCounts(2, 0, 2, 2, 0, 0, 2, 0)
    # 9 was never the identity of a visit, so nobody had it.
    assert count(*visits, (ANNA, 0, 20, 22, 9)) == ReentryCounts(1, 0, 1, 0, 1, 0, 2, 0)


def test_at_a_tie_the_earlier_identity_counts() -> None:
    assert find_visits(presence((ANNA, 0, 0, 0.9, 9), (ANNA, 0, 1, 1.9, 7))).identity_ids.tolist() == [9]


def test_who_had_an_identity_later_is_mistaken_even_if_they_came_first() -> None:
    # Anna came back first, but took 7 over, in the middle of her stay, only after Bert had it.
    visits = (ANNA, 0, 0, 1, 5), (ANNA, 0, 10, 11, 6), (ANNA, 0, 11.1, 15, 7), (BERT, 0, 10.5, 11, 7)
    assert find_visits(presence(*visits)).identified_s.tolist() == [0, 11.1, 10.5]
    assert count(*visits) == ReentryCounts(1, 0, 1, 0, 0, 1, 2, 0)


def test_nobody_there_gives_nothing() -> None:
    none, never = np.empty(0, np.int64), np.empty(0)
    empty = Presence(none, none, never, never > 0, none)
    nothing = count_reentries(find_visits(empty))
    assert nothing == ReentryCounts(0, 0, 0, 0, 0, 0, 0, 0)
    assert (nothing.missed_rate, nothing.false_merge_rate) == (0, 0)
    strangers = count((ANNA, 0, 0, 1, NOT_FOUND))
    assert strangers == nothing


def test_counts_of_two_sites_are_added_and_rates_come_from_the_sums() -> None:
    both = count((ANNA, 0, 0, 5, 7), (ANNA, 1, 8, 12, 9)) + count((ANNA, 0, 0, 5, 7), (BERT, 0, 6, 9, 7))
    assert both == ReentryCounts(1, 1, 1, 0, 1, 0, 3, 1)
    assert both.missed_rate == 1
    assert both.false_merge_rate == pytest.approx(1 / 3)


# From boxes


def boxes(*rows: tuple[int, int, float, float]) -> MotTable:
    """Rows of frame, person, left, flag; boxes are 10 pixels wide and 20 high."""
    frames, ids, left, flags = (np.array(column) for column in zip(*rows, strict=True))
    sizes = np.column_stack([left, np.zeros(len(left)), np.full((len(left), 2), (10.0, 20.0))])
    return MotTable.of_people(frames, ids, sizes, flags.astype(np.float64))


def present(truth: MotTable, result: MotTable, frames: range = range(1, 101)) -> Presence:
    ground = GroundTruth("door", truth, 100)
    return find_presence(3, ground, compare(result, ground, frames), frames, RATE)


def test_people_are_matched_one_to_one_from_half_overlap_on() -> None:
    truth = boxes((1, ANNA, 0, 1), (1, BERT, 4, 1), (2, ANNA, 0, 1), (3, ANNA, 0, 1))
    # 50 lies on both, nearer to Bert; 3.4 px aside is an overlap of 0.49, 3.3 px one of 0.504.
    found = present(truth, boxes((1, 50, 3, 1), (2, 60, 3.4, 1), (3, 70, 3.3, 1)))
    assert found.people.tolist() == [ANNA, BERT, ANNA, ANNA]
    assert found.times.tolist() == [0, 0, 0.1, 0.2]
    assert found.cameras.tolist() == [3] * 4
    assert found.identity_ids.tolist() == [NOT_FOUND, 50, NOT_FOUND, 70]


def test_a_box_with_flag_0_says_that_somebody_is_there_and_is_never_found() -> None:
    truth = boxes(*((frame, ANNA, 0, frame not in range(5, 30)) for frame in range(1, 40)))
    result = boxes(*((frame, 7, 0, 1) for frame in range(1, 40)))
    found = present(truth, result)
    assert (found.identity_ids == NOT_FOUND).tolist() == [frame in range(5, 30) for frame in range(1, 40)]
    assert len(find_visits(found)) == 1
    without = found[found.is_scored]
    assert len(find_visits(without)) == 2


def test_who_has_flag_0_only_is_nobody_to_be_found() -> None:
    truth = boxes(*((frame, ANNA, 0, 0) for frame in (1, 2, 40, 41)), (80, ANNA, 0, 1), (99, ANNA, 0, 1))
    result = boxes(*((frame, 7, 0, 1) for frame in (1, 2, 40, 41, 80, 99)))
    visits = find_visits(present(truth, result))
    assert visits.begin_s.tolist() == [7.9, 9.8]
    assert count_reentries(visits) == ReentryCounts(1, 0, 1, 1, 0, 0, 1, 0)


def test_only_class_1_and_the_frames_asked_for_count() -> None:
    truth = boxes((1, ANNA, 0, 1), (50, ANNA, 0, 1), (50, BERT, 80, 1), (90, ANNA, 0, 1))
    truth = MotTable(truth.frames, truth.ids, truth.boxes, truth.scores, np.array([1, 1, 3, 1]),
                     truth.visibility)  # fmt: skip
    found = present(truth, MotTable.empty(), range(2, 90))
    assert (found.people.tolist(), found.times.tolist()) == ([ANNA], [4.9])


# Seconds until decided


def test_a_decision_counts_from_when_its_person_was_found() -> None:
    visits = find_visits(
        presence(
            (ANNA, 0, 0, 1, NOT_FOUND), (ANNA, 0, 1.1, 5, 7), (ANNA, 1, 20, 25, 7),
            (BERT, 0, 0, 5, 8), (CARL, 0, 0, 1, NOT_FOUND),
        )
    )  # fmt: skip
    identities, decided_s = np.array([7, 7, 8, 7]), np.array([21.5, 3.1, -1.0, 30.0])
    waited_s = seconds_until_decided(visits, identities, decided_s)
    assert waited_s.tolist() == [pytest.approx(2.0), pytest.approx(1.5), np.inf, np.inf]


# A second version, in plain loops


def by_brute_force(rows: list[tuple[int, int, float, bool, int]], min_away_s: float) -> ReentryCounts:
    """The definitions of docs/evaluation.md word by word; rows of person, camera, time, scored, identity."""
    visits = []
    for person in sorted({row[0] for row in rows}):
        visit: list[tuple[int, int, float, bool, int]] = []
        for time in sorted({row[2] for row in rows if row[0] == person}):
            if visit and time - visit[-1][2] >= min_away_s - 1e-6:
                visits.append(visit)
                visit = []
            visit = [*visit, *(row for row in rows if row[0] == person and row[2] == time)]
        visits.append(visit)

    def identity(visit: list[tuple[int, int, float, bool, int]]) -> int:
        found = [row[4] for row in sorted(visit, key=lambda row: row[2]) if row[4] != NOT_FOUND]
        most = Counter(found).most_common(1)
        tied = [one for one, boxes in Counter(found).items() if boxes == most[0][1]]
        times = {one: min(row[2] for row in visit if row[4] == one) for one in tied}
        return min(tied, key=lambda one: (times[one], one)) if tied else NOT_FOUND

    named = [(visit, identity(visit)) for visit in visits if identity(visit) != NOT_FOUND]
    had = sorted((min(row[2] for row in visit if row[4] == name), visit[0][0], name) for visit, name in named)
    had_it_first = {name: person for _, person, name in reversed(had)}
    totals = Counter[str]()
    for index, visit in enumerate(visits):
        person, name = visit[0][0], identity(visit)
        before = [one for one in visits[:index] if one[0][0] == person]
        if not any(row[3] for row in visit):
            continue
        if any(row[3] for one in before for row in one):
            totals["returns"] += 1
            last, first = before[-1][-1][2], visit[0][2]
            left = {row[1] for row in before[-1] if row[2] == last}
            totals["returns_elsewhere"] += not left & {row[1] for row in visit if row[2] == first}
        if name == NOT_FOUND:
            continue
        names_before = {identity(one) for one in before} - {NOT_FOUND}
        kind = "returns" if names_before else "strangers"
        totals["returns_found" if names_before else "strangers"] += 1
        if name in names_before:
            totals["returns_recognised"] += 1
        elif had_it_first[name] != person:
            totals[f"{kind}_mistaken"] += 1
        elif names_before:
            totals["returns_missed"] += 1
    return ReentryCounts(**{field: totals[field] for field in ReentryCounts.__dataclass_fields__})


@pytest.mark.parametrize("seed", range(40))
def test_counts_equal_brute_force_on_random_worlds(seed: int) -> None:
    random = np.random.default_rng(seed)
    seen = {}
    for person in range(random.integers(1, 8)):
        for _ in range(random.integers(1, 6)):
            camera, begin, length = random.integers((0, 0, 1), (3, 120, 16))
            habit = int(random.integers(6)) if random.uniform() < 0.5 else person
            for frame in range(begin, begin + length):
                name = random.choice([habit, person, NOT_FOUND], p=(0.6, 0.2, 0.2))
                seen[person, int(camera), frame / 10] = bool(random.uniform() > 0.3), int(name)
    rows = [(*key, scored, name if scored else NOT_FOUND) for key, (scored, name) in seen.items()]
    order = random.permutation(len(rows))
    people, cameras, times, scored, names = map(np.array, zip(*(rows[index] for index in order), strict=True))
    for min_away_s in (0.3, 1.0):
        visits = find_visits(Presence(people, cameras, times, scored, names), min_away_s)
        counts = count_reentries(visits)
        assert counts == by_brute_force(rows, min_away_s)
        parts = counts.returns_recognised + counts.returns_missed + counts.returns_mistaken
        assert counts.returns_found == parts <= counts.returns
        assert (visits.found_s <= visits.identified_s).all()


# The command


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Anna leaves cam1 (10 frames a second) and enters cam2 (20) after 2 s, as somebody new."""
    for name, rate, identity, first in (("cam1", 10.0, 7, 1), ("cam2", 20.0, 9, 61)):
        truth = boxes(*((frame, ANNA, 0, 1) for frame in range(first, first + 11)))
        result = boxes(*((frame, identity, 0, 1) for frame in range(first, first + 11)))
        write_sequence(tmp_path / "gt", name, truth, 200)
        info = SequenceInfo(name, rate, 200, 640, 480)
        (tmp_path / "gt" / name / "seqinfo.ini").write_text(format_seqinfo(info))
        write_result(tmp_path / "run" / "mot", name, result)
    return tmp_path


def printed(folder: Path, min_away_s: float = 1.0) -> list[str]:
    report = evaluate_results(folder / "run", folder / "gt", many_cameras=True, min_away_s=min_away_s)
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(scores_table(report))
    return capture.get().splitlines()


def test_cameras_of_different_frame_rates_share_one_clock(site: Path) -> None:
    # Out of cam1 after its frame 11, at 1 s; in cam2 from its frame 61, at 3 s.
    report = evaluate_results(site / "run", site / "gt", many_cameras=True)
    assert report.reentry == Reentry(1.0, ReentryCounts(1, 1, 1, 0, 1, 0, 1, 0), None)
    for min_away_s, returns in ((2.0, 1), (2.05, 0)):
        report = evaluate_results(site / "run", site / "gt", many_cameras=True, min_away_s=min_away_s)
        assert report.reentry
        assert report.reentry.counts.returns == returns


def test_what_the_run_had_stated_stands_beside_what_is_true(site: Path) -> None:
    assert "at most" not in "\n".join(printed(site))
    rates = {"max_false_merge_rate": 0.02, "expected_false_merge_rate": 0.004, "expected_missed_rate": 0.25}
    (site / "run" / "calibration.json").write_text(json.dumps(rates | {"threshold": 0.31}))
    # Bert comes later and gets the identity of Anna.
    truth = boxes((61, ANNA, 0, 1), (199, BERT, 0, 1))
    (site / "gt" / "cam2" / "gt" / "gt.txt").write_text(format_ground_truth(truth))
    write_result(site / "run" / "mot", "cam2", boxes((61, 9, 0, 1), (199, 7, 0, 1)))
    lines = [" ".join(line.split()) for line in printed(site)]
    assert lines[-8:] == [
        "returns 1",
        "into another camera 1 100.0",
        "found, now and before 1 100.0",
        "recognised 0 0.0",
        "missed: a new identity 1 100.0 25.0",
        "taken for somebody else 0 0.0",
        "strangers, found for the first time 2",
        "taken for somebody 1 50.0 0.4 2.0 25.00",
    ]
    assert "after 1 s or more in no camera count % expected at most true/at most" in lines


def test_the_json_holds_counts_rates_and_calibration(site: Path) -> None:
    command = [str(site / "run"), "--gt", str(site / "gt"), "--json", str(site / "scores.json")]
    assert main(command) == 0
    assert json.loads((site / "scores.json").read_text())["reentry"] is None
    rates = {"max_false_merge_rate": 0.0, "expected_false_merge_rate": 0.0, "expected_missed_rate": 0.25}
    (site / "run" / "calibration.json").write_text(json.dumps(rates))
    assert main([*command, "--many-cameras", "--min-away", "1.5"]) == 0
    assert json.loads((site / "scores.json").read_text())["reentry"] == {
        "min_away_s": 1.5,
        "returns": 1,
        "returns_elsewhere": 1,
        "returns_found": 1,
        "returns_recognised": 0,
        "returns_missed": 1,
        "returns_mistaken": 0,
        "strangers": 1,
        "strangers_mistaken": 0,
        "missed_rate": 1.0,
        "false_merge_rate": 0.0,
        "calibration": rates,
        "calibration_error": None,
        "decided_s": None,
    }


def test_a_camera_without_a_frame_rate_has_no_times_and_is_named(site: Path) -> None:
    (site / "gt" / "cam2" / "seqinfo.ini").unlink()
    report = evaluate_results(site / "run", site / "gt", many_cameras=True)
    assert (report.reentry, report.untimed) == (None, ("cam2",))
    assert "warning: no re-entry scores: cam2 without seqinfo.ini" in " ".join(printed(site))


@pytest.mark.parametrize("min_away_s", [0.1, 0.0, -1.0, float("nan")])
def test_a_time_away_as_short_as_a_frame_is_refused(site: Path, min_away_s: float) -> None:
    with pytest.raises(ReuniteError, match=r"^--min-away .* longer than the 0.1 s between .* of cam1$"):
        evaluate_results(site / "run", site / "gt", many_cameras=True, min_away_s=min_away_s)


def test_a_calibration_file_is_read_or_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    assert read_calibration(file) is None
    for of_cameras in ("{}", '{"cam1": {"size": [640, 360]}}', "[1]"):
        file.write_text(of_cameras)
        assert read_calibration(file) is None
    rates = {"max_false_merge_rate": 0.01, "expected_false_merge_rate": 0, "expected_missed_rate": 1}
    file.write_text(json.dumps(rates))
    assert read_calibration(file) == Calibration(0.01, 0.0, 1.0)
    for bad in (
        {"max_false_merge_rate": 1.5},
        {"expected_missed_rate": "low"},
        {"expected_missed_rate": None},
    ):
        file.write_text(json.dumps(rates | bad))
        with pytest.raises(ReuniteError, match=rf"{next(iter(bad))} must be a fraction from 0 to 1, got"):
            read_calibration(file)
    file.write_text("{")
    with pytest.raises(ReuniteError, match=r"calibration.json: cannot be read"):
        read_calibration(file)


# Real ground truth


def split_cameras() -> ModuleType:
    """The tool that cuts a video into virtual cameras."""
    spec = importlib.util.spec_from_file_location(
        "split_cameras", shared_folder() / "tools" / "split_cameras.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def true_visits(folder: Path, rates: dict[str, float]) -> Visits:
    """Visits of a site whose result is its ground truth."""
    parts = []
    for camera, (name, rate) in enumerate(rates.items()):
        table = read_mot(folder / name / "gt" / "gt.txt")
        truth = GroundTruth(name, table, int(table.frames.max()))
        frames = range(1, truth.num_frames + 1)
        parts.append(find_presence(camera, truth, compare(table, truth, frames), frames, rate))
    return find_visits(Presence.together(parts))


@pytest.mark.real
@pytest.mark.parametrize(
    ("columns", "rows", "gap", "returns", "elsewhere"),
    [(2, 1, 40, 22, 20), (2, 1, 120, 31, 28), (2, 1, 200, 31, 27), (2, 2, 24, 31, 30)],
)
def test_pets_in_virtual_cameras_has_the_returns_that_its_tool_counts(
    tmp_path: Path, columns: int, rows: int, gap: int, returns: int, elsewhere: int
) -> None:
    tool = split_cameras()
    video = shared_folder() / "data" / "video" / "PETS09-S2L1.mp4"
    truth = tool.read_gt(video.with_suffix("") / "gt" / "gt.txt")
    cells = tool.make_grid(768, 576, columns, rows, gap)
    for cell in cells:
        tool.assign_boxes(cell, *truth, min_inside=0.5)
        tool.write_annotations(cell, tmp_path, 7.0, 795, video)
        (tmp_path / "run").mkdir(exist_ok=True)
        write_mot(tmp_path / "run" / f"{cell.name}.txt", read_mot(tmp_path / cell.name / "gt" / "gt.txt"))
    report = evaluate_results(tmp_path / "run", tmp_path, many_cameras=True)
    expected = ReentryCounts(returns, elsewhere, returns, returns, 0, 0, 19, 0)
    assert report.reentry == Reentry(1.0, expected, None)


@pytest.mark.real
def test_four_real_views_have_the_returns_that_are_known() -> None:
    visits = true_visits(
        shared_folder() / "data" / "campus-auditorium", dict.fromkeys(("HC3", "HC4", "IP2", "IP5"), 30.0)
    )
    assert count_reentries(visits) == ReentryCounts(44, 41, 44, 44, 0, 0, 21, 0)


def test_a_result_with_its_own_identities_in_each_camera_misses_who_moves_on(tmp_path: Path) -> None:
    world = random_world(3)
    people = world[(world.classes == 1) & (world.scores != 0)]
    cameras = {}
    for index, name in enumerate(("cam1", "cam2")):
        here = people[(people.frames > 30) == bool(index)]
        write_sequence(tmp_path / "gt", name, here, 60)
        own = MotTable.of_people(here.frames, here.ids + 100 * index, here.boxes, here.scores)
        write_result(tmp_path / "result", name, own)
        cameras[name] = set(here.ids.tolist())
    report = evaluate_results(tmp_path / "result", tmp_path / "gt", many_cameras=True, min_away_s=0.05)
    assert report.reentry
    counts = report.reentry.counts
    assert counts.returns == counts.returns_found > counts.returns_recognised
    assert counts.strangers == len(cameras["cam1"] | cameras["cam2"])
    assert counts.strangers_mistaken == counts.returns_mistaken == 0
