"""Re-entry: whether people who come back are known again, and newcomers are not taken for somebody else.

A *visit* is a stretch of time in which a person is out of all cameras for less than ``min_away_s`` at a time;
it may lead through several cameras. docs/evaluation.md says in plain words what is counted.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foundation.arrays import BoolArray, Columns, FloatArray, IntArray
from tracker.metrics.calibration import Calibration
from tracker.metrics.counts import Counts
from tracker.metrics.overlap import EPSILON, MIN_IOU, PEDESTRIAN, FramePair, GroundTruth, match_highest

MIN_AWAY_S = 1.0
"""Whoever was out of all cameras for this long has come back; shorter gaps are the camera tracker's."""
ROUNDING_S = 1e-6
"""A time away that is short of ``min_away_s`` by rounding alone still counts."""
NOT_FOUND = -1


@dataclass(frozen=True, slots=True, eq=False)
class Presence(Columns):
    """Who truly was in view and who the result said it was: R rows, one for each person, camera and frame.

    Attributes:
        people: (R,) true person.
        cameras: (R,) index of the camera.
        times: (R,) seconds, by a clock that all cameras share.
        is_scored: (R,) the person is to be found here; a box with flag 0 only says that they are there.
        identity_ids: (R,) identity in the result, `NOT_FOUND` where no box of it matches.
    """

    people: IntArray
    cameras: IntArray
    times: FloatArray
    is_scored: BoolArray
    identity_ids: IntArray

    def __post_init__(self) -> None:
        self.check(**dict.fromkeys(self.__slots__, ()))

    @classmethod
    def together(cls, parts: Sequence["Presence"]) -> "Presence":
        """The rows of several cameras."""
        names = ("people", "cameras", "times", "is_scored", "identity_ids")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class Visits(Columns):
    """The S visits of all people, by person and then by time; those with no box to be found are left out.

    Attributes:
        people: (S,) true person.
        begin_s, end_s: (S,) first and last moment in view, seconds.
        is_elsewhere: (S,) no camera that saw the person last, before the visit, is one that sees them first.
        identity_ids: (S,) the identity of most boxes of the visit, at a tie the earlier one;
            `NOT_FOUND` where the person was never found.
        found_s: (S,) when the person was first found; inf for never.
        identified_s: (S,) when the person first had the identity, in this visit; inf for never.
    """

    people: IntArray
    begin_s: FloatArray
    end_s: FloatArray
    is_elsewhere: BoolArray
    identity_ids: IntArray
    found_s: FloatArray
    identified_s: FloatArray


@dataclass(frozen=True, slots=True)
class ReentryCounts(Counts):
    """What became of those who came back, and of those who were new.

    Recognised, missed and mistaken make up the returns that were found. An error counts once, where it is
    made: who is taken for somebody else and comes back under the same identity is recognised.

    Attributes:
        returns: Visits of people who had been there before.
        returns_elsewhere: Of these, the ones into another camera.
        returns_found: Of all returns, those that were found and whose person had been found before.
        returns_recognised: Of the found ones, those under the identity of an earlier visit of the person.
        returns_missed: Those under an identity that no person had had.
        returns_mistaken: Those under an identity that only other people had had.
        strangers: People who were found at all, each at the first visit in which they were.
        strangers_mistaken: Those under an identity that somebody else had had.
    """

    returns: int
    returns_elsewhere: int
    returns_found: int
    returns_recognised: int
    returns_missed: int
    returns_mistaken: int
    strangers: int
    strangers_mistaken: int

    @property
    def missed_rate(self) -> float:
        """Share of the returns found that got a new identity; 0 where there are none."""
        return self.returns_missed / max(1, self.returns_found)

    @property
    def false_merge_rate(self) -> float:
        """Share of the strangers that were taken for somebody; 0 where there are none."""
        return self.strangers_mistaken / max(1, self.strangers)


