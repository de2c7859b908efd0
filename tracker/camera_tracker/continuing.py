"""What a frame makes of tracks: whoever was matched goes on, whoever was not is lost, and new ones start."""

import numpy as np

from foundation.arrays import BoolArray, IntArray
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
    tracks, found = predicted.copy(), observations[columns]
    before = tracks.moments[rows]
    # How far a detection may be off grows with its doubt and with what stands before it.
    doubt = 1.0 + config.score_doubt * (1.0 - np.minimum(np.maximum(found.scores, 0.0), 1.0))
    if config.cover_doubt:
        doubt *= 1.0 + config.cover_doubt * covered_shares(observations.boxes)[columns]
    tracks.moments[rows] = update_moments(
        before, coordinates(found.boxes), heights_of(before) * doubt[:, None], noise
    )
    tracks.seen_boxes[rows] = found.boxes
    tracks.frame_counts[:] += 1
    tracks.seen_counts[rows] += 1
    tracks.last_embeddings[:] = 0.0
    if found.embeddings.any():
        is_embedded = found.embeddings.any(axis=1)
        tracks.last_embeddings[rows] = found.embeddings
        seen, latest = rows[is_embedded], found.embeddings[is_embedded]
        elapsed = time - tracks.embedded_times[seen, None]
        weight = np.exp(-elapsed / config.embedding_ema_s)
        mixed = weight * tracks.embeddings[seen] + (1 - weight) * latest
        tracks.embeddings[seen] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
        tracks.embedded_times[seen] = time
        tracks.num_embeddings[seen] += 1
    tracks.status[tracks.status == TRACKED] = LOST
    is_old = tracks.status[rows] != TENTATIVE
    is_confirmed = is_old | (tracks.seen_counts[rows] >= config.confirm_frames)
    young = (is_confirmed & ~is_old).nonzero()[0]
    if len(young) and config.max_confirm_iou < 1:
        young = young[time - tracks.born_times[rows[young]] < config.overlapped_confirm_s - TIMES_ARE_EQUAL_S]
        is_second = second_boxes(found, is_old, config.max_confirm_iou, sure_score)
        is_confirmed[young] = ~is_second[young]
    tracks.status[rows] = np.where(is_confirmed, TRACKED, TENTATIVE)
    tracks.seen_times[rows] = time
    tracks.scores[rows] = found.scores
    return tracks


def second_boxes(found: Observations, is_old: BoolArray, max_iou: float, sure_score: float) -> BoolArray:
    """(N,) which of the observations may be a second box of a person who has one already.

    It overlaps one of a track that was there before (``is_old``, (N,)), or one of a higher score, by more
    than ``max_iou``, and has no score from ``sure_score`` on, which hardly any second box has.
    """
    rank = np.where(is_old, np.inf, found.scores)
    unsure = (found.scores < sure_score).nonzero()[0]
    overlaps = iou_matrix(found.boxes[unsure], found.boxes) > max_iou
    is_second = np.zeros(len(found), np.bool_)
    is_second[unsure] = (overlaps & (rank > rank[unsure, None])).any(axis=1)
    return is_second


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
