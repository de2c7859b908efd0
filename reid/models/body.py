"""Parts of the body by key points: the network that finds these, GLAD and SpindleNet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.models.harmonious import conv_norm, sample_grids
from reid.models.heads import Head
from reid.models.parts import PartModule, Parts, Run

KEY_POINTS = (
    "crown", "neck", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r",
    "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r",
)  # fmt: skip
"""In this order a labels file and the network name them; the left is the person's own."""

CROWN, NECK, HIPS = 0, 1, (8, 9)

MARGIN = 0.06
"""By which regions reach beyond their key points, as a share of the picture's height: a body is
wider than its joints, and key points are inexact."""


class Pose(nn.Module):
    """Where the key points are, as the mean of a heat map each: small, for pictures of 160x64.

    Source: integral regression, Sun et al. 2018 (arXiv:1711.08229), equation 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv_norm(3, 16, 3, 2), conv_norm(16, 32, 3, 2), conv_norm(32, 32, 3))
        self.coarse = nn.Sequential(
            conv_norm(32, 64, 3, 2), conv_norm(64, 64, 3), conv_norm(64, 64, 3, 2), conv_norm(64, 64, 3)
        )
        self.both = conv_norm(96, 64, 3)
        self.heat = nn.Conv2d(64, len(KEY_POINTS), kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, K, 2) x, y as shares of the picture's width and height."""
        fine = self.fine(images)
        coarse = functional.interpolate(
            self.coarse(fine), fine.shape[2:], mode="bilinear", align_corners=False
        )
        heat = self.heat(self.both(torch.cat([fine, coarse], dim=1))).float()
        height, width = heat.shape[2:]
        chance = heat.flatten(2).softmax(dim=2).view_as(heat)
        rows = (torch.arange(height, device=heat.device) + 0.5) / height
        columns = (torch.arange(width, device=heat.device) + 0.5) / width
        x, y = (chance.sum(dim=2) * columns).sum(dim=2), (chance.sum(dim=3) * rows).sum(dim=2)
        return torch.stack([x, y], dim=2)


class KeyPointHead(PartModule):
    """`Pose` in training."""

    def __init__(self) -> None:
        super().__init__()
        self.pose = Pose()

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives ``key_points``, (B, K, 2)."""
        return Parts({}, {"key_points": self.pose(images)})


class BodyParts(PartModule):
    """What GLAD and SpindleNet share: a pose network that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.pose = Pose().requires_grad_(False)

    def train(self, mode: bool = True) -> "BodyParts":
        """As of every module, but that the statistics of the pose network stay as they are."""
        super().train(mode)
        self.pose.eval()
        return self


class Glad(BodyParts):
    """Head, upper and lower body, cut out of the picture by four key points; the trunk sees each by itself.

    Source: Wei et al. 2017 (arXiv:1709.04329), section 3.2; reid-tutorial, "Global-Local Alignment
    Descriptor".
    """

    names = ("head", "upper", "lower")
    sizes = ((48, 48), (80, 64), (80, 64))
    """Height and width in which the trunk sees each."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(channels, length, relu=False) for _ in self.names)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives a feature for each part."""
        boxes = glad_boxes(self.pose(images), images.shape[3] / images.shape[2]).unbind(1)
        features = {}
        for name, size, box, head in zip(self.names, self.sizes, boxes, self.heads, strict=True):
            part = sample_boxes(images, box[:, None], size)
            features[name] = head(run(part, 0).mean(dim=(2, 3)))
        return Parts(features, {})


def glad_boxes(points: Tensor, aspect: float, margin: float = MARGIN) -> Tensor:
    """(B, 3, 4) boxes x1, y1, x2, y2 of head, upper and lower body, as shares of the picture's sides.

    The head is a square from crown to neck, ``margin`` (alpha) beyond both; upper and lower body have the
    whole width and meet at the hips, two margins over.

    Args:
        points: (B, K, 2) x, y as shares.
        aspect: Width over height of the picture.
        margin: As a share of its height.
    """
    x, y = points.unbind(-1)
    zero, one = torch.zeros_like(y[:, 0]), torch.ones_like(y[:, 0])
    top, bottom = torch.minimum(y[:, CROWN], y[:, NECK]), torch.maximum(y[:, CROWN], y[:, NECK])
    middle, half = (x[:, CROWN] + x[:, NECK]) / 2, (bottom - top + 2 * margin) / 2 / aspect
    hips = y[:, HIPS].mean(dim=1)
    head = (middle - half, top - margin, middle + half, bottom + margin)
    upper = (zero, torch.minimum(bottom, hips) - 2 * margin, one, hips + 2 * margin)
    lower = (zero, hips - 2 * margin, one, one)
    return torch.stack([torch.stack(box, dim=1) for box in (head, upper, lower)], dim=1)


