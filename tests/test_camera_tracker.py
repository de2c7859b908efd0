import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from foundation.arrays import FloatArray
from tracker.camera_tracker import CameraTracker, Update
from tracker.camera_tracker.pairs import Candidates, Pairs
from tracker.config import AssociationStage, TrackingConfig
from tracker.types import CameraName, Detections, Observations, Tracks

FRAME_S = 0.1
CONFIG = TrackingConfig()
SHORT_COASTING = CONFIG.model_copy(update={"coast_min_share": 0.6, "hidden_coast_s": 0.0})
NOBODY = Observations(np.empty((0, 4)), np.empty(0), np.empty((0, 0), np.float32))


def people(
    *lefts_px: float, score: float = 0.9, top_px: float = 100.0, embeddings: ArrayLike | None = None
) -> Observations:
    """Standing people, 40 x 100 px, at these left edges."""
    boxes = np.array([[left, top_px, left + 40, top_px + 100] for left in lefts_px]).reshape(-1, 4)
    rows = np.empty((len(boxes), 0)) if embeddings is None else np.asarray(embeddings)
    return Observations(boxes, np.full(len(boxes), score), rows.astype(np.float32))


def tracker_of(config: TrackingConfig = CONFIG) -> CameraTracker:
    return CameraTracker(CameraName("door"), config)


def ids_of(tracks: Tracks) -> list[int]:
    return [int(track_id) for track_id in tracks.track_ids]


def both(
    tracker: CameraTracker, time: float, found: Observations, motion: FloatArray | None = None
) -> Update:
    """Send one frame through the tracker."""
    return tracker.update(tracker.compare(tracker.predict(time, motion), found), found)


def follow(
    tracker: CameraTracker, time: float, found: Observations, motion: FloatArray | None = None
) -> Tracks:
    """The tracks that were matched in one frame."""
    return both(tracker, time, found, motion).tracks


def run(tracker: CameraTracker, *frames: Observations, start_s: float = 0.0) -> list[list[int]]:
    return [ids_of(follow(tracker, start_s + number * FRAME_S, frame)) for number, frame in enumerate(frames)]


def random_frames(seed: int, num_frames: int = 40, length: int = 0) -> list[tuple[float, Observations]]:
    """Ten people who walk, with missed and false boxes, changing scores and dropped frames."""
    random = np.random.default_rng(seed)
    corners, steps = random.uniform(0, 500, (10, 2)), random.normal(0, 8, (10, 2))
    appearance = random.normal(size=(14, length))
    time, frames = 0.0, []
    for _ in range(num_frames):
        time += float(random.choice([1 / 30, 1 / 30, 0.2, 1.0]))
        corners = corners + steps
        found = np.concatenate((corners, random.uniform(0, 500, (4, 2))))
        boxes = np.concatenate((found, found + np.array([40, 100])), axis=1) + random.normal(0, 2, (14, 4))
        embeddings = appearance + 0.3 * random.normal(size=appearance.shape)
        embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
        everybody = Observations(boxes, random.uniform(0, 1, 14), embeddings.astype(np.float32))
        frames.append((time, everybody[random.random(14) < 0.7]))
    return frames


def test_trackers_share_nothing() -> None:
    lonely, busy = (CameraTracker(CameraName(name), CONFIG) for name in ("lonely", "busy"))
    before = ids_of(follow(lonely, 0.0, people(100)))
    for step in range(5):
        follow(busy, step * 10.0, people(100))
    assert ids_of(follow(lonely, 0.1, people(100))) == before == [1]


def test_people_of_the_first_frame_are_reported_at_once_and_later_ones_when_found_again() -> None:
    assert run(tracker_of(), people(100), people(100, 500), people(100, 500)) == [[1], [1], [1, 2]]


def test_a_tentative_track_that_is_missed_once_is_forgotten() -> None:
    assert run(tracker_of(), NOBODY, people(100), NOBODY, people(100), people(100)) == [[], [], [], [], [2]]


def test_a_low_score_goes_on_but_never_starts() -> None:
    low = people(100, score=0.3)
    assert run(tracker_of(), people(100), low, low) == [[1], [1], [1]]
    assert run(tracker_of(), low, low, low) == [[], [], []]


