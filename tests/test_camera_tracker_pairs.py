"""Which people and detections may be one and what that costs: every field of a stage does what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foundation.arrays import FloatArray, IntArray
from tests.test_camera_tracker import FRAME_S, NOBODY, follow, ids_of
from tests.test_camera_tracker import people as standing
from tracker import association, geometry
from tracker.camera_tracker import CameraTracker
from tracker.camera_tracker.pairs import (
    UNSURE,
    Candidates,
    CostedPairs,
    covered_shares,
    fuse_appearance,
    fuse_score,
    stage_cost,
)
from tracker.camera_tracker.track_states import TRACKED, Prediction, TrackStates, coordinates
from tracker.config import AssociationStage, TrackingConfig
from tracker.geometry import feet_of
from tracker.kalman import BoxNoise, start_moments
from tracker.types import CameraName, Observations

NOISE = BoxNoise(measured_sd=0.03, position_sd=0.27, velocity_sd=1.0, start_velocity_sd=2.0)
MEASURED_SD = 0.04
"""With the `NOISE` of a start, a detection is off by 0.05 heights: 3, 4, 5."""

Box = list[float]
PERSON: Box = [0, 0, 40, 100]


def tracks_at(
    *boxes: Box,
    way: tuple[float, float] = (0, 0),
    seen: Box | None = None,
    embeddings: FloatArray | None = None,
) -> TrackStates:
    """Tracks predicted in these boxes, moving by ``way`` pixels a second and last seen in ``seen``."""
    corners, count = np.array(boxes, np.float64), len(boxes)
    measured = coordinates(corners)
    moments = start_moments(measured, measured[:, 3:], NOISE)
    moments[:, 1, :2] = way
    embeddings = np.empty((count, 0)) if embeddings is None else embeddings
    return TrackStates(
        track_ids=np.arange(1, count + 1),
        status=np.full(count, TRACKED),
        born_times=np.zeros(count),
        seen_times=np.zeros(count),
        seen_counts=np.ones(count, np.int64),
        frame_counts=np.ones(count, np.int64),
        scores=np.full(count, 0.9),
        moments=moments,
        seen_boxes=corners if seen is None else np.tile(np.array(seen, np.float64), (count, 1)),
        embeddings=embeddings.astype(np.float32),
        last_embeddings=np.zeros(embeddings.shape, np.float32),
        embedded_times=np.zeros(count),
        num_embeddings=np.ones(count, np.int64),
    )


def found_at(*boxes: Box, score: float = 1.0, embeddings: FloatArray | None = None) -> Observations:
    embeddings = np.empty((len(boxes), 0)) if embeddings is None else embeddings
    return Observations(
        np.array(boxes, np.float64), np.full(len(boxes), score), embeddings.astype(np.float32)
    )


def stage_of(**fields: object) -> AssociationStage:
    settings = {"tracks": ("tentative", "tracked", "lost"), "max_cost": 1.0, **fields}
    return AssociationStage.model_validate(settings)


def costs(tracks: TrackStates, found: Observations, **fields: object) -> dict[tuple[int, int], float]:
    """What each pair costs that a stage of these fields allows."""
    stage, prediction = stage_of(**fields), Prediction(0.0, -np.inf, tracks)
    candidates = Candidates(prediction, found, MEASURED_SD)
    pairs = candidates.of(stage, np.ones(len(tracks), np.bool_), np.ones(len(found), np.bool_))
    if stage.max_cost == 1:  # what costs more than all, too
        all_pairs = candidates.pairs_of(stage)
        pairs = CostedPairs(all_pairs.rows, all_pairs.columns, candidates.motion_cost(stage))
    cost = stage_cost(stage, tracks, found, pairs)
    places = zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)
    return dict(zip(places, cost.tolist(), strict=True))


def added(weight: str, tracks: TrackStates, box: Box) -> float:
    """What a weight of 0.5 adds to the cost of the only pair, for each unit of the weight."""
    with_it, without = (costs(tracks, found_at(box), **{weight: value})[0, 0] for value in (0.5, 0.0))
    return (with_it - without) / 0.5


def tracker_of(*stages: AssociationStage) -> CameraTracker:
    return CameraTracker(CameraName("door"), TrackingConfig(stages=stages))


# What a pair costs


@pytest.mark.parametrize(
    ("fields", "similarity"),
    [
        ({}, 0.3),
        ({"similarity": "height_iou"}, 0.3 * 0.5),
        ({"fuse_score": True}, 0.3 * 0.8),
        ({"similarity": "height_iou", "fuse_score": True}, 0.3 * 0.5 * 0.8),
    ],
)
def test_a_pair_costs_what_lacks_in_similarity(fields: dict[str, object], similarity: float) -> None:
    cost = costs(tracks_at([0, 0, 10, 20]), found_at([2, 5, 8, 15], score=0.8), **fields)
    assert cost == {(0, 0): pytest.approx(1 - similarity)}


def test_boxes_that_share_nothing_are_no_pair() -> None:
    pairs = costs(tracks_at(PERSON, [200, 0, 240, 100]), found_at([210, 10, 250, 110], [500, 0, 540, 100]))
    assert [*pairs] == [(1, 0)]


def test_fused_scores_are_cut_off_at_0_and_1() -> None:
    fused = fuse_score(np.full((2, 3), 0.5), np.array([0.5, 139.0, -1.0]))
    assert fused.tolist() == [[0.25, 0.5, 0.0]] * 2


@pytest.mark.parametrize(
    ("box", "heights"),
    [
        (PERSON, 0.0),
        ([6, 8, 46, 108], 0.1),
        ([-6, -8, 34, 92], 0.1),
        ([6, 48, 46, 108], 0.1),  # heights of the person, not of a detection that is cut off
        ([30, 0, 70, 100], 0.3),
        ([0, 0, 100, 100], 0.3),
        ([0, 50, 40, 150], 0.5),
        ([0, 50, 40, 400], 1.0),
    ],
)
def test_feet_that_are_apart_cost_by_box_heights(box: Box, heights: float) -> None:
    # Where the person was last seen is no matter.
    tracks = tracks_at(PERSON, seen=[9, 9, 30, 30])
    tracks.moments[:, 2] = 0.0
    assert added("feet_weight", tracks, box) == pytest.approx(heights)
    tracks.moments[:, 2, 0] = (100 / UNSURE) ** 2  # where it is hardly known where they are
    far = float(
        np.hypot(*(feet_of(np.array([box], np.float64)) - feet_of(np.array([PERSON], np.float64)))[0])
    )
    assert added("feet_weight", tracks, box) == pytest.approx(min(far / 100 / np.sqrt(2), 1.0))


def test_feet_are_the_middle_of_the_lower_edge() -> None:
    assert feet_of(np.array([[1.0, 2.0, 5.0, 9.0]])).tolist() == [[3, 9]]


@pytest.mark.parametrize(
    ("box", "half_turns"),
    [
        ([10, 0, 50, 100], 0.0),
        ([-10, 0, 30, 100], 1.0),
        ([0, 10, 40, 110], 0.5),
        ([0, -10, 40, 90], 0.5),
        ([10, 10, 50, 110], 0.25),
        (PERSON, 0.0),  # no way at all
    ],
)
def test_a_turn_costs_by_half_turns_from_the_last_detection_on(box: Box, half_turns: float) -> None:
    # The prediction is further on than any detection, so from there all ways would lead back.
    walker = tracks_at([20, 0, 60, 100], way=(300, 0), seen=PERSON)
    assert added("direction_weight", walker, box) == pytest.approx(half_turns, abs=1e-12)
    stander = tracks_at([20, 0, 60, 100], seen=PERSON)
    assert added("direction_weight", stander, box) == 0


# Which pairs there are


@pytest.mark.parametrize(
    ("buffer", "overlap"),
    [(0.0, 0), (0.12, 0), (0.125, 0), (0.2, 6 / (2 * 56 - 6)), (0.5, 30 / (2 * 80 - 30))],
)
def test_a_buffer_is_a_share_of_the_size_at_each_side(buffer: float, overlap: float) -> None:
    # 10 px apart: a buffer of 0.2 makes both 56 px wide, so that 6 px overlap.
    pairs = costs(tracks_at(PERSON), found_at([50, 0, 90, 100]), buffer=buffer)
    assert pairs == ({(0, 0): pytest.approx(1 - overlap)} if overlap else {})
    pairs = costs(tracks_at([0, 0, 100, 40]), found_at([0, 50, 100, 90]), buffer=buffer)
    assert pairs == ({(0, 0): pytest.approx(1 - overlap)} if overlap else {})


@pytest.mark.parametrize(("boxes", "pair"), [("predicted", (0, 1)), ("last_seen", (0, 0))])
def test_a_track_is_looked_for_where_it_was_seen_or_where_its_motion_leads(
    boxes: str, pair: tuple[int, int]
) -> None:
    person = tracks_at([200, 0, 240, 100], seen=PERSON)
    found = found_at(PERSON, [200, 0, 240, 100])
    assert costs(person, found, boxes=boxes, similarity="height_iou") == {pair: pytest.approx(0)}


@pytest.mark.parametrize(("boxes", "ids"), [("predicted", []), ("last_seen", [1])])
def test_somebody_who_stopped_while_hidden_is_found_where_they_were_seen_last(
    boxes: str, ids: list[int]
) -> None:
    tracker = tracker_of(stage_of(max_cost=0.9), stage_of(max_cost=0.5, boxes=boxes))
    walk = [standing(15.0 * step) for step in range(11)]
    for number, frame in enumerate([*walk, NOBODY, NOBODY, NOBODY, NOBODY]):
        follow(tracker, number * FRAME_S, frame)
    assert ids_of(follow(tracker, 15 * FRAME_S, standing(150.0))) == ids


@pytest.mark.parametrize("boxes", ["predicted", "last_seen"])
def test_a_camera_that_turns_takes_with_it_where_people_are_looked_for(boxes: str) -> None:
    pan = np.array([[1.0, 0.0, -300.0], [0.0, 1.0, 20.0]])
    for motions, ids in (((pan, pan), [1]), ((None, None), []), ((pan, np.eye(2, 3)), [])):
        tracker = tracker_of(stage_of(boxes=boxes))
        assert ids_of(follow(tracker, 0.0, standing(1000))) == [1]
        follow(tracker, FRAME_S, NOBODY, motions[0])
        assert ids_of(follow(tracker, 2 * FRAME_S, standing(400, top_px=140), motions[1])) == ids


@pytest.mark.parametrize(
    ("box", "deviations"),
    [
        (PERSON, 0.0),
        ([20, 0, 60, 100], 4.0),
        ([0, -20, 40, 80], 4.0),
        ([15, 20, 55, 120], 5.0),
        ([-10, 0, 50, 100], 4.0),  # 20 px wider
        ([0, -10, 40, 110], 4.0),  # 20 px higher
        ([0, 0, 60, 100], np.hypot(2, 4)),  # wider, which takes the centre along
        ([45, 0, 85, 100], 9.0),  # shares nothing with the person
        ([0, -150, 40, -50], 30.0),
    ],
)
def test_the_gate_is_in_standard_deviations_over_all_four_coordinates(box: Box, deviations: float) -> None:
    # 0.05 heights are 5 px.
    assert costs(tracks_at(PERSON), found_at(box), max_mahalanobis=deviations + 1e-6).keys() == {(0, 0)}
    if deviations:
        assert costs(tracks_at(PERSON), found_at(box), max_mahalanobis=deviations - 1e-6) == {}


def test_a_pair_within_the_gate_that_shares_nothing_costs_all() -> None:
    far = found_at([45, 0, 85, 100])
    for similarity in ("iou", "height_iou"):
        assert costs(tracks_at(PERSON), far, max_mahalanobis=10, similarity=similarity) == {(0, 0): 1}


@pytest.mark.parametrize("gate", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_gate_lets_through_whom_brute_force_lets_through(gate: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 150, (2, 30, 2))
    boxes, others = np.concatenate((corners, corners + random.uniform(5, 120, (2, 30, 2))), axis=2)
    tracks = tracks_at(*boxes.tolist())
    off = coordinates(others)[None] - tracks.moments[:, None, 0]
    heights = boxes[:, 3] - boxes[:, 1]
    deviations = np.linalg.norm(off, axis=2) / (0.05 * heights[:, None])
    allowed = [(row, column) for row, column in np.argwhere(deviations <= gate).tolist()]
    assert sorted(costs(tracks, found_at(*others.tolist()), max_mahalanobis=gate)) == allowed


def test_stages_that_compare_other_boxes_get_other_pairs() -> None:
    person = tracks_at([60, 0, 100, 100], seen=PERSON)
    prediction = Prediction(0.0, -np.inf, person)
    found = found_at(PERSON, [105, 0, 145, 100])
    candidates = Candidates(prediction, found, MEASURED_SD)
    expected: list[tuple[dict[str, object], list[int]]] = [
        ({}, []),
        ({"boxes": "last_seen"}, [0]),
        ({"buffer": 0.1}, [1]),
        ({"max_mahalanobis": 9.5}, [1]),
        ({"buffer": 0.5}, [0, 1]),
        ({"max_mahalanobis": 13.0}, [0, 1]),
        ({}, []),
    ]
    for fields, columns in expected:
        assert sorted(candidates.pairs_of(stage_of(**fields)).columns.tolist()) == columns


# Appearance

RED, BLUE = np.eye(2)
PURPLE = np.array([0.6, 0.8])


def test_appearance_is_mixed_in_and_forbids_people_who_look_unlike() -> None:
    cost, distance = np.array([0.2, 0.4, np.inf, 0.1]), np.array([0.4, 0.6, 0.0, 0.5])
    fused = fuse_appearance(cost, distance, weight=0.25, max_cosine_distance=0.5)
    np.testing.assert_allclose(fused, [0.25, np.inf, np.inf, 0.2])


@pytest.mark.parametrize(
    ("fields", "red", "purple"),
    [
        ({"appearance_weight": 0.0}, 0.5, 0.5),
        ({"appearance_weight": 0.25}, 0.75 * 0.5, 0.75 * 0.5 + 0.25 * 0.4),
        ({"appearance_weight": 0.25, "max_cosine_distance": 0.3}, 0.75 * 0.5, np.inf),
        ({"appearance_weight": 0.25, "max_cost": 0.4}, np.inf, np.inf),
        ({"appearance_weight": 1.0, "max_cost": 0.45}, 0.0, 0.4),
    ],
)
def test_appearance_counts_by_its_weight_within_both_gates(
    fields: dict[str, object], red: float, purple: float
) -> None:
    # Half of the person is found: motion costs 0.5.
    person, half = tracks_at(PERSON, embeddings=RED[None]), [0.0, 0.0, 40.0, 50.0]
    found = found_at(half, half, half, embeddings=np.stack((RED, PURPLE, 0 * RED)))
    cost = costs(person, found, **fields)
    assert [cost.get((0, column), np.inf) for column in range(2)] == pytest.approx([red, purple])
    if "max_cost" not in fields or red == 0:
        assert cost[0, 2] == 0.5, "nobody looked, so motion alone counts"


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_what_was_never_embedded_is_matched_by_motion(weight: float) -> None:
    half, look = [0.0, 0.0, 40.0, 50.0], RED[None]
    for person, found in ((0 * look, look), (None, look), (look, None), (None, None)):
        cost = costs(
            tracks_at(PERSON, embeddings=person), found_at(half, embeddings=found), appearance_weight=weight
        )
        assert cost == {(0, 0): 0.5}


# Who hides whom


@pytest.mark.parametrize(
    ("others", "share"),
    [
        ([], 0.0),
        ([[20, 0, 60, 110]], 0.5),
        ([[20, 50, 60, 150]], 0.25),
        ([[-10, -10, 50, 200]], 1.0),
        ([[20, 0, 60, 110], [-10, 60, 10, 101]], 0.5),  # the one that hides most, not both
        ([[-10, 60, 10, 101], [20, 0, 60, 110]], 0.5),
        ([[20, 0, 60, 100]], 0.0),  # as near
        ([[20, 0, 60, 90]], 0.0),  # further away
        ([[40, 0, 80, 110]], 0.0),  # beside
        ([[200, 0, 240, 110]], 0.0),
    ],
)
def test_covered_shares_by_hand(others: list[Box], share: float) -> None:
    assert covered_shares(np.array([PERSON, *others], np.float64))[0] == pytest.approx(share)


@given(arrays(np.int64, st.tuples(st.integers(0, 8), st.just(4)), elements=st.integers(0, 5)))
def test_covered_shares_equal_counting_pixels(numbers: IntArray) -> None:
    boxes = np.concatenate((numbers[:, :2], numbers[:, :2] + numbers[:, 2:] + 1), axis=1)
    pixels = np.zeros((len(boxes), 12, 12), np.bool_)
    for row, (x1, y1, x2, y2) in enumerate(boxes):
        pixels[row, y1:y2, x1:x2] = True
    expected = [
        max(
            ((own & other).sum() / own.sum() for other, b in zip(pixels, boxes, strict=True) if b[3] > a[3]),
            default=0,
        )
        for own, a in zip(pixels, boxes, strict=True)
    ]
    np.testing.assert_allclose(covered_shares(boxes.astype(np.float64)), expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "fields", [{}, {"buffer": 0.2, "similarity": "height_iou"}, {"max_mahalanobis": 4.0}]
)
def test_a_crowd_is_followed_alike_however_its_pairs_are_found(
    fields: dict[str, object], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed)
    lefts_tops, steps = random.uniform(0, 400, (60, 2)), random.normal(0, 5, (60, 2))
    corners = [lefts_tops + number * steps + random.normal(0, 2, (60, 2)) for number in range(15)]
    sizes = np.array([40, 100])
    frames = [np.concatenate((it, it + sizes), axis=1)[random.random(60) < 0.9] for it in corners]
    tables = []
    for limit in (0, 10**9):
        monkeypatch.setattr(geometry, "DENSE_BELOW", limit)
        monkeypatch.setattr(association, "SOLVED_AT_ONCE", limit)
        tracker = tracker_of(stage_of(**{"max_cost": 0.9, **fields}))
        tracks = [
            follow(tracker, number * FRAME_S, found_at(*boxes.tolist()))
            for number, boxes in enumerate(frames)
        ]
        tables.append([(ids_of(it), it.boxes.tolist()) for it in tracks])
    assert len(tables[0][-1][0]) > 30
    assert tables[0] == tables[1]
