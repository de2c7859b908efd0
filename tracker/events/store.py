"""The log of events: one SQLite file that never loses one, and the queue of every carrier."""

import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from foundation.errors import ReuniteError
from foundation.sqlite import writing
from tracker.events.maker import Event

WAIT_S = 30.0
"""How long a program waits while another one writes."""

TABLES = """
CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY, time REAL NOT NULL, type TEXT NOT NULL,
    person INTEGER, camera TEXT, zone INTEGER, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_time ON event (time);
CREATE INDEX IF NOT EXISTS event_person ON event (person, seq);
CREATE TABLE IF NOT EXISTS stay (run TEXT NOT NULL, camera TEXT NOT NULL, track INTEGER NOT NULL,
    person INTEGER, begin REAL NOT NULL, end REAL NOT NULL, PRIMARY KEY (run, camera, track)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stay_person ON stay (person, begin);
CREATE INDEX IF NOT EXISTS stay_end ON stay (end);
CREATE TABLE IF NOT EXISTS place (run TEXT NOT NULL, camera TEXT NOT NULL, track INTEGER NOT NULL,
    time REAL NOT NULL, x REAL NOT NULL, y REAL NOT NULL, PRIMARY KEY (run, camera, track, time))
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS place_time ON place (time);
CREATE TABLE IF NOT EXISTS carrier (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID
"""
"""Times are Unix time in seconds. A stay is a track: when a camera saw whom; a place, in metres, says where
it stood. ``carrier.seq`` is the last event that a carrier has delivered: what comes after it is its queue."""


class Stay(NamedTuple):
    """When a camera saw a track, and who it is as far as it is known."""

    run: str
    camera: str
    track: int
    person: int | None
    begin_s: float
    end_s: float


class Step(NamedTuple):
    """Where a track stood on the ground at a time, in metres, y downwards seen from above."""

    run: str
    camera: str
    track: int
    time_s: float
    x: float
    y: float


