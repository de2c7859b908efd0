"""Events of a site: told once for each person, taken back where they were wrong, all of one schema."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import tracker.events
from tracker.analytics.zones import Zone, ZoneWatch
from tracker.events.maker import Event, EventMaker
from tracker.events.store import EventStore, EventWriter, Stay, unix
from tracker.events.visits import LEFT_S, TrackKey
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tick, blank_image

SCHEMA = json.loads((Path(tracker.events.__file__).parent / "event.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
BOX = (10.0, 20.0, 60.0, 200.0)


class Site:
    """A maker, and a clock."""

    def __init__(self, watched: frozenset[int] = frozenset()) -> None:
        whole = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
        zones = ZoneWatch([Zone(1, "door", "zone", "all", whole)])
        self.maker = EventMaker(1, 0.01, lambda: watched, zones)
        self.now_s, self.made = 1000.0, list[Event]()

    def see(
        self,
        *rows: tuple[str, int, int],
        found: Sequence[tuple[str, str, int, int, int]] = (),
        after_s: float = 0.1,
    ) -> list[str]:
        """Camera, track, identity of all in view; kind, camera, track, identity, other of what is found out.

        Returns:
            The types of the events but those of zones.
        """
        self.now_s += after_s
        frames, sightings = [], {}
        for camera in ("door", "hall"):
            here = [(track, person) for name, track, person in rows if name == camera]
            frames.append(Frame(CameraName(camera), int(self.now_s * 10), self.now_s, blank_image(320, 240)))
            sightings[camera] = Sightings(
                np.array([track for track, _ in here], np.int64),
                np.array([person for _, person in here], np.int64),
                np.array([BOX] * len(here), np.float64).reshape(-1, 4),
                np.ones(len(here)),
            )
        events = [
            IdentityEvent(self.now_s, kind, CameraName(camera), track, identity, other)  # type: ignore[arg-type]
            for kind, camera, track, identity, other in found
        ]
        return self._keep(self.maker.observe(Tick(self.now_s, tuple(frames)), sightings, events))

    def wait(self, seconds: float, reports: dict[CameraName, CameraReport] | None = None) -> list[str]:
        self.now_s += seconds
        return self._keep(self.maker.pass_time(self.now_s, reports or {}))

    def _keep(self, made: list[Event]) -> list[str]:
        for event in made:
            CHECK.validate(event)
        self.made += made
        return [
            event["type"] for event in made if event["type"].partition(".")[0] not in ("zone", "occupancy")
        ]


def test_a_person_is_told_once_however_long_they_stay() -> None:
    site = Site()
    assert site.see(("door", 1, 0)) == []
    assert site.see(("door", 1, 7), found=[("new", "door", 1, 7, 0)]) == ["person.new"]
    for _ in range(50):
        assert site.see(("door", 1, 7)) == []
    assert [event["seq"] for event in site.made] == list(range(1, len(site.made) + 1))


def test_who_comes_into_another_camera_has_moved_and_who_comes_back_later_has_returned() -> None:
    site = Site()
    site.see(("door", 1, 7), found=[("new", "door", 1, 7, 0)])
    assert site.see(("hall", 4, 7), found=[("returned", "hall", 4, 7, 0)], after_s=20) == ["person.moved"]
    assert site.wait(LEFT_S + 1) == ["person.left"]
    assert site.see(("door", 2, 7), found=[("returned", "door", 2, 7, 0)]) == ["person.returned"]
    assert len({event["visit"] for event in site.made if event.get("visit")}) == 2


def test_who_is_recognised_in_the_second_camera_while_the_first_still_sees_them_has_moved() -> None:
    site = Site()
    site.see(("door", 1, 7), ("hall", 4, 0), found=[("new", "door", 1, 7, 0)])
    told = site.see(("door", 1, 7), ("hall", 4, 0), found=[("returned", "hall", 4, 7, 0)])
    assert told == ["person.moved"]
    assert {event.get("person") for event in site.made} == {7}


def test_who_was_not_decided_for_long_is_told_and_that_is_taken_back() -> None:
    site = Site()
    told = []
    for _ in range(110):
        told += site.see(("door", 1, 0))
    assert told == ["person.undecided"]
    undecided = site.made[-1]
    assert site.see(("door", 1, 7), found=[("new", "door", 1, 7, 0)]) == ["person.new"]
    new = next(it for it in site.made if it["type"] == "person.new")
    assert new["retracts"] == undecided["seq"]


def test_two_who_are_one_are_told_with_the_event_that_was_wrong() -> None:
    site = Site()
    site.see(("door", 1, 3), found=[("new", "door", 1, 3, 0)])
    site.see(("door", 1, 3), ("hall", 1, 9), found=[("new", "hall", 1, 9, 0)])
    new = next(it for it in site.made if it.get("person") == 9)
    assert site.see(("hall", 1, 3), found=[("merged", "hall", 1, 3, 9)]) == ["person.merged"]
    merged = next(it for it in site.made if it["type"] == "person.merged")
    assert (merged["person"], merged["previous"], merged["retracts"]) == (3, [9], new["seq"])
    assert site.wait(LEFT_S + 1) == ["person.left"], "there is one visit"


def test_who_was_taken_for_somebody_is_told_as_somebody_else() -> None:
    site = Site()
    site.see(("door", 1, 3), found=[("new", "door", 1, 3, 0)])
    assert site.see(("door", 1, 5), found=[("split", "door", 1, 5, 3)]) == ["person.split"]
    split = next(it for it in site.made if it["type"] == "person.split")
    assert (split["person"], split["previous"]) == (5, [3])
    assert "retracts" in split
    assert site.see(("door", 1, 0), found=[("split", "door", 1, 0, 5)]) == ["person.split"]


def test_who_is_watched_for_is_told_once_for_each_visit_not_for_each_camera() -> None:
    site = Site(frozenset({7}))
    told = site.see(("door", 1, 7), found=[("new", "door", 1, 7, 0)])
    assert told == ["person.new", "watchlist.seen"]
    assert site.see(("hall", 4, 7), found=[("returned", "hall", 4, 7, 0)], after_s=20) == ["person.moved"]
    site.wait(LEFT_S + 1)
    told = site.see(("door", 2, 7), found=[("returned", "door", 2, 7, 0)])
    assert told == ["person.returned", "watchlist.seen"]


class Known:
    """Tracks at the door stand at one place, and could be 8 with 20 %."""

    def ground(self, track: TrackKey) -> list[float] | None:
        return [1.5, 2.0] if track[0] == "door" else None

    def alternatives(self, track: TrackKey, person: int) -> list[dict[str, Any]]:
        return [{"person": 8, "probability": 0.2}] if person != 8 else []


def test_events_say_where_somebody_stood_and_who_else_it_could_be() -> None:
    site = Site()
    site.maker = EventMaker(1, 0.01, places=site.maker._places, knowledge=Known())
    for _ in range(10):
        site.see(("door", 1, 7), found=[] if site.made else [("new", "door", 1, 7, 0)])
    site.see(("hall", 4, 8), found=[("new", "hall", 4, 8, 0)])
    said = {(it["type"], it.get("person")): (it.get("ground"), it.get("alternatives")) for it in site.made}
    assert said["person.new", 7] == ([1.5, 2.0], [{"person": 8, "probability": 0.2}])
    assert said["zone.entered", 7] == ([1.5, 2.0], None)
    assert said["person.new", 8] == (None, None)


def test_a_camera_is_told_when_it_comes_goes_and_has_too_much_to_do() -> None:
    site, door = Site(), CameraName("door")
    report = CameraReport()
    assert site.wait(1, {door: report}) == []
    report.read = 10
    assert site.wait(1, {door: report}) == ["camera.online"]
    report.problem = "camera 'door': no frame for 5.0 s"
    assert site.wait(1, {door: report}) == ["camera.offline"]
    assert site.wait(1, {door: report}) == []
    report.problem = ""
    assert site.wait(1, {door: report}) == ["camera.online"]
    told = []
    for _ in range(20):
        report.read += 10
        report.dropped += 3
        told += site.wait(1, {door: report})
    assert told == ["camera.overloaded"]


def test_the_log_keeps_every_event_once_over_kills_and_goes_on_counting(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    events = [
        {"v": 1, "seq": seq, "time": "2026-11-28T21:15:02+00:00", "type": "occupancy"} for seq in (1, 2, 3)
    ]
    writer = EventWriter(store)
    writer.put(events[:2])
    writer.put(events[1:], [Stay("run", "door", 1, None, 10.0, 11.0)])
    writer.put([], [Stay("run", "door", 1, 7, 10.0, 12.0)])
    writer.close()
    assert [it["seq"] for it in EventStore(tmp_path / "events.sqlite").events()] == [1, 2, 3]
    assert store.last_seq() == 3
    assert store.stays() == [Stay("run", "door", 1, 7, 10.0, 12.0)]


def test_what_is_old_goes_but_not_what_a_carrier_has_still_to_deliver(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    day = "2026-11-2{}T00:00:00+00:00"
    store.add([{"v": 1, "seq": it, "time": day.format(it), "type": "occupancy"} for it in range(1, 7)])
    store.deliver("slow", 2)
    store.prune(unix("2026-11-25T00:00:00+00:00"))
    assert [it["seq"] for it in store.events()] == [3, 4, 5, 6]
    store.deliver("slow", 6)
    store.prune(time.time() + 1e9)
    assert [it["seq"] for it in store.events()] == [6], "the last stays, so that numbers go on"


def test_who_is_forgotten_is_in_no_event(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.sqlite")
    site = Site()
    site.maker = EventMaker(1, 0.01, knowledge=Known())
    site.see(("door", 1, 7), found=[("new", "door", 1, 7, 0)])
    site.see(("hall", 2, 5), found=[("split", "hall", 2, 5, 7)])
    plain = Site()
    plain.see(("hall", 3, 4), found=[("split", "hall", 3, 4, 7)])
    without = [{**event, "seq": 1000 + event["seq"]} for event in plain.made]
    store.add([*site.made, *without], [Stay("run", "door", 1, 7, 1.0, 2.0)])
    before = {event["seq"]: set(event) for event in without}
    store.forget(7)
    assert {it["seq"]: set(it) for it in store.events("seq > 1000")} == before, "no field comes to an event"
    for event in store.events():
        CHECK.validate(event)
        assert event.get("person") in (None, 4, 5)
        assert 7 not in event.get("previous", [])
    assert store.people() == []
    assert any(event.get("alternatives") for event in store.events())
    store.forget(8)
    assert not any(event.get("alternatives") for event in store.events()), (
        "nor is it said that it was perhaps 8"
    )


@pytest.mark.parametrize("text", ["", "now", "2026-11-28", "2026-11-28T21:15:02", "12"])
def test_a_time_without_its_zone_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        unix(text)
