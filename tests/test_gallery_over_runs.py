"""Whole runs with a gallery: people keep their numbers from one run to the next."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from tests.galleries import unit_rows
from tests.test_identity_table import replay
from tracker.config import load_config
from tracker.gallery import Gallery, Network
from tracker.identity.table import NOBODY_FROM
from tracker.recording.folder import RunFolder
from tracker.recording.gallery import OWN_GALLERY
from tracker.recording.run import TrackingRun
from tracker.reports.tracks import read_tracks
from tracker.run import main
from tracker.types import (
    CameraName,
    Detections,
    Frame,
    IdentityEvent,
    Observations,
    Tick,
    Tracks,
    blank_image,
)

pytestmark = pytest.mark.usefixtures("blank_figures")

STAYS = {"door": ((1, 1, 30), (3, 41, 75)), "yard": ((2, 1, 30), (1, 41, 75))}
"""Of each camera: who is seen, in which frames, ten a second. The first person goes from one to the other."""

FRAMES, SHADE, DIMENSION = 75, 40, 1024
SETTINGS = ["--set", "detector.kind=file", "--set", "embedder.kind=color"]


class KnowsByShade:
    """A network that tells drawn people apart: who it is stands in the colour of the middle of the box."""

    network: Network | None = Network("shades", "5bade", DIMENSION)
    prior: CosinePrior | None = None

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> list[Observations]:
        return [
            Observations(people.boxes, people.scores, np.array([look(frame, box) for box in people.boxes]))
            if len(people)
            else Observations(people.boxes, people.scores, np.zeros((0, DIMENSION), np.float32))
            for frame, people in zip(tick.frames, detections, strict=True)
        ]


def look(frame: Frame, box: np.ndarray) -> np.ndarray:
    """The direction of one person, off by as much as two pictures of one person differ."""
    x, y = (int((box[side] + box[side + 2]) / 2) for side in (0, 1))
    person = round(int(frame.image[y, x, 0]) / SHADE)
    off = unit_rows(np.random.default_rng([person, frame.number]), 1, DIMENSION)[0]
    seen = unit_rows(np.random.default_rng(person), 1, DIMENSION)[0] + np.float32(0.3) * off
    return np.asarray(seen / np.linalg.norm(seen), np.float32)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cameras, three people; the working folder is empty and writable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tracker.recording.run.build_embedder", lambda config: KnowsByShade())
    for camera, stays in STAYS.items():
        folder = tmp_path / "scene" / camera
        (folder / "img1").mkdir(parents=True)
        (folder / "det").mkdir()
        rows = []
        for number in range(1, FRAMES + 1):
            image = np.full((120, 200, 3), 230, np.uint8)
            for person, first, last in stays:
                if first <= number <= last:
                    left = 10 + 2 * (number - first)
                    image[20:90, left : left + 30] = SHADE * person
                    rows.append(f"{number},-1,{left},20,30,70,0.9,-1,-1,-1")
            cv2.imwrite(str(folder / "img1" / f"{number:06d}.png"), image)
        (folder / "det" / "det.txt").write_text("\n".join(rows) + "\n")
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={camera}\nframeRate=10\nseqLength={FRAMES}\nimWidth=200\nimHeight=120\n"
            "imDir=img1\nimExt=.png\n"
        )
    return tmp_path / "scene"


def run(scene: Path, *settings: str, name: str = "track") -> int:
    words = [word for setting in settings for word in ("--set", setting)]
    return main([str(scene), *SETTINGS, *words, "--name", name])


def who_was_where(folder: Path) -> dict[tuple[str, int], int]:
    """The identity of each camera's track."""
    table = pq.read_table(folder / "sightings.parquet")
    columns = (table[name].to_pylist() for name in ("camera", "track", "identity"))
    return {(camera, track): identity for camera, track, identity in zip(*columns, strict=True)}


def sightings_in(gallery: Path) -> dict[int, dict[CameraName, int]]:
    """Of each person, in how many frames each camera saw it."""
    with Gallery(gallery) as opened:
        return {
            person.number: {camera: seen.sightings for camera, seen in person.presence.items()}
            for person in opened.people()
        }


def test_people_keep_their_numbers_from_run_to_run(scene: Path) -> None:
    path = Path("people.sqlite")
    assert run(scene, f"gallery.path={path}", name="first") == 0
    first = who_was_where(Path("runs/first"))
    assert first["door", 1] == first["yard", 2]
    assert len(set(first.values())) == 3
    once = sightings_in(path)
    assert set(once) == set(first.values())
    assert run(scene, f"gallery.path={path}", name="second") == 0
    assert who_was_where(Path("runs/second")) == first
    assert sightings_in(path) == {
        number: {camera: 2 * count for camera, count in cameras.items()} for number, cameras in once.items()
    }
    # Without the gallery nobody is known; the people of the run lie in its own folder.
    assert run(scene, name="alone") == 0
    alone = sightings_in(Path("runs/alone") / OWN_GALLERY)
    assert sorted(alone) == sorted(set(who_was_where(Path("runs/alone")).values())) == [1, 2, 3]
    assert sorted(sorted(it.items()) for it in alone.values()) == sorted(
        sorted(it.items()) for it in once.values()
    )


