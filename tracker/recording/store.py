"""Tracklets and events of a live run in one SQLite file: written as it goes on, read by time meanwhile."""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from foundation.arrays import IntArray
from foundation.errors import ReuniteError
from foundation.sqlite import writing
from tracker.identity.table import NOBODY_FROM, UNDECIDED
from tracker.types import CameraName, IdentityEvent, Tracklets

VERSION = 1
READ_ROWS = 4096
"""Rows that are read at once."""

TABLES = """
CREATE TABLE camera (place INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE tracklet (id INTEGER PRIMARY KEY, camera TEXT NOT NULL, track INTEGER NOT NULL,
    identity INTEGER NOT NULL, begin REAL NOT NULL, end REAL NOT NULL, decided REAL, frames INTEGER NOT NULL,
    embeddings INTEGER NOT NULL, UNIQUE (camera, track));
CREATE INDEX tracklet_end ON tracklet (end);
CREATE INDEX tracklet_identity ON tracklet (identity);
CREATE TABLE event (id INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, camera TEXT NOT NULL,
    track INTEGER NOT NULL, identity INTEGER NOT NULL, other INTEGER NOT NULL);
CREATE INDEX event_time ON event (time)
"""
"""Times as `Frame.time`. ``tracklet.identity`` is who it was when it was written last: what merged since is
told by the events. ``camera.place`` is the index that stands in the journal, from 0."""

SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")

COLUMNS = "camera, track, identity, begin, end, decided, frames, embeddings"


