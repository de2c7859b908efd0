"""Places on the ground: from pixels to metres, and what they say of who is who."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from foundation.arrays import FloatArray
from foundation.errors import ReuniteError
from tracker.config import ConfigError, GroundConfig, dump_config, load_config
from tracker.ground import GroundPlane, fit_homography, main, off_by
from tracker.simulate.cameras import Camera, camera_at
from tracker.types import CameraName

DOOR, YARD = CameraName("door"), CameraName("yard")
CONFIG = GroundConfig()
MIRROR = np.diag([1.0, -1.0, 1.0])
NADIR = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]
"""A camera that looks straight down, 1 cm a pixel; y downwards."""


def camera(seed: int) -> Camera:
    """Somewhere 3 to 6 m above the ground, with the horizon somewhere in the upper half or above."""
    random = np.random.default_rng(seed)
    position = np.array([*random.uniform(-20, 20, 2), random.uniform(3, 6)])
    heading, tilt = random.uniform(0, 2 * np.pi), random.uniform(0.1, 1.2)
    return camera_at(DOOR, 0, (1280, 720), random.uniform(600, 1400), position, heading, tilt)


def floor(one: Camera, count: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Pixels (count, 2) in the lower part of the picture, and what they show."""
    pixels = np.random.default_rng(seed).uniform((0, 500), (1280, 720), (count, 2))
    return pixels, ground_below(one, pixels)


def ground_below(one: Camera, pixels: FloatArray) -> FloatArray:
    """(N, 2) metres, where the rays of pixels (N, 2) meet the ground."""
    rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(one.intrinsics).T
    rays = rays @ one.world_to_camera[:3, :3]
    return np.asarray(one.position[:2] - rays[:, :2] * (one.position[2] / rays[:, 2:]))


def boxes_at(pixels: FloatArray) -> FloatArray:
    """(N, 4) boxes whose lower edge has its middle there."""
    x, y = pixels.T
    return np.column_stack([x - 20, y - 100, x + 20, y])


def plane(*matrices: Any, names: Sequence[CameraName] = (DOOR, YARD)) -> GroundPlane:
    found = {name: np.asarray(it).tolist() for name, it in zip(names, matrices, strict=False)}
    return GroundPlane(GroundConfig.model_validate({"homographies": found}), names)


# The configuration


