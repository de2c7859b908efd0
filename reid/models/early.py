"""A compact network cut in two after its first stage, where an early embedding is to be had.

A code of a few hundred numbers says what the first stage leaves; the early embedding is a linear map of it
into the space of the network's own, so that the two can be compared. The network itself stays as it is.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.models.harmonious import REGIONS, HarmoniousNetwork

STRIPES = 8
"""Stripes of the whole map, from head to feet, of which the code knows mean and maximum."""

CODE_LENGTH = 256
"""Numbers of a code, at most."""


class EarlyStage(nn.Module):
    """Before the cut: pictures in; early embedding, code, and all that `LaterStages` needs out."""

    def __init__(self, network: HarmoniousNetwork) -> None:
        super().__init__()
        self.network = network
        inputs = 2 * network.widths[0] * (STRIPES + REGIONS)
        self.code_length = min(CODE_LENGTH, inputs)
        self.encode = nn.Linear(inputs, self.code_length)
        self.head = nn.Linear(self.code_length, network.embedding_length)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D + code + S): early embedding, of any length, code and state."""
        maps, local = self.run(pictures)
        code = self.encode(pooled(maps, local))
        # Not by the number of pictures: a traced network would take that for a constant.
        state = local.view(-1, REGIONS * local[0].numel())
        return torch.cat((self.head(code), code, maps.flatten(1), state), dim=1)

    def run(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What the first stage leaves of both branches."""
        return self.network.run(self.network.stem(pictures), None, 0, 1)


class LaterStages(nn.Module):
    """Behind the cut: the state in, the network's own embedding out."""

    def __init__(self, network: HarmoniousNetwork, maps: Tensor, local: Tensor) -> None:
        """``maps`` and ``local`` are what `EarlyStage.run` gave for any pictures; only shapes count."""
        super().__init__()
        self.network = network
        self.end = maps[0].numel()
        self.maps_shape, self.local_shape = tuple(maps.shape[1:]), tuple(local.shape[1:])

    def forward(self, state: Tensor) -> Tensor:
        """(B, S) to (B, D), each row of length 1."""
        maps = state[:, : self.end].reshape(-1, *self.maps_shape)
        local = state[:, self.end :].reshape(-1, *self.local_shape)
        return self.network.finish(*self.network.run(maps, local, 1, len(self.network.stages))).embedding


def pooled(maps: Tensor, local: Tensor) -> Tensor:
    """(B, K) mean and maximum of each stripe of (B, C, H, W) maps and of (B * 4, C, h, w) regions."""
    length = REGIONS * local.shape[1]
    return torch.cat(
        (
            functional.adaptive_avg_pool2d(maps, (STRIPES, 1)).flatten(1),
            functional.adaptive_max_pool2d(maps, (STRIPES, 1)).flatten(1),
            local.mean(dim=(2, 3)).reshape(-1, length),
            local.amax(dim=(2, 3)).reshape(-1, length),
        ),
        dim=1,
    )