@pytest.mark.parametrize("score", [*np.linspace(0.1, 1.0, 19), 0.6, 0.7, np.nextafter(0.6, 0)])
def test_no_score_falls_between_two_thresholds(score: float) -> None:
    assert run(tracker_of(), people(100), people(100, score=score)) == [[1], [1]]


@pytest.mark.parametrize("rate", [5.0, 30.0])
def test_a_lost_track_comes_back_within_max_lost_s_at_every_frame_rate(rate: float) -> None:
    for away_s, comes_back in ((CONFIG.max_lost_s - 0.3, True), (CONFIG.max_lost_s + 0.3, False)):
        tracker = tracker_of()
        follow(tracker, 0.0, people(100))
        for number in range(1, round(away_s * rate)):
            assert ids_of(follow(tracker, number / rate, NOBODY)) == []
        follow(tracker, away_s, people(100))
        assert ids_of(follow(tracker, away_s + 1 / rate, people(100))) == [1 if comes_back else 2]


def test_a_lost_track_ends_as_well_when_all_frames_of_the_gap_dropped() -> None:
    tracker = tracker_of()
    assert run(tracker, people(100)) == [[1]]
    assert run(tracker, people(100), people(100), start_s=CONFIG.max_lost_s + 0.1) == [[], [2]]


def test_ids_are_never_used_again() -> None:
    tracker, seen = tracker_of(), set[int]()
    for visit in range(5):
        now = run(tracker, people(100), people(100), NOBODY, start_s=visit * 100.0)
        assert not seen.intersection(now[1])
        seen.update(now[1])
    assert seen == {1, 2, 3, 4, 5}


def test_a_walk_goes_on_behind_a_pillar() -> None:
    frames = [people(100 + 12.0 * step) for step in range(30)]
    frames[15:22] = [NOBODY] * 7
    assert {track_id for ids in run(tracker_of(), *frames) for track_id in ids} == {1}


def test_dropped_frames_do_not_break_a_walk() -> None:
    # At 25 px a frame, three dropped frames are 100 px: two and a half times the width of the box.
    lefts = 100 + 25.0 * np.arange(25)
    tracker = tracker_of()
    for number in [*range(12), *range(12, 25, 4)]:
        assert ids_of(follow(tracker, number * FRAME_S, people(lefts[number]))) == [1]


def test_every_box_reports_its_own_track_whatever_the_order() -> None:
    random = np.random.default_rng(0)
    homes = np.arange(30) * 60.0
    tracker = tracker_of()
    for number in range(10):
        tracks = follow(tracker, number * FRAME_S, people(*random.permutation(homes)))
        assert ids_of(tracks) == sorted(ids_of(tracks))
        if number == 0:
            home_of = dict(zip(ids_of(tracks), tracks.boxes[:, 0].tolist(), strict=True))
        assert {i: pytest.approx(home_of[i], abs=1e-6) for i in home_of} == dict(
            zip(ids_of(tracks), tracks.boxes[:, 0].tolist(), strict=True)
        )


def test_the_score_is_that_of_the_detection_that_continued_the_track() -> None:
    tracker = tracker_of()
    follow(tracker, 0.0, people(100, score=0.9))
    assert follow(tracker, 0.1, people(100, score=0.4)).scores.tolist() == [0.4]


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_appearance_resolves_a_meeting_that_motion_gets_wrong(weight: float) -> None:
    # Two people walk towards each other, are hidden for six frames, and come back as they turned around:
    # motion believes that they passed each other.
    steps = np.concatenate((np.arange(20), np.arange(20)[::-1]))
    red, blue = np.eye(8)[:2]
    frames = [people(100 + 4.0 * step, 276 - 4.0 * step, embeddings=[red, blue]) for step in steps]
    frames[17:23] = [NOBODY] * 6
    stages = tuple(stage.model_copy(update={"appearance_weight": weight}) for stage in CONFIG.stages)
    tracker = tracker_of(CONFIG.model_copy(update={"stages": stages}))
    results = [follow(tracker, number * FRAME_S, frame) for number, frame in enumerate(frames)]
    assert ids_of(results[0]) == ids_of(results[-1]) == [1, 2]
    first_is_left = results[-1].boxes[0, 0] < results[-1].boxes[1, 0]
    assert first_is_left == (weight > 0)


