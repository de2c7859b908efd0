"""What a run takes from a gallery and leaves there: the same whether it is cut off, repeated, or not."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from tests.galleries import CAMERAS, DIMENSION, MONDAY, NETWORK, content, unit_rows
from tracker.gallery import Gallery, GalleryBusyError, Network, PictureKey, Pictures
from tracker.recording.gallery import BEFORE_S, PICTURES, PICTURES_OF_CAMERA, RunGallery, chosen_pictures
from tracker.sinks.portraits import Portrait, TrackKey
from tracker.types import CameraName, State, Tracklets

DOOR, HALL, YARD = CAMERAS
Row = tuple[CameraName, int, int, float, float]
"""Camera, track, identity, begin and end."""

Everything = dict[int, object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.sqlite"


@pytest.fixture(autouse=True)
def monday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is started at the same moment."""
    monkeypatch.setattr("tracker.recording.gallery.time.time", lambda: MONDAY)


def embedding_of(camera: CameraName, track: int) -> EmbeddingArray:
    (embedding,) = unit_rows(np.random.default_rng([CAMERAS.index(camera), track]), 1)
    return np.asarray(embedding)


def table(*rows: Row, num_embeddings: int | list[int] = 9) -> Tracklets:
    """Tracks of these rows, ten frames each."""
    cameras, tracks, identities, begins, ends = zip(*rows, strict=True) if rows else [()] * 5
    count = len(rows)
    counts = np.broadcast_to(np.array(num_embeddings, np.int64), count)
    embeddings = np.array([embedding_of(row[0], row[1]) for row in rows], np.float32).reshape(-1, DIMENSION)
    embeddings = np.where(counts[:, None] > 0, embeddings, np.float32(0))
    return Tracklets(
        cameras=np.array(cameras, np.object_),
        track_ids=np.array(tracks, np.int64),
        identity_ids=np.array(identities, np.int64),
        begin_s=np.array(begins, np.float64),
        end_s=np.array(ends, np.float64),
        decided_s=np.where(np.array(identities) > 0, np.array(ends, np.float64), np.nan),
        frames=np.full(count, 10),
        num_embeddings=counts,
        embeddings=embeddings,
    )


def open_gallery(path: Path, *, is_live: bool = False, is_own: bool = False) -> RunGallery:
    return RunGallery(path, NETWORK, is_live=is_live, is_own=is_own)


def remember(
    path: Path, tracks: Tracklets, portraits: Mapping[TrackKey, Portrait] | None = None, reserve: int = 0
) -> State:
    """One whole run; the state that its last checkpoint held."""
    gallery_of_run = open_gallery(path)
    if reserve:
        gallery_of_run.reserve(reserve)
    gallery_of_run.update(tracks, portraits or {})
    state = gallery_of_run.state()
    gallery_of_run.save()
    gallery_of_run.close()
    return state


def everything(path: Path) -> Everything:
    """All that the gallery holds, by number."""
    with Gallery(path) as gallery:
        people = gallery.people()
        return {
            number: (content(gallery.person(number)), gallery.thumbnails(number))
            for person in people
            for number in (person.number, *person.also)
        }


def test_people_of_a_run_are_remembered_with_when_where_and_how_they_looked(path: Path) -> None:
    tracks = table((DOOR, 1, 1, 0.0, 4.0), (HALL, 1, 2, 1.0, 2.0), (DOOR, 2, 1, 6.0, 10.0))
    remember(path, tracks, reserve=2)
    with Gallery(path) as gallery:
        first, second = gallery.people()
        assert (first.number, first.seen.first_seen, first.seen.last_seen) == (1, MONDAY, MONDAY + 10)
        assert (list(first.presence), first.seen.sightings) == ([DOOR], 20)
        assert (second.number, list(second.presence)) == (2, [HALL])
        pictures = gallery.person(1).pictures
        assert pictures.times.tolist() == [MONDAY + 2, MONDAY + 8]  # the middle of each track
        assert pictures.embeddings == pytest.approx(tracks.embeddings[[0, 2]], abs=1e-3)


def test_what_is_undecided_or_was_never_embedded_is_left_out(path: Path) -> None:
    tracks = table((DOOR, 1, 0, 0, 4), (DOOR, 2, 1, 0, 4), (DOOR, 3, 2, 0, 4), num_embeddings=[9, 0, 9])
    remember(path, tracks, reserve=2)
    assert list(everything(path)) == [2]
    # A tracklet that nobody looked at counts as soon as the person is known from another.
    remember(path, table((DOOR, 1, 1, 0, 4), (HALL, 2, 1, 8, 9), num_embeddings=[9, 0]))
    with Gallery(path) as gallery:
        assert list(gallery.people()[0].presence) == [DOOR, HALL]
        assert gallery.person(1).pictures.cameras.tolist() == [DOOR]


