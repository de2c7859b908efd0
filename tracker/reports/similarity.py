"""The similarity calibration: what a cosine means at this site, and the errors to expect of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foundation.arrays import BoolArray, FloatArray
from foundation.figures import FAINT, INK, PALETTE, Color, color, count, drawing, write_figure
from foundation.files import write_whole
from tracker.types import SimilarityReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCH = (13.0, 6.5)
BIN = 0.04
"""Width of a bar, in cosine."""


def write_similarity(folder: Path, site: SimilarityReport) -> list[Path]:
    """Write ``calibration.json`` and, as PNG and SVG, ``calibration``; the files written."""
    path = folder / "calibration.json"
    write_whole(path, (json.dumps(_as_dict(site), indent=2) + "\n").encode())
    return [path, *write_figure(draw_similarity(site), folder / "calibration.png")]


def draw_similarity(site: SimilarityReport) -> "Figure":
    """The figure: different people above, the same person below, the threshold through both.

    Bars are the pairs of this site; they fill the curve as much as the site, not the prior, made it.
    """
    known = f"{count(site.num_identities, 'person is', 'people are')} known"
    taken = _of_100(site.expected_false_merge_rate, "is taken for somebody", "are taken for somebody")
    missed = _of_100(site.expected_missed_rate, "is missed", "are missed")
    strangers = f"above the threshold: of 100 strangers {taken}"
    returns = f"below the threshold: of 100 returns {missed}"
    is_above = site.grid >= site.threshold
    with drawing(*SIZE_INCH) as figure:
        above, below = figure.subplots(2, 1, sharex=True)
        _draw_side(above, site, site.different, site.density_different, is_above, PALETTE[3])
        _draw_side(below, site, site.within, site.density_same, ~is_above, PALETTE[0])
        _say(
            above,
            site,
            "Different people",
            strangers,
            *_notes_different(site),
        )
        _say(
            below,
            site,
            "The same person",
            returns,
            *_notes_same(site),
        )
        above.set_xlim(-1, 1)
        below.set_xlabel("cosine between two tracks: less alike to the left, more alike to the right")
        title = f"Who is more alike than {site.threshold:.2f} is the same person"
        figure.suptitle(title, x=0.008, ha="left", fontsize=14)
        note = f"{known}; the threshold is for appearance alone, time and place can move it"
        figure.text(0.992, 0.985, note, ha="right", va="top", color=FAINT)
    return figure


def _draw_side(
    axes: "Axes",
    site: SimilarityReport,
    cosines: FloatArray,
    density: FloatArray,
    is_wrong: BoolArray,
    rgb: Color,
) -> None:
    """Bars and a curve, hatched where ``is_wrong`` (G,): on the wrong side of the threshold."""
    edges = np.linspace(-1, 1, round(2 / BIN) + 1)
    # Rounding may bring a cosine beyond 1, where no bar is.
    counts = np.histogram(cosines.clip(-1, 1), edges)[0]
    bars, own = counts / (len(cosines) + site.prior_pairs) / BIN, color(rgb)
    axes.stairs(bars, edges, fill=True, color=own, alpha=0.35, label="pairs")
    axes.plot(site.grid, density, color=own, linewidth=2, label="expected")
    axes.fill_between(
        site.grid,
        density,
        where=is_wrong.tolist(),
        facecolor="none",
        edgecolor=own,
        hatch="////",
        linewidth=0,
        label="wrong",
    )
    axes.axvline(site.threshold, color=INK, linewidth=2, label="threshold")
    axes.set_ylim(0, 1.3 * max(bars.max(), density.max()))
    axes.set_ylabel("density of pairs")
    axes.grid(axis="x")


def _say(axes: "Axes", site: SimilarityReport, title: str, verdict: str, pairs: str, curve: str) -> None:
    """What a plot shows, what bars and curve rest on, and beside the threshold what is expected there."""
    axes.set_title(title)
    bars, line = axes.patches[0], axes.lines[0]
    side, shift = ("left", 6) if site.threshold < 0 else ("right", -6)
    axes.annotate(
        verdict, (site.threshold, 0.97), (shift, 0), axes.get_xaxis_transform(), "offset points",
        ha=side, va="top", fontsize=10,
    )  # fmt: skip
    axes.legend(
        [bars, line], [pairs, curve], loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.4
    )


def _as_dict(site: SimilarityReport) -> dict[str, Any]:
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
        "people_known": site.num_identities,
        "cosine_of_different_people": moments(site.mean_sd_different)
        | evidence(site.different)
        | {"pairs_above_threshold": _above(site)[0], "pairs_expected_above": round(_above(site)[1], 2)},
        "cosine_of_two_embeddings_of_one_track": moments(site.mean_sd_within) | evidence(site.within),
        "cosine_of_one_person_in_two_tracklets": moments(site.mean_sd_same),
    }


def _prior_share(site: SimilarityReport, cosines: FloatArray) -> float:
    return site.prior_pairs / (site.prior_pairs + len(cosines))


def _above(site: SimilarityReport) -> tuple[int, float]:
    """How many pairs of different people are above the threshold, and how many the curve has there."""
    share = (site.density_different * np.gradient(site.grid))[site.grid >= site.threshold].sum()
    return int((site.different >= site.threshold).sum()), float(share) * len(site.different)


def _notes_different(site: SimilarityReport) -> tuple[str, str]:
    """What bars and curve of different people rest on."""
    above, expected = _above(site)
    if not len(site.different):
        return "no two tracks were seen together long enough", "expected: the prior alone"
    bars = f"{_pairs(site.different)} of tracks that one camera saw together"
    share = f"{100 * _prior_share(site, site.different):.0f}% prior"
    return f"{bars}: {above} above the threshold, {expected:.1f} expected", f"expected: {share}"


def _notes_same(site: SimilarityReport) -> tuple[str, str]:
    """What bars and curve of the same person rest on."""
    if not len(site.within):
        return "no track was seen for long enough", "expected of two tracklets: the prior alone"
    share = f"{100 * _prior_share(site, site.within):.0f}% prior"
    bars = f"{_pairs(site.within)} of two embeddings of one track, in one light"
    return bars, f"expected of two tracklets: {share}, and less alike as the prior says"


def _pairs(cosines: FloatArray) -> str:
    return f"{len(cosines)} pair{'s' if len(cosines) != 1 else ''}"


def _of_100(rate: float, one: str, many: str) -> str:
    """A share out of 100, in two digits but no more than two decimals, with its verb."""
    number = 100 * rate
    text = f"{number:.0f}" if number >= 9.95 else f"{number:.1f}" if number >= 0.95 else f"{number:.2f}"
    return f"{text} {one if text == '1.0' else many}"
