"""A live run of many hours in fewer minutes: memory, checkpoint, saves, writes and IDF1 as it grows older.

    python -m benchmarks.weeks --hours 24
    python -m benchmarks.weeks --hours 24 --unbounded     the same, with every track kept in memory

People walk from camera to camera; their boxes and embeddings are handed in, and nothing is decoded. Time is
simulated; all else is a live run as `reunite track` makes it, with a save every five simulated seconds. IDF1
over cameras counts every sighting; a track that stayed undecided finds nobody.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
from scipy.optimize import linear_sum_assignment

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray
from foundation.cosine_prior import CosinePrior
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import load_config
from tracker.recording import run as recording
from tracker.recording.run import MAX_BYTES_PER_S, TrackingRun
from tracker.stages import CameraReport
from tracker.types import (
    CameraName,
    Detections,
    Frame,
    Network,
    Observations,
    State,
    Tick,
    Tracklets,
    blank_image,
)

START = 1_700_000_000.0
SAVE_EVERY_S = 5.0
NETWORK = Network("drawn", "feed", 128)
STAY_S, AWAY_S = 30.0, 120.0
"""How long people stay in view of a camera, and out of view of all, in the mean."""

OF_PERSON, OF_VISIT, OF_FRAME = 0.7, 0.3, 0.3
"""Squared lengths of what an embedding is made of: the cosine of a person in two visits is about 0.7, as that
of the shipped network (docs/identity.md)."""


class Visit(NamedTuple):
    """A person in view of a camera."""

    person: int
    camera: int
    begin_s: float
    end_s: float
    look: EmbeddingArray


class World:
    """Who is where at each moment."""

    def __init__(self, people: int, cameras: int, seconds: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._looks = self._directions(people)
        visits = [it for person in range(people) for it in self._visits_of(person, cameras, seconds)]
        self._coming = sorted(visits, key=lambda it: it.begin_s)
        self._here: list[Visit] = []
        self._next = 0

    def at(self, time_s: float) -> list[Visit]:
        """Everybody in view; asked with rising times."""
        while self._next < len(self._coming) and self._coming[self._next].begin_s <= time_s:
            self._here.append(self._coming[self._next])
            self._next += 1
        self._here = [it for it in self._here if it.end_s > time_s]
        return self._here

    def embedding(self, visit: Visit) -> EmbeddingArray:
        """What somebody looks like in one frame."""
        look = visit.look + np.sqrt(OF_FRAME) * self._directions(1)[0]
        return np.asarray(look / np.linalg.norm(look), np.float32)

    def _visits_of(self, person: int, cameras: int, seconds: float) -> Iterator[Visit]:
        time_s, camera = float(self._rng.exponential(AWAY_S)), int(self._rng.integers(cameras))
        while time_s < seconds:
            stay_s = 3.0 + float(self._rng.exponential(STAY_S))
            look = np.sqrt(OF_PERSON) * self._looks[person] + np.sqrt(OF_VISIT) * self._directions(1)[0]
            yield Visit(person, camera, time_s, time_s + stay_s, look)
            time_s += stay_s + 5.0 + float(self._rng.exponential(AWAY_S))
            camera = (camera + int(self._rng.integers(1, cameras))) % cameras if cameras > 1 else 0

    def _directions(self, count: int) -> FloatArray:
        rows = self._rng.normal(size=(count, NETWORK.dimension))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


class HandedIn:
    """A detector and embedder that finds whom the world has; row by row they are ``visits``."""

    network: Network | None = NETWORK
    prior: CosinePrior | None = None
    ticks_at_once = 1

    def __init__(self, world: World) -> None:
        self._world = world
        self.visits: dict[CameraName, list[Visit]] = {}

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """Each person goes to and fro on a lane of their own."""
        return [self._boxes(self.visits[frame.camera], frame.time) for frame in tick.frames]

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """As the tracker asks for it."""
        found = []
        for frame, seen, need in zip(tick.frames, detections, needed, strict=True):
            rows = np.zeros((len(seen), NETWORK.dimension), np.float32)
            for row in np.flatnonzero(need).tolist():
                rows[row] = self._world.embedding(self.visits[frame.camera][row])
            found.append(Observations(seen.boxes, seen.scores, rows))
        return found

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass

    @staticmethod
    def _boxes(visits: Sequence[Visit], time_s: float) -> Detections:
        left = np.array([50 + 60 * abs((time_s - START - it.begin_s) / 40 % 2 - 1) for it in visits])
        top = np.array([25.0 * it.person for it in visits])
        return Detections.of(
            np.column_stack((left, top, left + 12, top + 24)).reshape(-1, 4), np.full(len(visits), 0.9)
        )


class Cameras:
    """A live source that a benchmark feeds itself."""

    is_live = True

    def __init__(self, count: int) -> None:
        self.reports: Mapping[CameraName, CameraReport] = {
            CameraName(f"cam{index}"): CameraReport() for index in range(count)
        }

    def ticks(self) -> Iterator[Tick]:
        yield from ()

    def close(self) -> None:
        pass


def main() -> int:
    """Print a row for every part of the run; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-s", type=float, default=600.0, help="identity.keep_tracklets_s")
    parser.add_argument("--unbounded", action="store_true", help="fold nothing")
    options = parser.parse_args()
    world = World(options.people, options.cameras, options.hours * 3600, options.seed)
    handed, source = HandedIn(world), Cameras(options.cameras)
    settings = ["source=rtsp://simulated/x", "embedder.every_s=1"]
    settings += [f"identity.keep_tracklets_s={1e9 if options.unbounded else options.keep_s}"]
    handed_in = patch.multiple(
        recording,
        open_source=lambda *_: source,
        locate_cameras=lambda *_: dict.fromkeys(source.reports, ""),
        build_detector=lambda *_: handed,
        build_embedder=lambda *_: handed,
        build_camera_motion=lambda *_: NoCameraMotion(),
    )
    with tempfile.TemporaryDirectory() as folder, handed_in:
        config = load_config(None, [*settings, f"output.folder={folder}"])
        with TrackingRun(config, threading.Event()) as run:
            return follow(run, handed, world, source, options)


