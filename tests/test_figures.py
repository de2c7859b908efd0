"""What all figures share: letters of any script, labels that keep apart, files, and no state left behind."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from foundation import figures
from foundation.figures import (
    count,
    drawing,
    fonts_for,
    place_labels,
    png_of,
    short_name,
    spell,
    svg_of,
    write_figure,
)

NAMES = ("вход", "είσοδος", "Tür 1", "مدخل", "$x_1$", "a_b^c")


def written(*names: str) -> Figure:
    with drawing(4, 3) as figure:
        for row, name in enumerate(names):
            figure.text(0.1, 0.1 + 0.2 * row, name)
    return figure


@pytest.fixture
def only_latin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose fonts have nothing else."""
    monkeypatch.setattr(figures, "_glyphs", lambda family: frozenset(range(0x250)))
    fonts_for.cache_clear()
    yield
    fonts_for.cache_clear()


@pytest.mark.parametrize(
    "command", ["tracker.run", "tracker.evaluate", "tracker.search.command", "reid.train"]
)
def test_commands_start_without_matplotlib(command: str) -> None:
    script = f"import sys, {command}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_is_changed_for_other_users_of_matplotlib() -> None:
    before, level = dict(mpl.rcParams), logging.getLogger("matplotlib.font_manager").level
    png_of(written("вход 入口"))
    assert dict(mpl.rcParams) == before
    assert logging.getLogger("matplotlib.font_manager").level == level


def test_both_files_are_written_whole_and_the_same_when_written_again(tmp_path: Path) -> None:
    paths = write_figure(written(*NAMES), tmp_path / "names.png")
    assert paths == [tmp_path / "names.png", tmp_path / "names.svg"]
    assert sorted(tmp_path.iterdir()) == paths
    before = [path.read_bytes() for path in paths]
    assert imread(BytesIO(before[0])).shape[:2] == (3 * figures.DPI, 4 * figures.DPI)
    assert [path.read_bytes() for path in write_figure(written(*NAMES), paths[0])] == before


def test_names_of_any_script_stand_in_the_svg_as_they_are() -> None:
    names = (*NAMES, "入口-1", "двор 🚪", "ทางเข้า")
    text = svg_of(written(*names)).decode()
    assert [name for name in names if f">{name}<" not in text] == []


def test_letters_that_matplotlib_brings_are_drawn_as_they_are() -> None:
    assert [spell(name) for name in NAMES] == list(NAMES)
    assert [fonts_for(name) for name in NAMES] == [(figures.SANS,)] * len(NAMES)


@pytest.mark.usefixtures("only_latin")
def test_letters_without_a_font_are_spelled_out() -> None:
    spelled = {
        "入口-1": "U+5165 U+53E3-1",
        "hall 🚪 2": "hall :door: 2",
        "☎\ufe0f": ":black_telephone:",
        "Tür - 1": "Tür - 1",
    }
    assert {name: spell(name) for name in spelled} == spelled
    figure = written("入口-1")
    assert png_of(figure) == png_of(written("U+5165 U+53E3-1"))
    assert figure.texts[0].get_text() == "入口-1"


def test_another_font_of_the_machine_is_taken_for_letters_that_ours_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latin = frozenset(range(0x250))
    monkeypatch.setattr(
        figures, "_glyphs", lambda family: latin | {ord("入")} if family == "cmr10" else latin
    )
    monkeypatch.setattr(figures, "NO_LETTERS", ())
    fonts_for.cache_clear()
    assert fonts_for("入") == (figures.SANS, "cmr10")
    assert spell("入口") == "入U+53E3"
    fonts_for.cache_clear()


def test_long_names_keep_both_ends_and_stay_on_one_line() -> None:
    assert short_name("x" * 30 + "y" * 30) == "x" * 19 + "…" + "y" * 19
    assert short_name("a\nb") == "a b"


def test_numbers_have_their_noun() -> None:
    said = [count(number, "person", "people") for number in (0, 1, 2, 1000)]
    assert said == ["no people", "1 person", "2 people", "1,000 people"]


@pytest.mark.parametrize("seed", range(5))
def test_labels_lie_in_the_axes_and_neither_over_each_other_nor_over_points(seed: int) -> None:
    points = np.random.default_rng(seed).normal(0.5, 0.02, (20, 2)).tolist()
    with drawing(8, 6) as figure:
        axes = figure.subplots()
        placed = place_labels(axes, [(f"label {row}", tuple(point), {}) for row, point in enumerate(points)])
        assert len(placed) > 12
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in placed]
        page, dots = axes.get_window_extent(), axes.transData.transform(points)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.contains(x, y) for box in boxes for x, y in dots.tolist())
    assert all(page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1) for box in boxes)


def test_a_label_at_the_edge_is_turned_inwards_and_one_without_room_left_out() -> None:
    with drawing(4, 3) as figure:
        axes = figure.subplots()
        (edge,) = place_labels(axes, [("far right", (1.0, 0.5), {})])
        assert edge.get_position()[0] < 0
        assert place_labels(axes, [("very long " * 20, (0.5, 0.5), {})]) == []
