"""Who is found in every frame of a sequence, and how its camera moved: made once, kept for all trials."""

import io
import json
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from rich.console import Console

from foundation.arrays import FloatArray, IntArray
from foundation.errors import ReuniteError
from foundation.files import write_whole
from foundation.weights import find_weights, weights_folder
from tracker.build import build_camera_motion, build_detector, build_embedder
from tracker.config import RunConfig
from tracker.detectors.mot_file import find_detections
from tracker.pipeline import READ_AHEAD, work_ahead
from tracker.sinks.progress import ProgressBars
from tracker.sources.addresses import Camera
from tracker.sources.files import FileSource
from tracker.stages import CameraMotion, Detector
from tracker.types import CameraName, Observations, Sightings

NONE = np.empty(0, np.int64)
NOBODY = Sightings(NONE, NONE, np.empty((0, 4)), np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Everybody who was found in one sequence, frame by frame.

    Attributes:
        camera: Which one.
        numbers: (F,) frame numbers, rising.
        times: (F,) seconds, rising.
        motions: (F, 2, 3) how the camera moved the picture since the frame before; see `CameraMotion`.
        observations: F, everybody with their appearance; D is 0 where nothing was embedded.
    """

    camera: CameraName
    numbers: IntArray
    times: FloatArray
    motions: FloatArray
    observations: tuple[Observations, ...]

    def within(self, frames: range) -> Self:
        """These frames alone, as far as they were read.

        The first one keeps its motion since a frame that is not there; a new tracker has no tracks to move.
        """
        first, end = np.searchsorted(self.numbers, [frames.start, frames.stop]).tolist()
        kept = slice(first, end)
        return type(self)(
            self.camera, self.numbers[kept], self.times[kept], self.motions[kept], self.observations[kept]
        )

    @property
    def has_embeddings(self) -> bool:
        """Whether anything was embedded."""
        return any(seen.embeddings.any() for seen in self.observations)

    def to_bytes(self) -> bytes:
        """A file that `from_bytes` reads back to the very same numbers."""
        buffer = io.BytesIO()
        columns: dict[str, Any] = {
            "numbers": self.numbers,
            "times": self.times,
            "motions": self.motions,
            "counts": np.array([len(seen) for seen in self.observations], np.int64),
            "boxes": np.concatenate([seen.boxes for seen in self.observations]),
            "scores": np.concatenate([seen.scores for seen in self.observations]),
            "embeddings": np.concatenate([seen.embeddings for seen in self.observations]),
        }
        np.savez(buffer, **columns)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, camera: CameraName, content: bytes) -> Self:
        """What `to_bytes` gave.

        Raises:
            OSError, ValueError, KeyError, BadZipFile: It is damaged.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            ends = np.cumsum(file["counts"])[:-1]
            parts = [np.split(file[name], ends) for name in ("boxes", "scores", "embeddings")]
            numbers, times, motions = (file[name] for name in ("numbers", "times", "motions"))
            return cls(camera, numbers, times, motions, tuple(map(Observations, *parts)))


class Recorder:
    """Makes recordings, or takes them from its folder where nothing that they depend on has changed.

    Args:
        config: Source settings, detector, camera motion and embedder.
        folder: Where recordings are kept; made when there is one to keep.

    Raises:
        ReuniteError: The embedder cannot be used.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._embedder = build_embedder(config.embedder)

    def record(
        self, cameras: Sequence[Camera], console: Console, stop: threading.Event
    ) -> list[Recording] | None:
        """All cameras, in order; None where ``stop`` was set. Each is kept as soon as it is complete.

        Raises:
            ReuniteError: A camera cannot be read to its end, the detector or the camera motion cannot be
                used, or the disk is full.
        """
        kept = {camera.name: self._read(camera) for camera in cameras}
        missing = [camera for camera in cameras if kept[camera.name] is None]
        if missing:
            locations = {camera.name: camera.address for camera in missing}
            detector = build_detector(self._config.detector, locations)
            camera_motion = build_camera_motion(self._config.camera_motion, locations)
        for camera in missing:
            recording = self._watch(camera, detector, camera_motion, console, stop)
            if recording is None:
                return None
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                write_whole(self._path(camera), recording.to_bytes())
            except OSError as error:
                raise ReuniteError(f"{self._folder}: cannot be written: {error.strerror}") from None
            kept[camera.name] = recording
        return [recording for recording in kept.values() if recording is not None]

    def _read(self, camera: Camera) -> Recording | None:
        try:
            return Recording.from_bytes(camera.name, self._path(camera).read_bytes())
        except (OSError, ValueError, KeyError, BadZipFile):
            return None  # not there, or cut off while it was written: it is made anew

    def _watch(
        self,
        camera: Camera,
        detector: Detector,
        camera_motion: CameraMotion,
        console: Console,
        stop: threading.Event,
    ) -> Recording | None:
        with closing(FileSource([camera], self._config.reading, {})) as source:
            report = source.reports[camera.name]
            if not report.problem and not report.has_pictures and self._config.detector.kind != "file":
                raise ReuniteError(
                    f"camera {camera.name!r} has no pictures for detector.kind={self._config.detector.kind}; "
                    "take --set detector.kind=file, which reads its det.txt, or add its pictures (img1/)"
                )
            numbers, times = list[int](), list[float]()
            motions, observations = list[FloatArray](), list[Observations]()
            at_once = detector.ticks_at_once
            ahead = work_ahead(source.ticks(), detector.detect, at_once, at_once + READ_AHEAD, stop)
            bars = ProgressBars(console, source.reports, {}, verb="detect ")
            with closing(bars), closing(ahead):
                for tick, found, *_ in ahead:
                    (frame,) = tick.frames
                    motions.append(camera_motion.estimate(frame, found[0].boxes))
                    # Which of them a run would embed depends on its tracks, so on what is being searched.
                    observations += self._embedder.embed(tick, found, [np.ones(len(found[0]), np.bool_)])
                    numbers.append(frame.number)
                    times.append(frame.time)
                    bars.write(frame, NOBODY)
            if stop.is_set():
                return None
            if report.problem or not numbers:
                raise ReuniteError(
                    f"{report.problem or f'{camera.name}: has no frames'}; tuning needs whole sequences, "
                    "so repair it or leave it out"
                )
        recording = Recording(
            camera.name, np.array(numbers), np.array(times), np.array(motions), tuple(observations)
        )
        if recording.has_embeddings:
            return recording
        blind = (Observations(it.boxes, it.scores, it.embeddings[:, :0]) for it in observations)
        return replace(recording, observations=tuple(blind))

    def _path(self, camera: Camera) -> Path:
        """Named by all that the recording depends on, so a change of any of it makes another file."""
        config, network = self._config, self._embedder.network
        files = [Path(camera.address)]
        if config.detector.kind == "file":
            files.append(find_detections(config.detector.path, camera.name, camera.address))
        elif config.detector.kind in ("ultralytics", "onnx"):
            weights = find_weights(config.detector.weights, weights_folder(config.detector.weights_folder))
            files += [weights] if weights else []  # none before ultralytics has downloaded them
        if config.camera_motion.kind == "file":
            files.append(Path(config.camera_motion.path, f"{camera.name}.txt"))
        said = {
            "version": version("reunite"),
            "camera": [camera.name, camera.kind.value, camera.shown],
            "reading": config.reading.image_frame_rate,
            "detector": config.detector.model_dump(exclude={"likely_score"}),
            "camera motion": config.camera_motion.model_dump(),
            "embedder": [config.embedder.kind, network.fingerprint if network else ""],
            "files": list(_stamps(files)),
        }
        name = sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        return self._folder / f"{camera.name}-{name}.npz"


def _stamps(paths: Iterable[Path]) -> Iterable[tuple[str, int, int]]:
    """Name, size and time of change of all files at or below these paths, ground truth aside."""
    for path in paths:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in below:
            if file.is_file() and "gt" not in file.relative_to(path).parts:
                stat = file.stat()
                yield str(file.absolute()), stat.st_size, stat.st_mtime_ns
