"""The simulated world: what it writes is true of what it draws, and comes out the same every time."""

import filecmp
import functools
import json
import re
import shlex
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from foundation.arrays import BoolArray, FloatArray
from foundation.errors import ReuniteError
from foundation.mot_files import read_mot, read_seqinfo
from tracker.simulate import DetectionNoise, SimulationConfig, simulate
from tracker.simulate.body import JOINT, Bodies, Poses, draw_looks, pose
from tracker.simulate.cameras import Camera, camera_at
from tracker.simulate.command import main
from tracker.simulate.figure import Sprite, build_vertices, draw_figures, paint
from tracker.simulate.layout import Site, build_site
from tracker.simulate.noise import NoisyDetector, detection_chance
from tracker.simulate.render import visible_part
from tracker.simulate.scene import View, look
from tracker.simulate.truth import Truth, see
from tracker.simulate.world import MAX_SPEED, UNSEEN, Motion, World
from tracker.types import CameraName

VIDEOS = Path(__file__).resolve().parents[1] / "videos"
TINY = SimulationConfig(cameras=2, people=5, seconds=6, frame_rate=5, width=160, height=96, seed=3)


def at(x: float, y: float, height: float, heading: float = 0.0, tilt: float = 0.0) -> Camera:
    return camera_at(CameraName("c"), 0, (640, 360), 500.0, np.array([x, y, height]), heading, tilt)


@functools.cache
def crowd(layout: str, people: int = 16, seconds: float = 30.0, seed: int = 4) -> tuple[Site, Motion]:
    config = SimulationConfig.model_validate({"cameras": 3, "layout": layout, "people": people, "seed": seed})
    site = build_site(config, np.random.default_rng(seed))
    gaits = np.array([one.gait_speed for one in draw_looks(people, np.random.default_rng(seed))])
    world = World(site, gaits, np.random.default_rng(seed))
    chunks = list(world.run(int(seconds * 10), 10.0))

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(chunk, name) for chunk in chunks])

    names = ("position", "facing", "phase", "speed", "gesture", "room")
    return site, Motion(**{name: joined(name) for name in names})


# Cameras


def test_a_level_camera_projects_as_computed_by_hand() -> None:
    # 10 m ahead, 2 m to the left (positive y when looking along x), 1 m below the camera.
    pixels, depth = at(0, 0, 3).project(np.array([10.0, 2.0, 2.0]))
    assert pixels == pytest.approx([320 - 500 * 2 / 10, 180 + 500 * 1 / 10])
    assert depth == pytest.approx(10.0)


def test_the_optical_axis_of_a_tilted_camera_meets_the_ground_where_trigonometry_says() -> None:
    camera = at(1, -2, 3, heading=np.pi / 2, tilt=np.arctan2(3, 6))
    pixels, depth = camera.project(np.array([1.0, 4.0, 0.0]))
    assert pixels == pytest.approx([320, 180])
    assert depth == pytest.approx(np.hypot(3, 6))
    assert camera.position == pytest.approx([1, -2, 3])


@pytest.mark.parametrize("layout", ["separate", "overlapping"])
def test_the_homography_leads_from_projected_ground_points_back_to_them(layout: str) -> None:
    site, _ = crowd(layout, seconds=0.1)
    for camera in site.cameras:
        ground = site.rooms[camera.room].spots
        pixels, _ = camera.project(np.column_stack([ground, np.zeros(len(ground))]))
        back = np.column_stack([pixels, np.ones(len(pixels))]) @ camera.image_to_ground.T
        assert back[:, :2] / back[:, 2:] == pytest.approx(ground, abs=1e-6)


def test_the_calibration_file_holds_the_camera_and_is_orthonormal(tmp_path: Path) -> None:
    simulate(tmp_path, TINY.model_copy(update={"video": False}))
    values = json.loads((tmp_path / "calibration.json").read_text())
    assert list(values) == ["cam1", "cam2"]
    for camera in values.values():
        rotation = np.array(camera["world_to_camera"])[:3, :3]
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert camera["size"] == [160, 96]


