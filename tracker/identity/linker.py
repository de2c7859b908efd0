"""IdentityLinker: tracks of all cameras become people, online as they come and offline once more."""

from collections.abc import Sequence

import numpy as np

from tracker.config import IdentityConfig
from tracker.ground import GroundPlane
from tracker.identity.candidates import Candidates, find_candidates, required_log_odds
from tracker.identity.ground import GroundLog
from tracker.identity.likeness import GRID, Likeness
from tracker.identity.offline import link_all
from tracker.identity.passages import HIT_RATE, Passages
from tracker.identity.people import People
from tracker.identity.places import Places
from tracker.identity.stays import UNKNOWN, Stays
from tracker.identity.table import UNDECIDED, IdentityTable, Reserve
from tracker.types import (
    BoolArray,
    CameraName,
    FloatArray,
    Frame,
    IdentityEvent,
    IntArray,
    KnownPeople,
    SiteCalibration,
    State,
    Tracks,
    TrackTable,
)

MATURE_LOOKS = 6
"""With so many looks a track says how alike different people are."""

SURE_LOG_ODDS = 3.0
"""A match teaches the ways between cameras if looks alone are so much likelier than for the next person."""

MAX_PAIRS = 4096
"""Pairs of tracks seen together that are remembered; the newest."""

GROWTH = 1.1
"""What cosines mean here is learnt anew when there are so many times more pairs than the last time."""

TOGETHER_S = 1.0
"""Tracks of two cameras that were seen at once for so long say whether both see the same place."""

AGAIN = 1.5
"""Who a track is is asked again when there are so many times more looks than the last time."""

ROUNDS = 3
"""After the last frame all are linked so often: first without ways, then with those of the people found."""

SPLIT_LOG_ODDS = -2.0
"""A track is no longer the person it was taken for when its odds are below this."""


