"""What a live run keeps that may go on for weeks: by the hour and in SQLite, not in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.identity import IdentityLinker
from tracker.recording.checkpoint import Progress
from tracker.recording.hours import HourlyJournal
from tracker.recording.reader import FOLDER, read_hours
from tracker.recording.store import RunStore
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tracklets

FOLD_SHARE = 0.1
"""Old tracks are folded when so much of the time for which they stay has passed again."""


class LiveRecording:
    """A sink for sightings, and what is told of tracks and events at each checkpoint.

    Args:
        run: The folder of the run.
        cameras: All of the run, in order.
        progress: Where the run stands; what came later is cut off.

    Attributes:
        store: Its tracklets and events.
    """

    def __init__(self, run: Path, cameras: Sequence[CameraName], progress: Progress) -> None:
        folder = run / FOLDER
        self._folder, self._cameras = folder, list(cameras)
        self._hours = HourlyJournal(folder, cameras, progress.hours)
        try:
            self.store = RunStore(folder / "run.sqlite", cameras)
            self.store.go_back(progress.time_s, progress.stored_events)
        except BaseException:
            self._hours.close()
            raise
        self._num_rows, self._time_s = progress.journal_rows, progress.time_s
        self._folded_s = -float("inf")

    def add_camera(self, camera: CameraName) -> None:
        """One more, the last."""
        self.store.add_camera(camera)
        self._cameras.append(camera)
        self._hours.add_camera(camera)

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Append the people of one frame."""
        self._hours.write(frame, sightings)
        self._num_rows += len(sightings)
        self._time_s = max(self._time_s, frame.time)

    def save(self, progress: Progress, identities: IdentityLinker, events: Sequence[IdentityEvent]) -> None:
        """Bring everything to the disk, before the checkpoint that counts on it."""
        progress.hours, progress.journal_rows = self._hours.save(), self._num_rows
        self.store.write(identities.tracks(), identities.tracks(folded=True), events)
        progress.stored_events, progress.time_s = self.store.num_events, self._time_s

    def close_hours(self) -> None:
        """The checkpoint is on the disk: hours that were over by then are closed."""
        self._hours.close_hours(self._time_s)

    def fold(self, identities: IdentityLinker, keep_s: float) -> Tracklets:
        """Let go of tracks that ended ``keep_s`` ago and longer, now and then; those that are gone.

        All of them are stored: this follows a `save`.
        """
        before_s = self._time_s - keep_s
        if before_s < self._folded_s + FOLD_SHARE * keep_s:
            return identities.tracks()[:0]
        self._folded_s = before_s
        tracks = identities.tracks()
        identities.fold(before_s)
        left = identities.tracks()
        is_left = set(zip(left.cameras.tolist(), left.track_ids.tolist(), strict=True))
        keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
        return tracks[np.array([key not in is_left for key in keys], np.bool_)]

    @property
    def time_s(self) -> float:
        """When the newest frame was taken, Unix time."""
        return self._time_s

    def drop_before(self, sightings_s: float | None, events_s: float | None) -> None:
        """Delete hours and tracks that were over before, and events from before; None: none."""
        if sightings_s is not None:
            self._hours.drop_before(sightings_s)
        if sightings_s is not None or events_s is not None:
            self.store.drop_before(sightings_s, events_s)

    def rows(self) -> Iterator[NDArray[np.void]]:
        """All sightings, as rows of the journal, in pieces, hour by hour; what was saved."""
        return read_hours(self._folder, self._cameras)

    def finish(self) -> None:
        """The run is complete: every hour is closed."""
        self._hours.finish()

    def close(self) -> None:
        """Let go of the files. May be called twice."""
        self._hours.close()
        self.store.close()