def test_homographies_survive_writing_and_reading(tmp_path: Path) -> None:
    config = load_config(None, [f"ground.homographies={{door: {NADIR}}}"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert np.array_equal(config.ground.homographies["door"], NADIR)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("[[1, 0], [0, 1]]", "must be 3 rows of 3 finite numbers"),
        ("[[1, 0, 0], [0, 1, 0], [0, 0]]", "must be 3 rows of 3 finite numbers"),
        ("[[1, 0, 0], [0, 1, 0], [0, 0, .nan]]", "must be 3 rows of 3 finite numbers"),
        ("[[1, 0, 0], [0, .inf, 0], [0, 0, 1]]", "must be 3 rows of 3 finite numbers"),
        ("[[1, 0, 0], [0, true, 0], [0, 0, 1]]", "must be 3 rows of 3 finite numbers"),
        ("[[1, 0, 0], [0, x, 0], [0, 0, 1]]", "must be 3 rows of 3 finite numbers"),
        ("7", "must be 3 rows of 3 finite numbers"),
        ("[[1, 2, 3], [2, 4, 6], [0, 0, 1]]", "is singular"),
        ("[[0, 0, 0], [0, 0, 0], [0, 0, 0]]", "is singular"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_refused_in_one_sentence(matrix: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"ground.homographies={{door: {matrix}}}"])
    first, problem = str(caught.value).splitlines()
    assert first == "configuration: 1 problem(s)"
    assert problem.startswith(f"  ground.homographies.door: {message}")


def test_a_homography_of_another_run_is_refused_with_the_nearest_camera() -> None:
    config = GroundConfig.model_validate({"homographies": {"dor": NADIR}})
    with pytest.raises(ReuniteError, match=r"ground\.homographies\.dor: no such .*did you mean 'door'\?"):
        GroundPlane(config, [DOOR, YARD])
    with pytest.raises(ReuniteError, match="the cameras are yard"):
        GroundPlane(config, [YARD])


@pytest.mark.parametrize("seed", range(5))
def test_cameras_that_are_mirror_images_of_each_other_are_refused(seed: int) -> None:
    one, other = camera(seed).image_to_ground, camera(seed + 50).image_to_ground
    assert not plane(one, other).is_y_down
    assert plane(MIRROR @ one, -MIRROR @ other).is_y_down
    with pytest.raises(ReuniteError, match="'door' and 'yard' are mirror images"):
        plane(one, MIRROR @ other)
    assert plane(NADIR).is_y_down


# From pixels to metres


def plane_of_door(names: Sequence[CameraName]) -> GroundPlane:
    return GroundPlane(GroundConfig.model_validate({"homographies": {DOOR: NADIR}}), names)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("factor", [1.0, -1.0, 1e-4])
def test_feet_are_where_the_ray_meets_the_ground(seed: int, factor: float) -> None:
    one = camera(seed)
    pixels, metres = floor(one, 50, seed)
    found = plane(factor * one.image_to_ground).positions(DOOR, boxes_at(pixels))
    # Where one pixel is more than half a metre there is no position; nearby there is.
    below = ground_below(one, pixels + np.array([0, 1e-3]))
    pixel_m = np.linalg.norm(below - metres, axis=1) * 1e3
    is_clear = np.abs(pixel_m - CONFIG.position_sd_m) > 0.01
    assert np.array_equal(np.isfinite(found[is_clear, 0]), (pixel_m < CONFIG.position_sd_m)[is_clear])
    assert np.isfinite(found).all(axis=1).sum() > 25
    assert np.nanmax(np.abs(found - metres)) < 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_beyond_the_horizon_nobody_stands(seed: int) -> None:
    one = camera(seed)
    forward = one.world_to_camera[2, :2]
    far = np.array([[*(one.position[:2] + 1e7 * forward / np.linalg.norm(forward)), 0.0]])
    horizon = float(one.project(far)[0][0, 1])
    above = boxes_at(np.array([[640.0, horizon - 1], [640.0, horizon - 500], [640.0, horizon]]))
    assert np.isnan(plane(one.image_to_ground).positions(DOOR, above)).all()


def test_without_a_homography_nobody_has_a_place() -> None:
    boxes = boxes_at(np.array([[100.0, 200.0]]))
    found = plane(NADIR)
    assert found.positions(DOOR, boxes).tolist() == [[1.0, 2.0]]
    assert np.isnan(found.positions(YARD, boxes)).all()
    assert [found.positions(name, np.empty((0, 4))).shape for name in (DOOR, YARD)] == [(0, 2), (0, 2)]


def test_the_order_in_which_cameras_are_named_moves_nobody() -> None:
    boxes = boxes_at(np.array([[100.0, 200.0]]))
    for names in ((DOOR, YARD), (YARD, DOOR)):
        assert plane_of_door(names).positions(DOOR, boxes).tolist() == [[1.0, 2.0]]
        assert np.isnan(plane_of_door(names).positions(YARD, boxes)).all()


# The homography from points


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [4, 5, 12])
@pytest.mark.parametrize("shift", [0.0, 5e6])
def test_points_without_error_give_the_camera(seed: int, count: int, shift: float) -> None:
    one = camera(seed)
    pixels, metres = floor(one, count, seed)
    other_pixels, other_metres = floor(one, 30, seed + 1000)
    matrix = fit_homography(pixels, metres + shift)
    scale = np.ptp(metres, axis=0).max()
    assert off_by(matrix, pixels, metres + shift).max() < 1e-5 * scale
    assert np.median(off_by(matrix, other_pixels, other_metres + shift)) < 1e-3 * scale


def test_more_points_lessen_the_error_of_each() -> None:
    one, corners = camera(1), np.array([[100.0, 710], [1180, 710], [1000, 510], [280, 510]])
    check_pixels, check_metres = floor(one, 100, 1)
    errors: dict[int, list[float]] = {4: [], 20: []}
    for seed in range(20):
        for count, found in errors.items():
            pixels = np.vstack([corners, floor(one, count - 4, seed)[0]])
            metres = ground_below(one, pixels)
            pixels += np.random.default_rng(seed).normal(0, 2, pixels.shape)
            matrix = fit_homography(pixels, metres)
            found.append(float(np.median(off_by(matrix, check_pixels, check_metres))))
    assert np.median(errors[20]) < 0.7 * np.median(errors[4])


SQUARE = np.array([[0.0, 0], [6, 0], [6, 4], [0, 4]])
CORNERS = np.array([[212.0, 655], [1105, 640], [868, 301], [377, 306]])


@pytest.mark.parametrize(
    ("pixels", "metres", "message"),
    [
        (CORNERS[:3], SQUARE[:3], "four points or more, got 3"),
        (np.ones((4, 2)), SQUARE, "two on one spot"),
        (CORNERS, np.ones((4, 2)), "two on one spot"),
        (np.arange(8.0).reshape(4, 2), np.arange(8.0).reshape(4, 2), "lie on a line"),
        (CORNERS[[0, 1, 2, 2]], SQUARE[[0, 1, 2, 2]], "lie on a line, or two on one spot"),
        (np.array([[0.0, 0], [10, 10], [20, 20], [0, 50]]), SQUARE, "lie on a line|no camera sees"),
        (CORNERS[[1, 0, 2, 3]], SQUARE, "in the same order"),
    ],
)
def test_points_that_tell_nothing_are_refused(pixels: FloatArray, metres: FloatArray, message: str) -> None:
    with pytest.raises(ReuniteError, match=message):
        fit_homography(pixels, metres)


def words(points: FloatArray) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points.tolist())


