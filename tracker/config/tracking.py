"""How boxes become tracks: the sections of a configuration that the camera tracker and the smoother read."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from foundation.config import Section
from tracker.config.ranges import Tunable


class MotionConfig(Section):
    """How a box wanders: standard deviations in box heights, so that near and far people are alike.

    Found with benchmarks/mot16.py; docs/association.md says how much each matters.
    """

    measured_sd: Annotated[float, Tunable(0.01, 0.2, log=True)] = Field(default=0.065, gt=0)
    """Of a detected box's centre, width and height, in heights."""

    position_sd: Annotated[float, Tunable(0.03, 1.0, log=True)] = Field(default=0.24, ge=0)
    """Of their drift within one second, beside their velocity, in heights."""

    velocity_sd: Annotated[float, Tunable(0.1, 5.0, log=True)] = Field(default=0.42, gt=0)
    """Of their velocities' drift within one second, in heights per second."""

    start_velocity_sd: Annotated[float, Tunable(0.5, 8.0, log=True)] = Field(default=2.0, gt=0)
    """Of the velocity of somebody who was just found, in heights per second."""


class AssociationStage(Section):
    """One round of matching: which tracks meet which detections, what a pair costs and may cost."""

    tracks: tuple[Literal["tentative", "tracked", "lost"], ...] = Field(min_length=1)
    """Tentative: found, but not often enough to be reported. Tracked: found in the last frame. Lost: not
    there."""

    scores: Literal["likely", "all"] = "likely"
    """Which detections that no earlier round took take part: those from the detector's ``likely_score`` on,
    or all it gave."""

    boxes: Literal["predicted", "last_seen"] = "predicted"
    """Where a track is looked for: where its motion leads, or where it was found last."""

    buffer: Annotated[float, Tunable(0.0, 0.2)] = Field(default=0.0, ge=0, le=1)
    """The IoU is that of boxes this share of their size wider and higher at each side (buffered IoU)."""

    similarity: Literal["iou", "height_iou"] = "iou"
    """Overlap of the boxes, or that times the overlap of their vertical extents."""

    fuse_score: bool = False
    """Multiply the similarity by the detection's score, so that likely people are taken first."""

    max_cost: Annotated[float, Tunable(0.3, 0.98)] = Field(gt=0, le=1)
    """The highest cost of a pair; it costs 1 - similarity and what the weights add, and half of that counts
    as leaving one apart."""

    feet_weight: Annotated[float, Tunable(0.0, 0.6)] = Field(default=0.0, ge=0)
    """Added to the cost for each box height by which the feet, the middles of the lower edges, are apart, one
    at most, and less where the prediction is unsure: who stands elsewhere on the ground is somebody else."""

    direction_weight: Annotated[float, Tunable(0.0, 0.3)] = Field(default=0.0, ge=0)
    """Added to the cost for each half turn between a track's velocity and the way to the detection."""

    max_mahalanobis: float | None = Field(default=None, gt=0)
    """A detection further from the prediction is never taken, in standard deviations over centre, width and
    height together. With it, boxes need not overlap."""

    appearance_weight: Annotated[float, Tunable(0.0, 0.9, appearance=True)] = Field(default=0.0, ge=0, le=1)
    """Share of the cosine distance in the cost, where there is an embedder. At 1 it is all
    of it, and motion only gates."""

    max_cosine_distance: Annotated[float, Tunable(0.1, 1.0, appearance=True)] = Field(default=0.5, ge=0, le=2)
    """A pair whose embeddings are further apart is never made, where ``appearance_weight`` is above 0."""


