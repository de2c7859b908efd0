"""Who is a person at all: chairs are not, people who sit still are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.arrays import FloatArray
from tests.test_identity_table import check_events, known, replay
from tracker.config import IdentityConfig, MaturityConfig
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.identity.maturity import Maturity
from tracker.identity.tracklets import MAX_BOXES, TrackletTable
from tracker.types import CameraName, Frame, Tracks, blank_image

A = CameraName("a")
STILL = np.array([100.0, 100, 150, 200])


def show(linker: IdentityLinker, boxes: FloatArray, scores: FloatArray, first_track: int = 1) -> list[int]:
    """Tracks at boxes (F, M, 4) with scores (F, M), ten times a second; what the first was said to be."""
    said = []
    for frame in range(len(boxes)):
        tracks = Tracks(
            first_track + np.arange(boxes.shape[1]),
            boxes[frame],
            scores[frame],
            np.empty((boxes.shape[1], 0), np.float32),
        )
        image = blank_image(640, 480)
        said.append(int(linker.observe(Frame(A, frame + 1, frame / 10, image), tracks)[0]))
    return said


def swaying(frames: int, pixels: float) -> FloatArray:
    """A box of 100 pixels that moves to and fro by so many."""
    return STILL + pixels * np.sin(np.arange(frames) / 2)[:, None, None]


@pytest.mark.parametrize(
    ("pixels", "score", "is_person"),
    [(0.5, 0.4, False), (0.5, 0.9, True), (4.0, 0.4, True), (4.0, 0.9, True)],
)
def test_what_never_moves_is_a_person_only_if_the_detector_is_sure(
    pixels: float, score: float, is_person: bool
) -> None:
    linker = IdentityLinker(IdentityConfig(), [A])
    said = show(linker, swaying(60, pixels), np.full((60, 1), score))
    linker.finalize()
    assert (linker.num_identities, linker.undecided) == ((1, 0) if is_person else (0, 1))
    assert said[-1] == (1 if is_person else UNDECIDED)


def test_a_setting_keeps_what_never_moves() -> None:
    config = IdentityConfig(maturity=MaturityConfig(min_motion=0))
    linker = IdentityLinker(config, [A])
    show(linker, swaying(60, 0.5), np.full((60, 1), 0.4))
    assert linker.num_identities == 1


def test_whoever_sits_still_at_first_is_a_person_once_they_move() -> None:
    boxes = np.concatenate((swaying(60, 0.5), swaying(80, 8.0)))
    said = show(IdentityLinker(IdentityConfig(), [A]), boxes, np.full((140, 1), 0.4))
    assert said[59] == UNDECIDED
    assert said[-1] == 1


@pytest.mark.parametrize("offline", [False, True])
def test_a_chair_that_was_counted_at_first_is_taken_back_and_its_number_is_not_used_again(
    offline: bool,
) -> None:
    scores = np.where(np.arange(90) < 30, 0.8, 0.2)[:, None]  # the detector takes it for a person at first
    linker = IdentityLinker(IdentityConfig(), [A])
    assert show(linker, swaying(90, 0.5), scores)[-1] == 1
    if offline:
        linker.link_offline()
    linker.finalize()
    told = [(event.kind, event.track_id, event.identity, event.other) for event in linker.events()]
    assert told == [("new", 1, 1, 0), ("split", 1, UNDECIDED, 1)]
    assert (linker.num_identities, linker.undecided) == (0, 1)
    show(linker, swaying(60, 8.0), np.full((60, 1), 0.9), first_track=2)
    assert linker.lookup(A, np.array([1, 2])).tolist() == [UNDECIDED, 2]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), offline=st.booleans())
def test_events_and_counts_hold_where_some_are_chairs(seed: int, offline: bool) -> None:
    rng = np.random.default_rng(seed)
    known_before: list[dict[tuple[CameraName, int], int]] = []
    is_chair, scores = rng.uniform(size=5) < 0.5, rng.uniform(0.3, 0.8, (2, 5))
    boxes = STILL + np.cumsum(rng.normal(0, 6, (80, 5, 1)) * ~is_chair[:, None], axis=0)
    for _ in range(2):
        linker = IdentityLinker(IdentityConfig(), [A])
        show(linker, boxes, np.where(np.arange(80)[:, None] < 40, scores[0], scores[1]))
        if offline:
            linker.link_offline()
        linker.finalize()
        events = linker.events()
        check_events(events)
        assert {key: number for key, number in known(linker).items() if number} == {
            key: number for key, number in replay(events).items() if number
        }
        assert not set(known(linker).values()) - {0} & {event.other for event in events}
        still_unsure = is_chair & (scores.mean(axis=0) < MaturityConfig().sure_score)
        assert linker.undecided == still_unsure.sum()
        known_before.append(known(linker))
    assert known_before[0] == known_before[1]


def test_somebody_who_walks_by_moves_no_chair() -> None:
    boxes = swaying(60, 0.5)
    boxes[20:34] += (25, -30, 40, 5)  # for a while the box is drawn around both
    tracklets = TrackletTable(1)
    for frame in range(60):
        tracklets.place(tracklets.see(0, np.array([1]), frame / 10, 0), boxes[frame], np.array([0.4]))
    assert tracklets.motion(np.array([0]))[0] < MaturityConfig().min_motion


def test_whoever_stands_for_folded_tracks_is_no_thing() -> None:
    tracklets, row = TrackletTable(1), np.array([0])
    for frame in range(60):
        tracklets.place(tracklets.see(0, np.array([1]), frame / 10, 0), STILL[None], np.array([0.4]))
    maturity = Maturity(MaturityConfig(), tracklets)
    assert maturity.are_things(row, row).tolist() == [True]
    tracklets.folded[0] = 1
    assert maturity.are_things(row, row).tolist() == [False]


@settings(max_examples=60, deadline=None)
@given(frames=st.lists(st.integers(1, 200), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_motion_is_that_of_boxes_at_equal_distances_by_brute_force(frames: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = np.array([0, 0, 80, 160])
    ways = [start + np.cumsum(rng.normal(0, 3, (count, 4)), axis=0) for count in frames]
    tracklets = TrackletTable(1)
    for frame in range(max(frames)):
        here = [number for number, way in enumerate(ways) if frame < len(way)]
        rows = tracklets.see(0, np.array(here) + 1, float(frame), 0)
        tracklets.place(rows, np.array([ways[number][frame] for number in here]), np.ones(len(here)))
    for row, way in enumerate(ways):
        step = 1
        while -(-len(way) // step) > MAX_BOXES:
            step *= 2
        boxes = way[::step].astype(np.float32).astype(np.float64)
        height = np.median(boxes[:, 3] - boxes[:, 1])
        expected = np.median(np.abs(boxes - np.median(boxes, axis=0)), axis=0).mean() / height
        assert tracklets.motion(np.array([row]))[0] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    other = TrackletTable(1)
    other.restore(tracklets.state())
    rows = np.arange(len(ways))
    assert other.motion(rows).tolist() == tracklets.motion(rows).tolist()
    assert tracklets.scores.tolist() == [float(count) for count in frames]
