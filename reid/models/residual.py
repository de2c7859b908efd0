"""Robust-ReID with residual blocks: what a CPU computes fastest, in training too."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.models.harmonious import SoftAttention, StagedNetwork, conv_norm, initialise_all, make_stem
from reid.models.heads import Head, ReidOutput, State, classify, make_classifiers, to_unit_length
from reid.preprocess import DEFAULT


@dataclass(frozen=True, slots=True)
class ResidualSettings:
    """Widths and depths of one size of the network."""

    stem_width: int = 16
    """Channels after the first convolution."""

    widths: tuple[int, int, int] = (32, 64, 128)
    """Channels of each stage, which begins by halving height and width."""

    repeats: tuple[int, int, int] = (2, 3, 3)
    """Residual blocks of each stage."""

    head_length: int = 128
    """Length of the global and of the local feature; the embedding is twice as long."""

    stripes: int = 5
    """Into how many stripes the local feature cuts the last map; must divide its height."""

    instance_stages: int = 2
    """In how many stages, from the first, half of the channels inside a block have instance instead of batch
    norm, as in IBN-Net-a (Pan et al. 2018, arXiv:1807.09441)."""

    def __post_init__(self) -> None:
        sizes = (self.stem_width, *self.widths, self.head_length, self.stripes)
        if not 0 <= self.instance_stages <= len(self.widths):
            raise ReuniteError(
                f"network 'robust-reid-residual': instance_stages must be 0 to {len(self.widths)}, got "
                f"{self.instance_stages}"
            )
        if min(*sizes, *self.repeats) < 1:
            raise ReuniteError(
                "network 'robust-reid-residual': widths, lengths and counts must be at least 1"
            )
        rows = DEFAULT.height
        for _ in range(1 + len(self.widths)):  # the stem and each stage
            rows = -(-rows // 2)
        if rows % self.stripes:
            raise ReuniteError(
                f"network 'robust-reid-residual': stripes must divide the {rows} rows of the last map, got "
                f"{self.stripes}"
            )


class HalfInstanceNorm(nn.Module):
    """Instance norm for the first half of the channels, batch norm for the others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.halves = [channels // 2, channels - channels // 2]
        self.instance = nn.InstanceNorm2d(self.halves[0], affine=True)
        self.batch = nn.BatchNorm2d(self.halves[1])

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        first, second = torch.split(maps, self.halves, dim=1)
        return torch.cat((self.instance(first), self.batch(second)), dim=1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity.

    With as many multiply-adds, a dense convolution takes a CPU a fraction of the time that depthwise ones and
    shuffles take, whose time goes into moving numbers, not into computing.

    Source: He et al. 2016 (arXiv:1512.03385), figure 2.
    """

    def __init__(self, channels: int, instance: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = HalfInstanceNorm(channels) if instance else nn.BatchNorm2d(channels)
        self.second = conv_norm(channels, channels, 3, relu=False)

    def start_near_identity(self) -> None:
        """Begin with little added, so that depth is learnt step by step (Goyal et al. 2017, section 5.1)."""
        norm = self.second[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.constant_(norm.weight, 0.1)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        return torch.relu(maps + self.second(torch.relu(self.norm(self.first(maps)))))


class Attended(SoftAttention):
    """Maps times their soft attention."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        return maps * self.attend(maps)[0]


class StripeGeM(nn.Module):
    """Generalised mean of each stripe of a map, and of the whole, from the same powers.

    The exponents are those of `reid.models.heads.GeM`, one for each channel. A stripe without a value of the
    ``1e-6 ** (1 / exponent)``-th part of the map's largest counts as having that, so nothing vanishes.
    """

    def __init__(self, channels: int, stripes: int) -> None:
        super().__init__()
        self.exponent = nn.Parameter(torch.full((channels, 1), 3.0))
        self.stripes = stripes

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W), none below 0, to (B, C) and (B, C * stripes)."""
        exponent = self.exponent.float().clamp(min=1.0)
        values = maps.float().flatten(2).clamp(min=1e-6)
        largest = values.detach().amax(dim=2, keepdim=True)
        powers = (values / largest).pow(exponent)
        powers = powers.reshape(*powers.shape[:2], self.stripes, -1).mean(dim=3)
        whole = largest * powers.mean(dim=2, keepdim=True).pow(1 / exponent)
        stripes = largest * powers.clamp(min=1e-6).pow(1 / exponent)
        return whole.flatten(1).to(maps.dtype), stripes.flatten(1).to(maps.dtype)


class ResidualNetwork(StagedNetwork):
    """Stages of residual blocks with harmonious soft attention; a global and a local feature.

    The local feature sees horizontal stripes of the last map (PCB, Sun et al. 2018, arXiv:1711.09349) where
    Robust-ReID cuts regions out of every map.
    """

    def __init__(self, settings: ResidualSettings, num_classes: int | None) -> None:
        """Fresh weights; ``num_classes`` people to classify, None builds no classifiers."""
        super().__init__()
        self.preprocess = DEFAULT
        length = settings.head_length
        self.head_lengths, self.embedding_length = (length, length), 2 * length
        self.stem = make_stem(settings.stem_width, instance=True)
        inputs: Sequence[int] = (settings.stem_width, *settings.widths[:-1])
        shapes = enumerate(zip(inputs, settings.widths, settings.repeats, strict=True))
        self.stages = nn.ModuleList(
            nn.Sequential(
                conv_norm(before, width, kernel=3, stride=2),
                *(ResidualBlock(width, number < settings.instance_stages) for _ in range(repeats)),
            )
            for number, (before, width, repeats) in shapes
        )
        self.attentions = nn.ModuleList(Attended(width) for width in settings.widths)
        self.pool = StripeGeM(settings.widths[-1], settings.stripes)
        self.global_head = Head(settings.widths[-1], length, relu=False)
        self.local_head = Head(settings.widths[-1] * settings.stripes, length, relu=False)
        initialise_all(self)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                module.start_near_identity()
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def run(self, state: State, first: int, end: int) -> State:
        """The maps of each stage, times their attention."""
        (maps,) = state
        for stage, attention in list(zip(self.stages, self.attentions, strict=True))[first:end]:
            maps = attention(stage(maps))
        return (maps,)

    def finish(self, state: State) -> ReidOutput:
        """Both heads: of the whole last map, and of its stripes."""
        whole, stripes = self.pool(*state)
        heads = {"global": self.global_head(whole), "local": self.local_head(stripes)}
        features = {name: to_unit_length(feature) for name, feature in heads.items()}
        embedding = to_unit_length(torch.cat(list(features.values()), dim=1))
        return ReidOutput(embedding, features, classify(self.classifiers, features))
