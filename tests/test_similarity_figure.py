"""What a run says of its own errors: the numbers in the file, and the figure as matplotlib holds it."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from scipy.stats import beta

from foundation.arrays import FloatArray
from tests.test_run import write_sequence
from tracker.metrics.calibration import Calibration, read_calibration
from tracker.reports import similarity
from tracker.reports.similarity import BIN, draw_similarity, write_similarity
from tracker.run import main
from tracker.types import SimilarityReport

GRID: FloatArray = np.linspace(-1, 1, 2001)
NONE = np.empty(0)
TWO, ONE = beta(6, 6, -1, 2), beta(17, 3, -1, 2)
"""Cosines of two people, mean 0, and of one person in two tracklets, mean 0.7."""
THRESHOLD = 0.5


def site(
    different: FloatArray = NONE, within: FloatArray = NONE, threshold: float = THRESHOLD
) -> SimilarityReport:
    """Three people are known; the prior weighs 20 pairs."""
    return SimilarityReport(
        different=different,
        within=within,
        prior_pairs=20.0,
        mean_sd_different=(float(TWO.mean()), float(TWO.std())),
        mean_sd_within=(0.88, 0.1),
        mean_sd_same=(float(ONE.mean()), float(ONE.std())),
        grid=GRID,
        density_different=TWO.pdf(GRID),
        density_same=ONE.pdf(GRID),
        num_identities=3,
        threshold=threshold,
        max_false_merge_rate=0.1,
        expected_false_merge_rate=3 * float(TWO.sf(threshold)),
        expected_missed_rate=float(ONE.cdf(threshold)),
        missed_rates=(float(ONE.cdf(threshold)), 0.5),
    )


def plots(learned: SimilarityReport) -> tuple[Axes, Axes]:
    """The plot of different people and that of the same person."""
    above, below = draw_similarity(learned).axes
    return above, below


def bars(axes: Axes) -> tuple[FloatArray, FloatArray]:
    """(B,) left edge and height of each bar that is there."""
    (patch,) = [it for it in axes.patches if isinstance(it, StepPatch)]
    heights, edges, _ = patch.get_data()
    there = np.asarray(heights) > 0
    return np.asarray(edges)[:-1][there], np.asarray(heights)[there]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


# The file


def test_the_file_says_what_was_learned_and_what_is_expected(tmp_path: Path) -> None:
    learned = site(np.array([0.1, 0.5, 0.6, -0.2, 0.3]), np.array([0.9] * 60))
    write_similarity(tmp_path, learned)
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
        "cosine_of_two_embeddings_of_one_track": {
            "mean": 0.88,
            "standard_deviation": 0.1,
            "pairs_of_this_site": 60,
            "prior_share": 0.25,
        },
        "cosine_of_one_person_in_two_tracklets": {"mean": 0.7, "standard_deviation": round(ONE.std(), 4)},
    }


def test_the_evaluation_reads_the_file(tmp_path: Path) -> None:
    stated = replace(site(), expected_false_merge_rate=0.0625, expected_missed_rate=0.25)
    write_similarity(tmp_path, stated)
    assert read_calibration(tmp_path / "calibration.json") == Calibration(0.1, 0.0625, 0.25)


def test_all_files_are_named_whole_and_the_same_when_written_again(tmp_path: Path) -> None:
    learned = site(np.array([0.1]), np.array([0.9]))
    files = write_similarity(tmp_path, learned)
    assert files == [tmp_path / f"calibration.{kind}" for kind in ("json", "png", "svg")]
    assert sorted(tmp_path.iterdir()) == files
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_similarity(tmp_path, learned)] == before


@pytest.mark.parametrize("threshold", [-1.0, -0.4, 0.0, 0.5, 0.9, 1.0])
def test_pairs_above_the_threshold_are_counted_and_expected_as_the_curve_says(threshold: float) -> None:
    different = np.random.default_rng(0).uniform(-1, 1, 500)
    count, expected = similarity._above(site(different, threshold=threshold))
    assert count == sum(cosine >= threshold for cosine in different.tolist())
    assert expected == pytest.approx(500 * TWO.sf(threshold), abs=0.5)


def test_columns_out_of_step_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"SimilarityReport.density_same must have shape \(2001\), got \(7,\)"
    ):
        replace(site(), density_same=np.ones(7))
    with pytest.raises(ValueError, match=r"SimilarityReport.different must have shape \(any\), got \(2, 2\)"):
        replace(site(), different=np.ones((2, 2)))


# The figure


def test_bars_stand_at_their_cosines_each_kind_in_its_plot() -> None:
    above, below = plots(site(np.array([-0.5] * 3 + [-0.1]), np.array([0.9])))
    edges, heights = bars(above)
    assert edges == pytest.approx(np.array([-0.52, -0.12]))
    assert heights[0] == pytest.approx(3 * heights[1])
    edges, _ = bars(below)
    assert edges == pytest.approx(np.array([0.88]))


@pytest.mark.parametrize(("pairs", "share"), [(20, 0.5), (60, 0.75), (4096, 4096 / 4116)])
def test_bars_fill_as_much_of_the_curve_as_the_site_made(pairs: int, share: float) -> None:
    above, _ = plots(site(np.linspace(-0.9, 0.9, pairs)))
    assert bars(above)[1].sum() * BIN == pytest.approx(share)
    (curve,) = [line for line in above.lines if line.get_label() == "expected"]
    cosines, density = (np.asarray(it) for it in curve.get_data())
    assert np.sum((density[1:] + density[:-1]) / 2 * np.diff(cosines)) == pytest.approx(1, abs=1e-3)


def test_cosines_that_rounding_brought_beyond_1_are_in_the_last_bar() -> None:
    _, below = plots(site(within=np.array([0.7, 1 + 1e-7])))
    edges, heights = bars(below)
    assert edges[-1] == pytest.approx(1 - BIN)
    assert heights[0] == heights[1]


def test_without_pairs_the_figure_has_curves_and_says_that_they_are_prior() -> None:
    for axes, distribution in zip(plots(site()), (TWO, ONE), strict=True):
        assert not len(bars(axes)[0])
        (curve,) = [line for line in axes.lines if line.get_label() == "expected"]
        assert np.asarray(curve.get_ydata()) == pytest.approx(distribution.pdf(GRID))
        pairs, prior = legend(axes)
        assert pairs.startswith("no ")
        assert prior.endswith("the prior alone")


@pytest.mark.parametrize("pairs", [1, 20, 4096])
def test_the_figure_says_how_many_pairs_each_curve_rests_on(pairs: int) -> None:
    learned = site(np.linspace(-0.9, 0.9, pairs), np.linspace(0.5, 1, 2 * pairs))
    for axes, number in zip(plots(learned), (pairs, 2 * pairs), strict=True):
        of_bars, of_curve = legend(axes)
        assert of_bars.startswith(f"{number} pair{'s' if number > 1 else ''} of ")
        assert f"{100 * 20 / (20 + number):.0f}% prior" in of_curve


@pytest.mark.parametrize("threshold", [-1.0, -0.33, 0.0, 0.62, 1.0])
def test_the_wrong_side_of_the_threshold_is_hatched_and_its_error_said(threshold: float) -> None:
    for axes, is_above in zip(plots(site(threshold=threshold)), (True, False), strict=True):
        (line,) = [it for it in axes.lines if it.get_label() == "threshold"]
        assert np.asarray(line.get_xdata()).tolist() == [threshold] * 2
        (wrong,) = [it for it in axes.collections if isinstance(it, PolyCollection)]
        assert wrong.get_hatch()
        corners = [np.asarray(path.vertices) for path in wrong.get_paths()]
        cosines = np.concatenate([np.array([(threshold, 0.0)]), *corners])[:, 0]
        assert cosines.min() == pytest.approx(threshold if is_above else min(-1, threshold), abs=2e-3)
        assert cosines.max() == pytest.approx(max(1, threshold) if is_above else threshold, abs=2e-3)
        side = "above" if is_above else "below"
        assert [text.get_text().split(":")[0] for text in axes.texts] == [f"{side} the threshold"]


@pytest.mark.parametrize("threshold", np.linspace(-1, 1, 9).tolist())
def test_every_word_lies_on_the_page_and_none_on_another_however_many_pairs_there_are(
    threshold: float,
) -> None:
    crowd = np.full(99_999, 0.8)
    figure = draw_similarity(site(crowd, crowd, threshold))
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    for axes in figure.axes:
        found = axes.get_legend()
        assert found is not None
        words = [axes.texts[0].get_window_extent(), found.get_window_extent()]
        said = axes.get_title("left")
        texts = [it for it in axes.findobj(Text) if isinstance(it, Text)]
        words += [it.get_window_extent() for it in texts if it.get_text() == said]
        for one, other in combinations([it for it in words if it.width], 2):
            assert not one.overlaps(other)
        assert all(it.x0 >= 0 and it.x1 <= width and it.y0 >= 0 and it.y1 <= height for it in words)


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
    assert similarity._of_100(rate, "is missed", "are missed") == text


# The run


@pytest.mark.parametrize(("embedder", "has_embeddings"), [("color", True), ("none", False)])
def test_a_run_that_looks_at_people_says_what_it_learned(
    embedder: str,
    has_embeddings: bool,
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
    assert ("calibration.png" in capsys.readouterr().out) == has_embeddings
    stated = read_calibration(Path("runs/track/calibration.json"))
    assert (stated is not None) == has_embeddings
    if stated is not None:
        learned = json.loads(Path("runs/track/calibration.json").read_text())
        assert stated.max_false_merge_rate == 0.05
        assert learned["people_known"] >= 1
        assert learned["cosine_of_different_people"]["pairs_of_this_site"] >= 1
