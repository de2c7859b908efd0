"""A person is forgotten in all files of a run: gallery, tracks, sightings, events, figures and checkpoint."""

import csv
import fcntl
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foundation.arrays import IntArray
from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.config import RunConfig, load_config
from tracker.gallery import Gallery
from tracker.gallery.arrays import people_from_arrays, people_to_arrays
from tracker.ground import GroundPlane
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.identity.table import NOBODY_FROM
from tracker.recording.checkpoint import load_checkpoint, save_checkpoint
from tracker.recording.folder import RunFolder
from tracker.recording.reader import FOLDER, read_parquet
from tracker.recording.store import RunStore
from tracker.reports.tracks import read_tracks, write_tracks
from tracker.sinks.portraits import Portraits
from tracker.types import CameraName, State, Tracklets


class Forgotten(NamedTuple):
    """What became of it.

    Attributes:
        numbers: The numbers that are gone; they are never given to anybody else.
        still_shown: Overlay videos: they show whoever walked through them, and nothing takes that out.
        is_going_on: Whether the run is going on: it forgets them itself, with its next checkpoint.
    """

    numbers: list[int]
    still_shown: list[Path]
    is_going_on: bool


def forget_in_run(run: Path, number: int) -> Forgotten:
    """Leave nothing of a person in the folder of a run, all numbers that were merged included.

    Boxes stay, as those of somebody who was never decided. The gallery comes last: where this was cut off, it
    can be called again.

    Raises:
        UnknownPersonError: Nobody is remembered under this number.
        ReuniteError: A file cannot be read or written.
    """
    with Gallery(run / "gallery.sqlite") as gallery:
        kept = gallery.survivor(number)
        gone = {kept} | {merged for merged, now in gallery.survivors().items() if now == kept}
        is_going_on = _is_written(run)
        if not is_going_on:
            _forget_in_files(run, gone)
        numbers = gallery.forget(number)
    return Forgotten(numbers, sorted((run / "videos").glob("*.mp4")), is_going_on)


def _is_written(run: Path) -> bool:
    """Whether a process has the run's journal."""
    for path in (run / "state" / "journal.bin", run / FOLDER / "journal" / "lock"):
        if path.exists():
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
    return False


def _forget_in_files(run: Path, gone: Collection[int]) -> None:
    store = run / FOLDER / "run.sqlite"
    if store.exists():
        opened = RunStore(store, cameras=())
        gone = {*gone, *(number for number, now in opened.survivors().items() if now in gone)}
        opened.forget(gone)
        opened.close()
    folder, config = RunFolder(run), load_config(run / "config.yaml")
    if folder.is_unfinished and folder.checkpoint.exists():
        _forget_in_checkpoint(folder, config, gone)
    events = run / "events.jsonl"
    if events.exists():
        lines = events.read_bytes().splitlines(keepends=True)
        told = [json.loads(line) for line in lines]
        kept = [not {it["identity"], it.get("other", 0)} & set(gone) for it in told]
        if not all(kept):
            write_whole(events, b"".join(line for line, is_kept in zip(lines, kept, strict=True) if is_kept))
    if (run / "sightings.parquet").exists():
        _write_results_again(run, config, gone)
    for path in (run / "offline" / "mot").glob("*.txt"):
        _rename_in_text(path, gone)


def _forget_in_checkpoint(folder: RunFolder, config: RunConfig, gone: Collection[int]) -> None:
    progress, states = load_checkpoint(folder.checkpoint)
    tracker, prefix = states["tracker"], "identities/"
    plane = GroundPlane(config.ground, progress.cameras)
    linker = IdentityLinker(config.identity, progress.cameras, plane=plane)
    linker.restore({key.removeprefix(prefix): it for key, it in tracker.items() if key.startswith(prefix)})
    tracks = linker.tracks()
    theirs = tracks[np.isin(tracks.identity_ids, list(gone))]
    linker.forget(sorted(gone))
    tracker |= {prefix + key: it for key, it in linker.state().items()}
    for index, camera in enumerate(progress.cameras):
        own = theirs.track_ids[theirs.cameras == camera]
        _forget_looks(tracker, f"tracker {index}/", own)
    if "gallery" in states:
        people = people_from_arrays(states["gallery"])
        left = {number: it for number, it in people.items() if number not in gone}
        states["gallery"] |= people_to_arrays(left, states["gallery"]["embeddings"].shape[1])
    if "portraits" in states:
        portraits = Portraits()
        portraits.restore(states["portraits"])
        portraits.forget(zip(theirs.cameras.tolist(), theirs.track_ids.tolist(), strict=True))
        states["portraits"] = portraits.state()
    events = folder.path / "events.jsonl"
    progress.event_bytes = sum(
        len(line)
        for line in events.read_bytes()[: progress.event_bytes].splitlines(keepends=True)
        if not {(told := json.loads(line))["identity"], told.get("other", 0)} & set(gone)
    )
    save_checkpoint(folder.checkpoint, progress, states)


