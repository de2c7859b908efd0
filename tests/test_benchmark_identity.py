import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.identity import __main__ as command
from benchmarks.identity import loading
from benchmarks.identity.appearance import NOBODY, Spread
from benchmarks.identity.cache import Arrays, cached, digest
from benchmarks.identity.loading import CALIBRATED, ground_of
from benchmarks.identity.nearest import NearestNeighbour
from benchmarks.identity.scenes import PETS, PETS_PEOPLE, join_people, match_people, watch_simulated
from benchmarks.identity.scoring import (
    Linker,
    identities_of,
    idf1_of,
    mixed_tracks,
    observe_all,
    people_of,
    score,
)
from benchmarks.identity.tracked import TrackedCamera, TrackedScene, pack, unpack
from foundation.arrays import EmbeddingArray, IntArray
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, read_mot
from tests.conftest import shared_folder
from tests.test_reentry import split_cameras
from tracker.config import GroundConfig, IdentityConfig
from tracker.geometry import xyxy_to_xywh
from tracker.ground import GroundPlane
from tracker.metrics import GroundTruth, compare
from tracker.metrics.reentry import Presence, count_reentries, find_presence, find_visits
from tracker.simulate import SimulationConfig
from tracker.types import CameraName, Frame, Tracks, blank_image

DOOR, HALL = CameraName("door"), CameraName("hall")


def picture(*values: float) -> EmbeddingArray:
    return np.array(values, np.float32) / np.float32(np.linalg.norm(values))


A, B, NOT_LOOKED = picture(1, 0, 0), picture(0, 1, 0), np.zeros(3, np.float32)


def show(linker: Linker, camera: CameraName, time: float, people: dict[int, EmbeddingArray]) -> list[int]:
    """The identities of tracks that look like this."""
    boxes = np.tile([0.0, 0.0, 10.0, 20.0], (len(people), 1))
    embeddings = np.array([*people.values()], np.float32).reshape(len(people), 3)
    tracks = Tracks(np.array([*people], np.int64), boxes, np.ones(len(people)), embeddings)
    return [*map(int, linker.observe(Frame(camera, 1, time, blank_image(64, 64)), tracks))]


def test_whoever_comes_back_alike_enough_is_the_same_person() -> None:
    nearest = NearestNeighbour(0.6, [DOOR, HALL], max_lost_s=1.0)
    assert show(nearest, DOOR, 0.0, {1: A, 2: B}) == [1, 2]
    assert show(nearest, DOOR, 0.1, {}) == []
    assert show(nearest, HALL, 5.0, {1: picture(0.7, 0, 0.7), 2: picture(0.5, 0, 0.9)}) == [1, 3]
    assert show(nearest, HALL, 5.1, {1: NOT_LOOKED, 2: NOT_LOOKED}) == [1, 3]
    assert nearest.lookup(DOOR, np.array([1, 2])).tolist() == [1, 2]


def test_nobody_who_is_tracked_now_comes_back() -> None:
    nearest = NearestNeighbour(0.6, [DOOR, HALL], max_lost_s=1.0)
    assert show(nearest, DOOR, 0.0, {1: A}) == [1]
    assert show(nearest, HALL, 0.0, {1: A}) == [2]
    assert show(nearest, DOOR, 0.1, {1: A, 2: A}) == [1, 3]


def test_in_one_camera_a_track_is_waited_for_until_it_has_ended() -> None:
    nearest = NearestNeighbour(0.6, [DOOR, HALL], max_lost_s=1.0)
    show(nearest, DOOR, 0.0, {1: A})
    show(nearest, DOOR, 0.5, {})
    assert show(nearest, DOOR, 0.6, {2: A}) == [2]
    assert show(nearest, DOOR, 1.1, {1: A, 2: A}) == [1, 2]


