"""The wall: pictures with who is on them, to whoever may see them, as fast as they take them."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.live_server import DEADLINE_S, LiveServer, live_server, receive_picture, receive_text, wait_until
from tracker.live.publisher import MAX_PICTURES_PER_S, Privacy, Publisher, encode, fit
from tracker.live.rights import API, Role
from tracker.types import CameraName, Frame, IdentityEvent, Sightings

BOX = (40.0, 60.0, 80.0, 200.0)
NOBODY = Sightings(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("site")) as server:
        yield server


@pytest.fixture
def seen(server: LiveServer) -> Iterator[None]:
    """Frames come all the time: person 7 at the door, somebody undecided in the hall."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            server.see({"door": [(1, 7, BOX)], "hall": [(2, 0, BOX)]})

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_picture_comes_with_those_who_are_on_it(server: LiveServer, seen: None) -> None:
    with server.client() as client, server.wall(client) as wall:
        hello = receive_text(wall, "hello")
        assert [camera["id"] for camera in hello["cameras"]] == ["c1", "c2"]
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c1": 320}}))
        header, jpeg = receive_picture(wall)
        assert (header["camera"], header["name"]) == ("c1", "door")
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert (header["width"], header["height"]) == (image.shape[1], image.shape[0]) == (320, 240)
        (box,) = header["boxes"]
        assert (box["person"], box["track"], box["box"]) == (7, 1, list(BOX))
        later, _ = receive_picture(wall)
        assert later["tick"] > header["tick"]


def test_undecided_people_say_so(server: LiveServer, seen: None) -> None:
    with server.client() as client, server.wall(client) as wall:
        while {it["person"] for it in receive_text(wall, "people")["people"]} != {7, None}:
            pass
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c2": 320}}))
        header, _ = receive_picture(wall)
        (box,) = header["boxes"]
        assert (box["person"], box["state"], box["color"]) == (None, "undecided", "#808080")


def test_who_may_see_one_camera_gets_that_and_no_other(server: LiveServer, seen: None) -> None:
    with server.client(Role.VIEWER, [2]) as client, server.wall(client) as wall:
        assert [camera["id"] for camera in receive_text(wall, "hello")["cameras"]] == ["c2"]
        assert {it["camera"] for it in receive_text(wall, "people")["people"]} <= {"c2"}
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c1": 320}}))
        assert "not yours" in receive_text(wall, "refused")["message"]
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c2": 320}}))
        for _ in range(3):
            assert receive_picture(wall)[0]["camera"] == "c2"
        assert client.get("/cameras/c1/picture").status_code == 404
        assert client.get("/cameras/c2/picture").headers["content-type"] == "image/jpeg"


def test_who_says_what_was_drawn_gets_no_more_than_three_that_were_not(
    server: LiveServer, seen: None
) -> None:
    with server.client() as client, server.wall(client) as wall:
        wall.send(json.dumps({"type": "drawn", "camera": "c1", "tick": 0}))
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c1": 320}}))
        ticks = [receive_picture(wall)[0]["tick"] for _ in range(3)]
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            with suppress(TimeoutError):
                assert isinstance(wall.recv(0.1), str), "a fourth picture came"
        wall.send(json.dumps({"type": "drawn", "camera": "c1", "tick": ticks[-1]}))
        assert receive_picture(wall)[0]["tick"] > ticks[-1] + 3, "what was missed is lost, oldest first"


def test_nothing_is_encoded_where_nobody_watches(server: LiveServer, seen: None) -> None:
    publisher = server.observer.publisher
    wait_until(lambda: not publisher.wanted)
    with server.client() as client, server.wall(client) as wall:
        wall.send(json.dumps({"type": "subscribe", "cameras": {"c1": 500}}))
        receive_picture(wall)
        assert publisher.wanted == {"door": (640,)}
    wait_until(lambda: not publisher.wanted)


@pytest.mark.parametrize(
    "message",
    ["", "[]", "1", "{}", '{"type": 3}', '{"type": "merge"}', '{"type": "subscribe"}', "[" * 5000]
    + [
        f'{{"type": "subscribe", "cameras": {cameras}}}'
        for cameras in ("[]", "7", '{"c1": "x"}', '{"c1": true}', '{"x": 1}', '{"c1": -1}', '{"c99": 320}')
    ]
    + ['{"type": "follow", "person": "x"}', '{"type": "drawn", "camera": 1, "tick": 2}'],
)
def test_a_message_that_cannot_be_understood_is_refused_and_the_wall_stays(
    server: LiveServer, message: str
) -> None:
    with server.client() as client, server.wall(client) as wall:
        wall.send(message)
        if message != '{"type": "subscribe", "cameras": {"c99": 320}}':
            receive_text(wall, "refused")
        wall.send(json.dumps({"type": "follow", "person": 7}))
        assert receive_text(wall, "where")["person"] == 7


