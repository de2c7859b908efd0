"""What cameras and people are called: ids, names and colours, as a site has them now."""

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from foundation.figures import Color
from tracker.colors import person_color
from tracker.live.site import Site

READ_EVERY_S = 1.0
"""The site's file is read again after this long; another process may have changed it."""


class Labels:
    """Reads them once a second; any thread may ask."""

    def __init__(self, site: Site) -> None:
        self._site, self._lock = site, threading.Lock()
        self._read_s = -READ_EVERY_S
        self._ids: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._hidden: frozenset[int] = frozenset()

    def refresh(self, *, now: bool = False) -> None:
        """Read again, if it is time or must be now."""
        with self._lock:
            if now or time.monotonic() - self._read_s > READ_EVERY_S:
                cameras = self._site.cameras()
                self._ids = {it.name: it.id for it in cameras}
                self._addresses = {it.name: it.address for it in cameras}
                self._names = self._site.names()
                self._hidden = self._site.hidden()
                self._read_s = time.monotonic()

    def camera_id(self, name: str) -> int | None:
        """The id of a camera of this name; None where there is none."""
        self.refresh(now=name not in self._ids)
        return self._ids.get(name)

    def camera_key(self, name: str) -> str | None:
        """The id as the API writes it."""
        number = self.camera_id(name)
        return None if number is None else f"c{number}"

    def camera_name(self, number: int) -> str | None:
        """The name of the camera with this id."""
        self.refresh()
        return next((name for name, it in self._ids.items() if it == number), None)

    def address(self, name: str) -> str:
        """Of a camera, without its password."""
        self.refresh()
        return self._addresses.get(name, "")

    def names(self) -> Mapping[int, str]:
        """The names of people."""
        self.refresh()
        return self._names

    def hidden(self) -> frozenset[int]:
        """Those who are to be forgotten soon."""
        self.refresh()
        return self._hidden

    def person(self, person: int | None) -> dict[str, Any]:
        """Name and colour of a person, as every answer has them."""
        return {
            "name": self.names().get(person) if person else None,
            "color": hex_of(person_color(person or 0)),
        }

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """An event of the log with what is called how now."""
        dressed = dict(event)
        if others := event.get("alternatives"):
            hidden = self.hidden()
            dressed["alternatives"] = [it for it in others if it["person"] not in hidden]
        if camera := event.get("camera"):
            dressed["camera_id"] = self.camera_key(camera)
        if person := event.get("person"):
            dressed["name"] = self.names().get(person)
            dressed["thumb"] = thumb_of(person)
        return dressed


def iso(unix_s: float) -> str:
    """ISO 8601 with zone, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def hex_of(color: Color) -> str:
    """``#rrggbb``."""
    red, green, blue = color
    return f"#{red:02x}{green:02x}{blue:02x}"


def thumb_of(person: int | None) -> str | None:
    """Where the picture of a person is, if one is kept."""
    return f"/api/v1/people/{person}/thumb" if person else None
