"""One identity per person: no linking, nearest neighbour with a fixed threshold, ours online and offline.

    python -m benchmarks.identity --shared ../shared
    python -m benchmarks.identity --data pets-2x1 --method online offline --set identity.decide_s=3
    python -m benchmarks.identity --data simulated-6 --seed 2 --json scores.json
    python -m benchmarks.identity --data pets-2x1-truth --method online offline --clock-shift-s 0.5
    python -m benchmarks.identity --data ufes --set embedder.weights=0277.xml embedder.convention=bgr255

Every method links the same tracks. IDF1, HOTA and AssA are over all cameras, as `tracker.evaluate
--many-cameras` gives them; a track that was undecided for a while counts under the identity it got. Whoever
was out of all cameras for a second or more has returned. In the truth of PETS09-S2L1 whoever comes back is
the same person; -numbers takes its numbers as they are published, where those who come back are new people.
The fixed threshold is shown twice: at the best value of a sweep for IDF1 on this very scene, which nobody
could know before, and at the sweep's middle. The oracle is what perfect linking of these tracks would reach:
each track is the person on whom most of its boxes are. In UFES only boxes of tracks have a truth, and the
chairs that are tracked have none.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from inspect import getfile
from pathlib import Path

import numpy as np

from benchmarks.identity import appearance, scenes, tracked
from benchmarks.identity.appearance import Spread
from benchmarks.identity.cache import cached, digest
from benchmarks.identity.nearest import NearestNeighbour
from benchmarks.identity.scenes import PETS, Watched, watch_campus, watch_pets, watch_simulated, watch_ufes
from benchmarks.identity.scoring import Outcome, identities_of, idf1_of, observe_all, people_of, score
from benchmarks.identity.tracked import TrackedCamera, TrackedScene, follow, pack, unpack
from foundation.errors import ReuniteError
from tracker import association, camera_tracker, geometry, kalman
from tracker.config import ReidEmbedderConfig, RunConfig, load_config
from tracker.identity import IdentityLinker
from tracker.simulate import SimulationConfig

SHARED = Path(__file__).resolve().parents[3] / "shared"
TRUTH = "-truth"
"""Ending of the scenes in which true boxes stand for a detector, to see the linking alone."""
NUMBERS = "-numbers"
"""Ending of the PETS scenes in which people have the numbers that are published."""
SIMULATED = {
    "simulated-6": SimulationConfig(cameras=6, people=60, seconds=600, frame_rate=10, video=False),
    "simulated-12": SimulationConfig(cameras=12, people=500, seconds=3600, frame_rate=5, video=False),
}
DATA = (
    *(f"{name}{numbers}{end}" for name in PETS for numbers in ("", NUMBERS) for end in ("", TRUTH)),
    "ufes",
    *SIMULATED,
    "campus",
    f"campus{TRUTH}",
)
METHODS = ("none", "nearest", "online", "offline", "oracle")
THRESHOLDS = np.arange(30, 95, 5) / 100
"""Cosines that are tried for the nearest neighbour."""

MADE_BY = tuple(
    Path(getfile(module))
    for module in (appearance, scenes, tracked, association, camera_tracker, geometry, kalman)
)
"""The code that the tracks of a scene depend on."""

HEAD = (
    ("data", 22), ("method", 41), ("people / true", 13), ("IDF1", 5), ("HOTA", 5), ("AssA", 5),
    ("returns recognised %", 20), ("strangers taken for somebody %", 30), ("stated %", 8),
    ("decided after s: median, 95 %", 29), ("in two views: one identity %", 28),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 all well, 2 the data cannot be used."""
    options = make_parser().parse_args(arguments)
    spread, rows = Spread(), []
    print_cells([name for name, _ in HEAD])
    print_cells(["-" * width for _, width in HEAD])
    try:
        config = load_config(None, options.set)
        for data in options.data:
            cameras = load_cameras(data, config, spread, options.seed, options.shared, options.cache)
            scene = TrackedScene(cameras, options.clock_shift_s)
            for method, outcome in link_all_ways(scene, config, options.method):
                stated = config.identity.max_false_merge_rate if method.startswith("ours") else None
                print_cells([data, method, *cells(outcome, stated)])
                rows.append({"data": data, "method": method, "stated_rate": stated, **outcome.as_dict()})
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        about = {
            "seed": options.seed,
            "clock_shift_s": options.clock_shift_s,
            "spread": asdict(spread),
            "identity": config.identity.model_dump(),
        }
        options.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.identity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="as in tracker.run"
    )
    parser.add_argument("--seed", type=int, default=1, help="of simulated worlds and drawn embeddings")
    parser.add_argument(
        "--clock-shift-s",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how far the clock of every second camera is ahead (default: %(default)s)",
    )
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/, tools/ and weights/")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "reunite-identity",
        help="keeps what takes long: detections, embeddings, worlds and tracks, each until the data, "
        "weights, settings or tracking code that made it change (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, as fractions")
    return parser


