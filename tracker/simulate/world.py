"""How people move: they come through doors, go to places, avoid each other, stop, meet, leave and come back.

The world moves in steps of 0.1 s whatever the frame rate, and is read between its steps by straight lines,
so one seed tells the same story at 5 and at 50 frames per second.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, FloatArray, IntArray
from tracker.simulate.layout import Door, Site

STEP_S = 0.1
MAX_SPEED = 2.2
"""Metres per second that nobody ever exceeds."""
UNSEEN = -1
"""The room number of people who are in no room."""
BODY_RADIUS_M = 0.25
PERSONAL_SPACE_M = 0.35
FORESIGHT_S = 3.0
SIGHT_M = 5.0
"""People take no notice of what is farther away."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where T frames find N people.

    Attributes:
        position: (T, N, 2) on the ground, metres.
        facing: (T, N) direction of the body, radians, without jumps at a full turn.
        phase: (T, N) of the gait, radians: one full turn is two steps.
        speed: (T, N) metres per second.
        gesture: (T, N) how lively they talk with a hand, 0 to 1.
        room: (T, N) number of the room, or UNSEEN.
    """

    position: FloatArray
    facing: FloatArray
    phase: FloatArray
    speed: FloatArray
    gesture: FloatArray
    room: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """One thing to do: go to a point and stay there a while."""

    point: FloatArray
    reach: float
    stay_s: float = 0.0
    until: float = 0.0
    look_at: FloatArray | None = None
    talk: bool = False
    through_door: bool = False


@dataclass(slots=True)
class _Plan:
    """What somebody is about to do in a room, and how they will leave it."""

    legs: deque[Leg] = field(default_factory=deque)
    leave_by: Door | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Neighbours:
    """The K pairs of somebody and a person or thing nearby.

    Attributes:
        people: P, how many people there are.
        person: (K,) row of the one who looks.
        other: (K,) whom or what he sees: a row of the people, or P and the row of an obstacle.
        offset, distance: (K, 2) and (K,) from the one to the other, metres.
        reach: (K,) distance at which the two bodies touch.
    """

    people: int
    person: IntArray
    other: IntArray
    offset: FloatArray
    distance: FloatArray
    reach: FloatArray

    def sum(self, vectors: FloatArray) -> FloatArray:
        """(P, 2) the vectors (K, 2) of each person's pairs, added up."""
        return np.column_stack([np.bincount(self.person, vectors[:, axis], self.people) for axis in (0, 1)])


