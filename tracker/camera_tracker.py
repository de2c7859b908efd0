"""CameraTracker: the boxes of one camera, frame by frame, become tracks."""

from dataclasses import dataclass, fields

import numpy as np

from tracker.association import fuse_appearance, fuse_score, match_lowest_cost
from tracker.config import AssociationStage, TrackingConfig
from tracker.geometry import height_iou_matrix, iou_matrix
from tracker.kalman import BoxNoise, predict_moments, start_moments, update_moments
from tracker.types import (
    BoolArray,
    CameraName,
    Columns,
    Detections,
    FeatureArray,
    FloatArray,
    IntArray,
    Observations,
    State,
    Tracks,
    check_shape,
)

STATUS_NAMES = ("tentative", "tracked", "lost")
TENTATIVE, TRACKED, LOST = range(len(STATUS_NAMES))
YOUNG_LOOKS = 8
"""From one look at a track to so many, the time between two grows evenly to the usual one."""

CENTERS, SIZES = slice(0, 2), slice(2, 4)
"""Where a box's centre x, y and its width, height stand among the coordinates of the Kalman filter."""


@dataclass(frozen=True, slots=True, eq=False)
class _People(Columns):
    """The M people a camera tracker remembers, by rising id; the tracker writes into the columns.

    Attributes:
        track_ids: (M,).
        status: (M,) TENTATIVE, TRACKED or LOST.
        seen_times: (M,) seconds, when last matched.
        scores: (M,) of the last detection.
        moments: (M, 5, 4) Kalman moments of centre x, centre y, width, height at the time of the last frame.
        features: (M, D) moving average of the appearance, each row of length 1, or zeros if never looked at.
        looks: (M, D) the appearance in the last frame, zeros if nobody looked at it there.
        look_times: (M,) seconds, when last looked at; -inf if never.
        look_counts: (M,) how often it was looked at.
    """

    track_ids: IntArray
    status: IntArray
    seen_times: FloatArray
    scores: FloatArray
    moments: FloatArray
    features: FeatureArray
    looks: FeatureArray
    look_times: FloatArray
    look_counts: IntArray

    def __post_init__(self) -> None:
        people = len(self.track_ids)
        for name in ("track_ids", "status", "seen_times", "scores", "look_times", "look_counts"):
            check_shape(f"CameraTracker.{name}", getattr(self, name), (people,))
        check_shape("CameraTracker.moments", self.moments, (people, 5, 4))
        check_shape("CameraTracker.features", self.features, (people, None))
        check_shape("CameraTracker.looks", self.looks, self.features.shape)