def test_people_who_look_unlike_are_never_matched() -> None:
    red, blue = np.eye(4)[:1], np.eye(4)[1:2]
    stages = tuple(stage.model_copy(update={"appearance_weight": 0.1}) for stage in CONFIG.stages)
    tracker = tracker_of(CONFIG.model_copy(update={"stages": stages}))
    frames = [people(100, embeddings=look) for look in (red, red, blue, blue)]
    assert run(tracker, *frames) == [[1], [1], [], [2]]


def test_embeddings_that_no_stage_uses_change_nothing() -> None:
    unseeing = tuple(stage.model_copy(update={"appearance_weight": 0.0}) for stage in CONFIG.stages)
    plain, dressed = (tracker_of(CONFIG.model_copy(update={"stages": unseeing})) for _ in range(2))
    for time, found in random_frames(3, length=6):
        bare = Observations(found.boxes, found.scores, found.embeddings[:, :0])
        assert ids_of(follow(plain, time, bare)) == ids_of(follow(dressed, time, found))


def test_sort_is_a_list_of_one_stage() -> None:
    sort = TrackingConfig(
        stages=(AssociationStage(tracks=("tentative", "tracked", "lost"), max_cost=0.7),),
    )
    low = people(100, score=0.3)
    assert run(tracker_of(sort), people(100), low, people(100)) == [[1], [], [1]]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), moment=st.integers(0, 40), length=st.sampled_from([0, 5]))
def test_a_restored_tracker_goes_on_bit_for_bit(seed: int, moment: int, length: int) -> None:
    frames = random_frames(seed, length=length)
    stages = tuple(stage.model_copy(update={"appearance_weight": 0.3}) for stage in CONFIG.stages)
    config = CONFIG.model_copy(update={"stages": stages})
    through, before = tracker_of(config), tracker_of(config)
    for time, found in frames[:moment]:
        follow(through, time, found)
        follow(before, time, found)
    after = tracker_of(config)
    after.restore(before.state())
    for time, found in frames[moment:]:
        whole, resumed = follow(through, time, found), follow(after, time, found)
        np.testing.assert_array_equal(whole.track_ids, resumed.track_ids)
        np.testing.assert_array_equal(whole.boxes, resumed.boxes)
        np.testing.assert_array_equal(whole.scores, resumed.scores)


def test_a_state_is_a_copy_without_objects() -> None:
    tracker = tracker_of()
    run(tracker, people(100, 300))
    state = tracker.state()
    kept = {name: column.copy() for name, column in state.items()}
    restored = tracker_of()
    restored.restore(state)
    run(tracker, people(110, 310), start_s=1.0)
    run(restored, people(110, 310), start_s=1.0)
    for name, column in state.items():
        assert column.dtype != object
        np.testing.assert_array_equal(column, kept[name])


def test_a_state_of_something_else_is_refused() -> None:
    state = tracker_of().state()
    with pytest.raises(ValueError, match="camera 'door': a tracker's state holds"):
        tracker_of().restore({"time": state["time"]})
    with pytest.raises(ValueError, match=re.escape("TrackStates.moments must have shape (0, 5, 4)")):
        tracker_of().restore({**state, "moments": np.zeros((2, 5, 4))})


@pytest.mark.parametrize("time", [1.0, 0.5, float("nan"), float("inf")])
def test_time_that_does_not_rise_is_refused(time: float) -> None:
    tracker = tracker_of()
    follow(tracker, 1.0, people(100))
    with pytest.raises(
        ValueError, match=rf"camera 'door': time must rise, got a frame at {time} s after 1.0 s"
    ):
        follow(tracker, time, people(100))


@pytest.mark.parametrize(
    "box", [[0, 0, np.nan, 10], [0, 0, np.inf, 10], [10, 0, 10, 10], [10, 0, 5, 10], [0, 10, 5, 0]]
)
def test_a_box_that_is_no_box_is_refused(box: list[float]) -> None:
    boxes = np.array([[0, 0, 10, 10], box], dtype=np.float64)
    found = Observations(boxes, np.ones(2), np.empty((2, 0), np.float32))
    with pytest.raises(ValueError, match=r"camera 'door', 0.0 s: detection 1 must be finite"):
        follow(tracker_of(), 0.0, found)


