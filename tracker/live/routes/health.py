"""How the server is: for Prometheus, and for whoever starts it again when it is not well."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from foundation.errors import ReuniteError
from tracker.live.carriers import CarrierSettings
from tracker.live.errors import ApiError
from tracker.live.hub import seen_by
from tracker.live.rights import API
from tracker.live.state import Server, Who

router = APIRouter()


@router.get("/healthz", include_in_schema=False)
def health(live: Server) -> JSONResponse:
    """Whether the server answers, and whether a tracker runs."""
    return JSONResponse({"status": "ok", "live": live.is_tracking})


@router.get("/metrics", response_class=Response, include_in_schema=False)
async def metrics(live: Server, viewer: Who) -> Response:
    """Numbers in the text format of Prometheus, of the cameras that may be looked at."""
    cameras = seen_by(live.hub.cameras(), viewer.cameras)
    lines: list[str] = []

    def add(name: str, kind: str, purpose: str, values: Iterable[tuple[dict[str, str], Any]]) -> None:
        lines.append(f"# HELP reunite_{name} {purpose}")
        lines.append(f"# TYPE reunite_{name} {kind}")
        for labels, value in values:
            inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
            lines.append(f"reunite_{name}{{{inside}}} {value}" if inside else f"reunite_{name} {value}")

    def of_each(field: str) -> list[tuple[dict[str, str], Any]]:
        return [({"camera": it["name"]}, it[field]) for it in cameras]

    add("camera_frames_total", "counter", "Frames that were read.", of_each("read"))
    add("camera_frames_dropped_total", "counter", "Frames that came too late.", of_each("lost"))
    add("camera_reconnects_total", "counter", "How often it came back.", of_each("reconnects"))
    add("camera_frames_per_second", "gauge", "Frames tracked, of the last 10 s.", of_each("fps"))
    delays = [it for it in of_each("delay_s") if it[1] is not None]  # none where a finished run is played
    add("camera_delay_seconds", "gauge", "From capture until it was tracked.", delays)
    add("camera_people", "gauge", "People in view.", of_each("people"))
    online = [({"camera": it["name"]}, int(it["status"] == "online")) for it in cameras]
    add("camera_online", "gauge", "Whether it gives pictures.", online)
    if viewer.cameras is None:
        known = len({it["person"] for it in live.hub.people() if it["person"]})
        add("people_in_view", "gauge", "People in view of any camera.", [({}, known)])
        add("viewers", "gauge", "Walls that are open.", [({}, live.hub.num_watchers)])
        add("wall_pictures_total", "counter", "Pictures that were sent.", [({}, live.hub.num_pictures)])
        add("events_total", "counter", "Events in the log.", [({}, live.store.last_seq())])
        waiting = [({"carrier": it["name"]}, it["waiting"]) for it in live.carriers.states()]
        add("carrier_events_waiting", "gauge", "Events that a carrier has not delivered.", waiting)
        add("tracker_running", "gauge", "Whether the tracker runs.", [({}, int(live.is_tracking))])
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get(f"{API}/carriers")
def carriers(live: Server) -> dict[str, Any]:
    """Where events go, and how far each carrier is."""
    return {**live.carriers.settings.shown(), "states": live.carriers.states()}


@router.put(f"{API}/carriers")
def change_carriers(body: CarrierSettings, live: Server, viewer: Who) -> dict[str, Any]:
    """Let events go there; a secret that was made up is told this once."""
    before = {it.name for it in live.carriers.settings.webhooks if it.secret}
    try:
        changed = live.carriers.change(body)
    except ReuniteError as error:
        raise ApiError(422, str(error)) from None
    live.site.note(viewer.user, "changed carriers")
    told = changed.shown()
    for webhook, stored in zip(told["webhooks"], changed.webhooks, strict=True):
        webhook["secret"] = None if stored.name in before else stored.secret
    return told


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
