"""Transactions of SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Change a file: all of it or, after any error or cut, nothing; on disk when it ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        leave(connection, "ROLLBACK")
        raise


def leave(connection: sqlite3.Connection, how: str) -> None:
    """Leave a transaction whose error, if any, is reported already."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute(how)
