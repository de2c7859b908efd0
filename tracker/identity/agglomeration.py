"""Linking everything once more when all is known: the surest pair of people first."""

import heapq

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.identity.candidates import Strangers, evidence
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.table import UNDECIDED, IdentityTable
from tracker.identity.tracklets import TrackletTable

NEIGHBOURS = 32
"""This many of the most alike tracks are tried with each."""

ROWS_AT_ONCE = 512
"""Rows of the matrix of all cosines that are in memory together."""

Pair = tuple[float, int, int]
"""Minus the log odds that two people are one, and the two."""


def link_all(
    tracklets: TrackletTable,
    table: IdentityTable,
    similarity: SimilarityCalibration,
    places: Places,
    rate: float,
    is_enough: BoolArray,
    *,
    keep: bool,
) -> IntArray:
    """The person (N,) of every tracklet, from 0, by first appearance; the order of the cameras plays no part.

    Agglomerative: the two people with the highest log odds of being one are joined, as long as a stranger
    would reach them with at most the chance ``rate`` against all who came before. How alike two people
    are is the cosine between the means of their tracklets. Two who were seen at one time are never
    joined, unless both cameras see the place, nor are two who were remembered from before.

    Args:
        tracklets: All tracks.
        table: Who they are, as it was found on the way.
        similarity, places: What their appearance, and when and where they were, says.
        rate: The share of new people that may be taken for somebody.
        is_enough: (N,) which tracklets show enough of somebody; nobody is taken for one of the others alone.
        keep: Begin with the people of the table, as far as nothing is known by now that forbids them; else
            with single tracklets. Whoever was remembered from before is there anyway.
    """
    clusters = _Clusters(tracklets, table, similarity, places, is_enough, keep)
    waiting, has_joined = clusters.first_pairs(), True
    while has_joined:  # the fewer people are left, the less is needed
        heap, waiting, has_joined = waiting, [], False
        heapq.heapify(heap)
        clusters.forget_required()
        while heap:
            negative, first, second = pair = heapq.heappop(heap)
            if not (clusters.is_whole(first) and clusters.is_whole(second)):
                continue
            if all(
                -negative >= clusters.required(cluster, rate) for cluster in clusters.newer(first, second)
            ):
                has_joined = True
                for new in clusters.join(first, second):
                    heapq.heappush(heap, new)
            else:
                waiting.append(pair)
    return clusters.numbers()


def by_first_appearance(tracklets: TrackletTable, clusters: IntArray) -> IntArray:
    """(N,) the same clusters (N,), numbered from 0 in the order in which they were first seen."""
    order = np.lexsort((tracklets.track_id, tracklets.camera, tracklets.begin))
    of_cluster, firsts, group = np.unique(clusters[order], return_index=True, return_inverse=True)
    rank = np.empty(len(of_cluster), np.int64)
    rank[np.argsort(firsts)] = np.arange(len(of_cluster))
    numbers = np.empty(len(tracklets), np.int64)
    numbers[order] = rank[group.reshape(-1)]
    return numbers


