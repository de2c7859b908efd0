"""YOLO models that ultralytics exported to OpenVINO or ONNX, run without ultralytics: what counts is speed.

On pictures of the network's own shape the result is that of ``ultralytics.YOLO(...).predict``, within a
fraction of a pixel. What is left out is its Python between the frames (half as much work as the network),
PyTorch, and the grey bars beside a picture of another shape, which a network in OpenVINO need not look at.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import Image
from foundation.config import parse_yaml
from foundation.errors import ReuniteError
from foundation.images import is_hidden
from foundation.onnx_session import GPU, onnx_providers, open_onnx
from foundation.weights import find_weights, weights_folder
from tracker.config import UltralyticsDetectorConfig
from tracker.detectors.nms import suppress_overlaps
from tracker.detectors.openvino_yolo import (
    MAX_SUPPRESSED,
    STRIDES,
    UnknownOutputError,
    compile_yolo,
    read_yolo,
)
from tracker.detectors.yolo_layout import Layout, classes_of, find_layout, person_class, read_names, to_v8
from tracker.letterbox import letterbox
from tracker.types import Detections, Frame, State, Tick

GREY = 114
MAX_PEOPLE = 300
"""In one picture; the best ones stay, as ultralytics has it."""
MAX_STREAMS = 8
"""More would need much memory; beyond this many cores a stream has several threads."""
TASKS = ("detect", "segment", "pose")

Size = tuple[int, int]
"""Width and height in pixels."""
Infer = Callable[[Image], NDArray[np.float32]]
"""(H, W, 3) BGR to (4 + C + more, A): of each cell its box as centre and size in pixels, and class scores."""


class Network(NamedTuple):
    """An export, ready to be opened for pictures.

    Attributes:
        path: Its file.
        largest: Its input, or the largest that it may be.
        takes_any: Whether it can be opened for a smaller input, whose sides are multiples of 32.
        names: Of its classes; None where it does not say.
        num_classes: How many.
        streams: How many pictures it looks at at once.
        open: For an input of this size, one function for each stream.
    """

    path: Path
    largest: Size
    takes_any: bool
    names: dict[int, str] | None
    num_classes: int
    streams: int
    open: Callable[[Size], list[Infer]]


class ExportedYolo:
    """YOLO without objectness (v8 and later), one picture at a time on each of the streams of the runtime.

    A stream has few threads, often one, which needs less of the processor than all of them on one picture;
    what keeps it busy are the cameras of a tick and the ticks that come next.
    """

    def __init__(self, network: Network, config: UltralyticsDetectorConfig) -> None:
        """Take a network of `find_export`.

        Raises:
            ReuniteError: It does not know people.
        """
        self._network, self._config, self._share = network, config, 1.0
        self._person = person_class(network.path, network.names, config.person_class, network.num_classes)
        self._idle: dict[Size, SimpleQueue[Infer]] = {}  # by the size of the input
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(network.streams, thread_name_prefix="detect")

    @property
    def ticks_at_once(self) -> int:
        """As many as there are streams; it remembers nothing."""
        return self._network.streams

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame; see `Detector`."""
        return list(self._workers.map(self._detect_frame, tick.frames))

    def state(self) -> State:
        """Nothing: every frame stands alone."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""

    def resize(self, share: float) -> bool:
        """See `Resizable`."""
        self._share = share
        return self._network.takes_any

    def _detect_frame(self, frame: Frame) -> Detections:
        size = self._network.largest
        if self._network.takes_any:
            step = STRIDES[-1]
            width, height = (max(1, round(side * self._share / step)) * step for side in size)
            size = fitting_size(frame.size, (width, height))
        picture, scale, corner = letterbox(frame.image, size, GREY, interpolation=cv2.INTER_LINEAR)
        idle = self._requests(size)
        infer = idle.get()
        try:
            found = self._people(infer(picture))
        finally:
            idle.put(infer)
        boxes = np.clip((found.boxes - np.tile(corner, 2)) / scale, 0, np.tile(frame.size, 2))
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not so for NaN, either
        return Detections(boxes[has_area], found.scores[has_area])

    def _requests(self, size: Size) -> "SimpleQueue[Infer]":
        with self._lock:
            if size not in self._idle:
                self._idle[size] = SimpleQueue()
                for infer in self._network.open(size):
                    self._idle[size].put(infer)
            return self._idle[size]

    def _people(self, output: NDArray[np.float32]) -> Detections:
        """(4 + C + more, A) raw output to people in pixels of the network's input."""
        scores = output[4 + self._person]
        if not np.isfinite(scores.sum()):
            raise ReuniteError(f"{self._network.path}: the network gives no numbers; are its weights whole?")
        places = np.flatnonzero(scores >= self._config.min_score)
        classes = output[4 : 4 + self._network.num_classes, places]
        # Whatever is more a chair than a person is no person.
        places = places[classes.argmax(axis=0) == self._person]
        likeliest = scores[places].astype(np.float64)
        centres, sizes = output[:2, places].T.astype(np.float64), output[2:4, places].T.astype(np.float64)
        boxes = np.hstack([centres - sizes / 2, centres + sizes / 2])
        kept = suppress_overlaps(boxes, likeliest, self._config.max_iou)[:MAX_PEOPLE]
        return Detections(boxes[kept], likeliest[kept])


