"""ResNet-50 with a batch-norm neck: the Strong and the Stronger Baseline."""

from dataclasses import dataclass

import torchvision
from torch import Tensor, nn

from reid.models.heads import ReidOutput, classify, make_classifiers, make_pool, to_unit_length
from reid.preprocess import Preprocess

WIDTH = 2048


@dataclass(frozen=True, slots=True)
class Resnet50Settings:
    """In what the baselines differ."""

    gem: bool = False
    """GeM pooling; off takes the average, as both papers do."""

    metric_after_neck: bool = True
    """Metric losses see the feature after the neck, at length 1 (Stronger Baseline); off shows them the
    feature before it, as it is (Strong Baseline)."""


class Resnet50(nn.Module):
    """ResNet-50 that ends at a stride of 16, pooling, and a batch norm between pooling and classifier.

    Source: Luo et al. 2019 (arXiv:1903.07071) for the last stride and the neck; Stronger Baseline
    (Liu et al.) for which feature each loss sees.
    """

    def __init__(self, settings: Resnet50Settings, num_classes: int | None) -> None:
        super().__init__()
        self.preprocess = Preprocess(height=256, width=128)
        self.head_lengths = (WIDTH,)
        self.embedding_length = WIDTH
        self.metric_after_neck = settings.metric_after_neck
        self.backbone = torchvision.models.resnet50(weights=None)
        self.backbone.fc = nn.Identity()
        last = self.backbone.layer4[0]
        last.conv2.stride = last.downsample[0].stride = (1, 1)
        self.pool = make_pool(WIDTH, "gem" if settings.gem else "average")
        self.neck = nn.BatchNorm1d(WIDTH)
        self.neck.bias.requires_grad_(False)  # the classifier's planes go through the origin
        self.classifiers = make_classifiers(self.head_lengths, num_classes)

    def forward(self, images: Tensor) -> ReidOutput:
        """(B, 3, H, W) normalised RGB to one head; see `ReidOutput`."""
        body = self.backbone
        maps = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            maps = layer(maps)
        pooled = self.pool(maps)
        feature = self.neck(pooled)
        unit = to_unit_length(feature)
        logits = classify(self.classifiers, {"global": feature})
        return ReidOutput(unit, {"global": unit if self.metric_after_neck else pooled}, logits)
