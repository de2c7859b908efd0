"""A damaged gallery: what is wrong with it, and a new one with all that can still be read.

Rows are read one by one, past pages that cannot be read, and each is judged by what a gallery takes. The
damaged file is never changed.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from foundation.errors import ReuniteError
from tracker.gallery.database import APPLICATION, BUSY, SENTENCES, VERSION, Database, GalleryBusyError
from tracker.gallery.people import LATEST, Presence
from tracker.gallery.store import STORED, WAIT_S
from tracker.types import Network

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises of damaged pages; of damaged names of tables its own sentence cannot be decoded."""
LAST_ROW = 2**63 - 1
CAMERA = "CASE typeof(camera) WHEN 'text' THEN camera END"
"""A camera's name; text and blobs are bytes alike once they are read."""
MAX_SAID = 3
"""Sentences of SQLite about damaged pages that are passed on."""

Row = tuple[Any, ...]


@dataclass(slots=True)
class Findings:
    """What was read of a gallery.

    Attributes:
        network: Which network made its embeddings; None where it does not say.
        people, pictures, thumbnails, merges: How many are sound. A person is, who has a picture.
        problems: What is wrong, a sentence each; none of a sound gallery.
    """

    network: Network | None = None
    people: int = 0
    pictures: int = 0
    thumbnails: int = 0
    merges: int = 0
    problems: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """What there is, in a line."""
        return (
            f"people: {self.people}; pictures: {self.pictures}; thumbnails: {self.thumbnails}; "
            f"merges: {self.merges}"
        )


def check_gallery(path: Path) -> Findings:
    """Say what is wrong with a gallery; the file is read, never changed.

    Raises:
        ReuniteError: There is no such file, or it cannot be read at all.
    """
    with TemporaryDirectory(prefix="reunite-gallery-") as folder:
        return _best(path, Path(folder))[0]


def repair_gallery(path: Path, target: Path, network: Network | None = None) -> Findings:
    """Write a new gallery with all that can be read; those who were remembered keep their numbers.

    Args:
        path: The damaged file, which stays as it is.
        target: A file that is not there yet.
        network: Which one made its embeddings, for a gallery that does not say so any more.

    Returns:
        What was saved, and what was wrong with the rest.

    Raises:
        ReuniteError: The target is there, nothing can be saved, or the new file cannot be written.
    """
    if target.exists():
        raise ReuniteError(f"{target}: is there already; name a file that is not there yet: --to PATH")
    with TemporaryDirectory(prefix="reunite-gallery-") as folder:
        findings, copy = _best(path, Path(folder), network)
        if findings.network is None or not findings.people:
            reason = "; ".join(findings.problems) or "nobody is remembered in it"
            if findings.network is None:
                reason += "; name another gallery of the same network, such as that of a run: --like PATH"
            raise ReuniteError(f"{path}: nothing can be saved of it: {reason}")
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        try:
            with closing(_open(copy)) as damaged, closing(Database(part, findings.network, WAIT_S)) as new:
                with new.writing() as connection:
                    connection.execute("PRAGMA defer_foreign_keys = ON")
                    Reader(damaged, network).read(connection)
                new.close()
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    return findings


def _best(path: Path, folder: Path, network: Network | None = None) -> tuple[Findings, Path]:
    """The copy of the file in which most can be read: as it is, or with the first page of a sound gallery."""
    if not path.is_file():
        raise ReuniteError(f"{path}: no such gallery; name one that a run has written: --gallery PATH")
    as_it_is, with_head = folder / "as-it-is.sqlite", folder / "with-head.sqlite"
    try:
        _copy(path, as_it_is)
        first = _look(as_it_is, network)
        if not first.problems:
            return first, as_it_is
        shutil.copyfile(as_it_is, with_head)
        _replace_head(with_head, folder / "sound.sqlite")
    except OSError as error:
        raise ReuniteError(f"{path}: cannot be read: {error.strerror}") from None
    second = _look(with_head, network)
    if second.network is None or (first.network is not None and first.pictures >= second.pictures):
        return first, as_it_is
    second.problems[:] = dict.fromkeys([*first.problems[:MAX_SAID], *second.problems])
    return second, with_head


def _copy(path: Path, copy: Path) -> None:
    """Copy a gallery while nobody writes it, and end in the copy what a program that was killed had begun."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_S)) as lock:
        try:
            lock.execute("BEGIN")
            lock.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except UNREADABLE as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY:
                raise GalleryBusyError(
                    f"{path}: {SENTENCES[sqlite3.SQLITE_BUSY].format(wait_s=WAIT_S)}"
                ) from None
            # It is damaged, or a program was killed while it wrote: nobody else holds it.
        shutil.copyfile(path, copy)
        with suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(f"{path.name}-journal"), copy.with_name(f"{copy.name}-journal"))


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = bytes  # text that is damaged is judged, not an error of its page
    return connection


def _replace_head(path: Path, sound: Path) -> None:
    """Put the first page of a new gallery in the place of this one's: in all of them the tables lie alike."""
    Database(sound, Network("", "", 1), WAIT_S).close()
    page_size = _page_size(sound)
    head = bytearray(sound.read_bytes()[:page_size])
    head[28:32] = bytes(4)  # no number of pages: SQLite takes it from the length of the file
    with path.open("r+b") as file:
        file.write(head)


