from itertools import permutations
from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, read_mot, read_seqinfo
from tests.conftest import shared_folder
from tests.scoring import (
    COMBINED,
    assert_equal_scores,
    linked,
    noisy_result,
    random_world,
    trackeval_scores,
    write_result,
    write_sequence,
)
from tracker.metrics import (
    FramePair,
    GroundTruth,
    Scores,
    compare,
    count_clear,
    count_hota,
    count_identity,
    score_cameras,
    score_sequence,
)

SEEDS = range(12)


def table(*rows: tuple[float, ...]) -> MotTable:
    """Rows of frame, id, left; the boxes are 10 pixels wide and high."""
    values = np.array(rows, np.float64).reshape(-1, 3)
    boxes = np.column_stack([values[:, 2], np.zeros(len(values)), np.full((len(values), 2), 10.0)])
    return MotTable.of_people(
        values[:, 0].astype(np.int64), values[:, 1].astype(np.int64), boxes, np.ones(len(values))
    )


def score(result: MotTable, truth: MotTable, num_frames: int = 100) -> Scores:
    return score_sequence(result, GroundTruth("door", truth, num_frames))


def pair(people: list[int], tracks: list[int], ious: list[list[float]]) -> FramePair:
    values: FloatArray = np.array(ious, np.float64).reshape(len(people), len(tracks))
    return FramePair(np.array(people, np.int64), np.array(tracks, np.int64), values)


# By hand


def test_two_tracks_on_one_person_by_hand() -> None:
    # 10 frames, found in all, the track changes after 5: A(c) = 5 / (10 + 5 - 5) for each box.
    truth = table(*((frame, 1, 0.0) for frame in range(1, 11)))
    result = table(*((frame, 1 if frame <= 5 else 2, 0.0) for frame in range(1, 11)))
    scores = score(result, truth)
    assert scores.clear.switches == 1
    assert scores.mota == pytest.approx(0.9)
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.det_a == pytest.approx(1)
    assert scores.ass_a == pytest.approx(0.5)
    assert scores.hota == pytest.approx(np.sqrt(0.5))
    assert scores.loc_a == pytest.approx(1)


def test_a_jittered_box_counts_up_to_its_overlap() -> None:
    # Shifted by 2 of 10 pixels: IoU = 8 / 12, which passes 13 of the 19 overlaps 0.05, ..., 0.95.
    scores = score(table((1, 1, 2.0)), table((1, 1, 0.0)))
    assert scores.motp == pytest.approx(2 / 3)
    assert scores.det_a == scores.ass_a == scores.hota == pytest.approx(13 / 19)
    assert scores.loc_a == pytest.approx((13 * 2 / 3 + 6) / 19)


def test_half_overlap_is_enough() -> None:
    assert count_clear([pair([1], [1], [[0.5]])]).true_positives == 1
    assert count_identity([pair([1], [1], [[0.5]])]).true_positives == 1
    assert count_clear([pair([1], [1], [[0.4999]])]).true_positives == 0
    assert count_identity([pair([1], [1], [[0.4999]])]).true_positives == 0


def test_a_pair_of_the_frame_before_is_kept_against_a_better_one() -> None:
    counts = count_clear([pair([1], [1], [[1.0]]), pair([1], [1, 2], [[0.6, 0.9]])])
    assert (counts.switches, counts.false_positives) == (0, 1)


def test_a_pair_of_an_earlier_frame_is_not_kept() -> None:
    # motmetrics keeps it; TrackEval and the devkit of the challenge do not.
    lost = pair([1], [9], [[0.0]])
    counts = count_clear([pair([1], [1], [[1.0]]), lost, pair([1], [1, 2], [[0.6, 0.9]])])
    assert (counts.switches, counts.false_positives, counts.false_negatives) == (1, 2, 1)


def test_a_switch_is_counted_however_long_the_person_was_lost() -> None:
    lost = [pair([1], [9], [[0.0]])] * 50
    assert count_clear([pair([1], [1], [[1.0]]), *lost, pair([1], [2], [[1.0]])]).switches == 1


def test_a_person_found_three_times_is_fragmented_twice() -> None:
    found, lost = pair([1], [1], [[1.0]]), pair([1], [1], [[0.0]])
    assert count_clear([lost, found, lost, lost, found, found, lost, found, lost]).fragmentations == 2


