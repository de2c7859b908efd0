"""The gallery's file: what was saved is there, what was forgotten is not, and every damage is a sentence."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from tests.galleries import (
    CAMERAS,
    DIMENSION,
    MONDAY,
    NETWORK,
    bytes_beside,
    content,
    drawn_person,
    drawn_thumbnails,
    numbers_of,
    traces,
    unit_rows,
)
from tracker.gallery import (
    Gallery,
    GalleryBusyError,
    GalleryWriter,
    Network,
    Person,
    PictureKey,
    Pictures,
    Presence,
    UnknownPersonError,
    database,
)
from tracker.gallery.database import Database

DOOR, HALL, YARD = CAMERAS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people of #1?.sqlite"


def fill(path: Path, count: int = 4) -> list[Person]:
    """Save so many people, with thumbnails."""
    with GalleryWriter(path, NETWORK) as gallery:
        people = [drawn_person(number) for number in gallery.reserve(count)]
        thumbnails = {key: jpeg for person in people for key, jpeg in drawn_thumbnails(person).items()}
        assert gallery.save(people, thumbnails) == []
    return people


def sqlite_says(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_saved_person_comes_back_as_it_was(path: Path) -> None:
    people = fill(path)
    with Gallery(path, NETWORK) as gallery:
        assert gallery.network == NETWORK
        for person in people:
            assert content(gallery.person(person.number)) == content(person)
            assert gallery.thumbnails(person.number) == drawn_thumbnails(person)
        appearances = gallery.appearances()
        assert appearances.numbers.tolist() == [person.number for person in people for _ in range(3)]
        rows = np.concatenate([person.pictures.embeddings for person in people])
        np.testing.assert_array_equal(appearances.embeddings, rows.astype(np.float16))
        first = gallery.people()[0]
        seen = people[0].presence.values()
        assert first.seen == Presence(MONDAY - 100, MONDAY, sum(it.sightings for it in seen))
        assert (first.pictures, first.thumbnails, dict(first.presence)) == (3, 3, dict(people[0].presence))


def test_rounding_to_half_precision_moves_a_cosine_by_less_than_a_thousandth(path: Path) -> None:
    rows = unit_rows(np.random.default_rng(0), 500)
    pictures = Pictures(np.full(500, DOOR, np.object_), np.arange(500.0), rows)
    with GalleryWriter(path, NETWORK) as gallery:
        (number,) = gallery.reserve(1)
        gallery.save([Person(number, {DOOR: Presence(0, 500, 500)}, pictures)])
        back = gallery.person(number).pictures.embeddings
    assert 0 < np.abs(back @ back.T - rows @ rows.T).max() < 1e-3


def test_saving_twice_is_saving_once(path: Path) -> None:
    people = fill(path)
    before = sqlite_says(path, "SELECT * FROM picture JOIN thumbnail ON picture = id")
    with GalleryWriter(path, NETWORK) as gallery:
        gallery.save(people)
        gallery.save(people, drawn_thumbnails(people[0]))
    assert sqlite_says(path, "SELECT * FROM picture JOIN thumbnail ON picture = id") == before


def test_saving_replaces_what_was_there_and_keeps_thumbnails_of_pictures_that_stay(path: Path) -> None:
    old = fill(path, 2)[0]
    rows = np.concatenate([-old.pictures.embeddings[:1], old.pictures.embeddings[1:2]])
    cameras, times = old.pictures.cameras[:2].copy(), old.pictures.times[:2].copy()
    times[0] += 0.25  # the first is another picture now, the second stays, the third goes
    new = Person(old.number, {HALL: Presence(MONDAY, MONDAY + 9, 7)}, Pictures(cameras, times, rows))
    with GalleryWriter(path, NETWORK) as gallery:
        gallery.save([new])
        assert content(gallery.person(old.number)) == content(new)
        kept = old.pictures.keys(old.number)[1]
        assert gallery.thumbnails(old.number) == {kept: drawn_thumbnails(old)[kept]}
        gallery.save([new], {kept: b"sharper"})
        assert gallery.thumbnails(old.number) == {kept: b"sharper"}
        again = Person(new.number, new.presence, Pictures(cameras, times, -rows))
        gallery.save([again])
        assert content(gallery.person(old.number)) == content(again)
        assert content(gallery.person(2)) == content(drawn_person(2))


def test_no_thumbnail_is_stored_that_was_not_given_or_is_of_no_picture(path: Path) -> None:
    with GalleryWriter(path, NETWORK) as gallery:
        person = drawn_person(*gallery.reserve(1))
        gallery.save([person], {PictureKey(1, DOOR, 3.0): b"no such picture"})
        assert gallery.people()[0].thumbnails == 0
    assert sqlite_says(path, "SELECT * FROM thumbnail") == []
    assert b"no such picture" not in bytes_beside(path)


def test_a_number_that_was_reserved_is_nobody_until_somebody_is_saved_under_it(path: Path) -> None:
    with GalleryWriter(path, NETWORK) as gallery:
        assert gallery.reserve(3) == range(1, 4)
        gallery.save([drawn_person(2)])
        assert numbers_of(gallery.people()) == [(2,)]
        with pytest.raises(UnknownPersonError, match="nobody is remembered as person 3"):
            gallery.person(3)
        with pytest.raises(UnknownPersonError):
            gallery.merge(2, 3)
        with pytest.raises(ValueError, match="person 4 was not reserved"):
            gallery.save([drawn_person(2, seed=1), drawn_person(4)])
        assert content(gallery.person(2)) == content(drawn_person(2)), "the whole of a save or nothing"


def test_numbers_are_never_used_again(path: Path) -> None:
    fill(path, 3)
    with Gallery(path) as gallery:
        gallery.forget(3)
        gallery.prune(MONDAY + 1)
        assert gallery.people() == []
    with GalleryWriter(path, NETWORK) as writer:
        assert writer.reserve(2) == range(4, 6)
    with GalleryWriter(path, NETWORK) as writer:
        assert writer.reserve(1) == range(6, 7)


def test_a_merged_number_stands_for_the_survivor_and_a_merge_can_be_undone(path: Path) -> None:
    people = fill(path, 4)
    with Gallery(path) as gallery:
        apart = gallery.people()
        assert gallery.merge(3, 1) == 3
        assert gallery.merge(2, 1) == 2, "1 stands for 3, so 3 goes into 2"
        assert gallery.merge(1, 3) == 2, "one person already: nothing happens"
        assert [(it.kept, it.merged) for it in gallery.merges()] == [(3, 1), (2, 3)]
        assert gallery.survivors() == {1: 2, 3: 2}
        assert [gallery.survivor(number) for number in (1, 2, 3, 4)] == [2, 2, 2, 4]
        joined = gallery.people()[0]
        assert (joined.number, joined.also, joined.pictures, joined.thumbnails) == (2, (1, 3), 9, 9)
        assert joined.seen.sightings == sum(it.seen.sightings for it in apart[:3])
        assert sorted(set(gallery.appearances().numbers.tolist())) == [2, 4]
        undone = gallery.split(3)
        assert (undone.kept, undone.merged) == (2, 3)
        assert numbers_of(gallery.people()) == [(2,), (3, 1), (4,)]
        assert gallery.split(3).merged == 1, "of a person that stands for itself the last merge is undone"
        assert gallery.people() == apart
        assert [content(gallery.person(person.number)) for person in people] == list(map(content, people))
        with pytest.raises(ReuniteError, match="person 3 was not merged with anybody"):
            gallery.split(3)
        for merged in (4, 1, 2):
            gallery.merge(3, merged)
        assert [gallery.split(number).merged for number in (3, 4, 3)] == [2, 4, 1]


def test_what_is_saved_after_a_merge_stays_with_its_number_when_it_is_undone(path: Path) -> None:
    fill(path, 2)
    with GalleryWriter(path, NETWORK) as gallery:
        gallery.merge(1, 2)
        later = drawn_person(1, seed=5, last_seen=MONDAY + 50)
        gallery.save([later])
        assert numbers_of(gallery.people()) == [(1, 2)]
        gallery.split(2)
        assert content(gallery.person(1)) == content(later)
        assert content(gallery.person(2)) == content(drawn_person(2))


@pytest.mark.parametrize("seed", [0, 13, 1, 2])
def test_forgetting_leaves_nothing_in_the_file(
    path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With SQLite's secure_delete alone, which overwrites what is deleted, seeds 0 and 13 leave pieces behind.
    monkeypatch.setattr(database, "SETTINGS", (*database.SETTINGS, "synchronous = OFF"))  # for speed
    random = np.random.default_rng(seed)
    remembered: dict[int, tuple[Person, dict[PictureKey, bytes]]] = {}
    with GalleryWriter(path, NETWORK) as gallery:
        for _ in range(50):
            if random.random() < 0.7 or len(remembered) < 3:
                person = drawn_person(gallery.reserve(1)[0], pictures=int(random.integers(1, 7)))
                thumbnails = {
                    key: jpeg for key, jpeg in drawn_thumbnails(person).items() if random.random() < 0.5
                }
                gallery.save([person], thumbnails)
                remembered[person.number] = person, thumbnails
                assert len(traces(person, thumbnails, bytes_beside(path))) >= len(person.pictures)
            else:
                person, thumbnails = remembered.pop(int(random.choice(list(remembered))))
                gallery.forget(person.number)
                assert traces(person, thumbnails, bytes_beside(path)) == []


def test_forgetting_leaves_nothing_of_merged_numbers_and_of_pictures_that_were_replaced(path: Path) -> None:
    people = fill(path, 12)
    with GalleryWriter(path, NETWORK) as gallery:
        gallery.merge(5, 3)
        again = drawn_person(3, seed=1, pictures=5)
        gallery.save([again], drawn_thumbnails(again))
        gallery.merge(7, 5)
        assert gallery.forget(3) == [3, 5, 7]
        raw = bytes_beside(path)
    for person in (again, people[2], people[4], people[6]):
        assert traces(person, drawn_thumbnails(person), raw) == []


def test_forgetting_leaves_nothing_in_a_write_ahead_log_that_another_program_asked_for(path: Path) -> None:
    person = fill(path, 3)[1]
    sqlite_says(path, "PRAGMA journal_mode = WAL")
    with Gallery(path) as gallery:
        gallery.forget(2)
        assert traces(person, drawn_thumbnails(person), bytes_beside(path)) == []
        assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("helper", ["forget", "prune", "next run"])
def test_a_forgetting_that_was_cut_off_is_finished_later(
    path: Path, helper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = fill(path, 30)
    clean, calls = Database.clean, []

    def cut_off(database: Database) -> None:
        calls.append(1)
        if len(calls) == 2:  # after the people are deleted, before the file is written anew
            raise ReuniteError("full")
        clean(database)

    monkeypatch.setattr(Database, "clean", cut_off)
    with Gallery(path) as gallery, pytest.raises(ReuniteError, match=r"^full\. Nobody finds"):
        gallery.forget(7)
    monkeypatch.undo()
    assert sqlite_says(path, "SELECT needs_cleaning FROM gallery") == [(1,)]
    if helper == "next run":
        GalleryWriter(path, NETWORK).close()
    else:
        with Gallery(path) as gallery:
            if helper == "prune":
                assert gallery.prune(0.0) == []
            else:
                with pytest.raises(UnknownPersonError):
                    gallery.forget(7)
    assert sqlite_says(path, "SELECT needs_cleaning FROM gallery") == [(0,)]
    assert traces(people[6], drawn_thumbnails(people[6]), bytes_beside(path)) == []


def test_whoever_was_forgotten_meanwhile_is_not_saved_again_by_a_run_or_a_resumed_one(path: Path) -> None:
    with GalleryWriter(path, NETWORK) as run:
        people = [drawn_person(number) for number in run.reserve(3)]
        run.save(people)
        with Gallery(path) as gallery:  # while the run goes on
            gallery.merge(3, 1)
            assert gallery.forget(1) == [1, 3]
        assert run.save(people) == [1, 3]
        assert numbers_of(run.people()) == [(2,)]
    with GalleryWriter(path, NETWORK) as resumed:
        assert resumed.save(people) == [1, 3]


def test_pruning_goes_by_when_a_person_was_last_seen_under_any_number(path: Path) -> None:
    with GalleryWriter(path, NETWORK) as gallery:
        ages_s = dict(zip(gallery.reserve(4), (0, 10, 20, 20), strict=True))
        gallery.save([drawn_person(number, last_seen=MONDAY - age) for number, age in ages_s.items()])
        gallery.merge(3, 1)
        assert gallery.prune(MONDAY - 20) == [], "exactly as old is not older"
        assert gallery.prune(MONDAY - 5) == [2, 4]
        assert numbers_of(gallery.people()) == [(3, 1)]


def test_others_read_while_a_run_writes_and_see_whole_saves(path: Path) -> None:
    fill(path, 1)
    with GalleryWriter(path, NETWORK) as run, Gallery(path) as reader:
        with run._database.writing() as connection:
            connection.execute("DELETE FROM person")
            assert numbers_of(reader.people()) == [(1,)]
            with Gallery(path) as another:
                assert len(another.appearances()) == 3
        assert reader.people() == []


def test_only_one_run_writes_and_its_lock_goes_with_it(path: Path) -> None:
    with GalleryWriter(path, NETWORK) as run:
        with pytest.raises(
            GalleryBusyError, match=r"another run \(process \d+\) is writing it; wait for its"
        ):
            GalleryWriter(path, NETWORK)
        link = path.with_name("link.sqlite")
        link.symlink_to(path)
        with pytest.raises(GalleryBusyError):
            GalleryWriter(link, NETWORK)
        link.unlink()
        run.reserve(1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    GalleryWriter(path, NETWORK).close()


def test_a_file_that_another_program_holds_is_waited_for_and_then_named(path: Path) -> None:
    fill(path, 1)
    holder = sqlite3.connect(path, isolation_level=None)
    with Gallery(path, wait_s=0.05) as gallery:
        holder.execute("BEGIN EXCLUSIVE")
        for attempt in (gallery.people, lambda: gallery.forget(1), lambda: Gallery(path, wait_s=0.05)):
            with pytest.raises(
                GalleryBusyError, match=r"using it for more than 0\.05 s; wait until it is done"
            ):
                attempt()
        holder.execute("COMMIT")
        assert numbers_of(gallery.people()) == [(1,)]
    holder.close()


def test_a_reader_that_does_not_let_go_makes_a_save_fail_as_a_whole(path: Path) -> None:
    (person,) = fill(path, 1)
    holder = sqlite3.connect(path, isolation_level=None)
    with GalleryWriter(path, NETWORK, wait_s=0.05) as run:
        holder.execute("BEGIN")
        assert holder.execute("SELECT COUNT(*) FROM person").fetchone() == (1,)
        with pytest.raises(GalleryBusyError):
            run.save([drawn_person(1, seed=1)])
        holder.execute("COMMIT")
        assert content(run.person(1)) == content(person)
        run.save([drawn_person(1, seed=1)])
        assert content(run.person(1)) == content(drawn_person(1, seed=1))
    holder.close()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("missing", "no such gallery"),
        ("empty", "is empty; no run has saved anybody"),
        ("text", "is no gallery"),
        ("folder", "is a folder, not a gallery"),
        ("another program's", "is an SQLite file, but no gallery"),
        ("next version", "is a gallery of version 99, this program knows version 2"),
        ("zeros inside", "is damaged"),
    ],
)
def test_a_file_that_is_no_sound_gallery_is_refused_with_a_sentence(
    path: Path, damage: str, sentence: str
) -> None:
    if damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("SQLite format 4\0" * 99)
    elif damage == "folder":
        path.mkdir()
    elif damage == "another program's":
        sqlite_says(path, "CREATE TABLE person (number INTEGER)")
    elif damage != "missing":
        fill(path)
    if damage == "next version":
        sqlite_says(path, "PRAGMA user_version = 99")
    if damage == "zeros inside":
        raw = path.read_bytes()
        path.write_bytes(raw[:4096] + bytes(len(raw) - 4096))

    def read() -> None:
        with Gallery(path) as gallery:
            gallery.people()

    def write() -> None:
        with GalleryWriter(path, NETWORK) as gallery:
            gallery.people()

    begins_new = damage in ("missing", "empty")
    for attempt in (read,) if begins_new else (read, write):
        with pytest.raises(ReuniteError) as caught:
            attempt()
        assert str(caught.value).startswith(f"{path}: ")
        assert sentence in str(caught.value)
    if begins_new:
        write()
        read()


def test_another_programs_file_is_left_as_it_was(path: Path) -> None:
    sqlite_says(path, "PRAGMA journal_mode = WAL")
    sqlite_says(path, "CREATE TABLE bookmark (address TEXT)")
    before = path.read_bytes()
    with pytest.raises(ReuniteError, match="but no gallery"):
        GalleryWriter(path, NETWORK)
    assert path.read_bytes() == before


def test_a_file_cut_off_anywhere_is_refused(path: Path) -> None:
    fill(path)
    raw = path.read_bytes()
    lengths = np.random.default_rng(0).integers(1, len(raw), 40).tolist()
    for length in (1, 99, 512, 4095, 4096, 4097, len(raw) - 4096, len(raw) - 1, *lengths):
        path.write_bytes(raw[:length])
        with pytest.raises(ReuniteError, match=r"is cut off|is damaged|is no gallery"):
            Gallery(path)
        with pytest.raises(ReuniteError, match=r"is cut off|is damaged|is no gallery"):
            GalleryWriter(path, NETWORK)
        assert path.stat().st_size == length
    path.write_bytes(raw)
    with Gallery(path) as gallery:
        assert len(gallery.people()) == 4


def test_a_gallery_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match=r"cannot write beside it \(No such file or directory\)"):
        GalleryWriter(tmp_path / "none" / "gallery.sqlite", NETWORK)


@pytest.mark.parametrize("other", [Network("drawn", "beef", DIMENSION), Network("drawn", "c0ffee", 8)])
def test_another_networks_embeddings_are_refused(path: Path, other: Network) -> None:
    fill(path)
    sentence = r"by the network drawn \(fingerprint c0ffee, 16 numbers\), not by drawn"
    with pytest.raises(ReuniteError, match=sentence):
        Gallery(path, other)
    with pytest.raises(ReuniteError, match=sentence):
        GalleryWriter(path, other)
    with GalleryWriter(path, Network("renamed", "c0ffee", DIMENSION)) as gallery:
        assert gallery.network.name == "drawn"
        shorter = pictures_of(unit_rows(np.random.default_rng(0), 1, 8))
        with pytest.raises(ValueError, match="embeddings must have shape"):
            gallery.save([Person(1, {DOOR: Presence(0, 1, 1)}, shorter)])


def test_a_full_disk_loses_nothing_that_was_saved(path: Path) -> None:
    people = fill(path)
    with GalleryWriter(path, NETWORK) as gallery:
        pages = gallery._database._connection.execute("PRAGMA page_count").fetchone()[0]
        gallery._database._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        newcomers = [drawn_person(number) for number in gallery.reserve(20)]
        with pytest.raises(ReuniteError, match=r"cannot be written .*full.*nothing that was saved is lost"):
            gallery.save([drawn_person(1, seed=1), *newcomers], drawn_thumbnails(newcomers[0]))
        assert [content(gallery.person(person.number)) for person in people] == list(map(content, people))
        gallery._database._connection.execute("PRAGMA max_page_count = 100000")
        gallery.save(newcomers)
        assert len(gallery.people()) == 24


def test_a_file_that_may_only_be_read_is_read_and_refused_to_a_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, 1)
    # Stands for the file's rights, which do not bind the tests where they run as root.
    monkeypatch.setattr(database, "SETTINGS", (*database.SETTINGS, "query_only = ON"))
    with Gallery(path) as gallery:
        assert numbers_of(gallery.people()) == [(1,)]
        with pytest.raises(ReuniteError, match="may only be read"):
            gallery.forget(1)
    with pytest.raises(ReuniteError, match="may only be read"):
        GalleryWriter(path, NETWORK)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "the lock is let go of"


def test_a_file_that_was_moved_away_takes_no_saves(path: Path) -> None:
    fill(path, 1)
    with GalleryWriter(path, NETWORK) as gallery:
        path.rename(path.with_name("elsewhere.sqlite"))
        with pytest.raises(ReuniteError, match="was moved or deleted while it was open"):
            gallery.save([drawn_person(1, seed=1)])


def pictures_of(embeddings: EmbeddingArray, time_s: float = MONDAY) -> Pictures:
    times = np.full(len(embeddings), time_s)
    times += np.arange(len(embeddings))
    return Pictures(np.full(len(embeddings), DOOR, np.object_), times, embeddings)


def test_values_that_make_no_sense_are_refused() -> None:
    rows = unit_rows(np.random.default_rng(0), 2)
    for wrong in (rows * 2, np.full_like(rows, np.nan)):
        with pytest.raises(ValueError, match="rows of length 1"):
            pictures_of(wrong)
    for wrong_time in (np.nan, np.inf, -1.0, MONDAY * 1000):
        with pytest.raises(ValueError, match="Unix times"):
            pictures_of(rows, wrong_time)
    with pytest.raises(ValueError, match="two of the same camera and time"):
        Pictures(np.full(2, DOOR, np.object_), np.zeros(2), rows)
    for presence in ((2.0, 1.0, 1), (np.nan, 1.0, 1), (0.0, 1.0, 0), (0.0, MONDAY * 1000, 1)):
        with pytest.raises(ValueError, match="Presence must go from first to last"):
            Presence(*presence)
    for nobody in ({}, {DOOR: Presence(0, 1, 1)}):
        with pytest.raises(ValueError, match="must have been seen by a camera and have a picture"):
            Person(1, nobody, pictures_of(rows if not nobody else rows[:0]))
