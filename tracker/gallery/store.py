"""People remembered between runs in one SQLite file."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Self

import numpy as np

from foundation.errors import ReuniteError
from tracker.gallery.database import Database, RowError
from tracker.gallery.people import (
    Appearances,
    Merge,
    Person,
    PersonSummary,
    PictureKey,
    Pictures,
    Presence,
)
from tracker.types import CameraName, Network

STORED = np.dtype("<f2")
"""How an embedding stands in the file."""
WAIT_S = 10.0
"""How long a program waits while another one writes, unless it says otherwise."""
READ_ROWS = 4096
"""Embeddings read at once: enough for speed, few enough not to be in memory twice."""


class UnknownPersonError(ReuniteError):
    """Nobody is remembered under this number."""


class Gallery:
    """An existing gallery, to read and to put in order; several programs at a time may do so.

    Every change is one transaction: it is on disk when the method returns, and did not happen if the method
    raises or the program is killed. A merge moves nothing: what was saved under a number stays with it,
    and people are read as the union, so a merge can be undone at any time.

    Every method may raise `GalleryBusyError`, when another program kept the file for longer than ``wait_s``,
    and ReuniteError, when the file is damaged, may not be written, or the disk is full.

    Args:
        path: The file.
        network: The network whose embeddings it must hold; None: any.
        wait_s: Seconds to wait while another program writes.

    Raises:
        ReuniteError: It is missing, damaged, no gallery, of another version, or of another network.
    """

    def __init__(self, path: Path, network: Network | None = None, wait_s: float = WAIT_S) -> None:
        self.path = path
        self._database = Database(path, None, wait_s)
        self.network = self._checked(network)

    def _checked(self, network: Network | None) -> Network:
        """The network of the file, if it is the one that is asked for."""
        try:
            have = self._database.network
            wanted = network or have
            if (wanted.fingerprint, wanted.dimension) != (have.fingerprint, have.dimension):
                raise ReuniteError(
                    f"{self.path}: its people were seen by the network {have}, not by {wanted}, and "
                    "embeddings of two networks cannot be compared; take that network (--set "
                    f"embedder.weights={have.name}), or another gallery"
                )
            return have
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def people(self) -> list[PersonSummary]:
        """Everybody, by rising number; those who were merged appear once."""
        with self._database.reading() as connection:
            return _people(connection)

    def merges(self) -> list[Merge]:
        """Every merge that was not undone, in the order in which they were made."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT kept, merged, time FROM merge ORDER BY step")
            return [_merge(*row) for row in rows]

    def survivors(self) -> dict[int, int]:
        """For every number that was merged, the number that stands for the person now."""
        with self._database.reading() as connection:
            return _survivors(connection)

    def survivor(self, number: int) -> int:
        """The number that stands for a person now: the same, unless it was merged.

        Raises:
            UnknownPersonError: Nobody is remembered under it.
        """
        with self._database.reading() as connection:
            return self._survivor(connection, number)

    def person(self, number: int) -> Person:
        """What was saved under this very number; what was merged into it stays under its own.

        Raises:
            UnknownPersonError: Nobody is remembered under it.
        """
        with self._database.reading() as connection:
            self._require(connection, number)
            presence = connection.execute(
                "SELECT camera, first_seen, last_seen, sightings FROM presence WHERE person = ? "
                "ORDER BY camera",
                (number,),
            ).fetchall()
            pictures = connection.execute(
                "SELECT camera, time, embedding FROM picture WHERE person = ? ORDER BY time, camera",
                (number,),
            ).fetchall()
            cameras, times, embeddings = zip(*pictures, strict=True)
            rows = np.frombuffer(b"".join(embeddings), STORED).reshape(-1, self.network.dimension)
            return Person(
                number,
                {_camera(camera): Presence(*seen) for camera, *seen in presence},
                Pictures(
                    np.array(list(map(_camera, cameras)), np.object_),
                    np.array(times),
                    rows.astype(np.float32),
                ),
            )

    def thumbnails(self, number: int) -> dict[PictureKey, bytes]:
        """The JPEGs that were saved under this very number, by picture; empty where there are none."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT camera, time, jpeg FROM picture JOIN thumbnail ON picture = id WHERE person = ? "
                "ORDER BY time, camera",
                (number,),
            )
            return {PictureKey(number, _camera(camera), float(at)): _jpeg(jpeg) for camera, at, jpeg in rows}

    def appearances(self) -> Appearances:
        """The pictures of everybody, under the numbers that stand for them now; for `GalleryIndex.put`."""
        with self._database.reading() as connection:
            survivors = _survivors(connection)
            count = connection.execute("SELECT COUNT(*) FROM picture").fetchone()[0]
            numbers, cameras = np.empty(count, np.int64), np.empty(count, np.object_)
            embeddings = np.empty((count, self.network.dimension), STORED)
            query = connection.execute("SELECT person, camera, embedding FROM picture ORDER BY id")
            for start in range(0, count, READ_ROWS):
                owners, names, blobs = zip(*query.fetchmany(READ_ROWS), strict=True)
                here = slice(start, start + len(owners))
                numbers[here] = [survivors.get(owner, owner) for owner in owners]
                cameras[here] = list(map(intern, names))  # one string of each name, not one of each picture
                embeddings[here] = np.frombuffer(b"".join(blobs), STORED).reshape(len(owners), -1)
                lengths = np.linalg.norm(embeddings[here].astype(np.float32), axis=1)
                if not (np.abs(lengths - 1) < 0.01).all():
                    raise ValueError("an embedding is not of length 1")
        return Appearances(numbers, cameras, embeddings.astype(np.float16, copy=False))

    def merge(self, kept: int, merged: int) -> int:
        """Say that two people are one.

        Numbers that were merged before stand for their survivors, so two that are one already stay so.

        Returns:
            The number that stands for both: the survivor of ``kept``.

        Raises:
            UnknownPersonError: Nobody is remembered under one of them.
        """
        with self._database.writing() as connection:
            kept, merged = self._survivor(connection, kept), self._survivor(connection, merged)
            if kept != merged:
                connection.execute(
                    "INSERT INTO merge (kept, merged, time) VALUES (?, ?, ?)", (kept, merged, time.time())
                )
        return kept

    def split(self, number: int) -> Merge:
        """Undo a merge: that of ``number`` into another, or, if it stands for itself, the last one into it.

        Both have again what was saved under them, and what was merged into them before and was not undone.
        Nothing needs to be saved under the one that was merged: a run that took over the merge saves its
        people under the other number, and again under both once the merge is undone.

        Returns:
            The merge that was undone.

        Raises:
            UnknownPersonError: Nobody is remembered under it.
            ReuniteError: It was not merged.
        """
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT step, kept, merged, time FROM merge WHERE ? IN (merged, kept) "
                "ORDER BY merged = ? DESC, step DESC",
                (number, number),
            ).fetchone()
            if row is None:
                self._require(connection, number)
                raise ReuniteError(f"{self.path}: person {number} was not merged with anybody")
            connection.execute("DELETE FROM merge WHERE step = ?", row[:1])
            return _merge(*row[1:])

    def forget(self, number: int) -> list[int]:
        """Leave nothing of a person in the file, all numbers that were merged included.

        The file is written anew, so for a moment the disk needs room for a second one.

        Returns:
            The numbers that are gone; they are never given to anybody else.

        Raises:
            UnknownPersonError: Nobody is remembered under it. Traces of people whose forgetting was cut off
                by a crash are removed all the same.
        """
        return self._forget(lambda connection: [self._survivor(connection, number)])

    def prune(self, last_seen_before: float) -> list[int]:
        """Forget everybody who was last seen before this Unix time in seconds; see `forget`.

        Returns:
            The numbers that are gone.
        """

        def choose(connection: sqlite3.Connection) -> list[int]:
            return [it.number for it in _people(connection) if it.seen.last_seen < last_seen_before]

        return self._forget(choose)

    def drop_thumbnails(self, before: float) -> None:
        """Delete the JPEGs of pictures that were taken before this Unix time in seconds."""
        with self._database.writing() as connection:
            gone = connection.execute(
                "DELETE FROM thumbnail WHERE picture IN (SELECT id FROM picture WHERE time < ?)", (before,)
            ).rowcount
            if gone:
                connection.execute("UPDATE gallery SET needs_cleaning = 1")
        self._database.clean()

    def _forget(self, choose: Callable[[sqlite3.Connection], list[int]]) -> list[int]:
        self._database.clean()  # if it was cut off the last time
        with self._database.writing() as connection:
            chosen = set(choose(connection))
            merged = {number for number, kept in _survivors(connection).items() if kept in chosen}
            gone = sorted(chosen | merged)
            connection.executemany("DELETE FROM person WHERE number = ?", [(number,) for number in gone])
            if gone:
                connection.execute("UPDATE gallery SET needs_cleaning = 1")
        try:
            self._database.clean()
        except ReuniteError as error:
            raise type(error)(
                f"{error}. Nobody finds the forgotten any more, but traces of them can be left in the file "
                "until the next 'forget', 'prune' or run"
            ) from error
        return gone

    def _survivor(self, connection: sqlite3.Connection, number: int) -> int:
        self._require(connection, number)
        return _survivors(connection).get(number, number)

    def _require(self, connection: sqlite3.Connection, number: int) -> None:
        if connection.execute("SELECT 1 FROM presence WHERE person = ?", (number,)).fetchone() is None:
            raise UnknownPersonError(f"{self.path}: nobody is remembered as person {number}")


def _camera(name: object) -> CameraName:
    if not isinstance(name, str):
        raise RowError
    return CameraName(name)


def _merge(kept: object, merged: object, at: object) -> Merge:
    if not (isinstance(kept, int) and isinstance(merged, int) and isinstance(at, float)):
        raise RowError
    return Merge(kept, merged, at)


def _jpeg(content: object) -> bytes:
    if not isinstance(content, bytes):
        raise RowError
    return content


def _presence(number: object, seen: Sequence[float]) -> Presence:
    """When somebody was seen, of a row of the file."""
    if not isinstance(number, int):
        raise RowError
    try:
        first, last, sightings = seen
        return Presence(first, last, int(sightings))
    except ValueError as error:
        raise RowError from error


def _people(connection: sqlite3.Connection) -> list[PersonSummary]:
    """Everybody, by rising number; see `Gallery.people`."""
    survivors = _survivors(connection)
    presences: dict[int, dict[CameraName, list[Presence]]] = {}
    query = "SELECT person, camera, first_seen, last_seen, sightings FROM presence"
    for number, camera, *seen in connection.execute(query):
        cameras = presences.setdefault(survivors.get(number, number), {})
        cameras.setdefault(_camera(camera), []).append(_presence(number, seen))
    counts = []
    for rows in ("picture", "thumbnail JOIN picture ON id = picture"):
        count = dict.fromkeys(presences, 0)
        for number, more in connection.execute(f"SELECT person, COUNT(*) FROM {rows} GROUP BY person"):
            if survivors.get(number, number) in count:  # who has pictures alone is nobody
                count[survivors.get(number, number)] += more
        counts.append(count)
    also: dict[int, list[int]] = {}
    for merged, kept in sorted(survivors.items()):
        also.setdefault(kept, []).append(merged)
    return [
        PersonSummary(
            number,
            tuple(also.get(number, ())),
            {camera: Presence.joined(parts) for camera, parts in sorted(cameras.items())},
            *(count[number] for count in counts),
        )
        for number, cameras in sorted(presences.items())
    ]


def _survivors(connection: sqlite3.Connection) -> dict[int, int]:
    """For every number that was merged, the number that stands for the person now."""
    step = dict(connection.execute("SELECT merged, kept FROM merge"))
    if not all(isinstance(number, int) for pair in step.items() for number in pair):
        raise RowError
    survivors = dict[int, int]()
    for merged in step:
        kept = merged
        for _ in step:
            if kept not in step:
                break
            kept = survivors.get(kept, step[kept])
        if kept in step:
            raise RowError  # they stand for each other in a circle
        survivors[merged] = kept
    return survivors
