"""The answer to a search: the first people of the ranking with what the gallery keeps of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import cv2
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from foundation.arrays import EmbeddingArray, Image
from tracker.gallery import Gallery, PersonSummary, PictureKey
from tracker.gallery.export import person_as_dict, pictures_of
from tracker.search.ranking import Suspects


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """One person who may be on the photo.

    Attributes:
        person: Who, when and where.
        probability: That this is the person on the photo.
        cosine: As in `Suspects`.
        nearest: The picture that looks most like the photo; of those with a thumbnail, if there are any.
        thumbnail: (H, W, 3) BGR of it; None where none was kept.
    """

    person: PersonSummary
    probability: float
    cosine: float
    nearest: PictureKey
    thumbnail: Image | None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Who it is.

    Attributes:
        matches: One or more, the most probable first.
        nobody: Probability that it is nobody of the gallery.
        sure: Whoever is at least so probable is named.
    """

    matches: Sequence[Match]
    nobody: float
    sure: float

    @property
    def person(self) -> int | None:
        """The number of the one who is sure enough; None: nobody is."""
        first = self.matches[0]
        return first.person.number if first.probability >= self.sure else None

    def sentence(self) -> str:
        """Who it is, in one line."""
        first = self.matches[0]
        nearest = f"the nearest is person {first.person.number} with {first.probability:.1%}"
        if self.person is not None:
            return f"person {self.person}, {first.probability:.1%} sure"
        if self.nobody >= 0.5:
            return f"nobody: it is none of them with {self.nobody:.1%}; {nearest}"
        return f"nobody reaches {100 * self.sure:g}%: it is one of them with {1 - self.nobody:.1%}; {nearest}"

    def table(self) -> Table:
        """A row for each person and one for nobody; who is not sure enough is marked ``?``."""
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for column in ("rank", "person", "probability", "cosine"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("cameras")
        table.add_column("first seen", no_wrap=True)
        table.add_column("last seen", no_wrap=True)
        for rank, match in enumerate(self.matches, start=1):
            seen, is_sure = match.person.seen, match.probability >= self.sure
            table.add_row(
                str(rank),
                str(match.person.number),
                f"{match.probability:.1%}{'  ' if is_sure else ' ?'}",
                f"{match.cosine:.2f}",
                ", ".join(match.person.presence),
                local_time(seen.first_seen),
                local_time(seen.last_seen),
                style=None if is_sure else "dim",
            )
        table.add_row("", "nobody", f"{self.nobody:.1%}  ")
        return table

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; times are Unix time in seconds, probabilities from 0 to 1."""
        return {
            "person": self.person,
            "sure": self.sure,
            "nobody_probability": self.nobody,
            "people": [
                {
                    **person_as_dict(match.person),
                    "probability": match.probability,
                    "cosine": match.cosine,
                    "nearest": match.nearest._asdict(),
                }
                for match in self.matches
            ],
        }


def find_matches(
    gallery: Gallery,
    people: Mapping[int, PersonSummary],
    suspects: Suspects,
    photo: EmbeddingArray,
    count: int,
) -> list[Match]:
    """The first ``count`` of the suspects; ``photo`` (D,) is what the network made of it."""
    matches = []
    ranked = zip(suspects.numbers, suspects.probabilities, suspects.cosines, strict=True)
    for number, probability, cosine in islice(ranked, count):
        person = people[int(number)]
        keys, embeddings, jpegs = zip(*pictures_of(gallery, person), strict=True)
        cosines = np.array(embeddings, np.float32) @ photo
        nearest = max(range(len(keys)), key=lambda row: (bool(jpegs[row]), cosines[row]))
        thumbnail = _decode(jpegs[nearest])
        matches.append(Match(person, float(probability), float(cosine), keys[nearest], thumbnail))
    return matches


def local_time(unix_s: float) -> str:
    """Date and time of this machine's zone, to the second."""
    return datetime.fromtimestamp(unix_s).isoformat(sep=" ", timespec="seconds")


def _decode(jpeg: bytes) -> Image | None:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    return None if image is None else image.astype(np.uint8, copy=False)
