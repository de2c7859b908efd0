"""What a run learned about looks at its site, and the errors it expects: a JSON file and a picture."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foundation.files import write_whole
from tracker.reports.timeline import COLORS, FAINT, GRID, INK, WHITE, text_width, write_text
from tracker.types import BoolArray, FloatArray, Image, IntArray, SiteCalibration

WIDTH, MARGIN = 1280, 40
TITLE_HEIGHT, LINE_HEIGHT, PLOT_HEIGHT = 44, 26, 190
BIN = 0.04
"""Width of a bar, in cosine."""
TICKS: FloatArray = np.linspace(-1, 1, 11)
DIFFERENT, SAME = COLORS[3], COLORS[0]
"""Vermilion and blue. As each has its own plot, nobody needs the colours to tell them apart."""


def write_calibration(folder: Path, site: SiteCalibration) -> list[Path]:
    """Write ``calibration.json`` and ``calibration.png``; the files written.

    A cut leaves each file as it was before, or the new one whole.
    """
    _, png = cv2.imencode(".png", draw_calibration(site))
    contents = {
        folder / "calibration.json": (json.dumps(_as_dict(site), indent=2) + "\n").encode(),
        folder / "calibration.png": png.tobytes(),
    }
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def draw_calibration(site: SiteCalibration) -> Image:
    """The picture (H, W, 3) BGR: different people above, the same person below, the threshold through both.

    Bars are the pairs of this site; they fill the curve as much as the site, not the prior, made it.
    """
    known = {0: "nobody is known", 1: "1 person is known"}.get(site.people, f"{site.people} people are known")
    strangers = _of_100(site.expected_false_merge_rate, "is taken for somebody", "are taken for somebody")
    returns = _of_100(site.expected_missed_rate, "is missed", "are missed")
    header = _strip(TITLE_HEIGHT)
    write_text(
        header, f"Who is more alike than {site.threshold:.2f} is the same person", MARGIN, 26, 0.7, INK
    )
    note = f"{known}; the line is for looks alone, time and place can move it"
    write_text(header, note, WIDTH - MARGIN - text_width(note, 0.45), 26, 0.45, FAINT)
    line = int(_columns(np.array([site.threshold]))[0])
    is_above = site.grid >= site.threshold
    return np.vstack(
        [
            header,
            _legend("different people", DIFFERENT, *_notes_different(site)),
            _verdict(line, f"right of the line: of 100 strangers {strangers}"),
            _plot(site, site.different, site.density_different, is_above, line, DIFFERENT),
            _legend("the same person", SAME, *_notes_same(site)),
            _verdict(line, f"left of the line: of 100 returns {returns}"),
            _plot(site, site.within, site.density_same, ~is_above, line, SAME),
            _axis(line, f"{site.threshold:.2f}"),
        ]
    )


def _as_dict(site: SiteCalibration) -> dict[str, Any]:
    def moments(mean_sd: tuple[float, float]) -> dict[str, float]:
        return {"mean": round(mean_sd[0], 4), "standard_deviation": round(mean_sd[1], 4)}

    def evidence(cosines: FloatArray) -> dict[str, float]:
        share = round(_prior_share(site, cosines), 4)
        return {"pairs_of_this_site": len(cosines), "prior_share": share}

    return {
        "max_false_merge_rate": site.max_false_merge_rate,
        "expected_false_merge_rate": round(site.expected_false_merge_rate, 6),
        "expected_missed_rate": round(site.expected_missed_rate, 6),
        "threshold_cosine": round(site.threshold, 4),
        "people_known": site.people,
        "cosine_of_different_people": moments(site.mean_sd_different)
        | evidence(site.different)
        | {"pairs_above_threshold": _above(site)[0], "pairs_expected_above": round(_above(site)[1], 2)},
        "cosine_of_two_looks_at_one_track": moments(site.mean_sd_within) | evidence(site.within),
        "cosine_of_one_person_in_two_stays": moments(site.mean_sd_same),
    }


def _prior_share(site: SiteCalibration, cosines: FloatArray) -> float:
    return site.prior_pairs / (site.prior_pairs + len(cosines))


def _above(site: SiteCalibration) -> tuple[int, float]:
    """How many pairs of different people are above the threshold, and how many the curve has there."""
    share = (site.density_different * np.gradient(site.grid))[site.grid >= site.threshold].sum()
    return int((site.different >= site.threshold).sum()), float(share) * len(site.different)


def _notes_different(site: SiteCalibration) -> tuple[str, str]:
    """What bars and curve of different people rest on."""
    above, expected = _above(site)
    if not len(site.different):
        return "no two tracks were seen together long enough", "expected: the prior alone"
    bars = f"{_pairs(site.different)} of tracks that one camera saw together"
    share = f"{100 * _prior_share(site, site.different):.0f}% prior"
    return f"{bars}: {above} right of the line, {expected:.1f} expected", f"expected: {share}"


def _notes_same(site: SiteCalibration) -> tuple[str, str]:
    """What bars and curve of the same person rest on."""
    if not len(site.within):
        return "no track was seen for long enough", "expected in two stays: the prior alone"
    share = f"{100 * _prior_share(site, site.within):.0f}% prior"
    bars = f"{_pairs(site.within)} of two looks at one track, in one light"
    return bars, f"expected in two stays: {share}, and less alike as the prior says"


def _pairs(cosines: FloatArray) -> str:
    return f"{len(cosines)} pair{'s' if len(cosines) != 1 else ''}"


def _of_100(rate: float, one: str, many: str) -> str:
    """A share out of 100, in two digits but no more than two decimals, with its verb."""
    number = 100 * rate
    text = f"{number:.0f}" if number >= 9.95 else f"{number:.1f}" if number >= 0.95 else f"{number:.2f}"
    return f"{text} {one if text == '1.0' else many}"


def _columns(cosines: FloatArray) -> IntArray:
    """The pixels (N,) of cosines (N,)."""
    return np.rint(MARGIN + (cosines + 1) / 2 * (WIDTH - 2 * MARGIN)).astype(np.int64)


def _strip(height: int) -> Image:
    return np.full((height, WIDTH, 3), WHITE, np.uint8)


def _legend(title: str, color: tuple[int, int, int], bars: str, curve: str) -> Image:
    """What a plot shows, what its bars are, and what its curve."""
    strip = _strip(LINE_HEIGHT + 10)
    middle = len(strip) - LINE_HEIGHT // 2
    write_text(strip, title, MARGIN, middle, 0.6, INK)
    right = WIDTH - MARGIN - text_width(curve, 0.45)
    write_text(strip, curve, right, middle, 0.45, INK)
    cv2.line(strip, (right - 36, middle), (right - 8, middle), color, 2)
    left = MARGIN + 190
    strip[middle - 7 : middle + 8, left : left + 28] = _tint(color)
    write_text(strip, bars, left + 36, middle, 0.45, INK)
    return strip


def _verdict(line: int, text: str) -> Image:
    """The threshold, and beside it what is expected there."""
    strip = _strip(LINE_HEIGHT)
    left = line - 10 - text_width(text, 0.5)
    write_text(strip, text, left if left >= MARGIN else line + 10, LINE_HEIGHT // 2, 0.5, INK)
    strip[:, line - 1 : line + 1] = INK
    return strip


def _plot(
    site: SiteCalibration,
    cosines: FloatArray,
    density: FloatArray,
    is_wrong: BoolArray,
    line: int,
    color: tuple[int, int, int],
) -> Image:
    """Bars and a curve, hatched where ``is_wrong`` (G,): on the wrong side of the line."""
    plot = _strip(PLOT_HEIGHT)
    plot[:, _columns(TICKS)] = GRID
    edges = np.linspace(-1, 1, round(2 / BIN) + 1)
    # Rounding may bring a cosine beyond 1, where no bar is.
    counts = np.histogram(cosines.clip(-1, 1), edges)[0]
    bars = counts / (len(cosines) + site.prior_pairs) / BIN
    scale = (PLOT_HEIGHT - 8) / max(bars.max(), density.max())
    x, tops = _columns(edges), PLOT_HEIGHT - np.rint(bars * scale).astype(int)
    for left, right, top in zip(x[:-1], x[1:], tops, strict=True):
        plot[top:, left + 1 : right] = _tint(color)
    heights = PLOT_HEIGHT - 1 - np.rint(density * scale)
    curve = np.column_stack((_columns(site.grid), heights)).astype(np.int32)
    if is_wrong.any():
        area, wrong = np.zeros(plot.shape[:2], np.uint8), curve[is_wrong]
        feet = np.array([(wrong[-1, 0], PLOT_HEIGHT), (wrong[0, 0], PLOT_HEIGHT)], np.int32)
        cv2.fillPoly(area, [np.concatenate((wrong, feet))], 1)
        rows, columns = np.nonzero(area)
        hatched = (rows + columns) % 6 < 3
        plot[rows[hatched], columns[hatched]] = color
    cv2.polylines(plot, [curve], isClosed=False, color=color, thickness=2, lineType=cv2.LINE_AA)
    plot[-1, MARGIN:-MARGIN] = FAINT
    plot[:, line - 1 : line + 1] = INK
    return plot


def _axis(line: int, threshold: str) -> Image:
    """The cosines, and in words what they say."""
    strip = _strip(2 * LINE_HEIGHT + 4)
    labels = [(f"{tick:.1f}", x, FAINT) for tick, x in zip(TICKS, _columns(TICKS).tolist(), strict=True)]
    labels = [label for label in labels if abs(label[1] - line) > 40]
    for text, x, ink in [*labels, (threshold, line, INK)]:
        write_text(strip, text, x - text_width(text, 0.45) // 2, 14, 0.45, ink)
    for text, x in (("less alike", MARGIN), ("more alike", WIDTH - MARGIN - text_width("more alike", 0.45))):
        write_text(strip, text, x, 38, 0.45, FAINT)
    text = "cosine between two tracks"
    write_text(strip, text, (WIDTH - text_width(text, 0.45)) // 2, 38, 0.45, FAINT)
    return strip


def _tint(color: tuple[int, int, int]) -> tuple[int, ...]:
    """The colour, paler."""
    return tuple(round(255 - 0.4 * (255 - part)) for part in color)
