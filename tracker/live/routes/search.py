"""Who is this: by a photo, by a box on a camera, by somebody who is known; and the watchlist."""

import time
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool

from foundation.arrays import Image
from tracker.live.errors import ApiError
from tracker.live.labels import iso, thumb_of
from tracker.live.photos import cut, decode
from tracker.live.rights import API, Viewer
from tracker.live.routes.people import Body, Number, unknown
from tracker.live.state import Live, Server, Who

router = APIRouter(prefix=API)

Share = Annotated[float, Field(ge=0, le=1)]
MAX_WATCHED = 1000

WATCH_BODY = {
    "content": {
        "application/json": {"example": {"person": 7, "note": "call the desk"}},
        "image/jpeg": {},
        "image/png": {},
        "image/webp": {},
    }
}
"""How the watchlist takes somebody, for OpenAPI."""


class CameraBox(Body):
    """A box on the newest picture of a camera."""

    camera: Annotated[str, Field(max_length=20)]
    box: Annotated[list[Share], Field(min_length=4, max_length=4)]


class Watched(Body):
    """A person who is watched for."""

    person: Annotated[int, Field(ge=1, le=1 << 53)]
    note: Annotated[str, Field(max_length=500)] = ""


@router.post("/search")
async def search(
    request: Request, live: Server, viewer: Who, box: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """Who is on the picture that is the body of the request."""
    data = await request.body()
    await run_in_threadpool(live.site.note, viewer.user, "searched by photo")
    return await run_in_threadpool(_search, live, viewer, data, box)


@router.post("/search/photo")
async def search_photo(request: Request, live: Server, viewer: Who) -> dict[str, Any]:
    """Who is on a whole photo: everybody on it is found, and compared with everybody who is known."""
    data = await request.body()
    await run_in_threadpool(live.site.note, viewer.user, "searched by photo")

    def find() -> dict[str, Any]:
        found = live.photos.find(decode(data), viewer)
        return {"detects": found is not None, "found": found or []}

    return await run_in_threadpool(find)


@router.post("/search/camera")
async def search_on_camera(body: CameraBox, live: Server, viewer: Who) -> dict[str, Any]:
    """Who is in a box on the newest picture of a camera."""
    _, name = live.camera(body.camera, viewer)
    answer, jpeg = await live.ask({"type": "crop", "camera": name, "box": body.box})
    if not jpeg:
        raise ApiError(404, answer.get("why", "this camera has no picture now"))
    await run_in_threadpool(live.site.note, viewer.user, "searched on camera", body.camera)
    return await run_in_threadpool(_search, live, viewer, jpeg, None)


@router.get("/people/{person}/similar")
def similar(person: Number, live: Server, viewer: Who) -> dict[str, Any]:
    """Who looks like a person."""
    if person in live.people.hidden() or not live.people.stays(person, viewer):
        raise unknown(person)
    live.site.note(viewer.user, "searched alike", str(person))
    return live.photos.similar(person, viewer)


@router.get("/watchlist")
def watchlist(live: Server) -> dict[str, Any]:
    """Everybody who is watched for."""
    rows = live.site.rows("SELECT id, person, name, note, created FROM watch ORDER BY id")
    hidden = live.people.hidden()
    return {"entries": [_told(live, dict(row)) for row in rows if row["person"] not in hidden]}


@router.post("/watchlist", status_code=201, openapi_extra={"requestBody": WATCH_BODY})
async def watch(
    request: Request,
    live: Server,
    viewer: Who,
    note: Annotated[str, Query(max_length=500)] = "",
    name: Annotated[str, Query(max_length=100)] = "",
) -> dict[str, Any]:
    """Tell when this person is there, once for each visit: by number, or by a photo, of whomever."""
    data = await request.body()
    if not request.headers.get("content-type", "").startswith("image/"):
        try:
            body = Watched.model_validate_json(data)
        except ValidationError as error:
            raise RequestValidationError(
                [{**it, "loc": ("body", *it["loc"])} for it in error.errors()]
            ) from None
        return await run_in_threadpool(_watch, body, live, viewer)
    found = await run_in_threadpool(_search, live, viewer, data, None)
    if found["person"] is None:
        return await run_in_threadpool(_watch_photo, decode(data), name.strip(), note, live, viewer)
    return await run_in_threadpool(_watch, Watched(person=found["person"], note=note), live, viewer)


def _watch_photo(image: Image, name: str, note: str, live: Live, viewer: Viewer) -> dict[str, Any]:
    """Whoever is on it was not seen yet: the tracker says so when they come."""
    embedding, network = live.photos.embed(image)
    row = {"person": None, "note": note, "created": time.time(), "name": name}
    _refuse_more(live)
    with live.site.writing() as connection:
        done = connection.execute(
            "INSERT INTO watch (person, note, created, name, network, embedding) VALUES (?, ?, ?, ?, ?, ?)",
            (*row.values(), network, embedding.astype(np.float32).tobytes()),
        )
    live.reload()
    live.site.note(viewer.user, "watches for a photo", name)
    return _told(live, {"id": done.lastrowid, **row})


def _refuse_more(live: Live) -> None:
    (many,) = live.site.rows("SELECT COUNT(*) AS many FROM watch")
    if many["many"] >= MAX_WATCHED:
        raise ApiError(409, f"there are {MAX_WATCHED} on the watchlist already; take one away first")


def _watch(body: Watched, live: Live, viewer: Viewer) -> dict[str, Any]:
    if body.person in live.people.hidden() or not live.people.stays(body.person, viewer):
        raise unknown(body.person)
    if live.site.row("SELECT 1 FROM watch WHERE person = ?", (body.person,)):
        raise ApiError(409, f"person {body.person} is on the watchlist already")
    _refuse_more(live)
    now_s = time.time()
    with live.site.writing() as connection:
        done = connection.execute(
            "INSERT INTO watch (person, note, created) VALUES (?, ?, ?)", (body.person, body.note, now_s)
        )
    live.reload()
    live.site.note(viewer.user, "watches for person", str(body.person))
    return _told(live, {"id": done.lastrowid, "person": body.person, "note": body.note, "created": now_s})


@router.delete("/watchlist/{entry}", status_code=204)
def unwatch(entry: Annotated[int, Path(ge=1, le=1 << 53)], live: Server, viewer: Who) -> None:
    """Watch for this person no more."""
    with live.site.writing() as connection:
        if not connection.execute("DELETE FROM watch WHERE id = ?", (entry,)).rowcount:
            raise ApiError(404, f"there is no entry {entry} on the watchlist")
    live.reload()
    live.site.note(viewer.user, "stopped watching", str(entry))


def _search(live: Live, viewer: Viewer, data: bytes, box: str | None) -> dict[str, Any]:
    image = decode(data)
    if box is not None:
        image = cut(image, _read_box(box))
    return live.photos.search(image, viewer)


def _read_box(text: str) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise ApiError(422, "box: write x1,y1,x2,y2 as shares of width and height") from None
    if not all(0 <= it <= 1 for it in (x1, y1, x2, y2)):  # which nan is not, either
        raise ApiError(422, "box: shares are from 0 to 1")
    return x1, y1, x2, y2


def _told(live: Live, row: dict[str, Any]) -> dict[str, Any]:
    called = live.labels.person(row["person"])
    return {
        **row,
        **called,
        "name": called["name"] or row.get("name") or None,
        "created": iso(row["created"]),
        "thumb": thumb_of(row["person"]),
    }
