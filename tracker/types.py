"""The values that pass between stages: frozen columns, checked once, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NewType, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foundation.arrays import BoolArray, Columns, EmbeddingArray, FloatArray, Image, IntArray, check_shape
from foundation.errors import ReuniteError

if TYPE_CHECKING:
    import pandas
    import supervision

CameraName = NewType("CameraName", str)
TrackId = NewType("TrackId", int)
"""A person followed without a break in one camera."""
IdentityId = NewType("IdentityId", int)
"""A person, over all cameras of one run."""

State = dict[str, NDArray[Any]]
"""What an object remembers, as named arrays: what a checkpoint stores and a resumed run restores."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera.

    Attributes:
        camera: Which camera took it.
        number: Its place in the source, from 1 as in MOTChallenge files. Dropped frames leave gaps.
        time: Seconds. In files since the first frame of the first camera; in live streams when it was
            captured (Unix time).
        image: (H, W, 3) BGR. A source without pixels gives a view of one black pixel in the
            right size (``blank_image``), so no stage has to ask whether there is a picture.
    """

    camera: CameraName
    number: int
    time: float
    image: Image

    def __post_init__(self) -> None:
        check_shape("Frame.image", self.image, (None, None, 3))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def is_blank(self) -> bool:
        """Whether there is no picture, only its size: a `blank_image`."""
        return self.image.strides[:2] == (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What all cameras saw at one moment: at most one frame of each.

    Attributes:
        time: Seconds, the earliest of the frames.
        frames: At least one frame, in the order of the cameras.
        is_skipped: Whether nobody looks for people in it, as more comes than can be tracked: tracks coast.
    """

    time: float
    frames: tuple[Frame, ...]
    is_skipped: bool = False

    def __post_init__(self) -> None:
        cameras = [frame.camera for frame in self.frames]
        if not cameras or len(set(cameras)) < len(cameras):
            raise ValueError(
                f"Tick.frames must hold one frame or more, each of another camera, got {cameras}"
            )

    @classmethod
    def of(cls, time: float, images: Mapping[str, Image], number: int = 0) -> Self:
        """Pictures that were taken at one moment.

        Args:
            time: Seconds.
            images: (H, W, 3) BGR of each camera; `blank_image` where there is no picture.
            number: Of these frames, from 1; matters only where something is read from files by its number.
        """
        frames = [Frame(CameraName(camera), number, time, image) for camera, image in images.items()]
        return cls(time, tuple(frames))


@dataclass(frozen=True, slots=True, eq=False)
class Detections(Columns):
    """The N people found in one frame, one row each.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 in pixels of the full frame; finite, x1 < x2 and y1 < y2.
            Boxes may reach beyond the picture.
        scores: (N,) detector confidence; in [0, 1] for every detector but ``file``.
    """

    boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        self.check(boxes=(4,), scores=())

    @classmethod
    def empty(cls) -> Self:
        """No people."""
        return cls(np.empty((0, 4)), np.empty(0))

    @classmethod
    def of(cls, boxes: ArrayLike, scores: ArrayLike | None = None) -> Self:
        """From plain arrays or lists.

        Args:
            boxes: (N, 4) x1, y1, x2, y2 in pixels.
            scores: (N,) in [0, 1]; None: 1 for all.
        """
        columns = np.asarray(boxes, np.float64)
        columns = columns.reshape(-1, 4) if not columns.size else columns
        return cls(columns, np.ones(len(columns)) if scores is None else np.asarray(scores, np.float64))

    @classmethod
    def from_ultralytics(cls, result: Any, class_name: str | None = "person") -> Self:
        """From one ``ultralytics.engine.results.Results``, as ``model(image)[0]`` gives it.

        Boxes that it clipped to nothing at the edge of the picture are left out.

        Args:
            result: Of one picture.
            class_name: Boxes of other classes are left out; None keeps all.

        Raises:
            ValueError: The result has no boxes, as that of a classifier.
        """
        if result.boxes is None:
            raise ValueError(
                "Detections.from_ultralytics: the result has no boxes; take a model that detects"
            )
        boxes, scores, classes = (
            np.asarray(column.cpu() if hasattr(column, "cpu") else column, np.float64)
            for column in (result.boxes.xyxy, result.boxes.conf, result.boxes.cls)
        )
        names = np.array([result.names[int(it)] for it in classes], np.str_)
        return cls(boxes, scores)[_is_class(names, class_name, len(boxes)) & _has_area(boxes)]

    @classmethod
    def from_supervision(
        cls, detections: "supervision.Detections", class_name: str | None = "person"
    ) -> Self:
        """From ``supervision.Detections``; where those have no scores, 1 for all.

        Boxes without area are left out.

        Args:
            detections: Of one picture.
            class_name: Boxes of other classes are left out, where classes have names; None keeps all.
        """
        people = cls.of(detections.xyxy, detections.confidence)
        names, kept = detections.data.get("class_name"), _has_area(people.boxes)
        return people[kept if names is None else kept & _is_class(np.asarray(names), class_name, len(people))]


