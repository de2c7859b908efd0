"""The timeline: visits out of sightings, and the picture looked at pixel by pixel."""

import time
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.test_run import write_sequence
from tracker.reports import timeline
from tracker.reports.timeline import (
    COLORS,
    GRID,
    WIDTH,
    Visits,
    _Axis,
    draw_timeline,
    find_visits,
    write_timeline,
)
from tracker.run import main
from tracker.types import CameraName, FloatArray, Image, IntArray

CAMERAS = [CameraName("door"), CameraName("yard")]
DOOR, YARD = 0, 1
UNIX_S = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""
Sightings = tuple[IntArray, FloatArray, IntArray]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()


def seen(camera: int, identity: int, *times: float) -> Sightings:
    return np.full(len(times), camera), np.array(times, np.float64), np.full(len(times), identity)


def visit_rows(visits: Visits) -> list[tuple[int, int, float, float]]:
    columns = (visits.identity_ids, visits.cameras, visits.begin_s, visits.end_s)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def visits(*rows: tuple[int, int, float, float]) -> Visits:
    """Rows of identity, camera, begin and end; by identity."""
    identities, cameras, begins, ends = (np.array(column) for column in zip(*rows, strict=True))
    return Visits(identities, cameras, begins.astype(np.float64), ends.astype(np.float64))


def where(picture: Image, camera: int) -> NDArray[np.bool_]:
    """(H, W) the bars of one camera; the letters of the header and the legend lie outside."""
    found: NDArray[np.bool_] = (picture == COLORS[camera]).all(axis=2)
    found[: plot_top(picture)] = False
    return found


