"""Harmonious attention and the two-branch network around it, shared by HA-CNN and Robust-ReID."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundation.errors import ReuniteError
from reid.models.heads import (
    Head,
    ReidOutput,
    State,
    classify,
    initialise,
    make_classifiers,
    make_pool,
    to_unit_length,
)
from reid.preprocess import DEFAULT

REGIONS = 4
"""Stripes of a person that the local branch looks at."""

REGION_HEIGHT = 0.25
"""Height of a stripe as a share of the map; its width is the whole map."""

REGION_SIZES = ((24, 28), (12, 14), (6, 7))
"""Height and width that the stripes of each level are scaled to, for pictures of 160x64."""

REGION_BIAS = (0.0, -0.75, 0.0, -0.25, 0.0, 0.25, 0.0, 0.75)
"""Where the stripes start: (x, y) of each centre before tanh, from head to feet."""


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    bias: bool = False,
    relu: bool = True,
    instance: bool = False,
) -> nn.Sequential:
    """Convolution that keeps the size at stride 1, batch or instance norm, and ReLU where asked."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias),
        nn.InstanceNorm2d(out_channels, affine=True) if instance else nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def make_stem(width: int, instance: bool) -> nn.Sequential:
    """The first convolution, from pictures to half their size; its norm may be an instance norm."""
    return conv_norm(3, width, kernel=3, stride=2, instance=instance)


def check_widths(name: str, widths: Sequence[int]) -> None:
    """Raise ReuniteError unless blocks can cut these channels into quarters."""
    if any(width < 1 or width % 4 for width in widths):
        raise ReuniteError(f"network {name!r}: widths must be multiples of 4, got {tuple(widths)}")


class SoftAttention(nn.Module):
    """Where to look in a map, pixel by pixel and channel by channel.

    The biases before batch norm change nothing in training; they stand here because the
    published parameter counts hold them.

    Source: Li et al. 2018 (arXiv:1802.08122), section 3.1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // 16)
        self.spatial_down = conv_norm(1, 1, kernel=3, stride=2, bias=True)
        # Batch norm here would take out the one weight that this layer has.
        self.spatial_out = nn.Conv2d(1, 1, kernel_size=1)
        self.channel = nn.Sequential(
            conv_norm(channels, squeezed, bias=True), conv_norm(squeezed, channels, bias=True)
        )
        self.soft = conv_norm(channels, channels, bias=True, relu=False)

    def initialise(self) -> None:
        """Start with the spatial map as it is."""
        nn.init.ones_(self.spatial_out.weight)

    def attend(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Factors in (0, 1) for (B, C, H, W) maps, and their mean (B, C, 1, 1)."""
        spatial = self.spatial_down(maps.mean(dim=1, keepdim=True))
        spatial = functional.interpolate(spatial, maps.shape[2:], mode="bilinear", align_corners=False)
        pooled = maps.mean(dim=(2, 3), keepdim=True)
        return torch.sigmoid(self.soft(self.spatial_out(spatial) * self.channel(pooled))), pooled


class HarmoniousAttention(SoftAttention):
    """Where to look in a map (soft), and in which stripes (hard)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.hard = nn.Linear(channels, REGIONS * 2)

    def initialise(self) -> None:
        """Start with the four stripes one below the other, whatever the picture shows."""
        super().initialise()
        nn.init.zeros_(self.hard.weight)
        with torch.no_grad():
            self.hard.bias.copy_(torch.tensor(REGION_BIAS))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Attention of (B, C, H, W).

        Returns:
            (B, C, H, W) factors in (0, 1), and (B, 4, 2) centres x, y of the stripes in (-1, 1).
        """
        soft, pooled = self.attend(maps)
        centres = torch.tanh(self.hard(pooled.flatten(1)))
        return soft, centres.view(-1, REGIONS, 2)


