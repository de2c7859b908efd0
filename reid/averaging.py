"""Averages of weights over a training, and the batch-norm statistics that fit them.

Floating-point tensors of a ``state_dict`` are averaged, others (such as counters of batches) are copied.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


class Ema:
    """Exponential moving average: ``average = decay * average + (1 - decay) * weights``.

    The decay of the n-th update, from 1, is at most ``n / (n + 9)``, so the random start is forgotten soon.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._average: Weights = {}
        self._count = 0

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        self._count += 1
        if not self._average:
            self._average = {name: value.detach().clone() for name, value in weights.items()}
            return
        decay = min(self._decay, self._count / (self._count + 9))
        for name, value in weights.items():
            if value.is_floating_point():
                self._average[name].lerp_(value, 1 - decay)
            else:
                self._average[name].copy_(value)

    def average(self) -> Weights:
        """The average; empty before the first update. Statistics of batch norm are averaged with the rest."""
        return dict(self._average)

    def state(self) -> Weights:
        return {"count": torch.tensor(self._count), **_named("average", self._average)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._count = int(state["count"])
        self._average = _unnamed("average", state)


class Swa:
    """Mean of the weights at chosen moments; the statistics of batch norm must be recomputed for it.

    Source: Izmailov et al. 2018, arXiv:1803.05407, equation 2.
    """

    def __init__(self) -> None:
        self._mean: Weights = {}
        self._count = 0

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights of one moment."""
        self._count += 1
        _move_mean(self._mean, weights, self._count)

    def average(self) -> Weights:
        """The mean; empty before the first update."""
        return dict(self._mean)

    def state(self) -> Weights:
        return {"count": torch.tensor(self._count), **_named("mean", self._mean)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._count = int(state["count"])
        self._mean = _unnamed("mean", state)


class Swag(Swa):
    """SWA with the variance of each weight: a Gaussian over networks.

    Its covariance is diagonal, as Robust-ReID describes it; the low-rank part of the source is left out.

    Source: Maddox et al. 2019, arXiv:1902.02476, section 3.2 (SWAG-Diagonal).
    """

    def __init__(self) -> None:
        super().__init__()
        self._deviation: Weights = {}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights of one moment."""
        before = {name: value.clone() for name, value in (self._mean or weights).items()}
        super().update(weights)
        # Welford's sum of squared deviations: no small difference of two large numbers.
        for name, value in weights.items():
            if value.is_floating_point():
                step = (value - before[name]) * (value - self._mean[name])
                self._deviation[name] = self._deviation.get(name, 0) + step

    def variance(self) -> Weights:
        """Of each floating-point tensor, around `average`; 0 after one update."""
        return {name: deviation / self._count for name, deviation in self._deviation.items()}

    def sample(self, generator: torch.Generator, scale: float = 1.0) -> Weights:
        """Weights drawn from the Gaussian, its variance times ``scale``; the generator is a CPU one."""
        variance = self.variance()
        return {
            name: mean
            + (scale * variance[name]).sqrt()
            * torch.randn(mean.shape, generator=generator, dtype=mean.dtype).to(mean.device)
            if name in variance
            else mean.clone()
            for name, mean in self._mean.items()
        }

    def state(self) -> Weights:
        return {**super().state(), **_named("deviation", self._deviation)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        self._deviation = _unnamed("deviation", state)


@torch.no_grad()
def recompute_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set mean and variance of every batch norm to their means over the batches.

    Averaged weights give other activations than any of the networks they come from, so statistics of
    those do not fit.

    Args:
        model: Left in the mode, training or not, that it came in.
        batches: Inputs, each (B, 3, H, W) with B at least 2.

    Source: Izmailov et al. 2018, arXiv:1803.05407, section 3.2.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta, was_training = [norm.momentum for norm in norms], model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches instead of a moving one
    model.train()
    try:
        for batch in batches:
            model(batch)
    finally:
        model.train(was_training)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _move_mean(mean: Weights, weights: Mapping[str, Tensor], count: int) -> None:
    """Take the ``count``-th values into the mean, in place."""
    for name, value in weights.items():
        if name in mean and value.is_floating_point():
            mean[name] += (value - mean[name]) / count
        else:
            mean[name] = value.detach().clone()


def _named(prefix: str, weights: Mapping[str, Tensor]) -> Weights:
    return {f"{prefix}/{name}": value for name, value in weights.items()}


def _unnamed(prefix: str, state: Mapping[str, Tensor]) -> Weights:
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value.clone() for name, value in state.items() if name.startswith(start)
    }