class CameraTracker:
    """Follows the people of one camera, online. Two trackers share nothing."""

    def __init__(
        self,
        camera: CameraName,
        config: TrackingConfig,
        likely_score: float = 0.6,
        look_every_s: float = 0.0,
    ) -> None:
        """Follow nobody yet.

        Args:
            camera: Which one; stands in error messages.
            config: How boxes become tracks.
            likely_score: The detector's score from which somebody is likely there; 0.6 suits YOLOX.
            look_every_s: Seconds after which a track's appearance is looked at again where nothing else
                asks for it; 0 looks at everybody in every frame.
        """
        self._look_every_s = look_every_s
        self._likely_score = likely_score
        self._camera = camera
        self._config = config
        self._noise = BoxNoise(**config.motion.model_dump())
        self._takes_part: list[BoolArray] = [
            np.array([name in stage.tracks for name in STATUS_NAMES]) for stage in config.stages
        ]
        self._time = -np.inf
        self._next_id = 1
        self._people = _People(
            track_ids=np.empty(0, np.int64),
            status=np.empty(0, np.int64),
            seen_times=np.empty(0),
            scores=np.empty(0),
            moments=np.empty((0, 5, 4)),
            features=np.empty((0, 0), np.float32),
            looks=np.empty((0, 0), np.float32),
            look_times=np.empty(0),
            look_counts=np.empty(0, np.int64),
        )

    def wanted(self, time: float, detections: Detections) -> BoolArray:
        """Whose appearance `update` needs in the next frame: (N,), before anybody looked.

        Likely people who fit no track, or a lost one; people and tracks that compete in a stage that
        weighs appearance; and tracks that nobody looked at for ``look_every_s``, young ones sooner, since
        they have to be told from everybody who was there before. Changes nothing.
        """
        if not self._look_every_s:
            return np.ones(len(detections), np.bool_)
        is_likely = detections.scores >= self._likely_score
        people = self._people[time - self._people.seen_times <= self._config.max_lost_s]
        if not len(people) or not len(detections):
            return is_likely
        boxes = _boxes(self._predicted(people, time - self._time))
        fits = np.zeros((len(people), len(detections)), np.bool_)
        competes = fits.copy()
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            rows = takes_part[people.status]
            columns = is_likely if stage.scores == "likely" else np.ones_like(is_likely)
            allowed = np.zeros_like(fits)
            some = np.ix_(rows, columns)
            allowed[some] = _motion_cost(stage, boxes[rows], detections[columns]) <= stage.max_cost
            fits |= allowed
            if stage.appearance_weight:
                competes |= allowed
        rivals = competes & ((competes.sum(axis=1) > 1)[:, None] | (competes.sum(axis=0) > 1))
        every_s = self._look_every_s * np.minimum(1, people.look_counts / YOUNG_LOOKS)
        is_due = (people.status == LOST) | (time - people.look_times >= every_s)
        has_due = (fits & is_due[:, None]).any(axis=0) | ~fits.any(axis=0)
        return np.asarray(rivals.any(axis=0) | (has_due & is_likely))

    def update(self, time: float, observations: Observations) -> Tracks:
        """Take the people found in the next frame; say which tracks are seen in it.

        Args:
            time: Seconds; later than the frame before. Frames may come at any rate, and drop.
            observations: Who was found. Without people or without features is fine.

        Returns:
            The confirmed tracks that were matched in this frame, by rising id, with their filtered boxes.

        Raises:
            ValueError: Time does not rise, a box is not finite or has no area, or features change length.
        """
        self._check(time, observations)
        is_first = self._time == -np.inf
        if len(self._people):
            self._forget(time - self._people.seen_times > self._config.max_lost_s)
            self._people.moments[:] = self._predicted(self._people, time - self._time)
        self._time = time
        rows, columns = self._match(observations)
        self._go_on(rows, observations[columns])
        self._forget((self._people.status == TENTATIVE) & (self._people.seen_times < time))
        is_new = observations.scores >= self._likely_score
        is_new[columns] = False
        if is_new.any():
            self._start(observations[is_new], TRACKED if is_first else TENTATIVE)
        seen = self._people[self._people.status == TRACKED]
        return Tracks(seen.track_ids, _boxes(seen.moments), seen.scores, seen.looks)

    def state(self) -> State:
        """Everything it remembers; a tracker of the same config that restores it goes on exactly alike."""
        people = {field.name: getattr(self._people, field.name).copy() for field in fields(_People)}
        return {"time": np.array(self._time), "next_id": np.array(self._next_id), **people}

    def restore(self, state: State) -> None:
        """Take up a state that ``state`` gave.

        Raises:
            ValueError: Columns are missing, unknown or of other shapes.
        """
        names = {"time", "next_id", *(field.name for field in fields(_People))}
        if names != state.keys():
            raise ValueError(
                f"camera {self._camera!r}: a tracker's state holds {sorted(names)}, got {sorted(state)}"
            )
        self._people = _People(**{field.name: state[field.name].copy() for field in fields(_People)})
        self._time, self._next_id = float(state["time"]), int(state["next_id"])

    def _check(self, time: float, observations: Observations) -> None:
        if not self._time < time < np.inf:
            raise ValueError(
                f"camera {self._camera!r}: time must rise, got a frame at {time} s after {self._time} s"
            )
        boxes, features = observations.boxes, observations.features
        is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        is_box &= np.isfinite(observations.scores) & np.isfinite(features).all(axis=1)
        if not is_box.all():
            row = int(np.argmin(is_box))
            raise ValueError(
                f"camera {self._camera!r}, {time} s: observation {row} must be finite with x1 < x2 and "
                f"y1 < y2, got box {boxes[row].tolist()}, score {observations.scores[row]}"
            )
        length = self._people.features.shape[1]
        if len(self._people) and len(boxes) and features.shape[1] != length:
            raise ValueError(
                f"camera {self._camera!r}, {time} s: features must keep their length {length}, "
                f"got {features.shape[1]}"
            )

    def _forget(self, gone: BoolArray) -> None:
        if gone.any():
            self._people = self._people[~gone]

    def _predicted(self, people: _People, seconds: float) -> FloatArray:
        """Where people are so much later: (M, 5, 4). (Camera motion, once known, has its place here.)"""
        moments = people.moments.copy()
        # The last boxes of somebody who vanishes behind others shrink; going on with that ruins the box.
        moments[people.status == LOST, 1, SIZES] = 0.0
        return predict_moments(moments, seconds, _heights(moments), self._noise)

    def _match(self, observations: Observations) -> tuple[IntArray, IntArray]:
        """Run the stages. Returns rows of the people, rising, and the observation of each."""
        people = self._people
        column_of_row = np.full(len(people), -1)
        is_free = np.ones(len(observations), np.bool_)
        is_likely = observations.scores >= self._likely_score
        boxes = _boxes(people.moments)
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            rows = np.nonzero(takes_part[people.status] & (column_of_row < 0))[0]
            columns = np.nonzero(is_free & is_likely if stage.scores == "likely" else is_free)[0]
            if not len(rows) or not len(columns):
                continue
            some = observations[columns]
            cost = _cost(stage, boxes[rows], people.features[rows], some)
            pairs = match_lowest_cost(cost, stage.max_cost).pairs
            taken = columns[pairs[:, 1]]
            column_of_row[rows[pairs[:, 0]]] = taken
            is_free[taken] = False
        rows = np.nonzero(column_of_row >= 0)[0]
        return rows, column_of_row[rows]

    def _go_on(self, rows: IntArray, found: Observations) -> None:
        """The people of ``rows`` were seen as ``found``; nobody else was."""
        people = self._people
        before = people.moments[rows]
        people.moments[rows] = update_moments(
            before, _coordinates(found.boxes), _heights(before), self._noise
        )
        people.looks[:] = 0.0
        looked = found.features.any(axis=1)
        if looked.any():
            people.looks[rows] = found.features
            seen, looks = rows[looked], found.features[looked]
            elapsed = self._time - people.look_times[seen, None]
            weight = np.exp(-elapsed / self._config.feature_memory_s)
            mixed = weight * people.features[seen] + (1 - weight) * looks
            people.features[seen] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
            people.look_times[seen] = self._time
            people.look_counts[seen] += 1
        people.status[people.status == TRACKED] = LOST
        people.status[rows] = TRACKED
        people.seen_times[rows] = self._time
        people.scores[rows] = found.scores

    def _start(self, found: Observations, status: int) -> None:
        measured = _coordinates(found.boxes)
        looked = found.features.any(axis=1)
        newcomers = _People(
            track_ids=np.arange(self._next_id, self._next_id + len(found)),
            status=np.full(len(found), status),
            seen_times=np.full(len(found), self._time),
            scores=found.scores.copy(),
            moments=start_moments(measured, measured[:, 3:], self._noise),
            features=found.features.copy(),
            looks=found.features.copy(),
            look_times=np.where(looked, self._time, -np.inf),
            look_counts=np.asarray(looked, np.int64),
        )
        self._next_id += len(found)
        old = self._people
        if not len(old):
            self._people = newcomers
            return
        self._people = _People(
            *(
                np.concatenate((getattr(old, field.name), getattr(newcomers, field.name)))
                for field in fields(_People)
            )
        )