def test_a_person_who_comes_back_in_another_run_is_one_with_both(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4)), reserve=1)
    remember(path, table((HALL, 1, 1, 5, 9), (DOOR, 2, 1, 10, 14)))
    with Gallery(path) as gallery:
        (person,) = gallery.people()
        assert {camera: seen.sightings for camera, seen in person.presence.items()} == {DOOR: 20, HALL: 10}
        assert person.pictures == 3


@pytest.mark.parametrize("is_live", [False, True])
def test_saving_again_or_after_a_crash_counts_nothing_twice(path: Path, is_live: bool) -> None:
    earlier, start = (DOOR, 1, 1, 0.0, 4.0), MONDAY if is_live else 0.0
    remember(path, table(earlier), reserve=2)
    tracks = table((HALL, 1, 1, start + 20, start + 30), (DOOR, 7, 2, start + 20, start + 22))
    gallery_of_run = open_gallery(path, is_live=is_live)
    gallery_of_run.update(tracks, {})
    state = gallery_of_run.state()
    gallery_of_run.save()
    once = everything(path)
    assert len(once) == 2
    gallery_of_run.update(tracks, {})
    gallery_of_run.save()
    assert everything(path) == once
    gallery_of_run.close()
    for _ in range(2):
        resumed = open_gallery(path, is_live=is_live)
        resumed.restore(state)
        resumed.update(tracks, {})
        resumed.save()
        resumed.close()
        assert resumed.problem == ""
        assert everything(path) == once


def test_a_live_run_that_finds_two_people_to_be_one_takes_its_own_back(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4)), reserve=3)
    before = everything(path)
    gallery_of_run = open_gallery(path)
    gallery_of_run.update(table((HALL, 1, 1, 20, 24), (HALL, 2, 2, 30, 34)), {})
    gallery_of_run.save()
    assert list(everything(path)) == [1, 2]
    gallery_of_run.update(table((HALL, 1, 3, 20, 24), (HALL, 2, 3, 30, 34)), {})  # neither 1 nor 2 after all
    gallery_of_run.save()
    after = everything(path)
    gallery_of_run.close()
    assert list(after) == [1, 3]
    assert after[1] == before[1]
    # A number under which somebody else put people meanwhile is left as it is.
    gallery_of_run = open_gallery(path)
    (number,) = gallery_of_run.reserve(1)
    gallery_of_run.update(table((HALL, 1, number, 20, 24)), {})
    gallery_of_run.save()
    with Gallery(path) as gallery:
        gallery.merge(number, 3)
    gallery_of_run.update(table(), {})
    gallery_of_run.save()
    gallery_of_run.close()
    assert list(everything(path)) == [1, number, 3]


def test_people_who_were_merged_by_hand_keep_what_was_saved_of_each(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4), (DOOR, 2, 2, 0, 4)), reserve=2)
    before = everything(path)
    gallery_of_run = open_gallery(path)
    gallery_of_run.update(table((HALL, 1, 1, 20, 24), (HALL, 2, 2, 30, 34)), {})
    gallery_of_run.save()
    apart = everything(path)
    with Gallery(path) as gallery:
        gallery.merge(1, 2)
    gallery_of_run.merged(2, 1)
    gallery_of_run.update(table((HALL, 1, 1, 20, 24), (HALL, 2, 1, 30, 34)), {})
    gallery_of_run.save()
    assert everything(path)[2] == before[2]
    with Gallery(path) as gallery:
        gallery.split(2)
    gallery_of_run.update(table((HALL, 1, 1, 20, 24), (HALL, 2, 2, 30, 34)), {})
    gallery_of_run.save()
    gallery_of_run.close()
    assert everything(path) == apart


def test_whoever_is_forgotten_during_a_run_stays_forgotten(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4), (DOOR, 2, 2, 0, 4)), reserve=2)
    gallery_of_run = open_gallery(path)
    tracks = table((HALL, 1, 1, 9, 12), (HALL, 2, 2, 9, 12))
    gallery_of_run.update(tracks, {})
    state = gallery_of_run.state()
    with Gallery(path) as gallery:
        gallery.forget(1)
    gallery_of_run.save()
    assert list(everything(path)) == [2]
    gallery_of_run.update(table((HALL, 1, 1, 9, 13), (HALL, 2, 2, 9, 13)), {})
    gallery_of_run.save()
    gallery_of_run.close()
    resumed = open_gallery(path)
    resumed.restore(state)
    resumed.update(tracks, {})
    resumed.save()
    resumed.close()
    assert list(everything(path)) == [2]


