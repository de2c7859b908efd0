"""Where a training stands, in one file that is always whole."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from reid.errors import ReidError

VERSION = 1


def save_training_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, texts, lists and dicts of them; a cut leaves the old file or the new."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load_training_state(path: Path) -> dict[str, Any]:
    """Read what `save_training_state` wrote, onto the CPU; no code in the file is ever run.

    Raises:
        ReidError: The file cannot be read, or is of another version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state.pop("version")
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, AttributeError, KeyError) as error:
        raise ReidError(
            f"{path}: cannot read the training state ({str(error).splitlines()[0]}); start a new run"
        ) from None
    if version != VERSION:
        raise ReidError(f"{path}: version {version}, this program reads {VERSION}; start a new run")
    return dict(state)
