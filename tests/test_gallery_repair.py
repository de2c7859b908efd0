"""A damaged gallery: what is wrong with it is said, and what can be read is saved."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from tests.galleries import NETWORK, content, drawn_person, drawn_thumbnails
from tracker.cli import main
from tracker.gallery import Gallery, GalleryWriter
from tracker.gallery.repair import check_gallery, repair_gallery

PEOPLE = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """60 people, of whom person 3 was forgotten and 5 is 4, with thumbnails of person 1."""
    path = tmp_path / "people.sqlite"
    with GalleryWriter(path, NETWORK) as gallery:
        people = [drawn_person(number) for number in gallery.reserve(PEOPLE)]
        gallery.save(people, drawn_thumbnails(people[0]))
        gallery.forget(3)
        gallery.merge(4, 5)
    return path


def change(path: Path, *statements: str) -> None:
    """Change rows behind the gallery's back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def page_size(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[16:18])


def spoil_pages(path: Path, pages: range | list[int]) -> None:
    """Overwrite pages, counted from 1."""
    data, size = bytearray(path.read_bytes()), page_size(path)
    for page in pages:
        data[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(data)


def test_a_sound_gallery_is_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    findings = check_gallery(path)
    assert findings.problems == []
    assert (findings.people, findings.pictures, findings.thumbnails, findings.merges) == (58, 177, 3, 1)
    assert findings.network == NETWORK
    assert main(["gallery", "check", "--gallery", str(path)]) == 0
    assert capsys.readouterr().out == "people: 58; pictures: 177; thumbnails: 3; merges: 1\n"
    assert path.read_bytes() == before


def test_a_repaired_sound_gallery_is_the_same(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "whole.sqlite"
    assert repair_gallery(path, target).problems == []
    assert check_gallery(target).problems == []
    with Gallery(path) as old, Gallery(target) as new:
        assert new.people() == old.people()
        assert new.merges() == old.merges()
        assert new.network == old.network
        for number in (1, 2, 4, 5, PEOPLE):
            assert content(new.person(number)) == content(old.person(number))
        assert new.thumbnails(1) == old.thumbnails(1)
    with GalleryWriter(target, NETWORK) as gallery:
        assert list(gallery.reserve(1)) == [PEOPLE + 1]


def test_the_number_of_the_last_who_was_forgotten_is_not_given_again(path: Path, tmp_path: Path) -> None:
    with Gallery(path) as gallery:
        gallery.forget(PEOPLE)
    repair_gallery(path, tmp_path / "whole.sqlite")
    with GalleryWriter(tmp_path / "whole.sqlite", NETWORK) as gallery:
        assert list(gallery.reserve(1)) == [PEOPLE + 1]


NAN = np.full(NETWORK.dimension, np.nan, "<f2").tobytes().hex()


@pytest.mark.parametrize(
    ("statements", "problems", "lost_pictures", "lost_people"),
    [
        (
            ["UPDATE picture SET embedding = x'0102' WHERE person = 7"],
            ["3 pictures whose embedding has another length, or is none", "1 people without a picture"],
            3,
            1,
        ),
        (
            [f"UPDATE picture SET embedding = x'{NAN}' WHERE id = 10"],
            ["1 pictures whose embedding has another length, or is none"],
            1,
            0,
        ),
        (["UPDATE picture SET embedding = 'text' WHERE id = 10"], ["1 pictures whose embedding"], 1, 0),
        (["UPDATE picture SET embedding = zeroblob(32) WHERE id = 10"], ["1 pictures whose embedding"], 1, 0),
        (
            ["UPDATE picture SET time = 'noon' WHERE id = 10"],
            ["1 pictures of no person, camera or time"],
            1,
            0,
        ),
        (
            ["UPDATE picture SET time = 9e999 WHERE id = 10"],
            ["1 pictures of no person, camera or time"],
            1,
            0,
        ),
        (
            ["UPDATE picture SET camera = x'ff' WHERE id = 10"],
            ["1 pictures of no person, camera or time"],
            1,
            0,
        ),
        (
            ["DELETE FROM person WHERE number = 7"],
            ["3 pictures of a person who is not there", "1 people without a picture"],
            3,
            1,
        ),
        (["DELETE FROM picture WHERE person = 7"], ["1 people without a picture"], 3, 1),
        (
            ["UPDATE presence SET first_seen = 1e10 WHERE person = 7"],
            ["times of people that are none", "1 people of whom only the times of their pictures are known"],
            0,
            0,
        ),
        (
            ["DELETE FROM presence WHERE person = 7"],
            ["1 people of whom only the times of their pictures are known"],
            0,
            0,
        ),
        (["DELETE FROM picture WHERE id = 1"], ["1 thumbnails without a picture"], 1, 0),
        (
            ["INSERT INTO merge (time, kept, merged) VALUES (1.0, 5, 4), (1.0, 999, 8)"],
            ["2 merges of people who are not there, or in a circle"],
            0,
            0,
        ),
        (["PRAGMA user_version = 66"], ["its user version is 66, that of a gallery 2"], 0, 0),
        (["PRAGMA application_id = 1"], ["its application id is 1"], 0, 0),
    ],
)
def test_rows_that_no_gallery_holds_are_said_and_left_out(
    path: Path, statements: list[str], problems: list[str], lost_pictures: int, lost_people: int
) -> None:
    change(path, *statements)
    before = path.read_bytes()
    target = path.with_name("whole.sqlite")
    findings = repair_gallery(path, target)
    assert len(findings.problems) == len(problems)
    for said, problem in zip(findings.problems, problems, strict=True):
        assert problem in said
    assert path.read_bytes() == before
    assert findings == check_gallery(path)
    saved = check_gallery(target)
    assert saved.problems == []
    assert (saved.people, saved.pictures) == (58 - lost_people, 177 - lost_pictures)
    with Gallery(target) as gallery:
        people = gallery.people()
        assert len(people) == saved.people
        for person in people:
            gallery.person(person.number)


class TestPages:
    @pytest.mark.parametrize("share", [0.6, 0.8, 0.95])
    def test_of_a_file_that_is_cut_off_the_rest_is_saved(self, path: Path, share: float) -> None:
        whole = check_gallery(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(ReuniteError, match="reunite gallery repair"):
            Gallery(path)
        findings = check_gallery(path)
        assert findings.problems[0].startswith("it is cut off: ")
        findings = repair_gallery(path, path.with_name("whole.sqlite"), NETWORK)
        assert findings.network == NETWORK
        assert findings.pictures > 0.2 * whole.pictures
        saved = check_gallery(path.with_name("whole.sqlite"))
        assert saved.problems == []
        assert saved.pictures == findings.pictures

    def test_without_its_head_all_is_saved(self, path: Path) -> None:
        spoil_pages(path, [1])
        findings = repair_gallery(path, path.with_name("whole.sqlite"))
        assert (findings.people, findings.pictures) == (58, 177)
        assert "its pages are damaged: file is not a database" in findings.problems
        assert check_gallery(path.with_name("whole.sqlite")).problems == []

    def test_any_page_may_be_lost(self, path: Path) -> None:
        data, count = path.read_bytes(), len(path.read_bytes()) // page_size(path)
        saved, hopeless = [], 0
        for page in range(1, count + 1):
            path.write_bytes(data)
            spoil_pages(path, [page])
            target = path.with_name(f"whole{page}.sqlite")
            try:
                repair_gallery(path, target)
            except ReuniteError as error:
                assert "nothing can be saved of it" in str(error)  # noqa: PT017
                hopeless += 1
                continue
            findings = check_gallery(target)
            assert findings.problems == []
            saved.append(findings.pictures)
            with Gallery(target) as gallery:
                assert [len(gallery.person(it.number).pictures) for it in gallery.people()]
        # The row that says which network it was, and the root of the pictures.
        assert hopeless <= 2
        assert np.mean(saved) > 0.85 * 177


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.unlink(), "no such gallery"),
        (lambda path: path.write_bytes(b""), "nothing can be saved of it"),
        (lambda path: path.write_bytes(b"no gallery, but text"), "nothing can be saved of it"),
        (lambda path: path.write_bytes(bytes(100_000)), "nothing can be saved of it"),
        (lambda path: change(path, "DELETE FROM gallery"), "does not say which network"),
        (lambda path: change(path, "DROP TABLE picture"), "table that cannot be read whole: picture"),
        (
            lambda path: path.with_name("whole.sqlite").touch(),
            "is there already; name a file that is not there",
        ),
    ],
)
def test_what_cannot_be_repaired_is_one_sentence(
    path: Path, make: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make(path)
    given = ["gallery", "repair", "--gallery", str(path), "--to", str(path.with_name("whole.sqlite"))]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not path.with_name("whole.sqlite.part").exists()


def test_the_command_says_what_was_saved_and_where(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(path, "UPDATE picture SET embedding = x'00' WHERE id = 10")
    assert main(["gallery", "check", "--gallery", str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "problem: 1 pictures whose embedding has another length, or is none",
        "people: 58; pictures: 176; thumbnails: 3; merges: 1",
        "'repair' writes a new gallery with all that can be read",
    ]
    assert main(["gallery", "repair", "--gallery", str(path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    target = path.with_name("people-repaired.sqlite")
    assert (said["people"], said["pictures"], said["written"]) == (58, 176, str(target))
    assert main(["gallery", "check", "--gallery", str(target)]) == 0


def test_what_a_killed_program_had_begun_is_ended_in_the_copy_alone(path: Path) -> None:
    whole = path.read_bytes()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM picture WHERE person > 10")
    journal = path.with_name("people.sqlite-journal")
    torn, half = path.read_bytes(), journal.read_bytes()
    writer.execute("ROLLBACK")
    writer.close()
    assert path.read_bytes() == whole != torn
    path.write_bytes(torn)
    journal.write_bytes(half)
    findings = check_gallery(path)
    assert (findings.problems, findings.pictures) == ([], 177)
    assert (path.read_bytes(), journal.read_bytes()) == (torn, half)


def test_a_gallery_that_does_not_say_its_network_is_told_by_another(path: Path, tmp_path: Path) -> None:
    with GalleryWriter(tmp_path / "other.sqlite", NETWORK):
        pass
    change(path, "DELETE FROM gallery")
    target = tmp_path / "whole.sqlite"
    given = ["gallery", "repair", "--gallery", str(path), "--to", str(target)]
    assert main(given) == 2
    assert main([*given, "--like", str(tmp_path / "other.sqlite")]) == 1
    with Gallery(target, NETWORK) as gallery:
        assert len(gallery.people()) == 58


@pytest.mark.parametrize("column", ["network", "fingerprint", "dimension"])
def test_a_network_that_is_none_is_damage(path: Path, column: str) -> None:
    change(path, f"UPDATE gallery SET {column} = x'00'")
    with pytest.raises(ReuniteError, match="is damaged"):
        Gallery(path)
    with pytest.raises(ReuniteError, match="is damaged"):
        GalleryWriter(path, NETWORK)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE merge SET kept = 'text'",
        "UPDATE merge SET time = x'00'",
        "UPDATE merge SET kept = 5, merged = 5",
        "INSERT INTO merge (time, kept, merged) VALUES (1.0, 5, 4)",
        "UPDATE presence SET camera = x'00' WHERE person = 1 AND camera = (SELECT min(camera) FROM presence "
        "WHERE person = 1)",
        "UPDATE presence SET sightings = 'many' WHERE person = 1",
        "UPDATE presence SET first_seen = 1e300 WHERE person = 1",
        "UPDATE presence SET person = 'text' WHERE person = 1",
        "UPDATE picture SET camera = x'00' WHERE person = 1",
        "UPDATE picture SET embedding = 0.5 WHERE person = 1",
        f"UPDATE picture SET embedding = x'{NAN}' WHERE person = 1",
        "UPDATE thumbnail SET jpeg = 7",
    ],
)
def test_values_that_no_gallery_writes_are_damage_to_every_command(
    path: Path, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(path, statement)
    codes = [
        main(["gallery", *words.split(), "--gallery", str(path)])
        for words in ("list", "show 1", "export", "prune --older-than 1d --dry-run", "check", "split 4")
    ]
    said = capsys.readouterr()
    assert set(codes) <= {0, 1, 2}
    assert 2 in codes
    assert codes[-2] == 1
    assert "is damaged" in said.err