class IdentityLinker:
    """Says which person each track of each camera is; one for a run.

    A new track is undecided until looks, time and place suffice to join it to a person who is not
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
        """Know nobody yet.

        Args:
            config: When two tracks are one person.
            cameras: All of the run.
            reserve: Gives numbers for new people; None: 1, 2, 3, and so on.
            plane: The ground of the run; where no camera has a homography it plays no part.
        """
        self._reserve = reserve
        self.likeness = Likeness(config.likeness)
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
        self._stays = Stays(len(self._cameras))
        self._table = IdentityTable(self._stays, self._cameras, self._reserve)
        self._people = People(self._stays, self._table)
        self.places = Places(self._cameras, self._plane)

    def remember(self, known: KnownPeople) -> None:
        """Take up people from before the run; once, before its first frame, not where a state is restored."""
        if len(known) and self._config.link:
            self._open_for(sorted(set(known.cameras.tolist()) - self._index.keys()), self._cameras)
            rows = self._stays.remember(known, np.array([self._index[camera] for camera in known.cameras]))
            self._table.remember(rows, known.numbers)

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        """Take the tracks of one frame; who they are (M,), `UNDECIDED` where nobody can tell yet.

        Called for the frames of all cameras as they come, of one camera in rising order.
        """
        stays, table, camera = self._stays, self._table, self._index[frame.camera]
        self._now = max(self._now, frame.time)
        rows = stays.see(camera, tracks.track_ids, frame.time, tracks.features.shape[1])
        self.places.see(stays, rows, camera, frame.time, tracks.boxes, frame.size)
        if self._config.link:
            self._separate(rows, frame.time)
        looked = tracks.features.any(axis=1)
        if looked.any():
            seen = rows[looked]
            is_first = (stays.looks[seen] == 0) & (table.identity[seen] != UNDECIDED)
            is_recentred = stays.look(seen, tracks.features[looked])
            changed = None if is_recentred else table.identity[seen].tolist()
            self._people.forget(changed, has_moved=bool(is_first.any()))
            for row in seen[stays.looks[seen] == MATURE_LOOKS]:
                self._learn(int(row), rows)
        long_enough = (stays.looks[rows] >= MATURE_LOOKS) & (frame.time - stays.begin[rows] >= TOGETHER_S)
        for row in rows[long_enough & (stays.compared[rows] == 0)]:
            self._compare_with_other_cameras(int(row))
        undecided = rows[table.identity[rows] == UNDECIDED]
        for row, is_mature in zip(undecided.tolist(), self._are_mature(undecided).tolist(), strict=True):
            self._waiting[row] = self._now
            # Where nobody ever looks or nobody is joined, waiting brings nothing.
            is_last = is_mature and (
                not self._compares or frame.time - stays.begin[row] >= self._config.decide_s
            )
            is_due = self._config.min_looks <= stays.looks[row] >= AGAIN * stays.tried[row]
            if is_last or (is_due and stays.looks[row] > stays.tried[row]):
                self._decide(row, is_last, frame.time)
        if self._config.link:
            looks, tried = stays.looks[rows], stays.tried[rows]
            again = (looks >= AGAIN * tried) & (looks > tried)
            for row in rows[again & (table.identity[rows] != UNDECIDED)]:
                self._reconsider(int(row), frame.time)
        self._decide_waiting(self._now - self._config.decide_s)
        return table.identity[rows]

    @property
    def _compares(self) -> bool:
        """Whether tracks are compared at all: they may be joined, and somebody ever looked at one."""
        return self._config.link and self._stays.has_looks

    def _are_mature(self, rows: IntArray) -> BoolArray:
        """(M,) which tracks were seen enough of to be a person; see `MaturityConfig`."""
        stays = self._stays
        return self._is_enough(stays.frames[rows], stays.end[rows] - stays.begin[rows], stays.looks[rows])

    def _is_enough(
        self, frames: FloatArray | IntArray, seconds: FloatArray, looks: FloatArray | IntArray
    ) -> BoolArray:
        """(N,) of so many frames, seconds and looks, whether they are enough for a person."""
        least = self._config.maturity
        is_enough = (frames >= least.min_frames) & (seconds >= least.min_s)
        return np.asarray(is_enough & (looks >= least.min_embeddings)) if self._compares else is_enough

    def _decide_waiting(self, last_seen_s: float) -> None:
        """Decide for the last time on tracks that were not seen since; what is not mature stays undecided."""
        for row in [row for row, seen_s in self._waiting.items() if seen_s <= last_seen_s]:
            del self._waiting[row]
            self._decide(row, bool(self._are_mature(np.array([row]))[0]), self._now)

    def relink(self) -> None:
        """After the last frame: say of all tracks once more who they are, with everything known."""
        if not self._config.link:
            return
        if not self._config.link:
            self.settle()
            return
        stays = self._stays
        self._is_stale = True  # what was seen since the last pair counts too
        self._refresh()
        rate = self._config.max_false_merge_rate
        people = np.arange(len(stays))  # nobody took a way yet: the order of what was learnt must not matter
        for _ in range(ROUNDS):
            people = link_all(stays, self._table, self.likeness, self.places.taught_by(stays, people), rate)
        seen = stays.frames, stays.end - stays.begin, stays.looks
        frames, seconds, looks = (np.asarray(np.bincount(people, it), np.float64) for it in seen)
        self._table.adopt(people, self._is_enough(frames, seconds, looks), self._now)
        self._people.forget()
        self._waiting.clear()

    def settle(self) -> None:
        """At the end of a run: decide on whoever waits; what is not mature stays undecided."""
        self._decide_waiting(self._now)

    def prepare(self) -> None:
        """Have numbers at hand, so that nobody has to wait for them between two frames.

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
        rows = self._stays.find(self._index[camera], track_ids)
        if (rows == UNKNOWN).any():
            raise ValueError(f"camera {camera!r} had no track {track_ids[rows == UNKNOWN][0]}")
        return self._table.numbered()[rows]

    def tracks(self) -> TrackTable:
        """All tracks so far, and who they are as far as it is known."""
        stays, own = self._stays, self._stays.is_track
        return TrackTable(
            cameras=np.array(self._cameras, np.object_)[stays.camera[own]],
            track_ids=stays.track_id[own],
            identity_ids=self._table.identity[own],
            begin_s=stays.begin[own],
            end_s=stays.end[own],
            decided_s=self._table.decided_s[own],
            frames=stays.frames[own],
            looks=stays.looks[own],
            features=stays.mean[own],
        )

    def events(self) -> list[IdentityEvent]:
        """What was found out since the last call, in its order."""
        return self._table.events()

    @property
    def people(self) -> int:
        """How many different people the tracks are, as far as it is decided."""
        return self._table.people

    @property
    def undecided(self) -> int:
        """How many tracks are nobody yet or, after the last frame, never became anybody."""
        return self._table.undecided

    def calibration(self) -> SiteCalibration | None:
        """What looks mean at this site by now, and which errors to expect; None where nobody ever looked."""
        stays, rate = self._stays, self._config.max_false_merge_rate
        if not (stays.length and self._config.link):
            return None
        self._refresh()
        likeness = self.likeness
        people = len(np.setdiff1d(self._table.identity, [UNDECIDED]))
        threshold = min(likeness.threshold(people, rate), 1.0)
        of_one = float(likeness.stranger_rate(np.array([threshold]))[0])
        different, within = likeness.cosines
        density_different, density_same = likeness.densities()
        return SiteCalibration(
            different=different,
            within=within,
            prior_pairs=self._config.likeness.prior_pairs,
            mean_sd_different=likeness.different,
            mean_sd_within=likeness.within,
            mean_sd_same=likeness.same,
            grid=GRID,
            density_different=density_different,
            density_same=density_same,
            people=people,
            threshold=threshold,
            max_false_merge_rate=rate,
            expected_false_merge_rate=min(people * of_one, 1.0),  # a bound: the chances are added up (Boole)
            expected_missed_rate=likeness.miss_rate(threshold),
        )

    def state(self) -> State:
        """All that `restore` needs."""
        different, within = self.likeness.cosines
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
        """Take up a state that `state` gave."""
        self._pairs, self._is_stale = state["pairs"].copy(), bool(state["is_stale"])
        self._learnt_from, self._now = int(state["learnt_from"]), float(state["now"])
        self._waiting = dict(zip(state["waiting"].tolist(), state["waiting_s"].tolist(), strict=True))
        cameras = [CameraName(camera) for camera in state["cameras"].tolist()]
        self._open_for(cameras[len(self._cameras) :], self._cameras)
        self.likeness = Likeness(self._config.likeness, state["different"], state["within"])
        for name, part in self._parts().items():
            start = f"{name}:"
            own = {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
            part.restore(own)

    def _parts(self) -> dict[str, GroundLog | IdentityTable | Passages | Stays]:
        places = self.places
        return {
            "stays": self._stays,
            "table": self._table,
            "ground": places.log,
            "passages": places.passages,
        }

    def _decide(self, row: int, is_last: bool, time: float) -> None:
        """Join the track to a person, or, at the last try, open a new one."""
        stays = self._stays
        stays.tried[row] = stays.looks[row]
        identity = UNDECIDED
        if stays.looks[row] and self._config.link:
            self._refresh()
            found = self._candidates(np.array([row]))
            identity = self._known_person(found)
            if identity != UNDECIDED:
                self._learn_passage(row, found, identity)
        if identity != UNDECIDED:
            self._table.join(row, identity, time)
        elif is_last:
            self._table.open(row, time)
        else:
            return
        self._waiting.pop(row, None)
        self._people.forget([int(self._table.identity[row])])

    def _reconsider(self, row: int, time: float) -> None:
        """With more looks: somebody new may be known after all, and somebody known may be another."""
        stays, now = self._stays, int(self._table.identity[row])
        stays.tried[row] = stays.looks[row]
        self._refresh()
        own = self._table.rows_of(now)
        if len(own) > 1 and self._is_somebody_else(row, own):
            self._split(row, time)
            return
        if not stays.is_track[own].all():
            return  # whoever was remembered keeps the number
        identity = self._known_person(self._candidates(own))
        if identity != UNDECIDED:
            kept, gone = sorted((now, identity))  # the older number stays
            self._table.merge(gone, kept, time)
            self._people.forget((gone, kept))

    def _is_somebody_else(self, row: int, own: IntArray) -> bool:
        """Whether a track is not the person of the tracks ``own`` (M,), itself among them."""
        others = own[own != row]
        cannot = others[self.places.conflicts(self._stays, others, np.array([row]))]
        if len(cannot):  # a lost track was found again; whoever began first keeps the number
            return bool(cannot.min() < row)
        found = self._candidates(np.array([row]))
        of_own = found.log_odds[found.people == self._table.identity[row]]
        return bool(of_own.max(initial=-np.inf) < SPLIT_LOG_ODDS)

    def _separate(self, rows: IntArray, time: float) -> None:
        """Nobody is twice in one frame: a lost track was found again that another was taken for."""
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
        self._people.forget((before, now))
        if now == UNDECIDED:
            self._waiting[row] = self._now

    def _candidates(self, own: IntArray) -> Candidates:
        return find_candidates(self._stays, self._people, own, self.likeness, self.places)

    def _known_person(self, found: Candidates) -> int:
        """Who somebody is among those it may be; `UNDECIDED` if nobody is sure enough."""
        needed = required_log_odds(found.extra, self.likeness, self._config.max_false_merge_rate)
        best = int(found.log_odds.argmax()) if len(found.people) else -1
        return int(found.people[best]) if best >= 0 and found.log_odds[best] >= needed else UNDECIDED

    def _refresh(self) -> None:
        """Learn what cosines mean here from all tracks so far, if there are new ones."""
        if not self._is_stale:
            return
        stays = self._stays
        first, second = self._pairs.T
        self.likeness = Likeness(
            self._config.likeness,
            (stays.centred[first] * stays.centred[second]).sum(axis=1).astype(np.float64),
            stays.within(),
        )
        self._is_stale, self._learnt_from = False, self._known_pairs()

    def _known_pairs(self) -> int:
        """How many pairs of looks, of two people or of one, can be learnt from."""
        return len(self._pairs) + int((self._stays.looks >= MATURE_LOOKS).sum())

    def _learn(self, row: int, seen: IntArray) -> None:
        """A track has enough looks: who is beside it in its camera is somebody else."""
        stays = self._stays
        beside = seen[(seen != row) & (stays.looks[seen] >= MATURE_LOOKS)]
        pairs = np.column_stack((np.full(len(beside), row), beside))
        self._pairs = np.concatenate((self._pairs, pairs))[-MAX_PAIRS:]
        self._is_stale |= self._known_pairs() > GROWTH * self._learnt_from

    def _compare_with_other_cameras(self, row: int) -> None:
        """Who is in another camera while this track lasts, and alike, says that both see one place."""
        stays = self._stays
        stays.compared[row] = 1
        shared_s = stays.end[row] - np.maximum(stays.begin, stays.begin[row])
        # Of two tracks the one that is compared later counts, so that none counts twice.
        elsewhere = (stays.camera != stays.camera[row]) & (stays.compared > 0)
        is_now = (stays.end >= stays.end[row] - TOGETHER_S) & (shared_s >= TOGETHER_S)
        away = np.nonzero(elsewhere & is_now)[0]
        if len(away):
            self._refresh()
            cosines = (stays.centred[away] @ stays.centred[row]).astype(np.float64)
            hits = self.likeness.stranger_rate(cosines) <= HIT_RATE
            self.places.passages.add_together(stays.camera[away], int(stays.camera[row]), hits)

    def _learn_passage(self, row: int, found: Candidates, identity: int) -> None:
        """A track was taken for somebody: if looks alone are sure of it, they teach the way."""
        looks, is_it = self.likeness.log_odds(found.cosines), found.people == identity
        if looks[is_it][0] - looks[~is_it].max(initial=0.0) >= SURE_LOG_ODDS:
            stays = self._stays
            # The time between two runs, of files above all, says nothing of the way.
            others = self._table.rows_of(identity)
            others = others[(stays.looks[others] > 0) & stays.is_track[others]]
            if len(others):
                last = int(others[stays.end[others].argmax()])
                absence_s = float(stays.begin[row] - stays.end[last])
                self.places.passages.add(int(stays.camera[last]), int(stays.camera[row]), absence_s)
