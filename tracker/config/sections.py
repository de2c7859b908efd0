"""What can be set: the sections of a configuration, frozen."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from foundation.config import Section
from tracker.config.homography import Homography
from tracker.config.identity import IdentityConfig
from tracker.config.ranges import Tunable
from tracker.config.reading import SourceConfig
from tracker.config.retention import RetentionConfig
from tracker.config.tracking import OfflineConfig, TrackingConfig


class NetworkDetectorConfig(Section):
    """What every detector that is a network has."""

    weights_folder: str = ""
    """Empty: what the environment variable REUNITE_WEIGHTS says, else ``weights`` in the working folder."""

    min_score: Annotated[float, Tunable(0.05, 0.5)] = Field(default=0.1, ge=0, le=1)
    """Detections below this are dropped."""


class UltralyticsDetectorConfig(NetworkDetectorConfig):
    """A YOLO or RT-DETR model, run by ultralytics (AGPL-3.0, an extra of this package)."""

    kind: Literal["ultralytics"] = "ultralytics"

    weights: str = "yolo11n.pt"
    """A file or exported folder; a bare name is looked up in the weights folder, then downloaded."""

    likely_score: Annotated[float, Tunable(0.2, 0.9)] = Field(default=0.4, ge=0, le=1)
    """A detection below this may continue a track but never starts one. Its number: docs/association.md."""

    max_iou: float = Field(default=0.7, ge=0, le=1)
    """Of two boxes that overlap by more, the worse goes; the default of ultralytics."""

    image_size_px: int = Field(default=640, ge=32)
    """Side that pictures are scaled to; an export with a fixed size has its own."""

    person_class: int | None = Field(default=None, ge=0)
    """Number of the class that people are in; null takes the one called person, or the only one."""


class OnnxDetectorConfig(NetworkDetectorConfig):
    """A YOLOX model, run by ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"

    weights: str = "yolox_nano.onnx"
    """A file; a bare name is looked up in the weights folder."""

    likely_score: Annotated[float, Tunable(0.2, 0.9)] = Field(default=0.6, ge=0, le=1)
    """A detection below this may continue a track but never starts one. Its number: docs/association.md."""

    max_iou: float = Field(default=0.45, ge=0, le=1)
    """Of two boxes that overlap by more, the worse goes; the value of YOLOX's ONNX demo."""

    image_size_px: int = Field(default=640, ge=32, multiple_of=32)
    """Side of the network's square input, where the model leaves it open."""

    threads: int = Field(default=0, ge=0)
    """CPU threads of one inference; 0 takes one for each core."""


class FileDetectorConfig(Section):
    """Detections from MOTChallenge det.txt files."""

    kind: Literal["file"] = "file"

    path: str = ""
    """A folder that holds CAMERA.txt or CAMERA/det/det.txt; empty: det/det.txt beside the source."""

    score_transform: Literal["none", "sigmoid"] = "none"
    """``sigmoid`` brings unbounded scores, such as those of the public DPM files, into 0 to 1."""

    min_score: Annotated[float, Tunable(0.05, 0.5)] = 0.1
    """Detections below this, once transformed, are dropped."""

    likely_score: Annotated[float, Tunable(0.2, 0.9)] = 0.6
    """A detection below this may continue a track but never starts one; 0.6 suits YOLOX, 0.5 the public DPM
    files. Its number: docs/association.md."""


class EmbeddedDetectorConfig(Section):
    """A detector that needs no weights: motion before a still camera, judged by OpenCV's HOG."""

    kind: Literal["embedded"] = "embedded"

    min_score: Annotated[float, Tunable(0.05, 0.5)] = Field(default=0.1, ge=0, le=1)
    """Detections below this are dropped."""

    likely_score: Annotated[float, Tunable(0.2, 0.9)] = Field(default=0.4, ge=0, le=1)
    """A detection below this may continue a track but never starts one. Its number: docs/association.md."""

    min_gain: float = Field(default=0.12, gt=0)
    """How well moving pixels must fit a person, 1 is well; best F1 of `python -m benchmarks.detectors`."""


DetectorConfig = Annotated[
    UltralyticsDetectorConfig | OnnxDetectorConfig | FileDetectorConfig | EmbeddedDetectorConfig,
    Field(discriminator="kind"),
]


