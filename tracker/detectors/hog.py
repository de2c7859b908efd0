"""OpenCV's HOG people detector, asked about given boxes instead of searched over the picture."""

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image

WINDOW = (64, 128)
"""Width and height of the picture that it judges."""
PERSON_PX = 101
"""Height of a person in the window for which it is surest, on PETS09-S2L1 and on drawn figures alike. With a
box of 0.8 or 1.3 times the right height it already says no, so it can measure how tall somebody is."""


class HogJudge:
    """Says how much a box looks like an upright person, head at its top and feet at its bottom.

    Source: Dalal and Triggs 2005, "Histograms of oriented gradients for human detection"; their weights are
    part of OpenCV.
    """

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        # OpenCV's type hints do not know this function.
        weights = np.ravel(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]
        self._weights, self._offset = weights[:-1], float(weights[-1])

    def margins(self, image: Image, boxes: FloatArray) -> FloatArray:
        """(H, W, 3) BGR and (N, 4) boxes to (N,): above 0 is a person, 2 a sure one, below -1 something else.

        The width of a box says nothing but where its middle is. Boxes may reach beyond the picture.
        """
        return np.array([self._margin(image, box) for box in boxes], np.float64)

    def _margin(self, image: Image, box: FloatArray) -> float:
        width, height = WINDOW
        x1, y1, x2, y2 = box
        scale = (y2 - y1) / PERSON_PX
        left, top = (x1 + x2) / 2 - width / 2 * scale, (y1 + y2) / 2 - height / 2 * scale
        window = cv2.warpAffine(
            image,
            np.array([[scale, 0, left], [0, scale, top]]),
            WINDOW,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return float(np.ravel(self._hog.compute(window)) @ self._weights + self._offset)