def plot_top(picture: Image) -> int:
    """The first row of the people: below the lower of the two lines of the axis."""
    lines = np.flatnonzero((picture == GRID).all(axis=2).sum(axis=1) > WIDTH // 2)
    return int(lines[1]) + 1


def extent(mask: NDArray[np.bool_]) -> tuple[int, int]:
    columns = np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(columns[-1])


# Visits


def test_a_visit_goes_on_over_a_second_and_ends_after_it() -> None:
    joined = find_visits([seen(DOOR, 7, 0.0, 0.5, 1.5, 2.6, 3.0)])
    assert visit_rows(joined) == [(7, DOOR, 0.0, 1.5), (7, DOOR, 2.6, 3.0)]


def test_cameras_and_people_have_their_own_visits() -> None:
    pieces = [seen(YARD, 7, 0.0, 1.0), seen(DOOR, 7, 0.5, 1.5), seen(DOOR, 3, 0.5, 1.5)]
    assert visit_rows(find_visits(pieces)) == [(3, DOOR, 0.5, 1.5), (7, DOOR, 0.5, 1.5), (7, YARD, 0.0, 1.0)]


def test_nobody_has_no_visits() -> None:
    assert visit_rows(find_visits([])) == visit_rows(find_visits([seen(DOOR, 1)])) == []


@pytest.mark.parametrize("seed", range(20))
def test_visits_equal_brute_force_however_the_run_is_cut(seed: int) -> None:
    random = np.random.default_rng(seed)
    moments = np.sort(random.uniform(0, 60, 300)).round(2)
    cameras, identities = random.integers(2, size=300), random.integers(1, 5, 300)
    expected = []
    for key in sorted(set(zip(identities.tolist(), cameras.tolist(), strict=True))):
        own = [moment for moment, *it in zip(moments, identities, cameras, strict=True) if tuple(it) == key]
        begin = last = own[0]
        for moment in own[1:]:
            if moment - last > 1.0:
                expected.append((*key, begin, last))
                begin = moment
            last = moment
        expected.append((*key, begin, last))
    for cuts in ([], [150], sorted(random.integers(0, 300, 20).tolist())):
        pieces = zip(*(np.split(column, cuts) for column in (cameras, moments, identities)), strict=True)
        assert visit_rows(find_visits(pieces)) == expected


# The picture


def test_a_bar_stands_where_its_visit_is_in_the_colour_of_its_camera() -> None:
    picture = draw_timeline(visits((1, DOOR, 0, 10), (2, YARD, 2.5, 5)), CAMERAS)
    left, right = extent(where(picture, DOOR))
    assert picture.shape[1] == WIDTH
    begin, end = extent(where(picture, YARD))
    assert begin == pytest.approx(left + 0.25 * (right - left), abs=1)
    assert end == pytest.approx(left + 0.5 * (right - left), abs=1)


def test_people_stand_in_the_order_in_which_they_came() -> None:
    picture = draw_timeline(visits((1, DOOR, 6, 9), (2, YARD, 1, 4)), CAMERAS)
    door, yard = (np.flatnonzero(where(picture, camera).any(axis=1)) for camera in (DOOR, YARD))
    assert yard.max() < door.min()


def test_cameras_that_see_a_person_at_once_share_the_row() -> None:
    picture = draw_timeline(visits((1, DOOR, 0, 8), (1, YARD, 6, 10)), CAMERAS)
    door, yard = where(picture, DOOR), where(picture, YARD)
    both = extent(door)[1] - 3
    assert extent(yard)[0] < both < extent(door)[1]
    rows_of_door, rows_of_yard = np.flatnonzero(door[:, both]), np.flatnonzero(yard[:, both])
    assert rows_of_door.max() + 1 == rows_of_yard.min()
    assert abs(len(rows_of_door) - len(rows_of_yard)) <= 1
    assert door[:, extent(yard)[0] - 3].sum() == len(rows_of_door) + len(rows_of_yard)


def test_a_glance_in_three_days_can_be_seen_and_hides_nobody_else() -> None:
    three_days = 3 * 86400.0
    picture = draw_timeline(visits((1, DOOR, 0, three_days), (2, YARD, 1000, 1001)), CAMERAS)
    begin, end = extent(where(picture, YARD))
    assert end - begin == 2
    # In the last column there is no room to the right of it.
    picture = draw_timeline(visits((1, DOOR, 0, three_days), (2, YARD, three_days, three_days)), CAMERAS)
    last = extent(where(picture, DOOR))[1]
    assert extent(where(picture, YARD)) == (last - 2, last)
    beside = draw_timeline(visits((1, DOOR, 0, 1), (1, YARD, 300, three_days)), CAMERAS)
    assert extent(where(beside, DOOR))[1] + 1 == extent(where(beside, YARD))[0]


def test_the_number_of_a_person_stands_at_both_edges_and_before_a_late_bar() -> None:
    early, late = (
        [draw_timeline(visits((person, DOOR, begin, 10)), CAMERAS) for person in (1, 2)] for begin in (0, 5.2)
    )
    for (one, two), before_the_bar in ((early, False), (late, True)):
        differs = (one[plot_top(one) :] != two[plot_top(two) :]).any(axis=(0, 2))
        begin, end = extent(where(one, DOOR))
        assert differs[:30].any()
        assert differs[end + 1 :].any()
        assert differs[begin - 30 : begin].any() or not before_the_bar
        assert not differs[begin : end + 1].any()
        assert not differs[40 : begin - 30].any()


def test_many_people_get_low_rows_with_axis_and_legend_again_and_again() -> None:
    few, many = (
        draw_timeline(visits(*((it, DOOR, it, it + 5) for it in range(1, count))), CAMERAS)
        for count in (6, 501)
    )
    assert few.shape[0] < 400
    assert 500 * timeline.MIN_ROW < many.shape[0] < 500 * timeline.MIN_ROW * 1.25
    swatch = (many[:, timeline.MARGIN] == COLORS[DOOR]).all(axis=1)
    legends = np.flatnonzero(np.diff(swatch.astype(int)) == 1)
    assert len(legends) == 12
    assert np.diff(legends).max() < 800


def test_of_too_many_people_those_seen_longest_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_PEOPLE", 2)
    crowd = visits((1, DOOR, 0, 2), (2, YARD, 1, 9), (3, DOOR, 2, 3), (4, YARD, 0, 7), (5, DOOR, 9, 10))
    shown, note = timeline._people_to_show(crowd)
    assert shown.tolist() == [4, 2]
    assert note == "; the 2 seen longest, others 2.0 s at most"
    picture = draw_timeline(crowd, CAMERAS)
    assert not where(picture, DOOR).any()
    assert where(picture, YARD).any()


def test_thirty_two_cameras_can_be_told_apart() -> None:
    swatches = [timeline._pattern(camera, 11, 12) for camera in range(32)]
    assert all((one != other).any() for one, other in combinations(swatches, 2))
    names = [CameraName(f"camera {index}") for index in range(32)]
    rows = [(index + 1, index, 0.0, 10.0) for index in range(32)]
    picture = draw_timeline(visits(*rows), names)
    assert all(where(picture, camera).any() for camera in range(len(COLORS)))


def test_names_are_written_in_letters_that_can_be_drawn() -> None:
    names = {"Tür": "Tur", "door-2": "door-2", "вход": "camera 5", "入口-1": "camera 5"}
    assert {name: timeline.plain_name(CameraName(name), 4) for name in names} == names
    assert timeline.plain_name(CameraName("x" * 30 + "y" * 30), 0) == "x" * 18 + "..." + "y" * 18


def test_nobody_gives_a_picture_too() -> None:
    picture = draw_timeline(find_visits([]), CAMERAS)
    assert 50 < picture.shape[0] < 200


# Time


def labels(begin_s: float, end_s: float) -> list[tuple[str, str]]:
    axis = _Axis.of(visits((1, DOOR, begin_s, end_s)))
    return [axis._label(tick) for tick in axis.ticks().tolist()]


@pytest.mark.parametrize(
    ("end_s", "first", "second", "last", "count"),
    [
        (1.0, "0:00.0", "0:00.1", "0:01.0", 11),
        (10.0, "0:00", "0:01", "0:10", 11),
        (59.9, "0:00", "0:05", "0:55", 12),
        (300.0, "0:00", "0:30", "5:00", 11),
        (7200.0, "0:00:00", "0:10:00", "2:00:00", 13),
        (3 * 86400.0, "0d 00:00", "0d 06:00", "3d 00:00", 13),
        (100 * 86400.0, "0d 00:00", "9d 00:00", "99d 00:00", 12),
    ],
)
def test_files_are_timed_from_their_first_frame_in_round_steps(
    end_s: float, first: str, second: str, last: str, count: int
) -> None:
    texts = [text for text, _ in labels(0.2, end_s)]
    assert (texts[0], texts[1], texts[-1], len(texts)) == (first, second, last, count)


@pytest.mark.usefixtures("berlin")
def test_live_cameras_are_timed_by_the_local_clock_with_its_date() -> None:
    assert labels(UNIX_S, UNIX_S + 50)[:2] == [("23:13:20", "2023-11-14"), ("23:13:25", "2023-11-14")]
    texts = labels(UNIX_S, UNIX_S + 2 * 86400)
    assert texts[:3] == [("00:00", "2023-11-15"), ("06:00", "2023-11-15"), ("12:00", "2023-11-15")]
    assert _Axis.of(visits((1, DOOR, UNIX_S, UNIX_S + 9))).note == "local time, UTC+01:00"


def test_labels_at_the_edge_stay_in_the_picture() -> None:
    ruler = _Axis.of(visits((1, DOOR, 0, 30 * 86400.0))).draw(range(30, WIDTH - 30))
    dark = np.flatnonzero((ruler.max(axis=2) < 150).max(axis=0))
    assert 4 <= dark[0] < 40
    assert dark[-1] < WIDTH - 4


# The file


def test_the_file_is_the_picture_and_the_same_however_the_run_is_cut(tmp_path: Path) -> None:
    whole = [seen(DOOR, 1, 0.0, 0.5, 1.0), seen(YARD, 1, 3.0, 3.5), seen(DOOR, 2, 1.0, 1.4)]
    path = write_timeline(tmp_path / "timeline.png", whole, CAMERAS)
    expected = draw_timeline(find_visits(whole), CAMERAS)
    assert np.array_equal(np.asarray(cv2.imread(str(path))), expected)
    before = path.read_bytes()
    pieces = [seen(camera, person, moment) for (cameras, times, people) in whole
              for camera, moment, person in zip(cameras, times, people, strict=True)]  # fmt: skip
    assert write_timeline(path, pieces, CAMERAS).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["timeline.png"]


def test_a_run_leaves_its_timeline_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "door", 50, 0)
    assert main([str(tmp_path / "door"), "--set", "detector.kind=file"]) == 0
    assert "timeline.png" in capsys.readouterr().out
    picture = np.asarray(cv2.imread("runs/track/timeline.png"), np.uint8)
    assert where(picture, 0).any()
