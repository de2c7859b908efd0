"""The carriers of a site's events, as an admin has set them."""

import secrets
import threading
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from foundation.errors import ReuniteError
from foundation.passwords import mask_password
from tracker.events.carriers import Carrier, CarrierRunner, JsonLines
from tracker.events.mqtt import Mqtt
from tracker.events.store import EventStore
from tracker.events.webhook import Webhook
from tracker.live.labels import Labels
from tracker.live.site import Site

Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w./ -]+$")]
Secret = Annotated[str, Field(max_length=500)]


class WebhookSetting(BaseModel):
    """A receiver of webhooks. Without a secret it keeps the one it had, or gets a new one."""

    model_config = ConfigDict(extra="forbid")

    name: Word
    address: Annotated[str, Field(max_length=2000)]
    secret: Secret | None = None


class MqttSetting(BaseModel):
    """A broker. Without a password it keeps the one it had."""

    model_config = ConfigDict(extra="forbid")

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    prefix: Word = "reunite"
    user: Secret = ""
    password: Secret | None = None
    tls: bool = False
    discovery: Annotated[str, Field(max_length=100)] = "homeassistant"


class CarrierSettings(BaseModel):
    """Where events go, beside ``events.jsonl`` and the stream."""

    model_config = ConfigDict(extra="forbid")

    webhooks: Annotated[list[WebhookSetting], Field(max_length=20)] = Field(default=[])
    mqtt: MqttSetting | None = None

    def shown(self) -> dict[str, Any]:
        """Without what is secret."""
        told = self.model_dump()
        for webhook in told["webhooks"]:
            webhook["address"], webhook["secret"] = mask_password(webhook["address"]), None
        if told["mqtt"]:
            told["mqtt"]["password"] = None
        return told


class Carriers:
    """Runs ``events.jsonl`` and all that is set; any thread may change what is set."""

    def __init__(self, site: Site, store: EventStore, labels: Labels) -> None:
        self._site, self._store, self._labels = site, store, labels
        self._runners: list[CarrierRunner] = []
        self._lock = threading.Lock()

    @property
    def settings(self) -> CarrierSettings:
        """As they were stored."""
        return CarrierSettings.model_validate(self._site.setting("carriers", {}))

    def start(self) -> None:
        """Begin to deliver, each from where it was left."""
        with self._lock:
            carriers: list[Carrier] = [JsonLines(self._site.folder / "events.jsonl")]
            settings = self.settings
            carriers += [Webhook(it.name, it.address, it.secret or "") for it in settings.webhooks]
            if (mqtt := settings.mqtt) is not None:
                carriers.append(
                    Mqtt(
                        mqtt.host,
                        mqtt.port,
                        prefix=mqtt.prefix,
                        user=mqtt.user,
                        password=mqtt.password or "",
                        tls=mqtt.tls,
                        discovery=mqtt.discovery,
                    )
                )
            self._runners = [CarrierRunner(it, self._store, self._labels.event) for it in carriers]

    def change(self, settings: CarrierSettings) -> CarrierSettings:
        """Deliver to these from now on; with the secrets that were made up.

        Raises:
            ReuniteError: An address cannot be used.
        """
        before = self.settings
        secret_of = {it.name: it.secret for it in before.webhooks}
        names = [it.name for it in settings.webhooks]
        if len(set(names)) < len(names):
            raise ReuniteError("two receivers have one name; each needs its own")
        webhooks = [
            it.model_copy(update={"secret": it.secret or secret_of.get(it.name) or secrets.token_urlsafe(24)})
            for it in settings.webhooks
        ]
        for it in webhooks:
            Webhook(it.name, it.address, "")  # is its address one?
        mqtt = settings.mqtt
        if mqtt and mqtt.password is None and before.mqtt:
            mqtt = mqtt.model_copy(update={"password": before.mqtt.password})
        changed = CarrierSettings(webhooks=webhooks, mqtt=mqtt)
        self._site.set("carriers", changed.model_dump())
        self.close()
        self.start()
        return changed

    def states(self) -> list[dict[str, Any]]:
        """How far each is, and what holds it up."""
        last = self._store.last_seq()
        with self._lock:
            runners = list(self._runners)
        return [
            {
                "name": it.name,
                "waiting": last - (self._store.delivered(it.name) or 0),
                "problem": it.problem,
            }
            for it in runners
        ]

    def close(self) -> None:
        """Let go of all; what was not delivered waits in the log."""
        with self._lock:
            runners, self._runners = self._runners, []
        for runner in runners:
            runner.close()
