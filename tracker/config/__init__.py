"""RunConfig: everything that can be set, one YAML, checked once, frozen."""

from collections.abc import Sequence
from pathlib import Path

from foundation.config import ConfigError, Section, dump_config, read_config
from tracker.config.ranges import Tunable, tunable_values, with_values
from tracker.config.sections import (
    CameraMotionConfig,
    ColorEmbedderConfig,
    DetectorConfig,
    EccCameraMotionConfig,
    EmbeddedDetectorConfig,
    EmbedderConfig,
    FileCameraMotionConfig,
    FileDetectorConfig,
    FlowCameraMotionConfig,
    GalleryConfig,
    GroundConfig,
    IdentityConfig,
    LikenessConfig,
    LiveConfig,
    NetworkDetectorConfig,
    NoCameraMotionConfig,
    NoEmbedderConfig,
    OnnxDetectorConfig,
    OutputConfig,
    ReidEmbedderConfig,
    RunConfig,
    SourceConfig,
    UltralyticsDetectorConfig,
)
from tracker.config.tracking import AssociationStage, MotionConfig, OfflineConfig, TrackingConfig

__all__ = [
    "AssociationStage",
    "CameraMotionConfig",
    "ColorEmbedderConfig",
    "ConfigError",
    "DetectorConfig",
    "EccCameraMotionConfig",
    "EmbeddedDetectorConfig",
    "EmbedderConfig",
    "FileCameraMotionConfig",
    "FileDetectorConfig",
    "FlowCameraMotionConfig",
    "GalleryConfig",
    "GroundConfig",
    "IdentityConfig",
    "LikenessConfig",
    "LiveConfig",
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
    "SourceConfig",
    "TrackingConfig",
    "Tunable",
    "UltralyticsDetectorConfig",
    "dump_config",
    "load_config",
    "tunable_values",
    "with_values",
]


def load_config(path: Path | Sequence[Path] | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check the configuration of a run; see `foundation.config.read_config`.

    Args:
        path: The file, or several; None takes the defaults.
        overrides: For example ``tracking.max_lost_s=2`` or ``detector={kind: onnx}``.

    Raises:
        ConfigError: A file cannot be read, or with every problem in them, each on its own line.
    """
    return read_config(RunConfig, [path] if isinstance(path, Path) else path or (), overrides)
