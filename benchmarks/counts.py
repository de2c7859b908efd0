"""What is counted at a site beside the truth of a simulated world: visitors, lines, dwell.

    python -m benchmarks.counts --cameras 6 --people 60 --minutes 30

Detections err as docs/simulate.md says, and embeddings are drawn with the spread of the network that ships;
all else is what `reunite live` does, on simulated time: tracker, events, zones, the log and `GET /counts`.
Each camera has a zone (its left half) and three upright lines.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.identity.appearance import Spread
from benchmarks.identity.scenes import Watched, watch_simulated
from foundation.arrays import BoolArray, FloatArray
from foundation.cosine_prior import CosinePrior
from reid.stored_prior import find_prior
from reid.weights import DEFAULT_WEIGHTS
from tracker.analytics.zones import CLEAR, LEAVE_S, LOST_S, SETTLE_S, ZoneWatch
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import load_config
from tracker.events.maker import EventMaker
from tracker.events.store import EventStore, Stay
from tracker.live.labels import Labels
from tracker.live.rights import Role, Viewer
from tracker.live.site import Site
from tracker.live.zones import count, rates_of, read_zones
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.simulate import SimulationConfig
from tracker.stages import CameraReport
from tracker.types import CameraName, Detections, Frame, Network, Observations, State, Tick, blank_image

START = 1_700_000_000.0
LINES = (0.3, 0.5, 0.7)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
MIN_VISIBILITY = 0.05
FOLD_EVERY_S = 60.0
"""Seconds between two times at which old tracks are folded, as a live run does."""

WRITE_EVERY = 50
"""Ticks between two transactions of the log, which on disk are the longest part of this."""

Way = tuple[str, FloatArray, FloatArray]
"""A camera, seconds (N,) and feet (N, 2) as shares, of one person."""


class Drawn:
    """An embedder whose embeddings come with the detections."""

    prior: CosinePrior | None

    def __init__(self, cameras: Sequence[Watched], spread: Spread) -> None:
        self.network: Network | None = Network("drawn", "feed", spread.length)
        self.prior = find_prior(DEFAULT_WEIGHTS)
        self._cameras = {camera.truth.name: camera for camera in cameras}

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> list[Observations]:
        """As the tracker asks for it."""
        return [
            Observations(found.boxes, found.scores, self._cameras[frame.camera].embed(frame.number - 1, need))
            for frame, found, need in zip(tick.frames, detections, needed, strict=True)
        ]

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


def draw_zones(site: Site, cameras: Sequence[Watched]) -> None:
    """The zone and the lines of each camera."""
    site.know_cameras({CameraName(camera.truth.name): "simulated" for camera in cameras})
    with site.writing() as connection:
        for camera in site.cameras():
            shapes = [("zone", "left half", LEFT), *(("line", str(x), ((x, 0.0), (x, 1.0))) for x in LINES)]
            connection.executemany(
                "INSERT INTO zone (camera, kind, name, points) VALUES (?, ?, ?, ?)",
                [(camera.id, kind, name, str([list(it) for it in points])) for kind, name, points in shapes],
            )


def follow(
    cameras: Sequence[Watched], spread: Spread, overrides: Sequence[str], site: Site
) -> dict[str, Any]:
    """Track everything into the log of the site; what is counted."""
    names = [camera.truth.name for camera in cameras]
    config = load_config(None, ["embedder.kind=none", "detector.kind=file", *overrides])
    tracker = MultiCameraTracker(
        names, config, embedder=Drawn(cameras, spread), camera_motion=NoCameraMotion()
    )
    store, rate = EventStore(site.events), config.identity.max_false_merge_rate
    maker = EventMaker(1, rate, places=ZoneWatch(read_zones(site)))
    reports = {CameraName(name): CameraReport(read=1) for name in names}
    size = cameras[0].info.width, cameras[0].info.height
    image, frame_rate = blank_image(*size), cameras[0].info.frame_rate
    events: list[dict[str, Any]] = []
    stays: dict[Any, Stay] = {}
    for index in range(max(camera.info.length for camera in cameras)):
        at = START + index / frame_rate
        tick = Tick(at, tuple(Frame(CameraName(name), index + 1, at, image) for name in names))
        found = [
            Detections(camera.found.boxes[begin:end], camera.found.scores[begin:end])
            for camera in cameras
            for begin, end in [camera.limits[index : index + 2].tolist()]
        ]
        sightings = tracker.follow(tick, found)
        told = tracker.events()
        events += maker.observe(tick, sightings, told)
        for event in told:
            if event.kind == "merged":
                store.add(events, list(stays.values()))
                events, stays = [], {}
                store.rename(event.other, event.identity)
        if not index % round(frame_rate):
            stays |= {
                it.key: Stay("benchmark", *it.key, it.identity or None, it.begin_s, it.last_s)
                for it in maker.tracks
            }
            events += maker.pass_time(at, reports)
        if not index % round(FOLD_EVERY_S * frame_rate):
            tracker.identities.fold(at - config.identity.keep_tracklets_s)
            print(f"minute {index / frame_rate / 60:.0f}", file=sys.stderr, flush=True)
        if not index % WRITE_EVERY:
            store.add(events, list(stays.values()))
            events, stays = [], {}
    end_s = START + index / frame_rate + 1
    events += maker.pass_time(end_s + 100, reports)
    store.add(events, list(stays.values()))
    report = tracker.identities.similarity_report()
    rates = rates_of(report) if report else {}
    admin = Viewer("benchmark", Role.ADMIN, None)
    return count(site, store, Labels(site), admin, START, end_s, rates)


def paths(cameras: Sequence[Watched]) -> Iterator[Way]:
    """Of each camera and person the way of the feet, while the camera shows them."""
    for camera in cameras:
        table = camera.truth.table
        for person in np.unique(table.ids):
            of = table[(table.ids == person) & (table.visibility >= MIN_VISIBILITY)]
            feet = np.column_stack((of.boxes[:, 0] + of.boxes[:, 2] / 2, of.boxes[:, 1] + of.boxes[:, 3]))
            size = camera.info.width, camera.info.height
            if len(feet):
                yield camera.truth.name, (of.frames - 1) / camera.info.frame_rate, feet / size


def true_crossings(ways: Sequence[Way]) -> Counter[tuple[str, str, str]]:
    """By camera, line and direction, as often as feet came clearly to its other side."""
    crossed = Counter[tuple[str, str, str]]()
    for camera, times, feet in ways:
        for x in LINES:
            clear = np.abs(feet[:, 0] - x) >= CLEAR
            sides, at = np.sign(feet[clear, 0] - x), times[clear]
            is_one = np.diff(at) <= LOST_S
            crossed[camera, str(x), "in"] += int(((sides[:-1] > 0) & (sides[1:] < 0) & is_one).sum())
            crossed[camera, str(x), "out"] += int(((sides[:-1] < 0) & (sides[1:] > 0) & is_one).sum())
    return crossed


def true_visits(ways: Sequence[Way]) -> dict[str, list[tuple[float, bool]]]:
    """By camera, the seconds of every visit to its left half, and whether it was over before the end."""
    visits: dict[str, list[tuple[float, bool]]] = {}
    end_s = max(float(times[-1]) for _, times, _ in ways)
    for camera, times, feet in ways:
        inside = times[feet[:, 0] < 0.5]
        for part in np.split(inside, np.flatnonzero(np.diff(inside) > LEAVE_S) + 1):
            if len(part) and part[-1] - part[0] >= SETTLE_S:
                is_over = bool(part[-1] < end_s - LEAVE_S)
                visits.setdefault(camera, []).append((float(part[-1] - part[0]), is_over))
    return visits


def report(counts: dict[str, Any], cameras: Sequence[Watched]) -> bool:
    """Print what was counted beside the truth; whether all is as near as it must be."""
    ways = list(paths(cameras))
    people = len({int(it) for camera in cameras for it in np.unique(camera.truth.table.ids)})
    unique = counts["unique"]
    print(
        f"visitors: {people} in truth; counted {unique['counted']}, estimated {unique['visitors']} "
        f"({unique['low']} to {unique['high']}; false merge rate {unique['false_merge_rate']:.3f}, "
        f"missed rate {unique['missed_rate']:.3f}, {unique['missed_rate_low']:.3f} to "
        f"{unique['missed_rate_high']:.3f})"
    )
    is_good = unique["low"] <= people <= unique["high"]
    crossed, names = true_crossings(ways), {}
    for number, camera in enumerate(cameras, start=1):
        names[f"c{number}"] = camera.truth.name
    for direction in ("in", "out"):
        truth = sum(many for key, many in crossed.items() if key[2] == direction)
        found = sum(line[direction] for line in counts["lines"])
        apart = sum(
            abs(line[direction] - crossed[names[line["camera"]], line["name"], direction])
            for line in counts["lines"]
        )
        print(
            f"lines, {direction}: {truth} in truth, {found} counted ({100 * (found / truth - 1):+.1f} %); "
            f"line by line {apart} apart"
        )
        is_good &= abs(found / truth - 1) <= 0.05
    true = true_visits(ways)
    over = {name: [spent_s for spent_s, is_over in of if is_over] for name, of in true.items()}
    dwelt = np.array([spent_s for of in over.values() for spent_s in of])
    visits = sum(zone["visits"] for zone in counts["zones"])
    means = [(zone["visits"], zone["dwell_s"]["mean"]) for zone in counts["zones"] if zone["dwell_s"]]
    mean = sum(many * it for many, it in means) / sum(many for many, _ in means)
    print(
        f"dwell: {sum(map(len, true.values()))} visits of {dwelt.mean():.2f} s in truth, "
        f"{visits} of {mean:.2f} s counted ({100 * (mean / dwelt.mean() - 1):+.1f} %)"
    )
    for zone in counts["zones"]:
        name = names[zone["camera"]]
        print(
            f"  {name}: {len(true[name])} of {np.mean(over[name]):.2f} s, "
            f"{zone['visits']} of {zone['dwell_s']['mean']:.2f} s"
        )
    return bool(is_good and abs(mean / dwelt.mean() - 1) <= 0.1)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was counted; 1 if anything is farther from the truth than it may be."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cameras", type=int, default=6)
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("runs/benchmark-cache"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args(argv)
    world = SimulationConfig(
        cameras=arguments.cameras,
        people=arguments.people,
        seconds=60 * arguments.minutes,
        frame_rate=arguments.fps,
        seed=arguments.seed,
        video=False,
    )
    spread = Spread()
    cameras = watch_simulated(world, spread, arguments.cache)
    with TemporaryDirectory() as folder:
        site = Site(Path(folder) / "site")
        draw_zones(site, cameras)
        counts = follow(cameras, spread, arguments.overrides, site)
        return 0 if report(counts, cameras) else 1


if __name__ == "__main__":
    sys.exit(main())
