"""DaRe: every stage of a network says who it is, and a learnt sum of all says it best."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.models.harmonious import REGION_SIZES, REGIONS, HarmoniousNetwork, sample_regions
from reid.models.heads import (
    ReidOutput,
    classify,
    initialise,
    make_classifiers,
    make_pool,
    to_unit_length,
)
from reid.preprocess import DEFAULT, Preprocess

FUSED = "fused"
"""The output that is the sum of all stages."""

State = tuple[Tensor, ...]
"""What a stage leaves to the next."""


@dataclass(frozen=True, slots=True)
class DareSettings:
    """The network below, and how long the embeddings are."""

    base: str = "resnet50"
    """resnet50, densenet201 (both of torchvision, pictures of 256x128) or robust-reid-025x (160x64)."""

    base_settings: dict[str, Any] = field(default_factory=dict)
    """What robust-reid-025x takes, such as other widths."""

    hidden: int = 1024
    """Units of the first of the two linear layers of a stage; 0 leaves it out."""

    length: int = 128
    """Of the embedding of every stage and of their sum."""

    pool: str = "average"
    """Of each stage: average as published, gem or max."""

    unit: bool = False
    """Embeddings of stages have length 1 before losses and sum see them; off as published."""


class Trunk(Protocol):
    """A network in stages.

    Attributes:
        preprocess: What pictures go through.
        lengths: Of what `pooled` gives, for each stage.
    """

    preprocess: Preprocess
    lengths: tuple[int, ...]

    def advance(self, stage: int, state: State) -> State:
        """Run a stage, from 0; the first is given the pictures."""
        ...

    def pooled(self, stage: int, state: State) -> Tensor:
        """(B, lengths[stage]) of what a stage left."""
        ...


class Dare(nn.Module):
    """Outputs ``stage1``, ``stage2``, ... and ``fused``, which is the embedding.

    Source: Wang et al. 2018 (arXiv:1805.08805), sections 3.1 and 3.2.
    """

    def __init__(self, trunk: nn.Module, settings: DareSettings, num_classes: int | None) -> None:
        """``trunk`` is a `Trunk`; its weights keep the names that they have without stages' heads."""
        super().__init__()
        self.trunk = trunk
        lengths: tuple[int, ...] = trunk.lengths  # type: ignore[assignment]
        self.preprocess: Preprocess = trunk.preprocess  # type: ignore[assignment]
        self.stage_names = tuple(f"stage{number + 1}" for number in range(len(lengths)))
        self.head_lengths = (settings.length,) * (len(lengths) + 1)
        self.embedding_length = settings.length
        self.unit = settings.unit
        self.heads = nn.ModuleList(_head(length, settings) for length in lengths)
        initialise(self.heads)
        self.fusion = nn.Parameter(torch.ones(len(lengths)))
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Embeddings that can be compared, each of `embedding_length`, from cheap to good."""
        return (*self.stage_names, FUSED)

    def run_stage(self, stage: int, state: State) -> tuple[Tensor, State]:
        """The (B, length) embedding of a stage, from 0, and what it leaves to the next."""
        state = self.trunk.advance(stage, state)  # type: ignore[operator]
        embedding: Tensor = self.heads[stage](self.trunk.pooled(stage, state))  # type: ignore[operator]
        return to_unit_length(embedding) if self.unit else embedding, state

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB to all stages and their sum; see `ReidOutput`."""
        state: State = (images,)
        features: dict[str, Tensor] = {}
        for stage, name in enumerate(self.stage_names):
            features[name], state = self.run_stage(stage, state)
        stages = list(features.values())
        features[FUSED] = (self.fusion[:, None, None] * torch.stack(stages)).sum(dim=0)
        return ReidOutput(to_unit_length(features[FUSED]), features, classify(self.classifiers, features))


