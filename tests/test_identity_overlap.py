"""Cameras that see one place: found from how people move, and from nothing else."""

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray, FloatArray
from tracker.config import IdentityConfig
from tracker.identity import IdentityLinker
from tracker.identity.overlap import Feet, find_overlap
from tracker.identity.tracklets import TrackletTable
from tracker.identity.views import SharedViews, Together
from tracker.types import CameraName, Frame, Tracks, blank_image

A, B = CameraName("a"), CameraName("b")
STEP_S = 0.5
WIDTH, HEIGHT = 1280, 720
TO_B = np.array([[-0.9, 0.2, 1200.0], [0.1, 0.7, 150.0], [0.0001, 0.0002, 1.0]])
"""A mirror image, seen from elsewhere."""


def ways(rng: np.random.Generator, people: int, steps: int, straight: bool, bursts: bool) -> list[FloatArray]:
    """For each of P people (steps, 2) where they stand, nan before they come and after they leave."""
    found = []
    for _ in range(people):
        way = np.full((steps, 2), np.nan)
        length = min(int(rng.integers(12, 40)), steps)
        begin = int(rng.integers(0, steps - length + 1))
        if bursts:
            begin = min(begin // 40 * 40 + int(rng.integers(0, 6)), steps - length)
        start, end = rng.uniform([100, 300], [WIDTH - 100, HEIGHT], (2, 2))
        line = np.linspace(start, end, length)
        way[begin : begin + length] = (
            line if straight else line + np.cumsum(rng.normal(0, 15, (length, 2)), axis=0)
        )
        found.append(way)
    return found


def seen(found: list[FloatArray], rng: np.random.Generator, first_row: int, matrix: FloatArray) -> Feet:
    """What a camera sees of them: their feet, taken to its picture, with the noise of boxes."""
    parts = []
    for number, way in enumerate(found):
        steps = np.nonzero(np.isfinite(way[:, 0]))[0]
        points = np.column_stack((way[steps], np.ones(len(steps)))) @ matrix.T
        points = points[:, :2] / points[:, 2:]
        height = 120 + 0.2 * (points[:, 1] - 300)
        points = points + rng.normal(0, 0.04, points.shape) * height[:, None]
        parts.append(np.column_stack((np.full(len(steps), first_row + number), steps, points, height)))
    table = np.concatenate(parts)
    table = table[np.argsort(table[:, 1], kind="stable")]
    return Feet(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:])


