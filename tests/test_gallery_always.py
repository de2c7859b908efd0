"""What always holds of a gallery: it does what a plain dict would do, and it survives any kill."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from foundation.errors import ReuniteError
from tests.galleries import (
    MONDAY,
    NETWORK,
    bytes_beside,
    content,
    drawn_person,
    drawn_thumbnails,
    numbers_of,
    traces,
)
from tracker.gallery import Gallery, GalleryBusyError, GalleryWriter, Person
from tracker.gallery.writer import WriterLock

ANY = st.integers(0, 10**6)


class AnySequenceOfChanges(RuleBasedStateMachine):
    """A gallery beside a dict of people and a list of merges."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "gallery.sqlite"
        self.gallery = self.opened()
        self.people: dict[int, Person] = {}
        self.merges: list[tuple[int, int]] = []
        self.highest = 0

    def teardown(self) -> None:
        self.gallery.close()
        self.folder.cleanup()

    def opened(self) -> GalleryWriter:
        gallery = GalleryWriter(self.path, NETWORK)
        gallery._database._connection.execute("PRAGMA synchronous = OFF")  # for speed
        return gallery

    def root(self, number: int) -> int:
        for kept, merged in self.merges:
            if merged == number:
                return self.root(kept)
        return number

    def groups(self) -> dict[int, list[int]]:
        """All numbers of each person, by the number that stands for it."""
        groups: dict[int, list[int]] = {}
        for number in sorted(self.people):
            groups.setdefault(self.root(number), []).append(number)
        return groups

    def pick(self, choice: int) -> int:
        return sorted(self.people)[choice % len(self.people)]

    def last_seen(self, numbers: list[int]) -> float:
        return max(seen.last_seen for it in numbers for seen in self.people[it].presence.values())

    def drop(self, roots: list[int]) -> list[int]:
        gone = sorted(number for root in roots for number in self.groups()[root])
        for number in gone:
            person = self.people.pop(number)
            assert traces(person, drawn_thumbnails(person), bytes_beside(self.path)) == []
        self.merges = [pair for pair in self.merges if not set(pair) & set(gone)]
        return gone

    @rule(count=st.integers(1, 3), age_s=st.integers(0, 99), spare=st.integers(0, 2))
    def add(self, count: int, age_s: int, spare: int) -> None:
        numbers = self.gallery.reserve(count + spare)
        assert numbers[0] == self.highest + 1
        self.highest = numbers[-1]
        new = [drawn_person(number, last_seen=MONDAY - age_s) for number in numbers[:count]]
        thumbnails = {key: jpeg for person in new for key, jpeg in drawn_thumbnails(person).items()}
        assert self.gallery.save(new, thumbnails) == []
        self.people |= {person.number: person for person in new}

    @precondition(lambda self: self.people)
    @rule(choice=ANY, seed=st.integers(1, 9), pictures=st.integers(1, 5), age_s=st.integers(0, 99))
    def see_again(self, choice: int, seed: int, pictures: int, age_s: int) -> None:
        person = drawn_person(self.pick(choice), seed, pictures, MONDAY - age_s)
        assert self.gallery.save([person]) == []
        self.people[person.number] = person

    @precondition(lambda self: self.people)
    @rule(first=ANY, second=ANY)
    def merge(self, first: int, second: int) -> None:
        kept, merged = self.root(self.pick(first)), self.root(self.pick(second))
        assert self.gallery.merge(self.pick(first), self.pick(second)) == kept
        if kept != merged:
            self.merges.append((kept, merged))

    @precondition(lambda self: self.people)
    @rule(choice=ANY)
    def split(self, choice: int) -> None:
        number = self.pick(choice)
        into = [pair for pair in self.merges if pair[1] == number]
        onto = [pair for pair in self.merges if pair[0] == number]
        if not (into or onto):
            with pytest.raises(ReuniteError, match="was not merged with anybody"):
                self.gallery.split(number)
            return
        undone = self.gallery.split(number)
        assert (undone.kept, undone.merged) == (into or onto)[-1]
        self.merges.remove((undone.kept, undone.merged))

    @precondition(lambda self: self.people)
    @rule(choice=ANY)
    def forget(self, choice: int) -> None:
        number = self.pick(choice)
        gone = self.gallery.forget(number)
        assert gone == self.drop([self.root(number)])

    @rule(age_s=st.integers(80, 99))
    def prune(self, age_s: int) -> None:
        gone = self.gallery.prune(MONDAY - age_s)
        old = [root for root, them in self.groups().items() if self.last_seen(them) < MONDAY - age_s]
        assert gone == self.drop(old)

    @rule()
    def reopen(self) -> None:
        self.gallery.close()
        self.gallery = self.opened()

    @invariant()
    def gallery_equals_dict(self) -> None:
        groups = self.groups()
        people = self.gallery.people()
        assert {it.number: sorted((it.number, *it.also)) for it in people} == groups
        for person in people:
            parts = [self.people[number] for number in groups[person.number]]
            assert person.seen.last_seen == self.last_seen(groups[person.number])
            assert person.presence.keys() == {camera for part in parts for camera in part.presence}
            assert person.pictures == sum(len(part.pictures) for part in parts)
            assert person.seen.sightings == sum(
                it.sightings for part in parts for it in part.presence.values()
            )
        for number, record in self.people.items():
            assert content(self.gallery.person(number)) == content(record)
        counts = dict(zip(*np.unique(self.gallery.appearances().numbers, return_counts=True), strict=True))
        assert counts == {it.number: it.pictures for it in people}