def _page_size(path: Path) -> int:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:])
    return 65536 if size == 1 else size


def _look(path: Path, network: Network | None) -> Findings:
    with path.open("rb") as file:
        pages = int.from_bytes(file.read(32)[28:])
    with closing(_open(path)) as connection:
        reader = Reader(connection, network)
        reader.read()
        said: list[str] = []
        have, should_have = path.stat().st_size, pages * _page_size(path)
        if have < should_have:
            said.append(f"it is cut off: {have} bytes of {should_have}")
        try:
            rows = connection.execute(f"PRAGMA integrity_check({MAX_SAID})").fetchall()
            texts = [" ".join(row[0].decode("utf-8", "replace").split()) for row in rows]
            said += [f"its pages are damaged: {text}" for text in texts if text != "ok"]
        except UNREADABLE as error:
            said.append(f"its pages are damaged: {error}")
        said += _unlike_ours(connection)
    reader.findings.problems[:0] = said
    return reader.findings


def _unlike_ours(connection: sqlite3.Connection) -> Iterator[str]:
    for pragma, ours in (("application_id", APPLICATION), ("user_version", VERSION)):
        with suppress(*UNREADABLE):
            (have,) = connection.execute(f"PRAGMA {pragma}").fetchone()
            if have != ours:
                yield f"its {pragma.replace('_', ' ')} is {have}, that of a gallery {ours}"


