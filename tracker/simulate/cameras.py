"""Pinhole cameras: where a point of the world lands in the picture, and back to the ground.

World: metres, x and y on the ground, z up. Camera: x right, y down, z forward. Picture: pixels, the
left upper corner of the left upper pixel is (0, 0), so a picture of width W ends at x = W.
"""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import FloatArray, check_shape
from tracker.types import CameraName


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A camera that neither moves nor bends straight lines.

    Attributes:
        name: Which one.
        size: Width and height of its pictures in pixels.
        intrinsics: (3, 3) K.
        world_to_camera: (4, 4) rotation and translation, metres.
        room: Number of the room it looks into.
    """

    name: CameraName
    size: tuple[int, int]
    intrinsics: FloatArray
    world_to_camera: FloatArray
    room: int

    def __post_init__(self) -> None:
        check_shape("Camera.intrinsics", self.intrinsics, (3, 3))
        check_shape("Camera.world_to_camera", self.world_to_camera, (4, 4))

    @property
    def position(self) -> FloatArray:
        """(3,) where it hangs, metres."""
        rotation, shift = self.world_to_camera[:3, :3], self.world_to_camera[:3, 3]
        return -rotation.T @ shift

    @property
    def image_to_ground(self) -> FloatArray:
        """(3, 3) homography from pixels to metres on the ground, scaled to a last element of 1."""
        ground_to_image = self.intrinsics @ self.world_to_camera[:3, [0, 1, 3]]
        inverse = np.linalg.inv(ground_to_image)
        return np.asarray(inverse / inverse[2, 2])

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels (..., 2) and depth (...) in metres along the optical axis of world points (..., 3).

        Points at or behind the camera count as 5 cm before it, so their pixels are finite.
        """
        local = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        depth = np.maximum(local[..., 2], 0.05)
        focal, centre = np.diag(self.intrinsics)[:2], self.intrinsics[:2, 2]
        return local[..., :2] * (focal / depth[..., None]) + centre, depth

    def ground_range(self, points: FloatArray) -> FloatArray:
        """Horizontal metres (...) from the camera to points (..., 2 or 3): who stands before whom."""
        offset = points[..., :2] - self.position[:2]
        return np.asarray(np.hypot(offset[..., 0], offset[..., 1]))


def camera_at(
    name: CameraName,
    room: int,
    size: tuple[int, int],
    focal_px: float,
    position: FloatArray,
    heading: float,
    tilt: float,
) -> Camera:
    """A camera at ``position`` (3,) that looks along ``heading`` and ``tilt`` below the horizon, radians."""
    forward = np.array([np.cos(heading) * np.cos(tilt), np.sin(heading) * np.cos(tilt), -np.sin(tilt)])
    right = np.array([np.sin(heading), -np.cos(heading), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3], world_to_camera[:3, 3] = rotation, -rotation @ position
    intrinsics = np.array([[focal_px, 0, size[0] / 2], [0, focal_px, size[1] / 2], [0, 0, 1]])
    return Camera(name, size, intrinsics, world_to_camera, room)