class NoEmbedderConfig(Section):
    """No appearance."""

    kind: Literal["none"] = "none"


class ColorEmbedderConfig(Section):
    """Colour histograms of body parts."""

    kind: Literal["color"] = "color"

    brightness_bins: int = Field(default=16, ge=1, le=64)
    """Of PETS09-S2L1: 8 and 16 recognise 92.7 % and 93.8 % of the people a second later."""

    chroma_bins: int = Field(default=8, ge=1, le=32)
    """For each of the two colour axes."""


class LomoEmbedderConfig(Section):
    """LOMO (Liao et al. 2015): colours and textures, for machines that no network runs on."""

    kind: Literal["lomo"] = "lomo"


class ExitsConfig(Section):
    """Crops that stop at an early embedding where it suffices; docs/embedder.md says what that saves."""

    rule: Literal["margin"] = "margin"
    """``margin``: of tracks whose person is known, those whose early embedding is likelier of that person
    than of anybody else, by log odds that suit the budget."""

    budget: float = Field(default=0.5, gt=0, le=1)
    """The multiply-adds that a crop may cost in the mean, as a share of those of the whole network."""


class ReidEmbedderConfig(Section):
    """A re-identification network, ours or another."""

    kind: Literal["reid"] = "reid"

    weights: str = ""
    """A name, such as ``robust-reid-025x``, or ``person-reidentification-retail-0286`` of the Open Model Zoo,
    which is downloaded once; or a ``.safetensors`` of ours, ``.onnx``, ``.xml`` or ``.torchscript``. Empty:
    the one that ships."""

    weights_folder: str = ""
    """Where names are looked up and downloaded to. Empty: what the environment variable REUNITE_WEIGHTS says,
    else ``weights`` in the working folder."""

    runtime: Literal["auto", "pytorch", "onnx", "openvino"] = "auto"
    """``auto``: PyTorch on a GPU, else OpenVINO where it is installed, else ONNX Runtime."""

    convention: Literal["", "imagenet", "bgr255"] = ""
    """How a network that does not say it itself wants its pictures; see docs/reid-evaluation.md."""

    batch_size: int = Field(default=32, ge=1)
    """The most crops that the network gets at a time; those of all cameras of a tick are taken together."""

    every_s: float = Field(default=1.0, ge=0)
    """People who are new or could be taken for each other are embedded in every frame, all others once in
    this many seconds; 0 embeds every detection of every frame."""

    exits: ExitsConfig | None = None
    """Which crops leave the network early; null: none do. Needs weights with an early exit, as the ones that
    ship have."""


EmbedderConfig = Annotated[
    NoEmbedderConfig | ColorEmbedderConfig | LomoEmbedderConfig | ReidEmbedderConfig,
    Field(discriminator="kind"),
]


class NoCameraMotionConfig(Section):
    """Cameras stand still, or what they do is left to the tracks."""

    kind: Literal["none"] = "none"


class FileCameraMotionConfig(Section):
    """Motion that was measured before; the format: docs/camera-motion.md."""

    kind: Literal["file"] = "file"

    path: str = Field(min_length=1)
    """The folder that holds CAMERA.txt for each camera."""


class FlowCameraMotionConfig(Section):
    """Corners of the background that are followed from picture to picture."""

    kind: Literal["flow"] = "flow"

    longer_side_px: int = Field(default=480, ge=64)
    """Size of the pictures that are compared. Its number: docs/camera-motion.md."""


class EccCameraMotionConfig(Section):
    """The shift and turn after which two pictures correlate best."""

    kind: Literal["ecc"] = "ecc"

    longer_side_px: int = Field(default=240, ge=64)
    """Size of the pictures that are compared. Its number: docs/camera-motion.md."""


CameraMotionConfig = Annotated[
    NoCameraMotionConfig | FileCameraMotionConfig | FlowCameraMotionConfig | EccCameraMotionConfig,
    Field(discriminator="kind"),
]


class GroundConfig(Section):
    """Where on the ground people are. How to get it: docs/ground.md."""

    homographies: dict[str, Homography] = Field(default={})
    """For each camera, as far as known, the matrix that takes pixels (x, y, 1) to metres (x, y, 1), up to a
    factor, on one plane for all of them."""

    position_sd_m: float = Field(default=0.5, gt=0)
    """Standard deviation of a position, along each axis. Where one pixel is more, people have no position."""

    max_speed_m_s: float = Field(default=3.0, gt=0)
    """No person is taken to move faster; 3 m/s is a slow run."""


