"""The run that adds people to a gallery: one at a time."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from foundation.arrays import check_shape
from foundation.errors import ReuniteError
from tracker.gallery.database import Database, GalleryBusyError
from tracker.gallery.people import Person, PictureKey
from tracker.gallery.store import STORED, WAIT_S, Gallery
from tracker.types import Network

MAX_DIGITS = 21
"""Of a process number, and one more."""


class WriterLock:
    """Lets one run at a time write a gallery; ends with the process, however that ends.

    It is a file beside the gallery, because a lock on the gallery itself that lasts for a whole run would
    keep readers out too.

    Raises:
        GalleryBusyError: Another run has it.
        ReuniteError: The file cannot be made.
    """

    def __init__(self, gallery: Path) -> None:
        self._path = gallery.resolve().with_name(gallery.resolve().name + ".lock")
        while True:
            try:
                # Never through a link: what it leads to is not ours to overwrite.
                number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
                self._file = os.fdopen(number, "r+b", buffering=0)
            except OSError as error:
                if self._path.is_symlink():
                    raise ReuniteError(
                        f"{self._path}: is a link, and a lock must be a file of its own; take the link away"
                    ) from None
                raise ReuniteError(
                    f"{gallery}: cannot write beside it ({error.strerror}); is its folder there, and may you "
                    "write in it?"
                ) from None
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine, there = os.fstat(self._file.fileno()), self._path.stat()
            except BlockingIOError:
                self._file.seek(0)
                process = self._file.read(MAX_DIGITS).decode("ascii", "replace")
                self._file.close()
                raise GalleryBusyError(
                    f"{gallery}: another run (process {process or 'unknown'}) is writing it; wait for "
                    "its end, or give this run another gallery"
                ) from None
            except FileNotFoundError:  # its owner was just taking it away
                self._file.close()
                continue
            if os.path.samestat(mine, there):
                break
            self._file.close()
        if not re.fullmatch(rb"\d{0,20}", self._file.read(MAX_DIGITS)):
            self._file.close()
            raise ReuniteError(
                f"{self._path}: is where the lock of this gallery must lie, but holds something else; "
                "move it away, or give this run another gallery"
            )
        with suppress(OSError):  # the disk is full; the number only makes a better sentence
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Let the next run write. May be called twice."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()


class GalleryWriter(Gallery):
    """A gallery that a run reads and adds to; made if it is not there. One run at a time.

    Other programs may read it meanwhile, merge, split and forget.

    Args:
        path: The file.
        network: The network that makes the run's embeddings.
        wait_s: Seconds to wait while another program reads or changes it.

    Raises:
        GalleryBusyError: Another run writes it.
        ReuniteError: It is damaged, no gallery, of another version, of another network, or cannot be written.
    """

    def __init__(self, path: Path, network: Network, wait_s: float = WAIT_S) -> None:
        self.path = path
        self._lock = WriterLock(path)
        try:
            self._database = Database(path, network, wait_s)
            self.network = self._checked(network)
            self._database.clean()
            with self._database.writing():
                pass  # a file that may only be read is refused now, not when there is something to save
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Let go of the file, so that another run may write it. May be called twice."""
        super().close()
        self._lock.release()

    @property
    def last_run(self) -> str:
        """The name of the run that saved last; empty if none has."""
        with self._database.reading() as connection:
            return str(connection.execute("SELECT last_run FROM gallery").fetchone()[0])

    @property
    def last_number(self) -> int:
        """The highest number that was ever reserved, 0 if none was."""
        with self._database.reading() as connection:
            return _last_number(connection)

    def reserve(self, count: int) -> range:
        """Numbers for new people, used up from now on whether or not anybody is saved under them.

        A run that keeps them in its checkpoint saves the same people under the same numbers when it is
        resumed.

        Args:
            count: How many, at least 1. Each call is a write to the disk, so ask for some at once.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, got {count}")
        with self._database.writing() as connection:
            connection.executemany("INSERT INTO person DEFAULT VALUES", [()] * count)
            last = _last_number(connection)
        return range(last + 1 - count, last + 1)

    def forgotten(self, numbers: Collection[int]) -> list[int]:
        """Which of these numbers were reserved and are gone, rising."""
        with self._database.reading() as connection:
            there = {number for (number,) in connection.execute("SELECT number FROM person")}
            last = _last_number(connection)
        return sorted(number for number in numbers if number <= last and number not in there)

    def save(
        self,
        people: Collection[Person],
        thumbnails: Mapping[PictureKey, bytes] | None = None,
        withdrawn: Collection[int] = (),
        run: str = "",
    ) -> list[int]:
        """Replace what is remembered under each of these numbers, in one transaction.

        Saving the same twice is saving it once. A picture that is there already keeps its thumbnail.

        Args:
            people: Each with all of its pictures: those in the file that are missing here are deleted.
            thumbnails: JPEG of pictures of these people; other pictures are left out. Nothing is stored that
                is not given.
            withdrawn: Numbers that were saved and turned out to be nobody: nothing is left under them, unless
                somebody merged others into them meanwhile.
            run: Names the run that saves, for `last_run`.

        Returns:
            The numbers that somebody forgot meanwhile. They were not saved; let go of them too.

        Raises:
            ValueError: A number was never reserved, or embeddings are not as long as those of the network.
        """
        given = thumbnails or {}
        gone = []
        with self._database.writing() as connection:
            connection.execute("UPDATE gallery SET last_run = ?", (run,))
            for table in ("presence", "picture"):
                connection.executemany(
                    f"DELETE FROM {table} WHERE person = ? AND person NOT IN (SELECT kept FROM merge)",
                    [(number,) for number in withdrawn],
                )
            last = _last_number(connection)
            for person in people:
                if not 1 <= person.number <= last:
                    raise ValueError(f"person {person.number} was not reserved")
                check_shape(
                    "Person.pictures.embeddings", person.pictures.embeddings, (None, self.network.dimension)
                )
                number = (person.number,)
                if connection.execute("SELECT 1 FROM person WHERE number = ?", number).fetchone() is None:
                    gone.append(person.number)
                else:
                    _save_presence(connection, person)
                    _save_pictures(connection, person, given)
        return gone


def _save_presence(connection: sqlite3.Connection, person: Person) -> None:
    connection.execute("DELETE FROM presence WHERE person = ?", (person.number,))
    connection.executemany(
        "INSERT INTO presence (person, camera, first_seen, last_seen, sightings) VALUES (?, ?, ?, ?, ?)",
        [
            (person.number, camera, seen.first_seen, seen.last_seen, seen.sightings)
            for camera, seen in person.presence.items()
        ],
    )


def _save_pictures(
    connection: sqlite3.Connection, person: Person, thumbnails: Mapping[PictureKey, bytes]
) -> None:
    keys = person.pictures.keys(person.number)
    there = connection.execute("SELECT camera, time FROM picture WHERE person = ?", (person.number,))
    dropped = {PictureKey(person.number, *row) for row in there} - set(keys)
    connection.executemany("DELETE FROM picture WHERE person = ? AND camera = ? AND time = ?", dropped)
    embeddings = person.pictures.embeddings.astype(STORED)
    connection.executemany(
        "INSERT INTO picture (person, camera, time, embedding) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET embedding = excluded.embedding WHERE embedding != excluded.embedding",
        [(*key, row.tobytes()) for key, row in zip(keys, embeddings, strict=True)],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO thumbnail (picture, jpeg) "
        "SELECT id, ? FROM picture WHERE person = ? AND camera = ? AND time = ?",
        [(thumbnails[key], *key) for key in keys if key in thumbnails],
    )


def _last_number(connection: sqlite3.Connection) -> int:
    """The highest number that was ever reserved."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'person'").fetchone()
    return int(row[0]) if row else 0
