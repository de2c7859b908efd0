"""The pictures that a training sees, decoded once, and the batches made of them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from os import cpu_count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.augment import Augmenter
from reid.data import Dataset, ImageStore, Known, PictureError, Record
from reid.judging import Embed
from reid.preprocess import Preprocess
from reid.retrieval import DISTRACTOR
from reid.sampling import NOBODY, TRIPLET
from reid.views import Views

log = logging.getLogger(__name__)

SKIPPED_SHOWN = 10
"""This many unreadable pictures are named; the others are counted."""

EMBED_AT_ONCE = 128
"""Pictures of one forward pass where nothing is learnt."""

BATCHES_AHEAD = 4
"""This many batches wait for the network, made by as many threads at most."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPictures:
    """The N pictures to learn from, in memory.

    Attributes:
        images: (N, H, W, 3) BGR, at the size at which they are augmented; of a network that takes pictures as
            they are, N objects (H, W, 3) each of its own size.
        labels: (N,) person of each, from 0 without gaps over all datasets; `NOBODY` without an identity.
        sources: (N,) where each comes from.
        known: (N, ...) labels by kind, NaN where nothing is known; ``attribute_shares`` says in every row of
            how many pictures each attribute is true.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    sources: tuple[tuple[Dataset, Record], ...]
    known: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def people(self) -> int:
        """How many people there are."""
        return int(self.labels.max(initial=NOBODY)) + 1

    @property
    def datasets(self) -> list[str]:
        """(N,) name of the data set of each."""
        return [dataset.name for dataset, _ in self.sources]

    def at_size_of(self, preprocess: Preprocess, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The pictures of these rows (B, height, width, 3) as a network takes them, not augmented."""
        return _resized(self.images[rows], preprocess)

    def name(self, row: int) -> str:
        """Which picture this is, for messages."""
        dataset, record = self.sources[row]
        return f"{dataset.name}:{record.path}"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step sees.

    Attributes:
        images: (B, H, W, 3) uint8 BGR, augmented, at the size of the network's input; in parts where they
            have several sizes or shall not be seen at once.
        labels: (B,) person of each; `NOBODY` without an identity, or where two pictures are mixed.
        rows: (B,) which pictures of the training set.
        augmented: B pictures (H, W, 3) at the size at which they were augmented; of one that `Views` keep, as
            in ``images``, since no teacher looks at it again.
        known: (B, ...) of `TrainingPictures.known`.
    """

    images: tuple[Tensor, ...]
    labels: Tensor
    rows: Tensor
    augmented: Sequence[NDArray[np.uint8]]
    known: Mapping[str, Tensor]

    def groups(self) -> Iterator["Batch"]:
        """What has a loss of its own: all of it, or each triplet where pictures come one after the other."""
        if len(self.images) == 1:
            yield self
            return
        for start in range(0, len(self.images), TRIPLET):
            part = slice(start, start + TRIPLET)
            known = {kind: values[part] for kind, values in self.known.items()}
            yield Batch(self.images[part], self.labels[part], self.rows[part], self.augmented[part], known)


def read_training_pictures(
    datasets: Sequence[Dataset], preprocess: Preprocess, size: tuple[int, int] | None = None
) -> TrainingPictures:
    """Decode and resize the training pictures of all datasets, which have no person in common.

    Pictures that cannot be read are left out, named and counted in the log. ``size`` (height, width) is that
    of the network's input unless given.

    Raises:
        ReuniteError: Nothing is left to learn from.
    """
    sources = [(dataset, record) for dataset in datasets for record in (*dataset.train, *dataset.unlabelled)]
    if preprocess.keep_aspect and size:
        raise ReuniteError("augment.size: this network takes pictures in their own proportions; leave it out")
    kept_at = replace(preprocess, height=size[0], width=size[1]) if size else preprocess
    with ThreadPoolExecutor(cpu_count()) as pool:
        results = list(pool.map(lambda source: _read(source[0].images, source[1], kept_at), sources))
    skipped = [result for result in results if isinstance(result, str)]
    for reason in skipped[:SKIPPED_SHOWN]:
        log.warning("left out: %s", reason)
    if skipped:
        log.warning("%d of %d training pictures cannot be read and were left out", len(skipped), len(sources))
    images = [result for result in results if not isinstance(result, str)]
    if not images:
        raise ReuniteError("no picture to train on; give datasets with --data market1501=PATH")
    kept = [source for source, result in zip(sources, results, strict=True) if not isinstance(result, str)]
    place = {id(dataset): number for number, dataset in enumerate(datasets)}
    people = np.array([(place[id(dataset)], record.person) for dataset, record in kept], np.int64)
    labels = np.full(len(kept), NOBODY)
    shows_somebody = people[:, 1] > DISTRACTOR
    labels[shows_somebody] = np.unique(people[shows_somebody], axis=0, return_inverse=True)[1].ravel()
    known = labels_beside_people(kept)
    if not preprocess.keep_aspect:
        return TrainingPictures(np.stack(images), labels, tuple(kept), known)
    of_any_size = np.empty(len(images), np.object_)
    of_any_size[:] = images
    return TrainingPictures(of_any_size, labels, tuple(kept), known)


def labels_beside_people(sources: Sequence[tuple[Dataset, Record]]) -> dict[str, NDArray[np.float32]]:
    """What `TrainingPictures.known` says of these pictures.

    Raises:
        ReuniteError: Data sets name different key points or attributes.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for kind in ("key_points", "attributes"):
        named = {dataset.known.names[kind] for dataset, _ in sources if kind in dataset.known.names}
        if len(named) > 1:
            raise ReuniteError(f"the data sets have different {kind}: give data that agree, or one at a time")
        for names in named:
            nothing = Known({kind: names})
            rows = [
                (dataset.known if kind in dataset.known.names else nothing).row(kind, record)
                for dataset, record in sources
            ]
            found[kind] = np.stack(rows)
    if "attributes" in found:
        values = found["attributes"]
        is_known = np.isfinite(values)
        shares = np.nan_to_num(values).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
        found["attribute_shares"] = np.broadcast_to(shares.astype(np.float32), values.shape)
    return found


