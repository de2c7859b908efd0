"""Files that a command writes at its end: whether they can be written is asked at its beginning."""

from collections.abc import Sequence
from pathlib import Path

from foundation.errors import ReuniteError


def check_output(option: str, path: Path, suffixes: Sequence[str] = ()) -> None:
    """Refuse a file that could only fail after all the work.

    Args:
        option: How the user named it, such as ``--out``.
        path: The file; it may be there already.
        suffixes: What it must end in, if that matters.

    Raises:
        ReuniteError: It ends otherwise, is a folder, or lies in a folder that is not there.
    """
    if suffixes and path.suffix not in suffixes:
        raise ReuniteError(f"{option} {path}: must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise ReuniteError(f"{option} {path}: is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ReuniteError(f"{option} {path}: there is no folder {path.parent}; make it first")
