"""Zones and lines: who is in, who crosses, and how many people that are."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live_server import LiveServer, live_server, wait_until
from tracker.analytics.visitors import most_at_once, unique_visitors
from tracker.analytics.zones import Zone, ZoneWatch, dwell_of, meets, side_of
from tracker.events.maker import Event, Place
from tracker.events.visits import TrackInView
from tracker.live.rights import Role
from tracker.types import CameraName

SQUARE = Zone(1, "door", "zone", "shop", ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)))
LINE = Zone(2, "door", "line", "gate", ((0.5, 0.1), (0.5, 0.9)))
"""From top to bottom: whoever walks to the left crosses to its right."""


def walk(watch: ZoneWatch, path: Sequence[tuple[float, float, float, int]], track: int = 1) -> list[Event]:
    """Somebody at time, x, y, with an identity (0: undecided)."""
    made = []
    for time_s, x, y, person in path:
        it = TrackInView((CameraName("door"), track), path[0][0], time_s, person)
        made += watch.see([Place(it, person, x, y)], time_s)
    return made


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_square_holds_what_is_between_its_sides(x: float, y: float) -> None:
    assert SQUARE.holds(x, y) == (0.2 <= x < 0.8 and 0.2 <= y < 0.8)


def test_a_zone_with_a_dent_does_not_hold_the_dent() -> None:
    dented = Zone(1, "door", "zone", "", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0)))
    assert dented.holds(0.5, 0.4)
    assert not dented.holds(0.5, 0.9)


def test_who_comes_in_and_leaves_is_told_once_with_the_time_inside() -> None:
    watch = ZoneWatch([SQUARE])
    path = [(t / 10, 0.1 if t < 10 or t >= 60 else 0.5, 0.5, 7) for t in range(120)]
    made = walk(watch, path)
    told = [(it["type"], it.get("person")) for it in made]
    assert told == [("zone.entered", 7), ("occupancy", None), ("zone.left", 7), ("occupancy", None)]
    assert made[0]["time"] == 1.0
    assert made[2]["dwell_s"] == pytest.approx(4.9)
    assert [it["count"] for it in made if it["type"] == "occupancy"] == [1, 0]


def test_feet_that_touch_a_zone_for_a_moment_have_not_come_in() -> None:
    assert walk(ZoneWatch([SQUARE]), [(0.0, 0.1, 0.5, 7), (0.1, 0.3, 0.5, 7), (0.2, 0.1, 0.5, 7)]) == []


def test_who_is_hidden_for_two_seconds_has_not_left() -> None:
    watch = ZoneWatch([SQUARE])
    path = [(t / 10, 0.5, 0.5, 7) for t in [*range(20), *range(40, 60)]]
    assert [it["type"] for it in walk(watch, path)] == ["zone.entered", "occupancy"]


def test_one_person_by_two_tracks_is_one() -> None:
    watch = ZoneWatch([SQUARE])
    made = []
    for t in range(30):
        tracks = [TrackInView((CameraName("door"), track), 0.0, t / 10, 7) for track in (1, 2)]
        made += watch.see([Place(it, 7, 0.5, 0.5) for it in tracks], t / 10)
    assert [it.get("count") for it in made if it["type"] == "occupancy"] == [1]


def test_who_was_undecided_has_been_inside_since_the_first_step() -> None:
    watch = ZoneWatch([SQUARE])
    made = walk(watch, [(t / 10, 0.5, 0.5, 0 if t < 20 else 7) for t in range(40)])
    assert (made[0]["type"], made[0]["time"], made[0]["person"]) == ("zone.entered", 0.0, 7)


def test_who_is_merged_stays_inside_once() -> None:
    watch = ZoneWatch([SQUARE])
    walk(watch, [(t / 10, 0.5, 0.5, 7) for t in range(20)])
    watch.rename(7, 3)
    made = walk(watch, [(t / 10, 0.5, 0.5, 3) for t in range(20, 30)])
    assert made == []


@pytest.mark.parametrize(("to_the_left", "direction"), [(True, "in"), (False, "out")])
def test_a_line_is_crossed_in_a_direction(to_the_left: bool, direction: str) -> None:
    xs = np.linspace(0.8, 0.2, 30) if to_the_left else np.linspace(0.2, 0.8, 30)
    made = walk(ZoneWatch([LINE]), [(i / 10, x, 0.5, 7) for i, x in enumerate(xs.tolist())])
    assert [(it["type"], it["direction"]) for it in made] == [("line.crossed", direction)]


def test_who_trembles_on_a_line_or_walks_around_it_does_not_cross_it() -> None:
    rng = np.random.default_rng(0)
    on = [(i / 10, 0.5 + x, 0.5, 7) for i, x in enumerate(rng.uniform(-0.009, 0.009, 100).tolist())]
    assert walk(ZoneWatch([LINE]), on) == []
    around = [(i / 10, x, 0.95, 7) for i, x in enumerate(np.linspace(0.8, 0.2, 30).tolist())]
    assert walk(ZoneWatch([LINE]), around) == []


def test_who_crosses_before_it_is_known_who_they_are_is_told_later_with_that_time() -> None:
    xs = np.linspace(0.8, 0.2, 30).tolist()
    made = walk(ZoneWatch([LINE]), [(i / 10, x, 0.5, 7 if i > 25 else 0) for i, x in enumerate(xs)])
    (crossed,) = made
    assert crossed["person"] == 7
    assert crossed["time"] < 2.0


@pytest.mark.parametrize(("person", "hidden_s", "crossings"), [(7, 1.0, 1), (8, 1.0, 0), (7, 5.0, 0)])
def test_whose_track_breaks_at_a_line_has_crossed_it_if_they_are_known_soon_beyond_it(
    person: int, hidden_s: float, crossings: int
) -> None:
    watch = ZoneWatch([LINE])
    before = [(i / 10, 0.7 - i / 100, 0.5, 7) for i in range(15)]
    after = [(1.4 + hidden_s + i / 10, 0.45 - i / 100, 0.5, person if i > 5 else 0) for i in range(15)]
    made = walk(watch, before) + walk(watch, after, track=2)
    assert [it["direction"] for it in made] == ["in"] * crossings
    assert [it["time"] for it in made] == [pytest.approx(1.4 + hidden_s)] * crossings


def test_who_is_known_only_when_the_track_has_ended_has_crossed_and_was_inside() -> None:
    watch = ZoneWatch([LINE, SQUARE])
    path = [(i / 10, 0.7 - i / 50, 0.5, 0) for i in range(20)]
    made = walk(watch, path)
    gone = TrackInView((CameraName("door"), 1), 0.0, 1.9, 0)
    made += watch.name(gone, 7)
    made += watch.see([], 2.4) + watch.see([], 9.0)
    told = [(it["type"], it.get("person"), it.get("direction")) for it in made]
    assert told == [
        ("zone.entered", 7, None), ("line.crossed", 7, "in"), ("occupancy", None, None),
        ("zone.left", 7, None), ("occupancy", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("changed", [{"camera": "hall"}, {"kind": "line", "points": LINE.points}])
@pytest.mark.parametrize("person", [0, 7])
def test_a_zone_that_is_drawn_elsewhere_holds_nobody_who_was_in_it(
    changed: dict[str, Any], person: int
) -> None:
    watch = ZoneWatch([SQUARE])
    walk(watch, [(t / 10, 0.5, 0.5, person) for t in range(10)])
    watch.watch([replace(SQUARE, **changed)])
    made = watch.name(TrackInView((CameraName("door"), 1), 0.0, 0.9, 0), 7) + watch.see([], 9.0)
    assert [it["type"] for it in made if it["type"] != "occupancy"] == []


@pytest.mark.parametrize(
    ("box", "steps_out", "visits"),
    [
        ((0.4, 0.3, 0.6, 0.5), False, [(0.0, 8.0)]),  # behind somebody
        ((0.4, 0.8, 0.6, 1.0), False, [(0.0, 2.0), (7.0, 8.0)]),  # out of the picture, perhaps
        ((0.4, 0.3, 0.6, 0.5), True, [(0.0, 2.0), (7.0, 8.0)]),
    ],
)
def test_who_is_hidden_inside_has_not_left(
    box: tuple[float, float, float, float], steps_out: bool, visits: list[tuple[float, float]]
) -> None:
    watch, made = ZoneWatch([SQUARE]), list[Event]()
    for step in range(250):
        at = step / 10
        is_seen = at <= 2 or 7 <= at <= 8
        is_outside = steps_out and at == 2.1
        it = TrackInView((CameraName("door"), 1), 0.0, at, 7, box=box)
        place = Place(it, 7, 0.1 if is_outside else 0.5, 0.5)
        made += watch.see([place] if is_seen or is_outside else [], at)
    left = [it for it in made if it["type"] == "zone.left"]
    spans = [(it["time"] - it["dwell_s"], it["time"]) for it in left]
    assert np.array(spans) == pytest.approx(np.array(visits))
    assert sum(it["type"] == "zone.entered" for it in made) == len(visits)


def test_a_track_that_never_is_anybody_crosses_nothing() -> None:
    xs = np.linspace(0.8, 0.2, 30).tolist()
    assert walk(ZoneWatch([LINE]), [(i / 10, x, 0.5, 0) for i, x in enumerate(xs)]) == []


def test_the_right_of_a_way_in_a_picture_is_below_for_who_walks_to_the_right() -> None:
    way = Zone(1, "door", "line", "", ((0.0, 0.5), (1.0, 0.5)))
    assert side_of(way, 0.5, 0.9) > 0 > side_of(way, 0.5, 0.1)
    assert meets(way, (0.5, 0.1), (0.5, 0.9))
    assert not meets(Zone(1, "door", "line", "", ((0.6, 0.5), (1.0, 0.5))), (0.5, 0.1), (0.5, 0.9))


def test_times_inside_have_a_mean_a_median_and_a_tail() -> None:
    assert dwell_of(np.array([])) is None
    assert dwell_of(np.array([1.0, 2.0, 9.0])) == {"mean": 4.0, "median": 2.0, "p90": 7.6}


@pytest.mark.parametrize(("f", "m"), [(0.0, 0.0), (0.01, 0.3), (0.05, 0.1), (0.01, 0.6)])
def test_the_number_of_visitors_is_within_its_error(f: float, m: float) -> None:
    """Drawn: people who come, are taken for somebody with f, and come back, missed with m."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        people, returns = int(rng.integers(20, 200)), int(rng.integers(0, 300))
        merged, missed = int(rng.binomial(people, f)), int(rng.binomial(returns, m))
        found = unique_visitors(people - merged + missed, returns - missed + merged, f, m, (m, m))
        hits += found.low <= people <= found.high
    assert hits >= 0.9 * 200