@pytest.mark.parametrize(
    ("found", "expected"), [(10, "MT"), (9, "MT"), (8, "PT"), (2, "PT"), (1, "ML"), (0, "ML")]
)
def test_mostly_tracked_is_above_four_fifths_and_mostly_lost_below_one_fifth(
    found: int, expected: str
) -> None:
    truth = table(*((frame, 1, 0.0) for frame in range(1, 11)))
    figures = score(truth[:found], truth).as_dict()
    assert {kind: figures[kind] for kind in ("MT", "PT", "ML")} == {
        kind: int(kind == expected) for kind in ("MT", "PT", "ML")
    }


@pytest.mark.parametrize("ignored_class", [2, 7, 8, 12])
def test_a_box_on_an_ignored_class_is_neither_right_nor_wrong(ignored_class: int) -> None:
    both = table((1, 1, 0.0), (1, 2, 50.0))
    truth = MotTable(both.frames, both.ids, both.boxes, both.scores, np.array([1, ignored_class]), np.ones(2))
    assert score(both, truth).mota == 1
    assert score(both, truth).clear.false_positives == 0


@pytest.mark.parametrize("other_class", [3, 4, 5, 6, 9, 10, 11, 13])
def test_a_box_on_another_class_is_wrong(other_class: int) -> None:
    both = table((1, 1, 0.0), (1, 2, 50.0))
    truth = MotTable(both.frames, both.ids, both.boxes, both.scores, np.array([1, other_class]), np.ones(2))
    assert score(both, truth).clear.false_positives == 1


def test_a_person_in_front_of_an_ignored_one_keeps_the_box() -> None:
    # The box overlaps both, and the person more: matching all classes at once gives it to the person.
    both = table((1, 1, 0.0), (1, 2, 2.0))
    truth = MotTable(both.frames, both.ids, both.boxes, both.scores, np.array([1, 7]), np.ones(2))
    assert score(table((1, 1, 0.5)), truth).clear.true_positives == 1


def test_a_box_on_a_person_with_flag_zero_is_wrong() -> None:
    one = table((1, 1, 0.0))
    truth = MotTable(one.frames, one.ids, one.boxes, np.zeros(1), one.classes, one.visibility)
    figures = score(one, truth).as_dict()
    assert (figures["FP"], figures["FN"]) == (1, 0)


# Odd cases


def test_nobody_there_and_nobody_found_scores_zero_and_locates_perfectly() -> None:
    figures = score(MotTable.empty(), MotTable.empty()).as_dict()
    assert figures.pop("LocA") == 1
    assert set(figures.values()) == {0}


def test_nobody_found_misses_all() -> None:
    truth = table((1, 1, 0.0), (2, 1, 0.0), (2, 2, 50.0))
    figures = score(MotTable.empty(), truth).as_dict()
    assert (figures["FN"], figures["IDFN"], figures["ML"]) == (3, 3, 2)
    assert figures["MOTA"] == figures["HOTA"] == figures["IDF1"] == figures["Prcn"] == 0


def test_nobody_there_makes_every_box_wrong() -> None:
    figures = score(table((1, 1, 0.0), (2, 1, 0.0)), MotTable.empty()).as_dict()
    assert (figures["FP"], figures["IDFP"]) == (2, 2)
    assert figures["MOTA"] == figures["HOTA"] == figures["IDF1"] == figures["Rcll"] == 0


def test_no_frames_score_as_nobody() -> None:
    assert score(table((1, 1, 0.0)), table((1, 1, 0.0)), 1).mota == 1
    nothing = score_sequence(table((1, 1, 0.0)), GroundTruth("door", table((1, 1, 0.0)), 1), range(2, 2))
    assert nothing.as_dict() == score(MotTable.empty(), MotTable.empty()).as_dict()
    assert score_cameras([]).as_dict() == nothing.as_dict()


def test_frames_outside_the_window_do_not_count() -> None:
    truth = table(*((frame, 1, 0.0) for frame in range(1, 11)))
    wrong_outside = table(*((frame, 1, 0.0 if 4 <= frame <= 6 else 50.0) for frame in range(1, 11)))
    scores = score_sequence(wrong_outside, GroundTruth("door", truth, 10), range(4, 7))
    assert scores.hota == scores.mota == scores.idf1 == 1
    assert scores.clear.true_positives == 3


