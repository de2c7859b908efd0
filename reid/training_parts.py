"""What a configuration asks for, as objects: teacher, first weights, optimiser."""

from pathlib import Path

import torch
from torch import nn

from reid.config import AdamConfig, AdamWConfig, SgdConfig, TrainConfig
from reid.distillation import Teacher, teacher_embeddings
from reid.errors import ReidError
from reid.runtime import open_embedder
from reid.training_pictures import TrainingPictures


def open_teacher(
    config: TrainConfig, pictures: TrainingPictures, cache_folder: Path, device: torch.device
) -> Teacher | None:
    """The teacher, where the config has one, with what it says of the training pictures as they lie there.

    Raises:
        ReidError: There is no such teacher, or it cannot be opened.
    """
    wanted = config.distillation
    if wanted is None:
        return None
    path = Path(wanted.teacher)
    if not path.exists():
        raise ReidError(
            f"{path}: there is no such teacher; say where it is with --set distillation.teacher=PATH, or "
            "learn without one with --set distillation=null"
        )
    bank = torch.from_numpy(teacher_embeddings(path, wanted.convention, pictures, cache_folder))
    live = open_embedder(path, convention=wanted.convention) if wanted.sees_augmented else None
    return Teacher(bank.to(device), live)


def start_from_imagenet(model: nn.Module, source: str) -> None:
    """Fill the backbone of a ResNet-50 with weights that know ImageNet.

    Args:
        model: Changed in place.
        source: As ``model.imagenet`` of the config.

    Raises:
        ReidError: It is another network, or the weights cannot be had.
    """
    # Only here: torchvision takes a second to import.
    from reid.models.resnet50 import Resnet50, load_imagenet_weights

    if not isinstance(model, Resnet50):
        raise ReidError(f"model.imagenet '{source}': only resnet50-bnneck starts from ImageNet; leave it out")
    load_imagenet_weights(model, None if source == "download" else Path(source))


def make_optimiser(
    config: TrainConfig, model: nn.Module, projection: nn.Module | None
) -> torch.optim.Optimizer:
    """The optimiser; its rate is set before each step.

    Weights of convolutions and linear layers decay. Biases, norms and GeM's powers do not: for them 0 is
    no simpler than any other value.
    """
    modules = [*model.modules(), *(projection.modules() if projection is not None else ())]
    decaying = [module.weight for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]
    known = {id(parameter) for parameter in decaying}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    groups = [
        {"params": decaying, "weight_decay": config.optimiser.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    match config.optimiser:
        case AdamConfig():
            return torch.optim.Adam(groups, lr=config.schedule.lr)
        case AdamWConfig():
            return torch.optim.AdamW(groups, lr=config.schedule.lr)
        case SgdConfig(momentum=momentum):
            return torch.optim.SGD(groups, lr=config.schedule.lr, momentum=momentum, nesterov=True)
