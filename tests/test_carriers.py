"""Carriers of events: a receiver, a broker or a disk that is down delays nothing and loses nothing."""

import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from foundation.errors import ReuniteError
from tests.live_server import wait_until
from tracker.events import carriers
from tracker.events.carriers import CarrierError, CarrierRunner, JsonLines
from tracker.events.maker import Event
from tracker.events.mqtt import Mqtt
from tracker.events.store import EventStore
from tracker.events.webhook import Webhook, sign


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(carriers, "MAX_PAUSE_S", 0.2)
    monkeypatch.setattr(carriers, "LOOK_S", 0.02)


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "events.sqlite")


def event(seq: int, kind: str = "person.moved", **more: Any) -> Event:
    told = {"v": 1, "seq": seq, "time": "2026-11-28T21:15:02.120+00:00", "type": kind, "camera": "door"}
    return {**told, "person": 7, **more}


def add(store: EventStore, first: int, last: int) -> None:
    store.add([event(seq) for seq in range(first, last + 1)])


class Receiver:
    """An HTTP server on one port that can be killed and come back."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.port = door.getsockname()[1]
        self.seqs: list[int] = []
        self.is_signed: list[bool] = []
        self.answers = 200

    @contextmanager
    def running(self) -> Iterator[None]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                stamp, digest = (
                    part.partition("=")[2] for part in self.headers["X-Reunite-Signature"].split(",")
                )
                expected = hmac.new(b"secret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
                receiver.is_signed.append(hmac.compare_digest(expected, digest))
                if receiver.answers == 200:
                    receiver.seqs += [it["seq"] for it in json.loads(body)["events"]]
                self.send_response(receiver.answers)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def runner_of(carrier: Any, store: EventStore) -> Iterator[CarrierRunner]:
    runner = CarrierRunner(carrier, store, dict)
    try:
        yield runner
    finally:
        runner.close()


def webhook(receiver: Receiver) -> Webhook:
    return Webhook("desk", f"http://127.0.0.1:{receiver.port}/hook", "secret")


def test_a_receiver_that_is_killed_and_comes_back_has_everything_in_order(store: EventStore) -> None:
    receiver = Receiver()
    with runner_of(webhook(receiver), store) as runner:
        wait_until(lambda: store.delivered(runner.name) is not None)
        with receiver.running():
            add(store, 1, 150)
            wait_until(lambda: len(receiver.seqs) >= 150)
        add(store, 151, 160)
        wait_until(lambda: "cannot be reached" in runner.problem)
        receiver.answers = 500
        with receiver.running():
            wait_until(lambda: "answers 500" in runner.problem)
            receiver.answers = 200
            wait_until(lambda: len(set(receiver.seqs)) == 160)
            wait_until(lambda: not runner.problem)
    assert sorted(set(receiver.seqs)) == list(range(1, 161))
    assert all(receiver.is_signed)


def test_a_carrier_that_was_killed_goes_on_where_it_was(store: EventStore) -> None:
    receiver = Receiver()
    with runner_of(webhook(receiver), store) as runner:
        wait_until(lambda: store.delivered(runner.name) is not None)
    add(store, 1, 10)
    with receiver.running(), runner_of(webhook(receiver), store):
        wait_until(lambda: len(receiver.seqs) == 10)


def test_a_redirect_is_not_followed(store: EventStore) -> None:
    receiver = Receiver()
    receiver.answers = 307
    with receiver.running(), pytest.raises(CarrierError, match="answers 307"):
        webhook(receiver).deliver([event(1)])


@pytest.mark.parametrize("address", ["ftp://host/x", "file:///etc/passwd", "host", "http://"])
def test_what_is_no_receiver_is_refused(address: str) -> None:
    with pytest.raises(ReuniteError, match="no http:// or https:// address"):
        Webhook("desk", address, "secret")


def test_a_signature_holds_for_one_body_and_one_time() -> None:
    assert sign(b"{}", b"s", 1.0) == sign(b"{}", b"s", 1.9)
    assert (
        len({sign(b"{}", b"s", 1.0), sign(b"[]", b"s", 1.0), sign(b"{}", b"t", 1.0), sign(b"{}", b"s", 2.0)})
        == 4
    )


def lines_of(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_the_file_has_every_event_once_whatever_cut_it_off(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    add(store, 1, 30)
    with runner_of(JsonLines(path), store):
        wait_until(lambda: path.exists() and len(lines_of(path)) == 30)
    with path.open("ab") as file:
        file.write(b'{"seq": 31, "cut of')
    store.deliver("events.jsonl", 12)  # as if it was killed before it wrote down how far it was
    add(store, 31, 40)
    with runner_of(JsonLines(path), store):
        wait_until(lambda: lines_of(path) == list(range(1, 41)))


def test_a_large_file_is_put_aside(store: EventStore, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = JsonLines(path, max_bytes=1000)
    lines.deliver([event(seq) for seq in range(1, 20)])
    lines.deliver([event(20)])
    assert lines_of(tmp_path / "events-19.jsonl") == list(range(1, 20))
    assert lines_of(path) == [20]


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("dear diary\n")
    with pytest.raises(ReuniteError, match="move it away"):
        JsonLines(path)
    assert path.read_text() == "dear diary\n"


# MQTT, against a real broker


class Broker:
    """Mosquitto on one port, which can be killed and come back."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        if found is None and not os.environ.get("CI"):
            pytest.skip("needs mosquitto (.ci/run installs it)")
        assert found, "mosquitto is missing"
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.port = door.getsockname()[1]
        self._program, self._config = found, folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return False
            return True

        wait_until(answers)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


