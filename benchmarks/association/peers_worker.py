"""Times trackers of others, in a Python that has them: a line of JSON in, a line of JSON out.

`__main__` starts it; it imports nothing of Reunite. First it says which peers are there:
``{"boxmot ByteTrack": "18.0.0", ...}``. To ``{"peer": ..., "scene": FILE.npz, "limit_s": ...}`` it answers
with ``{"seconds": ..., "frames": ..., "tracked": ...}``, or with ``{"failure": ...}``.

Each peer has the settings it comes with, for 30 frames/s. What it is given is in its own format before the
clock starts.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_RATE = 30
PICTURE = np.zeros((1080, 1920, 3), np.uint8)
"""Trackers that ask for a picture get this one; none of those here looks at it."""


@dataclass(frozen=True)
class Runner:
    """A tracker that has seen nothing yet.

    Attributes:
        prepare: (N, 4) boxes x1, y1, x2, y2 and (N,) scores -> the frame as this tracker wants it.
        update: Takes such a frame; returns how many people are tracked in it.
    """

    prepare: Callable[[NDArray[np.float64], NDArray[np.float64]], Any]
    update: Callable[[Any], int]


@dataclass(frozen=True)
class Timing:
    """How long it took.

    Attributes:
        seconds: Of processor time, for ``frames`` frames, which are fewer than there were if it took too
            long.
        frames: How many.
        tracked: How many people were tracked in the last of them.
    """

    seconds: float
    frames: int
    tracked: int


def time_runner(
    runner: Runner, boxes: NDArray[np.float64], scores: NDArray[np.float64], limit_s: float
) -> Timing:
    """Take the frames, (F, N, 4) boxes and (F, N) scores, one by one, until ``limit_s`` is over."""
    frames = [runner.prepare(*found) for found in zip(boxes, scores)]  # noqa: B905 - of Python 3.9 too
    # Some trackers' frames are thousands of objects; going through them all is no part of tracking.
    gc.collect()
    gc.freeze()
    tracked = done = 0
    ends, began = time.perf_counter() + limit_s, time.process_time()
    for frame in frames:
        tracked = runner.update(frame)
        done += 1
        if time.perf_counter() > ends:
            break
    seconds = time.process_time() - began  # of all threads; other work on the machine changes it little
    gc.unfreeze()
    return Timing(seconds, done, tracked)


def boxmot(kind: str, **changes: Any) -> Runner:
    from boxmot.trackers import TrackerSpec, create_tracker

    tracker = create_tracker(TrackerSpec(name=kind, options=tuple(sorted(changes.items()))))
    return Runner(
        prepare=lambda boxes, scores: np.column_stack((boxes, scores, np.zeros(len(boxes)))),
        update=lambda frame: len(tracker.update(frame, PICTURE)),
    )


def ultralytics_bytetrack() -> Runner:
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers import BYTETracker
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(check_yaml("bytetrack.yaml"))  # type: ignore[no-untyped-call]
    tracker = BYTETracker(IterableSimpleNamespace(**settings))  # type: ignore[no-untyped-call]
    return Runner(
        prepare=lambda boxes, scores: Boxes(
            np.column_stack((boxes, scores, np.zeros(len(boxes)))), PICTURE.shape[:2]
        ),
        update=lambda frame: len(tracker.update(frame)),
    )


def roboflow(name: str) -> Runner:
    import supervision
    import trackers

    tracker = getattr(trackers, name)(frame_rate=FRAME_RATE)
    return Runner(
        prepare=lambda boxes, scores: supervision.Detections(
            xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int)
        ),
        update=lambda frame: int((tracker.update(frame).tracker_id >= 0).sum()),
    )


def norfair_iou() -> Runner:
    import norfair

    tracker = norfair.Tracker(distance_function="iou", distance_threshold=0.7)
    return Runner(
        prepare=lambda boxes, scores: [
            norfair.Detection(points=corners, scores=np.array([score, score]))
            for corners, score in zip(boxes.reshape(-1, 2, 2), scores)  # noqa: B905
        ],
        update=lambda frame: len(tracker.update(frame)),
    )


PEERS: dict[str, tuple[str, Callable[[], Runner]]] = {
    "boxmot ByteTrack": ("boxmot", partial(boxmot, "bytetrack")),
    "boxmot OcSort": ("boxmot", partial(boxmot, "ocsort")),
    "boxmot BotSort": ("boxmot", partial(boxmot, "botsort", use_embeddings=False, use_cmc=False)),
    "boxmot SFSORT": ("boxmot", partial(boxmot, "sfsort")),
    "ultralytics BYTETracker": ("ultralytics", ultralytics_bytetrack),
    "roboflow ByteTrack": ("trackers", partial(roboflow, "ByteTrackTracker")),
    "roboflow SORT": ("trackers", partial(roboflow, "SORTTracker")),
    "norfair IoU": ("norfair", norfair_iou),
}
"""Package and tracker. BotSort without appearance and camera motion, for which it would need pictures."""


def installed() -> dict[str, str]:
    """The version of every peer that is there."""
    versions = {}
    for peer, (package, _) in PEERS.items():
        try:
            versions[peer] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a peer as a line asks for it."""
    try:
        with np.load(asked["scene"]) as scene:
            return asdict(
                time_runner(PEERS[asked["peer"]][1](), scene["boxes"], scene["scores"], asked["limit_s"])
            )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this peer's result
        return {"failure": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def main() -> None:
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    print(json.dumps(installed()), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