def test_a_camera_that_was_renamed_between_two_runs_sees_the_same_people(scene: Path) -> None:
    assert run(scene, "gallery.path=people.sqlite", name="first") == 0
    (scene / "door").rename(scene / "entrance")
    assert run(scene, "gallery.path=people.sqlite", name="second") == 0
    first, second = (who_was_where(Path("runs") / name) for name in ("first", "second"))
    renamed = {
        ("entrance" if camera == "door" else camera, track): who for (camera, track), who in first.items()
    }
    assert second == renamed
    cameras = sightings_in(Path("people.sqlite"))[first["door", 1]]
    assert set(cameras) == {"door", "entrance", "yard"}


def test_who_was_forgotten_comes_back_as_somebody_new(scene: Path) -> None:
    assert run(scene, "gallery.path=people.sqlite", name="first") == 0
    first = who_was_where(Path("runs/first"))
    with Gallery(Path("people.sqlite")) as gallery:
        gallery.forget(first["door", 1])
    assert run(scene, "gallery.path=people.sqlite", name="second") == 0
    second = who_was_where(Path("runs/second"))
    assert second["door", 1] not in first.values()
    assert second["door", 2] == first["door", 2]


def test_one_count_of_people_and_one_who_is_who_in_every_file_of_a_run(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Somebody is seen in two frames of the yard and never again.
    detections = scene / "yard" / "det" / "det.txt"
    detections.write_text(
        detections.read_text() + "1,-1,150,20,30,70,0.9,-1,-1,-1\n2,-1,150,20,30,70,0.9,-1,-1,-1\n"
    )
    assert run(scene) == 0
    folder = Path("runs/track")
    assert "3 people, 1 undecided" in capsys.readouterr().out
    tracks = read_tracks(folder / "tracks.csv")
    assert tracks is not None
    keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
    known = dict(zip(keys, tracks.identity_ids.tolist(), strict=True))
    assert sorted(set(known.values())) == [0, 1, 2, 3]
    lines = (folder / "events.jsonl").read_text().splitlines()
    events = [
        IdentityEvent(it["time"], it["event"], it["camera"], it["track"], it["identity"], it.get("other", 0))
        for it in map(json.loads, lines)
    ]
    who = replay(events)
    assert {key: who.get(key, 0) for key in known} == known
    assert who.keys() <= known.keys()
    assert who_was_where(folder) == known
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["people"], summary["undecided"]) == (3, 1)
    assert json.loads((folder / "calibration.json").read_text())["people_known"] == 3
    assert sorted(sightings_in(folder / OWN_GALLERY)) == [1, 2, 3]
    boxes = pq.read_table(folder / "sightings.parquet").num_rows
    rows = [line for name in STAYS for line in (folder / f"mot/{name}.txt").read_text().splitlines()]
    assert len(rows) == boxes  # scoring one camera loses none
    assert {int(row.split(",")[1]) for row in rows} == {1, 2, 3, NOBODY_FROM}


@pytest.mark.parametrize("settings", [(), ("gallery.path=people.sqlite",)])
@pytest.mark.parametrize("cut", ["ResultFiles", "write_timeline"])
def test_a_run_that_is_cut_off_after_it_saved_saves_the_same_again(
    scene: Path, settings: tuple[str, ...], cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = Path("people.sqlite" if settings else f"runs/cut/{OWN_GALLERY}")

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"tracker.recording.results.{cut}", die)
        assert run(scene, *settings, name="cut") == 130
    saved = sightings_in(gallery)
    assert len(saved) == 3
    assert main(["--resume", "runs/cut"]) == 0
    assert sightings_in(gallery) == saved
    assert set(who_was_where(Path("runs/cut")).values()) == set(saved)


def test_a_run_that_is_stopped_and_resumed_knows_whom_it_knew(scene: Path) -> None:
    assert run(scene, "gallery.path=people.sqlite", name="first") == 0
    once = sightings_in(Path("people.sqlite"))
    words = [f"source={scene}", "detector.kind=file", "embedder.kind=color"]
    stop = threading.Event()
    with TrackingRun(load_config(None, [*words, "gallery.path=people.sqlite"]), stop) as cut:
        stop.set()
        assert not cut.run(Console(quiet=True))[0]
    assert sightings_in(Path("people.sqlite")) == once  # only who was there to the end is remembered
    assert main(["--resume", str(cut.folder.path)]) == 0
    assert who_was_where(cut.folder.path) == who_was_where(Path("runs/first"))


