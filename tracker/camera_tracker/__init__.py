"""CameraTracker: the boxes of one camera, frame by frame, become tracks."""

import math
from dataclasses import fields
from typing import NamedTuple

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.association import cheapest_pairs
from tracker.camera_tracker.continuing import continue_tracks, second_boxes, start_tracks
from tracker.camera_tracker.pairs import Candidates, is_contested, stage_cost
from tracker.camera_tracker.shift import common_shift
from tracker.camera_tracker.track_states import (
    LOST,
    SIZES,
    STATUS_NAMES,
    TENTATIVE,
    TIMES_ARE_EQUAL_S,
    TRACKED,
    Prediction,
    TrackStates,
    boxes_of,
    heights_of,
)
from tracker.config import TrackingConfig
from tracker.geometry import hidden_shares, iou_of_pairs, move_boxes, overlapping_pairs
from tracker.kalman import BoxNoise, move_moments, predict_moments
from tracker.types import Detections, Observations, State, Tracks

STILL = np.eye(2, 3)
"""The motion of a camera that does not move."""

YOUNG_EMBEDDINGS = 8
"""From a track's first embedding to this many, the time between two grows evenly to ``embed_every_s``."""


MIN_HIDDEN_SHARE = 0.4
"""Somebody of whom nearer people hide this share is missed because of them, and is still there."""


