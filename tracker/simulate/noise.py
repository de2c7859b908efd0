"""A detector that errs: misses, jitter, false boxes, and scores that know a little about it."""

import numpy as np

from foundation.arrays import FloatArray, IntArray
from foundation.mot_files import MotTable
from tracker.geometry import centers_of
from tracker.simulate.cameras import Camera
from tracker.simulate.config import DetectionNoise
from tracker.simulate.truth import Truth


class NoisyDetector:
    """Turns the truth of one camera into detections; owns its random numbers."""

    def __init__(
        self,
        noise: DetectionNoise,
        camera: Camera,
        spots: FloatArray,
        people: int,
        frame_rate: float,
        rng: np.random.Generator,
    ) -> None:
        """``spots`` (S, 2): where on the ground false boxes stand."""
        self._noise, self._camera, self._rng = noise, camera, rng
        self._keep = np.exp(-1 / (frame_rate * noise.memory_s)) if noise.memory_s else 0.0
        self._luck = rng.random(people)
        # Half of the false boxes come back at the same few places, as a coat stand's do.
        self._spots, self._tricky = spots, spots[rng.integers(len(spots), size=3)]

    def detect(self, truth: Truth, first: int, frames: int) -> MotTable:
        """Detections of ``frames`` frames from frame ``first`` (from 0) on, by frame and falling score."""
        found = self._found(truth, first, frames)
        false = self._false(first, frames)
        numbers, boxes, scores = (np.concatenate(pair) for pair in zip(found, false, strict=True))
        corners = boxes[:, :2] - boxes[:, 2:] / 2
        order = np.lexsort((-scores, numbers))
        table = MotTable.of_people(
            numbers + 1, np.full(len(numbers), -1), np.concatenate([corners, boxes[:, 2:]], axis=1), scores
        )
        return table[order]

    def _found(self, truth: Truth, first: int, frames: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Frames (K,), boxes (K, 4) as centre and size, and scores (K,) of the people who are found."""
        rng, noise = self._rng, self._noise
        luck = self._luck_of_frames(frames)[truth.frames - first, truth.people]
        chance = detection_chance(truth, noise, self._camera.size[1])
        centre, size = centers_of(truth.boxes), truth.boxes[:, 2:] - truth.boxes[:, :2]
        spread = noise.jitter * (2 - truth.visibility)[:, None]
        centre = centre + size * spread * rng.standard_normal(size.shape)
        size = size * np.exp(spread * rng.standard_normal(size.shape))
        margin = np.clip(chance - luck, 0, 1)
        score = 0.2 + 0.3 * chance + 0.45 * np.sqrt(margin) + 0.05 * rng.standard_normal(len(margin))
        found = luck < chance
        return (
            truth.frames[found],
            np.concatenate([centre, size], 1)[found],
            np.clip(score, 0.02, 0.99)[found],
        )

    def _luck_of_frames(self, frames: int) -> FloatArray:
        """(T, N) evenly spread in [0, 1); each person's value lasts ``memory_s`` on average."""
        rng, people = self._rng, len(self._luck)
        values = np.concatenate([self._luck[None], rng.random((frames, people))])
        fresh = rng.random((frames, people)) >= self._keep
        last = np.maximum.accumulate(np.where(fresh, np.arange(1, frames + 1)[:, None], 0), axis=0)
        luck = np.take_along_axis(values, last, axis=0)
        self._luck = luck[-1]
        return luck

    def _false(self, first: int, frames: int) -> tuple[IntArray, FloatArray, FloatArray]:
        rng = self._rng
        counts = rng.poisson(self._noise.false_boxes_per_frame, frames)
        total = int(counts.sum())
        anywhere = self._spots[rng.integers(len(self._spots), size=total)]
        tricky = self._tricky[rng.integers(len(self._tricky), size=total)]
        place = np.where(rng.random((total, 1)) < 0.5, tricky, anywhere)
        foot, _ = self._camera.project(np.column_stack([place, np.zeros(total)]))
        head, _ = self._camera.project(np.column_stack([place, rng.uniform(1.2, 1.9, total)]))
        height = np.maximum(np.abs(foot[:, 1] - head[:, 1]), 8.0) * np.exp(0.1 * rng.standard_normal(total))
        centre = (foot + head) / 2 + 0.05 * height[:, None] * rng.standard_normal((total, 2))
        size = np.column_stack([height * rng.uniform(0.28, 0.5, total), height])
        boxes = np.concatenate([centre, size], axis=1)
        return (
            np.repeat(np.arange(first, first + frames), counts),
            boxes,
            0.05 + 0.85 * rng.beta(1.6, 4.0, total),
        )


def detection_chance(truth: Truth, noise: DetectionNoise, picture_height: int) -> FloatArray:
    """(R,) how likely each person is to be found: two soft steps, over visibility and over height."""
    height = np.maximum(truth.boxes[:, 3] - truth.boxes[:, 1], 1e-6) / picture_height
    by_visibility = 1 / (1 + np.exp(-(truth.visibility - noise.half_recall_visibility) / 0.07))
    by_height = 1 / (1 + np.exp(-np.log(height / noise.half_recall_height) / 0.25))
    return np.asarray(noise.max_recall * by_visibility * by_height)
