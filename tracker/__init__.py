"""Reunite: people in, over many cameras, each with one identity.

What a program imports stands here; a name is loaded when it is first used::

    >>> from tracker import Detections, MultiCameraTracker, Tick, blank_image, load_config
    >>> config = load_config(overrides=["camera_motion.kind=none", "embedder.kind=none"])
    >>> tracker = MultiCameraTracker(["door", "hall"], config)
    >>> for number in range(5):  # somebody walks past the door; whoever finds people is your own
    ...     tick = Tick.of(number / 10, {"door": blank_image(640, 480)})
    ...     left = 100 + 5 * number
    ...     found = {"door": Detections.of([[left, 50, left + 60, 230]], scores=[0.9])}
    ...     people = tracker.step(tick, found)
    >>> people["door"].track_ids.tolist()
    [1]
    >>> people["door"].boxes.round().tolist()
    [[120.0, 50.0, 180.0, 230.0]]

docs/python.md shows your own detector, one camera, many, plain arrays, and scores.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundation.arrays import BoolArray
    from foundation.errors import ReuniteError
    from tracker.camera_tracker import CameraTracker
    from tracker.config import load_config
    from tracker.evaluate import evaluate_results
    from tracker.multi_camera_tracker import MultiCameraTracker
    from tracker.sources import open_source
    from tracker.stages import Detector, Embedder
    from tracker.types import (
        Detections,
        Frame,
        Network,
        Observations,
        Sightings,
        State,
        Tick,
        blank_image,
    )

__all__ = [
    "BoolArray",
    "CameraTracker",
    "Detections",
    "Detector",
    "Embedder",
    "Frame",
    "MultiCameraTracker",
    "Network",
    "Observations",
    "ReuniteError",
    "Sightings",
    "State",
    "Tick",
    "blank_image",
    "evaluate_results",
    "load_config",
    "open_source",
]

_HOMES = {
    "camera_tracker": ["CameraTracker"],
    "config": ["load_config"],
    "evaluate": ["evaluate_results"],
    "multi_camera_tracker": ["MultiCameraTracker"],
    "sources": ["open_source"],
    "stages": ["Detector", "Embedder"],
}
"""Where a name comes from; all others are types."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "types")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