def test_a_new_track_is_compared_with_several_pictures() -> None:
    nearest = NearestNeighbour(0.9, [DOOR, HALL], max_lost_s=1.0)
    for time, embedding in enumerate([A, B, picture(0, 0, 1)]):
        assert show(nearest, DOOR, time / 10, {1: embedding}) == [1]
    show(nearest, DOOR, 0.3, {})
    assert show(nearest, HALL, 9.0, {1: B}) == [1]


def test_a_track_that_nobody_looked_at_is_open_and_in_the_end_a_new_person() -> None:
    nearest = NearestNeighbour(0.6, [DOOR], max_lost_s=1.0)
    assert show(nearest, DOOR, 0.0, {1: A, 2: NOT_LOOKED}) == [1, 0]
    assert nearest.lookup(DOOR, np.array([1, 2])).tolist() == [1, 2]


def test_people_beyond_the_first_arrays_keep_their_pictures() -> None:
    nearest = NearestNeighbour(0.9995, [DOOR, HALL], max_lost_s=0.1)
    angles = np.linspace(0, 2 * np.pi, 150, endpoint=False)
    circle = [picture(np.cos(angle), np.sin(angle), 0) for angle in angles]
    for track, embedding in enumerate(circle, start=1):
        assert show(nearest, DOOR, track, {track: embedding}) == [track]
    show(nearest, DOOR, 200.0, {})
    for track, embedding in enumerate(circle, start=1):
        assert show(nearest, HALL, 200.0 + track, {track: embedding}) == [track]


def camera_of(
    name: CameraName, rows: Sequence[tuple[int, int, int, float]], num_frames: int
) -> TrackedCamera:
    """Rows (frame, person, track, left) of boxes without any error, at 10 frames per second."""
    frames, people, track_ids = (np.array([row[place] for row in rows], np.int64) for place in range(3))
    left = np.array([row[3] for row in rows])
    boxes = np.column_stack([left, np.zeros(len(rows)), np.full(len(rows), 10.0), np.full(len(rows), 20.0)])
    corners = boxes.copy()
    corners[:, 2] += left
    truth = GroundTruth(name, MotTable.of_people(frames, people, boxes, np.ones(len(rows))), num_frames)
    return TrackedCamera(
        truth=truth,
        frame_rate=10.0,
        size=(640, 480),
        limits=np.searchsorted(frames, np.arange(1, num_frames + 2)),
        tracks=Tracks(track_ids, corners, np.ones(len(rows)), np.empty((len(rows), 0), np.float32)),
        is_embedded=people > 0,
        embeddings=np.eye(8, dtype=np.float32)[people],
    )


def returning_scene() -> TrackedScene:
    """Person 1 leaves the door and comes to the hall 2 s later, 2 is in both at once, 3 only in the hall."""
    door = [(frame, 1, 1, 0.0) for frame in range(1, 11)] + [(frame, 2, 2, 50.0) for frame in range(21, 41)]
    hall = [(frame, 1, 1, 0.0) for frame in range(31, 41)] + [(frame, 2, 3, 90.0) for frame in range(31, 41)]
    hall += [(frame, 3, 2, 40.0) for frame in range(1, 11)]
    return TrackedScene([camera_of(DOOR, sorted(door), 40), camera_of(HALL, sorted(hall), 40)])


class Knowing:
    """A stand-in that reads the identity from drawn features, half a second late."""

    def __init__(self) -> None:
        self._known: dict[tuple[CameraName, int], tuple[int, float]] = {}

    def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
        said = []
        for track, embedding in zip(tracks.track_ids.tolist(), tracks.embeddings, strict=True):
            person, since = self._known.setdefault(
                (frame.camera, track), (int(embedding.argmax()), frame.time)
            )
            said.append(person if frame.time >= since + 0.5 else 0)
        return np.array(said, np.int64)

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        return np.array([self._known[camera, track][0] for track in track_ids.tolist()], np.int64)


