"""A live application in a test: the real server on a real port, and in place of a run what the test says."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from websockets.sync.client import ClientConnection, connect

from foundation.arrays import Image
from tracker.live.accounts import Accounts
from tracker.live.app import create_app
from tracker.live.guard import Doors
from tracker.live.link import Link
from tracker.live.rights import API, Role
from tracker.live.site import Site
from tracker.live.state import Live
from tracker.live.tracking import LiveObserver
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tick

DEADLINE_S = 60
"""Far longer than anything here takes on a busy machine."""

CAMERAS = ("door", "hall")


class LiveServer:
    """One that runs.

    Attributes:
        observer: The tracker's end; `see` sends frames through it.
        live: What the server's routes work with.
        address: ``127.0.0.1:PORT``.
    """

    def __init__(self, site: Site, observer: LiveObserver, address: str, live: Live) -> None:
        self.site, self.observer, self.address, self.live = site, observer, address, live
        self.accounts = Accounts(site)
        self._numbers = dict.fromkeys(CAMERAS, 0)

    def client(self, role: Role = Role.ADMIN, cameras: Sequence[int] | None = None) -> httpx.Client:
        """Somebody with an API token."""
        _, token = self.accounts.add_token("test", role, None if cameras is None else frozenset(cameras))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"http://{self.address}{API}", headers=headers, timeout=DEADLINE_S)

    def browser(self) -> httpx.Client:
        """Somebody who is not signed in yet."""
        return httpx.Client(base_url=f"http://{self.address}", headers={"X-Reunite": "1"}, timeout=DEADLINE_S)

    def wall(self, client: httpx.Client) -> ClientConnection:
        """The wall of a client with a token."""
        headers = {"Authorization": client.headers["authorization"]}
        return connect(f"ws://{self.address}{API}/wall", additional_headers=headers, max_size=None)

    def see(
        self,
        people: Mapping[str, Sequence[tuple[int, int, Sequence[float]]]],
        time_s: float | None = None,
        events: Sequence[IdentityEvent] = (),
        picture: Image | None = None,
    ) -> None:
        """A tick: of each camera track, identity (0: undecided) and box in pixels of 320 x 240."""
        picture = np.full((240, 320, 3), 90, np.uint8) if picture is None else picture
        at = time.time() if time_s is None else time_s
        frames, sightings = [], {}
        for camera, rows in people.items():
            self._numbers[camera] = self._numbers.get(camera, 0) + 1
            frames.append(Frame(CameraName(camera), self._numbers[camera], at, picture))
            sightings[camera] = Sightings(
                np.array([track for track, _, _ in rows], np.int64),
                np.array([person for _, person, _ in rows], np.int64),
                np.array([box for _, _, box in rows], np.float64).reshape(-1, 4),
                np.ones(len(rows)),
            )
        self.observer.observe(Tick(at, tuple(frames)), sightings, events)


@contextmanager
def live_server(folder: Path, doors: Doors | None = None) -> Iterator[LiveServer]:
    """The server of a site with `CAMERAS`."""
    site = Site(folder)
    site.know_cameras({CameraName(camera): f"rtsp://host/{camera}" for camera in CAMERAS})
    observer = LiveObserver(site, "test", CAMERAS, 0.01)
    ours, theirs = socket.socketpair()
    link = Link(ours)
    theirs.setblocking(False)
    # As the real server opens it: only a socket that knows its protocol sends each answer without waiting.
    door = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    app = create_app(site, doors, theirs)
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()

    def listen() -> None:
        observer.connect(link)
        try:
            while True:
                message = link.receive()
                observer.answer(message)
        except ConnectionError:
            observer.connect(None)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    address = f"127.0.0.1:{door.getsockname()[1]}"
    try:
        running = LiveServer(site, observer, address, app.state.live)
        with running.client() as client:
            wait_until(lambda: len(client.get("/cameras").json()["cameras"]) == len(CAMERAS))
        yield running
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        link.close()
        listener.join(DEADLINE_S)
        observer.close()
        theirs.close()


def wait_until(holds: Callable[[], Any]) -> Any:
    """What it gives once it is true; fails after `DEADLINE_S`."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came true")


def split_picture(message: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and JPEG of a message of the wall."""
    (length,) = struct.unpack("!I", message[:4])
    header: dict[str, Any] = json.loads(message[4 : 4 + length])
    return header, message[4 + length :]


def receive_picture(wall: ClientConnection) -> tuple[dict[str, Any], bytes]:
    """The next picture of a wall; texts before it are passed over."""
    while isinstance(message := wall.recv(DEADLINE_S), str):
        pass
    return split_picture(message)


def receive_text(wall: ClientConnection, kind: str) -> dict[str, Any]:
    """The next text of a type; all else before it is passed over."""
    while True:
        message = wall.recv(DEADLINE_S)
        if isinstance(message, str) and json.loads(message)["type"] == kind:
            found: dict[str, Any] = json.loads(message)
            return found