class Listener:
    """Somebody who has subscribed to everything."""

    def __init__(self, port: int) -> None:
        self.retained: dict[str, str] = {}
        self.events: list[int] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._heard
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def _heard(self, _: Client, __: Any, message: MQTTMessage) -> None:
        if message.topic == "reunite/events":
            self.events.append(json.loads(message.payload)["seq"])
        else:
            self.retained[message.topic] = message.payload.decode()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listen() -> Iterator[Callable[[int], Listener]]:
    opened: list[Listener] = []

    def start(port: int) -> Listener:
        opened.append(Listener(port))
        return opened[-1]

    yield start
    for listener in opened:
        listener.close()


STATE: Sequence[Event] = (
    event(1, "person.new", name=None, visit="7-1"),
    event(2, "person.moved", name="Anna", visit="7-1", camera="hall"),
    event(3, "camera.online", person=None, camera_id="c1"),
    event(4, "occupancy", person=None, zone=3, zone_name="shop", count=2),
    event(5, "person.merged", person=4, previous=[7], visit="4-1"),
    event(6, "person.left", person=4, visit="4-1"),
)


def test_who_is_where_is_retained_and_home_assistant_finds_it(
    broker: Broker, listen: Callable[[int], Listener]
) -> None:
    mqtt = Mqtt("127.0.0.1", broker.port)
    mqtt.deliver(STATE)
    late = listen(broker.port)  # gets only what is retained
    wait_until(lambda: "reunite/person/4" in late.retained)
    assert json.loads(late.retained["reunite/person/4"])["state"] == "away"
    assert "reunite/person/7" not in late.retained, "it is nobody's number any more"
    assert json.loads(late.retained["reunite/camera/c1"]) == {"state": "online", "name": "door"}
    assert json.loads(late.retained["reunite/zone/3"])["count"] == 2
    assert late.retained["reunite/status"] == "online"
    found = {
        topic.split("/")[2]: json.loads(text)
        for topic, text in late.retained.items()
        if "homeassistant" in topic
    }
    assert {"reunite_camera_c1", "reunite_zone_3", "reunite_person_7"} == set(found)
    assert all(it["availability_topic"] == "reunite/status" for it in found.values())
    mqtt.close()
    wait_until(lambda: late.retained["reunite/status"] == "offline")


def test_a_broker_that_is_killed_and_comes_back_has_everything(
    broker: Broker, store: EventStore, listen: Callable[[int], Listener]
) -> None:
    listener = listen(broker.port)
    with runner_of(Mqtt("127.0.0.1", broker.port), store) as runner:
        wait_until(lambda: store.delivered(runner.name) is not None)
        wait_until(lambda: listener.retained.get("reunite/status") == "online")
        add(store, 1, 20)
        wait_until(lambda: set(listener.events) >= set(range(1, 21)))
        broker.kill()
        listener.retained.clear()
        begin = time.monotonic()
        add(store, 21, 40)  # nothing waits for the broker
        assert time.monotonic() - begin < 30
        broker.start()
        wait_until(lambda: listener.retained.get("reunite/status") == "online")
        store.add([event(41)])
        wait_until(lambda: 41 in listener.events)
        wait_until(lambda: not runner.problem)
    late = store.delivered("mqtt reunite")
    assert late == 41


def test_a_tracker_that_is_killed_is_offline_by_its_last_will(
    broker: Broker, listen: Callable[[int], Listener]
) -> None:
    program = (
        "from tracker.events.mqtt import Mqtt\nimport time\n"
        f"mqtt = Mqtt('127.0.0.1', {broker.port})\nmqtt.deliver([])\ntime.sleep(600)\n"
    )
    import sys

    listener = listen(broker.port)
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(lambda: listener.retained.get("reunite/status") == "online")
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: listener.retained["reunite/status"] == "offline")
