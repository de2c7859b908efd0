"""Simulated worlds with a ground plane: who stood where, as cameras see it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foundation.arrays import FloatArray, IntArray
from foundation.mot_files import read_mot
from tracker.config import GroundConfig
from tracker.geometry import xywh_to_xyxy
from tracker.ground import GroundPlane
from tracker.identity.ground import GroundLog
from tracker.simulate import SimulationConfig, simulate
from tracker.types import CameraName

FRAME_RATE = 10.0
MAX_LOST_S = 1.5
BOX_ERROR = 0.03
"""Standard deviation of the lower edge, as a share of the height; as of the simulated detector."""
MIN_VISIBILITY = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GroundWorld:
    """R sightings of K tracklets in one hall that all cameras look into.

    Attributes:
        config: With the homographies of all cameras.
        names: The cameras.
        camera, time, person: (R,) of each sighting; person from 1.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        cameras, people: (K,) of each tracklet.
        log: Where the tracklets were.
    """

    config: GroundConfig
    names: list[CameraName]
    camera: IntArray
    time: FloatArray
    person: IntArray
    boxes: FloatArray
    cameras: IntArray
    people: IntArray
    log: GroundLog

    @property
    def plane(self) -> GroundPlane:
        """Of these cameras."""
        return GroundPlane(self.config, self.names)


def ground_world(folder: Path, cameras: int, people: int, seconds: float, seed: int) -> GroundWorld:
    """Simulate, and follow everybody through each camera until lost for `MAX_LOST_S`."""
    simulation = SimulationConfig(
        cameras=cameras, people=people, seconds=seconds, seed=seed, layout="overlapping",
        video=False, frame_rate=FRAME_RATE,
    )  # fmt: skip
    simulate(folder, simulation)
    calibration = json.loads((folder / "calibration.json").read_text())
    names = [CameraName(name) for name in sorted(calibration)]
    matrices = {name: calibration[name]["image_to_ground"] for name in names}
    config = GroundConfig.model_validate({"homographies": matrices})
    random = np.random.default_rng(seed)
    parts = []
    for index, name in enumerate(names):
        table = read_mot(folder / name / "gt/gt.txt")
        table = table[table.visibility > MIN_VISIBILITY]
        boxes = xywh_to_xyxy(table.boxes)
        boxes[:, 3] += BOX_ERROR * (boxes[:, 3] - boxes[:, 1]) * random.normal(size=len(boxes))
        where = np.full(len(boxes), index)
        parts.append(np.column_stack([(table.frames - 1) / FRAME_RATE, where, table.ids, boxes]))
    rows = np.vstack(parts)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    time, camera, person, boxes = rows[:, 0], rows[:, 1].astype(int), rows[:, 2].astype(int), rows[:, 3:]
    plane, log = GroundPlane(config, names), GroundLog()
    last: dict[tuple[int, int], tuple[float, int]] = {}
    tracklets: list[tuple[int, int]] = []
    for moment in np.unique(time):
        for index in range(cameras):
            here = np.flatnonzero((time == moment) & (camera == index))
            numbers = []
            for key in zip(camera[here].tolist(), person[here].tolist(), strict=True):
                before, number = last.get(key, (-np.inf, 0))
                if moment - before > MAX_LOST_S:
                    number = len(tracklets)
                    tracklets.append(key)
                last[key] = (moment, number)
                numbers.append(number)
            log.add(np.array(numbers, np.int64), moment, plane.positions(names[index], boxes[here]))
    of_tracklets = np.array(tracklets)
    return GroundWorld(
        config, names, camera, time, person, boxes, of_tracklets[:, 0], of_tracklets[:, 1], log
    )
