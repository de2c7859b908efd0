"""Cameras that stand still, or whose motion only the boxes tell (``tracking.common_shift``)."""

import numpy as np

from foundation.arrays import FloatArray
from tracker.types import Frame, State


class NoCameraMotion:
    """Looks at no picture."""

    def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
        """(2, 3) the identity. See `CameraMotion`."""
        return np.eye(2, 3)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""
