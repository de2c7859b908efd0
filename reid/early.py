"""The early exit of a network: a head for its first stage, and both halves as ONNX files for the tracker.

The early embedding is the linear map, from what the first stage leaves to what the network says in the end,
that fits training pictures best. It is solved for, not trained, and nothing of the network changes.
"""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from foundation.errors import ReuniteError
from foundation.onnx_session import open_onnx
from reid.convert import part_to_onnx
from reid.data import Dataset
from reid.exits import EXITS_KEY, exit_files
from reid.models.counting import count_multiply_adds
from reid.models.early import CODE_LENGTH, EarlyStage, LaterStages, pooled
from reid.models.harmonious import StagedNetwork
from reid.preprocess import Preprocess
from reid.training_pictures import read_training_pictures

RIDGE = 0.03
"""Of the least squares, as a share of the variance of each input: 0.01 to 0.1 fit unseen pictures alike."""

MIN_VARIANCE = 1e-3
"""Added to that of each direction, in units of the inputs' own, so that no noise is blown up."""

MAX_PICTURES = 8000
"""Evenly taken from those of the training people; ten for each number that is fitted to."""

AT_ONCE = 16
"""Pictures that go through the network together."""

MAX_DIFFERENCE = 1e-4
"""Of any number of an embedding from PyTorch's."""

Floats = NDArray[np.float64]


def export_early(
    weights: Path, model: nn.Module, preprocess: Preprocess, datasets: list[Dataset]
) -> list[Path]:
    """Write ``NAME-early.onnx`` and ``NAME-later.onnx`` beside the weights ``NAME.safetensors``.

    Args:
        weights: The file that ``model`` was read from.
        model: Of `reid.models`.
        preprocess: What pictures go through.
        datasets: The head is fitted to their training people.

    Raises:
        ReuniteError: The network has no first stage to leave by, there are too few pictures, or a file
            differs from PyTorch; no file is left.
    """
    if not isinstance(model, StagedNetwork):
        raise ReuniteError(f"{weights}: only robust-reid and ha-cnn have a first stage to leave by")
    model.eval()
    pictures = torch.rand(2, 3, preprocess.height, preprocess.width)
    early = EarlyStage(model, pictures).eval()
    _fit(early, preprocess, datasets)
    with torch.inference_mode():
        left = early(pictures)
        later = LaterStages(early, pictures).eval()
        expected = model(pictures).embedding
    size = preprocess.height, preprocess.width
    about = {
        "weights": sha256(weights.read_bytes()).hexdigest(),
        "embedding_length": model.embedding_length,
        "code_length": early.code_length,
        "share": round(count_multiply_adds(early, *size) / count_multiply_adds(model, *size), 4),
    }
    paths = exit_files(weights)
    given: tuple[tuple[nn.Module, torch.Tensor], ...]
    given = (early, pictures), (later, left[:, model.embedding_length + early.code_length :].clone())
    try:
        for path, (part, example) in zip(paths, given, strict=True):
            path.write_bytes(part_to_onnx(part, example, preprocess, {EXITS_KEY: json.dumps(about)}))
        found = pictures.numpy()
        for path in paths:
            session = open_onnx(path, gpu=False)
            [entrance] = session.get_inputs()
            found = session.run(None, {entrance.name: found})[0][:, -given[1][1].shape[1] :]
        difference = float(np.abs(found - expected.numpy()).max())
        if not difference <= MAX_DIFFERENCE:
            raise ReuniteError(f"{weights}: both halves together differ from PyTorch by {difference:.1e}")
    except Exception:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    return list(paths)


def whiten(inputs: Floats) -> tuple[Floats, Floats]:
    """The (`CODE_LENGTH`, K) weights and the bias of codes: main directions of (N, K) inputs, of deviation 1.

    Inputs are weighed by their own deviations, so their units do not matter.
    """
    mean, sd = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    variances, directions = np.linalg.eigh(np.cov(((inputs - mean) / sd).T))
    main = directions[:, ::-1][:, :CODE_LENGTH] / np.sqrt(variances[::-1][:CODE_LENGTH] + MIN_VARIANCE)
    weights = main.T / sd
    return weights, -weights @ mean


def fit_linear(codes: Floats, outputs: Floats, ridge: float = RIDGE) -> tuple[Floats, Floats]:
    """The (D, K) weights and (D,) bias from (N, K) codes of mean 0 to (N, D) outputs, by ridge regression."""
    aim = outputs.mean(axis=0)
    normal = codes.T @ codes + ridge * len(codes) * np.eye(codes.shape[1])
    return np.linalg.solve(normal, codes.T @ (outputs - aim)).T, aim


def _fit(early: EarlyStage, preprocess: Preprocess, datasets: list[Dataset]) -> None:
    """Give code and head their weights."""
    every = -(-sum(len(dataset.train) for dataset in datasets) // MAX_PICTURES) or 1
    some = [replace(dataset, train=dataset.train[::every], unlabelled=()) for dataset in datasets]
    images = read_training_pictures(some, preprocess).images
    inputs, outputs = [], []
    with torch.inference_mode():
        for start in range(0, len(images), AT_ONCE):
            pictures = torch.from_numpy(preprocess.normalise(images[start : start + AT_ONCE]))
            state = early.run(pictures)
            inputs.append(pooled(state).numpy())
            later = early.network.run(state, 1, len(early.network.stages))
            outputs.append(early.network.finish(later).embedding.numpy())
    known = np.concatenate(inputs).astype(np.float64)
    if len(known) < 2:
        raise ReuniteError("--early: one training picture is too few to fit an early embedding to")
    weights, bias = whiten(known)
    _set(early.encode, weights, bias)
    codes = known @ weights.T + bias
    _set(early.head, *fit_linear(codes, np.concatenate(outputs).astype(np.float64)))


def _set(layer: nn.Linear, weights: Floats, bias: Floats) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(bias))
