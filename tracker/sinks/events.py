"""``events.jsonl``: what was found out about who is who, a line for each event, as it happens."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from foundation.errors import ReuniteError
from tracker.types import Frame, IdentityEvent, Sightings


class EventLog:
    """A sink that appends events and can say where it stands; whoever holds the run's journal writes it.

    Lines are with the operating system when `write` returns, so others may follow the file, and a
    killed run loses none.

    Args:
        path: The file; made if it is not there.
        take: Gives the events since it was last called.
        size: How many bytes to keep of what is there; later events come again when the run goes on
            from its checkpoint, and are cut off.

    Raises:
        ReuniteError: The file holds fewer than ``size`` bytes.
    """

    def __init__(self, path: Path, take: Callable[[], Sequence[IdentityEvent]], size: int = 0) -> None:
        self._take = take
        self._file = path.open("ab", buffering=0)
        have = self._file.tell()
        if have < size:
            self._file.close()
            raise ReuniteError(
                f"{path}: holds {have} bytes, its checkpoint counts {size}; "
                "the run cannot be continued, start it anew"
            )
        self._file.truncate(size)

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Append what was found out in this frame."""
        self.flush()

    def flush(self) -> None:
        """Append what was found out since the last time; of a run that ends, what its end brought."""
        lines = "".join(json.dumps(_as_dict(event), ensure_ascii=False) + "\n" for event in self._take())
        left = memoryview(lines.encode())
        while left:  # an unbuffered file may take less than it is given
            left = left[self._file.write(left) :]

    def save(self) -> int:
        """Bring everything to the disk; how many bytes are safe there."""
        self.flush()
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        with suppress(OSError):  # as in `Journal`: on a full disk writing failed before, and said so
            self._file.close()


def _as_dict(event: IdentityEvent) -> dict[str, str | float]:
    """As it stands in the file; ``other`` only where there is one."""
    told: dict[str, str | float] = {
        "time": round(event.time, 3),
        "event": event.kind,
        "camera": event.camera,
        "track": event.track_id,
        "identity": event.identity,
    }
    return told | {"other": event.other} if event.other else told
