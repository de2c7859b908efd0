"""Ground truth without drawing: boxes around figures, and how much of each person can be seen."""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.simulate.body import HEAD_RADIUS, JOINT, Bodies, Poses
from tracker.simulate.cameras import Camera
from tracker.simulate.scene import View

MIN_SHOWN = 0.05
"""People get a row when this share of them is in the picture and not behind a wall or furniture."""

# Balls that just touch the outline: joints of a bone, place along it, radius as a share of the height.
_BALLS = (
    ("chin", "crown", 0.50, HEAD_RADIUS), ("chin", "crown", 0.88, 0.014), ("chest", "chest", 0.0, 0.066),
    *((f"shoulder_{side}", f"elbow_{side}", 0.0, 0.036) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 0.0, 0.026) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 1.12, 0.022) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 1.35, 0.014) for side in "lr"),
    *((f"hip_{side}", f"knee_{side}", 0.0, 0.050) for side in "lr"),
    *((f"knee_{side}", f"ankle_{side}", 0.0, 0.038) for side in "lr"),
    *((f"heel_{side}", f"toe_{side}", 0.0, 0.023) for side in "lr"),
    *((f"heel_{side}", f"toe_{side}", 1.0, 0.016) for side in "lr"),
    ("pack_low", "pack_high", 0.0, 0.06), ("pack_low", "pack_high", 1.0, 0.055),
    ("satchel_low", "satchel_high", 0.1, 0.050), ("satchel_low", "satchel_high", 0.8, 0.050),
    *((f"hem_{side}", f"hem_{side}", 0.0, 0.004) for side in ("left", "right", "front", "back")),
)  # fmt: skip

# Points spread over the body with the share of its outline that each stands for.
_POINTS = (
    ("chin", "crown", 0.25, 0.8), ("chin", "crown", 0.75, 0.8),
    *(("pelvis", "neck", place, 1.2) for place in (0.1, 0.45, 0.8)),
    *((f"hip_{side}", f"shoulder_{side}", place, 1.1) for side in "lr" for place in (0.05, 0.45, 0.85)),
    *((f"shoulder_{side}", f"elbow_{side}", 0.6, 0.6) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 0.7, 0.5) for side in "lr"),
    *((f"hip_{side}", f"knee_{side}", place, 1.1) for side in "lr" for place in (0.35, 0.8)),
    *((f"knee_{side}", f"ankle_{side}", place, 0.8) for side in "lr" for place in (0.25, 0.75)),
    *((f"heel_{side}", f"toe_{side}", 0.5, 0.6) for side in "lr"),
)  # fmt: skip

# What hides others: thick lines between joints, half as thick as the radius times the height.
_BARS = (
    ("chin", "crown", 0.048), ("pelvis", "neck", 0.078),
    *((f"hip_{side}", f"shoulder_{side}", 0.045) for side in "lr"),
    *((f"shoulder_{side}", f"elbow_{side}", 0.031) for side in "lr"),
    *((f"elbow_{side}", f"hand_{side}", 0.024) for side in "lr"),
    *((f"hip_{side}", f"knee_{side}", 0.046) for side in "lr"),
    *((f"knee_{side}", f"ankle_{side}", 0.034) for side in "lr"),
    *((f"heel_{side}", f"toe_{side}", 0.020) for side in "lr"),
    ("waist", "hem", 0.09), ("pack_low", "pack_high", 0.07),
)  # fmt: skip


def _columns(table: tuple[tuple[str, str, *tuple[float, ...]], ...]) -> tuple[IntArray, IntArray, FloatArray]:
    """Start joints, end joints and the numbers (K, ...) of a table."""
    start, end = (np.array([JOINT[row[column]] for row in table]) for column in (0, 1))  # type: ignore[index]
    return start, end, np.array([row[2:] for row in table])


