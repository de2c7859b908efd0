"""The cameras of the run."""

import threading
import time
from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.config import LiveConfig
from tracker.live.errors import ApiError
from tracker.live.hub import seen_by
from tracker.live.publisher import WIDTHS
from tracker.live.rights import API, Viewer
from tracker.live.routes.people import Body
from tracker.live.state import Live, Server, Who
from tracker.sources.addresses import Camera, find_cameras
from tracker.sources.streams import LostError, receive_pictures

router = APIRouter(prefix=API)

TEST = LiveConfig(open_timeout_s=6.0, read_timeout_s=4.0)
TEST_S = 3.0
"""For so long the frames of a camera that is tested are counted."""


class Address(Body):
    """A camera that may be added to the list of sources."""

    address: Annotated[str, Field(min_length=1, max_length=2000)]


class NewCamera(Address):
    """A camera that is tracked from now on."""

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w][\w. -]*$")]


@router.post("/cameras", status_code=201)
async def add_camera(body: NewCamera, live: Server, viewer: Who) -> dict[str, Any]:
    """Track this camera too, from now on and from the next start on; the others go on."""
    await run_in_threadpool(_live_camera, body.address)
    if not live.is_tracking:
        raise ApiError(503, "the tracker does not run, or does not answer")
    name = body.name.strip(" .")
    if name.casefold() in {it["name"].casefold() for it in live.hub.cameras()}:
        raise ApiError(409, f"there is a camera {name!r} already; give it another name")
    async with live.changing:
        before = await run_in_threadpool(_add_line, live, f"{name} = {body.address.strip()}")
        try:
            await live.ask({"type": "add", "name": name})
        except ApiError:
            await run_in_threadpool(_write, live, before)
            raise
    live.labels.refresh(now=True)
    await run_in_threadpool(live.site.note, viewer.user, "added a camera", name)
    return {"id": live.labels.camera_key(name), "name": name}


@router.get("/cameras")
async def list_cameras(live: Server, viewer: Who) -> dict[str, Any]:
    """All that may be looked at, and how they are."""
    return {"cameras": seen_by(live.hub.cameras(), viewer.cameras)}


@router.get("/cameras/{camera}/picture", response_class=Response)
async def picture(
    camera: str, live: Server, viewer: Who, width: Annotated[int, Query(ge=1, le=10_000)] = 640
) -> Response:
    """The newest picture, as JPEG."""
    _, name = live.camera(camera, viewer)
    width = next((it for it in WIDTHS if it >= width), WIDTHS[-1])
    _, jpeg = await live.ask({"type": "picture", "camera": name, "width": width})
    if not jpeg:
        raise ApiError(404, "this camera shows no picture now")
    return Response(jpeg, media_type="image/jpeg")


@router.post("/cameras/test")
def try_camera(body: Address, live: Server, viewer: Who) -> dict[str, Any]:
    """Connect to an address once, and say what comes; nothing is changed."""
    live.site.note(viewer.user, "tested a camera")
    try:
        camera = _live_camera(body.address)
    except ApiError as error:
        return {"works": False, "problem": error.message}
    begin_s, count, size = 0.0, 0, (0, 0)
    try:
        with closing(receive_pictures(camera, TEST, threading.Event())) as pictures:
            for _, image in pictures:
                begin_s = begin_s or time.monotonic()
                count, size = count + 1, (image.shape[1], image.shape[0])
                if time.monotonic() - begin_s > TEST_S:
                    break
    except LostError as error:
        if not count:
            return {"works": False, "problem": str(error)}
    if not count:
        return {"works": False, "problem": "it sends no pictures"}
    fps = (count - 1) / max(time.monotonic() - begin_s, 0.001)
    return {"works": True, "width": size[0], "height": size[1], "fps": round(fps, 1)}


@router.post("/cameras/{camera}/pause", status_code=204)
async def pause(camera: str, live: Server, viewer: Who) -> None:
    """Look at this camera no more for a while; the others go on."""
    await _pause(camera, live, viewer, paused=True)


@router.post("/cameras/{camera}/resume", status_code=204)
async def resume(camera: str, live: Server, viewer: Who) -> None:
    """Look at this camera again."""
    await _pause(camera, live, viewer, paused=False)


async def _pause(camera: str, live: Live, viewer: Viewer, *, paused: bool) -> None:
    _, name = live.camera(camera, viewer)
    await live.ask({"type": "pause", "camera": name, "paused": paused})
    await run_in_threadpool(live.site.note, viewer.user, "paused" if paused else "resumed", camera)


def _live_camera(address: str) -> Camera:
    """The camera at an address.

    Raises:
        ApiError: There is none: it is no address, or a file.
    """
    if len(address.split()) != 1:  # whatever ends a line would add another one to the list
        raise ApiError(422, "an address is one line without spaces")
    try:
        found = find_cameras([address.strip()])
    except ReuniteError as error:
        raise ApiError(422, str(error)) from None
    if len(found) != 1 or not found[0].is_live:
        raise ApiError(422, "this is a file on the server, not a camera")
    return found[0]


def _add_line(live: Live, line: str) -> str:
    """Add a line to the list of cameras; what was in it before."""
    path = live.site.added
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    _write(live, f"{before}{line}\n")
    return before


def _write(live: Live, text: str) -> None:
    if text:
        write_whole(live.site.added, text.encode())
    else:
        live.site.added.unlink(missing_ok=True)