def test_a_linker_that_knows_everybody_has_every_figure_right() -> None:
    scene, linker = returning_scene(), Knowing()
    settled_s = observe_all(scene, [linker])[0]
    outcome = score(scene, identities_of(scene, linker), settled_s)
    assert (outcome.scores.idf1, outcome.scores.hota, outcome.scores.ass_a) == (1.0, 1.0, 1.0)
    assert idf1_of(scene, identities_of(scene, linker)) == 1.0
    assert (outcome.reentry.returns, outcome.reentry.returns_recognised) == (1, 1)
    assert (outcome.reentry.strangers, outcome.reentry.strangers_mistaken) == (3, 0)
    assert outcome.decided_s == pytest.approx((0.5, 0.5))
    assert (outcome.together, outcome.together_as_one) == (10, 10)


def test_the_oracle_links_every_track_to_whom_it_is_on() -> None:
    outcome = score(returning_scene(), people_of(returning_scene()), None)
    assert (outcome.scores.idf1, outcome.people, outcome.people_true) == (1.0, 3, 3)


def test_the_oracle_gives_one_of_two_tracks_that_are_on_one_person_at_once_to_nobody() -> None:
    rows = [(frame, 1, 1, 0.0) for frame in range(1, 11)]
    camera = camera_of(DOOR, rows, 10)
    doubled = np.repeat(np.arange(10), 2)
    twice = camera.tracks[doubled]
    tracks = replace(
        twice, track_ids=np.tile([1, 2], 10), boxes=twice.boxes + np.tile([[0.0], [1.0]], (10, 1))
    )
    is_embedded, embeddings = camera.is_embedded[doubled], camera.embeddings[doubled]
    scene = TrackedScene(
        [
            replace(
                camera,
                limits=2 * camera.limits,
                tracks=tracks,
                is_embedded=is_embedded,
                embeddings=embeddings,
            )
        ]
    )
    identities = people_of(scene)
    assert identities[1] == 1
    assert identities[2] > 1


def test_a_track_is_mixed_that_is_on_a_second_person_for_a_while_and_not_for_a_moment() -> None:
    def door(second: int) -> TrackedScene:
        rows = [(frame, 1 if frame <= 40 - second else 2, 1, 0.0) for frame in range(1, 41)]
        return TrackedScene([camera_of(DOOR, rows, 40)])

    assert mixed_tracks(door(4)).tolist() == [1]
    assert mixed_tracks(door(3)).tolist() == mixed_tracks(returning_scene()).tolist() == []


@pytest.mark.real
def test_the_calibration_of_ufes_is_a_matrix_for_each_camera_that_a_run_takes() -> None:
    cameras = [CameraName(f"cam{number}") for number in range(4)]
    ground = GroundPlane(ground_of(CALIBRATED, GroundConfig(), shared_folder()), cameras)
    middle = np.array([[600.0, 300.0, 680.0, 500.0]])
    for camera in cameras:  # they hang in the corners of a room and look at its middle
        assert np.abs(ground.positions(camera, middle)).max() < 3
    assert ground_of("ufes", GroundConfig(), shared_folder()) == GroundConfig()


def test_without_linking_nobody_is_recognised() -> None:
    scene = returning_scene()
    outcome = score(scene, np.arange(1, scene.num_keys + 1), scene.begin_s)
    # Of each person who has two tracks only the longer one counts: 10 + 20 + 10 of 60 boxes.
    assert outcome.scores.idf1 == pytest.approx(40 / 60)
    assert idf1_of(scene, np.arange(1, scene.num_keys + 1)) == outcome.scores.idf1
    assert (outcome.reentry.returns_found, outcome.reentry.returns_missed) == (1, 1)
    assert outcome.decided_s == (0.0, 0.0)
    assert (outcome.together, outcome.together_as_one) == (10, 0)


def test_frames_come_in_the_order_of_time_and_each_once() -> None:
    order = [(frame.time, frame.camera) for _, frame, _ in returning_scene().frames()]
    assert order == sorted(order)
    assert len(order) == 80


