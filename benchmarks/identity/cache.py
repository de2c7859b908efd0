"""What took long is kept in files, named after all that it was made of."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def digest(*parts: object) -> str:
    """Ten letters that change with any of the parts; of a path, with what is in the file or folder."""
    total = hashlib.sha256()
    for part in parts:
        if not isinstance(part, Path):
            total.update(repr(part).encode())
            continue
        files = [part] if part.is_file() else sorted(path for path in part.rglob("*") if path.is_file())
        for file in files:
            if file.suffix != ".pyc":
                total.update(file.name.encode() + file.read_bytes())
    return total.hexdigest()[:10]


def cached(file: Path, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of the file; where there is none they are made and kept."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        with unfinished.open("wb") as stream:
            np.savez(stream, **make())  # type: ignore[arg-type]
        unfinished.rename(file)
    with np.load(file) as arrays:
        return dict(arrays)
