"""The tracks of all cameras of a scene: made once, then linked by every method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from heapq import merge
from itertools import pairwise, repeat

import numpy as np

from benchmarks.identity.cache import Arrays
from benchmarks.identity.scenes import Watched
from foundation.arrays import BoolArray, Columns, EmbeddingArray, IntArray
from foundation.mot_files import MotTable
from tracker.camera_tracker import CameraTracker
from tracker.config import TrackingConfig
from tracker.geometry import xyxy_to_xywh
from tracker.metrics import FramePair, GroundTruth, compare
from tracker.metrics.reentry import Presence, find_presence
from tracker.types import CameraName, Frame, Observations, Tracks, blank_image


@dataclass(frozen=True, slots=True, eq=False)
class TrackedCamera:
    """The R rows of all tracks of one camera, by frame.

    Attributes:
        truth: Who was there; its name is the camera's.
        frame_rate: Frames per second.
        size: Width and height of the picture in pixels.
        limits: (F + 1,) frame f (from 0) has rows ``limits[f]`` to ``limits[f + 1]``.
        tracks: All rows, without their appearance.
        is_embedded: (R,) whether the person was embedded there.
        embeddings: (L, D) of the rows that were embedded.
    """

    truth: GroundTruth
    frame_rate: float
    size: tuple[int, int]
    limits: IntArray
    tracks: Tracks
    is_embedded: BoolArray
    embeddings: EmbeddingArray

    @property
    def name(self) -> CameraName:
        """Which camera."""
        return CameraName(self.truth.name)

    @property
    def frame_of_row(self) -> IntArray:
        """(R,) the number of each row's frame, from 1."""
        return np.repeat(np.arange(1, len(self.limits)), np.diff(self.limits))

    def frames(self, ahead_s: float) -> Iterator[tuple[Frame, Tracks]]:
        """The frames, blank, with the tracks that were seen in each, by a clock that is so far ahead."""
        image = blank_image(*self.size)
        first_embedded = np.concatenate(([0], np.cumsum(self.is_embedded)))
        for index, (begin, end) in enumerate(pairwise(self.limits.tolist())):
            embeddings = np.zeros((end - begin, self.embeddings.shape[1]), np.float32)
            embeddings[self.is_embedded[begin:end]] = self.embeddings[
                first_embedded[begin] : first_embedded[end]
            ]
            rows = self.tracks[begin:end]
            yield (
                Frame(self.name, index + 1, index / self.frame_rate + ahead_s, image),
                Tracks(rows.track_ids, rows.boxes, rows.scores, embeddings),
            )


def follow(watched: Watched, tracking: TrackingConfig, embed_every_s: float) -> TrackedCamera:
    """Follow the people of one camera, as a run would, embedding only those that need it."""
    tracker = CameraTracker(
        CameraName(watched.truth.name), tracking, watched.likely_score, embed_every_s=embed_every_s
    )
    seen: list[Tracks] = []
    embeddings: list[EmbeddingArray] = []
    is_embedded: list[BoolArray] = []
    for frame, (begin, end) in enumerate(pairwise(watched.limits.tolist())):
        time, found = frame / watched.info.frame_rate, watched.found[begin:end]
        candidates = tracker.compare(tracker.predict(time), found)
        rows = watched.embed(frame, tracker.needs_embedding(candidates))
        tracks, _ = tracker.update(candidates, Observations(found.boxes, found.scores, rows))
        is_embedded.append(np.asarray(tracks.embeddings.any(axis=1)))
        embeddings.append(tracks.embeddings[is_embedded[-1]])
        seen.append(Tracks(tracks.track_ids, tracks.boxes, tracks.scores, tracks.embeddings[:, :0]))
    length = max(rows.shape[1] for rows in embeddings)
    return TrackedCamera(
        truth=watched.truth,
        frame_rate=watched.info.frame_rate,
        size=(watched.info.width, watched.info.height),
        limits=np.concatenate(([0], np.cumsum([len(tracks) for tracks in seen]))),
        tracks=Tracks(
            *(np.concatenate([getattr(tracks, field.name) for tracks in seen]) for field in fields(Tracks))
        ),
        is_embedded=np.concatenate(is_embedded),
        # Before anybody was found a tracker does not know how long an appearance is.
        embeddings=np.concatenate([np.zeros((0, length), np.float32), *(it for it in embeddings if len(it))]),
    )


