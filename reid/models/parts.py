"""Ways of looking at parts of a person beside the whole: what `reid.models.part_network` can be given.

Each is a module of the pictures and the maps of the trunk; it gives features, which become heads with
classifiers, and other outputs, on which losses of their own act.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.models.heads import Head, to_unit_length

Run = Callable[[Tensor, int], Tensor]
"""The trunk from a stage on: of maps that go into stage i (pictures into stage 0), its last maps."""


class Parts(NamedTuple):
    """What a way of looking at parts gives.

    Attributes:
        features: (B, E) by name, in the order of the module's ``names``.
        others: Outputs that are no feature of a person, by name.
    """

    features: dict[str, Tensor]
    others: dict[str, Tensor]


class PartModule(nn.Module):
    """Base of all ways of looking at parts."""

    names: tuple[str, ...] = ()
    """Of the features that it gives."""

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Of (B, 3, H, W) pictures and the maps after each stage."""
        raise NotImplementedError


def stripes_of(maps: Tensor, count: int) -> Tensor:
    """(B, count, C): the mean of each of ``count`` stripes of (B, C, H, W), from the top down."""
    return functional.adaptive_avg_pool2d(maps, (count, 1)).squeeze(-1).transpose(1, 2)


class LocalStripes(PartModule):
    """Stripes for AlignedReID, one short feature each, that are compared by `reid.alignment`."""

    def __init__(self, channels: int, length: int, count: int) -> None:
        super().__init__()
        self.count, self.linear, self.norm = count, nn.Linear(channels, length), nn.BatchNorm1d(length)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives ``stripes``, (B, count, length)."""
        local = self.linear(stripes_of(maps[-1], self.count))
        return Parts({}, {"stripes": self.norm(local.transpose(1, 2)).transpose(1, 2)})


class StripeLstm(PartModule):
    """Stripes read one after the other by a recurrent network, whose last state is the feature.

    Source: Varior et al. 2016 (ECCV), "A siamese LSTM architecture for human re-identification".
    """

    names = ("parts",)

    def __init__(self, channels: int, length: int, count: int) -> None:
        super().__init__()
        self.count, self.lstm = count, nn.LSTM(channels, length, batch_first=True)
        self.head = Head(length, length, relu=False)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives one feature."""
        states, _ = self.lstm(stripes_of(maps[-1], self.count))
        return Parts({"parts": self.head(states[:, -1])}, {})


class Glimpses(PartModule):
    """A soft mask over the map for each of some glimpses, each after the one before, by a recurrent network.

    Source: Liu et al. 2016 (arXiv:1606.04404), "End-to-end comparative attention networks", section 3.
    """

    names = ("parts",)

    def __init__(self, channels: int, length: int, count: int) -> None:
        super().__init__()
        self.count, self.lstm = count, nn.LSTMCell(channels, length)
        self.key, self.query = nn.Conv2d(channels, length, kernel_size=1), nn.Linear(length, length)
        self.head = Head(count * length, length, relu=False)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives one feature."""
        places = maps[-1].flatten(2)
        keys = self.key(maps[-1]).flatten(2)
        hidden = cell = keys.new_zeros(len(keys), keys.shape[1])
        seen = []
        for _ in range(self.count):
            mask = torch.einsum("be,bep->bp", self.query(hidden), keys) / keys.shape[1] ** 0.5
            glimpse = torch.einsum("bp,bcp->bc", mask.softmax(dim=1), places)
            hidden, cell = self.lstm(glimpse, (hidden, cell))
            seen.append(hidden)
        return Parts({"parts": self.head(torch.cat(seen, dim=1))}, {})


class Bilinear(PartModule):
    """The mean outer product of two small sets of maps, rooted.

    Source: Lin et al. 2015 (arXiv:1504.07889), section 3.1; reid-tutorial: "not useful".
    """

    names = ("parts",)
    channels: ClassVar[int] = 16
    """Of each set, so that the product has 256 numbers."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.one, self.other = (nn.Conv2d(channels, self.channels, kernel_size=1) for _ in range(2))
        self.head = Head(self.channels**2, length, relu=False)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives one feature."""
        one, other = self.one(maps[-1]).flatten(2), self.other(maps[-1]).flatten(2)
        product = (one @ other.transpose(1, 2)).flatten(1) / one.shape[2]
        rooted = product.sign() * (product.abs() + 1e-8).sqrt()
        return Parts({"parts": self.head(to_unit_length(rooted))}, {})


class PartHeads(PartModule):
    """Parts with a head and a classifier each, which is the part loss: unaligned stripes, or PL-Net.

    PL-Net finds parts that nobody labelled where maps have their highest values: the places of each channel's
    are clustered, and each cluster's box is pooled.

    Source: Yao et al. 2017 (arXiv:1707.00798), section 3.2; reid-tutorial, "Alignment in PL-Net".
    """

    def __init__(self, channels: int, length: int, count: int, by_activation: bool) -> None:
        super().__init__()
        self.by_activation = by_activation
        self.names = tuple(f"part{number}" for number in range(1, count + 1))
        self.heads = nn.ModuleList(Head(channels, length, relu=False) for _ in self.names)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives a feature for each part."""
        last, count = maps[-1], len(self.names)
        if self.by_activation:
            pooled = pool_boxes(last, activation_boxes(last.detach(), count))
        else:
            pooled = stripes_of(last, count)
        heads = zip(self.names, self.heads, pooled.unbind(1), strict=True)
        return Parts({name: head(part) for name, head, part in heads}, {})