def test_what_is_known_at_the_beginning_has_a_row_for_each_person_and_camera(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4), (DOOR, 2, 1, 6, 8), (HALL, 1, 2, 0, 4)), reserve=3)
    remember(path, table((DOOR, 3, 3, 2, 3)))
    with Gallery(path) as gallery:
        gallery.merge(2, 3)
    gallery_of_run = open_gallery(path)
    known = gallery_of_run.known()
    assert list(zip(known.identity_ids, known.cameras, strict=True)) == [(1, DOOR), (2, DOOR), (2, HALL)]
    assert np.linalg.norm(known.embeddings, axis=1) == pytest.approx(1.0)
    mean = embedding_of(DOOR, 1) + embedding_of(DOOR, 2)
    assert known.embeddings[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-3)
    # By the clocks of those runs all of them are seen after this one began: it knows better.
    assert known.last_seen_s.tolist() == [-BEFORE_S] * 3
    gallery_of_run.close()
    gallery_of_run = open_gallery(path, is_live=True)
    assert gallery_of_run.known().last_seen_s.tolist() == [MONDAY - BEFORE_S] * 3
    gallery_of_run.close()


def test_times_of_files_count_from_the_moment_the_run_was_started(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4)), reserve=2)
    monkeypatch.setattr("tracker.recording.gallery.time.time", lambda: MONDAY + 3600)
    gallery_of_run = open_gallery(path)
    assert gallery_of_run.known().last_seen_s.tolist() == [-3596]
    gallery_of_run.update(table((DOOR, 1, 2, 0, 4)), {})
    state = gallery_of_run.state()
    gallery_of_run.close()
    monkeypatch.setattr("tracker.recording.gallery.time.time", lambda: MONDAY + 7200)
    resumed = open_gallery(path)
    resumed.restore(state)
    resumed.update(table((DOOR, 1, 2, 0, 4)), {})
    resumed.save()
    resumed.close()
    with Gallery(path) as gallery:
        assert gallery.people()[1].seen.last_seen == MONDAY + 3604


def test_nobody_is_known_from_a_new_gallery(path: Path) -> None:
    gallery_of_run = open_gallery(path)
    known = gallery_of_run.known()
    gallery_of_run.update(table(), {})
    gallery_of_run.save()
    gallery_of_run.close()
    assert len(known) == 0
    assert known.embeddings.shape == (0, DIMENSION)
    assert everything(path) == {}


def test_a_run_that_others_came_after_adds_nothing_and_says_so(path: Path) -> None:
    state = remember(path, table((DOOR, 1, 1, 0, 4)), reserve=2)
    remember(path, table((HALL, 1, 1, 20, 24)))
    both = everything(path)
    resumed = open_gallery(path)
    resumed.restore(state)
    resumed.update(table((DOOR, 1, 1, 0, 4)), {})
    resumed.save()
    resumed.close()
    assert "another run has saved people" in resumed.problem
    assert everything(path) == both


def test_a_run_that_had_saved_nothing_adds_to_what_others_did_meanwhile(path: Path) -> None:
    gallery_of_run = open_gallery(path)
    gallery_of_run.reserve(2)
    state = gallery_of_run.state()
    gallery_of_run.close()
    remember(path, table((HALL, 1, 1, 20, 24)))
    resumed = open_gallery(path)
    resumed.restore(state)
    resumed.update(table((DOOR, 1, 1, 0, 4)), {})
    resumed.save()
    resumed.close()
    assert resumed.problem == ""
    with Gallery(path) as gallery:
        assert gallery.people()[0].seen.sightings == 20


def test_another_gallery_in_the_place_of_the_first_is_refused(path: Path) -> None:
    state = remember(path, table((DOOR, 1, 1, 0, 4)), reserve=5)
    path.unlink()
    resumed = open_gallery(path)
    with pytest.raises(ReuniteError, match="not the gallery that this run began with"):
        resumed.restore(state)
    resumed.close()