TestAnySequenceOfChanges: Any = AnySequenceOfChanges.TestCase
TestAnySequenceOfChanges.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_the_lock_is_never_held_twice_though_its_file_comes_and_goes(tmp_path: Path) -> None:
    holders, most, turns = [0], [0], [0]

    def take_turns() -> None:
        while turns[0] < 300:
            try:
                lock = WriterLock(tmp_path / "gallery.sqlite")
            except GalleryBusyError:
                continue
            holders[0] += 1
            most[0] = max(most[0], holders[0])
            turns[0] += 1
            time.sleep(0)
            holders[0] -= 1
            lock.release()

    with ThreadPoolExecutor(4) as threads:
        for turn in [threads.submit(take_turns) for _ in range(4)]:
            turn.result()
    assert most == [1]
    assert list(tmp_path.iterdir()) == []


def test_what_was_reported_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    random = np.random.default_rng(0)
    saved, forgotten, merges = set[int](), set[int](), set[tuple[int, ...]]()
    for seed in range(10):
        lines = lines_until_killed(path, seed, int(random.integers(1, 20)), random.uniform(0, 0.05))
        with Gallery(path) as gallery:
            assert gallery._database._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            there = {number for group in numbers_of(gallery.people()) for number in group}
            made = {(merge.kept, merge.merged) for merge in gallery.merges()}
            word, what, *last = lines[-1]
            if word == "do":  # killed between the change and its report: it happened or it did not
                happened = {
                    "save": int(last[0]) in there,
                    "merge": tuple(map(int, last)) in made,
                    "forget": int(last[0]) not in there,
                }
                lines += [["did", what, *last]] if happened[what] else []
            for word, what, *rest in lines:
                numbers = tuple(map(int, rest))
                if word == "did":
                    saved |= set(numbers if what == "save" else ())
                    merges |= {numbers} if what == "merge" else set()
                    forgotten |= set(numbers if what == "forget" else ())
            assert there == saved - forgotten
            assert made == {pair for pair in merges if not forgotten & set(pair)}
            for number in there:
                assert content(gallery.person(number)) == content(drawn_person(number))
                assert gallery.thumbnails(number) == drawn_thumbnails(drawn_person(number))
    assert len(saved) > 20
    assert forgotten
    assert merges
    with GalleryWriter(path, NETWORK) as run:  # the lock of the dead holds nobody back
        raw = bytes_beside(path)
        for person in map(drawn_person, forgotten):
            assert traces(person, drawn_thumbnails(person), raw) == []
        assert run.reserve(1)[0] > max(saved)


def lines_until_killed(path: Path, seed: int, count: int, more_s: float) -> list[list[str]]:
    """Let a program fill the gallery, kill it some time after so many lines, give all that it said."""
    command = [sys.executable, "-m", "tests.galleries", str(path), str(seed)]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        time.sleep(more_s)
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("content", [b"", b"letters of the king", b"123"])
def test_a_lock_is_never_written_through_a_link(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letters").write_bytes(content)
    (tmp_path / "gallery.sqlite.lock").symlink_to(tmp_path / "letters")
    with pytest.raises(ReuniteError, match=r"gallery\.sqlite\.lock: is a link"):
        WriterLock(tmp_path / "gallery.sqlite")
    assert (tmp_path / "letters").read_bytes() == content
    assert (tmp_path / "gallery.sqlite.lock").is_symlink()


def test_a_lock_never_takes_the_place_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "gallery.sqlite.lock").write_bytes(b"letters of the king")
    with pytest.raises(ReuniteError, match="holds something else"):
        WriterLock(tmp_path / "gallery.sqlite")
    assert (tmp_path / "gallery.sqlite.lock").read_bytes() == b"letters of the king"


def test_a_lock_that_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "gallery.sqlite.lock").write_bytes(b"123456")
    lock = WriterLock(tmp_path / "gallery.sqlite")
    assert (tmp_path / "gallery.sqlite.lock").read_text() == str(os.getpid())
    lock.release()
    assert not (tmp_path / "gallery.sqlite.lock").exists()
