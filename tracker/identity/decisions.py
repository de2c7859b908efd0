"""Who each track is: the decisions, and when they are taken, and taken back."""

import numpy as np

from foundation.arrays import BoolArray, IntArray
from tracker.config import IdentityConfig
from tracker.identity.candidates import Candidates, Strangers, find_candidates
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.corrections import NEVER
from tracker.identity.maturity import Maturity
from tracker.identity.offline import ROUNDS, link_offline
from tracker.identity.places import Places
from tracker.identity.site_similarity import SiteSimilarity
from tracker.identity.table import UNDECIDED, IdentityTable
from tracker.identity.tracklets import UNKNOWN, Fold, TrackletTable
from tracker.types import State

SURE_LOG_ODDS = 3.0
"""A match teaches the transit times between cameras if appearance alone is this much likelier than for the
next person."""

AGAIN = 1.5
"""Who a track is is asked again when there are this many times more embeddings than the last time."""

ENDED_S = 0.5
"""A track that its camera no longer shows is decided this soon, as whoever it is may be elsewhere already."""

MORE_EMBEDDINGS = 1.3
"""Everybody is compared with everybody again when there are this many times more embeddings in all."""

ASK_EVERY_S = 0.1
"""Of those who are out of view one is asked about in this time, so that frames wait for few."""

FEW_TRACKLETS = 64
"""As long as there are no more, all are linked anew instead: that takes a fraction of a second."""

MOVE_LOG_ODDS = 2.0
"""A track is somebody else who is known when that is so much likelier than who it was taken for."""

SPLIT_LOG_ODDS = -2.0
"""A track is no longer the person it was taken for when its odds are below this."""