def test_a_page_of_somebody_else_gets_no_wall(server: LiveServer) -> None:
    with server.browser() as browser:
        token = server.accounts.one_time_token()
        assert browser.post(f"{API}/session", json={"token": token}).status_code == 200
        cookie = {"Cookie": f"reunite={browser.cookies['reunite']}"}
        for origin, is_let_in in (
            (f"http://{server.address}", True),
            ("http://evil.example", False),
            (None, False),
        ):
            with connect(
                f"ws://{server.address}{API}/wall",
                origin=origin,  # type: ignore[arg-type]
                additional_headers=cookie,
            ) as wall:
                if is_let_in:
                    receive_text(wall, "hello")
                else:
                    with pytest.raises(ConnectionClosed) as closed:
                        wall.recv(DEADLINE_S)
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 4401


def test_events_come_over_the_wall(server: LiveServer) -> None:
    with server.client() as client, server.wall(client) as wall:
        receive_text(wall, "hello")
        found_out = IdentityEvent(time.time(), "new", CameraName("door"), 91, 91)
        server.see({"door": [(91, 91, BOX)]}, events=[found_out])
        while (event := receive_text(wall, "event")["event"])["type"] != "person.new":
            pass
        assert (event["person"], event["camera"], event["camera_id"]) == (91, "door", "c1")


def test_the_tracker_never_waits_for_a_server_that_takes_nothing() -> None:
    class Stuck:
        """A link that never takes anything."""

        def __init__(self) -> None:
            self.go = threading.Event()

        def send(self, header: object, body: bytes = b"") -> None:
            self.go.wait(DEADLINE_S)
            raise ConnectionError

    stuck, publisher = Stuck(), Publisher()
    publisher.connect(stuck)  # type: ignore[arg-type]
    publisher.want({"door": (640,)})
    frame = np.zeros((240, 320, 3), np.uint8)
    begin = time.monotonic()
    for number in range(1, 2001):
        publisher.put(Frame(CameraName("door"), number, float(number), frame), NOBODY, {})
        publisher.tell({"type": "people", "people": []})
    assert time.monotonic() - begin < DEADLINE_S / 4
    stuck.go.set()
    publisher.close()


def test_of_frames_that_come_faster_than_anybody_can_see_few_are_encoded() -> None:
    sent: list[tuple[str, int]] = []

    class Taking:
        def send(self, header: dict[str, Any], body: bytes = b"") -> None:
            sent.append((header["camera"], header["tick"]))

    publisher, begin = Publisher(), time.monotonic()
    publisher.connect(Taking())  # type: ignore[arg-type]
    publisher.want({"door": (320,), "hall": (320,)})
    for number in range(1, 201):
        for camera in ("door", "hall"):
            frame = Frame(CameraName(camera), number, float(number), np.zeros((240, 320, 3), np.uint8))
            publisher.put(frame, NOBODY, {})
        time.sleep(0.002)
    wait_until(lambda: {("door", 200), ("hall", 200)} <= set(sent))  # the newest always comes
    spent_s = time.monotonic() - begin
    publisher.close()
    for camera in ("door", "hall"):
        ticks = [tick for name, tick in sent if name == camera]
        assert ticks == sorted(ticks)
        assert 2 <= len(ticks) <= MAX_PICTURES_PER_S * spent_s + 2


def test_pictures_keep_their_shape_and_are_never_made_larger() -> None:
    assert fit((1920, 1080), 640) == (640, 360)
    assert fit((320, 240), 640) == (320, 240)
    assert fit((4000, 2), 320) == (320, 1)
    jpeg, size = encode(np.zeros((1080, 1920, 3), np.uint8), 640)
    assert size == (640, 360)
    assert jpeg[:2] == b"\xff\xd8"


def test_no_picture_leaves_the_tracker_where_none_may() -> None:
    publisher = Publisher()
    publisher.put(Frame(CameraName("door"), 1, 1.0, np.zeros((240, 320, 3), np.uint8)), NOBODY, {})
    assert publisher.picture("door", 320)
    publisher.protect(Privacy(pictures=False))
    assert publisher.picture("door", 320) == b""
    publisher.close()
