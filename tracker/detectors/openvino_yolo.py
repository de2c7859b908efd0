"""A YOLO that was exported to OpenVINO: compiled for pictures of any shape, and run.

An export is mostly made for a square of 640, of which a picture of 16:9 fills little more than half. Its
convolutions take any size; only a few constants hold the size of the square: the centres and strides of the
cells, and the shapes that lists of cells are brought into. `YoloModel.at_size` puts in those of another size,
so that the network is the one that an export for that size would have given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, Image
from foundation.errors import ReuniteError
from foundation.quiet_openvino import load_openvino

STRIDES = (8, 16, 32)
MAX_SUPPRESSED = 300
"""Boxes of an export with suppression inside, or of RT-DETR; what gives more has none."""


class UnknownOutputError(ReuniteError):
    """A network that gives something else than boxes; ultralytics would find nobody, and not say why."""


@dataclass(frozen=True, slots=True)
class YoloModel:
    """An export without suppression inside.

    Attributes:
        path: The ``.xml``.
        size: Width and height of its input, in pixels.
        is_open: Whether the file leaves the size open.
        channels: 4 + C + more, of its output (1, channels, cells).
    """

    path: Path
    size: tuple[int, int]
    is_open: bool
    channels: int

    def at_size(self, size: tuple[int, int]) -> Any:
        """The ``openvino.Model`` for an input of another width and height, no larger; None if it has none.

        Args:
            size: Multiples of 32.
        """
        openvino = load_openvino()
        model = openvino.Core().read_model(self.path)
        shape = openvino.PartialShape([1, 3, size[1], size[0]])
        if not self.is_open and size != self.size:
            _set_cells(model, self.size, size)
        model.get_parameters()[0].set_partial_shape(shape)
        try:
            model.validate_nodes_and_infer_types()
        except RuntimeError:  # something else inside is made for the size of the file
            return None
        return model if list(model.output(0).get_shape()) == [1, self.channels, _cells(size)] else None


def read_yolo(path: Path, open_size: int) -> YoloModel | None:
    """The export, or None if it is no YOLO of three strides without suppression.

    Args:
        path: The ``.xml``.
        open_size: Side of the square for a file that leaves its size open.
    """
    openvino = load_openvino()
    model = openvino.Core().read_model(path)
    sides = list(model.input().get_partial_shape())
    is_open = any(side.is_dynamic for side in sides)
    if is_open:
        model.reshape([1, 3, open_size, open_size])
    _, _, height, width = model.input().get_shape()
    output = list(model.output(0).get_shape())
    if len(output) != 3 or output[2] != _cells((width, height)):
        if len(output) == 3 and output[1] > MAX_SUPPRESSED:
            raise UnknownOutputError(
                f"{path}: gives {output} for {width}x{height}, where (1, 4 + C, boxes) is "
                "known; take its ONNX export, of which every layout is read"
            )
        return None
    return YoloModel(path, (width, height), is_open, output[1])


def compile_yolo(
    model: YoloModel, size: tuple[int, int], streams: int
) -> list[Callable[[Image], NDArray[np.float32]]]:
    """One function for each stream, from (H, W, 3) BGR of this width and height to (channels, cells).

    What it gives is valid until it is called again.
    """
    openvino = load_openvino()
    from openvino.preprocess import ColorFormat, PrePostProcessor

    # Bytes to numbers, blue to red, rows to planes: a part of the network costs less than a pass of its own.
    steps = PrePostProcessor(model.at_size(size))
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.BGR)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).convert_color(ColorFormat.RGB)
    steps.input().preprocess().scale(255.0)
    hints = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": str(streams)}
    compiled = openvino.Core().compile_model(steps.build(), "CPU", hints)

    def make_request() -> Callable[[Image], NDArray[np.float32]]:
        request = compiled.create_infer_request()

        def infer(picture: Image) -> NDArray[np.float32]:
            request.infer({0: picture[None]}, share_inputs=True)
            found: NDArray[np.float32] = request.get_output_tensor(0).data[0]
            return found

        return infer

    return [make_request() for _ in range(streams)]


def _cells(size: tuple[int, int]) -> int:
    return sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES)


def _set_cells(model: Any, old: tuple[int, int], new: tuple[int, int]) -> None:
    """Put the cells of the size ``new`` into the constants that hold those of ``old``."""
    import openvino.opset13 as operators

    kept = _kept_cells(old, new)
    coarse = [[side // STRIDES[-1] for side in size[::-1]] for size in (old, new)]  # rows, columns
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant":
            continue
        values = node.data
        users = node.output(0).get_target_inputs()
        if values.ndim >= 2 and values.shape[-1] == len(kept):
            values = values[..., kept]
        elif (
            values.ndim == 1
            and values.size > 1
            and {it.get_node().get_type_name() for it in users} == {"Reshape"}
        ):
            values = values.copy()
            if values[-1] == len(kept):
                values[-1] = kept.sum()
            elif values[-2:].tolist() == coarse[0]:
                values[-2:] = coarse[1]
            elif values[-1] == np.prod(coarse[0]):
                values[-1] = np.prod(coarse[1])
        else:
            continue
        constant = operators.constant(values).output(0)
        for user in users:
            user.replace_source_output(constant)


def _kept_cells(old: tuple[int, int], new: tuple[int, int]) -> BoolArray:
    """(A,) which of the cells of the size ``old`` the size ``new`` has too, from the left top corner on."""
    grids = []
    for stride in STRIDES:
        grid = np.zeros((old[1] // stride, old[0] // stride), np.bool_)
        grid[: new[1] // stride, : new[0] // stride] = True
        grids.append(grid.ravel())
    return np.concatenate(grids)
