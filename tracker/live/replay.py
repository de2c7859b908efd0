"""A finished run in the place of a tracker: its people, its events, and its video with who is on it."""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from foundation.errors import ReuniteError
from tracker.config import load_config
from tracker.events.maker import Event, EventMaker
from tracker.events.store import EventStore, Stay
from tracker.events.visits import LEFT_S
from tracker.live.link import Message
from tracker.live.publisher import Publisher
from tracker.live.site import Site
from tracker.live.tracking import privacy_of
from tracker.recording.folder import RunFolder
from tracker.recording.journal import ROW
from tracker.recording.reader import read_parquet
from tracker.reports.tracks import read_tracks
from tracker.sources import locate_cameras, open_source
from tracker.stages import CameraReport, Source
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tick, blank_image

STEP_S = 0.5
"""Events are made from who was seen at these steps."""

UNIX_S = 1e8
"""A time below this counts from the begin of the run."""

TELL_S = 0.5
"""How often the server is told who is in view, and how the cameras are."""

PROBED_TICKS = 50
"""Whichever camera has no frame in the first of them is taken to be as large as people stood far."""

RUN = "run"
"""What the stays of the site are of."""


class RecordedRun:
    """What a finished run left.

    Attributes:
        cameras: Its cameras in order.
        began_s: When it began, Unix time.
        offset_s: From its times to Unix times; 0 where they are Unix times, as those of live runs.

    Raises:
        ReuniteError: It is not there, or goes on.
    """

    def __init__(self, folder: Path) -> None:
        run, self._table = RunFolder(folder), folder / "sightings.parquet"
        if not run.config.is_file():
            raise ReuniteError(f"{folder}: is no run; name a folder that reunite track wrote, as runs/track")
        if run.is_unfinished or not self._table.is_file():
            raise ReuniteError(
                f"{folder}: this run goes on or was cut off; end it first: reunite track --resume {folder}"
            )
        self.folder, self.config = folder, load_config(run.config)
        self.tracks = read_tracks(folder / "tracks.csv")
        locations = locate_cameras(self.config.source, self.config.reading.secret_path_parts)
        self.cameras, self.addresses = list(locations), locations
        self._rows = self._read_rows()
        first_s = float(self._rows["time"].min(initial=np.inf))
        written_s = run.config.stat().st_mtime
        self.offset_s = written_s if first_s < UNIX_S or not len(self._rows) else 0.0
        # Of a copy, or where a camera was added, the file is newer than the run.
        self.began_s = min(written_s, first_s + self.offset_s)

    def fill(self, site: Site) -> None:
        """Give the site the run's cameras, stays and events; those of an earlier look stay."""
        site.know_cameras(self.addresses)
        store = EventStore(site.events)
        if not store.last_seq():
            store.add(self._events(), list(self._stays()))

    def open(self) -> Source | None:
        """The recordings of the run; None where they are gone, or it was of live cameras."""
        try:
            source = open_source(self.config.source, self.config.reading.model_copy(update={"loop": False}))
        except ReuniteError:
            return None
        if source.is_live or all(it.problem for it in source.reports.values()):
            source.close()
            return None
        return source

    def people(self, frame: Frame) -> Sightings:
        """Who was seen in a frame."""
        return _sightings(*self._of_frame(frame))

    def seen_s(self, frame: Frame) -> float | None:
        """When a frame was tracked, Unix time; None where nobody was seen in it."""
        rows, _ = self._of_frame(frame)
        return float(rows["time"][0]) + self.offset_s if len(rows) else None

    def _of_frame(self, frame: Frame) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        rows, who = self._of_camera.get(frame.camera, (np.empty(0, ROW), np.empty(0, np.int64)))
        here = slice(*np.searchsorted(rows["frame"], [frame.number, frame.number + 1]).tolist())
        return rows[here], who[here]

    def _read_rows(self) -> NDArray[np.void]:
        pieces = list(read_parquet(self._table, self.cameras))
        rows = np.concatenate([np.empty(0, ROW), *pieces])
        self._of_camera: dict[CameraName, tuple[NDArray[np.void], NDArray[np.int64]]] = {}
        for index, camera in enumerate(self.cameras):
            mine = rows[rows["camera"] == index]
            mine = mine[np.argsort(mine["frame"], kind="stable")]
            self._of_camera[camera] = mine, self._identities(camera, mine["track"])
        return rows

    def _identities(self, camera: CameraName, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.tracks is None:
            return np.zeros(len(track_ids), np.int64)
        mine = self.tracks[self.tracks.cameras == camera]
        known = dict(zip(mine.track_ids.tolist(), mine.identity_ids.tolist(), strict=True))
        return np.array([known.get(track, 0) for track in track_ids.tolist()], np.int64)

    def _stays(self) -> Iterator[Stay]:
        if self.tracks is None:
            return
        columns = (self.tracks.cameras, self.tracks.track_ids, self.tracks.identity_ids)
        times = (self.tracks.begin_s + self.offset_s, self.tracks.end_s + self.offset_s)
        for camera, track, person, begin, end in zip(
            *(it.tolist() for it in (*columns, *times)), strict=True
        ):
            yield Stay(RUN, camera, track, person or None, begin, end)

    def _events(self) -> list[Event]:
        """What happened, as it turned out in the end."""
        maker, made = EventMaker(1, self.config.identity.max_false_merge_rate), list[Event]()
        known, named = set[int](), set[tuple[CameraName, int]]()
        sizes = self._sizes()
        for at_s, seen in self._steps():
            frames = tuple(
                Frame(camera, number, at_s, blank_image(*sizes[camera]))
                for camera, (number, _) in seen.items()
            )
            found_out = []
            for camera, (_, sightings) in seen.items():
                pairs = zip(sightings.track_ids.tolist(), sightings.identity_ids.tolist(), strict=True)
                for track, person in pairs:
                    if person and (camera, track) not in named:
                        kind: Literal["new", "returned"] = "returned" if person in known else "new"
                        found_out.append(IdentityEvent(at_s, kind, camera, track, person))
                        named.add((camera, track))
                        known.add(person)
            made += maker.observe(
                Tick(at_s, frames), {camera: sightings for camera, (_, sightings) in seen.items()}, found_out
            )
            made += maker.pass_time(at_s, {})
        if made:
            made += maker.pass_time(at_s + 2 * LEFT_S, {})
        return made

    def _steps(self) -> Iterator[tuple[float, dict[CameraName, tuple[int, Sightings]]]]:
        """The last frame of each camera in every step in which anybody was seen, and its people."""
        rows = self._rows[np.argsort(self._rows["time"], kind="stable")]
        steps = np.floor(rows["time"] / STEP_S)
        for part in np.split(rows, np.flatnonzero(np.diff(steps)) + 1):
            seen = {}
            for index in np.unique(part["camera"]).tolist():
                camera, mine = self.cameras[index], part[part["camera"] == index]
                mine = mine[mine["frame"] == mine["frame"].max()]
                seen[camera] = (
                    int(mine["frame"][0]),
                    _sightings(mine, self._identities(camera, mine["track"])),
                )
            if seen:
                yield float(part["time"][-1]) + self.offset_s, seen

    def _sizes(self) -> dict[CameraName, tuple[int, int]]:
        """Of the pictures of each camera: as they are recorded, or as far as people stood."""
        sizes = {}
        for camera, (rows, _) in self._of_camera.items():
            right, low = rows["box"][:, 2:].max(axis=0, initial=16).tolist()
            sizes[camera] = round(right), round(low)
        source = self.open()
        if source is not None:
            with closing(source):
                for tick in itertools.islice(source.ticks(), PROBED_TICKS):
                    sizes |= {frame.camera: frame.size for frame in tick.frames}
        return sizes


class Player:
    """Plays the recordings of a run to the server, again and again, at their own pace.

    Args:
        run: What was recorded.
        site: Its site.
    """

    def __init__(self, run: RecordedRun, site: Site) -> None:
        self._run, self._site = run, site
        self._offset_s = run.began_s  # from the times of its recordings to Unix times
        # Over all rounds: those of the recordings count from 0 in each.
        self._reports = {camera: CameraReport() for camera in run.cameras}
        self.publisher = Publisher(is_live=False)
        self.publisher.protect(privacy_of(site))
        self._status: dict[CameraName, dict[str, Any]] = {
            camera: {"status": "offline", "problem": "its recording is not there any more"}
            for camera in run.cameras
        }

    def answer(self, message: Message) -> None:
        """Do what the server asks for, as far as it changes nothing."""
        header, _ = message
        if self.publisher.answer(header):
            return
        if header.get("type") == "reload":
            self.publisher.protect(privacy_of(self._site))
        elif "id" in header:
            self.publisher.tell(
                {"type": "reply", "id": header["id"], "refused": "this is a finished run: nothing is tracked"}
            )

    def play(self, stop: threading.Event) -> None:
        """Until ``stop``."""
        while not stop.is_set():
            source = self._run.open()
            if source is None:
                self._tell(EventMaker(1, 0.0), {})
                stop.wait(TELL_S)
                continue
            with closing(source):
                self._play_once(source, stop)
            stop.wait(TELL_S)

    def close(self) -> None:
        self.publisher.close()

    def _play_once(self, source: Source, stop: threading.Event) -> None:
        maker, begin_s, told_s = EventMaker(1, 0.0), time.monotonic(), -TELL_S
        first_s: float | None = None
        for tick in source.ticks():
            first_s = tick.time if first_s is None else first_s
            due_s = begin_s + tick.time - first_s
            if stop.wait(max(due_s - time.monotonic(), 0.0)):
                return
            frames = tuple(self._as_it_was(frame) for frame in tick.frames)
            people = {str(frame.camera): self._run.people(frame) for frame in frames}
            at_s = max(frame.time for frame in frames)
            maker.observe(Tick(at_s, frames), people, [])
            maker.pass_time(at_s, {})
            for frame in frames:
                self.publisher.put(frame, people[frame.camera], maker.visits)
                self._reports[frame.camera].read += 1
            self.publisher.rates.count(time.monotonic(), self._reports)
            if time.monotonic() - told_s >= TELL_S:
                told_s = time.monotonic()
                self._tell(maker, {frame.camera: (frame, people[frame.camera]) for frame in frames})

    def _as_it_was(self, frame: Frame) -> Frame:
        """A frame at its Unix time in the run, which may have played the recording as a live camera.

        Until somebody is seen nothing says when exactly that began: shortly after the run itself.
        """
        seen_s = self._run.seen_s(frame)
        if seen_s is not None:
            self._offset_s = seen_s - frame.time
        return replace(frame, time=frame.time + self._offset_s if seen_s is None else seen_s)

    def _tell(self, maker: EventMaker, newest: Mapping[CameraName, tuple[Frame, Sightings]]) -> None:
        for camera, (frame, seen) in newest.items():
            fps, dropped = self.publisher.rates.of(camera)
            self._status[camera] = {
                "status": "recorded",
                "problem": "",
                "fps": fps,
                "dropped": dropped,
                "width": frame.size[0],
                "height": frame.size[1],
                "people": len(seen),
            }
        none = {
            "fps": 0.0,
            "dropped": 0.0,
            "delay_s": None,
            "reconnects": 0,
            "width": 0,
            "height": 0,
            "people": 0,
        }
        cameras: Sequence[dict[str, Any]] = [
            {"name": camera, "read": 0, "lost": 0, **none, **it} for camera, it in self._status.items()
        ]
        self.publisher.tell({"type": "cameras", "cameras": cameras})
        self.publisher.tell({"type": "people", "people": maker.people_here()})


def _sightings(rows: NDArray[np.void], who: NDArray[np.int64]) -> Sightings:
    return Sightings(
        rows["track"].astype(np.int64), who, rows["box"].astype(np.float64), rows["score"].astype(np.float64)
    )
