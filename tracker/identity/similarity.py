"""The similarity calibration: cosines turned into odds and error rates for this site."""

from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaln

from foundation.arrays import FloatArray
from foundation.cosine_prior import CosinePrior
from tracker.config import SimilarityConfig

MIN_SD = 0.03
"""No site is so clear-cut; fewer pairs than a handful may look so."""

GRID: FloatArray = np.linspace(-1.0, 1.0, 4001)
"""Cosines for which odds and rates are tabulated."""


SHARES: FloatArray = np.clip((GRID + 1) / 2, 1e-9, 1 - 1e-9)
"""The same on [0, 1], without its ends, where densities may be infinite."""

UNSURE = 0.5
"""Sites differ: where only the prior speaks, strangers are taken to scatter so much more than it says, as a
share. It is 0.14 on Market-1501 and 0.25 in PETS09-S2L1 that two people's cosines deviate by."""

LOOK_ALIKES_PAIRS = 10.0
"""Look-alikes are rare: what the prior says of their share weighs so many times more than the rest of it."""

ROUNDS = 10
"""After so many rounds the share of look-alikes hardly changes."""

TAUGHT_WEIGHT = 3.0
"""A pair that somebody corrected weighs as much as so many pairs: it is surely right, and shows what is hard
at this site. Not more, as those that were linked rightly are corrected by nobody."""

HIDDEN = 0.02
"""Share of the tracklets that show so little of a person that they are as alike to anybody: appearance does
not outweigh a place that says who it is."""

HIDDEN_FACTOR = 2.0
"""`HIDDEN` is an assumption: at a site it may be so many times more, or less."""

TINY = 1e-30
"""A density below this says no more than that something never happens."""


class Taught(NamedTuple):
    """Cosines of pairs of which somebody who corrected the tracker said what they are.

    Attributes:
        same: (S,) of one person in two tracklets.
        different: (T,) of two people.
    """

    same: FloatArray
    different: FloatArray


class SimilarityCalibration:
    """What cosines between tracks mean at this site.

    Every video gives two kinds of pairs for nothing. Tracks that one camera sees together are
    different people; two embeddings of one track, seconds apart, are the same person, under the same light. A
    prior, worth some pairs, serves until there are enough; how many people dress alike is learnt likewise.
    What one camera cannot show is how much less alike a person is in another tracklet: that share is the
    prior's, until somebody who merges or splits people shows it.

    Cosines of either kind follow a beta distribution on [-1, 1], as those of random directions do
    exactly: unlike a Gaussian it ends where cosines end, which is where strangers are taken for somebody.

    Attributes:
        different: Mean and standard deviation of the cosine of two people.
        within: Of two embeddings of one track, seconds apart.
        same: Of one person in two tracklets.
        cosines: (P,) of the pairs of different people, and (W,) of two embeddings of one track, of this site.
        pairs: How many they are.
    """

    def __init__(
        self,
        config: SimilarityConfig,
        different: FloatArray | None = None,
        within: FloatArray | None = None,
        taught: "Taught | None" = None,
    ) -> None:
        """Learn from the (P,) cosines of tracks seen together, and the (W,) ones within a track.

        ``taught`` are those of pairs of which somebody said what they are.
        """
        nothing = np.empty(0)
        different, within = (nothing if found is None else found for found in (different, within))
        taught = taught or Taught(nothing, nothing)
        self.cosines, self.pairs = (different, within), (len(different), len(within))
        prior, pairs = config.prior, config.prior_pairs
        of_two = np.concatenate((different, taught.different))
        weights = np.repeat((1.0, TAUGHT_WEIGHT), (len(different), len(taught.different)))
        self.different, share = _most_and_look_alikes(of_two, weights, prior, pairs)
        self.within = _moments(within, prior.mean_within, prior.sd_within, pairs)
        kept = (prior.mean_same - prior.mean_different) / (prior.mean_within - prior.mean_different)
        mean = self.different[0] + kept * max(self.within[0] - self.different[0], MIN_SD)
        sd = self.within[1] * prior.sd_same / prior.sd_within
        self.same = _moments(taught.same, mean, sd, pairs, np.full(len(taught.same), TAUGHT_WEIGHT))
        mean = self.different[0]
        unsure = 1 + UNSURE * pairs / (pairs + weights.sum())
        two, one = _beta(mean, unsure * self.different[1]), _beta(*self.same)
        alike = _look_alikes(mean, prior)
        density_two = (1 - share) * _density(*two) + share * _density(*alike)
        density_one = (1 - HIDDEN) * _density(*one) + HIDDEN * density_two
        odds = np.log(density_one + TINY) - np.log(density_two + TINY)
        # Both densities vanish at either end, and their ratio may be anything there. From the cosine that
        # speaks most against one person on, more alike never counts less; below it, no less either.
        least = int(np.argmin(np.where(self.same[0] >= GRID, odds, np.inf)))
        odds[:least] = odds[least]
        self._log_odds = np.maximum.accumulate(odds)
        self._stranger_rate: FloatArray = (
            1 - (1 - share) * betainc(*two, SHARES) - share * betainc(*alike, SHARES)
        )
        self._rate_from: FloatArray = np.append(self._stranger_rate, 0.0)
        self._miss_rate: FloatArray = betainc(*one, SHARES)

    def log_odds(self, cosines: FloatArray) -> FloatArray:
        """How much likelier a cosine is for one person than for two: natural logarithm, never falling."""
        return np.interp(cosines, GRID, self._log_odds)

    def stranger_rate(self, cosines: FloatArray) -> FloatArray:
        """Share of strangers that are at least as alike to a given person."""
        return np.interp(cosines, GRID, self._stranger_rate)

    def stranger_rate_at(self, log_odds: FloatArray) -> FloatArray:
        """Share of strangers whose `log_odds` are at least these."""
        return self._rate_from[np.searchsorted(self._log_odds, log_odds)]

    def miss_rate(self, cosine: float) -> float:
        """Share of returns that are less alike than this, of those that show the person."""
        return float(np.interp(cosine, GRID, self._miss_rate))

    def missed_rate(self, cosine: float, hidden: float = HIDDEN) -> float:
        """Share of returns that are less alike, where a share ``hidden`` is only as alike as strangers."""
        stranger_rate = float(self.stranger_rate(np.array([cosine]))[0])
        return (1 - hidden) * self.miss_rate(cosine) + hidden * (1 - stranger_rate)

    def densities(self) -> tuple[FloatArray, FloatArray]:
        """(G,) how often two people, and one person in two tracklets, have the cosines of `GRID`; area 1."""
        return -np.gradient(self._stranger_rate, GRID), np.gradient(self._miss_rate, GRID)

    def threshold(self, candidates: int, rate: float) -> float:
        """The cosine that a stranger reaches with at most this chance among the candidates; or inf."""
        place = np.searchsorted(-self._stranger_rate, -rate / max(candidates, 1))
        return float(np.append(GRID, np.inf)[place])


