"""What people are made of: looks, a skeleton that walks, and the discs and points that stand for its outline.

Lengths are shares of a person's height unless a name says metres. The proportions follow Drillis and Contini
1964 ("Body segment parameters"), rounded; the gait is a pair of swinging legs with a bending knee, lifted so
that the lower foot stands on the ground.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foundation.arrays import Columns, FloatArray, IntArray
from tracker.simulate.world import Motion, stride_length

Colour = tuple[float, float, float]
"""Blue, green, red, 0 to 255."""

_JOINTS = (
    "pelvis", "waist", "chest", "neck", "chin", "crown",
    "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r", "heel_l", "heel_r", "toe_l", "toe_r",
    "pack_low", "pack_high", "satchel_low", "satchel_high", "hem", "hem_left", "hem_right",
    "hem_front", "hem_back",
)  # fmt: skip
JOINT = {name: index for index, name in enumerate(_JOINTS)}
"""Where each joint stands in a skeleton."""

THIGH, SHIN, ANKLE_HEIGHT = 0.245, 0.235, 0.04
UPPER_ARM, FOREARM = 0.165, 0.14
HEAD_RADIUS = 0.055


@dataclass(frozen=True, slots=True)
class Look:
    """One person's body and clothes.

    Attributes:
        height_m, build: Metres, and breadth as a factor on that of an average person.
        gait_speed: Metres per second when in no hurry.
        hem: Where a skirt or coat ends, as a share of the height; 0.5 and above means none is worn.
    """

    height_m: float
    build: float
    gait_speed: float
    skin: Colour
    hair: Colour
    hair_style: Literal["short", "long", "bald", "cap"]
    top: Colour
    second: Colour
    pattern: Literal["plain", "stripes", "checks", "logo", "open", "block"]
    long_sleeves: bool
    bottom: Colour
    short_trousers: bool
    hem: float
    hem_is_top: bool
    shoes: Colour
    bag: Literal["none", "backpack", "shoulder"]
    bag_colour: Colour


_SKINS: tuple[Colour, ...] = (
    (170, 196, 232),
    (140, 172, 218),
    (104, 140, 194),
    (72, 104, 156),
    (46, 68, 108),
)
_HAIRS: tuple[Colour, ...] = (
    (28, 28, 32),
    (36, 48, 70),
    (50, 84, 128),
    (96, 150, 196),
    (150, 152, 156),
    (40, 62, 140),
)
_TOPS: tuple[Colour, ...] = (
    (48, 48, 200), (196, 110, 40), (60, 160, 60), (40, 200, 228), (224, 224, 220), (44, 42, 40),
    (150, 60, 140), (30, 120, 235), (190, 185, 70), (150, 150, 150), (90, 60, 30), (160, 130, 230),
    (45, 75, 115), (80, 95, 50),
)  # fmt: skip
_BOTTOMS: tuple[Colour, ...] = (
    (110, 70, 40), (45, 42, 40), (120, 160, 185), (70, 95, 85), (150, 148, 145), (70, 50, 50),
    (50, 70, 110), (200, 198, 190),
)  # fmt: skip
_SHOES: tuple[Colour, ...] = ((30, 30, 32), (225, 225, 225), (40, 70, 110), (50, 50, 190), (120, 120, 120))


def draw_looks(people: int, rng: np.random.Generator) -> list[Look]:
    """People who differ: colours of tops and trousers come in shuffled turns, so few wear the same."""

    def turns(count: int) -> list[int]:
        rounds = [rng.permutation(count) for _ in range(people // count + 1)]
        return [int(index) for index in np.concatenate(rounds)[:people]]

    def tint(colour: Colour) -> Colour:
        blue, green, red = np.clip(np.array(colour) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3), 12, 245)
        return float(blue), float(green), float(red)

    looks = []
    for top, bottom, second in zip(turns(len(_TOPS)), turns(len(_BOTTOMS)), turns(len(_TOPS)), strict=True):
        tall = rng.normal(1.72, 0.09)
        hem = float(rng.choice([1.0, 0.30, 0.37], p=[0.72, 0.14, 0.14]))
        other = second if second != top else (second + 4) % len(_TOPS)
        looks.append(
            Look(
                height_m=float(np.clip(tall, 1.5, 1.98)),
                build=float(np.clip(rng.normal(1.0, 0.09), 0.82, 1.25)),
                gait_speed=float(np.clip(rng.normal(1.3, 0.14), 0.95, 1.65)),
                skin=tint(_SKINS[rng.integers(len(_SKINS))]),
                hair=tint(_HAIRS[rng.integers(len(_HAIRS))]),
                hair_style=str(rng.choice(["short", "long", "bald", "cap"], p=[0.5, 0.3, 0.08, 0.12])),  # type: ignore[arg-type]
                top=tint(_TOPS[top]),
                second=tint(_TOPS[other]),
                pattern=str(
                    rng.choice(
                        ["plain", "stripes", "checks", "logo", "open", "block"],
                        p=[0.25, 0.2, 0.12, 0.15, 0.16, 0.12],
                    )
                ),  # type: ignore[arg-type]
                long_sleeves=bool(rng.random() < 0.6),
                bottom=tint(_BOTTOMS[bottom]),
                short_trousers=bool(rng.random() < 0.15),
                hem=hem,
                hem_is_top=hem > 0.33,
                shoes=tint(_SHOES[rng.integers(len(_SHOES))]),
                bag=str(rng.choice(["none", "backpack", "shoulder"], p=[0.5, 0.3, 0.2])),  # type: ignore[arg-type]
                bag_colour=tint(_TOPS[rng.integers(len(_TOPS))]),
            )
        )
    return looks


@dataclass(frozen=True, slots=True, eq=False)
class Bodies:
    """The measures of N people as columns: what a pose needs.

    Attributes:
        height_m, build: (N,) as in `Look`.
        pack, satchel: (N,) 1 for who carries a backpack, a bag at the hip, else 0.
        hem: (N,) how far a skirt or coat hangs below the waist, shares of the height; 0 for none.
    """

    height_m: FloatArray
    build: FloatArray
    pack: FloatArray
    satchel: FloatArray
    hem: FloatArray

    @classmethod
    def of(cls, looks: list[Look]) -> "Bodies":
        """The columns of a list of people."""
        return cls(
            np.array([look.height_m for look in looks]),
            np.array([look.build for look in looks]),
            np.array([float(look.bag == "backpack") for look in looks]),
            np.array([float(look.bag == "shoulder") for look in looks]),
            np.array([0.58 - look.hem if look.hem < 0.5 else 0.0 for look in looks]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Poses(Columns):
    """R people, each at one moment.

    Attributes:
        joints: (R, J, 3) in the world, metres, in the order of ``JOINT``.
        facing: (R,) direction of the body, radians.
        swing: (R,) how far the legs are apart, radians: 0 for somebody who stands.
        person: (R,) row of `Bodies`.
    """

    joints: FloatArray
    facing: FloatArray
    swing: FloatArray
    person: IntArray


def pose(motion: Motion, frames: IntArray, people: IntArray, bodies: Bodies) -> Poses:
    """The skeletons of R pairs of frame (R,) and person (R,) of a motion."""
    at = (frames, people)
    speed, phase, gesture, facing = motion.speed[at], motion.phase[at], motion.gesture[at], motion.facing[at]
    build = bodies.build[people]
    # A leg that swings by this angle covers half a stride from front to back.
    swing = np.arcsin(np.minimum(stride_length(speed) / 4 / (0.48 * 1.72), 0.9)) * np.clip(speed / 0.5, 0, 1)
    lean = 0.03 + 0.03 * speed
    local = np.zeros((len(people), len(JOINT), 3))

    def put(name: str, forward: FloatArray | float, left: FloatArray | float, up: FloatArray | float) -> None:
        local[:, JOINT[name], 0] = forward
        local[:, JOINT[name], 1] = left
        local[:, JOINT[name], 2] = up

    # Heights count from the pelvis first; the lower foot then says how high that is.
    lowest = np.zeros(len(people))
    for side, sign, turn in (("l", 1.0, 0.0), ("r", -1.0, np.pi)):
        angle = phase + turn
        thigh = swing * np.sin(angle) + 0.03
        knee = 0.05 + 2.3 * swing * np.clip(np.cos(angle + 0.35), 0, 1) ** 1.5
        shin = thigh - knee
        apart = sign * 0.048 * build
        knee_x, knee_z = THIGH * np.sin(thigh), -THIGH * np.cos(thigh)
        ankle_x, ankle_z = knee_x + SHIN * np.sin(shin), knee_z - SHIN * np.cos(shin)
        pitch = np.clip(1.1 * shin + 0.1, -0.9, 0.25)
        put(f"hip_{side}", 0, apart, 0)
        put(f"knee_{side}", knee_x, apart, knee_z)
        put(f"ankle_{side}", ankle_x, apart * 0.9, ankle_z)
        sole = ankle_z - 0.025
        along, across = np.cos(pitch), np.sin(pitch)
        put(f"heel_{side}", ankle_x - 0.03 * along + 0.025 * across, apart * 0.9, sole - 0.03 * across)
        toe_z = sole + 0.11 * across
        put(f"toe_{side}", ankle_x + 0.11 * along + 0.025 * across, apart * 1.15, toe_z)
        lowest = np.minimum(lowest, np.minimum(sole - 0.03 * across, toe_z) - 0.014)

        arm = -0.8 * swing * np.sin(angle) + 0.02
        bend = 0.18 + 0.5 * swing
        if side == "r":
            arm, bend = arm + 0.35 * gesture, bend + 1.5 * gesture
        shoulder_x, shoulder_z, reach = 0.285 * lean, 0.285, sign * 0.105 * build
        elbow_x, elbow_z = shoulder_x + UPPER_ARM * np.sin(arm), shoulder_z - UPPER_ARM * np.cos(arm)
        put(f"shoulder_{side}", shoulder_x, reach, shoulder_z)
        put(f"elbow_{side}", elbow_x, reach + sign * 0.022, elbow_z)
        put(
            f"hand_{side}",
            elbow_x + FOREARM * np.sin(arm + bend),
            reach + sign * 0.02,
            elbow_z - FOREARM * np.cos(arm + bend),
        )
    for name, up in (
        ("pelvis", -0.02),
        ("waist", 0.08),
        ("chest", 0.21),
        ("neck", 0.325),
        ("chin", 0.36),
        ("crown", 0.48),
    ):
        put(name, up * lean + (0.012 if name in ("chin", "crown") else 0.0), 0, up)
    carried = bodies.pack[people]
    for name, up in (("pack_low", 0.08), ("pack_high", 0.24)):
        put(name, up * lean - 0.115 * carried, 0, up)
    beside = 0.14 * build * bodies.satchel[people]
    for name, up in (("satchel_low", -0.04), ("satchel_high", 0.05)):
        put(name, 0.3 * swing * np.sin(phase) * 0.1, beside, up)
    hem = bodies.hem[people]
    worn = (hem > 0).astype(float)
    ahead = worn * (0.075 + 0.55 * (hem - 0.06) * np.abs(np.sin(phase)) * np.sin(swing))
    put("hem", 0, 0, 0.06 - hem)
    for name, forward, left in (("left", 0, 1), ("right", 0, -1), ("front", 1, 0), ("back", -1, 0)):
        put(f"hem_{name}", forward * ahead, left * worn * 0.108 * build, 0.06 - hem)

    local[..., 2] -= lowest[:, None]
    local *= bodies.height_m[people][:, None, None]
    joints = np.empty_like(local)
    cos, sin = np.cos(facing)[:, None], np.sin(facing)[:, None]
    joints[..., 0] = cos * local[..., 0] - sin * local[..., 1] + motion.position[at][:, :1]
    joints[..., 1] = sin * local[..., 0] + cos * local[..., 1] + motion.position[at][:, 1:]
    joints[..., 2] = local[..., 2]
    return Poses(joints, facing, swing, people)