_BALL_START, _BALL_END, _BALL = _columns(_BALLS)
_POINT_START, _POINT_END, _POINT = _columns(_POINTS)
_BAR_START, _BAR_END, _BAR = _columns(_BARS)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The R people that one camera has in its picture over some frames, sorted by frame.

    Attributes:
        frames: (R,) counted from 0.
        people: (R,) counted from 0.
        boxes: (R, 4) x1, y1, x2, y2 in pixels, cut at the picture's border.
        visibility: (R,) share of the figure that no border, wall, thing or nearer person hides.
    """

    frames: IntArray
    people: IntArray
    boxes: FloatArray
    visibility: FloatArray


def outline_boxes(poses: Poses, bodies: Bodies, camera: Camera) -> FloatArray:
    """(R, 4) x1, y1, x2, y2 around whole figures, in pixels, in the picture or not."""
    joints = poses.joints
    centres = joints[:, _BALL_START] + _BALL[:, :1] * (joints[:, _BALL_END] - joints[:, _BALL_START])
    pixels, depth = camera.project(centres)
    radius = _BALL[:, 1] * bodies.height_m[poses.person][:, None] * camera.intrinsics[0, 0] / depth
    low, high = pixels - radius[..., None], pixels + radius[..., None]
    return np.concatenate([low.min(axis=1), high.max(axis=1)], axis=1)


def see(poses: Poses, frames: IntArray, bodies: Bodies, camera: Camera, view: View) -> Truth:
    """What is true of one camera's pictures.

    Args:
        poses: R people in the camera's room.
        frames: (R,) in which frame each pose is; sorted.
        bodies: Their measures.
        camera: Who looks.
        view: What it sees of the empty room.
    """
    boxes = outline_boxes(poses, bodies, camera)
    size = np.array(camera.size)
    in_front = camera.project(poses.joints[:, JOINT["pelvis"]])[1] > 0.6
    near = np.flatnonzero(in_front & (boxes[:, :2] < size).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
    boxes, frames, people = boxes[near], frames[near], poses.person[near]
    joints, height = poses.joints[near], bodies.height_m[people]
    away = camera.ground_range(joints[:, JOINT["pelvis"]])
    points = joints[:, _POINT_START] + _POINT[:, :1] * (joints[:, _POINT_END] - joints[:, _POINT_START])
    pixels, _ = camera.project(points)
    inside = ((pixels >= 0) & (pixels < size)).all(axis=2)
    column, row = np.clip(pixels, 0, size - 1).astype(np.int64).transpose(2, 0, 1)
    shown = inside & (view.range[row, column] > away[:, None])
    weight = _POINT[:, 1] / _POINT[:, 1].sum()
    kept = shown @ weight >= MIN_SHOWN
    # Anybody in the picture can hide others, so people with too little to show stay until here.
    shown = shown & ~_hidden_by_people(joints, height, frames, boxes, away, pixels, camera)
    cut = np.flatnonzero((boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > size).any(axis=1))
    boxes[cut] = _cut_boxes(joints[cut], height[cut], boxes[cut], camera)
    kept &= (boxes[:, 2:] - boxes[:, :2] >= 2).all(axis=1)
    return Truth(frames[kept], people[kept], boxes[kept], (shown @ weight)[kept])


def _cut_boxes(joints: FloatArray, height: FloatArray, whole: FloatArray, camera: Camera) -> FloatArray:
    """Boxes (R, 4) of the part in the picture of people whose ``whole`` boxes reach beyond it.

    Cutting the box alone would leave it as wide as feet that cannot be seen; so the limbs are cut instead.
    """
    size = np.array(camera.size)
    start, end = joints[:, _BAR_START, None], joints[:, _BAR_END, None]
    pixels, depth = camera.project(start + np.linspace(0, 1, 9)[:, None] * (end - start))
    radius = _BAR[:, :1] * height[:, None, None] * camera.intrinsics[0, 0] / depth
    inside = ((pixels > -radius[..., None]) & (pixels < size + radius[..., None])).all(axis=3)[..., None]
    low = np.where(inside, pixels - radius[..., None], np.inf).min(axis=(1, 2))
    high = np.where(inside, pixels + radius[..., None], -np.inf).max(axis=(1, 2))
    # The balls know the outline better than the bars where nothing is cut.
    low, high = np.maximum(low, whole[:, :2]), np.minimum(high, whole[:, 2:])
    return np.concatenate([np.maximum(low, 0), np.minimum(high, size)], axis=1)


def _hidden_by_people(
    joints: FloatArray,
    height: FloatArray,
    frames: IntArray,
    boxes: FloatArray,
    away: FloatArray,
    pixels: FloatArray,
    camera: Camera,
) -> BoolArray:
    """(R, P) whether each point of each person lies behind somebody nearer to the camera."""
    hidden = np.zeros(pixels.shape[:2], bool)
    behind, before = _overlapping_pairs(frames, boxes, away)
    if not len(behind):
        return hidden
    bars, depth = camera.project(joints)
    radius = _BAR[:, 0] * height[:, None] * camera.intrinsics[0, 0] / depth[:, _BAR_START]
    points = pixels.transpose(2, 0, 1).copy()
    for first in range(0, len(behind), 2048):  # keeps the work in the processor's cache
        back, front = behind[first : first + 2048], before[first : first + 2048]
        covered = np.zeros((len(back), pixels.shape[1]), bool)
        for bar in range(len(_BAR)):
            start, end = bars[front, _BAR_START[bar]], bars[front, _BAR_END[bar]]
            along_x, along_y = (end - start).T[..., None]
            x, y = points[0][back] - start[:, :1], points[1][back] - start[:, 1:]
            # Axes apart: summing over an axis of two is several times slower.
            part = np.clip((x * along_x + y * along_y) / np.maximum(along_x**2 + along_y**2, 1e-9), 0, 1)
            reach = (x - part * along_x) ** 2 + (y - part * along_y) ** 2
            covered |= reach < (radius[front, bar] ** 2)[:, None]
        np.logical_or.at(hidden, back, covered)
    return hidden


def _overlapping_pairs(frames: IntArray, boxes: FloatArray, away: FloatArray) -> tuple[IntArray, IntArray]:
    """Pairs (behind, before) of rows of one frame whose boxes overlap."""
    count = np.bincount(frames - frames[0]) if len(frames) else np.zeros(0, np.int64)
    most = int(count.max(initial=0))
    if most < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # Rows of a frame follow each other, so the partner at distance k is k rows further down.
    behind, before = [], []
    for step in range(1, most):
        one = np.flatnonzero(frames[:-step] == frames[step:])
        other = one + step
        touch = (boxes[one, :2] < boxes[other, 2:]).all(axis=1) & (boxes[other, :2] < boxes[one, 2:]).all(
            axis=1
        )
        one, other = one[touch], other[touch]
        first_is_behind = away[one] > away[other]
        behind.append(np.where(first_is_behind, one, other))
        before.append(np.where(first_is_behind, other, one))
    return np.concatenate(behind), np.concatenate(before)