def pack(cameras: Sequence[TrackedCamera]) -> Arrays:
    """Everything as arrays, for `unpack`."""
    arrays: Arrays = {"cameras": np.array([camera.name for camera in cameras])}
    for camera in cameras:
        parts = {
            "numbers": np.array([camera.truth.num_frames, camera.frame_rate, *camera.size]),
            "limits": camera.limits,
            "is_embedded": camera.is_embedded,
            "embeddings": camera.embeddings,
            **_columns("tracks", camera.tracks),
            **_columns("truth", camera.truth.table),
        }
        arrays |= {f"{camera.name}/{key}": value for key, value in parts.items()}
    return arrays


def unpack(arrays: Arrays) -> tuple[TrackedCamera, ...]:
    """The cameras that `pack` packed."""
    cameras = []
    for name in arrays["cameras"].tolist():
        num_frames, frame_rate, width, height = arrays[f"{name}/numbers"].tolist()
        table = MotTable(*(arrays[f"{name}/truth/{field.name}"] for field in fields(MotTable)))
        cameras.append(
            TrackedCamera(
                truth=GroundTruth(name, table, int(num_frames)),
                frame_rate=frame_rate,
                size=(int(width), int(height)),
                limits=arrays[f"{name}/limits"],
                tracks=Tracks(*(arrays[f"{name}/tracks/{field.name}"] for field in fields(Tracks))),
                is_embedded=arrays[f"{name}/is_embedded"],
                embeddings=arrays[f"{name}/embeddings"],
            )
        )
    return tuple(cameras)


def _columns(name: str, table: Columns) -> Arrays:
    return {f"{name}/{field.name}": getattr(table, field.name) for field in fields(table)}  # type: ignore[arg-type]


class TrackedScene:
    """The tracks of all cameras beside the truth; track t of camera c has key ``offsets[c] + t``.

    Attributes:
        cameras: At least one.
        offsets: (C,) the key of track 0 of each camera, which does not exist.
        num_keys: K, above all keys.
        begin_s, end_s: (K,) when each track was truly first and last seen; inf, -inf for a key without one.
        ahead_s: (C,) how far the clock of each camera is ahead of the truth's.
    """

    def __init__(self, cameras: Sequence[TrackedCamera], clock_shift_s: float = 0.0) -> None:
        """Number the tracks of all cameras; the clock of every second one is ``clock_shift_s`` ahead."""
        self.cameras = tuple(cameras)
        self.ahead_s = clock_shift_s * (np.arange(len(cameras)) % 2)
        sizes = [int(camera.tracks.track_ids.max(initial=0)) + 1 for camera in cameras]
        self.offsets = np.concatenate(([0], np.cumsum(sizes)))[:-1]
        self.num_keys = int(sum(sizes))
        self.begin_s, self.end_s = np.full(self.num_keys, np.inf), np.full(self.num_keys, -np.inf)
        for camera, keys in zip(cameras, self._keys(), strict=True):
            times = (camera.frame_of_row - 1) / camera.frame_rate
            np.minimum.at(self.begin_s, keys, times)
            np.maximum.at(self.end_s, keys, times)

    def frames(self) -> Iterator[tuple[int, Frame, Tracks]]:
        """Camera index, frame and tracks, of all cameras, by the times of their clocks."""
        parts = [
            zip(repeat(index), camera.frames(ahead_s))
            for index, (camera, ahead_s) in enumerate(zip(self.cameras, self.ahead_s.tolist(), strict=True))
        ]
        for index, (frame, tracks) in merge(*parts, key=lambda part: part[1][0].time):
            yield index, frame, tracks

    @cached_property
    def pairs(self) -> tuple[dict[int, FramePair], ...]:
        """Truth and result of each camera's frames, keys for tracks."""
        compared = []
        for camera, keys in zip(self.cameras, self._keys(), strict=True):
            boxes, scores = xyxy_to_xywh(camera.tracks.boxes), camera.tracks.scores
            compared.append(
                compare(MotTable.of_people(camera.frame_of_row, keys, boxes, scores), camera.truth)
            )
        return tuple(compared)

    @cached_property
    def presence(self) -> Presence:
        """Who was in view of which camera, keys for identities."""
        return Presence.together(
            [
                find_presence(
                    index, camera.truth, pairs, range(1, camera.truth.num_frames + 1), camera.frame_rate
                )
                for index, (camera, pairs) in enumerate(zip(self.cameras, self.pairs, strict=True))
            ]
        )

    def _keys(self) -> list[IntArray]:
        return [
            offset + camera.tracks.track_ids
            for offset, camera in zip(self.offsets, self.cameras, strict=True)
        ]
