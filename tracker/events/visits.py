"""Who is at a site now: tracks in view, and the visits of people over all cameras."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from foundation.arrays import FloatArray
from tracker.types import CameraName, Frame, IdentityEvent, Sightings

GONE_S = 2.0
"""A track that is not seen for longer has ended."""

LEFT_S = 60.0
"""A person whom no camera sees for longer has left."""

TrackKey = tuple[CameraName, int]
"""Camera, and number of the track there."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as shares of width and height."""


@dataclass(slots=True)
class TrackInView:
    """A track that goes on.

    Attributes:
        begin_s, last_s: When it was first and last seen, Unix time.
        identity: Who it is; 0: undecided.
        frame, box, score: As it was last seen.
        told: The number of the event that last said who it is; 0 where none did.
    """

    key: TrackKey
    begin_s: float
    last_s: float
    identity: int = 0
    frame: int = 0
    box: Box = (0.0, 0.0, 0.0, 0.0)
    told: int = 0


@dataclass(slots=True)
class Visit:
    """One stay of a person at the site, over all cameras.

    Attributes:
        name: Of the visit; no other has it.
        is_new: Whether nobody had seen the person before.
        camera: The one that the person came into last.
        cameras: When each saw them last.
        since_s: Since when they are in ``camera``.
        told: The number of the event that opened it.
    """

    person: int
    begin_s: float
    last_s: float
    is_new: bool
    camera: CameraName
    since_s: float
    told: int = 0
    cameras: dict[CameraName, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.person}-{int(self.begin_s)}"

    @property
    def state(self) -> str:
        """As events say it."""
        return "new" if self.is_new else "known"


class TracksInView:
    """The tracks of all cameras that go on."""

    def __init__(self) -> None:
        self._tracks: dict[TrackKey, TrackInView] = {}

    def __iter__(self) -> Iterator[TrackInView]:
        return iter(self._tracks.values())

    def see(self, frame: Frame, sightings: Sightings) -> list[TrackInView]:
        """The people of one frame."""
        seen, boxes = [], box_shares(sightings.boxes, frame.size)
        rows = zip(sightings.track_ids.tolist(), sightings.identity_ids.tolist(), boxes, strict=True)
        for track, identity, box in rows:
            key = (frame.camera, track)
            it = self._tracks.setdefault(key, TrackInView(key, frame.time, frame.time))
            it.last_s, it.identity, it.frame, it.box = frame.time, identity, frame.number, box
            seen.append(it)
        return seen

    def find(self, event: IdentityEvent) -> TrackInView:
        """The track that an event is about; one that is not in view any more is made up from the event."""
        key = (event.camera, event.track_id)
        return self._tracks.get(key) or TrackInView(key, event.time, event.time, event.identity)

    def rename(self, gone: int, kept: int) -> None:
        """Two people are one."""
        for it in self:
            if it.identity == gone:
                it.identity = kept

    def of_person(self, identity: int) -> list[TrackInView]:
        """Those of one person."""
        return [it for it in self if it.identity == identity]

    def forget_ended(self, now_s: float) -> list[TrackInView]:
        """Let go of tracks that ended; those."""
        ended = [it for it in self if now_s - it.last_s > GONE_S]
        for it in ended:
            del self._tracks[it.key]
        return ended


def box_shares(boxes: FloatArray, size: tuple[int, int]) -> list[Box]:
    """Boxes (M, 4) in pixels as shares of width and height, cut at the edges of the picture."""
    width, height = size
    shares = (boxes / (width, height, width, height)).clip(0.0, 1.0).round(4)
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in shares.tolist()]


def people_here(tracks: TracksInView, visits: Mapping[int, Visit]) -> list[dict[str, object]]:
    """Who is in view now, people first, as the wall tells it; cameras by name."""
    keys: dict[int, list[dict[str, object]]] = {}
    undecided: list[dict[str, object]] = []
    for it in tracks:
        camera, track = it.key
        if it.identity:
            keys.setdefault(it.identity, []).append({"camera": camera, "track": track})
        else:
            undecided.append(
                {
                    "person": None,
                    "state": "undecided",
                    "camera": camera,
                    "since": it.begin_s,
                    "tracks": [{"camera": camera, "track": track}],
                }
            )
    people: list[dict[str, object]] = []
    for person, seen in sorted(keys.items()):
        visit = visits.get(person)
        if visit:
            people.append(
                {
                    "person": person,
                    "state": visit.state,
                    "camera": visit.camera,
                    "since": visit.since_s,
                    "tracks": seen,
                }
            )
    return people + undecided
