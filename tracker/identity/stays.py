"""What the linker knows of each track: a growing table of stays."""

from typing import NamedTuple

import numpy as np

from tracker.types import BoolArray, FeatureArray, FloatArray, IntArray, KnownPeople, State

CENTRE_STAYS = 10.0
"""The mean over this site, or a camera, counts half when it comes from so many tracks."""

GROWTH = 1.05
"""The means are taken anew when there are so many times more looks than the last time."""

COLUMNS = (
    "camera", "track_id", "identity", "begin", "end", "decided", "frames", "looks", "tried", "compared",
    "entry", "exit", "first", "later", "sum", "mean", "centred",
)  # fmt: skip
REAL, LOOKS = COLUMNS[3:6], COLUMNS[12:]

LATER_S = 3.0
"""A look that was taken so long after the first shows a person in another pose."""


class PeopleRows(NamedTuple):
    """The P people whom anybody has looked at, and their R stays.

    Attributes:
        people: (P,) identities, rising.
        slots: (P,) where the table of their looks has them.
        rows: (R,) stays, those of one person side by side, in the order in which they began.
        starts: (P,) where in ``rows`` each person begins.
    """

    people: IntArray
    slots: IntArray
    rows: IntArray
    starts: IntArray


class Stays:
    """The N tracks so far, one row each, in the order in which they were first seen.

    People who were remembered before the run come first, a row for each camera that saw them: `KnownPeople`.

    Attributes:
        camera: (N,) index of the camera.
        track_id: (N,) number of the track in its camera; below 0 for a row of `KnownPeople`.
        identity: (N,) person, 0 where it is not known; change it with `identify`.
        begin: (N,), end: (N,) seconds, when first and last seen.
        decided: (N,) seconds, when the identity was first known; nan before.
        frames: (N,) in how many frames it was seen.
        looks: (N,) how often it was looked at.
        tried: (N,) looks at the last try to say who it is.
        compared: (N,) 1 where it was compared with the tracks of other cameras; else 0.
        entry: (N,), exit: (N,) the doors where it was first and last seen; see `Doors`.
        first: (N, D) the first look, and later: (N, D) the first that was taken `LATER_S` after; zeros until
            then.
        sum: (N, D) of all looks.
        mean: (N, D) its direction; zeros where nobody looked.
        centred: (N, D) the same without what all people of its camera have in common.
    """

    camera: IntArray
    track_id: IntArray
    identity: IntArray
    begin: FloatArray
    end: FloatArray
    decided: FloatArray
    frames: IntArray
    looks: IntArray
    tried: IntArray
    compared: IntArray
    entry: IntArray
    exit: IntArray
    first: FeatureArray
    later: FeatureArray
    sum: FeatureArray
    mean: FeatureArray
    centred: FeatureArray

    def __init__(self, cameras: int) -> None:
        """No track of so many cameras."""
        self._row_of: dict[tuple[int, int], int] = {}
        self._store: State = {}
        self._cameras = cameras
        self._centre = np.zeros((cameras, 0), np.float32)
        self._total_looks = self._looks_of_centre = 0
        self._people: PeopleRows | None = None
        self._slots: dict[int, int] = {}
        # Of the centred looks of all stays of a person, by slot: the sum, and its direction.
        self._sums = self._means = np.zeros((0, 0), np.float32)
        self._changed: set[int] = set()  # people whose sum is to be taken anew
        self._reserve(64, 0)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def length(self) -> int:
        """D, 0 before anybody was looked at."""
        return int(self.mean.shape[1])

    @property
    def is_track(self) -> BoolArray:
        """(N,) which rows are tracks of this run."""
        return self.track_id >= 0

    def rows(self, camera: int, track_ids: IntArray, time: float, length: int) -> IntArray:
        """The rows (M,) of tracks of one camera, which are seen now; new ones begin."""
        if length > self.length or len(self) + len(track_ids) > len(self._store["camera"]):
            rows = max(2 * (len(self) + len(track_ids)), len(self._store["camera"]))
            self._reserve(rows, max(length, self.length))
        known = len(self)
        found = np.array([self._row(camera, track_id) for track_id in track_ids.tolist()], np.int64)
        if len(self) > known:
            new = slice(known, len(self))
            self._show()
            self.camera[new], self.track_id[new] = camera, track_ids[found >= known]
            self.begin[new], self.decided[new] = time, np.nan
        self.end[found] = time
        self.frames[found] += 1
        return found

    def remember(self, known: KnownPeople, cameras: IntArray) -> None:
        """Add people from before the run, seen last by ``cameras`` (R,)."""
        rows = self.rows(0, -1 - np.arange(len(known)), 0.0, known.features.shape[1])
        self.camera[rows], self.identity[rows] = cameras, known.numbers
        self.begin[rows] = self.end[rows] = self.decided[rows] = known.last_seen_s
        self.look(rows, known.features)
        self._people = None

    def look(self, rows: IntArray, features: FeatureArray) -> None:
        """Add one look (M, D), taken now, at each of M different rows."""
        is_first = self.looks[rows] == 0
        if (is_first & (self.identity[rows] != 0)).any():
            self._people = None
        self.first[rows[is_first]] = features[is_first]
        is_later = (self.end[rows] - self.begin[rows] >= LATER_S) & ~self.later[rows].any(axis=1) & ~is_first
        self.later[rows[is_later]] = features[is_later]
        self.sum[rows] += features
        self.looks[rows] += 1
        self._total_looks += len(rows)
        self.mean[rows] = directions(self.sum[rows])
        if self._total_looks >= GROWTH * self._looks_of_centre:
            self._looks_of_centre = self._total_looks
            self._centre = self._new_centre()
            self.centred[:] = self._without_centre(self.mean, self.camera)
            self.centred[self.looks == 0] = 0
            self._changed.update(self._slots)
        else:
            self.centred[rows] = self._without_centre(self.mean[rows], self.camera[rows])
            self._changed.update(self.identity[rows].tolist())

    def identify(self, row: int, identity: int) -> None:
        """Say who a track is."""
        self._changed.update((int(self.identity[row]), identity))
        self.identity[row] = identity
        self._people = None

    def of(self, identity: int) -> IntArray:
        """The rows (M,) of a person, in the order in which they began."""
        rows = np.nonzero(self.identity == identity)[0]
        return rows[np.argsort(self.begin[rows], kind="stable")]

    def people(self) -> PeopleRows:
        """Whom anybody has looked at, so far."""
        if self._people is None:
            rows = np.nonzero((self.identity != 0) & (self.looks > 0))[0]
            rows = rows[np.lexsort((self.begin[rows], self.identity[rows]))]
            people, starts = np.unique(self.identity[rows], return_index=True)
            slots = [self._slots.setdefault(person, len(self._slots)) for person in people.tolist()]
            self._people = PeopleRows(people, np.array(slots, np.int64), rows, starts)
        return self._people

    def cosines(self, own: IntArray) -> FloatArray:
        """(P,) how alike somebody, in these rows (M,), is to each of the people: to the mean of their others.

        Several stays of a person tell more than one, and strangers are no more alike to their mean than to
        each of them. Of somebody who has no other stay it means nothing.
        """
        people = self.people()
        self._sum_up(people)
        whole = self.centred[own].sum(axis=0)
        # Not BLAS: its last bit depends on the slot, and a restored run has other slots.
        cosines = np.einsum("pd,d->p", self._means, directions(whole))[people.slots]
        for index in np.nonzero(people.people == self.identity[own[0]])[0].tolist():
            cosines[index] = directions(self._sums[people.slots[index]] - whole) @ directions(whole)
        return np.asarray(cosines, np.float64)

    def within(self) -> FloatArray:
        """(W,) cosines of two looks at one track, `LATER_S` apart, without what its camera has in common."""
        rows = np.nonzero(self.later.any(axis=1))[0]
        camera = self.camera[rows]
        first = self._without_centre(self.first[rows], camera)
        later = self._without_centre(self.later[rows], camera)
        return np.asarray((first * later).sum(axis=1), np.float64)

    def _sum_up(self, known: PeopleRows) -> None:
        """Bring the sums of those who changed up to date."""
        more = len(self._slots) - len(self._sums)
        if more > 0:
            room = np.zeros((max(more, len(self._sums)), self.length), np.float32)
            self._sums, self._means = (np.concatenate((it, room)) for it in (self._sums, self._means))
        ends = np.append(known.starts[1:], len(known.rows))
        changed = np.array(sorted(self._changed), np.int64)
        for index in np.nonzero(np.isin(known.people, changed))[0].tolist():
            slot = known.slots[index]
            self._sums[slot] = self.centred[known.rows[known.starts[index] : ends[index]]].sum(axis=0)
            self._means[slot] = directions(self._sums[slot])
        self._changed.clear()

    def _without_centre(self, looks: FeatureArray, camera: IntArray) -> FeatureArray:
        return directions(looks - self._centre[camera])

    def _new_centre(self) -> FeatureArray:
        """(C, D) what all people of each camera have in common: its light, its view, the network's habits.

        Taken out, what is left tells people apart. A camera that saw few people is drawn to the mean of all,
        and that to zero, so that nobody is taken for the background.
        """
        rows = np.nonzero(self.looks > 0)[0]
        means, camera = self.mean[rows], self.camera[rows]
        overall = means.sum(axis=0) / (len(rows) + CENTRE_STAYS)
        counts = np.bincount(camera, minlength=self._cameras)[:, None]
        sums = np.stack([means[camera == index].sum(axis=0) for index in range(self._cameras)])
        return np.asarray((sums + CENTRE_STAYS * overall) / (counts + CENTRE_STAYS), np.float32)

    def state(self) -> State:
        """The columns, and the centres."""
        counts = np.array([self._total_looks, self._looks_of_centre])
        columns: State = {name: getattr(self, name).copy() for name in COLUMNS}
        return columns | {"centre": self._centre.copy(), "counts": counts}

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave."""
        pairs = zip(state["camera"].tolist(), state["track_id"].tolist(), strict=True)
        self._row_of = {pair if pair[1] >= 0 else (0, pair[1]): row for row, pair in enumerate(pairs)}
        self._store = {name: state[name].copy() for name in COLUMNS}
        self._show()
        self._centre, self._people = state["centre"].copy(), None
        self._total_looks, self._looks_of_centre = state["counts"].tolist()
        self._slots, self._changed = {}, set(self.identity.tolist())
        self._sums = self._means = np.zeros((0, self.length), np.float32)

    def _row(self, camera: int, track_id: int) -> int:
        return self._row_of.setdefault((camera, track_id), len(self._row_of))

    def _reserve(self, rows: int, length: int) -> None:
        store: State = {name: np.zeros(rows) for name in REAL}
        store |= {name: np.zeros(rows, np.int64) for name in COLUMNS[:12] if name not in REAL}
        store |= {name: np.zeros((rows, length), np.float32) for name in LOOKS}
        for name, old in self._store.items():
            if old.ndim == 1 or old.shape[-1] == length:
                store[name][: len(old)] = old
        if length != self._centre.shape[1]:
            self._centre = np.zeros((self._cameras, length), np.float32)
            self._sums = self._means = np.zeros((0, length), np.float32)
        self._store = store
        self._show()

    def _show(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self._store[name][: len(self)])


def directions(sums: FeatureArray) -> FeatureArray:
    """(..., D) to length 1; zeros stay zeros."""
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=-1, keepdims=True), 1e-12), np.float32)
