"""DaRe: an embedding after every stage of a network, and their learnt sum."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from reid.models.harmonious import REGION_SIZES, REGIONS, HarmoniousNetwork, run_stage
from reid.models.heads import (
    ReidOutput,
    State,
    classify,
    initialise,
    make_classifiers,
    make_pool,
    to_unit_length,
)
from reid.preprocess import DEFAULT, Preprocess

FUSED = "fused"
"""The output that is the sum of all stages."""


@dataclass(frozen=True, slots=True)
class DareSettings:
    """Base, and heads of the stages."""

    base: str = "resnet50"
    """resnet50, densenet201 (both of torchvision, pictures of 256x128) or robust-reid-025x (160x64)."""

    base_settings: dict[str, Any] = field(default_factory=dict)
    """What robust-reid-025x takes, such as other widths."""

    hidden: int = 1024
    """Units of the first of the two linear layers of a stage, as in TriNet, on which the paper builds (its
    text has 1204); 0 leaves the layer out."""

    length: int = 128
    """Of the embedding of every stage and of their sum."""

    pool: str = "average"
    """Of each stage: average as published, gem or max."""

    unit: bool = False
    """Embeddings of stages have length 1 before losses and sum see them; off as published."""


class Trunk(nn.Module):
    """A network in stages, without heads; its weights keep the names that they have with them.

    Attributes:
        preprocess: What pictures go through.
        lengths: Of what `pooled` gives, for each stage.
        pools: One for each stage.
    """

    preprocess: Preprocess
    lengths: tuple[int, ...]
    pools: nn.ModuleList

    def advance(self, stage: int, state: State) -> State:
        """Run a stage, from 0; the first is given the pictures."""
        raise NotImplementedError

    def pooled(self, stage: int, state: State) -> Tensor:
        """(B, lengths[stage]) of what a stage passes on."""
        pooled: Tensor = self.pools[stage](state[0])
        return pooled


class Dare(nn.Module):
    """Outputs ``stage1``, ``stage2``, ... and ``fused``, which is the embedding.

    Source: Wang et al. 2018 (arXiv:1805.08805), sections 3.1 and 3.2.
    """

    def __init__(self, trunk: Trunk, settings: DareSettings, num_classes: int | None) -> None:
        super().__init__()
        self.trunk, self.preprocess = trunk, trunk.preprocess
        self.stage_names = tuple(f"stage{number + 1}" for number in range(len(trunk.lengths)))
        self.head_lengths = (settings.length,) * (len(trunk.lengths) + 1)
        self.embedding_length = settings.length
        self.unit = settings.unit
        self.heads = nn.ModuleList(_head(length, settings) for length in trunk.lengths)
        initialise(self.heads)
        self.fusion = nn.Parameter(torch.ones(len(trunk.lengths)))
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Embeddings that can be compared, each of `embedding_length`, from cheap to good."""
        return (*self.stage_names, FUSED)

    def run_stage(self, stage: int, state: State) -> tuple[Tensor, State]:
        """The (B, length) embedding of a stage, from 0, and what it leaves to the next."""
        state = self.trunk.advance(stage, state)
        embedding: Tensor = self.heads[stage](self.trunk.pooled(stage, state))
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


class CompactStages(Trunk):
    """The stages of Robust-ReID or HA-CNN: what both branches, the whole map and the stripes, hold there."""

    preprocess = DEFAULT

    def __init__(self, network: HarmoniousNetwork, pool: str) -> None:
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
        blocks = self.stages[stage], self.attentions[stage], self.local_blocks[stage]
        local = locals_[0].flatten(0, 1) if locals_ else None
        maps, local = run_stage(*blocks, REGION_SIZES[stage], maps, local)
        return maps, local.unflatten(0, (-1, REGIONS))  # type: ignore[no-untyped-call]

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
