"""How alike somebody is to each person: to the mean of what was seen of them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from foundation.arrays import EmbeddingArray, FloatArray, IntArray
from tracker.identity.table import IdentityTable
from tracker.identity.tracklets import TrackletTable, directions


class IdentityRows(NamedTuple):
    """The P people whose appearance is known, and their R tracklets.

    Attributes:
        identity_ids: (P,) identities, rising.
        slots: (P,) where the table of their appearances has them.
        rows: (R,) tracklets, those of one person side by side, in the order in which they began.
        starts: (P,) where in ``rows`` each person begins, and ends: (P,) where the next one does.
    """

    identity_ids: IntArray
    slots: IntArray
    rows: IntArray
    starts: IntArray
    ends: IntArray


class IdentityCentroids:
    """The mean appearance of each person, taken from tracklets and identities when it is asked for.

    Whoever changes either says so by `forget`; nothing here has to be saved.
    """

    def __init__(self, tracklets: TrackletTable, table: IdentityTable) -> None:
        self._tracklets, self._table = tracklets, table
        self._rows: IdentityRows | None = None
        self._slots: dict[int, int] = {}
        # Of the centred appearances of all tracklets of a person, by slot: the sum, and its direction.
        self._sums = self._means = np.zeros((0, tracklets.length), np.float32)
        self._stale: set[int] = set()

    def forget(self, identities: Iterable[int] | None = None, has_moved: bool = True) -> None:
        """These people look otherwise by now, or all of them (None).

        Args:
            identities: Who.
            has_moved: Whether tracklets went from one person to another, or were seen for the first time.
        """
        self._stale.update(self._slots if identities is None else identities)
        if has_moved:
            self._rows = None

    def rows(self) -> IdentityRows:
        """Everybody whose appearance is known, so far."""
        if self._rows is None:
            identity = self._table.identity
            rows = np.nonzero((identity != 0) & (self._tracklets.num_embeddings > 0))[0]
            rows = rows[np.lexsort((self._tracklets.begin[rows], identity[rows]))]
            identity_ids, starts = np.unique(identity[rows], return_index=True)
            self._stale.update(set(identity_ids.tolist()) - self._slots.keys())
            slots = [self._slots.setdefault(person, len(self._slots)) for person in identity_ids.tolist()]
            ends = np.append(starts[1:], len(rows))
            self._rows = IdentityRows(identity_ids, np.array(slots, np.int64), rows, starts, ends)
        return self._rows

    def cosines(self, own: IntArray) -> FloatArray:
        """(P,) how alike somebody, in these rows (M,), is to each of the people: to the mean of their others.

        Several tracklets of a person tell more than one, and strangers are no more alike to their mean than
        to each of them. Of somebody who has no other tracklet it means nothing.
        """
        known = self.rows()
        self._sum_up(known)
        whole = self._tracklets.centred[own].sum(axis=0)
        # Not BLAS: its last bit depends on the slot, and a restored run has other slots.
        cosines = np.einsum("pd,d->p", self._means, directions(whole))[known.slots]
        for index in np.nonzero(known.identity_ids == self._table.identity[own[0]])[0].tolist():
            cosines[index] = directions(self._sums[known.slots[index]] - whole) @ directions(whole)
        return np.asarray(cosines, np.float64)

    def cosines_of(self, direction: EmbeddingArray) -> FloatArray:
        """(P,) how alike each of the people is to an appearance (D,), centred and of length 1."""
        known = self.rows()
        self._sum_up(known)
        return np.asarray(np.einsum("pd,d->p", self._means, direction)[known.slots], np.float64)

    def _sum_up(self, known: IdentityRows) -> None:
        """Bring the sums of those who changed up to date."""
        length = self._tracklets.length
        if length != self._sums.shape[1]:
            self._sums = self._means = np.zeros((0, length), np.float32)
            self._stale.update(self._slots)
        more = len(self._slots) - len(self._sums)
        if more > 0:
            room = np.zeros((max(more, len(self._sums)), length), np.float32)
            self._sums, self._means = (np.concatenate((it, room)) for it in (self._sums, self._means))
        for person in self._stale:
            index = int(np.searchsorted(known.identity_ids, person))
            if index == len(known.identity_ids) or known.identity_ids[index] != person:
                continue
            slot, rows = known.slots[index], known.rows[known.starts[index] : known.ends[index]]
            self._sums[slot] = self._tracklets.centred[rows].sum(axis=0)
            self._means[slot] = directions(self._sums[slot])
        self._stale.clear()
