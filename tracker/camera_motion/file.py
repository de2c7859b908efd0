"""Camera motion that was measured before, one text file for each camera."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from tracker.config import FileCameraMotionConfig
from tracker.types import CameraName, Frame, State

WAY_OUT = "write the file anew, or take camera_motion.kind=flow"


class FileCameraMotion:
    """Looks each frame up by its number; over frames that were dropped the motions add up."""

    def __init__(self, config: FileCameraMotionConfig, cameras: Iterable[CameraName]) -> None:
        """Read FOLDER/CAMERA.txt of every camera.

        Raises:
            ReuniteError: A camera has no file, or a file has a bad line, which is named.
        """
        self._paths = {camera: Path(config.path, f"{camera}.txt") for camera in cameras}
        self._motions = {camera: read_motions(path) for camera, path in self._paths.items()}
        self._numbers: dict[CameraName, int] = {}

    def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
        """(2, 3) from the frame of this camera before to this one. See `CameraMotion`.

        Raises:
            ReuniteError: The file ends before this frame.
        """
        motions = self._motions[frame.camera]
        if frame.number > len(motions):
            raise ReuniteError(
                f"{self._paths[frame.camera]}: ends at frame {len(motions)}, camera {frame.camera!r} goes on "
                f"with frame {frame.number}; {WAY_OUT}"
            )
        before = self._numbers.get(frame.camera, frame.number)
        self._numbers[frame.camera] = frame.number
        whole = np.eye(3)
        for motion in motions[before : frame.number]:
            whole = np.vstack((motion, (0.0, 0.0, 1.0))) @ whole
        return whole[:2]

    def state(self) -> State:
        """The newest frame number of each camera."""
        return {camera: np.array(number) for camera, number in self._numbers.items()}

    def restore(self, state: State) -> None:
        self._numbers = {CameraName(camera): int(number) for camera, number in state.items()}


def read_motions(path: Path) -> FloatArray:
    """Read lines ``k a b tx c d ty``, separated by blanks; k counts from 0.

    Returns:
        (K, 2, 3): row k is [[a, b, tx], [c, d, ty]], which takes positions in pixels of frame k, counted
        from 1, to those of frame k + 1. Row 0 has no frame before it and is never used.

    Raises:
        ReuniteError: The file cannot be read; or with the number of the line (from 1): it has not seven
            finite numbers, or another k is due, or its matrix turns the picture over or flattens it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ReuniteError(
            f"{path}: cannot read the camera motion ({reason}); set camera_motion.path to the folder that "
            "holds CAMERA.txt for each camera, or take camera_motion.kind=flow"
        ) from error
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        problem = ""
        if len(values) != 7 or not np.isfinite(values).all():
            problem = f"seven numbers 'k a b tx c d ty' are needed, got {line.strip()!r}"
        elif values[0] != len(rows):
            problem = f"the line k={len(rows)} is due, got k={words[0]}; there must be one for each frame"
        elif values[1] * values[5] - values[2] * values[4] <= 0:
            problem = f"the matrix of k={words[0]} turns the picture over or flattens it"
        if problem:
            raise ReuniteError(f"{path}, line {number}: {problem}; {WAY_OUT}")
        rows.append(values[1:])
    return np.array(rows).reshape(-1, 2, 3)