def load_cameras(
    data: str, config: RunConfig, spread: Spread, seed: int, shared: Path, cache: Path
) -> Sequence[TrackedCamera]:
    """The tracks of each camera of a scene.

    Raises:
        ReuniteError: The data is not there or cannot be used.
    """
    name, use_truth = data.removesuffix(TRUTH), data.endswith(TRUTH)
    if not isinstance(embedder := config.embedder, ReidEmbedderConfig):
        raise ReuniteError(f"embedder.kind is {embedder.kind!r}; pixels are embedded with a network here")
    embed_every_s = embedder.every_s

    def follow_all(watched: Sequence[Watched]) -> list[TrackedCamera]:
        return [follow(camera, config.tracking, embed_every_s) for camera in watched]

    grid, as_published = name.removesuffix(NUMBERS), name.endswith(NUMBERS)
    if grid in PETS:
        return follow_all(watch_pets(grid, use_truth, as_published, embedder, shared, cache))
    if name == "ufes":
        return follow_all(watch_ufes(embedder, shared, cache))
    made_of: list[object] = [data, spread, seed, config.tracking, embed_every_s, *MADE_BY]
    if name in SIMULATED:
        world = SIMULATED[name].model_copy(update={"seed": seed})
        file = cache / f"{data}-tracks-{digest(world, *made_of, Path(getfile(SimulationConfig)).parent)}.npz"
        return unpack(cached(file, lambda: pack(follow_all(watch_simulated(world, spread, cache)))))
    folder = shared / "data" / "campus-auditorium"
    file = cache / f"{data}-tracks-{digest(folder, *made_of)}.npz"
    return unpack(cached(file, lambda: pack(follow_all(watch_campus(folder, use_truth, spread, seed)))))


def link_all_ways(
    scene: TrackedScene, config: RunConfig, methods: Sequence[str]
) -> Iterator[tuple[str, Outcome]]:
    """What each method is called in the table, and what it made of the scene."""
    cameras = [camera.name for camera in scene.cameras]
    if "none" in methods:
        yield "no linking", score(scene, np.arange(1, scene.num_keys + 1), scene.begin_s)
    if "nearest" in methods:
        tried = [NearestNeighbour(cosine, cameras, config.tracking.max_lost_s) for cosine in THRESHOLDS]
        settled_s = observe_all(scene, tried)
        identities = [identities_of(scene, nearest) for nearest in tried]
        best = int(np.argmax([idf1_of(scene, names) for names in identities]))
        for what, index in (("best of sweep", best), ("middle of sweep", len(THRESHOLDS) // 2)):
            name = f"nearest neighbour, {what} ({THRESHOLDS[index]:.2f})"
            yield name, score(scene, identities[index], settled_s[index])
    if "online" in methods or "offline" in methods:
        linker = IdentityLinker(config.identity, cameras)
        settled_s = observe_all(scene, [linker])[0]
        linker.finalize()
        if "online" in methods:
            yield "ours, online", score(scene, identities_of(scene, linker), settled_s, linker.num_identities)
        if "offline" in methods:
            linker.link_offline()
            yield "ours, offline", score(scene, identities_of(scene, linker), None, linker.num_identities)
    if "oracle" in methods:
        yield "oracle", score(scene, people_of(scene), None)


def cells(outcome: Outcome, stated_rate: float | None) -> list[str]:
    """The figures of a row as the table shows them, percent and seconds; empty where there are none."""
    counts, scores = outcome.reentry, outcome.scores
    recognised = (
        f"{100 * outcome.recognised_rate:.1f} of {counts.returns_found}" if counts.returns_found else ""
    )
    decided = ", ".join(f"{s:.1f}" if np.isfinite(s) else "never" for s in outcome.decided_s or ())
    together = f"{100 * outcome.together_as_one / outcome.together:.1f}" if outcome.together else ""
    return [
        f"{outcome.people} / {outcome.people_true}",
        *(f"{100 * figure:.1f}" for figure in (scores.idf1, scores.hota, scores.ass_a)),
        recognised,
        f"{100 * counts.false_merge_rate:.1f} of {counts.strangers}",
        f"{100 * stated_rate:.1f}" if stated_rate is not None else "",
        decided,
        together,
    ]


def print_cells(texts: Sequence[str]) -> None:
    padded = (f"{text:<{width}}" for text, (_, width) in zip(texts, HEAD, strict=True))
    print(f"| {' | '.join(padded)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
