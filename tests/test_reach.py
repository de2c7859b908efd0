"""What tries to reach further than it may: redirects, pickles, names that are SQL."""

import io
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from tests.clips import write_clip
from tests.galleries import MONDAY, NETWORK, unit_rows
from tracker.config import SourceConfig
from tracker.gallery import Gallery, GalleryWriter, Person, PictureKey, Pictures, Presence
from tracker.recording.checkpoint import Progress, load_checkpoint, save_checkpoint
from tracker.sources import open_source
from tracker.types import CameraName


@pytest.fixture
def redirect() -> Iterator[tuple[str, dict[str, str]]]:
    """An address, and where it leads: to be filled in."""
    leads: dict[str, str] = {}

    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", leads["to"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.mp4", leads
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("scheme", ["file://", "", "concat:", "subfile,,start,0,end,0,,:", "file:"])
def test_a_server_leads_to_no_file(
    redirect: tuple[str, dict[str, str]], scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write_clip(tmp_path / "own.mp4", range(5))
    address, leads = redirect
    leads["to"] = f"{scheme}{clip}"
    timeouts = {"open_timeout_s": 5.0, "read_timeout_s": 5.0}
    source = open_source([address], SourceConfig.model_validate({"live": timeouts}))
    ticks = list(source.ticks())
    source.close()
    assert ticks == []
    assert all(report.problem for report in source.reports.values())


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("exploded"),)


def test_a_checkpoint_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, Progress(), {"a": {"b": np.zeros(2)}})
    load_checkpoint(path)
    bomb = np.empty(1, object)
    bomb[0] = Bomb()
    buffer = io.BytesIO()
    with np.load(path) as file:
        np.savez(buffer, **{**{key: file[key] for key in file.files}, "a/c": bomb})
    for content in (buffer.getvalue(), pickle.dumps(Bomb())):
        path.write_bytes(content)
        with pytest.raises(ReuniteError, match="cannot read the checkpoint"):
            load_checkpoint(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["x'); DROP TABLE person;--", 'a" OR 1=1 --', "%_[^a]*", "NULL", "?1"])
def test_names_that_are_sql_are_names(name: str, tmp_path: Path) -> None:
    camera, path = CameraName(name), tmp_path / "people.sqlite"
    rows = unit_rows(np.random.default_rng(0), 1)
    with GalleryWriter(path, NETWORK) as gallery:
        first, second = gallery.reserve(2)
        for number in (first, second):
            pictures = Pictures(np.array([camera], np.object_), np.array([MONDAY]), rows)
            gallery.save([Person(number, {camera: Presence(MONDAY, MONDAY, 1)}, pictures)])
        gallery.save([], {PictureKey(first, camera, MONDAY): b"jpeg"}, run=name)
    with Gallery(path) as gallery:
        assert [list(person.presence) for person in gallery.people()] == [[camera], [camera]]
        gallery.forget(first)
        assert [person.number for person in gallery.people()] == [second]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT camera FROM presence").fetchall() == [(name,)]
    connection.close()
