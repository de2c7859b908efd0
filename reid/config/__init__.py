"""TrainConfig: everything of a training that can be set, one YAML, checked once, frozen."""

from collections.abc import Sequence
from pathlib import Path

from foundation.config import dump_config, read_config
from reid.config.sections import (
    AdamConfig,
    AdamWConfig,
    AugmentConfig,
    CosineSchedule,
    DistillationConfig,
    EmaAverage,
    ErasingConfig,
    LossConfig,
    MetricLossConfig,
    NoAverage,
    SgdConfig,
    StepsSchedule,
    SwaAverage,
    SwagAverage,
    TrainConfig,
)

__all__ = [
    "AdamConfig",
    "AdamWConfig",
    "AugmentConfig",
    "CosineSchedule",
    "DistillationConfig",
    "EmaAverage",
    "ErasingConfig",
    "LossConfig",
    "MetricLossConfig",
    "NoAverage",
    "SgdConfig",
    "StepsSchedule",
    "SwaAverage",
    "SwagAverage",
    "TrainConfig",
    "dump_config",
    "load_config",
]


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check the configuration of a training; see `foundation.config.read_config`.

    Args:
        path: The file.
        overrides: For example ``batch.people=16`` or ``average={kind: ema}``.

    Raises:
        ConfigError: The file cannot be read, or with every problem in it, each on its own line.
    """
    return read_config(TrainConfig, [path], overrides)