# Motion


@pytest.mark.parametrize("layout", ["separate", "overlapping"])
def test_nobody_ever_jumps(layout: str) -> None:
    _, motion = crowd(layout, people=30, seconds=90)
    steps = np.diff(motion.position, axis=0)
    assert np.hypot(steps[..., 0], steps[..., 1]).max() <= MAX_SPEED * 0.1 + 1e-5


@pytest.mark.parametrize("layout", ["separate", "overlapping"])
def test_people_keep_apart_from_each_other_and_from_furniture(layout: str) -> None:
    site, motion = crowd(layout, people=30, seconds=90)
    for number, room in enumerate(site.rooms):
        for here, position in zip(motion.room == number, motion.position, strict=True):
            x = position[here]
            if len(x) > 1:
                distance = np.hypot(*(x[:, None] - x[None]).transpose(2, 0, 1))[np.triu_indices(len(x), 1)]
                assert distance.min() > 0.2
            away = np.hypot(*(x[:, None] - room.obstacles[None, :, :2]).transpose(2, 0, 1))
            assert (away > room.obstacles[:, 2] - 0.05).all()


def test_people_in_rooms_stand_in_them_or_in_a_doorway() -> None:
    site, motion = crowd("separate", people=30, seconds=90)
    for number, room in enumerate(site.rooms):
        x = motion.position[motion.room == number]
        outside = ((x < room.low) | (x > room.high)).any(axis=1)
        to_door = np.min([np.hypot(*(x - door.outside).T) for door in room.doors], axis=0)
        assert to_door[outside].max(initial=0) < 2.6


def test_people_leave_and_come_back_in_other_rooms_after_seconds_and_after_minutes() -> None:
    _, motion = crowd("separate", people=30, seconds=900)
    absences, moves = [], 0
    for room in motion.room.T:
        seen = np.flatnonzero(room != UNSEEN)
        gaps = np.flatnonzero(np.diff(seen) > 1)
        absences += [(seen[gap + 1] - seen[gap]) / 10 for gap in gaps]
        moves += sum(room[seen[gap + 1]] != room[seen[gap]] for gap in gaps)
    assert moves > 0.5 * len(absences) > 100
    assert min(absences) < 15
    assert max(absences) > 120


def test_a_world_is_the_same_story_at_every_frame_rate_and_chunk_length() -> None:
    config = SimulationConfig(cameras=2, people=8, seed=5)

    def positions(frames: int, rate: float, chunk: int) -> FloatArray:
        site = build_site(config, np.random.default_rng(1))
        world = World(site, np.full(8, 1.3), np.random.default_rng(2))
        return np.concatenate([motion.position for motion in world.run(frames, rate, chunk)])

    slow = positions(101, 5.0, 256)
    assert positions(501, 25.0, 33)[::5] == pytest.approx(slow, abs=1e-9)


def test_a_full_room_lets_nobody_in() -> None:
    site, motion = crowd("overlapping", people=100, seconds=120)
    inside = (motion.room == 0).sum(axis=1)
    assert inside.max() == site.rooms[0].capacity


# Drawing against truth


def sprites_of(poses: Poses, bodies: Bodies, looks_seed: int, camera: Camera) -> list[Sprite | None]:
    rng = np.random.default_rng(looks_seed)
    paints = [paint(one, rng) for one in draw_looks(len(bodies.build), np.random.default_rng(looks_seed))]
    worn = [paints[person] for person in poses.person]
    light = np.array([0.0, 0.0, 1.0])
    return draw_figures(build_vertices(poses, bodies), worn, camera, light, np.ones(len(poses)))


