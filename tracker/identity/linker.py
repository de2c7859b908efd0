"""IdentityLinker: tracks of all cameras become people, online as they come and offline once more."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.config import IdentityConfig
from tracker.ground import GroundPlane
from tracker.identity.candidates import Candidates, find_candidates, required_log_odds
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.corrections import Corrections
from tracker.identity.ground import GroundLog
from tracker.identity.offline import link_all
from tracker.identity.places import Places
from tracker.identity.similarity import GRID, SimilarityCalibration
from tracker.identity.table import UNDECIDED, IdentityTable, Reserve
from tracker.identity.tracklets import UNKNOWN, TrackletTable
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

MATURE_EMBEDDINGS = 6
"""With this many embeddings a track says how alike different people are."""

SURE_LOG_ODDS = 3.0
"""A match teaches the transit times between cameras if appearance alone is this much likelier than for the
next person."""

MAX_PAIRS = 4096
"""Pairs of tracks seen together that are remembered; the newest."""

GROWTH = 1.1
"""What cosines mean here is learnt anew when there are this many times more pairs than the last time."""

TOGETHER_S = 1.0
"""Tracks of two cameras that were seen at once for this long say whether both see the same place."""

AGAIN = 1.5
"""Who a track is is asked again when there are this many times more embeddings than the last time."""

ROUNDS = 3
"""After the last frame all are linked this many times: first without transitions, then with those of the
people found."""

SPLIT_LOG_ODDS = -2.0
"""A track is no longer the person it was taken for when its odds are below this."""


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
        self.similarity = SimilarityCalibration(config.similarity)
        self._pairs = np.empty((0, 2), np.int64)
        self._is_stale = False
        self._learnt_from = 0
        self._config = config
        self._now = -np.inf
        # Undecided tracks, and when they were last seen: by the newest time of all cameras, since a camera
        # that ended, or whose clock is late, must not keep anybody waiting, nor hurry anybody.
        self._waiting: dict[int, float] = {}
        in_order = sorted(cameras)  # the order in which they were named must not matter
        self._plane = plane if plane and plane.config.homographies else None
        self._open_for([], in_order)

    def _open_for(self, gone: Sequence[CameraName], cameras: Sequence[CameraName]) -> None:
        """Begin with these cameras, and others that the run does not have but some people are known from."""
        self._cameras = [*cameras, *gone]
        self._index = {camera: index for index, camera in enumerate(self._cameras)}
        self._tracklets = TrackletTable(len(self._cameras))
        self._table = IdentityTable(self._tracklets, self._cameras, self._reserve)
        self._centroids = IdentityCentroids(self._tracklets, self._table)
        self.places = Places(self._cameras, self._plane, self._config)

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
        self._now = max(self._now, frame.time)
        rows = tracklets.see(camera, tracks.track_ids, frame.time, tracks.embeddings.shape[1])
        self.places.see(tracklets, rows, camera, frame.time, tracks.boxes, frame.size)
        if self._config.link:
            self._separate(rows, frame.time)
        is_embedded = tracks.embeddings.any(axis=1)
        if is_embedded.any():
            seen = rows[is_embedded]
            is_first = (tracklets.num_embeddings[seen] == 0) & (table.identity[seen] != UNDECIDED)
            is_recentred = tracklets.add_embeddings(seen, tracks.embeddings[is_embedded])
            changed = None if is_recentred else table.identity[seen].tolist()
            self._centroids.forget(changed, has_moved=bool(is_first.any()))
            for row in seen[tracklets.num_embeddings[seen] == MATURE_EMBEDDINGS]:
                self._learn(int(row), rows)
        long_enough = (tracklets.num_embeddings[rows] >= MATURE_EMBEDDINGS) & (
            frame.time - tracklets.begin[rows] >= TOGETHER_S
        )
        for row in rows[long_enough & (tracklets.compared[rows] == 0)]:
            self._compare_with_other_cameras(int(row))
        undecided = rows[table.identity[rows] == UNDECIDED]
        for row, is_mature in zip(undecided.tolist(), self._are_mature(undecided).tolist(), strict=True):
            self._waiting[row] = self._now
            # Where nothing is embedded or nothing is joined, waiting brings nothing.
            is_last = is_mature and (
                not self._compares or frame.time - tracklets.begin[row] >= self._config.decide_s
            )
            is_due = (
                self._config.min_embeddings <= tracklets.num_embeddings[row] >= AGAIN * tracklets.tried[row]
            )
            if is_last or (is_due and tracklets.num_embeddings[row] > tracklets.tried[row]):
                self._decide(row, is_last, frame.time)
        if self._config.link:
            num_embeddings, tried = tracklets.num_embeddings[rows], tracklets.tried[rows]
            again = (num_embeddings >= AGAIN * tried) & (num_embeddings > tried)
            for row in rows[again & (table.identity[rows] != UNDECIDED)]:
                self._reconsider(int(row), frame.time)
            self.places.views.search_next(tracklets)
        self._decide_waiting(self._now - self._config.decide_s)
        return table.identity[rows]

    @property
    def _compares(self) -> bool:
        """Whether tracks are compared at all: they may be joined, and have embeddings."""
        return self._config.link and self._tracklets.has_embeddings

    def _are_mature(self, rows: IntArray) -> BoolArray:
        """(M,) which tracks were seen enough of to be a person; see `MaturityConfig`."""
        tracklets = self._tracklets
        return self._is_enough(
            tracklets.frames[rows],
            tracklets.end[rows] - tracklets.begin[rows],
            tracklets.num_embeddings[rows],
        )

    def _is_enough(
        self, frames: FloatArray | IntArray, seconds: FloatArray, num_embeddings: FloatArray | IntArray
    ) -> BoolArray:
        """(N,) of this many frames, seconds and embeddings, whether they are enough for a person."""
        least = self._config.maturity
        is_enough = (frames >= least.min_frames) & (seconds >= least.min_s)
        return (
            np.asarray(is_enough & (num_embeddings >= least.min_embeddings)) if self._compares else is_enough
        )

    def _decide_waiting(self, last_seen_s: float) -> None:
        """Decide for the last time on tracks that were not seen since; what is not mature stays undecided."""
        for row in [row for row, seen_s in self._waiting.items() if seen_s <= last_seen_s]:
            del self._waiting[row]
            self._decide(row, bool(self._are_mature(np.array([row]))[0]), self._now)

    def link_offline(self) -> None:
        """After the last frame: say of all tracks once more who they are, with everything known."""
        if not self._config.link:
            return
        tracklets = self._tracklets
        self._is_stale = True  # what was seen since the last pair counts too
        self._refresh()
        self.places.views.search_all(tracklets)
        rate = self._config.max_false_merge_rate
        clusters = np.arange(len(tracklets))  # no transitions yet
        for _ in range(ROUNDS):
            clusters = link_all(
                tracklets, self._table, self.similarity, self.places.taught_by(tracklets, clusters), rate
            )
        seen = tracklets.frames, tracklets.end - tracklets.begin, tracklets.num_embeddings
        frames, seconds, num_embeddings = (np.asarray(np.bincount(clusters, it), np.float64) for it in seen)
        self._table.adopt(clusters, self._is_enough(frames, seconds, num_embeddings), self._now)
        self._centroids.forget()
        self._waiting.clear()

    def finalize(self) -> None:
        """At the end of a run: decide on whoever waits; what is not mature stays undecided."""
        self._decide_waiting(self._now)

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

    def tracks(self) -> Tracklets:
        """All tracks so far, and who they are as far as it is known."""
        tracklets, own = self._tracklets, self._tracklets.is_track
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

    def similarity_report(self) -> SimilarityReport | None:
        """What a cosine means at this site, and the errors to expect; None where there are no embeddings."""
        tracklets, rate = self._tracklets, self._config.max_false_merge_rate
        if not (tracklets.length and self._config.link):
            return None
        self._refresh()
        similarity = self.similarity
        num_identities = len(np.setdiff1d(self._table.identity, [UNDECIDED]))
        threshold = min(similarity.threshold(num_identities, rate), 1.0)
        of_one = float(similarity.stranger_rate(np.array([threshold]))[0])
        different, within = similarity.cosines
        density_different, density_same = similarity.densities()
        return SimilarityReport(
            different=different,
            within=within,
            prior_pairs=self._config.similarity.prior_pairs,
            mean_sd_different=similarity.different,
            mean_sd_within=similarity.within,
            mean_sd_same=similarity.same,
            grid=GRID,
            density_different=density_different,
            density_same=density_same,
            num_identities=num_identities,
            threshold=threshold,
            max_false_merge_rate=rate,
            expected_false_merge_rate=min(num_identities * of_one, 1.0),  # Boole's bound
            expected_missed_rate=similarity.miss_rate(threshold),
        )

    def corrections(self) -> Corrections:
        """The way in for whoever knows better who is who."""
        return Corrections(self._tracklets, self._table, self._centroids, self._index, self._now)

    def candidates(self, camera: CameraName, track_id: int) -> Candidates | None:
        """Whom a track may be, and what speaks for it; None where there is no such track, or no embedding."""
        (row,) = self._tracklets.find(self._index[camera], np.array([track_id])).tolist()
        if row == UNKNOWN or not self._tracklets.num_embeddings[row]:
            return None
        self._refresh()
        return self._candidates(np.array([row]))

    def overlaps(self) -> list[tuple[CameraName, CameraName]]:
        """The cameras that see one place, two by two, in the order of their names."""
        pairs = np.argwhere(np.triu(self.places.overlap))
        return [(self._cameras[first], self._cameras[second]) for first, second in pairs.tolist()]

    def homography(self, first: CameraName, second: CameraName) -> FloatArray | None:
        """(3, 3) pixels (x, y, 1) of one camera to those of another, up to a factor, where it was found."""
        return self.places.views.matrix(self._index[first], self._index[second])

    def state(self) -> State:
        different, within = self.similarity.cosines
        own = {"pairs": self._pairs.copy(), "different": different, "within": within}
        own |= {"learnt_from": np.array(self._learnt_from), "now": np.array(self._now)}
        own |= {"waiting": np.array(list(self._waiting), np.int64)}
        own |= {"waiting_s": np.array(list(self._waiting.values()), np.float64)}
        return (
            own
            | {"is_stale": np.array(self._is_stale), "cameras": np.array(self._cameras, np.str_)}
            | {
                f"{name}:{key}": value
                for name, part in self._parts().items()
                for key, value in part.state().items()
            }
        )

    def restore(self, state: State) -> None:
        self._pairs, self._is_stale = state["pairs"].copy(), bool(state["is_stale"])
        self._learnt_from, self._now = int(state["learnt_from"]), float(state["now"])
        self._waiting = dict(zip(state["waiting"].tolist(), state["waiting_s"].tolist(), strict=True))
        cameras = [CameraName(camera) for camera in state["cameras"].tolist()]
        self._open_for(cameras[len(self._cameras) :], self._cameras)
        self.similarity = SimilarityCalibration(self._config.similarity, state["different"], state["within"])
        for name, part in self._parts().items():
            start = f"{name}:"
            own = {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
            part.restore(own)

    def _parts(self) -> dict[str, GroundLog | IdentityTable | TransitTimes | SharedViews | TrackletTable]:
        places = self.places
        return {
            "tracklets": self._tracklets,
            "table": self._table,
            "ground": places.log,
            "transit_times": places.transit_times,
            "views": places.views,
        }

    def _decide(self, row: int, is_last: bool, time: float) -> None:
        """Join the track to a person, or, at the last try, open a new one."""
        tracklets = self._tracklets
        tracklets.tried[row] = tracklets.num_embeddings[row]
        identity = UNDECIDED
        if tracklets.num_embeddings[row] and self._config.link:
            self._refresh()
            found = self._candidates(np.array([row]))
            identity = self._known_person(found)
            if identity != UNDECIDED:
                self._learn_transit(row, found, identity)
        if identity != UNDECIDED:
            self._table.join(row, identity, time)
        elif is_last:
            self._table.open(row, time)
        else:
            return
        self._waiting.pop(row, None)
        self._centroids.forget([int(self._table.identity[row])])

    def _reconsider(self, row: int, time: float) -> None:
        """With more embeddings: somebody new may be known after all, and somebody known may be another."""
        tracklets, now = self._tracklets, int(self._table.identity[row])
        tracklets.tried[row] = tracklets.num_embeddings[row]
        self._refresh()
        own = self._table.rows_of(now)
        if len(own) > 1 and self._is_somebody_else(row, own):
            self._split(row, time)
            return
        if not tracklets.is_track[own].all():
            return  # whoever was remembered keeps the number
        identity = self._known_person(self._candidates(own))
        if identity != UNDECIDED:
            kept, gone = sorted((now, identity))  # the older number stays
            self._table.merge(gone, kept, time)
            self._centroids.forget((gone, kept))

    def _is_somebody_else(self, row: int, own: IntArray) -> bool:
        """Whether a track is not the person of the tracks ``own`` (M,), itself among them."""
        others = own[own != row]
        cannot = others[self.places.conflicts(self._tracklets, others, np.array([row]))]
        if len(cannot):  # a lost track was found again; whoever began first keeps the number
            return bool(cannot.min() < row)
        found = self._candidates(np.array([row]))
        of_own = found.log_odds[found.identity_ids == self._table.identity[row]]
        return bool(of_own.max(initial=-np.inf) < SPLIT_LOG_ODDS)

    def _separate(self, rows: IntArray, time: float) -> None:
        """No identity is twice in one frame: a lost track was found again that another was taken for."""
        identity = self._table.identity[rows]
        named = rows[identity != UNDECIDED]
        firsts = np.unique(identity[identity != UNDECIDED], return_index=True)[1]
        for row in np.delete(named, firsts).tolist():
            self._split(row, time)

    def _split(self, row: int, time: float) -> None:
        """A track is not who it was taken for: somebody new if it is mature, else undecided again."""
        before = int(self._table.identity[row])
        self._table.split(row, time, bool(self._are_mature(np.array([row]))[0]))
        now = int(self._table.identity[row])
        self._centroids.forget((before, now))
        if now == UNDECIDED:
            self._waiting[row] = self._now

    def _candidates(self, own: IntArray) -> Candidates:
        return find_candidates(self._tracklets, self._centroids, own, self.similarity, self.places)

    def _known_person(self, found: Candidates) -> int:
        """Who somebody is among those it may be; `UNDECIDED` if none is sure enough."""
        needed = required_log_odds(
            found.extra, self.similarity, self._config.max_false_merge_rate, found.together
        )
        best = int(found.log_odds.argmax()) if len(found.identity_ids) else -1
        return int(found.identity_ids[best]) if best >= 0 and found.log_odds[best] >= needed else UNDECIDED

    def _refresh(self) -> None:
        """Learn what cosines mean here from all tracks so far, if there are new ones."""
        if not self._is_stale:
            return
        tracklets = self._tracklets
        first, second = self._pairs.T
        self.similarity = SimilarityCalibration(
            self._config.similarity,
            (tracklets.centred[first] * tracklets.centred[second]).sum(axis=1).astype(np.float64),
            tracklets.within(),
        )
        self._is_stale, self._learnt_from = False, self._known_pairs()

    def _known_pairs(self) -> int:
        """How many pairs of embeddings, of two people or of one, can be learnt from."""
        return len(self._pairs) + int((self._tracklets.num_embeddings >= MATURE_EMBEDDINGS).sum())

    def _learn(self, row: int, seen: IntArray) -> None:
        """A track has enough embeddings: who is beside it in its camera is somebody else."""
        tracklets = self._tracklets
        beside = seen[(seen != row) & (tracklets.num_embeddings[seen] >= MATURE_EMBEDDINGS)]
        pairs = np.column_stack((np.full(len(beside), row), beside))
        self._pairs = np.concatenate((self._pairs, pairs))[-MAX_PAIRS:]
        self._is_stale |= self._known_pairs() > GROWTH * self._learnt_from

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
            self._refresh()
            cosines = (tracklets.centred[away] @ tracklets.centred[row]).astype(np.float64)
            hits = self.similarity.stranger_rate(cosines) <= HIT_RATE
            self.places.transit_times.add_together(tracklets.camera[away], int(tracklets.camera[row]), hits)

    def _learn_transit(self, row: int, found: Candidates, identity: int) -> None:
        """A track was taken for somebody: if appearance alone is sure of it, it teaches the transit time."""
        log_odds, is_it = self.similarity.log_odds(found.cosines), found.identity_ids == identity
        if log_odds[is_it][0] - log_odds[~is_it].max(initial=0.0) >= SURE_LOG_ODDS:
            tracklets = self._tracklets
            # The time between two runs, of files above all, says nothing of the transit time.
            others = self._table.rows_of(identity)
            others = others[(tracklets.num_embeddings[others] > 0) & tracklets.is_track[others]]
            if len(others):
                last = int(others[tracklets.end[others].argmax()])
                absence_s = float(tracklets.begin[row] - tracklets.end[last])
                self.places.transit_times.add(
                    int(tracklets.camera[last]), int(tracklets.camera[row]), absence_s
                )
