"""How the learning rate goes over the epochs."""

from typing import Literal

from pydantic import Field

from foundation.config import Section


class StepsSchedule(Section):
    """Linear warm-up, then a constant rate that drops at given epochs."""

    kind: Literal["steps"] = "steps"

    epochs: int = Field(ge=1)
    """Passes over the training set."""

    lr: float = Field(gt=0)
    """The highest learning rate."""

    warmup_epochs: float = Field(default=10, ge=0)
    """Until then the rate rises from ``start_lr``."""

    start_lr: float = Field(default=0.0, ge=0)
    """The rate before the first step."""

    drop_epochs: tuple[float, ...] = ()
    """After each of these the rate is multiplied by ``drop_factor``."""

    drop_factor: float = Field(default=0.1, gt=0, lt=1)
    """The usual value."""


class CosineSchedule(Section):
    """Linear warm-up, then half a cosine down to ``end_lr``."""

    kind: Literal["cosine"] = "cosine"

    epochs: int = Field(ge=1)
    """Passes over the training set, the warm-up among them."""

    lr: float = Field(gt=0)
    """The highest learning rate."""

    warmup_epochs: float = Field(default=2, ge=0)
    """Until then the rate rises from ``start_lr``."""

    start_lr: float = Field(default=0.0, ge=0)
    """The rate before the first step."""

    end_lr: float = Field(default=0.0, ge=0)
    """The rate of the last step."""


class ExponentialSchedule(Section):
    """A constant rate, then an exponential fall (Hermans et al. 2017, arXiv:1703.07737, equation 9)."""

    kind: Literal["exponential"] = "exponential"

    epochs: int = Field(ge=1)
    """Passes over the training set."""

    lr: float = Field(gt=0)
    """The rate until ``hold_epochs``."""

    hold_epochs: float = Field(default=0, ge=0)
    """From then on the rate falls."""

    end_factor: float = Field(default=0.001, gt=0, lt=1)
    """What the rate of the last step is, as a share of ``lr``."""


class CyclesConfig(Section):
    """Further training after the schedule: cosine cycles, each lower than the one before."""

    count: int = Field(ge=1)
    """Robust-ReID: 15."""

    epochs: int = Field(ge=1)
    """Of one cycle; Robust-ReID: 35."""

    lr: float = Field(gt=0)
    """Where the first cycle starts; Robust-ReID does not say."""

    decay: float = Field(default=0.7, gt=0, le=1)
    """Each cycle starts at this times the start of the one before; Robust-ReID: 0.7."""
