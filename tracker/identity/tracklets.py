"""What was seen of each track so far: a growing table of tracklets; `IdentityTable` has who they are."""

from typing import NamedTuple

import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray
from tracker.types import KnownIdentities, State

CENTRE_TRACKLETS = 10.0
"""The mean over this site, or a camera, counts half when it comes from this many tracks."""

GROWTH = 1.05
"""The means are taken anew when there are this many times more embeddings than the last time."""

REAL = ("begin", "end", "scores")
WHOLE = ("camera", "track_id", "frames", "num_embeddings", "tried", "compared", "entry", "exit", "folded")
EMBEDDINGS = ("first", "later", "sum", "mean", "centred")
BOXES = "boxes"
COLUMNS = (*REAL, *WHOLE, *EMBEDDINGS, BOXES)

MAX_BOXES = 16
"""Boxes of a track that are remembered, evenly spread over its frames."""

UNKNOWN = -1
"""The row of a track that was never seen."""

LATER_S = 3.0
"""An embedding that was taken this long after the first shows a person in another pose."""


class Fold(NamedTuple):
    """Which of N rows go.

    Attributes:
        kept: (K,) rows that stay, rising.
        place: (N,) which row each becomes; `UNKNOWN` where it goes.
        into: (N,) the kept row that stands for a row of a person that goes, or for itself and others from
            now on; else `UNKNOWN`.
    """

    kept: IntArray
    place: IntArray
    into: IntArray


