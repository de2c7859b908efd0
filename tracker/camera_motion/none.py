"""Cameras that stand still."""

import numpy as np

from tracker.types import FloatArray, Frame, State


class NoCameraMotion:
    """Every camera stands still; pictures are not looked at."""

    def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
        """(2, 3) the identity. See `CameraMotion`."""
        return np.eye(2, 3)

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""
