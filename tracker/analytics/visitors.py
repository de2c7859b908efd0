"""How many different people there were, and how wrong that number may be."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Visitors(NamedTuple):
    """An estimate of how many different people came.

    Attributes:
        counted: Different numbers that were given.
        expected: How many people that stands for.
        low, high: Between these the true number lies, with 95 %, if the rates lie where they are stated.
    """

    counted: int
    expected: float
    low: int
    high: int


def unique_visitors(
    new: int,
    returns: int,
    false_merge_rate: float,
    missed_rate: float,
    missed_rates: tuple[float, float],
    *,
    at_least: int = 0,
    z: float = 1.96,
) -> Visitors:
    """Different people behind the numbers that were given.

    Each new person is taken for somebody else with the false merge rate, and so is not counted. Each return
    is missed with the missed rate, and then counted once more. Of ``new`` numbers, with m the missed and f
    the false merge rate and R true returns, there were N people where new = N (1 - f) + R m, and R m of them
    are returns that were missed: those that were recognised are R (1 - m) + N f.

    Args:
        new: How many numbers were given for the first time.
        returns: How often somebody was recognised who was known: by every track of a person but the first.
        false_merge_rate: The share of new people who are taken for somebody, as stated.
        missed_rate: The share of returns that are not recognised, as expected.
        missed_rates: Between these it surely is: the more are missed, the fewer people were there.
        at_least: So many there surely were, whatever the rates; see `most_at_once`.
        z: Standard deviations on either side of what is expected.
    """
    people, _ = _solve(new, returns, false_merge_rate, missed_rate)
    least, sd_least = _solve(new, returns, false_merge_rate, max(missed_rates))
    most, sd_most = _solve(new, returns, false_merge_rate, min(missed_rates))
    low, high = least - z * sd_least, most + z * sd_most
    least_sure = max(at_least, 1 if new else 0)
    return Visitors(
        new,
        max(round(people, 1), float(least_sure)),
        max(int(np.floor(low)), least_sure),
        max(int(np.ceil(high)), least_sure),
    )


def most_at_once(stays: Iterable[tuple[int, float, float]]) -> int:
    """How many different people one camera saw at one moment, at most: nobody is there twice.

    Args:
        stays: Who, from when, and until when; a person may have several at once.
    """
    changes = [
        (at_s, step, who)
        for who, begin_s, end_s in stays
        if begin_s < end_s
        for at_s, step in ((begin_s, 1), (end_s, -1))
    ]
    here, most = Counter[int](), 0
    for _, step, who in sorted(changes):  # at one moment those who leave come first
        here[who] += step
        if not here[who]:
            del here[who]
        most = max(most, len(here))
    return most


def _solve(new: int, returns: int, false_merge_rate: float, missed_rate: float) -> tuple[float, float]:
    """How many people, if these are the rates, and the standard deviation of that."""
    m, f = min(missed_rate, 0.99), min(false_merge_rate, 0.5)
    # Two linear equations: new = N (1 - f) + R m, returns = R (1 - m) + N f.
    determinant = (1 - f) * (1 - m) - f * m
    people = (new * (1 - m) - returns * m) / determinant
    people = float(np.clip(people, 0.0 if not new else 1.0, new + returns))
    came_back = max(new + returns - people, 0.0)
    # Missed returns and false merges are rare and apart: binomial both.
    sd = float(np.sqrt(people * f * (1 - f) + came_back * m * (1 - m))) / max(determinant, 0.1)
    return people, sd
