"""What all figures share: paper, letters of any script, labels that keep apart, and the two files.

Matplotlib is loaded when the first figure is drawn, so that commands which draw none start fast. Nothing here
touches pyplot or leaves a setting changed.
"""

import logging
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foundation.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

PALETTE: tuple[Color, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0),
    (86, 180, 233), (204, 121, 167), (240, 228, 66), (90, 90, 90),
)  # fmt: skip
"""Okabe and Ito (2008): colour-blind people can tell them apart; grey for their black."""
LINE_COLORS = [f"{red:02x}{green:02x}{blue:02x}" for red, green, blue in (*PALETTE[:6], PALETTE[7])]
"""Without yellow, which is too pale for a line."""
INK, FAINT, GRID = "#282828", "#6e6e6e", "#dcdcdc"
DPI = 110
LONGEST_NAME = 40
SANS = "DejaVu Sans"
"""Matplotlib brings it along: Latin, Cyrillic, Greek, Arabic, Hebrew and many signs."""
NO_LETTERS = ("DejaVu", "Last Resort", "STIX", "cm")
"""Families that have no more letters, boxes for all of them, or mathematics."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True, "axes.prop_cycle": f"cycler('color', {LINE_COLORS})",
    "axes.edgecolor": FAINT, "axes.labelcolor": INK, "axes.labelsize": 9,
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlelocation": "left", "axes.titlesize": 11,
    "figure.constrained_layout.use": True, "figure.dpi": DPI, "font.family": [SANS], "font.size": 9,
    "grid.color": GRID, "grid.linewidth": 0.8, "hatch.linewidth": 1.2, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "reunite",
    "text.color": INK, "text.parse_math": False, "xtick.color": FAINT, "ytick.color": FAINT,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK,
}  # fmt: skip

Label = tuple[str, tuple[float, float], dict[str, Any]]
"""A text, the point (x, y) that it belongs to, and how it is written: options of `Axes.annotate`."""

PLACES: tuple[tuple[float, float], ...] = (
    (7, 0), (-7, 0), (0, 12), (0, -12), (5, 9), (-5, 9), (5, -9), (-5, -9),
    *((dx * far, dy * far) for far in (20, 32, 46, 62, 80) for dx, dy in
      ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.6), (-0.8, 0.6), (0.8, -0.6), (-0.8, -0.6))),
)  # fmt: skip
"""Where a label may stand beside its point, in points of 1/72 inch, the best first."""


@contextmanager
def drawing(width_inch: float, height_inch: float) -> Iterator["Figure"]:
    """An empty figure; within, whatever is made follows `STYLE`."""
    from matplotlib.figure import Figure

    with _style():
        yield Figure(figsize=(width_inch, height_inch))


def write_figure(figure: "Figure", path: Path) -> list[Path]:
    """Write ``path``, a PNG, and beside it the same as an SVG; both files.

    A cut leaves each file as it was before, or the new one whole. The layout of the figure is fixed by it.
    """
    png = png_of(figure)
    figure.set_layout_engine("none")
    paths = [path, path.with_suffix(".svg")]
    for file, content in zip(paths, (png, svg_of(figure)), strict=True):
        write_whole(file, content)
    return paths


def png_of(figure: "Figure") -> bytes:
    """A figure as PNG. Letters that no font of this machine has are spelled out, as `spell` does."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    written = {text: text.get_text() for text in _choose_fonts(figure)}
    content = BytesIO()
    with _style():
        for text, letters in written.items():
            text.set_text(spell(letters))
        FigureCanvasAgg(figure).print_png(content)  # type: ignore[no-untyped-call]  # savefig draws twice
        for text, letters in written.items():
            text.set_text(letters)
    return content.getvalue()


