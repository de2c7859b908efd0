"""Drawing people: tubes around the bones, painted, lit, and seen in true perspective.

A figure is a stack of rings of 16 points; two rings that follow each other in a part span a band of quads.
The quads that face the camera are painted from far to near on a patch of twice the resolution, which is then
scaled down, so edges are smooth and the patch carries its own transparency.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import FloatArray, Image
from tracker.simulate.body import JOINT, Bodies, Look, Poses
from tracker.simulate.cameras import Camera

SIDES = 16
OVERSAMPLING = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """A tube from one joint to another.

    Attributes:
        rings: Place along the bone (0 to 1 and beyond), half width to the left, half depth, and shift
            forward; the last three as shares of the person's height.
    """

    name: str
    start: str
    end: str
    rings: tuple[tuple[float, float, float, float], ...]


def _limb(name: str, start: str, end: str, *radii: float) -> _Part:
    places = np.linspace(0, 1, len(radii))
    inner = tuple((float(place), radius, radius, 0.0) for place, radius in zip(places, radii, strict=True))
    # Round ends close the tube.
    first = (-0.12, 0.5 * radii[0], 0.5 * radii[0], 0.0)
    last = (1.08, 0.5 * radii[-1], 0.5 * radii[-1], 0.0)
    return _Part(name, start, end, (first, *inner, last))


def _both_sides(name: str, start: str, end: str, *radii: float) -> tuple[_Part, _Part]:
    left, right = (_limb(f"{name}_{side}", f"{start}_{side}", f"{end}_{side}", *radii) for side in "lr")
    return left, right


_HEAD = tuple(
    (up, 0.046 * wide, 0.056 * wide, shift)
    for up, wide, shift in (
        (-0.02, 0.30, 0.012), (0.06, 0.62, 0.010), (0.20, 0.82, 0.006), (0.36, 0.94, 0.002), (0.52, 1.0, 0.0),
        (0.70, 0.98, -0.003), (0.84, 0.84, -0.005), (0.95, 0.52, -0.005), (1.0, 0.12, -0.005),
    )
)  # fmt: skip
_TORSO = (
    (-0.10, 0.050, 0.040, 0.0), (-0.04, 0.086, 0.062, 0.0), (0.06, 0.094, 0.070, -0.002),
    (0.16, 0.091, 0.067, 0.0), (0.27, 0.085, 0.062, 0.002), (0.38, 0.084, 0.060, 0.003),
    (0.49, 0.090, 0.063, 0.004), (0.60, 0.098, 0.067, 0.004), (0.71, 0.105, 0.069, 0.003),
    (0.80, 0.110, 0.064, 0.0), (0.88, 0.102, 0.054, -0.003), (0.94, 0.070, 0.042, -0.004),
    (1.00, 0.035, 0.034, -0.003),
)  # fmt: skip
_WAIST_RING = 3
"""Torso bands below this ring belong to the trousers."""

_FIST = (
    (0.98, 0.012, 0.012, 0.0),
    (1.06, 0.017, 0.022, 0.0),
    (1.3, 0.017, 0.024, 0.0),
    (1.45, 0.010, 0.014, 0.0),
)
PARTS: tuple[_Part, ...] = (
    *_both_sides("thigh", "hip", "knee", 0.056, 0.050, 0.038),
    *_both_sides("shin", "knee", "ankle", 0.037, 0.036, 0.026),
    *_both_sides("foot", "heel", "toe", 0.024, 0.027, 0.018),
    _Part("torso", "pelvis", "neck", _TORSO),
    _limb("neck", "neck", "chin", 0.030, 0.028),
    *_both_sides("upper", "shoulder", "elbow", 0.034, 0.032, 0.026),
    *_both_sides("fore", "elbow", "hand", 0.026, 0.023, 0.017),
    *(_Part(f"fist_{side}", f"elbow_{side}", f"hand_{side}", _FIST) for side in "lr"),
    _Part("head", "chin", "crown", _HEAD),
    _Part(
        "long_hair",
        "neck",
        "crown",
        ((-0.25, 0.030, 0.012, -0.050), (-0.1, 0.046, 0.022, -0.042), (0.3, 0.050, 0.036, -0.026),
         (0.7, 0.050, 0.048, -0.014), (0.93, 0.040, 0.040, -0.010), (1.0, 0.02, 0.02, -0.010)),
    ),
    _Part("brim", "chin", "crown", ((0.70, 0.034, 0.026, 0.058), (0.735, 0.034, 0.026, 0.058))),
    _Part(
        "hem",
        "hem",
        "waist",
        ((0.0, 1.0, 1.0, 0.0), (0.35, 0.98, 0.85, 0.0), (0.7, 0.098, 0.074, 0.0), (1.0, 0.090, 0.068, 0.0)),
    ),
    _Part(
        "pack",
        "pack_low",
        "pack_high",
        ((-0.28, 0.045, 0.03, 0.0), (-0.2, 0.078, 0.050, 0.0), (0.4, 0.080, 0.056, 0.0),
         (1.0, 0.074, 0.048, 0.0), (1.25, 0.05, 0.03, 0.0)),
    ),
    _Part(
        "satchel",
        "satchel_low",
        "satchel_high",
        ((-0.3, 0.018, 0.045, 0.0), (-0.2, 0.030, 0.062, 0.0), (1.1, 0.030, 0.062, 0.0),
         (1.2, 0.015, 0.05, 0.0)),
    ),
)  # fmt: skip

_STARTS = np.array([JOINT[part.start] for part in PARTS for _ in part.rings])
_ENDS = np.array([JOINT[part.end] for part in PARTS for _ in part.rings])
_RINGS = np.array([ring for part in PARTS for ring in part.rings])
_RING_PART = np.array([part.name for part in PARTS for _ in part.rings])
_STOUT = np.array(
    [not name.startswith(("head", "long_hair", "brim", "neck", "pack", "satchel")) for name in _RING_PART]
)
_ANGLES = np.arange(SIDES) * 2 * np.pi / SIDES
_BANDS = np.flatnonzero(_RING_PART[1:] == _RING_PART[:-1])
_BAND_PART = _RING_PART[_BANDS]
# Quads (Q, 4) of vertex numbers: along the lower ring, back along the upper one.
_QUADS = np.array(
    [
        (ring * SIDES + side, ring * SIDES + after, (ring + 1) * SIDES + after, (ring + 1) * SIDES + side)
        for ring in _BANDS
        for side, after in zip(range(SIDES), np.roll(range(SIDES), -1), strict=True)
    ]
)
_QUAD_PART = np.repeat(_BAND_PART, SIDES)
_OPTIONAL = {"long_hair": "long", "brim": "cap", "pack": "backpack", "satchel": "shoulder"}


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """One person's colours: (Q, 3) blue, green, red of each quad, and (Q,) whether it is there at all."""

    colours: FloatArray
    there: NDArray[np.bool_]


