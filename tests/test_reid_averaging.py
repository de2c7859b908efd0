"""Averages of weights against the plain formulas, and batch norm against the statistics of the data."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reid.averaging import Ema, Swa, Swag, recompute_batch_norm

STEPS = 7


def weights(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "linear": 5 + 0.01 * torch.randn(3, 2, generator=generator),
        "norm": torch.randn(4, generator=generator),
        "counter": torch.tensor(seed),
    }


def stacked(name: str) -> Tensor:
    return torch.stack([weights(seed)[name] for seed in range(STEPS)]).double()


def test_ema_is_the_recursion() -> None:
    ema, expected = Ema(0.6), weights(0)["norm"].double()
    ema.update(weights(0))
    for count in range(2, STEPS + 1):
        ema.update(weights(count - 1))
        decay = min(0.6, count / (count + 9))
        expected = decay * expected + (1 - decay) * weights(count - 1)["norm"].double()
    assert torch.allclose(ema.average()["norm"].double(), expected, atol=1e-6)
    assert ema.average()["counter"] == STEPS - 1


def test_swa_is_the_mean() -> None:
    swa = Swa()
    for seed in range(STEPS):
        swa.update(weights(seed))
    for name in ("linear", "norm"):
        assert torch.allclose(swa.average()[name].double(), stacked(name).mean(0), atol=1e-6)
    assert swa.average()["counter"] == STEPS - 1


def test_swag_has_the_variance_even_where_it_is_small_beside_the_mean() -> None:
    swag = Swag()
    for seed in range(STEPS):
        swag.update(weights(seed))
    for name in ("linear", "norm"):
        expected = stacked(name).var(0, unbiased=False)
        assert torch.allclose(swag.variance()[name].double(), expected, rtol=1e-3)
    assert "counter" not in swag.variance()


def test_samples_of_swag_have_its_mean_and_variance() -> None:
    swag = Swag()
    for seed in range(STEPS):
        swag.update(weights(seed))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([swag.sample(generator, scale=0.5)["norm"] for _ in range(4000)])
    variance = 0.5 * swag.variance()["norm"]
    assert torch.allclose(drawn.mean(0), swag.average()["norm"], atol=5 * float(variance.max() / 4000) ** 0.5)
    assert torch.allclose(drawn.var(0), variance, rtol=0.15)
    assert swag.sample(generator)["counter"] == STEPS - 1


@pytest.mark.parametrize("kind", [lambda: Ema(0.9), Swa, Swag])
def test_a_restored_average_goes_on_to_the_same_bits(kind: type[Swa]) -> None:
    whole, first = kind(), kind()
    for seed in range(STEPS):
        whole.update(weights(seed))
        if seed < 3:
            first.update(weights(seed))
    second = kind()
    second.restore(first.state())
    for seed in range(3, STEPS):
        second.update(weights(seed))
    found, expected = second.state(), whole.state()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_average_does_not_change_with_the_weights_it_was_given() -> None:
    for average in (Ema(0.9), Swa(), Swag()):
        given = weights(0)
        average.update(given)
        given["norm"].zero_()
        assert torch.equal(average.average()["norm"], weights(0)["norm"])


def test_nothing_averaged_is_empty() -> None:
    assert Ema(0.9).average() == Swa().average() == Swag().average() == {}


def test_batch_norm_gets_the_mean_statistics_of_the_batches() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    model.eval()
    batches = [torch.randn(5, 3, 6, 2) * 3 + 1 for _ in range(4)]
    recompute_batch_norm(model, iter(batches))
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        seen = [model[0](batch).transpose(0, 1).flatten(1).numpy() for batch in batches]
    np.testing.assert_allclose(norm.running_mean, np.mean([s.mean(1) for s in seen], axis=0), rtol=1e-4)
    np.testing.assert_allclose(norm.running_var, np.mean([s.var(1, ddof=1) for s in seen], axis=0), rtol=1e-4)
    assert not model.training
    assert norm.momentum == 0.1


def test_recomputing_leaves_the_weights_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = [value.clone() for value in model.parameters()]
    recompute_batch_norm(model, [torch.randn(8, 3)])
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert model.training
