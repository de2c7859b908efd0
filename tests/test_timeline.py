"""The timeline: what is drawn, as matplotlib holds it."""

import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from foundation.figures import color
from tests.test_run import write_sequence
from tests.test_visits import DOOR, YARD, find_visits, seen
from tracker.colors import camera_color, person_color
from tracker.reports import timeline
from tracker.reports.timeline import Span, bars_of, draw_timeline, people_to_show, seen_by, write_timeline
from tracker.reports.visits import Visits
from tracker.run import main
from tracker.types import CameraName

CAMERAS = [CameraName("door"), CameraName("yard")]
UNIX_S = 1_700_000_000.0
"""2023-11-14 22:13:20 UTC."""
Box = tuple[float, float, float, float]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()


def visits(*rows: tuple[int, int, float, float]) -> Visits:
    """Rows of identity, camera, begin and end; by identity."""
    identities, cameras, begins, ends = (np.array(column) for column in zip(*rows, strict=True))
    return Visits(identities, cameras, begins.astype(np.float64), ends.astype(np.float64))


def plots(figure: Figure) -> tuple[Axes, Axes]:
    rows, occupancy = figure.axes
    return rows, occupancy


def bars(figure: Figure, camera: str) -> list[Box]:
    """Left, right, upper and lower edge of each bar of a camera, in seconds and rows."""
    boxes = [path.get_extents() for it in drawn(figure, camera) for path in it.get_paths()]
    return [(box.x0, box.x1, box.y0, box.y1) for box in boxes]


def drawn(figure: Figure, camera: str) -> list[PolyCollection]:
    found = plots(figure)[0].collections
    return [it for it in found if isinstance(it, PolyCollection) and it.get_label() == camera]


def lanes(figure: Figure) -> dict[str, StepPatch]:
    return {str(it.get_label()): it for it in plots(figure)[1].patches if isinstance(it, StepPatch)}


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


# The people


def test_a_bar_stands_where_its_visit_is_in_the_colour_of_its_camera() -> None:
    figure = draw_timeline(visits((1, DOOR, 0, 10), (2, YARD, 2.5, 5)), CAMERAS)
    ((left, right, top, bottom),) = bars(figure, "yard")
    assert (left, right) == pytest.approx((2.5, 5), abs=10 / timeline.BINS)
    assert (top, bottom) == pytest.approx((0.6, 1.4))
    (collection,) = drawn(figure, "yard")
    assert np.asarray(collection.get_facecolor())[0, :3] == pytest.approx(color(camera_color(YARD)))


def test_people_stand_in_the_order_in_which_they_came_with_their_number_and_colour() -> None:
    figure = draw_timeline(visits((1, DOOR, 6, 9), (2, YARD, 1, 4)), CAMERAS)
    rows, _ = plots(figure)
    assert [label.get_text() for label in rows.get_yticklabels()] == ["2", "1"]
    assert rows.get_ylim() == (1.5, -0.5)
    (swatches,) = [it for it in rows.collections if isinstance(it, PathCollection)]
    expected = [color(person_color(identity)) for identity in (2, 1)]
    assert np.asarray(swatches.get_facecolor())[:, :3] == pytest.approx(np.array(expected))


def test_how_long_somebody_was_in_view_counts_two_cameras_at_once_one_time() -> None:
    figure = draw_timeline(visits((1, DOOR, 0, 80), (1, YARD, 60, 100), (2, YARD, 0, 7)), CAMERAS)
    assert texts(plots(figure)[0]) == ["1:40.0", "0:07.0", "person", "in view"]


