"""From what the tracker sees and finds out to what happened at the site: each event once for a person."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from tracker.events.visits import LEFT_S, TrackInView, TrackKey, TracksInView, Visit, people_here
from tracker.stages import CameraReport
from tracker.types import CameraName, IdentityEvent, Sightings, Tick

MOVED_S = 10.0
"""A camera that has not seen a person for longer sees them come in again."""

UNDECIDED_S = 10.0
"""A track that goes on for longer and is still undecided is told."""

OVERLOAD_S, OVERLOAD_SHARE = 10.0, 0.1
"""A camera is overloaded where more than this share of its frames was dropped or skipped over this time."""

Event = dict[str, Any]
"""As docs/events.md says, ready for JSON."""


class Place(NamedTuple):
    """Where a person stands now.

    Attributes:
        person: 0 where it is undecided.
        x, y: The middle of the lower edge of the box, as shares of width and height.
    """

    track: TrackInView
    person: int
    x: float
    y: float


class Places(Protocol):
    """Zones and lines of a site: `tracker.analytics`."""

    def see(self, places: Sequence[Place], now_s: float) -> list[Event]:
        """What came of it, without `seq`; called for each tick."""

    def name(self, track: TrackInView, person: int) -> list[Event]:
        """It is known who a track is, which may not be in view any more; what came of it."""

    def rename(self, gone: int, kept: int) -> None:
        """Two people are one."""


class Knowledge(Protocol):
    """What is known of a track beside who it is: `tracker.live.knowledge`."""

    def ground(self, track: TrackKey) -> list[float] | None:
        """Where it stands now, metres; None where that is not known."""

    def alternatives(self, track: TrackKey, person: int) -> list[dict[str, Any]]:
        """Who it could be but this person, with ``probability``, the likeliest first."""


class EventMaker:
    """Makes the events of one site from ticks in their order; not safe to be called by two threads at once.

    Args:
        first_seq: The number of the first event.
        max_false_merge_rate: What the site is set to.
        watched: The people on the watchlist now.
        places: Zones and lines; None: there are none.
        knowledge: What else events say of tracks; None: nothing.

    Attributes:
        false_merge_rate: What the site is set to by now.
    """

    def __init__(
        self,
        first_seq: int,
        max_false_merge_rate: float,
        watched: Callable[[], frozenset[int]] = frozenset,
        places: Places | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self._knowledge = knowledge
        self.tracks, self.visits = TracksInView(), dict[int, Visit]()
        self._seq, self.false_merge_rate = first_seq, max_false_merge_rate
        self._watched, self._places = watched, places
        self._seen_on_watch: set[str] = set()
        self._cameras: dict[CameraName, _CameraHealth] = {}
        self._made: list[Event] = []

    def observe(
        self, tick: Tick, sightings: Mapping[str, Sightings], found_out: Sequence[IdentityEvent]
    ) -> list[Event]:
        """What a tick brought."""
        seen = [it for frame in tick.frames for it in self.tracks.see(frame, sightings[frame.camera])]
        for event in found_out:
            self._find_out(event)
            if self._places and event.identity:
                for made in self._places.name(self.tracks.find(event), event.identity):
                    self._add(made | self._ground_of((made["camera"], made["track"])))
        for it in seen:
            if it.identity:
                self._follow(it)
        for it in seen:
            if not it.identity and not it.told and it.last_s - it.begin_s > UNDECIDED_S:
                it.told = self._tell("person.undecided", it.last_s, it, state="undecided")
        if self._places:
            feet = [Place(it, it.identity, (it.box[0] + it.box[2]) / 2, it.box[3]) for it in seen]
            for made in self._places.see(feet, tick.time):
                standing = (made["camera"], made["track"]) if "track" in made else None
                self._add(made | self._ground_of(standing))
        self._watch()
        return self._take()

    def pass_time(self, now_s: float, reports: Mapping[CameraName, CameraReport]) -> list[Event]:
        """What came of time passing: who has left, and which cameras give pictures.

        Args:
            now_s: Unix time.
            reports: Of all cameras.
        """
        self.tracks.forget_ended(now_s)
        for person, visit in list(self.visits.items()):
            if now_s - visit.last_s > LEFT_S:
                del self.visits[person]
                self._seen_on_watch.discard(visit.name)
                self._add(
                    {
                        "type": "person.left",
                        "time": visit.last_s,
                        "person": person,
                        "state": visit.state,
                        "camera": visit.camera,
                        "dwell_s": round(visit.last_s - visit.begin_s, 1),
                        "visit": visit.name,
                    }
                )
        for camera, report in reports.items():
            health = self._cameras.setdefault(camera, _CameraHealth())
            for kind in health.look(now_s, report):
                extra = {"problem": report.problem} if report.problem else {}
                self._add({"type": f"camera.{kind}", "time": now_s, "camera": camera, **extra})
        return self._take()

    def people_here(self) -> list[dict[str, object]]:
        """Who is in view now, as the wall tells it."""
        return people_here(self.tracks, self.visits)

    def _find_out(self, event: IdentityEvent) -> None:
        track = self.tracks.find(event)
        match event.kind:
            case "new":
                visit = self._open(track, event.identity, event.time, is_new=True)
                visit.told = self._tell("person.new", event.time, track, visit)
            case "returned":
                if event.identity not in self.visits:
                    visit = self._open(track, event.identity, event.time, is_new=False)
                    visit.told = self._tell("person.returned", event.time, track, visit)
                else:
                    track.identity = event.identity  # it may have been undecided when it was last seen
                    self._follow(track)
            case "merged":
                self._merge(track, event)
            case "split":
                retracts, track.identity = track.told, event.identity
                visit_of_it = None
                if event.identity:
                    visit_of_it = self.visits.get(event.identity) or self._open(
                        track, event.identity, event.time, is_new=True
                    )
                track.told = retracts
                told = self._tell("person.split", event.time, track, visit_of_it, previous=[event.other])
                if visit_of_it and not visit_of_it.told:
                    visit_of_it.told = told

    def _open(self, track: TrackInView, person: int, time_s: float, *, is_new: bool) -> Visit:
        camera = track.key[0]
        begin_s = min(track.begin_s, time_s)
        visit = Visit(person, begin_s, track.last_s, is_new, camera, begin_s, cameras={camera: track.last_s})
        self.visits[person] = visit
        track.identity = person
        return visit

    def _merge(self, track: TrackInView, event: IdentityEvent) -> None:
        gone = self.visits.pop(event.other, None)
        self.tracks.rename(event.other, event.identity)
        if self._places:
            self._places.rename(event.other, event.identity)
        kept = self.visits.get(event.identity)
        retracts = gone.told if gone else 0
        if gone and kept:
            kept.begin_s, kept.last_s = min(kept.begin_s, gone.begin_s), max(kept.last_s, gone.last_s)
            kept.cameras = {**kept.cameras, **gone.cameras}
            if gone.since_s > kept.since_s:
                kept.camera, kept.since_s = gone.camera, gone.since_s
        elif gone:
            gone.person, gone.is_new = event.identity, False
            self.visits[event.identity] = kept = gone
        elif kept is None:
            kept = self._open(track, event.identity, event.time, is_new=False)
        track.told = retracts
        kept.told = self._tell("person.merged", event.time, track, kept, previous=[event.other])

    def _follow(self, track: TrackInView) -> None:
        """A person is in view."""
        visit, camera = self.visits.get(track.identity), track.key[0]
        if visit is None:  # they had left, and the track goes on: behind a pillar for a minute
            visit = self._open(track, track.identity, track.last_s, is_new=False)
            visit.told = self._tell("person.returned", track.last_s, track, visit)
        before_s = visit.cameras.get(camera)
        visit.cameras[camera] = visit.last_s = track.last_s
        if before_s is None or track.last_s - before_s > MOVED_S:
            visit.camera, visit.since_s = camera, track.last_s
            self._tell("person.moved", track.last_s, track, visit)
        elif track.last_s - visit.cameras[visit.camera] > MOVED_S:  # back in one that overlaps
            visit.camera, visit.since_s = camera, track.last_s

    def _watch(self) -> None:
        watched = self._watched()
        for person in watched & self.visits.keys():
            visit = self.visits[person]
            if visit.name not in self._seen_on_watch:
                self._seen_on_watch.add(visit.name)
                tracks = self.tracks.of_person(person)
                if tracks:
                    self._tell("watchlist.seen", tracks[-1].last_s, tracks[-1], visit, keeps_told=True)

    def _tell(
        self,
        kind: str,
        time_s: float,
        track: TrackInView,
        visit: Visit | None = None,
        *,
        state: str = "",
        previous: Sequence[int] = (),
        keeps_told: bool = False,
    ) -> int:
        """An event about a person in a track; its number. What the track was said to be is taken back."""
        takes_back = bool(track.told) and kind not in ("person.moved", "watchlist.seen")
        event: Event = {
            "type": kind,
            "time": time_s,
            "person": visit.person if visit else None,
            "previous": list(previous),
            "state": state or (visit.state if visit else "undecided"),
            "camera": track.key[0],
            "track": track.key[1],
            "frame": track.frame,
            "box": list(track.box),
        }
        if visit:
            event["visit"] = visit.name
        if takes_back:
            event["retracts"] = track.told
        if event["state"] == "known":
            event["confidence"] = round(1 - self.false_merge_rate, 4)
        event |= self._ground_of(track.key)
        if self._knowledge and (others := self._knowledge.alternatives(track.key, event["person"] or 0)):
            event["alternatives"] = others
        seq = self._add(event)
        if not keeps_told and kind != "person.moved":
            track.told = seq
        return seq

    def _ground_of(self, track: TrackKey | None) -> Event:
        ground = self._knowledge.ground(track) if self._knowledge and track else None
        return {"ground": ground} if ground else {}

    def _add(self, event: Event) -> int:
        seq = self._seq
        self._seq += 1
        at = datetime.fromtimestamp(event["time"], UTC).isoformat(timespec="milliseconds")
        self._made.append(
            {
                "v": 1,
                "seq": seq,
                **event,
                "time": at,
                "false_merge_rate": self.false_merge_rate,
            }
        )
        return seq

    def _take(self) -> list[Event]:
        made, self._made = self._made, []
        return made


class _CameraHealth:
    """What was told of a camera, and its frames of the last `OVERLOAD_S`."""

    def __init__(self) -> None:
        self.is_online = self.is_overloaded = False
        self._was_told = False
        self._counts: list[tuple[float, int, int]] = []

    def look(self, now_s: float, report: CameraReport) -> list[str]:
        """What is new: ``online``, ``offline`` or ``overloaded``."""
        self._counts.append((now_s, report.read, report.dropped + report.skipped))
        while self._counts[0][0] < now_s - OVERLOAD_S:
            self._counts.pop(0)
        kinds = []
        is_online = report.read > 0 and not report.problem
        if is_online != self.is_online or (report.problem and not self._was_told):
            self.is_online, self._was_told = is_online, True
            kinds.append("online" if is_online else "offline")
        read, dropped = (self._counts[-1][it] - self._counts[0][it] for it in (1, 2))
        is_long = now_s - self._counts[0][0] > 0.8 * OVERLOAD_S
        is_overloaded = is_long and dropped > OVERLOAD_SHARE * max(read, 1)
        if is_overloaded and not self.is_overloaded:
            kinds.append("overloaded")
        self.is_overloaded = is_overloaded
        return kinds
