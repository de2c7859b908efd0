"""Early exits: what they save, and what they cost, with real pixels through the whole tracker.

    python -m benchmarks.exits --shared ../shared
    python -m benchmarks.exits --data pets-2x1 --budget 0.4 0.6

Each row says what the network did, in multiply-adds and in processor time of the stage that embeds, and IDF1
over all cameras as `benchmarks.identity` takes it, on the way and after the end. Multiply-adds are a share of
those of the row without exits.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.identity.__main__ import SHARED
from benchmarks.identity.scenes import Watched, cut_pets, watch_pets
from benchmarks.identity.scoring import identities_of, idf1_of
from benchmarks.identity.tracked import TrackedCamera, TrackedScene
from tracker.clock import StageClock
from tracker.config import ExitsConfig, ReidEmbedderConfig, RunConfig, SourceConfig, load_config
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.sources import open_source
from tracker.types import Detections, Sightings, Tracks

BUDGETS = (0.5,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each scene and budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exits", description=__doc__)
    parser.add_argument("--data", nargs="+", default=["pets-2x1", "pets-2x2"])
    parser.add_argument("--budget", nargs="+", type=float, default=BUDGETS)
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reunite-identity")
    options = parser.parse_args(arguments)
    print(
        "| data | exits | crops early, whole | multiply-adds % | processor s | IDF1 online, offline | people"
    )
    for data in options.data:
        watched = watch_pets(data, False, False, ReidEmbedderConfig(), options.shared, options.cache)
        folder, before = cut_pets(data, options.shared, options.cache), 0.0
        for budget in (None, *options.budget):
            config = load_config(None, ["camera_motion.kind=none", *options.set])
            exits = None if budget is None else ExitsConfig(budget=budget)
            embedder = config.embedder.model_copy(update={"exits": exits})
            tracker, clock, scene = follow(watched, folder, config.model_copy(update={"embedder": embedder}))
            early, whole = 0, float(tracker.num_embedded)
            if tracker.exits is not None:
                report = tracker.exits.report()
                early, whole = int(report["early"]), report["whole"]
                cost = (1 - report["multiply_adds_saved"]) * (early + whole)
            else:
                before = cost = whole
            online = idf1_of(scene, identities_of(scene, tracker.identities))
            tracker.identities.link_offline()
            offline = idf1_of(scene, identities_of(scene, tracker.identities))
            print(
                f"| {data} | {budget} | {early}, {whole:.0f} | {100 * cost / before:.1f} | "
                f"{clock.seconds['embed']:.2f} | {100 * online:.1f}, {100 * offline:.1f} | "
                f"{tracker.identities.num_identities} |",
                flush=True,
            )
    return 0


def follow(
    watched: Sequence[Watched], folder: Path, config: RunConfig
) -> tuple[MultiCameraTracker, StageClock, TrackedScene]:
    """Track known detections in the videos of a folder; people are not linked once more at the end."""
    clock = StageClock(now=time.process_time)
    cameras = {camera.truth.name: camera for camera in watched}
    tracker = MultiCameraTracker(cameras, config, clock=clock)
    seen: dict[str, list[Sightings]] = {name: [] for name in cameras}
    source = open_source([str(folder / f"{name}.mp4") for name in cameras], SourceConfig(), {})
    for tick in source.ticks():
        found: dict[str, Detections] = {}
        for frame in tick.frames:
            camera = cameras[frame.camera]
            found[frame.camera] = camera.found[camera.limits[frame.number - 1] : camera.limits[frame.number]]
        for name, sightings in tracker.step(tick, found).items():
            seen[name].append(sightings[sightings.scores > 0])  # without those who coast
    source.close()
    tracker.identities.finalize()
    return tracker, clock, TrackedScene([_tracked(camera, seen[name]) for name, camera in cameras.items()])


def _tracked(camera: Watched, seen: Sequence[Sightings]) -> TrackedCamera:
    counts = [len(frame) for frame in seen]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(frame, name) for frame in seen])

    nothing = np.zeros((sum(counts), 0), np.float32)
    return TrackedCamera(
        truth=camera.truth,
        frame_rate=camera.info.frame_rate,
        size=(camera.info.width, camera.info.height),
        limits=np.concatenate(([0], np.cumsum(counts))),
        tracks=Tracks(joined("track_ids"), joined("boxes"), joined("scores"), nothing),
        is_embedded=np.zeros(sum(counts), np.bool_),
        embeddings=nothing[:0],
    )


if __name__ == "__main__":
    sys.exit(main())
