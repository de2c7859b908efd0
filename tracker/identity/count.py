"""How many people there were, and how sure that is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from foundation.arrays import FloatArray, IntArray
from tracker.identity.candidates import Candidates
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.table import UNDECIDED, IdentityTable
from tracker.identity.tracklets import TrackletTable

MAX_LOOKED_AT = 500
"""As many identities, at most, are compared with all others; of more a sample, evenly spread."""

QUANTILE = 1.645
"""Standard deviations above the mean below which 95 of a hundred values are."""

UNLIKE = 0.2
"""Whoever has come back is more alike to somebody than this share of strangers; of strangers, the others are
not."""


class PeopleCount(NamedTuple):
    """How many people there were.

    Attributes:
        expected: What is expected: the identities, less those who have come back and were not recognised.
        low, high: As many were surely different, as nobody is in two places at once; and as many identities
            there are, with the strangers who may have been taken for somebody.
    """

    expected: float
    low: int
    high: int

    def __str__(self) -> str:
        number = round(self.expected)
        about = f"about {number} {'person' if number == 1 else 'people'}"
        return about if self.low == self.high else f"{about} ({self.low} to {self.high})"


def count_identities(
    tracklets: TrackletTable,
    table: IdentityTable,
    candidates: Callable[[IntArray], Candidates],
    similarity: SimilarityCalibration,
    false_merge_rate: float,
) -> PeopleCount:
    """How many people the identities of this run are.

    Args:
        tracklets: All tracks.
        table: Who they are.
        candidates: Whom the tracks (M,) of one person may be.
        similarity: What cosines mean here.
        false_merge_rate: As in `count_people`.
    """
    identity, named = table.identity, table.identity != UNDECIDED
    numbers, index = np.unique(identity[named], return_inverse=True)
    begin = np.full(len(numbers), np.inf)
    np.minimum.at(begin, index, tracklets.begin[named])
    of_run = np.unique(identity[named & tracklets.is_track])
    chances = []
    for number in of_run[:: len(of_run) // MAX_LOOKED_AT + 1].tolist():
        own = table.rows_of(number)
        if not tracklets.is_track[own].all():
            continue  # remembered from before the run, so it is one of these, surely
        found = candidates(own[tracklets.num_embeddings[own] > 0])
        came = begin[np.searchsorted(numbers, found.identity_ids)] < tracklets.begin[own[0]]
        nearest = similarity.stranger_rate(found.cosines[came].max(initial=-1.0, keepdims=True))[0]
        chances.append(1 - (1 - nearest) ** came.sum() if came.any() else np.nan)
    return count_people(np.array(chances), table.num_identities, false_merge_rate)


def count_people(chances: FloatArray, num_identities: int, false_merge_rate: float) -> PeopleCount:
    """What is expected of some identities.

    Who was seen together with everybody who came before is another person, surely: that is the least. Of
    strangers the chances are spread evenly from 0 to 1; who has come back, and was not recognised, has a low
    one. So those above `UNLIKE` say how many are strangers in all. At most all are, and those who were taken
    for somebody: their rate is a bound that is seldom reached, so it is no part of what is expected.

    Args:
        chances: (P,) for each identity, or for a sample of them, that a stranger is as alike as it is to
            anybody who came before and whom it may be; nan where there is nobody.
        num_identities: How many there are.
        false_merge_rate: The share of new people who are taken for somebody known.

    Source: the share of true null hypotheses, Storey 2002 (doi 10.1111/1467-9868.00346).
    """
    if not num_identities:
        return PeopleCount(0.0, 0, 0)
    asked = chances[np.isfinite(chances)]
    each = num_identities / max(len(chances), 1)  # of a sample each stands for so many
    apart = each * (len(chances) - len(asked))
    share = min(float((asked > UNLIKE).mean()) / (1 - UNLIKE), 1.0) if len(asked) else 0.0
    taken = num_identities * false_merge_rate
    expected = apart + share * each * len(asked)
    low, high = round(apart), num_identities + round(taken + QUANTILE * np.sqrt(taken))
    return PeopleCount(float(expected), min(max(low, 1), high), high)