class RunStore:
    """The file ``run.sqlite`` of a live run. One run writes it, others may read it meanwhile.

    Args:
        path: The file; made if it is not there and ``cameras`` are given.
        cameras: All cameras of the run that writes; None: only read.

    Raises:
        ReuniteError: It is missing, damaged, or of another version.
    """

    def __init__(self, path: Path, cameras: Sequence[CameraName] | None = None) -> None:
        self._path = path
        self._written: dict[tuple[str, int], tuple[int, float]] = {}
        if cameras is None and not path.exists():
            raise ReuniteError(f"{path}: there is no such file; only live runs have one")
        with self._sentences():
            address = f"{path.absolute().as_uri()}?mode={'ro' if cameras is None else 'rwc'}"
            self._connection = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False, timeout=10.0
            )
            if cameras is not None:
                for setting in SETTINGS:
                    self._connection.execute(f"PRAGMA {setting}")
                if not self._pragma("user_version"):
                    self._create(cameras)
            if self._pragma("user_version") != VERSION:
                raise ReuniteError(
                    f"{path}: is not of version {VERSION}; read it with the program that wrote it"
                )

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._connection.close()

    @property
    def cameras(self) -> list[CameraName]:
        """The cameras of the run, in order."""
        with self._sentences():
            rows = self._connection.execute("SELECT name FROM camera ORDER BY place")
            return [CameraName(name) for (name,) in rows]

    @property
    def num_events(self) -> int:
        """The number of the last event that was written."""
        with self._sentences():
            return int(self._connection.execute("SELECT COALESCE(MAX(id), 0) FROM event").fetchone()[0])

    # Writing

    def add_camera(self, camera: CameraName) -> None:
        """One more, the last."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO camera SELECT COALESCE(MAX(place), -1) + 1, ? FROM camera", (camera,)
            )

    def go_back(self, time_s: float, num_events: int) -> None:
        """The run goes on from a checkpoint of this time: what came later did not happen."""
        with self._writing() as connection:
            connection.execute("DELETE FROM tracklet WHERE begin > ?", (time_s,))
            connection.execute("DELETE FROM event WHERE id > ?", (num_events,))

    def write(self, tracks: Tracklets, folded: Tracklets, events: Iterable[IdentityEvent]) -> None:
        """Write what is new, in one transaction.

        Args:
            tracks: All that the run has at hand; those that changed since the last time are written.
            folded: Those that stand for others: only who they are may have changed.
            events: What was found out since the last time.
        """
        changed, renamed, written = [], [], dict[tuple[str, int], tuple[int, float]]()
        for row in _rows_of(tracks):
            key, told = (row[0], row[1]), (row[2], row[4])
            written[key] = told
            if self._written.get(key) != told:
                changed.append(row)
        for camera, track, identity, _, end, *_ in _rows_of(folded):
            written[camera, track] = identity, end
            if self._written.get((camera, track)) != (identity, end):
                renamed.append((identity, camera, track))
        told_events = [(it.time, it.kind, it.camera, it.track_id, it.identity, it.other) for it in events]
        with self._writing() as connection:
            connection.executemany(
                f"INSERT INTO tracklet ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "identity = excluded.identity, end = excluded.end, decided = excluded.decided, "
                "frames = excluded.frames, embeddings = excluded.embeddings",
                changed,
            )
            connection.executemany("UPDATE tracklet SET identity = ? WHERE camera = ? AND track = ?", renamed)
            connection.executemany(
                "INSERT INTO event (time, kind, camera, track, identity, other) VALUES (?, ?, ?, ?, ?, ?)",
                told_events,
            )
        self._written = written

    def drop_before(self, tracklets_s: float | None, events_s: float | None) -> None:
        """Delete what is older; None: nothing of that kind."""
        with self._writing() as connection:
            if tracklets_s is not None:
                connection.execute("DELETE FROM tracklet WHERE end < ?", (tracklets_s,))
            if events_s is not None:
                for number, now in self.survivors().items():  # the events will not tell it any more
                    connection.execute("UPDATE tracklet SET identity = ? WHERE identity = ?", (now, number))
                connection.execute("DELETE FROM event WHERE time < ?", (events_s,))

    def forget(self, numbers: Iterable[int]) -> None:
        """Nobody is these people any more, nor whoever was merged into them; nothing of that is left."""
        gone = set(numbers)
        gone |= {number for number, now in self.survivors().items() if now in gone}
        places = ", ".join("?" * len(gone))
        with self._writing() as connection:
            connection.execute(
                "UPDATE tracklet SET identity = 0, decided = NULL, embeddings = 0 "
                f"WHERE identity IN ({places})",
                (*gone,),
            )
            connection.execute(
                f"DELETE FROM event WHERE identity IN ({places}) OR other IN ({places})", (*gone, *gone)
            )
        with self._sentences():  # what was moved from page to page, and what waits in the log
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._written = {key: told for key, told in self._written.items() if told[0] not in gone}

    # Reading

    def survivors(self) -> dict[int, int]:
        """For every number that was merged, the number that stands for the person now."""
        with self._sentences():
            step = dict(
                self._connection.execute(
                    "SELECT other, identity FROM event WHERE kind = 'merged' ORDER BY id"
                )
            )
        survivors = dict[int, int]()
        for number in step:
            now = number
            while now in step:
                now = survivors.get(now, step[now])
            survivors[number] = now
        return survivors

    def tracklets(self, begin_s: float = -math.inf, end_s: float = math.inf) -> Iterator[Tracklets]:
        """All that were seen at some moment of this time, by their beginnings; without embeddings."""
        survivors = self.survivors()
        query = f"SELECT {COLUMNS} FROM tracklet WHERE end >= ? AND begin <= ? ORDER BY begin, id"
        with self._sentences():
            cursor = self._connection.execute(query, (begin_s, end_s))
            while rows := cursor.fetchmany(READ_ROWS):
                yield _tracklets_of(rows, survivors)

    def events(self, begin_s: float = -math.inf, end_s: float = math.inf) -> Iterator[IdentityEvent]:
        """What was found out in this time, in its order."""
        query = (
            "SELECT time, kind, camera, track, identity, other FROM event "
            "WHERE time BETWEEN ? AND ? ORDER BY id"
        )
        with self._sentences():
            for time_s, kind, camera, *numbers in self._connection.execute(query, (begin_s, end_s)):
                yield IdentityEvent(time_s, kind, CameraName(camera), *numbers)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _create(self, cameras: Sequence[CameraName]) -> None:
        with self._writing() as connection:
            for table in TABLES.split(";"):
                connection.execute(table)
            connection.executemany("INSERT INTO camera VALUES (?, ?)", list(enumerate(cameras)))
            connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._sentences(), writing(self._connection):
            yield self._connection

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ReuniteError(
                f"{self._path}: cannot be read or written ({error}); see whether the disk is full, or "
                "another program holds it"
            ) from error


class StoredIdentities:
    """Who the tracks of a live run are, looked up where they are stored; for results in bounded memory."""

    def __init__(self, store: RunStore) -> None:
        self._store, self._survivors = store, store.survivors()
        with store._sentences():
            highest = store._connection.execute("SELECT COALESCE(MAX(identity), 0) FROM tracklet").fetchone()[
                0
            ]
        self._start = NOBODY_FROM
        while self._start <= highest:
            self._start *= 10

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,); `UNDECIDED` where there is none."""
        return self._find(camera, track_ids)[0]

    def numbered(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """What stands for tracks (R,) in files that number every track: see `IdentityTable.numbered`."""
        return self._find(camera, track_ids)[1]

    def _find(self, camera: CameraName, track_ids: IntArray) -> tuple[IntArray, IntArray]:
        if not len(track_ids):
            return track_ids, track_ids
        first, last = int(track_ids.min()), int(track_ids.max())
        # A track that is not there was forgotten with its time; its rows have numbers of their own.
        who = np.full(last + 1 - first, UNDECIDED)
        numbers = self._start * 10 + np.arange(first, last + 1)
        query = "SELECT track, identity, id FROM tracklet WHERE camera = ? AND track BETWEEN ? AND ?"
        with self._store._sentences():
            for track, identity, number in self._store._connection.execute(query, (camera, first, last)):
                now = self._survivors.get(identity, identity)
                who[track - first] = now
                numbers[track - first] = now or self._start + number - 1
        return who[track_ids - first], numbers[track_ids - first]


def _rows_of(tracks: Tracklets) -> Iterator[tuple[str, int, int, float, float, float | None, int, int]]:
    decided = [None if math.isnan(it) else it for it in tracks.decided_s.tolist()]
    return zip(
        map(str, tracks.cameras.tolist()),
        tracks.track_ids.tolist(),
        tracks.identity_ids.tolist(),
        tracks.begin_s.tolist(),
        tracks.end_s.tolist(),
        decided,
        tracks.frames.tolist(),
        tracks.num_embeddings.tolist(),
        strict=True,
    )


def _tracklets_of(rows: Sequence[tuple[object, ...]], survivors: Mapping[int, int]) -> Tracklets:
    cameras, tracks, identities, begins, ends, decided, frames, embeddings = zip(*rows, strict=True)
    return Tracklets(
        cameras=np.array(cameras, np.object_),
        track_ids=np.array(tracks, np.int64),
        identity_ids=np.array([survivors.get(it, it) for it in identities], np.int64),
        begin_s=np.array(begins, np.float64),
        end_s=np.array(ends, np.float64),
        decided_s=np.array([math.nan if it is None else it for it in decided], np.float64),
        frames=np.array(frames, np.int64),
        num_embeddings=np.array(embeddings, np.int64),
        embeddings=np.zeros((len(rows), 0), np.float32),
    )
