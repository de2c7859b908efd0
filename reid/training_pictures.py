"""The pictures that a training sees, decoded once, and the batches made of them."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import cpu_count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.augment import Augmenter
from reid.data import Dataset, ImageStore, PictureError, Record
from reid.errors import ReidError
from reid.preprocess import Preprocess

log = logging.getLogger(__name__)

SKIPPED_SHOWN = 10
"""So many unreadable pictures are named; the others are counted."""

BATCHES_AHEAD = 4
"""So many batches wait for the network, made by as many threads at most."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPictures:
    """The N pictures to learn from, in memory.

    Attributes:
        images: (N, H, W, 3) BGR, at the size of the network's input.
        labels: (N,) person of each, from 0 without gaps over all datasets.
        sources: (N,) where each comes from.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    sources: tuple[tuple[Dataset, Record], ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def people(self) -> int:
        """How many people there are."""
        return int(self.labels.max()) + 1

    def name(self, row: int) -> str:
        """Which picture this is, for messages."""
        dataset, record = self.sources[row]
        return f"{dataset.name}:{record.path}"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        images: (B, H, W, 3) uint8 BGR, augmented.
        labels: (B,) person of each.
        rows: (B,) which pictures of the training set.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


def read_training_pictures(datasets: Sequence[Dataset], preprocess: Preprocess) -> TrainingPictures:
    """Decode and resize the training pictures of all datasets, which have no person in common.

    Pictures that cannot be read are left out, named and counted in the log.

    Raises:
        ReidError: Nothing is left to learn from.
    """
    sources = [(dataset, record) for dataset in datasets for record in dataset.train]
    with ThreadPoolExecutor(cpu_count()) as pool:
        results = list(pool.map(lambda source: _read(source[0].images, source[1], preprocess), sources))
    skipped = [result for result in results if isinstance(result, str)]
    for reason in skipped[:SKIPPED_SHOWN]:
        log.warning("left out: %s", reason)
    if skipped:
        log.warning("%d of %d training pictures cannot be read and were left out", len(skipped), len(sources))
    images = [result for result in results if not isinstance(result, str)]
    if not images:
        raise ReidError("no picture to train on; give datasets with --data market1501=PATH")
    kept = [source for source, result in zip(sources, results, strict=True) if not isinstance(result, str)]
    place = {id(dataset): number for number, dataset in enumerate(datasets)}
    people = [(place[id(dataset)], record.person) for dataset, record in kept]
    return TrainingPictures(
        images=np.stack(images),
        labels=np.unique(people, axis=0, return_inverse=True)[1].astype(np.int64),
        sources=tuple(kept),
    )


def _read(images: ImageStore, record: Record, preprocess: Preprocess) -> NDArray[np.uint8] | str:
    try:
        return preprocess.resize(images.read(record))
    except PictureError as error:
        return str(error)


def augmented_batches(
    pictures: TrainingPictures, rows: Sequence[Sequence[int]], augment: Augmenter, seed: int, epoch: int
) -> Iterator[Batch]:
    """The batches of an epoch in order, made ahead by threads.

    Each batch has a generator of its own from (seed, epoch, number of the batch), so neither threads nor a
    resumed run change what is drawn.
    """

    def make(number: int) -> Batch:
        rng = np.random.default_rng((seed, epoch, number))
        chosen = np.asarray(rows[number])
        images = np.stack([augment(pictures.images[row], rng) for row in chosen])
        return Batch(
            torch.from_numpy(images), torch.from_numpy(pictures.labels[chosen]), torch.from_numpy(chosen)
        )

    with ThreadPoolExecutor(min(BATCHES_AHEAD, cpu_count() or 1)) as pool:
        numbers = iter(range(len(rows)))
        waiting: list[Future[Batch]] = [
            pool.submit(make, number) for number in islice(numbers, BATCHES_AHEAD)
        ]
        try:
            while waiting:
                batch = waiting.pop(0).result()
                waiting += [pool.submit(make, number) for number in islice(numbers, 1)]
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def network_input(images: Tensor, preprocess: Preprocess) -> Tensor:
    """(B, H, W, 3) uint8 BGR as (B, 3, H, W) float32 RGB, normalised where the images lie, channels last.

    The same numbers as `Preprocess.normalise`, without moving four times as many bytes to a GPU.
    """
    mean, std = (
        torch.tensor(values, device=images.device).view(3, 1, 1)
        for values in (preprocess.mean, preprocess.std)
    )
    return (images.flip(-1).permute(0, 3, 1, 2).float() / 255 - mean) / std
