"""Which numbers are searched, and in which ranges."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foundation.errors import ReuniteError
from tracker.config import RunConfig, Tunable, tunable_values

SECTIONS = ("detector.", "tracking.")
"""What trials can tell about; sections with ranges occur elsewhere too, for what comes after tracking."""

FIGURES = 4
"""Significant figures of the values that are tried: more would not matter, and could not be read."""


@dataclass(frozen=True, slots=True)
class Range:
    """Where one number is searched.

    Attributes:
        low, high: Both included; wide enough for the present value.
        log: Evenly in the logarithm.
        present: What it is now; an int for a whole number.
    """

    low: float
    high: float
    log: bool
    present: float

    @classmethod
    def around(cls, mark: Tunable, present: float) -> "Range":
        """The stated range, made wider where the present value lies outside."""
        low, high = min(mark.low, present), max(mark.high, present)
        return cls(low, high, mark.log and low > 0, present)

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.present, int)

    def rounded(self, value: float) -> float:
        """A value as it is tried and written."""
        exact = value == self.present or self.is_whole
        return value if exact else min(max(float(f"{value:.{FIGURES}g}"), self.low), self.high)


def choose_ranges(config: RunConfig, keys: Sequence[str], has_embeddings: bool) -> dict[str, Range]:
    """Range of each number that is searched, by its key, in the order of the configuration.

    Args:
        config: What holds now.
        keys: Keys, or sections that stand for all below them; empty takes everything that matters.
        has_embeddings: Whether anything is embedded; if not, what weighs appearance does not matter.

    Raises:
        ReuniteError: A key is unknown, has no range, or does not matter.
    """
    tunable = {key: (mark, value) for key, mark, value in tunable_values(config) if key.startswith(SECTIONS)}
    matters = {key: pair for key, pair in tunable.items() if has_embeddings or not pair[0].appearance}
    for asked in keys:
        if _below(asked, matters):
            continue
        if _below(asked, tunable):
            raise ReuniteError(
                f"--keys {asked}: weighs appearance, and nothing was embedded; leave it out, or "
                "give the sequences' pictures and an embedder (--set embedder.kind=reid)"
            )
        known = _all_keys(config.model_dump(mode="json"))
        if asked in known:
            raise ReuniteError(
                f"--keys {asked}: has no range to search; those that have: {', '.join(tunable)}"
            )
        near = difflib.get_close_matches(asked, [*tunable, *known], n=1)
        raise ReuniteError(
            f"--keys {asked}: no such key, "
            + (f"did you mean {near[0]!r}?" if near else f"those with a range are {', '.join(tunable)}")
        )
    chosen = {it for asked in keys for it in _below(asked, matters)} if keys else matters.keys()
    return {key: Range.around(*pair) for key, pair in matters.items() if key in chosen}


def _below(asked: str, keys: Mapping[str, Any]) -> list[str]:
    return [key for key in keys if key == asked or key.startswith(f"{asked}.")]


def _all_keys(tree: Any, where: str = "") -> list[str]:
    """Every key of a configuration, sections and places in lists included."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [key for name, below in items for key in (f"{where}{name}", *_all_keys(below, f"{where}{name}."))]
