"""How long a live run keeps what: a section of a configuration."""

import re
from typing import Annotated

from pydantic import AfterValidator

from foundation.config import Section

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds_of(duration: str) -> float:
    """Seconds that ``7d``, ``12h`` and the like stand for.

    Raises:
        ValueError: They stand for nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", duration)
    if not match or not float(match[1]):
        raise ValueError(f"{duration!r}: write a number and s, m, h, d or w, for example 7d")
    return float(match[1]) * UNITS_S[match[2]]


def _checked(duration: str) -> str:
    seconds_of(duration)
    return duration


Duration = Annotated[str, AfterValidator(_checked)]


class RetentionConfig(Section):
    """For how long a live run keeps what; older is deleted while it goes on. A number and s, m, h, d or w;
    null keeps it for ever."""

    sightings: Duration | None = "30d"
    """Who was where in each frame, and the tracks."""

    thumbnails: Duration | None = "7d"
    """Small pictures of people in the gallery of the run, where `gallery.thumbnails` allows them."""

    gallery: Duration | None = "24h"
    """Whoever was not seen for so long is forgotten by the run, and by its own gallery; whoever returns later
    is somebody new. A gallery that `gallery.path` names forgets nobody by itself."""

    videos: Duration | None = "3d"
    """Overlay videos, of which there is one an hour."""

    events: Duration | None = "90d"
    """What was found out about who is who."""

    def seconds(self, kind: str) -> float | None:
        """For how long this kind is kept; None: for ever."""
        duration: str | None = getattr(self, kind)
        return None if duration is None else seconds_of(duration)
