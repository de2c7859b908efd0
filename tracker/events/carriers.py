"""What carries events away: each carrier has its place in the log, which is its queue, and loses nothing."""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from foundation.errors import ReuniteError
from tracker.events.maker import Event
from tracker.events.store import EventStore

logger = logging.getLogger(__name__)

LOOK_S = 0.25
"""Between two looks into the log."""

FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 60.0
"""After a failure; each later pause is twice as long as the one before."""

BATCH = 100
"""Events that are handed over at once, at most."""


class CarrierError(Exception):
    """What was handed over was not taken; it will be tried again."""


class Carrier(Protocol):
    """Takes events away.

    Attributes:
        name: Of its place in the log.
    """

    name: str

    def start_after(self, store: EventStore) -> int:
        """The event after which a carrier that has delivered nothing yet begins."""

    def deliver(self, events: Sequence[Event]) -> None:
        """Hand over all of them, in their order; what was taken is safe.

        Raises:
            CarrierError: Not all were taken.
        """

    def close(self) -> None:
        """Let go of connections."""


class CarrierRunner:
    """Runs one carrier on a thread of its own, from where it was left.

    Args:
        carrier: Which.
        store: The log.
        dress: Makes of an event of the log what is told.
    """

    def __init__(
        self, carrier: Carrier, store: EventStore, dress: Callable[[Mapping[str, Any]], Event]
    ) -> None:
        self.problem = ""
        self._carrier, self._store, self._dress = carrier, store, dress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=carrier.name, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The carrier's."""
        return self._carrier.name

    def close(self) -> None:
        """End after what is being handed over."""
        self._stop.set()
        self._thread.join()
        self._carrier.close()

    def _run(self) -> None:
        pause_s, done = FIRST_PAUSE_S, None
        while not self._stop.is_set():
            try:
                if done is None:
                    done = self._store.delivered(self.name)
                    if done is None:
                        done = self._carrier.start_after(self._store)
                        self._store.deliver(self.name, done)
                events = self._store.events("seq > ?", (done,), limit=BATCH)
                if events:
                    self._carrier.deliver([self._dress(event) for event in events])
                    done = events[-1]["seq"]
                    self._store.deliver(self.name, done)
                self.problem, pause_s = "", FIRST_PAUSE_S
                if len(events) < BATCH:
                    self._stop.wait(LOOK_S)
            except (CarrierError, ReuniteError, OSError) as error:
                if self.problem != str(error):
                    logger.warning("%s: %s; trying again until it is taken", self.name, error)
                self.problem = str(error)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, MAX_PAUSE_S)


class JsonLines:
    """``events.jsonl``: a line for each event. The file itself says where it stands, so no line comes twice.

    Args:
        path: The file; made if it is not there.
        max_bytes: A file that is larger is put aside as ``events-SEQ.jsonl``, named by its last event.
    """

    def __init__(self, path: Path, max_bytes: int = 64 << 20) -> None:
        self.name, self._path, self._max_bytes = "events.jsonl", path, max_bytes
        self._last = _last_seq(path)

    def start_after(self, store: EventStore) -> int:
        """The first event: the file has all that is in the log."""
        return 0

    def deliver(self, events: Sequence[Event]) -> None:
        """Append those that are not there yet."""
        new = [event for event in events if event["seq"] > self._last]
        if not new:
            return
        text = "".join(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in new)
        with self._path.open("ab", buffering=0) as file:
            file.write(text.encode())
            os.fsync(file.fileno())
            size = file.tell()
        self._last = new[-1]["seq"]
        if size > self._max_bytes:
            self._path.rename(self._path.with_name(f"{self._path.stem}-{self._last}.jsonl"))

    def close(self) -> None:
        """Nothing is open between two deliveries."""


def _last_seq(path: Path) -> int:
    """The number in the last whole line of a file; what was cut off behind it is taken away."""
    if not path.exists():
        return 0
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(size - (1 << 20), 0)
        file.seek(start)
        tail = file.read()
        whole = tail[: tail.rfind(b"\n") + 1]
        file.truncate(start + len(whole))
    lines = whole.splitlines()
    try:
        return int(json.loads(lines[-1])["seq"]) if lines else 0
    except (ValueError, KeyError, TypeError):
        raise ReuniteError(
            f"{path}: its last line is no event; move it away, and it is written anew"
        ) from None
