"""Embeddings that are drawn, not computed: around true identities, with a stated spread.

A picture is made of parts that are drawn at random in turn: what all people share, what those of a group
in similar clothes share, the person, the camera, the person in this camera, this tracklet (pose, distance,
who stands before whom) and the moment. Each part is a random direction, so the share of squared length that
two pictures have in common is the mean of their cosine.
"""

from dataclasses import dataclass, fields

import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray

NOBODY = -1
"""The person of a false alarm."""
NEW_TRACKLET_S = 1.0
"""Whoever was not found for longer comes back in another pose, into another light."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean cosines of two pictures, drawn at random, and two standard deviations.

    The defaults are those of the network that ships, on the 200 people of Market-1501 that it was not
    trained on (docs/identity.md).

    Attributes:
        same_tracklet: Of one person in one tracklet before one camera, some seconds apart.
        same_camera: Of one person in two tracklets before one camera.
        other_camera, sd_other_camera: Of one person in two cameras. The deviation beyond that of random
            directions comes from tracklets, of which some show less of the person than others.
        look_alike: Of two people of one group, in two cameras.
        different_same_camera: Of two people of different groups in one camera.
        different, sd_different: Of two people of different groups in two cameras. The deviation says how
            long the embeddings are: the cosines of random directions scatter by 1 / sqrt(length).
        group_size: People who are dressed alike.
        pose_s: Time constant of the moment's part: pictures that are closer in time are nearly the same.

    Raises:
        ValueError: A cosine is above one that must be higher, or a deviation cannot be reached.
    """

    same_tracklet: float = 0.77
    same_camera: float = 0.70
    other_camera: float = 0.60
    sd_other_camera: float = 0.14
    look_alike: float = 0.35
    different_same_camera: float = 0.15
    different: float = 0.13
    sd_different: float = 0.095
    group_size: int = 3
    pose_s: float = 0.7

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"Spread.{field.name} must be above 0, got {getattr(self, field.name)}")
        for low, high in (
            ("different", "look_alike"),
            ("look_alike", "other_camera"),
            ("different", "different_same_camera"),
            ("other_camera", "same_camera"),
            ("same_camera", "same_tracklet"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"Spread.{low} must be at most {high}, {getattr(self, high)}")
        if self.different_same_camera - self.different > self.same_camera - self.other_camera:
            raise ValueError(
                "Spread: a camera makes two people more alike "
                f"({self.different_same_camera} - {self.different}) than it makes one person "
                f"({self.same_camera} - {self.other_camera})"
            )
        if self.same_tracklet > 1:
            raise ValueError(f"Spread.same_tracklet must be at most 1, got {self.same_tracklet}")
        least = _sd_of_directions(self.other_camera, self.length)
        mean, sd = self.clarity
        if self.sd_other_camera < least - 1e-9 or sd**2 > 0.95 * mean * (1 - mean):
            raise ValueError(
                f"Spread.sd_other_camera {self.sd_other_camera} cannot be reached: it is {least:.3f} at "
                "least, and the nearer same_camera is to same_tracklet, the less it may be above that"
            )

    @property
    def length(self) -> int:
        """D, the length of the embeddings."""
        return max(2, round((_sd_of_directions(self.different, 1) / self.sd_different) ** 2))

    @property
    def clarity(self) -> tuple[float, float]:
        """Mean and standard deviation, over tracklets, of how strongly one shows the person."""
        mean = np.sqrt(self.same_camera / self.same_tracklet)
        variance = self.sd_other_camera**2 - _sd_of_directions(self.other_camera, self.length) ** 2
        relative = np.sqrt(1 + max(variance, 0.0) / self.other_camera**2) - 1
        return float(mean), float(mean * np.sqrt(relative))


class DrawnPeople:
    """What P people look like in themselves.

    Attributes:
        common: (1, D) what all people share.
        persons: (P, D) each person, that included.
    """

    def __init__(self, spread: Spread, people: int, rng: np.random.Generator) -> None:
        """Draw the people; those of a group have numbers in a row."""
        self.spread, self.people = spread, people
        self.common = random_directions((1, spread.length), rng)
        groups = random_directions((people // spread.group_size + 1, spread.length), rng)
        self.persons = _mix(
            (spread.different / spread.other_camera, self.common),
            (
                (spread.look_alike - spread.different) / spread.other_camera,
                groups[np.arange(people) // spread.group_size],
            ),
            (1 - spread.look_alike / spread.other_camera, random_directions((people, spread.length), rng)),
        )


class CameraEmbeddings:
    """Draws the pictures that one camera takes; they follow each other in time."""

    def __init__(self, drawn: DrawnPeople, rng: np.random.Generator) -> None:
        """Draw the camera's own part in each person's appearance."""
        spread, people, self._rng = drawn.spread, drawn.people, rng
        self._spread, self._common = spread, drawn.common
        camera_share = (spread.different_same_camera - spread.different) / spread.same_camera
        own_share = max(0.0, 1 - spread.other_camera / spread.same_camera - camera_share)
        self._persons = _mix(
            (spread.other_camera / spread.same_camera, drawn.persons),
            (camera_share, random_directions((1, spread.length), rng)),
            (own_share, random_directions((people, spread.length), rng)),
        )
        self._tracklets = np.zeros_like(self._persons)
        self._poses = np.zeros_like(self._persons)
        self._found_s = np.full(people, -np.inf)
        self._posed_s = np.full(people, -np.inf)

    def draw(self, time: float, people: IntArray, needed: BoolArray) -> EmbeddingArray:
        """What the detections of one frame look like.

        Args:
            time: Seconds; not before that of the last call.
            people: (N,) who each detection is, nobody twice; `NOBODY` for a false alarm, which looks like a
                person of its own.
            needed: (N,) whose picture is taken.

        Returns:
            (N, D) of length 1, zeros where nobody asked.
        """
        spread, rng = self._spread, self._rng
        embeddings = np.zeros((len(people), spread.length), np.float32)
        present = people[people != NOBODY]
        came = present[time - self._found_s[present] > NEW_TRACKLET_S]
        if len(came):
            mean, sd = spread.clarity
            clarity = np.full(len(came), mean)
            if sd > 0:
                weight = mean * (1 - mean) / sd**2 - 1
                clarity = rng.beta(mean * weight, (1 - mean) * weight, len(came))
            self._tracklets[came] = _mix(
                (clarity[:, None] ** 2, self._persons[came]),
                (1 - clarity[:, None] ** 2, random_directions((len(came), spread.length), rng)),
            )
            self._posed_s[came] = -np.inf
        self._found_s[present] = time
        shown = np.flatnonzero(needed & (people != NOBODY))
        if len(shown):
            rows = people[shown]
            kept = np.exp(-2 * (time - self._posed_s[rows, None]) / spread.pose_s)
            self._poses[rows] = _mix(
                (kept, self._poses[rows]), (1 - kept, random_directions((len(rows), spread.length), rng))
            )
            self._posed_s[rows] = time
            embeddings[shown] = _mix(
                (spread.same_tracklet, self._tracklets[rows]), (1 - spread.same_tracklet, self._poses[rows])
            )
        false = np.flatnonzero(needed & (people == NOBODY))
        if len(false):
            alone = random_directions((len(false), spread.length), rng)
            embeddings[false] = _mix((spread.different, self._common), (1 - spread.different, alone))
        return embeddings


def random_directions(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """(N, D) rows of length 1, evenly spread over all directions."""
    return _of_length_1(rng.standard_normal(shape))


def _mix(*parts: tuple[FloatArray | float, FloatArray]) -> FloatArray:
    """Directions put together, each with its share of the squared length; of length 1."""
    return _of_length_1(np.asarray(sum(np.sqrt(share) * direction for share, direction in parts)))


def _of_length_1(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _sd_of_directions(cosine: float, length: int) -> float:
    """Standard deviation of the cosine of two pictures that share so much and are random beyond that.

    To first order in 1 / length: of f = sqrt(c) s + sqrt(1 - c) n and g likewise, with unit vectors s, n, m
    at random, the cosine is c + (1 - c) (sqrt(c (1 - c)) (sn + sm) + nm); each product has variance 1 / D.
    """
    return float((1 - cosine) * np.sqrt((1 + 2 * cosine * (1 - cosine)) / length))
