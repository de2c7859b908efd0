"""The map: places out of sightings, and the picture looked at pixel by pixel."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.worlds import ground_world
from tracker.config import GroundConfig
from tracker.ground import GroundPlane
from tracker.reports import map as sink
from tracker.reports.map import SightingColumns, Ways, draw_map, find_ways, write_map
from tracker.reports.timeline import COLORS, INK, MARGIN, WIDTH
from tracker.sinks.overlay import color_of
from tracker.types import CameraName, FloatArray, Image

CAMERAS = [CameraName("door"), CameraName("yard"), CameraName("blind")]
DOOR, YARD, BLIND = 0, 1, 2
DOWN = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]
UP = [[0.01, 0.0, 0.0], [0.0, -0.01, 0.0], [0.0, 0.0, 1.0]]
SHIFTED = [[0.01, 0.0, 5.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]


def plane(door: list[list[float]] = DOWN) -> GroundPlane:
    """1 cm a pixel; ``yard`` sees the ground five metres to the right of ``door``."""
    yard = SHIFTED if door == DOWN else [[*UP[0][:2], 5.0], *UP[1:]]
    config = GroundConfig.model_validate({"homographies": {"door": door, "yard": yard}})
    return GroundPlane(config, CAMERAS)


def seen(camera: int, identity: int, times: list[float], xy: list[tuple[float, float]]) -> SightingColumns:
    """Places in metres of the camera's own ground, a hundredth of its pixels."""
    x, y = np.array(xy).T * 100
    boxes = np.column_stack([x - 10, y - 80, x + 10, y]).astype(np.float32)
    return np.full(len(x), camera), np.array(times), np.full(len(x), identity), boxes


def walk(identity: int, begin_s: float, end_s: float, y: float, camera: int = DOOR) -> SightingColumns:
    """To the right at 1 m/s, ten sightings a second."""
    times = np.arange(begin_s, end_s, 0.1).round(3)
    return seen(camera, identity, times.tolist(), [(time, y) for time in times.tolist()])


def where(picture: Image, identity: int) -> NDArray[np.bool_]:
    """(H, W) the way of a person; not the legend."""
    found: NDArray[np.bool_] = (picture == color_of(identity)).all(axis=2)
    found[picture.shape[0] - 60 :] = False
    return found


def places(ways: Ways) -> list[tuple[int, int, float, float]]:
    xy: FloatArray = (ways.places.sums / ways.places.counts[:, None]).round(4)
    rows = zip(ways.places.identity_ids.tolist(), ways.places.steps.tolist(), xy.tolist(), strict=True)
    return [(identity, step, x, y) for identity, step, (x, y) in rows]


# Places


def test_a_person_is_at_the_mean_of_what_all_cameras_saw_in_half_a_second() -> None:
    found = find_ways(
        [seen(DOOR, 7, [0.0, 0.4, 0.5], [(6, 2), (7, 2), (8, 2)]), seen(YARD, 7, [0.1], [(0.5, 3)])],
        CAMERAS,
        plane(),
    )
    assert places(found) == [(7, 0, round((6 + 7 + 5.5) / 3, 4), round(7 / 3, 4)), (7, 1, 8.0, 2.0)]
    assert found.step_s == 0.5


def test_cameras_without_a_homography_and_people_who_are_undecided_are_left_out() -> None:
    found = find_ways([walk(1, 0, 3, 1, BLIND), walk(0, 0, 3, 1), walk(2, 0, 1, 1)], CAMERAS, plane())
    assert {identity for identity, *_ in places(found)} == {2}
    assert [len(view) > 0 for view in found.views] == [True, False, False]


def test_a_view_is_the_convex_ground_on_which_people_were() -> None:
    corners = [(1.0, 1.0), (3.0, 1.0), (3.0, 4.0), (1.0, 4.0)]
    pieces = [seen(DOOR, 1, [time], [xy]) for time, xy in enumerate([*corners, (2.0, 2.0), (1.5, 3.0)])]
    found = find_ways(pieces, CAMERAS, plane())
    assert sorted(map(tuple, found.views[DOOR].round(4).tolist())) == sorted(corners)


