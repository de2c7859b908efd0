"""ResNet-50 with a batch-norm neck: the Strong and the Stronger Baseline."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet50_Weights

from foundation.errors import ReuniteError
from reid.models.heads import ReidOutput, classify, make_classifiers, make_pool, to_unit_length
from reid.preprocess import Preprocess

WIDTH = 2048


@dataclass(frozen=True, slots=True)
class Resnet50Settings:
    """In what the baselines differ."""

    gem: bool = False
    """GeM pooling; off takes the average, as both papers do."""

    metric_after_neck: bool = True
    """Metric losses see the feature after the neck, at length 1 (Stronger Baseline); off shows them the
    feature before it, as it is (Strong Baseline)."""


class Resnet50(nn.Module):
    """ResNet-50 that ends at a stride of 16, pooling, and a batch norm between pooling and classifier.

    Source: Luo et al. 2019 (arXiv:1903.07071) for the last stride and the neck; Stronger Baseline
    (Liu et al.) for which feature each loss sees.
    """

    def __init__(self, settings: Resnet50Settings, num_classes: int | None) -> None:
        super().__init__()
        self.preprocess = Preprocess(height=256, width=128)
        self.head_lengths = (WIDTH,)
        self.embedding_length = WIDTH
        self.metric_after_neck = settings.metric_after_neck
        self.backbone = torchvision.models.resnet50(weights=None)
        self.backbone.fc = nn.Identity()
        last = self.backbone.layer4[0]
        last.conv2.stride = last.downsample[0].stride = (1, 1)
        self.pool = make_pool(WIDTH, settings.gem)
        self.neck = nn.BatchNorm1d(WIDTH)
        self.neck.bias.requires_grad_(False)  # the classifier's planes go through the origin
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB to one head; see `ReidOutput`."""
        body = self.backbone
        maps = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            maps = layer(maps)
        pooled = self.pool(maps)
        feature = self.neck(pooled)
        unit = to_unit_length(feature)
        logits = classify(self.classifiers, {"global": feature})
        return ReidOutput(unit, {"global": unit if self.metric_after_neck else pooled}, logits)


def load_imagenet_weights(model: Resnet50, path: Path | None) -> None:
    """Start the backbone from ImageNet.

    Args:
        model: Changed in place.
        path: A .pth or .safetensors file with the names of torchvision, which timm shares; its
            classifier is left out. None lets torchvision download its own.

    Raises:
        ReuniteError: The file cannot be read or is not of a ResNet-50, or the download fails.
    """
    name = str(path) if path else "torchvision's ResNet-50"
    weights = _read_weights(path) if path else _download_weights()
    if not isinstance(weights, dict):
        raise ReuniteError(f"{name}: must hold named tensors, holds a {type(weights).__name__}")
    body = {key: value for key, value in weights.items() if not key.startswith("fc.")}
    try:
        missing, unexpected = model.backbone.load_state_dict(body, strict=False)
    except (RuntimeError, TypeError) as error:
        raise ReuniteError(f"{name}: is not a ResNet-50: {str(error).splitlines()[-1].strip()}") from None
    # Files of timm do not hold how many batches were seen.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ReuniteError(
            f"{name}: is not a ResNet-50: {len(missing)} tensors missing, {len(unexpected)} unknown, "
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


def _download_weights() -> Any:
    weights = ResNet50_Weights.IMAGENET1K_V2
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ReuniteError(
            f"{weights.url}: the download failed ({error}); fetch it elsewhere and give the file"
        ) from None
