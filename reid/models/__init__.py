"""The networks, one file each, and the one function that builds them by name."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from torch import nn

from foundation.errors import ReuniteError
from reid.models.dare import CompactStages, Dare, DareSettings, Trunk
from reid.models.done_right import DoneRight, DoneRightSettings
from reid.models.ha_cnn import HaCnnSettings, build_ha_cnn
from reid.models.heads import ReidOutput
from reid.models.part_network import PARTS_025X, PartNetwork
from reid.models.residual import ResidualNetwork, ResidualSettings
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
    "robust-reid-residual",
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
        case "robust-reid-residual":
            return ResidualNetwork(_change(name, ResidualSettings(), settings), num_classes)
        case "parts-025x":
            return PartNetwork(_change(name, PARTS_025X, settings), num_classes)
        case "ha-cnn":
            return build_ha_cnn(_change(name, HaCnnSettings(), settings), num_classes)
        case "resnet50-bnneck":
            # Not above, here and below: torchvision takes a second to import.
            from reid.models.resnet50 import Resnet50, Resnet50Settings

            return Resnet50(_change(name, Resnet50Settings(), settings), num_classes)
        case "dare":
            dare = _change(name, DareSettings(), settings)
            return Dare(_trunk(name, dare), dare, num_classes)
        case "done-right":
            done_right = _change(name, DoneRightSettings(), settings)
            return DoneRight(_trunk(name, done_right), done_right, num_classes)
        case _:
            raise ReuniteError(f"network {name!r}: no such network, known are {', '.join(MODEL_NAMES)}")


def _trunk(name: str, settings: DareSettings | DoneRightSettings) -> Trunk:
    """The base that the settings of a network name."""
    base, pool = settings.base, settings.pool
    if base == "robust-reid-025x":
        compact = _change(base, ROBUST_REID_025X, settings.base_settings)
        return CompactStages(build_robust_reid(compact, None), pool)
    if base not in ("resnet50", "densenet201"):
        raise ReuniteError(
            f"network {name!r}: base must be resnet50, densenet201 or robust-reid-025x, got {base!r}"
        )
    if settings.base_settings:
        raise ReuniteError(f"network {name!r}: {base} takes no base_settings; leave them out")
    from reid.models.torchvision_stages import TorchvisionStages

    return TorchvisionStages(base, pool)


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