def follow(
    run: TrackingRun, handed: HandedIn, world: World, source: Cameras, options: argparse.Namespace
) -> int:
    """Feed all frames, save as often as a live run does, and count."""
    print(
        " hour   RSS MiB   checkpoint MB  save s, 95 %   CPU 95 %  written MB/s  tracks at hand  people  IDF1"
    )
    persons: dict[tuple[str, int], tuple[int, int]] = {}  # of each track: who it is, and frames
    image, cameras = blank_image(640, 1024), list(source.reports)
    next_save, part, rows = SAVE_EVERY_S, options.hours / 12, []
    saves: list[tuple[float, float]] = []
    written, part_end, part_begin = bytes_written(), part * 3600, 0.0
    for number in range(1, round(options.hours * 3600 * options.fps) + 1):
        time_s = number / options.fps
        here = world.at(time_s)
        handed.visits = {
            name: [it for it in here if it.camera == index] for index, name in enumerate(cameras)
        }
        frames = tuple(Frame(name, number, START + time_s, image) for name in cameras)
        tick = Tick(START + time_s, frames)
        detections = handed.detect(tick)
        sightings = run.tracker.follow(tick, detections)
        for frame, found in zip(frames, detections, strict=True):
            source.reports[frame.camera].read += 1
            seen = sightings[frame.camera]
            for sink in (run._live, run._events):
                assert sink is not None
                sink.write(frame, seen)
            person_of = {
                round(box[1] / 25): it.person
                for box, it in zip(found.boxes, handed.visits[frame.camera], strict=True)
            }
            for track, box in zip(seen.track_ids.tolist(), seen.boxes.tolist(), strict=True):
                person, count = persons.get((frame.camera, track), (person_of.get(round(box[1] / 25), -1), 0))
                persons[frame.camera, track] = person, count + 1
        run.progress.count(tick, run.tracker.num_detections, run.tracker.num_embedded)
        if time_s >= next_save:
            began, worked = time.perf_counter(), time.process_time()
            run._save()
            saves.append((time.perf_counter() - began, time.process_time() - worked))
            next_save = time_s + max(SAVE_EVERY_S, run._checkpoint_bytes / MAX_BYTES_PER_S)
        if time_s >= part_end:
            run._save()
            now = bytes_written()
            rate = (now - written) / (time_s - part_begin) / 1e6
            mib, size = resident_mib(), run._checkpoint_bytes / 1e6
            tracks, score = len(run.identities.tracks()), idf1(run, persons)
            save_s, cpu_s = np.quantile(saves, 0.95, axis=0).tolist()
            print(
                f"{time_s / 3600:5.2f} {mib:9.1f} {size:15.2f} {save_s:13.3f} {cpu_s:10.3f} {rate:13.3f}"
                f" {tracks:15d} {run.identities.num_identities:7d} {100 * score:5.1f}",
                flush=True,
            )
            rows.append((time_s / 3600, mib, size, save_s, rate))
            saves, written, part_begin, part_end = [], now, time_s, part_end + part * 3600
    late = [row for row in rows if row[0] >= 2] or rows
    grown = [max(row[column] for row in late) / late[0][column] for column in (1, 2)]
    print(
        f"from hour 2 on: memory x {grown[0]:.3f}, checkpoint x {grown[1]:.3f}, 95 % of saves in "
        f"{max(row[3] for row in late):.3f} s, at most {max(row[4] for row in late):.3f} MB/s written"
    )
    is_good = max(grown) <= 1.1 and max(row[3] for row in late) < 0.2 and max(row[4] for row in late) <= 1.0
    return 0 if is_good or options.unbounded else 1


def idf1(run: TrackingRun, persons: Mapping[tuple[str, int], tuple[int, int]]) -> float:
    """Over all cameras: identities are given to people one to one, so that most sightings are right."""
    assert run._live is not None
    counts: dict[tuple[int, int], int] = {}
    total = sum(count for _, count in persons.values())
    for tracks in run._live.store.tracklets():
        for key, identity in keys_of(tracks):
            person, count = persons[key]
            if identity and person >= 0:
                counts[identity, person] = counts.get((identity, person), 0) + count
    numbers = {it: row for row, it in enumerate(sorted({identity for identity, _ in counts}))}
    people = {it: row for row, it in enumerate(sorted({person for _, person in counts}))}
    table = np.zeros((len(numbers), len(people)))
    for (identity, person), count in counts.items():
        table[numbers[identity], people[person]] = count
    right = table[linear_sum_assignment(-table)].sum()
    return float(right / max(total, 1))  # every box is found: precision and recall are one


def keys_of(tracks: Tracklets) -> Iterator[tuple[tuple[str, int], int]]:
    """Camera and track, and who it is."""
    keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
    return zip(keys, tracks.identity_ids.tolist(), strict=True)


def resident_mib() -> float:
    """Resident set size of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def bytes_written() -> int:
    """What this process gave the disk so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])


if __name__ == "__main__":
    raise SystemExit(main())
