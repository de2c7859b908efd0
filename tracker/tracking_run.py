"""One run from opened sources to written results; what `reunite track` and Python programs call."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from foundation.passwords import mask_password
from tracker.build import build_camera_motion, build_detector, build_embedder, build_tracker
from tracker.checkpoint import Progress, load_checkpoint, save_checkpoint
from tracker.config import RunConfig
from tracker.errors import ReuniteError
from tracker.ground import GroundPlane
from tracker.identity import IdentityLinker
from tracker.memory import OWN_GALLERY, RunMemory
from tracker.pipeline import StageClock, read_ahead, run_pipeline
from tracker.reports.calibration import write_calibration
from tracker.reports.map import write_map
from tracker.reports.timeline import write_timeline
from tracker.reports.tracks import write_tracks
from tracker.results import (
    SightingsReader,
    known_sightings,
    write_offline_results,
    write_results,
    write_summary,
)
from tracker.run_folder import RunFolder
from tracker.sinks.events import EventLog
from tracker.sinks.journal import Journal
from tracker.sinks.overlay import OverlayVideos
from tracker.sinks.portraits import Portraits
from tracker.sinks.progress import ProgressBars
from tracker.sinks.window import Window
from tracker.sources import locate_cameras, open_source
from tracker.stages import Remembering, Sink
from tracker.types import IntArray, Network, State

logger = logging.getLogger(__name__)


class TrackingRun:
    """Everything one run needs, opened; use it in a ``with`` statement.

    Args:
        config: The whole configuration, sources included.
        stop: When it is set the run ends after the frame in hand.
        folder: The folder of a run that was cut off, to go on with it; None starts a new one.

    Raises:
        ReuniteError: A setting, source or model cannot be used; then no folder was made.
    """

    def __init__(self, config: RunConfig, stop: threading.Event, folder: RunFolder | None = None) -> None:
        self.config = config
        self._is_resumed = folder is not None
        self._drawing_problems: list[str] = []
        self._gallery_problem = ""
        self.progress, states = Progress(), dict[str, State]()
        if folder is not None and folder.checkpoint.exists():
            self.progress, states = load_checkpoint(folder.checkpoint)
        with ExitStack() as stack:
            self.source = open_source(config.source, config.reading, self.progress.done)
            stack.callback(self.source.close)
            self.cameras = list(self.source.reports)
            problems = [report.problem for report in self.source.reports.values()]
            if all(problems):
                raise ReuniteError("no camera could be read: " + "; ".join(problems))
            self._refuse_changed_cameras()
            blind = [camera for camera, report in self.source.reports.items() if not report.has_pictures]
            if blind and config.detector.kind != "file":
                raise ReuniteError(
                    f"camera {blind[0]!r} has no pictures for detector.kind={config.detector.kind}; "
                    "take detector.kind=file, which reads its det.txt, or add its pictures (img1/)"
                )
            kind = config.camera_motion.kind
            if blind and kind in ("flow", "ecc"):
                raise ReuniteError(
                    f"camera {blind[0]!r} has no pictures for camera_motion.kind={kind}; "
                    "take camera_motion.kind=none, or file where the motion is known"
                )
            locations = locate_cameras(config.source)
            working = {
                camera: locations[camera] for camera, it in self.source.reports.items() if not it.problem
            }
            self._detector = build_detector(config.detector, working)
            self._camera_motion = build_camera_motion(config.camera_motion, working)
            self._embedder = build_embedder(config.embedder)
            network = _network_of_gallery(config, self._embedder.network)
            self._memory: RunMemory | None = None
            if network and config.gallery.path:
                path = Path(config.gallery.path)
                self._memory = RunMemory(path, network, is_live=self.source.is_live, is_own=False)
                stack.callback(self._memory.close)
            self._portraits = Portraits() if network and config.gallery.thumbnails else None
            self._trackers = {camera: build_tracker(camera, config) for camera in self.cameras}
            reserve = self._memory.reserve if self._memory else None
            self._ground = GroundPlane(config.ground, self.cameras)
            self.identities = IdentityLinker(config.identity, self.cameras, reserve, self._ground)
            if self._memory and not states:
                self.identities.remember(self._memory.known())
            self._window = Window(stop) if config.output.show else None
            self.folder = folder or RunFolder.create(_without_passwords(config))
            self._journal = Journal(self.folder.journal, self.cameras, self.progress.journal_rows)
            stack.callback(self._journal.close)
            log = self.folder.path / "events.jsonl"
            self._events = EventLog(log, self.identities.events, self.progress.event_bytes)
            stack.callback(self._events.close)
            if network and not self._memory:
                path = self.folder.path / OWN_GALLERY
                self._memory = RunMemory(path, network, is_live=self.source.is_live, is_own=True)
                stack.callback(self._memory.close)
            self._remembering: dict[str, Remembering] = {
                "detector": self._detector,
                "camera_motion": self._camera_motion,
                "identities": self.identities,
                **{f"tracker/{camera}": tracker for camera, tracker in self._trackers.items()},
                **({"memory": self._memory} if self._memory else {}),
                **({"portraits": self._portraits} if self._portraits else {}),
            }
            for name, state in states.items():
                self._remembering[name].restore(state)
            self._stop = stop
            self._stack = stack.pop_all()

    def __enter__(self) -> "TrackingRun":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def problems(self) -> list[str]:
        """A sentence for each camera that failed or ended too early, and for an unwritten gallery."""
        reports = self.source.reports.values()
        others = [*self._drawing_problems, self._gallery_problem]
        return [problem for problem in [*(report.problem for report in reports), *others] if problem]

    def run(self, console: Console) -> tuple[bool, list[Path]]:
        """Track to the end or until ``stop``, then write the results.

        A live run is complete when it is stopped; a run over files that is stopped, or that lost the
        connection to one, can be resumed. Resuming a live run that was cut off writes what it had seen.

        Returns:
            Whether the run is complete, and the files that were written.

        Raises:
            ReuniteError: The disk is full, or what was read or found cannot be used. What was
                saved is kept and the run can be resumed.
        """
        try:
            ended = (self._is_resumed and self.source.is_live) or self._track(console)
            ended = ended and not any(report.can_go_on for report in self.source.reports.values())
            if ended and not self.source.is_live:
                with StageClock(self.progress.seconds).of("link"):
                    self.identities.relink()
            self.identities.settle()
            self._events.flush()
            is_whole = ended or self.source.is_live
            with StageClock(self.progress.seconds).of("results"):
                is_remembered = not is_whole or self._save_people(self._detector.state())
                reports = self.source.reports
                failed = {
                    camera for camera in self.cameras if reports[camera].problem
                } - self.progress.done.keys()
                files = write_results(self.folder.path, self._journal, self.cameras, self.identities, failed)
                files += self._write_people()
                if ended and not self.source.is_live:
                    files += write_offline_results(
                        self.folder.path, self._journal, self.cameras, self.identities, self.config, failed
                    )
                if self._memory and is_whole and not self._gallery_problem:
                    files.append(self._memory.path)
                if (calibration := self.identities.calibration()) is not None:
                    files += write_calibration(self.folder.path, calibration)
            live_videos = sorted(self.folder.videos.glob("*.mp4")) if self.source.is_live else []
            if ended and self.config.output.save_video and not self.source.is_live:
                with StageClock(self.progress.seconds).of("draw"):
                    ended, drawn = self._draw(console)
                files += drawn
            complete = (ended or self.source.is_live) and is_remembered
            write_summary(self.folder.summary, complete, self.progress, self.source.reports, self.identities)
            if complete:
                self.folder.finish()
        except OSError as error:
            raise ReuniteError(
                f"{self.folder.path}: cannot write ({error.strerror or error}); nothing that was saved "
                f"is lost: make room, then go on with: reunite track --resume {self.folder.path}"
            ) from error
        return complete, [self.folder.config, self.folder.summary, *files, *live_videos]

    def _write_people(self) -> list[Path]:
        """Who was seen when and, where cameras have homographies, where; the files."""

        def people() -> Iterator[tuple[NDArray[np.void], IntArray]]:
            return known_sightings(self._journal, self.cameras, self.identities)

        times = ((rows["camera"], rows["time"], who) for rows, who in people())
        files = [
            write_tracks(self.folder.path / "tracks.csv", self.identities.tracks()),
            self.folder.path / "events.jsonl",
            write_timeline(self.folder.path / "timeline.png", times, self.cameras),
        ]
        if self.config.ground.homographies:
            places = ((rows["camera"], rows["time"], who, rows["box"]) for rows, who in people())
            files.append(write_map(self.folder.path / "map.png", places, self.cameras, self._ground))
        return files

    def _refuse_changed_cameras(self) -> None:
        """The journal counts on the order of the cameras, and on reading on where they were left."""
        before = self.progress.cameras or self.cameras
        if before != self.cameras:
            raise ReuniteError(
                f"cannot resume: the cameras were {', '.join(before)} and now are {', '.join(self.cameras)}; "
                "put the files back as they were"
            )
        reports = self.source.reports
        lost = [reports[camera].problem for camera in self.progress.done if reports[camera].problem]
        if lost and not self.source.is_live:
            raise ReuniteError("cannot resume: " + "; ".join(lost))
        self.progress.cameras = self.cameras

    def _track(self, console: Console) -> bool:
        """Send all ticks through the pipeline; whether the source came to its end."""
        sinks: list[Sink] = []
        with ExitStack() as stack:

            def add(sink: Sink) -> None:
                stack.callback(sink.close)
                sinks.append(sink)

            sinks += [self._journal, self._events]  # closed with the run: the results are read from the first
            if self._portraits is not None:
                add(self._portraits)
            if self._window is not None:
                add(self._window)
            if self.config.output.save_video and self.source.is_live:
                add(OverlayVideos(self.folder.videos))
            add(ProgressBars(console, self.source.reports, self.progress.frames))
            return run_pipeline(
                self.source,
                self._detector,
                self._camera_motion,
                self._embedder,
                self._trackers,
                self.identities,
                sinks,
                self.progress,
                self._save,
                self.config.output.checkpoint_s,
                self._stop,
            )

    def _save(self, detector: State) -> None:
        try:
            self.identities.prepare()
        except ReuniteError as error:  # there may be numbers for a while, and next time it may go well
            logger.warning("%s", error)
        if self.source.is_live:
            self._save_people(detector)
        else:  # who everybody is will be known after the last frame
            self._checkpoint(detector)

    def _save_people(self, detector: State) -> bool:
        """Write a checkpoint, then add the people to the gallery; whether that could be done.

        In this order a resumed run saves the same people under the same numbers again.
        """
        if self._memory is None:
            self._checkpoint(detector)
            return True
        try:
            try:
                portraits = self._portraits.portraits() if self._portraits else {}
                self._memory.update(self.identities.tracks(), portraits)
            finally:
                self._checkpoint(detector)  # whether or not the gallery can be read
            self._memory.save()
        except ReuniteError as error:
            if self._gallery_problem != str(error):
                logger.warning("%s", error)
            self._gallery_problem = str(error)
            return False
        self._gallery_problem = self._memory.problem
        return True

    def _checkpoint(self, detector: State) -> None:
        """Write where the run stands; the detector itself may be ahead, so its state is given."""
        self.progress.journal_rows, self.progress.event_bytes = self._journal.save(), self._events.save()
        states = {
            name: detector if name == "detector" else stage.state()
            for name, stage in self._remembering.items()
        }
        save_checkpoint(self.folder.checkpoint, self.progress, states)

    def _draw(self, console: Console) -> tuple[bool, list[Path]]:
        """Read the files once more and draw the people with their final identities.

        Returns:
            Whether all was drawn, and the videos.
        """
        people = SightingsReader(self._journal, self.cameras, self.identities)
        source = open_source(self.config.source, self.config.reading, {})
        with ExitStack() as stack:
            stack.callback(source.close)
            videos = OverlayVideos(self.folder.videos)
            stack.callback(videos.close)
            console.print("drawing the videos, with final identities", highlight=False)
            bars = ProgressBars(console, source.reports, {}, verb="drawing ")
            stack.callback(bars.close)
            for tick in stack.enter_context(closing(read_ahead(source.ticks(), 3, self._stop))):
                for frame in tick.frames:
                    sightings = people.people(frame)
                    videos.write(frame, sightings)
                    bars.write(frame, sightings)
        problems = [report.problem for report in source.reports.values() if report.problem]
        self._drawing_problems = [f"drawing: {it}" for it in problems if it not in self.problems]
        return not self._stop.is_set(), videos.files


def _network_of_gallery(config: RunConfig, network: Network | None) -> Network | None:
    """The network whose people the run remembers; None where it remembers nobody.

    Raises:
        ReuniteError: A setting asks for what the others make impossible.
    """
    missing = ""
    if network is None:
        missing = f"embedder.kind={config.embedder.kind} does not say what they look like: take another"
    elif not config.identity.link:
        missing = "identity.link=false joins no tracks: set it to true"
    asked = [key for key in ("path", "thumbnails") if getattr(config.gallery, key)]
    if missing and asked:
        raise ReuniteError(
            f"gallery.{asked[0]}: people cannot be recognised, as {missing}, or leave gallery.{asked[0]} out"
        )
    return None if missing else network


def _without_passwords(config: RunConfig) -> RunConfig:
    masked: Sequence[str] = [mask_password(address) for address in config.source]
    return config.model_copy(update={"source": tuple(masked)})