def test_clocks_that_differ_move_frames_and_not_what_is_measured() -> None:
    scene, shifted = returning_scene(), TrackedScene(returning_scene().cameras, clock_shift_s=0.75)
    order = [(frame.time, frame.camera, frame.number) for _, frame, _ in shifted.frames()]
    assert order == sorted(order)
    assert {(camera, number): time for time, camera, number in order} == {
        (frame.camera, frame.number): frame.time + (0.75 if frame.camera == HALL else 0.0)
        for _, frame, _ in scene.frames()
    }
    outcomes = []
    for one in (scene, shifted):
        linker = Knowing()
        settled_s = observe_all(one, [linker])[0]
        outcomes.append(score(one, identities_of(one, linker), settled_s))
    assert outcomes[0].decided_s == pytest.approx(outcomes[1].decided_s)
    assert outcomes[0].as_dict() | {"decided_s": None} == outcomes[1].as_dict() | {"decided_s": None}


def test_an_undecided_track_never_counts_as_decided() -> None:
    class Silent(Knowing):
        def observe(self, frame: Frame, tracks: Tracks) -> IntArray:
            return super().observe(frame, tracks) * (frame.camera == DOOR)

    scene, linker = returning_scene(), Silent()
    settled_s = observe_all(scene, [linker])[0]
    decided_s = score(scene, identities_of(scene, linker), settled_s).decided_s
    assert decided_s == pytest.approx((0.5, np.inf))


def test_a_track_that_goes_over_to_somebody_was_settled_when_it_did() -> None:
    rows = [(frame, 1, 1, 0.0) for frame in range(1, 11)] + [(frame, 2, 1, 0.0) for frame in range(11, 31)]
    scene = TrackedScene([camera_of(DOOR, rows, 30)])
    assert score(scene, np.arange(1, scene.num_keys + 1), scene.begin_s).decided_s == (0.0, 0.0)


def test_one_identity_on_two_tracks_at_once_is_no_result() -> None:
    scene = returning_scene()
    with pytest.raises(ReuniteError, match="camera 'hall', frame 31: identity 1 is on 2 tracks"):
        score(scene, np.ones(scene.num_keys, np.int64), None)
    with pytest.raises(ReuniteError, match="camera 'door': a track has no identity"):
        score(scene, np.zeros(scene.num_keys, np.int64), None)


def test_a_packed_scene_is_the_same_scene() -> None:
    scene = returning_scene()
    again = TrackedScene(unpack(pack(scene.cameras)))
    for (_, frame, tracks), (_, frame2, tracks2) in zip(scene.frames(), again.frames(), strict=True):
        assert (frame.camera, frame.number, frame.time, frame.size) == (
            frame2.camera,
            frame2.number,
            frame2.time,
            frame2.size,
        )
        assert np.array_equal(tracks.track_ids, tracks2.track_ids)
        assert np.array_equal(tracks.boxes, tracks2.boxes)
        assert np.array_equal(tracks.embeddings, tracks2.embeddings)
    names = np.arange(1, scene.num_keys + 1)
    assert score(again, names, None).as_dict() == score(scene, names, None).as_dict()


def test_detections_are_the_people_whom_they_overlap() -> None:
    boxes = np.array([[0.0, 0, 10, 20], [30, 0, 10, 20]])
    truth = GroundTruth("door", MotTable.of_people(np.array([1, 1]), np.array([5, 7]), boxes, np.ones(2)), 2)
    found = np.array([[31.0, 0, 10, 20], [36, 0, 10, 20], [1, 1, 10, 20], [0, 0, 10, 20]])
    table = MotTable.of_people(np.array([1, 1, 1, 2]), np.full(4, -1), found, np.ones(4))
    assert match_people(table, truth).ids.tolist() == [7, NOBODY, 5, NOBODY]


