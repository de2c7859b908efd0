"""Runs over live cameras, from the first frame to the results, with people who are known."""

import json
from pathlib import Path

import pytest

from tests.live_runs import START, Presence, live_run
from tracker.config import RunConfig, load_config
from tracker.gallery import Gallery
from tracker.recording.checkpoint import load_checkpoint
from tracker.recording.folder import RunFolder
from tracker.reports.tracks import read_tracks

COMERS: list[Presence] = [
    ("door", 0, 0, 12), ("door", 1, 2, 15), ("yard", 0, 20, 30),
    ("door", 1, 40, 52), ("yard", 2, 41, 55), ("yard", 0, 60, 70),
]  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return load_config(None, [f"output.folder={tmp_path / 'runs'}", "source=rtsp://me:s3cret@nowhere/x"])


def people_of(folder: Path) -> dict[tuple[str, float], int]:
    """Who came when: camera and second of the first sighting."""
    tracks = read_tracks(folder / "tracks.csv")
    assert tracks is not None
    begins = [round(it - START) for it in tracks.begin_s.tolist()]
    return dict(zip(zip(tracks.cameras, begins, strict=True), tracks.identity_ids.tolist(), strict=True))


def announced(folder: Path) -> set[int]:
    """Everybody that the events leave in the end."""
    people: set[int] = set()
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        people.add(event["identity"])
        if event["event"] == "merged":
            people.discard(event["other"])
    return people - {0}


def test_whoever_is_on_the_last_screen_was_announced_and_is_in_the_gallery(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = live_run(monkeypatch, config, COMERS, (0, 71))
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["complete"], summary["people"], summary["undecided"]) == (True, 3, 0)
    assert announced(folder) == {1, 2, 3}
    with Gallery(folder / "gallery.sqlite") as gallery:
        assert {person.number for person in gallery.people()} == {1, 2, 3}


@pytest.mark.parametrize("cut_s", [17.0, 45.0])
def test_a_killed_live_run_goes_on_with_the_same_people(
    cut_s: float, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = live_run(monkeypatch, config, COMERS, (0, cut_s), is_cut=True)
    assert RunFolder(cut).is_unfinished
    progress, _ = load_checkpoint(RunFolder(cut).checkpoint)
    # Whoever is in view meanwhile is a new track afterwards.
    reopened, again = RunFolder.reopen(cut)
    assert live_run(monkeypatch, again, COMERS, (cut_s + 2.5, 71), reopened) == cut
    assert not RunFolder(cut).is_unfinished
    of_person = {0: 1, 1: 2, 2: 3}
    came = {(camera, round(begin)): of_person[person] for camera, person, begin, _ in COMERS}
    there = people_of(cut)
    assert {key: it for key, it in there.items() if key in came} == came
    assert set(there.values()) == {1, 2, 3}
    assert announced(cut) == {1, 2, 3}
    summary = json.loads((cut / "summary.json").read_text())
    counted = {camera: it["read"] for camera, it in summary["cameras"].items()}
    assert counted == {
        camera: it["read"] + round((71 - cut_s - 2.5) * 10) for camera, it in progress.health.items()
    }
    assert summary["cameras"]["door"]["delay_s"]["median"] > 0
