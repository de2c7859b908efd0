"""Robust-ReID: shuffle blocks, harmonious attention and GeM pooling; 1x, 2x and 0.25x."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundation.errors import ReuniteError
from reid.models.harmonious import HarmoniousNetwork, check_widths, conv_norm

Shuffle = Literal["rotate", "interleave"]


@dataclass(frozen=True, slots=True)
class RobustReidSettings:
    """Widths and depths of one size of the network, and the parts that the paper's ablation takes away."""

    stem_width: int
    """Channels after the first convolution."""

    widths: tuple[int, int, int]
    """Channels of each stage."""

    repeats: tuple[int, int, int]
    """Shuffle-A blocks of each stage."""

    head_length: int
    """Length of the global and of the local feature; the embedding is twice as long."""

    gem: bool = True
    """GeM pooling; off takes the average."""

    unit_heads: bool = True
    """Losses see both features at length 1; off is column c of the paper's Table 2."""

    neck: bool = False
    """A batch norm between what metric losses and what classifiers see, as in Bag of Tricks; with
    ``unit_heads`` off it is what the paper's section 3.3 tried."""

    head_relu: bool = True
    """Heads end in ReLU, as in HA-CNN; the paper does not say."""

    instance_stem: bool = False
    """The stem ends in instance instead of batch norm, so that the light of a camera, which moves means and
    spreads of a whole picture, ends there, as in OSNet-AIN (Zhou et al. 2021, arXiv:1910.06827)."""

    instance_stages: int = 0
    """In how many stages, from the first, each block's way of three convolutions begins with instance instead
    of batch norm; the channels that pass it keep what the whole picture says, as in IBN-Net (Pan et al. 2018,
    arXiv:1807.09441)."""

    shuffle: Shuffle = "rotate"
    """How a Shuffle-A block picks the half that it changes: half of that half was changed by the block
    before, half was not, either way. ``rotate`` takes the two middle quarters and turns the channels on by a
    quarter; no channel stays as it is for longer than two blocks. ``interleave`` takes every other channel as
    ShuffleNetV2 does, which is a transposition that takes a third of the time on OpenVINO."""

    def __post_init__(self) -> None:
        check_widths("robust-reid", self.widths)
        if self.shuffle not in get_args(Shuffle):
            raise ReuniteError(
                f"network 'robust-reid': shuffle must be rotate or interleave, got {self.shuffle!r}"
            )
        if not 0 <= self.instance_stages <= len(self.widths):
            raise ReuniteError(
                f"network 'robust-reid': instance_stages must be 0 to {len(self.widths)}, got "
                f"{self.instance_stages}"
            )


ROBUST_REID_1X = RobustReidSettings(32, (128, 256, 384), (7, 10, 7), 512)
ROBUST_REID_2X = RobustReidSettings(36, (240, 320, 480), (8, 11, 8), 960)
ROBUST_REID_025X = RobustReidSettings(16, (32, 96, 128), (2, 5, 3), 128)
"""Chosen among 16 near 0.25 M parameters by timing them on ONNX Runtime and OpenVINO: halves of 16 channels
and their multiples fill the vectors of a CPU, and blocks cost least where maps are small."""


class ShuffleA(nn.Module):
    """Half of the channels pass, half go through three convolutions.

    Which half is settled before rather than after them: at the end of a stage, where all channels are
    taken, shuffling would change nothing but their names.

    Source: ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164), figure 3c.
    """

    def __init__(self, channels: int, shuffle: Shuffle, *, instance: bool = False) -> None:
        super().__init__()
        half = channels // 2
        self.shuffle = shuffle
        self.branch = nn.Sequential(
            conv_norm(half, half, instance=instance),
            conv_norm(half, half, kernel=3, groups=half, relu=False),
            conv_norm(half, half),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) to the same."""
        if self.shuffle == "interleave":
            kept, changed = functional.channel_shuffle(maps, 2).chunk(2, dim=1)
            return torch.cat((kept, self.branch(changed)), dim=1)
        quarter = maps.shape[1] // 4
        first, middle, last = torch.split(maps, [quarter, 2 * quarter, quarter], dim=1)
        return torch.cat((self.branch(middle), last, first), dim=1)


class ShuffleB(nn.Module):
    """All channels go through both branches: for a new width or half the size.

    Source: ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164), figure 3d.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, instance: bool = False) -> None:
        super().__init__()
        half = out_channels // 2
        self.short = nn.Sequential(
            conv_norm(in_channels, in_channels, kernel=3, stride=stride, groups=in_channels, relu=False),
            conv_norm(in_channels, half),
        )
        self.long = nn.Sequential(
            conv_norm(in_channels, half, instance=instance),
            conv_norm(half, half, kernel=3, stride=stride, groups=half, relu=False),
            conv_norm(half, half),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride), rounded up."""
        return torch.cat((self.short(maps), self.long(maps)), dim=1)


def make_stage(
    before: int, width: int, repeats: int, shuffle: Shuffle, *, instance: bool = False
) -> nn.Sequential:
    """One stage of Table 1 of the paper: from ``before`` channels to ``width`` at half the size."""
    return nn.Sequential(
        ShuffleB(before, width, stride=1, instance=instance),
        *(ShuffleA(width, shuffle, instance=instance) for _ in range(repeats)),
        ShuffleB(width, width, stride=2, instance=instance),
    )


def make_stages(settings: RobustReidSettings) -> list[nn.Sequential]:
    """The three stages of the network, one after the other."""
    inputs = (settings.stem_width, *settings.widths[:-1])
    shapes = zip(inputs, settings.widths, settings.repeats, strict=True)
    return [
        make_stage(*shape, settings.shuffle, instance=stage < settings.instance_stages)
        for stage, shape in enumerate(shapes)
    ]


def build_robust_reid(settings: RobustReidSettings, num_classes: int | None) -> HarmoniousNetwork:
    """The network of Table 1 of the paper at the given widths; 160x64 pictures."""
    widths = settings.widths
    inputs = (settings.stem_width, *widths[:-1])
    return HarmoniousNetwork(
        stages=make_stages(settings),
        local_blocks=[
            ShuffleB(before, width, stride=2) for before, width in zip(inputs, widths, strict=True)
        ],
        stem_width=settings.stem_width,
        widths=widths,
        head_length=settings.head_length,
        head_relu=settings.head_relu,
        unit_heads=settings.unit_heads,
        pool="gem" if settings.gem else "average",
        neck=settings.neck,
        instance_stem=settings.instance_stem,
        num_classes=num_classes,
    )
