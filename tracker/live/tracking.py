"""The process that tracks: a run that makes events, sends pictures, and keeps a server running."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tracker.events.maker import EventMaker
from tracker.events.store import EventStore, EventWriter, Stay
from tracker.live.link import Link, Message
from tracker.live.publisher import Privacy, Publisher
from tracker.live.site import Site
from tracker.recording.run import TrackingRun
from tracker.stages import CameraReport
from tracker.types import CameraName, IdentityEvent, Sightings, Tick

logger = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
PEOPLE_EVERY_S = 0.5
STAYS_EVERY_S = 1.0


class LiveObserver:
    """Follows a run: events into the log, pictures to the server, wishes of users into the run.

    What the run's thread calls only hands over; disk, network and JPEG are the work of other threads.

    Args:
        site: Where everything is kept.
        run: A name for the run, which no other run of the site has.
        cameras: Their names.
        max_false_merge_rate: As the run is set.
    """

    def __init__(self, site: Site, run: str, cameras: Iterable[str], max_false_merge_rate: float) -> None:
        self.site, self.store = site, EventStore(site.events)
        self._run, self._writer = run, EventWriter(self.store, logger.warning)
        unopened = {CameraName(camera): CameraReport() for camera in cameras}
        self._reports: Callable[[], Mapping[CameraName, CameraReport]] = lambda: unopened
        self.publisher = Publisher()
        self._lock = threading.Lock()  # of the maker
        self._maker = EventMaker(self.store.last_seq() + 1, max_false_merge_rate)
        self._link: Link | None = None
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._people: list[dict[str, Any]] = []
        self._due_s = dict.fromkeys(("people", "stays"), 0.0)
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tell_status, name="status", daemon=True)
        self._clock.start()

    def follow(self, run: TrackingRun) -> None:
        """The run is open: its cameras are there, and its identities can be corrected."""
        self._reports = lambda: run.source.reports

    def observe(
        self, tick: Tick, sightings: Mapping[str, Sightings], events: Sequence[IdentityEvent]
    ) -> None:
        """See `Observer`."""
        while not self._commands.empty():
            self._commands.get()()
        with self._lock:
            made = self._maker.observe(tick, sightings, events)
            visits = self._maker.visits
            for frame in tick.frames:
                self.publisher.put(frame, sightings[frame.camera], visits)
            stays = self._stays(tick.time)
        for event in events:
            if event.kind == "merged":
                self._writer.rename(event.other, event.identity)
        self._writer.put(made, stays)
        self._send_people(tick.time)

    def connect(self, link: Link | None) -> None:
        """A server is there, or it has gone."""
        self._link = link
        self.publisher.connect(link)

    def answer(self, message: Message) -> None:
        """Do what the server asks for."""
        header, _ = message
        match header.get("type"):
            case "want":
                self.publisher.want({camera: tuple(it) for camera, it in header["cameras"].items()})
            case "privacy":
                self.publisher.protect(Privacy(header["pictures"], header["blur"], header["but"]))
            case "picture":
                jpeg = self.publisher.picture(header["camera"], header["width"])
                self._send({"type": "reply", "id": header["id"]}, jpeg)

    def close(self) -> None:
        """The run has ended: write what is left."""
        self._ended.set()
        self._clock.join()
        self.publisher.close()
        self._writer.close()

    def _stays(self, now_s: float) -> list[Stay]:
        if now_s < self._due_s["stays"]:
            return []
        self._due_s["stays"] = now_s + STAYS_EVERY_S
        return [
            Stay(self._run, *it.key, it.identity or None, it.begin_s, it.last_s) for it in self._maker.tracks
        ]

    def _send_people(self, now_s: float) -> None:
        if now_s < self._due_s["people"] or self._link is None:
            return
        self._due_s["people"] = now_s + PEOPLE_EVERY_S
        with self._lock:
            people = self._maker.people_here()
        if people != self._people:
            self._people = people
            self.publisher.tell({"type": "people", "people": people})

    def _tell_status(self) -> None:
        """Each second: what came of time passing, and how the cameras are."""
        while not self._ended.wait(STATUS_EVERY_S):
            now_s, reports = time.time(), self._reports()
            self.publisher.rates.count(now_s, reports)
            with self._lock:
                made = self._maker.pass_time(now_s, reports)
            self._writer.put(made)
            self._send({"type": "cameras", "cameras": self._status(reports)})

    def _status(self, reports: Mapping[CameraName, CameraReport]) -> list[dict[str, Any]]:
        cameras = []
        for camera, report in reports.items():
            fps, dropped = self.publisher.rates.of(camera)
            newest = self.publisher.newest(camera)
            size = newest[0].size if newest else (0, 0)
            cameras.append(
                {
                    "name": camera,
                    "status": _status_of(report),
                    "problem": report.problem,
                    "fps": fps,
                    "dropped": dropped,
                    "delay_s": 0.0,
                    "reconnects": report.reconnects,
                    "width": size[0],
                    "height": size[1],
                    "people": len(newest[1]) if newest else 0,
                }
            )
        return cameras

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.publisher.tell(header, body)


def _status_of(report: CameraReport) -> str:
    if report.problem:
        return "offline"
    return "online" if report.read else "connecting"
