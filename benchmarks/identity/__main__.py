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
each track is the person on whom most of its boxes are; a mixed one is on two. In UFES only boxes of tracks
have a truth, and the chairs that are tracked have none.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.identity.appearance import Spread
from benchmarks.identity.loading import DATA, ground_of, load_cameras, similarity_for
from benchmarks.identity.nearest import NearestNeighbour
from benchmarks.identity.scoring import (
    Outcome,
    identities_of,
    idf1_of,
    mixed_tracks,
    observe_all,
    people_of,
    score,
)
from benchmarks.identity.tracked import TrackedScene
from foundation.errors import ReuniteError
from tracker.config import GroundConfig, RunConfig, load_config
from tracker.ground import GroundPlane
from tracker.identity import IdentityLinker

SHARED = Path(__file__).resolve().parents[3] / "shared"
METHODS = ("none", "nearest", "online", "offline", "oracle")
THRESHOLDS = np.arange(30, 95, 5) / 100
"""Cosines that are tried for the nearest neighbour."""

HEAD = (
    ("data", 23), ("tracks, mixed", 13), ("method", 41), ("people / true", 13), ("IDF1", 5), ("oracle's", 8),
    ("HOTA", 5), ("AssA", 5),
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
            best, mixed = idf1_of(scene, people_of(scene)), len(mixed_tracks(scene))
            tracks = int(np.isfinite(scene.begin_s).sum())
            ground = ground_of(data, config.ground, options.shared)
            identity = config.identity.model_copy(update={"similarity": similarity_for(data, config)})
            here = config.model_copy(update={"identity": identity})
            for method, outcome in link_all_ways(scene, here, ground, options.method):
                stated = config.identity.max_false_merge_rate if method.startswith("ours") else None
                print_cells([data, f"{tracks}, {mixed}", method, *cells(outcome, best, stated)])
                about_row = {"data": data, "method": method, "stated_rate": stated}
                about_row |= {"oracle_IDF1": best, "tracks": tracks, "tracks_mixed": mixed}
                rows.append({**about_row, **outcome.as_dict()})
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


def link_all_ways(
    scene: TrackedScene, config: RunConfig, ground: GroundConfig, methods: Sequence[str]
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
        linker = IdentityLinker(config.identity, cameras, plane=GroundPlane(ground, cameras))
        settled_s = observe_all(scene, [linker])[0]
        linker.finalize()
        if "online" in methods:
            yield "ours, online", score(scene, identities_of(scene, linker), settled_s, linker.num_identities)
        if "offline" in methods:
            linker.link_offline()
            yield "ours, offline", score(scene, identities_of(scene, linker), None, linker.num_identities)
    if "oracle" in methods:
        yield "oracle", score(scene, people_of(scene), None)


def cells(outcome: Outcome, oracle_idf1: float, stated_rate: float | None) -> list[str]:
    """The figures of a row as the table shows them, percent and seconds; empty where there are none."""
    counts, scores = outcome.reentry, outcome.scores
    recognised = (
        f"{100 * outcome.recognised_rate:.1f} of {counts.returns_found}" if counts.returns_found else ""
    )
    decided = ", ".join(f"{s:.1f}" if np.isfinite(s) else "never" for s in outcome.decided_s or ())
    together = f"{100 * outcome.together_as_one / outcome.together:.1f}" if outcome.together else ""
    return [
        f"{outcome.people} / {outcome.people_true}",
        *(f"{100 * figure:.1f}" for figure in (scores.idf1, oracle_idf1, scores.hota, scores.ass_a)),
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
