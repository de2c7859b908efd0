"""Who somebody could be: everybody who was not seen elsewhere meanwhile, how alike, and how likely now."""

from typing import NamedTuple

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.tracklets import TrackletTable

EXTRA_STEP = 0.01
"""Log odds of time and place are rounded to this where their share of errors is added up."""

UTMOST = 100.0
"""Beyond these log odds of time and place appearance changes nothing: its own lie between the logarithms of
`similarity.HIDDEN` and of 1 / `similarity.TINY`, which is 69."""

HIGHEST = 60.0
"""Who is so likely somebody is not taken for a stranger, whatever the rate of error."""


class Candidates(NamedTuple):
    """The P people whom a track, or all tracks of a person, may be.

    Attributes:
        identity_ids: (P,) identities.
        cosines: (P,) how alike they are.
        extra: (P,) log odds of time and place.
        together: (P,) of ``extra``, the log odds of where both stood at one time.
        log_odds: (P,) of appearance, time and place together that it is this person.
    """

    identity_ids: IntArray
    cosines: FloatArray
    extra: FloatArray
    together: FloatArray
    log_odds: FloatArray

    @property
    def probabilities(self) -> FloatArray:
        """(P,) that it is this person, where it was as likely beforehand that it is none of them."""
        odds = np.exp(np.clip(self.log_odds, -50.0, 50.0))
        return np.asarray(odds / (1 + odds.sum()), np.float64)


def find_candidates(
    tracklets: TrackletTable,
    centroids: IdentityCentroids,
    own: IntArray,
    similarity: SimilarityCalibration,
    places: Places,
) -> Candidates:
    """Everybody whom the tracks in these rows (M,), of one person, may be."""
    known = centroids.rows()
    is_other = np.ones(len(tracklets), np.bool_)
    is_other[own] = False
    others = is_other[known.rows]
    starts: IntArray = np.cumsum(others)[known.starts] - others[known.starts]  # how many others stand before
    has_other = np.logical_or.reduceat(others, known.starts)  # no other is known by these tracks alone
    if not has_other.any():
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return Candidates(none, nothing, nothing, nothing, nothing)
    cannot, extra, together = evidence(tracklets, places, own, known.rows[others], starts[has_other])
    cosines = centroids.cosines(own)[has_other]
    log_odds = similarity.log_odds(cosines) + extra
    identities, free = known.identity_ids[has_other], ~cannot
    return Candidates(identities[free], cosines[free], extra[free], together[free], log_odds[free])


def evidence(
    tracklets: TrackletTable, places: Places, own: IntArray, rows: IntArray, starts: IntArray
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Whether somebody cannot be each of P people, and what time and place say about it.

    Args:
        tracklets: All tracks.
        places: Transit times between them, and the ground.
        own: (M,) the rows of somebody, in the order in which they began.
        rows: (R,) those of the others, each one's side by side and in the order in which they began.
        starts: (P,) where the rows of each begin.

    Returns:
        (P,) who was seen at the same time, not in cameras that see the same place; (P,) the mean log odds of
        the transitions that one person would have made, where, in the order of all, a tracklet of one follows
        a tracklet of the other, and of where both stood at one time; and (P,) what the latter says for it.
    """
    cannot = np.logical_or.reduceat(places.conflicts(tracklets, rows, own), starts)
    group = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(rows)))
    place = np.searchsorted(tracklets.begin[own], tracklets.begin[rows], side="right")
    changes = (place[1:] != place[:-1]) | (group[1:] != group[:-1])
    into = np.nonzero(np.concatenate(([True], changes)) & (place > 0))[0]
    out = np.nonzero(np.concatenate((changes, [True])) & (place < len(own)))[0]
    before = np.concatenate((own[place[into] - 1], rows[out]))
    after = np.concatenate((rows[into], own[place[out]]))
    log_odds = places.log_odds(tracklets, before, after)
    whose = group[np.concatenate((into, out))]
    counts = np.bincount(whose, minlength=len(starts))
    told = places.together(tracklets, rows, own)
    together = np.maximum(np.maximum.reduceat(told, starts), 0.0)
    against = np.minimum(np.minimum.reduceat(told, starts), 0.0)
    return (
        cannot,
        np.bincount(whose, log_odds, len(starts)) / np.maximum(counts, 1) + together + against,
        together,
    )


class Strangers:
    """The P people whom somebody new may be taken for, and the chance of that.

    Time and place speak with ``extra`` (P,): somebody who is likely here and now may be less alike, somebody
    who is not has to be more. It is a bound, as the chances of all are added up (Boole). Of strangers, one in
    exp(``together``) at most stood where that person stood, so they count less.
    """

    def __init__(
        self, similarity: SimilarityCalibration, extra: FloatArray, together: FloatArray | float = 0.0
    ) -> None:
        # Up is on the safe side.
        steps = np.ceil(np.clip(extra, -UTMOST, UTMOST) / EXTRA_STEP).astype(np.int64)
        weights = np.broadcast_to(np.exp(-np.maximum(together, 0.0)), extra.shape)
        lowest = steps.min(initial=0)
        counts = np.bincount(steps - lowest, weights)
        used = np.nonzero(counts)[0]
        self._similarity, self._extra = similarity, EXTRA_STEP * (lowest + used)
        self._counts = counts[used]

    def chance(self, log_odds: float) -> float:
        """That a stranger reaches these log odds with any of them."""
        if log_odds >= HIGHEST:
            return 0.0
        return float(self._similarity.stranger_rate_at(log_odds - self._extra) @ self._counts)

    def required(self, rate: float) -> float:
        """The log odds that a stranger reaches with at most this chance."""
        low, high = 0.0, HIGHEST
        while high - low > 1e-4:
            middle = (low + high) / 2
            low, high = (middle, high) if self.chance(middle) > rate else (low, middle)
        return high
