"""HA-CNN, the baseline that Robust-ReID starts from: Inception blocks and average pooling."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reid.models.harmonious import HarmoniousNetwork, check_widths, conv_norm


@dataclass(frozen=True, slots=True)
class HaCnnSettings:
    """Widths, and the parts of Robust-ReID that can be put on it one by one."""

    stem_width: int = 32
    """Channels after the first convolution."""

    widths: tuple[int, int, int] = (128, 256, 384)
    """Channels of each stage; multiples of 4."""

    head_length: int = 512
    """Length of the global and of the local feature; the embedding is twice as long."""

    gem: bool = False
    """GeM pooling; off takes the average, as published."""

    both_pools: bool = False
    """Average and maximum side by side, instead; section 3.3 of Robust-ReID."""

    unit_heads: bool = False
    """Losses see both features at length 1; off as published."""

    def __post_init__(self) -> None:
        check_widths("ha-cnn", self.widths)


class InceptionA(nn.Module):
    """Four streams of a quarter of the channels each, at the same size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = out_channels // 4
        self.streams = nn.ModuleList(
            nn.Sequential(conv_norm(in_channels, quarter), conv_norm(quarter, quarter, kernel=3))
            for _ in range(3)
        )
        self.streams.append(
            nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), conv_norm(in_channels, quarter))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out_channels, H, W)."""
        return torch.cat([stream(maps) for stream in self.streams], dim=1)


class InceptionB(nn.Module):
    """To half the size: two streams of convolutions, a quarter of the channels each, and one of pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = out_channels // 4
        self.streams = nn.ModuleList(
            [
                nn.Sequential(
                    conv_norm(in_channels, quarter), conv_norm(quarter, quarter, kernel=3, stride=2)
                ),
                nn.Sequential(
                    conv_norm(in_channels, quarter),
                    conv_norm(quarter, quarter, kernel=3),
                    conv_norm(quarter, quarter, kernel=3, stride=2),
                ),
                nn.Sequential(
                    nn.MaxPool2d(3, stride=2, padding=1), conv_norm(in_channels, out_channels // 2)
                ),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out_channels, H / 2, W / 2), rounded up."""
        return torch.cat([stream(maps) for stream in self.streams], dim=1)


def build_ha_cnn(settings: HaCnnSettings, num_classes: int | None) -> HarmoniousNetwork:
    """Inception-A and Inception-B in each stage, Inception-B in each local level; 160x64 pictures.

    Source: Li et al. 2018 (arXiv:1802.08122), figures 2 and 3.
    """
    widths = settings.widths
    inputs = (settings.stem_width, *widths[:-1])
    return HarmoniousNetwork(
        stages=[
            nn.Sequential(InceptionA(before, width), InceptionB(width, width))
            for before, width in zip(inputs, widths, strict=True)
        ],
        local_blocks=[InceptionB(before, width) for before, width in zip(inputs, widths, strict=True)],
        stem_width=settings.stem_width,
        widths=widths,
        head_length=settings.head_length,
        head_relu=True,
        unit_heads=settings.unit_heads,
        pool="both" if settings.both_pools else "gem" if settings.gem else "average",
        num_classes=num_classes,
    )
