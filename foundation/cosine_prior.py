"""What cosines of a network's embeddings mean before a site has shown its own: it belongs to the network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class CosinePrior:
    """Means and standard deviations of cosines, once the mean of each camera is taken out.

    The defaults serve networks of which nothing was measured (docs/identity.md).

    Attributes:
        mean_different, sd_different: Two people, but for those who dress alike.
        look_alikes: Share of the pairs of two people who dress alike.
        more_of_look_alikes, sd_of_look_alikes: By how much their mean is higher, and their deviation.
        mean_same, sd_same: One person in two tracklets, seen by two cameras.
        mean_within, sd_within: Two embeddings of one tracklet, seconds apart.

    Raises:
        ValueError: A number is out of its range, or one person is no more alike than two.
    """

    mean_different: float = 0.0
    sd_different: float = 0.13
    look_alikes: float = 0.05
    more_of_look_alikes: float = 0.30
    sd_of_look_alikes: float = 0.18
    mean_same: float = 0.70
    sd_same: float = 0.125
    mean_within: float = 0.68
    sd_within: float = 0.14

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            low = 0.0 if not name.startswith("mean") else -1.0
            if not low <= value <= 1 or (name.startswith("sd") and value == 0):
                raise ValueError(f"{name} must be from {low:g} to 1, got {value}")
        if self.look_alikes == 1:
            raise ValueError("look_alikes must be below 1, got 1")
        if self.mean_different >= min(self.mean_within, self.mean_same):
            raise ValueError("mean_different must be below mean_within and mean_same")

    @staticmethod
    def from_dict(values: Any) -> "CosinePrior":
        """What `dataclasses.asdict` gave.

        Raises:
            ValueError: A number is lacking, or none, or one that is not known, or out of its range.
        """
        if not isinstance(values, Mapping):
            raise ValueError("must be an object")
        names = [field.name for field in fields(CosinePrior)]
        if set(values) != set(names):
            raise ValueError(f"must hold {', '.join(names)}, holds {', '.join(values) or 'nothing'}")
        if wrong := [name for name in names if not isinstance(values[name], int | float)]:
            raise ValueError(f"{wrong[0]} must be a number, got {values[wrong[0]]!r}")
        return CosinePrior(**values)