def masks_of(sprites: list[Sprite | None], view: View, away: FloatArray) -> list[tuple[float, BoolArray]]:
    """Of each person: the area drawn, in the picture or not, and where the empty room lets it be seen."""
    masks = []
    for sprite, far in zip(sprites, away, strict=True):
        mask = np.zeros(view.range.shape, bool)
        area = 0.0
        if sprite is not None:
            area = float((sprite.patch[..., 3] > 127).sum())
            place = visible_part(sprite, view.range, float(far))
            if place is not None:
                rows, columns, patch, free = place
                mask[rows, columns] = (patch[..., 3] > 127) & free
        masks.append((area, mask))
    return masks


def frames_with_masks(
    layout: str,
) -> list[tuple[Truth, Poses, list[tuple[float, BoolArray]], View, FloatArray]]:
    site, motion = crowd(layout, people=24, seconds=60)
    bodies = Bodies.of(draw_looks(24, np.random.default_rng(4)))
    cases = []
    for camera in site.cameras:
        view = look(camera, site.rooms[camera.room])
        for frame in range(120, 600, 60):
            people = np.flatnonzero(motion.room[frame] == camera.room)
            if not len(people):
                continue
            poses = pose(motion, np.full(len(people), frame), people, bodies)
            away = camera.ground_range(poses.joints[:, JOINT["pelvis"]])
            truth = see(poses, np.full(len(people), frame), bodies, camera, view)
            masks = masks_of(sprites_of(poses, bodies, 4, camera), view, away)
            cases.append((truth, poses, masks, view, away))
    return cases


@pytest.mark.parametrize("layout", ["separate", "overlapping"])
def test_visibility_agrees_with_counting_the_pixels_that_were_drawn(layout: str) -> None:
    differences = []
    for truth, poses, masks, _, away in frames_with_masks(layout):
        for person, visibility in zip(truth.people, truth.visibility, strict=True):
            row = int(np.flatnonzero(poses.person == person)[0])
            area, shown = masks[row]
            if area == 0:
                continue
            nearer = [mask for (_, mask), far in zip(masks, away, strict=True) if far < away[row]]
            hidden = np.logical_or.reduce(nearer) if nearer else np.zeros_like(shown)
            differences.append(visibility - (shown & ~hidden).sum() / area)
    assert len(differences) > 60
    assert np.mean(np.abs(differences)) < 0.03
    assert np.quantile(np.abs(differences), 0.95) < 0.12


@pytest.mark.parametrize("layout", ["separate", "overlapping"])
def test_boxes_are_tight_around_the_drawn_figure(layout: str) -> None:
    errors, overlaps = [], []
    for truth, poses, masks, view, _ in frames_with_masks(layout):
        height, width = view.range.shape
        for person, box, visibility in zip(truth.people, truth.boxes, truth.visibility, strict=True):
            area, mask = masks[int(np.flatnonzero(poses.person == person)[0])]
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if not len(rows):
                continue
            drawn = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            if area == mask.sum() and visibility > 0:
                errors.append(box - drawn)
            elif (drawn[:2] == 0).any() or drawn[2] == width or drawn[3] == height:
                both = np.minimum(box[2:], drawn[2:]) - np.maximum(box[:2], drawn[:2])
                union = np.prod(box[2:] - box[:2]) + np.prod(drawn[2:] - drawn[:2]) - np.prod(both)
                overlaps.append(np.prod(np.maximum(both, 0)) / union)
    assert len(errors) > 40
    assert np.mean(np.abs(errors)) < 1.2  # pixels, for people of 80 to 200
    assert np.max(np.abs(errors)) < 6
    assert np.median(overlaps) > 0.9


def test_who_stands_behind_a_wall_has_no_row() -> None:
    site, motion = crowd("separate")
    camera, room = site.cameras[0], site.rooms[0]
    bodies = Bodies.of(draw_looks(1, np.random.default_rng(0)))
    behind = room.doors[2].hidden
    none = np.zeros((1, 1))
    one = Motion(behind[None, None], none, none, none, none, none.astype(np.int64))
    poses = pose(one, np.array([0]), np.array([0]), bodies)
    assert len(see(poses, np.array([0]), bodies, camera, look(camera, room)).frames) == 0
    assert (motion.room != UNSEEN).any()


