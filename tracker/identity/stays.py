"""What the linker knows of each track: a growing table of stays."""

from typing import NamedTuple

import numpy as np

from tracker.types import BoolArray, FeatureArray, FloatArray, IntArray, KnownPeople, State

CENTRE_STAYS = 10.0
"""The mean over this site, or a camera, counts half when it comes from so many tracks."""

GROWTH = 1.05
"""The means are taken anew when there are so many times more looks than the last time."""

COLUMNS = (
    "camera", "track_id", "identity", "begin", "end", "decided", "frames", "looks", "tried",
    "halves", "mean", "centred",
)  # fmt: skip
REAL = ("begin", "end", "decided")


class PeopleRows(NamedTuple):
    """The P people whom anybody has looked at, and their R stays.

    Attributes:
        people: (P,) identities, rising.
        rows: (R,) stays, those of one person side by side.
        starts: (P,) where in ``rows`` each person begins.
        group: (R,) index of the person of each.
    """

    people: IntArray
    rows: IntArray
    starts: IntArray
    group: IntArray


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
        halves: (N, 2, D) sums of the appearances of odd and of even looks.
        mean: (N, D) direction of the sum of both; zeros where nobody looked.
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
    halves: FeatureArray
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
        """Add one look (M, D) at each of M different rows."""
        if ((self.looks[rows] == 0) & (self.identity[rows] != 0)).any():
            self._people = None
        self.halves[rows, self.looks[rows] % 2] += features
        self.looks[rows] += 1
        self._total_looks += len(rows)
        self.mean[rows] = directions(self.halves[rows].sum(axis=1))
        if self._total_looks >= GROWTH * self._looks_of_centre:
            self._looks_of_centre = self._total_looks
            self._centre = self._new_centre()
            self.centred[:] = directions(self.mean - self._centre[self.camera])
            self.centred[self.looks == 0] = 0
        else:
            self.centred[rows] = directions(self.mean[rows] - self._centre[self.camera[rows]])

    def identify(self, row: int, identity: int) -> None:
        """Say who a track is."""
        self.identity[row] = identity
        self._people = None

    def people(self) -> PeopleRows:
        """Whom anybody has looked at, so far."""
        if self._people is None:
            rows = np.nonzero((self.identity != 0) & (self.looks > 0))[0]
            rows = rows[np.argsort(self.identity[rows], kind="stable")]
            people, starts, group = np.unique(self.identity[rows], return_index=True, return_inverse=True)
            self._people = PeopleRows(people, rows, starts, group)
        return self._people

    def halves_centred(self, rows: IntArray) -> FeatureArray:
        """(M, 2, D) the looks of each half of M tracks, without what its camera has in common."""
        return directions(directions(self.halves[rows]) - self._centre[self.camera[rows]][:, None])

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
        self._centre, self._people = state["centre"].copy(), None
        self._total_looks, self._looks_of_centre = state["counts"].tolist()
        self._show()

    def _row(self, camera: int, track_id: int) -> int:
        return self._row_of.setdefault((camera, track_id), len(self._row_of))

    def _reserve(self, rows: int, length: int) -> None:
        store: State = {name: np.zeros(rows) for name in REAL}
        store |= {name: np.zeros(rows, np.int64) for name in COLUMNS[:9] if name not in REAL}
        store["halves"] = np.zeros((rows, 2, length), np.float32)
        store |= {name: np.zeros((rows, length), np.float32) for name in ("mean", "centred")}
        for name, old in self._store.items():
            if old.ndim == 1 or old.shape[-1] == length:
                store[name][: len(old)] = old
        if length != self._centre.shape[1]:
            self._centre = np.zeros((self._cameras, length), np.float32)
        self._store = store
        self._show()

    def _show(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self._store[name][: len(self)])


def directions(sums: FeatureArray) -> FeatureArray:
    """(..., D) to length 1; zeros stay zeros."""
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=-1, keepdims=True), 1e-12), np.float32)
