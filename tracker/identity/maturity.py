"""Who is a person at all: of whom enough was seen, and who is no chair."""

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.config import MaturityConfig
from tracker.identity.tracklets import TrackletTable


class Maturity:
    """Says of tracks, and of people with all their tracks, whether they are to be counted.

    Args:
        config: How much must be seen.
        tracklets: What was seen.
    """

    def __init__(self, config: MaturityConfig, tracklets: TrackletTable) -> None:
        self._config, self._tracklets = config, tracklets

    def of_tracks(self, rows: IntArray, *, compares: bool) -> BoolArray:
        """(M,) which tracks are mature.

        Args:
            rows: (M,) the tracks.
            compares: Whether tracks are compared at all, so that embeddings count.
        """
        enough = self.are_seen_enough(rows, compares=compares)
        enough[enough] = ~self.are_things(rows[enough], np.arange(int(enough.sum())))
        return enough

    def are_seen_enough(self, rows: IntArray, *, compares: bool) -> BoolArray:
        """(M,) which tracks were seen for long enough, whether they are people or things; as `of_tracks`."""
        tracklets = self._tracklets
        seconds = tracklets.end[rows] - tracklets.begin[rows]
        return self._is_enough(tracklets.frames[rows], seconds, tracklets.num_embeddings[rows], compares)

    def of_people(self, clusters: IntArray, *, compares: bool) -> BoolArray:
        """(P,) which people are mature, all their tracks together.

        Args:
            clusters: (N,) the person of each row, from 0; everybody has one at least.
            compares: As in `of_tracks`.
        """
        tracklets = self._tracklets
        seen = tracklets.frames, tracklets.end - tracklets.begin, tracklets.num_embeddings
        frames, seconds, num_embeddings = (np.asarray(np.bincount(clusters, it), np.float64) for it in seen)
        is_thing = self.are_things(np.arange(len(tracklets)), clusters)
        return self._is_enough(frames, seconds, num_embeddings, compares) & ~is_thing

    def are_things(self, rows: IntArray, groups: IntArray) -> BoolArray:
        """(G,) of whom no track moves, and of whom the detector is not sure: chairs, shadows, posters.

        Args:
            rows: (M,) tracks.
            groups: (M,) whose each is, from 0.
        """
        least, tracklets = self._config, self._tracklets
        frames = np.bincount(groups, tracklets.frames[rows])
        scores = np.bincount(groups, tracklets.scores[rows]) / np.maximum(frames, 1)
        is_thing = scores < least.sure_score
        moved = np.zeros(len(is_thing), np.bool_)
        asked = np.nonzero(is_thing[groups])[0]
        # Whoever was remembered, or is so by tracks that are folded, was a person then.
        is_seen = tracklets.is_track[rows[asked]] & (tracklets.folded[rows[asked]] == 0)
        moved[groups[asked[~is_seen]]] = True
        asked = asked[is_seen]
        moved[groups[asked[tracklets.motion(rows[asked]) >= least.min_motion]]] = True
        return is_thing & ~moved

    def _is_enough(
        self,
        frames: FloatArray | IntArray,
        seconds: FloatArray,
        num_embeddings: FloatArray | IntArray,
        compares: bool,
    ) -> BoolArray:
        """(N,) of this many frames, seconds and embeddings, whether they are enough for a person."""
        least = self._config
        is_enough = (frames >= least.min_frames) & (seconds >= least.min_s)
        return np.asarray(is_enough & (num_embeddings >= least.min_embeddings)) if compares else is_enough