def _forget_looks(tracker: State, prefix: str, track_ids: IntArray) -> None:
    """Tracks that were in view are not compared with what they looked like."""
    rows = np.isin(tracker[f"{prefix}track_ids"], track_ids)
    for name in ("embeddings", "last_embeddings", "num_embeddings"):
        tracker[prefix + name][rows] = 0
    tracker[f"{prefix}embedded_times"][rows] = -np.inf


class _TableIdentities:
    """Who tracks are, as ``tracks.csv`` says."""

    def __init__(self, tracks: Tracklets) -> None:
        numbers, start = tracks.identity_ids.copy(), NOBODY_FROM
        while start <= numbers.max(initial=0):
            start *= 10
        nobody = np.flatnonzero(numbers == UNDECIDED)
        numbers[nobody] = start + np.arange(len(nobody))
        keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
        both = zip(tracks.identity_ids.tolist(), numbers.tolist(), strict=True)
        self._known = dict(zip(keys, both, strict=True))

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        return np.array([self._known[camera, it][0] for it in track_ids.tolist()], np.int64)

    def numbered(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        return np.array([self._known[camera, it][1] for it in track_ids.tolist()], np.int64)


def _write_results_again(run: Path, config: RunConfig, gone: Collection[int]) -> None:
    """Tables, texts and figures of a complete run, without these people."""
    from tracker.reports.map import WayFinder, write_map
    from tracker.reports.tables import ResultFiles
    from tracker.reports.timeline import write_timeline
    from tracker.reports.visits import VisitFinder

    tracks = read_tracks(run / "tracks.csv")
    if tracks is None:
        raise ReuniteError(f"{run}: has no tracks.csv, so nobody can tell who is who in it")
    theirs = np.isin(tracks.identity_ids, list(gone))
    tracks.identity_ids[theirs], tracks.decided_s[theirs] = UNDECIDED, np.nan
    tracks.num_embeddings[theirs] = 0
    cameras = [CameraName(path.stem) for path in sorted((run / "mot").glob("*.txt"))]
    known, ground = _TableIdentities(tracks), GroundPlane(config.ground, cameras)
    visits, ways = VisitFinder(), WayFinder(cameras, ground)
    with ResultFiles(run, cameras, known) as results:
        for rows in read_parquet(run / "sightings.parquet", cameras):
            who = np.empty(len(rows), np.int64)
            for index, camera in enumerate(cameras):
                here = rows["camera"] == index
                who[here] = known.lookup(camera, rows["track"][here])
            results.add(rows, who)
            visits.add(rows["camera"], rows["time"], who)
            ways.add(rows["camera"], rows["time"], who, rows["box"])
    write_tracks(run / "tracks.csv", [tracks])
    if (run / "timeline.png").exists():
        write_timeline(run / "timeline.png", visits.visits(), cameras)
    if (run / "map.png").exists():
        write_map(run / "map.png", ways.ways(), cameras, is_y_down=ground.is_y_down)


def _rename_in_text(path: Path, gone: Collection[int]) -> None:
    """In a MOTChallenge text that nothing else tells of: the boxes are those of numbers that are nobody's."""
    lines = list(csv.reader(io.StringIO(path.read_text())))
    highest = max((int(line[1]) for line in lines), default=0)
    nobody = {number: max(highest, NOBODY_FROM - 1) + 1 + place for place, number in enumerate(sorted(gone))}
    text = io.StringIO(newline="")
    for line in lines:
        line[1] = str(nobody.get(int(line[1]), line[1]))
        text.write(",".join(line) + "\n")
    write_whole(path, text.getvalue().encode("ascii"))