def test_a_full_disk_costs_neither_the_results_nor_the_people(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(None, [f"source={scene}", "detector.kind=file", "embedder.kind=color"])
    with TrackingRun(config, threading.Event()) as full:
        assert full._people._gallery is not None
        pages = full._people._gallery._gallery._database._connection
        pages.execute(f"PRAGMA max_page_count = {pages.execute('PRAGMA page_count').fetchone()[0]}")
        complete, _ = full.run(Console(quiet=True))
    assert not complete
    assert any("database or disk is full" in problem and "make room" in problem for problem in full.problems)
    assert who_was_where(full.folder.path)
    assert not json.loads(full.folder.summary.read_text())["complete"]
    assert main(["--resume", str(full.folder.path)]) == 0
    assert len(sightings_in(full.folder.path / OWN_GALLERY)) == 3
    assert not RunFolder(full.folder.path).is_unfinished


@pytest.mark.parametrize("settings", [(), ("gallery.thumbnails=true",)])
def test_no_picture_of_anybody_is_stored_unless_it_is_allowed(scene: Path, settings: tuple[str, ...]) -> None:
    assert run(scene, "gallery.path=people.sqlite", *settings) == 0
    with Gallery(Path("people.sqlite")) as gallery:
        people = gallery.people()
        assert [person.thumbnails for person in people] == [it.pictures * len(settings) for it in people]
        shown = [jpeg for person in people for jpeg in gallery.thumbnails(person.number).values()]
    for jpeg in shown:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        assert image.shape[:2] == pytest.approx((70, 30), abs=2)
    assert (b"\xff\xd8\xff" in Path("people.sqlite").read_bytes()) == bool(settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("embedder.kind=none", "gallery.path=people.sqlite"), "gallery.path: people cannot be recognised"),
        (("embedder.kind=none", "gallery.thumbnails=true"), "embedder.kind=none does not say"),
        (("identity.link=false", "gallery.path=people.sqlite"), "identity.link=false joins no tracks"),
        (("gallery.path=nowhere/people.sqlite",), "is its folder there"),
        (("gallery.path=scene/door/seqinfo.ini",), "is no gallery"),
    ],
)
def test_a_gallery_that_cannot_work_is_one_sentence_and_leaves_no_folder(
    scene: Path,
    settings: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "embedder.kind=none" in settings:
        monkeypatch.setattr(KnowsByShade, "network", None)
    assert run(scene, *settings) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error.replace("\n", " ")
    assert not Path("runs").exists()


@pytest.mark.parametrize("setting", ["embedder.kind=none", "identity.link=false"])
def test_a_run_that_can_remember_nobody_makes_no_gallery(
    scene: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "embedder.kind=none":
        monkeypatch.setattr(KnowsByShade, "network", None)
    assert run(scene, setting) == 0
    assert not list(Path("runs/track").glob("*.sqlite*"))


def test_a_gallery_is_found_again_from_any_folder(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(scene, "gallery.path=people.sqlite") == 0
    assert load_config(Path("runs/track/config.yaml")).gallery.path == str(Path("people.sqlite").resolve())


def test_a_live_run_saves_at_each_checkpoint_and_after_a_crash_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tracker.recording.run.build_embedder", lambda config: KnowsByShade())
    config = load_config(
        None, ["source=rtsp://127.0.0.1:9/door", "detector.kind=embedded", "gallery.path=people.sqlite"]
    )
    embeddings = unit_rows(np.random.default_rng(1), 1, DIMENSION)

    def watch(live: TrackingRun, begin_s: float) -> None:
        for step in range(30):
            tracks = Tracks(np.array([1]), np.array([[1.0, 2, 30, 90]]), np.array([0.9]), embeddings)
            frame = Frame(live.cameras[0], step + 1, begin_s + step / 10, blank_image(64, 48))
            live.identities.observe(frame, tracks)

    with TrackingRun(config, threading.Event()) as live:
        watch(live, 1_767_600_000.0)
        live._save()  # and then it is killed
    once = sightings_in(Path("people.sqlite"))
    assert list(once.values()) == [{live.cameras[0]: 30}]
    with Gallery(Path("people.sqlite")) as gallery:
        assert gallery.people()[0].seen.last_seen == pytest.approx(1_767_600_002.9)
    assert main(["--resume", str(live.folder.path), "--no-continue"]) == 0
    assert sightings_in(Path("people.sqlite")) == once


def test_a_gallery_that_cannot_be_written_for_a_while_does_not_stop_a_live_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tracker.recording.run.build_embedder", lambda config: KnowsByShade())
    config = load_config(None, ["source=rtsp://127.0.0.1:9/door", "detector.kind=embedded"])
    embeddings = unit_rows(np.random.default_rng(1), 1, DIMENSION)
    with TrackingRun(config, threading.Event()) as live:
        assert live._people._gallery is not None
        for step in range(30):
            tracks = Tracks(np.array([1]), np.array([[1.0, 2, 30, 90]]), np.array([0.9]), embeddings)
            frame = Frame(live.cameras[0], step + 1, 1_767_600_000.0 + step / 10, blank_image(64, 48))
            live.identities.observe(frame, tracks)
        connection = live._people._gallery._gallery._database._connection
        connection.execute("PRAGMA query_only = 1")
        live._save()
        live._save()
        assert live.folder.checkpoint.is_file()
        assert [it for it in live.problems if "may only be read" in it]
        assert [it.levelname for it in caplog.records].count("WARNING") == 1
        connection.execute("PRAGMA query_only = 0")
        live._save()
        assert not [it for it in live.problems if "may only be read" in it]
    assert len(sightings_in(live.folder.path / OWN_GALLERY)) == 1
