"""Frames of files, folders, webcams and network cameras, as ticks."""

from collections.abc import Mapping, Sequence
from functools import partial

from foundation.errors import ReuniteError
from tracker.config import SourceConfig
from tracker.sources.addresses import find_cameras, locate_cameras
from tracker.sources.files import FileSource
from tracker.sources.live import LiveSource
from tracker.sources.loop import LoopedSource
from tracker.stages import Source
from tracker.types import CameraName

__all__ = ["locate_cameras", "open_source"]


def open_source(
    addresses: Sequence[str],
    config: SourceConfig | None = None,
    done: Mapping[CameraName, int] | None = None,
    health: Mapping[CameraName, Mapping[str, int]] | None = None,
) -> Source:
    """Open all cameras of one run. A camera that cannot be opened says so in its report.

    Args:
        addresses: Videos, folders, MOTChallenge sequences, webcam numbers, rtsp or http addresses,
            ``.streams`` lists; docs/sources.md tells what each of them gives.
        config: How they are read; None takes the defaults.
        done: The last frame number of each camera that an earlier run has finished with. Frames up
            to it are not given again; the others keep their numbers, times and ticks. Live cameras
            have no earlier frames and take no notice.
        health: What the reports of live cameras had counted in an earlier part of the run: they count on, and
            so do the numbers of frames.

    Raises:
        ReuniteError: A path is missing, nothing usable is there, files and live streams are mixed,
            ``done`` names a camera that is not there, or it is not clear when recordings began.
    """
    config, done = config or SourceConfig(), done or {}
    cameras = find_cameras(addresses, config.secret_path_parts)
    missing = [name for name in done if name not in {camera.name for camera in cameras}]
    if missing:
        raise ReuniteError(f"camera {missing[0]!r} is no longer there; put its file back, or start a new run")
    if config.loop and not cameras[0].is_live:
        open_files = partial(FileSource, cameras, config, {})
        return LoopedSource(open_files, skips=config.live.overload == "skip", health=health)
    if not cameras[0].is_live:
        return FileSource(cameras, config, done)
    if config.starts or config.align != "none":
        raise ReuniteError(
            "reading.starts and reading.align are about recordings; live cameras share this machine's clock, "
            "so leave them out"
        )
    return LiveSource(cameras, config.live, health)
