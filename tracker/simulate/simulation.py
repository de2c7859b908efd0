"""From a configuration to files: the loop over time, readable on one screen."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from tracker.simulate.body import Bodies, draw_looks, pose
from tracker.simulate.config import SimulationConfig
from tracker.simulate.crops import CropWriter
from tracker.simulate.figure import paint
from tracker.simulate.layout import build_site
from tracker.simulate.noise import NoisyDetector
from tracker.simulate.render import Renderer
from tracker.simulate.scene import look
from tracker.simulate.truth import see
from tracker.simulate.world import World
from tracker.simulate.writer import CameraWriter, whole_or_nothing, write_calibration


def simulate(
    out: Path,
    config: SimulationConfig,
    overwrite: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Write a simulated world to a folder.

    For each camera camN: camN/gt/gt.txt, camN/det/det.txt, camN/seqinfo.ini and, with ``config.video``,
    camN.mp4; for all of them calibration.json and, with ``config.crops_every_s``, people/. Everything or,
    after an error or Ctrl-C, nothing is left.

    Args:
        out: The folder; made where it does not exist.
        config: The world. Equal values give equal bytes, and the same text files with and without video.
        overwrite: Replace an earlier simulation that is there; other files stay.
        on_progress: Called now and then with the number of frames that are done.

    Raises:
        ReuniteError: ``out`` cannot be used.
    """
    # Streams of random numbers that do not disturb each other: drawing a video changes no walk.
    seed = np.random.SeedSequence(config.seed)
    site_seed, look_seed, paint_seed, walk_seed, *others = seed.spawn(4 + 3 * config.cameras)
    noise_seeds, picture_seeds, room_seeds = others[::3], others[1::3], others[2::3]
    paint_rng = np.random.default_rng(paint_seed)
    site = build_site(config, np.random.default_rng(site_seed))
    looks = draw_looks(config.people, np.random.default_rng(look_seed))
    bodies, paints = Bodies.of(looks), [paint(one, paint_rng) for one in looks]
    world = World(site, np.array([one.gait_speed for one in looks]), np.random.default_rng(walk_seed))
    views = [look(camera, site.rooms[camera.room]) for camera in site.cameras]
    with whole_or_nothing(out, overwrite) as folder, ExitStack() as stack:
        write_calibration(folder, site.cameras)
        writers = [stack.enter_context(CameraWriter(folder, camera, config)) for camera in site.cameras]
        detectors, renderers = [], []
        for number, camera in enumerate(site.cameras):
            room, view = site.rooms[camera.room], views[number]
            rng = np.random.default_rng(noise_seeds[number])
            detectors.append(
                NoisyDetector(config.detection, camera, room.spots, config.people, config.frame_rate, rng)
            )
            if config.is_drawn:
                # Cameras of one room start from the room's seed, so they see the same floor and walls.
                room_rng = np.random.default_rng(room_seeds[camera.room])
                rng = np.random.default_rng(picture_seeds[number])
                renderers.append(Renderer(camera, room, view, room_rng, rng))
        crops = None
        if config.crops_every_s:
            every = max(1, round(config.crops_every_s * config.frame_rate))
            crops = stack.enter_context(closing(CropWriter(folder / "people", looks, every)))
        first = 0
        for motion in world.run(config.frames, config.frame_rate):
            frames = len(motion.room)
            for number in range(len(site.rooms)):
                at, people = np.nonzero(motion.room == number)
                poses = pose(motion, at, people, bodies)
                for index, camera in enumerate(site.cameras):
                    if camera.room != number:
                        continue
                    truth = see(poses, at + first, bodies, camera, views[index])
                    writers[index].write_truth(truth)
                    writers[index].write_detections(detectors[index].detect(truth, first, frames))
                    for frame in range(frames if config.is_drawn else 0):
                        seen = poses[at == frame]
                        image = renderers[index].draw(seen, bodies, paints)
                        if config.video:
                            writers[index].write_frame(image)
                        if crops is not None:
                            crops.write(image, first + frame, index, camera, truth, seen)
            first += frames
            if on_progress:
                on_progress(first)
