"""The journal, and what is written from it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, read_mot
from tracker.config import IdentityConfig, MaturityConfig, OfflineConfig, RunConfig, load_config
from tracker.identity import IdentityLinker
from tracker.multi_camera_tracker import MultiCameraTracker, name_tracks
from tracker.recording.checkpoint import Progress
from tracker.recording.journal import ROW, Journal
from tracker.recording.sightings import SightingsReader, known_sightings
from tracker.recording.summary import write_summary
from tracker.reports.offline import OfflineFiles
from tracker.reports.tables import ResultFiles
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings, Tracks, blank_image

CAMERAS = [CameraName("yard"), CameraName("door")]


def frame(camera: CameraName, number: int) -> Frame:
    return Frame(camera, number, number / 10, blank_image(64, 48))


AT_ONCE = IdentityConfig(maturity=MaturityConfig(min_frames=1, min_s=0, min_embeddings=1))
"""Whoever is seen is mature, and where nothing is embedded somebody at once."""


def write_results(folder: Path, journal: Journal, identities: IdentityLinker) -> list[Path]:
    with ResultFiles(folder, CAMERAS, identities) as files:
        for rows, who in known_sightings(journal.read(), CAMERAS, identities):
            files.add(rows, who)
    return files.paths


def people(identities: IdentityLinker, now: Frame, *track_ids: int) -> Sightings:
    ids = np.array(track_ids, np.int64)
    boxes = np.array([[track, 2.5, track + 10, 40.25] for track in track_ids], np.float64).reshape(-1, 4)
    scores = np.full(len(ids), 0.75)
    seen = Tracks(ids, boxes, scores, np.zeros((len(ids), 0), np.float32))
    return Sightings(ids, identities.observe(now, seen), boxes, scores)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Path, Journal, IdentityLinker]]:
    """Four frames: yard 1 (two people), door 1 (nobody), yard 2 (nobody), door 2 (one)."""
    (tmp_path / "state").mkdir()
    journal, identities = (
        Journal(tmp_path / "state" / "journal.bin", CAMERAS),
        IdentityLinker(AT_ONCE, CAMERAS),
    )

    def write(camera: CameraName, number: int, *track_ids: int) -> None:
        now = frame(camera, number)
        journal.write(now, people(identities, now, *track_ids))

    write(CAMERAS[0], 1, 1, 2)
    write(CAMERAS[1], 1)
    write(CAMERAS[0], 2)
    write(CAMERAS[1], 2, 1)
    yield tmp_path, journal, identities
    journal.close()


def test_text_and_table_hold_every_sighting_with_its_identity(
    run: tuple[Path, Journal, IdentityLinker],
) -> None:
    folder, journal, identities = run
    files = write_results(folder, journal, identities)
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
    write_results(tmp_path, journal, IdentityLinker(IdentityConfig(), CAMERAS))
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


def test_a_camera_that_is_not_asked_for_hides_nobody_of_the_others(tmp_path: Path) -> None:
    journal, identities = Journal(tmp_path / "journal.bin", CAMERAS), IdentityLinker(AT_ONCE, CAMERAS)
    for number in range(1, 200):
        for now in (frame(camera, number) for camera in CAMERAS):
            journal.write(now, people(identities, now, 1))
    reader = SightingsReader(journal, CAMERAS, identities)
    seen = [len(reader.people(frame(CAMERAS[1], number))) for number in range(1, 200)]
    assert seen == [1] * 199
    assert len(reader._waiting[CAMERAS[0]]) < 60  # of the camera that nobody asked for, the last seconds
    journal.close()


def test_a_journal_goes_on_after_the_rows_that_were_safe(run: tuple[Path, Journal, IdentityLinker]) -> None:
    folder, journal, identities = run
    assert journal.save() == 3
    now = frame(CAMERAS[0], 3)
    journal.write(now, people(identities, now, 2))
    journal.close()
    path = folder / "state" / "journal.bin"
    with path.open("ab") as file:
        file.write(b"half a row")  # as a kill in the middle of a write leaves it
    again = Journal(path, CAMERAS, rows=3)
    now = frame(CAMERAS[0], 3)
    again.write(now, people(identities, now, 1))
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


OFFLINE = RunConfig(identity=IdentityConfig(), offline=OfflineConfig(min_likely_share=0.0))


def walk(
    journal: Journal, identities: IdentityLinker, tracks: dict[int, range], has_embeddings: bool = False
) -> None:
    """One person in the yard at a height per second, 10 frames/s; a track for each range of frames."""
    length = 2 if has_embeddings else 0
    for track, numbers in tracks.items():
        for number in numbers:
            left = 5.0 * number
            feature = np.eye(2, dtype=np.float32)[[track % 2]][:, :length]
            seen = Tracks(np.array([track]), np.array([[left, 5, left + 20, 55]]), np.array([0.9]), feature)
            now = frame(CAMERAS[0], number)
            journal.write(
                now, Sightings(seen.track_ids, identities.observe(now, seen), seen.boxes, seen.scores)
            )


def offline_yard(folder: Path, journal: Journal, identities: IdentityLinker) -> MotTable:
    identities.finalize()
    with OfflineFiles(folder, CAMERAS, identities, OFFLINE) as offline:
        for rows, _ in known_sightings(journal.read(), CAMERAS, identities):
            offline.add(rows)
        files = offline.write()
    assert files == [folder / "offline/mot/yard.txt", folder / "offline/mot/door.txt"]
    assert not list(folder.rglob("*.part"))
    return read_mot(files[0], unique_ids=True)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Path, Journal, IdentityLinker]]:
    journal = Journal(tmp_path / "journal.bin", CAMERAS)
    yield tmp_path, journal, IdentityLinker(AT_ONCE, CAMERAS)
    journal.close()


def test_offline_a_gap_is_filled_and_a_broken_track_joined(
    empty: tuple[Path, Journal, IdentityLinker],
) -> None:
    folder, journal, identities = empty
    walk(journal, identities, {1: range(1, 20), 2: range(26, 45)})
    table = offline_yard(folder, journal, identities)
    assert table.frames.tolist() == list(range(1, 45))
    assert set(table.ids.tolist()) == {1}
    np.testing.assert_allclose(table.boxes[:, 0], 5.0 * table.frames, atol=1.0)
    assert (folder / "offline/mot/door.txt").read_text() == ""


def test_offline_motion_never_joins_whom_the_linker_told_apart(
    empty: tuple[Path, Journal, IdentityLinker],
) -> None:
    folder, journal, identities = empty
    walk(journal, identities, {1: range(1, 20), 2: range(26, 45)}, has_embeddings=True)
    table = offline_yard(folder, journal, identities)
    assert set(table.ids.tolist()) == {1, 2}
    assert table.frames.tolist() == [*range(1, 20), *range(26, 45)]


def test_offline_one_identity_is_filled_between_its_tracks(
    empty: tuple[Path, Journal, IdentityLinker],
) -> None:
    folder, journal, identities = empty
    walk(journal, identities, {1: range(1, 20), 3: range(26, 45)}, has_embeddings=True)
    identities.link_offline()
    assert identities.lookup(CAMERAS[0], np.array([1, 3])).tolist() == [1, 1]
    assert offline_yard(folder, journal, identities).frames.tolist() == list(range(1, 45))


def tracks_of(camera: CameraName, *track_ids: int) -> Tracks:
    count = len(track_ids)
    boxes = np.tile([1.0, 2, 30, 90], (count, 1))
    embeddings = np.tile(np.eye(2, dtype=np.float32)[0], (count, 1))
    return Tracks(np.array(track_ids, np.int64), boxes, np.full(count, 0.9), embeddings)


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 1000])
def test_nobody_is_in_a_frame_twice_and_nobody_who_was_seen_is_left_out(
    empty: tuple[Path, Journal, IdentityLinker], monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    _, journal, identities = empty
    yard, nobody = CAMERAS[0], tracks_of(CAMERAS[0])
    # Track 1 is taken up as track 2, carried for a frame beside it, and later found again itself.
    seen = {number: 2 if 20 < number < 40 else 1 for number in range(1, 60)}
    for number, track in seen.items():
        now = frame(yard, number)
        tracks, carried = tracks_of(yard, track), tracks_of(yard, 1) if number == 21 else nobody
        for part in (tracks, carried):
            ids = np.zeros(len(part), np.int64)
            journal.write(now, Sightings(part.track_ids, ids, part.boxes, part.scores))
        identities.observe(now, tracks)
    identities.finalize()
    one, two = identities.lookup(yard, np.array([1, 2])).tolist()
    identities._table.merge(one, two, 6.0)
    chunks = list(journal.read(chunk_rows))
    monkeypatch.setattr(journal, "read", lambda: iter(chunks))
    kept = list(known_sightings(journal.read(), CAMERAS, identities))
    rows, people = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    assert list(zip(rows["frame"].tolist(), rows["track"].tolist(), strict=True)) == list(seen.items())
    assert set(people.tolist()) == {two}


def test_who_coasts_as_two_tracks_is_there_once_and_whoever_is_unknown_stays(
    empty: tuple[Path, Journal, IdentityLinker],
) -> None:
    _, _, identities = empty
    yard = CAMERAS[0]
    first = name_tracks(identities, frame(yard, 1), tracks_of(yard, 1, 3), tracks_of(yard))
    assert first.identity_ids.tolist() == [0, 0]
    unknown = name_tracks(identities, frame(yard, 2), tracks_of(yard, 2), tracks_of(yard, 1))
    assert unknown.track_ids.tolist() == [2, 1]
    identities.finalize()
    one, two, _ = identities.lookup(yard, np.array([1, 2, 3])).tolist()
    identities._table.merge(one, two, 6.0)
    both = name_tracks(identities, frame(yard, 3), tracks_of(yard), tracks_of(yard, 1, 2, 3))
    assert both.track_ids.tolist() == [1, 3]
    seen = name_tracks(identities, frame(yard, 4), tracks_of(yard, 2), tracks_of(yard, 1, 3))
    assert seen.track_ids.tolist() == [2, 3]


@pytest.mark.parametrize("rows", [1, 7, 19, 23, 30])
def test_offline_pieces_keep_who_was_joined(
    empty: tuple[Path, Journal, IdentityLinker], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, journal, identities = empty
    monkeypatch.setattr("tracker.reports.offline.SMOOTHED_AT_ONCE", rows)
    walk(journal, identities, {1: range(1, 20), 2: range(26, 45)})
    table = offline_yard(folder, journal, identities)
    is_joined = rows in (23, 30)  # the piece with the border between the tracks holds some rows of both
    assert table.ids[-1] == (1 if is_joined else 2)
    assert set(range(1, 20)) | set(range(26, 45)) <= set(table.frames.tolist())


def test_the_summary_counts_frames_people_and_seconds(tmp_path: Path) -> None:
    tracker = MultiCameraTracker(CAMERAS, load_config("embedded", ["embedder.kind=none"]))
    for number in range(1, 13):
        people(tracker.identities, frame(CAMERAS[0], number), 1, 2, *([3] if number == 1 else []))
    progress = Progress(
        CAMERAS,
        dict.fromkeys(CAMERAS, 50),
        dict.fromkeys(CAMERAS, 40),
        seconds={"read": 1.0, "detect": 3.0, "draw": 9.0},
        journal_rows=99,
        detections=200,
        embedded=30,
        elapsed_s=3.2,
        waited={"detect": 2.5},
    )
    troubled, broken = CameraReport(read=43, dropped=3, reconnects=1), CameraReport(problem="broken")
    reports = dict(zip(CAMERAS, (troubled, broken), strict=True))
    write_summary(tmp_path / "summary.json", True, progress, reports, tracker)
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "complete": True,
        "frames": 80,
        "people": 2,
        "people_expected": None,
        "undecided": 1,
        "overlap": [],
        "sightings": 99,
        "detections": 200,
        "embedded": 30,
        "crops_saved": 0.85,
        "frames_per_second": 25.0,
        "elapsed_s": 3.2,
        "seconds": {"read": 1.0, "detect": 3.0, "draw": 9.0},
        "waited": {"detect": 2.5},
        "cameras": {
            "yard": {
                "frames": 40,
                "read": 43,
                "dropped": 3,
                "reconnects": 1,
                "start_s": 0.0,
                "problem": "",
                "remark": "",
            },
            "door": {
                "frames": 40,
                "read": 0,
                "dropped": 0,
                "reconnects": 0,
                "start_s": 0.0,
                "problem": "broken",
                "remark": "",
            },
        },
    }
