"""The trunk of Robust-ReID with one head for the whole person and, beside it, a way of looking at parts.

All methods of the reid-tutorial that look at parts are settings of this one network, so that they differ from
each other and from ``none`` in nothing else. Names are those of the two-branch network: a training can start
from its weights.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.models.body import Glad, KeyPointHead, Spindle
from reid.models.harmonious import SoftAttention, initialise_all, make_stem
from reid.models.heads import (
    Head,
    ReidOutput,
    classify,
    make_classifiers,
    make_pool,
    to_unit_length,
)
from reid.models.parts import (
    Bilinear,
    Glimpses,
    LinearOutput,
    LocalStripes,
    PartHeads,
    PartModule,
    StripeLstm,
)
from reid.models.robust_reid import RobustReidSettings, make_stages
from reid.preprocess import DEFAULT

PartKind = Literal[
    "none", "stripes", "stripe-heads", "lstm", "glimpses", "bilinear", "activations", "key-points", "glad",
    "spindle", "attributes", "quality",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartSettings(RobustReidSettings):
    """The trunk, and what looks at parts."""

    parts: PartKind = "none"
    """A module of `reid.models.parts` or `reid.models.body`."""

    count: int = 4
    """How many stripes, glimpses, parts or attributes there are."""

    part_length: int = 64
    """Length of the feature of each part."""

    attribute_share: float = 0.2
    """How much attributes weigh in the embedding, beside the feature of the person."""

    def __post_init__(self) -> None:
        RobustReidSettings.__post_init__(self)
        if self.parts not in get_args(PartKind):
            raise ReuniteError(
                f"network 'parts-025x': parts must be one of {', '.join(get_args(PartKind))}, got "
                f"{self.parts!r}"
            )
        if self.neck:
            raise ReuniteError("network 'parts-025x': has no batch-norm neck; leave neck out")
        if self.count < 1 or self.part_length < 1:
            raise ReuniteError("network 'parts-025x': count and part_length must be at least 1")


PARTS_025X = PartSettings(16, (32, 96, 128), (2, 5, 3), 128)


class PartNetwork(nn.Module):
    """Stages with soft attention, a head for the whole person, and parts."""

    pytorch_only = True
    """Clusters, boxes and recurrent networks do not all convert; `reid.runtime` asks for this."""

    def __init__(self, settings: PartSettings, num_classes: int | None) -> None:
        super().__init__()
        widths, length = settings.widths, settings.head_length
        self.preprocess = DEFAULT
        self.unit_heads = settings.unit_heads
        self.attribute_share = settings.attribute_share
        self.stem = make_stem(settings.stem_width, settings.instance_stem)
        self.stages = nn.ModuleList(make_stages(settings))
        self.attentions = nn.ModuleList(SoftAttention(width) for width in widths)
        self.global_pool = make_pool(widths[-1], "gem" if settings.gem else "average")
        self.global_head = Head(widths[-1], length, settings.head_relu)
        initialise_all(self)
        self.parts = make_parts(settings)
        names = self.parts.names if self.parts else ()
        self.head_lengths = (length, *(settings.part_length for _ in names))
        self.embedding_length = sum(self.head_lengths)
        if settings.parts == "attributes":
            self.embedding_length += settings.count
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def run(self, maps: Tensor, first: int) -> Tensor:
        """The trunk from a stage on; see `reid.models.parts.Run`."""
        return self._maps(maps, first)[-1]

    def _maps(self, maps: Tensor, first: int = 0) -> list[Tensor]:
        """The attended maps after each stage from ``first`` on."""
        if not first:
            maps = self.stem(maps)
        after = []
        for stage, attention in list(zip(self.stages, self.attentions, strict=True))[first:]:
            maps = stage(maps)
            assert isinstance(attention, SoftAttention)
            maps = maps * attention.attend(maps)[0]
            after.append(maps)
        return after

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB to the whole person and its parts; see `ReidOutput`."""
        maps = self._maps(images)
        features = {"global": self.global_head(self.global_pool(maps[-1]))}
        others: dict[str, Tensor] = {}
        if self.parts is not None:
            found, others = self.parts(images, maps, self.run)
            features |= found
        units = {name: to_unit_length(feature) for name, feature in features.items()}
        heads = units if self.unit_heads else features
        compared = list(units.values())
        if "attributes" in others:
            worn = to_unit_length(torch.sigmoid(others["attributes"]) - 0.5)
            compared.append(self.attribute_share**0.5 * worn)
        embedding = to_unit_length(torch.cat(compared, dim=1))
        return ReidOutput(embedding, heads, classify(self.classifiers, heads), others)


def make_parts(settings: PartSettings) -> PartModule | None:
    """The module that the settings name."""
    channels, length, count = settings.widths[-1], settings.part_length, settings.count
    match settings.parts:
        case "none":
            return None
        case "stripes":
            return LocalStripes(channels, length, count)
        case "stripe-heads" | "activations":
            return PartHeads(channels, length, count, settings.parts == "activations")
        case "lstm":
            return StripeLstm(channels, length, count)
        case "glimpses":
            return Glimpses(channels, length, count)
        case "bilinear":
            return Bilinear(channels, length)
        case "key-points":
            return KeyPointHead()
        case "glad":
            return Glad(channels, length)
        case "spindle":
            return Spindle(channels, length)
        case "attributes":
            return LinearOutput("attributes", channels, count)
        case "quality":
            quality = LinearOutput("quality", channels, 1)
            nn.init.zeros_(quality.linear.weight)  # pictures weigh alike, which is the mean
            return quality
