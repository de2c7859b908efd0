"""Zones and lines: who comes in, who leaves, who crosses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foundation.arrays import FloatArray
from tracker.events.maker import Event, Place
from tracker.events.visits import TrackInView, TrackKey

SETTLE_S = 0.5
"""Who is inside for less has not come in: feet are not known to the pixel."""

LEAVE_S = 3.0
"""Who was not seen inside for longer, and may have walked out, has left."""

HIDDEN_S = 10.0
"""Who was last seen inside, away from the edges of the picture, and nowhere else in it since, is hidden by
somebody or a pillar, for at most this long."""

EDGE = 0.01
"""A box this near to an edge of the picture, as a share of it, is of somebody who may be leaving the view."""

CLEAR = 0.01
"""A crossing counts when the feet are this far beyond the line, as a share of the picture."""

KNOWN_LATER_S = 15.0
"""Who a new track is may be known so much later than the old one was lost; see `ZoneWatch`."""

LOST_S = 3.0
"""A track that is not seen for longer crosses nothing any more, and what waits for its name is dropped."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon, a line or a mask in the picture of one camera.

    Attributes:
        id: Of the site.
        camera: Its name.
        kind: ``zone``, ``line`` or ``ignore``.
        points: (N, 2) shares of width and height: three or more of a polygon, two of a line.
    """

    id: int
    camera: str
    kind: str
    name: str
    points: tuple[tuple[float, float], ...]

    def holds(self, x: float, y: float) -> bool:
        """Whether a place is inside the polygon: an edge to its right is crossed an odd number of times."""
        inside = False
        x1, y1 = self.points[-1]
        for x2, y2 in self.points:
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                inside = not inside
            x1, y1 = x2, y2
        return inside


@dataclass(slots=True)
class _Inside:
    """Somebody in a zone: since when, until when, whether it was told, and whether they may have left."""

    begin_s: float
    last_s: float
    place: Place
    is_told: bool = False
    is_out: bool = False

    def is_over(self, now_s: float) -> bool:
        """Whether they have left."""
        x1, y1, x2, y2 = self.place.track.box
        may_leave = self.is_out or min(x1, y1, 1 - x2, 1 - y2) < EDGE
        return now_s - self.last_s > (LEAVE_S if may_leave else HIDDEN_S)


@dataclass(slots=True)
class _Waiting:
    """A crossing of somebody who is not decided yet."""

    zone: Zone
    direction: str
    time_s: float


Side = tuple[float, float, float, float]
"""How far to the right of a line somebody stands, where, and when: x, y as shares, Unix time."""


@dataclass(slots=True)
class _Feet:
    """A track before lines: where it first and last was clearly on one side of each."""

    begin_s: float
    last_s: float
    person: int = 0
    firsts: dict[int, Side] = field(default_factory=dict)
    sides: dict[int, Side] = field(default_factory=dict)
    waiting: list[_Waiting] = field(default_factory=list)


class ZoneWatch:
    """Follows everybody through the zones of all cameras; see `Places`.

    People are counted, not tracks: whoever is in a zone by two tracks is there once, and who is undecided
    is told when it is known who they are, with the time when it happened, or not at all. Somebody whose track
    breaks at a line, behind a pillar, and who is recognised within `LOST_S` beyond it has crossed it.
    """

    def __init__(self, zones: Iterable[Zone] = ()) -> None:
        self._inside: dict[tuple[int, int], _Inside] = {}
        self._undecided: dict[tuple[int, TrackKey], _Inside] = {}
        self._feet: dict[TrackKey, _Feet] = {}
        self._of_person: dict[tuple[str, int], _Feet] = {}  # by camera, of the last track of each
        self._counts: dict[int, int] = {}
        self._zones: dict[str, list[Zone]] = {}
        self.watch(zones)

    def watch(self, zones: Iterable[Zone]) -> None:
        """These are the zones from now on; of those that stay in their camera, who is inside stays."""
        self._zones = {}
        cameras: dict[int, str] = {}
        for zone in zones:
            self._zones.setdefault(zone.camera, []).append(zone)
            if zone.kind == "zone":
                cameras[zone.id] = zone.camera
        self._inside = {
            key: it for key, it in self._inside.items() if cameras.get(key[0]) == it.place.track.key[0]
        }
        self._undecided = {key: it for key, it in self._undecided.items() if cameras.get(key[0]) == key[1][0]}
        self._counts = {zone: count for zone, count in self._counts.items() if zone in cameras}

    def has_masks(self, camera: str) -> bool:
        """Whether a camera has any mask."""
        return any(zone.kind == "ignore" for zone in self._zones.get(camera, ()))

    def ignores(self, camera: str, x: float, y: float) -> bool:
        """Whether a mask covers this place."""
        return any(zone.kind == "ignore" and zone.holds(x, y) for zone in self._zones.get(camera, ()))

    def see(self, places: Sequence[Place], now_s: float) -> list[Event]:
        """What came of where everybody stands."""
        made: list[Event] = []
        for place in places:
            for zone in self._zones.get(place.track.key[0], ()):
                if zone.kind == "zone" and zone.holds(place.x, place.y):
                    self._stand(zone, place, made)
                elif it := self._inside.get((zone.id, place.person)):
                    it.is_out = True
            self._walk(place, made)
        self._leave(now_s, made)
        self._count(now_s, made)
        for key in [key for key, it in self._feet.items() if now_s - it.last_s > LOST_S]:
            del self._feet[key]
        for last in [last for last, it in self._of_person.items() if now_s - it.last_s > KNOWN_LATER_S]:
            del self._of_person[last]
        return made

    def name(self, track: TrackInView, person: int) -> list[Event]:
        """Who a track is; it may not be in view any more."""
        x, y = (track.box[0] + track.box[2]) / 2, track.box[3]
        place, made = Place(track, person, x, y), list[Event]()
        zones = {zone.id: zone for zone in self._zones.get(track.key[0], ())}
        for zone, key in [key for key in self._undecided if key[1] == track.key]:
            before = self._undecided.pop((zone, key))
            it = self._inside.setdefault((zone, person), _Inside(before.begin_s, before.last_s, place))
            it.begin_s, it.last_s = min(it.begin_s, before.begin_s), max(it.last_s, before.last_s)
            self._settle(zones[zone], it, place, made)
        if feet := self._feet.get(track.key):
            self._tell(feet, place, made)
        return made

    def rename(self, gone: int, kept: int) -> None:
        """Two people are one: in a zone they are there once."""
        for zone, person in [key for key in self._inside if key[1] == gone]:
            it = self._inside.pop((zone, person))
            other = self._inside.setdefault((zone, kept), it)
            other.begin_s, other.last_s = min(other.begin_s, it.begin_s), max(other.last_s, it.last_s)
            other.is_told |= it.is_told

    def _stand(self, zone: Zone, place: Place, made: list[Event]) -> None:
        """Somebody is in a zone."""
        now_s, key = place.track.last_s, (zone.id, place.track.key)
        if not place.person:
            it = self._undecided.setdefault(key, _Inside(now_s, now_s, place))
            it.last_s = now_s
            return
        before = self._undecided.pop(key, None)
        fresh = _Inside(before.begin_s if before else now_s, now_s, place)
        it = self._inside.setdefault((zone.id, place.person), fresh)
        it.last_s, it.place, it.is_out = now_s, place, False
        self._settle(zone, it, place, made)

    def _settle(self, zone: Zone, it: _Inside, place: Place, made: list[Event]) -> None:
        """Whoever has been inside for long enough has come in."""
        if not it.is_told and it.last_s - it.begin_s >= SETTLE_S:
            it.is_told = True
            made.append(_event("zone.entered", it.begin_s, zone, place))

    def _leave(self, now_s: float, made: list[Event]) -> None:
        zones = {zone.id: zone for of in self._zones.values() for zone in of}
        for key in [key for key, it in self._inside.items() if it.is_over(now_s)]:
            it = self._inside.pop(key)
            if it.is_told:
                event = _event("zone.left", it.last_s, zones[key[0]], it.place, person=key[1])
                made.append({**event, "dwell_s": round(it.last_s - it.begin_s, 2)})
        for late in [key for key, it in self._undecided.items() if now_s - it.last_s > LEAVE_S]:
            del self._undecided[late]

    def _count(self, now_s: float, made: list[Event]) -> None:
        """Tell of each zone how many are in it, where that has changed."""
        counts: dict[int, int] = {}
        for (zone, _), it in self._inside.items():
            counts[zone] = counts.get(zone, 0) + it.is_told
        for of in self._zones.values():
            for zone_of in of:
                count = counts.get(zone_of.id, 0)
                if zone_of.kind == "zone" and count != self._counts.get(zone_of.id, 0):
                    self._counts[zone_of.id] = count
                    made.append(
                        {
                            "type": "occupancy",
                            "time": now_s,
                            "camera": zone_of.camera,
                            "zone": zone_of.id,
                            "zone_name": zone_of.name,
                            "count": count,
                        }
                    )

    def _walk(self, place: Place, made: list[Event]) -> None:
        """Whether a track crosses the lines of its camera."""
        lines = [zone for zone in self._zones.get(place.track.key[0], ()) if zone.kind == "line"]
        if not lines:
            return
        at_s = place.track.last_s
        feet = self._feet.setdefault(place.track.key, _Feet(at_s, at_s))
        feet.last_s = at_s
        for line in lines:
            side = side_of(line, place.x, place.y)
            if abs(side) < CLEAR:
                continue
            now, before = (side, place.x, place.y, at_s), feet.sides.get(line.id)
            feet.firsts.setdefault(line.id, now)
            feet.sides[line.id] = now
            if before:
                feet.waiting += crossing(line, before, now)
        if place.person:
            self._tell(feet, place, made)

    def _tell(self, feet: _Feet, place: Place, made: list[Event]) -> None:
        """It is known who crossed the lines."""
        key = place.track.key[0], place.person
        before = self._of_person.get(key)
        if feet.person != place.person and before and 0 <= feet.begin_s - before.last_s <= LOST_S:
            for line in self._zones.get(place.track.key[0], ()):
                if line.id in before.sides and line.id in feet.firsts:
                    feet.waiting += crossing(line, before.sides[line.id], feet.firsts[line.id])
        feet.person = place.person
        if before is None or before.last_s <= feet.last_s:
            self._of_person[key] = feet
        for it in feet.waiting:
            event = _event("line.crossed", it.time_s, it.zone, place)
            made.append({**event, "direction": it.direction})
        feet.waiting.clear()


def crossing(line: Zone, before: Side, now: Side) -> list[_Waiting]:
    """Whether somebody crossed a line between two places: once, or not."""
    is_crossed = (before[0] > 0) != (now[0] > 0) and meets(line, before[1:3], now[1:3])
    return [_Waiting(line, "in" if now[0] > 0 else "out", now[3])] if is_crossed else []


def side_of(line: Zone, x: float, y: float) -> float:
    """How far to the right of the way from the first to the second point a place is; left is below 0.

    In pictures y goes down, so that to the right of somebody who walks to the right is below.
    """
    (x1, y1), (x2, y2) = line.points
    length = float(np.hypot(x2 - x1, y2 - y1)) or 1.0
    return ((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / length


def meets(line: Zone, begin: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether the way between two places, on two sides of a line, leads through it and not around it."""
    way = Zone(0, line.camera, "line", "", (begin, end))
    first, second = (side_of(way, *point) for point in line.points)
    return (first > 0) != (second > 0)


def dwell_of(seconds: FloatArray) -> dict[str, float] | None:
    """Mean, median and 90 % of times (N,); None where there are none."""
    if not len(seconds):
        return None
    return {
        "mean": round(float(seconds.mean()), 2),
        "median": round(float(np.median(seconds)), 2),
        "p90": round(float(np.quantile(seconds, 0.9)), 2),
    }


def _event(kind: str, time_s: float, zone: Zone, place: Place, person: int | None = None) -> Event:
    event: dict[str, Any] = {
        "type": kind,
        "time": time_s,
        "person": person or place.person,
        "state": "known",
        "camera": zone.camera,
        "track": place.track.key[1],
        "frame": place.track.frame,
        "box": list(place.track.box),
        "zone": zone.id,
        "zone_name": zone.name,
    }
    return event