def test_embeddings_that_change_their_length_are_refused() -> None:
    tracker = tracker_of()
    follow(tracker, 0.0, people(100, embeddings=np.eye(4)[:1]))
    with pytest.raises(ValueError, match="embeddings must keep their length 4, got 3"):
        follow(tracker, 0.1, people(100, embeddings=np.eye(3)[:1]))


def test_a_frame_without_people_may_have_embeddings_of_any_length() -> None:
    appearance = np.eye(4)[:1]
    frames = (NOBODY, people(100, embeddings=appearance), NOBODY, *[people(100, embeddings=appearance)] * 2)
    assert run(tracker_of(), *frames)[-1] == [2]


def test_observations_are_not_changed() -> None:
    tracker = tracker_of()
    for time, found in random_frames(5, length=4):
        before = [column.copy() for column in (found.boxes, found.scores, found.embeddings)]
        follow(tracker, time, found)
        for column, kept in zip((found.boxes, found.scores, found.embeddings), before, strict=True):
            np.testing.assert_array_equal(column, kept)


def test_reported_tracks_stay_as_they_were_when_the_tracker_goes_on() -> None:
    tracker = tracker_of()
    tracks = follow(tracker, 0.0, people(100))
    follow(tracker, 0.1, people(120, score=0.8))
    assert tracks.boxes.tolist() == [[100, 100, 140, 200]]
    assert tracks.scores.tolist() == [0.9]


@pytest.mark.parametrize("seed", range(5))
def test_an_id_is_on_one_box_and_a_box_has_one_id(seed: int) -> None:
    tracker = tracker_of()
    for time, found in random_frames(seed, num_frames=80):
        tracks = follow(tracker, time, found)
        assert len(set(ids_of(tracks))) == len(tracks) <= len(found)
        assert (tracks.boxes[:, 2:] > tracks.boxes[:, :2]).all()
        assert np.isin(tracks.scores, found.scores).all()


def test_a_thousand_boxes_and_absurd_sizes() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 1e5, (1000, 2))
    boxes = np.concatenate((corners, corners + random.uniform(1, 1e6, (1000, 2))), axis=1)
    found = Observations(boxes, np.ones(1000), np.empty((1000, 0), np.float32))
    tracker = tracker_of()
    for step in range(3):
        assert len(follow(tracker, float(step) / 30, found)) == 1000


LOOKING = TrackingConfig(
    stages=(
        AssociationStage(tracks=("tracked", "lost"), max_cost=0.9, appearance_weight=0.5),
        AssociationStage(tracks=("tentative",), max_cost=0.8),
    )
)
RED, BLUE = np.eye(2)


def wants(tracker: CameraTracker, time: float, found: Observations) -> list[bool]:
    before = {name: column.copy() for name, column in tracker.state().items()}
    candidates = tracker.compare(tracker.predict(time), Detections(found.boxes, found.scores))
    needed = tracker.needs_embedding(candidates)
    for name, column in tracker.state().items():
        np.testing.assert_array_equal(column, before[name])
    return [bool(need) for need in needed]


def embedding_tracker(*frames: Observations, every_s: float = 1.0) -> CameraTracker:
    tracker = CameraTracker(CameraName("door"), LOOKING, embed_every_s=every_s)
    run(tracker, *frames)
    return tracker


def test_new_people_are_embedded_if_they_are_likely() -> None:
    tracker = embedding_tracker()
    assert wants(tracker, 0.0, people(100, 500)) == [True, True]
    assert wants(tracker, 0.0, people(100, score=0.3)) == [False]
    tracker = embedding_tracker(people(100, embeddings=[RED]))
    assert wants(tracker, 0.1, people(100, 500)) == [False, True]


def test_somebody_alone_is_embedded_once_in_a_while() -> None:
    nobody_looked = people(100, embeddings=[0 * RED])
    tracker = embedding_tracker(people(100, embeddings=[RED]), *[nobody_looked] * 9)
    assert wants(tracker, 0.95, people(100)) == [True]  # it was looked at once only, which is little
    times = [1.0 + step / 16 for step in range(160)]
    embedded_s = []
    for time in times:
        if wants(tracker, time, people(100)) == [True]:
            embedded_s.append(time)
        follow(tracker, time, people(100, embeddings=[RED if embedded_s[-1:] == [time] else 0 * RED]))
    pauses = np.diff(embedded_s)
    assert pauses[:6].tolist() == [0.25, 0.375, 0.5, 0.625, 0.75, 0.875]
    assert (pauses[6:] == 1.0).all()


