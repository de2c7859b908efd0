"""What a method made of a scene: identities, returns, strangers, and how soon it knew."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.identity.tracked import TrackedScene
from foundation.arrays import FloatArray, IntArray
from foundation.errors import ReuniteError
from tracker.metrics import FramePair, Scores, count_identity, score_cameras
from tracker.metrics.decided import decided_after
from tracker.metrics.overlap import EPSILON, MIN_IOU, match_highest
from tracker.metrics.reentry import NOT_FOUND, Presence, ReentryCounts, count_reentries, find_visits
from tracker.types import CameraName, Frame, Tracks

UNDECIDED = 0

MIXED = 0.1
"""A track is mixed that is on a second person for this share of the boxes that are on anybody."""


class Linker(Protocol):
    """Says which person each track of each camera is."""

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        """The identities (M,) of the tracks of the next frame, `UNDECIDED` for those it cannot tell yet."""

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,) that were observed; `UNDECIDED` for those that are nobody."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one row; fractions, counts and seconds.

    Attributes:
        scores: Over all cameras.
        reentry: What became of those who came back, and of those who were new.
        decided_s: Median and 95 % quantile, over the visits that were found, of the time until the identity
            was settled, inf for never; None where nothing is decided on the way.
        together: Times a person was found in two cameras at once (in three: two times).
        together_as_one: Of these, those under one identity.
        people, people_true: How many were counted, and how many there are.
    """

    scores: Scores
    reentry: ReentryCounts
    decided_s: tuple[float, float] | None
    together: int
    together_as_one: int
    people: int
    people_true: int

    @property
    def recognised_rate(self) -> float:
        """Share of the returns found that were recognised; 0 where there are none."""
        return self.reentry.returns_recognised / max(1, self.reentry.returns_found)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            **self.scores.as_dict(),
            **asdict(self.reentry),
            "recognised_rate": self.recognised_rate,
            "false_merge_rate": self.reentry.false_merge_rate,
            "decided_s": [s if math.isfinite(s) else None for s in self.decided_s]
            if self.decided_s
            else None,
            "together": self.together,
            "together_as_one": self.together_as_one,
            "people": self.people,
            "people_true": self.people_true,
        }


def observe_all(scene: TrackedScene, linkers: Sequence[Linker]) -> FloatArray:
    """Show each of L linkers all frames as they come.

    Returns:
        (L, K) when each track last changed its identity, seconds of true time: since then it is settled; inf
        for never.
    """
    said = np.full((len(linkers), scene.num_keys), UNDECIDED)
    settled_s = np.full(said.shape, np.inf)
    for index, frame, tracks in scene.frames():
        keys = scene.offsets[index] + tracks.track_ids
        identities = np.array([linker.observe(frame, tracks) for linker in linkers])
        rows, columns = np.nonzero(said[:, keys] != identities)
        settled_s[rows, keys[columns]] = frame.time - scene.ahead_s[index]
        said[:, keys] = identities
    settled_s[said == UNDECIDED] = np.inf
    return settled_s


def identities_of(scene: TrackedScene, linker: Linker) -> IntArray:
    """(K,) who each track is in the end, each that is undecided by itself; 0 for a key that no track has."""
    identities = np.full(scene.num_keys, UNDECIDED)
    is_track = np.zeros(scene.num_keys, np.bool_)
    for offset, camera in zip(scene.offsets, scene.cameras, strict=True):
        tracks = np.unique(camera.tracks.track_ids)
        identities[offset + tracks] = linker.lookup(camera.name, tracks)
        is_track[offset + tracks] = True
    alone = np.flatnonzero(is_track & (identities == UNDECIDED))
    identities[alone] = identities.max(initial=0) + 1 + np.arange(len(alone))
    return identities


def idf1_of(scene: TrackedScene, identities: IntArray) -> float:
    """IDF1 over all cameras alone, for a sweep."""
    counts = count_identity([pair for camera in _named(scene, identities) for pair in camera])
    right = 2 * counts.true_positives
    return right / max(1, right + counts.false_positives + counts.false_negatives)


