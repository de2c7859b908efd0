"""After linking: tracklets that are more likely somebody else's go there, and two answers compared."""

from typing import NamedTuple

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.identity.agglomeration import by_first_appearance
from tracker.identity.candidates import evidence
from tracker.identity.corrections import NEVER
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.tracklets import TrackletTable

PASSES = 3
"""All tracklets are asked this often at most; the second time few move."""

MIN_GAIN = 1.0
"""A tracklet moves when its log odds with others are so much higher, as both are known with some error."""

MIN_LOG_ODDS = -2.0
"""A tracklet whose log odds with all others of its person are lower is by itself."""

OUTWEIGHED = 3.0
"""Time and place seldom say more: whoever is so much less alike, in log odds, is not asked about."""

TRIED = 3
"""People, the most alike, to whom a tracklet may move."""


class Person(NamedTuple):
    """Somebody whom a tracklet may belong to: a cluster, how many others are in it, and the log odds."""

    cluster: int
    others: int
    log_odds: float


class Moves:
    """What can be said of an answer (N,), the cluster of each tracklet, one tracklet at a time."""

    def __init__(self, tracklets: TrackletTable, similarity: SimilarityCalibration, places: Places) -> None:
        self._tracklets, self._similarity, self._places = tracklets, similarity, places
        self._embeddings = tracklets.centred.astype(np.float64)
        self._order = np.argsort(tracklets.begin, kind="stable")
        is_fixed = (tracklets.tried == NEVER) | (tracklets.folded > 0)
        self._is_asked = tracklets.is_track & (tracklets.num_embeddings > 0) & ~is_fixed

    def improve(self, clusters: IntArray) -> IntArray:
        """The answer after each tracklet went to whom it most likely is; the number of people may change."""
        clusters = np.unique(clusters, return_inverse=True)[1].reshape(-1)
        members, sums = self._members_of(clusters)
        for _ in range(PASSES):
            has_moved = False
            for row in self._order[self._is_asked[self._order]].tolist():
                here = int(clusters[row])
                to = self._better(row, here, members, sums)
                if to == here:
                    continue
                if to == len(sums):
                    sums = np.concatenate((sums, np.zeros((1, sums.shape[1]))))
                    members.append([])
                members[here].remove(row)
                members[to].append(row)
                sums[here] -= self._embeddings[row]
                sums[to] += self._embeddings[row]
                clusters[row], has_moved = to, True
            if not has_moved:
                break
        return by_first_appearance(self._tracklets, clusters)

    def score(self, clusters: IntArray, rows: IntArray) -> float:
        """The log odds of all pairs of tracklets (R,) of one person, of appearance and of being at one place.

        Each pair for itself, so that a person whom four cameras agree on is likelier than two whom two do.
        That a tracklet may be anybody's counts once for each further one of a person, not for each of its
        pairs: else whoever has many tracklets is likelier two people.
        """
        people = len(np.unique(clusters[self._is_asked]))
        members, _ = self._members_of(clusters)
        total = 0.0
        for row in rows[self._is_asked[rows]].tolist():
            others = np.array([it for it in members[int(clusters[row])] if it != row], np.int64)
            if len(others):
                log_odds = self._similarity.log_odds(self._embeddings[others] @ self._embeddings[row])
                # What speaks against a pair is in both answers where boxes do not end at the feet.
                together = self._places.together(self._tracklets, others, np.array([row]))
                log_odds += np.maximum(together, 0.0)
                total += float(log_odds.sum()) / 2  # each pair is there twice
                total -= float(np.log(people)) * len(others) / (len(others) + 1)
        return total

    def _members_of(self, clusters: IntArray) -> tuple[list[list[int]], FloatArray]:
        """The tracklets of each cluster, and the sum (P, D) of their embeddings."""
        sums = np.zeros((int(clusters.max(initial=-1)) + 1, self._embeddings.shape[1]))
        np.add.at(sums, clusters, self._embeddings)
        members: list[list[int]] = [[] for _ in sums]
        for row in np.nonzero(self._tracklets.num_embeddings > 0)[0].tolist():
            members[int(clusters[row])].append(row)
        return members, sums

    def _better(self, row: int, here: int, members: list[list[int]], sums: FloatArray) -> int:
        """The cluster in which a tracklet is most likely; a new one where it is nobody's."""
        if len(members[here]) == 1:
            return here  # joining people is not decided here
        embedding = self._embeddings[row]
        lengths = np.linalg.norm(sums, axis=1)
        cosines = np.where(lengths > 1e-6, sums @ embedding / np.maximum(lengths, 1e-6), -1.0)
        rest = sums[here] - embedding
        cosines[here] = rest @ embedding / max(float(np.linalg.norm(rest)), 1e-12)
        alike = self._similarity.log_odds(cosines)
        tried = [it for it in np.argsort(-cosines, kind="stable")[: TRIED + 1].tolist() if it != here]
        tried = [it for it in tried if members[it] and alike[it] > alike[here] - OUTWEIGHED]
        if not tried and alike[here] > MIN_LOG_ODDS + OUTWEIGHED:
            return here
        own = self._with(row, here, members, sums)
        best = max(
            (self._with(row, it, members, sums) for it in tried), key=lambda it: it.log_odds, default=own
        )
        if best.log_odds > max(own.log_odds + MIN_GAIN, 0.0):
            return best.cluster
        return len(sums) if own.log_odds < MIN_LOG_ODDS else here

    def _with(self, row: int, cluster: int, members: list[list[int]], sums: FloatArray) -> Person:
        """A tracklet with the others of a cluster; -inf where they cannot be one."""
        tracklets = self._tracklets
        rows = np.array([it for it in members[cluster] if it != row], np.int64)
        if not len(rows):
            return Person(cluster, 0, 0.0)
        rows = rows[np.argsort(tracklets.begin[rows], kind="stable")]
        cannot, extra, _ = evidence(tracklets, self._places, np.array([row]), rows, np.zeros(1, np.int64))
        if cannot[0]:
            return Person(cluster, len(rows), -np.inf)
        whole = sums[cluster] - self._embeddings[row] * (row in members[cluster])
        cosine = whole @ self._embeddings[row] / max(float(np.linalg.norm(whole)), 1e-12)
        log_odds = self._similarity.log_odds(np.array([cosine]))[0] + extra[0]
        return Person(cluster, len(rows), float(log_odds))


def differing(one: IntArray, other: IntArray) -> IntArray:
    """The tracklets that are not with the same others in two answers (N,)."""
    found = []
    for clusters in (one, other):
        members: dict[int, list[int]] = {}
        for row, cluster in enumerate(clusters.tolist()):
            members.setdefault(cluster, []).append(row)
        found.append([tuple(members[cluster]) for cluster in clusters.tolist()])
    return np.array([row for row, (a, b) in enumerate(zip(*found, strict=True)) if a != b], np.int64)