def test_the_same_ways_are_found_however_the_run_is_cut() -> None:
    whole = [walk(1, 0, 9, 1), walk(2, 2, 8, 3), walk(1, 4, 7, 1, YARD)]
    expected = places(find_ways(whole, CAMERAS, plane()))
    pieces = [
        tuple(column[at : at + 7] for column in piece) for piece in whole for at in range(0, len(piece[0]), 7)
    ]
    assert places(find_ways(pieces, CAMERAS, plane())) == expected  # type: ignore[arg-type]


def test_a_long_run_takes_no_more_memory_and_ends_up_the_same_however_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink, "MAX_PLACES", 50)
    run = [walk(person, begin, begin + 5, 2) for begin in range(0, 100, 5) for person in (1, 2, 3)]
    most = 0
    plain_join = sink._join

    def watched(parts: list[sink.PlacesByStep]) -> sink.PlacesByStep:
        nonlocal most
        most = max(most, sum(map(len, parts)))
        return plain_join(parts)

    monkeypatch.setattr(sink, "_join", watched)
    found = find_ways(run, CAMERAS, plane())
    assert len(found.places) == 39  # 600 places of half a second; 13 stretches of 8 s for each person
    assert found.step_s == 8.0
    assert most <= 2 * 50 + 50  # what is kept, and one more piece
    joined = tuple(np.concatenate(columns) for columns in zip(*run, strict=True))
    assert places(find_ways([joined], CAMERAS, plane())) == places(found)  # type: ignore[list-item]


# The picture


def test_a_way_is_as_long_as_the_scale_bar_says() -> None:
    picture = draw_map(find_ways([walk(1, 0, 8.05, 2)], CAMERAS, plane()), CAMERAS, is_y_down=True)
    bar = (picture[-60:] == INK).all(axis=2)
    bar_px = int(bar[:, MARGIN : WIDTH // 3].sum(axis=1).max())
    columns = np.flatnonzero(where(picture, 1).any(axis=0))
    # From the middle of the first half second to that of the last whole one: 7.55 m less the dot and the end.
    assert bar_px == picture_step_px(picture)
    assert (columns[-1] - columns[0]) / bar_px == pytest.approx(7.8, abs=0.2)


def picture_step_px(picture: Image) -> int:
    """Distance of two lines of the grid."""
    row = 60  # above the ways
    lines = np.flatnonzero((picture[row, MARGIN : WIDTH - MARGIN] < 220).all(axis=1)) + MARGIN
    return int(np.median(np.diff(lines)))


@pytest.mark.parametrize("is_y_down", [False, True])
def test_the_map_is_no_mirror_image(is_y_down: bool) -> None:
    ground = plane(DOWN if is_y_down else UP)
    assert ground.is_y_down == is_y_down
    # Whatever the axes: what a camera that looks down has at the top of its picture is at the top of the map.
    ways = find_ways([walk(1, 0, 5, 1), walk(2, 0, 5, 4)], CAMERAS, ground)
    picture = draw_map(ways, CAMERAS, is_y_down)
    one, two = (np.flatnonzero(where(picture, identity).any(axis=1)) for identity in (1, 2))
    assert one.max() < two.min()


def test_nothing_is_drawn_through_a_gap() -> None:
    pieces = [walk(1, 0, 3, 2), walk(1, 6, 9, 2), walk(2, 0, 9, 4)]
    picture = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    columns = np.flatnonzero(where(picture, 1).any(axis=0))
    whole = np.flatnonzero(where(picture, 2).any(axis=0))
    px_per_m = (whole[-1] - whole[0]) / 8.5
    assert np.diff(columns).max() == pytest.approx(3.5 * px_per_m, abs=0.2 * px_per_m)
    assert np.diff(whole).max() < 0.2 * px_per_m
    # One empty stretch is bridged: the detector missed somebody.
    pieces = [walk(1, 0, 3, 2), walk(1, 3.5, 9, 2)]
    picture = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    assert np.diff(np.flatnonzero(where(picture, 1).any(axis=0))).max() < 0.2 * px_per_m


def test_jitter_is_smoothed_and_the_ends_stay() -> None:
    zigzag = np.column_stack([np.arange(9.0), np.tile([0.0, 1.0], 5)[:9]])
    smooth = sink._smooth(zigzag)
    assert smooth[1:-1, 1].tolist() == [0.5] * 7
    assert smooth[[0, -1]].tolist() == zigzag[[0, -1]].tolist()
    assert [sink._smooth(zigzag[:count]).tolist() for count in (1, 2)] == [
        zigzag[:1].tolist(),
        zigzag[:2].tolist(),
    ]


def test_cameras_have_an_outline_in_their_colour_as_in_the_timeline() -> None:
    square = [(1.0, 1.0), (3.0, 1.0), (3.0, 4.0), (1.0, 4.0)]
    pieces = [seen(camera, 1, [0.0, 10, 20, 30], square) for camera in (DOOR, YARD)]
    picture = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    extents = []
    for camera in (DOOR, YARD):
        near = np.abs(picture.astype(int) - COLORS[camera]).max(axis=2) < 100
        extents.append(np.flatnonzero(near.sum(axis=0) > 100))  # upright edges
    assert extents[0].max() < extents[1].min()


def test_of_too_many_people_those_seen_longest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "MAX_NAMED", 2)
    pieces = [walk(identity, 0, identity, identity) for identity in (1, 2, 3, 4)]
    picture = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    legend = picture[-46:]
    named = [identity for identity in (1, 2, 3, 4) if (legend == color_of(identity)).all(axis=2).any()]
    assert named == [3, 4]
    assert all(where(picture, identity).any() for identity in (1, 2, 3, 4))


def test_names_are_not_written_over_each_other() -> None:
    picture = np.full((200, WIDTH, 3), 255, np.uint8)
    labels = sink._Labels(picture)
    for number in range(20):
        labels.write(str(number), np.array([800.0, 100.0]), INK)
    written = int(labels._taken.sum())
    one = sink._Labels(picture)
    one.write("0", np.array([800.0, 100.0]), INK)
    assert 10 * one._taken.sum() < written < 20 * 2 * one._taken.sum()
    edge = sink._Labels(picture)
    edge.write("far right", np.array([WIDTH - 3.0, 100.0]), INK)
    assert edge._taken[:, WIDTH - 200 : WIDTH - 13].any()


@pytest.mark.parametrize("pieces", [[], [walk(1, 0, 0.05, 2)]])
def test_nobody_and_one_sighting_give_a_picture_too(pieces: list[SightingColumns]) -> None:
    picture = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=False)
    assert picture.shape[1] == WIDTH
    assert where(picture, 1).any() == bool(pieces)