@dataclass(frozen=True, slots=True, eq=False)
class Observations(Columns):
    """Detections with their embeddings.

    Attributes:
        boxes: (N, 4), scores: (N,) as in `Detections`.
        embeddings: (N, D) appearance, each row of length 1, or of zeros where none was taken. D is 0 where
            nothing is ever embedded.
    """

    boxes: FloatArray
    scores: FloatArray
    embeddings: EmbeddingArray

    def __post_init__(self) -> None:
        self.check(boxes=(4,), scores=(), embeddings=(None,))


@dataclass(frozen=True, slots=True, eq=False)
class Tracks(Columns):
    """The M tracks of one camera in this frame: those that were matched, or those that coast.

    Attributes:
        track_ids: (M,) numbers from 1, never used again in the same camera.
        boxes: (M, 4) x1, y1, x2, y2 in pixels.
        scores: (M,) score of the detection that continued the track; 0 where there is none.
        embeddings: (M, D) embedding of that detection, as in `Observations`.
    """

    track_ids: IntArray
    boxes: FloatArray
    scores: FloatArray
    embeddings: EmbeddingArray

    def __post_init__(self) -> None:
        self.check(track_ids=(), boxes=(4,), scores=(), embeddings=(None,))


@dataclass(frozen=True, slots=True, eq=False)
class Sightings(Columns):
    """The M people of one frame, as they are written down.

    Attributes:
        track_ids: (M,), boxes: (M, 4), scores: (M,) as in `Tracks`.
        identity_ids: (M,) who they are, from 1; 0 where that is not decided yet.
    """

    track_ids: IntArray
    identity_ids: IntArray
    boxes: FloatArray
    scores: FloatArray

    def __post_init__(self) -> None:
        self.check(track_ids=(), identity_ids=(), boxes=(4,), scores=())

    def to_supervision(self) -> "supervision.Detections":
        """As ``supervision.Detections``: ``tracker_id`` is the identity, 0 where it is not decided yet.

        Raises:
            ReuniteError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise ReuniteError("Sightings.to_supervision: pip install supervision") from None
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=np.zeros(len(self), np.int64),
            tracker_id=self.identity_ids.copy(),
            data={"class_name": np.full(len(self), "person"), "track_id": self.track_ids.copy()},
        )

    def to_pandas(self) -> "pandas.DataFrame":
        """A table with the columns of ``sightings.parquet``: track, identity, x1, y1, x2, y2, score.

        Raises:
            ReuniteError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ReuniteError("Sightings.to_pandas: pip install pandas") from None
        corners = dict(zip(("x1", "y1", "x2", "y2"), self.boxes.T.copy(), strict=True))
        ids = {"track": self.track_ids, "identity": self.identity_ids}
        return pandas.DataFrame({**ids, **corners, "score": self.scores})


@dataclass(frozen=True, slots=True, eq=False)
class Tracklets(Columns):
    """The tracklets of a run: every track so far, one row each, in the order in which they were first seen.

    Attributes:
        cameras: (T,) names, strings.
        track_ids: (T,) as in `Tracks`.
        identity_ids: (T,) who it is, as far as it is known now; 0 where it is undecided.
        begin_s: (T,), end_s: (T,) when first and last seen, as `Frame.time`.
        decided_s: (T,) when somebody first could tell, nan where nobody can yet. Linking all once more
            after the last frame does not change it.
        frames: (T,) in how many frames it was seen.
        num_embeddings: (T,) how many embeddings went into the mean.
        embeddings: (T, D) mean embedding, each row of length 1, or of zeros where there is none.
    """

    cameras: NDArray[np.object_]
    track_ids: IntArray
    identity_ids: IntArray
    begin_s: FloatArray
    end_s: FloatArray
    decided_s: FloatArray
    frames: IntArray
    num_embeddings: IntArray
    embeddings: EmbeddingArray

    def __post_init__(self) -> None:
        self.check(**dict.fromkeys(self.__slots__, ()) | {"embeddings": (None,)})


