"""How alike somebody is to each person: to the mean of what was seen of them."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tracker.identity.stays import Stays, directions
from tracker.identity.table import IdentityTable
from tracker.types import FloatArray, IntArray


class PeopleRows(NamedTuple):
    """The P people whose appearance is known, and their R stays.

    Attributes:
        people: (P,) identities, rising.
        slots: (P,) where the table of their appearances has them.
        rows: (R,) stays, those of one person side by side, in the order in which they began.
        starts: (P,) where in ``rows`` each person begins.
    """

    people: IntArray
    slots: IntArray
    rows: IntArray
    starts: IntArray


class People:
    """The mean appearance of each person, taken from stays and identities when it is asked for.

    Whoever changes either says so by `forget`; nothing here has to be saved.
    """

    def __init__(self, stays: Stays, table: IdentityTable) -> None:
        self._stays, self._table = stays, table
        self._rows: PeopleRows | None = None
        self._slots: dict[int, int] = {}
        # Of the centred appearances of all stays of a person, by slot: the sum, and its direction.
        self._sums = self._means = np.zeros((0, stays.length), np.float32)
        self._stale: set[int] = set()

    def forget(self, identities: Iterable[int] | None = None, has_moved: bool = True) -> None:
        """These people look otherwise by now, or all of them (None).

        Args:
            identities: Who.
            has_moved: Whether stays went from one person to another, or were seen for the first time.
        """
        self._stale.update(self._slots if identities is None else identities)
        if has_moved:
            self._rows = None

    def rows(self) -> PeopleRows:
        """Everybody whose appearance is known, so far."""
        if self._rows is None:
            identity = self._table.identity
            rows = np.nonzero((identity != 0) & (self._stays.looks > 0))[0]
            rows = rows[np.lexsort((self._stays.begin[rows], identity[rows]))]
            people, starts = np.unique(identity[rows], return_index=True)
            self._stale.update(set(people.tolist()) - self._slots.keys())
            slots = [self._slots.setdefault(person, len(self._slots)) for person in people.tolist()]
            self._rows = PeopleRows(people, np.array(slots, np.int64), rows, starts)
        return self._rows

    def cosines(self, own: IntArray) -> FloatArray:
        """(P,) how alike somebody, in these rows (M,), is to each of the people: to the mean of their others.

        Several stays of a person tell more than one, and strangers are no more alike to their mean than to
        each of them. Of somebody who has no other stay it means nothing.
        """
        people = self.rows()
        self._sum_up(people)
        whole = self._stays.centred[own].sum(axis=0)
        # Not BLAS: its last bit depends on the slot, and a restored run has other slots.
        cosines = np.einsum("pd,d->p", self._means, directions(whole))[people.slots]
        for index in np.nonzero(people.people == self._table.identity[own[0]])[0].tolist():
            cosines[index] = directions(self._sums[people.slots[index]] - whole) @ directions(whole)
        return np.asarray(cosines, np.float64)

    def _sum_up(self, known: PeopleRows) -> None:
        """Bring the sums of those who changed up to date."""
        length = self._stays.length
        if length != self._sums.shape[1]:
            self._sums = self._means = np.zeros((0, length), np.float32)
            self._stale.update(self._slots)
        more = len(self._slots) - len(self._sums)
        if more > 0:
            room = np.zeros((max(more, len(self._sums)), length), np.float32)
            self._sums, self._means = (np.concatenate((it, room)) for it in (self._sums, self._means))
        ends = np.append(known.starts[1:], len(known.rows))
        stale = np.array(sorted(self._stale), np.int64)
        for index in np.nonzero(np.isin(known.people, stale))[0].tolist():
            slot = known.slots[index]
            rows = known.rows[known.starts[index] : ends[index]]
            self._sums[slot] = self._stays.centred[rows].sum(axis=0)
            self._means[slot] = directions(self._sums[slot])
        self._stale.clear()
