"""The map: places out of sightings, and what is drawn of them, as matplotlib holds it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from foundation.arrays import FloatArray, IntArray
from foundation.figures import color
from tests.worlds import ground_world
from tracker.colors import camera_color, person_color
from tracker.config import GroundConfig
from tracker.ground import GroundPlane
from tracker.reports import map as report
from tracker.reports.map import WayFinder, Ways, draw_map, write_map
from tracker.types import CameraName

CAMERAS = [CameraName("door"), CameraName("yard"), CameraName("blind")]
DOOR, YARD, BLIND = 0, 1, 2
DOWN = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]
UP = [[0.01, 0.0, 0.0], [0.0, -0.01, 0.0], [0.0, 0.0, 1.0]]
SHIFTED = [[0.01, 0.0, 5.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]


SightingColumns = tuple[IntArray, FloatArray, IntArray, NDArray[np.floating[Any]]]


def find_ways(pieces: Iterable[SightingColumns], cameras: Sequence[CameraName], ground: GroundPlane) -> Ways:
    """The ways of sightings that come in pieces."""
    finder = WayFinder(cameras, ground)
    for piece in pieces:
        finder.add(*piece)
    return finder.ways()


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


def drawn(pieces: list[SightingColumns], is_y_down: bool = True) -> Figure:
    ground = plane(DOWN if is_y_down else UP)
    return draw_map(find_ways(pieces, CAMERAS, ground), CAMERAS, is_y_down)


def ways_of(figure: Figure, identity: int) -> list[FloatArray]:
    """The unbroken ways (P, 2) of a person, metres."""
    collections = figure.axes[0].collections
    (own,) = [it for it in collections if it.get_label() == str(identity)]
    assert isinstance(own, LineCollection)
    return [np.asarray(way) for way in own.get_segments()]


def colors_of(figure: Figure) -> dict[str, tuple[float, ...]]:
    return {
        str(it.get_label()): tuple(np.asarray(it.get_color())[0][:3].tolist())
        for it in figure.axes[0].collections
        if isinstance(it, LineCollection)
    }


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
    monkeypatch.setattr(report, "MAX_PLACES", 50)
    run = [walk(person, begin, begin + 5, 2) for begin in range(0, 100, 5) for person in (1, 2, 3)]
    most = 0
    plain_join = report._join

    def watched(parts: list[report.PlacesByStep]) -> report.PlacesByStep:
        nonlocal most
        most = max(most, sum(map(len, parts)))
        return plain_join(parts)

    monkeypatch.setattr(report, "_join", watched)
    found = find_ways(run, CAMERAS, plane())
    assert len(found.places) == 39  # 600 places of half a second; 13 stretches of 8 s for each person
    assert found.step_s == 8.0
    assert most <= 2 * 50 + 50  # what is kept, and one more piece
    joined = tuple(np.concatenate(columns) for columns in zip(*run, strict=True))
    assert places(find_ways([joined], CAMERAS, plane())) == places(found)  # type: ignore[list-item]


# The figure


def test_ways_are_drawn_in_metres_and_both_axes_alike() -> None:
    figure = drawn([walk(1, 0, 8.05, 2)])
    (way,) = ways_of(figure, 1)
    assert way[[0, -1]] == pytest.approx(np.array([(0.2, 2), (8.0, 2)]), abs=0.05)
    (axes,) = figure.axes
    assert axes.get_aspect() == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x, metres", "y, metres, downwards")
    steps = {round(step, 6) for ticks in (axes.get_xticks(), axes.get_yticks()) for step in np.diff(ticks)}
    assert len(steps) == 1


@pytest.mark.parametrize("is_y_down", [False, True])
def test_the_map_is_no_mirror_image(is_y_down: bool) -> None:
    assert plane(DOWN if is_y_down else UP).is_y_down == is_y_down
    # Whatever the axes: what a camera that looks down has at the top of its picture is at the top of the map.
    figure = drawn([walk(1, 0, 5, 1), walk(2, 0, 5, 4)], is_y_down)
    on_page = [figure.axes[0].transData.transform(ways_of(figure, identity)[0]) for identity in (1, 2)]
    assert on_page[0][:, 1].min() > on_page[1][:, 1].max()


def test_nothing_is_drawn_through_a_gap() -> None:
    gone, missed = [walk(1, 0, 3, 2), walk(1, 6, 9, 2)], [walk(1, 0, 3, 2), walk(1, 3.5, 9, 2)]
    assert [len(ways_of(drawn(pieces), 1)) for pieces in (gone, missed)] == [2, 1]


def test_jitter_is_smoothed_and_the_ends_stay() -> None:
    zigzag = np.column_stack([np.arange(9.0), np.tile([0.0, 1.0], 5)[:9]])
    smooth = report._smooth(zigzag)
    assert smooth[1:-1, 1].tolist() == [0.5] * 7
    assert smooth[[0, -1]].tolist() == zigzag[[0, -1]].tolist()
    assert [report._smooth(zigzag[:count]).tolist() for count in (1, 2)] == [
        zigzag[:1].tolist(),
        zigzag[:2].tolist(),
    ]


def test_cameras_have_an_outline_in_their_colour_as_in_the_timeline_and_their_name() -> None:
    square = [(1.0, 1.0), (3.0, 1.0), (3.0, 4.0), (1.0, 4.0)]
    figure = drawn([seen(camera, 1, [0.0, 10, 20, 30], square) for camera in (DOOR, YARD)])
    (axes,) = figure.axes
    outlines = {str(it.get_label()): it for it in axes.patches if isinstance(it, Polygon)}
    assert list(outlines) == ["door", "yard"]
    for index, outline in enumerate(outlines.values()):
        assert tuple(outline.get_edgecolor())[:3] == pytest.approx(color(camera_color(index)))
        corners = sorted(set(map(tuple, np.asarray(outline.get_xy()).round(6).tolist())))
        assert corners == sorted((x + 5 * index, y) for x, y in square)
    assert {"door", "yard"} <= {text.get_text() for text in axes.texts}


def test_people_have_the_colour_of_the_overlay_and_their_number() -> None:
    figure = drawn([walk(1, 0, 5, 1), walk(2, 0, 5, 4)])
    for identity, own in colors_of(figure).items():
        assert own == pytest.approx(color(person_color(int(identity))))
    assert {"1", "2"} <= {text.get_text() for text in figure.axes[0].texts}


def test_of_many_people_those_seen_longest_have_a_colour_and_others_are_grey(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "MAX_NAMED", 2)
    figure = drawn([walk(identity, 0, identity, identity) for identity in (1, 2, 3, 4)])
    (axes,) = figure.axes
    grey = [identity for identity, own in colors_of(figure).items() if len(set(own)) == 1]
    assert grey == ["1", "2"]
    assert [text.get_text() for text in axes.texts if text.get_text() != "door"] == ["3", "4"]
    assert axes.get_title("left").endswith("in colour the 2 seen longest")


@pytest.mark.parametrize(
    ("pieces", "title"),
    [
        ([], "no people on the ground of no cameras"),
        ([walk(1, 0, 0.05, 2)], "1 person on the ground of 1 camera"),
    ],
)
def test_one_sighting_and_none_give_a_figure_too(
    pieces: list[SightingColumns], title: str, tmp_path: Path
) -> None:
    assert drawn(pieces, is_y_down=False).get_suptitle() == title
    assert all(
        path.is_file()
        for path in write_map(
            tmp_path / "map.png", find_ways(pieces, CAMERAS, plane()), CAMERAS, is_y_down=True
        )
    )


def test_places_far_from_the_origin_are_drawn_like_those_near_it() -> None:
    far = [[0.01, 0.0, 5e5], [0.0, 0.01, 5e6], [0.0, 0.0, 1.0]]
    config = GroundConfig.model_validate({"homographies": {"door": far}})
    pieces = [walk(1, 0, 8, 2), walk(2, 0, 8, 4)]
    ways = find_ways(pieces, CAMERAS, GroundPlane(config, CAMERAS))
    away, near = draw_map(ways, CAMERAS, is_y_down=True), drawn(pieces)
    for identity in (1, 2):
        (one,), (other,) = ways_of(away, identity), ways_of(near, identity)
        assert one - (5e5, 5e6) == pytest.approx(other, abs=1e-6)


# The file


def test_both_files_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    ways = find_ways([walk(1, 0, 9, 1), walk(2, 2, 8, 3)], CAMERAS, plane())
    paths = write_map(tmp_path / "map.png", ways, CAMERAS, is_y_down=True)
    assert paths == [tmp_path / "map.png", tmp_path / "map.svg"] == sorted(tmp_path.iterdir())


def test_everybody_in_a_simulated_hall_is_on_its_map(tmp_path: Path) -> None:
    world = ground_world(tmp_path / "hall", cameras=2, people=5, seconds=20, seed=2)
    sightings = [(world.camera, world.time, world.person, world.boxes)]
    ways = find_ways(sightings, world.names, world.plane)
    figure = draw_map(ways, world.names, world.plane.is_y_down)
    assert not world.plane.is_y_down
    assert all(ways_of(figure, person) for person in np.unique(world.person).tolist())
    # The hall is 13.5 m by 11 m, and people begin behind its doors.
    xy = ways.places.sums / ways.places.counts[:, None]
    assert (xy > -4).all()
    assert (xy < [18, 15]).all()
