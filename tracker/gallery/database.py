"""The SQLite file under a gallery: opening it, its tables, and its errors as sentences."""

import os.path
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.errors import ReuniteError
from foundation.sqlite import leave, writing
from tracker.types import Network

APPLICATION = 0x5245554E
"""Stands in the head of every gallery: the letters REUN."""
VERSION = 2
"""Of the tables below."""

TABLES = """
CREATE TABLE gallery (network TEXT NOT NULL, fingerprint TEXT NOT NULL, dimension INTEGER NOT NULL,
    needs_cleaning INTEGER NOT NULL DEFAULT 0, last_run TEXT NOT NULL DEFAULT '');
CREATE TABLE person (number INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE presence (person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE, camera TEXT NOT NULL,
    first_seen REAL NOT NULL, last_seen REAL NOT NULL, sightings INTEGER NOT NULL,
    PRIMARY KEY (person, camera)) WITHOUT ROWID;
CREATE TABLE picture (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    camera TEXT NOT NULL, time REAL NOT NULL, embedding BLOB NOT NULL, UNIQUE (person, camera, time));
CREATE TABLE thumbnail (picture INTEGER PRIMARY KEY REFERENCES picture ON DELETE CASCADE,
    jpeg BLOB NOT NULL);
CREATE TABLE merge (step INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL,
    kept INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    merged INTEGER NOT NULL UNIQUE REFERENCES person ON DELETE CASCADE)
"""
"""A person without a row in ``presence`` is a number that was reserved and not used yet. Times are Unix time
in seconds. ``last_run`` names the run that saved last. ``embedding`` is D half floats, little-endian.
Thumbnails stand apart so that reading the embeddings does not read past them."""


SETTINGS = (
    "synchronous = EXTRA",  # what was reported as saved outlives a power cut too
    "secure_delete = ON",
    "foreign_keys = ON",
)


class RowError(TypeError):
    """A row holds what no gallery writes: the file is damaged."""


class GalleryBusyError(ReuniteError):
    """Another program holds the file; trying again later may help."""


BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
NO_GALLERY = "is no gallery; name a gallery, or a file that is not there yet"
DAMAGED = "is damaged ({error}); put a copy of it back, or save what can be read with: reunite gallery repair"
SENTENCES = {
    **dict.fromkeys(
        BUSY, "another program was using it for more than {wait_s:g} s; wait until it is done, or end it"
    ),
    sqlite3.SQLITE_FULL: "cannot be written ({error}); nothing that was saved is lost: make room, then try "
    "again",
    sqlite3.SQLITE_IOERR: "the disk does not read or write it ({error}); see whether it is full or failing, "
    "then try again",
    sqlite3.SQLITE_NOTADB: NO_GALLERY,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_READONLY: "may only be read; give yourself the right to write it, or work on a copy",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; are the file and its folder there, and may you read and "
    "write them?",
}
"""What a user can do about it, by SQLite's primary result code."""


