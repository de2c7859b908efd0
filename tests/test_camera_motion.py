"""Camera motion: known motions are found, still cameras stay exactly still, files are read to the letter."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from foundation.arrays import FloatArray, Image
from foundation.errors import ReuniteError
from foundation.mot_files import read_mot
from tests.conftest import shared_folder
from tracker.build import build_camera_motion
from tracker.camera_motion.file import read_motions
from tracker.config import ConfigError, EmbeddedDetectorConfig, NoCameraMotionConfig, RunConfig, load_config
from tracker.geometry import xywh_to_xyxy
from tracker.recording.checkpoint import Progress, load_checkpoint, save_checkpoint
from tracker.stages import CameraMotion
from tracker.types import CameraName, Frame, blank_image

DOOR, YARD = CameraName("door"), CameraName("yard")
IDENTITY = np.eye(2, 3)
NOBODY = np.empty((0, 4))
SIZE = (960, 540)
MEASURING = ["flow", "ecc"]


def draw_wall(seed: int = 0) -> Image:
    """(1080, 1920, 3) spots of all sizes: something to see everywhere."""
    rng = np.random.default_rng(seed)
    wall = np.zeros((1080, 1920), np.float32)
    for spot_px in (6, 20, 60):
        small = rng.normal(size=(1080 // spot_px + 1, 1920 // spot_px + 1)).astype(np.float32)
        wall += cv2.resize(small, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    grey = np.clip(128 + 40 * wall, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


WALL = draw_wall()


def motion_of(turn_deg: float = 0.0, zoom: float = 1.0, dx: float = 0.0, dy: float = 0.0) -> FloatArray:
    """(2, 3) turn and zoom around the middle of the picture, then a shift."""
    turn = np.deg2rad(turn_deg)
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array(SIZE) / 2
    return np.column_stack((linear, middle - linear @ middle + (dx, dy)))


def chain(motions: Sequence[FloatArray]) -> FloatArray:
    """(2, 3) all of these motions, the first one first."""
    whole = np.eye(3)
    for motion in motions:
        whole = np.vstack((motion, (0, 0, 1))) @ whole
    return whole[:2]


def view(motion: FloatArray, wall: Image = WALL) -> Image:
    """What a camera shows of the middle of the wall after it moved like this since the beginning."""
    to_start = np.column_stack((np.eye(2), (-480.0, -270.0)))
    # Positions count from the corner of the first pixel, cv2 from its middle.
    matrix = chain([to_start, motion])
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return np.asarray(cv2.warpAffine(wall, matrix, SIZE), np.uint8)


def frame_of(image: Image, number: int = 1, camera: CameraName = DOOR) -> Frame:
    return Frame(camera, number, number / 25, image)


def motion_stage(kind: str, path: Path | str = "") -> CameraMotion:
    settings = [f"camera_motion.kind={kind}"] + ([f"camera_motion.path={path}"] if path else [])
    return build_camera_motion(load_config(None, settings).camera_motion, [DOOR])


def estimates(stage: CameraMotion, images: Sequence[Image], boxes: FloatArray = NOBODY) -> list[FloatArray]:
    return [stage.estimate(frame_of(image, number), boxes) for number, image in enumerate(images, start=1)]


def corner_error(estimated: FloatArray, true: FloatArray) -> float:
    """The largest distance in pixels between where the two take a corner of the picture."""
    width, height = SIZE
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    return float(np.linalg.norm(corners @ (estimated - true).T, axis=1).max())


@pytest.mark.parametrize(
    ("kind", "motion"),
    [
        (kind, motion)
        for kind in MEASURING
        for motion in (
            motion_of(dx=3.0),
            motion_of(dx=-14.0, dy=9.0),
            motion_of(turn_deg=1.0, dy=-4.0),
            motion_of(turn_deg=-0.5, dx=6.0),
        )
    ]
    + [("flow", motion_of(zoom=1.02, dx=2.0)), ("flow", motion_of(dx=60.0, dy=-25.0))],
)
def test_a_known_motion_is_found(kind: str, motion: FloatArray) -> None:
    first, second = estimates(motion_stage(kind), [view(IDENTITY), view(motion)])
    assert (first == IDENTITY).all()
    assert corner_error(second, motion) < 0.5 < corner_error(IDENTITY, motion)


@pytest.mark.parametrize("kind", MEASURING)
def test_dropped_frames_are_bridged(kind: str) -> None:
    step = motion_of(turn_deg=0.2, dx=2.0, dy=1.0)
    stage = motion_stage(kind)
    stage.estimate(frame_of(view(IDENTITY), 1), NOBODY)
    found = stage.estimate(frame_of(view(chain([step] * 4)), 5), NOBODY)
    assert corner_error(found, chain([step] * 4)) < 0.5


@pytest.mark.parametrize("kind", MEASURING)
@pytest.mark.parametrize("noise_levels", [0.0, 2.0, 6.0])
def test_a_still_camera_is_exactly_still_whatever_walks_by(kind: str, noise_levels: float) -> None:
    rng = np.random.default_rng(1)
    images = []
    for step in range(25):
        image = view(IDENTITY).astype(np.float64)
        image[200:400, 20 * step : 20 * step + 90] = view(IDENTITY)[:200, :90]
        image += rng.normal(0, noise_levels, image.shape)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    assert all((motion == IDENTITY).all() for motion in estimates(motion_stage(kind), images))


@pytest.mark.parametrize("kind", MEASURING)
def test_light_that_changes_is_no_motion(kind: str) -> None:
    images = [(view(IDENTITY) * share).astype(np.uint8) for share in (0.7, 0.72, 0.75, 0.8, 0.8, 1.0)]
    *dawn, lamp = estimates(motion_stage(kind), images)
    assert all((motion == IDENTITY).all() for motion in dawn)
    assert corner_error(lamp, IDENTITY) < 1.0


@pytest.mark.parametrize("kind", MEASURING)
def test_a_creeping_camera_is_noticed(kind: str) -> None:
    steps = 60
    images = [view(motion_of(dx=0.1 * step)) for step in range(steps + 1)]
    found = estimates(motion_stage(kind), images)
    assert sum((motion == IDENTITY).all() for motion in found) > steps / 3
    assert corner_error(chain(found), motion_of(dx=0.1 * steps)) < 1.5


@pytest.mark.parametrize("kind", MEASURING)
def test_people_do_not_count(kind: str) -> None:
    # Most of the picture moves to the right, inside boxes; the camera moves up.
    motion, people = motion_of(dy=-4.0), np.array([[200.0, -50.0, 900.0, 600.0]])
    before, now = view(IDENTITY), view(motion)
    now[:, 200:900] = view(motion_of(dx=11.0))[:, 200:900]
    _, found = estimates(motion_stage(kind), [before, now], people)
    assert corner_error(found, motion) < 1.0


@pytest.mark.parametrize("kind", MEASURING)
@pytest.mark.parametrize(
    "images",
    [
        [view(IDENTITY), np.zeros((540, 960, 3), np.uint8), view(IDENTITY)],
        [np.zeros((540, 960, 3), np.uint8)] * 3,
        [view(IDENTITY), view(IDENTITY, draw_wall(7))],
        [view(IDENTITY), cv2.resize(view(motion_of(dx=9.0)), (640, 360)), view(IDENTITY)],
        [np.full((size, size + 1, 3), level, np.uint8) for size in (1, 2, 9) for level in (0, 255, 90)],
    ],
    ids=["black in between", "black", "a cut", "another size", "tiny"],
)
def test_where_it_cannot_be_told_nothing_moved(kind: str, images: list[Image]) -> None:
    assert all((motion == IDENTITY).all() for motion in estimates(motion_stage(kind), images))


@pytest.mark.parametrize("kind", MEASURING)
def test_motion_is_found_again_after_black_pictures(kind: str) -> None:
    motion = motion_of(dx=8.0)
    images = [np.zeros((540, 960, 3), np.uint8)] * 2 + [view(IDENTITY), view(motion)]
    assert corner_error(estimates(motion_stage(kind), images)[-1], motion) < 0.5


@pytest.mark.parametrize("kind", MEASURING)
def test_boxes_all_over_the_picture_leave_nothing_to_tell(kind: str) -> None:
    everywhere = np.array([[-10.0, -10.0, 2000.0, 2000.0]])
    images = [view(IDENTITY), view(motion_of(dx=8.0))]
    assert all((motion == IDENTITY).all() for motion in estimates(motion_stage(kind), images, everywhere))


@pytest.mark.parametrize("kind", MEASURING)
def test_a_camera_without_pictures_is_refused_with_the_way_out(kind: str) -> None:
    with pytest.raises(ReuniteError, match=r"camera 'door' has no pictures .* camera_motion\.kind=none"):
        motion_stage(kind).estimate(frame_of(blank_image(640, 480)), NOBODY)


def test_none_looks_at_nothing() -> None:
    stage = motion_stage("none")
    assert (stage.estimate(frame_of(blank_image(640, 480)), NOBODY) == IDENTITY).all()
    assert stage.state() == {}


def shaking() -> Iterator[FloatArray]:
    """Where a camera stands that rests, pans and rests again."""
    for step in (0, 0, 0, 1, 2, 3, 3, 3, 4, 5):
        yield motion_of(turn_deg=0.2 * step, dx=3.0 * step)


@pytest.mark.parametrize("kind", MEASURING)
def test_cameras_share_nothing(kind: str) -> None:
    places = list(shaking())
    alone = estimates(motion_stage(kind), [view(place) for place in places])
    stage, together = motion_stage(kind), []
    for number, place in enumerate(places, start=1):
        together.append(stage.estimate(frame_of(view(place), number), NOBODY))
        smaller = np.ascontiguousarray(view(motion_of(dy=5.0 * (number % 3)))[:360, :640])
        stage.estimate(frame_of(smaller, number, YARD), NOBODY)
    assert np.array_equal(alone, together)


@pytest.mark.parametrize("kind", [*MEASURING, "file"])
@pytest.mark.parametrize("cut", [0, 2, 5, 9])
def test_a_resumed_run_goes_on_to_the_bit(kind: str, cut: int, tmp_path: Path) -> None:
    places = list(shaking())
    write_motions(tmp_path / "door.txt", [IDENTITY, *places[1:]])
    path = tmp_path if kind == "file" else ""
    box = np.array([[100.0, 100.0, 200.0, 300.0]])
    frames = [frame_of(view(place), number) for number, place in enumerate(places, start=1)]
    whole, before, after = (motion_stage(kind, path) for _ in range(3))
    expected = [whole.estimate(frame, box) for frame in frames]
    found = [before.estimate(frame, box) for frame in frames[:cut]]
    checkpoint = tmp_path / "checkpoint.npz"
    save_checkpoint(checkpoint, Progress(), {"camera_motion": before.state()})
    _, states = load_checkpoint(checkpoint)
    after.restore(states.get("camera_motion", {}))
    found += [after.estimate(frame, box) for frame in frames[cut:]]
    assert np.array_equal(found, expected)
    assert any((motion != IDENTITY).any() for motion in expected)


def write_motions(path: Path, motions: Sequence[FloatArray]) -> None:
    lines = ("\t".join(f"{value!r}" for value in (k, *m.ravel().tolist())) for k, m in enumerate(motions))
    path.write_text("".join(f"{line}\t\n" for line in lines))


@pytest.fixture
def steps(tmp_path: Path) -> list[FloatArray]:
    """Six motions that lie in ``door.txt``; the first has no frame before it."""
    motions = [IDENTITY, *(motion_of(turn_deg=k, zoom=1 + k / 50, dx=3.0 * k, dy=-k) for k in range(1, 6))]
    write_motions(tmp_path / "door.txt", motions)
    return motions


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5, 6], [1, 3, 6], [3, 4], [2, 6], [6]])
def test_given_motions_add_up_over_dropped_frames(
    steps: list[FloatArray], tmp_path: Path, numbers: list[int]
) -> None:
    stage = motion_stage("file", tmp_path)
    found = [stage.estimate(frame_of(blank_image(640, 480), number), NOBODY) for number in numbers]
    assert (found[0] == IDENTITY).all()
    for motion, before, number in zip(found[1:], numbers, numbers[1:], strict=False):
        assert motion == pytest.approx(chain(steps[before:number]))


def test_lines_are_read_as_the_format_says(tmp_path: Path) -> None:
    path = tmp_path / "door.txt"
    path.write_text("0\t1.0\t0.0\t0.0\t0.0\t1.0\t0.0\t\n\n1 1.1 -0.2 3 0.2 1.1 -4.5\n")
    assert read_motions(path).tolist() == [IDENTITY.tolist(), [[1.1, -0.2, 3.0], [0.2, 1.1, -4.5]]]


FIRST = "0 1 0 0 0 1 0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIRST + "1 1 0 0 0 1\n", r"line 2: seven numbers .* got '1 1 0 0 0 1'"),
        (FIRST + "1 1 0 0 0 1 x\n", "line 2: seven numbers"),
        (FIRST + "1 1 0 nan 0 1 0\n", "line 2: seven numbers"),
        (FIRST + "2 1 0 0 0 1 0\n", "line 2: the line k=1 is due, got k=2"),
        ("1 1 0 0 0 1 0\n", "line 1: the line k=0 is due, got k=1"),
        (FIRST + "\n1 1 0 0 0 -1 0\n", "line 3: the matrix of k=1 turns the picture over"),
        (b"\xff\xfe\x00", "it is not text"),
        (None, "No such file or directory.*set camera_motion.path"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    path = tmp_path / "door.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ReuniteError, match=message) as caught:
        motion_stage("file", tmp_path)
    assert str(path) in str(caught.value)
    assert "camera_motion.kind=flow" in str(caught.value)


@pytest.mark.usefixtures("steps")
def test_a_file_that_ends_too_early_is_refused_at_that_frame(tmp_path: Path) -> None:
    stage = motion_stage("file", tmp_path)
    stage.estimate(frame_of(blank_image(640, 480), 6), NOBODY)
    with pytest.raises(ReuniteError, match=r"door\.txt: ends at frame 6, camera 'door' goes on with frame 7"):
        stage.estimate(frame_of(blank_image(640, 480), 7), NOBODY)


@pytest.mark.parametrize(
    ("detector", "kind"), [("ultralytics", "flow"), ("onnx", "flow"), ("file", "none"), ("embedded", "none")]
)
def test_the_default_suits_the_detector(detector: str, kind: str) -> None:
    override = f"detector.kind={detector}"
    assert load_config(None, [override]).camera_motion.kind == kind
    assert load_config(None, [override, "camera_motion.kind=ecc"]).camera_motion.kind == "ecc"


def test_the_default_suits_a_detector_that_is_given_as_an_object() -> None:
    assert RunConfig(detector=EmbeddedDetectorConfig()).camera_motion == NoCameraMotionConfig()


def test_files_need_a_folder() -> None:
    with pytest.raises(ConfigError, match=r"camera_motion\.path: must be set"):
        load_config(None, ["camera_motion.kind=file"])


def read_frames(path: Path, count: int) -> Iterator[Frame]:
    capture = cv2.VideoCapture(str(path))
    for number in range(1, count + 1):
        there, image = capture.read()
        assert there
        yield frame_of(np.asarray(image, np.uint8), number)


@pytest.mark.real
def test_a_camera_that_is_carried_is_followed() -> None:
    data = shared_folder() / "data"
    given = read_motions(data / "mot17-yolox" / "gmc" / "MOT16-11.txt")
    people = read_mot(data / "mot17-yolox" / "MOT16-11.txt")
    stage = motion_stage("flow")
    corners = np.array([[0, 0, 1], [1920, 0, 1], [0, 1080, 1], [1920, 1080, 1]])
    errors, moved = [], []
    for frame in read_frames(data / "video" / "MOT16-11.mp4", 60):
        rows = people[(people.frames == frame.number) & (people.scores > 0.1)]
        found, true = stage.estimate(frame, xywh_to_xyxy(rows.boxes)), given[frame.number - 1]
        errors.append(np.linalg.norm(corners @ (found - true).T, axis=1).mean())
        moved.append(np.linalg.norm(corners @ (IDENTITY - true).T, axis=1).mean())
    assert np.mean(moved) > 4
    assert np.mean(errors) < 1


@pytest.mark.real
@pytest.mark.parametrize(("kind", "max_moved"), [("flow", 0), ("ecc", 10)])
def test_a_camera_on_a_mast_is_still(kind: str, max_moved: int) -> None:
    stage = motion_stage(kind)
    frames = read_frames(shared_folder() / "data" / "video" / "PETS09-S2L1.mp4", 150)
    moved = [motion for frame in frames if ((motion := stage.estimate(frame, NOBODY)) != IDENTITY).any()]
    assert len(moved) <= max_moved
    assert all(corner_error(motion, IDENTITY) < 1.0 for motion in moved)