def test_the_command_prints_lines_that_a_run_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A fifth point half a metre off: the others give way a little.
    pixels, metres = np.vstack([CORNERS, [639, 424]]), np.vstack([SQUARE, [3.0, 2.5]])
    assert main(["--camera", "front: 2", "--pixels", words(pixels), "--metres", words(metres)]) == 0
    out = capsys.readouterr().out
    path = tmp_path / "config.yaml"
    path.write_text(out)
    matrix = np.array(load_config(path).ground.homographies["front: 2"])
    errors = off_by(matrix, pixels, metres)
    note = f"5 points, off by {np.sqrt((errors**2).mean()):.3f} m (root of the mean square), most at point 5"
    assert out.startswith(f"# {note}: {errors[4]:.3f} m\n")
    assert 0.05 < errors[4] < 0.5


def test_the_command_says_that_four_points_show_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--camera", "door", "--pixels", words(CORNERS), "--metres", words(SQUARE)]) == 0
    note, *lines = capsys.readouterr().out.splitlines()
    assert note == "# four points always fit; give a fifth or more to see how many metres this is off"
    matrix = np.array(yaml.safe_load("\n".join(lines))["ground"]["homographies"]["door"])
    assert off_by(matrix, CORNERS, SQUARE).max() < 1e-6


@pytest.mark.parametrize(
    ("pixels", "metres", "message"),
    [
        ("1,2 3", "0,0 1,1", "--pixels: write x,y of each point"),
        (words(CORNERS), "0,0 a,b", "--metres: write x,y of each point"),
        (words(CORNERS), "", "--metres: write x,y of each point"),
        (words(CORNERS), words(SQUARE[:3]), "--pixels has 4 points, --metres has 3"),
        (words(CORNERS), "0,0 inf,1 2,2 3,1", "--metres: write x,y of each point"),
        (words(CORNERS[[1, 0, 2, 3]]), words(SQUARE), "in the same order"),
    ],
)
def test_the_command_refuses_points_in_one_sentence(
    pixels: str, metres: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--camera", "door", "--pixels", pixels, "--metres", metres]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1
