"""The cameras of the run."""

import threading
import time
from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from foundation.errors import ReuniteError
from tracker.config import LiveConfig
from tracker.live.errors import ApiError
from tracker.live.hub import seen_by
from tracker.live.publisher import WIDTHS
from tracker.live.rights import API, Viewer
from tracker.live.routes.people import Body
from tracker.live.state import Live, Server, Who
from tracker.sources.addresses import find_cameras
from tracker.sources.streams import LostError, receive_pictures

router = APIRouter(prefix=API)

TEST = LiveConfig(open_timeout_s=6.0, read_timeout_s=4.0)
TEST_S = 3.0
"""For so long the frames of a camera that is tested are counted."""


class Address(Body):
    """A camera that may be added to the list of sources."""

    address: Annotated[str, Field(min_length=1, max_length=2000)]


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
        (camera,) = find_cameras([body.address])
    except (ReuniteError, ValueError) as error:
        return {"works": False, "problem": str(error)}
    if not camera.is_live:
        return {"works": False, "problem": "this is a file on the server, not a camera"}
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
