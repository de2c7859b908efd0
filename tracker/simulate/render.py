"""Pictures: the empty room, shadows, people from far to near, then what the camera does to colours."""

from dataclasses import dataclass

import cv2
import numpy as np

from foundation.arrays import BoolArray, FloatArray, Image
from tracker.simulate.body import JOINT, Bodies, Poses
from tracker.simulate.cameras import Camera
from tracker.simulate.figure import Paint, Sprite, build_vertices, draw_figures
from tracker.simulate.layout import Room
from tracker.simulate.scene import Surface, View, draw_background, lamp_light

_SHADOW_SCALE = 4
"""Shadows are soft, so they are drawn this many times smaller."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """What one camera does to colours: gain of each channel, gamma, blur and noise in grey levels."""

    gain: FloatArray
    gamma: float
    blur_px: float
    noise: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Sensor":
        """A plausible camera: brightness off by 12 %, white balance by 6 %."""
        gain = np.exp(rng.normal(0, 0.08)) * np.exp(rng.normal(0, 0.05, 3))
        return cls(gain, rng.uniform(0.9, 1.15), rng.uniform(0.4, 0.75), rng.uniform(1.2, 2.6))


class Renderer:
    """Draws the pictures of one camera; owns its background and its noise."""

    def __init__(
        self, camera: Camera, room: Room, view: View, room_rng: np.random.Generator, rng: np.random.Generator
    ) -> None:
        """``room_rng`` colours the room and must be in the same state for all of its cameras."""
        self._camera, self._room, self._range, self._rng = camera, room, view.range, rng
        self._light = np.array([*room_rng.normal(0, 0.35, 2), 1.0])
        self._light /= np.linalg.norm(self._light)
        self._sensor = Sensor.draw(rng)
        self._background = draw_background(camera, room, self._light, room_rng)
        width, height = camera.size
        # Shadows fall on floors only; half strength at the edges of things keeps them from bleeding.
        floor = (view.surface == Surface.FLOOR) | (
            (view.surface == Surface.CORRIDOR) & (view.points[..., 2] < 0.01)
        )
        self._floor = cv2.blur(floor.astype(np.float32), (3, 3)) * floor
        levels = (np.arange(256) / 255.0) ** self._sensor.gamma
        table = np.clip(levels[:, None] * self._sensor.gain * 255, 0, 255).round().astype(np.uint8)
        self._table = table.reshape(1, 256, 3)
        # Fresh noise for every frame would cost more than all the people: one field, cut at random places.
        self._noise = np.clip(
            rng.normal(0, self._sensor.noise, (height + 64, width + 64, 3)), -40, 40
        ).astype(np.int16)

    def draw(self, poses: Poses, bodies: Bodies, paints: list[Paint]) -> Image:
        """The picture (H, W, 3) of R people."""
        frame = self._background.copy()
        if len(poses.person):
            ground = poses.joints[:, 0, :2]
            self._cast_shadows(frame, poses)
            brightness = lamp_light(ground, self._room)
            worn = [paints[person] for person in poses.person]
            sprites = draw_figures(build_vertices(poses, bodies), worn, self._camera, self._light, brightness)
            away = self._camera.ground_range(ground)
            for row in np.argsort(-away):
                sprite = sprites[row]
                if sprite is not None:
                    self._paste(frame, sprite, float(away[row]))
        return self._expose(frame)

    def _paste(self, frame: Image, sprite: Sprite, away: float) -> None:
        place = visible_part(sprite, self._range, away)
        if place is None:
            return
        rows, columns, patch, free = place
        patch = patch * free[..., None]
        below = frame[rows, columns].astype(np.uint16)
        cover = 255 - patch[..., 3:].astype(np.uint16)
        frame[rows, columns] = patch[..., :3] + ((below * cover + 127) // 255).astype(np.uint8)

    def _cast_shadows(self, frame: Image, poses: Poses) -> None:
        """A dark spot under each foot and a faint shadow of the body, away from the light."""
        width, height = self._camera.size
        small = np.zeros((-(-height // _SHADOW_SCALE), -(-width // _SHADOW_SCALE)), np.uint8)
        reach = -0.9 * self._light[:2] / self._light[2]
        turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        joints = poses.joints
        feet = joints[:, [JOINT["ankle_l"], JOINT["ankle_r"]], :2]
        body = joints[:, 0, :2]
        spots = [
            (body + reach * 0.5, 0.34, 60),
            (body + reach * 0.15, 0.26, 80),
            (feet[:, 0], 0.16, 120),
            (feet[:, 1], 0.16, 120),
        ]
        for centre, radius, strength in spots:
            rim = centre[:, None] + radius * circle
            pixels, _ = self._camera.project(np.concatenate([rim, np.zeros((*rim.shape[:2], 1))], axis=2))
            for polygon in np.clip(pixels / _SHADOW_SCALE * 16, -30000, 30000).round().astype(np.int32):
                layer_low = np.maximum(polygon.min(axis=0) // 16 - 1, 0)
                layer_high = polygon.max(axis=0) // 16 + 2
                region = small[layer_low[1] : max(layer_high[1], 0), layer_low[0] : max(layer_high[0], 0)]
                if region.size:
                    layer = np.zeros(region.shape, np.uint8)
                    cv2.fillConvexPoly(
                        layer, polygon - (layer_low * 16).astype(np.int32), strength, cv2.LINE_AA, 4
                    )
                    np.maximum(region, layer, out=region)
        soft = cv2.resize(
            cv2.GaussianBlur(small, (0, 0), 0.9), (width, height), interpolation=cv2.INTER_LINEAR
        )
        rows = np.flatnonzero(soft.any(axis=1))
        if len(rows):
            band = slice(rows[0], rows[-1] + 1)
            dark = 1 - 0.9 / 255 * soft[band] * self._floor[band]
            frame[band] = cv2.multiply(frame[band], cv2.merge([dark, dark, dark]), dtype=cv2.CV_8U)

    def _expose(self, frame: Image) -> Image:
        seen = cv2.GaussianBlur(cv2.LUT(frame, self._table), (0, 0), self._sensor.blur_px)
        height, width = frame.shape[:2]
        down, right = self._rng.integers(0, 64, 2)
        noise = self._noise[down : down + height, right : right + width]
        return np.asarray(cv2.add(seen, noise, dtype=cv2.CV_8U), np.uint8)


def visible_part(
    sprite: Sprite, hiding_range: FloatArray, away: float
) -> tuple[slice, slice, Image, BoolArray] | None:
    """What a room leaves of a sprite: rows and columns of the picture, the patch there, where it shows.

    None when the patch lies outside the picture.
    """
    height, width = hiding_range.shape
    top, left = max(sprite.top, 0), max(sprite.left, 0)
    bottom = min(sprite.top + sprite.patch.shape[0], height)
    right = min(sprite.left + sprite.patch.shape[1], width)
    if bottom <= top or right <= left:
        return None
    rows, columns = slice(top, bottom), slice(left, right)
    patch = sprite.patch[top - sprite.top : bottom - sprite.top, left - sprite.left : right - sprite.left]
    return rows, columns, patch, hiding_range[rows, columns] > away
