"""How well each detector finds people, and how fast: one row for each detector and video.

    python -m benchmarks.detectors --shared ../shared
    python -m benchmarks.detectors --shared ../shared --only hog-search --every 10

A box is right when it overlaps a person by IoU 0.5 or more, one to one, the best scores first. Boxes on
people who are not to be scored (flag 0, and classes 2, 7, 8, 12 of MOT16) are neither right nor wrong. The
first recall and precision are those of all boxes from the score on at which F1 is best, the second those of
all boxes; AP is the area under the whole curve; ms is the median time of a frame, decoding left out, and
processor ms the same summed over all cores, which other work on the machine does not change.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from foundation.arrays import BoolArray, FloatArray, Image
from foundation.mot_files import MotTable, read_mot
from foundation.video import VideoFile
from tracker.config import EmbeddedDetectorConfig, OnnxDetectorConfig, UltralyticsDetectorConfig
from tracker.detectors.embedded import EmbeddedDetector
from tracker.detectors.hog import PERSON_PX, WINDOW, HogJudge
from tracker.detectors.nms import suppress_overlaps
from tracker.detectors.onnx_yolox import OnnxDetector
from tracker.detectors.silhouettes import WIDTH_SHARE, find_blobs
from tracker.detectors.yolo import UltralyticsDetector
from tracker.geometry import centers_of, iou_matrix, xywh_to_xyxy
from tracker.stages import Detector
from tracker.types import CameraName, Detections, Frame, State, Tick

MIN_IOU = 0.5
NEITHER_CLASSES = (2, 7, 8, 12)
SCENE = Path(__file__).resolve().parents[1] / "videos"


@dataclass(frozen=True)
class Video:
    """A video with its ground truth; ``is_still`` where the camera does not move."""

    path: Path
    truth: Path
    frame_rate: float
    is_still: bool = True


class Stateless:
    """A candidate that remembers nothing, or that nobody needs to resume."""

    ticks_at_once = 1

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """See `Detector`."""
        return [self.find(frame.image) for frame in tick.frames]

    def find(self, image: Image) -> Detections:
        """The people of one picture."""
        raise NotImplementedError

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""


class HogSearch(Stateless):
    """OpenCV's HOG people detector over the whole picture, enlarged so that people of 65 px are found."""

    def __init__(self, enlarge: float = 1.5) -> None:
        self._enlarge = enlarge
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def find(self, image: Image) -> Detections:
        """The people of one picture."""
        large = cv2.resize(image, None, fx=self._enlarge, fy=self._enlarge)
        windows, margins = self._hog.detectMultiScale(
            large, hitThreshold=-0.3, winStride=(8, 8), scale=1.05, groupThreshold=0
        )
        if not len(windows):
            return Detections.empty()
        boxes = _window_to_person(xywh_to_xyxy(np.asarray(windows, np.float64))) / self._enlarge
        scores = 1 / (1 + np.exp(-np.asarray(margins, np.float64).ravel()))
        kept = suppress_overlaps(boxes, scores, 0.4)
        return Detections(boxes[kept], scores[kept])


class MotionBlobs(Stateless):
    """OpenCV's MOG2 background and connected blobs; the score is how full the box is."""

    def __init__(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(history=300, detectShadows=True)

    def moving(self, image: Image) -> BoolArray:
        """(H, W) pixels that are neither background nor shadow, cleaned."""
        mask = self._background.apply(image)
        mask = cv2.morphologyEx((mask == 255).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8)).astype(np.bool_)

    def find(self, image: Image) -> Detections:
        """The people of one picture."""
        blobs = find_blobs(self.moving(image))
        sizes = blobs.boxes[:, 2:] - blobs.boxes[:, :2]
        person = (sizes[:, 1] > 24) & (sizes[:, 1] / sizes[:, 0] > 1.2) & (sizes[:, 1] / sizes[:, 0] < 5)
        return Detections(blobs.boxes, blobs.areas / sizes.prod(axis=1))[person]


class HogInMotion(MotionBlobs):
    """HOG at each blob of MOG2: at the places along it, and at the heights, where a person could be."""

    def __init__(self) -> None:
        super().__init__()
        self._judge = HogJudge()

    def find(self, image: Image) -> Detections:
        """The people of one picture."""
        tries = [self._tries(box) for box in find_blobs(self.moving(image)).boxes if box[3] - box[1] > 24]
        if not tries:
            return Detections.empty()
        boxes = np.concatenate(tries)
        scores = 1 / (1 + np.exp(-self._judge.margins(image, boxes)))
        kept = suppress_overlaps(boxes, scores, 0.3)
        return Detections(boxes[kept], scores[kept])

    def _tries(self, blob: FloatArray) -> FloatArray:
        x1, y1, x2, y2 = blob
        boxes = []
        for share in (1.0, 0.85, 0.7):
            height = (y2 - y1) * share
            half = height * WIDTH_SHARE / 2
            for x in np.arange(min(x1 + half, (x1 + x2) / 2), max(x2 - half, (x1 + x2) / 2) + 1, half):
                boxes += [(x - half, y2 - height, x + half, y2)]
                boxes += [(x - half, y1, x + half, y1 + height)] if share < 1 else []
        return np.array(boxes)


