"""A window that shows all cameras while they are tracked."""

import os
import sys
import threading

import cv2
import numpy as np

from foundation.arrays import Image
from foundation.errors import ReuniteError
from tracker.letterbox import letterbox
from tracker.sinks.overlay import OverlayPainter
from tracker.types import CameraName, Frame, Sightings

TILE = (640, 360)
"""Width and height in pixels of one camera's place."""
BLACK = 0


class Window:
    """A sink that shows the cameras side by side; the key q or Esc sets ``stop``.

    Raises:
        ReuniteError: There is no screen.
    """

    def __init__(self, stop: threading.Event) -> None:
        # Without a screen OpenCV's window library ends the whole process, so ask first.
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ReuniteError("output.show: there is no screen here; use --save-video instead")
        self._stop = stop
        self._painters: dict[CameraName, OverlayPainter] = {}
        self._tiles: dict[CameraName, Image] = {}
        self._shown_s = -1.0

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Draw the camera's tile, and show all tiles once for each moment."""
        if frame.time != self._shown_s and self._tiles:
            self._show()
        self._shown_s = frame.time
        picture = self._painters.setdefault(frame.camera, OverlayPainter()).paint(frame, sightings)
        self._tiles[frame.camera] = letterbox(picture, TILE, BLACK).picture

    def close(self) -> None:
        cv2.destroyAllWindows()

    def _show(self) -> None:
        columns = int(np.ceil(np.sqrt(len(self._tiles))))
        tiles = list(self._tiles.values())
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
        cv2.imshow("Reunite", np.vstack(rows))
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            self._stop.set()