def test_boxes_after_the_last_frame_are_refused() -> None:
    with pytest.raises(ReuniteError, match=r"^door: result has a box in frame 11, but .* ends at frame 10$"):
        score(table((11, 1, 0.0)), table((1, 1, 0.0)), 10)
    with pytest.raises(ReuniteError, match=r"^door: ground truth has a box in frame 11"):
        score(table((1, 1, 0.0)), table((11, 1, 0.0)), 10)


def test_a_class_that_the_challenge_does_not_have_is_refused() -> None:
    one = table((1, 1, 0.0))
    truth = MotTable(one.frames, one.ids, one.boxes, one.scores, np.array([0]), one.visibility)
    with pytest.raises(ReuniteError, match=r"^door: ground truth of class 0;"):
        GroundTruth("door", truth, 1)


# Against brute force and reference implementations


@pytest.mark.parametrize("seed", range(20))
def test_identity_equals_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    people, tracks = random.integers(1, 5, 2).tolist()
    ious = random.uniform(0, 1, (10, people, tracks))
    pairs = [FramePair(np.arange(people), np.arange(tracks), frame) for frame in ious]
    agreeing = (ious >= 0.5).sum(axis=0)
    wide = agreeing if people <= tracks else agreeing.T
    choices = permutations(range(wide.shape[1]), wide.shape[0])
    best = max(wide[np.arange(wide.shape[0]), choice].sum() for choice in choices)
    assert count_identity(pairs).true_positives == best


@pytest.mark.parametrize("seed", SEEDS)
def test_every_figure_equals_trackeval(tmp_path: Path, seed: int) -> None:
    worlds = {f"SEQ-{index}": random_world(seed * 3 + index) for index in range(3)}
    ours = {}
    for name, truth in worlds.items():
        result = noisy_result(truth, seed)
        write_sequence(tmp_path / "gt", name, truth, 60)
        write_result(tmp_path / "result", name, result)
        written = read_mot(tmp_path / "result" / f"{name}.txt", unique_ids=True)
        ours[name] = score(written, read_mot(tmp_path / "gt" / name / "gt" / "gt.txt", unique_ids=True), 60)
    theirs = trackeval_scores(tmp_path / "gt", tmp_path / "result", dict.fromkeys(worlds, 60))
    for name, scores in ours.items():
        assert_equal_scores(scores.as_dict(), theirs[name])
    first, *others = ours.values()
    assert_equal_scores(sum(others, start=first).as_dict(), theirs[COMBINED])


@pytest.mark.parametrize("benchmark", ["MOT15", "MOT20"])
def test_benchmarks_with_other_rules_equal_trackeval(tmp_path: Path, benchmark: str) -> None:
    truth = random_world(5)
    write_sequence(tmp_path / "gt", "SEQ", truth, 60)
    write_result(tmp_path / "result", "SEQ", noisy_result(truth, 5))
    written = read_mot(tmp_path / "gt" / "SEQ" / "gt" / "gt.txt")
    if benchmark == "MOT15":  # which has no classes
        written = MotTable.of_people(written.frames, written.ids, written.boxes, written.scores)
    ignored = frozenset({2, 6, 7, 8, 12})
    ours = score_sequence(read_mot(tmp_path / "result" / "SEQ.txt"), GroundTruth("SEQ", written, 60, ignored))
    theirs = trackeval_scores(tmp_path / "gt", tmp_path / "result", {"SEQ": 60}, benchmark)
    assert_equal_scores(ours.as_dict(), theirs["SEQ"])


@pytest.mark.parametrize("is_result_empty", [True, False])
def test_an_empty_side_equals_trackeval(tmp_path: Path, is_result_empty: bool) -> None:
    world = random_world(1)
    people = MotTable.of_people(world.frames, world.ids, world.boxes, np.ones(len(world)))
    truth, result = (people, MotTable.empty()) if is_result_empty else (MotTable.empty(), people)
    write_sequence(tmp_path / "gt", "SEQ", truth, 60)
    write_result(tmp_path / "result", "SEQ", result)
    theirs = trackeval_scores(tmp_path / "gt", tmp_path / "result", {"SEQ": 60})
    assert_equal_scores(score(result, truth, 60).as_dict(), theirs["SEQ"])


