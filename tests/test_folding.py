"""A linker that goes on for weeks: tracks of long ago are folded, people stay who they are."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.galleries import unit_rows
from tracker.config import IdentityConfig
from tracker.identity import IdentityLinker
from tracker.identity.folding import find_fold
from tracker.identity.table import UNDECIDED
from tracker.identity.tracklets import UNKNOWN, TrackletTable, directions
from tracker.types import CameraName, Frame, Tracks, blank_image

CAMERAS = [CameraName("door"), CameraName("yard")]
LOOKS = unit_rows(np.random.default_rng(3), 8, 64)
IMAGE = blank_image(640, 480)
STEP_S, STAY_S, AWAY_S = 0.2, 4.0, 30.0


class Walks:
    """Person after person comes into a camera for `STAY_S`, each time as a new track, in turn."""

    def __init__(self, people: int, seed: int = 0) -> None:
        self._people, self._rng = people, np.random.default_rng(seed)
        self.visits = 0
        self._tracks = dict.fromkeys(CAMERAS, 0)

    def next_visit(self) -> tuple[int, Iterator[tuple[Frame, Tracks]]]:
        """Who comes, and the frames of the visit."""
        person, camera = self.visits % self._people, CAMERAS[self.visits % len(CAMERAS)]
        begin = self.visits * AWAY_S
        self.visits += 1
        self._tracks[camera] += 1
        return person, self._frames(person, camera, self._tracks[camera], begin)

    def _frames(
        self, person: int, camera: CameraName, track: int, begin: float
    ) -> Iterator[tuple[Frame, Tracks]]:
        for step in range(round(STAY_S / STEP_S)):
            looks = directions(LOOKS[[person]] + 0.4 * unit_rows(self._rng, 1, LOOKS.shape[1]))
            boxes = np.array([[20.0 + 5 * step, 100.0, 60.0 + 5 * step, 220.0]])
            frame = Frame(camera, step + 1, begin + step * STEP_S, IMAGE)
            yield frame, Tracks(np.array([track]), boxes, np.array([0.9]), looks)


def follow(linker: IdentityLinker, walks: Walks, visits: int, fold_every: int = 0) -> list[tuple[int, int]]:
    """Who came in each visit, and who the linker says it was."""
    found = []
    for index in range(visits):
        person, frames = walks.next_visit()
        who = np.array([UNDECIDED])
        for frame, tracks in frames:
            who = linker.observe(frame, tracks)
        found.append((person, int(who[0])))
        if fold_every and index % fold_every == fold_every - 1:
            linker.fold(frame.time - 2 * AWAY_S)
    return found


def test_people_keep_their_numbers_however_long_ago_their_tracks_were() -> None:
    found = follow(IdentityLinker(IdentityConfig(), CAMERAS), Walks(6), 60, fold_every=5)
    assert {number for _, number in found} == {1, 2, 3, 4, 5, 6}
    assert len(set(found)) == 6


def test_what_is_kept_does_not_grow_with_the_age_of_the_run() -> None:
    linker, walks, sizes = IdentityLinker(IdentityConfig(), CAMERAS), Walks(6), []
    for _ in range(4):
        follow(linker, walks, 24, fold_every=4)
        # Cosines and transit times are kept up to a number that such a short run does not reach.
        learnt = ("similarity:", "transit_times:")
        state = {key: it for key, it in linker.state().items() if not key.startswith(learnt)}
        sizes.append(sum(array.nbytes for array in state.values()))
    assert max(sizes[1:]) == sizes[0]
    assert (linker.num_identities, linker.undecided) == (6, 0)


def test_a_restored_linker_goes_on_alike_after_tracks_were_folded() -> None:
    linker, walks = IdentityLinker(IdentityConfig(), CAMERAS), Walks(6)
    follow(linker, walks, 30, fold_every=5)
    again = IdentityLinker(IdentityConfig(), CAMERAS)
    again.restore(linker.state())
    other = Walks(6)
    follow(IdentityLinker(IdentityConfig(), CAMERAS), other, 30)
    assert follow(again, other, 12, fold_every=5) == follow(linker, walks, 12, fold_every=5)
    for key, array in linker.state().items():
        np.testing.assert_array_equal(again.state()[key], array, err_msg=key)


def test_tracks_of_long_ago_cannot_be_asked_for_and_those_of_now_can() -> None:
    linker, walks = IdentityLinker(IdentityConfig(), CAMERAS), Walks(4)
    found = follow(linker, walks, 20)
    before = linker.tracks()
    linker.fold(17.5 * AWAY_S)
    left, stand = linker.tracks(), linker.tracks(folded=True)
    assert left.begin_s.tolist() == [18 * AWAY_S, 19 * AWAY_S]
    assert len(stand) == 4  # each person was seen by one camera
    assert stand.num_embeddings.sum() + left.num_embeddings.sum() == before.num_embeddings.sum()
    assert linker.lookup(CAMERAS[0], np.array([1, 2, 10])).tolist() == [UNDECIDED, UNDECIDED, found[18][1]]
    assert linker.lookup(CAMERAS[1], np.array([1, 10, 11])).tolist() == [UNDECIDED, found[19][1], UNDECIDED]


def test_who_is_forgotten_is_somebody_new_when_they_come_back() -> None:
    linker, walks = IdentityLinker(IdentityConfig(), CAMERAS), Walks(4)
    first = dict(follow(linker, walks, 12))
    linker.fold(9 * AWAY_S)
    linker.forget([first[0], first[1]])
    assert first.keys() == {0, 1, 2, 3}
    assert set(linker.last_seen()) == {first[2], first[3]}
    later = dict(follow(linker, walks, 8, fold_every=2))
    assert {person: later[person] for person in (2, 3)} == {person: first[person] for person in (2, 3)}
    assert min(later[0], later[1]) > max(first.values())
    linker.events()
    assert linker.num_identities == 6  # all of them were people


def test_one_who_is_in_view_when_they_are_forgotten_is_somebody_new_at_once() -> None:
    linker, walks = IdentityLinker(IdentityConfig(), CAMERAS), Walks(1)
    _, frames = walks.next_visit()
    seen = [linker.observe(frame, tracks)[0] for frame, tracks in list(frames)[:15]]
    assert seen[-1] == 1
    linker.forget([1])
    assert not any(array.any() for array in [linker.tracks().embeddings])
    _, more = Walks(1).next_visit()
    seen = [linker.observe(frame, tracks)[0] for frame, tracks in list(more)[15:]]
    linker.finalize()
    assert linker.lookup(CAMERAS[0], np.array([1])).tolist() == [2]


@pytest.mark.parametrize("seed", range(10))
def test_what_stands_for_others_is_the_newest_of_the_person_in_the_camera(seed: int) -> None:
    rng, table = np.random.default_rng(seed), TrackletTable(2)
    count = 40
    for row in range(count):
        camera = int(rng.integers(2))
        rows = table.see(camera, np.array([row + 1]), float(row), 4)
        if rng.random() < 0.8:
            table.add_embeddings(rows, unit_rows(rng, 1, 4))
        table.end[rows] = row + rng.uniform(0, 5)
    identity = rng.integers(0, 5, count)
    is_waiting = (identity == UNDECIDED) & (rng.random(count) < 0.3)
    before_s = 30.0
    fold = find_fold(table, identity, is_waiting, before_s)
    total = table.sum.sum(axis=0)
    dropped = np.zeros(4)
    for row in range(count):
        is_over = table.end[row] < before_s and not is_waiting[row]
        if not is_over:
            assert fold.into[row] == UNKNOWN
            assert row in fold.kept
        elif identity[row] == UNDECIDED or not table.num_embeddings[row]:
            assert row not in fold.kept
            dropped += table.sum[row]
        else:
            same = [
                other for other in range(count)
                if identity[other] == identity[row] and table.camera[other] == table.camera[row]
                and table.end[other] < before_s and table.num_embeddings[other]
            ]  # fmt: skip
            assert fold.into[row] == max(same, key=lambda other: table.end[other])
    table.fold(fold)
    assert table.sum.sum(axis=0) == pytest.approx(total - dropped, abs=1e-5)
    assert len(table) == len(fold.kept)
