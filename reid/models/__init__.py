"""The networks, one file each, and the one function that builds them by name."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from torch import nn

from foundation.errors import ReuniteError
from reid.models.dare import DareSettings, build_dare
from reid.models.done_right import DoneRightSettings, build_done_right
from reid.models.ha_cnn import HaCnnSettings, build_ha_cnn
from reid.models.harmonious import HarmoniousNetwork
from reid.models.heads import ReidOutput
from reid.models.part_network import PARTS_025X, PartNetwork
from reid.models.robust_reid import (
    ROBUST_REID_025X,
    ROBUST_REID_1X,
    ROBUST_REID_2X,
    build_robust_reid,
)

__all__ = ["MODEL_NAMES", "ReidOutput", "build_model"]

MODEL_NAMES = (
    "robust-reid-1x",
    "robust-reid-2x",
    "robust-reid-025x",
    "parts-025x",
    "ha-cnn",
    "resnet50-bnneck",
    "dare",
    "done-right",
)

S = TypeVar("S")


def build_model(name: str, num_classes: int | None = None, **settings: Any) -> nn.Module:
    """A network with fresh weights.

    Args:
        name: One of `MODEL_NAMES`.
        num_classes: People to classify in training; None builds no classifiers, as for use.
        settings: Fields of the network's settings class that differ from its default, as JSON values.

    Returns:
        A module of (B, 3, H, W) to `ReidOutput`, with ``preprocess``, ``embedding_length`` and
        ``head_lengths``; where it gives several embeddings that can be compared, ``outputs`` names them.

    Raises:
        ReuniteError: No such network, or no such setting.
    """
    match name:
        case "robust-reid-1x":
            return build_robust_reid(_change(name, ROBUST_REID_1X, settings), num_classes)
        case "robust-reid-2x":
            return build_robust_reid(_change(name, ROBUST_REID_2X, settings), num_classes)
        case "robust-reid-025x":
            return build_robust_reid(_change(name, ROBUST_REID_025X, settings), num_classes)
        case "parts-025x":
            return PartNetwork(_change(name, PARTS_025X, settings), num_classes)
        case "ha-cnn":
            return build_ha_cnn(_change(name, HaCnnSettings(), settings), num_classes)
        case "resnet50-bnneck":
            # Only this network needs torchvision, which takes a second to import.
            from reid.models.resnet50 import Resnet50, Resnet50Settings

            return Resnet50(_change(name, Resnet50Settings(), settings), num_classes)
        case "dare":
            return build_dare(_change(name, DareSettings(), settings), num_classes, _compact)
        case "done-right":
            return build_done_right(_change(name, DoneRightSettings(), settings), num_classes, _compact)
        case _:
            raise ReuniteError(f"network {name!r}: no such network, known are {', '.join(MODEL_NAMES)}")


def _compact(settings: dict[str, Any]) -> HarmoniousNetwork:
    return build_robust_reid(_change("robust-reid-025x", ROBUST_REID_025X, settings), None)


def _change(name: str, default: S, settings: dict[str, Any]) -> S:
    known = [field.name for field in fields(default)]  # type: ignore[arg-type]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    for key, value in values.items():
        if key not in known:
            raise ReuniteError(f"network {name!r}: no setting {key!r}, known are {', '.join(known)}")
        usual = getattr(default, key)
        if _kinds(value) != _kinds(usual):
            raise ReuniteError(f"network {name!r}: {key} must look like {usual}, got {value!r}")
    return replace(default, **values)  # type: ignore[type-var]


def _kinds(value: Any) -> list[type]:
    """The type of a value, or of each of its parts."""
    return [tuple, *map(type, value)] if isinstance(value, tuple) else [type(value)]
