"""What is older than the settings allow is deleted, while a live run goes on."""

from collections.abc import Callable
from pathlib import Path

from tracker.config.retention import RetentionConfig
from tracker.identity import IdentityLinker
from tracker.recording.live import LiveRecording
from tracker.recording.people import RunPeople
from tracker.sinks.events import EventLog

EVERY_S = 600.0
"""What is old is looked for this often, by the clock of the frames; oftener if anything is kept shorter."""


class Retention:
    """Applies the settings now and then.

    Args:
        config: For how long what is kept.
        recording: Sightings, tracklets and events of the run.
        people: Its gallery and thumbnails.
        events: Its log of events.
        videos: The folder of its videos.
    """

    def __init__(
        self,
        config: RetentionConfig,
        recording: LiveRecording,
        people: RunPeople,
        events: EventLog,
        videos: Path,
    ) -> None:
        self._recording, self._people = recording, people
        self._events, self._videos = events, videos
        self._applied_s = -float("inf")
        self.configure(config)

    def configure(self, config: RetentionConfig) -> None:
        """Keep everything for so long from now on."""
        self._config = config
        kept = [it for kind in type(config).model_fields if (it := config.seconds(kind)) is not None]
        self._every_s = min([EVERY_S, *(it / 4 for it in kept)])

    def apply(self, time_s: float, identities: IdentityLinker, checkpoint: Callable[[], None]) -> None:
        """Delete what is too old at this time, Unix; follows a checkpoint, and makes another if need be.

        Raises:
            ReuniteError: A file cannot be written.
        """
        if time_s < self._applied_s + self._every_s:
            return
        self._applied_s = time_s
        before = {
            kind: time_s - seconds
            for kind in type(self._config).model_fields
            if (seconds := self._config.seconds(kind)) is not None
        }
        self._recording.drop_before(before.get("sightings"), before.get("events"))
        if "gallery" in before:
            last_seen = identities.last_seen()
            if absent := [it for it, last_s in last_seen.items() if last_s < before["gallery"]]:
                identities.forget(absent)
        self._people.drop_before(before.get("gallery"), before.get("thumbnails"))
        for path in self._videos.glob("*.mp4") if "videos" in before else ():
            if path.stat().st_mtime < before["videos"]:
                path.unlink()
        if "events" in before and self._events.drop_before(before["events"]):
            checkpoint()  # which counts what is in the log
