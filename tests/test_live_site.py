"""What a site keeps, from version to version."""

import sqlite3
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tracker.live.command import read_config
from tracker.live.site import Site
from tracker.live.tracking import LiveObserver, privacy_of
from tracker.live.watching import PhotoWatch
from tracker.sinks.blur import Blur


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


def test_bodies_are_blurred_as_the_run_is_set_until_somebody_says_otherwise(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert privacy_of(site).blur == Blur()
    line = Namespace(source=[], config=[], overrides=["output.blur=all_but", "output.blur_but=7"])
    assert Blur.of(read_config(line, site).output) == privacy_of(site).blur == Blur("all_but", 7)
    site.set("privacy", {"blur": "all", "but": None})
    line.overrides = []
    assert Blur.of(read_config(line, site).output) == privacy_of(site).blur == Blur("all")


def test_who_was_found_by_a_photo_is_not_lost_where_the_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, photo = Site(tmp_path), np.ones(4, np.float32)
    with site.writing() as connection:
        connection.execute(
            "INSERT INTO watch (note, created, name, network, embedding) VALUES ('', 1.0, 'Eve', 'drawn', ?)",
            (photo.tobytes(),),
        )
    watch = PhotoWatch(site)
    watch.reload("drawn")
    everybody_is_7 = SimpleNamespace(find_on_photo=lambda _: 7)
    with monkeypatch.context() as patch:
        patch.setattr("tracker.live.site.writing", lambda _: sqlite3.connect(tmp_path / "none" / "no.sqlite"))
        with pytest.raises(sqlite3.OperationalError):
            watch.look(everybody_is_7)  # type: ignore[arg-type]
    assert watch.look(everybody_is_7)  # type: ignore[arg-type]
    assert [tuple(row) for row in site.rows("SELECT person, name FROM watch")] == [(7, "Eve")]
    assert site.names() == {7: "Eve"}


def test_a_camera_that_nobody_waits_for_any_more_is_not_added_in_the_place_of_another(tmp_path: Path) -> None:
    site, added = Site(tmp_path), list[str]()
    observer = LiveObserver(site, "test", [], 0.01)
    try:
        run = SimpleNamespace(add_camera=lambda camera, _: added.append(camera.name))
        site.added.write_text("yard = rtsp://host/yard\nroof = rtsp://host/roof\n")
        for name in ("gate", "yard"):
            observer._add_camera(run, {"id": 1, "name": name})  # type: ignore[arg-type]
        assert added == ["yard"]
        assert [it.name for it in site.cameras()] == ["yard"]
    finally:
        observer.close()