def test_feet_stand_on_the_ground_through_the_whole_gait() -> None:
    phases = np.linspace(0, 2 * np.pi, 40)
    bodies = Bodies.of(draw_looks(1, np.random.default_rng(1)))
    zeros = np.zeros((40, 1))
    motion = Motion(np.zeros((40, 1, 2)), zeros, phases[:, None], zeros + 1.3, zeros, zeros.astype(np.int64))
    poses = pose(motion, np.arange(40), np.zeros(40, np.int64), bodies)
    lowest = build_vertices(poses, bodies)[:, :, 2].min(axis=1)
    assert np.abs(lowest).max() < 0.05
    heights = build_vertices(poses, bodies)[:, :, 2].max(axis=1)
    # Walking legs are never both straight: up to 6 cm below the standing height.
    assert np.abs(heights - bodies.height_m[0]).max() < 0.08


# Detections


def steady_truth(people: int, frames: int, visibility: float = 1.0, height: float = 120.0) -> Truth:
    boxes = np.tile([300.0, 100.0, 300.0 + height / 3, 100.0 + height], (people * frames, 1))
    numbers, who = np.repeat(np.arange(frames), people), np.tile(np.arange(people), frames)
    return Truth(numbers, who, boxes, np.full(people * frames, visibility))


def detector(noise: DetectionNoise, seed: int = 0) -> NoisyDetector:
    spots = np.random.default_rng(1).uniform(4, 10, (50, 2))
    return NoisyDetector(noise, at(0, 0, 3, tilt=0.3), spots, 40, 25.0, np.random.default_rng(seed))


@pytest.mark.parametrize("visibility", [1.0, 0.4, 0.3, 0.1])
def test_recall_is_the_configured_chance(visibility: float) -> None:
    noise = DetectionNoise(false_boxes_per_frame=0, memory_s=0.1)
    truth = steady_truth(40, 2000, visibility)
    expected = detection_chance(truth, noise, 360)[0]
    found = len(detector(noise).detect(truth, 0, 2000).frames) / len(truth.frames)
    assert found == pytest.approx(expected, abs=0.02)


def test_at_half_recall_visibility_half_of_the_people_are_found() -> None:
    noise = DetectionNoise(max_recall=1.0)
    tall = steady_truth(1, 1, noise.half_recall_visibility, height=340)
    assert detection_chance(tall, noise, 360)[0] == pytest.approx(0.5, abs=0.01)


def test_jitter_and_false_boxes_have_the_configured_size() -> None:
    noise = DetectionNoise(jitter=0.04, false_boxes_per_frame=0, max_recall=1.0)
    found = detector(noise).detect(steady_truth(40, 500), 0, 500)
    centre = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    assert (centre - (320, 160)).mean(axis=0) == pytest.approx([0, 0], abs=0.2)
    assert centre.std(axis=0) / (40, 120) == pytest.approx([0.04, 0.04], rel=0.05)
    assert np.log(found.boxes[:, 2:]).std(axis=0) == pytest.approx([0.04, 0.04], rel=0.05)
    nobody = steady_truth(0, 4000)
    false = detector(DetectionNoise(false_boxes_per_frame=0.7)).detect(nobody, 0, 4000)
    assert len(false) / 4000 == pytest.approx(0.7, abs=0.05)


def test_misses_come_in_bursts_as_long_as_configured() -> None:
    noise = DetectionNoise(false_boxes_per_frame=0, memory_s=0.4, max_recall=0.5)
    table = detector(noise).detect(steady_truth(1, 20_000), 0, 20_000)
    found = np.isin(np.arange(1, 20_001), table.frames)
    again = found[1:][found[:-1]].mean()
    # A frame keeps the luck of the one before it with probability exp(-1 / (25 * 0.4)); else half are found.
    keep = np.exp(-1 / (25 * 0.4))
    assert again == pytest.approx(keep + (1 - keep) * found.mean(), abs=0.02)


