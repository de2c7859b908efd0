"""What a run takes from a gallery at its beginning, and what it leaves there of the people it saw."""

import logging
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from foundation.arrays import BoolArray, IntArray
from foundation.errors import ReuniteError
from tracker.gallery import GalleryWriter, Network, Person, PictureKey, Pictures, Presence, UnknownPersonError
from tracker.gallery.arrays import people_from_arrays, people_to_arrays
from tracker.sinks.portraits import Portrait, TrackKey
from tracker.types import CameraName, KnownIdentities, State, Tracklets

log = logging.getLogger(__name__)

OWN_GALLERY = "gallery.sqlite"
"""In the folder of a run that was given no gallery."""

PICTURES_OF_CAMERA, PICTURES = 4, 16
"""At most this many pictures of a person are kept, of one camera and in all."""

SURE_EMBEDDINGS = 3
"""A track with fewer embeddings is no picture, where its camera has others of the person."""

BEFORE_S = 1.0
"""Whoever is remembered was last seen this long before the run, or earlier. A run over files may have ended,
by its own clock, after the next one began."""


class RunGallery:
    """The gallery of one run: read once, then written as often as wanted.

    What it writes of a person is what was remembered before the run, and all that the run saw. So saving
    again, or after a crash, changes nothing: `update` takes in what the run knows, then comes a checkpoint
    with `state`, then `save`.

    Args:
        path: The file; made if it is not there.
        network: What made the appearances.
        is_live: Whether `Frame.time` is Unix time. For files it counts from the moment the run was started.
        is_own: The gallery belongs to this run alone, which numbers its people itself.

    Raises:
        ReuniteError: The gallery cannot be read or written, is another network's, or another run writes it.
    """

    def __init__(self, path: Path, network: Network, *, is_live: bool, is_own: bool) -> None:
        self.path = path
        self._gallery = GalleryWriter(path, network)
        self._is_live, self._is_own = is_live, is_own
        self._started = time.time()
        self._run, self._run_before = secrets.token_hex(8), self._gallery.last_run
        self._last_number = self._gallery.last_number
        self._before: dict[int, Person | None] = {}
        # By number, the tracks that were taken in; empty where there are none any more.
        self._tracks: dict[int, bytes] = {}
        self._unsaved: dict[int, Person] = {}
        self._thumbnails: dict[PictureKey, bytes] = {}
        self._withdrawn: set[int] = set()
        self._problem = ""

    def close(self) -> None:
        """Let go of the gallery. May be called twice."""
        self._gallery.close()

    @property
    def problem(self) -> str:
        """Why nothing more is saved, in one sentence; empty when all is well."""
        return self._problem

    def known(self) -> KnownIdentities:
        """Everybody who is remembered, under the numbers that stand for them; last seen before the run."""
        shown = self._gallery.appearances()
        last_seen = {
            (person.number, camera): seen.last_seen
            for person in self._gallery.people()
            for camera, seen in person.presence.items()
        }
        pairs = list(zip(shown.numbers.tolist(), shown.cameras.tolist(), strict=True))
        # In both: somebody may have been forgotten between the two readings.
        row_of = {pair: row for row, pair in enumerate(sorted(last_seen.keys() & set(pairs)))}
        rows = np.array([row_of.get(pair, -1) for pair in pairs], np.int64)
        order = np.argsort(rows, kind="stable")[(rows < 0).sum() :]
        embeddings = np.zeros((len(row_of), shown.embeddings.shape[1]), np.float32)
        if len(order):
            starts = np.searchsorted(rows[order], np.arange(len(row_of)))
            embeddings = np.add.reduceat(shown.embeddings[order].astype(np.float32), starts)
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        times = np.array([last_seen[pair] for pair in row_of])
        return KnownIdentities(
            identity_ids=np.array([number for number, _ in row_of], np.int64),
            cameras=np.array([camera for _, camera in row_of], np.object_),
            last_seen_s=np.minimum(times, self._started - BEFORE_S) - self._zero,
            embeddings=embeddings,
        )

    def reserve(self, count: int) -> Sequence[int]:
        """Numbers for new people, which no one had or will have.

        Raises:
            ReuniteError: The gallery cannot be written.
        """
        numbers = self._gallery.reserve(count)
        self._last_number = numbers[-1]
        return numbers

    def update(self, tracks: Tracklets, portraits: Mapping[TrackKey, Portrait]) -> None:
        """Take in what the run knows by now; `state` must be stored before `save` is called.

        Args:
            tracks: All of the run. Whatever is not decided, or has no embedding, is left out.
            portraits: Pictures that may be kept, and when they were taken; empty where none may.

        Raises:
            ReuniteError: The gallery cannot be read.
        """
        is_decided = tracks.identity_ids != 0
        seen = np.unique(tracks.identity_ids[is_decided & (tracks.num_embeddings > 0)])
        tracks = tracks[np.isin(tracks.identity_ids, seen)]
        tracks = tracks[np.argsort(tracks.identity_ids, kind="stable")]
        ends = np.searchsorted(tracks.identity_ids, seen, side="right").tolist()
        for number, begin, end in zip(seen.tolist(), [0, *ends], ends, strict=False):
            group = tracks[begin:end]
            keys = zip(group.cameras, group.track_ids.tolist(), strict=True)
            best = [portraits.get(key) for key in keys]
            # Embeddings and frames only grow, and tell by how much.
            columns = (
                group.track_ids,
                group.frames,
                group.num_embeddings,
                [it.time if it else -1.0 for it in best],
            )
            signature = repr(list(group.cameras)).encode() + np.array(columns, np.float64).tobytes()
            if self._tracks.get(number) != signature:
                self._take(number, group, best)
                self._tracks[number] = signature
        for number in self._before.keys() - set(seen.tolist()):
            if self._tracks.get(number) != b"":
                self._tracks[number] = b""
                self._let_go(number)

    def merged(self, gone: int, kept: int) -> None:
        """A number of this run is another's: what was saved of its tracks that are over is that one's too.

        Nothing moves where the gallery itself has the merge, as when somebody merged them by hand: there the
        two are read as one, and only as long as each has its own can that be undone.

        Raises:
            ReuniteError: The gallery cannot be read.
        """
        survivors = self._gallery.survivors()
        if survivors.get(gone, gone) == survivors.get(kept, kept):
            return
        theirs, ours = self._person_before(gone), self._person_before(kept)
        if theirs:
            self._before[kept] = joined_people(kept, [theirs, *([ours] if ours else [])])
            self._before[gone] = None
            self._tracks.pop(kept, None)
            self._tracks.pop(gone, None)

    def retire(self, tracks: Tracklets, left: Tracklets, portraits: Mapping[TrackKey, Portrait]) -> None:
        """These tracks are over for good and saved: from now on they count among what was there before.

        Of whoever has no other track nothing is kept in memory: the file has it.

        Args:
            tracks: Those that are over, left: those that can still change.
            portraits: As in `update`.
        """
        seen = set(left.identity_ids.tolist())
        for known in (self._before, self._tracks):
            for number in known.keys() - seen:
                del known[number]
        for number in set(tracks.identity_ids.tolist()) & self._tracks.keys():
            group = tracks[(tracks.identity_ids == number) & (tracks.num_embeddings > 0)]
            if len(group):
                keys = zip(group.cameras, group.track_ids.tolist(), strict=True)
                best = [portraits.get(key) for key in keys]
                self._before[number] = self._put_together(number, group, best)[0]

    def drop_before(self, people_s: float | None, thumbnails_s: float | None) -> list[int]:
        """If the gallery is the run's own, forget who was seen last before, and delete older thumbnails.

        Unix times; None: nothing. Follows a `save`, so that whoever is in view is in the file as such.

        Returns:
            The numbers that are gone.

        Raises:
            ReuniteError: The gallery cannot be written.
        """
        if not self._is_own:
            return []
        gone = [] if people_s is None else self._gallery.prune(people_s)
        for number in gone:
            self._before.pop(number, None)
            self._tracks.pop(number, None)
        if thumbnails_s is not None:
            self._gallery.drop_thumbnails(thumbnails_s)
        return gone

    def save(self) -> None:
        """Write what `update` took in, in one transaction.

        People whom somebody forgot since the run knew them are not brought back.

        Raises:
            ReuniteError: It cannot be written. Nothing is lost: the next `save` writes it too.
        """
        if self._problem or not (self._unsaved or self._withdrawn):
            return
        if self._is_own:
            missing = max(self._unsaved, default=0) - self._gallery.last_number
            if missing > 0:
                self._gallery.reserve(missing)
        gone = self._gallery.save(self._unsaved.values(), self._thumbnails, self._withdrawn, self._run)
        if gone:
            log.warning(
                "%s: forgotten while the run went on, and left out: %s",
                self.path,
                ", ".join(f"person {number}" for number in gone),
            )
        self._before.update(dict.fromkeys(gone))
        self._unsaved, self._thumbnails, self._withdrawn = {}, {}, set()

    def forgotten(self, numbers: Collection[int]) -> list[int]:
        """Which of these people of the run somebody has forgotten since they were saved.

        Raises:
            ReuniteError: The gallery cannot be read.
        """
        return self._gallery.forgotten(numbers)

    def state(self) -> State:
        own = {
            "runs": np.array([self._run, self._run_before]),
            "started": np.array(self._started),
            "last_number": np.array(self._last_number),
        }
        return own | people_to_arrays(self._before, self._gallery.network.dimension)

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave.

        Raises:
            ReuniteError: This is not the gallery that the run began with.
        """
        self._run, self._run_before = state["runs"].tolist()
        self._started, self._last_number = float(state["started"]), int(state["last_number"])
        self._before = people_from_arrays(state)
        if self._gallery.last_number < self._last_number and not self._is_own:
            raise ReuniteError(
                f"{self.path}: is not the gallery that this run began with, which had given the number "
                f"{self._last_number}; put that one back, or start the run anew"
            )
        last_run = self._gallery.last_run
        if not self._before:
            self._run_before = last_run  # nothing of this run is in it yet, so others may have come between
        elif last_run not in (self._run, self._run_before):
            self._problem = (
                f"{self.path}: another run has saved people in it since this one was cut off; what this run "
                "had saved by then is in it, and nothing was added"
            )

    @property
    def _zero(self) -> float:
        """Unix time of `Frame.time` 0."""
        return 0.0 if self._is_live else self._started

    def _person_before(self, number: int) -> Person | None:
        """What was remembered under a number before the run; asked for once, before anything is saved."""
        if number not in self._before:
            try:
                self._before[number] = self._gallery.person(number)
            except UnknownPersonError:
                self._before[number] = None
        return self._before[number]

    def _take(self, number: int, tracks: Tracklets, best: Sequence[Portrait | None]) -> None:
        """Save this person, what was there before and its T tracks, the next time."""
        person, jpegs = self._put_together(number, tracks, best)
        self._unsaved[number] = person
        self._withdrawn.discard(number)
        self._thumbnails |= jpegs

    def _put_together(
        self, number: int, tracks: Tracklets, best: Sequence[Portrait | None]
    ) -> tuple[Person, dict[PictureKey, bytes]]:
        """What is remembered of one person with what the run saw, its T tracks; and the JPEGs of that."""
        before = self._person_before(number)
        presence = dict(before.presence) if before else {}
        for camera in dict.fromkeys(tracks.cameras):
            here = tracks[tracks.cameras == camera]
            begin, end = float(here.begin_s.min()), float(here.end_s.max())
            seen = Presence(self._zero + begin, self._zero + end, int(here.frames.sum()))
            presence[camera] = Presence.joined([seen, *([presence[camera]] if camera in presence else [])])
        middles = self._zero + (tracks.begin_s + tracks.end_s) / 2
        times = [self._zero + it.time if it else middle for it, middle in zip(best, middles, strict=True)]
        # Two tracks with one middle are possible, where the first was lost while the second lasted.
        sure = np.nonzero(_is_sure(tracks))[0].tolist()
        row_at = {(tracks.cameras[row], times[row]): row for row in sure}
        rows = list(row_at.values())
        shown = Pictures(tracks.cameras[rows], np.array(times)[rows], tracks.embeddings[rows])
        portraits = zip(shown.keys(number), [best[row] for row in rows], strict=True)
        jpegs = {key: portrait.jpeg for key, portrait in portraits if portrait and portrait.jpeg}
        if before:
            is_other = [key[1:] not in row_at for key in before.pictures.keys(number)]
            shown = _joined(before.pictures[np.array(is_other)], shown)
        shown = shown[chosen_pictures(shown)]
        return Person(number, presence, shown), {
            key: jpegs[key] for key in shown.keys(number) if key in jpegs
        }

    def _let_go(self, number: int) -> None:
        """Nothing of the run is this person any more: leave what was there before it."""
        before = self._before[number]
        if before:
            self._unsaved[number] = before
        else:
            self._unsaved.pop(number, None)
            self._withdrawn.add(number)


def joined_people(number: int, people: Sequence[Person]) -> Person:
    """One or more people as one, under this number."""
    presence: dict[CameraName, list[Presence]] = {}
    for person in people:
        for camera, seen in person.presence.items():
            presence.setdefault(camera, []).append(seen)
    shown: dict[tuple[CameraName, float], tuple[Pictures, int]] = {}
    for person in people:
        for row, key in enumerate(person.pictures.keys(number)):
            shown.setdefault(key[1:], (person.pictures, row))
    pictures = Pictures(
        np.array([camera for camera, _ in shown], np.object_),
        np.array([time_s for _, time_s in shown]),
        np.array([pictures.embeddings[row] for pictures, row in shown.values()]),
    )
    joined = {camera: Presence.joined(parts) for camera, parts in presence.items()}
    return Person(number, joined, pictures[chosen_pictures(pictures)])


def chosen_pictures(pictures: Pictures) -> IntArray:
    """Rows of at most `PICTURES_OF_CAMERA` pictures of each camera and `PICTURES` in all, rising.

    Of each camera the newest, then again and again the one least like those that were taken. Cameras take
    turns, the one with the newest first. Choosing again from what was chosen and some of the rest gives the
    same.
    """
    turns: list[tuple[int, float, CameraName, int]] = []
    for camera in dict.fromkeys(pictures.cameras):
        rows = np.nonzero(pictures.cameras == camera)[0]
        taken = [int(pictures.times[rows].argmax())]
        cosines = pictures.embeddings[rows] @ pictures.embeddings[rows].T
        while len(taken) < min(PICTURES_OF_CAMERA, len(rows)):
            nearest = cosines[:, taken].max(axis=1)
            nearest[taken] = np.inf
            taken.append(int(nearest.argmin()))
        newest = float(pictures.times[rows].max())
        turns += [(turn, -newest, camera, int(rows[row])) for turn, row in enumerate(taken)]
    return np.array(sorted(row for *_, row in sorted(turns)[:PICTURES]), np.int64)


def _is_sure(tracks: Tracklets) -> BoolArray:
    """(T,) whether a track has enough embeddings, or the most of its person in that camera."""
    most = {
        camera: tracks.num_embeddings[tracks.cameras == camera].max()
        for camera in dict.fromkeys(tracks.cameras)
    }
    needed = np.array([min(SURE_EMBEDDINGS, most[camera]) for camera in tracks.cameras])
    return (tracks.num_embeddings >= needed) & (tracks.num_embeddings > 0)


def _joined(first: Pictures, second: Pictures) -> Pictures:
    return Pictures(
        np.concatenate([first.cameras, second.cameras]),
        np.concatenate([first.times, second.times]),
        np.concatenate([first.embeddings, second.embeddings]),
    )