class TrackletTable:
    """The N tracks so far, one row each, in the order in which they were first seen.

    People who were remembered before the run come first, a row for each camera that saw them:
    `KnownIdentities`.

    Attributes:
        camera: (N,) index of the camera.
        track_id: (N,) number of the track in its camera; below 0 for a row of `KnownIdentities`.
        begin: (N,), end: (N,) seconds, when first and last seen.
        scores: (N,) sum of the detector's scores.
        frames: (N,) in how many frames it was seen.
        num_embeddings: (N,) how many embeddings it has.
        tried: (N,) embeddings at the last try to say who it is.
        compared: (N,) 1 where it was compared with the tracks of other cameras; else 0.
        folded: (N,) 1 where the row stands for all tracks of a person in a camera that ended long ago; it is
            the newest of them; else 0.
        entry: (N,), exit: (N,) the zones where it was first and last seen; see `EntryExitZones`.
        first: (N, D) the first embedding, and later: (N, D) the first that was taken `LATER_S` after; zeros
            until then.
        sum: (N, D) of all embeddings.
        mean: (N, D) its direction; zeros where there is none.
        centred: (N, D) the same without what all people of its camera have in common.
        boxes: (N, `MAX_BOXES`, 4) where it was, at frames at equal distances, from the first on.
    """

    camera: IntArray
    track_id: IntArray
    begin: FloatArray
    end: FloatArray
    scores: FloatArray
    frames: IntArray
    num_embeddings: IntArray
    tried: IntArray
    compared: IntArray
    folded: IntArray
    entry: IntArray
    exit: IntArray
    first: EmbeddingArray
    later: EmbeddingArray
    sum: EmbeddingArray
    mean: EmbeddingArray
    centred: EmbeddingArray
    boxes: EmbeddingArray

    def __init__(self, cameras: int) -> None:
        # Of each camera, at t: the row of track t + its first, `UNKNOWN` where there is none and at the end.
        self._rows = [np.full(64, UNKNOWN) for _ in range(cameras)]
        self._firsts = np.zeros(cameras, np.int64)
        self._count = 0
        self._store: State = {}
        self._cameras = cameras
        self._centre = np.zeros((cameras, 0), np.float32)
        self._total_embeddings = self._embeddings_of_centre = 0
        self._reserve(64, 0)

    def __len__(self) -> int:
        return self._count

    def add_camera(self) -> None:
        """One more, the last; what its people have in common is taken to be what those of all have."""
        self._cameras += 1
        self._rows.append(np.full(64, UNKNOWN))
        self._firsts = np.append(self._firsts, 0)
        self._centre = np.concatenate((self._centre, self._new_centre()[-1:]))

    @property
    def length(self) -> int:
        """D, 0 before the first embedding."""
        return int(self.mean.shape[1])

    @property
    def total_embeddings(self) -> int:
        """How many embeddings all tracks have together."""
        return self._total_embeddings

    @property
    def common(self) -> EmbeddingArray:
        """(D,) what people of all cameras have in common."""
        return np.asarray(self._centre.mean(axis=0), np.float32)

    @property
    def has_embeddings(self) -> bool:
        """Whether there is any embedding."""
        return self._total_embeddings > 0

    @property
    def is_track(self) -> BoolArray:
        """(N,) which rows are tracks of this run."""
        return self.track_id >= 0

    def find(self, camera: int, track_ids: IntArray) -> IntArray:
        """The rows (R,) of tracks (R,) of one camera, repeated ones too; `UNKNOWN` where there is none."""
        rows = self._rows[camera]
        places = np.minimum(track_ids - self._firsts[camera], len(rows) - 1)
        return np.asarray(rows[np.maximum(places, -1)])  # before the first is as after the last

    def see(self, camera: int, track_ids: IntArray, time: float, length: int) -> IntArray:
        """The rows (M,) of different tracks of one camera, which are seen now; new ones begin."""
        found = self.find(camera, track_ids)
        is_new = found == UNKNOWN
        if is_new.any() or length > self.length:
            found[is_new] = self._add(camera, track_ids[is_new], time, length)
            self._index(camera, track_ids[is_new], found[is_new])
        self.end[found] = time
        self.frames[found] += 1
        return found

    def place(self, rows: IntArray, boxes: FloatArray, scores: FloatArray) -> None:
        """The tracks in these rows (M,), which `see` has just seen, are at boxes (M, 4) with scores (M,)."""
        self.scores[rows] += scores
        frame, step = self.frames[rows] - 1, _frames_a_box(self.frames[rows])
        is_full = (step > 1) & (frame * 2 == MAX_BOXES * step)
        if is_full.any():  # from now on half as many suffice
            full = rows[is_full]
            self.boxes[full, : MAX_BOXES // 2] = self.boxes[full, ::2]
        kept = np.nonzero(frame % step == 0)[0]
        if len(kept):
            self.boxes[rows[kept], frame[kept] // step[kept]] = boxes[kept]

    def motion(self, rows: IntArray) -> FloatArray:
        """(M,) how much tracks moved: how far the sides of the box are from where they mostly are.

        Half of the time farther, as a share of the height of the box, mean of the four sides. Somebody who
        stands before it for a while changes nothing; people who sit breathe and turn.
        """
        count = -(-self.frames[rows] // _frames_a_box(np.maximum(self.frames[rows], 1)))
        boxes = self.boxes[rows].astype(np.float64)
        height = _median(boxes[:, :, 3] - boxes[:, :, 1], count)
        away = np.abs(boxes - _median(boxes, count)[:, None])
        return np.asarray(_median(away, count).mean(axis=1) / np.maximum(height, 1e-9), np.float64)

    def remember(self, known: KnownIdentities, cameras: IntArray) -> IntArray:
        """Add people from before the run, seen last by ``cameras`` (R,); their rows (R,)."""
        rows = self._add(0, -1 - np.arange(len(known)), 0.0, known.embeddings.shape[1])
        self.camera[rows] = cameras
        self.begin[rows] = self.end[rows] = known.last_seen_s
        self.frames[rows] = 1
        self.add_embeddings(rows, known.embeddings)
        return rows

    def add_embeddings(self, rows: IntArray, embeddings: EmbeddingArray) -> bool:
        """Add one embedding (M, D), taken now, at each of M different rows.

        Returns:
            Whether what all people have in common was taken anew, so that every ``centred`` changed.
        """
        is_first = self.num_embeddings[rows] == 0
        self.first[rows[is_first]] = embeddings[is_first]
        is_later = (self.end[rows] - self.begin[rows] >= LATER_S) & ~self.later[rows].any(axis=1) & ~is_first
        self.later[rows[is_later]] = embeddings[is_later]
        self.sum[rows] += embeddings
        self.num_embeddings[rows] += 1
        self._total_embeddings += len(rows)
        self.mean[rows] = directions(self.sum[rows])
        is_recentred = self._total_embeddings >= GROWTH * self._embeddings_of_centre
        if is_recentred:
            self._embeddings_of_centre = self._total_embeddings
            self._centre = self._new_centre()
            self.centred[:] = self.without_centre(self.mean, self.camera)
            self.centred[self.num_embeddings == 0] = 0
        else:
            self.centred[rows] = self.without_centre(self.mean[rows], self.camera[rows])
        return is_recentred

    def fold(self, fold: Fold) -> None:
        """Let go of rows; what was embedded of them goes to those that stand for them."""
        gone = np.nonzero((fold.into != UNKNOWN) & (fold.into != np.arange(len(self))))[0]
        np.add.at(self.sum, fold.into[gone], self.sum[gone])
        np.add.at(self.num_embeddings, fold.into[gone], self.num_embeddings[gone])
        folded = np.unique(fold.into[fold.into != UNKNOWN])
        self.folded[folded] = 1
        self.first[folded] = self.later[folded] = 0
        self.mean[folded] = directions(self.sum[folded])
        self.centred[folded] = self.without_centre(self.mean[folded], self.camera[folded])
        self.centred[self.num_embeddings == 0] = 0
        self._take({name: getattr(self, name)[fold.kept] for name in COLUMNS})

    def forget_embeddings(self, rows: IntArray) -> None:
        """Leave nothing of what these tracks (M,) look like."""
        for name in EMBEDDINGS:
            getattr(self, name)[rows] = 0
        self.num_embeddings[rows] = self.tried[rows] = 0

    def within(self, of: BoolArray | None = None) -> FloatArray:
        """(W,) cosines of two centred embeddings of one track, `LATER_S` apart, of all tracks or of these."""
        is_there = self.later.any(axis=1)
        rows = np.nonzero(is_there if of is None else is_there & of)[0]
        camera = self.camera[rows]
        first = self.without_centre(self.first[rows], camera)
        later = self.without_centre(self.later[rows], camera)
        return np.asarray((first * later).sum(axis=1), np.float64)

    def without_centre(self, embeddings: EmbeddingArray, camera: IntArray | int) -> EmbeddingArray:
        """Directions (..., D) of embeddings of a camera, without what all of its people have in common."""
        return directions(embeddings - self._centre[camera])

    def _new_centre(self) -> EmbeddingArray:
        """(C, D) what all people of each camera have in common: its light, its view, the network's habits.

        Taken out, what is left tells people apart. A camera that saw few people is drawn to the mean of all,
        and that to zero, so that no person is taken for the background.
        """
        rows = np.nonzero(self.num_embeddings > 0)[0]
        means, camera = self.mean[rows], self.camera[rows]
        overall = means.sum(axis=0) / (len(rows) + CENTRE_TRACKLETS)
        counts = np.bincount(camera, minlength=self._cameras)[:, None]
        sums = np.stack([means[camera == index].sum(axis=0) for index in range(self._cameras)])
        return np.asarray((sums + CENTRE_TRACKLETS * overall) / (counts + CENTRE_TRACKLETS), np.float32)

    def state(self) -> State:
        """The columns, and the centres."""
        counts = np.array([self._total_embeddings, self._embeddings_of_centre])
        columns: State = {name: getattr(self, name).copy() for name in COLUMNS}
        return columns | {"centre": self._centre.copy(), "counts": counts}

    def restore(self, state: State) -> None:
        self._take({name: state[name].copy() for name in COLUMNS})
        self._centre = state["centre"].copy()
        self._total_embeddings, self._embeddings_of_centre = state["counts"].tolist()

    def _take(self, store: State) -> None:
        """These columns are all there is. Tracks that were folded cannot be asked for any more."""
        self._store = store
        self._count = len(store["camera"])
        self._show()
        for camera in range(self._cameras):
            rows = np.nonzero(self.is_track & (self.folded == 0) & (self.camera == camera))[0]
            past = self.track_id[(self.folded == 1) & (self.camera == camera)]
            begun = self.track_id[rows] if len(rows) else past[-1:] + 1
            self._firsts[camera] = begun.min(initial=1 << 62) if len(past) and len(begun) else 0
            self._rows[camera] = np.full(64, UNKNOWN)
            self._index(camera, self.track_id[rows], rows)

    def _add(self, camera: int, track_ids: IntArray, time: float, length: int) -> IntArray:
        """Begin a row for each track (M,); the rows (M,)."""
        begin = self._count
        if length > self.length or begin + len(track_ids) > len(self._store["camera"]):
            rows = max(2 * (begin + len(track_ids)), len(self._store["camera"]))
            self._reserve(rows, max(length, self.length))
        self._count += len(track_ids)
        self._show()
        new = np.arange(begin, self._count)
        self.camera[new], self.track_id[new], self.begin[new] = camera, track_ids, time
        return new

    def _index(self, camera: int, track_ids: IntArray, rows: IntArray) -> None:
        """Find these tracks of a camera under their rows from now on."""
        track_ids = track_ids - self._firsts[camera]
        missing = int(track_ids.max(initial=0)) + 2 - len(self._rows[camera])
        if missing > 0:
            more = np.full(max(missing, len(self._rows[camera])), UNKNOWN)
            self._rows[camera] = np.concatenate((self._rows[camera], more))
        self._rows[camera][track_ids] = rows

    def _reserve(self, rows: int, length: int) -> None:
        store: State = {name: np.zeros(rows) for name in REAL}
        store |= {name: np.zeros(rows, np.int64) for name in WHOLE}
        store |= {name: np.zeros((rows, length), np.float32) for name in EMBEDDINGS}
        store[BOXES] = np.zeros((rows, MAX_BOXES, 4), np.float32)
        for name, old in self._store.items():
            if old.shape[1:] == store[name].shape[1:]:
                store[name][: len(old)] = old
        if length != self._centre.shape[1]:
            self._centre = np.zeros((self._cameras, length), np.float32)
        self._store = store
        self._show()

    def _show(self) -> None:
        for name in COLUMNS:
            setattr(self, name, self._store[name][: self._count])


def _frames_a_box(frames: IntArray) -> IntArray:
    """(M,) of how many frames one has its box remembered, in tracks of this many frames (M,)."""
    return np.asarray(2 ** np.ceil(np.log2(np.maximum(frames / MAX_BOXES, 1))), np.int64)


def _median(values: FloatArray, count: IntArray) -> FloatArray:
    """(M, ...) the median of the first (M,) of each row's values (M, K, ...); 0 of none."""
    is_there = (np.arange(values.shape[1]) < count[:, None]).reshape(
        *values.shape[:2], *[1] * (values.ndim - 2)
    )
    ordered = np.sort(np.where(is_there, values, np.inf), axis=1)
    rows, last = np.arange(len(values)), np.maximum(count - 1, 0)
    middle = (ordered[rows, last // 2] + ordered[rows, (last + 1) // 2]) / 2
    return np.asarray(np.where(np.isfinite(middle), middle, 0.0), np.float64)


def directions(sums: EmbeddingArray) -> EmbeddingArray:
    """(..., D) to length 1; zeros stay zeros."""
    lengths = np.sqrt((sums * sums).sum(axis=-1, keepdims=True))  # half the time of numpy's norm
    return np.asarray(sums / np.maximum(lengths, 1e-12), np.float32)
