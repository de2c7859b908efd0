"""Folders of images, and MOTChallenge sequences with or without their pictures -> frames."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from foundation.arrays import Image
from foundation.errors import ReuniteError
from foundation.images import numbered_images, sequence_images, sequence_info
from foundation.mot_files import SequenceInfo
from foundation.video import UnreadableError
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera, Kind
from tracker.stages import CameraReport
from tracker.types import Frame, blank_image


class ImageReader:
    """Reads the images of a folder, or of a sequence, one frame each.

    Frames of a sequence take their numbers from the file names (000007.jpg is frame 7), as its
    detections and ground truth do; other images are numbered from 1 in natural order.

    Raises:
        UnreadableError: There are no images, or seqinfo.ini cannot be used.
    """

    def __init__(self, camera: Camera, config: SourceConfig, info: SequenceInfo | None) -> None:
        self._camera = camera
        folder, is_sequence = Path(camera.address), camera.kind is Kind.SEQUENCE
        self._rate = info.frame_rate if info else config.image_frame_rate
        self.frame_period_s = 1 / self._rate
        self.created: datetime | None = None
        folder = sequence_images(folder, info) if is_sequence else folder
        self._images = numbered_images(folder, by_name=is_sequence)
        if not self._images:
            raise UnreadableError(f"{folder}: holds no images")
        self.report = CameraReport(expected_frames=max(len(self._images), info.length if info else 0))

    def frames(self) -> Iterator[Frame]:
        """A frame for each image that can be read; the others leave gaps and are named in the report."""
        first_bad, read = "", 0
        for number, path in self._images:
            image = read_image(path)
            if image is None:
                first_bad = first_bad or path.name
                continue
            read += 1
            yield Frame(self._camera.name, number, (number - 1) / self._rate, image)
        if read < self.report.expected_frames:
            count = f"only {read} of {self.report.expected_frames} images could be read"
            named = f"; the first bad one is {first_bad}" if first_bad else ""
            self.report.problem = f"{self._camera.address}: {count}{named}"

    def close(self) -> None:
        """Nothing is held open."""


class BlankReader:
    """Gives black frames of a sequence that came without its pictures, for detections from a file."""

    def __init__(self, camera: Camera, info: SequenceInfo) -> None:
        self._camera, self._info = camera, info
        self.frame_period_s = 1 / info.frame_rate
        self.created: datetime | None = None
        self.report = CameraReport(expected_frames=info.length, has_pictures=False)

    def frames(self) -> Iterator[Frame]:
        """As many frames as seqinfo.ini says."""
        image = blank_image(self._info.width, self._info.height)
        for index in range(self._info.length):
            yield Frame(self._camera.name, index + 1, index / self._info.frame_rate, image)

    def close(self) -> None:
        """Nothing is held open."""


def open_sequence(camera: Camera, config: SourceConfig) -> ImageReader | BlankReader:
    """The pictures of a MOTChallenge sequence, or black frames where it has none.

    Raises:
        UnreadableError: It has neither pictures nor a seqinfo.ini, or one that cannot be used.
    """
    folder = Path(camera.address)
    try:
        info = sequence_info(folder)
    except ReuniteError as error:
        raise UnreadableError(str(error)) from None
    if sequence_images(folder, info).is_dir():
        return ImageReader(camera, config, info)
    if info is None:
        raise UnreadableError(f"{folder}: has neither pictures (img1/) nor a seqinfo.ini")
    return BlankReader(camera, info)


def read_image(path: Path) -> Image | None:
    """(H, W, 3) BGR, upright as its EXIF data asks; None if it cannot be read."""
    try:
        data = np.fromfile(path, np.uint8)  # unlike cv2.imread: any path, and no warning on stderr
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else image.astype(np.uint8, copy=False)
