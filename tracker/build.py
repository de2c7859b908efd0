"""RunConfig -> objects: the only file that names every implementation.

Implementations are imported when they are chosen, so that a run with one detector neither
needs nor loads the libraries of another.
"""

from collections.abc import Mapping
from typing import assert_never

from tracker.config import (
    ColorEmbedderConfig,
    DetectorConfig,
    EmbeddedDetectorConfig,
    EmbedderConfig,
    FileDetectorConfig,
    NoEmbedderConfig,
    OnnxDetectorConfig,
    ReidEmbedderConfig,
    UltralyticsDetectorConfig,
)
from tracker.stages import Detector, Embedder
from tracker.types import CameraName


def build_detector(config: DetectorConfig, locations: Mapping[CameraName, str]) -> Detector:
    """The detector of this section; ``locations`` says where each camera's source lies."""
    match config:
        case UltralyticsDetectorConfig():
            from tracker.detectors.yolo import UltralyticsDetector

            return UltralyticsDetector(config)
        case OnnxDetectorConfig():
            from tracker.detectors.onnx_yolox import OnnxDetector

            return OnnxDetector(config)
        case FileDetectorConfig():
            from tracker.detectors.mot_file import FileDetector

            return FileDetector(config, locations)
        case EmbeddedDetectorConfig():
            from tracker.detectors.embedded import EmbeddedDetector

            return EmbeddedDetector(config)
        case _:
            assert_never(config)


def build_embedder(config: EmbedderConfig) -> Embedder:
    """The embedder of this section."""
    match config:
        case NoEmbedderConfig():
            from tracker.embedders.none import NoEmbedder

            return NoEmbedder()
        case ColorEmbedderConfig():
            from tracker.embedders.color import ColorEmbedder

            return ColorEmbedder(config)
        case ReidEmbedderConfig():
            from tracker.embedders.reid import ReidEmbedder

            return ReidEmbedder(config)
        case _:
            assert_never(config)
