"""The values that go into a gallery and come out of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import Columns, EmbeddingArray, FloatArray, IntArray
from tracker.types import CameraName

HalfArray = NDArray[np.float16]
"""Embeddings as the gallery keeps them; docs/gallery.md has what half precision costs."""

LATEST = 1e11
"""Unix time in the year 5138; what is later is no time in seconds."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When and how often somebody was seen.

    Attributes:
        first_seen: and last_seen: Unix time in seconds.
        sightings: In how many frames.
    """

    first_seen: float
    last_seen: float
    sightings: int

    def __post_init__(self) -> None:
        # Written so that NaN does not pass.
        if not (0 <= self.first_seen <= self.last_seen <= LATEST and self.sightings >= 1):
            raise ValueError(f"Presence must go from first to last, with 1 sighting or more, got {self}")

    @classmethod
    def joined(cls, parts: Iterable["Presence"]) -> "Presence":
        """All of one or more together."""
        first, last, sightings = zip(
            *((it.first_seen, it.last_seen, it.sightings) for it in parts), strict=True
        )
        return cls(min(first), max(last), sum(sightings))


class PictureKey(NamedTuple):
    """Names one picture: a person is in one place of one camera at one time."""

    number: int
    camera: CameraName
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class Pictures(Columns):
    """K pictures of one person, as the network sees them.

    Attributes:
        cameras: (K,) names of cameras, strings.
        times: (K,) Unix time in seconds; no two pictures have the same camera and time.
        embeddings: (K, D) each row of length 1, to a hundredth.
    """

    cameras: NDArray[np.object_]
    times: FloatArray
    embeddings: EmbeddingArray

    def __post_init__(self) -> None:
        self.check(cameras=(), times=(), embeddings=(None,))
        lengths = np.linalg.norm(self.embeddings, axis=1)
        if not (np.abs(lengths - 1) < 0.01).all():
            raise ValueError(f"Pictures.embeddings must have rows of length 1, got {lengths.tolist()}")
        if not ((self.times >= 0) & (self.times <= LATEST)).all():
            raise ValueError(f"Pictures.times must be Unix times, got {self.times.tolist()}")
        if len(set(self.keys(0))) < len(self):
            raise ValueError("Pictures must not have two of the same camera and time")

    def keys(self, number: int) -> list[PictureKey]:
        """The key of each of the K pictures, if they show the person with this number."""
        times = self.times.tolist()
        return [PictureKey(number, *it) for it in zip(self.cameras.tolist(), times, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """What is remembered under one number.

    Attributes:
        number: From 1, given by `GalleryWriter.reserve`, never used again.
        presence: When each camera saw the person; one camera or more.
        pictures: One or more.
    """

    number: int
    presence: Mapping[CameraName, Presence]
    pictures: Pictures

    def __post_init__(self) -> None:
        if not self.presence or not len(self.pictures):
            raise ValueError(f"Person {self.number} must have been seen by a camera and have a picture")


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """A person over all numbers that were merged, without the pictures themselves.

    Attributes:
        number: The one that stands for all.
        also: Those that were merged into it, rising.
        presence: When each camera saw the person.
        pictures: How many there are, thumbnails: how many of them can be looked at.
    """

    number: int
    also: tuple[int, ...]
    presence: Mapping[CameraName, Presence]
    pictures: int
    thumbnails: int

    @property
    def seen(self) -> Presence:
        """Over all cameras."""
        return Presence.joined(self.presence.values())


@dataclass(frozen=True, slots=True)
class Merge:
    """Two numbers that turned out to be one person.

    Attributes:
        kept: The number that stands for both, merged: the one that is no longer shown.
        time: When it was decided, Unix time in seconds.
    """

    kept: int
    merged: int
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class Appearances(Columns):
    """The R pictures of many people, what `GalleryIndex.put` takes.

    Attributes:
        numbers: (R,) who it is: the number that stands for all that were merged.
        cameras: (R,) names of cameras, strings.
        embeddings: (R, D) half precision, each row of length 1.
    """

    numbers: IntArray
    cameras: NDArray[np.object_]
    embeddings: HalfArray

    def __post_init__(self) -> None:
        self.check(numbers=(), cameras=(), embeddings=(None,))
