"""Whether a run can be made of its settings and sources, and what its folder keeps of them."""

from collections.abc import Mapping, Sequence

from foundation.errors import ReuniteError
from foundation.passwords import mask_password
from tracker.config import RunConfig
from tracker.pipeline import PictureSizes
from tracker.stages import CameraReport, Detector, Resizable, Source
from tracker.types import CameraName


def picture_sizes(config: RunConfig, source: Source, detector: Detector) -> PictureSizes | None:
    """What makes the detector's pictures smaller while there is too much to do, where that is asked for.

    Raises:
        ReuniteError: The detector cannot do that.
    """
    if not source.is_live or config.reading.live.overload != "smaller":
        return None
    if not isinstance(detector, Resizable) or not detector.resize(1.0):
        raise ReuniteError(
            "reading.live.overload=smaller: this detector looks at pictures of one size only; take "
            "reading.live.overload=skip, or detector.kind=ultralytics with a model of open size"
        )
    return PictureSizes(detector, source.reports)


def refuse_unusable(config: RunConfig, reports: Mapping[CameraName, CameraReport]) -> None:
    """See that something can be read, and that there are pictures for those stages that need them.

    Raises:
        ReuniteError: It is not so.
    """
    problems = [report.problem for report in reports.values()]
    if all(problems):
        raise ReuniteError("no camera could be read: " + "; ".join(problems))
    blind = [camera for camera, report in reports.items() if not report.has_pictures]
    if blind and config.detector.kind != "file":
        raise ReuniteError(
            f"camera {blind[0]!r} has no pictures for detector.kind={config.detector.kind}; "
            "take detector.kind=file, which reads its det.txt, or add its pictures (img1/)"
        )
    kind = config.camera_motion.kind
    if blind and kind in ("flow", "ecc"):
        raise ReuniteError(
            f"camera {blind[0]!r} has no pictures for camera_motion.kind={kind}; "
            "take camera_motion.kind=none, or file where the motion is known"
        )


def refuse_changed_cameras(
    before: Sequence[CameraName], source: Source, done: Mapping[CameraName, int]
) -> None:
    """See that a resumed run has its cameras: the journal counts on their order, and on reading on.

    Args:
        before: Those of the run so far; none where it begins.
        source: What is read now.
        done: How far each camera was read.

    Raises:
        ReuniteError: They are others, or files cannot be read any more.
    """
    now = list(source.reports)
    if before and list(before) != now:
        raise ReuniteError(
            f"cannot resume: the cameras were {', '.join(before)} and now are {', '.join(now)}; "
            "put the files back as they were"
        )
    lost = [source.reports[camera].problem for camera in done if source.reports[camera].problem]
    if lost and not source.is_live:
        raise ReuniteError("cannot resume: " + "; ".join(lost))


def refuse_another(config: RunConfig, cameras: Sequence[CameraName], name: CameraName) -> None:
    """See that a live run can take one more camera, of this name.

    Raises:
        ReuniteError: Files say nothing of it, or there is one of that name.
    """
    if "file" in (config.detector.kind, config.camera_motion.kind):
        raise ReuniteError("what is read from files says nothing of another camera; start with a detector")
    if name.casefold() in {it.casefold() for it in cameras}:
        raise ReuniteError(f"there is a camera {name!r} already; give it another name")


def with_starts(config: RunConfig, reports: Mapping[CameraName, CameraReport]) -> RunConfig:
    """With what was found of when recordings began, in seconds: a resumed run must take the same."""
    starts = {camera: it.start_s for camera, it in reports.items() if it.start_known_from}
    if not starts:
        return config
    reading = config.reading.model_copy(update={"align": "none", "starts": starts})
    return config.model_copy(update={"reading": reading})


def without_passwords(config: RunConfig) -> RunConfig:
    """The configuration as it may be kept: what is secret in addresses is ***."""
    parts = config.reading.secret_path_parts
    masked: Sequence[str] = [mask_password(address, parts) for address in config.source]
    return config.model_copy(update={"source": tuple(masked)})
