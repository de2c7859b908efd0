"""Events by MQTT: all of them, and as retained state who is where, for homes and dashboards."""

import json
import re
import threading
from collections.abc import Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tracker.events.carriers import CarrierError
from tracker.events.maker import Event
from tracker.events.store import EventStore

ACK_S = 10.0
"""A broker acknowledges within this time, or is taken to be down."""

ARRIVED = ("person.new", "person.returned", "person.moved", "person.merged")


class Mqtt:
    """Publishes with QoS 1 and waits until the broker has said that it has it.

    * ``PREFIX/status``: ``online``, by Last Will ``offline``; retained.
    * ``PREFIX/events``: each event.
    * ``PREFIX/person/NUMBER``: ``{"state": "here" or "away", "name", "camera", "since", "visit"}``; retained.
    * ``PREFIX/camera/ID``: ``{"state": "online", "offline" or "overloaded", "name"}``; retained.
    * ``PREFIX/zone/ID``: ``{"count", "name"}``; retained.
    * ``homeassistant/...``: how Home Assistant finds cameras, zones, and people who have names; retained.

    Args:
        host, port: Of the broker.
        prefix: Of all topics.
        user, password: For the broker; empty: none.
        tls: Whether the connection is encrypted, and the broker's certificate checked.
        discovery: The prefix of Home Assistant's discovery; empty: nothing is told to it.
    """

    def __init__(
        self,
        host: str,
        port: int = 1883,
        *,
        prefix: str = "reunite",
        user: str = "",
        password: str = "",
        tls: bool = False,
        discovery: str = "homeassistant",
    ) -> None:
        self.name = f"mqtt {prefix}"
        self._prefix, self._discovery = prefix.strip("/"), discovery.strip("/")
        self._found: set[str] = set()
        self._is_connected = threading.Event()
        self._refused = ""
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"reunite-{self._prefix}"[:23])
        if user:
            self._client.username_pw_set(user, password or None)
        if tls:
            self._client.tls_set()
        self._client.will_set(f"{self._prefix}/status", "offline", qos=1, retain=True)
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()

    def start_after(self, store: EventStore) -> int:
        """What happens from now on."""
        return store.last_seq()

    def deliver(self, events: Sequence[Event]) -> None:
        """Publish them, and the state that they bring."""
        if not self._is_connected.wait(ACK_S):
            raise CarrierError(f"the broker {self._refused or 'cannot be reached'}")
        for event in events:
            self._publish(f"{self._prefix}/events", event, retain=False)
            self._publish_state(event)

    def close(self) -> None:
        """Say that nothing comes any more, and leave."""
        if self._is_connected.is_set():
            self._client.publish(f"{self._prefix}/status", "offline", qos=1, retain=True).wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish_state(self, event: Event) -> None:
        kind, person = event["type"], event.get("person")
        topic = f"{self._prefix}/person/{person}"
        if kind in ARRIVED and person:
            for gone in event.get("previous", ()):
                self._publish(f"{self._prefix}/person/{gone}", None)
            state = {"state": "here", "camera": event["camera"], "since": event["time"]}
            state |= {"name": event.get("name"), "visit": event.get("visit")}
            if event.get("name"):
                self._tell_of_person(person, str(event["name"]), topic)
            self._publish(topic, state)
        elif kind == "person.left" and person:
            state = {"state": "away", "camera": event["camera"], "since": event["time"]}
            self._publish(topic, {**state, "name": event.get("name"), "visit": event.get("visit")})
        elif kind.startswith("camera."):
            key = event.get("camera_id") or _slug(event["camera"])
            topic = f"{self._prefix}/camera/{key}"
            self._tell_of_camera(key, event["camera"], topic)
            self._publish(topic, {"state": kind.partition(".")[2], "name": event["camera"]})
        elif kind == "occupancy":
            topic = f"{self._prefix}/zone/{event['zone']}"
            self._tell_of_zone(event["zone"], event["zone_name"], topic)
            self._publish(topic, {"count": event["count"], "name": event["zone_name"]})

    def _tell_of_camera(self, key: str, name: str, topic: str) -> None:
        self._tell(
            "binary_sensor",
            f"camera_{key}",
            {
                "name": f"Camera {name}",
                "device_class": "connectivity",
                "value_template": "{{ 'OFF' if value_json.state == 'offline' else 'ON' }}",
                "state_topic": topic,
            },
        )

    def _tell_of_zone(self, zone: int, name: str, topic: str) -> None:
        self._tell(
            "sensor",
            f"zone_{zone}",
            {
                "name": f"People in {name or zone}",
                "state_class": "measurement",
                "value_template": "{{ value_json.count }}",
                "state_topic": topic,
            },
        )

    def _tell_of_person(self, person: int, name: str, topic: str) -> None:
        self._tell(
            "binary_sensor",
            f"person_{person}",
            {
                "name": name,
                "device_class": "presence",
                "value_template": "{{ 'ON' if value_json.state == 'here' else 'OFF' }}",
                "state_topic": topic,
                "json_attributes_topic": topic,
            },
        )

    def _tell(self, component: str, key: str, config: dict[str, Any]) -> None:
        """Let Home Assistant find something, once for each connection."""
        name = config["name"]
        if not self._discovery or f"{key} {name}" in self._found:
            return
        unique = f"{_slug(self._prefix)}_{key}"
        config |= {
            "unique_id": unique,
            "availability_topic": f"{self._prefix}/status",
            "device": {"identifiers": [_slug(self._prefix)], "name": "Reunite"},
        }
        self._publish(f"{self._discovery}/{component}/{unique}/config", config)
        self._found.add(f"{key} {name}")

    def _publish(self, topic: str, content: dict[str, Any] | None, *, retain: bool = True) -> None:
        text = "" if content is None else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        try:
            sent = self._client.publish(topic, text, qos=1, retain=retain)
            sent.wait_for_publish(ACK_S)
        except (ValueError, RuntimeError) as error:
            raise CarrierError(f"the broker takes nothing ({error})") from None
        if not sent.is_published():
            raise CarrierError("the broker does not acknowledge")

    def _connected(
        self, client: Client, _: Any, __: ConnectFlags, reason: ReasonCode, ___: Properties | None
    ) -> None:
        if reason.is_failure:
            self._refused = f"refuses: {reason}"
            return
        self._refused = ""
        self._found.clear()  # the broker may have lost what it retained
        client.publish(f"{self._prefix}/status", "online", qos=1, retain=True)
        self._is_connected.set()

    def _disconnected(
        self, _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Properties | None
    ) -> None:
        self._is_connected.clear()


def _slug(text: str) -> str:
    """Letters and digits only, as topics and ids want them."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "reunite"
