"""Camera motion from corners of the background that are followed from picture to picture."""

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image

# Chosen on MOT16-11: docs/camera-motion.md. Pixels are those of the small picture.
MAX_CORNERS = 100
MIN_CORNER_QUALITY = 0.01
"""As a share of the best corner's."""
MIN_CORNER_DISTANCE_PX = 16
"""Corners all over the picture, not a hundred in one tree."""
WINDOW_PX = 11
PYRAMID_LEVELS = 3
"""Above the picture itself, each half as large: motions of some 40 pixels are found."""
MAX_RESIDUAL_PX = 0.3
"""A corner farther from where the camera's motion takes it moved by itself, or was not found again."""
MIN_INLIERS = 8
"""Corners that agree; between unrelated pictures 3 do."""


def align_by_flow(before: Image, now: Image, background: Image) -> FloatArray | None:
    """Shift, turn and zoom that most corners agree on; see `Align`.

    That corners are found back from the new picture is not asked: RANSAC drops the same ones for less.

    Source: Shi and Tomasi 1994, "Good features to track"; Bouguet 2001, "Pyramidal implementation of the
    affine Lucas Kanade feature tracker".
    """
    # Every second pixel shows where corners are as well as all do, for a quarter of the time.
    few, of_few = (np.ascontiguousarray(it[::2, ::2]) for it in (before, background))
    corners = cv2.goodFeaturesToTrack(
        few, MAX_CORNERS, MIN_CORNER_QUALITY, MIN_CORNER_DISTANCE_PX // 2, mask=of_few
    )
    if corners is None or len(corners) < MIN_INLIERS:
        return None
    corners *= 2
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before,
        now,
        corners,
        None,  # type: ignore[call-overload]
        winSize=(WINDOW_PX, WINDOW_PX),
        maxLevel=PYRAMID_LEVELS,
    )
    seen = found[:, 0] > 0
    if np.count_nonzero(seen) < MIN_INLIERS:
        return None
    motion, inliers = cv2.estimateAffinePartial2D(
        corners[seen], moved[seen], method=cv2.RANSAC, ransacReprojThreshold=MAX_RESIDUAL_PX
    )
    if motion is None or np.count_nonzero(inliers) < MIN_INLIERS:
        return None
    return np.asarray(motion, np.float64)