def test_a_missed_rate_that_is_known_to_a_factor_widens_the_error_and_not_the_estimate() -> None:
    sure, unsure = (unique_visitors(38, 140, 0.05, 0.05, it) for it in ((0.05, 0.05), (0.025, 0.1)))
    assert unsure.expected == sure.expected
    assert unsure.low < sure.low < sure.expected < sure.high < unsure.high
    assert unsure.low <= unique_visitors(38, 140, 0.05, 0.1, (0.1, 0.1)).expected
    assert unsure.high >= unique_visitors(38, 140, 0.05, 0.025, (0.025, 0.025)).expected


def test_nobody_is_no_visitor() -> None:
    assert unique_visitors(0, 0, 0.01, 0.3, (0.1, 0.5)) == (0, 0.0, 0, 0)


def test_there_were_at_least_as_many_visitors_as_stood_before_one_camera_at_once() -> None:
    stays = [(1, 0.0, 10.0), (1, 5.0, 12.0), (2, 4.0, 6.0), (3, 6.0, 9.0), (4, 7.0, 8.0), (5, 7.5, 7.5)]
    assert most_at_once(stays) == 3
    assert most_at_once([]) == 0
    # Of so many returns more should have been missed than numbers were given.
    assert unique_visitors(9, 100, 0.05, 0.1, (0.05, 0.2)) == (9, 1.0, 1, 9)
    assert unique_visitors(9, 100, 0.05, 0.1, (0.05, 0.2), at_least=5)[:3] == (9, 5.0, 5)


