"""RunConfig: everything that can be set, one YAML, checked once, frozen."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tracker.errors import ReuniteError


class ConfigError(ReuniteError):
    """A configuration that cannot be used; the message lists every problem at once."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LiveConfig(Section):
    """How live streams are read."""

    queue_frames: int = Field(default=2, ge=1)
    """Frames of one camera that may wait; when a newer one comes the oldest goes and is counted."""

    open_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds to wait for a stream to open."""

    read_timeout_s: float = Field(default=5.0, gt=0)
    """Seconds without a frame after which a stream counts as lost."""

    first_pause_s: float = Field(default=0.5, gt=0)
    """Pause before the first try to reconnect; each later pause is twice as long."""

    max_pause_s: float = Field(default=30.0, gt=0)
    """The longest pause between two tries."""

    max_tick_wait_s: float = Field(default=0.02, ge=0)
    """How long a tick that holds a frame waits for the other cameras' frames."""


class SourceConfig(Section):
    """How frames are read."""

    image_frame_rate: float = Field(default=30.0, gt=0)
    """Frames per second of a folder of images that does not say."""

    live: LiveConfig = LiveConfig()


class UltralyticsDetectorConfig(Section):
    """A YOLO or RT-DETR model, run by ultralytics (AGPL-3.0, an extra of this package)."""

    kind: Literal["ultralytics"] = "ultralytics"
    weights: str = "yolo11n.pt"
    """A file or exported folder; a bare name is looked up in the weights folder, then downloaded."""
    min_score: float = Field(default=0.1, ge=0, le=1)
    """Detections below this are dropped; the tracker has thresholds of its own."""


class OnnxDetectorConfig(Section):
    """A YOLOX model, run by ONNX Runtime."""

    kind: Literal["onnx"] = "onnx"
    weights: str = "yolox_nano.onnx"
    min_score: float = Field(default=0.1, ge=0, le=1)


class FileDetectorConfig(Section):
    """Detections from MOTChallenge det.txt files."""

    kind: Literal["file"] = "file"
    path: str = ""
    """A folder that holds CAMERA.txt or CAMERA/det/det.txt; empty: det/det.txt beside the source."""


class EmbeddedDetectorConfig(Section):
    """A detector that needs no weights."""

    kind: Literal["embedded"] = "embedded"


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


EmbedderConfig = Annotated[NoEmbedderConfig | ColorEmbedderConfig, Field(discriminator="kind")]


class TrackingConfig(Section):
    """How the boxes of one camera become tracks."""

    min_score_to_start: float = Field(default=0.6, ge=0, le=1)
    """A detection below this may continue a track but never starts one."""

    max_lost_s: float = Field(default=1.0, gt=0)
    """Seconds without a match before a track ends."""


class OutputConfig(Section):
    """What is written, and where."""

    folder: str = "runs"
    name: str = Field(default="track", min_length=1, pattern=r"^[^/\\]+$")
    """A run is written to FOLDER/NAME, or NAME2, NAME3, ... where that exists."""

    save_video: bool = False
    """Write an overlay video of each camera."""

    show: bool = False
    """Show a window while tracking."""

    checkpoint_s: float = Field(default=5.0, gt=0)
    """Seconds between two checkpoints; a run that is cut off loses at most this much work."""


class RunConfig(Section):
    """One run, whole."""

    source: tuple[str, ...] = ()
    """Files, folders, webcam numbers, addresses; those on the command line come in their place."""

    reading: SourceConfig = SourceConfig()
    detector: DetectorConfig = UltralyticsDetectorConfig()
    embedder: EmbedderConfig = NoEmbedderConfig()
    tracking: TrackingConfig = TrackingConfig()
    output: OutputConfig = OutputConfig()


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML file, apply ``key.key=value`` overrides (values are YAML), check all of it.

    Args:
        path: The file; None takes the defaults.
        overrides: For example ``tracking.max_lost_s=2`` or ``detector={kind: onnx}``.

    Raises:
        ConfigError: The file cannot be read, or with every problem in it, each on its own line.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides:
        _apply_override(values, override)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = [_describe(problem) for problem in error.errors()]
        name = str(path) if path else "configuration"
        raise ConfigError("\n  ".join([f"{name}: {len(problems)} problem(s)", *problems])) from None


def dump_config(config: RunConfig) -> str:
    """The whole configuration as YAML that ``load_config`` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the configuration: {reason}") from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold 'key: value' lines, got a {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: write key=value, for example --set tracking.max_lost_s=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override}: {text!r} is not a YAML value") from None
    *parents, last = key.strip().split(".")
    section = values
    for parent in parents:
        below = section.get(parent)
        if not isinstance(below, dict):
            below = section[parent] = {}
        section = below
    section[last] = value


def _describe(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(RunConfig, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        return f"{where}: no such key, " + (
            f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        )
    return f"{where}: {problem['msg']}, got {problem['input']!r}"


def _known_keys(section: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Field names of the section that ``path`` leads to; a union's tag is a step of the path."""
    if not path:
        return list(section.model_fields)
    step, *rest = path
    annotation: Any = section.model_fields[str(step)].annotation
    kinds = _section_types(annotation)
    if rest and len(kinds) > 1:
        tag, *rest = rest
        kinds = [kind for kind in kinds if kind.model_fields["kind"].default == tag]
    rest = [part for part in rest if not isinstance(part, int)]
    return _known_keys(kinds[0], rest) if kinds else []


def _section_types(annotation: Any) -> list[type[BaseModel]]:
    """The sections inside an annotation such as ``A | B``, ``tuple[A, ...]`` or ``Annotated[A | B, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple, list):
        return [kind for part in get_args(annotation) for kind in _section_types(part)]
    return []
