"""One run from opened sources to written results; what `reunite track` and Python programs call."""

import logging
import math
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from rich.console import Console

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.build import build_camera_motion, build_detector, build_embedder
from tracker.clock import Delays, StageClock
from tracker.config import RunConfig, dump_config
from tracker.identity.linker import CHANGEABLE
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.pipeline import steps_of
from tracker.recording.checkpoint import Checkpoints, Progress, load_checkpoint, save_checkpoint
from tracker.recording.drawing import draw_videos
from tracker.recording.fitness import (
    picture_sizes,
    refuse_another,
    refuse_changed_cameras,
    refuse_unusable,
    with_starts,
    without_passwords,
)
from tracker.recording.folder import RunFolder
from tracker.recording.journal import Journal
from tracker.recording.live import LiveRecording
from tracker.recording.people import RunPeople
from tracker.recording.retention import Retention
from tracker.recording.sightings import SightingsReader
from tracker.recording.store import StoredIdentities
from tracker.recording.summary import write_summary
from tracker.sinks.blur import Blur
from tracker.sinks.events import EventLog
from tracker.sinks.live import JsonLines, LiveScreen, Shows
from tracker.sinks.now import CamerasNow
from tracker.sinks.overlay import OverlayVideos
from tracker.sinks.progress import ProgressBars
from tracker.sinks.window import Window
from tracker.sources import locate_cameras, open_source
from tracker.sources.addresses import Camera
from tracker.sources.live import LiveSource
from tracker.stages import Identities, Observer, Remembering, Sink
from tracker.types import IdentityEvent, State, Tick

logger = logging.getLogger(__name__)

MAX_BYTES_PER_S = 800_000
"""Of checkpoints that a live run writes in the mean: what it keeps at hand may be much, its disk slow."""

COUNTED = ("read", "dropped", "skipped", "reconnects")
"""What the report of a live camera counts over all parts of a run."""