CLUSTER_STEPS = 5


def activation_boxes(maps: Tensor, count: int) -> Tensor:
    """(B, count, 4) boxes top, left, bottom, right, in whole cells of (B, C, H, W), ends not counted.

    k-means of the places of each channel's highest value, begun evenly from the top down; a box holds all
    places of its cluster. A cluster that lost all of its places is the cell that it began in.
    """
    height, width = maps.shape[2:]
    best = maps.flatten(2).argmax(dim=2)
    places = torch.stack([best // width, best % width], dim=2).float()
    rows = (torch.arange(count, device=maps.device) + 0.5) * height / count - 0.5
    start = torch.stack([rows, torch.full_like(rows, (width - 1) / 2)], dim=1).expand(len(maps), -1, -1)
    centres = start
    for _ in range(CLUSTER_STEPS):
        members = functional.one_hot(torch.cdist(places, centres).argmin(dim=2), count).to(maps.dtype)
        counts = members.sum(dim=1)[..., None]
        means = members.transpose(1, 2) @ places / counts.clamp(min=1)
        centres = torch.where(counts > 0, means, start)
    far = torch.full_like(places[:, :, None], torch.inf)
    belongs = members[..., None] > 0
    low = torch.where(belongs, places[:, :, None], far).amin(dim=1)
    high = torch.where(belongs, places[:, :, None], -far).amax(dim=1)
    is_empty = counts == 0
    low, high = torch.where(is_empty, start.floor(), low), torch.where(is_empty, start.floor(), high)
    return torch.cat([low, high + 1], dim=2)


def pool_boxes(maps: Tensor, boxes: Tensor) -> Tensor:
    """(B, R, C): the mean of (B, C, H, W) inside of each of (B, R, 4) boxes of whole cells."""
    rows = torch.arange(maps.shape[2], device=maps.device)
    columns = torch.arange(maps.shape[3], device=maps.device)
    top, left, bottom, right = (side[..., None] for side in boxes.unbind(-1))
    down = ((rows >= top) & (rows < bottom)).to(maps.dtype)
    across = ((columns >= left) & (columns < right)).to(maps.dtype)
    area = down.sum(-1) * across.sum(-1)
    return torch.einsum("bchw,brh,brw->brc", maps, down, across) / area[..., None]


class LinearOutput(PartModule):
    """An output that is linear in the mean of the last maps: attributes, or quality.

    Attributes are what somebody wears and carries (ACRN). The quality of a picture is for attention over the
    pictures of a tracklet, which are weighted by its softmax.

    Source: Schumann and Stiefelhagen 2017 (CVPRW), "Person re-identification by deep learning
    attribute-complementary information"; reid-tutorial, "ReID with Person Attributes".
    """

    def __init__(self, name: str, channels: int, count: int) -> None:
        super().__init__()
        self.name, self.linear = name, nn.Linear(channels, count)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives (B, count) under its name."""
        return Parts({}, {self.name: self.linear(maps[-1].mean(dim=(2, 3)))})