class Reader:
    """Reads all rows of a gallery that can be read, judges them, and copies the sound ones.

    Attributes:
        findings: What there is.
    """

    def __init__(self, connection: sqlite3.Connection, network: Network | None) -> None:
        self._told = network
        self.findings = Findings()
        self._connection = connection
        self._wrong = Counter[str]()
        self._damaged: set[str] = set()

    def read(self, new: sqlite3.Connection | None = None) -> None:
        """Read everything; ``new`` is a gallery without people that takes it in."""
        findings = self.findings
        findings.network = self._network()
        if findings.network is not None:
            numbers, last = self._numbers()
            seen = self._read_pictures(new, findings.network, numbers)
            self._read_presence(new, seen)
            # Those who were forgotten too: a number is never given again.
            for number in sorted(numbers | {*seen, last}):
                self._write(new, "INSERT INTO person (number) VALUES (?)", (number,))
            if last not in numbers and last not in seen:
                self._write(new, "DELETE FROM person WHERE number = ?", (last,))
            merged_into = self._read_merges(new, numbers | {*seen})
            findings.people = len({_survivor(number, merged_into) for number in seen})
        findings.problems += [f"{count} {what}" for what, count in self._wrong.items()]

    @staticmethod
    def _write(new: sqlite3.Connection | None, statement: str, row: Row) -> None:
        if new is not None:
            new.execute(statement, row)

    def _network(self) -> Network | None:
        for _, name, fingerprint, dimension in self._rows("gallery", "network, fingerprint, dimension"):
            with suppress(AttributeError, UnicodeDecodeError):
                network = Network(name.decode(), fingerprint.decode(), dimension)
                if isinstance(dimension, int) and 0 < dimension < LAST_ROW and fingerprint:
                    return network
        self.findings.problems.append("it does not say which network made its embeddings")
        return self._told

    def _numbers(self) -> tuple[set[int], int]:
        """The numbers of the people who are remembered, and the last that was ever given."""
        numbers = {number for number, _ in self._rows("person", "number") if number > 0}
        last = max(numbers, default=1)
        with suppress(*UNREADABLE):
            for (given,) in self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'person'"):
                last = max(last, given) if isinstance(given, int) and given < LAST_ROW else last
        return numbers, last

    def _read_pictures(
        self, new: sqlite3.Connection | None, network: Network, numbers: set[int]
    ) -> dict[int, dict[str, list[float]]]:
        """Copy pictures and their thumbnails; of each person and camera, when there are pictures."""
        seen: dict[int, dict[str, list[float]]] = {}
        sound: set[int] = set()
        columns = f"person, {CAMERA}, time, embedding"
        for row, person, camera, time, embedding in self._rows("picture", columns):
            name = _text(camera)
            if not isinstance(person, int) or person < 1 or name is None or not _is_time(time):
                self._wrong["pictures of no person, camera or time"] += 1
            elif person not in numbers and "person" not in self._damaged:
                self._wrong["pictures of a person who is not there"] += 1
            elif not _is_embedding(embedding, network.dimension):
                self._wrong["pictures whose embedding has another length, or is none"] += 1
            elif time in seen.get(person, {}).get(name, []):
                self._wrong["pictures that are there twice"] += 1
            else:
                seen.setdefault(person, {}).setdefault(name, []).append(time)
                sound.add(row)
                self._write(
                    new,
                    "INSERT INTO picture (id, person, camera, time, embedding) VALUES (?, ?, ?, ?, ?)",
                    (row, person, name, time, embedding),
                )
        self.findings.pictures = len(sound)
        for row, jpeg in self._rows("thumbnail", "jpeg"):
            if row in sound and isinstance(jpeg, bytes) and jpeg:
                self.findings.thumbnails += 1
                self._write(new, "INSERT INTO thumbnail (picture, jpeg) VALUES (?, ?)", (row, jpeg))
            else:
                self._wrong["thumbnails without a picture"] += 1
        return seen

    def _read_presence(self, new: sqlite3.Connection | None, seen: dict[int, dict[str, list[float]]]) -> None:
        """Copy when people were seen; where that is lost, the times of their pictures stand for it."""
        written: set[tuple[int, str]] = set()
        without_picture: set[int] = set()
        for person, camera, first, last, sightings in self._presence_rows(seen):
            name = _text(camera)
            try:
                presence = Presence(first, last, sightings)
            except (TypeError, ValueError):
                self._wrong["times of people that are none"] += 1
                continue
            if name is None or not isinstance(person, int) or not isinstance(sightings, int):
                self._wrong["times of people that are none"] += 1
            elif person not in seen:
                without_picture.add(person)
            elif (person, name) not in written:
                written.add((person, name))
                self._write_presence(new, person, name, presence)
        self._wrong["people without a picture"] += len(without_picture)
        for person, cameras in seen.items():
            if not any((person, name) in written for name in cameras):
                self._wrong["people of whom only the times of their pictures are known"] += 1
            for name, times in cameras.items():
                if (person, name) not in written:
                    self._write_presence(new, person, name, Presence(min(times), max(times), len(times)))
        self._wrong += Counter()  # without what is 0

    def _write_presence(self, new: sqlite3.Connection | None, person: int, name: str, seen: Presence) -> None:
        self._write(
            new,
            "INSERT INTO presence (person, camera, first_seen, last_seen, sightings) VALUES (?, ?, ?, ?, ?)",
            (person, name, seen.first_seen, seen.last_seen, seen.sightings),
        )

    def _read_merges(self, new: sqlite3.Connection | None, numbers: set[int]) -> dict[int, int]:
        merged_into: dict[int, int] = {}
        for step, time, kept, merged in self._rows("merge", "time, kept, merged"):
            is_known = kept in numbers and merged in numbers and isinstance(time, float)
            if is_known and merged not in merged_into and _survivor(kept, merged_into) != merged:
                merged_into[merged] = kept
                self.findings.merges += 1
                self._write(
                    new,
                    "INSERT INTO merge (step, time, kept, merged) VALUES (?, ?, ?, ?)",
                    (step, time, kept, merged),
                )
            else:
                self._wrong["merges of people who are not there, or in a circle"] += 1

        return merged_into

    def _presence_rows(self, seen: dict[int, Any]) -> Iterator[Row]:
        """The rows of a table that has no row numbers; where it is damaged, those of each person."""
        columns = f"SELECT person, {CAMERA}, first_seen, last_seen, sightings FROM presence"
        try:
            yield from self._connection.execute(columns).fetchall()
        except UNREADABLE:
            for person in seen:
                with suppress(*UNREADABLE):
                    yield from self._connection.execute(f"{columns} WHERE person = ?", (person,)).fetchall()

    def _rows(self, table: str, columns: str) -> Iterator[Row]:
        """Row number and columns of every row that can be read, past damaged pages."""
        after, step = -1, 1
        query = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid"
        before = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? AND rowid < ? ORDER BY rowid DESC"
        while after < LAST_ROW:
            try:
                for row in self._connection.execute(query, (after + step - 1,)):
                    if step > 1:  # what lies between the damage and here
                        with suppress(*UNREADABLE):
                            yield from self._connection.execute(before, (after, row[0]))
                    after, step = row[0], 1
                    yield row
                if step > 1:
                    with suppress(*UNREADABLE):
                        yield from self._connection.execute(before, (after, LAST_ROW))
                break
            except UNREADABLE:
                if table not in self._damaged:
                    self._damaged.add(table)
                    self._wrong[f"table that cannot be read whole: {table}"] += 1
                step *= 2
                if after + step > LAST_ROW:
                    break


def _survivor(number: int, merged_into: Mapping[int, int]) -> int:
    while number in merged_into:
        number = merged_into[number]
    return number


def _text(camera: Any) -> str | None:
    try:
        return camera.decode() if isinstance(camera, bytes) and camera else None
    except UnicodeDecodeError:
        return None


def _is_time(time: Any) -> bool:
    return isinstance(time, int | float) and 0 <= time <= LATEST


def _is_embedding(embedding: Any, dimension: int) -> bool:
    """Whether a blob is a vector of length 1, as `Pictures` has it."""
    if not isinstance(embedding, bytes) or len(embedding) != dimension * STORED.itemsize:
        return False
    vector = np.frombuffer(embedding, STORED).astype(np.float64)
    return bool(np.isfinite(vector).all() and abs(np.linalg.norm(vector) - 1) < 0.01)