def paint(look: Look, rng: np.random.Generator) -> Paint:
    """Dress a figure."""
    colours = np.empty((len(_QUADS), 3))
    there = np.ones(len(_QUADS), bool)
    for name in dict.fromkeys(_BAND_PART):
        rows = name == _QUAD_PART
        bands = rows.sum() // SIDES
        band = np.repeat(np.arange(bands), SIDES)
        # 0 in front, pi behind; only upright parts ask.
        angle = np.abs((np.tile(_ANGLES + np.pi / SIDES, bands) + np.pi) % (2 * np.pi) - np.pi)
        left = np.sin(np.tile(_ANGLES + np.pi / SIDES, bands))
        kind = name.split("_")[0] if name != "long_hair" else name
        colours[rows] = _dress(look, kind, band, angle, left)
        if kind == "hem":
            there[rows] = look.hem < 0.5
        elif kind in _OPTIONAL:
            there[rows] = _OPTIONAL[kind] in (look.hair_style, look.bag)
    # Folds and wear: no cloth has one colour.
    return Paint(colours * rng.normal(1.0, 0.035, (len(colours), 1)), there)


def _dress(look: Look, kind: str, band: NDArray[np.int64], angle: FloatArray, left: FloatArray) -> FloatArray:
    """Colours (K, 3) of the quads of one part, by their band and their angle from the front."""
    match kind:
        case "torso":
            return _torso(look, band, angle, left)
        case "head":
            return _head(look, band, angle)
        case "thigh":
            colour = look.bottom
        case "shin":
            colour = look.skin if look.short_trousers else look.bottom
        case "foot":
            colour = look.shoes
        case "upper":
            colour = look.second if look.pattern == "block" else look.top
        case "fore":
            colour = look.top if look.long_sleeves else look.skin
        case "fist" | "neck":
            colour = look.skin
        case "long_hair":
            colour = look.hair
        case "brim":
            colour = look.second
        case "hem":
            colour = look.top if look.hem_is_top else look.second
        case _:
            colour = look.bag_colour
    return np.full((len(band), 3), colour, np.float64)


