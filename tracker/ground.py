"""Where people stand on the ground: pixels to metres, and the command that finds out how.

reunite ground --camera CAMERA --pixels "x,y x,y ..." --metres "x,y x,y ..."
"""

import argparse
import difflib
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import yaml
from rich.console import Console

from foundation.arrays import FloatArray, check_shape
from foundation.command import Command
from foundation.errors import ReuniteError
from tracker.config import GroundConfig
from tracker.geometry import feet_of
from tracker.types import CameraName

FAR_BELOW = np.array([0.0, 5000.0, 1.0])
"""A pixel that shows the ground, not the sky, in every picture that stands upright."""
MIN_WIDTH = 1e-4
"""Points that spread less than this across a line, as a share of what they spread along it, lie on it."""


class GroundPlane:
    """One plane in metres for all cameras of a run that have a homography.

    Attributes:
        config: Its homographies, and how exact they are.
        is_y_down: Whether y grows downwards, seen from above with x to the right, as on most drawings.
    """

    def __init__(self, config: GroundConfig, cameras: Sequence[CameraName]) -> None:
        """Take the homographies of these cameras.

        Raises:
            ReuniteError: A homography is of no camera of the run, or is a mirror image of another.
        """
        for name in config.homographies:
            if name not in cameras:
                near = difflib.get_close_matches(name, cameras, n=1, cutoff=0.5)
                known = f"did you mean {near[0]!r}?" if near else f"the cameras are {', '.join(cameras)}"
                raise ReuniteError(f"ground.homographies.{name}: no such camera in this run, {known}")
        self.config = config
        matrices = {camera: np.array(matrix) for camera, matrix in config.homographies.items()}
        self._matrices = {
            camera: matrix * np.sign(FAR_BELOW @ matrix[2]) for camera, matrix in matrices.items()
        }
        # In pictures y points down. Where it does on the plane too, a camera above does not turn it over.
        y_down = {camera: bool(np.linalg.det(matrix) > 0) for camera, matrix in self._matrices.items()}
        self.is_y_down = any(y_down.values())
        if self.is_y_down and not all(y_down.values()):
            one, other = (next(name for name, it in y_down.items() if it is side) for side in (False, True))
            raise ReuniteError(
                f"ground.homographies: {one!r} and {other!r} are mirror images of each other; give "
                "the points of all cameras in one system of axes, and x before y"
            )

    def positions(self, camera: CameraName, boxes: FloatArray) -> FloatArray:
        """Where people stand: the middle of the lower edge of each box.

        Args:
            camera: Its name: a place in a list would be another camera's in another order.
            boxes: (N, 4) x1, y1, x2, y2 in pixels of the full frame.

        Returns:
            (N, 2) metres; nan where the camera has no homography, or the point lies beyond the horizon or so
            near to it that one pixel up or down is more than ``position_sd_m``.
        """
        matrix = self._matrices.get(camera)
        if matrix is None:
            return np.full((len(boxes), 2), np.nan)
        feet = np.column_stack([feet_of(boxes), np.ones(len(boxes))])
        with np.errstate(over="ignore", invalid="ignore"):
            ground = feet @ matrix.T
            depth = np.where(ground[:, 2:] > 0, ground[:, 2:], np.nan)
            xy = ground[:, :2] / depth
            pixel_m = np.linalg.norm((matrix[:2, 1] - xy * matrix[2, 1]) / depth, axis=1)
        return np.where(pixel_m[:, None] <= self.config.position_sd_m, xy, np.nan)


