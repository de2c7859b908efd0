"""The files of a simulated world, put in place only when all of them are whole."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np

from foundation.arrays import FloatArray, Image
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, SequenceInfo, format_ground_truth, format_results, format_seqinfo
from tracker.simulate.cameras import Camera
from tracker.simulate.config import SimulationConfig
from tracker.simulate.truth import Truth

_OURS = re.compile(r"people|cam\d+(\.mp4)?|calibration\.json|\.unfinished-.*")
"""What ``overwrite`` may remove; the last one is what a killed run leaves."""


@contextmanager
def whole_or_nothing(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to write into, whose files move to ``out`` when the block ends well, and vanish otherwise.

    Raises:
        ReuniteError: ``out`` is no folder, cannot be written, or is not empty and ``overwrite`` is not set.
    """
    if out.exists() and not out.is_dir():
        raise ReuniteError(f"{out}: is a file; give the name of a folder to write to")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ReuniteError(
            f"{out}: is not empty; give another folder, or --force to replace an earlier simulation in it"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Inside OUT, so that moving is renaming on one disk; hidden, so that nobody takes it for a camera.
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
    except OSError as error:
        raise ReuniteError(f"{out}: cannot be written: {error.strerror}") from None
    try:
        yield unfinished
        for old in sorted(set(out.iterdir()) - {unfinished}):
            if _OURS.fullmatch(old.name):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        # The calibration comes last: where it is, all is.
        for path in sorted(unfinished.iterdir(), key=lambda path: path.name == "calibration.json"):
            path.rename(out / path.name)
    except OSError as error:
        raise ReuniteError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class CameraWriter:
    """Truth, detections and video of one camera, frame by frame; closes as a context manager."""

    def __init__(self, folder: Path, camera: Camera, config: SimulationConfig) -> None:
        own = folder / camera.name
        (own / "gt").mkdir(parents=True)
        (own / "det").mkdir()
        info = SequenceInfo(camera.name, config.frame_rate, config.frames, *camera.size)
        (own / "seqinfo.ini").write_text(format_seqinfo(info), encoding="ascii")
        self._truth = (own / "gt" / "gt.txt").open("w", encoding="ascii", newline="\n")
        self._detections = (own / "det" / "det.txt").open("w", encoding="ascii", newline="\n")
        self._video = (
            _Video(folder / f"{camera.name}.mp4", camera.size, config.frame_rate) if config.video else None
        )

    def write_truth(self, truth: Truth) -> None:
        """Add rows; people and frames count from 1 in the file."""
        rows = len(truth.frames)
        boxes = np.concatenate([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]], axis=1)
        ones = np.ones(rows, np.int64)
        visibility = np.round(truth.visibility, 3)
        table = MotTable(truth.frames + 1, truth.people + 1, boxes, ones.astype(float), ones, visibility)
        self._truth.write(format_ground_truth(table))

    def write_detections(self, detections: MotTable) -> None:
        """Add rows."""
        self._detections.write(format_results(detections))

    def write_frame(self, image: Image) -> None:
        """Add the next picture."""
        assert self._video is not None
        self._video.write(image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._truth.close()
        self._detections.close()
        if self._video:
            self._video.close()


class _Video:
    """H.264 in MP4 that comes out the same on every run: one thread, no word on when it was made."""

    def __init__(self, path: Path, size: tuple[int, int], frame_rate: float) -> None:
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact", "movflags": "+faststart"})
        rate = Fraction(frame_rate).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {
            "preset": "veryfast",
            "crf": "24",
            "g": "250",
            "threads": "1",
            "flags": "+bitexact",
            # With macroblock trees, 1000 equal encodings gave 16 different files (PyAV 18.1, one thread);
            # without them all 1000 were equal.
            "x264-params": "mbtree=0",
        }
        self._stream.codec_context.thread_count = 1

    def write(self, image: Image) -> None:
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def write_calibration(folder: Path, cameras: tuple[Camera, ...]) -> None:
    """calibration.json: name -> picture size, K, world -> camera (metres), image -> ground (metres), room."""
    values = {
        camera.name: {
            "size": list(camera.size),
            "intrinsics": _rounded(camera.intrinsics),
            "world_to_camera": _rounded(camera.world_to_camera),
            "image_to_ground": _rounded(camera.image_to_ground),
            "room": camera.room + 1,
        }
        for camera in cameras
    }
    (folder / "calibration.json").write_text(json.dumps(values, indent=1) + "\n", encoding="ascii")


def _rounded(matrix: FloatArray) -> list[list[float]]:
    """Twelve figures, and none of what is 0: the last bits may differ from one processor to the next."""
    return [[float(f"{value:.12g}") if abs(value) > 1e-12 else 0.0 for value in row] for row in matrix]
