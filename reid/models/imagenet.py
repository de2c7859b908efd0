"""Backbones of torchvision that start from what they know of ImageNet."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models import DenseNet201_Weights, ResNet50_Weights

from foundation.errors import ReuniteError

OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")
"""How the published weights of DenseNet name layers: ``norm.1`` is ``norm1`` today."""


def imagenet_backbone(model: nn.Module) -> nn.Module | None:
    """The part of a network that is a network of torchvision; None where it has none."""
    body = getattr(model, "trunk", model)
    backbone: nn.Module | None = getattr(body, "backbone", None)
    return backbone


def load_imagenet_weights(backbone: nn.Module, path: Path | None) -> None:
    """Start a backbone from ImageNet.

    Args:
        backbone: A ResNet-50 or DenseNet-201 of torchvision, changed in place.
        path: A .pth or .safetensors file with the names of torchvision, which timm shares; its
            classifier is left out. None lets torchvision download its own.

    Raises:
        ReuniteError: The file cannot be read or is of another network, or the download fails.
    """
    is_resnet = isinstance(backbone, torchvision.models.ResNet)
    kind = "ResNet-50" if is_resnet else "DenseNet-201"
    name = str(path) if path else f"torchvision's {kind}"
    published = ResNet50_Weights.IMAGENET1K_V2 if is_resnet else DenseNet201_Weights.IMAGENET1K_V1
    weights = _read_weights(path) if path else _download_weights(published)
    if not isinstance(weights, dict):
        raise ReuniteError(f"{name}: must hold named tensors, holds a {type(weights).__name__}")
    body = {
        OLD_DENSE_LAYER.sub(r"\1\2.", key): value
        for key, value in weights.items()
        if not key.startswith(("fc.", "classifier."))
    }
    try:
        missing, unexpected = backbone.load_state_dict(body, strict=False)
    except (RuntimeError, TypeError) as error:
        raise ReuniteError(f"{name}: is not a {kind}: {str(error).splitlines()[-1].strip()}") from None
    # Files of timm do not hold how many batches were seen.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ReuniteError(
            f"{name}: is not a {kind}: {len(missing)} tensors missing, {len(unexpected)} unknown, "
            f"such as {(missing + unexpected)[0]}"
        )


def _read_weights(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ReuniteError(
            f"{path}: cannot read the weights: it is damaged, or holds code, which is never run"
        ) from None
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        raise ReuniteError(f"{path}: cannot read the weights: {str(error).splitlines()[0]}") from None


def _download_weights(weights: Any) -> Any:
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ReuniteError(
            f"{weights.url}: the download failed ({error}); fetch it elsewhere and give the file"
        ) from None
