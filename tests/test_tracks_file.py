"""``tracks.csv`` and ``events.jsonl``: what is written is read back, and a cut loses and repeats nothing."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from tracker.reports.tracks import HEADER, read_tracks, write_tracks
from tracker.sinks.events import EventLog
from tracker.types import CameraName, Frame, IdentityEvent, Sightings, Tracklets, blank_image

DOOR = CameraName("door")
NOBODY = Sightings(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def table(*rows: tuple[str, int, int, float, float, float, int, int]) -> Tracklets:
    """Rows as they stand in the file; nan where undecided."""
    cameras, track_ids, identity_ids, begin_s, end_s, decided_s, frames, num_embeddings = (
        zip(*rows, strict=True) if rows else [()] * len(HEADER)
    )
    return Tracklets(
        np.array(cameras, object),
        np.array(track_ids, np.int64),
        np.array(identity_ids, np.int64),
        np.array(begin_s, np.float64),
        np.array(end_s, np.float64),
        np.array(decided_s, np.float64),
        np.array(frames, np.int64),
        np.array(num_embeddings, np.int64),
        np.full((len(rows), 4), 0.5, np.float32),
    )


def test_the_file_has_a_line_for_each_track(tmp_path: Path) -> None:
    tracks = table(("door", 1, 3, 0.0, 12.3456, 2.0, 300, 8), ("hall", 7, 0, 11.04, 11.2, np.nan, 5, 0))
    path = write_tracks(tmp_path / "tracks.csv", [tracks])
    assert path.read_text().splitlines() == [
        "camera,track,identity,first_seen,last_seen,decided,frames,embeddings",
        "door,1,3,0.000,12.346,2.000,300,8",
        "hall,7,0,11.040,11.200,,5,0",
    ]
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (("door", 1, 3, 0.0, 12.5, 2.0, 300, 8),),
        (
            ('a, "b"\nc', 2**40, 1, 1_763_700_000.125, 1_763_700_009.5, np.nan, 1, 0),
            ("Café", 1, 0, -3.5, 0, 0, 9, 9),
        ),
    ],
)
def test_what_was_written_is_read_back(
    tmp_path: Path, rows: tuple[tuple[str, int, int, float, float, float, int, int], ...]
) -> None:
    tracks = table(*rows)
    again = read_tracks(write_tracks(tmp_path / "tracks.csv", [tracks]))
    assert again is not None
    for field in fields(Tracklets):
        if field.name != "embeddings":  # what people look like is not in the file
            column = getattr(again, field.name)
            assert column.dtype == getattr(tracks, field.name).dtype
            np.testing.assert_array_equal(column, getattr(tracks, field.name))
    assert again.embeddings.shape == (len(rows), 0)


def test_a_second_file_takes_the_place_of_the_first(tmp_path: Path) -> None:
    row = ("door", 1, 3, 0.0, 12.5, 2.0, 300, 8)
    write_tracks(tmp_path / "tracks.csv", [table(row, row)])
    again = read_tracks(write_tracks(tmp_path / "tracks.csv", [table(row)]))
    assert again is not None
    assert len(again) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "its first line is not camera,track,"),
        ("frame,id\n1,2\n", "its first line is not camera,track,"),
        (",".join(HEADER) + "\ndoor,1,3,0.0,1", "a line is cut off"),
        (",".join(HEADER) + "\ndoor,one,3,0,1,2,3,4\n", "invalid literal for int.* 'one'"),
        (",".join(HEADER) + "\ndoor,1,3,0,soon,2,3,4\n", "could not convert string to float: .*'soon'"),
        (",".join(HEADER) + "\ndo\xff", "can't decode byte"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "tracks.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReuniteError, match=rf"tracks.csv: cannot be read: .*{problem}.*; delete it"):
        read_tracks(path)


def test_no_file_is_no_table(tmp_path: Path) -> None:
    assert read_tracks(tmp_path / "tracks.csv") is None


# Events


def frame(number: int) -> Frame:
    return Frame(DOOR, number, number / 10, blank_image(64, 48))


class Telling:
    """A linker that says one thing in each frame."""

    def __init__(self) -> None:
        self.events: list[IdentityEvent] = []

    def take(self) -> list[IdentityEvent]:
        events, self.events = self.events, []
        return events

    def write(self, log: EventLog, *numbers: int) -> None:
        for number in numbers:
            self.events.append(IdentityEvent(number / 10, "new", DOOR, number, number + 100))
            log.write(frame(number), NOBODY)


def tracks_told(path: Path) -> list[int]:
    return [json.loads(line)["track"] for line in path.read_text().splitlines()]


def test_each_event_is_a_line_as_soon_as_its_frame_is_written(tmp_path: Path) -> None:
    path, telling = tmp_path / "events.jsonl", Telling()
    log = EventLog(path, telling.take)
    telling.events = [
        IdentityEvent(3.14159, "new", DOOR, 7, 4),
        IdentityEvent(3.2, "merged", CameraName("Café"), 9, 2, 5),
    ]
    log.write(frame(31), NOBODY)
    log.write(frame(32), NOBODY)
    first, second = path.read_text().splitlines()  # before the log was closed or saved
    assert json.loads(first) == {"time": 3.142, "event": "new", "camera": "door", "track": 7, "identity": 4}
    assert second == (
        '{"time": 3.2, "event": "merged", "camera": "Café", "track": 9, "identity": 2, "other": 5}'
    )
    log.close()


def test_a_resumed_run_tells_nothing_twice(tmp_path: Path) -> None:
    path, telling = tmp_path / "events.jsonl", Telling()
    log = EventLog(path, telling.take)
    telling.write(log, 1, 2)
    size = log.save()
    telling.write(log, 3, 4)
    log.close()
    assert tracks_told(path) == [1, 2, 3, 4]
    assert size == len(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))

    log = EventLog(path, telling.take, size)
    assert tracks_told(path) == [1, 2]
    telling.write(log, 3)
    assert log.save() == path.stat().st_size
    telling.write(log, 4, 5)
    log.close()
    assert tracks_told(path) == [1, 2, 3, 4, 5]


def test_what_is_found_out_after_the_last_frame_is_written_too(tmp_path: Path) -> None:
    path, telling = tmp_path / "events.jsonl", Telling()
    log = EventLog(path, telling.take)
    telling.write(log, 1)
    telling.events = [IdentityEvent(0.2, "new", DOOR, 2, 102)]
    log.flush()
    assert tracks_told(path) == [1, 2]
    telling.events = [IdentityEvent(0.3, "new", DOOR, 3, 103)]
    assert log.save() == path.stat().st_size  # a checkpoint never counts less than its state knows
    assert tracks_told(path) == [1, 2, 3]
    log.close()


def test_a_run_that_begins_anew_forgets_what_was_told(tmp_path: Path) -> None:
    path, telling = tmp_path / "events.jsonl", Telling()
    path.write_text("half a li")
    log = EventLog(path, telling.take)
    assert log.save() == 0
    telling.write(log, 1)
    log.close()
    assert tracks_told(path) == [1]


def test_a_log_that_is_shorter_than_its_checkpoint_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("123456789\n")
    with pytest.raises(
        ReuniteError, match=r"events.jsonl: holds 10 bytes, its checkpoint counts 11; .* anew"
    ):
        EventLog(path, Telling().take, 11)
    assert path.read_text() == "123456789\n"


KILLED = """
import itertools, sys
from pathlib import Path
from tests.test_tracks_file import Telling
from tracker.sinks.events import EventLog

telling = Telling()
log = EventLog(Path(sys.argv[1]), telling.take)
for number in itertools.count(1):
    telling.write(log, number)
    print(number, flush=True)
"""


def test_a_killed_run_loses_no_event_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    program = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    with program, program.stdout as said:
        written = [int(said.readline()) for _ in range(50)][-1]
        os.kill(program.pid, signal.SIGKILL)
        written = max([written, *(int(line) for line in said if line.endswith("\n"))])
    told = tracks_told(path)
    assert told == [*range(1, len(told) + 1)]
    assert len(told) >= written >= 50
