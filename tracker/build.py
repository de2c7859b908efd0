"""RunConfig -> objects: the only file that names every implementation.

Implementations are imported when they are chosen, so that a run with one detector neither
needs nor loads the libraries of another.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import assert_never

from foundation.cosine_prior import CosinePrior
from tracker.camera_tracker import CameraTracker
from tracker.config import (
    CameraMotionConfig,
    ColorEmbedderConfig,
    DetectorConfig,
    EccCameraMotionConfig,
    EmbeddedDetectorConfig,
    EmbedderConfig,
    FileCameraMotionConfig,
    FileDetectorConfig,
    FlowCameraMotionConfig,
    LomoEmbedderConfig,
    NoCameraMotionConfig,
    NoEmbedderConfig,
    OnnxDetectorConfig,
    ReidEmbedderConfig,
    RunConfig,
    SimilarityConfig,
    UltralyticsDetectorConfig,
)
from tracker.stages import CameraMotion, Detector, Embedder
from tracker.types import CameraName

logger = logging.getLogger(__name__)


def build_detector(config: DetectorConfig, locations: Mapping[CameraName, str]) -> Detector:
    """The detector of this section; ``locations`` says where each camera's source lies."""
    match config:
        case UltralyticsDetectorConfig():
            from tracker.detectors.exported_yolo import ExportedYolo, find_export
            from tracker.detectors.yolo import UltralyticsDetector

            if (network := find_export(config)) is not None:
                return ExportedYolo(network, config)

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
        case LomoEmbedderConfig():
            from tracker.embedders.lomo import LomoEmbedder

            return LomoEmbedder()
        case ReidEmbedderConfig():
            if config.exits is not None:
                from tracker.embedders.early_exit import EarlyExitEmbedder

                return EarlyExitEmbedder(config)
            from tracker.embedders.reid import ReidEmbedder

            return ReidEmbedder(config)
        case _:
            assert_never(config)


def similarity_of(config: SimilarityConfig, embedder: Embedder) -> SimilarityConfig:
    """What cosines of this embedder mean: as configured, else as its weights say, else as the default says.

    Raises:
        ReuniteError: What is configured does not go with what the weights say.
    """
    if embedder.prior is None and embedder.network is not None and not config.is_whole:
        logger.info(
            "embedder %s: what its cosines mean is not known, so a default serves until the site has shown "
            "it; measure it with: reunite judge WEIGHTS --data KIND=PATH --prior",
            embedder.network.name,
        )
    return config.of_network(embedder.prior or CosinePrior())


def build_camera_motion(config: CameraMotionConfig, cameras: Iterable[CameraName]) -> CameraMotion:
    """The camera motion of this section, for all of these cameras."""
    match config:
        case NoCameraMotionConfig():
            from tracker.camera_motion.none import NoCameraMotion

            return NoCameraMotion()
        case FileCameraMotionConfig():
            from tracker.camera_motion.file import FileCameraMotion

            return FileCameraMotion(config, cameras)
        case FlowCameraMotionConfig():
            from tracker.camera_motion.flow import align_by_flow
            from tracker.camera_motion.pictures import PictureCameraMotion

            return PictureCameraMotion(align_by_flow, config.longer_side_px)
        case EccCameraMotionConfig():
            from tracker.camera_motion.ecc import align_by_ecc
            from tracker.camera_motion.pictures import PictureCameraMotion

            return PictureCameraMotion(align_by_ecc, config.longer_side_px)
        case _:
            assert_never(config)


def build_tracker(camera: CameraName, config: RunConfig) -> CameraTracker:
    """The tracker of one camera."""
    embed_every_s = config.embedder.every_s if config.embedder.kind == "reid" else 0.0
    return CameraTracker(camera, config.tracking, config.detector.likely_score, embed_every_s)
