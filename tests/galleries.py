"""Drawn people for the tests of the gallery, and a program that fills one until it is killed."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from foundation.arrays import EmbeddingArray
from tracker.gallery import GalleryWriter, Network, Person, PersonSummary, PictureKey, Pictures, Presence
from tracker.types import CameraName

DIMENSION = 16
NETWORK = Network("drawn", "c0ffee", DIMENSION)
CAMERAS = tuple(map(CameraName, ("door", "hall/2", "[bold]yard")))
MONDAY = 1_767_600_000.0


def unit_rows(random: np.random.Generator, count: int, dimension: int = DIMENSION) -> EmbeddingArray:
    rows = random.normal(size=(count, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def drawn_person(number: int, seed: int = 0, pictures: int = 3, last_seen: float = MONDAY) -> Person:
    """A person who is drawn again alike from the same arguments; embeddings are half floats already."""
    random = np.random.default_rng((number, seed))
    cameras = random.choice(np.array(CAMERAS, np.object_), pictures)
    times = np.linspace(last_seen - random.random(), last_seen, pictures)
    presence = {
        camera: Presence(last_seen - 100, last_seen, int(random.integers(1, 1000)))
        for camera in sorted(set(cameras))
    }
    embeddings = unit_rows(random, pictures).astype(np.float16).astype(np.float32)
    return Person(number, presence, Pictures(cameras, times, embeddings))


def drawn_thumbnails(person: Person) -> dict[PictureKey, bytes]:
    """As long as one page of the file, a part of one, and several."""
    random = np.random.default_rng(person.number)
    lengths = (700, 4096, 9000)
    return {
        key: random.bytes(lengths[place % 3]) for place, key in enumerate(person.pictures.keys(person.number))
    }


def content(person: Person) -> tuple[int, Mapping[CameraName, Presence], dict[PictureKey, bytes]]:
    """Everything that is to be kept, in a form that can be compared."""
    rows = (row.tobytes() for row in person.pictures.embeddings.astype(np.float16))
    return person.number, person.presence, dict(zip(person.pictures.keys(person.number), rows, strict=True))


def numbers_of(people: list[PersonSummary]) -> list[tuple[int, ...]]:
    """Of each person, all numbers, the one that stands for them first."""
    return [(person.number, *person.also) for person in people]


def bytes_beside(path: Path) -> bytes:
    """All that lies in the gallery's folder: the file, and journals if there are any."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()) if file.is_file())


def traces(person: Person, thumbnails: Mapping[PictureKey, bytes], raw: bytes) -> list[bytes]:
    """Pieces of 16 bytes, every fourth, of a person's pictures that are still somewhere in ``raw``."""
    wholes = [row.astype(np.float16).tobytes() for row in person.pictures.embeddings]
    wholes += list(thumbnails.values())
    pieces = [whole[at : at + 16] for whole in wholes for at in range(0, len(whole) - 15, 64)]
    return [piece for piece in pieces if piece in raw]


def fill_until_killed(path: Path, seed: int) -> None:
    """Save, merge and forget without end; say ``do WHAT`` before each change and ``did WHAT`` after it."""
    random = np.random.default_rng(seed)
    with GalleryWriter(path, NETWORK) as gallery:
        while True:
            present = numbers_of(gallery.people())
            choice = random.random()
            if choice < 0.7 or len(present) < 4:
                (number,) = gallery.reserve(1)
                what, person = f"save {number}", drawn_person(number)
                print("do", what, flush=True)
                gallery.save([person], drawn_thumbnails(person))
            elif choice < 0.85:
                kept, merged = (present[row][0] for row in random.choice(len(present), 2, replace=False))
                what = f"merge {kept} {merged}"
                print("do", what, flush=True)
                gallery.merge(kept, merged)
            else:
                group = present[random.integers(len(present))]
                what = f"forget {' '.join(map(str, group))}"
                print("do", what, flush=True)
                gallery.forget(group[0])
            print("did", what, flush=True)


if __name__ == "__main__":
    fill_until_killed(Path(sys.argv[1]), int(sys.argv[2]))
