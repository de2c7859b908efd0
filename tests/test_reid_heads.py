"""What networks end in: generalised means, whole and in stripes, and directions."""

import pytest
import torch
from torch import Tensor

from reid.models.heads import GeM, to_unit_length
from reid.models.residual import StripeGeM


def gem_by_hand(maps: Tensor, exponent: Tensor) -> Tensor:
    """Equation 6 of the paper, written down."""
    return maps.pow(exponent).mean(dim=(2, 3), keepdim=True).pow(1 / exponent).flatten(1)


@pytest.mark.parametrize("exponent", [1.1, 2.0, 3.0, 6.5])
def test_gem_is_the_generalised_mean_with_its_gradients(exponent: float) -> None:
    pool = GeM(4)
    with torch.no_grad():
        pool.exponent.copy_((exponent + 0.1 * torch.arange(4)).view(4, 1, 1))
    maps = torch.rand(2, 4, 5, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    weights = torch.arange(8.0).view(2, 4)
    sides = []
    for by_hand in (False, True):
        free = maps.clone().requires_grad_()
        value = gem_by_hand(free, pool.exponent) if by_hand else pool(free)
        sides.append((value, *torch.autograd.grad((value * weights).sum(), (free, pool.exponent))))
    for fast, slow in zip(*sides, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_gem_goes_from_average_to_maximum_and_not_beyond() -> None:
    maps = torch.rand(2, 3, 8, 4, generator=torch.Generator().manual_seed(0)) + 0.01
    average, maximum = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    torch.testing.assert_close(GeM(3, start=1.0)(maps), average)
    torch.testing.assert_close(GeM(3, start=-2.0)(maps), average)
    torch.testing.assert_close(GeM(3, start=2000.0)(maps), maximum, rtol=0.01, atol=0)
    values = GeM(3)(maps)
    assert ((average < values) & (values < maximum)).all()


def test_the_gem_of_stripes_and_of_the_whole_is_that_of_each_by_itself() -> None:
    pool, alone = StripeGeM(3, stripes=2), GeM(3)
    with torch.no_grad():
        pool.exponent.copy_(torch.tensor([[1.5], [3.0], [7.0]]))
        alone.exponent.copy_(pool.exponent[:, :, None])
    maps = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(0))
    whole, stripes = pool(maps)
    torch.testing.assert_close(whole, alone(maps))
    by_stripe = torch.stack((alone(maps[:, :, :3]), alone(maps[:, :, 3:])), dim=2)
    torch.testing.assert_close(stripes, by_stripe.flatten(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("level", [0.0, 1e-7, 1.0, 6e4])
@pytest.mark.parametrize("exponent", [1.0, 3.0, 40.0])
def test_gem_is_finite_at_any_level_and_precision(dtype: torch.dtype, level: float, exponent: float) -> None:
    pool = GeM(2, start=exponent)
    maps = torch.full((2, 2, 4, 4), level, dtype=dtype)
    maps[:, :, 0, 0] = 0
    maps.requires_grad_()
    value = pool(maps)
    assert value.dtype == dtype
    value.float().sum().backward()
    assert maps.grad is not None
    assert pool.exponent.grad is not None
    for part in (value, maps.grad, pool.exponent.grad):
        assert part.isfinite().all()
    wanted = max(level, 1e-6) * (15 / 16) ** (1 / exponent)
    torch.testing.assert_close(value.float(), torch.full((2, 2), wanted), rtol=0.02, atol=1e-6)


def test_a_row_of_zeros_has_no_direction_and_stays_zero() -> None:
    rows = to_unit_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


# Blocks