def test_scores_lie_in_0_to_1_and_know_about_visibility_and_false_boxes() -> None:
    noise = DetectionNoise(false_boxes_per_frame=0)
    clear, covered = (
        detector(noise).detect(steady_truth(40, 300, seen), 0, 300).scores for seen in (1.0, 0.35)
    )
    false = detector(DetectionNoise(false_boxes_per_frame=2)).detect(steady_truth(0, 300), 0, 300).scores
    assert clear.mean() > covered.mean() + 0.1 > false.mean() + 0.15
    everything = np.concatenate([clear, covered, false])
    assert everything.min() >= 0
    assert everything.max() <= 1


def test_luck_lasts_over_the_seam_of_two_chunks() -> None:
    noise = DetectionNoise(false_boxes_per_frame=0, memory_s=1e6, max_recall=0.5)
    one = detector(noise)
    first = one.detect(steady_truth(40, 1), 0, 1)
    later = replace(steady_truth(40, 1), frames=np.ones(40, np.int64))
    assert len(one.detect(later, 1, 1)) == len(first)


# Files


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_one_seed_gives_the_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    one, again, other = (tmp_path / name for name in ("one", "again", "other"))
    simulate(one, TINY)
    simulate(again, TINY)
    simulate(other, TINY.model_copy(update={"seed": 4}))
    names = files_of(one)
    assert {str(name) for name in names} == {"calibration.json"} | {
        f"{camera}{rest}"
        for camera in ("cam1", "cam2")
        for rest in (".mp4", "/gt/gt.txt", "/det/det.txt", "/seqinfo.ini")
    }
    assert files_of(again) == names == files_of(other)
    for name in names:
        assert filecmp.cmp(one / name, again / name, shallow=False), name
        assert name.name == "seqinfo.ini" or not filecmp.cmp(one / name, other / name, shallow=False), name


def test_leaving_the_video_out_changes_no_other_byte(tmp_path: Path) -> None:
    simulate(tmp_path / "with", TINY)
    simulate(tmp_path / "without", TINY.model_copy(update={"video": False}))
    names = files_of(tmp_path / "without")
    assert len(names) == 7
    for name in names:
        assert filecmp.cmp(tmp_path / "with" / name, tmp_path / "without" / name, shallow=False), name


