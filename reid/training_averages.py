"""The average that a configuration asks for, and the networks that are made of it."""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from reid.averaging import Ema, Swa, Swag, recompute_batch_norm
from reid.config import EmaAverage, NoAverage, SwaAverage, SwagAverage, TrainConfig
from reid.preprocess import Preprocess
from reid.training_pictures import TrainingPictures, network_input

BATCH_NORM_PICTURES, BATCH_NORM_AT_ONCE = 4096, 128
"""This many training pictures, seen as at test, give averaged weights their batch-norm statistics."""


def make_average(config: TrainConfig) -> Ema | Swa | None:
    """The average that the config asks for."""
    match config.average:
        case EmaAverage():
            return Ema(config.average.decay)
        case SwaAverage():
            return Swa()
        case SwagAverage():
            return Swag()
        case NoAverage():
            return None


def averaged_model(
    model: nn.Module,
    average: Ema | Swa,
    pictures: TrainingPictures,
    preprocess: Preprocess,
    device: torch.device,
) -> nn.Module:
    """A copy of the model with the averaged weights; statistics that were not averaged are recomputed."""
    if isinstance(average, Swa):
        return with_weights(model, average.average(), pictures, preprocess, device)
    averaged = copy.deepcopy(model)
    averaged.load_state_dict(average.average())
    return averaged


def with_weights(
    model: nn.Module,
    weights: dict[str, Tensor],
    pictures: TrainingPictures,
    preprocess: Preprocess,
    device: torch.device,
) -> nn.Module:
    """A copy of the model with these weights and the batch-norm statistics that fit them."""
    other = copy.deepcopy(model)
    other.load_state_dict(weights)
    rows = np.random.default_rng(0).permutation(len(pictures))[:BATCH_NORM_PICTURES]
    parts = np.array_split(rows, max(1, len(rows) // BATCH_NORM_AT_ONCE))
    recompute_batch_norm(
        other,
        (
            network_input(torch.from_numpy(pictures.at_size_of(preprocess, part)).to(device), preprocess)
            for part in parts
        ),
    )
    return other
