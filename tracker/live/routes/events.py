"""Events, as a list and as a stream, and the timeline of a day."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tracker.live.cursors import Limit, read_time
from tracker.live.labels import iso
from tracker.live.rights import API, Viewer
from tracker.live.state import Live, Server, Who
from tracker.live.wall import CHECK_S, visible_event

router = APIRouter(prefix=API)

Seq = Annotated[int | None, Query(ge=0, le=1 << 53)]
Word = Annotated[str | None, Query(max_length=40)]
Time = Annotated[str | None, Query(max_length=40)]

LOOK_S = 0.25
"""Between two looks into the log."""

REST_S = 15.0
"""A comment is sent after so long without an event, so that a dead connection is noticed."""

DAY_S = 86_400.0


@router.get("/events")
def list_events(
    live: Server,
    viewer: Who,
    after: Seq = None,
    before: Seq = None,
    kind: Annotated[str | None, Query(alias="type", max_length=40)] = None,
    camera: Word = None,
    person: Annotated[int | None, Query(ge=1, le=1 << 53)] = None,
    zone: Annotated[int | None, Query(ge=1, le=1 << 53)] = None,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Time = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Events that match all that is asked for: the newest first, with ``after`` the oldest first."""
    where, values = ["1"], list[Any]()

    def add(condition: str, *more: Any) -> None:
        where.append(condition)
        values.extend(more)

    if after is not None:
        add("seq > ?", after)
    if before is not None:
        add("seq < ?", before)
    if kind is not None:
        add("(type = ? OR type LIKE ? ESCAPE '\\')", kind, _like(kind))
    if camera is not None:
        add("camera = ?", live.camera(camera, viewer)[1])
    if person is not None:
        add("person = ?", person)
    if zone is not None:
        add("zone = ?", zone)
    if from_ is not None:
        add("time >= ?", read_time(from_))
    if to is not None:
        add("time < ?", read_time(to))
    if viewer.cameras is not None:
        names = [live.labels.camera_name(it) for it in sorted(viewer.cameras)]
        add(f"camera IN ({', '.join('?' * len(names))})", *names)
    events = live.store.events(" AND ".join(where), values, limit=limit + 1, newest_first=after is None)
    dressed = (visible_event(live.labels.event(it), viewer) for it in events[:limit])
    told = [it for it in dressed if it is not None]
    return {"events": told, "next": events[limit - 1]["seq"] if len(events) > limit else None}


@router.get("/events/stream")
async def stream(request: Request, live: Server, viewer: Who, after: Seq = None) -> StreamingResponse:
    """Server-sent events from now on, or from the one after ``Last-Event-ID``."""
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
    if start is None:
        start = await run_in_threadpool(live.store.last_seq)
    return StreamingResponse(
        _stream(live, request, viewer, start),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _stream(live: Live, request: Request, viewer: Viewer, last: int) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    sent_s = checked_s = time.monotonic()
    while True:
        events = await run_in_threadpool(live.store.events, "seq > ?", (last,))
        for event in events:
            last = event["seq"]
            seen = visible_event(await run_in_threadpool(live.labels.event, event), viewer)
            if seen is not None:
                text = json.dumps(seen, ensure_ascii=False, separators=(",", ":"))
                yield f"id: {last}\nevent: {seen['type']}\ndata: {text}\n\n"
                sent_s = time.monotonic()
        if time.monotonic() - sent_s > REST_S:
            sent_s = time.monotonic()
            yield ": nothing new\n\n"
        if time.monotonic() - checked_s > CHECK_S:
            checked_s = time.monotonic()
            if await live.guard.identify(request) != viewer:
                return
        if not events:
            await asyncio.sleep(LOOK_S)


@router.get("/timeline")
def timeline(
    live: Server,
    viewer: Who,
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    to: Time = None,
    camera: Word = None,
    person: Annotated[int | None, Query(ge=1, le=1 << 53)] = None,
    zone: Annotated[int | None, Query(ge=1, le=1 << 53)] = None,
) -> dict[str, Any]:
    """Who was where and when; without times the last day."""
    end_s = read_time(to) if to else time.time()
    begin_s = read_time(from_) if from_ else end_s - DAY_S
    where, values = ["person IS NOT NULL", "begin < ?", "end > ?"], [end_s, begin_s]
    more: list[Any] = []
    if camera is not None:
        where.append("camera = ?")
        more.append(live.camera(camera, viewer)[1])
    if person is not None:
        where.append("person = ?")
        more.append(person)
    hidden = live.people.hidden()
    stays = live.store.stays(" AND ".join(where), (*values, *more), limit=20_000)
    if zone is not None:
        visits = live.store.zone_visits(zone, begin_s, end_s)
        stays = [
            it
            for it in stays
            if any(it.person == who and it.end_s > a and it.begin_s < b for who, a, b in visits)
        ]
    told = []
    for stay in stays:
        number = live.labels.camera_id(stay.camera)
        if number is not None and viewer.sees(number) and stay.person not in hidden:
            told.append(
                {
                    "person": stay.person,
                    **live.labels.person(stay.person),
                    "camera": f"c{number}",
                    "begin": iso(stay.begin_s),
                    "end": iso(stay.end_s),
                }
            )
    return {"from": iso(begin_s), "to": iso(end_s), "stays": told}


def _like(kind: str) -> str:
    """``person`` asks for every ``person.*``."""
    escaped = kind.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}.%"
