"""What a live run keeps on disk: read by time, cut at any moment, forgotten for good."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from tracker.clock import begin_of, hour_of
from tracker.recording.hours import HourlyJournal
from tracker.recording.reader import FOLDER, Recording, read_hours
from tracker.recording.store import RunStore, StoredIdentities
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tracklets, blank_image

DOOR, YARD = CameraName("door"), CameraName("yard")
CAMERAS = [DOOR, YARD]
HOUR = begin_of("2026-11-28T21")
IMAGE = blank_image(640, 480)


def put(journal: HourlyJournal, camera: CameraName, number: int, time_s: float, *tracks: int) -> None:
    boxes = np.array([[track, 2.0, track + 30.5, 90.0] for track in tracks]).reshape(-1, 4)
    none = np.zeros(len(tracks), np.int64)
    frame = Frame(camera, number, time_s, IMAGE)
    journal.write(frame, Sightings(np.array(tracks, np.int64), none, boxes, np.full(len(tracks), 0.5)))


def tracks(*rows: tuple[str, int, int, float, float]) -> Tracklets:
    """Camera, track, identity, begin and end of each."""
    cameras, track_ids, identity_ids, begin_s, end_s = zip(*rows, strict=True) if rows else ((),) * 5
    count = len(rows)
    return Tracklets(
        cameras=np.array(cameras, np.object_),
        track_ids=np.array(track_ids, np.int64),
        identity_ids=np.array(identity_ids, np.int64),
        begin_s=np.array(begin_s, np.float64),
        end_s=np.array(end_s, np.float64),
        decided_s=np.full(count, np.nan),
        frames=np.full(count, 7),
        num_embeddings=np.full(count, 3),
        embeddings=np.zeros((count, 0), np.float32),
    )


NONE = tracks()


def test_hours_that_are_over_become_tables_and_every_row_comes_back(tmp_path: Path) -> None:
    journal = HourlyJournal(tmp_path, CAMERAS, {})
    for minute in range(0, 150, 10):
        for camera in CAMERAS:
            put(journal, camera, minute + 1, HOUR + 60 * minute, 1, 1000 + minute)
        put(journal, DOOR, minute + 2, HOUR + 60 * minute + 1)  # nobody there
    assert journal.save() == {hour_of(HOUR): 24, hour_of(HOUR + 3600): 24, hour_of(HOUR + 7200): 12}
    before = np.concatenate(list(read_hours(tmp_path, CAMERAS)))
    journal.close_hours(HOUR + 7200 + 30)  # a minute is waited for frames that are late
    journal.close()
    assert [path.name for path in sorted((tmp_path / "sightings").iterdir())] == ["2026-11-28T21.parquet"]
    again = HourlyJournal(tmp_path, CAMERAS, {hour_of(HOUR + 3600): 24, hour_of(HOUR + 7200): 12})
    again.finish()
    assert not list((tmp_path / "journal").glob("*.bin"))
    assert len(list((tmp_path / "sightings").iterdir())) == 3
    assert np.array_equal(np.concatenate(list(read_hours(tmp_path, CAMERAS))), before)
    begin_s, end_s = HOUR + 55 * 60, HOUR + 70 * 60
    part = np.concatenate(list(read_hours(tmp_path, CAMERAS, begin_s, end_s)))
    assert np.array_equal(part, before[(before["time"] >= begin_s) & (before["time"] <= end_s)])
    assert len(part) == 8


@pytest.mark.parametrize("is_closed", [False, True])
def test_what_came_after_the_checkpoint_is_cut_off(tmp_path: Path, is_closed: bool) -> None:
    journal = HourlyJournal(tmp_path, CAMERAS, {})
    put(journal, DOOR, 1, HOUR + 3599, 1)
    safe = journal.save()
    if is_closed:
        journal.close_hours(HOUR + 3600 + 61)
        assert journal._closing is not None
        journal._closing.join()
    put(journal, YARD, 1, HOUR + 3601, 2)
    if not is_closed:
        put(journal, DOOR, 2, HOUR + 3599.5, 1)
    journal.save()
    journal.close()  # and the run is killed
    again = HourlyJournal(tmp_path, CAMERAS, safe)
    rows = np.concatenate(list(read_hours(tmp_path, CAMERAS)))
    assert rows["track"].tolist() == [1]
    put(again, DOOR, 2, HOUR + 3602, 1)
    again.finish()
    assert np.concatenate(list(read_hours(tmp_path, CAMERAS)))["frame"].tolist() == [1, 2]


def test_one_process_writes_and_a_journal_that_lost_rows_is_refused(tmp_path: Path) -> None:
    journal = HourlyJournal(tmp_path, CAMERAS, {})
    put(journal, DOOR, 1, HOUR, 1)
    with pytest.raises(ReuniteError, match="another process"):
        HourlyJournal(tmp_path, CAMERAS, {})
    journal.save()
    journal.close()
    with pytest.raises(ReuniteError, match="holds 1 sightings, its checkpoint counts 2"):
        HourlyJournal(tmp_path, CAMERAS, {hour_of(HOUR): 2})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with closing(RunStore(tmp_path / "run.sqlite", CAMERAS)) as opened:
        yield opened


def event(time_s: float, kind: str, track: int, identity: int, other: int = 0) -> IdentityEvent:
    return IdentityEvent(time_s, kind, DOOR, track, identity, other)  # type: ignore[arg-type]


def read(store: RunStore, *between_s: float) -> list[tuple[str, int, int, float]]:
    return [
        row
        for it in store.tracklets(*between_s)
        for row in zip(
            it.cameras, it.track_ids.tolist(), it.identity_ids.tolist(), it.end_s.tolist(), strict=True
        )
    ]


def test_tracks_are_written_when_they_change_and_read_by_time(store: RunStore) -> None:
    store.write(tracks(("door", 1, 0, 10, 20), ("yard", 1, 1, 12, 30)), NONE, [])
    store.write(tracks(("door", 1, 2, 10, 25), ("yard", 1, 1, 12, 30), ("door", 2, 1, 50, 60)), NONE, [])
    assert read(store) == [("door", 1, 2, 25), ("yard", 1, 1, 30), ("door", 2, 1, 60)]
    assert read(store, 26, 49) == [("yard", 1, 1, 30)]
    assert read(store, 61, 99) == []
    # A folded track stays as it is, but for who it is.
    store.write(tracks(("door", 2, 1, 50, 61)), tracks(("door", 1, 1, 10, 25)), [])
    assert read(store) == [("door", 1, 1, 25), ("yard", 1, 1, 30), ("door", 2, 1, 61)]


def test_who_was_merged_is_the_other_also_in_tracks_that_are_over(store: RunStore) -> None:
    told = [event(20, "new", 1, 1), event(31, "new", 1, 2), event(61, "new", 2, 3)]
    store.write(tracks(("door", 1, 1, 10, 20), ("yard", 1, 2, 12, 30), ("door", 2, 3, 50, 60)), NONE, told)
    store.write(NONE, NONE, [event(70, "merged", 2, 2, 3), event(80, "merged", 1, 1, 2)])
    assert [row[2] for row in read(store)] == [1, 1, 1]
    assert [(it.kind, it.identity, it.other) for it in store.events(65, 99)] == [
        ("merged", 2, 3),
        ("merged", 1, 2),
    ]
    known = StoredIdentities(store)
    assert known.lookup(DOOR, np.array([2, 1, 2, 9])).tolist() == [1, 1, 1, 0]
    store.drop_before(None, 75)  # the first of the two is not told any more, but is so
    assert [row[2] for row in read(store)] == [1, 1, 1]


def test_undecided_tracks_have_numbers_of_their_own(store: RunStore) -> None:
    store.write(tracks(("door", 1, 0, 10, 20), ("yard", 1, 0, 12, 30), ("door", 2, 3, 50, 60)), NONE, [])
    known = StoredIdentities(store)
    numbers = [
        *known.numbered(DOOR, np.array([1, 2, 1])).tolist(),
        *known.numbered(YARD, np.array([1])).tolist(),
    ]
    assert numbers[0] == numbers[2] > 999_999
    assert numbers[1] == 3
    assert numbers[3] not in numbers[:3]


def test_what_came_after_the_checkpoint_did_not_happen(store: RunStore) -> None:
    store.write(tracks(("door", 1, 1, 10, 20)), NONE, [event(15, "new", 1, 1)])
    store.write(tracks(("door", 1, 1, 10, 30), ("yard", 1, 2, 25, 30)), NONE, [event(27, "new", 1, 2)])
    store.go_back(20, 1)
    assert read(store) == [("door", 1, 1, 30)]
    assert [it.time for it in store.events()] == [15]
    assert store.num_events == 1


def test_a_forgotten_person_is_in_no_byte_of_the_file(store: RunStore, tmp_path: Path) -> None:
    number, other = 0x71A5C3E9, 0x5D0FA7B1
    rows = [("door", track, number if track % 3 else other, track, track + 1.0) for track in range(1, 400)]
    told = [event(it, "new", it, number) for it in range(1, 300)]
    store.write(tracks(*rows, ("yard", 1, 8, 5, 6)), NONE, [*told, event(400, "merged", 1, number, other)])
    assert number.to_bytes(4, "big") in b"".join(it.read_bytes() for it in tmp_path.iterdir())
    store.forget([number])
    store.close()
    files = b"".join(it.read_bytes() for it in tmp_path.iterdir())
    for gone in (number, other):
        assert gone.to_bytes(4, "big") not in files
    again = RunStore(tmp_path / "run.sqlite", CAMERAS)
    with closing(again):
        assert {row[2] for row in read(again)} == {0, 8}
        assert len(read(again)) == 400


def test_a_recording_is_read_while_the_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match="only live runs"):
        Recording(tmp_path)
    journal, store = (
        HourlyJournal(tmp_path / FOLDER, CAMERAS, {}),
        RunStore(tmp_path / FOLDER / "run.sqlite", CAMERAS),
    )
    put(journal, DOOR, 1, HOUR, 1, 2)
    put(journal, YARD, 1, HOUR + 3600, 1)
    journal.save()
    store.write(
        tracks(("door", 1, 5, HOUR, HOUR), ("door", 2, 0, HOUR, HOUR), ("yard", 1, 6, HOUR, HOUR)), NONE, []
    )
    recording = Recording(tmp_path)
    found = [
        (row["track"], who)
        for rows, ids in recording.sightings()
        for row, who in zip(rows, ids.tolist(), strict=True)
    ]
    assert found == [(1, 5), (2, 0), (1, 6)]
    assert [len(rows) for rows, _ in recording.sightings(camera=YARD)] == [1]
    assert [len(rows) for rows, _ in recording.sightings(HOUR - 5, HOUR + 5)] == [2]
    for opened in (recording, journal, store):
        opened.close()
