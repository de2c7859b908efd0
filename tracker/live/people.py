"""What is known of people at a site: visits from the log, names from the site, pictures from the gallery."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from foundation.errors import ReuniteError
from tracker.events.store import EventStore, Stay
from tracker.events.visits import LEFT_S
from tracker.gallery import Gallery, PictureKey
from tracker.live.labels import Labels, iso, thumb_of
from tracker.live.rights import Viewer
from tracker.live.site import Site

TOGETHER_S = 1.0
"""Two people who were in one camera at once for less did not meet."""

GALLERY_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Visit:
    """Stays with no longer gap than `LEFT_S` between them, in order."""

    stays: Sequence[Stay]

    @property
    def begin_s(self) -> float:
        return self.stays[0].begin_s

    @property
    def end_s(self) -> float:
        return max(stay.end_s for stay in self.stays)


def visits_of(stays: Sequence[Stay]) -> list[Visit]:
    """The visits of one person, whose stays are in the order of their begin."""
    groups: list[list[Stay]] = []
    end_s = 0.0
    for stay in stays:
        if groups and stay.begin_s - end_s <= LEFT_S:
            groups[-1].append(stay)
            end_s = max(end_s, stay.end_s)
        else:
            groups.append([stay])
            end_s = stay.end_s
    return [Visit(group) for group in groups]


class People:
    """Answers about people, as far as a viewer may see them; any thread may ask."""

    def __init__(self, site: Site, store: EventStore, labels: Labels) -> None:
        self._site, self._store, self._labels = site, store, labels

    @property
    def labels(self) -> Labels:
        """What cameras and people are called."""
        return self._labels

    def seen(self, viewer: Viewer) -> list[tuple[int, float, float]]:
        """Everybody whom a viewer may see, with first and last sighting."""
        return self._store.people(*self._where(viewer))

    def hidden(self) -> frozenset[int]:
        """Those who are to be forgotten soon: nobody is shown them any more."""
        return self._labels.hidden()

    def known(
        self, viewer: Viewer, search: str = "", before: tuple[float, int] | None = None, limit: int = 50
    ) -> tuple[list[dict[str, Any]], tuple[float, int] | None]:
        """Everybody, who was seen last first; and where to go on.

        Args:
            viewer: Who asks.
            search: The start of a name, or of a number.
            before: Where the last answer ended.
            limit: At most so many.
        """
        named = {
            person
            for person, name in self._labels.names().items()
            if search and name.casefold().startswith(search.casefold())
        }
        hidden, found = self.hidden(), []
        for person, first_s, last_s in self.seen(viewer):
            key = (last_s, person)
            if person in hidden or (before and key >= before):
                continue
            if search and not (str(person).startswith(search) or person in named):
                continue
            found.append((key, first_s))
            if len(found) > limit:
                break
        people = []
        for (last_s, person), first_s in found[:limit]:
            stays = self.stays(person, viewer)
            people.append(
                {
                    "person": person,
                    **self._labels.person(person),
                    "first_seen": iso(first_s),
                    "last_seen": iso(last_s),
                    "cameras": self._cameras_of(stays),
                    "visits": len(visits_of(stays)),
                    "thumb": thumb_of(person),
                }
            )
        return people, found[limit - 1][0] if len(found) > limit else None

    def page(self, person: int, viewer: Viewer) -> dict[str, Any] | None:
        """All that is known of a person; None where this viewer knows nobody by that number."""
        stays = self.stays(person, viewer)
        if not stays or person in self.hidden():
            return None
        visits = visits_of(stays)
        watched = self._site.row("SELECT 1 FROM watch WHERE person = ?", (person,))
        also, pictures = self._remembered(person)
        return {
            "person": person,
            **self._labels.person(person),
            "first_seen": iso(stays[0].begin_s),
            "last_seen": iso(visits[-1].end_s),
            "cameras": self._cameras_of(stays),
            "thumb": thumb_of(person),
            "also": also,
            "visits": [self._visit(visit) for visit in reversed(visits)],
            "co_visits": self._met(person, stays, viewer),
            "pictures": [
                {
                    "camera": self._labels.camera_key(key.camera),
                    "time": iso(key.time),
                    "thumb": f"/api/v1/people/{person}/picture?camera={self._labels.camera_key(key.camera)}"
                    f"&time={key.time:.3f}",
                }
                for key in pictures
                if viewer.sees(self._labels.camera_id(key.camera) or 0)
            ],
            "next": self.next(stays[-1].camera),
            "is_watched": watched is not None,
        }

    def stays(self, person: int, viewer: Viewer) -> list[Stay]:
        """When and where a person was."""
        where, values = self._where(viewer)
        return self._store.stays(f"person = ? AND {where}", (person, *values))

    def route(self, person: int, viewer: Viewer, begin_s: float, end_s: float) -> list[dict[str, Any]]:
        """Where a person stood on the ground, as far as this viewer may see it."""
        return [
            {"camera": self._labels.camera_key(it.camera), "time": iso(it.time_s), "ground": [it.x, it.y]}
            for it in self._store.route(person, begin_s, end_s)
            if viewer.sees(self._labels.camera_id(it.camera) or 0)
        ]

    def next(self, camera: str) -> list[dict[str, Any]]:
        """Where people went who left a camera, and how long it took: from all that is in the log."""
        ways = self._store.transitions(camera)
        total = sum(count for _, count, _ in ways)
        return [
            {
                "camera": self._labels.camera_key(to),
                "probability": round(count / total, 3),
                "after_s": round(after_s, 1),
            }
            for to, count, after_s in ways[:5]
        ]

    def thumbnail(
        self, person: int, viewer: Viewer, camera: str = "", time_s: float | None = None
    ) -> bytes | None:
        """The JPEG of a person: the newest that may be seen, or the nearest to a camera and time."""
        if person in self.hidden():
            return None
        with self.gallery() as gallery:
            if gallery is None:
                return None
            pictures: dict[PictureKey, bytes] = {}
            for number in self._numbers(gallery, person):
                pictures |= gallery.thumbnails(number)
        seen = {
            key: jpeg
            for key, jpeg in pictures.items()
            if viewer.sees(self._labels.camera_id(key.camera) or 0) and camera in ("", key.camera)
        }
        if not seen:
            return None
        at = time_s if time_s is not None else float("inf")
        return seen[min(seen, key=lambda key: abs(key.time - at) if time_s is not None else -key.time)]

    @contextmanager
    def gallery(self) -> Iterator[Gallery | None]:
        """The gallery of the site; None where no run has made one yet."""
        try:
            gallery = Gallery(self._site.gallery, wait_s=GALLERY_WAIT_S)
        except ReuniteError:
            yield None
            return
        with gallery:
            yield gallery

    def _remembered(self, person: int) -> tuple[Sequence[int], Sequence[PictureKey]]:
        """The numbers that were merged into a person, and the pictures of all of them."""
        # The gallery knows of somebody a while later than whoever merged two people here.
        merged = self._site.rows(
            "SELECT other FROM correction WHERE kind = 'merge' AND person = ? AND undone IS NULL", (person,)
        )
        numbers, pictures = [row["other"] for row in merged], list[PictureKey]()
        with self.gallery() as gallery:
            if gallery is not None:
                numbers += self._numbers(gallery, person)
                pictures = [key for number in {*numbers} for key in gallery.thumbnails(number)]
        return sorted({*numbers} - {person}), sorted(pictures, key=lambda key: -key.time)

    def _numbers(self, gallery: Gallery, person: int) -> list[int]:
        survivors = gallery.survivors()
        kept = survivors.get(person, person)
        return [kept, *(number for number, it in survivors.items() if it == kept)]

    def _visit(self, visit: Visit) -> dict[str, Any]:
        return {
            "begin": iso(visit.begin_s),
            "end": iso(visit.end_s),
            "stays": [
                {
                    "camera": self._labels.camera_key(stay.camera),
                    "begin": iso(stay.begin_s),
                    "end": iso(stay.end_s),
                    "track": stay.track,
                    "run": stay.run,
                }
                for stay in visit.stays
            ],
        }

    def _met(self, person: int, stays: Sequence[Stay], viewer: Viewer) -> list[dict[str, Any]]:
        """Who was in the same camera at the same time, longest first."""
        where, values = self._where(viewer)
        together: dict[int, float] = {}
        for stay in stays[-200:]:
            others = self._store.stays(
                f"person != ? AND camera = ? AND begin < ? AND end > ? AND {where}",
                (person, stay.camera, stay.end_s, stay.begin_s, *values),
            )
            for other in others:
                shared_s = min(stay.end_s, other.end_s) - max(stay.begin_s, other.begin_s)
                together[other.person or 0] = together.get(other.person or 0, 0.0) + shared_s
        hidden = self.hidden()
        met = sorted(together.items(), key=lambda it: -it[1])
        return [
            {"person": other, **self._labels.person(other), "together_s": round(shared_s, 1)}
            for other, shared_s in met
            if other and other not in hidden and shared_s >= TOGETHER_S
        ][:20]

    def _cameras_of(self, stays: Sequence[Stay]) -> list[str]:
        keys = (self._labels.camera_key(camera) for camera in dict.fromkeys(it.camera for it in stays))
        return [key for key in keys if key]

    def _where(self, viewer: Viewer) -> tuple[str, tuple[Any, ...]]:
        """A condition on stays: of cameras that this viewer may see."""
        if viewer.cameras is None:
            return "1", ()
        names = [self._labels.camera_name(it) for it in sorted(viewer.cameras)]
        known = tuple(name for name in names if name)
        return f"camera IN ({', '.join('?' * len(known))})", known
