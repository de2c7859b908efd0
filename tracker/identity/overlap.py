"""Which cameras see one place: people move alike in both pictures, up to a homography, and at no other time.

Nothing is calibrated. If two cameras see one floor, one matrix takes the feet of everybody whom both see
from one picture to the other. It is searched for among pairs of tracks that were seen at one time, the most
alike first. Chance fits something too, and the better the more people there are: so the same search is made
with the times of one camera moved against those of the other, when nobody can be in both. Only what
fits far better than all of these is believed. People in uniform move no more alike than others; who stands
still tells nothing.
"""

from typing import NamedTuple

import cv2
import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, IntArray

TOLERANCE = 0.25
"""Feet of one person in two pictures agree within this share of the height of the box."""

MOVING_STEPS = 4
"""Somebody is on their way whose feet are further away than that so many steps before or after."""

MIN_STEPS = 4
"""Two tracks are compared that were seen together at this many moments, `STEP_S` apart."""

MIN_SHARE = 0.7
"""Two tracks agree whose feet agree at this share of the moments."""

MAX_MOMENTS = 6000
"""Moments, of all pairs of tracks together, that are compared; the newest."""

ALONE, COUPLES = 30, 24
"""How many pairs of tracks are tried as the origin of a homography, each by itself and two by two."""

MAX_POINTS = 60
"""A homography is fitted to this many moments at most."""

PREFERENCE = 4.0
"""A cosine that is higher by 0.25 makes a pair of tracks 2.7 times likelier to be tried."""

MIN_SPAN_STEPS = 16
"""Nothing is said of two cameras before they were seen for this long."""

NEAR_SHIFTS, FAR_SHIFTS = (-12, -6, 6, 12), 8
"""Other times that are tried: some steps before and after, as people come in crowds; how many far away, of
two cameras of which nothing is known."""

MIN_SCORE, MIN_RATIO, KNOWN_RATIO = 5.0, 2.0, 1.2
"""Two cameras see one place whose score is this high, and this many times higher than at all other times. The
last is for those of which it is known."""

MIN_COMMON = 4
"""Two cameras that overlap with a third at this many places that are the same see one place."""

MAX_HIDDEN = 1.6
"""Boxes that are so many times higher, or less high, than of whoever walked there do not end at the feet."""

MIN_CONFIRMED, UNCONFIRMED = 2 / 3, 10
"""One matrix takes any two straight ways to any two others. Where the score without two is below `MIN_SCORE`,
whoever is on the way where both cameras see one place must be in the other, too, at this share of moments
and of so many more as if alone: a few moments show little."""

MIN_EXPLAINED = 0.25
"""At least this share of the tracks of the camera that has fewer agree with one of the other: a matrix that
says nothing of most people, as of those who sit, says who is who of none."""


class Feet(NamedTuple):
    """Where the people of one camera stood, N rows in the order of time.

    Attributes:
        rows: (N,) whose feet, a row of the table of tracks.
        steps: (N,) when, in steps of equal length.
        feet: (N, 3) x and y of the feet and the height of the box, pixels.
    """

    rows: IntArray
    steps: IntArray
    feet: FloatArray


class Joint(NamedTuple):
    """The M moments at which P pairs of tracks of two cameras were both seen, those of a pair side by side.

    Attributes:
        tracks: (P, 2) the tracks of each pair.
        starts: (P + 1,) pair p has the moments ``starts[p]`` to ``starts[p + 1]``.
        pair: (M,) the pair of each moment.
        first: (M, 3), second: (M, 3) feet and height in either picture.
    """

    tracks: IntArray
    starts: IntArray
    pair: IntArray
    first: FloatArray
    second: FloatArray


class Overlap(NamedTuple):
    """What two cameras see of one place.

    Attributes:
        matrix: (3, 3) pixels (x, y, 1) of the first camera to those of the second, up to a factor.
        places: (K, 3) feet and heights in the first camera that agreed: there, and nearby, the matrix holds.
        others: (K, 3) where they were in the second.
    """

    matrix: FloatArray
    places: FloatArray
    others: FloatArray

    def holds(self, first: FloatArray, second: FloatArray) -> BoolArray:
        """(M,) whether feet (M, 3) of the first camera are within a height of where others agreed.

        And whether as much is seen of them in both pictures as of those: whoever sits behind a desk, or is
        cut off by the picture, ends higher up.
        """
        if not len(self.places):
            return np.zeros(len(first), np.bool_)
        away = _distance(first[:, None], self.places)
        nearest = away.argmin(axis=1)
        near = away[np.arange(len(away)), nearest] <= first[:, 2]
        for feet, places in ((first, self.places), (second, self.others)):
            own, others = feet[:, 2], places[nearest, 2]
            near &= (own <= MAX_HIDDEN * others) & (others <= MAX_HIDDEN * own)
        return np.asarray(near, np.bool_)

    def turned(self) -> "Overlap":
        """The same from the second camera to the first."""
        return Overlap(np.asarray(np.linalg.inv(self.matrix), np.float64), self.others, self.places)

    def then(self, second: "Overlap") -> "Overlap | None":
        """From the first camera to a third; None if it sees another place of the second than this one."""
        if not (len(self.others) and len(second.places)):
            return None
        away = _distance(self.others[:, None], second.places)
        nearest = away.argmin(axis=1)
        near = away[np.arange(len(away)), nearest] <= self.others[:, 2]
        if near.sum() < MIN_COMMON:
            return None
        return Overlap(second.matrix @ self.matrix, self.places[near], second.others[nearest[near]])


