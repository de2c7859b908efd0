"""A person who is forgotten is in no file of the run, whether it is complete, cut off or going on."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from tests.live_runs import LOOKS, Presence, live_run
from tracker.config import RunConfig, load_config
from tracker.gallery import Gallery
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.recording import run as recording
from tracker.recording.checkpoint import Checkpoints, load_checkpoint
from tracker.recording.folder import RunFolder
from tracker.recording.forget import forget_in_run
from tracker.recording.reader import Recording
from tracker.reports.tracks import read_tracks

pytestmark = pytest.mark.usefixtures("blank_figures")

COMERS: list[Presence] = [("door", 0, 0, 8), ("door", 1, 1, 9), ("yard", 0, 12, 18), ("yard", 2, 13, 19)]
FIRST = 77_001_234
"""The number of person 0: one that stands nowhere by chance."""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    built = MultiCameraTracker

    def with_numbers(*arguments: Any, **settings: Any) -> MultiCameraTracker:
        """New people are numbered from `FIRST` on, as if a gallery had given all before."""
        tracker = built(*arguments, **settings)
        tracker.identities._table._last = FIRST - 1
        return tracker

    monkeypatch.setattr(recording, "MultiCameraTracker", with_numbers)
    monkeypatch.setattr("tracker.gallery.writer.GalleryWriter.reserve", _jump)
    settings = ["source=rtsp://nowhere/x", f"output.folder={tmp_path / 'runs'}", "reading.max_gap_s=7"]
    return load_config(None, settings)


def _jump(self: object, count: int) -> range:
    """Reserve without writing millions of rows: only those that are asked for and may be used here."""
    database = self._database  # type: ignore[attr-defined]
    with database.writing() as connection:
        connection.executemany(
            "INSERT OR IGNORE INTO person (number) VALUES (?)", [(FIRST + it,) for it in range(9)]
        )
    return range(FIRST, FIRST + 9)


def traces(folder: Path, number: int, looks: EmbeddingArray) -> list[str]:
    """Files in which a number stands, as text or in a table, or an embedding that is like a person."""
    found = []
    for path in sorted(it for it in folder.rglob("*") if it.is_file()):
        content = path.read_bytes()
        if re.search(rb"(?<!\d)%d(?!\d)" % number, content):
            found.append(f"{path.name}: as text")
        if number.to_bytes(4, "big") in content or number.to_bytes(8, "little") in content:
            found.append(f"{path.name}: as a number")
        found += [f"{path.name}: {what}" for what in _alike(content, looks)]
    return found


def _alike(content: bytes, looks: EmbeddingArray) -> list[str]:
    """Stretches of bytes that are like an embedding of somebody, in single or half precision."""
    for kind in ("<f4", "<f2"):
        size = np.dtype(kind).itemsize
        for shift in range(size):
            with np.errstate(all="ignore"):
                values = np.frombuffer(content[shift : shift + (len(content) - shift) // size * size], kind)
                values = np.nan_to_num(values.astype(np.float64), nan=0, posinf=0, neginf=0)
                values = np.where(np.abs(values) < 10, values, 0)
                if len(values) < len(looks):
                    continue
                alike = np.convolve(values, looks[::-1], "valid")
                length = np.sqrt(np.maximum(np.convolve(values**2, np.ones(len(looks)), "valid"), 1e-12))
                if (alike / length > 0.75).any() and (alike[alike / length > 0.75] > 0.5).any():
                    return [f"an embedding as {kind}"]
    return []


def test_a_complete_live_run(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = live_run(monkeypatch, config, COMERS, (0, 20))
    files = traces(folder, FIRST, LOOKS[0])
    for name in (
        "gallery.sqlite",
        "run.sqlite",
        "sightings.parquet",
        "tracks.csv",
        "events.jsonl",
        "door.txt",
    ):
        assert any(it.startswith(name) for it in files), name  # it is looked for in the right way
    boxes = sum(len(path.read_text().splitlines()) for path in (folder / "mot").iterdir())
    forgotten = forget_in_run(folder, FIRST)
    assert (forgotten.numbers, forgotten.is_going_on) == ([FIRST], False)
    assert traces(folder, FIRST, LOOKS[0]) == []
    tracks = read_tracks(folder / "tracks.csv")
    assert tracks is not None
    assert sorted(tracks.identity_ids.tolist()) == [0, 0, FIRST + 1, FIRST + 2]
    assert sum(len(path.read_text().splitlines()) for path in (folder / "mot").iterdir()) == boxes
    recorded = Recording(folder)
    assert sorted(it for piece in recorded.tracklets() for it in piece.identity_ids.tolist()) == [
        0, 0, FIRST + 1, FIRST + 2,
    ]  # fmt: skip
    recorded.close()
    with Gallery(folder / "gallery.sqlite") as gallery:
        assert [it.number for it in gallery.people()] == [FIRST + 1, FIRST + 2]


def test_a_run_that_was_cut_off(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = live_run(monkeypatch, config, COMERS, (0, 15), is_cut=True)
    assert any(it.startswith("checkpoint.npz") for it in traces(folder, FIRST, LOOKS[0]))
    forget_in_run(folder, FIRST)
    assert traces(folder, FIRST, LOOKS[0]) == []
    progress, _ = load_checkpoint(RunFolder(folder).checkpoint)
    assert progress.event_bytes == (folder / "events.jsonl").stat().st_size
    reopened, again = RunFolder.reopen(folder)
    live_run(monkeypatch, again, COMERS, (15, 20), reopened)  # it can go on; person 0 is in view then
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert FIRST not in {json.loads(line)["identity"] for line in lines}


def test_a_run_that_goes_on_forgets_with_its_next_checkpoint(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.live_runs import Scripted

    ticks = Scripted.ticks
    told: list[Any] = []

    def with_a_wish(self: Scripted) -> object:
        for tick in ticks(self):
            yield tick
            (folder,) = Path(config.output.folder).iterdir()
            if not told and tick.frames[0].number >= 110 and _has(folder, FIRST):
                told.append(forget_in_run(folder, FIRST))

    def _has(folder: Path, number: int) -> bool:
        with Gallery(folder / "gallery.sqlite") as gallery:
            return number in [it.number for it in gallery.people()]

    monkeypatch.setattr(Scripted, "ticks", with_a_wish)
    monkeypatch.setattr(Checkpoints, "is_due", lambda _: True)  # after each frame, however slow the machine
    folder = live_run(monkeypatch, config, COMERS, (0, 20))
    assert told[0].is_going_on
    assert [it for it in traces(folder, FIRST, LOOKS[0]) if "as text" in it or "as a number" in it] == []
    with Gallery(folder / "gallery.sqlite") as gallery:
        assert FIRST not in [it.number for it in gallery.people()]
