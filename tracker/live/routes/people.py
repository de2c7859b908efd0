"""People: lists and pages, and what users say of who is who."""

import time as clock
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from tracker.live import corrections
from tracker.live.cursors import Cursor, Limit, read_cursor, read_time, write_cursor
from tracker.live.errors import ApiError
from tracker.live.hub import seen_by
from tracker.live.labels import thumb_of
from tracker.live.rights import API, Viewer
from tracker.live.state import Live, Server, Who

router = APIRouter(prefix=API)

Number = Annotated[int, Path(ge=1, le=1 << 53)]


class Body(BaseModel):
    """What every body of a request is: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Name(Body):
    """How a person is called."""

    name: Annotated[str, Field(max_length=100)] | None


class Other(Body):
    """Whom a person is merged with."""

    other: Annotated[int, Field(ge=1, le=1 << 53)]


class Track(Body):
    """A track of a run; without one, of every run that has such a track of the person."""

    camera: Annotated[str, Field(max_length=20)]
    track: Annotated[int, Field(ge=0, le=1 << 53)]
    run: Annotated[str | None, Field(max_length=200)] = None


class TracksOf(Body):
    """Tracks that are somebody else."""

    tracks: Annotated[list[Track], Field(min_length=1, max_length=1000)]


@router.get("/people")
def list_people(
    live: Server,
    viewer: Who,
    q: Annotated[str, Query(max_length=100)] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Everybody, who was seen last first."""
    before = read_cursor(cursor, float, int)
    people, after = live.people.known(viewer, q, (before[0], before[1]) if before else None, limit)
    return {"people": people, "next": write_cursor(after)}


@router.get("/people/here")
async def here(live: Server, viewer: Who) -> dict[str, Any]:
    """Who is in view now."""
    return {"people": seen_by(await run_in_threadpool(live.people_here), viewer.cameras)}


@router.get("/people/{person}")
def page(person: Number, live: Server, viewer: Who) -> dict[str, Any]:
    """All that is known of a person."""
    found = live.people.page(person, viewer)
    if found is None:
        raise unknown(person)
    live.site.note(viewer.user, "looked at person", str(person))
    return found


@router.get("/people/{person}/thumb", response_class=Response)
def thumb(person: Number, live: Server, viewer: Who) -> Response:
    """The best picture that is kept of a person."""
    return _picture(live, person, live.people.thumbnail(person, viewer))


@router.get("/people/{person}/picture", response_class=Response)
def picture(
    person: Number,
    live: Server,
    viewer: Who,
    camera: Annotated[str, Query(max_length=20)],
    time: Annotated[float, Query(ge=0, le=1e11)],
) -> Response:
    """The picture of a person from one camera, nearest to a time."""
    _, name = live.camera(camera, viewer)
    return _picture(live, person, live.people.thumbnail(person, viewer, name, time))


@router.get("/people/{person}/route")
def route(
    person: Number,
    live: Server,
    viewer: Who,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Annotated[str | None, Query(max_length=40)] = None,
) -> dict[str, Any]:
    """Where a person walked, where cameras have homographies."""
    _require(live, viewer, person)
    begin_s, end_s = read_time(from_) if from_ else 0.0, read_time(to) if to else clock.time()
    live.site.note(viewer.user, "looked at the way of person", str(person))
    return {"steps": live.people.route(person, viewer, begin_s, end_s)}


@router.put("/people/{person}/name", status_code=204)
def give_name(person: Number, body: Name, live: Server, viewer: Who) -> None:
    """Call a person so; null or empty takes the name away."""
    _require(live, viewer, person)
    name = (body.name or "").strip()
    with live.site.writing() as connection:
        if name:
            connection.execute("INSERT OR REPLACE INTO person_name VALUES (?, ?)", (person, name))
        else:
            connection.execute("DELETE FROM person_name WHERE person = ?", (person,))
    live.labels.refresh(now=True)
    live.site.note(viewer.user, "named person", str(person))


@router.post("/people/{person}/merge")
async def merge(person: Number, body: Other, live: Server, viewer: Who) -> dict[str, Any]:
    """Two people are one."""
    for it in (person, body.other):
        await run_in_threadpool(_require, live, viewer, it)
    return await corrections.merge(live, viewer.user, person, body.other)


@router.post("/people/{person}/split")
async def split(person: Number, body: TracksOf, live: Server, viewer: Who) -> dict[str, Any]:
    """Some tracks of a person are somebody else."""
    await run_in_threadpool(_require, live, viewer, person)
    tracks = [(it.run, live.camera(it.camera, viewer)[1], it.track) for it in body.tracks]
    return await corrections.split(live, viewer.user, person, tracks)


