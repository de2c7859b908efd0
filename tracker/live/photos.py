"""Pictures that users send: decoded in bounds, embedded, and compared with everybody."""

import io
import threading
import warnings
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from tracker.build import build_detector, build_embedder
from tracker.config import RunConfig, load_config
from tracker.live.errors import ApiError
from tracker.live.labels import iso, thumb_of
from tracker.live.people import People
from tracker.live.rights import Viewer
from tracker.live.site import Site
from tracker.search.photo import embed_person, find_people, whole_picture
from tracker.search.ranking import rank_people
from tracker.stages import Detector, Embedder
from tracker.types import CameraName, Frame

MAX_PIXELS = 40_000_000
FORMATS = {"JPEG", "PNG", "WEBP"}
MIN_SIDE_PX = 8

SURE = 0.5
"""Whoever is at least so probable is named."""

MATCHES = 10

MAX_FOUND = 20
"""People of one photo who are compared with everybody."""


def decode(data: bytes) -> Image:
    """A picture (H, W, 3) BGR, upright; its size is looked at before it is unpacked.

    Raises:
        ApiError: It is none, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(data)) as header:
                kind, (width, height) = header.format, header.size
    except Pillow.DecompressionBombError:
        raise ApiError(413, "the picture has more than 40 million pixels") from None
    except Exception:  # noqa: BLE001  (a decoder of files from anywhere may raise whatever it likes)
        raise ApiError(415, "this is no JPEG, PNG or WebP picture") from None
    if kind not in FORMATS:
        raise ApiError(415, "this is no JPEG, PNG or WebP picture")
    if width * height > MAX_PIXELS:
        raise ApiError(413, f"the picture has {width} x {height} pixels, at most 40 million are taken")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < MIN_SIDE_PX:
        raise ApiError(415, "the picture is damaged, or too small to show anybody")
    return np.asarray(image, np.uint8)


def cut(image: Image, box: tuple[float, float, float, float]) -> Image:
    """The part of a picture in a box of shares.

    Raises:
        ApiError: There is nothing in it.
    """
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (
        round(min(max(share, 0.0), 1.0) * side) for share, side in zip(box, (width, height) * 2, strict=True)
    )
    if x2 - x1 < MIN_SIDE_PX or y2 - y1 < MIN_SIDE_PX:
        raise ApiError(422, "the box is too small to show anybody")
    return image[y1:y2, x1:x2]


class Photos:
    """Answers who is on a picture; the network is loaded when it is first asked."""

    def __init__(self, site: Site, people: People) -> None:
        self._site, self._people = site, people
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._detector: Detector | None = None

    def config(self) -> RunConfig:
        """What the run is set to.

        Raises:
            ReuniteError: No run has been here yet.
        """
        path = self._site.config
        if not path.exists():
            raise ReuniteError("nothing has been tracked here yet")
        return load_config(path)

    def embed(self, image: Image) -> tuple[EmbeddingArray, str]:
        """What the network makes of this picture (D,), which one person fills; and which network."""
        with self._lock:  # networks are not made to be called by two threads at once
            if self._embedder is None:
                self._embedder = build_embedder(self.config().embedder)
            photo = Frame(CameraName("photo"), 1, 0.0, image)
            return embed_person(photo, whole_picture(photo), self._embedder), str(self._embedder.network)

    def search(self, image: Image, viewer: Viewer) -> dict[str, Any]:
        """Who of all people is on this picture, which one person fills."""
        return self._rank(self.embed(image)[0], viewer)

    def find(self, image: Image, viewer: Viewer) -> list[dict[str, Any]] | None:
        """Everybody on a picture from left to right, and who that is.

        None where the detector of the run needs more than a picture: motion, or a file.
        """
        config = self.config().detector
        if config.kind in ("embedded", "file"):
            return None
        height, width = image.shape[:2]
        photo = Frame(CameraName("photo"), 1, 0.0, image)
        with self._lock:
            if self._detector is None:
                self._detector = build_detector(config, {})
            found = find_people(photo, self._detector, config.likely_score)[:MAX_FOUND]
        answers = []
        for box in (found.boxes / (width, height, width, height)).clip(0.0, 1.0).round(4).tolist():
            try:
                part = cut(image, (box[0], box[1], box[2], box[3]))
            except ApiError:  # too small to be told apart from nobody
                continue
            answers.append({"box": box, **self.search(part, viewer)})
        return answers

    def similar(self, person: int, viewer: Viewer) -> dict[str, Any]:
        """Who of all others looks like this person."""
        with self._people.gallery() as gallery:
            known = gallery.appearances() if gallery else None
        own = None if known is None else known.embeddings[known.numbers == person].astype(np.float32)
        if own is None or not len(own):
            raise ApiError(404, f"it is not known yet what person {person} looks like", "unknown_person")
        mean = own.sum(axis=0)
        return self._rank(mean / np.linalg.norm(mean), viewer, without=person)

    def _rank(self, embedding: EmbeddingArray, viewer: Viewer, without: int = 0) -> dict[str, Any]:
        config = self.config()
        with self._people.gallery() as gallery:
            known = gallery.appearances() if gallery else None
        nobody: dict[str, Any] = {"person": None, "nobody_probability": 1.0, "people": []}
        if known is None:
            return nobody
        seen = {row[0]: row[2] for row in self._people.seen(viewer)}
        hidden = self._people.hidden()
        is_shown = np.array([it in seen and it not in hidden and it != without for it in known.numbers])
        known = known[np.asarray(is_shown, np.bool_)]
        if not len(known):
            return nobody
        if known.embeddings.shape[1] != len(embedding):
            raise ApiError(409, "the people here were seen by another network; start the tracker again")
        ranked = rank_people(known, embedding, config.identity.similarity)
        rows = zip(
            ranked.numbers.tolist(), ranked.probabilities.tolist(), ranked.cosines.tolist(), strict=True
        )
        people = [
            {
                "person": number,
                **self._people.labels.person(number),
                "probability": round(probability, 4),
                "similarity": round(cosine, 3),
                "last_seen": iso(seen[number]),
                "thumb": thumb_of(number),
            }
            for number, probability, cosine in list(rows)[:MATCHES]
        ]
        is_sure = people[0]["probability"] >= SURE
        return {
            "person": people[0]["person"] if is_sure else None,
            "nobody_probability": round(ranked.nobody, 4),
            "people": people,
        }