class GalleryConfig(Section):
    """What is remembered of people between runs; docs/gallery.md."""

    path: str | None = None
    """The file that keeps people from run to run, made if it is not there. Without one a run begins without
    known people, and its own people go to ``gallery.sqlite`` in its folder, for ``tracker.search``."""

    thumbnails: bool = False
    """Whether small pictures of the people are kept too."""


class OutputConfig(Section):
    """What is written, and where."""

    folder: str = "runs"
    """The folder that holds the folders of runs."""

    name: str = Field(default="track", min_length=1, pattern=r"^[^/\\]+$")
    """A run is written to FOLDER/NAME, or NAME2, NAME3, ... where that exists."""

    save_video: bool = False
    """Write an overlay video of each camera."""

    blur: Literal["none", "all", "all_but"] = "none"
    """Whose bodies are blurred in saved video, so that nobody can recognise them: ``all_but`` is everybody
    but ``blur_but``. Whom no detector found is not blurred."""

    blur_but: int | None = Field(default=None, ge=1)
    """The number of the person who is not blurred."""

    show: bool = False
    """Show a window while tracking."""

    checkpoint_s: float = Field(default=5.0, gt=0)
    """Seconds between two checkpoints; a run that is cut off loses at most this much work."""

    @model_validator(mode="after")
    def _check_blur(self) -> Self:
        if self.blur == "all_but" and self.blur_but is None:
            raise ValueError("blur is all_but, so blur_but must name the person who is not blurred")
        return self


class RunConfig(Section):
    """One run, whole."""

    source: tuple[str, ...] = ()
    """Files, folders, webcam numbers, addresses; those on the command line come in their place."""

    reading: SourceConfig = SourceConfig()
    detector: DetectorConfig = UltralyticsDetectorConfig()
    """How people are found in a frame; its kinds: docs/detectors.md."""

    embedder: EmbedderConfig = ReidEmbedderConfig()
    """What makes embeddings, vectors of appearance; its kinds: docs/embedder.md."""

    camera_motion: CameraMotionConfig = FlowCameraMotionConfig()
    """How the motion of the camera itself is found; its kinds: docs/camera-motion.md. Left out, it is
    ``none`` for ``detector.kind`` file, whose cameras may have no pictures, and embedded, which needs cameras
    that stand still."""

    tracking: TrackingConfig = TrackingConfig()
    offline: OfflineConfig = OfflineConfig()
    identity: IdentityConfig = IdentityConfig()
    gallery: GalleryConfig = GalleryConfig()
    ground: GroundConfig = GroundConfig()
    output: OutputConfig = OutputConfig()
    retention: RetentionConfig = RetentionConfig()

    @model_validator(mode="after")
    def _tracks_stay_while_they_are_followed(self) -> Self:
        if self.identity.keep_tracklets_s <= self.tracking.max_lost_s:
            raise ValueError("identity.keep_tracklets_s must be above tracking.max_lost_s")
        return self

    @field_validator("source", mode="before")
    @classmethod
    def _one_source(cls, value: Any) -> Any:
        """``source: videos`` is one source."""
        return (str(value),) if isinstance(value, str | int) else value

    @model_validator(mode="before")
    @classmethod
    def _motion_suits_detector(cls, values: Any) -> Any:
        """See ``camera_motion``."""
        if isinstance(values, dict) and "camera_motion" not in values:
            detector = values.get("detector")
            kind = detector.get("kind") if isinstance(detector, dict) else getattr(detector, "kind", None)
            if kind in ("file", "embedded"):
                return {**values, "camera_motion": NoCameraMotionConfig()}
        return values

    @field_validator("detector", "embedder", "camera_motion", mode="before")
    @classmethod
    def _default_kind(cls, value: Any, field: ValidationInfo) -> Any:
        """A section that does not say its kind is of the default kind."""
        if isinstance(value, dict) and "kind" not in value:
            return {"kind": cls.model_fields[str(field.field_name)].default.kind, **value}
        return value