def _motion_cost(stage: AssociationStage, boxes: FloatArray, found: Detections | Observations) -> FloatArray:
    """(M, N) what each pair of a person and a detection costs in this stage, whatever they look like."""
    similarity = iou_matrix(boxes, found.boxes)
    if stage.similarity == "height_iou":
        similarity *= height_iou_matrix(boxes, found.boxes)
    if stage.fuse_score:
        similarity = fuse_score(similarity, found.scores)
    return 1.0 - similarity


def _cost(
    stage: AssociationStage, boxes: FloatArray, features: FeatureArray, found: Observations
) -> FloatArray:
    """(M, N) what each pair costs; where one of the two was never looked at, motion alone counts."""
    cost = _motion_cost(stage, boxes, found)
    if stage.appearance_weight and features.shape[1]:
        distance = 1.0 - (features @ found.features.T).astype(np.float64)
        cost[cost > stage.max_cost] = np.inf
        fused = fuse_appearance(cost, distance, stage.appearance_weight, stage.max_cosine_distance)
        return np.where(np.outer(features.any(axis=1), found.features.any(axis=1)), fused, cost)
    return cost


def _coordinates(boxes: FloatArray) -> FloatArray:
    """(M, 4) x1, y1, x2, y2 -> centre x, centre y, width, height."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate((boxes[:, :2] + 0.5 * sizes, sizes), axis=1)


def _boxes(moments: FloatArray) -> FloatArray:
    """(M, 5, 4) moments -> (M, 4) x1, y1, x2, y2, at least a pixel wide and high."""
    centers, half = moments[:, 0, CENTERS], 0.5 * np.maximum(moments[:, 0, SIZES], 1.0)
    return np.concatenate((centers - half, centers + half), axis=1)


def _heights(moments: FloatArray) -> FloatArray:
    """(M, 5, 4) moments -> (M, 1) heights, at least a pixel: what the noise is a share of."""
    return np.maximum(moments[:, 0, 3:], 1.0)
