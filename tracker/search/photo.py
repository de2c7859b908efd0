"""A photo, and the person on it whom somebody asks for."""

from pathlib import Path

import numpy as np

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from tracker.geometry import pixel_boxes
from tracker.sources.addresses import VIDEO_SUFFIXES
from tracker.sources.images import read_image
from tracker.stages import Detector, Embedder
from tracker.types import CameraName, Detections, Frame, Tick

MIN_WIDTH_PX, MIN_HEIGHT_PX = 8, 16
"""Whoever is smaller is told apart from nobody; docs/search.md has the measurement."""


def open_photo(path: Path) -> Frame:
    """The photo as the only frame of a camera of its name, upright.

    Raises:
        ReuniteError: It is not there, is something else, or is damaged.
    """
    if path.is_dir():
        raise ReuniteError(f"{path}: is a folder; name one picture in it")
    if not path.exists():
        raise ReuniteError(f"{path}: no such file; check the path of the photo")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise ReuniteError(f"{path}: is a video; save one picture of it, or track it: reunite track {path}")
    image = read_image(path)
    if image is None:
        raise ReuniteError(
            f"{path}: cannot be read as a picture; is it a whole JPEG, PNG, BMP, TIFF or WebP file, and may "
            "you read it?"
        )
    return Frame(CameraName(path.name), 1, 0.0, image)


def whole_picture(photo: Frame) -> Detections:
    """One person who fills the photo from edge to edge."""
    return Detections(np.array([[0.0, 0.0, *photo.size]]), np.ones(1))


def find_people(photo: Frame, detector: Detector, min_score: float) -> Detections:
    """The people on the photo from left to right; ``min_score`` is what a detection has at least."""
    (found,) = detector.detect(Tick(photo.time, (photo,)))
    found = found[found.scores >= min_score]
    return found[np.lexsort((found.boxes[:, 1], found.boxes[:, 0]))]


def cut_out(photo: Frame, person: Detections) -> Image:
    """The pixels (H, W, 3) BGR of one person.

    Raises:
        ReuniteError: The box lies outside the photo, so that there is nothing to see, or is too small.
    """
    ((x1, y1, x2, y2),) = pixel_boxes(person.boxes, photo).tolist()
    crop = photo.image[y1:y2, x1:x2]
    if not crop.size:
        raise ReuniteError(
            f"{photo.camera}: this person's box lies outside the picture; cut the person out and take --crop"
        )
    height, width = crop.shape[:2]
    if height < MIN_HEIGHT_PX or width < MIN_WIDTH_PX:
        raise ReuniteError(
            f"{photo.camera}: the person is {width} x {height} pixels, too small to be told apart from "
            f"others; take a picture on which they are {MIN_WIDTH_PX} x {MIN_HEIGHT_PX} or more"
        )
    return crop


def embed_person(photo: Frame, person: Detections, embedder: Embedder) -> EmbeddingArray:
    """What the network makes of one person, who is inside the photo: (D,), length 1."""
    (seen,) = embedder.embed(Tick(photo.time, (photo,)), [person], [np.ones(1, np.bool_)])
    embeddings: EmbeddingArray = seen.embeddings[0]
    return embeddings
