"""Zones, lines and masks, and what is counted in them."""

import json
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from tracker.live.cursors import read_time
from tracker.live.errors import ApiError
from tracker.live.rights import API, Viewer
from tracker.live.routes.events import DAY_S, Time
from tracker.live.routes.people import Body
from tracker.live.state import Live, Server, Who
from tracker.live.zones import MAX_POINTS, MAX_ZONES, as_csv, check_points, count

router = APIRouter(prefix=API)

Number = Annotated[int, Path(ge=1, le=1 << 53)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]


class ZoneBody(Body):
    """A zone, line or mask."""

    camera: Annotated[str, Field(max_length=20)]
    kind: Literal["zone", "line", "ignore"]
    name: Annotated[str, Field(max_length=100)]
    points: Annotated[list[Point], Field(min_length=2, max_length=MAX_POINTS)]


@router.get("/zones")
def list_zones(live: Server, viewer: Who) -> dict[str, Any]:
    """All of the cameras that may be looked at."""
    rows = live.site.rows("SELECT id, camera, kind, name, points FROM zone ORDER BY id")
    return {"zones": [_told(dict(row)) for row in rows if viewer.sees(row["camera"])]}


@router.post("/zones", status_code=201)
def add_zone(body: ZoneBody, live: Server, viewer: Who) -> dict[str, Any]:
    """Draw a new one."""
    values = _checked(body, live, viewer)
    (many,) = live.site.rows("SELECT COUNT(*) AS many FROM zone")
    if many["many"] >= MAX_ZONES:
        raise ApiError(409, f"there are {MAX_ZONES} zones already; take one away first")
    with live.site.writing() as connection:
        done = connection.execute("INSERT INTO zone (camera, kind, name, points) VALUES (?, ?, ?, ?)", values)
    return _changed(live, viewer, "drew", done.lastrowid or 0, values)


@router.put("/zones/{zone}")
def change_zone(zone: Number, body: ZoneBody, live: Server, viewer: Who) -> dict[str, Any]:
    """Draw it otherwise."""
    _require(live, viewer, zone)
    values = _checked(body, live, viewer)
    with live.site.writing() as connection:
        connection.execute(
            "UPDATE zone SET camera = ?, kind = ?, name = ?, points = ? WHERE id = ?", (*values, zone)
        )
    return _changed(live, viewer, "changed", zone, values)


@router.delete("/zones/{zone}", status_code=204)
def remove_zone(zone: Number, live: Server, viewer: Who) -> None:
    """Take it away; what was counted in it stays in the log."""
    _require(live, viewer, zone)
    with live.site.writing() as connection:
        connection.execute("DELETE FROM zone WHERE id = ?", (zone,))
    live.reload()
    live.site.note(viewer.user, "removed zone", str(zone))


@router.get("/counts")
def counts(
    live: Server,
    viewer: Who,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Time = None,
) -> dict[str, Any]:
    """Visitors, zones and lines; without times of the last day."""
    end_s = read_time(to) if to else time.time()
    begin_s = read_time(from_) if from_ else end_s - DAY_S
    return count(live.site, live.store, live.labels, viewer, begin_s, end_s, live.hub.rates)


@router.get("/counts.csv", response_class=Response)
def counts_as_csv(
    live: Server,
    viewer: Who,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Time = None,
) -> Response:
    """The same as a table."""
    table = as_csv(counts(live, viewer, from_, to))
    return Response(
        table,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="counts.csv"'},
    )


def _checked(body: ZoneBody, live: Live, viewer: Viewer) -> tuple[int, str, str, str]:
    camera, _ = live.camera(body.camera, viewer)
    points = [(x, y) for x, y in body.points]
    if problem := check_points(body.kind, points):
        raise ApiError(422, problem)
    return camera, body.kind, body.name.strip(), json.dumps(points)


def _require(live: Live, viewer: Viewer, zone: int) -> None:
    row = live.site.row("SELECT camera FROM zone WHERE id = ?", (zone,))
    if row is None or not viewer.sees(row["camera"]):
        raise ApiError(404, f"there is no zone {zone}")


def _changed(
    live: Live, viewer: Viewer, action: str, zone: int, values: tuple[int, str, str, str]
) -> dict[str, Any]:
    live.reload()
    live.site.note(viewer.user, f"{action} zone", str(zone))
    return _told(dict(zip(("id", "camera", "kind", "name", "points"), (zone, *values), strict=True)))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "camera": f"c{row['camera']}", "points": json.loads(row["points"])}
