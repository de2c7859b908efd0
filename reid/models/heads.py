"""What every network ends in: pooling, heads, and the three things it gives."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundation.errors import ReuniteError

State = tuple[Tensor, ...]
"""What a stage leaves for the next one."""


class ReidOutput(NamedTuple):
    """What a network says about B pictures; losses act on its outputs by their names.

    Attributes:
        embedding: (B, D) what is compared at test, each row of length 1.
        features: By the name of a head, stage or part, (B, E) on which metric losses act.
        logits: By the same names, (B, classes); empty where the network was built without classes.
        others: Outputs that show no person by themselves, for losses of their own: stripes, key points.
    """

    embedding: Tensor
    features: dict[str, Tensor]
    logits: dict[str, Tensor]
    others: Mapping[str, Tensor] = MappingProxyType({})


class GeM(nn.Module):
    """Generalised mean of each map, one trainable exponent per channel: 1 is average, infinity maximum.

    The powers are taken of values divided by the largest of their map. The mean is homogeneous, so
    this changes neither the value nor the gradient, and nothing overflows or vanishes at any
    exponent; half precision is widened to float32 first.

    Source: Radenovic et al. 2018 (arXiv:1711.02512), equation 3; Robust-ReID, equation 6.
    """

    def __init__(self, channels: int, start: float = 3.0) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) of any sign to (B, C); what is below 1e-6 counts as 1e-6."""
        # Below 1 it would prefer small values, which no descent should wander into.
        exponent = self.exponent.float().clamp(min=1.0)
        values = maps.float().clamp(min=1e-6)
        largest = values.detach().amax(dim=(2, 3), keepdim=True)
        mean = (values / largest).pow(exponent).mean(dim=(2, 3), keepdim=True)
        return (largest * mean.pow(1 / exponent)).flatten(1).to(maps.dtype)


class AveragePool(nn.Module):
    """Mean over the map: (B, C, H, W) to (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Of maps of any size."""
        return maps.mean(dim=(2, 3))


class MaxPool(nn.Module):
    """The largest value of each map: (B, C, H, W) to (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Of maps of any size."""
        return maps.amax(dim=(2, 3))


class BothPools(nn.Module):
    """Mean and largest value side by side: (B, C, H, W) to (B, 2 C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Of maps of any size."""
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


POOLS = ("average", "gem", "max", "both")


def make_pool(channels: int, kind: str) -> nn.Module:
    """One of `POOLS`: (B, C, H, W) to (B, C), of ``both`` to (B, 2 C).

    Raises:
        ReuniteError: There is no such pooling.
    """
    match kind:
        case "average":
            return AveragePool()
        case "gem":
            return GeM(channels)
        case "max":
            return MaxPool()
        case "both":
            return BothPools()
        case _:
            raise ReuniteError(f"network: pool must be one of {', '.join(POOLS)}, got {kind!r}")


class Head(nn.Module):
    """Linear, batch norm and, as in HA-CNN, ReLU: (B, C) to (B, E)."""

    def __init__(self, in_length: int, out_length: int, relu: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(in_length, out_length)
        self.norm = nn.BatchNorm1d(out_length)
        self.relu = relu

    def forward(self, pooled: Tensor) -> Tensor:
        """In training B must be 2 or more."""
        feature: Tensor = self.norm(self.linear(pooled))
        return functional.relu(feature) if self.relu else feature


def to_unit_length(features: Tensor) -> Tensor:
    """Rows of (B, D) divided by their length, in float32; a row of zeros stays zero."""
    return functional.normalize(features.float(), dim=1)


def initialise(model: nn.Module) -> None:
    """He et al. 2015 for convolutions and linear layers, by fan-in, which fits depthwise ones too."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def classify(classifiers: nn.ModuleList, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The logits of each feature, in the order of the classifiers; none where there are none."""
    named = zip(features.items(), classifiers, strict=False)
    return {name: classifier(feature) for (name, feature), classifier in named}


def make_classifiers(lengths: tuple[int, ...], num_classes: int | None) -> nn.ModuleList:
    """One linear layer without bias for each head, starting near 0; none where there are no classes.

    Source: Luo et al. 2019 (arXiv:1903.07071) for no bias and the standard deviation of 0.001.
    """
    classifiers = nn.ModuleList()
    for length in lengths if num_classes else ():
        classifier = nn.Linear(length, num_classes or 0, bias=False)
        nn.init.normal_(classifier.weight, std=0.001)
        classifiers.append(classifier)
    return classifiers