class Update(NamedTuple):
    """What one frame says of the tracks of a camera; both by rising id, and no track is in both.

    Attributes:
        tracks: The confirmed ones that were matched in this frame, with their filtered boxes.
        coasting: Those that were missed for no longer than ``coast_s``, where their motion leads; their
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
        embed_every_s: float = 0.0,
    ) -> None:
        """Begin without tracks.

        Args:
            camera: Which one; stands in error messages.
            config: How boxes become tracks.
            likely_score: The detector's score from which somebody is likely there; 0.6 suits YOLOX.
            embed_every_s: Seconds after which a track is embedded again where nothing else asks for it; 0
                embeds every detection of every frame.
        """
        self._embed_every_s = embed_every_s
        self._likely_score = likely_score
        self._sure_score = 0.5 * (1 + likely_score)
        self._camera = camera
        self._config = config
        self._noise = BoxNoise(**config.motion.model_dump())
        self._takes_part: list[BoolArray] = [
            np.array([name in stage.tracks for name in STATUS_NAMES]) for stage in config.stages
        ]
        self._time = -np.inf
        self._next_id = 1
        self._tracks = TrackStates.empty()

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
        tracks = self._tracks
        if not len(tracks):
            return Prediction(time, self._time, tracks)
        if time - tracks.seen_times.min() > self._config.max_lost_s:
            tracks = tracks[time - tracks.seen_times <= self._config.max_lost_s]
        moments, seen_boxes = tracks.moments, tracks.seen_boxes
        lost = (tracks.status == LOST).nonzero()[0]
        if len(lost):
            # The last boxes of somebody who vanishes behind others shrink; going on with that ruins the box.
            moments = moments.copy()
            moments[lost, 1, SIZES] = 0.0
        moments = predict_moments(moments, time - self._time, heights_of(moments), self._noise)
        if motion is not None and (motion != STILL).any():
            moments, seen_boxes = move_moments(moments, motion), move_boxes(seen_boxes, motion)
        return Prediction(time, self._time, tracks.at(moments, seen_boxes))

    def compare(self, prediction: Prediction, detections: Detections | Observations) -> Candidates:
        """Which tracks may be which detections. What all tracks are off by is taken to be the camera's.

        Raises:
            ValueError: A box is not finite or has no area, or a score is not finite.
        """
        boxes, scores = detections.boxes, detections.scores
        # A sum is finite only if all of it is, so most frames need no more than it and a comparison.
        if not math.isfinite(boxes.sum() + scores.sum()) or np.count_nonzero(boxes[:, 2:] <= boxes[:, :2]):
            self._refuse_broken(prediction.time, detections)
        candidates = Candidates(prediction, detections, self._config.motion.measured_sd)
        if len(candidates.tracks) and self._config.common_shift:
            pairs = candidates.pairs_of(self._config.stages[0])
            shift = common_shift(candidates, pairs, scores >= self._likely_score)
            if np.count_nonzero(shift):
                return candidates.moved(shift)
        return candidates

    def _refuse_broken(self, time: float, detections: Detections | Observations) -> None:
        boxes, scores = detections.boxes, detections.scores
        is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        is_box &= np.isfinite(scores)
        if not is_box.all():
            row = int(np.argmin(is_box))
            raise ValueError(
                f"camera {self._camera!r}, {time} s: detection {row} must be finite with x1 < x2 "
                f"and y1 < y2, got box {boxes[row].tolist()}, score {scores[row]}; leave such ones out"
            )

    def needs_embedding(self, candidates: Candidates) -> BoolArray:
        """(N,) for which detections `update` needs an embedding.

        Likely people who fit no track, or a lost one; people and tracks that compete so closely in a stage
        that weighs appearance that embeddings could decide; and tracks without an embedding for
        ``embed_every_s``, young ones sooner, since they have to be told from all who were there before.
        """
        detections, tracks = candidates.detections, candidates.tracks
        if not self._embed_every_s:
            return np.ones(len(detections), np.bool_)
        is_likely = detections.scores >= self._likely_score
        if not len(tracks) or not len(detections):
            return is_likely
        is_due = tracks.status == LOST
        is_due |= candidates.prediction.time - tracks.embedded_times >= self._embed_every_s * np.minimum(
            1, tracks.num_embeddings / YOUNG_EMBEDDINGS
        )
        fits, is_needed = np.zeros(len(detections), np.bool_), np.zeros(len(detections), np.bool_)
        competes = np.zeros(len(detections), np.bool_)
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            is_column = is_likely if stage.scores == "likely" else np.ones(len(detections), np.bool_)
            pairs = candidates.of(stage, takes_part.take(tracks.status), is_column)
            fits[pairs.columns] = True
            is_needed[pairs.columns[is_due.take(pairs.rows)]] = True
            if stage.appearance_weight:
                competes[pairs.columns[is_contested(stage, pairs)]] = True
        return competes | ((is_needed | ~fits) & is_likely)

    def update(self, candidates: Candidates, observations: Observations) -> Update:
        """Go on to the frame of the candidates.

        Args:
            candidates: What `compare` gave for this frame.
            observations: Its detections with their appearance; none, or none with an embedding, is fine.

        Raises:
            ValueError: The candidates are of another frame than the next one, the observations are not their
                detections, or embeddings are not finite or change their length.
        """
        prediction = candidates.prediction
        self._check(candidates, observations)
        is_first = self._time == -np.inf
        self._time = prediction.time
        rows, columns = self.match(candidates, observations)
        self._tracks = continue_tracks(
            prediction.tracks,
            rows,
            columns,
            observations,
            self._time,
            self._config,
            self._noise,
            self._sure_score,
        )
        is_over = (self._tracks.status == TENTATIVE) & (self._tracks.seen_times < self._time)
        if np.count_nonzero(is_over):
            self._tracks = self._tracks[~is_over]
        is_new = observations.scores >= self._likely_score
        is_new[columns] = False
        new = is_new.nonzero()[0]
        if len(new):
            new = new[~self._repeats(observations.boxes[new])]
        if len(new):
            found, max_iou = observations[new], self._config.max_confirm_iou
            status = np.full(len(found), TENTATIVE)
            if is_first or self._config.confirm_frames == 1:
                everybody, nobody = np.arange(len(found)), np.zeros(len(found), np.bool_)
                is_second = second_boxes(found, everybody, nobody, max_iou, self._sure_score)
                status[~is_second] = TRACKED
            started = start_tracks(found, status, self._time, self._next_id, self._noise)
            self._next_id += len(started)
            self._tracks = self._tracks.followed_by(started)
        tracks = self._tracks
        tracked, coasting = (tracks.status == TRACKED).nonzero()[0], self._coasting()
        return Update(
            self._report(tracked, tracks.scores.take(tracked)),
            self._report(coasting, np.zeros(len(coasting))),
        )

    def coast(self, time: float) -> Tracks:
        """Go on to a frame in which nobody looks for people: no track is found in it, and none missed.

        Returns:
            Those that were reported for the frame before, where their motion leads; their scores are 0.

        Raises:
            ValueError: Time does not rise.
        """
        tracks = self.predict(time).tracks
        if self._time > -np.inf:  # the first frame is one that somebody looks at
            self._tracks, self._time = tracks, time
        rows = np.union1d(np.flatnonzero(self._tracks.status == TRACKED), self._coasting())
        return self._report(rows, np.zeros(len(rows)))

    def forget(self, track_ids: IntArray) -> None:
        """What these tracks look like is not known any more."""
        tracks = self._tracks.copy()
        rows = np.isin(tracks.track_ids, track_ids)
        tracks.embeddings[rows] = tracks.last_embeddings[rows] = 0.0
        tracks.embedded_times[rows], tracks.num_embeddings[rows] = -np.inf, 0
        self._tracks = tracks

    def _coasting(self) -> IntArray:
        """Rows of those who were missed, but for a moment only, and who were surely there or are hidden."""
        tracks, config = self._tracks, self._config
        rows: IntArray = (tracks.status == LOST).nonzero()[0]
        if not len(rows):
            return rows
        seen_s = tracks.seen_times.take(rows)
        away_s = self._time - seen_s - TIMES_ARE_EQUAL_S
        is_coasting = away_s <= config.coast_s
        longer = (~is_coasting & (away_s <= config.hidden_coast_s)).nonzero()[0]
        if len(longer):
            found = boxes_of(tracks.moments[tracks.status == TRACKED])
            missed = boxes_of(tracks.moments.take(rows.take(longer), 0))
            is_coasting[longer] = hidden_shares(missed, found) >= MIN_HIDDEN_SHARE
        is_coasting &= seen_s - tracks.born_times.take(rows) >= config.coast_s - TIMES_ARE_EQUAL_S
        is_coasting &= tracks.seen_counts.take(rows) >= config.coast_min_share * tracks.frame_counts.take(
            rows
        )
        return rows[is_coasting]

    def _report(self, rows: IntArray, scores: FloatArray) -> Tracks:
        tracks = self._tracks
        boxes = boxes_of(tracks.moments).take(rows, 0) if len(rows) else np.empty((0, 4))
        return Tracks(tracks.track_ids.take(rows), boxes, scores, tracks.last_embeddings.take(rows, 0))

    def state(self) -> State:
        """Everything it remembers; a tracker of the same config that restores it goes on exactly alike."""
        tracks = {field.name: getattr(self._tracks, field.name).copy() for field in fields(TrackStates)}
        return {"time": np.array(self._time), "next_id": np.array(self._next_id), **tracks}

    def restore(self, state: State) -> None:
        """Take up a state that ``state`` gave.

        Raises:
            ValueError: Columns are missing, unknown or of other shapes.
        """
        names = {"time", "next_id", *(field.name for field in fields(TrackStates))}
        if names != state.keys():
            raise ValueError(
                f"camera {self._camera!r}: a tracker's state holds {sorted(names)}, got {sorted(state)}"
            )
        tracks = TrackStates(**{field.name: state[field.name].copy() for field in fields(TrackStates)})
        tracks.check_all()
        self._tracks = tracks
        self._time, self._next_id = float(state["time"]), int(state["next_id"])

    def _check(self, candidates: Candidates, observations: Observations) -> None:
        prediction, embeddings = candidates.prediction, observations.embeddings
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
        if embeddings.size and not np.isfinite(embeddings).all():
            raise ValueError(f"{where}: embeddings must be finite")
        length = self._tracks.embeddings.shape[1]
        if len(self._tracks) and len(observations) and embeddings.shape[1] != length:
            raise ValueError(
                f"{where}: embeddings must keep their length {length}, got {embeddings.shape[1]}"
            )

    def _repeats(self, boxes: FloatArray) -> BoolArray:
        """(N,) whether a box covers somebody who was seen in this frame, so that it is no new person."""
        repeats = np.zeros(len(boxes), np.bool_)
        seen = boxes_of(self._tracks.moments[self._tracks.seen_times == self._time])
        rows, columns = overlapping_pairs(seen, boxes)
        is_repeat = iou_of_pairs(seen.take(rows, 0), boxes.take(columns, 0)) > self._config.max_birth_iou
        repeats[columns[is_repeat]] = True
        return repeats

    def match(self, candidates: Candidates, observations: Observations) -> tuple[IntArray, IntArray]:
        """Which tracks `update` would find: their rows, rising, and the observation of each."""
        tracks = candidates.tracks
        column_of_row, num_matched = np.zeros(len(tracks), np.int64) - 1, 0
        is_free = np.ones(len(observations), np.bool_)
        is_likely = observations.scores >= self._likely_score
        for stage, takes_part in zip(self._config.stages, self._takes_part, strict=True):
            if num_matched == min(len(tracks), len(observations)):
                break
            is_row = takes_part.take(tracks.status)
            is_row &= column_of_row < 0
            is_column = is_free & is_likely if stage.scores == "likely" else is_free
            if not np.count_nonzero(is_row) or not np.count_nonzero(is_column):
                continue
            pairs = candidates.of(stage, is_row, is_column)
            if not len(pairs.rows):
                continue
            cost = stage_cost(stage, tracks, observations, pairs)
            shape = (len(tracks), len(observations))
            chosen = cheapest_pairs(pairs.rows, pairs.columns, cost, stage.max_cost, shape)
            columns = pairs.columns.take(chosen)
            column_of_row[pairs.rows.take(chosen)] = columns
            is_free[columns] = False
            num_matched += len(columns)
        rows = (column_of_row >= 0).nonzero()[0]
        return rows, column_of_row.take(rows)
