"""The zones and lines of a site, and what was counted in them."""

import csv
import io
import json
import math
from typing import Any

import numpy as np

from tracker.analytics.visitors import most_at_once, unique_visitors
from tracker.analytics.zones import Zone, dwell_of
from tracker.events.store import EventStore
from tracker.live.labels import Labels, iso
from tracker.live.rights import Viewer
from tracker.live.site import Site
from tracker.types import SimilarityReport

MAX_ZONES, MAX_POINTS = 500, 100

FALSE_MERGE_RATE, MISSED_RATE = 0.01, 0.3
"""Of a site that has not said otherwise yet: what it is set to, and what a network misses at that."""


def rates_of(report: SimilarityReport) -> dict[str, float]:
    """The errors that a site states: as set, and as its own pairs and the network's prior make likely."""
    rates = {"missed_rate": report.expected_missed_rate}
    rates["missed_rate_low"], rates["missed_rate_high"] = report.missed_rates
    return {
        "false_merge_rate": report.max_false_merge_rate,
        **{name: round(rate, 4) for name, rate in rates.items()},
    }


def read_zones(site: Site) -> list[Zone]:
    """All of a site."""
    rows = site.rows(
        "SELECT zone.id, camera.name AS camera, kind, zone.name, points FROM zone "
        "JOIN camera ON camera.id = zone.camera ORDER BY zone.id"
    )
    return [
        Zone(
            row["id"],
            row["camera"],
            row["kind"],
            row["name"],
            tuple((x, y) for x, y in json.loads(row["points"])),
        )
        for row in rows
    ]


def check_points(kind: str, points: list[tuple[float, float]]) -> str:
    """Why these points are no zone or line; empty where they are."""
    if any(not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1) for x, y in points):
        return "points are shares of width and height, from 0 to 1"
    if kind == "line":
        is_line = len(points) == 2 and math.dist(*points) > 0.001
        return "" if is_line else "a line goes from one point to another"
    if not 3 <= len(points) <= MAX_POINTS:
        return f"a polygon has 3 to {MAX_POINTS} points"
    x, y = np.array(points).T
    area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    return "" if area > 1e-6 else "the points lie on one line, and hold nobody"


def count(
    site: Site,
    store: EventStore,
    labels: Labels,
    viewer: Viewer,
    begin_s: float,
    end_s: float,
    rates: dict[str, float],
) -> dict[str, Any]:
    """What was counted from one time to another, in the cameras that this viewer may see.

    Args:
        rates: As `rates_of` gives them; empty where the site has not said yet.
    """
    zones, lines = [], []
    for zone in read_zones(site):
        number = labels.camera_id(zone.camera)
        if number is None or not viewer.sees(number) or zone.kind == "ignore":
            continue
        own: dict[str, Any] = {"id": zone.id, "name": zone.name, "camera": f"c{number}"}
        if zone.kind == "zone":
            zones.append(own | _count_zone(store, zone.id, begin_s, end_s))
        else:
            lines.append(own | _count_line(store, zone.id, begin_s, end_s))
    cameras, seen, num_tracks, at_least = [], set[int](), 0, 0
    for camera in site.cameras():
        if viewer.sees(camera.id):
            stays = store.stays(
                "camera = ? AND person IS NOT NULL AND begin < ? AND end > ?",
                (camera.name, end_s, begin_s),
            )
            people = {stay.person for stay in stays if stay.person}
            here = {stay.person for stay in stays if stay.end_s > end_s - 3}
            cameras.append({"camera": camera.key, "occupancy": len(here), "people": len(people)})
            seen |= people
            num_tracks += len(stays)
            spans = [(it.person, max(it.begin_s, begin_s), min(it.end_s, end_s)) for it in stays if it.person]
            at_least = max(at_least, most_at_once(spans))
    f = rates.get("false_merge_rate", FALSE_MERGE_RATE)
    m = rates.get("missed_rate", MISSED_RATE)
    missed_rates = rates.get("missed_rate_low", m), rates.get("missed_rate_high", m)
    # Whoever was seen by another track was recognised, also where one was lost behind a pillar: each of those
    # might have been missed.
    visitors = unique_visitors(len(seen), num_tracks - len(seen), f, m, missed_rates, at_least=at_least)
    return {
        "from": iso(begin_s),
        "to": iso(end_s),
        "zones": zones,
        "lines": lines,
        "unique": {
            "counted": visitors.counted,
            "visitors": visitors.expected,
            "low": visitors.low,
            "high": visitors.high,
            "false_merge_rate": f,
            "missed_rate": m,
            "missed_rate_low": missed_rates[0],
            "missed_rate_high": missed_rates[1],
        },
        "cameras": cameras,
    }


def as_csv(counts: dict[str, Any]) -> str:
    """The counts as a table, a row for each zone, line and camera, and one for the visitors."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["what", "id", "name", "camera", "measure", "value"])
    for zone in counts["zones"]:
        dwell = {f"dwell_s_{name}": value for name, value in (zone["dwell_s"] or {}).items()}
        for measure in ("occupancy", "people", "visits", *dwell):
            value = {**zone, **dwell}[measure]
            table.writerow(["zone", zone["id"], _plain(zone["name"]), zone["camera"], measure, value])
    for line in counts["lines"]:
        for measure in ("in", "out"):
            table.writerow(["line", line["id"], _plain(line["name"]), line["camera"], measure, line[measure]])
    for camera in counts["cameras"]:
        for measure in ("occupancy", "people"):
            table.writerow(["camera", camera["camera"], "", camera["camera"], measure, camera[measure]])
    for measure, value in counts["unique"].items():
        table.writerow(["site", "", "", "", measure, value])
    return text.getvalue()


def _count_zone(store: EventStore, zone: int, begin_s: float, end_s: float) -> dict[str, Any]:
    visits = store.zone_visits(zone, begin_s, end_s)
    entered = [it for it in visits if it[1] >= begin_s]
    # Who is still inside has not dwelt to the end.
    done = np.array([until - since for _, since, until in entered if until < end_s], np.float64)
    last = store.events("zone = ? AND type = 'occupancy'", (zone,), limit=1, newest_first=True)
    return {
        "occupancy": last[0]["count"] if last else 0,
        "people": len({person for person, _, _ in visits}),
        "visits": len(entered),
        "dwell_s": dwell_of(done),
    }


def _count_line(store: EventStore, zone: int, begin_s: float, end_s: float) -> dict[str, int]:
    events = store.events(
        "zone = ? AND type = 'line.crossed' AND time >= ? AND time < ?",
        (zone, begin_s, end_s),
        limit=1_000_000,
    )
    ways = [event["direction"] for event in events]
    return {"in": ways.count("in"), "out": ways.count("out")}


def _plain(text: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
