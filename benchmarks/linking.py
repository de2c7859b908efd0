"""Does linking keep up? 16 cameras, 10 people in view of each, 25 frames a second; no pixels.

    python -m benchmarks.linking --minutes 1 10 60

People stay 10 to 30 s before a camera, walk 3 to 30 s to the next, and one in ten who leave never comes
back; somebody new takes the place. Each is embedded once a second; embeddings are drawn as in
benchmarks.identity, but two people scatter by 0.06 instead of 0.095, which makes 256 numbers. Only the
linker's own seconds of processor are counted, and only its own memory.
"""

import argparse
import gc
import heapq
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import BuiltinFunctionType, FunctionType, ModuleType

import numpy as np

from benchmarks.identity.appearance import CameraEmbeddings, DrawnPeople, Spread
from tracker.config import IdentityConfig
from tracker.identity import IdentityLinker
from tracker.types import CameraName, Frame, Tracks, blank_image

CAMERAS, IN_VIEW, FRAME_RATE = 16, 10, 25
STAY_S, WALK_S = (10, 30), (3, 30)
GONE = 0.1
"""Share of those who leave a camera and never come back."""
SPREAD = Spread(sd_different=0.06025)
"""Makes embeddings of 256 numbers."""
WINDOW_S = 30
"""The cost is that of so many seconds of video, up to the minute that is printed."""
SIZE, BOX_PX, WALK_PX_S = (1920, 1080), (60.0, 160.0), (30.0, 90.0)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who stands where: each camera has places, and somebody is always in each.

    Attributes:
        visits: [camera][place] the frames (from 0) in which somebody new comes there, and who: rising; the
            last visit lasts longer than the crowd is watched.
        people: How many different people there are, numbers from 0.
    """

    visits: list[list[list[tuple[int, int]]]]
    people: int


def plan_crowd(cameras: int, in_view: int, frames: int, rng: np.random.Generator) -> Crowd:
    """Let people walk from camera to camera; nobody is in two places at once."""
    visits: list[list[list[tuple[int, int]]]] = [[[] for _ in range(in_view)] for _ in range(cameras)]
    free = [(0, camera, place) for camera in range(cameras) for place in range(in_view)]  # a heap
    walking: list[tuple[int, int]] = []  # a heap: when they arrive, and who
    people = 0
    while free[0][0] < frames:
        frame, camera, place = heapq.heappop(free)
        if walking and walking[0][0] <= frame:
            _, person = heapq.heappop(walking)
        else:
            person, people = people, people + 1
        visits[camera][place].append((frame, person))
        # Whoever is there from the beginning has been there for a while.
        stay_s = rng.uniform(*STAY_S) if frame else rng.uniform(0, STAY_S[1])
        leaves = frame + max(1, round(stay_s * FRAME_RATE))
        heapq.heappush(free, (leaves, camera, place))
        if rng.uniform() >= GONE:
            heapq.heappush(walking, (leaves + round(rng.uniform(*WALK_S) * FRAME_RATE), person))
    return Crowd(visits, people)


class Watching:
    """The tracks of one camera, frame by frame; each visit is a track, and nobody is ever missed."""

    def __init__(
        self,
        name: CameraName,
        visits: Sequence[Sequence[tuple[int, int]]],
        embeddings: CameraEmbeddings,
        length: int,
        rng: np.random.Generator,
    ) -> None:
        self._name, self._embeddings, self._rng = name, embeddings, rng
        in_order = sorted((begin, place, person) for place, row in enumerate(visits) for begin, person in row)
        self._coming = iter([*in_order, (sys.maxsize, 0, 0)])
        self._next = next(self._coming)
        self._tracks = 0
        self._begins, self._people, self._track_ids = np.zeros((3, len(visits)), np.int64)
        self._lefts, self._speeds = np.zeros((2, len(visits)))
        self._tops = np.linspace(0, SIZE[1] - BOX_PX[1], len(visits))
        self._scores = np.ones(len(visits))
        self._unseen = np.zeros((len(visits), length), np.float32)
        self._image = blank_image(*SIZE)

    def see(self, index: int) -> tuple[Frame, Tracks]:
        """The next frame, ``index`` from 0; everybody is embedded in their first and once a second."""
        while self._next[0] <= index:
            begin, place, person = self._next
            self._tracks += 1
            self._begins[place], self._people[place] = begin, person
            self._track_ids[place] = self._tracks
            # Each in their own way: if all moved as one, all cameras would see one place.
            self._lefts[place] = self._rng.uniform(0, SIZE[0])
            self._speeds[place] = self._rng.uniform(*WALK_PX_S) * self._rng.choice((-1, 1))
            self._next = next(self._coming)
        age = index - self._begins
        needed, now_s = age % FRAME_RATE == 0, index / FRAME_RATE
        # Whoever is not told of for a second would be drawn as if they had come back.
        is_due = needed.any() or index % (FRAME_RATE // 2) == 0
        embeddings = self._embeddings.draw(now_s, self._people, needed) if is_due else self._unseen
        left = self._lefts + self._speeds * age / FRAME_RATE
        boxes = np.column_stack((left, self._tops, left + BOX_PX[0], self._tops + BOX_PX[1]))
        return (
            Frame(self._name, index + 1, now_s, self._image),
            Tracks(self._track_ids.copy(), boxes, self._scores, embeddings),
        )


def stream(
    crowd: Crowd, frames: int, spread: Spread, rng: np.random.Generator
) -> Iterator[tuple[Frame, Tracks]]:
    """The frames of all cameras, made one by one as they are asked for."""
    own, *others = rng.spawn(1 + len(crowd.visits))
    drawn = DrawnPeople(spread, crowd.people, own)
    cameras = [
        Watching(
            CameraName(f"cam{number:02}"),
            visits,
            CameraEmbeddings(drawn, other),
            spread.length,
            other.spawn(1)[0],
        )
        for number, (visits, other) in enumerate(zip(crowd.visits, others, strict=True), start=1)
    ]
    for index in range(frames):
        for camera in cameras:
            yield camera.see(index)


def size_of(root: object) -> int:
    """Bytes of everything an object holds, arrays included; code, which others share, is left out."""
    seen, waiting, total = set[int](), [root], 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
        if isinstance(thing, np.ndarray) and thing.base is not None:
            waiting.append(thing.base)  # a view does not say what it looks at
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each number of minutes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.linking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--cameras", type=int, default=CAMERAS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    marks_s = sorted({60 * minutes for minutes in options.minutes})
    plan, drawing = np.random.default_rng(options.seed).spawn(2)
    crowd = plan_crowd(options.cameras, IN_VIEW, marks_s[-1] * FRAME_RATE, plan)
    frames = stream(crowd, marks_s[-1] * FRAME_RATE, SPREAD, drawing)
    linker = IdentityLinker(
        IdentityConfig(), [CameraName(f"cam{number:02}") for number in range(1, options.cameras + 1)]
    )
    print(
        f"{options.cameras} cameras, {IN_VIEW} people in view of each, {FRAME_RATE} frames a second, "
        f"embeddings of {SPREAD.length}"
    )
    print("minutes   tracks  people (true)  linking one second takes, s: mean, slowest   linker, MiB")
    took_s = np.zeros(marks_s[-1])
    for begin, end in pairwise([0, *marks_s]):
        for second in range(begin, end):
            for _ in range(FRAME_RATE * options.cameras):
                frame, tracks = next(frames)
                started = time.process_time()
                linker.observe(frame, tracks)
                linker.events()
                took_s[second] += time.process_time() - started
        window = took_s[max(0, end - WINDOW_S) : end]
        people = {p for camera in crowd.visits for place in camera for f, p in place if f < end * FRAME_RATE}
        print(
            f"{end // 60:7}  {len(linker.tracks()):7}  {f'{linker.num_identities} ({len(people)})':>13}  "
            f"{f'{window.mean():.3f}, {window.max():.3f}':>42}  {size_of(linker) / 2**20:12.1f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