class Database:
    """One connection to a gallery file.

    A rollback journal, not a write-ahead log: between two commits everything is in the one file, so it can be
    copied, moved, and kept where nobody may write, and nothing of a person who was forgotten waits in a log.

    Args:
        path: The file.
        new: The network of a gallery that is to be made if the file is missing or empty; None: it must exist.
        wait_s: Seconds to wait while another program writes.

    Raises:
        GalleryBusyError: Another program held it for longer.
        ReuniteError: The file is missing, damaged, no gallery, or of another version.
    """

    def __init__(self, path: Path, new: Network | None, wait_s: float) -> None:
        self._path, self._wait_s = path, wait_s
        if new is None and not os.path.exists(path):
            raise ReuniteError(f"{path}: no such gallery; name one that a run has written: --gallery PATH")
        if path.is_dir():
            raise ReuniteError(
                f"{path}: is a folder, not a gallery; a run's own is {path / 'gallery.sqlite'}"
            )
        address = f"{path.absolute().as_uri()}?mode={'rwc' if new else 'rw'}"
        with self._sentences():
            # One thread at a time, but not always the same: a run may save from another one.
            self._connection = sqlite3.connect(
                address, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False
            )
        try:
            with self._sentences():
                for setting in SETTINGS:
                    self._connection.execute(f"PRAGMA {setting}")
                if new and not path.stat().st_size:
                    self._create(new)
                self._check()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    @property
    def network(self) -> Network:
        """Which network made the embeddings."""
        with self.reading() as connection:
            row = connection.execute("SELECT network, fingerprint, dimension FROM gallery").fetchone()
            if tuple(map(type, row)) != (str, str, int):
                raise RowError
            return Network(*row)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See the file as it is at one moment."""
        with self._sentences():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            except ValueError as error:  # of a value that no gallery holds
                raise self._damaged(error) from error
            finally:
                leave(self._connection, "COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Change the file: all of it or, after any error or cut, nothing; on disk when it ends."""
        with self._sentences(), writing(self._connection):
            yield self._connection

    def clean(self) -> None:
        """Write the file anew, if people were deleted since the last time.

        Deleted rows are overwritten with zeros, but when rows move from one page to another SQLite leaves a
        copy in the unused part of the old page. Only a file that is written anew is free of them.
        """
        with self._sentences():
            if self._connection.execute("SELECT needs_cleaning FROM gallery").fetchone()[0]:
                self._connection.execute("VACUUM")
                self._connection.execute("UPDATE gallery SET needs_cleaning = 0")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _create(self, network: Network) -> None:
        with self.writing() as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
            for table in TABLES.split(";"):
                connection.execute(table)
            connection.execute(
                "INSERT INTO gallery (network, fingerprint, dimension) VALUES (?, ?, ?)",
                (network.name, network.fingerprint, network.dimension),
            )

    def _check(self) -> None:
        """See that the file is a whole gallery of this version; nothing is changed in one that is not."""
        with self.reading():  # which also sees to what a crash left half done
            if not self._path.stat().st_size:
                raise ReuniteError(f"{self._path}: is empty; no run has saved anybody in it yet")
            if not self._pragma("page_count"):  # less than SQLite's head, which it takes for nothing
                raise ReuniteError(f"{self._path}: {NO_GALLERY}")
            if self._pragma("application_id") != APPLICATION:
                raise ReuniteError(
                    f"{self._path}: is an SQLite file, but no gallery; name a gallery, or a file that is not "
                    "there yet"
                )
            version = self._pragma("user_version")
            if version != VERSION:
                raise ReuniteError(
                    f"{self._path}: is a gallery of version {version}, this program knows version {VERSION}; "
                    "open it with the program that wrote it, or start a new gallery under another name"
                )
        # As it was made, unless another program changed it to a write-ahead log.
        self._connection.execute("PRAGMA journal_mode = DELETE")
        with self.reading():
            should_have = self._pragma("page_count") * self._pragma("page_size")
            have = self._path.stat().st_size
            if have < should_have:
                raise ReuniteError(
                    f"{self._path}: is cut off: {have} bytes of {should_have}; put a copy of it back, or "
                    "save what can be read with: reunite gallery repair"
                )

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, and those of values that no gallery holds: the file is damaged."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            if code == sqlite3.SQLITE_READONLY_DBMOVED:
                what = "was moved or deleted while it was open; put it back, or start again"
            else:
                what = SENTENCES.get(code & 0xFF, "").format(error=error, wait_s=self._wait_s)
            what = what or DAMAGED.format(error=error)
            kind = GalleryBusyError if code & 0xFF in BUSY else ReuniteError
            raise kind(f"{self._path}: {what}") from error
        except (ArithmeticError, LookupError, TypeError, UnicodeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> ReuniteError:
        return ReuniteError(f"{self._path}: {DAMAGED.format(error=type(error).__name__)}")
