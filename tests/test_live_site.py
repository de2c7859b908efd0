"""What a site keeps, from version to version."""

import sqlite3
from pathlib import Path

from tracker.live.site import Site


def test_a_file_of_an_older_version_is_taken_over_with_all_that_is_in_it(tmp_path: Path) -> None:
    Site(tmp_path).connection.close()
    connection = sqlite3.connect(tmp_path / "site.sqlite")
    connection.executescript(
        "DROP TABLE watch; CREATE TABLE watch (id INTEGER PRIMARY KEY AUTOINCREMENT, "
        "person INTEGER NOT NULL UNIQUE, note TEXT NOT NULL, created REAL NOT NULL); "
        "INSERT INTO watch VALUES (4, 7, 'call the desk', 12.5); PRAGMA user_version = 1"
    )
    connection.close()
    for _ in range(2):
        site = Site(tmp_path)
        rows = [
            tuple(row) for row in site.rows("SELECT id, person, note, created, name, embedding FROM watch")
        ]
        assert rows == [(4, 7, "call the desk", 12.5, "", None)]
    with site.writing() as writing:
        writing.execute("INSERT INTO watch (note, created, name) VALUES ('', 1.0, 'Eve')")
