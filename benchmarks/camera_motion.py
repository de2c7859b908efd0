"""How well, and how fast, each kind of camera motion sees the camera move: one row for each kind and video.

    python -m benchmarks.camera_motion --shared ../shared
    python -m benchmarks.camera_motion --shared ../shared --every 4

Error: how far the four corners of the picture are from where they should be; mean over the corners. That is
what the given file says (MOT16-11), nothing (still cameras), or what was done to the pictures ("carried":
those of PETS09 as if the camera panned by up to 7 px a frame, turned and zoomed). Residual: by how many
pixels edges that are no people are off once the frame before is moved as the kind says (median over the
pixels), so that the file itself can be judged too. None: frames for which the kind says that nothing moved.
ms: median processor time of a frame, decoding left out, which other work on the machine does not change, and
its share of the detector's (YOLO11n, INT8, on the first frames). People are those of YOLOX and of PETS09's
public detections; UFES has none.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from benchmarks.detectors import read_frames
from foundation.arrays import FloatArray, Image
from foundation.mot_files import read_mot
from tracker.build import build_camera_motion, build_detector
from tracker.camera_motion.pictures import shrink
from tracker.config import load_config
from tracker.geometry import xywh_to_xyxy
from tracker.types import CameraName, Frame, Tick

MIN_SCORE = 0.1
RESIDUAL_SIDE_PX = 640
MIN_SLOPE = 8.0
"""Grey levels from a pixel to the next, at which residuals are measured."""
DETECTOR_FRAMES = 40
FRAME_RATE = 30.0
"""Of all videos; nothing here depends on it."""


@dataclass(frozen=True)
class Case:
    """A video, who is in it, and a file of how its camera moved, None for one that stands still.

    ``is_carried``: its pictures are moved as if the camera had not stood still.
    """

    video: Path
    people: Path | None = None
    motion: Path | None = None
    is_carried: bool = False

    @property
    def name(self) -> str:
        """What its rows are called."""
        return f"{self.video.stem}{' carried' * self.is_carried}"

    def frames(self, every: int) -> Iterator[tuple[Frame, FloatArray]]:
        """Every so many-th frame with its (N, 4) boxes."""
        found = read_mot(self.people) if self.people else None
        for frame in read_frames(self.video, FRAME_RATE):
            if (frame.number - 1) % every == 0:
                rows = found[(found.frames == frame.number)] if found else None
                boxes = np.empty((0, 4)) if rows is None else rows[rows.scores >= MIN_SCORE].boxes
                corners = xywh_to_xyxy(boxes)
                yield carry(frame, corners) if self.is_carried else (frame, corners)


def place_of(number: int) -> FloatArray:
    """(3, 3) where a carried camera has the places of the first picture in frame ``number``."""
    turn, zoom = np.deg2rad(2 * np.sin(number / 11)), 1 + 0.05 * np.sin(number / 13)
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    return np.array([[c, -s, 60 * np.sin(number / 9)], [s, c, 25 * np.sin(number / 7)], [0, 0, 1]])


def carry(frame: Frame, boxes: FloatArray) -> tuple[Frame, FloatArray]:
    """The frame of a still camera, and its (N, 4) boxes, as a carried one would see them."""
    place = place_of(frame.number)
    image = np.asarray(cv2.warpAffine(frame.image, place[:2], frame.size), np.uint8)
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]] @ place[:2, :2].T + place[:2, 2]
    moved = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
    return Frame(frame.camera, frame.number, frame.time, image), moved


def cases(data: Path) -> list[Case]:
    pets = data / "video" / "PETS09-S2L1"
    yolox = data / "mot17-yolox"
    return [
        Case(data / "video" / "MOT16-11.mp4", yolox / "MOT16-11.txt", yolox / "gmc" / "MOT16-11.txt"),
        Case(pets.with_suffix(".mp4"), pets / "det" / "det.txt", is_carried=True),
        Case(pets.with_suffix(".mp4"), pets / "det" / "det.txt"),
        Case(data / "ufes-4cam" / "cam0.mp4"),
    ]


def corner_errors(motions: FloatArray, truth: FloatArray, size: tuple[int, int]) -> FloatArray:
    """(F,) pixels between where (F, 2, 3) motions and their truth take the corners, mean over the four."""
    width, height = size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], np.float64)
    shifts = corners @ (motions - truth).transpose(0, 2, 1)
    return np.asarray(np.linalg.norm(shifts, axis=2).mean(axis=1))


class Residuals:
    """Compares each picture with the one before, moved; pixels of the full picture."""

    def __init__(self) -> None:
        self._before: tuple[Image, Image] | None = None

    def measure(self, frame: Frame, boxes: FloatArray, motions: Sequence[FloatArray]) -> list[float]:
        """The median residual of each (2, 3) motion from the frame before; none for the first frame."""
        picture = shrink(frame.image, RESIDUAL_SIDE_PX)
        height, width = picture.shape
        scale = frame.size[0] / width
        free = np.zeros(picture.shape, np.uint8)
        free[8:-8, 8:-8] = 255
        for x1, y1, x2, y2 in np.clip(boxes / scale, 0, max(picture.shape)).round().astype(int):
            free[y1:y2, x1:x2] = 0
        results = []
        if self._before is not None:
            old_picture, old_free = self._before
            gradient = [cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0)]
            slope = cv2.magnitude(*gradient)
            for motion in motions:
                small = np.column_stack((motion[:, :2], motion[:, 2] / scale))
                moved, there = (
                    cv2.warpAffine(it, small, (width, height), flags=kind)
                    for it, kind in ((old_picture, cv2.INTER_LINEAR), (old_free, cv2.INTER_NEAREST))
                )
                tells = (slope >= MIN_SLOPE) & (free > 0) & (there > 0)
                off = np.abs(moved[tells].astype(np.float64) - picture[tells]) / slope[tells]
                results.append(float(np.median(off)) * scale)
        self._before = picture, free
        return results


def detector_ms(case: Case, weights: Path) -> float:
    """Median processor time of YOLO11n on the first frames."""
    config = load_config(None, [f"detector.weights={weights / 'yolo11n_int8_openvino_model'}"]).detector
    detector = build_detector(config, {})
    seconds = []
    for frame, _ in case.frames(1):
        if frame.number > DETECTOR_FRAMES:
            break
        began = time.process_time()
        detector.detect(Tick(frame.time, (frame,)))
        seconds.append(time.process_time() - began)
    return 1000 * float(np.median(seconds))


def measure(case: Case, every: int, weights: Path, save: Path | None) -> None:
    """Print the rows of one video."""
    camera = CameraName(case.video.stem)
    kinds = {"none": ["kind=none"], "flow": ["kind=flow"], "ecc": ["kind=ecc"]}
    if case.motion:
        kinds["file"] = ["kind=file", f"path={case.motion.parent}"]
    stages = {
        kind: build_camera_motion(
            load_config(None, [f"camera_motion.{part}" for part in parts]).camera_motion, [camera]
        )
        for kind, parts in kinds.items()
    }
    motions: dict[str, list[FloatArray]] = {kind: [] for kind in kinds}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    residuals, residual_rows = Residuals(), []
    size, numbers = (0, 0), []
    for frame, boxes in case.frames(every):
        size = frame.size
        numbers.append(frame.number)
        for kind, stage in stages.items():
            began = time.process_time()
            motions[kind].append(stage.estimate(frame, boxes))
            seconds[kind].append(time.process_time() - began)
        if rows := residuals.measure(frame, boxes, [motions[kind][-1] for kind in kinds]):
            residual_rows.append(rows)
    truth = np.array(motions["file" if case.motion else "none"])
    if case.is_carried:
        steps = [place_of(now) @ np.linalg.inv(place_of(before)) for before, now in pairwise(numbers)]
        truth[1:] = np.array(steps)[:, :2]
    means = dict(zip(kinds, np.mean(residual_rows, axis=0), strict=True))
    whole_ms = detector_ms(case, weights)
    for kind in kinds:
        estimated = np.array(motions[kind])
        errors = corner_errors(estimated, truth, size)
        still = (estimated == np.eye(2, 3)).all(axis=(1, 2)).mean()
        ms = 1000 * float(np.median(seconds[kind]))
        print(
            f"| {case.name} | {kind} | {len(estimated)} | {errors.mean():.2f} "
            f"| {np.percentile(errors, 95):.2f} | {means[kind]:.2f} | {100 * still:.1f} % "
            f"| {ms:.2f} | {100 * ms / whole_ms:.1f} % |",
            flush=True,
        )
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
            np.save(save / f"{case.name}-{kind}.npy", estimated)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/ and weights/")
    parser.add_argument("--every", type=int, default=1, help="take each Nth frame, as when frames drop")
    parser.add_argument("--save", type=Path, help="folder for the (F, 2, 3) motions as VIDEO-KIND.npy")
    options = parser.parse_args(arguments)
    print("| video | kind | frames | error, px | 95 % below | residual, px | none | ms | of the detector |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in cases(options.shared / "data"):
        measure(case, options.every, options.shared / "weights", options.save)


if __name__ == "__main__":
    main()
