"""TrainConfig: everything of a training that can be set, one YAML, checked once, frozen."""

from collections.abc import Sequence
from pathlib import Path

from foundation.config import dump_config, read_config
from foundation.config_names import find_config
from reid.config.losses import NEEDS, NEEDS_LABELS, LossConfig, Losses
from reid.config.schedules import CosineSchedule, ExponentialSchedule, StepsSchedule
from reid.config.sections import (
    TWO_PICTURES,
    AdamConfig,
    AdamWConfig,
    AugmentConfig,
    BatchConfig,
    DistillationConfig,
    EmaAverage,
    ErasingConfig,
    ModelConfig,
    MutualConfig,
    NoAverage,
    SgdConfig,
    SwaAverage,
    SwagAverage,
    TrainConfig,
)

__all__ = [
    "NEEDS",
    "NEEDS_LABELS",
    "RECIPES",
    "RUN_CONFIG",
    "TWO_PICTURES",
    "AdamConfig",
    "AdamWConfig",
    "AugmentConfig",
    "BatchConfig",
    "CosineSchedule",
    "DistillationConfig",
    "EmaAverage",
    "ErasingConfig",
    "ExponentialSchedule",
    "LossConfig",
    "Losses",
    "ModelConfig",
    "MutualConfig",
    "NoAverage",
    "SgdConfig",
    "StepsSchedule",
    "SwaAverage",
    "SwagAverage",
    "TrainConfig",
    "dump_config",
    "load_config",
]


RECIPES = ("reid/*.yaml", "reid/ablation/*.yaml")
"""Those of ``configs/`` that `load_config` takes by their names."""

RUN_CONFIG = "config.yaml"
"""In the folder of a run: what it trains by."""


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check the configuration of a training; see `foundation.config.read_config`.

    Args:
        path: The file, or the name of one of ours, such as ``reid/robust-reid-025x``.
        overrides: For example ``batch.people=16`` or ``average={kind: ema}``.

    Raises:
        ConfigError: The file cannot be read, or with every problem in it, each on its own line.
    """
    return read_config(TrainConfig, [find_config(path, RECIPES)], overrides)