class _Clusters:
    """People so far, and what joining makes of them; their indices are never used again."""

    def __init__(
        self,
        tracklets: TrackletTable,
        table: IdentityTable,
        similarity: SimilarityCalibration,
        places: Places,
        is_enough: BoolArray,
        keep: bool,
    ) -> None:
        self._tracklets, self._similarity, self._places = tracklets, similarity, places
        self._members: list[IntArray] = []
        numbers = np.unique(table.identity[~tracklets.is_track]).tolist()
        others = np.setdiff1d(table.identity, [UNDECIDED, *numbers]).tolist() if keep else []
        for number in numbers + others:
            rows = table.rows_of(number)
            self._members.append(self._consistent(rows) if keep else rows[~tracklets.is_track[rows]])
        taken = np.concatenate([*self._members, np.empty(0, np.int64)])
        self._members += [np.array([row]) for row in np.setdiff1d(np.arange(len(tracklets)), taken)]
        self._root = np.zeros(len(tracklets), np.int64)  # the person, not joined yet, of each tracklet
        for cluster, rows in enumerate(self._members):
            self._root[rows] = cluster
        self._seen = self._sorted(np.nonzero(tracklets.num_embeddings > 0)[0])
        most = 2 * max(len(self._members), 1)  # each joining makes one of two
        self._sums = np.zeros((most, tracklets.length))
        np.add.at(self._sums, self._root, tracklets.centred)
        self._is_whole = np.ones(most, np.bool_)
        self._begin = np.full(most, np.inf)
        np.minimum.at(self._begin, self._root, tracklets.begin)
        self._was_known = np.arange(most) < len(numbers)
        self._is_enough = np.zeros(most, np.bool_)
        np.logical_or.at(self._is_enough, self._root, is_enough)
        self._partners: list[set[int]] = [set() for _ in self._members]
        self._required: dict[int, float] = {}

    def is_whole(self, cluster: int) -> bool:
        """Whether it was not joined yet."""
        return bool(self._is_whole[cluster])

    def first_pairs(self) -> list[Pair]:
        """Each tracklet with those that are most alike, where they may be one person."""
        tracklets = self._tracklets
        seen = np.nonzero(tracklets.num_embeddings > 0)[0]
        embeddings = tracklets.centred[seen]
        count = min(NEIGHBOURS, len(seen) - 1)
        if count < 1:
            return []
        found = []
        for start in range(0, len(seen), ROWS_AT_ONCE):
            cosines = embeddings[start : start + ROWS_AT_ONCE] @ embeddings.T
            here = np.arange(len(cosines))
            cosines[here, start + here] = -np.inf
            nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
            found.append(np.column_stack((np.repeat(seen[start + here], count), seen[nearest.ravel()])))
        pairs = np.sort(self._root[np.concatenate(found)], axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        starts = np.unique(pairs[:, 0], return_index=True)[1]
        return [
            pair
            for others in np.split(pairs, starts[1:])
            if len(others)
            for pair in self._pairs(int(others[0, 0]), others[:, 1])
        ]

    def required(self, cluster: int, rate: float) -> float:
        """The log odds at which somebody is taken for one of those who came before, as of `forget_required`.

        Whoever is joined meanwhile leaves fewer people to be taken for, so it is on the safe side.
        """
        if cluster not in self._required:
            own = self._members[cluster]
            roots = self._root[self._seen]
            begun = self._is_enough[roots] & (self._begin[roots] <= self._begin[cluster])
            rows = self._seen[begun & (roots != cluster)]
            rows = rows[np.argsort(self._root[rows], kind="stable")]
            starts = np.unique(self._root[rows], return_index=True)[1]
            cannot, extra, together = evidence(self._tracklets, self._places, own, rows, starts)
            free = ~cannot
            strangers = Strangers(self._similarity, extra[free], together[free])
            self._required[cluster] = strangers.required(rate)
        return self._required[cluster]

    def newer(self, *clusters: int) -> list[int]:
        """Who of two was first seen later, and may be new; both, if they came at one time."""
        begin = max(self._begin[cluster] for cluster in clusters)
        return [cluster for cluster in clusters if self._begin[cluster] == begin]

    def forget_required(self) -> None:
        """Find out anew what is needed, with the people that are left."""
        self._required.clear()

    def join(self, first: int, second: int) -> list[Pair]:
        """Make two people one; the pairs that this one may be joined in next."""
        new = len(self._members)
        self._is_whole[[first, second]] = False
        self._members.append(self._sorted(np.concatenate((self._members[first], self._members[second]))))
        self._root[self._members[new]] = new
        self._begin[new] = min(self._begin[first], self._begin[second])
        self._sums[new] = self._sums[first] + self._sums[second]
        self._was_known[new] = self._was_known[first] or self._was_known[second]
        self._is_enough[new] = self._is_enough[first] or self._is_enough[second]
        tried = sorted(it for it in self._partners[first] | self._partners[second] if self.is_whole(it))
        self._partners.append(set())
        return self._pairs(new, np.array(tried, np.int64)) if tried else []

    def numbers(self) -> IntArray:
        """(N,) the person of each tracklet, from 0, in the order in which they were first seen."""
        return by_first_appearance(self._tracklets, self._root)

    def _consistent(self, rows: IntArray) -> IntArray:
        """Of the tracklets (M,) of a person those that can be of one, in the order in which they began."""
        kept = rows
        while len(kept) > 1:
            conflicts = [int(self._places.conflicts(self._tracklets, kept, row[None]).sum()) for row in kept]
            of_itself = 1  # a tracklet lasts while it lasts
            if max(conflicts) <= of_itself:
                break
            kept = np.delete(kept, len(kept) - 1 - int(np.argmax(conflicts[::-1])))
        return kept

    def _sorted(self, rows: IntArray) -> IntArray:
        """Tracklets in the order in which they began."""
        return rows[np.argsort(self._tracklets.begin[rows], kind="stable")]

    def _pairs(self, cluster: int, others: IntArray) -> list[Pair]:
        """One person with each of others (M,), where both are more likely one than two."""
        cannot, log_odds, _ = self._evidence(cluster, others)
        lengths = np.linalg.norm(self._sums[others], axis=1) * np.linalg.norm(self._sums[cluster])
        cosines = self._sums[others] @ self._sums[cluster] / np.maximum(lengths, 1e-12)
        log_odds += self._similarity.log_odds(cosines)
        cannot |= self._was_known[cluster] & self._was_known[others]
        pairs = []
        for index in np.nonzero(~cannot & (log_odds > 0))[0].tolist():
            other = int(others[index])
            self._partners[cluster].add(other)
            self._partners[other].add(cluster)
            pairs.append((-float(log_odds[index]), min(cluster, other), max(cluster, other)))
        return pairs

    def _evidence(self, cluster: int, others: IntArray) -> tuple[BoolArray, FloatArray, FloatArray]:
        """Whom of others (M,) somebody cannot be, and the log odds of time and place."""
        parts = [self._members[other] for other in others.tolist()]
        starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
        return evidence(self._tracklets, self._places, self._members[cluster], np.concatenate(parts), starts)
