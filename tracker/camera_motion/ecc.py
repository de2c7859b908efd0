"""Camera motion as the shift and turn after which two pictures correlate best."""

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image

# Chosen on MOT16-11: docs/camera-motion.md.
LEVELS = 2
"""Of a pyramid, each picture half as large as the next."""
ITERATIONS = 15
MIN_GAIN = 1e-3
"""Of the correlation, for another iteration."""
SMOOTHING_PX = 3
MIN_CORRELATION = 0.8
"""MOT16-11 stays above 0.9 from frame to frame; across cuts 0.55 was seen."""
MIN_SIDE_PX = 16
"""Smaller pictures tell nothing."""


def align_by_ecc(before: Image, now: Image, background: Image) -> FloatArray | None:
    """Shift and turn; see `Align`.

    Source: Evangelidis and Psarakis 2008, "Parametric image alignment using enhanced correlation
    coefficient maximization".
    """
    if min(now.shape) < MIN_SIDE_PX << (LEVELS - 1):
        return None
    # OpenCV's mask belongs to the picture that is warped, and people are known in the one before.
    back = np.eye(2, 3, dtype=np.float32)
    correlation = 0.0
    for level in reversed(range(LEVELS)):
        share = 0.5**level
        target, warped = (
            cv2.resize(it, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) for it in (now, before)
        )
        mask = cv2.resize(background, target.shape[::-1], interpolation=cv2.INTER_NEAREST)
        back[:, 2] *= share
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, ITERATIONS, MIN_GAIN)
        try:
            correlation, found = cv2.findTransformECC(
                target, warped, back, cv2.MOTION_EUCLIDEAN, criteria, mask, SMOOTHING_PX
            )
        except cv2.error:  # pictures without contrast, or so unlike that it does not converge
            return None
        back = np.asarray(found, np.float32)
        back[:, 2] /= share
    if correlation < MIN_CORRELATION:
        return None
    return np.asarray(cv2.invertAffineTransform(back), np.float64)
