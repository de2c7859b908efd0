"""What addresses say of lists and times: where one goes on, in a text that only the server reads."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Query

from tracker.events.store import unix
from tracker.live.errors import ApiError

Cursor = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=500)]


def write_cursor(values: Sequence[int | float] | None) -> str | None:
    """The values as a cursor; None stays None."""
    if values is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, *kinds: Callable[[Any], Any]) -> list[Any] | None:
    """The values of a cursor, each of its kind.

    Raises:
        ApiError: It is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list):
            raise ValueError("no list")
        return [kind(value) for kind, value in zip(kinds, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ApiError(400, "this is no cursor of an answer") from None


def read_time(text: str) -> float:
    """Unix time of ISO 8601.

    Raises:
        ApiError: It is none.
    """
    try:
        # A plus that was not escaped in an address is a space by now.
        found = unix(text.replace(" ", "+") if "T" in text else text)
    except (ValueError, OverflowError, OSError):
        raise ApiError(400, f"{text!r} is no time with its zone, such as 2026-11-28T21:15:02+00:00") from None
    return found