class World:
    """People in rooms; ``run`` moves them on."""

    def __init__(self, site: Site, gait_speed: FloatArray, rng: np.random.Generator) -> None:
        people = len(gait_speed)
        self._rooms, self._rng = site.rooms, rng
        self._gait_speed = gait_speed
        self._time = 0.0
        # Everybody starts outside; the doors open at time 0, so a video begins with empty rooms.
        self._room = np.full(people, UNSEEN)
        self._next_room = rng.integers(len(site.rooms), size=people)
        self._next_door = [self._any_door(number) for number in self._next_room]
        self._position = np.array([door.hidden for door in self._next_door])
        self._velocity = np.zeros((people, 2))
        self._facing = rng.uniform(-np.pi, np.pi, people)
        self._phase = rng.uniform(0, 2 * np.pi, people)
        self._gesture = np.zeros(people)
        self._target = self._position.copy()
        self._reach = np.full(people, 0.4)
        self._wait_until = rng.uniform(0, 8, people)
        """When a stay, or the time out of sight, ends; inf while walking to a target."""
        self._leg_started = np.zeros(people)
        self._stuck_s = np.zeros(people)
        self._in_door = np.zeros(people, bool)
        self._plans = [_Plan() for _ in range(people)]
        self._legs: list[Leg | None] = [None] * people
        self._next_meeting = np.array([rng.exponential(8.0) for _ in site.rooms])
        self._obstacles = np.concatenate([room.obstacles for room in site.rooms])

    def run(self, frames: int, frame_rate: float, chunk_frames: int = 256) -> Iterator[Motion]:
        """The next ``frames`` frames in pieces of at most ``chunk_frames``, so that hours fit in memory."""
        before, after = self._snapshot(), self._snapshot()
        steps = 0
        for first in range(0, frames, chunk_frames):
            columns: list[tuple[NDArray[np.float64], ...]] = []
            for frame in range(first, min(first + chunk_frames, frames)):
                at = frame / frame_rate / STEP_S
                while steps < at - 1e-9:
                    before = after
                    self._step()
                    after = self._snapshot()
                    steps += 1
                part = at - max(steps - 1, 0)
                blended = tuple(
                    (1 - part) * old + part * new for old, new in zip(before[:5], after[:5], strict=True)
                )
                columns.append((*blended, np.where(before[5] == after[5], after[5], UNSEEN)))
            position, facing, phase, speed, gesture, room = (
                np.stack(column) for column in zip(*columns, strict=True)
            )
            yield Motion(position, facing, phase, speed, gesture, room)

    def _snapshot(self) -> tuple[NDArray[np.float64], ...]:
        speed = np.hypot(self._velocity[:, 0], self._velocity[:, 1])
        columns = (self._position, self._facing, self._phase, speed, self._gesture, self._room)
        return tuple(column.copy() for column in columns)

    def _step(self) -> None:
        self._time += STEP_S
        self._call_meetings()
        for person in np.flatnonzero(self._wait_until <= self._time):
            self._go_on(int(person))
        self._move_unseen()
        here = np.flatnonzero(self._room != UNSEEN)
        if len(here):
            self._move_seen(here)

    # Deciding: rare, one person at a time.

    def _go_on(self, person: int) -> None:
        """The stay, or the time out of sight, is over."""
        if self._room[person] == UNSEEN:
            self._enter(person)
        else:
            self._next_leg(person)

    def _enter(self, person: int) -> None:
        number = int(self._next_room[person])
        room, door = self._rooms[number], self._next_door[person]
        inside = int((self._room == number).sum())
        if inside >= room.capacity:
            # Waiting longer the more people wait, so that a crowd outside costs no more than a small one.
            patience = 2.0 + len(self._room) / len(self._rooms) / room.capacity
            self._wait_until[person] = self._time + self._rng.exponential(patience)
            return
        self._room[person] = number
        self._position[person] = door.hidden
        self._velocity[person] = 0.0
        leave_by = self._any_door(number, unless=door if self._rng.random() < 0.8 else None)
        legs = deque([Leg(door.outside, 0.35, through_door=True), Leg(door.inside, 0.5, through_door=True)])
        for _ in range(self._rng.integers(1, 3)):
            spot = room.spots[self._rng.integers(len(room.spots))]
            stays = self._rng.random() < 0.35
            legs.append(
                Leg(spot, 0.25 if stays else 0.6, stay_s=self._rng.uniform(1.5, 7.0) if stays else 0.0)
            )
        legs.append(Leg(leave_by.inside, 0.5))
        legs.append(Leg(leave_by.outside, 0.35, through_door=True))
        legs.append(Leg(leave_by.hidden, 0.35, through_door=True))
        self._plans[person] = _Plan(legs, leave_by)
        self._next_leg(person)
        toward = self._target[person] - self._position[person]
        self._turn_at_once(person, np.arctan2(toward[1], toward[0]))

    def _next_leg(self, person: int) -> None:
        plan = self._plans[person]
        if not plan.legs:
            self._leave(person)
            return
        leg = self._legs[person] = plan.legs.popleft()
        self._target[person], self._reach[person] = leg.point, leg.reach
        self._in_door[person] = leg.through_door
        self._wait_until[person] = np.inf
        self._leg_started[person], self._stuck_s[person] = self._time, 0.0

    def _arrive(self, person: int) -> None:
        leg = self._legs[person]
        assert leg is not None
        until = max(self._time + leg.stay_s, leg.until)
        if until > self._time:
            self._wait_until[person] = until
        else:
            self._next_leg(person)

    def _leave(self, person: int) -> None:
        """Out of sight: to another room at walking speed, often with something to do on the way."""
        rng, came_from = self._rng, int(self._room[person])
        others = [number for number in range(len(self._rooms)) if number != came_from]
        number = int(rng.choice(others)) if others and rng.random() < 0.8 else came_from
        doors = sorted(
            self._rooms[number].doors, key=lambda door: np.hypot(*(door.hidden - self._position[person]))
        )
        nearest = number != came_from and rng.random() < 0.7
        door = doors[0 if nearest else rng.integers(len(doors))]
        way = np.hypot(*(door.hidden - self._position[person]))
        # Corridors are not straight: up to 40 % longer than the line between the doors.
        duration = way * rng.uniform(1.05, 1.4) / self._gait_speed[person] + 1.0
        if rng.random() < 0.3:
            duration += np.exp(rng.uniform(np.log(4.0), np.log(240.0)))
        self._room[person], self._next_room[person], self._next_door[person] = UNSEEN, number, door
        self._target[person], self._wait_until[person] = door.hidden, self._time + duration
        self._in_door[person], self._gesture[person] = False, 0.0

    def _call_meetings(self) -> None:
        """Now and then two to four people who stroll in a room meet to talk."""
        for number in np.flatnonzero(self._next_meeting <= self._time):
            self._next_meeting[number] = self._time + self._rng.exponential(18.0)
            free = [person for person in np.flatnonzero(self._room == number) if self._is_free(int(person))]
            if len(free) < 2:
                continue
            spot = self._rooms[number].spots[self._rng.integers(len(self._rooms[number].spots))]
            nearest = sorted(free, key=lambda person: np.hypot(*(self._position[person] - spot)))
            group = nearest[: self._rng.integers(2, 5)]
            until = self._time + self._rng.uniform(7.0, 16.0)
            turn = self._rng.uniform(0, 2 * np.pi)
            radius = 0.45 + 0.08 * len(group)
            # Each takes the place of the ring that lies on his side, so that nobody crosses it.
            bearings = [np.arctan2(*(self._position[person] - spot)[::-1]) for person in group]
            for place, index in enumerate(np.argsort(bearings)):
                angle = turn + 2 * np.pi * place / len(group)
                point = spot + radius * np.array([np.cos(angle), np.sin(angle)])
                person = int(group[index])
                self._plans[person].legs.appendleft(Leg(point, 0.2, until=until, look_at=spot, talk=True))
                self._next_leg(person)

    def _is_free(self, person: int) -> bool:
        leg = self._legs[person]
        return leg is not None and not leg.talk and not leg.through_door and len(self._plans[person].legs) > 2

    def _any_door(self, number: int, unless: Door | None = None) -> Door:
        doors = [door for door in self._rooms[number].doors if door is not unless]
        return doors[self._rng.integers(len(doors))]

    def _turn_at_once(self, person: int, heading: float) -> None:
        self._facing[person] += _angle_between(self._facing[person], heading)

    # Moving: every step, everybody at once.

    def _move_unseen(self) -> None:
        unseen = np.flatnonzero((self._room == UNSEEN) & (self._wait_until < np.inf))
        left_s = np.maximum(self._wait_until[unseen] - self._time + STEP_S, STEP_S)
        way = (self._target[unseen] - self._position[unseen]) * (STEP_S / left_s)[:, None]
        self._position[unseen] += _shorten(way, MAX_SPEED * STEP_S)

    def _move_seen(self, here: IntArray) -> None:
        position, velocity = self._position[here], self._velocity[here]
        way = self._target[here] - position
        distance = np.hypot(way[:, 0], way[:, 1])
        walking = np.isinf(self._wait_until[here])
        last_steps = self._reach[here] < 0.3
        speed = np.where(
            last_steps, np.minimum(self._gait_speed[here], 1.1 * distance + 0.2), self._gait_speed[here]
        )
        heading = np.arctan2(way[:, 1], way[:, 0])
        # Turning on the spot before setting off looks right, walking sideways does not.
        turned = np.cos(_angle_between(self._facing[here], heading))
        speed = np.where(walking, speed * np.clip(turned, 0.15, 1.0), 0.0)
        wanted = way / np.maximum(distance, 1e-9)[:, None] * speed[:, None]
        patience = np.clip(1.5 - self._stuck_s[here] / 3.0, 0.0, 1.0) * walking
        near = self._neighbours(position)
        push = self._avoidance(near, velocity) * patience[:, None]
        velocity = velocity + _shorten((wanted - velocity) / 0.4 + push, 5.0) * STEP_S
        velocity = _shorten(velocity, 1.3 * self._gait_speed[here])
        moved = position + velocity * STEP_S + self._separation(near, walking)
        moved = self._stay_in_room(here, moved)
        step = _shorten(moved - position, MAX_SPEED * STEP_S)
        # Rounded, or the last bits of a sine would grow into another story on another processor.
        self._position[here] = np.round(position + step, 6)
        self._velocity[here] = np.round(step / STEP_S, 6)
        self._walk_and_turn(here, walking)

        stuck = walking & (np.hypot(*step.T) < 0.03)
        self._stuck_s[here] = np.where(
            stuck, self._stuck_s[here] + STEP_S, np.maximum(self._stuck_s[here] - 0.05, 0)
        )
        # A place that cannot be reached, because somebody stands there, is given up.
        late = (self._time - self._leg_started[here] > 25.0) & ~self._in_door[here]
        for person in here[walking & ((distance < self._reach[here]) | late)]:
            self._arrive(int(person))

    def _walk_and_turn(self, here: IntArray, walking: BoolArray) -> None:
        velocity = self._velocity[here]
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        heading = np.where(speed > 0.25, np.arctan2(velocity[:, 1], velocity[:, 0]), self._facing[here])
        talk = np.zeros(len(here))
        for row in np.flatnonzero(~walking):
            leg = self._legs[here[row]]
            if leg is not None and leg.look_at is not None:
                heading[row] = np.arctan2(*(leg.look_at - self._position[here[row]])[::-1])
                # Slow beats of different length let the members of a group talk in turn.
                talk[row] = max(0.0, np.sin(self._time * (0.9 + 0.07 * (here[row] % 7)) + here[row]))
        turn = np.clip(_angle_between(self._facing[here], heading), -3.5 * STEP_S, 3.5 * STEP_S)
        self._facing[here] = np.round(self._facing[here] + turn, 6)
        self._gesture[here] += np.clip(talk - self._gesture[here], -0.2, 0.2)
        self._phase[here] += 2 * np.pi * speed / stride_length(speed) * STEP_S

    def _avoidance(self, near: _Neighbours, velocity: FloatArray) -> FloatArray:
        """Accelerations (P, 2) that keep people from walking into what is going to be in their way.

        Looks ahead to where two paths come nearest and turns both aside there; who comes straight on is
        passed on the right. Source: the idea of anticipated collisions, Karamouzas et al. 2014
        (Physical Review Letters 113, 238701).
        """
        still = np.zeros((len(self._obstacles), 2))
        motion = np.concatenate([velocity, still])[near.other] - velocity[near.person]
        offset, distance = near.offset, near.distance
        approach = -(offset[:, 0] * motion[:, 0] + offset[:, 1] * motion[:, 1])
        speed = motion[:, 0] ** 2 + motion[:, 1] ** 2
        closing = np.clip(approach / np.maximum(speed, 1e-6), 0.0, FORESIGHT_S)
        closest = offset + motion * closing[:, None]
        gap = np.hypot(closest[:, 0], closest[:, 1])
        comfort = near.reach + PERSONAL_SPACE_M
        strength = np.clip(1 - gap / comfort, 0, 1) * (1 - closing / FORESIGHT_S)
        aside = -closest / np.maximum(gap, 1e-6)[:, None]
        right = np.column_stack([offset[:, 1], -offset[:, 0]]) / distance[:, None]
        direct = np.clip(1 - gap / 0.3, 0, 1)[:, None]
        return near.sum((aside * (1 - 0.5 * direct) + right * direct) * (6.0 * strength)[:, None])

    def _separation(self, near: _Neighbours, walking: BoolArray) -> FloatArray:
        """Small shifts (P, 2) that part bodies which overlap; those who stand give way less."""
        overlap = np.clip(near.reach - near.distance, 0, 0.15)
        share = np.where(walking, 0.5, 0.1)[near.person] * overlap
        return near.sum(-near.offset * (share / near.distance)[:, None])

    def _neighbours(self, position: FloatArray) -> _Neighbours:
        people, things = len(position), self._obstacles
        where = np.concatenate([position, things[:, :2]])
        radius = np.concatenate([np.full(people, BODY_RADIUS_M), things[:, 2]])
        x, y = (where[None, :, axis] - position[:, None, axis] for axis in (0, 1))
        close = (np.abs(x) < SIGHT_M) & (np.abs(y) < SIGHT_M)
        close[np.arange(people), np.arange(people)] = False
        person, other = np.nonzero(close)
        offset = np.column_stack([x[close], y[close]])
        distance = np.maximum(np.hypot(offset[:, 0], offset[:, 1]), 1e-6)
        return _Neighbours(people, person, other, offset, distance, BODY_RADIUS_M + radius[other])

    def _stay_in_room(self, here: IntArray, moved: FloatArray) -> FloatArray:
        low = np.array([room.low for room in self._rooms])[self._room[here]] + 0.45
        high = np.array([room.high for room in self._rooms])[self._room[here]] - 0.45
        return np.where(self._in_door[here, None], moved, np.clip(moved, low, high))


def stride_length(speed: FloatArray) -> FloatArray:
    """Metres that two steps cover at a walking speed; people take longer and more steps when they hurry."""
    return 0.75 + 0.5 * np.minimum(speed, 2.0)


def _angle_between(start: FloatArray, end: FloatArray | float) -> FloatArray:
    """The turn in [-pi, pi) that leads from one direction to the other."""
    return (end - start + np.pi) % (2 * np.pi) - np.pi


def _shorten(vectors: FloatArray, longest: FloatArray | float) -> FloatArray:
    """Vectors (P, 2), none longer than ``longest``."""
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    return vectors * np.minimum(1.0, longest / np.maximum(length, 1e-9))[:, None]
