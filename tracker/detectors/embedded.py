"""People by their motion before a background that is learned, judged by OpenCV's HOG people detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from foundation.arrays import FloatArray, Image
from tracker.config import EmbeddedDetectorConfig
from tracker.detectors.background import Background
from tracker.detectors.hog import HogJudge
from tracker.detectors.silhouettes import (
    MIN_SAMPLES,
    HeightLine,
    PersonPlacer,
    find_blobs,
    looks_like_one_person,
)
from tracker.types import CameraName, Detections, Frame, State, Tick

# Values without a source were chosen on PETS09-S2L1 and the sample scene (benchmarks/detectors.py).
LONGER_SIDE_PX = 384
"""Motion is found in pictures of this size."""
NOISE_FILTER_PX = 3
MAX_SAMPLES = 512
REFIT_SAMPLES = 32
"""The height line is fitted again after this many new samples; after a quarter of them until it settles."""
BLOB_GAIN = 0.8
"""What a lone blob counts as while heights are still unknown."""
HEIGHT_TRIES = (0.9, 1.0, 1.1, 1.21, 1.33, 1.46, 1.61, 1.77)
"""Shares of a blob's height at which HOG looks for the feet: trousers may have the colour of the floor."""
UNSURE = 0.002
"""What a height counts that HOG knows nothing of: where HOG never says yes, all of them still make a line."""
SETTLED_SURENESS = 30.0
"""From this sum on the samples make a line that changes little."""
LEARN_EVERY = 5
"""Heights are learned from every frame until the line settles, then from each of this many."""
GAIN_WEIGHT, HOG_WEIGHT, SCORE_OFFSET = 1.0, 0.9, 1.0
"""Logistic regression of "is a person", rounded: 3,103 places in PETS09-S2L1 and two drawn rooms."""
HOG_RANGE = (-2.5, 2.0)
"""Margins beyond say no more; a bent or half-hidden person is not to be denied by HOG alone."""


@dataclass(slots=True)
class Camera:
    """What is remembered of one camera.

    Attributes:
        size: Width and height of its pictures.
        background: Of the small picture.
        samples: (S, 3) row of the feet, height, and how sure both are, of lone blobs, in pixels of the small
            picture, newest last.
        unfitted: How many of them the line has not seen.
        placer: Places people; None until enough heights are known.
        line: The line it was made from.
    """

    size: tuple[int, int]
    background: Background
    samples: FloatArray
    unfitted: int
    line: HeightLine | None
    placer: PersonPlacer | None

    @classmethod
    def first(cls, frame: Frame, small: Image) -> Self:
        """Nothing known but the first picture."""
        return cls(frame.size, Background.from_picture(small, frame.time), np.empty((0, 3)), 0, None, None)

    @property
    def settled(self) -> bool:
        """Whether enough sure heights are known that the line changes little."""
        return float(self.samples[:, 2].sum()) >= SETTLED_SURENESS

    def learn_heights(self, samples: FloatArray, min_gain: float) -> None:
        """Take (S, 3) samples of how tall people are."""
        self.samples = np.vstack([self.samples, samples])[-MAX_SAMPLES:]
        self.unfitted += len(samples)
        if len(self.samples) >= MIN_SAMPLES and self.unfitted >= (
            REFIT_SAMPLES if self.settled else REFIT_SAMPLES // 4
        ):
            self.unfitted = 0
            self.set_line(HeightLine.fit(*self.samples.T), min_gain)

    def set_line(self, line: HeightLine, min_gain: float) -> None:
        """Lay out the places of people anew."""
        height, width = self.background.trust_s.shape
        self.line, self.placer = line, PersonPlacer(line, width, height, min_gain)


