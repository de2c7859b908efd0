"""Folders of images, and MOTChallenge sequences with or without their pictures -> frames."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tracker.config import SourceConfig
from tracker.errors import ReuniteError
from tracker.mot_files import SequenceInfo, read_seqinfo
from tracker.sources.addresses import Camera, Kind, list_images
from tracker.sources.video import UnreadableError
from tracker.stages import CameraReport
from tracker.types import Frame, Image, blank_image


class ImageReader:
    """Reads the images of a folder, or of a sequence, one frame each.

    Frames of a sequence take their numbers from the file names (000007.jpg is frame 7), as its
    detections and ground truth do; other images are numbered from 1 in natural order.

    Raises:
        UnreadableError: There are no images, or seqinfo.ini cannot be used.
    """

    def __init__(self, camera: Camera, config: SourceConfig, info: SequenceInfo | None) -> None:
        self._camera = camera
        folder = Path(camera.address)
        self._rate = info.frame_rate if info else config.image_frame_rate
        self.frame_period_s = 1 / self._rate
        if camera.kind is Kind.SEQUENCE:
            folder /= info.image_folder if info else "img1"
        images = list_images(folder)
        if not images:
            raise UnreadableError(f"{folder}: holds no images")
        self._images = list(enumerate(images, start=1))
        stems = [image.stem for image in images]
        if camera.kind is Kind.SEQUENCE and all(stem.isdecimal() for stem in stems):
            numbers = [int(stem) for stem in stems]
            if numbers[0] >= 1 and len(set(numbers)) == len(numbers):
                self._images = list(zip(numbers, images, strict=True))
        self.report = CameraReport(expected_frames=max(len(images), info.length if info else 0))

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
        info = read_seqinfo(folder / "seqinfo.ini") if (folder / "seqinfo.ini").exists() else None
    except ReuniteError as error:
        raise UnreadableError(str(error)) from None
    if (folder / (info.image_folder if info else "img1")).is_dir():
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