def test_a_gallery_of_the_run_itself_takes_the_numbers_that_the_run_gives(path: Path) -> None:
    tracks = table((DOOR, 1, 1, 0, 4), (DOOR, 2, 70, 0, 4))
    gallery_of_run = open_gallery(path, is_own=True)
    gallery_of_run.update(tracks, {})
    state = gallery_of_run.state()
    gallery_of_run.save()
    gallery_of_run.close()
    once = everything(path)
    assert list(once) == [1, 70]
    resumed = open_gallery(path, is_own=True)
    resumed.restore(state)
    resumed.update(tracks, {})
    resumed.save()
    resumed.close()
    assert everything(path) == once


def test_a_gallery_that_cannot_serve_is_refused_before_anything_is_read(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 4)), reserve=1)
    with pytest.raises(ReuniteError, match="embeddings of two networks cannot be compared"):
        RunGallery(path, Network("another", "beef", DIMENSION), is_live=False, is_own=False)
    gallery_of_run = open_gallery(path)
    with pytest.raises(GalleryBusyError, match="another run"):
        open_gallery(path)
    gallery_of_run.close()
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(ReuniteError, match="is damaged"):
        open_gallery(path)


def test_thumbnails_are_kept_only_where_portraits_are_given(path: Path) -> None:
    tracks = table((DOOR, 1, 1, 0, 4), (HALL, 1, 1, 6, 8), (HALL, 2, 1, 9, 11))
    remember(path, tracks, reserve=1)
    with Gallery(path) as gallery:
        assert gallery.thumbnails(1) == {}
    # One was taken at another moment than the middle, one is no longer kept, one never was.
    portraits = {(DOOR, 1): Portrait(3.5, b"at the door"), (HALL, 1): Portrait(6.5, b"")}
    remember(path, table((DOOR, 1, 1, 0, 4), (HALL, 1, 1, 6, 8), (HALL, 2, 1, 9, 11)), portraits)
    with Gallery(path) as gallery:
        assert gallery.thumbnails(1) == {PictureKey(1, DOOR, MONDAY + 3.5): b"at the door"}
        assert MONDAY + 6.5 in gallery.person(1).pictures.times


def test_a_track_with_few_embeddings_is_no_picture_where_there_are_better_ones(path: Path) -> None:
    rows: list[Row] = [(DOOR, track, 1, 10.0 * track, 10.0 * track + 4) for track in (1, 2, 3)]
    remember(path, table(*rows, (HALL, 1, 1, 50, 52), num_embeddings=[9, 2, 9, 1]), reserve=1)
    with Gallery(path) as gallery:
        shown = gallery.person(1).pictures
        assert shown.times.tolist() == [MONDAY + 12, MONDAY + 32, MONDAY + 51]


def drawn_pictures(random: np.random.Generator, count: int) -> Pictures:
    cameras = random.choice(np.array([*CAMERAS, "x", "y", "z"], np.object_), count)
    return Pictures(cameras, random.permutation(count).astype(np.float64), unit_rows(random, count))


@pytest.mark.parametrize("seed", range(20))
def test_few_pictures_are_chosen_and_choosing_from_them_again_gives_the_same(seed: int) -> None:
    random = np.random.default_rng(seed)
    pictures = drawn_pictures(random, int(random.integers(1, 60)))
    chosen = chosen_pictures(pictures)
    cameras, counts = np.unique(pictures.cameras[chosen].astype(str), return_counts=True)
    assert len(chosen) <= PICTURES
    assert counts.max() <= PICTURES_OF_CAMERA
    assert set(cameras) == set(pictures.cameras)  # six cameras: each has room
    assert pictures.times.argmax() in chosen
    some = np.union1d(chosen, random.choice(len(pictures), len(pictures) // 2, replace=False))
    again = pictures[some]
    assert some[chosen_pictures(again)].tolist() == chosen.tolist()


def test_pictures_that_differ_are_chosen_before_pictures_that_are_alike() -> None:
    front, side, back = np.eye(DIMENSION, dtype=np.float32)[:3]
    alike = [front + np.float32(0.01) * side * turn for turn in range(5)]
    rows = np.array([*alike, side, back])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pictures = Pictures(np.full(7, DOOR, np.object_), np.array([1.0, 2, 3, 4, 9, 5, 6]), rows)
    assert {4, 5, 6} < set(chosen_pictures(pictures).tolist())


def test_two_tracks_with_one_middle_are_one_picture(path: Path) -> None:
    remember(path, table((DOOR, 1, 1, 0, 10), (DOOR, 2, 1, 4, 6)), reserve=1)
    with Gallery(path) as gallery:
        assert gallery.person(1).pictures.times.tolist() == [MONDAY + 5]