def embeddings_of(rng: np.random.Generator, people: int, uniforms: bool) -> EmbeddingArray:
    looks = rng.normal(size=(people, 32)) + uniforms * 2 * rng.normal(size=(1, 32))
    return np.asarray(looks / np.linalg.norm(looks, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_what_two_cameras_see_of_one_place_is_found_with_its_homography_even_in_uniform(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = ways(rng, 12, 200, straight=False, bursts=False)
    first, second = seen(found, rng, 0, np.eye(3)), seen(found, rng, 12, TO_B)
    overlap = find_overlap(first, second, embeddings_of(rng, 24, uniforms=True))
    assert overlap is not None
    corners = np.array([[300.0, 400, 1], [900, 400, 1], [600, 600, 1]])
    expected, got = corners @ TO_B.T, corners @ overlap.matrix.T
    assert np.abs(expected[:, :2] / expected[:, 2:] - got[:, :2] / got[:, 2:]).max() < 40


@pytest.mark.parametrize("seed", range(40))
def test_cameras_that_see_different_places_are_never_taken_to_overlap(seed: int) -> None:
    """Also where all wear a uniform, walk straight on, and come in crowds at the same times."""
    rng = np.random.default_rng(seed)
    kinds = {"straight": seed % 2 == 0, "bursts": seed % 4 < 2}
    steps, people = (60, 120, 300)[seed % 3], (8, 20, 40)[seed // 4 % 3]
    first, second = (
        seen(ways(rng, people, steps, **kinds), rng, first_row, np.eye(3)) for first_row in (0, people)
    )
    assert find_overlap(first, second, embeddings_of(rng, 2 * people, uniforms=seed % 8 < 4)) is None


@pytest.mark.parametrize("seed", range(4))
def test_people_who_walk_at_one_pace_on_parallel_ways_do_not_make_two_cameras_overlap(seed: int) -> None:
    """Each is in view for as long as the cameras are: at other times their ways must not be cut in two."""
    rng, people, steps = np.random.default_rng(seed), np.arange(8), 16
    both = []
    for first_row in (0, len(people)):
        sides = rng.choice((-1, 1), len(people))
        x = rng.uniform(0, WIDTH, len(people)) + sides * 30 * np.arange(steps)[:, None]
        y, height = np.broadcast_to(100.0 * (1 + people), x.shape), np.full(x.shape, 120.0)
        feet = np.stack((x, y, height), axis=-1).reshape(-1, 3)
        both.append(Feet(np.tile(first_row + people, steps), np.repeat(np.arange(steps), len(people)), feet))
    first, second = both
    assert find_overlap(first, second, embeddings_of(rng, 2 * len(people), uniforms=False)) is None


@pytest.mark.parametrize("seed", range(4))
def test_two_ways_that_fit_say_nothing_where_whoever_comes_later_walks_there_alone(seed: int) -> None:
    """One matrix takes any two straight ways to any two others, so two people who walk at once always fit."""
    rng, steps = np.random.default_rng(seed), 120
    first_ways: list[FloatArray] = []
    for number, begin in enumerate((0, 4, 30, 50, 70, 90)):
        way = np.full((steps, 2), np.nan)
        ends = ((200.0, 400), (900, 650)), ((300.0, 680), (1000, 420))
        way[begin : begin + 12] = np.linspace(*ends[number % 2], 12)
        first_ways.append(way)
    others = ways(rng, 4, steps - 20, straight=False, bursts=False)
    second_ways = [*first_ways[:2], *(np.concatenate((np.full((20, 2), np.nan), way)) for way in others)]
    first, second = seen(first_ways, rng, 0, np.eye(3)), seen(second_ways, rng, 6, TO_B)
    assert find_overlap(first, second, embeddings_of(rng, 12, uniforms=True)) is None
    early = [table.steps < 16 for table in (first, second)]
    at_once = [
        Feet(it.rows[k], it.steps[k], it.feet[k]) for it, k in zip((first, second), early, strict=True)
    ]
    embeddings = embeddings_of(rng, 12, uniforms=True)
    assert find_overlap(at_once[0], at_once[1], embeddings, is_known=True) is not None


def show(linker: IdentityLinker, found: list[FloatArray], looks: EmbeddingArray, seed: int) -> None:
    """Both cameras see everybody, under other numbers, four times a second and with the noise of boxes."""
    rng = np.random.default_rng(seed)
    views = {A: seen(found, rng, 0, np.eye(3)), B: seen(found, rng, 0, TO_B)}
    for step in range(len(found[0])):
        for camera, view in views.items():
            here = view.steps == step
            people, feet = view.rows[here], view.feet[here]
            x, y, height = feet.T
            boxes = np.column_stack((x - height / 5, y - height, x + height / 5, y))
            noise = rng.normal(0, 0.08, (len(people), looks.shape[1]))
            embeddings = looks[people] + noise
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
            tracks = Tracks(people + 1, boxes, np.ones(len(people)), embeddings.astype(np.float32))
            linker.observe(Frame(camera, step + 1, step * STEP_S, blank_image(WIDTH, HEIGHT)), tracks)


def same_in_both(linker: IdentityLinker, people: int) -> float:
    """The share of people who have one identity in both cameras."""
    numbers = np.arange(1, people + 1)
    a, b = (linker.lookup(camera, numbers) for camera in (A, B))
    return float(((a == b) & (a != 0)).mean())


def test_people_whom_two_cameras_see_at_once_are_one_each_although_nothing_is_calibrated() -> None:
    rng = np.random.default_rng(5)
    found, looks = ways(rng, 12, 240, straight=False, bursts=False), embeddings_of(rng, 12, uniforms=True)
    linker = IdentityLinker(IdentityConfig(), [A, B])
    show(linker, found, looks, 6)
    linker.link_offline()
    assert linker.overlaps() == [(A, B)]
    assert linker.homography(A, B) is not None
    assert same_in_both(linker, 12) >= 0.9
    assert len(np.unique(linker.lookup(A, np.arange(1, 13)))) >= 10

    forbidden = IdentityLinker(IdentityConfig(no_overlap="all"), [A, B])
    show(forbidden, found, looks, 6)
    forbidden.link_offline()
    assert forbidden.overlaps() == []
    assert same_in_both(forbidden, 12) == 0


def test_what_is_declared_holds_from_the_first_frame_and_what_is_forbidden_holds_above_it() -> None:
    declared = IdentityConfig(overlap=((B, A), ("elsewhere", A)))
    assert IdentityLinker(declared, [A, B]).overlaps() == [(A, B)]
    assert IdentityLinker(IdentityConfig(overlap="all"), [A, B]).overlaps() == [(A, B)]
    both = IdentityConfig(overlap="all", no_overlap=((A, B),))
    assert IdentityLinker(both, [A, B]).overlaps() == []


def test_a_restored_linker_knows_which_cameras_see_one_place() -> None:
    rng = np.random.default_rng(5)
    linker = IdentityLinker(IdentityConfig(), [A, B])
    show(linker, ways(rng, 12, 240, straight=False, bursts=False), embeddings_of(rng, 12, uniforms=False), 6)
    again = IdentityLinker(IdentityConfig(), [A, B])
    again.restore({key: value.copy() for key, value in linker.state().items()})
    assert again.overlaps() == linker.overlaps() == [(A, B)]
    linker.link_offline()
    again.link_offline()
    assert same_in_both(again, 12) == same_in_both(linker, 12)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_in_one_hall_hides_no_overlap(seed: int) -> None:
    """Of the pairs of tracks that are seen at once the fewer are of one person the more people there are."""
    rng = np.random.default_rng(seed)
    found = ways(rng, 30, 44, straight=False, bursts=False)
    first, second = seen(found, rng, 0, np.eye(3)), seen(found, rng, 30, TO_B)
    assert find_overlap(first, second, embeddings_of(rng, 60, uniforms=False)) is not None


def of_two_cameras(first: FloatArray, second: FloatArray, height: float) -> Together:
    """What is said of two tracks at these places (S, 2) of each picture, where the same floor is in both.

    Others walked all over it, 100 pixels high; the box in the second picture has this height.
    """
    grid = np.stack(np.meshgrid(np.arange(0, 1200, 80), np.arange(0, 700, 80)), axis=-1).reshape(-1, 2)
    places = np.column_stack((grid, np.full(len(grid), 100.0)))
    views, tracklets = SharedViews([A, B], IdentityConfig()), TrackletTable(2)
    state = views.state() | {"pairs": np.array([[0, 1]]), "matrices": np.eye(3)[None]}
    views.restore(state | {"places:0": np.stack((places, places))})
    for step, feet in enumerate(zip(first, second, strict=True)):
        for camera, ((x, y), high) in enumerate(zip(feet, (100.0, height), strict=True)):
            rows = tracklets.see(camera, np.array([1]), step * STEP_S, 0)
            views.see(rows, camera, step * STEP_S, np.array([[x - 20, y - high, x + 20, y]]))
    return views.together(tracklets, np.array([1]), 0)


def test_who_walks_apart_is_two_people_and_who_sits_where_boxes_end_elsewhere_may_be_one() -> None:
    way = np.linspace([100.0, 400.0], [1000.0, 400.0], 20)
    seat, away = np.full((20, 2), 400.0), np.array([0.0, 150.0])
    assert of_two_cameras(way, way, 100).log_odds[0] > 3
    assert of_two_cameras(way, way + away, 100).log_odds[0] < -3
    assert -3 <= of_two_cameras(seat, seat + away, 100).log_odds[0] < 0
    assert of_two_cameras(way, way - away, 50).log_odds[0] == 0
