"""Rooms with doors, pillars and furniture, and the cameras that look into them."""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import FloatArray
from tracker.simulate.cameras import Camera, camera_at
from tracker.simulate.config import SimulationConfig
from tracker.types import CameraName

WALL_HEIGHT_M = 3.6
DOOR_HEIGHT_M = 2.3
DOOR_HALF_WIDTH_M = 0.85
WALK_MARGIN_M = 0.9
"""Nobody chooses to stand nearer to a wall: room for benches and machines along it."""
AREA_PER_PERSON_M2 = 9.0
"""A room that is fuller than this lets nobody in."""


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """A gap in a wall.

    Attributes:
        centre: (2,) on the wall, metres.
        inward: (2,) unit vector into the room.
        inside, outside, hidden: (2,) way points: a step inside, a step behind the wall, and aside behind the
            wall, where no camera of the room can look.
    """

    centre: FloatArray
    inward: FloatArray

    @property
    def inside(self) -> FloatArray:
        """A step into the room."""
        return self.centre + 1.0 * self.inward

    @property
    def outside(self) -> FloatArray:
        """A step behind the wall."""
        return self.centre - 0.8 * self.inward

    @property
    def hidden(self) -> FloatArray:
        """Aside behind the wall, out of sight."""
        return self.outside + 2.1 * np.array([-self.inward[1], self.inward[0]])


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Furniture: an upright box, or a cylinder where ``round`` holds; ``plant`` puts leaves on top."""

    centre: FloatArray
    half_size: tuple[float, float]
    height: float
    colour: tuple[float, float, float]
    round: bool = False
    plant: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """A rectangle on the ground with walls.

    Attributes:
        low, high: (2,) opposite corners, metres.
        doors: The ways in and out.
        blocks: Furniture, pillars; those in the way of people are ``obstacles``.
        obstacles: (K, 3) x, y, radius that people walk around.
        spots: (S, 2) where people like to go: seen whole by a camera, clear of walls and obstacles.
    """

    low: FloatArray
    high: FloatArray
    doors: tuple[Door, ...]
    blocks: tuple[Block, ...]
    obstacles: FloatArray
    spots: FloatArray

    @property
    def capacity(self) -> int:
        """How many people are let in."""
        return max(2, int(np.prod(self.high - self.low) / AREA_PER_PERSON_M2))


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """All rooms and cameras."""

    rooms: tuple[Room, ...]
    cameras: tuple[Camera, ...]


def build_site(config: SimulationConfig, rng: np.random.Generator) -> Site:
    """Rooms on a grid with corridors between (separate), or one hall with cameras around it (overlapping)."""
    if config.layout == "overlapping":
        extent = np.array([13.5, 11.0])
        cameras = [_wall_camera(config, number, rng, extent) for number in range(config.cameras)]
        doors = tuple(
            _door(np.zeros(2), extent, side, rng.uniform(0.3, 0.7) * extent[side % 2]) for side in range(4)
        )
        return Site((_furnish(np.zeros(2), extent, doors, cameras, rng),), tuple(cameras))
    rooms, all_cameras = [], []
    columns = int(np.ceil(np.sqrt(config.cameras)))
    for number in range(config.cameras):
        corner = np.array([number % columns, number // columns]) * 16.5 + rng.uniform(0, 1.5, 2)
        front = int(rng.integers(4))
        extent = np.array([12.5, 10.5])[[0, 1] if front % 2 else [1, 0]]
        camera = _front_camera(config, number, rng, corner, extent, front)
        room = _furnish(corner, corner + extent, _front_doors(corner, extent, front, rng), [camera], rng)
        rooms.append(room)
        all_cameras.append(camera)
    return Site(tuple(rooms), tuple(all_cameras))


# A side is 0: y low, 1: x high, 2: y high, 3: x low; a place along it counts from the low end.
_INWARD = np.array([[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])


def _door(low: FloatArray, high: FloatArray, side: int, along: float) -> Door:
    centre = low.copy()
    centre[side % 2] += along
    centre[1 - side % 2] = (low, high, high, low)[side][1 - side % 2]
    return Door(centre, _INWARD[side])


def _front_doors(
    low: FloatArray, extent: FloatArray, front: int, rng: np.random.Generator
) -> tuple[Door, ...]:
    """One door on each side near the camera, beside its picture, and one in the wall that it looks at."""
    high = low + extent
    depth, width = extent[1 - front % 2], extent[front % 2]
    left, right, back = (front + 1) % 4, (front + 3) % 4, (front + 2) % 4
    near = [rng.uniform(3.0, 4.6) for _ in range(2)]
    # Sides 0 and 3 are at the low end of what left and right walls are measured along.
    from_low = front in (0, 3)
    along = [distance if from_low else depth - distance for distance in near]
    return (
        _door(low, high, left, along[0]),
        _door(low, high, right, along[1]),
        _door(low, high, back, rng.uniform(0.25, 0.75) * width),
    )


def _front_camera(
    config: SimulationConfig,
    number: int,
    rng: np.random.Generator,
    low: FloatArray,
    extent: FloatArray,
    front: int,
) -> Camera:
    door = _door(low, low + extent, front, rng.uniform(0.4, 0.6) * extent[front % 2])
    heading = np.arctan2(door.inward[1], door.inward[0]) + rng.uniform(-0.1, 0.1)
    return _hang(config, number, 0.25 * door.inward + door.centre, heading, number, rng)


def _wall_camera(
    config: SimulationConfig, number: int, rng: np.random.Generator, extent: FloatArray
) -> Camera:
    """Cameras spread evenly around the hall, the first in a corner, all looking at its middle."""
    angle = (
        np.arctan2(extent[1], extent[0])
        + 2 * np.pi * number / max(config.cameras, 2)
        + rng.uniform(-0.1, 0.1)
    )
    ray = np.array([np.cos(angle), np.sin(angle)])
    reach = np.min((extent / 2 - 0.25) / np.maximum(np.abs(ray), 1e-9))
    heading = angle + np.pi + rng.uniform(-0.08, 0.08)
    return _hang(config, number, extent / 2 + ray * reach, heading, 0, rng)


def _hang(
    config: SimulationConfig,
    number: int,
    ground: FloatArray,
    heading: float,
    room: int,
    rng: np.random.Generator,
) -> Camera:
    """Tilt it so that the lower edge of the picture meets the ground 4.2 m away."""
    height = rng.uniform(2.8, 3.3)
    focal = rng.uniform(0.84, 0.94) * max(config.width, 1.2 * config.height)
    tilt = np.arctan2(height, 4.2) - np.arctan2(config.height / 2, focal)
    position = np.array([ground[0], ground[1], height])
    name = CameraName(f"cam{number + 1}")
    return camera_at(name, room, (config.width, config.height), focal, position, heading, float(tilt))


_FURNITURE = (
    ((0.85, 0.24), 0.46, (70, 105, 150)),  # bench
    ((0.45, 0.36), 1.85, (60, 60, 150)),  # vending machine
    ((0.60, 0.22), 1.00, (150, 150, 140)),  # cupboard
    ((0.24, 0.24), 0.75, (90, 95, 90)),  # bin
)


def _furnish(
    low: FloatArray,
    high: FloatArray,
    doors: tuple[Door, ...],
    cameras: list[Camera],
    rng: np.random.Generator,
) -> Room:
    middle, extent = (low + high) / 2, high - low
    blocks: list[Block] = []
    for side in range(4):
        for _ in range(2):
            half, height, colour = _FURNITURE[int(rng.integers(len(_FURNITURE)))]
            place = _door(low, high, side, rng.uniform(0.12, 0.88) * extent[side % 2])
            half = half if side % 2 == 0 else half[::-1]
            centre = place.centre + place.inward * (half[1 - side % 2] + 0.03)
            others = [door.centre for door in doors] + [camera.position[:2] for camera in cameras]
            others += [block.centre for block in blocks]
            if min(np.hypot(*(centre - other)) for other in others) > 2.2:
                tint = rng.uniform(0.8, 1.2)
                blocks.append(
                    Block(centre, half, height, (colour[0] * tint, colour[1] * tint, colour[2] * tint))
                )
    obstacles: list[tuple[float, float, float]] = []
    for kind in rng.permutation(["pillar", "plant"]):
        for _ in range(50):
            centre = middle + rng.uniform(-0.32, 0.32, 2) * extent
            away = [np.hypot(*(centre - camera.position[:2])) for camera in cameras]
            clear = [np.hypot(*(centre - np.array(other[:2]))) for other in obstacles]
            clear += [np.hypot(*(centre - door.inside)) for door in doors]
            if min(away) > 6.0 and min(clear) > 2.0:
                radius = 0.24 if kind == "pillar" else 0.38
                height, colour = (
                    (WALL_HEIGHT_M, (168, 176, 182)) if kind == "pillar" else (0.5, (70, 90, 125))
                )
                blocks.append(
                    Block(centre, (radius, radius), height, colour, round=True, plant=kind == "plant")
                )
                obstacles.append((centre[0], centre[1], radius))
                break
    around = np.array(obstacles).reshape(-1, 3)
    return Room(low, high, doors, tuple(blocks), around, _liked_spots(low, high, around, cameras, rng))


def _liked_spots(
    low: FloatArray, high: FloatArray, obstacles: FloatArray, cameras: list[Camera], rng: np.random.Generator
) -> FloatArray:
    spots = rng.uniform(low + WALK_MARGIN_M, high - WALK_MARGIN_M, (600, 2))
    seen = np.zeros(len(spots), bool)
    for camera in cameras:
        whole = camera.ground_range(spots) < 13.0
        for height in (0.0, 1.9):
            pixels, depth = camera.project(np.column_stack([spots, np.full(len(spots), height)]))
            inside = (pixels > 0.06 * np.array(camera.size)) & (pixels < 0.94 * np.array(camera.size))
            # A head above the upper edge is cut off; one near it is not.
            inside[:, 1] = (pixels[:, 1] > 0) & (pixels[:, 1] < 0.97 * camera.size[1])
            whole &= inside.all(axis=1) & (depth > 1.0)
        seen |= whole
    gaps = np.hypot(*(spots[:, None] - obstacles[None, :, :2]).transpose(2, 0, 1)) - obstacles[:, 2]
    free = (gaps > 0.8).all(axis=1)
    liked = seen & free
    return np.asarray(spots[liked if liked.any() else free])
