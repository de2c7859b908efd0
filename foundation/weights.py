"""Where weight files lie: at a path, or by their bare name in one folder."""

import os
from pathlib import Path

WEIGHTS_VARIABLE = "REUNITE_WEIGHTS"


def weights_folder(setting: str) -> Path:
    """The folder of weights: the setting, else the variable REUNITE_WEIGHTS, else ``weights`` here."""
    return Path(setting or os.environ.get(WEIGHTS_VARIABLE) or "weights").expanduser()


def find_weights(name: str, folder: Path) -> Path | None:
    """The file or exported folder that ``name`` means, or None.

    Args:
        name: A path, or a bare name such as ``yolo11n.pt``, which is looked up here and then in ``folder``.
        folder: The folder of weights.
    """
    given = Path(name).expanduser()
    places = [given, folder / given] if given.name == name else [given]
    return next((place for place in places if place.exists()), None)