class EmbeddedDetector:
    """Finds people who move, or moved within the last minute, before a camera that stands still.

    1. `Background` says which pixels are not background.
    2. Lone blobs teach how tall people are at each row (`HeightLine`); until 30 were seen they are
       the answer.
    3. `PersonPlacer` explains all moving pixels by people of that height, which takes groups apart.
    4. OpenCV's HOG people detector looks at each place; both together give the score.

    Source of 4: Dalal and Triggs 2005, "Histograms of oriented gradients for human detection".
    """

    ticks_at_once = 1

    def __init__(self, config: EmbeddedDetectorConfig) -> None:
        """Nothing is loaded: the weights are part of OpenCV."""
        self._config = config
        self._cameras: dict[CameraName, Camera] = {}
        self._hog = HogJudge()

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame; see `Detector`."""
        return [self._detect_frame(frame) for frame in tick.frames]

    def state(self) -> State:
        """Arrays named ``camera/name``; a restored detector goes on with the very same numbers."""
        state: State = {}
        for name, camera in self._cameras.items():
            line = camera.line
            arrays = {
                **camera.background.state(),
                "size": np.array(camera.size),
                "samples": camera.samples,
                "unfitted": np.array([camera.unfitted]),
                "line": np.array([line.slope, line.offset] if line else []),
            }
            state.update({f"{name}/{key}": array for key, array in arrays.items()})
        return state

    def restore(self, state: State) -> None:
        arrays: dict[CameraName, State] = {}
        for key, array in state.items():
            name, _, column = key.rpartition("/")
            arrays.setdefault(CameraName(name), {})[column] = array.copy()
        self._cameras = {}
        for name, columns in arrays.items():
            width, height = columns.pop("size").tolist()
            samples, line = columns.pop("samples"), columns.pop("line")
            unfitted = int(columns.pop("unfitted")[0])
            camera = Camera((width, height), Background(**columns), samples, unfitted, None, None)
            if len(line):
                camera.set_line(HeightLine(*line.tolist()), self._config.min_gain)
            self._cameras[name] = camera

    def _detect_frame(self, frame: Frame) -> Detections:
        image = np.ascontiguousarray(frame.image)
        scale = min(1.0, LONGER_SIDE_PX / max(frame.size))
        small_size = tuple(max(1, round(side * scale)) for side in frame.size)
        small = cv2.resize(image, small_size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        camera = self._cameras.get(frame.camera)
        if camera is None or camera.size != frame.size:
            camera = self._cameras[frame.camera] = Camera.first(frame, small)
        moving, shadow = camera.background.compare(small, frame.time)
        moving = cv2.medianBlur(moving.astype(np.uint8), NOISE_FILTER_PX).astype(np.bool_)
        blobs = find_blobs(moving)
        lone = blobs.boxes[looks_like_one_person(blobs, *small_size)]
        to_image = np.tile(np.divide(frame.size, small_size), 2)
        if not camera.settled or frame.number % LEARN_EVERY == 0:
            camera.learn_heights(self._measure_heights(image, lone, to_image), self._config.min_gain)
        if camera.placer is not None:
            boxes, gains = camera.placer.place(moving, shadow & ~moving)
        else:
            boxes, gains = lone, np.full(len(lone), BLOB_GAIN)
        boxes = boxes * to_image
        hog = np.clip(self._hog.margins(image, boxes), *HOG_RANGE)
        evidence = GAIN_WEIGHT * np.minimum(gains, 1) + HOG_WEIGHT * hog + SCORE_OFFSET
        scores = 1 / (1 + np.exp(-evidence))
        good = scores >= self._config.min_score
        return Detections(boxes[good], scores[good])

    def _measure_heights(self, image: Image, lone: FloatArray, to_image: FloatArray) -> FloatArray:
        """(N, 4) lone blobs to (N, 3) row of the feet, height, sureness; heads are where the blobs begin."""
        samples = []
        for box in lone:
            tries = np.tile(box, (len(HEIGHT_TRIES), 1))
            tries[:, 3] = box[1] + (box[3] - box[1]) * np.array(HEIGHT_TRIES)
            margins = self._hog.margins(image, tries * to_image)
            best = int(margins.argmax())
            # Above a margin of 1 nine in ten heights are right to a tenth, below 0 most are of half a person.
            sureness = UNSURE + 1 / (1 + np.exp(-4 * (margins[best] - 1.2)))
            samples.append((tries[best, 3], tries[best, 3] - box[1], sureness))
        return np.array(samples).reshape(-1, 3)
