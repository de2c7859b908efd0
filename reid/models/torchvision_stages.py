"""ResNet-50 and DenseNet-201 of torchvision as networks in stages, for `reid.models.dare`."""

import torchvision
from torch import Tensor, nn
from torch.nn import functional

from reid.models.heads import make_pool
from reid.preprocess import Preprocess

RESNET_LENGTHS = (256, 512, 1024, 2048)
DENSENET_LENGTHS = (256, 512, 1792, 1920)
PREPROCESS = Preprocess(height=256, width=128)


class ResnetStages(nn.Module):
    """What stands before each halving of the map."""

    preprocess, lengths = PREPROCESS, RESNET_LENGTHS

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.backbone = torchvision.models.resnet50(weights=None)
        self.backbone.fc = nn.Identity()
        self.pools = nn.ModuleList(make_pool(length, pool) for length in self.lengths)

    def advance(self, stage: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Leaves its map; see `reid.models.dare.Trunk`."""
        body, (maps,) = self.backbone, state
        if stage == 0:
            maps = body.maxpool(body.relu(body.bn1(body.conv1(maps))))
        return ((body.layer1, body.layer2, body.layer3, body.layer4)[stage](maps),)

    def pooled(self, stage: int, state: tuple[Tensor, ...]) -> Tensor:
        """(B, lengths[stage]) of the map."""
        pooled: Tensor = self.pools[stage](state[0])
        return pooled


class DenseNetStages(nn.Module):
    """What each dense block gives; the transition after it belongs to the next stage."""

    preprocess, lengths = PREPROCESS, DENSENET_LENGTHS

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.backbone = torchvision.models.densenet201(weights=None)
        self.backbone.classifier = nn.Identity()
        self.pools = nn.ModuleList(make_pool(length, pool) for length in self.lengths)

    def advance(self, stage: int, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Leaves its map; see `reid.models.dare.Trunk`."""
        body, (maps,) = self.backbone.features, state
        if stage == 0:
            maps = body.pool0(body.relu0(body.norm0(body.conv0(maps))))
        else:
            maps = (body.transition1, body.transition2, body.transition3)[stage - 1](maps)
        maps = (body.denseblock1, body.denseblock2, body.denseblock3, body.denseblock4)[stage](maps)
        return (functional.relu(body.norm5(maps)) if stage == 3 else maps,)

    def pooled(self, stage: int, state: tuple[Tensor, ...]) -> Tensor:
        """(B, lengths[stage]) of the map."""
        pooled: Tensor = self.pools[stage](state[0])
        return pooled