class EventStore:
    """Reads and writes the log; every call opens the file, so any thread and process may use it.

    Raises:
        ReuniteError: It cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL; {TABLES}")

    def last_seq(self) -> int:
        """The number of the newest event; 0 where there is none."""
        with self._open() as connection:
            return int(connection.execute("SELECT COALESCE(MAX(seq), 0) FROM event").fetchone()[0])

    def end_s(self) -> float:
        """Until when anybody was seen, Unix time; 0 where nobody was."""
        with self._open() as connection:
            return float(connection.execute("SELECT COALESCE(MAX(end), 0.0) FROM stay").fetchone()[0])

    def add(self, events: Sequence[Event], stays: Sequence[Stay] = (), steps: Sequence[Step] = ()) -> None:
        """Keep events, stays and steps, in one transaction; those that are there already stay as they are."""
        rows = [
            (it["seq"], unix(it["time"]), it["type"], it.get("person"), it.get("camera"), it.get("zone"))
            for it in events
        ]
        bodies = [json.dumps(it, ensure_ascii=False, separators=(",", ":")) for it in events]
        with self._open() as connection, writing(connection):
            connection.executemany(
                "INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*row, body) for row, body in zip(rows, bodies, strict=True)],
            )
            connection.executemany(
                "INSERT INTO stay VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "person = excluded.person, end = excluded.end",
                stays,
            )
            connection.executemany("INSERT OR IGNORE INTO place VALUES (?, ?, ?, ?, ?, ?)", steps)

    def route(self, person: int, begin_s: float, end_s: float, *, limit: int = 5000) -> list[Step]:
        """Where a person stood in this time, the last ``limit`` steps in their order."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT run, camera, track, time, x, y FROM place JOIN stay USING (run, camera, track) "
                "WHERE person = ? AND time BETWEEN ? AND ? ORDER BY time DESC LIMIT ?",
                (person, begin_s, end_s, limit),
            ).fetchall()
            return [Step(*row) for row in reversed(rows)]

    def rename(self, gone: int, kept: int, run: str | None = None) -> None:
        """Two people are one: all stays of the first, or those of one run, are the second's."""
        with self._open() as connection:
            connection.execute(
                "UPDATE stay SET person = ? WHERE person = ? AND run = COALESCE(?, run)", (kept, gone, run)
            )

    def events(
        self, where: str = "1", values: Sequence[Any] = (), *, limit: int = 500, newest_first: bool = False
    ) -> list[Event]:
        """Events that match a condition of ours, in their order."""
        order = "DESC" if newest_first else "ASC"
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT body FROM event WHERE {where} ORDER BY seq {order} LIMIT ?", (*values, limit)
            )
            return [json.loads(row[0]) for row in rows]

    def stays(self, where: str = "1", values: Sequence[Any] = (), *, limit: int = 100_000) -> list[Stay]:
        """Stays that match a condition of ours, by their begin."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT run, camera, track, person, begin, end FROM stay "
                f"WHERE {where} ORDER BY begin LIMIT ?",
                (*values, limit),
            )
            return [Stay(*row) for row in rows]

    def assign(self, stays: Sequence[tuple[str, str, int]], person: int) -> None:
        """These stays, by run, camera and track, are this person."""
        with self._open() as connection:
            connection.executemany(
                "UPDATE stay SET person = ? WHERE run = ? AND camera = ? AND track = ?",
                [(person or None, *stay) for stay in stays],
            )

    def zone_visits(self, zone: int, begin_s: float, end_s: float) -> list[tuple[int, float, float]]:
        """Who was in a zone, and from when to when; whoever is still there until the end."""
        events = self.events(
            "zone = ? AND type IN ('zone.entered', 'zone.left') AND time < ?", (zone, end_s), limit=100_000
        )
        inside: dict[int, float] = {}
        visits = []
        for event in events:
            person, at = event.get("person"), unix(event["time"])
            if person is None:
                continue
            if event["type"] == "zone.entered":
                inside.setdefault(person, at)
            elif person in inside:
                visits.append((person, inside.pop(person), at))
        visits += [(person, at, end_s) for person, at in inside.items()]
        return [it for it in visits if it[2] > begin_s]

    def people(self, where: str = "1", values: Sequence[Any] = ()) -> list[tuple[int, float, float]]:
        """Everybody with first and last sighting over stays that match; who was seen last first."""
        with self._open() as connection:
            return connection.execute(
                f"SELECT person, MIN(begin), MAX(end) FROM stay WHERE person IS NOT NULL AND {where} "
                "GROUP BY person ORDER BY MAX(end) DESC, person DESC",
                tuple(values),
            ).fetchall()

    def transitions(self, camera: str, *, max_absence_s: float = 600.0) -> list[tuple[str, int, float]]:
        """Where people went next who left a camera: name, how often, and after how long in the mean."""
        with self._open() as connection:
            return connection.execute(
                "SELECT after, COUNT(*), AVG(absence) FROM (SELECT camera, "
                "LEAD(camera) OVER person AS after, MAX(LEAD(begin) OVER person - end, 0) AS absence "
                "FROM stay WHERE person IS NOT NULL WINDOW person AS (PARTITION BY person ORDER BY begin)) "
                "WHERE camera = ? AND after != camera AND absence <= ? GROUP BY after ORDER BY 2 DESC",
                (camera, max_absence_s),
            ).fetchall()

    def delivered(self, carrier: str) -> int | None:
        """The last event that a carrier has delivered; None where it is not known here."""
        with self._open() as connection:
            row = connection.execute("SELECT seq FROM carrier WHERE name = ?", (carrier,)).fetchone()
            return None if row is None else int(row[0])

    def deliver(self, carrier: str, seq: int) -> None:
        """A carrier has delivered all up to this event."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO carrier VALUES (?, ?)", (carrier, seq))

    def prune(self, before_s: float) -> None:
        """Leave nothing that is older, but what a carrier has not delivered yet; numbers go on."""
        with self._open() as connection:
            connection.execute(
                "DELETE FROM event WHERE time < ? AND seq < (SELECT MAX(seq) FROM event) "
                "AND seq <= (SELECT COALESCE(MIN(seq), 9e18) FROM carrier)",
                (before_s,),
            )
            connection.execute("DELETE FROM stay WHERE end < ?", (before_s,))
            connection.execute("DELETE FROM place WHERE time < ?", (before_s,))

    def forget(self, person: int) -> None:
        """Leave nothing that names a person."""
        with self._open() as connection, writing(connection):
            connection.execute(
                "DELETE FROM place WHERE (run, camera, track) IN "
                "(SELECT run, camera, track FROM stay WHERE person = ?)",
                (person,),
            )
            connection.execute("UPDATE stay SET person = NULL WHERE person = ?", (person,))
            rows = connection.execute("SELECT seq, body FROM event WHERE person = ?", (person,)).fetchall()
            for seq, body in rows:
                event = json.loads(body)
                told = {name: event[name] for name in ("v", "seq", "time", "type") if name in event}
                kept = json.dumps({**told, "person": None, "forgotten": True}, separators=(",", ":"))
                connection.execute("UPDATE event SET person = NULL, body = ? WHERE seq = ?", (kept, seq))
            rows = connection.execute(
                "SELECT seq, body FROM event WHERE EXISTS (SELECT 1 FROM json_each(body, '$.previous') "
                "WHERE value = :it) OR EXISTS (SELECT 1 FROM json_each(body, '$.alternatives') "
                "WHERE json_extract(value, '$.person') = :it)",
                {"it": person},
            ).fetchall()
            for seq, body in rows:
                event = json.loads(body)
                if "previous" in event:
                    event["previous"] = [it for it in event["previous"] if it != person]
                if "alternatives" in event:
                    event["alternatives"] = [it for it in event["alternatives"] if it["person"] != person]
                kept = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
                connection.execute("UPDATE event SET body = ? WHERE seq = ?", (kept, seq))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                yield connection
        except sqlite3.Error as error:
            raise ReuniteError(
                f"{self.path}: cannot be used ({error}); make room or put a copy of it back, then start again"
            ) from error


