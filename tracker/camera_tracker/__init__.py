"""CameraTracker: the boxes of one camera, frame by frame, become tracks."""

from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from tracker.association import cheapest_pairs
from tracker.camera_tracker.pairs import Candidates, covered_shares, is_contested, stage_cost
from tracker.camera_tracker.people import (
    CENTERS,
    LOST,
    SIZES,
    STATUS_NAMES,
    TENTATIVE,
    TRACKED,
    People,
    Prediction,
    boxes_of,
    coordinates,
    heights_of,
)
from tracker.camera_tracker.shift import common_shift
from tracker.config import TrackingConfig
from tracker.geometry import iou_of_pairs, move_boxes, overlapping_pairs
from tracker.kalman import BoxNoise, move_moments, predict_moments, start_moments, update_moments
from tracker.types import (
    BoolArray,
    Detections,
    FloatArray,
    IntArray,
    Observations,
    State,
    Tracks,
)

TIMES_ARE_EQUAL_S = 1e-6
"""Times of frames are rounded; 0.1 s after a frame at 30 frames/s is the third one."""

STILL = np.eye(2, 3)
"""The motion of a camera that does not move."""

YOUNG_LOOKS = 8
"""From one look at a track to so many, the time between two grows evenly to the usual one."""


class Update(NamedTuple):
    """What one frame says of the tracks of a camera; both by rising id, and no track is in both.

    Attributes:
        tracks: The confirmed ones that were matched in this frame, with their filtered boxes.
        coasting: Those that were missed for no longer than ``carry_s``, where their motion leads; their
            scores are 0, as there is no detection. Detectors miss people for a frame or two, while the people
            go on. None that was hardly ever found, or only just now, since that may be no person.
    """

    tracks: Tracks
    coasting: Tracks


