"""Where the time goes, as bars: one group for each scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foundation.files import write_whole
from tracker.reports.timeline import COLORS, FAINT, INK, WHITE, text_width, write_text
from tracker.types import Image

WIDTH, LEFT, RIGHT = 1280, 250, 110
TITLE_HEIGHT, ROW_HEIGHT, BAR_HEIGHT = 40, 24, 15
PEER, OURS, STAGE, WAITED = COLORS[7], COLORS[0], COLORS[4], COLORS[3]


def write_picture(path: Path, scenes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write a PNG; arguments as for `draw_bars`."""
    _, png = cv2.imencode(".png", draw_bars(scenes))
    write_whole(path, png.tobytes())


def draw_bars(scenes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Image:
    """A picture (H, W, 3) BGR: milliseconds a frame of each contender, and of the stages of a run.

    Args:
        scenes: By name: of each contender the row that ``benchmarks.pipeline`` reports.
    """
    return np.vstack([strip for name, rows in scenes.items() for strip in _draw_scene(name, rows)])


def _draw_scene(name: str, rows: Mapping[str, Mapping[str, Any]]) -> list[Image]:
    bars = [
        (contender, 1000 / row["frames_per_s"], OURS if "stage_ms" in row else PEER)
        for contender, row in rows.items()
        if "failure" not in row
    ]
    run = next((contender for contender, row in rows.items() if "stage_ms" in row), "")
    stages = []
    if run:
        stages = [(f"{it}, at work", took, STAGE) for it, took in rows[run]["stage_ms"].items()]
        stages += [(f"tracking waited for {it}", took, WAITED) for it, took in rows[run]["waited_ms"].items()]
    longest = max(took for _, took, _ in bars + stages)
    title = _strip(TITLE_HEIGHT)
    write_text(title, f"{name}: milliseconds a frame", 20, 26, 0.62, INK)
    strips = [title, *(_draw_bar(*bar, longest) for bar in bars)]
    if stages:
        note = _strip(ROW_HEIGHT + 4)
        write_text(note, f"stages of {run}; they overlap", LEFT, 16, 0.42, FAINT)
        strips += [note, *(_draw_bar(*bar, longest) for bar in stages)]
    return [*strips, _strip(12)]


def _draw_bar(label: str, took_ms: float, color: tuple[int, ...], longest_ms: float) -> Image:
    strip = _strip(ROW_HEIGHT)
    write_text(strip, label, LEFT - 12 - text_width(label, 0.45), ROW_HEIGHT // 2, 0.45, INK)
    end = LEFT + max(1, round((WIDTH - LEFT - RIGHT) * took_ms / longest_ms))
    top = (ROW_HEIGHT - BAR_HEIGHT) // 2
    cv2.rectangle(strip, (LEFT, top), (end, top + BAR_HEIGHT), color, cv2.FILLED)
    write_text(strip, f"{took_ms:.1f}" if took_ms >= 0.05 else "< 0.1", end + 8, ROW_HEIGHT // 2, 0.45, INK)
    return strip


def _strip(height: int) -> Image:
    return np.full((height, WIDTH, 3), WHITE, np.uint8)
