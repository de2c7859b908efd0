"""Is an overlap found where there is none, and how many people are counted? Simulated sites; no pixels.

    python -m benchmarks.overlap
    python -m benchmarks.overlap --sites 24 --layout overlapping

People walk between rooms through corridors that nobody sees. Of every four sites one is plain; in one all
wear a uniform; in one there are three times as many people, who come to all rooms at the same moments, as
off a train; and in one both. The camera tracker follows noisy detections, the linker gets what it sees, and
after the last frame says which cameras see one place, and between which numbers that of the people is; who
was found for less than `LEAST_S` is none of them. With the layout `overlapping` all cameras look into
one hall, and what is found is right: that the search would find something if it were there.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.identity.appearance import NOBODY, Spread
from benchmarks.identity.scenes import draw_embeddings, read_simulated
from benchmarks.identity.tracked import TrackedScene, follow
from tracker.config import FileDetectorConfig, IdentityConfig, ReidEmbedderConfig, TrackingConfig
from tracker.identity import IdentityLinker
from tracker.identity.count import PeopleCount
from tracker.simulate import SimulationConfig, simulate
from tracker.types import CameraName

CAMERAS, SECONDS, FRAME_RATE = 3, 120, 5
PEOPLE, CROWD = 10, 30
KINDS = ("plain", "uniforms", "crowds", "crowds in uniforms")
PLAIN = Spread()
UNIFORM = replace(PLAIN, look_alike=0.58, group_size=CROWD)
"""Two people in uniform are nearly as alike as one person in two cameras."""
TRAINS = 3
"""A crowd comes at so many moments."""


LEAST_S = 2.0
"""Who was found for less need not be counted."""


class Site(NamedTuple):
    """What was made of a site.

    Attributes:
        overlaps: The cameras that are said to see one place, two by two.
        expected: How many people there are said to be.
        people: How many there were.
    """

    overlaps: list[tuple[CameraName, CameraName]]
    expected: PeopleCount | None
    people: int


def link_site(seed: int, layout: str) -> Site:
    """Simulate a site and link the tracks of its cameras."""
    kind = KINDS[seed % len(KINDS)]
    is_crowd, spread = "crowds" in kind, UNIFORM if "uniforms" in kind else PLAIN
    world = SimulationConfig.model_validate(
        {
            "cameras": CAMERAS,
            "people": CROWD if is_crowd else PEOPLE,
            "seconds": SECONDS,
            "frame_rate": FRAME_RATE,
            "seed": seed,
            "layout": layout,
            "video": False,
        }
    )
    first_frame = np.ones(world.people + 1, np.int64)
    if is_crowd:
        trains = np.arange(TRAINS) * world.frames // TRAINS
        first_frame = 1 + np.random.default_rng(seed).choice(trains, world.people + 1)
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder) / "site", world)
        cameras = read_simulated(Path(folder) / "site", world, first_frame)
    detector, embed_every_s = FileDetectorConfig(), ReidEmbedderConfig().every_s
    watched = draw_embeddings(cameras, detector.likely_score, spread, seed)
    scene = TrackedScene([follow(camera, TrackingConfig(), embed_every_s) for camera in watched])
    linker = IdentityLinker(IdentityConfig(), [camera.name for camera in scene.cameras])
    for _, frame, tracks in scene.frames():
        linker.observe(frame, tracks)
    linker.link_offline()
    found = np.concatenate([table.ids[table.ids != NOBODY] for _, _, table in cameras])
    people = int((np.bincount(found) >= LEAST_S * FRAME_RATE).sum())
    return Site(linker.overlaps(), linker.people_count(), people)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each kind of site; 1 if an overlap was found where there is none."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overlap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--layout", choices=("separate", "overlapping"), default="separate")
    options = parser.parse_args(arguments)
    sites, found, within, off = np.zeros((4, len(KINDS)))
    for seed in range(options.first_seed, options.first_seed + options.sites):
        site, kind = link_site(seed, options.layout), seed % len(KINDS)
        sites[kind] += 1
        found[kind] += len(site.overlaps)
        if site.overlaps:
            pairs = ", ".join(f"{one} and {other}" for one, other in site.overlaps)
            print(f"site {seed}: {pairs} are said to overlap", flush=True)
        if site.expected is not None:
            within[kind] += site.expected.low <= site.people <= site.expected.high
            off[kind] += site.expected.expected / site.people - 1
            print(f"site {seed}: {site.expected}, truly {site.people}", flush=True)
    print(f"{options.layout}: {CAMERAS} cameras, {SECONDS} s")
    for index in np.nonzero(sites)[0].tolist():
        count = int(sites[index])
        pairs_of_all = count * CAMERAS * (CAMERAS - 1) // 2
        print(
            f"  {KINDS[index]:<20} {count} sites: {found[index]:.0f} of {pairs_of_all} "
            f"pairs overlap; people within the interval {within[index]:.0f} times, expected too many by "
            f"{100 * off[index] / count:.0f} %"
        )
    return int(options.layout == "separate" and bool(found.any()))


if __name__ == "__main__":
    sys.exit(main())