def test_the_video_has_the_frames_rate_and_size_of_seqinfo(tmp_path: Path) -> None:
    simulate(tmp_path, TINY)
    info = read_seqinfo(tmp_path / "cam1" / "seqinfo.ini")
    with av.open(str(tmp_path / "cam1.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == info.frame_rate == 5
    assert len(frames) == info.length == 30
    assert frames[0].shape == (info.height, info.width, 3) == (96, 160, 3)


def test_identities_are_shared_over_cameras_and_nobody_is_in_two_separate_rooms_at_once(
    tmp_path: Path,
) -> None:
    simulate(tmp_path, SimulationConfig(cameras=3, people=8, seconds=120, frame_rate=5, video=False, seed=2))
    cameras_of, places = defaultdict(set), set()
    for camera in ("cam1", "cam2", "cam3"):
        table = read_mot(tmp_path / camera / "gt" / "gt.txt", unique_ids=True)
        assert table.ids.min() >= 1
        assert table.ids.max() <= 8
        for frame, person in zip(table.frames.tolist(), table.ids.tolist(), strict=True):
            assert (frame, person) not in places
            places.add((frame, person))
            cameras_of[person].add(camera)
    assert sum(len(cameras) > 1 for cameras in cameras_of.values()) >= 4


def test_overlapping_cameras_see_the_same_people_at_the_same_time(tmp_path: Path) -> None:
    simulate(
        tmp_path,
        SimulationConfig(cameras=2, people=6, seconds=30, frame_rate=5, video=False, layout="overlapping"),
    )
    one, other = (read_mot(tmp_path / name / "gt" / "gt.txt") for name in ("cam1", "cam2"))
    pairs = [set(zip(table.frames.tolist(), table.ids.tolist(), strict=True)) for table in (one, other)]
    assert len(pairs[0] & pairs[1]) > 0.4 * len(pairs[0])


def test_boxes_lie_in_the_picture(tmp_path: Path) -> None:
    simulate(tmp_path, SimulationConfig(cameras=2, people=12, seconds=60, frame_rate=5, video=False))
    for camera in ("cam1", "cam2"):
        boxes = read_mot(tmp_path / camera / "gt" / "gt.txt").boxes
        assert boxes[:, :2].min() >= 0
        assert (boxes[:, :2] + boxes[:, 2:]).max(axis=0) == pytest.approx([640, 360], abs=60)
        assert ((boxes[:, :2] + boxes[:, 2:]) <= (640.001, 360.001)).all()


# The command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--people", "0"], "--people: Input should be greater than or equal to 1, got 0"),
        (["--cameras", "-1"], "--cameras: Input should be greater than or equal to 1, got -1"),
        (["--seconds", "0"], "--seconds: Input should be greater than 0, got 0.0"),
        (["--seconds", "nan"], "--seconds: Input should be a finite number, got nan"),
        (["--fps", "0"], "--fps: Input should be greater than 0, got 0.0"),
        (["--size", "big"], "--size big: write WIDTHxHEIGHT in pixels, for example 640x360"),
        (["--size", "641x360"], "--size: Input should be a multiple of 2, got '641'"),
        (["--size", "6400x360"], "--size: Value error, a picture of 6400x360"),
        (["--layout", "maze"], "--layout: Input should be 'separate' or 'overlapping', got 'maze'"),
    ],
)
def test_a_bad_argument_is_one_sentence_and_leaves_nothing(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence.replace("Value error, ", "") in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_refused_and_force_replaces_only_what_a_simulation_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seconds", "1", "--fps", "5", "--people", "2", "--no-video"]
    assert main([str(tmp_path), *arguments, "--cameras", "3"]) == 0
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".unfinished-killed").mkdir()
    assert main([str(tmp_path), *arguments, "--cameras", "1"]) == 2
    assert "is not empty; give another folder, or --force" in capsys.readouterr().err
    assert (tmp_path / "cam3").is_dir()
    assert main([str(tmp_path), *arguments, "--cameras", "1", "--force"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "calibration.json", "cam1"}


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ReuniteError, match="out: is a file; give the name of a folder"):
        simulate(tmp_path / "out", TINY)


def test_ctrl_c_leaves_nothing_and_spares_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "cam1.mp4").write_text("from before")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, TINY, overwrite=True, on_progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["cam1.mp4"]
    assert (tmp_path / "cam1.mp4").read_text() == "from before"


# The sample scene


def test_the_text_files_of_the_sample_scene_come_from_the_command_in_its_readme(tmp_path: Path) -> None:
    command = re.search(r"reunite simulate videos (.*)", (VIDEOS / "README.md").read_text())
    assert command is not None
    arguments = [argument for argument in shlex.split(command[1]) if argument != "--force"]
    assert main([str(tmp_path), *arguments, "--no-video"]) == 0
    names = files_of(tmp_path)
    assert len(names) == 10
    for name in names:
        assert (tmp_path / name).read_text() == (VIDEOS / name).read_text(), name


def test_the_sample_scene_is_small_and_its_videos_are_whole() -> None:
    assert sum(path.stat().st_size for path in VIDEOS.rglob("*") if path.is_file()) < 6_000_000
    for camera in ("cam1", "cam2", "cam3"):
        info = read_seqinfo(VIDEOS / camera / "seqinfo.ini")
        with av.open(str(VIDEOS / f"{camera}.mp4")) as container:
            assert container.streams.video[0].frames == info.length
