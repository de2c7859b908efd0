"""What a run says of its own errors: the numbers in the file, and the picture looked at pixel by pixel."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from tests.test_run import write_sequence
from tracker.metrics.calibration import Calibration, read_calibration
from tracker.reports import calibration
from tracker.reports.calibration import (
    DIFFERENT,
    LINE_HEIGHT,
    MARGIN,
    PLOT_HEIGHT,
    SAME,
    TITLE_HEIGHT,
    WIDTH,
    draw_calibration,
    write_calibration,
)
from tracker.reports.timeline import INK, WHITE, text_width
from tracker.run import main
from tracker.types import FloatArray, Image, SiteCalibration

GRID: FloatArray = np.linspace(-1, 1, 2001)
NONE = np.empty(0)
TWO, ONE = beta(6, 6, -1, 2), beta(17, 3, -1, 2)
"""Cosines of two people, mean 0, and of one person in two stays, mean 0.7."""
THRESHOLD = 0.5


def site(
    different: FloatArray = NONE, within: FloatArray = NONE, threshold: float = THRESHOLD
) -> SiteCalibration:
    """Three people are known; the prior weighs 20 pairs."""
    return SiteCalibration(
        different=different,
        within=within,
        prior_pairs=20.0,
        mean_sd_different=(float(TWO.mean()), float(TWO.std())),
        mean_sd_within=(0.88, 0.1),
        mean_sd_same=(float(ONE.mean()), float(ONE.std())),
        grid=GRID,
        density_different=TWO.pdf(GRID),
        density_same=ONE.pdf(GRID),
        people=3,
        threshold=threshold,
        max_false_merge_rate=0.1,
        expected_false_merge_rate=3 * float(TWO.sf(threshold)),
        expected_missed_rate=float(ONE.cdf(threshold)),
    )


def plots(picture: Image) -> tuple[Image, Image]:
    """The plot of different people and that of the same person."""
    above = TITLE_HEIGHT + 2 * LINE_HEIGHT + 10
    below = above + PLOT_HEIGHT + 2 * LINE_HEIGHT + 10
    return picture[above : above + PLOT_HEIGHT], picture[below : below + PLOT_HEIGHT]


def column(cosine: float) -> int:
    return round(MARGIN + (cosine + 1) / 2 * (WIDTH - 2 * MARGIN))


def of_color(picture: Image, color: tuple[int, ...]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (picture == color).all(axis=2)
    return found


def bar_heights(plot: Image, color: tuple[int, int, int]) -> NDArray[np.int64]:
    """(W,) pixels from the ground to the top of the bar of each column."""
    bars = of_color(plot, calibration._tint(color))
    return np.where(bars.any(axis=0), PLOT_HEIGHT - bars.argmax(axis=0), 0)


# The file


def test_the_file_says_what_was_learned_and_what_is_expected(tmp_path: Path) -> None:
    learned = site(np.array([0.1, 0.5, 0.6, -0.2, 0.3]), np.array([0.9] * 60))
    write_calibration(tmp_path, learned)
    assert json.loads((tmp_path / "calibration.json").read_text()) == {
        "max_false_merge_rate": 0.1,
        "expected_false_merge_rate": round(3 * TWO.sf(0.5), 6),
        "expected_missed_rate": round(ONE.cdf(0.5), 6),
        "threshold_cosine": 0.5,
        "people_known": 3,
        "cosine_of_different_people": {
            "mean": 0.0,
            "standard_deviation": round(13**-0.5, 4),
            "pairs_of_this_site": 5,
            "prior_share": 0.8,
            "pairs_above_threshold": 2,
            "pairs_expected_above": round(5 * TWO.sf(0.5), 2),
        },
        "cosine_of_two_looks_at_one_track": {
            "mean": 0.88,
            "standard_deviation": 0.1,
            "pairs_of_this_site": 60,
            "prior_share": 0.25,
        },
        "cosine_of_one_person_in_two_stays": {"mean": 0.7, "standard_deviation": round(ONE.std(), 4)},
    }


def test_the_evaluation_reads_the_file(tmp_path: Path) -> None:
    stated = replace(site(), expected_false_merge_rate=0.0625, expected_missed_rate=0.25)
    write_calibration(tmp_path, stated)
    assert read_calibration(tmp_path / "calibration.json") == Calibration(0.1, 0.0625, 0.25)


def test_both_files_are_named_whole_and_the_same_when_written_again(tmp_path: Path) -> None:
    learned = site(np.array([0.1]), np.array([0.9]))
    files = write_calibration(tmp_path, learned)
    assert files == [tmp_path / "calibration.json", tmp_path / "calibration.png"]
    assert sorted(tmp_path.iterdir()) == files
    assert np.array_equal(np.asarray(cv2.imread(str(files[1]))), draw_calibration(learned))
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_calibration(tmp_path, learned)] == before


@pytest.mark.parametrize("threshold", [-1.0, -0.4, 0.0, 0.5, 0.9, 1.0])
def test_pairs_above_the_threshold_are_counted_and_expected_as_the_curve_says(threshold: float) -> None:
    different = np.random.default_rng(0).uniform(-1, 1, 500)
    count, expected = calibration._above(site(different, threshold=threshold))
    assert count == sum(cosine >= threshold for cosine in different.tolist())
    assert expected == pytest.approx(500 * TWO.sf(threshold), abs=0.5)


def test_columns_out_of_step_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"SiteCalibration.density_same must have shape \(2001\), got \(7,\)"
    ):
        replace(site(), density_same=np.ones(7))
    with pytest.raises(ValueError, match=r"SiteCalibration.different must have shape \(any\), got \(2, 2\)"):
        replace(site(), different=np.ones((2, 2)))


# The picture


def test_bars_stand_at_their_cosines_each_kind_in_its_plot() -> None:
    above, below = plots(draw_calibration(site(np.array([-0.5] * 3 + [-0.1]), np.array([0.9]))))
    heights = bar_heights(above, DIFFERENT)
    bars = np.flatnonzero(heights)
    assert column(-0.52) < bars[0] <= column(-0.5) <= bars[-1] < column(-0.08)
    assert heights[column(-0.5)] == pytest.approx(3 * heights[column(-0.1)], abs=2)
    assert not heights[column(-0.4) : column(-0.2)].any()
    bars = np.flatnonzero(bar_heights(below, SAME))
    assert column(0.88) < bars[0] <= column(0.9) <= bars[-1] < column(0.92)
    assert not of_color(above, calibration._tint(SAME)).any()


@pytest.mark.parametrize(("pairs", "share"), [(20, 0.5), (60, 0.75), (4096, 4096 / 4116)])
def test_bars_fill_as_much_of_the_curve_as_the_site_made(pairs: int, share: float) -> None:
    different = np.asarray(TWO.ppf((np.arange(pairs) + 0.5) / pairs))
    # Beyond all pairs, so that no hatching hides a bar.
    plot, _ = plots(draw_calibration(site(different, threshold=0.99)))
    middles = [column(-0.98 + 0.04 * bar) for bar in range(50)]
    curve = PLOT_HEIGHT - 1 - of_color(plot, DIFFERENT).argmax(axis=0)[middles]
    assert bar_heights(plot, DIFFERENT)[middles].sum() / curve.sum() == pytest.approx(share, rel=0.05)


def test_cosines_that_rounding_brought_beyond_1_are_in_the_last_bar() -> None:
    _, plot = plots(draw_calibration(site(within=np.array([0.7, 1 + 1e-7]))))
    heights = bar_heights(plot, SAME)
    assert heights[column(0.98)] == heights[column(0.7)] > 0


def test_without_pairs_the_picture_has_curves_and_says_that_they_are_prior() -> None:
    above, below = plots(draw_calibration(site()))
    for plot, color, distribution in ((above, DIFFERENT, TWO), (below, SAME, ONE)):
        assert not of_color(plot, calibration._tint(color)).any()
        top = np.flatnonzero(of_color(plot, color).any(axis=1))[0]
        peak = np.flatnonzero(of_color(plot, color)[top]).mean()
        assert peak == pytest.approx(column(GRID[distribution.pdf(GRID).argmax()]), abs=5)
    for notes in (calibration._notes_different(site()), calibration._notes_same(site())):
        assert notes[0].startswith("no ")
        assert notes[1].endswith("the prior alone")


@pytest.mark.parametrize("pairs", [1, 20, 4096])
def test_the_picture_says_how_many_pairs_each_curve_rests_on(pairs: int) -> None:
    learned = site(np.linspace(-0.9, 0.9, pairs), np.linspace(0.5, 1, 2 * pairs))
    for (bars, curve), count in (
        (calibration._notes_different(learned), pairs),
        (calibration._notes_same(learned), 2 * pairs),
    ):
        assert bars.startswith(f"{count} pair{'s' if count > 1 else ''} of ")
        assert f"{100 * 20 / (20 + count):.0f}% prior" in curve


def test_notes_do_not_run_into_each_other_however_many_pairs_there_are() -> None:
    crowded = site(np.full(99_999, 0.8), np.full(99_999, 0.8), threshold=-1.0)
    for bars, curve in (calibration._notes_different(crowded), calibration._notes_same(crowded)):
        left = MARGIN + 190 + 36 + text_width(bars, 0.45)
        assert left + 20 < WIDTH - MARGIN - text_width(curve, 0.45) - 36


def test_only_the_wrong_side_of_the_line_is_hatched() -> None:
    above, below = (
        of_color(plot, color).sum(axis=0)
        for plot, color in zip(plots(draw_calibration(site(threshold=0.3))), (DIFFERENT, SAME), strict=True)
    )
    line = column(0.3)
    # Where the curve is this high, its own line is a small part of what hatching would be.
    assert above[line + 2 : line + 8].min() > 3 * above[line - 8 : line - 2].max()
    line = column(0.7)
    _, below = plots(draw_calibration(site(threshold=0.7)))
    ink = of_color(below, SAME).sum(axis=0)
    assert ink[line - 8 : line - 2].min() > 3 * ink[line + 2 : line + 8].max()


@pytest.mark.parametrize("threshold", [-1.0, -0.33, 0.0, 0.62, 1.0])
def test_the_threshold_goes_through_both_plots_where_it_is(threshold: float) -> None:
    picture = draw_calibration(site(np.array([0.1]), np.array([0.9]), threshold))
    for plot in plots(picture):
        lines = np.flatnonzero(of_color(plot, INK).all(axis=0))
        assert lines.tolist() == [column(threshold) - 1, column(threshold)]
    assert (picture[:, :4] == WHITE).all()
    assert (picture[:, -4:] == WHITE).all()


def test_what_is_expected_can_be_read_wherever_the_threshold_is() -> None:
    text = "right of the line: of 100 strangers 0.01 are taken for somebody"
    amounts = set()
    for line in range(MARGIN, WIDTH - MARGIN + 1, 7):
        strip = calibration._verdict(line, text)
        strip[:, line - 1 : line + 1] = WHITE
        assert (strip[:, : MARGIN - 4] == WHITE).all()
        amounts.add(int(255 * strip.size - strip.sum()))
    assert len(amounts) == 1


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.0, "0.00 are missed"),
        (2.9e-31, "0.00 are missed"),
        (0.00093, "0.09 are missed"),
        (0.00985, "1.0 is missed"),
        (0.01, "1.0 is missed"),
        (0.0123, "1.2 are missed"),
        (0.0994, "9.9 are missed"),
        (0.0996, "10 are missed"),
        (0.123, "12 are missed"),
        (1.0, "100 are missed"),
    ],
)
def test_rates_are_said_in_words(rate: float, text: str) -> None:
    assert calibration._of_100(rate, "is missed", "are missed") == text


# The run


@pytest.mark.parametrize(("embedder", "looks"), [("color", True), ("none", False)])
def test_a_run_that_looks_at_people_says_what_it_learned(
    embedder: str,
    looks: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sequence(tmp_path / "door", 50, 0)
    (tmp_path / "door" / "img1").mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (640, 640, 3), np.uint8)
    for frame in range(1, 51):
        cv2.imwrite(f"door/img1/{frame:06d}.jpg", picture)
    options = ["--set", "detector.kind=file", "--set", f"embedder.kind={embedder}"]
    assert main(["door", *options]) == 0
    assert ("calibration.png" in capsys.readouterr().out) == looks
    stated = read_calibration(Path("runs/track/calibration.json"))
    assert (stated is not None) == looks
    if stated is not None:
        learned = json.loads(Path("runs/track/calibration.json").read_text())
        assert stated.max_false_merge_rate == 0.01
        assert learned["people_known"] >= 1
        assert learned["cosine_of_different_people"]["pairs_of_this_site"] >= 1
