"""YOLO and RT-DETR through ultralytics. The only file that imports it: it is AGPL-3.0."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from foundation.arrays import Image
from foundation.errors import ReuniteError
from foundation.extras import install_hint
from foundation.weights import WEIGHTS_VARIABLE, find_weights, weights_folder
from tracker.config import UltralyticsDetectorConfig
from tracker.detectors.yolo_layout import person_class, read_names
from tracker.types import Detections, State, Tick

QUIET_ENVIRONMENT = {
    "YOLO_AUTOINSTALL": "false",  # a tracker never runs pip
    "YOLO_OFFLINE": "true",  # no usage events, no version check; downloads still work
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",  # torch.load(weights_only=True) for .pt files
}
"""What ultralytics reads once, when it is imported."""

NAMES_UNKNOWN = 999
"""How many classes ultralytics gives a model that does not say how many it has."""


class UltralyticsDetector:
    """Any model of ``ultralytics.YOLO`` that knows people; all frames of one size are one batch.

    Most exports are run without it, and faster, by `tracker.detectors.exported_yolo`.
    """

    ticks_at_once = 1

    def __init__(self, config: UltralyticsDetectorConfig) -> None:
        """Find, if need be download, and load the weights.

        Raises:
            ReuniteError: ultralytics is not installed, the weights cannot be had or loaded, or the model
                does not know people.
        """
        self._config, self._image_size_px = config, config.image_size_px
        yolo = _import_yolo()
        path = _locate(config)
        try:
            # Exports do not say their task before they are loaded; .pt files do, and it is compared below.
            self._model = yolo(str(path), task=None if path.suffix == ".pt" else "detect")
            names = read_names(self._model.names)
        except Exception as error:  # noqa: BLE001 - it raises anything from TypeError to pickle errors
            raise ReuniteError(
                f"{path}: ultralytics cannot load it: {' '.join(str(error).split())}"
            ) from None
        if self._model.task not in ("detect", "segment", "pose"):
            raise ReuniteError(f"{path}: its task is {self._model.task!r}; a detector of people is needed")
        if names == {
            number: f"class{number}" for number in range(NAMES_UNKNOWN)
        }:  # ultralytics' own invention
            names = None
        num_classes = len(names) if names else NAMES_UNKNOWN
        if path.suffix == ".pt" and not _is_finite(self._model.model):
            raise ReuniteError(f"{path}: holds weights that are no numbers; take a whole file of it")
        self._person_class = person_class(path, names, config.person_class, num_classes)
        self._is_half = _has_gpu()

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame; see `Detector`."""
        # One batch for each picture size: in a mixed batch a picture would be scaled by what stands beside
        # it, and the people of one camera would depend on the other cameras.
        by_size: dict[tuple[int, int], list[int]] = {}
        for place, frame in enumerate(tick.frames):
            by_size.setdefault(frame.size, []).append(place)
        people: dict[int, Detections] = {}
        for places in by_size.values():
            batch = self._detect_batch([tick.frames[place].image for place in places])
            people.update(zip(places, batch, strict=True))
        return [people[place] for place in range(len(tick.frames))]

    def state(self) -> State:
        """Nothing: every frame stands alone."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take up."""

    def resize(self, share: float) -> bool:
        """See `Resizable`; sides are multiples of 32."""
        self._image_size_px = max(32, round(self._config.image_size_px * share / 32) * 32)
        return True

    def _detect_batch(self, images: Sequence[Image]) -> list[Detections]:
        results = self._model.predict(
            [np.ascontiguousarray(image) for image in images],
            classes=[self._person_class],
            conf=self._config.min_score,
            iou=self._config.max_iou,
            imgsz=self._image_size_px,
            verbose=False,
            save=False,
            half=self._is_half,
        )
        return [_to_detections(result.boxes.data.cpu().numpy()) for result in results]


def _to_detections(rows: Any) -> Detections:
    """(N, 6) x1, y1, x2, y2, score, class to Detections; boxes that the picture's edge left empty go."""
    rows = rows.astype(np.float64)
    rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]
    return Detections(rows[:, :4], rows[:, 4])


def _is_finite(network: Any) -> bool:
    """Whether all its weights are numbers: with NaN in it ultralytics would find nobody, and say nothing."""
    return all(
        bool(value.isfinite().all()) for value in network.state_dict().values() if value.is_floating_point()
    )


def _import_yolo() -> Any:
    os.environ.update(QUIET_ENVIRONMENT)
    threads, omp = cv2.getNumThreads(), os.environ.get("OMP_NUM_THREADS")
    with tempfile.TemporaryDirectory(prefix="reunite-") as settings:
        # It writes a settings file as soon as it is imported, and the user has not asked for one.
        os.environ.setdefault("YOLO_CONFIG_DIR", settings)
        try:
            from ultralytics import YOLO  # type: ignore[attr-defined]
        except ModuleNotFoundError as error:
            raise ReuniteError(
                f"detector.kind=ultralytics needs {error.name}, which is not installed: "
                f"{install_hint('ultralytics')}; or take detector.kind=onnx or detector.kind=embedded"
            ) from None
        finally:
            if os.environ["YOLO_CONFIG_DIR"] == settings:
                del os.environ["YOLO_CONFIG_DIR"]
            # It also turns OpenCV's and OpenMP's threads off for the whole process.
            cv2.setNumThreads(threads)
            if omp is None:
                os.environ.pop("OMP_NUM_THREADS", None)
    return YOLO


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _locate(config: UltralyticsDetectorConfig) -> Path:
    folder = weights_folder(config.weights_folder)
    found = find_weights(config.weights, folder)
    if found is not None:
        return found
    name = Path(config.weights).name
    reason = "there is no such file"
    if name == config.weights and name.endswith(".pt"):
        from ultralytics.utils.downloads import attempt_download_asset

        try:
            folder.mkdir(parents=True, exist_ok=True)
            attempt_download_asset(folder / name)
        except Exception as error:  # noqa: BLE001 - network, disk and server errors of several libraries
            said = re.sub(r"^\W+", "", " ".join(str(error).split()))  # it begins with a picture of a cross
            reason = f"it cannot be downloaded ({said})"
        else:
            if (folder / name).is_file():
                return folder / name
            reason = "ultralytics offers no file of this name for download"
    raise ReuniteError(
        f"detector.weights: no {config.weights!r} here or in {folder}, and {reason}; put the file into that "
        f"folder, name another one with detector.weights_folder or {WEIGHTS_VARIABLE}, or take "
        "detector.kind=embedded, which needs no weights"
    )