def fitting_size(picture: Size, largest: Size) -> Size:
    """The smallest input with sides of multiples of 32 that holds a picture as large as ``largest`` does."""
    scale = min(largest[0] / picture[0], largest[1] / picture[1])
    width, height = (-(-max(1, round(side * scale)) // STRIDES[-1]) * STRIDES[-1] for side in picture)
    return min(width, largest[0]), min(height, largest[1])


def find_export(config: UltralyticsDetectorConfig) -> Network | None:
    """The network that ``config.weights`` names, if it can be run here.

    That is an OpenVINO folder or an ONNX file of a YOLO that detects, segments or finds poses, without
    suppression inside; also of YOLOv5 and v7, and without a word on its classes. None for what ultralytics
    itself opens, or says what is wrong with.

    Raises:
        ReuniteError: It is no detector that anybody here knows.
    """
    path = find_weights(config.weights, weights_folder(config.weights_folder))
    if path is None:
        return None
    if path.is_dir():
        path = next((file for file in sorted(path.glob("*.xml")) if not is_hidden(file)), path)
    finder = {".xml": _find_openvino, ".onnx": _find_onnx}.get(path.suffix)
    try:
        return finder(path, config.image_size_px) if finder else None
    except UnknownOutputError:
        raise
    except Exception:  # noqa: BLE001 - of several libraries; ultralytics will say what is wrong
        return None


def _find_openvino(path: Path, open_size: int) -> Network | None:
    said = path.parent / "metadata.yaml"
    meta = parse_yaml(said.read_text(encoding="utf-8")) if said.is_file() else {}
    names = read_names(meta.get("names"))
    model = read_yolo(path, open_size)
    if model is None or meta.get("task", TASKS[0]) not in TASKS:
        return None
    num_classes = len(names) if names else model.channels - 4
    if model.channels < 4 + num_classes:
        return None
    streams = min(_cores(), MAX_STREAMS)
    takes_any = model.at_size((STRIDES[-1], STRIDES[-1])) is not None

    def open_it(size: Size) -> list[Infer]:
        return compile_yolo(model, size, streams)

    return Network(path, model.size, takes_any, names, num_classes, streams, open_it)


def _find_onnx(path: Path, open_size: int) -> Network | None:
    streams = 2 if GPU in onnx_providers() else min(_cores(), MAX_STREAMS)
    session = open_onnx(path, threads=max(1, _cores() // streams))
    meta = session.get_modelmeta().custom_metadata_map
    names = read_names(meta.get("names"))
    (entrance,) = session.get_inputs()
    is_open = not isinstance(entrance.shape[2], int)
    height, width = (open_size, open_size) if is_open else entrance.shape[2:]
    dtype = np.float16 if entrance.type == "tensor(float16)" else np.float32

    def run(picture: Image) -> NDArray[np.float32]:
        planes = cv2.dnn.blobFromImage(picture, 1 / 255, swapRB=True).astype(dtype, copy=False)
        return np.asarray(session.run(None, {entrance.name: planes})[0][0], np.float32)

    shape = run(np.full((height, width, 3), GREY, np.uint8)).shape
    if meta.get("task", TASKS[0]) not in TASKS:
        return None
    cells = sum((width // stride) * (height // stride) for stride in STRIDES)
    layout = find_layout(shape, len(names) if names else None, cells)
    if layout is None:
        if _is_known_to_ultralytics(shape):
            return None
        classes = f"{len(names)} classes" if names else "classes that it does not name"
        raise UnknownOutputError(
            f"{path}: is no YOLO that can be read: for {width}x{height} and {classes} it gives {shape}, "
            f"where {' or '.join(it.value for it in Layout)} are known, with A = {cells}; a YOLOX "
            "model needs detector.kind=onnx"
        )
    num_classes = len(names) if names else classes_of(shape, layout)

    def infer(picture: Image) -> NDArray[np.float32]:
        return to_v8(run(picture), layout, num_classes)

    return Network(path, (width, height), is_open, names, num_classes, streams, lambda _: [infer] * streams)


def _is_known_to_ultralytics(shape: tuple[int, ...]) -> bool:
    """Whether it is a list of at most 300 boxes: suppression inside, or RT-DETR."""
    return len(shape) == 2 and shape[0] <= MAX_SUPPRESSED and shape[1] >= 6


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
