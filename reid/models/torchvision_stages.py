"""ResNet-50 and DenseNet-201 of torchvision as networks in stages, for `reid.models.dare`."""

import torchvision
from torch import nn
from torch.nn import functional

from reid.models.dare import Trunk
from reid.models.heads import State, make_pool
from reid.preprocess import Preprocess

LENGTHS = {"resnet50": (256, 512, 1024, 2048), "densenet201": (256, 512, 1792, 1920)}

LAYERS = {
    "resnet50": (("conv1", "bn1", "relu", "maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",)),
    "densenet201": (
        ("conv0", "norm0", "relu0", "pool0", "denseblock1"),
        ("transition1", "denseblock2"),
        ("transition2", "denseblock3"),
        ("transition3", "denseblock4", "norm5"),
    ),
}
"""What each stage runs. The transition after a dense block belongs to the next stage."""


class TorchvisionStages(Trunk):
    """What stands before each halving of the map."""

    preprocess = Preprocess(height=256, width=128)

    def __init__(self, base: str, pool: str) -> None:
        """``base`` is resnet50 or densenet201."""
        super().__init__()
        self.lengths, self.layers = LENGTHS[base], LAYERS[base]
        self.backbone = getattr(torchvision.models, base)(weights=None)
        setattr(self.backbone, "fc" if base == "resnet50" else "classifier", nn.Identity())
        self.pools = nn.ModuleList(make_pool(length, pool) for length in self.lengths)

    def advance(self, stage: int, state: State) -> State:
        """Leaves its map; see `reid.models.dare.Trunk`."""
        (maps,) = state
        body = getattr(self.backbone, "features", self.backbone)
        for name in self.layers[stage]:
            maps = getattr(body, name)(maps)
        # Of DenseNet, which has this one layer without a name; ResNet's last map is not negative.
        return (functional.relu(maps) if stage == len(self.layers) - 1 else maps,)
