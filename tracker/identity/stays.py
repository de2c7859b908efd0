"""What the linker knows of each track: a growing table of stays."""

import numpy as np

from tracker.types import FeatureArray, FloatArray, IntArray, State

CENTRE_STAYS = 10.0
"""The mean over this site, or a camera, counts half when it comes from so many tracks."""

COLUMNS = ("camera", "track_id", "identity", "begin", "end", "looks", "tried", "halves", "mean")


class Stays:
    """The N tracks so far, one row each, in the order in which they were first seen.

    Attributes:
        camera: (N,) index of the camera.
        track_id: (N,) number of the track in its camera.
        identity: (N,) person, 0 where it is not known.
        begin: (N,), end: (N,) seconds, when first and last seen.
        looks: (N,) how often it was looked at.
        tried: (N,) looks at the last try to say who it is.
        halves: (N, 2, D) sums of the appearances of odd and of even looks.
        mean: (N, D) direction of the sum of both; zeros where nobody looked.
    """

    camera: IntArray
    track_id: IntArray
    identity: IntArray
    begin: FloatArray
    end: FloatArray
    looks: IntArray
    tried: IntArray
    halves: FeatureArray
    mean: FeatureArray

    def __init__(self) -> None:
        """No track."""
        self._row_of: dict[tuple[int, int], int] = {}
        self._store: State = {}
        self._reserve(64, 0)

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def length(self) -> int:
        """D, 0 before anybody was looked at."""
        return int(self.mean.shape[1])

    def rows(self, camera: int, track_ids: IntArray, time: float, length: int) -> IntArray:
        """The rows (M,) of tracks of one camera; new ones begin now."""
        if length > self.length or len(self) + len(track_ids) > len(self._store["camera"]):
            rows = max(2 * (len(self) + len(track_ids)), len(self._store["camera"]))
            self._reserve(rows, max(length, self.length))
        found = []
        for track_id in track_ids.tolist():
            row = self._row_of.get((camera, track_id))
            if row is None:
                row = self._row_of[camera, track_id] = len(self._row_of)
                self._store["camera"][row], self._store["track_id"][row] = camera, track_id
                self._store["begin"][row] = time
            found.append(row)
        self._show()
        return np.array(found, np.int64)

    def look(self, rows: IntArray, features: FeatureArray) -> None:
        """Add one look (M, D) at each of M different rows."""
        self.halves[rows, self.looks[rows] % 2] += features
        self.looks[rows] += 1
        self.mean[rows] = directions(self.halves[rows].sum(axis=1))

    def centre(self, cameras: int) -> FeatureArray:
        """(C, D) what all people of each camera have in common: its light, its view, the network's habits.

        Taken out, what is left tells people apart. A camera that saw few people is drawn to the mean of all,
        and that to zero, so that nobody is taken for the background.
        """
        rows = np.nonzero(self.looks > 0)[0]
        means, camera = self.mean[rows], self.camera[rows]
        overall = means.sum(axis=0) / (len(rows) + CENTRE_STAYS)
        counts = np.bincount(camera, minlength=cameras)[:, None]
        sums = np.stack([means[camera == index].sum(axis=0) for index in range(cameras)])
        return np.asarray((sums + CENTRE_STAYS * overall) / (counts + CENTRE_STAYS), np.float32)

    def state(self) -> State:
        """The columns."""
        return {name: getattr(self, name).copy() for name in COLUMNS}

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave."""
        pairs = zip(state["camera"].tolist(), state["track_id"].tolist(), strict=True)
        self._row_of = {pair: row for row, pair in enumerate(pairs)}
        self._store = {name: state[name].copy() for name in COLUMNS}
        self._show()

    def _reserve(self, rows: int, length: int) -> None:
        whole, real = ("camera", "track_id", "identity", "looks", "tried"), ("begin", "end")
        store: State = {name: np.zeros(rows, np.int64) for name in whole}
        store |= {name: np.zeros(rows) for name in real}
        store |= {
            "halves": np.zeros((rows, 2, length), np.float32),
            "mean": np.zeros((rows, length), np.float32),
        }
        for name, old in self._store.items():
            if old.ndim == 1 or old.shape[-1] == length:
                store[name][: len(old)] = old
        self._store = store
        self._show()

    def _show(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self._store[name][: len(self)])


def directions(sums: FeatureArray) -> FeatureArray:
    """(..., D) to length 1; zeros stay zeros."""
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=-1, keepdims=True), 1e-12), np.float32)