def sample_regions(maps: Tensor, centres: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the stripes out of a map and scale them, by bilinear interpolation with gradients to both.

    The affine grid is written out, as it holds no rotation: all stripes share one sampling, and
    every exporter knows the operations. Pixels are areas (``align_corners=False``): -1 and 1 are
    the outer edges of the map. Beyond them is 0.

    Args:
        maps: (B, C, H, W).
        centres: (B, R, 2) x, y in [-1, 1].
        size: Height and width of a sampled stripe.

    Returns:
        (B * R, C, *size), the stripes of one picture side by side.
    """
    rows, columns = (
        (torch.arange(count, device=maps.device, dtype=centres.dtype) * 2 + 1) / count - 1 for count in size
    )
    x = centres[:, :, None, None, 0] + columns
    y = centres[:, :, None, None, 1] + rows[:, None] * REGION_HEIGHT
    return sample_grids(maps, x, y)


def sample_grids(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(B * R, C, h, w) of (B, C, H, W) by bilinear interpolation, the R of one map one after the other.

    Args:
        maps: Their outer edges are -1 and 1; beyond is 0.
        x: (B, R, 1, w) of the columns.
        y: (B, R, h, 1) of the rows.
    """
    shape = (-1, x.shape[1], y.shape[2], x.shape[3])
    grid = torch.stack((x.expand(shape), y.expand(shape)), dim=-1).flatten(1, 2)
    sampled = functional.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.reshape(-1, maps.shape[1], *shape[1:]).transpose(1, 2).flatten(0, 1)


def run_stage(
    stage: nn.Module,
    attention: nn.Module,
    local_block: nn.Module,
    size: tuple[int, int],
    maps: Tensor,
    local: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One stage of both branches, which goes from the maps and stripes of the one before to its own."""
    out = stage(maps)
    soft, centres = attention(out)
    regions = sample_regions(maps, centres, size)
    return out * soft, local_block(regions if local is None else regions + local)


def initialise_all(model: nn.Module) -> None:
    """As `reid.models.heads.initialise`, and attention in its own way."""
    initialise(model)
    for module in model.modules():
        if isinstance(module, SoftAttention):
            module.initialise()


class StagedNetwork(nn.Module):
    """A stem, stages and heads, which can be cut between its stages."""

    embedding_length: int
    stem: nn.Sequential
    stages: nn.ModuleList

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB to the global and the local head; see `ReidOutput`."""
        return self.finish(self.run(self.begin(images), 0, len(self.stages)))

    def begin(self, images: Tensor) -> State:
        """The maps that the first stage sees."""
        return (self.stem(images),)

    def run(self, state: State, first: int, end: int) -> State:
        """From stage ``first``, counted from 0, up to ``end``, which is not run: (B, C, H, W) maps, and of a
        local branch (B * regions, C, h, w) beside them."""
        raise NotImplementedError

    def finish(self, state: State) -> ReidOutput:
        """The heads, of what the last stage left."""
        raise NotImplementedError


class HarmoniousNetwork(StagedNetwork):
    """A global branch of stages with attention, and a local branch that follows the stripes it finds.

    Source: Li et al. 2018 (arXiv:1802.08122), figure 2; Robust-ReID (Lawen et al. 2019), figure 4.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        local_blocks: Sequence[nn.Module],
        *,
        stem_width: int,
        widths: Sequence[int],
        head_length: int,
        head_relu: bool,
        unit_heads: bool,
        pool: str,
        neck: bool = False,
        instance_stem: bool = False,
        num_classes: int | None,
    ) -> None:
        """Put the parts together.

        Args:
            stages: The first starts with ``stem_width`` channels; each ends in as many as ``widths`` says.
            local_blocks: One for each stage, shared by the stripes; from the input of the stage to its width.
            stem_width: Channels after the first convolution.
            widths: Channels after each of the three stages.
            head_length: Length of the global and of the local feature.
            head_relu: Whether a head ends in ReLU.
            unit_heads: Whether losses see the two features at length 1; the embedding is made of unit
                features either way.
            pool: What both branches end in, one of `reid.models.heads.POOLS`.
            neck: Whether a batch norm stands between what metric losses and what classifiers see.
            instance_stem: Whether instance norm follows the first convolution.
            num_classes: People to classify; None builds no classifiers.
        """
        super().__init__()
        self.preprocess = DEFAULT
        self.head_lengths = (head_length, head_length)
        self.embedding_length = 2 * head_length
        self.unit_heads = unit_heads
        self.widths = tuple(widths)
        self.stem = make_stem(stem_width, instance_stem)
        self.stages = nn.ModuleList(stages)
        self.attentions = nn.ModuleList(HarmoniousAttention(width) for width in widths)
        self.local_blocks = nn.ModuleList(local_blocks)
        self.global_pool, self.local_pool = (make_pool(widths[-1], pool) for _ in range(2))
        pooled = widths[-1] * (2 if pool == "both" else 1)
        self.global_head = Head(pooled, head_length, head_relu)
        self.local_head = Head(REGIONS * pooled, head_length, head_relu)
        self.necks = nn.ModuleList(nn.BatchNorm1d(head_length) for _ in range(2 if neck else 0))
        initialise_all(self)
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def run(self, state: State, first: int, end: int) -> State:
        """Maps and, after the first stage, the regions that attention finds."""
        maps, local = state if len(state) > 1 else (state[0], None)
        parts = zip(self.stages, self.attentions, self.local_blocks, REGION_SIZES, strict=True)
        for blocks in list(parts)[first:end]:
            maps, local = run_stage(*blocks, maps, local)
        assert local is not None
        return maps, local

    def finish(self, state: State) -> ReidOutput:
        """Both heads: of the maps, and of the regions."""
        maps, local = state
        pooled = self.local_pool(local).view(-1, self.local_head.linear.in_features)
        features = {"global": self.global_head(self.global_pool(maps)), "local": self.local_head(pooled)}
        after = dict(features)
        for (name, feature), neck in zip(features.items(), self.necks, strict=False):
            after[name] = neck(feature)
        units = {name: to_unit_length(feature) for name, feature in after.items()}
        embedding = to_unit_length(torch.cat(list(units.values()), dim=1))
        heads = units if self.unit_heads else features
        return ReidOutput(embedding, heads, classify(self.classifiers, units if self.unit_heads else after))
