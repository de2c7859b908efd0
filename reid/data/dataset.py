"""A data set: whom to learn from, whom to find again, and what to know before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reid.data.known import NOTHING, Known
from reid.data.pictures import ImageStore, Record
from reid.retrieval import DISTRACTOR, UNKNOWN_CAMERA


@dataclass(frozen=True, slots=True)
class Dataset:
    """Whom to learn from and whom to find again.

    Attributes:
        name: What it is called in tables; its kind, if nobody said otherwise.
        train: Pictures to learn from; each shows somebody (person >= 1).
        query, gallery: Who is to be found, and where.
        images: Where the pictures lie.
        unlabelled: Pictures of people without identities, which only a teacher can say something of.
        known: What is known of pictures beside who is on them.
    """

    name: str
    train: tuple[Record, ...]
    query: tuple[Record, ...]
    gallery: tuple[Record, ...]
    images: ImageStore
    unlabelled: tuple[Record, ...] = ()
    known: Known = NOTHING

    def remarks(self) -> list[str]:
        """What a user should know before training, one sentence each."""
        remarks = []
        lonely = _seen_by_one_camera(self.train)
        if self.train and all(record.camera == UNKNOWN_CAMERA for record in self.train):
            remarks.append(
                f"{self.name}: no camera numbers to train with; pictures of a person may be nearly equal, so "
                "less is learnt of how a person looks elsewhere"
            )
        elif lonely:
            remarks.append(
                f"{self.name}: {lonely} of {count_people(self.train)} people to train on are seen by one "
                "camera only; they are kept, but teach nothing across cameras"
            )
        return remarks + self.judging_remarks()

    def judging_remarks(self) -> list[str]:
        """What a user should know before judging, one sentence each."""
        remarks = []
        if self.query and any(record.camera == UNKNOWN_CAMERA for record in self.query):
            remarks.append(
                f"{self.name}: no camera numbers to judge with; pictures of the same camera count as right, "
                "so figures are higher than by the cross-camera protocol"
            )
        elif alone := _seen_by_one_camera((*self.query, *self.gallery)):
            remarks.append(
                f"{self.name}: {alone} of the people to be found are seen by one camera only; their queries "
                "have no right answer and are left out"
            )
        return remarks


def count_people(records: Iterable[Record]) -> int:
    """How many different people there are, junk and distractors not counted."""
    return len({record.person for record in records if record.person > DISTRACTOR})


def _seen_by_one_camera(records: Sequence[Record]) -> int:
    cameras: dict[int, set[int]] = {}
    for record in records:
        if record.person > DISTRACTOR and record.camera != UNKNOWN_CAMERA:
            cameras.setdefault(record.person, set()).add(record.camera)
    return sum(len(seen) == 1 for seen in cameras.values())
