"""Global representations done right: a network, one pooling, one linear layer, length 1."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from reid.models.dare import Trunk
from reid.models.heads import ReidOutput, State, classify, initialise, make_classifiers, to_unit_length


@dataclass(frozen=True, slots=True)
class DoneRightSettings:
    """The network below, and the good practices that it holds."""

    base: str = "resnet50"
    """resnet50, densenet201 or robust-reid-025x, as of 'dare'."""

    base_settings: dict[str, Any] = field(default_factory=dict)
    """What robust-reid-025x takes, such as other widths."""

    pool: str = "max"
    """max as published, average or gem."""

    length: int = 2048
    """Of the embedding."""

    side_px: int = 416
    """Pictures are made as large as this, by their larger side, in their own proportions; 0 gives them all
    the size that the base is used to."""

    frozen_norms: bool = True
    """Batch norm keeps the means and variances that it began with, as one picture at a time has none worth
    learning; so the base must start from weights."""


class DoneRight(nn.Module):
    """One output, ``global``, which is the embedding; classifiers see it before it has length 1.

    Source: Almazan et al. 2018 (arXiv:1801.05339), section 3.
    """

    def __init__(self, trunk: Trunk, settings: DoneRightSettings, num_classes: int | None) -> None:
        super().__init__()
        self.trunk, self.preprocess = trunk, trunk.preprocess
        if side := settings.side_px:
            base = trunk.preprocess
            scale = side / max(base.height, base.width)
            self.preprocess = replace(
                base, height=round(base.height * scale), width=round(base.width * scale), keep_aspect=True
            )
        self.embedding_length = settings.length
        self.head_lengths = (settings.length,)
        self.frozen_norms = settings.frozen_norms
        self.linear = nn.Linear(trunk.lengths[-1], settings.length)
        initialise(self.linear)
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def train(self, mode: bool = True) -> "DoneRight":
        """As of every module, but that frozen norms stay as they are."""
        super().train(mode)
        for module in self.trunk.modules() if self.frozen_norms else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB of any H and W; see `ReidOutput`."""
        state: State = (images,)
        last = len(self.trunk.lengths) - 1
        for stage in range(last + 1):
            state = self.trunk.advance(stage, state)
        feature = self.linear(self.trunk.pooled(last, state))
        unit = to_unit_length(feature)
        return ReidOutput(unit, {"global": unit}, classify(self.classifiers, {"global": feature}))
