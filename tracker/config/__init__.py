"""RunConfig: everything that can be set, one YAML, checked once, frozen."""

from collections.abc import Sequence
from pathlib import Path

from foundation.config import ConfigError, Section, dump_config, read_config
from foundation.config_names import find_config
from tracker.config.identity import IdentityConfig, MaturityConfig, SimilarityConfig
from tracker.config.ranges import Tunable, tunable_values, with_values
from tracker.config.reading import LiveConfig, SourceConfig
from tracker.config.sections import (
    CameraMotionConfig,
    ColorEmbedderConfig,
    DetectorConfig,
    EccCameraMotionConfig,
    EmbeddedDetectorConfig,
    EmbedderConfig,
    ExitsConfig,
    FileCameraMotionConfig,
    FileDetectorConfig,
    FlowCameraMotionConfig,
    GalleryConfig,
    GroundConfig,
    LomoEmbedderConfig,
    NetworkDetectorConfig,
    NoCameraMotionConfig,
    NoEmbedderConfig,
    OnnxDetectorConfig,
    OutputConfig,
    ReidEmbedderConfig,
    RunConfig,
    UltralyticsDetectorConfig,
)
from tracker.config.tracking import AssociationStage, MotionConfig, OfflineConfig, TrackingConfig

__all__ = [
    "CONFIGS_OF_RUNS",
    "AssociationStage",
    "CameraMotionConfig",
    "ColorEmbedderConfig",
    "ConfigError",
    "DetectorConfig",
    "EccCameraMotionConfig",
    "EmbeddedDetectorConfig",
    "EmbedderConfig",
    "ExitsConfig",
    "FileCameraMotionConfig",
    "FileDetectorConfig",
    "FlowCameraMotionConfig",
    "GalleryConfig",
    "GroundConfig",
    "IdentityConfig",
    "LiveConfig",
    "LomoEmbedderConfig",
    "MaturityConfig",
    "MotionConfig",
    "NetworkDetectorConfig",
    "NoCameraMotionConfig",
    "NoEmbedderConfig",
    "OfflineConfig",
    "OnnxDetectorConfig",
    "OutputConfig",
    "ReidEmbedderConfig",
    "RunConfig",
    "Section",
    "SimilarityConfig",
    "SourceConfig",
    "TrackingConfig",
    "Tunable",
    "UltralyticsDetectorConfig",
    "dump_config",
    "load_config",
    "tunable_values",
    "with_values",
]


CONFIGS_OF_RUNS = ("*.yaml", "association/*.yaml")
"""Those of ``configs/`` that `load_config` takes by their names."""


def load_config(
    path: Path | str | Sequence[Path | str] | None = None, overrides: Sequence[str] = ()
) -> RunConfig:
    """Read and check the configuration of a run; see `foundation.config.read_config`.

    Args:
        path: The file, or several; None takes the defaults. Those of ``configs/`` are found by their names
            from any folder: ``embedded``, ``association/bytetrack``.
        overrides: For example ``tracking.max_lost_s=2`` or ``detector={kind: onnx}``.

    Raises:
        ConfigError: A file cannot be read, or with every problem in them, each on its own line.
    """
    paths = [path] if isinstance(path, Path | str) else path or ()
    return read_config(RunConfig, [find_config(it, CONFIGS_OF_RUNS) for it in paths], overrides)
