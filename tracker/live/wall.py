"""The WebSocket of the wall: pictures and what is on them to one viewer, as fast as that one takes them."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from tracker.live.hub import Hub, seen_by
from tracker.live.publisher import WIDTHS
from tracker.live.rights import MESSAGES, Viewer, read_camera_keys

MAX_TEXTS = 200
"""Texts that wait for a viewer; then the oldest is lost: each is told again, or is in the log."""

MAX_ON_THE_WAY = 3
"""Pictures of a camera that a viewer who tells what was drawn may be behind."""

MAX_CAMERAS = 256
MAX_MESSAGE = 16_384
"""Bytes of a message from a viewer."""

CHECK_S = 5.0
"""After this long it is asked again whether the session still holds."""

SESSION_OVER = 4401
"""Why a connection is closed: sign in."""


class WallViewer:
    """One viewer; a `Watcher`. Of each camera the newest picture waits, in place of an older one."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._widths: dict[int, int] = {}
        self._pictures: dict[int, tuple[int, bytes]] = {}
        self._texts: deque[str] = deque(maxlen=MAX_TEXTS)
        self._on_the_way: dict[int, deque[int]] = {}
        self._tells_drawn = False
        self.followed: int | None = None
        self._woken = asyncio.Event()

    def widths(self) -> Mapping[int, int]:
        """By camera, the width that is wanted."""
        return self._widths

    def take_picture(self, camera: int, tick: int, message: bytes) -> None:
        """See `Watcher`."""
        self._pictures[camera] = tick, message
        self._woken.set()

    def take(self, kind: str, content: Any) -> None:
        """See `Watcher`; what this viewer may not see is left out."""
        cameras = self.viewer.cameras
        if kind == "event":
            content = visible_event(content, self.viewer)
            if content is None:
                return
        elif cameras is not None:
            content = seen_by(content, cameras)
        self.tell({"type": kind, kind: content})
        if kind == "people" and self.followed:
            self._tell_where(content)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a text, before the pictures that wait."""
        self._texts.append(json.dumps(message, separators=(",", ":"), ensure_ascii=False))
        self._woken.set()

    async def send_all(self, socket: WebSocket) -> None:
        """Send what comes, until the connection ends."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._texts:
                await socket.send_text(self._texts.popleft())
            for camera in list(self._pictures):
                if self._may_send(camera):
                    tick, message = self._pictures.pop(camera)
                    if self._tells_drawn:
                        self._on_the_way.setdefault(camera, deque()).append(tick)
                    await socket.send_bytes(message)
            if self._texts or any(self._may_send(camera) for camera in self._pictures):
                self._woken.set()

    def receive(self, text: str, hub: Hub) -> None:
        """Do what the viewer asks for; what cannot be understood or is not allowed is refused."""
        kind: Any = None
        try:
            message = json.loads(text)
            kind = message["type"]
            if not isinstance(kind, str) or kind not in MESSAGES:
                raise ValueError(f"there is no such message; there are {', '.join(MESSAGES)}")
            if self.viewer.role < MESSAGES[kind]:
                raise ValueError(f"{kind} needs the role {MESSAGES[kind].name.lower()}")
            match kind:
                case "subscribe":
                    self._subscribe(message["cameras"], hub)
                case "follow":
                    self._follow(message["person"], hub)
                case "drawn":
                    self._drawn(message["camera"], message["tick"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            told = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            to = kind if isinstance(kind, str) else None
            self.tell({"type": "refused", "message": told[:200], "to": to and to[:40]})

    def _subscribe(self, wanted: Any, hub: Hub) -> None:
        if not isinstance(wanted, dict) or len(wanted) > MAX_CAMERAS:
            raise ValueError("cameras must be an object of ids and widths")
        widths = {}
        for camera in read_camera_keys(wanted) or ():
            width = wanted[f"c{camera}"]
            if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 10_000:
                raise ValueError(f"c{camera}: the width must be a whole number of pixels")
            if not self.viewer.sees(camera):
                raise ValueError(f"c{camera}: this camera is not yours to look at")
            widths[camera] = next((it for it in WIDTHS if it >= width), WIDTHS[-1])
        self._widths = widths
        self._pictures = {camera: it for camera, it in self._pictures.items() if camera in widths}
        hub.update_wanted()

    def _follow(self, person: Any, hub: Hub) -> None:
        if person is not None and (not isinstance(person, int) or isinstance(person, bool)):
            raise ValueError("person must be a number or null")
        self.followed = person
        if person is not None:
            self._tell_where(seen_by(hub.people(), self.viewer.cameras))

    def _drawn(self, key: Any, tick: Any) -> None:
        if not isinstance(key, str) or not isinstance(tick, int):
            raise ValueError("camera must be an id and tick a number")
        self._tells_drawn = True
        for camera in read_camera_keys([key]) or ():
            ticks = self._on_the_way.get(camera, deque())
            while ticks and ticks[0] <= tick:
                ticks.popleft()
        self._woken.set()

    def _may_send(self, camera: int) -> bool:
        return len(self._on_the_way.get(camera, ())) < MAX_ON_THE_WAY

    def _tell_where(self, people: list[dict[str, Any]]) -> None:
        found = next((it for it in people if it["person"] == self.followed), None)
        where = {"camera": found["camera"], "since": found["since"]} if found else {"camera": None}
        self.tell({"type": "where", "person": self.followed, "since": None, "next": [], **where})


def visible_event(event: dict[str, Any], viewer: Viewer) -> dict[str, Any] | None:
    """An event as this viewer may see it; None where it is about a camera that is not theirs."""
    key = event.get("camera_id")
    if viewer.cameras is not None and (key is None or not viewer.sees(int(key[1:]))):
        return None
    if viewer.cameras is not None:  # whom it could be may be somebody of another camera
        return {name: it for name, it in event.items() if name != "alternatives"}
    return event


async def serve_wall(socket: WebSocket, viewer: WallViewer, hub: Hub, still_holds: Any) -> None:
    """Send and receive until one side ends it, or the session is over.

    Args:
        socket: Accepted.
        viewer: Who is there.
        hub: Gives what is sent.
        still_holds: Says who the viewer is by now; None: nobody any more.
    """
    hub.join(viewer)
    viewer.tell(
        {
            "type": "hello",
            "user": viewer.viewer.user,
            "role": viewer.viewer.role.name.lower(),
            "cameras": seen_by(hub.cameras(), viewer.viewer.cameras),
        }
    )
    viewer.take("people", hub.people())
    tasks = [
        asyncio.create_task(viewer.send_all(socket)),
        asyncio.create_task(_receive_all(socket, viewer, hub)),
        asyncio.create_task(_check(socket, viewer, still_holds)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.leave(viewer)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect | RuntimeError):
                raise outcome


async def _receive_all(socket: WebSocket, viewer: WallViewer, hub: Hub) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None or len(text) > MAX_MESSAGE:
            viewer.tell({"type": "refused", "message": "send JSON as text, at most 16 kB", "to": None})
        else:
            viewer.receive(text, hub)


async def _check(socket: WebSocket, viewer: WallViewer, still_holds: Any) -> None:
    while True:
        await asyncio.sleep(CHECK_S)
        now = await still_holds()
        if now != viewer.viewer:
            await socket.close(SESSION_OVER)
            return
