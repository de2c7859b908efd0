"""Batches of P people with K pictures each, so that every picture meets its person and others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.config import BatchConfig

NOBODY = -1
"""Label of a picture without an identity."""

EmbedAll = Callable[[], EmbeddingArray]
"""(N, D) embeddings of length 1 of all training pictures, not augmented, by the network as it is now."""

TRIPLET = 3


class PersonSampler:
    """Deals the pictures of a training set into batches, anew for each epoch.

    The pictures of a person are shuffled and cut into groups of K; what is left over waits for another
    epoch, and whoever has fewer than K pictures gives one group in which pictures repeat. A batch draws P
    people with chances in proportion to the groups they have left, so that frequent people do not pile up
    at the end of the epoch. The epoch ends when fewer than P people have a group left.

    Source: In Defense of the Triplet Loss (Hermans et al. 2017, arXiv:1703.07737), section 2.
    """

    def __init__(self, labels: Sequence[int], people: int, pictures: int, seed: int) -> None:
        """Prepare the deal.

        Args:
            labels: Person of each picture.
            people: P, of a batch.
            pictures: K, of each person in a batch.
            seed: Other seeds deal otherwise.

        Raises:
            ReuniteError: There are fewer than P people.
        """
        self._of_person = [np.flatnonzero(np.asarray(labels) == person) for person in np.unique(labels)]
        if len(self._of_person) < people:
            raise ReuniteError(
                f"a batch of {people} people cannot be filled: the training set has {len(self._of_person)}; "
                "set batch.people lower or add data"
            )
        self._people, self._pictures, self._seed = people, pictures, seed

    def batches(self, epoch: int, deal: int = 0) -> list[list[int]]:
        """Indices of the pictures of each batch, P groups of K in a row; depends on (seed, epoch, deal) only.

        ``deal`` counts from 0 where an epoch goes through the pictures more than once.
        """
        rng = np.random.default_rng((self._seed, epoch, deal) if deal else (self._seed, epoch))
        groups = [self._groups(rng, pictures) for pictures in self._of_person]
        left = np.array([len(of_person) for of_person in groups])
        batches = []
        while np.count_nonzero(left) >= self._people:
            chosen = rng.choice(len(left), self._people, replace=False, p=left / left.sum())
            left[chosen] -= 1
            batches.append([int(index) for person in chosen for index in groups[person][left[person]]])
        return batches

    def _groups(self, rng: np.random.Generator, pictures: np.ndarray) -> np.ndarray:
        """(groups, K) indices of one person."""
        k = self._pictures
        shuffled = rng.permutation(pictures)
        if len(shuffled) < k:
            return np.resize(shuffled, (1, k))
        return shuffled[: len(shuffled) // k * k].reshape(-1, k)


class Sampler:
    """Batches with a stated share of each data set, pictures without identities among them.

    An epoch has as many batches as fill it with the number of pictures there are; a data set that is spent
    before is dealt anew, one that is not shows a part of itself, another one in each epoch.
    """

    def __init__(
        self, labels: NDArray[np.int64], sources: Sequence[str], batch: BatchConfig, seed: int
    ) -> None:
        """Prepare the deal.

        Args:
            labels: (N,) person of each picture, `NOBODY` where there is no identity.
            sources: (N,) name of the data set of each.
            batch: How many people and pictures, and the shares.
            seed: Other seeds deal otherwise.

        Raises:
            ReuniteError: Shares name other data sets than there are, or a data set cannot fill its own.
        """
        self._seed = seed
        self._streams: list[tuple[NDArray[np.int64], PersonSampler | int]] = []
        has_identity = labels != NOBODY
        names = np.asarray(sources, np.object_)
        size = batch.people * batch.pictures
        for rows, share in _shared_out(has_identity, names, batch.shares):
            if has_identity[rows[0]]:
                people = max(1, round(batch.people * share))
                self._streams.append(
                    (rows, PersonSampler(labels[rows].tolist(), people, batch.pictures, seed))
                )
            else:
                self._streams.append((rows, max(1, round(size * share))))
        self._batches = max(1, len(labels) // size)
        self._is_simple = len(self._streams) == 1 and has_identity.all()

    def batches(self, epoch: int, embed: EmbedAll | None = None) -> list[list[int]]:
        """Indices of the pictures of each batch; depends on (seed, epoch) only."""
        if self._is_simple:
            [(_, sampler)] = self._streams
            assert isinstance(sampler, PersonSampler)
            return sampler.batches(epoch)
        streams = [self._stream(place, epoch) for place in range(len(self._streams))]
        return [[row for stream in streams for row in next(stream)] for _ in range(self._batches)]

    def _stream(self, place: int, epoch: int) -> Iterator[list[int]]:
        """What one data set gives to each batch, without an end."""
        rows, sampler = self._streams[place]
        if isinstance(sampler, PersonSampler):
            for deal in count():
                for batch in sampler.batches(epoch, deal):
                    yield rows[batch].tolist()
        else:
            rng = np.random.default_rng((self._seed, epoch, place))
            endless = (row for _ in count() for row in rng.permutation(rows).tolist())
            while True:
                yield list(islice(endless, sampler))


class TripletSampler:
    """Triplets of a query, another picture of the person, and a picture of somebody else who looks like it.

    Source: "Re-ID done right" (Almazan et al. 2018, arXiv:1801.05339), section 3.2, hard triplet mining: the
    negatives are drawn from the nearest ones in the whole set, which is embedded anew for each epoch.
    """

    def __init__(self, labels: NDArray[np.int64], batch: BatchConfig, seed: int) -> None:
        """Prepare the deal.

        Args:
            labels: (N,) person of each picture; who has one picture, and `NOBODY`, is never a query.
            batch: How many triplets, and among how many nearest ones.
            seed: Other seeds deal otherwise.

        Raises:
            ReuniteError: Nobody has two pictures, or there is one person alone.
        """
        self._labels, self._seed = labels, seed
        people, counts = np.unique(labels[labels != NOBODY], return_counts=True)
        self._queries = np.flatnonzero(np.isin(labels, people[counts > 1]))
        self._others = np.flatnonzero(labels != NOBODY)
        if len(people) < 2 or not len(self._queries):
            raise ReuniteError("batch.triplets: needs two people, one of them with two pictures; add data")
        self._triplets, self._hard = batch.triplets, batch.hard_negatives
        self._steps = batch.steps or max(1, len(labels) // (TRIPLET * batch.triplets))

    def batches(self, epoch: int, embed: EmbedAll | None = None) -> list[list[int]]:
        """Rows of the pictures of each batch, three a triplet; depends on (seed, epoch, embeddings)."""
        rng = np.random.default_rng((self._seed, epoch))
        embeddings = embed() if embed is not None and self._hard else None
        wanted = self._steps * self._triplets
        order = np.concatenate(
            [rng.permutation(self._queries) for _ in range(-(-wanted // len(self._queries)))]
        )[:wanted]
        rows = [row for query in order.tolist() for row in self._triplet(query, embeddings, rng)]
        size = TRIPLET * self._triplets
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _triplet(
        self, query: int, embeddings: EmbeddingArray | None, rng: np.random.Generator
    ) -> tuple[int, int, int]:
        same = np.flatnonzero(self._labels == self._labels[query])
        others = self._others[self._labels[self._others] != self._labels[query]]
        if embeddings is not None and self._hard < len(others):
            cosines = embeddings[others] @ embeddings[query]
            others = others[np.argpartition(-cosines, self._hard - 1)[: self._hard]]
        return query, int(rng.choice(same[same != query])), int(rng.choice(np.sort(others)))


def make_sampler(
    labels: NDArray[np.int64], sources: Sequence[str], batch: BatchConfig, seed: int
) -> Sampler | TripletSampler:
    """The sampler that a config asks for; arguments and errors as of `Sampler` and `TripletSampler`."""
    return TripletSampler(labels, batch, seed) if batch.triplets else Sampler(labels, sources, batch, seed)


def _shared_out(
    has_identity: NDArray[np.bool_], names: NDArray[np.object_], shares: Mapping[str, float]
) -> list[tuple[NDArray[np.int64], float]]:
    """The rows that are dealt together, and their share in a batch."""
    if not shares:
        parts = [np.flatnonzero(has_identity), np.flatnonzero(~has_identity)]
        return [(rows, len(rows) / len(names)) for rows in parts if len(rows)]
    known = list(dict.fromkeys(names.tolist()))
    if set(known) != set(shares):
        raise ReuniteError(
            f"batch.shares names {', '.join(shares)}, the data sets are {', '.join(known)}: give each of "
            "them a share"
        )
    return [(np.flatnonzero(names == name), shares[name]) for name in known]