@dataclass(frozen=True, slots=True)
class Reentry:
    """How returns and strangers were taken, and what the run had said of that.

    Attributes:
        min_away_s: Seconds out of all cameras that make a return.
        counts: What happened.
        calibration: What the run had said; None where its folder does not say.
        decided_s: Median and 95 % quantile of the seconds from when somebody was found to when it was decided
            who it is, inf for never; None where the run's folder does not say.
    """

    min_away_s: float
    counts: ReentryCounts
    calibration: Calibration | None
    decided_s: tuple[float, float] | None = None

    @property
    def calibration_error(self) -> float | None:
        """True over stated false-merge rate; None where none, or none but 0, was stated."""
        if self.calibration is None or not self.calibration.max_false_merge_rate:
            return None
        return self.counts.false_merge_rate / self.calibration.max_false_merge_rate

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; fractions, not percent."""
        return {
            "min_away_s": self.min_away_s,
            **asdict(self.counts),
            "missed_rate": self.counts.missed_rate,
            "false_merge_rate": self.counts.false_merge_rate,
            "calibration": asdict(self.calibration) if self.calibration else None,
            "calibration_error": self.calibration_error,
            "decided_s": [s if math.isfinite(s) else None for s in self.decided_s]
            if self.decided_s
            else None,
        }


def find_presence(
    camera: int,
    truth: GroundTruth,
    pairs: Mapping[int, FramePair],
    frames: range,
    frame_rate: float,
    start_s: float = 0.0,
) -> Presence:
    """Who was in view of one camera, and under which identity.

    In each frame people are matched with result boxes at the highest total overlap,
    pairs of `MIN_IOU` or more.

    Args:
        camera: Index of the camera.
        truth: Who is there. Everybody of class 1 is in view, whatever the flag.
        pairs: What `compare` gave for ``truth`` and ``frames``.
        frames: The frames to look at.
        frame_rate: Frames per second.
        start_s: When frame 1 was taken, on the clock that all cameras share.
    """
    table = truth.table
    shown = table[
        (table.classes == PEDESTRIAN) & (table.frames >= frames.start) & (table.frames < frames.stop)
    ]
    shown = shown[np.lexsort((shown.ids, shown.frames))]
    identity_ids = np.full(len(shown), NOT_FOUND)
    begins, ends = (np.searchsorted(shown.frames, [*pairs], side) for side in ("left", "right"))
    for pair, begin, end in zip(pairs.values(), begins, ends, strict=True):
        if not pair.ious.size:
            continue
        found, tracks = match_highest(np.where(pair.ious >= MIN_IOU - EPSILON, pair.ious, 0.0))
        rows = begin + np.searchsorted(shown.ids[begin:end], pair.people[found])
        identity_ids[rows] = pair.tracks[tracks]
    return Presence(
        people=shown.ids,
        cameras=np.full(len(shown), camera),
        times=start_s + (shown.frames - 1) / frame_rate,
        is_scored=shown.scores != 0,
        identity_ids=identity_ids,
    )


def find_visits(presence: Presence, min_away_s: float = MIN_AWAY_S) -> Visits:
    """Put the rows of all cameras together into visits.

    Args:
        presence: Rows in any order.
        min_away_s: Seconds in no camera that end a visit; longer than the time between two frames, or every
            frame is a visit of its own.
    """
    rows = presence[np.lexsort((presence.times, presence.people))]
    is_other = np.diff(rows.people, prepend=rows.people[:1] - 1) != 0
    away_s = np.diff(rows.times, prepend=-np.inf)
    begins = np.flatnonzero(is_other | (away_s >= min_away_s - ROUNDING_S))
    ends = np.append(begins[1:], len(rows)) if len(begins) else begins
    num_visits = len(begins)
    is_scored, is_elsewhere = np.zeros(num_visits, np.bool_), np.zeros(num_visits, np.bool_)
    identity_ids = np.full(num_visits, NOT_FOUND)
    found_s, identified_s = np.full(num_visits, np.inf), np.full(num_visits, np.inf)
    last_cameras: set[int] = set()
    for index, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        visit = rows[begin:end]
        first_cameras = set(visit.cameras[visit.times == visit.times[0]].tolist())
        is_elsewhere[index] = not is_other[begin] and not first_cameras & last_cameras
        last_cameras = set(visit.cameras[visit.times == visit.times[-1]].tolist())
        is_scored[index] = visit.is_scored.any()
        found = visit[visit.identity_ids != NOT_FOUND]
        if len(found):
            identity_ids[index], identified_s[index] = _main_identity(found)
            found_s[index] = found.times[0]
    visits = Visits(
        people=rows.people[begins],
        begin_s=rows.times[begins],
        end_s=rows.times[ends - 1],
        is_elsewhere=is_elsewhere,
        identity_ids=identity_ids,
        found_s=found_s,
        identified_s=identified_s,
    )
    return visits[is_scored]


def count_reentries(visits: Visits) -> ReentryCounts:
    """Say of every visit that was found whether its identity is the person's own, new, or another's."""
    is_return = _is_repeated(visits.people)
    found = visits[visits.identity_ids != NOT_FOUND]
    found = found[np.lexsort((found.people, found.identified_s))]
    is_known = _is_repeated(found.people)
    is_new = ~_is_repeated(found.identity_ids)
    is_own = _is_repeated(np.column_stack([found.people, found.identity_ids]))
    return ReentryCounts(
        returns=int(is_return.sum()),
        returns_elsewhere=int((is_return & visits.is_elsewhere).sum()),
        returns_found=int(is_known.sum()),
        returns_recognised=int(is_own.sum()),
        returns_missed=int((is_known & is_new).sum()),
        returns_mistaken=int((is_known & ~is_new & ~is_own).sum()),
        strangers=int((~is_known).sum()),
        strangers_mistaken=int((~is_known & ~is_new).sum()),
    )


def seconds_until_decided(visits: Visits, identity_ids: IntArray, decided_s: FloatArray) -> FloatArray:
    """How long each visit was found before its identity was settled.

    Args:
        visits: Those of the truth.
        identity_ids, decided_s: (D,) decisions of a live run, in any order: a track was given this identity
            at this time, in seconds of the clock of ``visits``.

    Returns:
        (S,) seconds from when the person was found to the first decision for the visit's identity since
        then; inf where there was none.
    """
    waited_s = np.full(len(visits), np.inf)
    for row, (identity, found_s) in enumerate(zip(visits.identity_ids, visits.found_s, strict=True)):
        since = decided_s[(identity_ids == identity) & (decided_s >= found_s - ROUNDING_S)]
        if len(since):
            waited_s[row] = max(0.0, since.min() - found_s)
    return waited_s


def _main_identity(found: Presence) -> tuple[int, float]:
    """The identity of most rows, at a tie the earlier one, and its first time; at least one row, by time."""
    identities, first, counts = np.unique(found.identity_ids, return_index=True, return_counts=True)
    best = np.lexsort((identities, found.times[first], -counts))[0]
    return int(identities[best]), float(found.times[first[best]])


def _is_repeated(values: IntArray) -> BoolArray:
    """(S,) whether an earlier row of the S has the same value, or values."""
    repeated = np.ones(len(values), np.bool_)
    repeated[np.unique(values, axis=0, return_index=True)[1]] = False
    return repeated
