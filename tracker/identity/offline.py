"""Linking everything once more when all is known: the surest pair of people first."""

import heapq

import numpy as np

from tracker.identity.candidates import CLOCK_TOLERANCE_S
from tracker.identity.likeness import Likeness
from tracker.identity.passages import SHARED_LOG_ODDS, Passages
from tracker.identity.stays import Stays
from tracker.types import BoolArray, FloatArray, IntArray

NEIGHBOURS = 32
"""So many of the most alike tracks are tried with each."""

ROWS_AT_ONCE = 512
"""Rows of the matrix of all cosines that are in memory together."""


def link_all(stays: Stays, likeness: Likeness, passages: Passages, rate: float) -> IntArray:
    """The person (N,) of every stay, from 0, by first appearance; the order of the cameras plays no part.

    Agglomerative: the two people with the highest log odds of being one are joined, as long as a stranger
    would reach them with at most the chance ``rate``. How alike two people are is the mean cosine over all
    pairs of their stays. Two who were seen at one time are never joined, unless both cameras see the place,
    nor are two who were remembered from before.
    """
    people = _People(stays, likeness, passages)
    heap = people.first_pairs()
    heapq.heapify(heap)
    count = max(people.seen, 1)
    while heap:
        negative, first, second = heapq.heappop(heap)
        if not (people.is_whole(first) and people.is_whole(second)):
            continue
        cosine = likeness.threshold(count, rate)
        if cosine > 1 or -negative < float(likeness.log_odds(np.array([cosine]))[0]):
            break
        for pair in people.join(first, second):
            heapq.heappush(heap, pair)
        count -= 1
    return people.numbers()


Pair = tuple[float, int, int]
"""Minus the log odds that two people are one, and the two."""


