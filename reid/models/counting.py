"""How large a network is and what one picture costs."""

from math import prod
from typing import Any

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """All numbers in its parameters; classifiers are left out, as they are dropped after training."""
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if not name.startswith("classifiers.")
    )


def count_multiply_adds(model: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of all convolutions and linear layers for one (3, height, width) picture.

    Classifiers count only if the model has them. The model is run once in eval mode.
    """
    total = 0

    def add(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * prod(module.kernel_size) * module.in_channels // module.groups
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    hooks = [module.register_forward_hook(add) for module in model.modules()]
    was_training = model.training
    parameter = next(model.parameters())
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
