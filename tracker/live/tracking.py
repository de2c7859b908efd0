"""The process that tracks: a run that makes events, sends pictures, and keeps a server running."""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.analytics.zones import ZoneWatch
from tracker.config import dump_config
from tracker.events.maker import EventMaker
from tracker.events.store import EventStore, EventWriter, Stay, Step
from tracker.events.visits import TrackKey
from tracker.identity.corrections import SOMEBODY_NEW
from tracker.live.chosen import changed
from tracker.live.ground import Standing
from tracker.live.knowledge import Knowledge
from tracker.live.link import Link, Message
from tracker.live.publisher import Privacy, Publisher
from tracker.live.site import Site
from tracker.live.taught import corrected_pairs
from tracker.live.watching import PhotoWatch
from tracker.live.zones import rates_of, read_zones
from tracker.recording.fitness import without_passwords
from tracker.recording.run import TrackingRun
from tracker.sinks.blur import Blur
from tracker.sources.addresses import find_cameras
from tracker.sources.live import LiveSource
from tracker.sources.loop import LoopedSource
from tracker.stages import CameraReport
from tracker.types import CameraName, IdentityEvent, Sightings, Tick

logger = logging.getLogger(__name__)

STATUS_EVERY_S = 1.0
PEOPLE_EVERY_S = 0.5
MAX_CANDIDATES = 10
STAYS_EVERY_S = 1.0
PHOTOS_EVERY_S = 0.5
RATES_EVERY_S = 30.0


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
        self._zones, self._watched = ZoneWatch(), frozenset[int]()
        self._knowledge = Knowledge()
        self._maker = EventMaker(
            self.store.last_seq() + 1,
            max_false_merge_rate,
            lambda: self._watched,
            self._zones,
            self._knowledge,
        )
        self._link: Link | None = None
        self._tracking: TrackingRun | None = None
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._people: list[dict[str, Any]] = []
        self._merged_by_hand: list[tuple[int, int]] = []  # gone and kept, until the linker's event comes
        self._paused: frozenset[str] = frozenset()
        self._due_s = dict.fromkeys(("people", "photos", "rates", "stays"), 0.0)
        self._photos = PhotoWatch(site)
        self._reload()
        self._ended = threading.Event()
        self._clock = threading.Thread(target=self._tell_status, name="status", daemon=True)
        self._clock.start()

    def follow(self, run: TrackingRun) -> None:
        """The run is open: its cameras are there, and its identities can be corrected."""
        self._tracking, self._reports = run, lambda: run.source.reports
        self._knowledge.identities = run.identities
        if run.config.ground.homographies:
            self._knowledge.standing = Standing(run.tracker.ground)
        self._teach()

    def observe(
        self, tick: Tick, sightings: Mapping[str, Sightings], events: Sequence[IdentityEvent]
    ) -> None:
        """See `Observer`."""
        self._write_identities(events)  # before `obey`: what users correct comes after what was found out
        self.obey()
        sightings, masked = self._without_masked(tick, sightings)
        events = [event for event in events if (event.camera, event.track_id) not in masked]
        if self._knowledge.standing:
            self._knowledge.standing.see(tick, sightings)
        with self._lock:
            made = self._maker.observe(tick, sightings, events)
            visits = self._maker.visits
            for frame in () if tick.is_skipped else tick.frames:  # a newer one is there already
                self.publisher.put(frame, sightings[frame.camera], visits)
            stays = self._stays(tick.time)
            steps = self._steps() if stays else []
        self._writer.put(made, stays, steps)
        self._look_for_photos(tick.time)
        self._send_people(tick.time)
        self._tell_rates(tick.time)

    def _write_identities(self, events: Sequence[IdentityEvent]) -> None:
        """Let the log of stays say what was found out, also of tracks that are out of view: no sighting of
        those will tell it."""
        for event in events:
            if event.kind == "merged":
                pair = (event.other, event.identity)
                is_by_hand = pair in self._merged_by_hand
                if is_by_hand:
                    self._merged_by_hand.remove(pair)
                # What users merged is in the log already; stays of other runs may be apart again since.
                self._writer.rename(*pair, self._run if is_by_hand else None)
            else:
                self._writer.assign([(self._run, event.camera, event.track_id)], event.identity)

    def obey(self) -> None:
        """Do what users asked for since the last call; on the thread that tracks, between two ticks or while
        none comes, as when every camera is offline."""
        while not self._commands.empty():
            self._commands.get()()

    def connect(self, link: Link | None) -> None:
        """A server is there, or it has gone."""
        self._link = link
        self.publisher.connect(link)

    def answer(self, message: Message) -> None:
        """Do what the server asks for."""
        header, _ = message
        if self.publisher.answer(header):
            return
        tracking = self._tracking
        match header.get("type"):
            case "reload":
                self._protect()  # at once, whether or not a frame comes
                self._commands.put(self._reload)
            case _ if tracking is None:
                refused = "the cameras are opened just now; try again in a moment"
                self._send({"type": "reply", "id": header.get("id"), "refused": refused})
            case "correct":
                self._commands.put(partial(self._correct, tracking, header))
            case "explain":
                self._commands.put(partial(self._explain, tracking, header))
            case "pause":
                self._pause(tracking, header)
            case "set":
                self._commands.put(partial(self._change, tracking, header))
            case "add":
                self._commands.put(partial(self._add_camera, tracking, header))

    def close(self) -> None:
        """The run has ended: write what is left."""
        self._ended.set()
        self._clock.join()
        self.publisher.close()
        self._writer.close()

    def _pause(self, tracking: TrackingRun, header: Mapping[str, Any]) -> None:
        source, camera, refused = tracking.source, CameraName(header["camera"]), {}
        if isinstance(source, LiveSource | LoopedSource):
            source.pause(camera, paused=header["paused"])
            self._paused = self._paused | {camera} if header["paused"] else self._paused - {camera}
        else:
            refused = {"refused": "a recording cannot be paused"}
        self._send({"type": "reply", "id": header["id"], **refused})

    def _add_camera(self, tracking: TrackingRun, header: Mapping[str, Any]) -> None:
        """On the thread that tracks: a camera of the site's list is new, if it still is in there."""
        refused: dict[str, str] = {}
        try:
            listed = {it.name: it for it in find_cameras([str(self.site.added)])}
            if (camera := listed.get(header["name"])) is None:
                raise ReuniteError(f"camera {header['name']!r} is not in the list any more; add it again")
            tracking.add_camera(camera, str(self.site.added))
            self.site.know_cameras({camera.name: camera.shown})
        except ReuniteError as error:
            refused["refused"] = str(error)
        self._send({"type": "reply", "id": header["id"], **refused})

    def _change(self, tracking: TrackingRun, header: Mapping[str, Any]) -> None:
        """On the thread that tracks: a setting is another from now on."""
        try:
            config = changed(self.site, header["key"], header["value"])
        except ReuniteError as error:
            self._send({"type": "reply", "id": header["id"], "refused": str(error)})
            return
        tracking.change(config)
        with self._lock:
            self._maker.false_merge_rate = config.identity.max_false_merge_rate
        write_whole(self.site.config, dump_config(without_passwords(tracking.config)).encode())
        self._send({"type": "reply", "id": header["id"]})

    def _correct(self, tracking: TrackingRun, header: Mapping[str, Any]) -> None:
        """On the thread that tracks: somebody says who is who."""
        corrections, answer = tracking.identities.corrections(), dict[str, Any]()
        match header["kind"]:
            case "merge":
                answer["tracks"] = corrections.tracks_of(header["gone"])
                answer["cosines"] = corrections.join(header["kept"], header["gone"])
                self._writer.rename(header["gone"], header["kept"])
                if answer["tracks"]:
                    self._merged_by_hand.append((header["gone"], header["kept"]))
            case "part":
                # Other tracks have the numbers of an earlier run's now, so of that only stays change.
                stays = header["stays"]
                tracks = [(CameraName(camera), track) for run, camera, track in stays if run == self._run]
                number, cosines = corrections.part(tracks, header.get("person", SOMEBODY_NEW))
                self._writer.assign(stays, number)
                answer |= {"person": number, "cosines": cosines}
            case "forget":
                corrections.forget(header["person"])
        answer |= {"network": str(tracking.network), "run": self._run}
        self._send({"type": "reply", "id": header["id"], **answer})

    def _teach(self) -> None:
        """On the thread that tracks: what users corrected and whom they look for."""
        if self._tracking:
            network = str(self._tracking.network)
            self._tracking.identities.teach(corrected_pairs(self.site, network))
            self._photos.reload(network)

    def _look_for_photos(self, now_s: float) -> None:
        if now_s >= self._due_s["photos"] and self._tracking:
            self._due_s["photos"] = now_s + PHOTOS_EVERY_S
            try:
                if self._photos.look(self._tracking.identities):
                    self._reload()
            except sqlite3.Error as error:  # tracking goes on, and it is tried again
                logger.warning("%s: the watchlist cannot be written (%s)", self.site.folder, error)

    def _explain(self, tracking: TrackingRun, header: Mapping[str, Any]) -> None:
        """On the thread that tracks: what speaks for and against whom a track may be."""
        identities = tracking.identities
        found = identities.candidates(CameraName(header["camera"]), header["track"])
        answer: dict[str, Any] = {"candidates": []}
        if found is not None:
            columns = (found.identity_ids, found.cosines, found.extra, found.log_odds, found.probabilities)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            best = sorted(rows, key=lambda row: -row[3])[:MAX_CANDIDATES]
            answer["candidates"] = best
        report = identities.similarity_report()
        if report is not None:
            step = slice(None, None, max(len(report.grid) // 100, 1))
            answer["grid"] = report.grid[step].round(3).tolist()
            answer["same"] = report.density_same[step].round(4).tolist()
            answer["different"] = report.density_different[step].round(4).tolist()
            answer["threshold"] = round(report.threshold, 4)
            answer["missed_rate"] = round(report.expected_missed_rate, 4)
        self._send({"type": "reply", "id": header["id"], **answer})

    def _without_masked(
        self, tick: Tick, sightings: Mapping[str, Sightings]
    ) -> tuple[Mapping[str, Sightings], set[TrackKey]]:
        """Whoever stands where a mask says so is not there: a screen, a mirror, the street outside."""
        masked: set[TrackKey] = set()
        kept = dict(sightings)
        for frame in tick.frames:
            seen, size = sightings[frame.camera], frame.size
            if not len(seen) or not self._zones.has_masks(frame.camera):
                continue
            feet = np.column_stack(((seen.boxes[:, 0] + seen.boxes[:, 2]) / 2, seen.boxes[:, 3])) / size
            is_masked = np.array([self._zones.ignores(frame.camera, x, y) for x, y in feet.tolist()])
            masked |= {(frame.camera, track) for track in seen.track_ids[is_masked].tolist()}
            kept[frame.camera] = seen[~is_masked]
        return kept, masked

    def _tell_rates(self, now_s: float) -> None:
        """From time to time, the errors that the site's own pairs make likely."""
        if now_s < self._due_s["rates"] or self._tracking is None:
            return
        self._due_s["rates"] = now_s + RATES_EVERY_S
        report = self._tracking.identities.similarity_report()
        if report is not None:
            self._send({"type": "rates", "rates": rates_of(report)})

    def _reload(self) -> None:
        """What users set has changed: read it from the site's file."""
        with self._lock:
            self._zones.watch(read_zones(self.site))
            rows = self.site.rows("SELECT person FROM watch WHERE person IS NOT NULL")
            self._watched = frozenset(row["person"] for row in rows)
        self._protect()
        self._teach()

    def _protect(self) -> None:
        privacy = privacy_of(self.site)
        self.publisher.protect(privacy)
        if self._tracking:
            self._tracking.blur = privacy.blur

    def _stays(self, now_s: float) -> list[Stay]:
        if now_s < self._due_s["stays"]:
            return []
        self._due_s["stays"] = now_s + STAYS_EVERY_S
        return [
            Stay(self._run, *it.key, it.identity or None, it.begin_s, it.last_s) for it in self._maker.tracks
        ]

    def _steps(self) -> list[Step]:
        """Where everybody stands now, where that is known."""
        standing = self._knowledge.standing
        placed = [(it, standing.of_track(it.key)) for it in self._maker.tracks] if standing else []
        return [Step(self._run, *it.key, it.last_s, *place) for it, place in placed if place]

    def _send_people(self, now_s: float) -> None:
        if now_s < self._due_s["people"] or self._link is None:
            return
        self._due_s["people"] = now_s + PEOPLE_EVERY_S
        with self._lock:
            people: list[dict[str, Any]] = self._maker.people_here()
        if standing := self._knowledge.standing:
            people = [{**it, "ground": standing.of(it["person"])} for it in people]
        if people != self._people:
            self._people = people
            self.publisher.tell({"type": "people", "people": people})

    def _tell_status(self) -> None:
        """Each second: what came of time passing, and how the cameras are."""
        while not self._ended.wait(STATUS_EVERY_S):
            now_s, reports = time.time(), dict(self._reports())  # others are added by another thread
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
                    "status": "paused" if camera in self._paused else _status_of(report),
                    "problem": report.problem,
                    "fps": fps,
                    "dropped": dropped,
                    "read": report.read,
                    "lost": report.dropped + report.skipped,
                    "delay_s": self.publisher.rates.delay_of(camera),
                    "reconnects": report.reconnects,
                    "width": size[0],
                    "height": size[1],
                    "people": len(newest[1]) if newest else 0,
                }
            )
        return cameras

    def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        self.publisher.tell(header, body)


def privacy_of(site: Site) -> Privacy:
    """What may be shown of people at a site."""
    shown = site.privacy()
    return Privacy(shown["pictures"], Blur(shown["blur"], shown["but"]))


def _status_of(report: CameraReport) -> str:
    if report.problem:
        return "offline"
    return "online" if report.read else "connecting"