def people_of(scene: TrackedScene) -> IntArray:
    """(K,) who each track truly is: the person on whom most of its boxes are, nobody twice in one camera.

    Where two tracks of one person last at one time, as a doubled one does, the one with more of the boxes is
    the person. Whoever is on nobody, or doubled, is by itself, as 0 is for a key that no track has.
    """
    identities, ends = np.full(scene.num_keys, UNDECIDED), scene.end_s
    alone = 1 + int(max(camera.truth.table.ids.max(initial=0) for camera in scene.cameras))
    for offset, camera, pairs in zip(scene.offsets, scene.cameras, scene.pairs, strict=True):
        rows, counts = _boxes_on_people(pairs)
        taken: dict[int, list[int]] = {}
        for key, person in rows[np.argsort(-counts, kind="stable")].tolist():
            others = taken.setdefault(person, [])
            is_free = all(ends[key] < scene.begin_s[it] or ends[it] < scene.begin_s[key] for it in others)
            if identities[key] == UNDECIDED and is_free:
                identities[key] = person
                others.append(key)
        tracks = offset + np.unique(camera.tracks.track_ids)
        nobody = tracks[identities[tracks] == UNDECIDED]
        identities[nobody] = alone + nobody
    return identities


def mixed_tracks(scene: TrackedScene) -> IntArray:
    """(M,) keys of the tracks that are on two people: on each for `MIXED` of its boxes, and at least 3."""
    mixed: list[int] = []
    for pairs in scene.pairs:
        rows, counts = _boxes_on_people(pairs)
        whole = np.bincount(rows[:, 0], counts, scene.num_keys)
        enough = (counts >= 3) & (counts >= MIXED * whole[rows[:, 0]])
        keys, people = np.unique(rows[enough, 0], return_counts=True)
        mixed += keys[people > 1].tolist()
    return np.array(mixed, np.int64)


def _boxes_on_people(pairs: Mapping[int, FramePair]) -> tuple[IntArray, IntArray]:
    """(R, 2) keys of tracks and who they are on, and (R,) for how many boxes."""
    on = [
        np.column_stack((pair.tracks[tracks], pair.people[people]))
        for pair in pairs.values()
        for people, tracks in [match_highest(np.where(pair.ious >= MIN_IOU - EPSILON, pair.ious, 0.0))]
    ]
    return np.unique(np.concatenate(on), axis=0, return_counts=True)


def score(
    scene: TrackedScene, identities: IntArray, settled_s: FloatArray | None, people: int | None = None
) -> Outcome:
    """All figures of a method.

    Args:
        scene: The tracks.
        identities: (K,) who each track is.
        settled_s: (K,) since when that is settled, inf for never; None where all was decided afterwards.
        people: How many the method counts; None: as many as there are identities.

    Raises:
        ReuniteError: A track has no identity, or one identity is on two tracks of a camera at one time.
    """
    pairs = _named(scene, identities)
    found = scene.presence.identity_ids != NOT_FOUND
    names = np.where(found, identities[scene.presence.identity_ids], NOT_FOUND)
    presence = Presence(
        scene.presence.people, scene.presence.cameras, scene.presence.times, scene.presence.is_scored, names
    )
    visits = find_visits(presence)
    both = presence[found]
    both = both[np.lexsort((both.times, both.people))]
    at_once = (np.diff(both.people) == 0) & (np.diff(both.times) == 0)
    return Outcome(
        scores=score_cameras(pairs),
        reentry=count_reentries(visits),
        decided_s=None
        if settled_s is None
        else decided_after(visits, presence, scene.presence.identity_ids, settled_s),
        together=int(at_once.sum()),
        together_as_one=int((at_once & (np.diff(both.identity_ids) == 0)).sum()),
        people=len(np.setdiff1d(identities[np.isfinite(scene.begin_s)], [UNDECIDED]))
        if people is None
        else people,
        people_true=len(np.unique(np.concatenate([camera.truth.table.ids for camera in scene.cameras]))),
    )


def _named(scene: TrackedScene, identities: IntArray) -> list[list[FramePair]]:
    """Truth and result of each camera's frames, under the identities (K,)."""
    for offset, camera in zip(scene.offsets, scene.cameras, strict=True):
        people = identities[offset + camera.tracks.track_ids]
        if (people == UNDECIDED).any():
            raise ReuniteError(f"camera {camera.name!r}: a track has no identity")
        rows, counts = np.unique(np.column_stack((camera.frame_of_row, people)), axis=0, return_counts=True)
        if (counts > 1).any():
            frame, person = rows[counts.argmax()]
            raise ReuniteError(
                f"camera {camera.name!r}, frame {frame}: identity {person} is on {counts.max()} tracks"
            )
    return [
        [FramePair(pair.people, identities[pair.tracks], pair.ious) for pair in pairs.values()]
        for pairs in scene.pairs
    ]
