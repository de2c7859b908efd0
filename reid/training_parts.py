"""What a configuration asks for, as objects: teacher, first weights, optimiser."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.checkpoint import load_model
from reid.config import (
    NEEDS_LABELS,
    TWO_PICTURES,
    AdamConfig,
    AdamWConfig,
    SgdConfig,
    SwaAverage,
    SwagAverage,
    TrainConfig,
)
from reid.distillation import Teacher, fingerprint, open_teachers, teacher_embeddings
from reid.models import build_model
from reid.models.students import Students
from reid.preprocess import Preprocess
from reid.sampling import NOBODY
from reid.training_pictures import TrainingPictures
from reid.views import Views

log = logging.getLogger(__name__)

TRUNK = "trunk."
"""Weights under this name have the names after it in the network that the trunk is a part of."""


def open_teacher(
    config: TrainConfig,
    pictures: TrainingPictures,
    preprocess: Preprocess,
    cache_folder: Path,
    device: torch.device,
) -> Teacher | None:
    """The teacher, where the config has one, with what it says of the training pictures as they lie there.

    Raises:
        ReuniteError: There is no such teacher, or it cannot be opened.
    """
    wanted = config.distillation
    if wanted is None:
        return None
    paths = [Path(name) for name in ([wanted.teacher] if isinstance(wanted.teacher, str) else wanted.teacher)]
    for path in paths:
        if not path.exists():
            raise ReuniteError(
                f"{path}: there is no such teacher; say where it is with --set distillation.teacher=PATH, or "
                "learn without one with --set distillation=null"
            )
    if not wanted.sees_augmented:
        bank = torch.from_numpy(teacher_embeddings(paths, wanted.convention, pictures, cache_folder))
        return Teacher(bank.to(device), None)
    if wanted.keep_pictures and preprocess.keep_aspect:
        raise ReuniteError(
            "distillation.keep_pictures: pictures in their own proportions are not kept; leave it out"
        )
    live = open_teachers(paths, wanted.convention)
    bank = torch.empty((0, live.embedding_length))
    if wanted.neighbours:
        bank = torch.from_numpy(teacher_embeddings(paths, wanted.convention, pictures, cache_folder))
    views = None
    if wanted.views:
        of_pictures = fingerprint(paths, wanted.convention, pictures, config.augment, config.seed)
        shape = (len(pictures), live.embedding_length)
        size = (preprocess.height, preprocess.width) if wanted.keep_pictures else None
        of_labels = fingerprint((), pictures.labels.tobytes(), preprocess) if size else ""
        views = Views(cache_folder, of_pictures, shape, size, of_labels)
    return Teacher(bank.to(device), live, views)


def build_network(config: TrainConfig, people: int | None) -> nn.Module:
    """What is trained: the network, or several that learn from each other."""
    models = [config.model, *(config.mutual.models if config.mutual is not None else ())]
    networks = [build_model(model.name, people, **model.settings) for model in models]
    return Students(networks) if config.mutual is not None else networks[0]


def start_from(config: TrainConfig, model: nn.Module) -> None:
    """Give new networks the weights that the config says, if it says any."""
    networks = model.networks if isinstance(model, Students) else [model]
    models = [config.model, *(config.mutual.models if config.mutual is not None else ())]
    for of, network in zip(models, networks, strict=True):
        if of.imagenet is not None:
            start_from_imagenet(network, of.imagenet)
        if of.start_from is not None:
            paths = [of.start_from] if isinstance(of.start_from, str) else of.start_from
            start_from_weights(network, [Path(path) for path in paths])


def check_can_be_learnt_from(config: TrainConfig, pictures: TrainingPictures) -> None:
    """Refuse data without what the losses need.

    Raises:
        ReuniteError: Says what is missing.
    """
    needy = [f"losses.{name}" for name, loss in config.losses.items() if loss.weight]
    if not pictures.people and needy:
        raise ReuniteError(
            f"the data has no identities, which {' and '.join(needy)} learn from: add labelled data, or set "
            "their weights to 0"
        )
    for name, loss in config.losses.items():
        if loss.weight and loss.kind in NEEDS_LABELS and loss.kind not in pictures.known:
            raise ReuniteError(
                f"losses.{name}: of no picture {loss.kind.replace('_', ' ')} are known; put a labels.json or "
                "the published attribute file beside them (docs/training.md), or set its weight to 0"
            )
    averages = isinstance(config.average, SwaAverage | SwagAverage)
    joined = [name for name in TWO_PICTURES if getattr(config.augment, name)]
    if pictures.images.dtype == object and (joined or averages):
        raise ReuniteError(
            "pictures in their own proportions cannot be mixed, nor give SWA its batch-norm statistics: set "
            f"augment.{joined[0] if joined else TWO_PICTURES[0]}=0 and average.kind none or ema"
        )
    if config.distillation is None and (pictures.labels == NOBODY).any():
        raise ReuniteError(
            "unlabelled data teaches nothing without a teacher: set distillation.teacher, or leave it out"
        )


def start_from_weights(model: nn.Module, paths: Sequence[Path]) -> None:
    """Begin with the weights of other networks, where names and shapes agree; say what does not.

    What several files have is taken from the last of them.

    Raises:
        ReuniteError: A file cannot be read, or they have next to nothing in common with this network.
    """
    weights: dict[str, Tensor] = {}
    for path in paths:
        weights |= load_model(path)[0].state_dict()
    names, own = ", ".join(map(str, paths)), model.state_dict()
    stored = {name: name.removeprefix(TRUNK) if name not in weights else name for name in own}
    taken = {
        name: weights[other]
        for name, other in stored.items()
        if other in weights and weights[other].shape == own[name].shape
    }
    if 2 * len(taken) < len(own):
        raise ReuniteError(
            f"model.start_from {names}: only {len(taken)} of {len(own)} weights of this network are there; "
            "give the weights of a network like it"
        )
    model.load_state_dict(taken, strict=False)
    anew = [name for name in own if name not in taken]
    if anew:
        log.info("not in %s, so beginning anew: %s", names, ", ".join(anew))


def start_from_imagenet(model: nn.Module, source: str) -> None:
    """Fill the backbone of a network with weights that know ImageNet.

    Args:
        model: Changed in place.
        source: As ``model.imagenet`` of the config.

    Raises:
        ReuniteError: It is another network, or the weights cannot be had.
    """
    # Only here: torchvision takes a second to import.
    from reid.models.imagenet import imagenet_backbone, load_imagenet_weights

    if (backbone := imagenet_backbone(model)) is None:
        raise ReuniteError(
            f"model.imagenet '{source}': only networks on ResNet-50 or DenseNet-201 start from ImageNet; "
            "leave it out"
        )
    load_imagenet_weights(backbone, None if source == "download" else Path(source))


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
