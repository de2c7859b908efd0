"""What a better network says about the training pictures, computed once and kept beside the run."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foundation.errors import ReuniteError
from foundation.files import open_whole
from reid.retrieval import normalise
from reid.runtime import Embedder, open_embedder
from reid.sampling import NOBODY
from reid.training_pictures import Batch, TrainingPictures
from reid.views import Views

log = logging.getLogger(__name__)

PICTURES_AT_ONCE = 64
"""This many pictures are decoded and embedded together."""

LINE_EVERY = 32
"""Parts between two lines of progress."""


class Teacher:
    """What better networks say about pictures.

    Attributes:
        bank: (N, E) their embeddings of all training pictures, each of length 1; (0, E) where nobody asks.
        views: Keeps what they say of augmented views; None where it is not kept.
    """

    def __init__(self, bank: Tensor, live: "Teachers | None", views: Views | None = None) -> None:
        """``live`` looks at the batches themselves; None says of each picture what stands in the bank."""
        self.bank, self._live, self.views = bank, live, views

    def targets(self, batch: Batch, view: int) -> Tensor:
        """(B, E) what the student should say of the pictures of a batch, which show this view."""
        if self._live is None:
            return self.bank[batch.rows.to(self.bank.device)]
        if self.views is None:
            return torch.from_numpy(self._live.embed(list(batch.augmented))).to(self.bank.device)
        rows = batch.rows.numpy()
        self.views.turn_to(view)
        self.views.keep(rows, batch.images[0].numpy(), (batch.labels == NOBODY).numpy())
        return torch.from_numpy(self.views.answers(rows, batch.augmented, self._live.embed)).to(
            self.bank.device
        )


class Teachers:
    """One network or several, asked as one: the cosine of two pictures is the mean of theirs."""

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        self._embedders = embedders
        self.embedding_length = sum(embedder.embedding_length for embedder in embedders)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """(B, E) of length 1, for B pictures."""
        each = [embedder.embed(images) for embedder in self._embedders]
        joined: NDArray[np.float32] = np.concatenate(each, axis=1) / np.sqrt(np.float32(len(each)))
        return joined


def open_teachers(paths: Sequence[Path], convention: str | None) -> Teachers:
    """Open networks as one teacher.

    Raises:
        ReuniteError: One cannot be opened.
    """
    return Teachers([open_embedder(path, convention=convention) for path in paths])


def teacher_embeddings(
    paths: Sequence[Path], convention: str | None, pictures: TrainingPictures, cache_folder: Path
) -> NDArray[np.float32]:
    """(N, E) embeddings of the training pictures, each of length 1 and the mean with the mirror image.

    The teacher sees the pictures as they lie in the dataset, in their own size and not augmented. They
    are computed once for each teacher and list of pictures; runs beside each other share the file
    ``teacher-*.npy``.

    Raises:
        ReuniteError: The teacher cannot be opened.
    """
    cache = cache_folder / f"teacher-{fingerprint(paths, convention, pictures)}.npy"
    if cache.exists():
        return np.asarray(np.load(cache, allow_pickle=False), np.float32)
    embedder = open_teachers(paths, convention)
    log.info("the teacher looks at %d pictures once: %s", len(pictures), ", ".join(map(str, paths)))
    rows = []
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        images = [
            dataset.images.read(record)
            for dataset, record in pictures.sources[start : start + PICTURES_AT_ONCE]
        ]
        mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        rows.append(normalise(embedder.embed(images)) + normalise(embedder.embed(mirrored)))
        if start // PICTURES_AT_ONCE % LINE_EVERY == LINE_EVERY - 1:
            log.info("the teacher has seen %d of %d pictures", start + len(images), len(pictures))
    embeddings = normalise(np.concatenate(rows))
    cache_folder.mkdir(parents=True, exist_ok=True)
    with open_whole(cache) as file:
        np.save(file, embeddings, allow_pickle=False)
    return embeddings


def fingerprint(paths: Sequence[Path], *parts: object) -> str:
    """16 hexadecimal digits that change with the teachers' files, the pictures in memory, and the rest.

    Names of pictures alone would not do: people of one's own are often called alike.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(path.read_bytes())
            weights = path.with_suffix(".bin")  # an OpenVINO model keeps its weights there
            if weights != path and weights.exists():
                digest.update(weights.read_bytes())
        except OSError as error:
            raise ReuniteError(f"{path}: cannot read the teacher ({error.strerror})") from None
    for part in parts:
        if isinstance(part, TrainingPictures):
            for row in range(len(part)):
                digest.update(part.name(row).encode())
            digest.update(part.images.data)
        else:
            digest.update(str(part).encode())
    return digest.hexdigest()[:16]