def svg_of(figure: "Figure") -> bytes:
    """A figure as SVG. Texts stay texts: the machine that shows it may have letters that this one lacks."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    _choose_fonts(figure)
    content = BytesIO()
    dpi = figure.dpi
    with _style():
        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})  # type: ignore[no-untyped-call]
    figure.dpi = dpi
    return content.getvalue()


def _choose_fonts(figure: "Figure") -> list["Text"]:
    """Give each text the fonts that its letters need; all texts."""
    from matplotlib.text import Text

    texts = [it for it in figure.findobj(Text) if isinstance(it, Text) and it.get_text()]
    for text in texts:
        text.set_fontfamily(fonts_for(text.get_text()))
    return texts


def color(rgb: Color) -> tuple[float, float, float]:
    """A colour as matplotlib takes it."""
    red, green, blue = rgb
    return red / 255, green / 255, blue / 255


def short_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A name as it stands in figures: on one line, its middle left out where it is long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    half = longest // 2 - 1
    return plain if len(plain) <= longest else f"{plain[:half]}…{plain[-half:]}"


def count(number: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many}" if number else f"no {many}"


def place_labels(axes: "Axes", labels: Sequence[Label]) -> list["Text"]:
    """Write labels beside their points, none over another or over any of the points; those that were placed.

    The axes must have their final limits and labels. A label that stands apart from its point is led there by
    a line; one that finds no room within `PLACES` is left out.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only now is it known where the axes are
    page, scale = axes.get_window_extent(), figure.dpi / 72
    points = axes.transData.transform(np.array([point for _, point, _ in labels]).reshape(-1, 2))
    taken = [Bbox.from_bounds(x - 2, y - 2, 4, 4) for x, y in points.tolist()]
    placed: list[Text] = []
    for (text, point, options), (x, y) in zip(labels, points.tolist(), strict=True):
        label = axes.annotate(
            spell(text), point, (0, 0), textcoords="offset points", ha="center", va="center", **options
        )
        size = label.get_window_extent()
        width, height = size.width + 6, size.height + 4
        for right, up in PLACES:
            middle = right * scale + np.sign(right) * width / 2, up * scale
            room = Bbox.from_bounds(x + middle[0] - width / 2, y + middle[1] - height / 2, width, height)
            is_inside = page.contains(room.x0, room.y0) and page.contains(room.x1, room.y1)
            if is_inside and not any(room.overlaps(other) for other in taken):
                label.set(text=text, position=(middle[0] / scale, middle[1] / scale))
                taken.append(room)
                placed.append(label)
                break
        else:
            label.remove()
    return placed


@lru_cache(maxsize=1024)
def fonts_for(text: str) -> tuple[str, ...]:
    """Families that have the letters of a text: `SANS`, and what this machine has for those that it lacks."""
    missing, families = _without_glyph(text, SANS), [SANS]
    if missing:
        from matplotlib.font_manager import fontManager

        for family in dict.fromkeys(font.name for font in fontManager.ttflist if font.style == "normal"):
            if family.startswith(NO_LETTERS) or "Color" in family:  # coloured pictures cannot be drawn
                continue
            still = _without_glyph(missing, family)
            if still != missing:
                families.append(family)
                missing = still
            if not missing:
                break
    return tuple(families)


def spell(text: str) -> str:
    """The text with what no font of this machine has spelled out: signs by name, letters by number."""
    missing = text
    for family in fonts_for(text):
        missing = _without_glyph(missing, family)
    if not missing:
        return text

    pieces = groupby(text, key=missing.__contains__)
    return "".join(
        " ".join(filter(None, map(_name_of, piece))) if is_missing else "".join(piece)
        for is_missing, piece in pieces
    )


def _name_of(letter: str) -> str:
    """What is written for a letter that cannot be drawn."""
    kind, name = unicodedata.category(letter), unicodedata.name(letter, "").lower()
    if kind == "Cf" or name.startswith("variation selector"):
        return ""  # only says how its neighbours look
    return f":{name.replace(' ', '_')}:" if kind[0] == "S" and name else f"U+{ord(letter):04X}"


def _without_glyph(text: str, family: str) -> str:
    """The letters of the text, each once, that a family does not have."""
    has = _glyphs(family)
    return "".join(
        dict.fromkeys(letter for letter in text if not letter.isspace() and ord(letter) not in has)
    )


@lru_cache(maxsize=64)
def _glyphs(family: str) -> frozenset[int]:
    from matplotlib import font_manager

    return frozenset(font_manager.get_font(font_manager.findfont(family)).get_charmap())


@contextmanager
def _style() -> Iterator[None]:
    """`STYLE`, and no word about letters that a font lacks: `write_figure` sees to them."""
    from matplotlib import rc_context

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        fonts.setLevel(logging.ERROR)  # it would warn of families that have one weight
        try:
            yield
        finally:
            fonts.setLevel(level)
