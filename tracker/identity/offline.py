"""After the last frame: all tracks are linked once more, with everything known."""

from foundation.arrays import BoolArray, IntArray
from tracker.identity.agglomeration import link_all
from tracker.identity.corrections import NEVER
from tracker.identity.moves import Moves, differing
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.table import IdentityTable
from tracker.identity.tracklets import TrackletTable

ROUNDS = 3
"""After the last frame all are linked this many times: first with the transitions of the people found on the
way, then with those of the people found the time before."""

MIN_ADVANTAGE = 50.0
"""The people found on the way are given up for those found anew when these are so much likelier, as log odds:
they were told already, and the tracklets of one person err together."""


def link_offline(
    tracklets: TrackletTable,
    table: IdentityTable,
    similarity: SimilarityCalibration,
    places: Places,
    rate: float,
    is_enough: BoolArray,
    rounds: int = ROUNDS,
) -> IntArray:
    """The person (N,) of every tracklet, from 0, by first appearance.

    Twice: from the people found on the way, and from single tracklets; the likelier answer counts. For the
    arguments see `link_all`; ``rounds``: how often, each with the transitions of the people found before.
    """
    answers = []
    is_said = (tracklets.tried == NEVER).any()  # by somebody who knows better, and it stays
    for keep in (True,) if is_said else (True, False):
        clusters = table.numbered()
        for _ in range(rounds):
            taught = places.taught_by(tracklets, clusters)
            clusters = link_all(tracklets, table, similarity, taught, rate, is_enough, keep=keep)
            clusters = Moves(tracklets, similarity, taught).improve(clusters)
        answers.append(clusters)
    if is_said:
        return answers[0]
    kept, anew = answers
    judge, rows = Moves(tracklets, similarity, places), differing(kept, anew)
    gain = judge.score(anew, rows) - judge.score(kept, rows)
    return anew if gain > MIN_ADVANTAGE else kept
