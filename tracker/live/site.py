"""What a site keeps: one folder, and in it one SQLite file that the tracker and the server both use."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import ReuniteError
from foundation.sqlite import writing
from tracker.config import OutputConfig
from tracker.recording.gallery import OWN_GALLERY
from tracker.types import CameraName

VERSION = 2
"""Of the tables below."""

WAIT_S = 10.0
"""How long a program waits while another one writes."""

TABLES = """
CREATE TABLE camera (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, address TEXT NOT NULL);
CREATE TABLE user (name TEXT PRIMARY KEY, password TEXT NOT NULL, role TEXT NOT NULL, cameras TEXT);
CREATE TABLE session (token BLOB PRIMARY KEY, user TEXT REFERENCES user ON DELETE CASCADE,
    expires REAL NOT NULL);
CREATE TABLE one_time (token BLOB PRIMARY KEY, expires REAL NOT NULL);
CREATE TABLE token (id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE, name TEXT NOT NULL,
    role TEXT NOT NULL, cameras TEXT, created REAL NOT NULL);
CREATE TABLE person_name (person INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE zone (id INTEGER PRIMARY KEY AUTOINCREMENT, camera INTEGER NOT NULL REFERENCES camera,
    kind TEXT NOT NULL, name TEXT NOT NULL, points TEXT NOT NULL);
CREATE TABLE watch (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER UNIQUE,
    note TEXT NOT NULL, created REAL NOT NULL, name TEXT NOT NULL DEFAULT '', network TEXT, embedding BLOB);
CREATE TABLE correction (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, person INTEGER NOT NULL,
    other INTEGER, detail TEXT NOT NULL, time REAL NOT NULL, user TEXT NOT NULL, undone REAL, due REAL,
    done REAL);
CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, user TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
"""Times are Unix time in seconds. Tokens are SHA-256 of what the user holds. ``cameras`` is a JSON list of
ids, or NULL for all. A camera that is not in the run keeps its row: its id is never another camera's.
``watch.person`` is NULL while there is only a photo; ``embedding`` (float32) is what ``network`` made of
it."""

MIGRATIONS = {
    1: """
ALTER TABLE watch RENAME TO old;
CREATE TABLE watch (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER UNIQUE,
    note TEXT NOT NULL, created REAL NOT NULL, name TEXT NOT NULL DEFAULT '', network TEXT, embedding BLOB);
INSERT INTO watch (id, person, note, created) SELECT id, person, note, created FROM old;
DROP TABLE old
"""
}
"""What makes a file of an older version one of the next."""

PRIVACY: dict[str, Any] = {
    "blur": "none",
    "but": None,
    "pictures": True,
    "thumbnails": True,
    "retention_days": None,
}
"""Unless the run is set otherwise, or it was changed."""


@dataclass(frozen=True, slots=True)
class SiteCamera:
    """A camera of a site.

    Attributes:
        id: Never given to another camera.
        name: Unique.
        address: Without its password.
    """

    id: int
    name: str
    address: str

    @property
    def key(self) -> str:
        """The id as the API writes it."""
        return f"c{self.id}"


class Site:
    """The folder of a site and its database; every thread has a connection of its own.

    Args:
        folder: Made if it is not there.
        run: The folder of a finished run that is looked at; None: the site is tracked.

    Raises:
        ReuniteError: It cannot be written, or is another version's.
    """

    def __init__(self, folder: Path, run: Path | None = None) -> None:
        self.folder, self.run = folder, run
        self._path = folder / "site.sqlite"
        self._local = threading.local()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # who may look at people is for the server to say
            with self._writing_version() as version:
                if version not in (0, *MIGRATIONS, VERSION):
                    raise ReuniteError(
                        f"{self._path}: is of version {version}, this program knows version {VERSION}; "
                        "open it with the program that wrote it, or name another folder: --site FOLDER"
                    )
        except OSError as error:
            raise ReuniteError(
                f"{folder}: cannot be written ({error.strerror}); name another folder: --site FOLDER"
            ) from None
        except sqlite3.Error as error:
            raise ReuniteError(
                f"{self._path}: cannot be used ({error}); put a copy of it back, or name another folder: "
                "--site FOLDER"
            ) from None

    @property
    def gallery(self) -> Path:
        """Where the people are remembered."""
        return self.run / OWN_GALLERY if self.run else self.folder / "people.sqlite"

    @property
    def config(self) -> Path:
        """What the run is set to, without passwords."""
        return (self.run or self.folder) / "config.yaml"

    @property
    def added(self) -> Path:
        """The cameras that were added in the browser, as a list of sources; it holds their passwords."""
        return self.folder / "added.streams"

    @property
    def events(self) -> Path:
        """The log of events."""
        return self.folder / "events.sqlite"

    @property
    def connection(self) -> sqlite3.Connection:
        """That of this thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            self._local.connection = connection
        return connection

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction: all of it, or after an error nothing."""
        return writing(self.connection)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query; None where there is none."""
        found: sqlite3.Row | None = self.connection.execute(query, values).fetchone()
        return found

    # Cameras

    def cameras(self) -> list[SiteCamera]:
        """All that ever were, in the order in which they came."""
        return [SiteCamera(*row) for row in self.rows("SELECT id, name, address FROM camera ORDER BY id")]

    def know_cameras(self, addresses: Mapping[CameraName, str]) -> None:
        """These are the cameras of a run, by name; those that have been there before keep their ids."""
        with self.writing() as connection:
            connection.executemany(
                "INSERT INTO camera (name, address) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET address = excluded.address",
                list(addresses.items()),
            )

    # Names, settings, audit

    def names(self) -> dict[int, str]:
        """The names that people were given."""
        return dict(map(tuple, self.rows("SELECT person, name FROM person_name")))

    def hidden(self) -> frozenset[int]:
        """Those who are to be forgotten soon: nobody is shown them any more."""
        rows = self.rows(
            "SELECT person FROM correction WHERE kind = 'forget' AND undone IS NULL AND done IS NULL"
        )
        return frozenset(row["person"] for row in rows)

    def setting(self, key: str, default: Any) -> Any:
        """What was stored under a key."""
        row = self.row("SELECT value FROM setting WHERE key = ?", (key,))
        return default if row is None else json.loads(row["value"])

    def privacy(self) -> dict[str, Any]:
        """What may be shown of people, as somebody said last, or else as the run is set; see `PRIVACY`."""
        return {**PRIVACY, **self.setting("blur", {}), **self.setting("privacy", {})}

    def begin_with(self, output: OutputConfig) -> None:
        """Blur whom the run is set to blur, unless somebody says otherwise in the browser."""
        self.set("blur", {"blur": output.blur, "but": output.blur_but})

    def set(self, key: str, value: Any) -> None:
        """Store a value that JSON can hold."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, json.dumps(value)))

    def note(self, user: str, action: str, target: str = "") -> None:
        """Write down who did what; the audit log."""
        with self.writing() as connection:
            connection.execute(
                "INSERT INTO audit (time, user, action, target) VALUES (?, ?, ?, ?)",
                (time.time(), user, action, target),
            )

    @contextmanager
    def _writing_version(self) -> Iterator[int]:
        with self.writing() as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            yield version
            for step in [TABLES] if not version else [MIGRATIONS[it] for it in range(version, VERSION)]:
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
