"""Where people stand on the ground, for the map of the page and for events."""

from collections.abc import Mapping

import numpy as np

from tracker.events.visits import GONE_S, TrackKey
from tracker.ground import GroundPlane
from tracker.types import Sightings, Tick


class Standing:
    """The newest place of each track and person in view of a camera that has a homography."""

    def __init__(self, ground: GroundPlane) -> None:
        self._ground = ground
        self._tracks: dict[TrackKey, tuple[float, int, list[float]]] = {}

    def see(self, tick: Tick, sightings: Mapping[str, Sightings]) -> None:
        """The people of a tick."""
        for frame in tick.frames:
            seen = sightings[frame.camera]
            places = self._ground.positions(frame.camera, seen.boxes)
            if not self._ground.is_y_down:
                places = places * (1, -1)
            rows = zip(seen.track_ids.tolist(), seen.identity_ids.tolist(), places.round(2), strict=True)
            for track, person, place in rows:
                if np.isfinite(place).all():
                    self._tracks[frame.camera, track] = tick.time, person, place.tolist()
        self._tracks = {key: it for key, it in self._tracks.items() if tick.time - it[0] <= GONE_S}

    def of(self, person: int | None) -> list[float] | None:
        """Metres, x to the right and y downwards, as the map is drawn; None where it is not known."""
        seen = [(time_s, place) for time_s, who, place in self._tracks.values() if person and who == person]
        return max(seen, key=lambda it: it[0])[1] if seen else None

    def of_track(self, track: TrackKey) -> list[float] | None:
        """The same of a track, whoever it is."""
        return self._tracks[track][2] if track in self._tracks else None