def _read(images: ImageStore, record: Record, preprocess: Preprocess) -> NDArray[np.uint8] | str:
    try:
        return preprocess.resize(images.read(record))
    except PictureError as error:
        return str(error)


def augmented_batches(
    pictures: TrainingPictures,
    rows: Sequence[Sequence[int]],
    augment: Augmenter,
    preprocess: Preprocess,
    seed: int,
    view: int,
    one_by_one: bool = False,
    views: Views | None = None,
) -> Iterator[Batch]:
    """The batches of an epoch in order, made ahead by threads.

    A picture is changed by a generator of its own from (seed, view, picture), so neither threads nor a
    resumed run change what is drawn, and in another epoch with the same view it looks the same again.
    ``one_by_one``, and pictures in their own proportions, come in parts of one. What ``views`` keep is not
    made anew.
    """
    if views is not None:
        views.turn_to(view)

    def make(number: int) -> Batch:
        chosen = np.asarray(rows[number])
        labels = pictures.labels[chosen]
        augmented = []
        are_kept = views.are_kept(chosen) if views is not None else np.zeros(len(chosen), np.bool_)
        for place, row in enumerate(chosen):
            if views is not None and are_kept[place]:
                image, is_mixed = views.picture(row)
            else:
                rng = np.random.default_rng((seed, view, row))
                changed = augment(pictures.images[row], rng)
                image, is_mixed = augment.mixed(changed, pictures.images, rng)
            augmented.append(image)
            labels[place] = NOBODY if is_mixed else labels[place]
        if preprocess.keep_aspect or one_by_one:
            parts = [preprocess.resize(image)[None] for image in augmented]
        else:
            parts = [np.stack([preprocess.resize(image) for image in augmented])]
        images = tuple(map(torch.from_numpy, parts))
        known = {kind: torch.from_numpy(values[chosen]) for kind, values in pictures.known.items()}
        return Batch(images, torch.from_numpy(labels), torch.from_numpy(chosen), augmented, known)

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


def _resized(images: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    if images.shape[1:3] == (preprocess.height, preprocess.width):
        return images
    return np.stack([preprocess.resize(image) for image in images])


def network_input(images: Tensor, preprocess: Preprocess) -> Tensor:
    """(B, H, W, 3) uint8 BGR as (B, 3, H, W) float32 RGB, normalised where the images lie, channels last.

    The same numbers as `Preprocess.normalise`, without moving four times as many bytes to a GPU.
    """
    mean, std = (
        torch.tensor(values, device=images.device).view(3, 1, 1)
        for values in (preprocess.mean, preprocess.std)
    )
    return (images.flip(-1).permute(0, 3, 1, 2).float() / 255 - mean) / std


def embed_with(model: nn.Module, preprocess: Preprocess, device: torch.device) -> Embed:
    """How a network in training embeds pictures of any size; it is put into eval mode."""

    @torch.no_grad()
    def embed(images: Sequence[NDArray[np.uint8]]) -> EmbeddingArray:
        model.eval()
        at_once = 1 if preprocess.keep_aspect else EMBED_AT_ONCE
        found = []
        for start in range(0, max(1, len(images)), at_once):  # none is a batch, too
            prepared = torch.from_numpy(preprocess(images[start : start + at_once]))
            inputs = prepared.to(device, memory_format=torch.channels_last)
            found.append(model(inputs).embedding.float().cpu().numpy())
        return np.concatenate(found)

    return embed