class _People:
    """People so far: single stays first, then what joining makes; their indices are never used again."""

    def __init__(self, stays: Stays, likeness: Likeness, passages: Passages) -> None:
        self._stays, self._likeness, self._passages = stays, likeness, passages
        self._overlap = passages.overlap
        remembered = np.nonzero(~stays.is_track)[0]
        first = remembered[np.unique(stays.identity[remembered], return_index=True)[1]]
        of_one = [remembered[stays.identity[remembered] == number] for number in stays.identity[first]]
        self._members = [self._sorted(rows) for rows in of_one]
        self._members += [np.array([row]) for row in np.nonzero(stays.is_track)[0]]
        self._remembered = len(of_one)
        self._person_of = np.zeros(len(stays), np.int64)
        for person, rows in enumerate(self._members):
            self._person_of[rows] = person
        most = 2 * max(len(self._members), 1)  # each joining makes one of two
        self._sums = np.zeros((most, stays.length))
        np.add.at(self._sums, self._person_of, stays.centred)
        self._sizes = np.zeros(most, np.int64)
        self._sizes[: len(self._members)] = [len(rows) for rows in self._members]
        self._parents = np.arange(most)
        self._was_known = np.arange(most) < self._remembered
        self._partners: list[set[int]] = [set() for _ in self._members]

    @property
    def seen(self) -> int:
        """How many people anybody looked at, before any are joined."""
        return len(np.unique(self._person_of[self._stays.looks > 0]))

    def is_whole(self, person: int) -> bool:
        """Whether it was not joined with anybody yet."""
        return bool(self._parents[person] == person)

    def first_pairs(self) -> list[Pair]:
        """Each stay with those that are most alike, where they may be one person."""
        stays = self._stays
        seen = np.nonzero(stays.looks > 0)[0]
        looks = stays.centred[seen]
        count = min(NEIGHBOURS, len(seen) - 1)
        if count < 1:
            return []
        found = []
        for start in range(0, len(seen), ROWS_AT_ONCE):
            cosines = looks[start : start + ROWS_AT_ONCE] @ looks.T
            here = np.arange(len(cosines))
            cosines[here, start + here] = -np.inf
            nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            found.append(np.column_stack((np.repeat(seen[start + here], count), seen[nearest.ravel()])))
        pairs = np.sort(self._person_of[np.concatenate(found)], axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        starts = np.unique(pairs[:, 0], return_index=True)[1]
        return [
            pair
            for others in np.split(pairs, starts[1:])
            if len(others)
            for pair in self._pairs(int(others[0, 0]), others[:, 1])
        ]

    def join(self, first: int, second: int) -> list[Pair]:
        """Make two people one; the pairs that this one may be joined in next."""
        new = len(self._members)
        self._parents[[first, second]] = new
        self._members.append(self._sorted(np.concatenate((self._members[first], self._members[second]))))
        self._sums[new] = self._sums[first] + self._sums[second]
        self._sizes[new] = self._sizes[first] + self._sizes[second]
        self._was_known[new] = self._was_known[first] or self._was_known[second]
        tried = sorted(it for it in self._partners[first] | self._partners[second] if self.is_whole(it))
        self._partners.append(set())
        return self._pairs(new, np.array(tried, np.int64)) if tried else []

    def numbers(self) -> IntArray:
        """(N,) the person of each stay, from 0, in the order in which they were first seen."""
        stays, roots = self._stays, self._person_of
        while (self._parents[roots] != roots).any():
            roots = self._parents[roots]
        order = np.lexsort((stays.track_id, stays.camera, stays.begin))
        people, firsts, group = np.unique(roots[order], return_index=True, return_inverse=True)
        rank = np.empty(len(people), np.int64)
        rank[np.argsort(firsts)] = np.arange(len(people))
        numbers = np.empty(len(stays), np.int64)
        numbers[order] = rank[group]
        return numbers

    def _sorted(self, rows: IntArray) -> IntArray:
        """Stays in the order in which they began."""
        return rows[np.argsort(self._stays.begin[rows], kind="stable")]

    def _pairs(self, person: int, others: IntArray) -> list[Pair]:
        """One person with each of others (M,), where both are more likely one than two."""
        parts = [self._members[other] for other in others.tolist()]
        rows, starts = np.concatenate(parts), np.cumsum([0, *(len(part) for part in parts[:-1])])
        group = np.repeat(np.arange(len(others)), self._sizes[others])
        cannot = np.logical_or.reduceat(self._conflicts(self._members[person], rows), starts)
        cannot |= self._was_known[person] & self._was_known[others]
        cosines = self._sums[others] @ self._sums[person] / (self._sizes[others] * self._sizes[person])
        log_odds = self._likeness.log_odds(cosines)
        log_odds += self._time(self._members[person], rows, group, len(others))
        pairs = []
        for index in np.nonzero(~cannot & (log_odds > 0))[0].tolist():
            other = int(others[index])
            self._partners[person].add(other)
            self._partners[other].add(person)
            pairs.append((-float(log_odds[index]), min(person, other), max(person, other)))
        return pairs

    def _conflicts(self, a: IntArray, rows: IntArray) -> BoolArray:
        """(R,) which stays cannot be those of a person with stays ``a``."""
        stays = self._stays
        shared_s = np.minimum.outer(stays.end[rows], stays.end[a]) - np.maximum.outer(
            stays.begin[rows], stays.begin[a]
        )
        in_one = stays.camera[rows][:, None] == stays.camera[a]
        in_two = ~self._overlap[np.ix_(stays.camera[rows], stays.camera[a])] & (shared_s > CLOCK_TOLERANCE_S)
        return np.asarray(np.where(in_one, shared_s >= 0, in_two).any(axis=1))

    def _time(self, a: IntArray, rows: IntArray, group: IntArray, groups: int) -> FloatArray:
        """(G,) mean log odds of the passages that joining ``a`` with each group of stays would make.

        ``a`` and the ``rows`` (R,) of each ``group`` (R,) come in the order in which they began. A passage
        is where, in the order of all, a stay of one follows a stay of the other.
        """
        stays = self._stays
        place = np.searchsorted(stays.begin[a], stays.begin[rows], side="right")
        changes = (np.diff(place) != 0) | (np.diff(group) != 0)
        into = np.nonzero(np.concatenate(([True], changes)) & (place > 0))[0]
        out = np.nonzero(np.concatenate((changes, [True])) & (place < len(a)))[0]
        before = np.concatenate((a[place[into] - 1], rows[out]))
        after = np.concatenate((rows[into], a[np.minimum(place[out], len(a) - 1)]))
        absence_s = stays.begin[after] - stays.end[before]
        log_odds = self._passages.log_odds(stays.camera[before], stays.camera[after], absence_s)
        log_odds[absence_s < -CLOCK_TOLERANCE_S] = SHARED_LOG_ODDS
        whose = group[np.concatenate((into, out))]
        counts = np.bincount(whose, minlength=groups)
        return np.asarray(np.bincount(whose, log_odds, groups) / np.maximum(counts, 1))
