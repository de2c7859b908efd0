"""Finished tracks made better with what came later: smoothed, filled, joined; docs/offline.md."""

from tracker.smoothing.joining import MayJoin, join_tracks
from tracker.smoothing.moments import smooth_moments
from tracker.smoothing.tracks import is_of_likely_track, smooth_tracks, smooth_ways

__all__ = [
    "MayJoin",
    "is_of_likely_track",
    "join_tracks",
    "smooth_moments",
    "smooth_tracks",
    "smooth_ways",
]
