"""Visits: the stretches of time in which a camera saw a person."""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import Columns, FloatArray, IntArray

MAX_GAP_S = 1.0
"""A person who is not seen for longer was away, and a new visit begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Visits(Columns):
    """V stretches of time in which one camera saw one person without a break.

    Attributes:
        identity_ids: (V,) who.
        cameras: (V,) index of the camera.
        begin_s, end_s: (V,) first and last sighting, seconds.
    """

    identity_ids: IntArray
    cameras: IntArray
    begin_s: FloatArray
    end_s: FloatArray

    def in_view(self, edges_s: FloatArray) -> FloatArray:
        """(E - 1,) how many are in view between two of E rising moments, in the mean."""

        def seconds_before(moments_s: FloatArray) -> FloatArray:
            """(E,) how long the time from each of ``moments_s`` to each edge is, added up."""
            rising = np.sort(moments_s - edges_s[0])
            before = np.searchsorted(rising, edges)
            return np.asarray(before * edges - np.concatenate([[0.0], np.cumsum(rising)])[before])

        edges = edges_s - edges_s[0]  # sums of Unix times would be coarse
        seconds = np.diff(seconds_before(self.begin_s) - seconds_before(self.end_s))
        return np.asarray(seconds / np.diff(edges))

    def most_in_view(self) -> int:
        """How many visits went on at one moment, at most."""
        if not len(self):
            return 0
        moments = np.concatenate([self.begin_s, self.end_s])
        steps = np.repeat([1, -1], len(self))
        order = np.lexsort((-steps, moments))  # a visit that ends as another begins is still there
        return int(np.cumsum(steps[order]).max())


class VisitFinder:
    """Joins sightings into visits, by identity, camera and time; who is undecided (0) is left out.

    Memory grows with the visits, not with the sightings.
    """

    def __init__(self) -> None:
        none, never = np.empty(0, np.int64), np.empty(0)
        self._parts = [Visits(none, none, never, never)]

    def add(self, cameras: IntArray, times: FloatArray, identity_ids: IntArray) -> None:
        """Take camera (R,), seconds (R,) and identity (R,) of R sightings; times of a camera rise."""
        known = identity_ids > 0
        times = times[known]
        self._parts.append(_join(Visits(identity_ids[known], cameras[known].astype(np.int64), times, times)))

    def visits(self) -> Visits:
        """All visits so far."""
        names = ("identity_ids", "cameras", "begin_s", "end_s")
        parts = self._parts
        return _join(Visits(*(np.concatenate([getattr(part, name) for part in parts]) for name in names)))


def _join(visits: Visits) -> Visits:
    """Visits of a person to a camera with no more than `MAX_GAP_S` between them become one."""
    if not len(visits):
        return visits
    visits = visits[np.lexsort((visits.begin_s, visits.cameras, visits.identity_ids))]
    goes_on = (
        (np.diff(visits.identity_ids) == 0)
        & (np.diff(visits.cameras) == 0)
        & (visits.begin_s[1:] - visits.end_s[:-1] <= MAX_GAP_S)
    )
    first = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    joined = visits[first]
    ends_s = np.maximum.reduceat(visits.end_s, first)
    return Visits(joined.identity_ids, joined.cameras, joined.begin_s, ends_s)