# In the API


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("site")) as server:
        yield server


def test_a_zone_that_is_drawn_counts_from_then_on(server: LiveServer) -> None:
    square = [[0.0, 0.2], [1.0, 0.2], [1.0, 1.0], [0.0, 1.0]]
    with server.client() as client:
        body = {"camera": "c1", "kind": "zone", "name": "=shop", "points": square}
        zone = client.post("/zones", json=body).json()
        line = client.post(
            "/zones",
            json={"camera": "c1", "kind": "line", "name": "gate", "points": [[0.5, 0.0], [0.5, 1.0]]},
        ).json()
        assert [it["id"] for it in client.get("/zones").json()["zones"]] == [zone["id"], line["id"]]
        begin = time.time() - 20
        for step in range(60):
            server.see({"door": [(1, 5, (300 - 5 * step - 20, 60, 300 - 5 * step, 200))]}, begin + step / 10)
            if step == 0:
                wait_until(lambda: not server.observer._commands.qsize())
        counts = wait_until(lambda: (found := client.get("/counts").json())["lines"][0]["in"] == 1 and found)
        (counted,) = counts["zones"]
        assert (counted["occupancy"], counted["people"], counted["visits"]) == (1, 1, 1)
        assert counts["unique"]["counted"] == 1
        table = client.get("/counts.csv").text
        assert "zone,1,'=shop,c1,people,1" in table
        assert client.get("/timeline", params={"zone": zone["id"]}).json()["stays"]
        moved = client.put(f"/zones/{zone['id']}", json={**body, "kind": "ignore"})
        assert moved.json()["kind"] == "ignore"
        assert client.delete(f"/zones/{zone['id']}").status_code == 204
        assert client.delete(f"/zones/{zone['id']}").status_code == 404
    with server.client(Role.OPERATOR, [2]) as other:
        assert other.get("/zones").json()["zones"] == []
        assert other.delete(f"/zones/{line['id']}").status_code == 404
        assert other.post("/zones", json=body).status_code == 404


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("zone", [[0, 0], [1, 1]]),
        ("zone", [[0, 0], [0.5, 0.5], [1, 1]]),
        ("line", [[0.5, 0.5], [0.5, 0.5]]),
        ("line", [[0, 0], [1, 0], [1, 1]]),
        ("zone", [[0, 0], [2, 0], [1, 1]]),
        ("zone", [[0, 0], ["x", 0], [1, 1]]),
        ("zone", [[0, 0, 0]] * 3),
        ("circle", [[0, 0], [1, 0], [1, 1]]),
        ("zone", [[0, 0]] * 101),
    ],
)
def test_what_is_no_zone_is_refused(server: LiveServer, kind: str, points: list[list[float]]) -> None:
    with server.client() as client:
        body = {"camera": "c1", "kind": kind, "name": "", "points": points}
        answer = client.post("/zones", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


def test_who_stands_in_a_mask_is_not_there(tmp_path: Path) -> None:
    with live_server(tmp_path / "site") as server, server.client() as client:
        whole = [[0, 0], [1, 0], [1, 1], [0, 1]]
        client.post("/zones", json={"camera": "c1", "kind": "ignore", "name": "", "points": whole})
        box = (40.0, 60.0, 80.0, 200.0)
        wait_until(lambda: server.observer._commands.qsize())
        now_s = time.time()
        for step in range(3):
            server.see({"door": [(1, 5, box)], "hall": [(1, 6, box)]}, now_s + 2 * step)
        wait_until(lambda: server.observer.store.people())
        assert {it[0] for it in server.observer.store.people()} == {6}