def test_people_who_compete_for_a_track_are_embedded_and_others_are_not() -> None:
    tracker = embedding_tracker(people(100, 500, embeddings=[RED, BLUE]))
    assert wants(tracker, 0.1, people(95, 110, 500)) == [True, True, False]
    two_tracks = embedding_tracker(people(100, 115, 500, embeddings=[RED, BLUE, RED]))
    assert wants(two_tracks, 0.1, people(107, 500)) == [True, False]


def test_a_lost_track_is_taken_up_only_with_an_embedding() -> None:
    tracker = embedding_tracker(people(100, embeddings=[RED]), NOBODY)
    assert wants(tracker, 0.2, people(100)) == [True]


def test_everybody_is_embedded_where_nothing_is_to_be_saved() -> None:
    tracker = embedding_tracker(people(100, embeddings=[RED]), every_s=0.0)
    assert wants(tracker, 0.1, people(100, 900, score=0.2)) == [True, True]


def test_tracks_without_new_embeddings_are_followed_by_motion_and_keep_theirs() -> None:
    unseen = people(100, 140, embeddings=[0 * RED, 0 * RED])
    tracker = embedding_tracker(people(100, 140, embeddings=[RED, BLUE]), *[unseen] * 5)
    np.testing.assert_array_equal(tracker.state()["embeddings"], np.array([RED, BLUE], np.float32))
    # They stand where the other stood; only their appearance tells.
    assert ids_of(follow(tracker, 0.6, people(100, 140, embeddings=[BLUE, RED]))) == []


def test_who_is_missed_for_a_moment_coasts_where_the_motion_leads() -> None:
    tracker = tracker_of(SHORT_COASTING)
    lefts = 100 + 5.0 * np.arange(10)
    run(tracker, *(people(left) for left in lefts))
    tracks, coasting = both(tracker, 1.0, NOBODY)
    assert len(tracks) == 0
    assert ids_of(coasting) == [1]
    assert coasting.boxes[0, 0] == pytest.approx(150, abs=3)  # nine steps of 5 px, and one more
    assert not coasting.embeddings.any()
    assert coasting.scores.tolist() == [0]
    assert ids_of(both(tracker, 1.1, NOBODY).coasting) == []  # missed for longer than coast_s


def test_who_was_hardly_ever_found_does_not_coast() -> None:
    rarely = [people(100) if number % 2 == 0 else NOBODY for number in range(19)]
    tracker, often = tracker_of(SHORT_COASTING), tracker_of(SHORT_COASTING)
    run(tracker, *rarely)
    often.restore({**tracker.state(), "seen_counts": np.array([18])})
    assert [ids_of(both(it, 1.9, NOBODY).coasting) for it in (tracker, often)] == [[], [1]]
    # Nor is somebody who was found just now.
    tracker = tracker_of()
    run(tracker, people(100))
    assert ids_of(both(tracker, 0.1, NOBODY).coasting) == []


def test_a_track_is_confirmed_by_as_many_frames_as_asked_without_a_miss() -> None:
    tracker = tracker_of(CONFIG.model_copy(update={"confirm_frames": 3}))
    seen = [people(100), people(100, 500), people(100, 500), NOBODY, people(500), people(500), people(500)]
    assert run(tracker, *seen) == [[1], [1], [1], [], [], [], [3]]
    assert run(tracker_of(CONFIG.model_copy(update={"confirm_frames": 1})), NOBODY, people(100)) == [[], [1]]


def test_a_second_box_on_somebody_starts_nobody() -> None:
    twice = people(100, 112)  # they share 28 of 52 px of width
    for max_birth_iou, expected in ((0.5, [1]), (0.6, [1, 2])):
        tracker = tracker_of(
            CONFIG.model_copy(update={"max_birth_iou": max_birth_iou, "max_confirm_iou": 1.0})
        )
        assert run(tracker, people(100), twice, twice)[-1] == expected