class CameraTracker:
    """Follows the people of one camera, online. Two trackers share nothing.

    A frame goes through four calls, each of which gets what it needs as the value that the one before gave;
    only `update` changes the tracker::

        prediction = tracker.predict(frame.time, motion)
        candidates = tracker.compare(prediction, detections)
        needed = tracker.needs_embedding(candidates)
        tracks, coasting = tracker.update(candidates, embedder.embed(...))
    """

    def __init__(
        self,
        camera: str,
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
        self._people = People.nobody()

    def predict(self, time: float, motion: FloatArray | None = None) -> Prediction:
        """Where the tracks are at the time of the next frame, as far as motion tells.

        Args:
            time: Seconds; later than the frame before. Frames may come at any rate, and drop.
            motion: (2, 3) how the camera moved the picture since the frame before, as `CameraMotion` gives
                it; None where it is not known. What all people are off by beyond it is found by `compare`.

        Raises:
            ValueError: Time does not rise.
        """
        if not self._time < time < np.inf:
            raise ValueError(
                f"camera {self._camera!r}: time must rise, got a frame at {time} s after {self._time} s"
            )
        people = self._people
        is_kept = time - people.seen_times <= self._config.max_lost_s
        if not is_kept.all():
            people = people[is_kept]
        if not len(people):
            return Prediction(time, self._time, people)
        moments, seen_boxes = people.moments.copy(), people.seen_boxes
        # The last boxes of somebody who vanishes behind others shrink; going on with that ruins the box.
        moments[people.status == LOST, 1, SIZES] = 0.0
        moments = predict_moments(moments, time - self._time, heights_of(moments), self._noise)
        if motion is not None and (motion != STILL).any():
            moments, seen_boxes = move_moments(moments, motion), move_boxes(seen_boxes, motion)
        return Prediction(time, self._time, replace(people, moments=moments, seen_boxes=seen_boxes))

    def compare(self, prediction: Prediction, detections: Detections | Observations) -> Candidates:
        """Which tracks may be which detections. What all tracks are off by is taken to be the camera's.

        Raises:
            ValueError: A box is not finite or has no area, or a score is not finite.
        """
        boxes, scores = detections.boxes, detections.scores
        is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        is_box &= np.isfinite(scores)
        if not is_box.all():
            row = int(np.argmin(is_box))
            raise ValueError(
                f"camera {self._camera!r}, {prediction.time} s: detection {row} must be finite with x1 < x2 "
                f"and y1 < y2, got box {boxes[row].tolist()}, score {scores[row]}"
            )
        people = prediction.people
        if len(people) and self._config.common_shift:
            likely = boxes[scores >= self._likely_score]
            shift = common_shift(people.status, people.seen_counts, boxes_of(people.moments), likely)
            if shift.any():
                moments = people.moments.copy()
                moments[:, 0, CENTERS] += shift
                people = replace(people, moments=moments, seen_boxes=people.seen_boxes + np.tile(shift, 2))
                prediction = replace(prediction, people=people)
        return Candidates(prediction, detections, self._config.motion.measured_sd)

    def needs_embedding(self, candidates: Candidates) -> BoolArray:
        """Whose appearance `update` needs: (N,), one for each detection.

        Likely people who fit no track, or a lost one; people and tracks that compete so closely in a stage
        that weighs appearance that looks could decide; and tracks that nobody looked at for
        ``look_every_s``, young ones sooner, since they have to be told from everybody who was there before.
        """
        detections, people = candidates.detections, candidates.people
        if not self._look_every_s:
            return np.ones(len(detections), np.bool_)
        is_likely = detections.scores >= self._likely_score
        if not len(people) or not len(detections):
            return is_likely
        is_due = people.status == LOST
        is_due |= candidates.prediction.time - people.look_times >= self._look_every_s * np.minimum(
            1, people.look_counts / YOUNG_LOOKS
        )
        fits, is_wanted = np.zeros(len(detections), np.bool_), np.zeros(len(detections), np.bool_)
        competes = np.zeros(len(detections), np.bool_)
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            pairs = candidates.of(stage)
            takes = takes_part[people.status].take(pairs.rows)
            if stage.scores == "likely":
                takes &= is_likely.take(pairs.columns)
            pairs = pairs[np.flatnonzero(takes)]
            cost = candidates.motion_cost(stage, pairs)
            if stage.appearance_weight < 1:
                allowed = np.flatnonzero(cost <= stage.max_cost)
                pairs, cost = pairs[allowed], cost.take(allowed)
            fits[pairs.columns] = True
            is_wanted[pairs.columns[is_due.take(pairs.rows)]] = True
            if stage.appearance_weight:
                competes[pairs.columns[is_contested(stage, pairs, cost)]] = True
        return competes | ((is_wanted | ~fits) & is_likely)

    def update(self, candidates: Candidates, observations: Observations) -> Update:
        """Go on to the frame of the candidates.

        Args:
            candidates: What `compare` gave for this frame.
            observations: Its detections with their appearance; without people or without features is fine.

        Raises:
            ValueError: The candidates are of another frame than the next one, the observations are not their
                detections, or features are not finite or change their length.
        """
        prediction = candidates.prediction
        self._check(candidates, observations)
        is_first = self._time == -np.inf
        self._time = prediction.time
        rows, columns = self._match(candidates, observations)
        self._people = self._gone_on(prediction.people, rows, columns, observations)
        is_over = (self._people.status == TENTATIVE) & (self._people.seen_times < self._time)
        if is_over.any():
            self._people = self._people[~is_over]
        is_new = observations.scores >= self._likely_score
        is_new[columns] = False
        if is_new.any():
            is_new[is_new] = ~self._repeats(observations.boxes[is_new])
        if is_new.any():
            is_confirmed = is_first or self._config.confirm_frames == 1
            self._start(observations[is_new], TRACKED if is_confirmed else TENTATIVE)
        people = self._people
        tracked, coasting = np.flatnonzero(people.status == TRACKED), self._coasting()
        return Update(
            self._report(tracked, people.scores.take(tracked)),
            self._report(coasting, np.zeros(len(coasting))),
        )

    def _coasting(self) -> IntArray:
        """Rows of those who were missed, but for a moment only, and who were surely there."""
        people, config = self._people, self._config
        rows = np.flatnonzero(people.status == LOST)
        if not len(rows):
            return rows
        seen_s = people.seen_times.take(rows)
        is_coasting = self._time - seen_s <= config.carry_s + TIMES_ARE_EQUAL_S
        is_coasting &= seen_s - people.born_times.take(rows) >= config.carry_s - TIMES_ARE_EQUAL_S
        is_coasting &= people.seen_counts.take(rows) >= config.carry_min_share * people.frame_counts.take(
            rows
        )
        return rows[is_coasting]

    def _report(self, rows: IntArray, scores: FloatArray) -> Tracks:
        people = self._people
        boxes = boxes_of(people.moments.take(rows, 0))
        return Tracks(people.track_ids.take(rows), boxes, scores, people.looks.take(rows, 0))

    def state(self) -> State:
        """Everything it remembers; a tracker of the same config that restores it goes on exactly alike."""
        people = {field.name: getattr(self._people, field.name).copy() for field in fields(People)}
        return {"time": np.array(self._time), "next_id": np.array(self._next_id), **people}

    def restore(self, state: State) -> None:
        """Take up a state that ``state`` gave.

        Raises:
            ValueError: Columns are missing, unknown or of other shapes.
        """
        names = {"time", "next_id", *(field.name for field in fields(People))}
        if names != state.keys():
            raise ValueError(
                f"camera {self._camera!r}: a tracker's state holds {sorted(names)}, got {sorted(state)}"
            )
        people = People(**{field.name: state[field.name].copy() for field in fields(People)})
        people.check()
        self._people = people
        self._time, self._next_id = float(state["time"]), int(state["next_id"])

    def _check(self, candidates: Candidates, observations: Observations) -> None:
        prediction, features = candidates.prediction, observations.features
        where = f"camera {self._camera!r}, {prediction.time} s"
        if prediction.since != self._time:
            raise ValueError(
                f"{where}: predicted from the frame at {prediction.since} s, "
                f"but the last one is at {self._time} s"
            )
        for name in ("boxes", "scores"):
            theirs, ours = getattr(observations, name), getattr(candidates.detections, name)
            if theirs is not ours and not np.array_equal(theirs, ours):
                raise ValueError(f"{where}: the observations have other {name} than the detections")
        if not np.isfinite(features).all():
            raise ValueError(f"{where}: features must be finite")
        length = self._people.features.shape[1]
        if len(self._people) and len(observations) and features.shape[1] != length:
            raise ValueError(f"{where}: features must keep their length {length}, got {features.shape[1]}")

    def _repeats(self, boxes: FloatArray) -> BoolArray:
        """(N,) whether a box covers somebody who was seen in this frame, so that it is no new person."""
        repeats = np.zeros(len(boxes), np.bool_)
        seen = boxes_of(self._people.moments[self._people.seen_times == self._time])
        rows, columns = overlapping_pairs(seen, boxes)
        is_repeat = iou_of_pairs(seen.take(rows, 0), boxes.take(columns, 0)) > self._config.max_birth_iou
        repeats[columns[is_repeat]] = True
        return repeats

    def _match(self, candidates: Candidates, observations: Observations) -> tuple[IntArray, IntArray]:
        """Run the stages. Returns rows of the people, rising, and the observation of each."""
        people = candidates.people
        column_of_row = np.full(len(people), -1)
        is_free = np.ones(len(observations), np.bool_)
        is_likely = observations.scores >= self._likely_score
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            is_row = takes_part[people.status] & (column_of_row < 0)
            is_column = is_free & is_likely if stage.scores == "likely" else is_free
            if not is_row.any() or not is_column.any():
                continue
            pairs = candidates.of(stage)
            some = (is_row.take(pairs.rows) & is_column.take(pairs.columns)).nonzero()[0]
            if not len(some):
                continue
            pairs = pairs[some]
            cost = stage_cost(stage, candidates.motion_cost(stage, pairs), people, observations, pairs)
            shape = (len(people), len(observations))
            chosen = cheapest_pairs(pairs.rows, pairs.columns, cost, stage.max_cost, shape)
            columns = pairs.columns.take(chosen)
            column_of_row[pairs.rows.take(chosen)] = columns
            is_free[columns] = False
        rows = np.nonzero(column_of_row >= 0)[0]
        return rows, column_of_row[rows]

    def _gone_on(
        self, predicted: People, rows: IntArray, columns: IntArray, observations: Observations
    ) -> People:
        """The people of ``rows`` were seen as the observations of ``columns``; nobody else was."""
        people, found, config = predicted.copy(), observations[columns], self._config
        before = people.moments[rows]
        # How far a detection may be off grows with its doubt and with what stands before it.
        doubt = 1.0 + config.score_doubt * (1.0 - np.clip(found.scores, 0.0, 1.0))
        if config.cover_doubt:
            doubt *= 1.0 + config.cover_doubt * covered_shares(observations.boxes)[columns]
        people.moments[rows] = update_moments(
            before, coordinates(found.boxes), heights_of(before) * doubt[:, None], self._noise
        )
        people.seen_boxes[rows] = found.boxes
        people.frame_counts[:] += 1
        people.seen_counts[rows] += 1
        people.looks[:] = 0.0
        looked = found.features.any(axis=1)
        if looked.any():
            people.looks[rows] = found.features
            seen, looks = rows[looked], found.features[looked]
            elapsed = self._time - people.look_times[seen, None]
            weight = np.exp(-elapsed / config.feature_memory_s)
            mixed = weight * people.features[seen] + (1 - weight) * looks
            people.features[seen] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
            people.look_times[seen] = self._time
            people.look_counts[seen] += 1
        people.status[people.status == TRACKED] = LOST
        is_confirmed = (people.status[rows] != TENTATIVE) | (
            people.seen_counts[rows] >= config.confirm_frames
        )
        people.status[rows] = np.where(is_confirmed, TRACKED, TENTATIVE)
        people.seen_times[rows] = self._time
        people.scores[rows] = found.scores
        return people

    def _start(self, found: Observations, status: int) -> None:
        measured = coordinates(found.boxes)
        looked = found.features.any(axis=1)
        newcomers = People(
            track_ids=np.arange(self._next_id, self._next_id + len(found)),
            status=np.full(len(found), status),
            born_times=np.full(len(found), self._time),
            seen_times=np.full(len(found), self._time),
            seen_counts=np.ones(len(found), np.int64),
            frame_counts=np.ones(len(found), np.int64),
            scores=found.scores.copy(),
            moments=start_moments(measured, measured[:, 3:], self._noise),
            seen_boxes=found.boxes.copy(),
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
        self._people = People(
            *(
                np.concatenate((getattr(old, field.name), getattr(newcomers, field.name)))
                for field in fields(People)
            )
        )