@dataclass(frozen=True, slots=True, eq=False)
class KnownIdentities(Columns):
    """Identities that a gallery held before a run, one row for each identity and camera.

    Attributes:
        identity_ids: (R,) who they are.
        cameras: (R,) names, strings; of cameras that the run has, or others.
        last_seen_s: (R,) as `Frame.time`; before 0 where the run reads files.
        embeddings: (R, D) mean embedding there, each row of length 1.
    """

    identity_ids: IntArray
    cameras: NDArray[np.object_]
    last_seen_s: FloatArray
    embeddings: EmbeddingArray

    def __post_init__(self) -> None:
        self.check(identity_ids=(), cameras=(), last_seen_s=(), embeddings=(None,))


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """Something that was found out about who is who, when it was found out.

    Attributes:
        time: As `Frame.time`.
        kind: ``new``: a track is somebody who was not seen before; ``returned``: it is somebody who was seen
            before; ``merged``: who was thought to be new is somebody who was seen before; ``split``: who was
            taken for somebody is somebody else.
        camera, track_id: The track.
        identity: Who it is now.
        other: Who it was until now, for ``merged`` and ``split``; else 0. After ``merged`` this number is
            not used any more.
    """

    time: float
    kind: Literal["new", "returned", "merged", "split"]
    camera: CameraName
    track_id: int
    identity: int
    other: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityReport:
    """What the cosine between two tracks means at one site, and the errors that follow.

    Attributes:
        different: (P,) cosines of tracks that one camera saw together: different people.
        within: (W,) cosines between two embeddings of a track, seconds apart: one person, in one light.
        prior_pairs: The prior weighs as much as this many pairs of either kind.
        mean_sd_different, mean_sd_within, mean_sd_same: Mean and standard deviation of the cosine of two
            people, of two embeddings of a track, of one person in two tracklets; of pairs and prior together.
        grid: (G,) rising cosines.
        density_different, density_same: (G,) densities for two people, for one person in two tracklets.
        num_identities: How many were known at the end.
        threshold: Cosine from which on a track was one of them, where time and place said nothing.
        max_false_merge_rate: At most this share of strangers was to be taken for somebody.
        expected_false_merge_rate: The share that is expected, with this many people known.
        expected_missed_rate, missed_rates: The share of returns that are missed; the least and most of it.
    """

    different: FloatArray
    within: FloatArray
    prior_pairs: float
    mean_sd_different: tuple[float, float]
    mean_sd_within: tuple[float, float]
    mean_sd_same: tuple[float, float]
    grid: FloatArray
    density_different: FloatArray
    density_same: FloatArray
    num_identities: int
    threshold: float
    max_false_merge_rate: float
    expected_false_merge_rate: float
    expected_missed_rate: float
    missed_rates: tuple[float, float]

    def __post_init__(self) -> None:
        for name in ("different", "within", "grid"):
            check_shape(f"SimilarityReport.{name}", getattr(self, name), (None,))
        for name in ("density_different", "density_same"):
            check_shape(f"SimilarityReport.{name}", getattr(self, name), (len(self.grid),))


@dataclass(frozen=True, slots=True)
class Network:
    """Which network made the embeddings; those of two networks cannot be compared.

    Attributes:
        name: For people to read.
        fingerprint: Tells the weights and their preprocessing from all others; for example a SHA-256.
        dimension: Length of an embedding.
    """

    name: str
    fingerprint: str
    dimension: int

    def __str__(self) -> str:
        return f"{self.name} (fingerprint {self.fingerprint[:12]}, {self.dimension} numbers)"


def blank_image(width: int, height: int) -> Image:
    """A black picture of any size that takes three bytes of memory; read-only."""
    return np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))


def _has_area(boxes: FloatArray) -> BoolArray:
    """(N,) whether a box is one: others clip boxes at the edge of the picture, down to nothing."""
    return np.asarray((np.isfinite(boxes).all(axis=1)) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def _is_class(names: NDArray[Any], class_name: str | None, count: int) -> BoolArray:
    """(N,) which boxes are of a class; all of them where none is asked for."""
    return np.ones(count, np.bool_) if class_name is None else np.asarray(names == class_name, np.bool_)
