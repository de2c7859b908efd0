"""What a better network says about the training pictures, computed once and kept beside the run."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foundation.files import open_whole
from reid.errors import ReidError
from reid.retrieval import normalise
from reid.runtime import Embedder, open_embedder
from reid.training_pictures import Batch, TrainingPictures

log = logging.getLogger(__name__)

PICTURES_AT_ONCE = 64
"""So many pictures are decoded and embedded together."""

LINE_EVERY = 32
"""Parts between two lines of progress."""


class Teacher:
    """What a better network says about pictures.

    Attributes:
        bank: (N, E) its embeddings of all training pictures, each of length 1.
    """

    def __init__(self, bank: Tensor, live: Embedder | None) -> None:
        """``live`` looks at the batches themselves; None says of each picture what stands in the bank."""
        self.bank, self._live = bank, live

    def targets(self, batch: Batch) -> Tensor:
        """(B, E) what the student should say of the pictures of a batch; where the bank lies."""
        if self._live is None:
            return self.bank[batch.rows.to(self.bank.device)]
        return torch.from_numpy(self._live.embed(list(batch.images.numpy()))).to(self.bank.device)


def teacher_embeddings(
    teacher: Path, convention: str | None, pictures: TrainingPictures, cache_folder: Path
) -> NDArray[np.float32]:
    """(N, E) embeddings of the training pictures, each of length 1 and the mean with the mirror image.

    The teacher sees the pictures as they lie in the dataset, in their own size and not augmented. They
    are computed once for each teacher and list of pictures; runs beside each other share the file
    ``teacher-*.npy``.

    Raises:
        ReidError: The teacher cannot be opened.
    """
    cache = cache_folder / f"teacher-{_fingerprint(teacher, convention, pictures)}.npy"
    if cache.exists():
        return np.asarray(np.load(cache, allow_pickle=False), np.float32)
    embedder = open_embedder(teacher, convention=convention)
    log.info("the teacher looks at %d pictures once: %s", len(pictures), teacher)
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


def _fingerprint(teacher: Path, convention: str | None, pictures: TrainingPictures) -> str:
    """16 hexadecimal digits that change with the teacher's files and the pictures, as the student has them.

    Names alone would not do: people of one's own are often called alike.
    """
    digest = hashlib.sha256(str(convention).encode())
    try:
        digest.update(teacher.read_bytes())
        weights = teacher.with_suffix(".bin")  # an OpenVINO model keeps its weights there
        if weights != teacher and weights.exists():
            digest.update(weights.read_bytes())
    except OSError as error:
        raise ReidError(f"{teacher}: cannot read the teacher ({error.strerror})") from None
    for row in range(len(pictures)):
        digest.update(pictures.name(row).encode())
    digest.update(pictures.images.data)
    return digest.hexdigest()[:16]