class TrackingConfig(Section):
    """How the boxes of one camera become tracks. Its numbers: docs/association.md."""

    stages: tuple[AssociationStage, ...] = (
        AssociationStage(
            tracks=("tracked", "lost"),
            buffer=0.03,
            similarity="height_iou",
            fuse_score=True,
            max_cost=0.94,
            feet_weight=0.5,
            appearance_weight=0.3,
            max_cosine_distance=0.6,
        ),
        AssociationStage(
            tracks=("tracked",),
            scores="all",
            buffer=0.03,
            similarity="height_iou",
            max_cost=0.43,
            feet_weight=0.5,
        ),
        AssociationStage(
            tracks=("tentative",),
            buffer=0.03,
            similarity="height_iou",
            fuse_score=True,
            max_cost=0.87,
            feet_weight=0.5,
        ),
    )
    """Rounds of matching in this order; whoever is matched in one takes no part in the next."""

    confirm_frames: int = Field(default=2, ge=1)
    """A track is reported once it was found in this many frames without a miss; those of the first frame at
    once."""

    max_birth_iou: Annotated[float, Tunable(0.3, 1.0)] = Field(default=0.5, ge=0, le=1)
    """A detection that overlaps a track found in the same frame by more starts no other one."""

    max_confirm_iou: Annotated[float, Tunable(0.1, 1.0)] = Field(default=0.25, ge=0, le=1)
    """A new track that overlaps another one found in the same frame by more may be a second box of the same
    person: it is reported after ``overlapped_confirm_s``, once they are apart, or with a score above half way
    from the detector's ``likely_score`` to 1."""

    overlapped_confirm_s: float = Field(default=0.3, ge=0)
    """For this many seconds it has to be found in every frame: of two people both go on having a box of their
    own, a second box of one person comes and goes."""

    max_lost_s: Annotated[float, Tunable(0.3, 10.0, log=True)] = Field(default=1.5, gt=0)
    """Seconds without a match before a track ends."""

    coast_s: float = Field(default=0.1, ge=0)
    """For this many seconds a track that the detector misses coasts: it is reported where its motion leads,
    with score 0. It must have been followed for as long."""

    hidden_coast_s: float = Field(default=0.3, ge=0)
    """For this many seconds it coasts where somebody nearer hides it."""

    coast_min_share: float = Field(default=0.4, ge=0, le=1)
    """Of its frames a track must have been found in this share to coast."""

    score_doubt: Annotated[float, Tunable(0.0, 6.0)] = Field(default=3.0, ge=0)
    """The measurement noise of a detection of score s is 1 + score_doubt x (1 - s) times as high."""

    cover_doubt: Annotated[float, Tunable(0.0, 4.0)] = Field(default=1.0, ge=0)
    """It is 1 + cover_doubt x c times as high where a nearer detection hides a share c of it."""

    embedding_ema_s: Annotated[float, Tunable(0.1, 10.0, log=True, appearance=True)] = Field(
        default=0.5, gt=0
    )
    """Time constant of the exponential moving average (EMA) of a track's embeddings, in seconds."""

    common_shift: bool = True
    """Whether what all people are off by, beyond their own motion, is taken to be the camera's."""

    motion: MotionConfig = MotionConfig()

    renamed: ClassVar[Mapping[str, str]] = {
        "carry_s": "coast_s",
        "carry_min_share": "coast_min_share",
        "feature_memory_s": "embedding_ema_s",
    }


class OfflineConfig(Section):
    """How finished tracks are made better with what came later. Its numbers: docs/offline.md."""

    min_likely_share: float = Field(default=0.6, ge=0, le=1)
    """A track of which fewer boxes have the detector's ``likely_score`` goes; 0 keeps all."""

    max_gap_s: float = Field(default=3.0, ge=0)
    """Longer gaps are not filled, and tracks further apart not joined; 0 does neither."""

    sure_gap_s: float = Field(default=0.5, ge=0)
    """In longer gaps a box is only filled where somebody nearer hides it, or for who was found most of the
    time: ``min_found_share``."""

    min_found_share: float = Field(default=0.6, ge=0, le=1)
    """Who was found in this share of their frames, first to last, is filled in long gaps too; 0 fills all."""

    stranger_log_density: float = -1.0
    """How likely somebody else begins where a track would go on: log of the probability in a box height along
    x, y and height, and in a height per second of their velocities. Lower joins more."""

    motion: MotionConfig = MotionConfig(
        measured_sd=0.07, position_sd=0.1, velocity_sd=0.4, start_velocity_sd=1.0
    )
    """Steadier than online, where a filter that trusts its past too much loses people."""
