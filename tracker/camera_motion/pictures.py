"""Camera motion seen in the pictures themselves, each compared with one before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image
from foundation.errors import ReuniteError
from tracker.types import CameraName, Frame, State

# Chosen on PETS09-S2L1, UFES (still) and MOT16-11 (moves): docs/camera-motion.md. Pixels are those of the
# small picture.
MIN_SLOPE = 12.0
"""Grey levels from a pixel to the next: from here on it shows when it moves."""
MAX_STILL_SHIFT_PX = 0.2
"""A pixel that changed by less than its slope times this may have stood still."""
MAX_STILL_SHARE = 0.2
"""A camera stands still while no more of its sloping pixels moved; people without a box move some."""
MIN_SLOPING = 100
"""With fewer sloping pixels nothing can be said."""
MIN_MOTION_PX = 0.1
"""A mean displacement of the corners below this is noise."""
MAX_AREA_RATIO = 1.5
"""From one frame to the next no area grows or shrinks by more: what says so is wrong."""

Align = Callable[[Image, Image, Image], FloatArray | None]
"""(h, w) grey before and now, and (h, w) 255 where the one before shows no people -> (2, 3) from places in
the one to places in the other, (0, 0) being the middle of the first pixel; None where it cannot be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The picture that the next one is compared with.

    Attributes:
        frame_size: Width and height of the full picture.
        picture: (h, w) grey, small.
        background: (h, w) 255 where nobody is.
        max_changes: (h, w) by how many grey levels a pixel may change when the camera stands still; 255
            where that says nothing.
        sloping: How many pixels say something.
    """

    frame_size: tuple[int, int]
    picture: Image
    background: Image
    max_changes: Image
    sloping: int

    @classmethod
    def of(cls, frame_size: tuple[int, int], picture: Image, background: Image) -> Self:
        """Work out how much the pixels may change."""
        slope = cv2.magnitude(
            cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8),
            cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8),
        )
        tells = (slope >= MIN_SLOPE) * background
        max_changes = cv2.convertScaleAbs(slope, alpha=MAX_STILL_SHIFT_PX)
        max_changes = cv2.bitwise_or(max_changes, cv2.bitwise_not(tells))
        return cls(
            frame_size, picture, background, np.asarray(max_changes, np.uint8), cv2.countNonZero(tells)
        )

    def stands_still(self, picture: Image) -> bool:
        """Whether a picture of the same size was plainly taken from the same place."""
        if self.sloping < MIN_SLOPING:
            return False
        changed = cv2.compare(cv2.absdiff(self.picture, picture), self.max_changes, cv2.CMP_GT)
        return cv2.countNonZero(changed) <= MAX_STILL_SHARE * self.sloping


class PictureCameraMotion:
    """Compares each picture, made small and grey, with one before.

    1. Pixels on edges hardly changed: the camera stands still, which is the usual case and costs least.
       The reference stays, so that a creeping camera is noticed once it has moved far enough.
    2. Otherwise ``align`` measures the motion; what is below the noise counts as none. The picture
       becomes the reference.
    """

    def __init__(self, align: Align, longer_side_px: int) -> None:
        """Nothing is known of any camera yet; pictures are compared at this size."""
        self._align, self._longer_side_px = align, longer_side_px
        self._references: dict[CameraName, Reference] = {}

    def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
        """(2, 3) from the frame of this camera before to this one. See `CameraMotion`.

        Raises:
            ReuniteError: The camera has no pictures.
        """
        if frame.is_blank:
            raise ReuniteError(
                f"camera {frame.camera!r} has no pictures to see its motion in; take "
                "camera_motion.kind=none, or kind=file where its motion is known"
            )
        picture = shrink(frame.image, self._longer_side_px)
        scale = np.divide(frame.size, picture.shape[::-1])
        before = self._references.get(frame.camera)
        motion = None
        if before is not None and before.frame_size == frame.size:
            if before.stands_still(picture):
                return np.eye(2, 3)
            motion = self._align(before.picture, picture, before.background)
        background = _background(picture, boxes, scale)
        self._references[frame.camera] = Reference.of(frame.size, picture, background)
        if motion is None or not _is_motion(motion, picture):
            return np.eye(2, 3)
        return _to_full_size(motion, scale)

    def state(self) -> State:
        """Arrays named ``camera/size``, ``camera/picture`` and ``camera/background``."""
        state: State = {}
        for camera, it in self._references.items():
            state[f"{camera}/size"] = np.array(it.frame_size)
            state[f"{camera}/picture"] = it.picture
            state[f"{camera}/background"] = it.background
        return state

    def restore(self, state: State) -> None:
        self._references = {}
        for key, size in state.items():
            camera, _, name = key.rpartition("/")
            if name == "size":
                width, height = size.tolist()
                arrays = state[f"{camera}/picture"], state[f"{camera}/background"]
                self._references[CameraName(camera)] = Reference.of((width, height), *arrays)


def shrink(image: Image, longer_side_px: int) -> Image:
    """(H, W, 3) to (h, w) grey, at most so long.

    Green alone, and of large pictures every second pixel or less: as accurate as all of them, and five times
    as fast.
    """
    height, width = image.shape[:2]
    share = min(1.0, longer_side_px / max(height, width))
    step = max(1, round(0.5 / share))
    # Of all pixels OpenCV takes it twice as fast as numpy does, of every second one numpy is faster.
    green = cv2.extractChannel(image, 1) if step == 1 else np.ascontiguousarray(image[::step, ::step, 1])
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _background(picture: Image, boxes: FloatArray, scale: FloatArray) -> Image:
    """(h, w) 0 inside (N, 4) boxes of the full picture, which is ``scale`` times as large; else 255."""
    height, width = picture.shape
    background = np.full(picture.shape, 255, np.uint8)
    limits = np.array((width, height, width, height))
    for x1, y1, x2, y2 in np.clip(boxes / np.tile(scale, 2), 0, limits).round().astype(np.int64):
        background[y1:y2, x1:x2] = 0
    return background


def _is_motion(motion: FloatArray, picture: Image) -> bool:
    """Whether a (2, 3) motion of the small picture is more than noise, and may be true."""
    if not np.isfinite(motion).all():
        return False
    area = float(np.linalg.det(motion[:, :2]))
    height, width = picture.shape
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    shifts = np.linalg.norm(corners @ motion.T - corners[:, :2], axis=1)
    return 1 / MAX_AREA_RATIO < area < MAX_AREA_RATIO and float(shifts.mean()) >= MIN_MOTION_PX


def _to_full_size(motion: FloatArray, scale: FloatArray) -> FloatArray:
    """(2, 3) between pixels of small pictures -> (2, 3) between positions in pixels of full ones."""
    linear = motion[:, :2]
    shift = motion[:, 2] + 0.5 - linear @ np.full(2, 0.5)
    return np.column_stack((linear * scale[:, None] / scale, shift * scale))
