"""The cameras of the run."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from tracker.live.errors import ApiError
from tracker.live.hub import seen_by
from tracker.live.publisher import WIDTHS
from tracker.live.rights import API
from tracker.live.state import Server, Who

router = APIRouter(prefix=API)


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