class TrackingRun:
    """A `MultiCameraTracker` with its sources, and a folder that keeps all; use it in a ``with`` statement.

    Args:
        config: The whole configuration, sources included.
        stop: When it is set the run ends after the frame in hand.
        folder: The folder of a run that was cut off, to go on with it; None starts a new one.
        observer: Is told of every tick.
        goes_on: Whether a live run that was cut off connects to its cameras again, or only writes down what
            it had seen.

    Raises:
        ReuniteError: A setting, source or model cannot be used; then no folder was made.
    """

    def __init__(
        self,
        config: RunConfig,
        stop: threading.Event,
        folder: RunFolder | None = None,
        observer: Observer | None = None,
        *,
        goes_on: bool = True,
    ) -> None:
        self.config, self._stop, self._goes_on = config, stop, goes_on
        self.blur = Blur.of(config.output)  # others may set it while the run goes on
        self._observer, self._found_out = observer, list[IdentityEvent]()
        self._unsaved_events: list[IdentityEvent] = []
        self._drawing_problems: list[str] = []
        self.progress, states = Progress(), dict[str, State]()
        if folder is not None and folder.checkpoint.exists():
            self.progress, states = load_checkpoint(folder.checkpoint)
        self._clock = StageClock(self.progress.seconds)
        self._checkpoint_bytes = 0
        self._delays = {camera: Delays(counts) for camera, counts in self.progress.delays.items()}
        with ExitStack() as stack:
            done, health = self.progress.done, self.progress.health
            self.source = open_source(config.source, config.reading, done, health)
            stack.callback(self.source.close)
            self.cameras = list(self.source.reports)
            refuse_unusable(config, self.source.reports)
            config = self.config = with_starts(config, self.source.reports)
            refuse_changed_cameras(self.progress.cameras, self.source, done)
            self.progress.cameras = self.cameras
            locations = locate_cameras(config.source, config.reading.secret_path_parts)
            working = {name: locations[name] for name, it in self.source.reports.items() if not it.problem}
            embedder = build_embedder(config.embedder)
            self.network = embedder.network
            self._people = RunPeople(config, embedder.network, is_live=self.source.is_live)
            stack.callback(self._people.close)
            self.tracker = MultiCameraTracker(
                self.cameras,
                config,
                detector=build_detector(config.detector, working),
                embedder=embedder,
                camera_motion=build_camera_motion(config.camera_motion, working),
                reserve=self._people.reserve,
                clock=self._clock,
            )
            self._sizes = picture_sizes(config, self.source, self.tracker.detector)
            self.identities = self.tracker.identities
            if not states:
                self._people.tell(self.identities)
            self._window = Window(stop) if config.output.show else None
            self.folder = folder or RunFolder.create(without_passwords(config))
            self._open_journal(stack)
            log = self.folder.path / "events.jsonl"
            self._events = EventLog(
                log, self._take_events, self.progress.event_bytes, may_be_shorter=self.source.is_live
            )
            stack.callback(self._events.close)
            self._people.open_own(self.folder.path)
            if self._live:
                keep, videos = config.retention, self.folder.videos
                self._retention = Retention(keep, self._live, self._people, self._events, videos)
            self._remembering: dict[str, Remembering] = {"tracker": self.tracker, **self._people.stages()}
            for name, state in states.items():
                self._remembering[name].restore(state)
            self._stack = stack.pop_all()

    def __enter__(self) -> "TrackingRun":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def problems(self) -> list[str]:
        """A sentence for each camera that failed or ended too early, and for an unwritten gallery."""
        reports = self.source.reports.values()
        others = [*self._drawing_problems, self._people.problem]
        return [problem for problem in [*(report.problem for report in reports), *others] if problem]

    def change(self, config: RunConfig) -> None:
        """Take over what may change while the run goes on: rates and seconds of identity, and retention."""
        self.identities.configure(config.identity)
        changed = {name: getattr(config.identity, name) for name in CHANGEABLE}
        identity = self.config.identity.model_copy(update=changed)
        self.config = self.config.model_copy(update={"identity": identity, "retention": config.retention})
        if self._live:
            self._retention.configure(config.retention)

    def add_camera(self, camera: Camera, source: str) -> None:
        """Track a live camera more from the next tick on; called between two ticks, the others go on.

        Args:
            camera: What is read.
            source: What names it among the sources of the run, for whoever goes on with the run.

        Raises:
            ReuniteError: The run cannot take it.
        """
        if not isinstance(self.source, LiveSource) or not self._live:
            raise ReuniteError("recordings are played here: a camera can be added where cameras are live")
        refuse_another(self.config, self.cameras, camera.name)
        self._live.add_camera(camera.name)  # first, as it may fail
        self.tracker.add_camera(camera.name)
        self.cameras.append(camera.name)
        if source not in self.config.source:
            self.config = self.config.model_copy(update={"source": (*self.config.source, source)})
            write_whole(self.folder.config, dump_config(without_passwords(self.config)).encode())
        self.source.add(camera)

    def run(self, console: Console, shows: Shows | None = None) -> tuple[bool, list[Path]]:
        """Track to the end or until ``stop``, then write the results.

        A live run is complete when it is stopped; a run over files that is stopped, or that lost the
        connection to one, can be resumed.

        Args:
            console: What the run speaks to.
            shows: What it tells of who is where while it goes on; None: nothing.

        Returns:
            Whether the run is complete, and the files that were written.

        Raises:
            ReuniteError: The disk is full, or what was read or found cannot be used. What was
                saved is kept and the run can be resumed.
        """
        with self.folder.way_out():
            return self._run(console, shows or Shows())

    def _run(self, console: Console, shows: Shows) -> tuple[bool, list[Path]]:
        is_live = self.source.is_live
        ended = (is_live and not self._goes_on) or self._track(console, shows)
        ended = ended and not any(report.can_go_on for report in self.source.reports.values())
        self.tracker.finish(link_offline=ended and not is_live)
        with self._clock.of("results"):
            self._events.flush()
            is_remembered = not (ended or is_live) or self._save_people()
            files = self._write_results(is_all_known=ended and not is_live)
            if self._people.gallery and (ended or is_live) and not self._people.problem:
                files.append(self._people.gallery)
        files += sorted(self.folder.videos.glob("*.mp4")) if is_live else []
        if ended and self.config.output.save_video and not is_live:
            assert self._journal is not None  # of live runs videos are drawn as frames come
            people = SightingsReader(self._journal, self.cameras, self.identities)
            videos = OverlayVideos(self.folder.videos, lambda: self.blur)
            with self._clock.of("draw"):
                drawn = draw_videos(self.config, people, videos, self._stop, console)
            self._drawing_problems = [f"drawing: {it}" for it in drawn.problems if it not in self.problems]
            ended, files = drawn.is_whole, files + drawn.files
        complete = (ended or is_live) and is_remembered
        write_summary(self.folder.summary, complete, self.progress, self.source.reports, self.tracker)
        if complete:
            if self._live:
                self._live.finish()
            self.folder.finish()
        return complete, [self.folder.config, self.folder.summary, *files]

    def _write_results(self, *, is_all_known: bool) -> list[Path]:
        """All files that are written when a run is over; see `write_results`."""
        # Imported when it is needed: tables and figures take more memory than most of tracking.
        from tracker.recording.results import write_results

        folder, reports = self.folder.path, self.source.reports
        failed = {it for it in self.cameras if reports[it].problem} - self.progress.done.keys()
        known: Identities = self.identities
        if self._live:
            rows, tracks = self._live.rows(), self._live.store.tracklets()
            known = StoredIdentities(self._live.store)
        else:
            assert self._journal is not None
            rows, tracks = self._journal.read(), iter([self.identities.tracks()])
        return write_results(
            folder,
            self.config,
            self.cameras,
            failed,
            self.tracker.ground,
            self.identities,
            rows,
            known,
            tracks,
            is_all_known=is_all_known,
        )

    def _track(self, console: Console, shows: Shows) -> bool:
        """Send all ticks through the tracker and to the sinks; whether the source came to its end."""
        most = MAX_BYTES_PER_S if self._live else math.inf
        waited, checkpoints = StageClock(), Checkpoints(self.config.output.checkpoint_s, most)
        # When this tick began; none is known of the first one, which waits for cameras and models.
        began: float | None = None
        with ExitStack() as stack:
            sinks = self._open_sinks(stack, console, shows)
            source, stop, is_due = self.source, self._stop, checkpoints.is_due
            idle = self._observer.obey if self._observer else lambda: None
            steps = steps_of(source, self.tracker, stop, self._clock, waited, is_due, self._sizes, idle)
            for tick, sightings, detector in stack.enter_context(closing(steps)):
                with self._clock.of("write"):
                    for frame in tick.frames:
                        for sink in sinks:
                            sink.write(frame, sightings[frame.camera])
                    if self._observer:
                        events, self._found_out = self._found_out, []
                        self._observer.observe(tick, sightings, events)
                self._count_delays(tick)
                self.progress.count(tick, self.tracker.num_detections, self.tracker.num_embedded)
                now = time.monotonic()
                if began is not None:
                    self.progress.count_time(now - began, waited.seconds)
                began = now
                waited.seconds.clear()
                if detector is not None and checkpoints.is_due():
                    with self._clock.of("save"), checkpoints.made(lambda: self._checkpoint_bytes):
                        self._save(detector)
            self._save()  # the detector is not ahead any more
        return not self._stop.is_set()

    def _open_journal(self, stack: ExitStack) -> None:
        """Where sightings are kept: of files in one journal, of a live run by the hour."""
        self._journal, self._live = None, None
        if self.source.is_live:
            self._live = LiveRecording(self.folder.path, self.cameras, self.progress)
            stack.callback(self._live.close)
        else:
            self._journal = Journal(self.folder.journal, self.cameras, self.progress.journal_rows)
            stack.callback(self._journal.close)

    def _take_events(self) -> list[IdentityEvent]:
        """What was found out since the last call; the observer is told of it too."""
        events = self.tracker.events()
        self._found_out += events if self._observer else []
        self._unsaved_events += events if self._live else []
        return events

    def _count_delays(self, tick: Tick) -> None:
        """Of live cameras: who is in these frames is known now."""
        if self.source.is_live:
            now = time.time()
            for frame in tick.frames:
                self._delays.setdefault(frame.camera, Delays()).add(now - frame.time)

    def _open_sinks(self, stack: ExitStack, console: Console, shows: Shows) -> list[Sink]:
        """All that take what is seen. The journal and the events are closed with the run: results are read
        from the first, and the end of a run brings events."""
        reports, frames, is_live = self.source.reports, self.progress.frames, self.source.is_live
        sinks: list[Sink] = []
        now = CamerasNow(reports, frames, is_live=is_live)
        if is_live or shows.table or shows.json:
            sinks.append(now)
        if is_live or shows.table:
            sinks.append(LiveScreen(console, now, with_people=shows.table))
        else:
            sinks.append(ProgressBars(console, reports, frames))
        if shows.json:
            sinks.append(JsonLines(now))
        sinks += [self._people.portraits] if self._people.portraits else []
        sinks += [self._window] if self._window else []
        if self.config.output.save_video and self.source.is_live:
            sinks.append(OverlayVideos(self.folder.videos, lambda: self.blur, hourly=True))
        for sink in sinks:
            stack.callback(sink.close)
        kept: list[Sink] = [it for it in (self._journal, self._live) if it is not None]
        return [*kept, self._events, *sinks]

    def _save(self, detector: State | None = None) -> None:
        """Make all that was done safe; ``detector`` is what it remembered there, where it may be ahead."""
        try:
            self.identities.prepare()
        except ReuniteError as error:  # there may be numbers for a while, and next time it may go well
            logger.warning("%s", error)
        if self.source.is_live:
            self._save_people(detector)
        else:  # who everybody is will be known after the last frame
            self._checkpoint(detector)

    def _save_people(self, detector: State | None = None) -> bool:
        """Save people and all else; of a live run let go of what is old. Whether the gallery is written."""
        merged = [event for event in self._unsaved_events if event.kind == "merged"]
        is_saved = self._people.save(self.identities, merged, lambda: self._checkpoint(detector))
        if self._live:
            self._live.close_hours()
            if self._people.forgotten:
                self._forget(self._people.forgotten)
                self._checkpoint(detector)
            if is_saved:
                self._let_go(self._live, detector)
        return is_saved

    def _let_go(self, live: LiveRecording, detector: State | None) -> None:
        """Of old tracks, and of what is older than the settings allow; follows a save that succeeded."""
        gone = live.fold(self.identities, self.config.identity.keep_tracklets_s)
        if len(gone):
            self._people.retire(gone, self.identities.tracks())
        try:
            self._retention.apply(live.time_s, self.identities, lambda: self._checkpoint(detector))
        except ReuniteError as error:  # it may go well the next time
            logger.warning("%s", error)

    def _forget(self, numbers: list[int]) -> None:
        """Somebody forgot these people: the run, which goes on, forgets them too. A checkpoint follows."""
        assert self._live
        tracks = self.identities.tracks()
        theirs = tracks[np.isin(tracks.identity_ids, numbers)]
        if self._people.portraits:
            self._people.portraits.forget(
                zip(theirs.cameras.tolist(), theirs.track_ids.tolist(), strict=True)
            )
        self.tracker.forget(numbers)
        self._live.store.forget(numbers)
        self._events.forget(numbers)

    def _checkpoint(self, detector: State | None) -> None:
        if self._live:
            self.progress.delays = {camera: delays.counts for camera, delays in self._delays.items()}
            self.progress.health = {
                camera: {name: getattr(report, name) for name in COUNTED}
                for camera, report in self.source.reports.items()
            }
        self.progress.event_bytes = self._events.save()  # first: it takes what was found out last
        if self._live:
            self._live.save(self.progress, self.identities, self._unsaved_events)
            self._unsaved_events = []
        if self._journal:
            self.progress.journal_rows = self._journal.save()
        states = {name: stage.state() for name, stage in self._remembering.items() if name != "tracker"}
        states["tracker"] = self.tracker.state(detector)
        self._checkpoint_bytes = save_checkpoint(self.folder.checkpoint, self.progress, states)
