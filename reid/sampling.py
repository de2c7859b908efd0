"""Batches of P people with K pictures each, so that every picture meets its person and others."""

from collections.abc import Sequence

import numpy as np

from reid.errors import ReidError


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
            ReidError: There are fewer than P people.
        """
        self._of_person = [np.flatnonzero(np.asarray(labels) == person) for person in np.unique(labels)]
        if len(self._of_person) < people:
            raise ReidError(
                f"a batch of {people} people cannot be filled: the training set has {len(self._of_person)}; "
                "set batch.people lower or add data"
            )
        self._people, self._pictures, self._seed = people, pictures, seed

    def batches(self, epoch: int) -> list[list[int]]:
        """Indices of the pictures of each batch, P groups of K in a row; depends on (seed, epoch) only."""
        rng = np.random.default_rng((self._seed, epoch))
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
