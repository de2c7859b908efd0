"""What the numbers of an exported YOLO mean: known by their shape against the number of classes."""

import ast
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.config import parse_yaml
from foundation.errors import ReuniteError

ANCHORS = 3
"""Boxes for each cell of YOLOv5 and v7; later ones have one."""

YOLOX_VALUES = (85, 6)
"""Of each box, for the classes of COCO or people alone."""


class Layout(Enum):
    """How boxes lie in the output: along the columns or the rows, and with their objectness or without."""

    V8 = "(4 + C + more, A)"
    V8_TURNED = "(A, 4 + C + more)"
    V5 = "(3 A, 5 + C + more)"
    V5_TURNED = "(5 + C + more, 3 A)"


def find_layout(shape: tuple[int, ...], num_classes: int | None, cells: int) -> Layout | None:
    """The layout of an output without its batch axis; None for one that is none of them.

    Args:
        shape: Of the output.
        num_classes: C, or None where the file does not say.
        cells: A, of all strides.
    """
    if len(shape) != 2:
        return None
    least = num_classes or 1
    for boxes, values, plain, turned in (
        (shape[1], shape[0], Layout.V8, Layout.V5_TURNED),
        (shape[0], shape[1], Layout.V8_TURNED, Layout.V5),
    ):
        if boxes == cells and values >= 4 + least:
            # YOLOX has as many boxes, an objectness and no decoding: what it gives would be no boxes.
            yolox = (5 + num_classes,) if num_classes else YOLOX_VALUES
            return None if plain is Layout.V8_TURNED and values in yolox else plain
        if boxes == ANCHORS * cells and values >= 5 + least:
            return turned
    return None


def classes_of(shape: tuple[int, ...], layout: Layout) -> int:
    """How many classes there are, where the file does not say and the output holds nothing else."""
    values = shape[0] if layout in (Layout.V8, Layout.V5_TURNED) else shape[1]
    return values - (4 if layout in (Layout.V8, Layout.V8_TURNED) else 5)


def to_v8(output: NDArray[np.float32], layout: Layout, num_classes: int) -> NDArray[np.float32]:
    """An output of any layout as (4 + C, boxes): centre and size in pixels, and how likely each class is."""
    if layout in (Layout.V8_TURNED, Layout.V5):
        output = output.T
    if layout in (Layout.V8, Layout.V8_TURNED):
        return output
    return np.concatenate([output[:4], output[5 : 5 + num_classes] * output[4]])


def read_names(said: Any) -> dict[int, str] | None:
    """The names of the classes by their numbers, however the file writes them; None where it does not.

    Args:
        said: A dictionary, whose keys may be texts, a list, or a text that holds one of them.
    """
    if isinstance(said, str):
        try:
            said = ast.literal_eval(said)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            try:
                said = parse_yaml(said)
            except ValueError:
                return None
    if isinstance(said, list | tuple):
        said = dict(enumerate(said))
    if not isinstance(said, dict) or not said:
        return None
    try:
        return {int(number): str(name) for number, name in said.items()}
    except (TypeError, ValueError):
        return None


def person_class(path: Path, names: dict[int, str] | None, chosen: int | None, num_classes: int) -> int:
    """The class that is chosen, or called person, or the only one there is.

    Args:
        path: Of the model, for the message.
        names: Of its classes, where they are known.
        chosen: ``detector.person_class``.
        num_classes: How many there are.

    Raises:
        ReuniteError: The chosen class is not there, or nobody can know which one it is.
    """
    if chosen is not None:
        if chosen >= num_classes:
            raise ReuniteError(
                f"detector.person_class: {path} has the classes 0 to {num_classes - 1}, got {chosen}"
            )
        return chosen
    people = [number for number, name in (names or {}).items() if name.strip().lower() == "person"]
    if people:
        return people[0]
    if num_classes == 1:
        return next(iter(names)) if names else 0
    if not names:
        raise ReuniteError(
            f"{path}: does not say what its {num_classes} classes are; set detector.person_class to the "
            "number of the class person, which is 0 in a COCO model"
        )
    some = ", ".join(list(names.values())[:5])
    raise ReuniteError(
        f"{path}: none of its {num_classes} classes ({some}, ...) is called 'person'; take a COCO model, or "
        "set detector.person_class to the number of the class that people are in"
    )
