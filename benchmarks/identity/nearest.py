"""Linking by nearest neighbour and a fixed threshold: what the table compares with."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import EmbeddingArray, FloatArray, IntArray
from tracker.types import CameraName, Frame, Tracks

PICTURES = 8
"""Pictures that are kept of each person, the newest: "several" in the paper."""


class NearestNeighbour:
    """Compares the first picture of each new track with several of each person who is not tracked now.

    The track is the person with the most similar picture if that is similar enough, else a new one.

    Source: Robust-ReID (section 5.1), which says no more than this.
    """

    def __init__(self, min_cosine: float, cameras: Sequence[CameraName], max_lost_s: float) -> None:
        """Know nobody yet.

        Args:
            min_cosine: Of two pictures, from which on they show one person; above 0.
            cameras: All of them.
            max_lost_s: After so long unseen a track of the camera tracker has surely ended.
        """
        self._min_cosine, self._max_lost_s = min_cosine, max_lost_s
        self._index = {camera: index for index, camera in enumerate(cameras)}
        self._tables = [np.zeros(64, np.int64) for _ in cameras]  # row t: the identity of track t, 0 if open
        self._frame_s = np.zeros(len(cameras))  # the time of each camera's last frame
        self._people = 0
        self._seen_s: FloatArray = np.full((64, len(cameras)), -np.inf)
        self._pictures: EmbeddingArray = np.zeros((64, PICTURES, 0), np.float32)
        self._taken = np.zeros(64, np.int64)

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        """The identities (M,) of the tracks of the next frame; 0 until a new track has an embedding."""
        camera = self._index[frame.camera]
        table = self._table(camera, tracks.track_ids)
        identities = table[tracks.track_ids]
        self._frame_s[camera] = frame.time
        self._seen_s[identities[identities > 0], camera] = frame.time
        is_embedded = tracks.embeddings.any(axis=1)
        for row in np.flatnonzero((identities == 0) & is_embedded):
            identities[row] = self._join_or_open(camera, tracks.embeddings[row])
            self._seen_s[identities[row], camera] = frame.time
        table[tracks.track_ids] = identities
        people = identities[is_embedded]
        if len(people):
            self._pictures[people, self._taken[people] % PICTURES] = tracks.embeddings[is_embedded]
            self._taken[people] += 1
        return identities

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,), each once; one without an embedding is a new person."""
        table = self._table(self._index[camera], track_ids)
        for track in track_ids[table[track_ids] == 0]:
            table[track] = self._open()
        return table[track_ids]

    def _join_or_open(self, camera: int, picture: EmbeddingArray) -> int:
        if self._pictures.shape[2] != len(picture):
            self._pictures = np.zeros((len(self._seen_s), PICTURES, len(picture)), np.float32)
        # Elsewhere whoever is in the last frame is tracked; here also whom the camera tracker may find again.
        in_view_s = self._frame_s.copy()
        in_view_s[camera] -= self._max_lost_s
        is_away = (self._seen_s[1 : self._people + 1] < in_view_s).all(axis=1)
        cosines = (self._pictures[1 : self._people + 1] @ picture).max(axis=1)
        cosines[~is_away] = -np.inf
        if len(cosines) and cosines.max() >= self._min_cosine:
            return 1 + int(cosines.argmax())
        return self._open()

    def _open(self) -> int:
        self._people += 1
        if self._people == len(self._seen_s):
            more = len(self._seen_s)
            self._seen_s = np.concatenate((self._seen_s, np.full_like(self._seen_s, -np.inf)))
            self._pictures = np.concatenate((self._pictures, np.zeros_like(self._pictures)))
            self._taken = np.concatenate((self._taken, np.zeros(more, np.int64)))
        return self._people

    def _table(self, camera: int, track_ids: IntArray) -> IntArray:
        missing = int(track_ids.max(initial=0)) + 1 - len(self._tables[camera])
        if missing > 0:
            self._tables[camera] = np.concatenate((self._tables[camera], np.zeros(missing + 64, np.int64)))
        return self._tables[camera]
