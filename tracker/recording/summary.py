"""``summary.json``: what a run read, found and took."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation.files import write_whole
from tracker.clock import Delays
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.recording.checkpoint import Progress
from tracker.stages import CameraReport
from tracker.types import CameraName


def write_summary(
    path: Path,
    complete: bool,
    progress: Progress,
    reports: Mapping[CameraName, CameraReport],
    tracker: MultiCameraTracker,
) -> None:
    """Write ``summary.json``: frames, drops, people, sightings, and where the time went.

    ``frames_per_second`` and ``elapsed_s`` are those of tracking, without what begins when the last frame is
    tracked (``link``, ``results``, ``draw``). ``seconds`` is how long each stage was at work: stages
    overlap, so their sum may be more. ``waited`` is how long tracking stood still, and for which stage.
    """
    identities, exits = tracker.identities, tracker.exits
    frames, count = sum(progress.frames.values()), identities.people_count()
    summary = {
        "complete": complete,
        "frames": frames,
        "people": identities.num_identities,
        "undecided": identities.undecided,
        # How sure that is: what is expected, and how many there are at least and at most.
        "people_expected": None
        if count is None
        else {"about": round(count.expected, 1), "low": count.low, "high": count.high},
        # Cameras that see one place, and the matrix from pixels of the first to those of the second, if
        # found.
        "overlap": [
            {
                "cameras": pair,
                "homography": None if (matrix := identities.homography(*pair)) is None else matrix.tolist(),
            }
            for pair in identities.overlaps()
        ],
        "sightings": progress.journal_rows,
        "detections": progress.detections,
        # How many of them were embedded, and the share of crops that this saved.
        "embedded": progress.embedded,
        "crops_saved": round(1 - progress.embedded / max(progress.detections, 1), 4),
        **({} if exits is None else {"exits": exits.report()}),
        "frames_per_second": round(frames / progress.elapsed_s, 2) if progress.elapsed_s else 0.0,
        "elapsed_s": round(progress.elapsed_s, 3),
        "seconds": {stage: round(spent, 3) for stage, spent in progress.seconds.items()},
        "waited": {stage: round(spent, 3) for stage, spent in progress.waited.items()},
        "cameras": {
            camera: {
                "frames": progress.frames.get(camera, 0),
                "read": report.read,
                "dropped": report.dropped,
                "start_s": report.start_s,
                "reconnects": report.reconnects,
                "problem": report.problem,
                "remark": report.remark,
                **_of_live_camera(report, progress.delays.get(camera)),
            }
            for camera, report in reports.items()
        },
    }
    write_whole(path, (json.dumps(summary, indent=2) + "\n").encode())


def _of_live_camera(report: CameraReport, counts: list[int] | None) -> dict[str, Any]:
    """What only live cameras have: through how many frames tracks coasted, and from the arrival of a frame
    to the moment when it was known who is in it."""
    if counts is None:
        return {}
    delays = Delays(counts)
    shares = {"median": 0.5, "95 %": 0.95}
    return {
        "skipped": report.skipped,
        "delay_s": {name: round(delays.quantile(share), 3) for name, share in shares.items()},
    }
