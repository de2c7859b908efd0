"""When recordings began, in a configuration: seconds, or dates and times."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

DATE_LENGTH = len("2026-11-28")


def _check_start(value: Any) -> float | datetime:
    """Say in one sentence what is wrong with a start; pydantic would say it once for each type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) < 1e300 else math.inf
        if math.isfinite(seconds):
            return seconds
    elif isinstance(value, datetime):
        return value
    elif isinstance(value, str) and len(value) > DATE_LENGTH:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("start", "is no start; write seconds, such as 12.4, or 2026-11-28T14:03:22")


def _check_names(value: Any) -> Any:
    """Names of cameras are text, also where YAML takes one for a number."""
    return {str(name): start for name, start in value.items()} if isinstance(value, Mapping) else value


Start = Annotated[float | datetime, BeforeValidator(_check_start)]
Starts = Annotated[dict[str, Start], BeforeValidator(_check_names)]
