"""What the server knows of the run, and whom it tells: one message for each camera, whoever watches."""

import asyncio
import itertools
import json
import logging
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool

from tracker.events.store import EventStore
from tracker.live.labels import Labels, iso, thumb_of
from tracker.live.link import HEADER, MAX_BYTES, Message, pack, unpack
from tracker.live.site import Site

logger = logging.getLogger(__name__)

ANSWER_S = 10.0
"""The tracker answers a question within this time, or does not run."""

LOOK_S = 0.25
"""Between two looks into the log of events."""

UNDECIDED = {"person": None, "state": "undecided"}
"""What is shown of somebody who is to be forgotten."""

LENGTH = struct.Struct("!I")
"""In front of a picture's header: how long that is."""


class NotRunningError(Exception):
    """The tracker is not there, or does not answer."""


class Watcher(Protocol):
    """Somebody who is told what comes."""

    def widths(self) -> Mapping[int, int]:
        """By the id of the camera, the width of the pictures that are wanted."""

    def take_picture(self, camera: int, tick: int, message: bytes) -> None:
        """A picture that was wanted; must not wait."""

    def take(self, kind: str, content: Any) -> None:
        """``people``, ``cameras`` or ``event``; must not wait."""


class Hub:
    """The newest of everything that the tracker tells, and all who watch; used in the server's event loop."""

    def __init__(self, site: Site) -> None:
        self.labels = Labels(site)
        self._watchers: set[Watcher] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._questions: dict[int, asyncio.Future[Message]] = {}
        self._numbers = itertools.count(1)
        self._wanted: dict[str, list[int]] = {}
        self._cameras: list[dict[str, Any]] = []
        self._people: list[dict[str, Any]] = []
        self.rates: dict[str, float] = {}
        self.is_live = False
        self.num_pictures = self.num_bytes = 0

    # From the tracker

    async def listen(self, end: socket.socket) -> None:
        """Take what the tracker sends, until it ends."""
        self._loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_connection(sock=end, limit=1 << 20)
        self.is_live = True
        try:
            while True:
                lengths = HEADER.unpack(await reader.readexactly(HEADER.size))
                if max(lengths) > MAX_BYTES:
                    raise ConnectionError("a message that is too long")
                self._take(unpack(await reader.readexactly(lengths[0]), await reader.readexactly(lengths[1])))
        except (asyncio.IncompleteReadError, ConnectionError):
            logger.warning("the tracker has ended")
        finally:
            self._writer.close()
            self.is_live, self._writer = False, None

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Tell the tracker something."""
        if self._writer is not None:
            self._writer.write(pack(header, body))

    def reload(self) -> None:
        """Let the tracker read again what the site keeps; any thread may call it."""
        self.labels.refresh(now=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.send, {"type": "reload"})

    async def ask(self, header: dict[str, Any], body: bytes = b"") -> Message:
        """Ask the tracker something; its answer.

        Raises:
            NotRunningError: It does not answer.
        """
        if self._writer is None:
            raise NotRunningError
        number = next(self._numbers)
        future = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            self.send({**header, "id": number}, body)
            return await asyncio.wait_for(future, ANSWER_S)
        except TimeoutError:
            raise NotRunningError from None
        finally:
            del self._questions[number]

    def _take(self, message: Message) -> None:
        header, body = message
        match header["type"]:
            case "frame":
                self._take_picture(header, body)
            case "people":
                self._people = header["people"]
                self._tell("people", self.people())
            case "cameras":
                self._cameras = header["cameras"]
                self._tell("cameras", self.cameras())
            case "rates":
                self.rates = header["rates"]
            case "reply":
                future = self._questions.get(header["id"])
                if future and not future.done():
                    future.set_result(message)

    def _take_picture(self, header: dict[str, Any], jpeg: bytes) -> None:
        camera, width = self.labels.camera_id(header["camera"]), header["asked"]
        watchers = [it for it in self._watchers if it.widths().get(camera or 0) == width]
        if camera is None or not watchers:
            return
        status = next((it["status"] for it in self._cameras if it["name"] == header["camera"]), "online")
        hidden = self.labels.hidden()
        boxes = [it | UNDECIDED if it["person"] in hidden else it for it in header["boxes"]]
        boxes = [it | self.labels.person(it["person"]) for it in boxes]
        told = {
            "camera": f"c{camera}",
            "name": header["camera"],
            "tick": header["tick"],
            "time": iso(header["time"]),
            "width": header["width"],
            "height": header["height"],
            "boxes": boxes,
            "fps": header["fps"],
            "dropped": header["dropped"],
            "delay_s": header["delay_s"],
            "status": status,
        }
        text = json.dumps(told, separators=(",", ":")).encode()
        message = LENGTH.pack(len(text)) + text + jpeg
        self.num_pictures += 1
        self.num_bytes += len(message)
        for watcher in watchers:
            watcher.take_picture(camera, header["tick"], message)

    # To those who watch

    def join(self, watcher: Watcher) -> None:
        """Tell this one, too."""
        self._watchers.add(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Tell this one no more."""
        self._watchers.discard(watcher)
        self.update_wanted()

    @property
    def num_watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def update_wanted(self) -> None:
        """What somebody watches has changed: let the tracker encode that, and no more."""
        wanted: dict[str, set[int]] = {}
        for watcher in self._watchers:
            for camera, width in watcher.widths().items():
                if name := self.labels.camera_name(camera):
                    wanted.setdefault(name, set()).add(width)
        sorted_wanted = {camera: sorted(it) for camera, it in sorted(wanted.items())}
        if sorted_wanted != self._wanted:
            self._wanted = sorted_wanted
            self.send({"type": "want", "cameras": sorted_wanted})

    def _tell(self, kind: str, content: Any) -> None:
        for watcher in self._watchers:
            watcher.take(kind, content)

    async def tell_events(self, store: EventStore) -> None:
        """Tell what comes into the log, from now on."""
        last = await run_in_threadpool(store.last_seq)
        while True:
            for event in await run_in_threadpool(store.events, "seq > ?", (last,)):
                last = event["seq"]
                if event["type"] == "watchlist.seen":  # who was found by a photo has just got a name
                    self.labels.refresh(now=True)
                self._tell("event", self.labels.event(event))
            await asyncio.sleep(LOOK_S)

    # What is known

    def cameras(self) -> list[dict[str, Any]]:
        """As `GET /cameras` tells them."""
        told = []
        for it in self._cameras:
            number = self.labels.camera_id(it["name"])
            if number is not None:
                address = self.labels.address(it["name"])
                told.append({"id": f"c{number}", "name": it["name"], "address": address, **it})
        return told

    def people(self) -> list[dict[str, Any]]:
        """As `GET /people/here` tells them."""
        hidden = self.labels.hidden()
        return [
            {
                **it,
                **self.labels.person(it["person"]),
                "camera": self.labels.camera_key(it["camera"]),
                "since": iso(it["since"]),
                "thumb": thumb_of(it["person"]),
                "tracks": [{**of, "camera": self.labels.camera_key(of["camera"])} for of in it["tracks"]],
            }
            for it in self._people
            if it["person"] not in hidden
        ]

    def camera_name(self, number: int) -> str | None:
        """The name of the camera with this id, if the run has it."""
        name = self.labels.camera_name(number)
        return name if any(it["name"] == name for it in self._cameras) else None


def seen_by(cameras: Iterable[dict[str, Any]], ids: frozenset[int] | None) -> list[dict[str, Any]]:
    """Of cameras or people, those whose camera may be looked at; ``ids`` None: all."""
    return [it for it in cameras if ids is None or _number(it.get("id") or it.get("camera")) in ids]


def _number(key: str | None) -> int:
    return int(key[1:]) if key else 0