def test_a_second_box_of_somebody_that_comes_and_goes_is_never_reported() -> None:
    twice = people(100, 118, score=0.7)  # they share 22 of 58 px of width
    assert run(tracker_of(), people(100), *[twice, twice, people(100)] * 4) == [[1]] * 13
    # Nor is it where both boxes are there from the beginning: the lower score is the second one.
    first = replace(twice, scores=np.array([0.7, 0.75]))
    assert run(tracker_of(), first, people(118), people(118)) == [[2]] * 3


def test_a_neighbour_who_goes_on_having_a_box_of_their_own_is_reported() -> None:
    together, apart = people(100, 118, score=0.7), people(100, 140, score=0.7)
    reported = run(tracker_of(), people(100), *[together] * 5)
    assert reported == [[1]] * 4 + [[1, 2]] * 2  # 0.3 s after the birth
    assert run(tracker_of(), people(100), together, apart) == [[1], [1], [1, 2]]
    # Hardly any second box has a score that high: half way from the likely 0.6 to 1, or above.
    sure = people(100, 118, score=0.8)
    assert run(tracker_of(), people(100), sure, sure) == [[1], [1], [1, 2]]


def test_who_is_hidden_by_somebody_nearer_coasts_for_longer() -> None:
    def coasting_after(nearer_left_px: float) -> list[list[int]]:
        tracker = tracker_of(SHORT_COASTING.model_copy(update={"hidden_coast_s": 0.3}))
        both_found = people(100, nearer_left_px)
        both_found.boxes[1, 3] += 20  # it stands lower in the picture
        run(tracker, *[both_found] * 5)
        nearer = both_found[np.array([1])]
        return [ids_of(both(tracker, time, nearer).coasting) for time in (0.5, 0.6, 0.7, 0.8)]

    assert coasting_after(120) == [[1], [1], [1], []]  # half of it is hidden
    assert coasting_after(300) == [[1], [], [], []]


def test_the_motion_of_the_camera_is_no_motion_of_the_people() -> None:
    pan = np.array([[1.0, 0.0, -90.0], [0.0, 1.0, 0.0]])  # more than twice as far as people are wide
    still, panning = tracker_of(), tracker_of()
    for number in range(5):
        follow(still, number * FRAME_S, people(900))
        tracks = follow(panning, number * FRAME_S, people(900 - 90.0 * number), pan)
        assert ids_of(tracks) == [1]
    # What it knows of the person's own speed is what a still camera shows.
    np.testing.assert_allclose(
        panning.state()["moments"][:, 1:], still.state()["moments"][:, 1:], rtol=0, atol=1e-9
    )
    assert ids_of(follow(panning, 0.5, people(900 - 90.0 * 5))) == []  # without it that is somebody else


@pytest.mark.parametrize("setting", ["score_doubt", "cover_doubt"])
def test_a_doubtful_detection_moves_a_track_less(setting: str) -> None:
    # Somebody nearer to the camera covers half of the person who is found 12 px further on.
    moved = Observations(
        np.array([[112.0, 100, 152, 200], [132, 120, 172, 220]]),
        np.array([0.7, 0.9]),
        np.empty((2, 0), np.float32),
    )
    lefts = []
    for doubt in (0.0, 3.0):
        tracker = tracker_of(
            CONFIG.model_copy(update={"score_doubt": 0.0, "cover_doubt": 0.0, setting: doubt})
        )
        run(tracker, *[people(100)] * 3)
        lefts.append(float(follow(tracker, 0.3, moved).boxes[0, 0]))
    assert 100 < lefts[1] < lefts[0] < 112


def test_what_everybody_is_off_by_is_the_camera() -> None:
    lefts = np.array([100.0, 260, 400, 590, 720])
    tracker = tracker_of()
    run(tracker, *[people(*lefts)] * 5)
    # The camera jerks by the width of a person and a half; nobody says so.
    assert ids_of(follow(tracker, 0.5, people(*(lefts + 60)))) == [1, 2, 3, 4, 5]
    velocities = tracker.state()["moments"][:, 1, 0]
    np.testing.assert_allclose(velocities, 0, atol=1)