def _window_to_person(windows: FloatArray) -> FloatArray:
    """HOG's windows have a margin around the person."""
    x, y = centers_of(windows).T
    height = (windows[:, 3] - windows[:, 1]) * PERSON_PX / WINDOW[1]
    half = height * WIDTH_SHARE / 2
    return np.stack([x - half, y - height / 2, x + half, y + height / 2], axis=1)


def read_frames(path: Path, frame_rate: float) -> Iterator[Frame]:
    video = VideoFile(str(path))
    for number, _, image in video.pictures():
        yield Frame(CameraName(path.stem), number, (number - 1) / frame_rate, image)
    video.close()


def judge(people: Detections, truth: FloatArray, scored: BoolArray) -> Iterator[tuple[float, bool]]:
    """(score, right) of every box that is right or wrong."""
    overlaps = iou_matrix(people.boxes, truth)
    taken = np.zeros(len(truth), np.bool_)
    for row in np.argsort(-people.scores, kind="stable"):
        free = np.where(taken | ~scored, 0.0, overlaps[row])
        best = int(free.argmax()) if len(truth) else -1
        if best >= 0 and free[best] >= MIN_IOU:
            taken[best] = True
            yield float(people.scores[row]), True
        elif not (overlaps[row][~scored] >= MIN_IOU).any():
            yield float(people.scores[row]), False


def truth_of_frame(table: MotTable, number: int) -> tuple[FloatArray, BoolArray]:
    rows = table[table.frames == number]
    scored = (rows.scores > 0) & (rows.classes == 1)
    kept = scored | np.isin(rows.classes, NEITHER_CLASSES) | ((rows.scores == 0) & (rows.classes == 1))
    return xywh_to_xyxy(rows.boxes)[kept], scored[kept]


def measure(name: str, make: Callable[[], Detector], videos: Sequence[Video], data: str, every: int) -> str:
    judged: list[tuple[float, bool]] = []
    people = frames = 0
    spent: list[tuple[float, float]] = []
    for video in videos:
        table = read_mot(video.truth)
        detector = make()
        for frame in read_frames(video.path, video.frame_rate):
            if frame.number % every:
                continue
            start = time.perf_counter(), time.process_time()
            found = detector.detect(Tick(frame.time, (frame,)))[0]
            spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
            truth, scored = truth_of_frame(table, frame.number)
            judged += judge(found, truth, scored)
            people += int(scored.sum())
            frames += 1
    scores, right = (
        (np.array(column) for column in zip(*judged, strict=True)) if judged else (np.empty(0),) * 2
    )
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum()
    recall, precision = hits / people, hits / np.arange(1, len(hits) + 1)
    f1 = 2 * recall * precision / np.maximum(recall + precision, 1e-9)
    best = int(f1.argmax())
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    wall_ms, processor_ms = np.median(np.array(spent) * 1000, axis=0)
    area = float((np.diff(recall, prepend=0.0) * envelope).sum())
    return (
        f"| {name} | {data} | {frames} | {recall[best]:.3f} | {precision[best]:.3f} | {f1[best]:.3f} "
        f"| {scores[order][best]:.2f} | {recall[-1]:.3f} | {precision[-1]:.3f} | {area:.3f} "
        f"| {wall_ms:.1f} | {processor_ms:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/ and weights/")
    parser.add_argument("--only", nargs="*", default=[], help="names of detectors")
    parser.add_argument("--data", nargs="*", default=["PETS09-S2L1", "MOT16-11", "scene"])
    parser.add_argument(
        "--every", type=int, default=1, help="take each Nth frame, where nothing is remembered"
    )
    arguments = parser.parse_args()
    folder, weights = arguments.shared / "data", arguments.shared / "weights"
    data = {
        "PETS09-S2L1": [Video(folder / "video/PETS09-S2L1.mp4", folder / "video/PETS09-S2L1/gt/gt.txt", 7.0)],
        "MOT16-11": [
            Video(folder / "video/MOT16-11.mp4", folder / "mot16/MOT16-11/gt/gt.txt", 30.0, is_still=False)
        ],
        "scene": [
            Video(path, path.with_suffix("") / "gt/gt.txt", 10.0) for path in sorted(SCENE.glob("cam*.mp4"))
        ],
    }
    yolo = UltralyticsDetectorConfig(weights=str(weights / "yolo11n_int8_openvino_model"))
    yolox = OnnxDetectorConfig(weights=str(weights / "yolox_nano.onnx"))
    # Name, how to make it, whether it remembers earlier frames.
    detectors: list[tuple[str, Callable[[], Detector], bool]] = [
        ("yolo11n-int8", lambda: UltralyticsDetector(yolo), False),
        ("yolox-nano", lambda: OnnxDetector(yolox), False),
        ("hog-search", HogSearch, False),
        ("motion-blobs", MotionBlobs, True),
        ("hog-in-motion", HogInMotion, True),
        ("embedded", lambda: EmbeddedDetector(EmbeddedDetectorConfig()), True),
    ]
    print(
        "| detector | data | frames | recall | precision | best F1 | from score "
        "| all: recall | precision | AP | ms | processor ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name, make, remembers in detectors:
        for title in arguments.data:
            videos = data[title]
            if (arguments.only and name not in arguments.only) or (remembers and not videos[0].is_still):
                continue
            print(measure(name, make, videos, title, 1 if remembers else arguments.every), flush=True)


if __name__ == "__main__":
    main()
