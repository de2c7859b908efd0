"""Speed of the camera tracker alone: N boxes that walk over a 1080p picture, one process, no pixels.

python -m benchmarks.association
python -m benchmarks.association --boxes 50 200 --frames 300
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from tracker.camera_tracker import CameraTracker
from tracker.config import TrackingConfig
from tracker.types import CameraName, Observations

WIDTH_PX, HEIGHT_PX, FRAME_RATE = 1920, 1080, 30.0
SPEED_PX_PER_S = 60.0
JITTER_PX = 1.0


def moving_boxes(count: int, num_frames: int, seed: int = 0) -> list[Observations]:
    """Boxes of 30 to 60 by 80 to 160 px that walk straight and turn back at the edges; scores 0.5 to 1."""
    random = np.random.default_rng(seed)
    centers = random.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (count, 2))
    step = random.normal(0, SPEED_PX_PER_S / FRAME_RATE, (count, 2))
    half = random.uniform((15, 40), (30, 80), (count, 2))
    nothing = np.empty((count, 0), np.float32)
    frames = []
    for _ in range(num_frames):
        centers += step
        step = np.where((centers < 0) | (centers > (WIDTH_PX, HEIGHT_PX)), -step, step)
        seen = centers + random.normal(0, JITTER_PX, centers.shape)
        boxes = np.concatenate((seen - half, seen + half), axis=1)
        frames.append(Observations(boxes, random.uniform(0.5, 1.0, count), nothing))
    return frames


def frames_per_s(frames: Sequence[Observations]) -> float:
    """How many frames a fresh tracker takes in a second."""
    tracker = CameraTracker(CameraName("benchmark"), TrackingConfig())
    began = time.perf_counter()
    for number, found in enumerate(frames):
        tracker.update(number / FRAME_RATE, found)
    return len(frames) / (time.perf_counter() - began)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, nargs="+", default=[10, 50, 200, 500, 1000])
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args(arguments)
    print(f"{'boxes':>6} {'frames/s':>9} {'us/box':>7}")
    for count in options.boxes:
        rate = frames_per_s(moving_boxes(count, options.frames))
        print(f"{count:6d} {rate:9.0f} {1e6 / rate / count:7.2f}")


if __name__ == "__main__":
    main()