def test_places_far_from_the_origin_are_drawn_like_those_near_it() -> None:
    far = [[0.01, 0.0, 5e5], [0.0, 0.01, 5e6], [0.0, 0.0, 1.0]]
    config = GroundConfig.model_validate({"homographies": {"door": far}})
    pieces = [walk(1, 0, 8, 2), walk(2, 0, 8, 4)]
    found = find_ways(pieces, CAMERAS, GroundPlane(config, CAMERAS))
    picture = draw_map(found, CAMERAS, is_y_down=True)
    expected = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    for identity in (1, 2):
        ways = [np.argwhere(where(it, identity)).mean(axis=0) for it in (picture, expected)]
        assert np.abs(ways[0] - ways[1]).max() < 2


# The file


def test_the_file_is_the_picture_and_nothing_else_is_left(tmp_path: Path) -> None:
    pieces = [walk(1, 0, 9, 1), walk(2, 2, 8, 3)]
    path = write_map(tmp_path / "map.png", pieces, CAMERAS, plane())
    expected = draw_map(find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True)
    assert np.array_equal(np.asarray(cv2.imread(str(path))), expected)
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]


def test_everybody_in_a_simulated_hall_is_on_its_map(tmp_path: Path) -> None:
    world = ground_world(tmp_path / "hall", cameras=2, people=5, seconds=20, seed=2)
    sightings = [(world.camera, world.time, world.person, world.boxes)]
    ways = find_ways(sightings, world.names, world.plane)
    picture = draw_map(ways, world.names, world.plane.is_y_down)
    assert not world.plane.is_y_down
    assert all(where(picture, person).sum() > 50 for person in np.unique(world.person).tolist())
    # The hall is 13.5 m by 11 m, and people begin behind its doors.
    xy = ways.places.sums / ways.places.counts[:, None]
    assert (xy > -4).all()
    assert (xy < [18, 15]).all()