class EventWriter:
    """Writes events on a thread of its own, in their order: whoever makes them never waits for the disk.

    Args:
        store: The log.
        problems: Gets a sentence when the log cannot be written; writing is tried again until it can.
    """

    RETRY_S = 1.0

    def __init__(self, store: EventStore, problems: Any = None) -> None:
        self._store, self._problems = store, problems
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def put(self, events: Sequence[Event], stays: Sequence[Stay] = (), steps: Sequence[Step] = ()) -> None:
        """Write these after all before them."""
        if events or stays:
            self._queue.put(partial(self._store.add, events, stays, steps))

    def rename(self, gone: int, kept: int, run: str | None = None) -> None:
        """Two people are one, from here on; None: in all runs."""
        self._queue.put(partial(self._store.rename, gone, kept, run))

    def assign(self, stays: Sequence[tuple[str, str, int]], person: int) -> None:
        """These stays, by run, camera and track, are this person, from here on."""
        self._queue.put(partial(self._store.assign, stays, person))

    def close(self) -> None:
        """Write what is left. May be called twice."""
        self._queue.put(None)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            while True:
                try:
                    work()
                    break
                except ReuniteError as error:
                    if self._problems:
                        self._problems(str(error))
                    if self._stop.wait(self.RETRY_S):
                        return  # the end of the program: waiting longer would keep it alive


def unix(time: str) -> float:
    """Seconds of an ISO 8601 time with zone.

    Raises:
        ValueError: It is none.
    """
    at = datetime.fromisoformat(time)
    if at.tzinfo is None:
        raise ValueError(f"{time!r}: a time needs its zone, such as 2026-11-28T21:15:02+00:00")
    return at.timestamp()
