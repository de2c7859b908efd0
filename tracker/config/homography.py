"""A 3x3 matrix in a configuration, checked."""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _check_homography(value: Any) -> Any:
    """Say in one sentence what is wrong with a matrix; pydantic would say it of each number."""
    try:
        rows = [[math.nan if isinstance(number, bool) else float(number) for number in row] for row in value]
        matrix = np.array(rows)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise PydanticCustomError("homography", "must be 3 rows of 3 finite numbers")
    matrix = matrix / max(np.abs(matrix).max(), 1e-300) * [1000.0, 1000.0, 1.0]  # pixels are about 1000
    # Relative to the most it could be with rows this long; 1e-13 allows for planes in UTM coordinates.
    if abs(np.linalg.det(matrix)) <= 1e-13 * np.linalg.norm(matrix, axis=1).prod():
        raise PydanticCustomError(
            "homography", "is singular, it takes the picture to a line; make it with reunite ground"
        )
    return value


Row = tuple[float, float, float]
Homography = Annotated[tuple[Row, Row, Row], BeforeValidator(_check_homography)]
