"""What a camera sees of an empty room: a ray through every pixel, the surface it meets, its texture."""

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import FloatArray, Image
from tracker.simulate.cameras import Camera
from tracker.simulate.layout import DOOR_HALF_WIDTH_M, DOOR_HEIGHT_M, WALL_HEIGHT_M, Block, Room

_CORRIDOR_M = 1.7
"""Depth of the corridor that an open door shows."""


class Surface(IntEnum):
    """What a ray met first."""

    FLOOR = 0
    WALL = 1
    CEILING = 2
    CORRIDOR = 3
    BLOCK = 4  # BLOCK + k is the room's block k


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What each pixel of a picture shows of an empty room.

    Attributes:
        surface: (H, W) `Surface` number.
        points: (H, W, 3) where the ray ends, metres.
        normals: (H, W, 3) unit vectors off the surface.
        range: (H, W) horizontal metres from the camera to what can hide a person; inf where that is floor,
            ceiling, or the corridor behind a door.
    """

    surface: NDArray[np.int64]
    points: FloatArray
    normals: FloatArray
    range: FloatArray


def look(camera: Camera, room: Room, oversampling: int = 1) -> View:
    """Cast a ray through the middle of every pixel; ``oversampling`` makes the picture that much larger."""
    width, height = camera.size
    x, y = np.meshgrid(
        (np.arange(width * oversampling) + 0.5) / oversampling,
        (np.arange(height * oversampling) + 0.5) / oversampling,
    )
    focal, middle = camera.intrinsics[0, 0], camera.intrinsics[:2, 2]
    local = np.stack([(x - middle[0]) / focal, (y - middle[1]) / focal, np.ones_like(x)], axis=2)
    rays = local @ camera.world_to_camera[:3, :3]
    eye = camera.position
    low = np.array([*room.low, 0.0])
    high = np.array([*room.high, WALL_HEIGHT_M])
    length, axis = _leave_box(eye, rays, low, high)
    surface = np.where(
        axis < 2, Surface.WALL, np.where(rays[..., 2] < 0, Surface.FLOOR, Surface.CEILING)
    ).astype(np.int64)
    normals = np.zeros_like(rays)
    np.put_along_axis(normals, axis[..., None], -np.sign(np.take_along_axis(rays, axis[..., None], 2)), 2)
    points = eye + rays * length[..., None]
    for door in room.doors:
        side = int(np.argmax(np.abs(door.inward)))
        along = 1 - side
        in_gap = (
            (axis == side)
            & (surface == Surface.WALL)
            & (np.abs(points[..., side] - door.centre[side]) < 1e-6)
            & (np.abs(points[..., along] - door.centre[along]) < DOOR_HALF_WIDTH_M)
            & (points[..., 2] < DOOR_HEIGHT_M)
        )
        hall_low, hall_high = low.copy(), high.copy()
        hall_low[along], hall_high[along] = door.centre[along] - 6, door.centre[along] + 6
        hall_low[side], hall_high[side] = sorted(
            (door.centre[side], door.centre[side] - _CORRIDOR_M * door.inward[side])
        )
        deeper, deep_axis = _leave_box(eye, rays[in_gap], hall_low, hall_high)
        length[in_gap], surface[in_gap] = deeper, Surface.CORRIDOR
        points[in_gap] = eye + rays[in_gap] * deeper[:, None]
        hall_normals = np.zeros((len(deeper), 3))
        hall_normals[np.arange(len(deeper)), deep_axis] = 1.0
        normals[in_gap] = hall_normals
    for number, block in enumerate(room.blocks):
        window = _window(camera, block, oversampling)
        for distance, hit_normals in _meet_block(eye, rays[window], block):
            nearer = distance < length[window]
            length[window][nearer], surface[window][nearer] = distance[nearer], Surface.BLOCK + number
            normals[window][nearer] = hit_normals[nearer]
    points = eye + rays * length[..., None]
    hides = (surface == Surface.WALL) | (surface >= Surface.BLOCK)
    return View(surface, points, normals, np.where(hides, camera.ground_range(points), np.inf))


def _window(camera: Camera, block: Block, oversampling: int) -> tuple[slice, slice]:
    """Rows and columns of the picture outside of which the block cannot be seen."""
    reach = np.array(block.half_size) + (0.6 if block.plant else 0.0)
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (0, 1)])
    corners = np.column_stack(
        [block.centre + signs[:, :2] * reach, signs[:, 2] * (block.height + 0.9 * block.plant)]
    )
    pixels, depth = camera.project(corners)
    if depth.min() < 0.3:
        return slice(None), slice(None)
    low = np.maximum(np.floor(pixels.min(axis=0) * oversampling), 0).astype(int)
    high = np.maximum(np.ceil(pixels.max(axis=0) * oversampling), 0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _meet_block(eye: FloatArray, rays: FloatArray, block: Block) -> list["Hit"]:
    if block.round:
        hits = [_meet_cylinder(eye, rays, block.centre, block.half_size[0], block.height)]
    else:
        half, centre = np.array([*block.half_size, 0]), np.array([*block.centre, 0])
        hits = [_meet_box(eye, rays, centre - half, centre + half + np.array([0, 0, block.height]))]
    if block.plant:
        offsets = ((0.0, 0.0, 0.45), (0.22, 0.1, 0.15), (-0.2, 0.12, 0.2), (0.02, -0.22, 0.12))
        top = np.array([*block.centre, block.height])
        hits += [_meet_sphere(eye, rays, top + np.array(offset), 0.32) for offset in offsets]
    return hits


def draw_background(camera: Camera, room: Room, light: FloatArray, rng: np.random.Generator) -> Image:
    """(H, W, 3) the empty room as the camera sees it, before the camera's own colours, blur and noise.

    A generator in the same state gives the same room, whatever the camera sees of it.
    """
    view = look(camera, room, oversampling=2)
    colours = np.empty(view.points.shape)
    x, y, z = np.moveaxis(view.points, 2, 0)
    floor = view.surface == Surface.FLOOR
    colours[floor] = _floor(x[floor], y[floor], rng)
    wall_tone = np.array([(196, 206, 212), (188, 204, 200), (206, 200, 190), (170, 186, 205)])[
        rng.integers(4)
    ]
    wall = view.surface == Surface.WALL
    colours[wall] = _wall(view.points[wall], view.normals[wall], wall_tone, room, rng)
    colours[view.surface == Surface.CEILING] = (215, 218, 220)
    hall = view.surface == Surface.CORRIDOR
    colours[hall] = np.where((z[hall] < 0.01)[:, None], (88, 92, 98), (118, 126, 132))
    for number, block in enumerate(room.blocks):
        mine = view.surface == Surface.BLOCK + number
        leaves = mine & (z > block.height + 0.01) & block.plant
        colours[mine] = block.colour
        # Two panels and an edge make a plain box look made.
        colours[mine & (np.mod(z, 0.46) < 0.02) & (not block.round)] *= 0.75
        speckle = _noise(9 * x[leaves] + 3 * z[leaves], 9 * y[leaves] + 4 * z[leaves], rng)
        colours[leaves] = np.array((52, 120, 62)) * (0.55 + 0.9 * speckle[:, None])
    shade = 0.72 + 0.28 * np.clip(view.normals @ light, 0, 1)
    shade[floor] = 0.98
    colours *= (shade * lamp_light(view.points[..., :2], room) * _contact(view, room))[..., None]
    size = camera.size
    picture = cv2.resize(np.clip(colours, 0, 255), size, interpolation=cv2.INTER_AREA)
    return np.asarray(picture).astype(np.uint8)


def lamp_light(places: FloatArray, room: Room) -> FloatArray:
    """Brightness (...) at places (..., 2) of a room: brighter under its middle than in its corners."""
    reach = (places - (room.low + room.high) / 2) / (room.high - room.low)
    return np.asarray(1.06 - 0.42 * (reach**2).sum(axis=-1))


def _contact(view: View, room: Room) -> FloatArray:
    """Darker floor where it meets walls and furniture, darker walls near the floor."""
    x, y, z = np.moveaxis(view.points, 2, 0)
    floor = view.surface == Surface.FLOOR
    to_wall = np.minimum.reduce([x - room.low[0], room.high[0] - x, y - room.low[1], room.high[1] - y])
    shade = np.where(floor, 1 - 0.28 * np.exp(-np.maximum(to_wall, 0) / 0.35), 1.0)
    shade = np.where(view.surface == Surface.WALL, 1 - 0.15 * np.exp(-z / 0.3), shade)
    for block in room.blocks:
        away = np.maximum(np.abs(view.points[..., :2] - block.centre) - block.half_size, 0)
        shade = np.where(
            floor, shade * (1 - 0.4 * np.exp(-np.hypot(away[..., 0], away[..., 1]) / 0.22)), shade
        )
    return shade


def _floor(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> FloatArray:
    kind = rng.integers(3)
    if kind == 0:  # tiles, two tones, dark joints
        size = rng.uniform(0.5, 0.8)
        tone = np.array([(150, 158, 164), (128, 150, 172), (160, 158, 150)])[rng.integers(3)]
        even = (np.floor(x / size) + np.floor(y / size)) % 2
        joint = np.minimum(np.mod(x, size), np.mod(y, size)) < 0.02
        grain = 0.92 + 0.08 * even + 0.10 * (_noise(x * 3, y * 3, rng) - 0.5)
        return np.asarray(tone * np.where(joint, 0.72, grain)[:, None])
    if kind == 1:  # planks
        row = np.floor(x / 0.18)
        plank = _noise(row * 7.3, np.floor((y + 0.37 * row) / 1.4) * 5.1, rng)
        seam = np.mod(x, 0.18) < 0.012
        grain = 0.84 + 0.22 * plank + 0.08 * (_noise(x * 30, y * 2.0, rng) - 0.5)
        return np.asarray(np.array((88, 128, 166)) * np.where(seam, 0.66, grain)[:, None])
    tone = np.array([(128, 122, 112), (108, 118, 124), (116, 128, 112)])[rng.integers(3)]  # carpet
    grain = 0.9 + 0.12 * _noise(x * 2.0, y * 2.0, rng) + 0.14 * (_noise(x * 40, y * 40, rng) - 0.5)
    return np.asarray(tone * grain[:, None])


def _wall(
    points: FloatArray, normals: FloatArray, tone: FloatArray, room: Room, rng: np.random.Generator
) -> FloatArray:
    z, axis = points[:, 2], np.argmax(np.abs(normals[:, :2]), axis=1)
    along = np.where(axis == 0, points[:, 1], points[:, 0])
    colours = tone * (0.97 + 0.06 * _noise(along * 1.5, z * 1.5, rng))[:, None]
    colours[z < 1.05] *= (0.90, 0.93, 0.96)
    colours[(z > 1.03) & (z < 1.07)] *= 0.8
    colours[z < 0.12] = tone * 0.55
    for _ in range(10):  # posters
        side, sign = int(rng.integers(2)), float(rng.choice([-1, 1]))
        middle, low = rng.uniform(room.low[1 - side] + 1, room.high[1 - side] - 1), rng.uniform(1.2, 1.5)
        width, height = rng.uniform(0.5, 1.1), rng.uniform(0.6, 0.8)
        paper, ink = rng.uniform(60, 230, (2, 3))
        if any(abs(middle - door.centre[1 - side]) < 1.7 for door in room.doors if door.inward[side] == sign):
            continue
        here = (axis == side) & (normals[:, side] * sign > 0)
        inside = here & (np.abs(along - middle) < width / 2) & (z > low) & (z < low + height)
        colours[inside] = paper
        colours[inside & (z > low + 0.55 * height) & (z < low + 0.8 * height)] = ink
    return np.asarray(colours)


def _noise(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Smooth random values in [0, 1) that repeat every 64 units."""
    lattice = rng.random((65, 65))
    lattice[64], lattice[:, 64] = lattice[0], lattice[:, 0]
    x, y = np.mod(x, 64.0), np.mod(y, 64.0)
    column, row = np.minimum(x.astype(int), 63), np.minimum(y.astype(int), 63)
    right, down = x - column, y - row
    upper = lattice[row, column] * (1 - right) + lattice[row, column + 1] * right
    lower = lattice[row + 1, column] * (1 - right) + lattice[row + 1, column + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


Hit = tuple[FloatArray, FloatArray]
"""Distances (H, W) along the rays, inf for a miss, and normals (H, W, 3)."""


def _leave_box(
    eye: FloatArray, rays: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Where rays from a point, which pass through a box, come out of it: distances and axes (...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = np.where(rays > 0, (high - eye) / rays, np.where(rays < 0, (low - eye) / rays, np.inf))
    axis = exits.argmin(axis=-1)
    return np.take_along_axis(exits, axis[..., None], -1)[..., 0], axis


def _meet_box(eye: FloatArray, rays: FloatArray, low: FloatArray, high: FloatArray) -> Hit:
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - eye) / rays, (high - eye) / rays
    enter, leave = np.minimum(one, other), np.maximum(one, other)
    axis, first = enter.argmax(axis=2), enter.max(axis=2)
    normals = np.zeros_like(rays)
    np.put_along_axis(normals, axis[..., None], -np.sign(np.take_along_axis(rays, axis[..., None], 2)), 2)
    return np.where((first < leave.min(axis=2)) & (first > 0), first, np.inf), normals


def _meet_cylinder(
    eye: FloatArray, rays: FloatArray, centre: FloatArray, radius: float, height: float
) -> Hit:
    """An upright cylinder with a lid."""
    offset = eye[:2] - centre
    a = (rays[..., :2] ** 2).sum(axis=2)
    b = (rays[..., :2] * offset).sum(axis=2)
    root = b**2 - a * (offset @ offset - radius**2)
    side = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    with np.errstate(invalid="ignore"):
        side_z = eye[2] + side * rays[..., 2]
    side = np.where((side_z >= 0) & (side_z <= height) & (side > 0), side, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        lid = (height - eye[2]) / rays[..., 2]
        on_lid = eye[:2] + rays[..., :2] * lid[..., None] - centre
    lid = np.where((lid > 0) & ((on_lid**2).sum(axis=2) < radius**2), lid, np.inf)
    distance = np.minimum(side, lid)
    finite = np.where(np.isfinite(side), side, 0.0)
    normals = np.concatenate(
        [(offset + rays[..., :2] * finite[..., None]) / radius, np.zeros((*side.shape, 1))], axis=2
    )
    normals[lid < side] = (0, 0, 1)
    return distance, normals


def _meet_sphere(eye: FloatArray, rays: FloatArray, centre: FloatArray, radius: float) -> Hit:
    offset = eye - centre
    a = (rays**2).sum(axis=2)
    b = rays @ offset
    root = b**2 - a * (offset @ offset - radius**2)
    distance = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    finite = np.where(np.isfinite(distance), distance, 0.0)
    return np.where(distance > 0, distance, np.inf), (offset + rays * finite[..., None]) / radius
