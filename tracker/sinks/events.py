"""``events.jsonl``: what was found out about who is who, a line for each event, as it happens."""

import json
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from foundation.errors import ReuniteError
from foundation.files import write_whole
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
        may_be_shorter: Whether fewer may be there, as `drop_before` was called after the checkpoint.

    Raises:
        ReuniteError: The file holds fewer than ``size`` bytes.
    """

    def __init__(
        self,
        path: Path,
        take: Callable[[], Sequence[IdentityEvent]],
        size: int = 0,
        *,
        may_be_shorter: bool = False,
    ) -> None:
        self._path, self._take = path, take
        self._file = path.open("ab", buffering=0)
        have = self._file.tell()
        if have < size and may_be_shorter:
            size = have
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

    def drop_before(self, time_s: float) -> bool:
        """Delete events from before; whether there were any. A checkpoint must follow."""
        return self._rewrite(lambda event: event["time"] >= time_s)

    def forget(self, numbers: Collection[int]) -> bool:
        """Delete what is told of these people; whether there was any. A checkpoint must follow."""
        return self._rewrite(lambda event: not {event["identity"], event.get("other", 0)} & set(numbers))

    def _rewrite(self, is_kept: Callable[[dict[str, Any]], bool]) -> bool:
        self.flush()
        lines = self._path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if is_kept(json.loads(line))]
        if len(kept) < len(lines):
            write_whole(self._path, b"".join(kept))
            self._file.close()
            self._file = self._path.open("ab", buffering=0)
        return len(kept) < len(lines)

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
