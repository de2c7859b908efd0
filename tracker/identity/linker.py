"""IdentityLinker: tracks of all cameras become people, online as they come and offline once more."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tracker.config import IdentityConfig
from tracker.ground import GroundPlane
from tracker.identity.candidates import Candidates, find_candidates, required_log_odds
from tracker.identity.ground import GroundLog
from tracker.identity.likeness import GRID, Likeness
from tracker.identity.offline import link_all
from tracker.identity.passages import HIT_RATE, Passages
from tracker.identity.places import Places
from tracker.identity.stays import Stays
from tracker.identity.table import UNDECIDED, IdentityTable, Reserve
from tracker.types import (
    CameraName,
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
    in view, at the configured rate of error, or until it is old enough to be a new person.
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
        self.table = IdentityTable(reserve)
        self.likeness = Likeness(config.likeness)
        self._pairs = np.empty((0, 2), np.int64)
        self._is_stale = False
        self._learnt_from = 0
        self._config = config
        self._events: list[IdentityEvent] = []
        in_order = sorted(cameras)  # the order in which they were named must not matter
        self._plane = plane if plane and plane.config.homographies else None
        self._open_for([], in_order)

    def _open_for(self, gone: Sequence[CameraName], cameras: Sequence[CameraName]) -> None:
        """Begin with these cameras, and others that the run does not have but some people are known from."""
        self._cameras = [*cameras, *gone]
        self._index = {camera: index for index, camera in enumerate(self._cameras)}
        self._stays = Stays(len(self._cameras))
        self.places = Places(self._cameras, self._plane)

    def remember(self, known: KnownPeople) -> None:
        """Take up people from before the run; once, before its first frame, not where a state is restored."""
        if len(known) and self._config.link:
            self._open_for(sorted(set(known.cameras.tolist()) - self._index.keys()), self._cameras)
            self._stays.remember(known, np.array([self._index[camera] for camera in known.cameras]))

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        """Take the tracks of one frame; who they are (M,), `UNDECIDED` where nobody can tell yet.

        Called for the frames of all cameras as they come, of one camera in rising order.
        """
        stays, camera = self._stays, self._index[frame.camera]
        rows = stays.rows(camera, tracks.track_ids, frame.time, tracks.features.shape[1])
        self.places.see(stays, rows, camera, frame.time, tracks.boxes, frame.size)
        if self._config.link:
            self._separate(rows)
        looked = tracks.features.any(axis=1)
        if looked.any():
            seen = rows[looked]
            stays.look(seen, tracks.features[looked])
            for row in seen[stays.looks[seen] == MATURE_LOOKS]:
                self._learn(int(row), rows)
        long_enough = (stays.looks[rows] >= MATURE_LOOKS) & (frame.time - stays.begin[rows] >= TOGETHER_S)
        for row in rows[long_enough & (stays.compared[rows] == 0)]:
            self._compare_with_other_cameras(int(row))
        for row in rows[stays.identity[rows] == UNDECIDED].tolist():
            # Where nobody ever looks or nobody is joined, waiting brings nothing.
            is_last = not (self._config.link and stays.length)
            is_last |= bool(frame.time - stays.begin[row] >= self._config.decide_s)
            is_due = self._config.min_looks <= stays.looks[row] >= AGAIN * stays.tried[row]
            if is_last or (is_due and stays.looks[row] > stays.tried[row]):
                self._decide(row, is_last)
        if self._config.link:
            looks, tried = stays.looks[rows], stays.tried[rows]
            again = (looks >= AGAIN * tried) & (looks > tried)
            for row in rows[again & (stays.identity[rows] != UNDECIDED)]:
                self._reconsider(int(row))
        return stays.identity[rows]

    def relink(self) -> None:
        """After the last frame: say of all tracks once more who they are, with everything known."""
        if not self._config.link:
            return
        stays = self._stays
        self._is_stale = True  # what was seen since the last pair counts too
        self._refresh()
        rate = self._config.max_false_merge_rate
        people = np.arange(len(stays))  # nobody took a way yet: the order of what was learnt must not matter
        for _ in range(ROUNDS):
            people = link_all(stays, self.likeness, self.places.taught_by(stays, people), rate)
        known = ~stays.is_track
        numbers = dict(zip(people[known].tolist(), stays.identity[known].tolist(), strict=True))
        identities = self.table.number_all(people, numbers)
        for row, identity in enumerate(identities.tolist()):
            self._assign(row, identity)

    def settle(self) -> None:
        """At the end of a run: whoever is undecided is somebody new."""
        for row in np.nonzero(self._stays.identity == UNDECIDED)[0].tolist():
            self._tell("new", row, self.table.open())

    def prepare(self) -> None:
        """Have numbers at hand, so that nobody has to wait for them between two frames.

        Raises:
            ReuniteError: They cannot be had.
        """
        self.table.prepare()

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,); one that was never decided becomes a new person."""
        self.table.identify(camera, np.unique(track_ids))
        return self.table.lookup(camera, track_ids)

    def tracks(self) -> TrackTable:
        """All tracks so far, and who they are as far as it is known."""
        stays, own = self._stays, self._stays.is_track
        return TrackTable(
            cameras=np.array(self._cameras, np.object_)[stays.camera[own]],
            track_ids=stays.track_id[own],
            identity_ids=stays.identity[own],
            begin_s=stays.begin[own],
            end_s=stays.end[own],
            decided_s=stays.decided[own],
            frames=stays.frames[own],
            looks=stays.looks[own],
            features=stays.mean[own],
        )

    def events(self) -> list[IdentityEvent]:
        """What was found out since the last call, in its order."""
        events, self._events = self._events, []
        return events

    @property
    def people(self) -> int:
        """How many different people the tracks are, as far as it is decided."""
        return self.table.people

    def calibration(self) -> SiteCalibration | None:
        """What looks mean at this site by now, and which errors to expect; None where nobody ever looked."""
        stays, rate = self._stays, self._config.max_false_merge_rate
        if not (stays.length and self._config.link):
            return None
        self._refresh()
        likeness = self.likeness
        people = len(stays.people().people)
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
        own |= {"learnt_from": np.array(self._learnt_from)}
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
        self._learnt_from = int(state["learnt_from"])
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
            "table": self.table,
            "stays": self._stays,
            "ground": places.log,
            "passages": places.passages,
        }

    def _decide(self, row: int, is_last: bool) -> None:
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
            self._tell("returned", row, identity)
        elif is_last:
            self._tell("new", row, self.table.open())

    def _reconsider(self, row: int) -> None:
        """With more looks: somebody new may be known after all, and somebody known may be another."""
        stays, now = self._stays, int(self._stays.identity[row])
        stays.tried[row] = stays.looks[row]
        self._refresh()
        own = stays.of(now)
        if len(own) > 1 and self._is_somebody_else(row, own):
            self._tell("split", row, self.table.open())
            return
        if not stays.is_track[own].all():
            return  # whoever was remembered keeps the number
        identity = self._known_person(self._candidates(own))
        if identity != UNDECIDED:
            self.table.merge(now, identity)
            self._tell("merged", row, identity)
            for other in own.tolist():
                stays.identify(other, identity)

    def _is_somebody_else(self, row: int, own: IntArray) -> bool:
        """Whether a track is not the person of the tracks ``own`` (M,), itself among them."""
        others = own[own != row]
        cannot = others[self.places.conflicts(self._stays, others, np.array([row]))]
        if len(cannot):  # a lost track was found again; whoever began first keeps the number
            return bool(cannot.min() < row)
        found = self._candidates(np.array([row]))
        of_own = found.log_odds[found.people == self._stays.identity[row]]
        return bool(of_own.max(initial=-np.inf) < SPLIT_LOG_ODDS)

    def _separate(self, rows: IntArray) -> None:
        """Nobody is twice in one frame: a lost track was found again that another was taken for."""
        named = rows[self._stays.identity[rows] != UNDECIDED]
        firsts = np.unique(self._stays.identity[named], return_index=True)[1]
        for row in np.delete(named, firsts).tolist():
            self._tell("split", row, self.table.open())

    def _candidates(self, own: IntArray) -> Candidates:
        return find_candidates(self._stays, own, self.likeness, self.places)

    def _known_person(self, found: Candidates) -> int:
        """Who somebody is among those it may be; `UNDECIDED` if nobody is sure enough."""
        needed = required_log_odds(found.extra, self.likeness, self._config.max_false_merge_rate)
        best = int(found.log_odds.argmax()) if len(found.people) else -1
        return int(found.people[best]) if best >= 0 and found.log_odds[best] >= needed else UNDECIDED

    def _tell(self, kind: Literal["new", "returned", "merged", "split"], row: int, identity: int) -> None:
        """Say who a track is, and that this was found out now."""
        stays = self._stays
        if np.isnan(stays.decided[row]):
            stays.decided[row] = stays.end[row]
        camera, track_id = self._cameras[stays.camera[row]], int(stays.track_id[row])
        time, before = float(stays.end[row]), int(stays.identity[row])
        self._events.append(IdentityEvent(time, kind, camera, track_id, identity, before))
        self._assign(row, identity)

    def _assign(self, row: int, identity: int) -> None:
        stays = self._stays
        stays.identify(row, identity)
        if stays.track_id[row] >= 0:
            self.table.assign(self._cameras[stays.camera[row]], int(stays.track_id[row]), identity)

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
            others = np.nonzero((stays.identity == identity) & (stays.looks > 0) & stays.is_track)[0]
            if len(others):
                last = int(others[stays.end[others].argmax()])
                absence_s = float(stays.begin[row] - stays.end[last])
                self.places.passages.add(int(stays.camera[last]), int(stays.camera[row]), absence_s)