class Decisions:
    """Decides on tracks while frames come; what is decided stands in the table.

    A track is tried again and again while it is undecided, at its end for the last time; later it is asked
    whether it is still who it was taken for, as more is seen of it and of all others.

    Attributes:
        centroids: The mean appearance of everybody.
        now_s: The newest time of all cameras.
    """

    def __init__(
        self,
        config: IdentityConfig,
        tracklets: TrackletTable,
        table: IdentityTable,
        site: SiteSimilarity,
        places: Places,
    ) -> None:
        self._config, self._tracklets, self._table = config, tracklets, table
        self._site, self._places = site, places
        self._maturity = Maturity(config.maturity, tracklets)
        self.centroids = IdentityCentroids(tracklets, table)
        self.now_s = -np.inf
        # Undecided tracks, and when they were last seen: by the newest time of all cameras, since a camera
        # that ended, or whose clock is late, must not keep anybody waiting, nor hurry anybody.
        self._waiting: dict[int, float] = {}
        self._shown: dict[int, float] = {}  # of each camera, the time of its newest frame
        self._to_ask: list[int] = []  # tracks that may be somebody else by now, the next one last
        self._asked_at, self._asked_s = 0, -np.inf  # how many embeddings then; when the last was asked

    def configure(self, config: IdentityConfig) -> None:
        """Decide by these settings from now on."""
        self._config = config

    def begin_frame(self, rows: IntArray, camera: int, time: float) -> None:
        """A camera shows the tracks in these rows (M,) now."""
        self.now_s, self._shown[camera] = max(self.now_s, time), time
        if self._config.link:
            self._separate(rows, time)

    def decide(self, rows: IntArray, time: float) -> None:
        """Take the decisions that are due, on the tracks in these rows (M,) of one frame, and on others."""
        tracklets, identity = self._tracklets, self._table.identity
        for row in rows[identity[rows] == UNDECIDED].tolist():
            self._waiting[row] = self.now_s
            # Where nothing is embedded or nothing is joined, waiting brings nothing.
            has_waited = not self._compares or time - tracklets.begin[row] >= self._config.decide_s
            is_last = has_waited and self._is_mature(row)
            is_due = (
                self._config.min_embeddings <= tracklets.num_embeddings[row] >= AGAIN * tracklets.tried[row]
            )
            if is_last or (is_due and tracklets.num_embeddings[row] > tracklets.tried[row]):
                self._decide(row, is_last, time)
        if self._config.link:
            num_embeddings, tried = tracklets.num_embeddings[rows], tracklets.tried[rows]
            again = (num_embeddings >= AGAIN * tried) & (num_embeddings > tried)
            for row in rows[again & (self._table.identity[rows] != UNDECIDED)].tolist():
                self._reconsider(row, time)
            self._ask_again(time)
        self._decide_waiting()

    def finalize(self) -> None:
        """Decide on whoever waits; what is not mature stays undecided."""
        self._decide_waiting(all_of_them=True)
        self._withdraw_things()

    def link_offline(self) -> None:
        """After the last frame: link all tracks once more."""
        clusters = self._linked(ROUNDS)
        self._table.adopt(clusters, self._enough_of(clusters), self.now_s)
        self._withdraw_things()
        self.centroids.forget()
        self._waiting.clear()
        self._to_ask.clear()

    def is_waiting(self) -> BoolArray:
        """(N,) which tracks are not decided for good."""
        waiting = np.zeros(len(self._tracklets), np.bool_)
        waiting[list(self._waiting)] = True
        return waiting

    def fold(self, fold: Fold) -> None:
        """Rows of the tracklets have gone, or stand for others."""
        self._waiting = {int(fold.place[row]): seen_s for row, seen_s in self._waiting.items()}
        self._to_ask = [row for row in fold.place[self._to_ask].tolist() if row != UNKNOWN]
        self._asked_at = 0  # everybody is asked again
        self.centroids = IdentityCentroids(self._tracklets, self._table)

    def forget(self, rows: IntArray) -> None:
        """Who these tracks (M,) are is not known any more."""
        self._waiting |= dict.fromkeys(rows.tolist(), self.now_s)
        self.centroids = IdentityCentroids(self._tracklets, self._table)

    def state(self) -> State:
        return {
            "now": np.array(self.now_s),
            "to_ask": np.array(self._to_ask, np.int64),
            "asked": np.array([self._asked_at, self._asked_s]),
            "waiting": np.array(list(self._waiting), np.int64),
            "waiting_s": np.array(list(self._waiting.values()), np.float64),
            "shown": np.array(list(self._shown), np.int64),
            "shown_s": np.array(list(self._shown.values()), np.float64),
        }

    def restore(self, state: State) -> None:
        self.now_s = float(state["now"])
        self._asked_at, self._asked_s = int(state["asked"][0]), float(state["asked"][1])
        self._to_ask = state["to_ask"].tolist()
        self._shown, self._waiting = (
            dict(zip(state[name].tolist(), state[f"{name}_s"].tolist(), strict=True))
            for name in ("shown", "waiting")
        )

    @property
    def _compares(self) -> bool:
        """Whether tracks are compared at all: they may be joined, and have embeddings."""
        return self._config.link and self._tracklets.has_embeddings

    def _is_mature(self, row: int) -> bool:
        """Whether enough was seen of a track for a person, and it is no thing; see `MaturityConfig`."""
        return bool(self._maturity.of_tracks(np.array([row]), compares=self._compares)[0])

    def _withdraw_things(self) -> None:
        """Who seemed sure to be a person at first, and turned out to be a chair, is not counted, unless
        somebody who knows better said who it is."""
        identity = self._table.identity
        rows = np.nonzero(identity != UNDECIDED)[0]
        numbers, groups = np.unique(identity[rows], return_inverse=True)
        is_thing = self._maturity.are_things(rows, groups)
        is_thing[groups[self._tracklets.tried[rows] == NEVER]] = False
        for number in numbers[is_thing].tolist():
            self._table.withdraw(number, self.now_s)
        self.centroids.forget(numbers[is_thing].tolist())

    def _decide_waiting(self, *, all_of_them: bool = False) -> None:
        """Decide for the last time on tracks that have ended; what is not mature stays undecided.

        A track has ended soon after its camera showed a frame without it; where no more frames come, after
        ``decide_s``.
        """
        tracklets, decide_s = self._tracklets, self._config.decide_s
        soonest_s = -np.inf if all_of_them else min(ENDED_S, decide_s)
        for row, away_s in [(row, self.now_s - seen_s) for row, seen_s in self._waiting.items()]:
            if away_s < soonest_s:
                continue
            is_gone = self._shown.get(int(tracklets.camera[row]), -np.inf) > tracklets.end[row]
            if all_of_them or is_gone or away_s >= decide_s:
                del self._waiting[row]
                self._decide(row, self._is_mature(row), self.now_s)

    def _decide(self, row: int, is_last: bool, time: float) -> None:
        """Join the track to a person, or, at the last try, open a new one."""
        tracklets = self._tracklets
        tracklets.tried[row] = tracklets.num_embeddings[row]
        identity = UNDECIDED
        if tracklets.num_embeddings[row] and self._config.link:
            self._site.refresh()
            found = self.candidates(np.array([row]))
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
        self.centroids.forget([int(self._table.identity[row])])

    def _reconsider(self, row: int, time: float) -> None:
        """With more embeddings: somebody new may be known after all, and somebody known may be another."""
        tracklets, now = self._tracklets, int(self._table.identity[row])
        tracklets.tried[row] = tracklets.num_embeddings[row]
        self._site.refresh()
        own = self._table.rows_of(now)
        if len(own) > 1:
            better = self._better_person(row, own)
            if better == UNDECIDED:
                self._split(row, time)
            elif better != now:
                self._table.part(np.array([row]), better, time)
                self.centroids.forget((now, better))
            if better != now:
                return
        if not tracklets.is_track[own].all():
            return  # whoever was remembered keeps the number
        identity = self._known_person(self.candidates(own))
        # Whoever split two people by hand, or took back that they are one, knows that they are two.
        is_said = tracklets.tried == NEVER
        is_said_of_both = is_said[own].any() and is_said[self._table.rows_of(identity)].any()
        if identity != UNDECIDED and not is_said_of_both:
            kept, gone = sorted((now, identity))  # the older number stays
            self._table.merge(gone, kept, time)
            self.centroids.forget((gone, kept))

    def _ask_again(self, time: float) -> None:
        """Who is out of view may be somebody else, or somebody known, by now.

        Everybody's turn comes when there are `MORE_EMBEDDINGS` times more embeddings, or cameras are found to
        see one place: all at once while they are few, else one track after the other.
        """
        tracklets = self._tracklets
        places = self._places
        is_known_now = places.views.search_next(tracklets, self.now_s, places.transit_times)
        if not tracklets.has_embeddings:
            return
        if is_known_now or tracklets.total_embeddings >= MORE_EMBEDDINGS * self._asked_at:
            self._asked_at = tracklets.total_embeddings
            # What somebody said who knows better stays, as does what stands for tracks of long ago.
            is_fixed = (tracklets.tried == NEVER) | (tracklets.folded > 0)
            if len(tracklets) <= FEW_TRACKLETS and not is_fixed.any():
                self._link_anew()
                return
            known = tracklets.is_track & (tracklets.num_embeddings > 0) & (self._table.identity != UNDECIDED)
            self._to_ask = np.nonzero(known & ~is_fixed)[0][::-1].tolist()
        while self._to_ask and self.now_s - self._asked_s >= ASK_EVERY_S:
            row = self._to_ask.pop()
            if self._table.identity[row] != UNDECIDED and tracklets.tried[row] != NEVER:
                self._reconsider(row, time)
                self._asked_s = self.now_s

    def _link_anew(self) -> None:
        """Link all tracks once more; who is undecided may be somebody known, but is nobody new yet."""
        table, before = self._table, self._table.identity != UNDECIDED
        clusters = self._linked(rounds=1)
        is_early = ~before & (self._tracklets.num_embeddings < self._config.min_embeddings)
        clusters[is_early] = clusters.max(initial=-1) + 1 + np.arange(is_early.sum())
        is_named = np.bincount(clusters, before) > 0
        table.adopt(clusters, self._enough_of(clusters) & is_named, self.now_s)
        self.centroids.forget()
        after = table.identity != UNDECIDED
        self._waiting = {row: seen_s for row, seen_s in self._waiting.items() if not after[row]}
        self._waiting |= dict.fromkeys(np.nonzero(before & ~after)[0].tolist(), self.now_s)

    def _linked(self, rounds: int) -> IntArray:
        """The person (N,) of every tracklet when all are linked once more; see `link_offline`."""
        tracklets, rate = self._tracklets, self._config.max_false_merge_rate
        # Who sits still may be somebody who walked before: things are told once all are linked.
        seen = self._maturity.are_seen_enough(np.arange(len(tracklets)), compares=self._compares)
        is_enough = seen | ~tracklets.is_track
        return link_offline(
            tracklets, self._table, self._site.refresh(), self._places, rate, is_enough, rounds
        )

    def _enough_of(self, clusters: IntArray) -> BoolArray:
        """(P,) whether the tracks of a cluster, together, are enough for a person."""
        return self._maturity.of_people(clusters, compares=self._compares)

    def _better_person(self, row: int, own: IntArray) -> int:
        """Who a track is now that was taken for the person of the tracks ``own`` (M,), itself among them.

        It stays, unless it cannot be that person, is hardly like their other tracks, or is surely somebody
        else who is known, more likely by `MOVE_LOG_ODDS`.
        """
        now = int(self._table.identity[row])
        others = own[own != row]
        cannot = others[self._places.conflicts(self._tracklets, others, np.array([row]))]
        if len(cannot):  # a lost track was found again; whoever began first keeps the number
            return UNDECIDED if cannot.min() < row else now
        found = self.candidates(np.array([row]))
        is_own = found.identity_ids == now
        of_own = found.log_odds[is_own].max(initial=-np.inf)
        known = self._known_person(found)
        if known not in (UNDECIDED, now) and found.log_odds.max() > of_own + MOVE_LOG_ODDS:
            return known
        return UNDECIDED if of_own < SPLIT_LOG_ODDS else now

    def _separate(self, rows: IntArray, time: float) -> None:
        """No identity is twice in one frame: a lost track was found again that another was taken for."""
        identity = self._table.identity[rows]
        named = rows[identity != UNDECIDED]
        if len(set(self._table.identity[named].tolist())) == len(named):
            return
        firsts = np.unique(identity[identity != UNDECIDED], return_index=True)[1]
        for row in np.delete(named, firsts).tolist():
            self._split(row, time)

    def _split(self, row: int, time: float) -> None:
        """A track is not who it was taken for: somebody new if it is mature, else undecided again."""
        before = int(self._table.identity[row])
        self._table.split(row, time, self._is_mature(row))
        now = int(self._table.identity[row])
        self.centroids.forget((before, now))
        if now == UNDECIDED:
            self._waiting[row] = self.now_s

    def candidates(self, own: IntArray) -> Candidates:
        """Everybody whom the tracks in these rows (M,), of one person, may be."""
        return find_candidates(self._tracklets, self.centroids, own, self._site.calibration, self._places)

    def _known_person(self, found: Candidates) -> int:
        """Who somebody is among those it may be; `UNDECIDED` if none is sure enough."""
        if not len(found.identity_ids):
            return UNDECIDED
        best = int(found.log_odds.argmax())
        log_odds, rate = float(found.log_odds[best]), self._config.max_false_merge_rate
        strangers = Strangers(self._site.calibration, found.extra, found.together)
        is_sure = log_odds > 0 and strangers.chance(log_odds) <= rate
        return int(found.identity_ids[best]) if is_sure else UNDECIDED

    def _learn_transit(self, row: int, found: Candidates, identity: int) -> None:
        """A track was taken for somebody: if appearance alone is sure of it, it teaches the transit time."""
        log_odds, is_it = self._site.calibration.log_odds(found.cosines), found.identity_ids == identity
        if log_odds[is_it][0] - log_odds[~is_it].max(initial=0.0) >= SURE_LOG_ODDS:
            tracklets = self._tracklets
            # The time between two runs, of files above all, says nothing of the transit time.
            others = self._table.rows_of(identity)
            others = others[(tracklets.num_embeddings[others] > 0) & tracklets.is_track[others]]
            if len(others):
                last = int(others[tracklets.end[others].argmax()])
                absence_s = float(tracklets.begin[row] - tracklets.end[last])
                self._places.transit_times.add(
                    int(tracklets.camera[last]), int(tracklets.camera[row]), absence_s
                )