def _torso(look: Look, band: NDArray[np.int64], angle: FloatArray, left: FloatArray) -> FloatArray:
    """Shirt, straps, belt and the upper end of the trousers; as in `_dress`."""
    colours = np.full((len(band), 3), look.top, np.float64)
    shirt = band - _WAIST_RING
    match look.pattern:
        case "stripes":
            colours[shirt % 2 == 0] = look.second
        case "checks":
            column = np.tile(np.arange(SIDES) // 2, len(band) // SIDES)
            colours[(shirt // 2 + column) % 2 == 0] = look.second
        case "logo":
            colours[(angle < 0.5) & (shirt >= 3) & (shirt <= 5)] = look.second
            colours[(angle > 2.3) & (shirt >= 4) & (shirt <= 5)] = look.second
        case "open":
            colours[angle < 0.45] = look.second
        case "block":
            colours[shirt >= 4] = look.second
    if look.bag == "backpack":
        in_front = angle <= np.pi / 2
        colours[in_front & (np.abs(np.abs(left) - 0.6) < 0.2) & (shirt >= 3)] = look.bag_colour
    if look.bag == "shoulder":
        colours[np.abs(left * 4.0 + shirt - 4.0) < 0.8] = look.bag_colour
    colours[band < _WAIST_RING] = look.bottom
    colours[band == _WAIST_RING - 1] *= 0.6  # belt
    return colours


def _head(look: Look, band: NDArray[np.int64], angle: FloatArray) -> FloatArray:
    """Face and hair, or a cap; as in `_dress`."""
    colours = np.full((len(band), 3), look.skin, np.float64)
    hairline = 5.0 - 3.5 * np.clip((angle - 0.7) / 1.0, 0, 1)
    if look.hair_style == "cap":
        colours[band >= np.minimum(hairline, 4.0)] = look.hair
        colours[band >= 5] = look.second
    elif look.hair_style == "bald":
        colours[(band >= 2) & (band <= 3) & (angle > 2.0)] = look.hair
    else:
        colours[band >= hairline] = look.hair
    colours[(band == 3) & (angle > 0.3) & (angle < 0.65)] *= 0.7  # eyes
    colours[(band == 1) & (angle < 0.3)] *= (0.8, 0.75, 0.95)  # mouth
    return colours


def build_vertices(poses: Poses, bodies: Bodies) -> FloatArray:
    """The surface of R people: (R, V, 3) points in the world, metres."""
    joints = poses.joints
    height = bodies.height_m[poses.person][:, None]
    start, bone = joints[:, _STARTS], joints[:, _ENDS] - joints[:, _STARTS]
    length = np.linalg.norm(bone, axis=2, keepdims=True)
    # A bone without length belongs to something that is not worn.
    up = np.where(length > 1e-6, bone / np.maximum(length, 1e-6), (0.0, 0.0, 1.0))
    left = np.stack([-np.sin(poses.facing), np.cos(poses.facing), np.zeros(len(height))], axis=1)[:, None]
    left = np.broadcast_to(left, up.shape)
    ahead = np.cross(left, up)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=2, keepdims=True), 1e-6)
    stout = np.where(_STOUT, bodies.build[poses.person][:, None], 1.0)
    wide, deep = _RINGS[:, 1] * stout * height, _RINGS[:, 2] * (0.4 + 0.6 * stout) * height
    hem = np.flatnonzero(_RING_PART == "hem")[:2]
    for axis, (one, other) in ((wide, ("hem_left", "hem_right")), (deep, ("hem_front", "hem_back"))):
        span = np.linalg.norm(joints[:, JOINT[one]] - joints[:, JOINT[other]], axis=1) / 2
        axis[:, hem] = span[:, None] * _RINGS[hem, 1]
    centre = start + _RINGS[:, :1] * bone + (_RINGS[:, 3] * height)[..., None] * ahead
    points = (
        centre[:, :, None]
        + np.sin(_ANGLES)[:, None] * (wide[..., None] * left)[:, :, None]
        + np.cos(_ANGLES)[:, None] * (deep[..., None] * ahead)[:, :, None]
    )
    return np.asarray(points.reshape(len(joints), -1, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One drawn person.

    Attributes:
        left, top: Pixel of the picture where the patch begins; may be negative.
        patch: (h, w, 4) blue, green, red (already multiplied by the cover) and cover, 0 to 255.
    """

    left: int
    top: int
    patch: Image


def draw_figures(
    vertices: FloatArray, paints: list[Paint], camera: Camera, light: FloatArray, brightness: FloatArray
) -> list[Sprite | None]:
    """Draw R people as one camera sees them; None for who is outside the picture.

    Args:
        vertices: (R, V, 3) of `build_vertices`.
        paints: Their R paints.
        camera: Who looks.
        light: (3,) unit vector towards the light.
        brightness: (R,) of the place where each one stands.
    """
    pixels, depth = camera.project(vertices)
    first, second, third, fourth = _QUADS.T
    diagonal, other = pixels[:, third] - pixels[:, first], pixels[:, fourth] - pixels[:, second]
    facing = diagonal[..., 0] * other[..., 1] - diagonal[..., 1] * other[..., 0] < 0
    distance = depth[:, first] + depth[:, third]
    low = np.floor(pixels.min(axis=1)).astype(int) - 1
    high = np.ceil(pixels.max(axis=1)).astype(int) + 1
    sprites: list[Sprite | None] = []
    for row, worn in enumerate(paints):
        (left, top), (right, bottom) = low[row], high[row]
        near = depth[row].min() < 0.5
        if near or right <= 0 or bottom <= 0 or left >= camera.size[0] or top >= camera.size[1]:
            sprites.append(None)
            continue
        canvas = np.zeros(((bottom - top) * OVERSAMPLING, (right - left) * OVERSAMPLING, 4), np.uint8)
        shown = np.flatnonzero(facing[row] & worn.there)
        shown = shown[np.argsort(-distance[row, shown], kind="stable")]
        corners = vertices[row, _QUADS[shown]]
        normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        shade = 0.62 + 0.30 * np.clip(normal @ light, -0.3, 1.0) + 0.10 * normal[:, 2]
        # Four bits of sub-pixel position; cv2 counts from pixel centres.
        points = np.round((pixels[row, _QUADS[shown]] - (left, top)) * OVERSAMPLING * 16 - 8).astype(np.int32)
        tones = np.clip(worn.colours[shown] * (shade * brightness[row])[:, None], 0, 255)
        for polygon, (blue, green, red) in zip(points, tones.tolist(), strict=True):
            cv2.fillConvexPoly(canvas, polygon, (blue, green, red, 255.0), shift=4)
        small = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        sprites.append(Sprite(int(left), int(top), np.asarray(small, np.uint8)))
    return sprites
