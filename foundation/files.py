"""Files that are always whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes its name only at the end of the block, when all of it is on the disk.

    A cut at any moment, or an exception in the block, leaves the old content or all of the new one.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)  # of a run that was killed; a link there must not be followed
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a cut at any moment leaves either the old content or all of the new one."""
    with open_whole(path) as file:
        file.write(content)
