"""The journal, and what is written from it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tracker.checkpoint import Progress
from tracker.config import IdentityConfig
from tracker.errors import ReuniteError
from tracker.identity import IdentityLinker
from tracker.results import SightingsReader, write_results, write_summary
from tracker.sinks.journal import ROW, Journal
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings, blank_image

CAMERAS = [CameraName("yard"), CameraName("door")]


def frame(camera: CameraName, number: int) -> Frame:
    return Frame(camera, number, number / 10, blank_image(64, 48))


def people(identities: IdentityLinker, camera: CameraName, *track_ids: int) -> Sightings:
    ids = np.array(track_ids, np.int64)
    boxes = np.array([[track, 2.5, track + 10, 40.25] for track in track_ids], np.float64).reshape(-1, 4)
    return Sightings(ids, identities.lookup(camera, ids), boxes, np.full(len(ids), 0.75))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Path, Journal, IdentityLinker]]:
    """Four frames: yard 1 (two people), door 1 (nobody), yard 2 (nobody), door 2 (one)."""
    (tmp_path / "state").mkdir()
    journal, identities = (
        Journal(tmp_path / "state" / "journal.bin", CAMERAS),
        IdentityLinker(IdentityConfig(), CAMERAS),
    )
    journal.write(frame(CAMERAS[0], 1), people(identities, CAMERAS[0], 1, 2))
    journal.write(frame(CAMERAS[1], 1), people(identities, CAMERAS[1]))
    journal.write(frame(CAMERAS[0], 2), people(identities, CAMERAS[0]))
    journal.write(frame(CAMERAS[1], 2), people(identities, CAMERAS[1], 1))
    yield tmp_path, journal, identities
    journal.close()


def test_text_and_table_hold_every_sighting_with_its_identity(
    run: tuple[Path, Journal, IdentityLinker],
) -> None:
    folder, journal, identities = run
    files = write_results(folder, journal, CAMERAS, identities)
    assert files == [folder / "mot/yard.txt", folder / "mot/door.txt", folder / "sightings.parquet"]
    assert (folder / "mot/yard.txt").read_text().splitlines() == [
        "1,1,1.000,2.500,10.000,37.750,0.75,-1,-1,-1",
        "1,2,2.000,2.500,10.000,37.750,0.75,-1,-1,-1",
    ]
    assert (folder / "mot/door.txt").read_text() == "2,3,1.000,2.500,10.000,37.750,0.75,-1,-1,-1\n"
    table = pq.read_table(folder / "sightings.parquet").to_pydict()
    assert table["camera"] == ["yard", "yard", "door"]
    assert table["frame"] == [1, 1, 2]
    assert table["time"] == [0.1, 0.1, 0.2]
    assert table["track"] == [1, 2, 1]
    assert table["identity"] == [1, 2, 3]
    assert [table[key][2] for key in ("x1", "y1", "x2", "y2", "score")] == [1, 2.5, 11, 40.25, 0.75]
    assert not list(folder.rglob("*.part"))


def test_no_sightings_give_empty_files_not_missing_ones(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    journal = Journal(tmp_path / "state" / "journal.bin", CAMERAS)
    write_results(tmp_path, journal, CAMERAS, IdentityLinker(IdentityConfig(), CAMERAS))
    assert (tmp_path / "mot/door.txt").read_text() == ""
    assert pq.read_table(tmp_path / "sightings.parquet").num_rows == 0
    journal.close()


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
def test_the_people_of_each_frame_come_back_in_order(
    run: tuple[Path, Journal, IdentityLinker], chunk_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, journal, identities = run
    chunks = list(journal.read(chunk_rows))
    monkeypatch.setattr(journal, "read", lambda: iter(chunks))
    reader = SightingsReader(journal, CAMERAS, identities)
    order = [(CAMERAS[0], 1), (CAMERAS[1], 1), (CAMERAS[0], 2), (CAMERAS[1], 2), (CAMERAS[0], 3)]
    seen = [reader.people(frame(*where)).identity_ids.tolist() for where in order]
    assert seen == [[1, 2], [], [], [3], []]


def test_a_journal_goes_on_after_the_rows_that_were_safe(run: tuple[Path, Journal, IdentityLinker]) -> None:
    folder, journal, identities = run
    assert journal.save() == 3
    journal.write(frame(CAMERAS[0], 3), people(identities, CAMERAS[0], 2))
    journal.close()
    path = folder / "state" / "journal.bin"
    with path.open("ab") as file:
        file.write(b"half a row")  # as a kill in the middle of a write leaves it
    again = Journal(path, CAMERAS, rows=3)
    again.write(frame(CAMERAS[0], 3), people(identities, CAMERAS[0], 1))
    rows = np.concatenate(list(again.read()))
    assert rows["frame"].tolist() == [1, 1, 2, 3]
    assert rows["track"].tolist() == [1, 2, 1, 1]
    assert rows.dtype == ROW
    again.close()


def test_two_processes_never_write_one_run(run: tuple[Path, Journal, IdentityLinker]) -> None:
    folder, _, _ = run
    with pytest.raises(ReuniteError, match="another process"):
        Journal(folder / "state" / "journal.bin", CAMERAS)


def test_a_journal_that_lost_rows_is_refused(run: tuple[Path, Journal, IdentityLinker]) -> None:
    folder, journal, _ = run
    journal.close()
    with pytest.raises(ReuniteError, match="holds 3 sightings, its checkpoint counts 4"):
        Journal(folder / "state" / "journal.bin", CAMERAS, rows=4)


def test_the_summary_counts_frames_people_and_seconds(tmp_path: Path) -> None:
    identities = IdentityLinker(IdentityConfig(), CAMERAS)
    people(identities, CAMERAS[0], 1, 2)
    seconds = {"read": 1.0, "detect": 3.0, "draw": 9.0}
    progress = Progress(CAMERAS, dict.fromkeys(CAMERAS, 50), dict.fromkeys(CAMERAS, 40), seconds, 99, 200, 30)
    troubled, broken = CameraReport(read=43, dropped=3, reconnects=1), CameraReport(problem="broken")
    reports = dict(zip(CAMERAS, (troubled, broken), strict=True))
    write_summary(tmp_path / "summary.json", True, progress, reports, identities)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "complete": True,
        "frames": 80,
        "people": 2,
        "sightings": 99,
        "detections": 200,
        "embedded": 30,
        "crops_saved": 0.85,
        "frames_per_second": 20.0,
        "seconds": {"read": 1.0, "detect": 3.0, "draw": 9.0},
        "cameras": {
            "yard": {"frames": 40, "read": 43, "dropped": 3, "reconnects": 1, "problem": ""},
            "door": {"frames": 40, "read": 0, "dropped": 0, "reconnects": 0, "problem": "broken"},
        },
    }
