"""Where a run stands, in one file that is always whole."""

import io
import json
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.types import CameraName, State, Tick

VERSION = 11

REST = 20
"""Between two checkpoints lies as many times what the last one took: a run of days has much to save."""


@dataclass(slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        cameras: All cameras of the run; their order gives the index that stands in the journal.
        done: The last frame number of each camera that went through all stages.
        frames: How many frames of each camera went through all stages.
        seconds: Seconds for which each stage was at work, over all parts of a run; stages overlap.
        journal_rows: Sightings that are safe in the journal.
        detections: How many people the detector found, over all frames.
        embedded: How many of them were embedded.
        event_bytes: How much of ``events.jsonl`` is safe.
        elapsed_s: Seconds from the first tick to the last one, over all parts.
        waited: Seconds of those in which tracking stood still, for ``read`` or for ``detect``.
        time_s: Of a live run, the time of its newest frame, as `Frame.time`.
        hours: Of a live run, the sightings that are safe in the journal of each hour that is not closed.
        stored_events: Of a live run, the events that are safe in its store.
        health: Of live cameras, what their reports counted, by the names that `CameraReport` has.
        delays: Of live cameras, how late it was known who is in a frame; see `Delays.counts`.
    """

    cameras: list[CameraName] = field(default_factory=list)
    done: dict[CameraName, int] = field(default_factory=dict)
    frames: dict[CameraName, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    journal_rows: int = 0
    detections: int = 0
    embedded: int = 0
    event_bytes: int = 0
    elapsed_s: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)
    time_s: float = 0.0
    hours: dict[str, int] = field(default_factory=dict)
    stored_events: int = 0
    health: dict[CameraName, dict[str, int]] = field(default_factory=dict)
    delays: dict[CameraName, list[int]] = field(default_factory=dict)

    def count(self, tick: Tick, detections: int, embedded: int) -> None:
        """A tick went through all stages; ``detections`` and ``embedded`` of all ticks so far."""
        self.detections, self.embedded = detections, embedded
        for frame in tick.frames:
            self.done[frame.camera] = frame.number
            self.frames[frame.camera] = self.frames.get(frame.camera, 0) + 1

    def count_time(self, elapsed_s: float, waited: Mapping[str, float]) -> None:
        """Add how long a tick took, and how much of it was waited for what."""
        self.elapsed_s += elapsed_s
        for stage, seconds in waited.items():
            self.waited[stage] = self.waited.get(stage, 0.0) + seconds


class Checkpoints:
    """Knows when the next checkpoint is due.

    Args:
        every_s: Seconds between two.
        max_bytes_per_s: More than this is not written in the mean, however large they are.
    """

    def __init__(self, every_s: float, max_bytes_per_s: float = math.inf) -> None:
        self._every_s, self._max_bytes_per_s = every_s, max_bytes_per_s
        self._due = time.monotonic() + every_s

    def is_due(self) -> bool:
        """Whether the next one is due."""
        return time.monotonic() >= self._due

    @contextmanager
    def made(self, size: Callable[[], int]) -> Generator[None, None, None]:
        """One is made inside the ``with``; the next is due after a time.

        Args:
            size: Says afterwards how many bytes it has.
        """
        begin = time.monotonic()
        yield
        took_s = time.monotonic() - begin
        self._due = begin + took_s + max(self._every_s, REST * took_s, size() / self._max_bytes_per_s)


def save_checkpoint(path: Path, progress: Progress, states: Mapping[str, State]) -> int:
    """Write progress and the named states; a cut at any moment leaves the old file or the new one.

    Returns:
        How many bytes it has.
    """
    arrays = {f"{name}/{key}": array for name, state in states.items() for key, array in state.items()}
    meta = json.dumps({"version": VERSION, **asdict(progress)}).encode()
    buffer = io.BytesIO()
    columns: dict[str, Any] = {"meta": np.frombuffer(meta, np.uint8), **arrays}
    np.savez(buffer, **columns)
    content = buffer.getbuffer()
    write_whole(path, content)
    return len(content)


def load_checkpoint(path: Path) -> tuple[Progress, dict[str, State]]:
    """Read what `save_checkpoint` wrote: progress, and the states by name.

    Raises:
        ReuniteError: The file is damaged or of another version.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        version = meta.pop("version")
        progress = Progress(**meta)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ReuniteError(f"{path}: cannot read the checkpoint ({error}); start the run anew") from error
    if version != VERSION:
        raise ReuniteError(f"{path}: version {version}, this program writes {VERSION}; start the run anew")
    return progress, _group(arrays)


def _group(arrays: Mapping[str, np.ndarray]) -> dict[str, State]:
    """Undo the joining of names and keys; a name has no slash."""
    states: dict[str, State] = {}
    for joined, array in arrays.items():
        name, _, key = joined.partition("/")
        states.setdefault(name, {})[key] = array
    return states
