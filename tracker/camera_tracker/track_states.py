"""The tracks of a camera tracker, with their Kalman states."""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import Columns, EmbeddingArray, FloatArray, IntArray

STATUS_NAMES = ("tentative", "tracked", "lost")
TENTATIVE, TRACKED, LOST = range(len(STATUS_NAMES))

TIMES_ARE_EQUAL_S = 1e-6
"""Times of frames are rounded; 0.1 s after a frame at 30 frames/s is the third one."""

CENTERS, SIZES = slice(0, 2), slice(2, 4)
"""Where a box's centre x, y and its width, height stand among the coordinates of the Kalman filter."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackStates(Columns):
    """The M tracks of a camera, by rising id.

    Attributes:
        track_ids: (M,).
        status: (M,) TENTATIVE, TRACKED or LOST.
        born_times: (M,) seconds, when first matched.
        seen_times: (M,) seconds, when last matched.
        seen_counts: (M,) in how many frames matched.
        frame_counts: (M,) in how many frames since then it could be matched.
        scores: (M,) of the last detection.
        moments: (M, 5, 4) Kalman moments of centre x, centre y, width, height at the time of the last frame.
        seen_boxes: (M, 4) x1, y1, x2, y2 of the last detection, where the camera shows that place now.
        embeddings: (M, D) moving average of the appearance, each row of length 1, zeros before the first one.
        last_embeddings: (M, D) the appearance in the last frame, zeros where it has none.
        embedded_times: (M,) seconds, of the last embedding; -inf before the first.
        num_embeddings: (M,) how often it was embedded.
    """

    track_ids: IntArray
    status: IntArray
    born_times: FloatArray
    seen_times: FloatArray
    seen_counts: IntArray
    frame_counts: IntArray
    scores: FloatArray
    moments: FloatArray
    seen_boxes: FloatArray
    embeddings: EmbeddingArray
    last_embeddings: EmbeddingArray
    embedded_times: FloatArray
    num_embeddings: IntArray

    def check_all(self) -> None:
        """Raise ValueError unless all shapes fit. Not with every new object: there is one a frame."""
        length = self.embeddings.shape[1:]
        shapes: dict[str, tuple[int | None, ...]] = {"moments": (5, 4), "seen_boxes": (4,)}
        shapes |= {"embeddings": (None,), "last_embeddings": length}
        self.check(**dict.fromkeys(self.__slots__, ()) | shapes)

    def copy(self) -> "TrackStates":
        """A copy whose columns may be written."""
        return TrackStates(*[getattr(self, name).copy() for name in self.__slots__])

    def at(self, moments: FloatArray, seen_boxes: FloatArray) -> "TrackStates":
        """The same tracks elsewhere; `dataclasses.replace` takes as long as a step of the filter."""
        columns = [getattr(self, name) for name in self.__slots__]
        columns[MOMENTS], columns[SEEN_BOXES] = moments, seen_boxes
        return TrackStates(*columns)

    def followed_by(self, others: "TrackStates") -> "TrackStates":
        """These tracks and then the others, whose ids are higher."""
        if not len(self):
            return others
        return TrackStates(
            *[np.concatenate((getattr(self, name), getattr(others, name))) for name in self.__slots__]
        )

    @classmethod
    def empty(cls) -> "TrackStates":
        """No tracks."""
        counts, numbers, embeddings = np.empty(0, np.int64), np.empty(0), np.empty((0, 0), np.float32)
        return cls(
            track_ids=counts,
            status=counts,
            born_times=numbers,
            seen_times=numbers,
            seen_counts=counts,
            frame_counts=counts,
            scores=numbers,
            moments=np.empty((0, 5, 4)),
            seen_boxes=np.empty((0, 4)),
            embeddings=embeddings,
            last_embeddings=embeddings,
            embedded_times=numbers,
            num_embeddings=counts,
        )


MOMENTS, SEEN_BOXES = (TrackStates.__slots__.index(name) for name in ("moments", "seen_boxes"))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Where the tracks of a camera are at the time of a frame.

    Attributes:
        time: Seconds, of that frame.
        since: Seconds, of the frame that it is predicted from; -inf where there is none.
        tracks: Those that have not ended by then, in the picture of that frame.
    """

    time: float
    since: float
    tracks: TrackStates


TO_COORDINATES = np.kron([[0.5, -1.0], [0.5, 1.0]], np.eye(2))
"""(4, 4) what a row x1, y1, x2, y2 is multiplied with: one product instead of five small steps."""
TO_CORNERS = np.kron([[1.0, 1.0], [-0.5, 0.5]], np.eye(2))
AT_LEAST_A_PIXEL = np.array([-np.inf, -np.inf, 1.0, 1.0])


def coordinates(boxes: FloatArray) -> FloatArray:
    """(M, 4) x1, y1, x2, y2 -> centre x, centre y, width, height."""
    return boxes @ TO_COORDINATES


def boxes_of(moments: FloatArray) -> FloatArray:
    """(M, 5, 4) moments -> (M, 4) x1, y1, x2, y2, at least a pixel wide and high."""
    boxes: FloatArray = np.maximum(moments[:, 0], AT_LEAST_A_PIXEL) @ TO_CORNERS
    return boxes


def heights_of(moments: FloatArray) -> FloatArray:
    """(M, 5, 4) moments -> (M, 1) heights, at least a pixel: what the noise is a share of."""
    return np.maximum(moments[:, 0, 3:], 1.0)
