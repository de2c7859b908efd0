"""What CLEAR, identity and HOTA count; counts of sequences may be added.

Sources: CLEAR, Bernardin and Stiefelhagen 2008 (doi:10.1155/2008/246309); identity, Ristani et al. 2016
(arXiv:1609.01775); HOTA, Luiten et al. 2021 (arXiv:2009.07736).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.metrics.overlap import EPSILON, MIN_IOU, FramePair, match_highest

MIN_IOUS = np.arange(0.05, 0.99, 0.05)
"""(19,) the overlaps alpha over which HOTA is averaged (Luiten et al.)."""


class Counts:
    """Numbers that may be added over sequences."""

    __slots__ = ()

    def __add__(self, other: Self) -> Self:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True)
class ClearCounts(Counts):
    """What CLEAR counts at an overlap of `MIN_IOU`.

    Attributes:
        true_positives: Boxes of people that were found.
        false_negatives: Boxes of people that were missed.
        false_positives: Result boxes on no person.
        switches: Times a person was found under another track than the last time.
        fragmentations: Times a person was found again after a frame in which it was not.
        mostly_tracked: People found in more than 80 % of their frames.
        partly_tracked: People found in 20 % to 80 % of their frames.
        mostly_lost: People found in less than 20 % of their frames.
        iou_sum: Sum of the overlaps of all true positives.
    """

    true_positives: int
    false_negatives: int
    false_positives: int
    switches: int
    fragmentations: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    iou_sum: float


@dataclass(frozen=True, slots=True)
class IdentityCounts(Counts):
    """What is right and wrong when each person is one track, in the best such pairing."""

    true_positives: int
    false_negatives: int
    false_positives: int


@dataclass(frozen=True, slots=True, eq=False)
class HotaCounts(Counts):
    """What HOTA counts, for each of the 19 `MIN_IOUS`.

    Attributes:
        true_positives, false_negatives, false_positives: (19,) boxes.
        association_sum: (19,) sum over the true positives c of A(c): the frames that hold its person
            and its track as a true positive, over the frames that hold either.
        iou_sum: (19,) sum of the overlaps of the true positives.
    """

    true_positives: FloatArray
    false_negatives: FloatArray
    false_positives: FloatArray
    association_sum: FloatArray
    iou_sum: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ClearMatches:
    """Who was found as which track in one frame, as CLEAR has it.

    Attributes:
        rows, columns: (K,) the places of a person and of its track in the frame.
        is_switch: (K,) whether the person was found under another track the last time.
        is_begun: (K,) whether the person was not found in the frame before.
    """

    rows: IntArray
    columns: IntArray
    is_switch: BoolArray
    is_begun: BoolArray


def match_clear(pairs: Sequence[FramePair]) -> Iterator[ClearMatches]:
    """Match people and tracks frame by frame, keeping pairs of the frame before.

    A pair that overlaps by `MIN_IOU` and was matched in the frame before stays; the others are matched at
    the highest total overlap. As in TrackEval, the frame before is the last one that held both people and
    tracks, and a person who was out of view counts as not found when it is back (fragmentations).
    """
    pairs, frames_of_person, _ = _renumber(pairs)
    return _match_numbered(pairs, len(frames_of_person))


def _match_numbered(pairs: Sequence[FramePair], num_people: int) -> Iterator[ClearMatches]:
    nobody = -1
    last_track = np.full(num_people, nobody)  # the last time the person was found, however long ago
    held_track = np.full(num_people, nobody)  # in the frame before
    for pair in pairs:
        if not pair.ious.size:
            none = np.empty(0, np.int64)
            yield ClearMatches(none, none, none.astype(np.bool_), none.astype(np.bool_))
            continue
        # A pair that is held outweighs any gain in overlap that breaking it could bring.
        held = held_track[pair.people][:, None] == pair.tracks
        rows, columns = match_highest(
            np.where(pair.ious >= MIN_IOU - EPSILON, 1000.0 * held + pair.ious, 0.0)
        )
        people, tracks = pair.people[rows], pair.tracks[columns]
        is_switch = (last_track[people] != nobody) & (last_track[people] != tracks)
        yield ClearMatches(rows, columns, is_switch, held_track[people] == nobody)
        held_track[:] = nobody
        held_track[people] = last_track[people] = tracks


def count_clear(pairs: Sequence[FramePair]) -> ClearCounts:
    """Count what `match_clear` finds."""
    pairs, frames_of_person, frames_of_track = _renumber(pairs)
    num_people, num_tracks = len(frames_of_person), int(frames_of_track.sum())
    frames_found = np.zeros(num_people, np.int64)
    times_begun = np.zeros(num_people, np.int64)
    switches, iou_sum = 0, 0.0
    for pair, matches in zip(pairs, _match_numbered(pairs, num_people), strict=True):
        people = pair.people[matches.rows]
        switches += int(matches.is_switch.sum())
        times_begun[people] += matches.is_begun
        frames_found[people] += 1
        iou_sum += float(pair.ious[matches.rows, matches.columns].sum())
    found = int(frames_found.sum())
    share_found = frames_found / np.maximum(1, frames_of_person)
    mostly_tracked, mostly_lost = int((share_found > 0.8).sum()), int((share_found < 0.2).sum())
    return ClearCounts(
        true_positives=found,
        false_negatives=int(frames_of_person.sum()) - found,
        false_positives=num_tracks - found,
        switches=switches,
        fragmentations=int(np.maximum(times_begun - 1, 0).sum()),
        mostly_tracked=mostly_tracked,
        partly_tracked=num_people - mostly_tracked - mostly_lost,
        mostly_lost=mostly_lost,
        iou_sum=iou_sum,
    )


def count_identity(pairs: Sequence[FramePair]) -> IdentityCounts:
    """Pair each person with at most one track, over all frames, so that most boxes agree; count.

    A box agrees where the two overlap by `MIN_IOU` or more. This maximum is the minimum of IDFP + IDFN
    in Ristani et al., since each agreeing box takes one off both.
    """
    pairs, frames_of_person, frames_of_track = _renumber(pairs)
    agreeing = np.zeros((len(frames_of_person), len(frames_of_track)))
    for pair in pairs:
        rows, columns = np.nonzero(pair.ious >= MIN_IOU)
        agreeing[pair.people[rows], pair.tracks[columns]] += 1
    found = int(agreeing[linear_sum_assignment(agreeing, maximize=True)].sum())
    return IdentityCounts(found, int(frames_of_person.sum()) - found, int(frames_of_track.sum()) - found)


def count_hota(pairs: Sequence[FramePair]) -> HotaCounts:
    """Match each frame at the highest overlap, weighted by how well person and track agree over all frames.

    The weight is a Jaccard index between person and track from soft matches: in each frame a pair counts
    its overlap over all overlaps of the two boxes (Luiten et al.). One matching serves all
    `MIN_IOUS`; those of its pairs that overlap less are no match.
    """
    pairs, frames_of_person, frames_of_track = _renumber(pairs)
    num_tracks = len(frames_of_track)
    together = np.zeros((len(frames_of_person), num_tracks))
    for pair in pairs:
        shared = pair.ious.sum(axis=0) + pair.ious.sum(axis=1)[:, None] - pair.ious
        soft = np.divide(pair.ious, shared, out=np.zeros_like(shared), where=shared > EPSILON)
        together[np.ix_(pair.people, pair.tracks)] += soft
    agreement = together / (frames_of_person[:, None] + frames_of_track - together)

    matched_people, matched_tracks, matched_ious = (
        [np.empty(0, np.int64)],
        [np.empty(0, np.int64)],
        [np.empty(0)],
    )
    for pair in pairs:
        rows, columns = match_highest(agreement[np.ix_(pair.people, pair.tracks)] * pair.ious)
        matched_people.append(pair.people[rows])
        matched_tracks.append(pair.tracks[columns])
        matched_ious.append(pair.ious[rows, columns])
    person_track = np.concatenate(matched_people) * num_tracks + np.concatenate(matched_tracks)
    ious = np.concatenate(matched_ious)

    found, association_sum, iou_sum = (np.zeros(len(MIN_IOUS)) for _ in range(3))
    for index, min_iou in enumerate(MIN_IOUS):
        passes = ious >= min_iou - EPSILON
        keys, frames_of_both = np.unique(person_track[passes], return_counts=True)
        people, tracks = np.divmod(keys, max(1, num_tracks))
        frames_of_either = frames_of_person[people] + frames_of_track[tracks] - frames_of_both
        found[index] = passes.sum()
        association_sum[index] = (frames_of_both**2 / frames_of_either).sum()
        iou_sum[index] = ious[passes].sum()
    return HotaCounts(
        found, frames_of_person.sum() - found, frames_of_track.sum() - found, association_sum, iou_sum
    )


def _renumber(pairs: Sequence[FramePair]) -> tuple[list[FramePair], IntArray, IntArray]:
    """Number people and tracks from 0; also in how many frames each person and each track is."""
    people, frames_of_person = _from_zero([pair.people for pair in pairs])
    tracks, frames_of_track = _from_zero([pair.tracks for pair in pairs])
    numbered = [FramePair(p, t, pair.ious) for p, t, pair in zip(people, tracks, pairs, strict=True)]
    return numbered, frames_of_person, frames_of_track


def _from_zero(ids: Sequence[IntArray]) -> tuple[list[IntArray], IntArray]:
    if not ids:
        return [], np.empty(0, np.int64)
    ends = np.cumsum([len(part) for part in ids])[:-1]
    _, numbers, counts = np.unique(np.concatenate(ids), return_inverse=True, return_counts=True)
    return np.split(numbers, ends), counts