@pytest.mark.parametrize("seed", SEEDS)
def test_identity_and_clear_counts_equal_motmetrics(seed: int) -> None:
    # Where at most one track overlaps a person, every tool has to make the same pairs. Its fragmentations
    # and mostly-tracked follow other definitions, see docs/evaluation.md.
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(80):
        people, tracks = (
            np.flatnonzero(random.uniform(size=6) < 0.7),
            random.permutation(6)[: random.integers(7)],
        )
        ious = np.zeros((len(people), len(tracks)))
        for row, column in zip(range(len(people)), range(len(tracks)), strict=False):
            ious[row, column] = random.uniform(0.2, 1)
        pairs.append(FramePair(people, tracks, ious))
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in pairs:
        distances = np.where(frame.ious >= 0.5, 1 - frame.ious, np.nan)
        accumulator.update(frame.people, frame.tracks, distances)
    names = [
        "num_misses",
        "num_false_positives",
        "num_switches",
        "motp",
        "idtp",
        "idfp",
        "idfn",
        "mostly_lost",
    ]
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=names, return_dataframe=False)
    clear, identity = count_clear(pairs), count_identity(pairs)
    assert clear.false_negatives == theirs["num_misses"]
    assert clear.false_positives == theirs["num_false_positives"]
    assert clear.switches == theirs["num_switches"]
    assert clear.mostly_lost == theirs["mostly_lost"]
    assert clear.iou_sum / clear.true_positives == pytest.approx(1 - theirs["motp"])
    assert identity.true_positives == theirs["idtp"]
    assert (identity.false_positives, identity.false_negatives) == (theirs["idfp"], theirs["idfn"])


# Many cameras


