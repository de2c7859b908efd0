"""Arrays by what they hold, and columns of one length."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
EmbeddingArray = NDArray[np.float32]
Image = NDArray[np.uint8]


class Columns:
    """Frozen columns of equal length: ``len(people)`` rows, ``people[mask]`` selects every column.

    A subclass is a dataclass with slots, which are its columns.
    """

    __slots__: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(getattr(self, self.__slots__[0]))

    def __getitem__(self, rows: NDArray[Any] | slice) -> Self:
        return type(self)(*[getattr(self, name)[rows] for name in self.__slots__])

    def check(self, **rows: tuple[int | None, ...]) -> None:
        """Raise ValueError unless these columns have as many rows as the first one, each of the shape given.

        None stands for any length.
        """
        count = getattr(self, self.__slots__[0]).shape[:1]
        for name, row in rows.items():
            column = getattr(self, name)
            if column.shape != (*count, *row):  # most are right, some twenty times a frame
                check_shape(f"{type(self).__name__}.{name}", column, (*count, *row))


def check_shape(name: str, array: NDArray[Any], shape: Sequence[int | None]) -> None:
    """Raise ValueError unless ``array`` has this shape; None stands for any length."""
    have = array.shape
    if len(have) == len(shape):
        for place, want in enumerate(shape):  # a loop, as this runs some twenty times a frame
            if want is not None and want != have[place]:
                break
        else:
            return
    wanted = ", ".join("any" if want is None else str(want) for want in shape)
    raise ValueError(f"{name} must have shape ({wanted}), got {tuple(have)}")
