"""Where a training stands, in one file that is always whole."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from foundation.errors import ReuniteError
from foundation.files import write_whole
from reid.config import TrainConfig
from reid.training_pictures import TrainingPictures

VERSION = 1


def save_training_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, texts, lists and dicts of them; a cut leaves the old file or the new."""
    buffer = io.BytesIO()
    torch.save({"version": VERSION, **state}, buffer)
    write_whole(path, buffer.getbuffer())


def load_training_state(path: Path) -> dict[str, Any]:
    """Read what `save_training_state` wrote, onto the CPU; no code in the file is ever run.

    Raises:
        ReuniteError: The file cannot be read, or is of another version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state.pop("version")
    except OSError as error:
        raise ReuniteError(f"{path}: cannot read the training state ({error.strerror})") from None
    except Exception:  # noqa: BLE001 PyTorch's many share no other base, and say nothing to a user
        raise ReuniteError(
            f"{path}: cannot read the training state (it is damaged, or holds code, which is never run); "
            "start a new run"
        ) from None
    if version != VERSION:
        raise ReuniteError(f"{path}: version {version}, this program reads {VERSION}; start a new run")
    return dict(state)


def check_fits(
    state: Mapping[str, Any], folder: Path, config: TrainConfig, pictures: TrainingPictures
) -> None:
    """Refuse to go on with another network or other data than the run in the folder began with.

    The schedule, the batches, what the losses weigh, and paths may be changed between.

    Raises:
        ReuniteError: Names what differs.
    """
    if (state["people"], state["pictures"]) != (pictures.people, len(pictures)):
        raise ReuniteError(
            f"{folder}: began with {state['pictures']} pictures of {state['people']} people, the data "
            f"now has {len(pictures)} of {pictures.people}; put the data back or start a new run"
        )
    began = _what_is_learnt(TrainConfig.model_validate(yaml.safe_load(state["config"])))
    for name, now in _what_is_learnt(config).items():
        if began[name] != now:
            raise ReuniteError(
                f"{folder}: the checkpoint was made with {name} {began[name]}, config.yaml now says {now}; "
                "put it back or start a new run"
            )


START = {"imagenet", "start_from"}
"""Where a network began, which matters no more."""


def _what_is_learnt(config: TrainConfig) -> dict[str, Any]:
    """The settings that the tensors of a checkpoint depend on."""
    settings = config.model_dump(
        mode="json", include={"model", "optimiser", "average"}, exclude={"model": START}
    )
    return settings | {
        "losses.centre on": any(part.kind == "centre" and part.weight for part in config.losses.values()),
        "mutual.models": [model.model_dump(mode="json", exclude=START) for model in config.mutual.models]
        if config.mutual is not None
        else None,
        "distillation on": config.distillation is not None,
    }