class Fit(NamedTuple):
    """How well a homography explains what was seen.

    Attributes:
        matrix: (3, 3) pixels (x, y, 1) of the first camera to those of the second, up to a factor.
        score: The ways that people made in both pictures, in steps of half a height; everybody counts once.
        beyond: The same without the two longest ways.
        agrees: (P,) which pairs of tracks agree.
    """

    matrix: FloatArray
    score: float
    beyond: float
    agrees: BoolArray


def find_overlap(
    first: Feet, second: Feet, row_embeddings: EmbeddingArray, is_known: bool = False
) -> Overlap | None:
    """What two cameras see of one place; None if nothing says that they do.

    Args:
        first, second: What each camera saw, in the order of time.
        row_embeddings: (R, D) centred appearance of each track, length 1 or 0: where to search, no more.
        is_known: Whether it is known already that they do, so that less is asked.
    """
    ratio = KNOWN_RATIO if is_known else MIN_RATIO
    everybody = first, second
    first, second = _newest(_moving(first), _moving(second))
    if not (len(first.steps) and len(second.steps)):
        return None
    begin = max(int(first.steps.min()), int(second.steps.min()))
    span = min(int(first.steps.max()), int(second.steps.max())) + 1 - begin
    if span < MIN_SPAN_STEPS:
        return None
    joint = join(first, second)
    found = best_fit(joint, row_embeddings)
    if found is None or found.score < MIN_SCORE or explained(joint, found) < MIN_EXPLAINED:
        return None
    overlap, during = _shared(joint, found), range(begin, begin + span)
    ways = (overlap, first, everybody[1]), (overlap.turned(), second, everybody[0])
    if found.beyond < MIN_SCORE and min(confirmed(*way, during) for way in ways) < MIN_CONFIRMED:
        return None
    far = [] if is_known else [span * index // (FAR_SHIFTS + 1) for index in range(1, FAR_SHIFTS + 1)]
    for shift in (*NEAR_SHIFTS, *far):
        turns, moved = np.divmod(second.steps - begin + shift, span)
        order = np.argsort(moved, kind="stable")
        # What is moved from the end to the beginning is another track: one would jump, as nobody does.
        rows = second.rows + np.abs(turns) * len(row_embeddings)
        by_chance = join(first, Feet(rows[order], begin + moved[order], second.feet[order]))
        other = best_fit(by_chance, row_embeddings, enough=found.score / ratio)
        if other is not None and other.score > found.score / ratio:
            return None
    return overlap


def confirmed(overlap: Overlap, mine: Feet, theirs: Feet, during: range) -> float:
    """At which share of their moments people on their way in one camera, where both see, are in the other.

    Of the steps at which both cameras were there. Where ``theirs``, everybody whom the other saw, never are
    its picture may end, or something may be in the way: that says nothing.
    """
    feet = mine.feet
    is_shared = (_distance(feet[:, None], overlap.places) <= feet[:, 2:]).any(axis=1)
    kept = np.nonzero(is_shared & (mine.steps >= during.start) & (mine.steps < during.stop))[0]
    places = _project(overlap.matrix, feet[kept])
    seen = theirs.feet[_fields(theirs.feet)]
    is_seen = (_distance(places[:, None], seen) <= 2 * TOLERANCE * seen[:, 2]).any(axis=1)
    places, steps = places[is_seen], mine.steps[kept[is_seen]]
    a, b = _at_once(steps, theirs.steps)
    is_near = _distance(places[a], theirs.feet[b]) <= 2 * TOLERANCE * theirs.feet[b, 2]
    return len(np.unique(a[is_near])) / (len(steps) + UNCONFIRMED)


def join(first: Feet, second: Feet) -> Joint:
    """Each pair of tracks that were seen together at `MIN_STEPS` or more."""
    a, b = _at_once(first.steps, second.steps)
    base = int(second.rows.max(initial=0)) + 1
    both = first.rows[a] * base + second.rows[b]
    tracks, pair, length = np.unique(both, return_inverse=True, return_counts=True)
    enough = length >= MIN_STEPS
    kept = np.nonzero(enough[pair])[0]
    kept = kept[np.argsort(pair[kept], kind="stable")]
    pair = (np.cumsum(enough) - 1)[pair[kept]]
    starts = np.concatenate(([0], np.cumsum(length[enough])))
    tracks = np.column_stack((tracks[enough] // base, tracks[enough] % base))
    return Joint(tracks, starts, pair, first.feet[a[kept]], second.feet[b[kept]])


def best_fit(joint: Joint, row_embeddings: EmbeddingArray, enough: float = np.inf) -> Fit | None:
    """The homography of some likely pairs of tracks that has the highest score, fitted to all that agree.

    Or the first whose score is more than ``enough``.
    """
    best: Fit | None = None
    for pairs in _likely(joint, row_embeddings):
        moments = np.concatenate([np.arange(joint.starts[it], joint.starts[it + 1]) for it in pairs])
        fit = _fit(joint, moments[:: len(moments) // MAX_POINTS + 1], best.score if best else -1.0)
        if fit is not None:
            best = fit
            if fit.score > enough:
                return fit
    better = best
    while better is not None and better.score:
        best = better
        agreeing = np.nonzero(best.agrees[joint.pair] & agreement(best.matrix, joint.first, joint.second))[0]
        better = _fit(joint, agreeing, best.score)
    return best


def explained(joint: Joint, fit: Fit) -> float:
    """The share of the tracks that agree with one of the other camera, where it is higher."""
    return max(
        len(np.unique(tracks[fit.agrees])) / max(len(np.unique(tracks)), 1) for tracks in joint.tracks.T
    )


def agreement(
    matrix: FloatArray, first: FloatArray, second: FloatArray, tolerance: float = TOLERANCE
) -> BoolArray:
    """(M,) whether feet (M, 3) in one picture are those (M, 3) in the other, judged in both."""
    inverse: FloatArray = np.asarray(np.linalg.inv(matrix), np.float64)
    agrees = _agrees_there(matrix, first, second, tolerance)
    near = np.nonzero(agrees)[0]  # few, of most matrices
    agrees[near] = _agrees_there(inverse, second[near], first[near], tolerance)
    return agrees


def _shared(joint: Joint, fit: Fit) -> Overlap:
    """The places at which feet agreed, one of each field half a height wide."""
    agreed = fit.agrees[joint.pair] & agreement(fit.matrix, joint.first, joint.second)
    places = np.nonzero(agreed)[0][_fields(joint.first[agreed])]
    return Overlap(fit.matrix, joint.first[places], joint.second[places])


def _fields(feet: FloatArray) -> IntArray:
    """One of the feet (M, 3) in each field of the picture half a height wide."""
    fields = np.floor(feet[:, :2] / (2 * TOLERANCE * np.median(feet[:, 2])))
    return np.unique(fields, axis=0, return_index=True)[1]


def _at_once(first: IntArray, second: IntArray) -> tuple[IntArray, IntArray]:
    """Each pair of moments of two cameras, whose steps are sorted, that are one."""
    lows, highs = (np.searchsorted(second, first, side) for side in ("left", "right"))
    counts = highs - lows
    a = np.repeat(np.arange(len(first)), counts)
    return a, np.arange(len(a)) + np.repeat(lows - np.cumsum(counts) + counts, counts)


def _moving(feet: Feet) -> Feet:
    """The moments at which somebody is on their way; who sits says nothing, and may do so for hours."""
    order = np.lexsort((feet.steps, feet.rows))
    rows, places = feet.rows[order], feet.feet[order]
    firsts, lasts = np.searchsorted(rows, rows), np.searchsorted(rows, rows, side="right") - 1
    is_moving = np.zeros(len(rows), np.bool_)
    for away in (MOVING_STEPS, -MOVING_STEPS):
        other = np.clip(np.arange(len(rows)) + away, firsts, lasts)
        is_moving |= _distance(places[other], places) > TOLERANCE * places[:, 2]
    kept = np.sort(order[is_moving])
    return Feet(feet.rows[kept], feet.steps[kept], feet.feet[kept])


def _newest(first: Feet, second: Feet) -> tuple[Feet, Feet]:
    """The end of both, so that no more than `MAX_MOMENTS` are compared."""
    lows, highs = (np.searchsorted(second.steps, first.steps, side) for side in ("left", "right"))
    compared = np.cumsum((highs - lows)[::-1])[::-1]
    late = np.nonzero(compared <= MAX_MOMENTS)[0]
    since = first.steps[late[0]] if len(late) else np.inf
    one, other = first.steps >= since, second.steps >= since
    return (
        Feet(first.rows[one], first.steps[one], first.feet[one]),
        Feet(second.rows[other], second.steps[other], second.feet[other]),
    )


def _likely(joint: Joint, row_embeddings: EmbeddingArray) -> list[tuple[int, ...]]:
    """Pairs of tracks, and couples of these, from which the homography may be found: long, moving, alike."""
    if not len(joint.tracks):
        return []
    ways = []
    for feet in (joint.first, joint.second):
        low, high = (part.reduceat(feet, joint.starts[:-1]) for part in (np.minimum, np.maximum))
        ways.append(np.linalg.norm((high - low)[:, :2], axis=1) / high[:, 2])
    embeddings = row_embeddings[joint.tracks % len(row_embeddings)]
    cosines = (embeddings[:, 0] * embeddings[:, 1]).sum(axis=1)
    weight = (
        np.sqrt(np.diff(joint.starts)) * np.minimum(np.minimum(*ways), 3.0) * np.exp(PREFERENCE * cosines)
    )
    order = np.argsort(-weight, kind="stable")
    order = order[weight[order] > 0].tolist()
    couples: list[tuple[int, ...]] = [
        (one, other) for index, one in enumerate(order[:COUPLES]) for other in order[:index]
    ]
    return [*((one,) for one in order[:ALONE]), *couples[: 4 * ALONE]]


def _fit(joint: Joint, moments: IntArray, least: float) -> Fit | None:
    """The homography of some moments, and its score over all; None where it has none above this one."""
    if len(moments) < MIN_STEPS:
        return None
    found, _ = cv2.findHomography(joint.first[moments, :2], joint.second[moments, :2], 0)
    if found is None or not np.isfinite(found).all() or abs(np.linalg.det(found)) < 1e-12:
        return None
    matrix: FloatArray = np.asarray(found, np.float64)
    agree = agreement(matrix, joint.first, joint.second)
    count = len(joint.tracks)
    share = np.bincount(joint.pair[agree], minlength=count) / np.diff(joint.starts)
    agrees = share >= MIN_SHARE
    rows = np.nonzero(agree & agrees[joint.pair])[0]
    agreed = np.bincount(joint.pair[rows], minlength=count)
    if np.maximum(agreed - 1, 0).sum() <= least:
        return None  # nobody makes more ways than there are moments
    both = joint.first[rows], joint.second[rows]
    ways = np.minimum(*(count_places(joint.pair[rows], feet, count) for feet in both))
    made, taken = list[float](), (set[int](), set[int]())
    for index in np.argsort(-ways, kind="stable").tolist():
        if ways[index] <= 1:
            break
        one, other = joint.tracks[index].tolist()
        if one not in taken[0] or other not in taken[1]:
            taken[0].add(one)
            taken[1].add(other)
            made.append(float(ways[index]) - 1)
    return Fit(matrix, sum(made), sum(made[2:]), agrees) if sum(made) > least else None


def count_places(group: IntArray, feet: FloatArray, count: int) -> IntArray:
    """(G,) at how many places, half a height apart, the feet (M, 3) of each group (M,) were."""
    if not len(feet):
        return np.zeros(count, np.int64)
    heights = np.sort(feet[:, 2])  # numpy's median takes as long as all the rest
    height = (heights[(len(heights) - 1) // 2] + heights[len(heights) // 2]) / 2
    fields = np.floor(feet[:, :2] / (2 * TOLERANCE * height)).astype(np.int64)
    x, y = (fields - fields.min(axis=0)).T
    columns, lines = int(x.max()) + 1, int(y.max()) + 1
    places = np.unique((group * columns + x) * lines + y)  # many times faster than of rows
    return np.bincount(places // (columns * lines), minlength=count)


def _distance(one: FloatArray, other: FloatArray) -> FloatArray:
    """From the first two numbers of each row to those of another; many times faster than numpy's norm."""
    x, y = (one[..., axis] - other[..., axis] for axis in (0, 1))
    return np.asarray(np.sqrt(x * x + y * y), np.float64)


def _agrees_there(matrix: FloatArray, feet: FloatArray, others: FloatArray, tolerance: float) -> BoolArray:
    """(M,) whether feet (M, 3) of one picture are, in the other, those (M, 3)."""
    return np.asarray(_distance(_project(matrix, feet), others) <= tolerance * others[:, 2], np.bool_)


def _project(matrix: FloatArray, feet: FloatArray) -> FloatArray:
    """(M, 2) where the feet (M, 3) of one picture are in the other."""
    x, y = feet[:, 0], feet[:, 1]
    across, down, depth = (row[0] * x + row[1] * y + row[2] for row in matrix)  # `@` takes many times longer
    depth = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return np.array((across / depth, down / depth)).T