@router.post("/people/{person}/forget")
async def forget(person: Number, live: Server, viewer: Who) -> dict[str, Any]:
    """Hide a person now and erase them ten minutes later."""
    await run_in_threadpool(_require, live, viewer, person)
    return await corrections.forget(live, viewer.user, person)


@router.get("/corrections")
def list_corrections(live: Server, cursor: Cursor = None, limit: Limit = 50) -> dict[str, Any]:
    """What users said of who is who, the newest first."""
    before = read_cursor(cursor, int)
    told, after = corrections.list_corrections(live, before[0] if before else None, limit)
    return {"corrections": told, "next": write_cursor((after,) if after else None)}


@router.post("/corrections/{number}/undo", status_code=204)
async def undo(number: Number, live: Server, viewer: Who) -> None:
    """Take a correction back."""
    await corrections.undo(live, viewer, number)


@router.get("/people/{person}/why")
async def why(
    person: Number,
    live: Server,
    viewer: Who,
    camera: Annotated[str, Query(max_length=20)],
    track: Annotated[int, Query(ge=0, le=1 << 53)],
) -> dict[str, Any]:
    """Why a track of the run is this person, or is not."""
    _, name = live.camera(camera, viewer)
    await run_in_threadpool(_require, live, viewer, person)
    answer, _ = await live.ask({"type": "explain", "camera": name, "track": track})
    await run_in_threadpool(live.site.note, viewer.user, "asked why", str(person))
    return await run_in_threadpool(_explain, live, viewer, person, name, track, answer)


def _explain(
    live: Live, viewer: Viewer, person: int, camera: str, track: int, answer: dict[str, Any]
) -> dict[str, Any]:
    rows = {row[0]: row for row in answer["candidates"]}
    stays = live.people.stays(person, viewer)
    this = next((it for it in reversed(stays) if (it.camera, it.track) == (camera, track)), None)
    before = [it for it in stays if this and it.end_s <= this.begin_s]
    own = rows.get(person)
    transit = None
    if own and this and before:
        transit = {
            "from": live.labels.camera_key(before[-1].camera),
            "absence_s": round(this.begin_s - before[-1].end_s, 1),
            "log_odds": round(own[2], 2),
        }
    return {
        "similarity": round(own[1], 3) if own else None,
        "transit": transit,
        "log_odds": round(own[3], 2) if own else None,
        "probability": round(own[4], 4) if own else None,
        "threshold": answer.get("threshold"),
        "missed_rate": answer.get("missed_rate"),
        "grid": answer.get("grid", []),
        "densities": {"same": answer.get("same", []), "different": answer.get("different", [])},
        "crops": _crops(person, live, camera, this.begin_s if this else None, before),
        "others": [
            {
                "person": row[0],
                **live.labels.person(row[0]),
                "similarity": round(row[1], 3),
                "log_odds": round(row[3], 2),
                "thumb": thumb_of(row[0]),
            }
            for row in answer["candidates"]
            if row[0] != person and _may_see(live, viewer, row[0])
        ][:5],
    }


def _crops(person: int, live: Live, camera: str, time_s: float | None, before: list[Any]) -> list[str]:
    """Where the two pictures are: of the track, and of the person before."""
    crops = []
    for name, at in ((camera, time_s), *((it.camera, it.end_s) for it in before[-1:])):
        if at is not None:
            key = live.labels.camera_key(name)
            crops.append(f"{API}/people/{person}/picture?camera={key}&time={at:.3f}")
    return crops


def _picture(live: Live, person: int, jpeg: bytes | None) -> Response:
    if person in live.people.hidden():
        raise unknown(person)
    if not jpeg or not live.privacy()["pictures"]:
        return Response(status_code=204)  # not 404, of which every browser complains in its console
    return Response(jpeg, media_type="image/jpeg")


def _require(live: Live, viewer: Viewer, person: int) -> None:
    if not _may_see(live, viewer, person):
        raise unknown(person)


def _may_see(live: Live, viewer: Viewer, person: int) -> bool:
    return person not in live.people.hidden() and bool(live.people.stays(person, viewer))


def unknown(person: int) -> ApiError:
    """Nobody is known by that number, or nobody whom this viewer may see."""
    return ApiError(404, f"nobody is known as person {person}", "unknown_person")