@pytest.mark.parametrize("seed", range(4))
def test_many_cameras_equal_trackeval_on_one_long_sequence(tmp_path: Path, seed: int) -> None:
    # TrackEval knows no cameras, but all cameras one after the other are one sequence with shared ids.
    truths = [random_world(seed * 4 + camera) for camera in range(3)]
    results = [noisy_result(truth, seed) for truth in truths]

    def one_after_the_other(tables: list[MotTable]) -> MotTable:
        return MotTable(
            *(np.concatenate([t.frames + 60 * camera for camera, t in enumerate(tables)]),),
            *(np.concatenate([getattr(t, column) for t in tables]) for column in MotTable.__slots__[1:]),
        )

    write_sequence(tmp_path / "gt", "ALL", one_after_the_other(truths), 180)
    write_result(tmp_path / "result", "ALL", one_after_the_other(results))
    whole = read_mot(tmp_path / "gt" / "ALL" / "gt" / "gt.txt"), read_mot(tmp_path / "result" / "ALL.txt")
    cameras = []
    for camera in range(3):
        truth, result = (t[(t.frames - 1) // 60 == camera] for t in whole)
        parts = [
            MotTable(t.frames - 60 * camera, t.ids, t.boxes, t.scores, t.classes, t.visibility)
            for t in (truth, result)
        ]
        cameras.append([*compare(parts[1], GroundTruth(f"cam{camera}", parts[0], 60)).values()])
    ours = score_cameras(cameras).as_dict()
    theirs = trackeval_scores(tmp_path / "gt", tmp_path / "result", {"ALL": 180})["ALL"]
    shared = [key for key in ours if key.startswith("ID") and key != "IDSW"] + [
        "HOTA",
        "DetA",
        "AssA",
        "LocA",
    ]
    assert_equal_scores({key: ours[key] for key in shared}, {key: theirs[key] for key in shared})
    singly = [count_clear(pairs) for pairs in cameras]
    assert ours["IDSW"] == sum(counts.switches for counts in singly)
    assert ours["MT"] == sum(counts.mostly_tracked for counts in singly)


def test_another_id_in_another_camera_is_wrong_for_identity_alone() -> None:
    truth = GroundTruth("cam", table(*((frame, 1, 0.0) for frame in range(1, 11))), 10)
    same, other = (table(*((frame, track, 0.0) for frame in range(1, 11))) for track in (1, 2))
    one_id, two_ids = (
        score_cameras([[*compare(result, truth).values()] for result in (same, second)])
        for second in (same, other)
    )
    assert one_id.hota == one_id.idf1 == one_id.mota == 1
    assert two_ids.mota == two_ids.det_a == 1
    assert two_ids.idf1 == pytest.approx(0.5)
    assert two_ids.ass_a == pytest.approx(0.5)  # A(c) = 10 / (20 + 10 - 10)


# What always holds

worlds = st.builds(random_world, st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 8))


@given(worlds)
@settings(max_examples=30, deadline=None)
def test_a_perfect_result_is_perfect(truth: MotTable) -> None:
    people = truth[(truth.classes == 1) & (truth.scores != 0)]
    figures = score(people, people).as_dict()
    if len(people):
        perfect = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn")
        assert {key: figures[key] for key in perfect} == pytest.approx(dict.fromkeys(perfect, 1))
    assert figures["MT"] == len(np.unique(people.ids))
    assert [figures[key] for key in ("FP", "FN", "IDSW", "IDFP", "IDFN", "ML", "PT")] == [0] * 7


@given(worlds, st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_names_of_ids_and_order_of_rows_do_not_matter(truth: MotTable, seed: int) -> None:
    if not len(truth):
        return
    random = np.random.default_rng(seed)
    result = noisy_result(truth, seed)
    renamed = MotTable(
        result.frames,
        random.permutation(200)[result.ids] * 3 + 5,
        result.boxes,
        result.scores,
        result.classes,
        result.visibility,
    )
    shuffled = renamed[random.permutation(len(renamed))]
    again = score(shuffled, truth[random.permutation(len(truth))])
    assert again.as_dict() == pytest.approx(score(result, truth).as_dict())


@given(worlds, st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_figures_stay_in_their_range_and_counts_add_up(truth: MotTable, seed: int) -> None:
    if not len(truth):
        return
    scores = score(noisy_result(truth, seed), truth)
    figures = scores.as_dict()
    for key in ("HOTA", "DetA", "AssA", "LocA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn"):
        assert 0 <= figures[key] <= 1
    people = truth[(truth.classes == 1) & (truth.scores != 0)]
    assert figures["TP"] + figures["FN"] == figures["IDTP"] + figures["IDFN"] == len(people)
    assert figures["TP"] + figures["FP"] == figures["IDTP"] + figures["IDFP"]
    assert figures["MT"] + figures["PT"] + figures["ML"] == len(np.unique(people.ids))
    assert figures["IDTP"] <= figures["TP"]
    assert figures["MOTA"] <= figures["Rcll"]
    twice = (scores + scores).as_dict()
    fractions = [key for key, value in figures.items() if isinstance(value, float)]
    assert {key: twice[key] for key in fractions} == pytest.approx({key: figures[key] for key in fractions})


# Real ground truth


@pytest.mark.real
def test_real_sequence_with_weak_detections_equals_trackeval(tmp_path: Path) -> None:
    # DPM boxes sit on many things that are not to be scored.
    folder = shared_folder() / "data" / "mot16"
    name, length = "MOT16-09", read_seqinfo(folder / "MOT16-09" / "seqinfo.ini").length
    write_result(tmp_path / "result", name, linked(read_mot(folder / name / "det" / "det.txt"), -1.0))
    truth = GroundTruth(name, read_mot(folder / name / "gt" / "gt.txt", unique_ids=True), length)
    result = read_mot(tmp_path / "result" / f"{name}.txt", unique_ids=True)
    ours = score_sequence(result, truth)
    kept = sum(len(pair.tracks) for pair in compare(result, truth).values())
    assert kept < len(result)
    assert_equal_scores(ours.as_dict(), trackeval_scores(folder, tmp_path / "result", {name: length})[name])
    assert count_hota([*compare(result, truth).values()]).true_positives[9] > 0


def test_frames_without_boxes_cost_nothing() -> None:
    table = MotTable.of_people(
        np.array([1, 10**6]), np.array([1, 1]), np.array([[0.0, 0, 9, 9]] * 2), np.ones(2)
    )
    pairs = compare(table, GroundTruth("long", table, 10**6))
    assert {frame: pair.ious.tolist() for frame, pair in pairs.items()} == {1: [[1.0]], 10**6: [[1.0]]}
