"""Tracks videos with one tracker of others, in a Python that has it; started by ``benchmarks.pipeline``.

    python peers_worker.py PEER WEIGHTS OUT VIDEO...

The peer has the settings it comes with, looks for people only, draws nothing, and takes the videos one after
the other. The last line it prints is JSON: frames, and seconds, also of processors, from the first frame's
result to the last one's in each video. OUT/NAME.txt hold the results in MOTChallenge's format. Imports
nothing of Reunite.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
"""(R, 6) x1, y1, x2, y2, track, score: the people of one frame."""
PERSON = 0
"""The class of COCO."""


def track_with_ultralytics(tracker: str, weights: str, video: str) -> Iterator[Rows]:
    """``yolo track``, as its Python interface does it."""
    import ultralytics

    model: Any = getattr(ultralytics, "YOLO")(weights, task="detect")  # noqa: B009 - it is not typed
    for result in model.track(video, stream=True, classes=[PERSON], tracker=tracker, verbose=False):
        boxes = result.boxes
        if boxes.id is None:
            yield np.empty((0, 6))
        else:
            columns = (boxes.xyxy, boxes.id[:, None], boxes.conf[:, None])
            yield np.hstack([column.cpu().numpy() for column in columns]).astype(np.float64)


def track_with_boxmot(tracker: str, weights: str, video: str) -> Iterator[Rows]:
    """A tracker of boxmot on what ultralytics finds: ``boxmot track`` takes no weights that are a folder."""
    import ultralytics
    from boxmot.trackers import TrackerSpec, create_tracker

    model: Any = getattr(ultralytics, "YOLO")(weights, task="detect")  # noqa: B009 - it is not typed
    follower = create_tracker(TrackerSpec(name=tracker))
    for result in model.predict(video, stream=True, classes=[PERSON], verbose=False):
        found = result.boxes.data.cpu().numpy().astype(np.float64)  # x1, y1, x2, y2, score, class
        tracked = np.asarray(follower.update(found, result.orig_img), np.float64).reshape(-1, 8)
        yield tracked[:, :6]


PEERS: dict[str, Callable[[str, str], Iterator[Rows]]] = {
    "ultralytics ByteTrack": lambda weights, video: track_with_ultralytics("bytetrack.yaml", weights, video),
    "ultralytics BoT-SORT": lambda weights, video: track_with_ultralytics("botsort.yaml", weights, video),
    "boxmot ByteTrack": lambda weights, video: track_with_boxmot("bytetrack", weights, video),
}


def to_mot(number: int, rows: Rows) -> str:
    """Lines of a result file; frames count from 1."""
    return "".join(
        f"{number},{track:.0f},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n"
        for x1, y1, x2, y2, track, score in rows.tolist()
    )


def main() -> None:
    peer, weights, out, *videos = sys.argv[1:]
    answer: dict[str, Any] = {"frames": 0, "seconds": 0.0, "processor_s": 0.0}
    for video in videos:
        found: list[Rows] = []
        first = last = processor = 0.0
        for rows in PEERS[peer](weights, video):
            last = time.perf_counter()
            if not found:
                first, processor = last, time.process_time()
            found.append(rows)
        answer["processor_s"] += time.process_time() - processor
        answer["frames"] += len(found) - 1
        answer["seconds"] += last - first
        lines = "".join(to_mot(number, rows) for number, rows in enumerate(found, start=1))
        Path(out, f"{Path(video).stem}.txt").write_text(lines, encoding="ascii")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
