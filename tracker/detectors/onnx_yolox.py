"""YOLOX through ONNX Runtime: people without AGPL code."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from foundation.onnx_session import open_onnx
from foundation.weights import WEIGHTS_VARIABLE, find_weights, weights_folder
from tracker.config import OnnxDetectorConfig
from tracker.detectors.nms import suppress_overlaps
from tracker.letterbox import letterbox
from tracker.types import Detections, State, Tick

STRIDES = (8, 16, 32)
GREY = 114
MAX_EXPONENT = 20.0
"""e^20 strides is wider than any picture; beyond, a broken model would overflow."""
COCO_CLASSES = 80
PERSON_CLASS = 0


class OnnxDetector:
    """A YOLOX network of any size; the tick is one batch where the model has an open batch axis.

    Input (B, 3, H, W) float, BGR 0 to 255, the picture in the top left corner, the rest grey. Output
    (B, A, 5 + C), raw as YOLOX's ``export_onnx.py`` gives it: centre and size relative to the grid cells of
    strides 8, 16, 32, objectness, class scores. A is the number of cells, person is class 0, C is 80 or 1.

    Source: YOLOX (Ge et al. 2021, arXiv:2107.08430), sections 2.1 and 2.2; letterbox and channel order of
    its release.
    """

    ticks_at_once = 1

    def __init__(self, config: OnnxDetectorConfig) -> None:
        """Load the model.

        Raises:
            ReuniteError: The file is missing, not ONNX, or not a YOLOX detector.
        """
        self._config = config
        folder = weights_folder(config.weights_folder)
        path = find_weights(config.weights, folder)
        if path is None:
            raise ReuniteError(
                f"detector.weights: no file {config.weights!r}, neither here nor in {folder}; put a YOLOX "
                "ONNX model there, name another folder with detector.weights_folder or "
                f"{WEIGHTS_VARIABLE}, or take detector.kind=embedded, which needs no weights"
            )
        self._session = open_onnx(path, threads=config.threads)
        model_input, *more_inputs = self._session.get_inputs()
        batch, channels, height, width = [*model_input.shape, None, None, None, None][:4]
        if more_inputs or len(model_input.shape) != 4 or channels != 3:
            raise ReuniteError(
                f"{path}: a YOLOX model has one input (batch, 3, height, width), this one has "
                f"{[model_input.shape, *(other.shape for other in more_inputs)]}"
            )
        self._path = path
        self._input_name = model_input.name
        self._dtype = np.float16 if model_input.type == "tensor(float16)" else np.float32
        # An open axis is a name or None; a fixed batch above 1 is filled up with grey pictures.
        self._fixed_batch = batch if isinstance(batch, int) else None
        open_size = config.image_size_px
        self._size = (
            width if isinstance(width, int) else open_size,
            height if isinstance(height, int) else open_size,
        )
        self._grid, self._strides = yolox_grid(*self._size)
        self._infer(np.full((1, 3, self._size[1], self._size[0]), GREY, self._dtype))

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame; see `Detector`."""
        boxed = [
            letterbox(frame.image, self._size, GREY, centred=False, interpolation=cv2.INTER_LINEAR)
            for frame in tick.frames
        ]
        batch = np.array([it.picture.transpose(2, 0, 1) for it in boxed], self._dtype)
        step = self._fixed_batch or len(batch)
        outputs = [self._infer(batch[start : start + step]) for start in range(0, len(batch), step)]
        return [
            self._people(output, it.scale) for output, it in zip(np.concatenate(outputs), boxed, strict=True)
        ]

    def state(self) -> State:
        """Nothing: every frame stands alone."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""

    def _infer(self, batch: NDArray[Any]) -> NDArray[Any]:
        """(B, 3, H, W) pixels to (B, A, 5 + C) raw output."""
        count = len(batch)
        if self._fixed_batch and count < self._fixed_batch:
            grey = np.full((self._fixed_batch - count, *batch.shape[1:]), GREY, self._dtype)
            batch = np.concatenate([batch, grey])
        output: NDArray[Any] = self._session.run(None, {self._input_name: batch})[0]
        classes = output.shape[-1] - 5
        if output.ndim != 3 or output.shape[1] != len(self._grid) or classes not in (1, COCO_CLASSES):
            raise ReuniteError(
                f"{self._path}: is no YOLOX people detector: for {self._size[0]}x{self._size[1]} it gives "
                f"{output.shape}, YOLOX gives (batch, {len(self._grid)}, {5 + COCO_CLASSES}), or "
                f"(batch, {len(self._grid)}, 6) with the one class person"
            )
        return output[:count]

    def _people(self, output: NDArray[Any], scale: float) -> Detections:
        scores = (output[:, 4] * output[:, 5 + PERSON_CLASS]).astype(np.float64)
        if not np.isfinite(scores.sum()):
            raise ReuniteError(f"{self._path}: the network gives no numbers; are its weights whole?")
        good = scores >= self._config.min_score
        boxes = (
            decode_yolox(output[good, :4].astype(np.float64), self._grid[good], self._strides[good]) / scale
        )
        scores = scores[good]
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not so for NaN, either
        boxes, scores = boxes[has_area], scores[has_area]
        kept = suppress_overlaps(boxes, scores, self._config.max_iou)
        return Detections(boxes[kept], scores[kept])


def yolox_grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """(A, 2) x, y of every cell and (A,) its stride, in the order of the output rows."""
    cells, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns, rows], axis=-1).reshape(-1, 2))
        strides.append(np.full(columns.size, stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(strides).astype(np.float64)


def decode_yolox(raw: FloatArray, grid: FloatArray, strides: FloatArray) -> FloatArray:
    """(N, 4) raw centre and log size, (N, 2) cells, (N,) strides to (N, 4) x1, y1, x2, y2 in input pixels."""
    centres = (raw[:, :2] + grid) * strides[:, None]
    halves = np.exp(np.minimum(raw[:, 2:], MAX_EXPONENT)) * strides[:, None] / 2
    return np.hstack([centres - halves, centres + halves])