MACRO = (
    ("crown", "neck", "shoulder_l", "shoulder_r"),
    ("shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "hand_l", "hand_r", "hip_l", "hip_r"),
    ("hip_l", "hip_r", "knee_l", "knee_r", "ankle_l", "ankle_r"),
)
"""Key points of head and shoulders, upper body and lower body."""

MICRO = (
    ("shoulder_l", "elbow_l", "hand_l"),
    ("shoulder_r", "elbow_r", "hand_r"),
    ("hip_l", "knee_l", "ankle_l"),
    ("hip_r", "knee_r", "ankle_r"),
)
"""Of both arms and both legs."""


class Spindle(BodyParts):
    """Seven regions of the body, cut out of maps at two depths, and merged from the outside in.

    Both arms compete by the larger value and so do both legs; each pair competes with the part of the body
    that it is attached to, and the three of the body are merged with the whole.

    Source: Zhao et al. 2017 (CVPR), "Spindle Net", section 4; reid-tutorial, "Feature Fusion Network".
    """

    names = ("body",)
    sizes = ((40, 16), (20, 8))
    """Height and width of a region of the first and of the second maps."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.macro, self.micro = (Head(channels, length, relu=False) for _ in range(2))
        self.limbs = nn.ModuleList(Head(length, length, relu=False) for _ in range(2))
        self.head = Head(3 * length, length, relu=False)

    def forward(self, images: Tensor, maps: Sequence[Tensor], run: Run) -> Parts:
        """Gives one feature."""
        points = self.pose(images)
        body = self._regions(maps[0], points, MACRO, self.sizes[0], run, 1, self.macro)
        limbs = self._regions(maps[1], points, MICRO, self.sizes[1], run, 2, self.micro)
        arms, legs = (
            head(torch.maximum(limbs[:, first], limbs[:, first + 1]))
            for first, head in zip((0, 2), self.limbs, strict=True)
        )
        merged = (body[:, 0], torch.maximum(body[:, 1], arms), torch.maximum(body[:, 2], legs))
        return Parts({"body": self.head(torch.cat(merged, dim=1))}, {})

    @staticmethod
    def _regions(
        maps: Tensor,
        points: Tensor,
        regions: Sequence[Sequence[str]],
        size: tuple[int, int],
        run: Run,
        stage: int,
        head: nn.Module,
    ) -> Tensor:
        """(B, R, length) of regions of the maps that go into a stage."""
        boxes = torch.stack([region_box(points, names) for names in regions], dim=1)
        pooled = run(sample_boxes(maps, boxes, size), stage).mean(dim=(2, 3))
        found: Tensor = head(pooled)
        return found.view(len(maps), len(regions), -1)


def region_box(points: Tensor, names: Sequence[str], margin: float = MARGIN) -> Tensor:
    """(B, 4) x1, y1, x2, y2: the smallest box around these key points (B, K, 2), and a margin."""
    chosen = points[:, [KEY_POINTS.index(name) for name in names]]
    reach = chosen.new_tensor([2 * margin, margin])  # pictures are about twice as high as wide
    return torch.cat([chosen.amin(dim=1) - reach, chosen.amax(dim=1) + reach], dim=1)


def sample_boxes(maps: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut boxes out of a map and scale them by bilinear interpolation; beyond the map is 0.

    Args:
        maps: (B, C, H, W).
        boxes: (B, R, 4) x1, y1, x2, y2 as shares of the map's sides.
        size: Height and width of each.

    Returns:
        (B * R, C, *size), the boxes of one map one after the other.
    """
    rows, columns = ((torch.arange(count, device=maps.device) + 0.5) / count for count in size)
    x1, y1, x2, y2 = (2 * side[..., None, None] - 1 for side in boxes.unbind(-1))
    return sample_grids(maps, x1 + (x2 - x1) * columns, y1 + (y2 - y1) * rows[:, None])
