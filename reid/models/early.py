"""A compact network cut in two after its first stage, where an early embedding is to be had.

A code of a few hundred numbers says what the first stage leaves; the early embedding is a linear map of it
into the space of the network's own, so that the two can be compared. The network itself stays as it is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.models.harmonious import StagedNetwork
from reid.models.heads import State

STRIPES = 8
"""Stripes of the whole map, from head to feet, of which the code knows mean and maximum."""

CODE_LENGTH = 256
"""Numbers of a code, at most."""


class EarlyStage(nn.Module):
    """Before the cut: pictures in; early embedding, code, and all that `LaterStages` needs out."""

    network: StagedNetwork

    def __init__(self, network: StagedNetwork, pictures: Tensor) -> None:
        """Of ``pictures``, at least one of any content, only the size counts."""
        super().__init__()
        self.network = network
        with torch.no_grad():
            state = self.run(pictures)
            inputs = pooled(state).shape[1]
        self.lengths = [part.numel() // len(pictures) for part in state]
        self.code_length = min(CODE_LENGTH, inputs)
        self.encode = nn.Linear(inputs, self.code_length)
        self.head = nn.Linear(self.code_length, network.embedding_length)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D + code + S): early embedding, of any length, code and state."""
        state = self.run(pictures)
        code = self.encode(pooled(state))
        # Not by the number of pictures: a traced network would take that for a constant.
        flat = [part.reshape(-1, length) for part, length in zip(state, self.lengths, strict=True)]
        return torch.cat((self.head(code), code, *flat), dim=1)

    def run(self, pictures: Tensor) -> State:
        """What the first stage leaves."""
        return self.network.run(self.network.begin(pictures), 0, 1)


class LaterStages(nn.Module):
    """Behind the cut: the state in, the network's own embedding out."""

    network: StagedNetwork

    def __init__(self, early: EarlyStage, pictures: Tensor) -> None:
        """Behind ``early``; of ``pictures``, at least one of any content, only the size counts."""
        super().__init__()
        self.network, self.lengths = early.network, early.lengths
        with torch.no_grad():
            self.shapes = [part.shape[1:] for part in early.run(pictures)]

    def forward(self, state: Tensor) -> Tensor:
        """(B, S) to (B, D), each row of length 1."""
        parts = torch.split(state, self.lengths, dim=1)
        shaped = tuple(part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))
        return self.network.finish(self.network.run(shaped, 1, len(self.network.stages))).embedding


def pooled(state: State) -> Tensor:
    """(B, K) mean and maximum of each stripe of the maps, and of each region beside them."""
    maps, *regions = state
    parts = [
        functional.adaptive_avg_pool2d(maps, (STRIPES, 1)).flatten(1),
        functional.adaptive_max_pool2d(maps, (STRIPES, 1)).flatten(1),
    ]
    for region in regions:
        length = len(region) // len(maps) * region.shape[1]
        parts += [region.mean(dim=(2, 3)).reshape(-1, length), region.amax(dim=(2, 3)).reshape(-1, length)]
    return torch.cat(parts, dim=1)