def _most_and_look_alikes(
    values: FloatArray, weights: FloatArray, prior: CosinePrior, pairs: float
) -> tuple[tuple[float, float], float]:
    """Mean and deviation of the cosines (P,) of most pairs of two people, and the share of look-alikes.

    ``weights`` (P,) say how many pairs each counts for.

    By expectation and maximisation. How much more alike look-alikes are is the prior's.
    """
    most, share = (prior.mean_different, prior.sd_different), prior.look_alikes
    is_most = np.ones(len(values))
    for _ in range(ROUNDS if len(values) else 0):
        most = _moments(values, prior.mean_different, prior.sd_different, pairs, weights * is_most)
        of_most, of_alike = (
            np.interp(values, GRID, _density(*exponents))
            for exponents in (_beta(*most), _look_alikes(most[0], prior))
        )
        is_most = (1 - share) * of_most / ((1 - share) * of_most + share * of_alike + TINY)
        rare = LOOK_ALIKES_PAIRS * pairs
        share = float((rare * prior.look_alikes + weights @ (1 - is_most)) / (rare + weights.sum()))
    return most, share if prior.look_alikes else 0.0


def _look_alikes(mean: float, prior: CosinePrior) -> tuple[float, float]:
    """The exponents of the cosines of look-alikes, where those of most pairs have this mean."""
    return _beta(min(mean + prior.more_of_look_alikes, 0.9), prior.sd_of_look_alikes)


def _moments(
    values: FloatArray, mean: float, sd: float, pairs: float, weights: FloatArray | None = None
) -> tuple[float, float]:
    """Mean and standard deviation of the values, as they weigh, and of ``pairs`` more that have these."""
    weights = np.ones(len(values)) if weights is None else weights
    count = weights.sum() + pairs
    new_mean = (weights @ values + pairs * mean) / count
    squares = weights @ (values - new_mean) ** 2 + pairs * (sd**2 + (mean - new_mean) ** 2)
    return float(new_mean), max(float(np.sqrt(squares / count)), MIN_SD)


def _beta(mean: float, sd: float) -> tuple[float, float]:
    """The two exponents of a beta distribution on [-1, 1] with this mean and standard deviation."""
    share, variance = (mean + 1) / 2, sd * sd / 4
    size = max(share * (1 - share) / variance - 1, 0.5)
    return share * size, (1 - share) * size


def _density(a: float, b: float) -> FloatArray:
    """Of the beta distribution with these exponents, at `SHARES`."""
    logarithm = (a - 1) * np.log(SHARES) + (b - 1) * np.log1p(-SHARES) - betaln(a, b)
    return np.asarray(np.exp(logarithm), np.float64)
