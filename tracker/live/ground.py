"""Where people stand on the ground, for the map of the page."""

from collections.abc import Mapping

import numpy as np

from tracker.events.visits import GONE_S
from tracker.ground import GroundPlane
from tracker.types import Sightings, Tick


class Standing:
    """The newest place of each person in view of a camera that has a homography."""

    def __init__(self, ground: GroundPlane) -> None:
        self._ground = ground
        self._places: dict[int, tuple[float, list[float]]] = {}

    def see(self, tick: Tick, sightings: Mapping[str, Sightings]) -> None:
        """The people of a tick."""
        for frame in tick.frames:
            seen = sightings[frame.camera]
            places = self._ground.positions(frame.camera, seen.boxes)
            if not self._ground.is_y_down:
                places = places * (1, -1)
            for person, place in zip(seen.identity_ids.tolist(), places.round(2), strict=True):
                if person and np.isfinite(place).all():
                    self._places[person] = tick.time, place.tolist()
        self._places = {person: it for person, it in self._places.items() if tick.time - it[0] <= GONE_S}

    def of(self, person: int | None) -> list[float] | None:
        """Metres, x to the right and y downwards, as the map is drawn; None where it is not known."""
        return self._places[person][1] if person in self._places else None