def fit_homography(pixels: FloatArray, metres: FloatArray) -> FloatArray:
    """The matrix that takes points of a picture to points on the ground, least squares in metres.

    Args:
        pixels: (P, 2) x, y in the picture, four points or more.
        metres: (P, 2) x, y of the same points on the ground.

    Returns:
        (3, 3), the third coordinate of the points is 1 on average.

    Raises:
        ReuniteError: The points do not tell: too few, on a line, or not what one camera can see.
    """
    check_shape("pixels", pixels, (None, 2))
    check_shape("metres", metres, (len(pixels), 2))
    if len(pixels) < 4:
        raise ReuniteError(f"a homography needs four points or more, got {len(pixels)}")
    if _is_thin(pixels) or _is_thin(metres):
        raise ReuniteError("three of the points lie on a line, or two on one spot; take points far apart")
    # OpenCV computes with 32 bits, which are few far from 0, as in UTM coordinates.
    fitted, _ = cv2.findHomography(pixels - pixels.mean(axis=0), metres - metres.mean(axis=0))
    depth = np.zeros(len(pixels))
    if fitted is not None:
        matrix = _shift(metres.mean(axis=0)) @ fitted @ _shift(-pixels.mean(axis=0))
        depth = pixels @ matrix[2, :2] + matrix[2, 2]
    if fitted is None or (depth / depth.mean()).min() < 1e-3:
        raise ReuniteError(
            "no camera sees a flat ground like that: give the points in the same order in pixels and metres, "
            "far apart and no three near one line"
        )
    return np.asarray(matrix / depth.mean())


def off_by(matrix: FloatArray, pixels: FloatArray, metres: FloatArray) -> FloatArray:
    """(P,) metres between where the matrix puts points (P, 2) of the picture and where they are (P, 2)."""
    return np.asarray(np.linalg.norm(cv2.perspectiveTransform(pixels[None], matrix)[0] - metres, axis=1))


def _is_thin(points: FloatArray) -> bool:
    """Whether all of the points (P, 2) but one, or all of them, lie near one line."""
    for left_out in range(len(points)):
        rest = np.delete(points, left_out, axis=0)
        length, width = np.linalg.svd(rest - rest.mean(axis=0), compute_uv=False)
        if width <= MIN_WIDTH * length:
            return True
    return False


def _shift(by: FloatArray) -> FloatArray:
    return np.array([[1.0, 0, by[0]], [0, 1, by[1]], [0, 0, 1]])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument("--camera", required=True, help="its name in the run, that of its file or address")
    points = parser.add_argument_group("the points, four or more, in one order")
    points.add_argument("--pixels", required=True, metavar='"x,y ..."', help="where they are in the picture")
    points.add_argument("--metres", required=True, metavar='"x,y ..."', help="where they are on the ground")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Print the lines for the configuration."""
    pixels, metres = (_points(f"--{it}", getattr(arguments, it)) for it in ("pixels", "metres"))
    if len(pixels) != len(metres):
        raise ReuniteError(f"--pixels has {len(pixels)} points, --metres has {len(metres)}; give pairs")
    matrix = fit_homography(pixels, metres)
    lines = _as_yaml(CameraName(arguments.camera), matrix, off_by(matrix, pixels, metres))
    console.print(lines, end="", soft_wrap=True)
    return 0


def _points(option: str, text: str) -> FloatArray:
    try:
        points = np.array([[float(number) for number in pair.split(",")] for pair in text.split()])
    except ValueError:
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ReuniteError(
            f'{option}: write x,y of each point with spaces between, "0,0 6,0 6,4 0,4", got {text!r}'
        )
    return points


def _as_yaml(camera: CameraName, matrix: FloatArray, errors_m: FloatArray) -> str:
    rows = [[float(f"{number:.10g}") for number in row] for row in matrix]
    lines = yaml.safe_dump({"ground": {"homographies": {camera: rows}}}, default_flow_style=None, width=200)
    note = f"# {len(errors_m)} points, off by {np.sqrt((errors_m**2).mean()):.3f} m (root of the mean square)"
    worst = int(errors_m.argmax())
    if len(errors_m) == 4:
        note = "# four points always fit; give a fifth or more to see how many metres this is off"
    else:
        note += f", most at point {worst + 1}: {errors_m[worst]:.3f} m"
    return f"{note}\n{lines}"


COMMAND = Command(
    name="ground",
    description="Find the homography of a camera from four or more points on the ground, and print it as "
    "lines for the configuration, with how many metres it is off.",
    examples=(
        '--camera door --pixels "212,655 1105,640 868,301 377,306" --metres "0,0 6,0 6,4 0,4"',
        '--camera door --pixels "212,655 1105,640 868,301 377,306 639,424" --metres "0,0 6,0 6,4 0,4 3,2"',
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="The points are the corners of a floor of 6 m x 4 m; its middle, too, tells how exact it is.\n"
    "The lines that are printed go into the configuration of the run; docs/ground.md says more.",
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.ground"))