def test_cameras_that_see_a_person_at_once_share_the_row() -> None:
    figure = draw_timeline(visits((1, DOOR, 0, 8), (1, YARD, 6, 10)), CAMERAS)
    alone, shared = bars(figure, "door")
    assert alone == pytest.approx((0, 6, -0.4, 0.4), abs=0.01)
    assert shared == pytest.approx((6, 8, -0.4, 0), abs=0.01)
    shared, alone = bars(figure, "yard")
    assert shared == pytest.approx((6, 8, 0, 0.4), abs=0.01)
    assert alone == pytest.approx((8, 10, -0.4, 0.4), abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_bars_cover_what_was_seen_once_and_nothing_else(seed: int) -> None:
    seen_at = np.random.default_rng(seed).random((4, 200)) < 0.4
    height = np.zeros(200)
    for camera, begin, end, low, high in bars_of(seen_at):
        assert seen_at[camera, begin:end].all()
        height[begin:end] += high - low
    assert height == pytest.approx(seen_at.any(axis=0).astype(float))


def test_a_glance_in_three_days_can_be_seen_and_hides_nobody_else() -> None:
    days = 3 * 86400.0
    crowd = visits((1, DOOR, 0, 1), (1, YARD, 200, days), (2, YARD, 1000, 1001), (3, YARD, days, days))
    span = Span.of(crowd)
    widths = [
        np.flatnonzero(seen_by(crowd[crowd.identity_ids == identity], 2, span)[camera])
        for identity, camera in ((1, DOOR), (2, YARD), (3, YARD))
    ]
    assert [len(width) for width in widths] == [1, timeline.MIN_BINS, timeline.MIN_BINS]
    assert widths[2][-1] == timeline.BINS - 1  # at the end there is no room to the right


def test_of_many_people_those_longest_in_view_have_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_ROWS", 2)
    crowd = visits((1, DOOR, 0, 2), (2, YARD, 1, 9), (3, DOOR, 2, 3), (4, YARD, 0, 7), (5, DOOR, 9, 10))
    assert people_to_show(crowd).tolist() == [4, 2]
    figure = draw_timeline(crowd, CAMERAS)
    rows, occupancy = plots(figure)
    assert rows.get_title("left") == "Who was where: the 2 longest in view"
    assert not bars(figure, "door")
    assert "all 5 counted" in occupancy.get_title("left")
    assert "at most 2" in texts(occupancy)  # 3 and 5 have no row, and 1 was there as 3 came


def test_eight_hours_and_a_thousand_people_are_one_page() -> None:
    random = np.random.default_rng(0)
    begins = random.uniform(0, 8 * 3600, 5000)
    rows = zip(np.sort(random.integers(1, 1001, 5000)), random.integers(6, size=5000), begins, strict=True)
    crowd = visits(*((int(who), int(camera), begin, begin + 90) for who, camera, begin in rows))
    figure = draw_timeline(crowd, [CameraName(f"camera {index}") for index in range(6)])
    width, height = figure.get_size_inches()
    assert height < width
    assert len(plots(figure)[0].get_yticks()) == timeline.MAX_ROWS


# The cameras


def test_lanes_show_how_many_a_camera_sees() -> None:
    figure = draw_timeline(visits((1, DOOR, 0, 100), (2, DOOR, 50, 100), (3, YARD, 0, 50)), CAMERAS)
    door, yard = lanes(figure).values()
    heights = [np.abs(np.asarray(lane.get_data()[0]) - lane.get_data()[2]) for lane in (door, yard)]
    half = timeline.OCCUPANCY_BINS // 2
    assert heights[0][:half] == pytest.approx(heights[0][-1] / 2)
    assert heights[1][:half] == pytest.approx(heights[0][0])
    assert heights[1][half:] == pytest.approx(0)
    _, occupancy = plots(figure)
    assert texts(occupancy) == ["door", "at most 2", "yard", "at most 1"]
    assert occupancy.get_title("left") == "People in view, all 3 counted; lane height = 2"


def test_sixty_four_cameras_can_be_told_apart() -> None:
    names = [CameraName(f"camera {index}") for index in range(64)]
    figure = draw_timeline(visits(*((index + 1, index, 0.0, 10.0) for index in range(64))), names)
    styles = [(it.get_facecolor(), it.get_hatch()) for it in lanes(figure).values()]
    assert len(styles) == 64
    assert all(one != other for one, other in combinations(styles, 2))


def test_of_too_many_cameras_the_busiest_have_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MAX_LANES", 2)
    names = [CameraName(name) for name in ("a", "b", "c")]
    figure = draw_timeline(visits((1, 0, 0, 10), (2, 1, 0, 1), (3, 2, 0, 5)), names)
    assert list(lanes(figure)) == ["a", "c"]
    assert "the 2 busiest cameras" in plots(figure)[1].get_title("left")


def test_names_of_any_script_are_written_as_they_are(tmp_path: Path) -> None:
    names = [CameraName(name) for name in ("вход", "入口-1", "двор 🚪", "Tür", "$x_1$")]
    figure = draw_timeline(visits(*((index + 1, index, 0.0, 10.0) for index in range(5))), names)
    assert texts(plots(figure)[1])[::2] == names


def test_a_run_without_people_gives_a_figure_too(tmp_path: Path) -> None:
    figure = draw_timeline(find_visits([]), CAMERAS)
    assert figure.get_suptitle() == "no people in 2 cameras"
    assert all(path.is_file() for path in write_timeline(tmp_path / "timeline.png", find_visits([]), CAMERAS))


# Time


def labels(begin_s: float, end_s: float) -> list[str]:
    figure = draw_timeline(visits((1, DOOR, begin_s, end_s)), CAMERAS)
    figure.draw_without_rendering()
    axis = plots(figure)[1].xaxis
    low, high = axis.get_view_interval()
    return [
        label.get_text()
        for tick, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        if low <= tick <= high
    ]


@pytest.mark.parametrize(
    ("end_s", "first", "second", "last", "number"),
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
    end_s: float, first: str, second: str, last: str, number: int
) -> None:
    told = labels(0.2, end_s)
    assert (told[0], told[1], told[-1], len(told)) == (first, second, last, number)


@pytest.mark.usefixtures("berlin")
def test_live_cameras_are_timed_by_the_local_clock_with_its_date() -> None:
    assert labels(UNIX_S, UNIX_S + 8 * 3600)[:3] == ["Nov-15", "01:00", "02:00"]
    assert labels(UNIX_S, UNIX_S + 50)[:2] == ["23:13:20", "23:13:25"]
    axis = plots(draw_timeline(visits((1, DOOR, UNIX_S, UNIX_S + 8 * 3600)), CAMERAS))[1].xaxis
    axis.get_major_formatter().format_ticks(axis.get_majorticklocs().tolist())
    assert axis.get_major_formatter().get_offset() == "2023-Nov-15"


@pytest.mark.usefixtures("berlin")
def test_a_clock_that_is_put_forward_skips_an_hour() -> None:
    summer_s = 1_711_845_000.0  # 2024-03-31 01:30 in Berlin, half an hour before 3:00
    assert labels(summer_s, summer_s + 4 * 3600) == ["03:00", "04:00", "05:00", "06:00"]


# The file


def test_the_files_are_the_same_however_the_run_is_cut(tmp_path: Path) -> None:
    whole = [seen(DOOR, 1, 0.0, 0.5, 1.0), seen(YARD, 1, 3.0, 3.5), seen(DOOR, 2, 1.0, 1.4)]
    paths = write_timeline(tmp_path / "timeline.png", find_visits(whole), CAMERAS)
    before = [path.read_bytes() for path in paths]
    pieces = [seen(camera, person, moment) for (cameras, times, people) in whole
              for camera, moment, person in zip(cameras, times, people, strict=True)]  # fmt: skip
    assert [path.read_bytes() for path in write_timeline(paths[0], find_visits(pieces), CAMERAS)] == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["timeline.png", "timeline.svg"]


def test_a_run_leaves_its_timeline_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "door", 50, 0)
    assert main([str(tmp_path / "door"), "--set", "detector.kind=file"]) == 0
    told = capsys.readouterr().out
    assert "timeline.png" in told
    assert "timeline.svg" in told
    assert ">door<" in Path("runs/track/timeline.svg").read_text(encoding="utf-8")