def test_people_of_a_simulation_come_one_after_another_and_look_like_themselves(tmp_path: Path) -> None:
    config = SimulationConfig(cameras=2, people=8, seconds=60, frame_rate=5, video=False)
    door, hall = watch_simulated(config, Spread(), tmp_path)
    tables = [camera.truth.table for camera in (door, hall)]
    frames, people = (np.concatenate([getattr(table, key) for table in tables]) for key in ("frames", "ids"))
    first_s = [frames[people == person].min() / 5 for person in np.unique(people)]
    assert len(first_s) > 4
    assert max(first_s) > 25  # without `NEWCOMERS` everybody comes in the first seconds
    for camera in (door, hall):
        assert len(camera.limits) == config.frames + 1
        assert camera.limits[-1] == len(camera.found)
        matched = match_people(
            MotTable.of_people(
                np.repeat(np.arange(1, config.frames + 1), np.diff(camera.limits)),
                np.zeros(len(camera.found), np.int64),
                xyxy_to_xywh(camera.found.boxes),
                camera.found.scores,
            ),
            camera.truth,
        ).ids
        embeddings = np.concatenate(
            [
                camera.embed(frame, np.ones(np.diff(camera.limits)[frame], np.bool_))
                for frame in range(config.frames)
            ]
        )
        known = matched != NOBODY
        cosine = embeddings[known] @ embeddings[known].T
        same = matched[known][:, None] == matched[known]
        assert cosine[same].mean() > Spread().other_camera
        assert cosine[~same].mean() < Spread().other_camera


def test_whoever_is_joined_is_one_person_and_nothing_else_changes() -> None:
    truth = returning_scene().cameras[0].truth
    joined = join_people(truth, {2: 1, 9: 3})
    assert np.array_equal(joined.table.ids, np.ones(len(truth.table), np.int64))
    assert np.array_equal(joined.table.frames, truth.table.frames)
    assert (joined.name, joined.num_frames) == (truth.name, truth.num_frames)


@pytest.mark.real
def test_the_joined_people_of_pets_are_ten_and_nobody_is_twice_in_a_frame() -> None:
    file = shared_folder() / "data" / "video" / "PETS09-S2L1" / "gt" / "gt.txt"
    truth = GroundTruth("PETS09-S2L1", read_mot(file, unique_ids=True), 795)
    assert len(np.unique(truth.table.ids)) == 19
    table = join_people(truth, PETS_PEOPLE).table
    assert np.unique(table.ids).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 16, 17]
    assert len(np.unique(np.column_stack((table.frames, table.ids)), axis=0)) == len(table)


