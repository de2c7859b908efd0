"""The scenes by name, their tracks kept in files, and what is known of the ground of their cameras."""

from collections.abc import Sequence
from inspect import getfile
from pathlib import Path

from benchmarks.identity import appearance, scenes, tracked
from benchmarks.identity.appearance import Spread
from benchmarks.identity.cache import cached, digest
from benchmarks.identity.scenes import (
    PETS,
    Watched,
    cut_pets,
    detector_of,
    network_of,
    ufes_homographies,
    watch_campus,
    watch_pets,
    watch_simulated,
    watch_ufes,
)
from benchmarks.identity.tracked import TrackedCamera, follow, pack, unpack
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from reid.stored_prior import find_prior
from tracker import association, camera_tracker, geometry, kalman
from tracker.config import GroundConfig, ReidEmbedderConfig, RunConfig, SimilarityConfig
from tracker.simulate import SimulationConfig

TRUTH = "-truth"
"""Ending of the scenes in which true boxes stand for a detector, to see the linking alone."""
NUMBERS = "-numbers"
"""Ending of the PETS scenes in which people have the numbers that are published."""
CALIBRATED = "ufes-calibrated"
"""UFES with the homographies that follow from its calibration."""
SIMULATED = {
    "simulated-6": SimulationConfig(cameras=6, people=60, seconds=600, frame_rate=10, video=False),
    "simulated-12": SimulationConfig(cameras=12, people=500, seconds=3600, frame_rate=5, video=False),
}
DATA = (
    *(f"{name}{numbers}{end}" for name in PETS for numbers in ("", NUMBERS) for end in ("", TRUTH)),
    "ufes",
    CALIBRATED,
    *SIMULATED,
    "campus",
    f"campus{TRUTH}",
)

MADE_BY = tuple(
    Path(getfile(module))
    for module in (appearance, scenes, tracked, association, camera_tracker, geometry, kalman)
)
"""The code that the tracks of a scene depend on."""


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
    made_of: list[object] = [config.tracking, embed_every_s, *MADE_BY]

    def follow_all(watched: Sequence[Watched]) -> list[TrackedCamera]:
        return [follow(camera, config.tracking, embed_every_s) for camera in watched]

    grid, as_published = name.removesuffix(NUMBERS), name.endswith(NUMBERS)
    if grid in PETS or name in ("ufes", CALIBRATED):
        folder = cut_pets(grid, shared, cache) if grid in PETS else shared / "data" / "ufes-4cam"
        detector = detector_of(shared)
        made_of += [folder, detector, Path(detector.weights), embedder, *network_of(embedder)]

        def watch() -> list[Watched]:
            if grid in PETS:
                return watch_pets(grid, use_truth, as_published, embedder, shared, cache)
            return watch_ufes(embedder, shared, cache)

        file = cache / f"{data.replace(CALIBRATED, 'ufes')}-tracks-{digest(*made_of)}.npz"
        return unpack(cached(file, lambda: pack(follow_all(watch()))))
    made_of += [data, spread, seed]
    if name in SIMULATED:
        world = SIMULATED[name].model_copy(update={"seed": seed})
        file = cache / f"{data}-tracks-{digest(world, *made_of, Path(getfile(SimulationConfig)).parent)}.npz"
        return unpack(cached(file, lambda: pack(follow_all(watch_simulated(world, spread, cache)))))
    folder = shared / "data" / "campus-auditorium"
    file = cache / f"{data}-tracks-{digest(folder, *made_of)}.npz"
    return unpack(cached(file, lambda: pack(follow_all(watch_campus(folder, use_truth, spread, seed)))))


def ground_of(data: str, ground: GroundConfig, shared: Path) -> GroundConfig:
    """What is known of the ground: what the configuration says, and, of a calibrated scene, its homographies.

    Raises:
        ReuniteError: The data is not there.
    """
    if data != CALIBRATED:
        return ground
    known = {**ufes_homographies(shared), **ground.homographies}
    return GroundConfig.model_validate({**ground.model_dump(), "homographies": known})


def similarity_for(data: str, config: RunConfig) -> SimilarityConfig:
    """What cosines mean in a scene before it is seen: as the network's weights say, or, where embeddings are
    drawn, as of the network whose spread they have."""
    is_drawn = data.startswith("campus") or data in SIMULATED
    if is_drawn or not isinstance(config.embedder, ReidEmbedderConfig):
        return config.identity.similarity
    known = find_prior(network_of(config.embedder)[0])
    return config.identity.similarity.of_network(known or CosinePrior())
