"""TrainConfig: everything of a training that can be set, one YAML, checked once, frozen."""

from reid.config.loading import dump_config, load_config
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
