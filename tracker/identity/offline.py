"""Linking everything once more when all is known: the surest pair of people first."""

import heapq

import numpy as np

from tracker.identity.candidates import CLOCK_TOLERANCE_S
from tracker.identity.likeness import Likeness
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import Stays
from tracker.types import BoolArray, FeatureArray, FloatArray, IntArray

NEIGHBOURS = 32
"""So many of the most alike tracks are tried with each."""


def link_all(
    stays: Stays, looks: FeatureArray, likeness: Likeness, passages: Passages, rate: float
) -> IntArray:
    """The person (N,) of every track, from 1, by first appearance; the order of the cameras plays no part.

    Agglomerative: the two people with the highest log odds of being one are joined, as long as a stranger
    would reach them with at most the chance ``rate``. How alike two people are is the mean cosine over all
    pairs of their stays. Two who were seen at one time are never joined, unless both cameras see the place.
    """
    count = len(stays)
    clusters = _Clusters(stays, looks, likeness, passages)
    heap: list[tuple[float, int, int]] = []
    for row in range(count):
        for other in clusters.nearest(row):
            if other > row:
                clusters.push(heap, row, int(other))
    alive = np.ones(count, np.bool_)
    parent = np.arange(count)
    people = max(int((stays.looks > 0).sum()), 1)
    while heap:
        negative, first, second = heapq.heappop(heap)
        if not (alive[first] and alive[second]):
            continue
        cosine = likeness.threshold(people, rate)
        if cosine > 1 or -negative < float(likeness.log_odds(np.array([cosine]))[0]):
            break
        new = clusters.join(first, second)
        alive[[first, second]] = False
        alive = np.append(alive, True)
        parent = np.append(parent, new)
        parent[[first, second]] = new
        people -= 1
        for other in clusters.partners(new, alive):
            clusters.push(heap, int(other), new)
    return _numbers(stays, parent)


class _Clusters:
    """People so far: tracks first, then what joining makes; numbers are never used again."""

    def __init__(self, stays: Stays, looks: FeatureArray, likeness: Likeness, passages: Passages) -> None:
        self._stays, self._looks = stays, looks
        self._likeness, self._passages = likeness, passages
        self._overlap = passages.overlap
        self.members: list[IntArray] = [np.array([row]) for row in range(len(stays))]
        self._sums = [looks[row].astype(np.float64) for row in range(len(stays))]
        self._partners: list[set[int]] = [set() for _ in range(len(stays))]

    def nearest(self, row: int) -> IntArray:
        """The tracks that are most alike to one."""
        stays = self._stays
        if not stays.looks[row]:
            return np.empty(0, np.int64)
        cosines = np.where(stays.looks > 0, self._looks @ self._looks[row], -np.inf)
        cosines[row] = -np.inf
        count = min(NEIGHBOURS, int(np.isfinite(cosines).sum()))
        return np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)

    def push(self, heap: list[tuple[float, int, int]], first: int, second: int) -> None:
        """Put a pair that may be one person on the heap."""
        a, b = self.members[first], self.members[second]
        if self._conflict(a, b):
            return
        cosine = self._sums[first] @ self._sums[second] / (len(a) * len(b))
        odds = float(self._likeness.log_odds(np.array([cosine]))[0]) + self._time(a, b)
        if odds > 0:
            heapq.heappush(heap, (-odds, first, second))
            self._partners[first].add(second)
            self._partners[second].add(first)

    def join(self, first: int, second: int) -> int:
        """The number of what two make together."""
        self.members.append(np.concatenate((self.members[first], self.members[second])))
        self._sums.append(self._sums[first] + self._sums[second])
        self._partners.append(self._partners[first] | self._partners[second])
        return len(self.members) - 1

    def partners(self, number: int, alive: BoolArray) -> list[int]:
        """Who may be the same as this one, as far as its parts were tried."""
        found = sorted(other for other in self._partners[number] if alive[other])
        self._partners[number] = set()
        return found

    def _conflict(self, a: IntArray, b: IntArray) -> bool:
        stays = self._stays
        shared_s = np.minimum.outer(stays.end[a], stays.end[b]) - np.maximum.outer(
            stays.begin[a], stays.begin[b]
        )
        in_one = stays.camera[a][:, None] == stays.camera[b][None, :]
        in_two = ~self._overlap[np.ix_(stays.camera[a], stays.camera[b])] & (shared_s > CLOCK_TOLERANCE_S)
        return bool(np.where(in_one, shared_s >= 0, in_two).any())

    def _time(self, a: IntArray, b: IntArray) -> float:
        """Mean log odds of the passages that joining would make."""
        stays = self._stays
        rows = np.concatenate((a, b))
        rows = rows[np.argsort(stays.begin[rows], kind="stable")]
        is_a = np.isin(rows, a)
        steps = np.nonzero(is_a[1:] != is_a[:-1])[0]
        absences: FloatArray = stays.begin[rows[steps + 1]] - stays.end[rows[steps]]
        odds = [
            SHARED_LOG_ODDS
            if absence < -CLOCK_TOLERANCE_S
            else float(
                self._passages.log_odds(
                    stays.camera[rows[step : step + 1]],
                    int(stays.camera[rows[step + 1]]),
                    np.array([absence]),
                )[0]
            )
            for step, absence in zip(steps.tolist(), absences.tolist(), strict=True)
        ]
        return float(np.mean(odds)) if odds else 0.0


def _numbers(stays: Stays, parent: IntArray) -> IntArray:
    """The clusters of N tracks as numbers from 1, by when they were first seen."""
    roots = np.arange(len(stays))
    while (parent[roots] != roots).any():
        roots = parent[roots]
    order = np.lexsort((stays.track_id, stays.camera, stays.begin))
    numbers = np.zeros(len(parent), np.int64)
    last = 0
    for root in roots[order]:
        if not numbers[root]:
            last += 1
            numbers[root] = last
    return numbers[roots]
