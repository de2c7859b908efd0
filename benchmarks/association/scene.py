"""The boxes that every tracker gets: N people who walk over a 1080p picture."""

import numpy as np

from foundation.arrays import FloatArray

WIDTH_PX, HEIGHT_PX, FRAME_RATE = 1920, 1080, 30.0
SPEED_PX_PER_S = 60.0
JITTER_PX = 1.0


def moving_boxes(count: int, num_frames: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Boxes of 30 to 60 by 80 to 160 px that walk straight and turn back at the edges.

    Their size does not depend on their number, so it grows with the number how many each overlaps: 0.1 of
    10, 2 of 200, 10 of 1,000. Nobody is missed and nothing is found where nobody is.

    Returns:
        (F, N, 4) x1, y1, x2, y2 in pixels, of F frames, and (F, N) scores from 0.5 to 1.
    """
    random = np.random.default_rng(seed)
    centers = random.uniform((0, 0), (WIDTH_PX, HEIGHT_PX), (count, 2))
    step = random.normal(0, SPEED_PX_PER_S / FRAME_RATE, (count, 2))
    half = random.uniform((15, 40), (30, 80), (count, 2))
    boxes, scores = np.empty((num_frames, count, 4)), np.empty((num_frames, count))
    for frame in range(num_frames):
        centers += step
        step = np.where((centers < 0) | (centers > (WIDTH_PX, HEIGHT_PX)), -step, step)
        seen = centers + random.normal(0, JITTER_PX, centers.shape)
        boxes[frame] = np.concatenate((seen - half, seen + half), axis=1)
        scores[frame] = random.uniform(0.5, 1.0, count)
    return boxes, scores
