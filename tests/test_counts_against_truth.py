"""What is counted at lines and in zones of the sample scene, beside what its ground truth says."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foundation.mot_files import read_mot
from tracker.analytics.zones import CLEAR, Zone, ZoneWatch
from tracker.config import load_config
from tracker.events.maker import Event, EventMaker
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.sources import open_source

VIDEOS = Path(__file__).resolve().parents[1] / "videos"
CAMERAS = ("cam1", "cam2", "cam3")
SIZE, RATE = (640, 360), 10.0
LINES = (0.3, 0.4, 0.5, 0.6, 0.7)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


def zones() -> Iterator[Zone]:
    for number, camera in enumerate(CAMERAS, start=1):
        yield Zone(100 + number, camera, "zone", "left half", LEFT)
        for index, x in enumerate(LINES):
            yield Zone(10 * number + index, camera, "line", str(x), ((x, 0.0), (x, 1.0)))


@pytest.fixture(scope="module")
def events() -> list[Event]:
    """Of the detections that come with the scene, tracked, each track a person."""
    folders = [str(VIDEOS / camera) for camera in CAMERAS]
    config = load_config("file", ["embedder.kind=none"]).model_copy(update={"source": tuple(folders)})
    source = open_source(folders)
    tracker = MultiCameraTracker(CAMERAS, config)
    maker, made = EventMaker(1, 0.01, places=ZoneWatch(zones())), []
    for tick in source.ticks():
        made += maker.observe(tick, tracker.step(tick), tracker.events())
    source.close()
    return made


def paths() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Camera, seconds (N,) and feet (N, 2) of each person there, as they truly were."""
    for camera in CAMERAS:
        table = read_mot(VIDEOS / camera / "gt" / "gt.txt", is_truth=True)
        for person in np.unique(table.ids):
            of = (table.ids == person) & (table.visibility > 0.2)
            boxes = table.boxes[of]
            feet = np.column_stack((boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3])) / SIZE
            yield camera, table.frames[of] / RATE, feet


def test_lines_are_crossed_as_often_as_in_truth(events: list[Event]) -> None:
    truth = Counter[tuple[str, str]]()
    for camera, _, feet in paths():
        for x in LINES:
            sides = np.sign(feet[:, 0] - x)[np.abs(feet[:, 0] - x) >= CLEAR]
            truth[camera, "in"] += int(((sides[:-1] > 0) & (sides[1:] < 0)).sum())
            truth[camera, "out"] += int(((sides[:-1] < 0) & (sides[1:] > 0)).sum())
    counted = Counter((it["camera"], it["direction"]) for it in events if it["type"] == "line.crossed")
    assert sum(truth.values()) >= 50
    print(f"truth {dict(truth)}, counted {dict(counted)}")
    wrong = sum(abs(truth[key] - counted[key]) for key in truth)
    assert wrong <= max(2, 0.1 * sum(truth.values())), (truth, counted)


def test_time_inside_is_as_in_truth(events: list[Event]) -> None:
    truth = sum(float(np.diff(times)[feet[:-1, 0] < 0.5].clip(max=1.0).sum()) for _, times, feet in paths())
    inside = sum(it["dwell_s"] for it in events if it["type"] == "zone.left")
    begun = {
        (it["zone"], it["person"]): it for it in events if it["type"] in ("zone.entered", "zone.left")
    }  # the last of each: who is inside at the end has not left
    still = [it for it in begun.values() if it["type"] == "zone.entered"]
    assert len(still) < 10
    assert 0.8 * truth < inside < 1.2 * truth