def test_people_who_walk_are_no_camera() -> None:
    # Two of five set off at once; the median says that the camera stands still.
    lefts = np.array([100.0, 260, 400, 590, 720])
    tracker, expected = tracker_of(), tracker_of()
    run(tracker, *[people(*lefts)] * 5)
    run(expected, *[people(*lefts[:1])] * 5)
    follow(tracker, 0.5, people(*(lefts + np.array([0, 0, 0, 12, 12]))))
    follow(expected, 0.5, people(100))
    np.testing.assert_array_equal(tracker.state()["moments"][:1], expected.state()["moments"])


def test_people_whom_motion_tells_apart_are_not_embedded_though_they_overlap() -> None:
    found = people(100, 135, embeddings=[RED, BLUE])
    tracker = embedding_tracker(found)
    for number in range(1, 12):
        follow(tracker, number * 0.02, found)
    # Where each of them is expected no appearance could make the other one cheaper; between them they could.
    assert wants(tracker, 0.24, people(100, 135)) == [False, False]
    assert wants(tracker, 0.24, people(115, 122)) == [True, True]


@pytest.mark.parametrize("start", range(0, 100, 7))
def test_rounded_times_do_not_decide_who_coasts(start: int) -> None:
    tracker = tracker_of(SHORT_COASTING.model_copy(update={"coast_min_share": 0.0}))
    for number in range(start, start + 4):  # followed for just coast_s at 30 frames/s
        follow(tracker, number / 30, people(100))
    coasting = [ids_of(both(tracker, number / 30, NOBODY).coasting) for number in range(start + 4, start + 8)]
    assert coasting == [[1], [1], [1], []]


def test_what_is_asked_changes_neither_the_tracker_nor_what_it_was_told() -> None:
    pan = np.array([[1.0, 0.0, 4.0], [0.0, 1.0, -2.0]])
    asked, plain = (CameraTracker(CameraName("door"), CONFIG, embed_every_s=1.0) for _ in range(2))
    for time, found in random_frames(3, length=4):
        detections = Detections(found.boxes, found.scores)
        # Other frames that might have come; whoever asks about them leaves nothing behind.
        for other in (asked.predict(time - 0.01), asked.predict(time, pan)):
            asked.needs_embedding(asked.compare(other, detections[::2]))
        candidates = asked.compare(asked.predict(time, pan), detections)
        needed = asked.needs_embedding(candidates)
        # An embedder may well copy boxes.
        asked.update(candidates, Observations(found.boxes.copy(), found.scores.copy(), found.embeddings))
        follow(plain, time, found, pan)
        assert asked.needs_embedding(candidates).tolist() == needed.tolist()
        for name, column in plain.state().items():
            np.testing.assert_array_equal(asked.state()[name], column)


def test_the_pairs_of_a_frame_are_found_once_though_the_embedder_copies_the_boxes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[str] = []
    find = Candidates._find

    def counting(candidates: Candidates, stage: AssociationStage) -> Pairs:
        found.append(stage.boxes)
        return find(candidates, stage)

    monkeypatch.setattr(Candidates, "_find", counting)
    counts = []
    for copies in (False, True):
        tracker = embedding_tracker(people(100, 500, embeddings=[RED, BLUE]))
        found.clear()
        seen = people(102, 130, 500, embeddings=[RED, RED, BLUE])
        candidates = tracker.compare(tracker.predict(0.1), Detections(seen.boxes, seen.scores))
        tracker.needs_embedding(candidates)
        counts.append(len(found))
        boxes = seen.boxes.copy() if copies else candidates.detections.boxes
        tracker.update(candidates, Observations(boxes, seen.scores, seen.embeddings))
        counts.append(len(found))
    assert len(set(counts)) == 1


def test_a_prediction_from_an_earlier_frame_is_refused() -> None:
    tracker = tracker_of()
    candidates = tracker.compare(tracker.predict(0.0), NOBODY)
    tracker.update(candidates, NOBODY)
    with pytest.raises(ValueError, match=r"predicted from the frame at -inf s, but the last one is at 0.0 s"):
        tracker.update(candidates, NOBODY)


@pytest.mark.parametrize("column", ["boxes", "scores"])
def test_observations_of_other_detections_are_refused(column: str) -> None:
    tracker, found = tracker_of(), people(100, 300)
    others = replace(found, **{column: getattr(found, column) * 0.5})
    for observations in (others, found[:1]):
        with pytest.raises(ValueError, match="the observations have other"):
            tracker.update(tracker.compare(tracker.predict(0.0), found), observations)