class StagesUpTo(nn.Module):
    """The network that ends after a stage, from 0: pictures in, its (B, length) embedding out."""

    def __init__(self, model: Dare, last: int) -> None:
        super().__init__()
        self.model, self.last = model, last

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to the embedding of length 1; of the last stage the fused one."""
        given: State = (images,)
        said: State = ()
        for stage in range(self.last + 1):
            said = StageOnly(self.model, stage)(*given)
            given = said[1:]
        return said[0]


class StageOnly(nn.Module):
    """One stage as a network of its own: what the stage before gave in, its embedding and the rest out."""

    def __init__(self, model: Dare, stage: int) -> None:
        super().__init__()
        self.model, self.stage = model, stage
        self.is_last = stage == len(model.stage_names) - 1

    def forward(self, *given: Tensor) -> State:
        """From pictures, or the sum of the stages before and their state.

        Returns:
            The (B, length) embedding of length 1, which is the fused one of the last stage; before that the
            weighted sum of the stages so far, and the state.
        """
        before, state = (None, given) if self.stage == 0 else (given[0], given[1:])
        embedding, state = self.model.run_stage(self.stage, state)
        weighted = self.model.fusion[self.stage] * embedding
        total = weighted if before is None else before + weighted
        return (to_unit_length(total),) if self.is_last else (to_unit_length(embedding), total, *state)


def build_dare(
    settings: DareSettings,
    num_classes: int | None,
    build_compact: Callable[[dict[str, Any]], HarmoniousNetwork],
) -> Dare:
    """The network for a base; ``build_compact`` builds robust-reid-025x of settings.

    Raises:
        ReuniteError: There is no such base.
    """
    trunk = build_trunk(settings.base, settings.pool, settings.base_settings, build_compact)
    return Dare(trunk, settings, num_classes)


def build_trunk(
    base: str,
    pool: str,
    settings: dict[str, Any],
    build_compact: Callable[[dict[str, Any]], HarmoniousNetwork],
) -> nn.Module:
    """A network in stages, a `Trunk`; arguments as fields of `DareSettings`.

    Raises:
        ReuniteError: There is no such base.
    """
    match base:
        case "robust-reid-025x":
            return CompactStages(build_compact(settings), pool)
        case "resnet50" | "densenet201":
            # Only here: torchvision takes a second to import.
            from reid.models.torchvision_stages import DenseNetStages, ResnetStages

            return ResnetStages(pool) if base == "resnet50" else DenseNetStages(pool)
        case _:
            raise ReuniteError(
                f"network: base must be resnet50, densenet201 or robust-reid-025x, got {base!r}"
            )


class CompactStages(nn.Module):
    """The stages of Robust-ReID or HA-CNN: what both branches, the whole map and the stripes, hold there."""

    preprocess = DEFAULT

    def __init__(self, network: HarmoniousNetwork, pool: str) -> None:
        """The heads of the network are left out; its other weights keep their names."""
        super().__init__()
        self.stem, self.stages = network.stem, network.stages
        self.attentions, self.local_blocks = network.attentions, network.local_blocks
        self.widths = widths = network.widths
        self.lengths = tuple(width * (1 + REGIONS) for width in widths)
        self.global_pools = nn.ModuleList(make_pool(width, pool) for width in widths)
        self.local_pools = nn.ModuleList(make_pool(width, pool) for width in widths)

    def advance(self, stage: int, state: State) -> State:
        """Leaves the map with its attention, and that of the stripes."""
        maps, *locals_ = state if stage else (self.stem(state[0]),)
        out = self.stages[stage](maps)
        soft, centres = self.attentions[stage](out)
        regions = sample_regions(maps, centres, REGION_SIZES[stage])
        local = self.local_blocks[stage](regions + locals_[0].flatten(0, 1) if locals_ else regions)
        return out * soft, local.unflatten(0, (-1, REGIONS))

    def pooled(self, stage: int, state: State) -> Tensor:
        """(B, lengths[stage]) of the whole map and of each stripe."""
        maps, local = state
        stripes: Tensor = self.local_pools[stage](local.flatten(0, 1))
        # Not by the number of pictures: a traced network would take that for a constant.
        stripes = stripes.view(-1, REGIONS * self.widths[stage])
        return torch.cat((self.global_pools[stage](maps), stripes), dim=1)


def _head(length: int, settings: DareSettings) -> nn.Sequential:
    """Two linear layers with batch norm and ReLU between, or one and batch norm."""
    if not settings.hidden:
        return nn.Sequential(nn.Linear(length, settings.length), nn.BatchNorm1d(settings.length))
    return nn.Sequential(
        nn.Linear(length, settings.hidden),
        nn.BatchNorm1d(settings.hidden),
        nn.ReLU(inplace=True),
        nn.Linear(settings.hidden, settings.length),
    )
