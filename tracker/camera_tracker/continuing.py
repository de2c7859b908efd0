"""What a frame makes of tracks: whoever was matched goes on, whoever was not is lost, and new ones start."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray
from tracker.camera_tracker.pairs import covered_shares
from tracker.camera_tracker.track_states import (
    LOST,
    TENTATIVE,
    TIMES_ARE_EQUAL_S,
    TRACKED,
    TrackStates,
    coordinates,
    heights_of,
)
from tracker.config import TrackingConfig
from tracker.geometry import iou_matrix
from tracker.kalman import BoxNoise, start_moments, update_moments
from tracker.types import Observations


def continue_tracks(
    predicted: TrackStates,
    rows: IntArray,
    columns: IntArray,
    observations: Observations,
    time: float,
    config: TrackingConfig,
    noise: BoxNoise,
    sure_score: float,
) -> TrackStates:
    """All tracks after a frame at ``time`` in which those of ``rows`` were matched, and no others.

    Args:
        predicted: As they were expected in this frame.
        rows, columns: (K,) each track that was matched, rising, and the observation it was matched with.
        sure_score: As in `second_boxes`.
    """
    found, old = observations[columns], predicted
    before = old.moments if len(rows) == len(old) else old.moments.take(rows, 0)
    seen_counts = old.seen_counts.take(rows) + 1
    # How far a detection may be off grows with its doubt and with what stands before it.
    doubt = 1.0 + config.score_doubt * (1.0 - np.minimum(np.maximum(found.scores, 0.0), 1.0))
    if config.cover_doubt:
        doubt *= 1.0 + config.cover_doubt * covered_shares(observations.boxes).take(columns)
    moments = update_moments(before, coordinates(found.boxes), heights_of(before) * doubt[:, None], noise)
    is_old = old.status.take(rows) != TENTATIVE
    is_confirmed = is_old | (seen_counts >= config.confirm_frames)
    young = (is_confirmed & ~is_old).nonzero()[0]
    if len(young) and config.max_confirm_iou < 1:
        young = young[time - old.born_times[rows[young]] < config.overlapped_confirm_s - TIMES_ARE_EQUAL_S]
        is_confirmed[young] = ~second_boxes(found, young, is_old, config.max_confirm_iou, sure_score)
    missed = np.where(old.status == TRACKED, LOST, old.status)
    return TrackStates(
        old.track_ids,
        replaced(missed, rows, np.where(is_confirmed, TRACKED, TENTATIVE)),
        old.born_times,
        replaced(old.seen_times, rows, np.full(len(rows), time)),
        replaced(old.seen_counts, rows, seen_counts),
        old.frame_counts + 1,
        replaced(old.scores, rows, found.scores),
        replaced(old.moments, rows, moments),
        replaced(old.seen_boxes, rows, found.boxes),
        *_appearance(old, rows, found.embeddings, time, config.embedding_ema_s),
    )


def replaced(column: NDArray[Any], rows: IntArray, values: NDArray[Any]) -> NDArray[Any]:
    """A column (M, ...) with ``values`` (K, ...) in place of its ``rows`` (K,), which rise."""
    if len(rows) == len(column):
        return values
    column = column.copy("K")
    column[rows] = values
    return column


def _appearance(
    tracks: TrackStates, rows: IntArray, latest: EmbeddingArray, time: float, ema_s: float
) -> tuple[EmbeddingArray, EmbeddingArray, FloatArray, IntArray]:
    """The last four columns, after those of ``rows`` were seen with these embeddings, zeros for none."""
    last_embeddings = np.zeros(tracks.embeddings.shape, np.float32)
    if not latest.size or not latest.any():
        return tracks.embeddings, last_embeddings, tracks.embedded_times, tracks.num_embeddings
    last_embeddings[rows] = latest
    is_embedded = latest.any(axis=1)
    rows, latest = rows[is_embedded], latest[is_embedded]
    elapsed = time - tracks.embedded_times[rows, None]
    weight = np.exp(-elapsed / ema_s)
    mixed = weight * tracks.embeddings[rows] + (1 - weight) * latest
    mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    return (
        replaced(tracks.embeddings, rows, mixed.astype(np.float32)),
        last_embeddings,
        replaced(tracks.embedded_times, rows, np.full(len(rows), time)),
        replaced(tracks.num_embeddings, rows, tracks.num_embeddings[rows] + 1),
    )


def second_boxes(
    found: Observations, asked: IntArray, is_old: BoolArray, max_iou: float, sure_score: float
) -> BoolArray:
    """(K,) which of the ``asked`` (K,) observations may be a second box of a person who has one already.

    It overlaps one of a track that was there before (``is_old``, (N,)), or one of a higher score, by more
    than ``max_iou``, and has no score from ``sure_score`` on, which hardly any second box has.
    """
    rank = np.where(is_old, np.inf, found.scores)
    overlaps = iou_matrix(found.boxes[asked], found.boxes) > max_iou
    overlaps &= rank > rank[asked, None]
    return overlaps.any(axis=1) & (found.scores[asked] < sure_score)


def start_tracks(
    found: Observations, status: IntArray, time: float, first_id: int, noise: BoxNoise
) -> TrackStates:
    """A track of this ``status`` (N,) for each observation of a frame, numbered from ``first_id``."""
    measured = coordinates(found.boxes)
    is_embedded = found.embeddings.any(axis=1)
    return TrackStates(
        track_ids=np.arange(first_id, first_id + len(found)),
        status=status,
        born_times=np.full(len(found), time),
        seen_times=np.full(len(found), time),
        seen_counts=np.ones(len(found), np.int64),
        frame_counts=np.ones(len(found), np.int64),
        scores=found.scores.copy(),
        moments=start_moments(measured, measured[:, 3:], noise),
        seen_boxes=found.boxes.copy(),
        embeddings=found.embeddings.copy(),
        last_embeddings=found.embeddings.copy(),
        embedded_times=np.where(is_embedded, time, -np.inf),
        num_embeddings=np.asarray(is_embedded, np.int64),
    )
