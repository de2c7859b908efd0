"""How good one configuration of the camera tracker is on recordings; on all processors."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tracker.build import build_tracker
from tracker.config import RunConfig
from tracker.geometry import xyxy_to_xywh
from tracker.metrics import GroundTruth, Scores, score_sequence
from tracker.metrics.overlap import PEDESTRIAN
from tracker.tune.recording import Recording
from tracker.types import Observations, Tracks


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A stretch of one sequence, ready to be tracked and scored.

    Attributes:
        recording: Of these frames alone.
        truth: Of the whole sequence.
        frames: The frames to score.
    """

    recording: Recording
    truth: GroundTruth
    frames: range

    @property
    def boxes_to_find(self) -> int:
        """How many boxes of people the ground truth has in these frames."""
        table = self.truth.table
        counts = (table.classes == PEDESTRIAN) & (table.scores != 0)
        counts &= (table.frames >= self.frames.start) & (table.frames < self.frames.stop)
        return int(counts.sum())

    def fingerprint(self) -> str:
        """Differs from that of any part that scores could differ on."""
        digest = sha256(repr((self.recording.camera, self.frames, self.truth.ignored_classes)).encode())
        table = self.truth.table
        recording = self.recording
        arrays: list[NDArray[Any]] = [recording.numbers, recording.times, recording.motions]
        arrays += [table.frames, table.ids, table.boxes, table.scores, table.classes]
        for seen in recording.observations:
            arrays += [seen.boxes, seen.scores, seen.embeddings]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def track(recording: Recording, config: RunConfig) -> MotTable:
    """Track a recording online, and embed the same people in each frame, as ``tracker.run`` does.

    Those who were missed are there as well where they coast.
    """
    tracker = build_tracker(recording.camera, config)
    tracks = list[Tracks]()
    frames = zip(recording.times.tolist(), recording.motions, recording.observations, strict=True)
    for time, motion, found in frames:
        seen = found[found.scores >= config.detector.min_score]
        candidates = tracker.compare(tracker.predict(time, motion), seen)
        if seen.embeddings.shape[1]:
            needed = tracker.needs_embedding(candidates)
            seen = Observations(seen.boxes, seen.scores, np.where(needed[:, None], seen.embeddings, 0.0))
        tracks += tracker.update(candidates, seen)
    if not tracks:
        return MotTable.empty()
    return MotTable.of_people(
        np.repeat(np.repeat(recording.numbers, 2), [len(seen) for seen in tracks]),
        np.concatenate([seen.track_ids for seen in tracks]),
        xyxy_to_xywh(np.concatenate([seen.boxes for seen in tracks])),
        np.concatenate([seen.scores for seen in tracks]),
    )


def score_part(part: Part, config: RunConfig) -> Scores:
    """Track and score one part."""
    return score_sequence(track(part.recording, config), part.truth, part.frames)


class Scorer:
    """Scores configurations on all parts together; use it in a ``with`` statement.

    Each process beside this one keeps its parts, so that a trial sends a configuration and gets scores.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        """Use as many processes as there are processors, or parts if they are fewer; one is this process."""
        count = min(os.cpu_count() or 1, len(parts))
        # The longest first, each to whoever has least to do.
        shares: list[list[int]] = [[] for _ in range(count)]
        for index in sorted(range(len(parts)), key=lambda index: -parts[index].boxes_to_find):
            min(shares, key=lambda share: sum(parts[it].boxes_to_find for it in share)).append(index)
        self._own, *others = shares
        self._parts, self._helpers = parts, [(share, *_start(parts, share)) for share in others]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for _, process, pipe in self._helpers:
            pipe.close()
            process.join(timeout=5)
            process.kill()

    def score(self, config: RunConfig) -> Scores:
        """The scores of all parts together.

        Raises:
            ReuniteError: A process was ended by somebody else, for example for want of memory.
        """
        try:
            for _, _, pipe in self._helpers:
                pipe.send(config)
            scores = {index: score_part(self._parts[index], config) for index in self._own}
            for share, _, pipe in self._helpers:
                answer = pipe.recv()
                if isinstance(answer, Exception):
                    raise answer
                scores.update(zip(share, answer, strict=True))
        except (EOFError, ConnectionError):
            raise ReuniteError(
                "a process that was tracking has died, perhaps for want of memory; the trials so far are "
                "kept: give the same command with --resume, or tune on fewer sequences"
            ) from None
        first, *others = (scores[index] for index in range(len(self._parts)))
        return sum(others, start=first)


def _start(parts: Sequence[Part], share: Sequence[int]) -> tuple[BaseProcess, Connection]:
    # A fork would take over the threads of this process in whatever state they are.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=([parts[index] for index in share], theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _serve(parts: Sequence[Part], pipe: Connection) -> None:
    """Answer each configuration with the scores of each part, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    while True:
        try:
            config = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send([score_part(part, config) for part in parts])
        except Exception as error:  # noqa: BLE001  (raised again by the process that asked)
            pipe.send(error)
