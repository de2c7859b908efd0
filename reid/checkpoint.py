"""Weights as they ship: safetensors that say which network they are and what pictures must go through."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from foundation.files import write_whole
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.stored_prior import PRIOR_KEY

FORMAT = "reunite-reid-1"
"""Written into every file; another number means another layout."""

CLASSIFIERS = "classifiers."
"""Weights under this name know the people of the training and are dropped."""


def save_weights(
    path: Path,
    model: nn.Module,
    name: str,
    settings: Mapping[str, Any],
    preprocess: Preprocess,
    extra: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a network for use; a cut leaves the old file or the new.

    Args:
        path: Where to.
        model: What ``build_model(name, ..., **settings)`` gave; its classifiers are left out.
        name: As `build_model` knows it.
        settings: As `build_model` takes them.
        preprocess: What pictures must go through.
        extra: What else is worth knowing, as JSON values; ``name`` and ``settings`` are taken.
        half: Store the weights of convolutions and linear layers in 16 bits. Batch norm stays in 32:
            its variances may leave the range.

    Raises:
        ReuniteError: A weight is not finite, or ``extra`` cannot be written as JSON.
    """
    if taken := {"name", "settings"} & set(extra):
        raise ReuniteError(
            f"{path}: extra must not hold {' and '.join(sorted(taken))}, they stand for the network"
        )
    tensors: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        if key.startswith(CLASSIFIERS):
            continue
        if not value.isfinite().all():
            raise ReuniteError(f"{path}: not written, {key} holds numbers that are not finite")
        stored = value.half() if half and value.is_floating_point() and value.squeeze().ndim > 1 else value
        tensors[key] = stored.cpu().contiguous()
    try:
        metadata = {
            "format": FORMAT,
            "name": name,
            "settings": json.dumps(dict(settings)),
            "preprocess": json.dumps(preprocess.to_dict()),
            "extra": json.dumps(dict(extra)),
        }
    except (TypeError, ValueError) as error:
        raise ReuniteError(f"{path}: settings and extra must be JSON values: {error}") from None
    write_whole(path, save(tensors, metadata))


def load_model(path: Path) -> tuple[nn.Module, Preprocess, dict[str, Any]]:
    """Read what `save_weights` wrote, for use.

    Returns:
        The network in eval mode, in float32 on the CPU and without classifiers; what pictures must go
        through; ``name``, ``settings`` and whatever ``extra`` held.

    Raises:
        ReuniteError: The file is missing, is not safetensors (no pickle is ever opened), was not written
            here, or its weights are not those of the network it names.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 it is no mapping
    except FileNotFoundError:
        raise ReuniteError(f"{path}: there is no such file") from None
    except (OSError, SafetensorError) as error:
        raise ReuniteError(
            f"{path}: is not a safetensors file ({error}); pickled weights are never opened"
        ) from None
    if metadata.get("format") != FORMAT:
        raise ReuniteError(
            f"{path}: was not written by this program (format {metadata.get('format')!r}, not {FORMAT!r})"
        )
    try:
        name, settings = metadata["name"], json.loads(metadata["settings"])
        preprocess = Preprocess.from_dict(json.loads(metadata["preprocess"]))
        about = {**json.loads(metadata["extra"]), "name": name, "settings": settings}
        model = build_model(name, **settings)
    except (KeyError, TypeError, ValueError) as error:
        raise ReuniteError(f"{path}: its description is damaged: {error!r}") from None
    except ReuniteError as error:
        raise ReuniteError(f"{path}: {error}") from None
    _check_weights(path, name, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    return model.eval(), preprocess, about


def write_prior(path: Path, prior: CosinePrior) -> None:
    """Write into weights what their cosines mean; all else stays as it is.

    Raises:
        ReuniteError: They are not weights that `save_weights` wrote, or cannot be written.
    """
    load_model(path)  # says what is wrong with the file
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 it is no mapping
    write_whole(path, save(tensors, metadata | {PRIOR_KEY: json.dumps(asdict(prior))}))


def _check_weights(path: Path, name: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise ReuniteError unless both hold the same names and shapes."""
    for key in sorted(wanted.keys() | found.keys()):
        shapes = [tuple(part[key].shape) if key in part else None for part in (wanted, found)]
        if shapes[0] != shapes[1]:
            has = "is not there" if shapes[1] is None else f"has shape {shapes[1]}"
            needs = "is not part of it" if shapes[0] is None else f"needs {shapes[0]}"
            raise ReuniteError(
                f"{path}: holds the weights of another network than {name}: {key} {has}, {needs}"
            )
