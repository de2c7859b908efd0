"""Tuning: which numbers are searched, how a trial is scored, what is tried next, what is said of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tracker.config import RunConfig, load_config, tunable_values, with_values
from tracker.metrics import GroundTruth, Scores
from tracker.tune.keys import Range, choose_ranges
from tracker.tune.parts import Split, split_recordings
from tracker.tune.recording import Recording
from tracker.tune.report import Outcome
from tracker.tune.scoring import Part, Scorer, score_part
from tracker.tune.search import IMPORTANCE_TRIALS, Search, Trial, TrialLog
from tracker.types import CameraName, Observations

KINDS = ("ultralytics", "onnx", "file", "embedded")


def people(frames: Sequence[int], rate: float = 10.0) -> tuple[Recording, MotTable]:
    """Somebody who stands still and is found in every one of these frames; and the ground truth."""
    boxes = np.array([[10.0, 20.0, 50.0, 120.0]])
    seen = Observations(boxes, np.array([0.9]), np.empty((1, 0), np.float32))
    numbers = np.array(frames)
    still = np.tile(np.eye(2, 3), (len(numbers), 1, 1))
    recording = Recording(CameraName("door"), numbers, (numbers - 1) / rate, still, (seen,) * len(numbers))
    truth = MotTable.of_people(
        numbers,
        np.ones_like(numbers),
        np.tile([10.0, 20.0, 40.0, 100.0], (len(numbers), 1)),
        np.ones(len(numbers)),
    )
    return recording, truth


def part_of(frames: Sequence[int]) -> Part:
    recording, table = people(frames)
    return Part(recording, GroundTruth("door", table, frames[-1]), range(1, frames[-1] + 1))


# Ranges


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_lies_in_its_range_and_every_range_in_the_limits_of_its_field(kind: str) -> None:
    config = load_config(None, [f"detector.kind={kind}"])
    stated = list(tunable_values(config))
    assert {"detector.likely_score", "tracking.max_lost_s", "tracking.stages.1.max_cost"} <= {
        key for key, _, _ in stated
    }
    for key, mark, value in stated:
        assert mark.low < mark.high, key
        assert mark.low <= value <= mark.high, key
        assert not mark.log or mark.low > 0, key
    for end in ("low", "high"):
        with_values(
            config, {key: getattr(mark, end) for key, mark, _ in stated}
        )  # raises if one is not allowed


def test_a_value_goes_to_its_place_in_a_list_and_nothing_else_changes() -> None:
    config = RunConfig()
    changed = with_values(config, {"tracking.stages.1.max_cost": 0.42, "tracking.motion.velocity_sd": 3.0})
    assert changed.tracking.stages[1].max_cost == 0.42
    assert changed.tracking.motion.velocity_sd == 3.0
    before = {
        "tracking.stages.1.max_cost": config.tracking.stages[1].max_cost,
        "tracking.motion.velocity_sd": config.tracking.motion.velocity_sd,
    }
    assert with_values(changed, before) == config
    with pytest.raises(ValueError, match="max_cost"):
        with_values(config, {"tracking.stages.1.max_cost": 1.5})


def test_a_section_stands_for_all_below_it() -> None:
    chosen = choose_ranges(RunConfig(), ["tracking.motion", "tracking.max_lost_s"], has_embeddings=True)
    assert [*chosen] == [
        "tracking.max_lost_s",
        *(f"tracking.motion.{name}_sd" for name in ("measured", "position", "velocity", "start_velocity")),
    ]


def test_what_weighs_appearance_is_searched_only_where_there_are_embeddings() -> None:
    with_looks, without = (choose_ranges(RunConfig(), [], has_embeddings) for has_embeddings in (True, False))
    assert {key.rpartition(".")[2] for key in with_looks.keys() - without.keys()} == {
        "appearance_weight",
        "max_cosine_distance",
        "embedding_ema_s",
    }


def test_only_what_a_trial_can_tell_about_is_searched() -> None:
    keys = choose_ranges(RunConfig(), [], has_embeddings=True)
    assert {key.partition(".")[0] for key in keys} == {"detector", "tracking"}


def test_a_range_is_made_wider_for_the_present_value() -> None:
    config = load_config(None, ["detector={kind: file, likely_score: 30}", "tracking.motion.position_sd=0"])
    ranges = choose_ranges(config, [], has_embeddings=True)
    assert (ranges["detector.likely_score"].low, ranges["detector.likely_score"].high) == (0.2, 30)
    # Nothing is evenly spread in the logarithm from 0 on.
    assert ranges["tracking.motion.position_sd"] == Range(0, 1, False, 0)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("tracking.max_lost", "did you mean 'tracking.max_lost_s'"),
        ("zzz", "those with a range are detector.min_score"),
        ("identity.decide_s", "has no range to search"),
        ("offline.motion.velocity_sd", "has no range to search"),
        ("tracking.stages.0.fuse_score", "has no range to search"),
        ("tracking.embedding_ema_s", "nothing was embedded"),
    ],
)
def test_a_key_that_cannot_be_searched_is_named(key: str, said: str) -> None:
    with pytest.raises(ReuniteError, match=f"--keys {key}: .*{said}"):
        choose_ranges(RunConfig(), [key], has_embeddings=False)


# Scores


def test_without_seqinfo_the_ground_truth_lasts_as_long_as_the_frames(tmp_path: Path) -> None:
    file = tmp_path / "door.txt"
    file.write_text("1,1,10,20,40,100,1,-1,-1,-1\n80,1,10,20,40,100,1,-1,-1,-1\n")
    recording, _ = people(range(1, 101))
    (part,) = split_recordings([recording], {CameraName("door"): file}, [], ["0"]).tuning
    assert part.frames == range(1, 101)
    assert part.boxes_to_find == 2
    scores = score_part(part, load_config(None, ["embedder.kind=none"]))
    assert (scores.clear.true_positives, scores.clear.false_positives) == (2, 98)


def test_boxes_to_find_are_people_with_a_flag_in_the_frames() -> None:
    recording, table = people(range(1, 7))
    table = replace(
        table, classes=np.array([1, 1, 2, 1, 1, 1]), scores=np.array([1, 0, 1, 1, 1, 1], np.float64)
    )
    assert Part(recording, GroundTruth("door", table, 6), range(1, 6)).boxes_to_find == 3


def test_the_fingerprint_of_a_part_hangs_on_all_that_its_scores_hang_on() -> None:
    part = part_of(range(1, 6))
    recording, truth = part.recording, part.truth
    unlikely = tuple(replace(seen, scores=seen.scores - 0.1) for seen in recording.observations)
    others = [
        replace(part, recording=replace(recording, times=recording.times + 0.1)),
        replace(part, recording=replace(recording, motions=recording.motions + 0.1)),
        replace(part, recording=replace(recording, observations=unlikely)),
        replace(part, truth=replace(truth, table=replace(truth.table, ids=truth.table.ids + 1))),
        replace(part, frames=range(1, 5)),
    ]
    assert part_of(range(1, 6)).fingerprint() == part.fingerprint()
    assert len({it.fingerprint() for it in (part, *others)}) == 6


def test_frames_that_nobody_read_are_missed_people() -> None:
    part = part_of(range(1, 11))
    unread = replace(part, recording=part.recording.within(range(20, 30)))
    scores = score_part(unread, load_config(None, ["embedder.kind=none"]))
    assert (scores.clear.false_negatives, scores.clear.false_positives) == (10, 0)


def test_processes_beside_this_one_change_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part_of(range(1, length)) for length in (20, 60, 40)]
    config = load_config(None, ["embedder.kind=none"])
    scores = []
    for processors in (1, 2):
        monkeypatch.setattr("os.cpu_count", lambda count=processors: count)
        with Scorer(parts) as scorer:
            scores.append([scorer.score(config).as_dict() for _ in range(2)])
    assert scores[0] == scores[1]
    assert scores[0][0]["TP"] == 19 + 59 + 39


def test_an_error_in_another_process_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = part_of(range(1, 30)), part_of(range(1, 20))
    bad = replace(bad, recording=replace(bad.recording, times=np.zeros(19)))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Scorer([good, bad]) as scorer, pytest.raises(ValueError, match="time must rise"):
        scorer.score(load_config(None, ["embedder.kind=none"]))


def test_a_process_that_dies_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with Scorer([part_of(range(1, 30)), part_of(range(1, 20))]) as scorer:
        scorer._helpers[0][1].kill()
        scorer._helpers[0][1].join()
        with pytest.raises(ReuniteError, match=r"has died, .* --resume"):
            scorer.score(load_config(None, ["embedder.kind=none"]))


# The search


BOWL = {"a": Range(0.1, 10, True, 9.0), "b": Range(0, 1, False, 0.9), "n": Range(1, 8, False, 8)}


def search_bowl(trials: int, seed: int = 0, begun: Sequence[Trial] = ()) -> Search:
    """Search for the bottom of a bowl, at a = 1, b = 0.3, n = 3."""
    search = Search(BOWL, "HOTA", seed, begun)
    while len(search.trials) < trials:
        values = search.ask()
        depth = np.log(values["a"]) ** 2 + 4 * (values["b"] - 0.3) ** 2 + 0.1 * (values["n"] - 3) ** 2
        search.tell(Trial(values, {"HOTA": 1 - float(depth)}))
    return search


def test_the_present_values_come_first_and_the_bottom_is_found() -> None:
    search = search_bowl(80)
    assert search.trials[0].values == {"a": 9.0, "b": 0.9, "n": 8}
    assert search.best.figures["HOTA"] > 0.97
    assert isinstance(search.best.values["n"], int)
    assert sum(search.importance().values()) == pytest.approx(1)
    assert search_bowl(10).importance() == {}


def test_a_search_hangs_on_its_seed_alone_even_if_it_was_cut_off() -> None:
    whole = search_bowl(25)
    for cut in (0, 1, 7, 24, 25):
        begun = [
            Trial(**json.loads(json.dumps({"values": it.values, "figures": it.figures})))
            for it in whole.trials
        ]
        assert search_bowl(25, begun=begun[:cut]).trials == whole.trials
    assert search_bowl(25, seed=1).trials != whole.trials


def test_where_nothing_is_better_the_present_values_stay() -> None:
    search = Search(BOWL, "HOTA", 0, [])
    for _ in range(IMPORTANCE_TRIALS):
        search.tell(Trial(search.ask(), {"HOTA": 0.5}))
    assert search.best is search.trials[0]
    assert search.importance() == pytest.approx(dict.fromkeys(BOWL, 1 / 3))


def test_values_are_tried_with_four_figures_and_present_ones_exactly() -> None:
    fine = Range(0.1, 10, False, 1.23456789)
    assert fine.rounded(2.3456789) == 2.346
    assert fine.rounded(1.23456789) == 1.23456789
    assert Range(0, 0.123456, False, 0.1).rounded(0.123455) == 0.123456, "rounding must not leave the range"
    assert Range(1, 20000, False, 3).rounded(12345) == 12345


def test_a_log_that_was_cut_off_in_a_line_keeps_the_lines_before(tmp_path: Path) -> None:
    path, settings = tmp_path / "new" / "trials.jsonl", {"--metric": "HOTA", "ranges": {"a": (0, 1)}}
    log = TrialLog.begin(path, settings)
    trials = [Trial({"a": 0.1 + 0.2}, {"HOTA": 1 / 3}), Trial({"a": 0.5}, {"HOTA": 0.7})]
    for trial in trials:
        log.add(trial)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    again = TrialLog.reopen(path, settings)
    assert again.trials == (trials[0],)
    again.add(trials[1])
    assert path.read_bytes() == whole
    with pytest.raises(ReuniteError, match="differs in: --metric;"):
        TrialLog.reopen(path, settings | {"--metric": "IDF1"})
    path.write_text("no JSON\n")
    with pytest.raises(ReuniteError, match="cannot be read as the trials of a search"):
        TrialLog.reopen(path, settings)


# What is said


def outcome(tuning: tuple[Scores, Scores], held_out: tuple[Scores, Scores] | None, after: float) -> Outcome:
    return Outcome(
        config=RunConfig(),
        metric="HOTA",
        trials=2,
        split=Split((), (), "door", "yard"),
        tuning=tuning,
        held_out=held_out,
        ranges={"tracking.max_lost_s": Range(0.3, 10, True, 1.5)},
        values={"tracking.max_lost_s": after},
        importance={},
    )


def test_what_speaks_against_the_new_values_is_said() -> None:
    config = load_config(None, ["embedder.kind=none"])
    good = score_part(part_of(range(1, 40)), config)
    worse = score_part(part_of(range(1, 40)), with_values(config, {"detector.likely_score": 0.9}))
    blind = score_part(part_of(range(1, 40)), load_config(None, ["detector.likely_score=1"]))
    assert good.hota == worse.hota > blind.hota == 0
    assert outcome((good, good), (good, good), 2.0).warning == ""
    assert "HOTA fell from 100.0 to 0.0" in outcome((good, good), (good, blind), 2.0).warning
    assert outcome((blind, good), (blind, good), 2.0).warning == ""
    assert "Nothing was held out" in outcome((good, good), None, 2.0).warning
    assert "Nothing was better" in outcome((good, good), (good, good), 1.5).warning
    assert "No people were found" in outcome((blind, blind), (good, good), 2.0).warning
