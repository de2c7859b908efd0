"""IdentityLinker: tracks of all cameras become people, online as they come and offline once more."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import EmbeddingArray, FloatArray, IntArray
from tracker.config import IdentityConfig
from tracker.ground import GroundPlane
from tracker.identity.candidates import Candidates
from tracker.identity.corrections import Corrections
from tracker.identity.count import PeopleCount, count_identities
from tracker.identity.decisions import Decisions
from tracker.identity.folding import find_fold
from tracker.identity.ground import GroundLog
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration, Taught
from tracker.identity.site_similarity import MATURE_EMBEDDINGS, SiteSimilarity
from tracker.identity.table import UNDECIDED, IdentityTable, Reserve
from tracker.identity.tracklets import UNKNOWN, TrackletTable, directions
from tracker.identity.transit_times import HIT_RATE, TransitTimes
from tracker.identity.views import SharedViews
from tracker.types import (
    CameraName,
    Frame,
    IdentityEvent,
    KnownIdentities,
    SimilarityReport,
    State,
    Tracklets,
    Tracks,
)

TOGETHER_S = 1.0
"""Tracks of two cameras that were seen at once for this long say whether both see the same place."""

CHANGEABLE = ("max_false_merge_rate", "decide_s", "min_embeddings", "keep_tracklets_s")
"""Settings of identity that may change while frames come."""

Part = Decisions | GroundLog | IdentityTable | TransitTimes | SharedViews | SiteSimilarity | TrackletTable
"""What remembers something of its own."""


class IdentityLinker:
    """Says which person each track of each camera is; one for a run.

    A new track is undecided until appearance, time and place suffice to join it to a person who is not
    in view, at the configured rate of error, or until it is old enough to be a new person. What never
    matures stays undecided. Who is who stands in one `IdentityTable`; all else is what was seen, and learnt.
    """

    def __init__(
        self,
        config: IdentityConfig,
        cameras: Sequence[CameraName],
        reserve: Reserve | None = None,
        plane: GroundPlane | None = None,
    ) -> None:
        """Begin without tracks.

        Args:
            config: When two tracks are one person.
            cameras: All of the run.
            reserve: Gives numbers for new people; None: 1, 2, 3, and so on.
            plane: The ground of the run; where no camera has a homography it plays no part.
        """
        self._reserve = reserve
        self._config = config
        in_order = sorted(cameras)  # the order in which they were named must not matter
        self._plane = plane if plane and plane.config.homographies else None
        self._open_for([], in_order)

    def _open_for(self, gone: Sequence[CameraName], cameras: Sequence[CameraName]) -> None:
        """Begin with these cameras, and others that the run does not have but some people are known from."""
        self._cameras = [*cameras, *gone]
        self._index = {camera: index for index, camera in enumerate(self._cameras)}
        self._tracklets = TrackletTable(len(self._cameras))
        self._site = SiteSimilarity(self._config.similarity, self._tracklets)
        self._table = IdentityTable(self._tracklets, self._cameras, self._reserve)
        self.places = Places(self._cameras, self._plane, self._config)
        self._decisions = Decisions(self._config, self._tracklets, self._table, self._site, self.places)

    def add_camera(self, camera: CameraName) -> None:
        """One more, from the next frame on; nothing where people are remembered from it."""
        if camera in self._index:
            return
        self._index[camera] = len(self._cameras)
        self._cameras.append(camera)  # the table and the places hold the same list
        self._tracklets.add_camera()
        self.places.add_camera()

    def remember(self, known: KnownIdentities) -> None:
        """Take up people from before the run; once, before its first frame, not where a state is restored."""
        if len(known) and self._config.link:
            self._open_for(sorted(set(known.cameras.tolist()) - self._index.keys()), self._cameras)
            rows = self._tracklets.remember(
                known, np.array([self._index[camera] for camera in known.cameras])
            )
            self._table.remember(rows, known.identity_ids)

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        """Take the tracks of one frame; who they are (M,), `UNDECIDED` where it is not known yet.

        Called for the frames of all cameras as they come, of one camera in rising order.
        """
        tracklets, table, camera = self._tracklets, self._table, self._index[frame.camera]
        rows = tracklets.see(camera, tracks.track_ids, frame.time, tracks.embeddings.shape[1])
        tracklets.place(rows, tracks.boxes, tracks.scores)
        self.places.see(tracklets, rows, camera, frame.time, tracks.boxes, frame.size)
        self._decisions.begin_frame(rows, camera, frame.time)
        is_embedded = tracks.embeddings.any(axis=1)
        if is_embedded.any():
            seen = rows[is_embedded]
            is_first = (tracklets.num_embeddings[seen] == 0) & (table.identity[seen] != UNDECIDED)
            is_recentred = tracklets.add_embeddings(seen, tracks.embeddings[is_embedded])
            changed = None if is_recentred else table.identity[seen].tolist()
            self._decisions.centroids.forget(changed, has_moved=bool(is_first.any()))
            matured = seen[tracklets.num_embeddings[seen] == MATURE_EMBEDDINGS]
            self._site.see(rows, matured, tracks.boxes)
        not_compared = rows[tracklets.compared[rows] == 0]  # few: each track is compared once
        long_enough = (tracklets.num_embeddings[not_compared] >= MATURE_EMBEDDINGS) & (
            frame.time - tracklets.begin[not_compared] >= TOGETHER_S
        )
        for row in not_compared[long_enough].tolist():
            self._compare_with_other_cameras(row)
        self._decisions.decide(rows, frame.time)
        return table.identity[rows]

    @property
    def similarity(self) -> SimilarityCalibration:
        """What cosines mean at this site, as it was learnt last."""
        return self._site.calibration

    def link_offline(self) -> None:
        """After the last frame: say of all tracks once more who they are, with everything known."""
        if not self._config.link:
            return
        self._site.refresh(always=True)  # what was seen since the last pair counts too
        self.places.views.search_all(self._tracklets, self.places.transit_times)
        self._decisions.link_offline()

    def finalize(self) -> None:
        """At the end of a run: decide on whoever waits; what is not mature stays undecided."""
        self._decisions.finalize()

    def fold(self, before_s: float) -> None:
        """Let go of tracks that ended before; see `find_fold`. They cannot be looked up any more.

        So memory depends on who was in view since, and on how many people are known, not on the age of the
        run.
        """
        fold = find_fold(self._tracklets, self._table.identity, self._decisions.is_waiting(), before_s)
        # The tracklets last: the others still ask for what goes.
        for part in (self._site, self._table, self.places, self._tracklets):
            part.fold(fold)
        self._decisions.fold(fold)

    def forget(self, identities: Sequence[int]) -> None:
        """Nobody will be taken for these people any more: nothing that was embedded of them is left.

        Whoever of them is in view is somebody new, as soon as enough was seen of them again.
        """
        rows = self._table.forget(np.array(identities, np.int64))
        self._tracklets.forget_embeddings(rows)
        self._site.forget(rows)
        self._decisions.forget(rows[self._tracklets.folded[rows] == 0])

    def last_seen(self) -> dict[int, float]:
        """When each person of this run was seen last, seconds as `Frame.time`; none who was forgotten."""
        own = self._tracklets.is_track & (self._table.identity != UNDECIDED)
        identity_ids, index = np.unique(self._table.identity[own], return_inverse=True)
        last_s = np.full(len(identity_ids), -np.inf)
        np.maximum.at(last_s, index.reshape(-1), self._tracklets.end[own])
        return dict(zip(identity_ids.tolist(), last_s.tolist(), strict=True))

    def prepare(self) -> None:
        """Have numbers at hand, so that no frame has to wait for them between two frames.

        Raises:
            ReuniteError: They cannot be had.
        """
        self._table.prepare()

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,) as far as they are known; else `UNDECIDED`."""
        return self._table.lookup(self._index[camera], track_ids)

    def numbered(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """What stands for tracks (R,) in files that number every track: see `IdentityTable.numbered`.

        Raises:
            ValueError: The camera had no such track.
        """
        rows = self._tracklets.find(self._index[camera], track_ids)
        if (rows == UNKNOWN).any():
            raise ValueError(f"camera {camera!r} had no track {track_ids[rows == UNKNOWN][0]}")
        return self._table.numbered()[rows]

    def tracks(self, *, folded: bool = False) -> Tracklets:
        """All tracks so far, and who they are as far as it is known; or those that stand for folded ones.

        The embedding and the number of embeddings of the latter are of all for which they stand.
        """
        tracklets = self._tracklets
        own = tracklets.is_track & (tracklets.folded == folded)
        return Tracklets(
            cameras=np.array(self._cameras, np.object_)[tracklets.camera[own]],
            track_ids=tracklets.track_id[own],
            identity_ids=self._table.identity[own],
            begin_s=tracklets.begin[own],
            end_s=tracklets.end[own],
            decided_s=self._table.decided_s[own],
            frames=tracklets.frames[own],
            num_embeddings=tracklets.num_embeddings[own],
            embeddings=tracklets.mean[own],
        )

    def events(self) -> list[IdentityEvent]:
        """What was found out since the last call, in its order."""
        return self._table.events()

    @property
    def num_identities(self) -> int:
        """How many different people the tracks are, as far as it is decided."""
        return self._table.num_identities

    @property
    def undecided(self) -> int:
        """How many tracks are undecided yet or, after the last frame, for good."""
        return self._table.undecided

    def people_count(self) -> PeopleCount | None:
        """How many people there were, and how sure that is; None where tracks are not compared."""
        if not (self._config.link and self._tracklets.has_embeddings):
            return None
        similarity, rate = self._site.refresh(), self._config.max_false_merge_rate
        candidates = self._decisions.candidates
        return count_identities(self._tracklets, self._table, candidates, similarity, rate)

    def similarity_report(self) -> SimilarityReport | None:
        """What a cosine means at this site, and the errors to expect; None where nobody was looked at."""
        tracklets, rate = self._tracklets, self._config.max_false_merge_rate
        if not (self._config.link and tracklets.num_embeddings.any()):
            return None
        return self._site.report(len(np.setdiff1d(self._table.identity, [UNDECIDED])), rate)

    def configure(self, config: IdentityConfig) -> None:
        """Decide by these rates, seconds and numbers of embeddings from now on; all else stays."""
        changed = {name: getattr(config, name) for name in CHANGEABLE}
        self._config = self._config.model_copy(update=changed)
        self._decisions.configure(self._config)

    def teach(self, taught: Taught) -> None:
        """What a cosine means here is learnt from these pairs too, which somebody corrected; all of them."""
        self._site.teach(taught)

    def corrections(self) -> Corrections:
        """The way in for whoever knows better who is who."""
        decisions = self._decisions
        return Corrections(self._tracklets, self._table, decisions.centroids, self._index, decisions.now_s)

    def margins(self, camera: CameraName, track_ids: IntArray, embeddings: EmbeddingArray) -> FloatArray:
        """By how much likelier an embedding (R, D) is of who its track (R,) is than of anybody else known.

        Calibrated log odds of appearance alone; a stranger has 0. -inf where that is not known.
        """
        centroids, tracklets, index = self._decisions.centroids, self._tracklets, self._index[camera]
        margins = np.full(len(track_ids), -np.inf)
        identities = self.lookup(camera, track_ids)
        for row in np.flatnonzero(identities != UNDECIDED).tolist():
            is_own = centroids.rows().identity_ids == identities[row]
            if is_own.any():
                cosines = centroids.cosines_of(tracklets.without_centre(embeddings[row], index))
                log_odds = self._site.calibration.log_odds(cosines)
                margins[row] = log_odds[is_own][0] - log_odds[~is_own].max(initial=0.0)
        return margins

    def candidates(self, camera: CameraName, track_id: int) -> Candidates | None:
        """Whom a track may be, and what speaks for it; None where there is no such track, or no embedding."""
        (row,) = self._tracklets.find(self._index[camera], np.array([track_id])).tolist()
        if row == UNKNOWN or not self._tracklets.num_embeddings[row]:
            return None
        self._site.refresh()
        return self._decisions.candidates(np.array([row]))

    def find_on_photo(self, photo: EmbeddingArray) -> int:
        """Who a photo (D,) shows, of whatever camera; `UNDECIDED` where it is surely nobody who was seen.

        A stranger on it is taken for anybody of them with a chance of at most the rate of false merges.
        """
        centroids, tracklets = self._decisions.centroids, self._tracklets
        people = centroids.rows().identity_ids
        if not len(people) or len(photo) != tracklets.length:
            return UNDECIDED
        cosines = centroids.cosines_of(directions(photo - tracklets.common))
        threshold = self._site.refresh().threshold(len(people), self._config.max_false_merge_rate)
        best = int(cosines.argmax())
        return int(people[best]) if cosines[best] >= threshold else UNDECIDED

    def overlaps(self) -> list[tuple[CameraName, CameraName]]:
        """The cameras that see one place, two by two, in the order of their names."""
        pairs = np.argwhere(np.triu(self.places.overlap))
        return [(self._cameras[first], self._cameras[second]) for first, second in pairs.tolist()]

    def homography(self, first: CameraName, second: CameraName) -> FloatArray | None:
        """(3, 3) pixels (x, y, 1) of one camera to those of another, up to a factor, where it was found."""
        return self.places.views.matrix(self._index[first], self._index[second])

    def state(self) -> State:
        cameras: State = {"cameras": np.array(self._cameras, np.str_)}
        return cameras | {
            f"{name}:{key}": value
            for name, part in self._parts().items()
            for key, value in part.state().items()
        }

    def restore(self, state: State) -> None:
        cameras = [CameraName(camera) for camera in state["cameras"].tolist()]
        self._open_for([], cameras)
        for name, part in self._parts().items():
            start = f"{name}:"
            own = {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
            part.restore(own)

    def _parts(self) -> dict[str, Part]:
        places = self.places
        return {
            "tracklets": self._tracklets,
            "similarity": self._site,
            "decisions": self._decisions,
            "table": self._table,
            "ground": places.log,
            "transit_times": places.transit_times,
            "views": places.views,
        }

    def _compare_with_other_cameras(self, row: int) -> None:
        """Who is in another camera while this track lasts, and alike, says that both see one place."""
        tracklets = self._tracklets
        tracklets.compared[row] = 1
        shared_s = tracklets.end[row] - np.maximum(tracklets.begin, tracklets.begin[row])
        # Of two tracks the one that is compared later counts, so that none counts twice.
        elsewhere = (tracklets.camera != tracklets.camera[row]) & (tracklets.compared > 0)
        is_now = (tracklets.end >= tracklets.end[row] - TOGETHER_S) & (shared_s >= TOGETHER_S)
        away = np.nonzero(elsewhere & is_now)[0]
        if len(away):
            self._site.refresh()
            cosines = (tracklets.centred[away] @ tracklets.centred[row]).astype(np.float64)
            hits = self.similarity.stranger_rate(cosines) <= HIT_RATE
            self.places.transit_times.add_together(tracklets.camera[away], int(tracklets.camera[row]), hits)
