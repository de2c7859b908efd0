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
from reid.training_pictures import Batch, TrainingPictures

log = logging.getLogger(__name__)

PICTURES_AT_ONCE = 64
"""This many pictures are decoded and embedded together."""

LINE_EVERY = 32
"""Parts between two lines of progress."""


class Teacher:
    """What better networks say about pictures.

    Attributes:
        bank: (N, E) their embeddings of all training pictures, each of length 1; (0, E) where nobody asks.
    """

    def __init__(self, bank: Tensor, live: "Teachers | None", views: "Views | None" = None) -> None:
        """``live`` looks at the batches themselves; None says of each picture what stands in the bank."""
        self.bank, self._live, self._views = bank, live, views

    def targets(self, batch: Batch, view: int) -> Tensor:
        """(B, E) what the student should say of the pictures of a batch, which show this view."""
        if self._live is None:
            return self.bank[batch.rows.to(self.bank.device)]
        if self._views is None:
            return torch.from_numpy(self._live.embed(list(batch.augmented))).to(self.bank.device)
        answers = self._views.of(view, batch.rows.numpy(), batch.augmented, self._live)
        return torch.from_numpy(answers).to(self.bank.device)


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


class Views:
    """What a teacher said of each augmented view of each picture, kept in files beside the run.

    A file holds one view: (N, E) float16, NaN where the teacher was not asked yet. It is filled as pictures
    come, so a run that is cut off loses nothing, and other students with the same pictures share it.
    """

    def __init__(self, folder: Path, fingerprint: str, shape: tuple[int, int]) -> None:
        self._folder, self._fingerprint, self._shape = folder, fingerprint, shape
        self._view, self._said = -1, np.empty(0, np.float16)

    def of(
        self, view: int, rows: NDArray[np.int64], images: Sequence[NDArray[np.uint8]], teachers: Teachers
    ) -> NDArray[np.float32]:
        """(B, E) what the teacher says of view ``view`` of the pictures ``rows`` (B,), as it shows them."""
        if view != self._view:
            self._view, self._said = view, self._open(view)
        unknown = np.flatnonzero(~np.isfinite(self._said[rows]).all(axis=1))
        if len(unknown):
            self._said[rows[unknown]] = teachers.embed([images[place] for place in unknown.tolist()])
        return self._said[rows].astype(np.float32)

    def _open(self, view: int) -> NDArray[np.float16]:
        path = self._folder / f"teacher-{self._fingerprint}-view{view}.npy"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part.npy")
            np.save(part, np.full(self._shape, np.nan, np.float16))
            part.replace(path)
        try:
            said = np.lib.format.open_memmap(path, mode="r+")
        except (OSError, ValueError) as error:
            raise ReuniteError(
                f"{path}: cannot be read ({error}); remove it, and the teacher is asked anew"
            ) from None
        if said.shape != self._shape or said.dtype != np.float16:
            raise ReuniteError(f"{path}: must hold {self._shape} numbers, holds {said.shape}; remove it")
        return said


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
