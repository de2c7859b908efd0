"""One picture of a person: who is on it, where it lies, and how it is read."""

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from foundation.arrays import Image
from foundation.errors import ReuniteError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


class DataError(ReuniteError):
    """A data set that cannot be used."""


class PictureError(ReuniteError):
    """One picture that cannot be read; whoever reads many leaves it out, names it and counts it."""


class Record(NamedTuple):
    """One picture of a person.

    Attributes:
        path: Where it lies in its `ImageStore`.
        person: From 1; -1 is junk, 0 a distractor.
        camera: From 1; 0 is unknown.
        tracklet: Pictures of one split with the same number, from 1, show a person passing a camera and are
            judged as one; 0 is a picture by itself.
    """

    path: str
    person: int
    camera: int
    tracklet: int = 0


class ImageStore(Protocol):
    """Where pictures lie. It holds no open file, so threads and processes may share it."""

    def read(self, record: Record) -> Image:
        """The picture: (H, W, 3) BGR.

        Raises:
            PictureError: It is not there, empty, cut off or no picture.
        """
        ...


@dataclass(frozen=True, slots=True)
class FolderImages:
    """Pictures as files below a folder."""

    root: Path

    def read(self, record: Record) -> Image:
        """As `ImageStore.read`."""
        path = self.root / record.path
        try:
            return decode(path.read_bytes(), str(path))
        except OSError as error:
            raise PictureError(f"{path}: cannot be read ({error.strerror})") from None


@dataclass(frozen=True, slots=True)
class TarImages:
    """Pictures in an uncompressed tar, read in place.

    Attributes:
        tar: The file.
        members: First byte and number of bytes of each file in it, by name.
    """

    tar: Path
    members: Mapping[str, tuple[int, int]]

    @classmethod
    def open(cls, tar: Path) -> "TarImages":
        """Read the table of contents.

        Raises:
            DataError: The file is not there or no uncompressed tar.
        """
        try:
            with tarfile.open(tar, "r:") as archive:
                files = {m.name: (m.offset_data, m.size) for m in archive if m.isfile()}
                # Zeros end a tar. Where it is cut off between two files, Python does not notice.
                is_cut = tar.stat().st_size < archive.offset + tarfile.BLOCKSIZE
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{tar}: cannot be read as an uncompressed tar ({error})") from None
        if is_cut:
            raise DataError(f"{tar}: cannot be read as an uncompressed tar (it is cut off)")
        return cls(tar, files)

    def read(self, record: Record) -> Image:
        """As `ImageStore.read`."""
        name = f"{self.tar}:{record.path}"
        if record.path not in self.members:
            raise PictureError(f"{name}: no such file in the tar")
        offset, size = self.members[record.path]
        try:
            with self.tar.open("rb") as file:
                file.seek(offset)
                return decode(file.read(size), name)
        except OSError as error:
            raise PictureError(f"{name}: cannot be read ({error.strerror})") from None


class Pictures(NamedTuple):
    """Pictures that could be read, and the names of those that could not.

    Attributes:
        images: BGR, any size.
        records: One for each image.
        skipped: Why, one sentence for each picture that was left out.
    """

    images: list[Image]
    records: list[Record]
    skipped: list[str]


def read_pictures(images: ImageStore, records: Iterable[Record]) -> Pictures:
    """Read all pictures; those that cannot be read are left out and named."""
    pictures = Pictures([], [], [])
    for record in records:
        try:
            image = images.read(record)
        except PictureError as error:
            pictures.skipped.append(str(error))
            continue
        pictures.images.append(image)
        pictures.records.append(record)
    return pictures


def decode(data: bytes, name: str) -> Image:
    """The picture in the bytes of a file: (H, W, 3) BGR.

    Raises:
        PictureError: Empty, cut off or no picture; OpenCV would return half a JPEG without a word.
    """
    if not data:
        raise PictureError(f"{name}: the file is empty")
    if data.startswith(JPEG_START) and JPEG_END not in data:
        raise PictureError(f"{name}: the JPEG is cut off")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise PictureError(f"{name}: no picture that OpenCV can read")
    return np.asarray(image, np.uint8)
