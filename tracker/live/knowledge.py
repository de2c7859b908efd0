"""What a run knows of a track beside who it is: where it stands, and who else it could be."""

from typing import Any

from tracker.events.visits import TrackKey
from tracker.identity import IdentityLinker
from tracker.live.ground import Standing

MAX_ALTERNATIVES, MIN_PROBABILITY = 3, 0.01


class Knowledge:
    """Asked by the thread that tracks; see `tracker.events.maker.Knowledge`.

    Attributes:
        identities: Of the run; None before it is open.
        standing: Where people stand; None where no camera has a homography.
    """

    def __init__(self) -> None:
        self.identities: IdentityLinker | None = None
        self.standing: Standing | None = None

    def ground(self, track: TrackKey) -> list[float] | None:
        """Metres, x to the right and y downwards; None where it is not known."""
        return self.standing.of_track(track) if self.standing else None

    def alternatives(self, track: TrackKey, person: int) -> list[dict[str, Any]]:
        """Who else it could be, the likeliest first."""
        found = self.identities.candidates(*track) if self.identities else None
        if found is None:
            return []
        rows = zip(found.probabilities.tolist(), found.identity_ids.tolist(), strict=True)
        likely = sorted((it for it in rows if it[1] != person and it[0] >= MIN_PROBABILITY), reverse=True)
        return [
            {"person": other, "probability": round(probability, 3)}
            for probability, other in likely[:MAX_ALTERNATIVES]
        ]