@pytest.mark.real
@pytest.mark.parametrize(("name", "returns", "elsewhere"), [("pets-2x1", 40, 29), ("pets-2x2", 40, 35)])
def test_joined_people_return_as_often_as_the_tool_counts_that_cuts_the_cameras(
    name: str, returns: int, elsewhere: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tool, (columns, rows, gap) = split_cameras(), PETS[name]
    file = shared_folder() / "data" / "video" / "PETS09-S2L1" / "gt" / "gt.txt"
    frames, ids, boxes, rest = tool.read_gt(file)
    joined = np.array([PETS_PEOPLE.get(number, number) for number in ids.tolist()])
    parts = []
    for index, cell in enumerate(tool.make_grid(768, 576, columns, rows, gap)):
        tool.assign_boxes(cell, frames, ids, boxes, rest, min_inside=0.5)
        numbers, people, corners, _ = zip(*cell.rows, strict=True)
        table = MotTable.of_people(
            np.array(numbers), np.array(people), np.array(corners), np.ones(len(numbers))
        )
        truth = join_people(GroundTruth(cell.name, table, 795), PETS_PEOPLE)
        parts.append(find_presence(index, truth, compare(truth.table, truth), range(1, 796), 7.0))
    counts = count_reentries(find_visits(Presence.together(parts)))
    assert (counts.returns, counts.returns_elsewhere, counts.strangers) == (returns, elsewhere, 10)

    cells = tool.make_grid(768, 576, columns, rows, gap)
    for cell in cells:
        tool.assign_boxes(cell, frames, joined, boxes, rest, min_inside=0.5)
    tool.summarise(cells, 7.0, 1.0)
    assert f"in no cell: {returns} ({elsewhere} into another cell" in capsys.readouterr().out


def test_what_is_kept_is_made_once_and_named_after_what_it_is_made_of(tmp_path: Path) -> None:
    made = []

    def make() -> Arrays:
        made.append(1)
        return {"numbers": np.arange(3)}

    for _ in range(2):
        assert cached(tmp_path / "new" / "file.npz", make)["numbers"].tolist() == [0, 1, 2]
    assert len(made) == 1
    (tmp_path / "code.py").write_text("one")
    before = digest("scene", tmp_path)
    assert before == digest("scene", tmp_path) != digest("other scene", tmp_path)
    (tmp_path / "code.py").write_text("two")
    assert before != digest("scene", tmp_path)


class StandIn(NearestNeighbour):
    """A linker with the interface of ours."""

    def __init__(self, config: IdentityConfig, cameras: Sequence[CameraName], plane: GroundPlane) -> None:
        super().__init__(1 - config.max_false_merge_rate, cameras, max_lost_s=1.5)
        self.was_linked_offline, self.num_identities = False, 7

    def finalize(self) -> None:
        """Everybody is somebody already."""

    def link_offline(self) -> None:
        self.was_linked_offline = True

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        # Nobody stays the same: enough to see that the offline row is read after relinking.
        return super().lookup(camera, track_ids) + 1000 * self.was_linked_offline * (1 + track_ids)


def test_the_command_prints_a_row_for_each_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = SimulationConfig(cameras=2, people=8, seconds=90, frame_rate=5, video=False)
    monkeypatch.setitem(loading.SIMULATED, "simulated-6", tiny)
    monkeypatch.setattr(command, "IdentityLinker", StandIn)
    monkeypatch.setattr(command, "THRESHOLDS", np.array([0.3, 0.5, 0.7]))
    arguments = ["--data", "simulated-6", "--cache", str(tmp_path), "--json", str(tmp_path / "scores.json")]
    arguments += ["--set", "identity.max_false_merge_rate=0.4"]
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    rows = json.loads((tmp_path / "scores.json").read_text())["rows"]
    methods = [row["method"] for row in rows]
    assert methods[0] == "no linking"
    assert methods[1].startswith("nearest neighbour, best of sweep (0.")
    ours = ["ours, online", "ours, offline", "oracle"]
    assert methods[2:] == ["nearest neighbour, middle of sweep (0.50)", *ours]
    assert all(f"| {method} " in printed for method in methods)
    none, best, middle, online, offline, oracle = rows
    assert none["IDF1"] < best["IDF1"] >= middle["IDF1"]
    assert none["returns_recognised"] == 0
    assert (none["stated_rate"], online["stated_rate"]) == (None, 0.4)
    assert online["decided_s"] is not None
    assert offline["decided_s"] is None
    assert online["IDF1"] >= offline["IDF1"]
    assert oracle["IDF1"] >= max(row["IDF1"] for row in rows)
    assert online["people"] == 7
    assert {row["oracle_IDF1"] for row in rows} == {oracle["IDF1"]}
    assert 1 < online["people_true"] <= 8

    monkeypatch.setattr(loading, "follow", None)  # a second run reads the tracks from the cache
    assert command.main([*arguments, "--method", "none"]) == 0
    assert json.loads((tmp_path / "scores.json").read_text())["rows"] == [none]


def test_missing_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", "pets-2x1", "--shared", str(tmp_path), "--cache", str(tmp_path / "cache")]
    assert command.main(arguments) == 2
    assert f"{tmp_path}/tools/split_cameras.py: no such file" in capsys.readouterr().err
