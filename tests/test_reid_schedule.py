"""Learning rates, by hand and against the formulas of the papers."""

import math

import pytest

from reid.config import TrainConfig
from reid.schedule import cosine_cycles_lr, ends_cycle, learning_rate, warmup_cosine_lr, warmup_steps_lr

PAPER = TrainConfig.model_validate(
    {
        "name": "paper",
        "model": {"name": "robust-reid-1x"},
        "schedule": {
            "kind": "steps",
            "epochs": 350,
            "lr": 0.03,
            "warmup_epochs": 10,
            "drop_epochs": [150, 225],
        },
        "cycles": {"count": 15, "epochs": 35, "lr": 0.03, "decay": 0.7},
        "average": {"kind": "swag"},
    }
)


def equation_1(t: float) -> float:
    """Of the Robust-ReID paper."""
    if t <= 10:
        return 3e-2 * t / 10
    if t <= 150:
        return 3e-2
    return 3e-3 if t <= 225 else 3e-4


@pytest.mark.parametrize("epoch", [0, 0.5, 9.99, 10, 10.01, 149, 150, 150.01, 225, 225.01, 350])
def test_steps_are_equation_1_of_the_paper(epoch: float) -> None:
    assert warmup_steps_lr(epoch, 0.03, 10, (150, 225)) == pytest.approx(equation_1(epoch))
    assert learning_rate(PAPER, epoch) == pytest.approx(equation_1(epoch))


def test_warm_up_begins_at_its_start() -> None:
    assert warmup_steps_lr(0, 1.0, 4, (), start_lr=0.2) == pytest.approx(0.2)
    assert warmup_steps_lr(1, 1.0, 4, (), start_lr=0.2) == pytest.approx(0.4)
    assert warmup_cosine_lr(1, 10, 1.0, 4, start_lr=0.2) == pytest.approx(0.4)


def test_cosine_by_hand() -> None:
    rates = [warmup_cosine_lr(epoch, 10, 1.0, 2, end_lr=0.5) for epoch in (2, 4, 6, 10)]
    assert rates == pytest.approx([1.0, 0.75 + 0.25 * math.cos(math.pi / 4), 0.75, 0.5])


def test_no_warm_up_and_nothing_but_warm_up() -> None:
    assert warmup_steps_lr(0, 1.0, 0, ()) == 1.0
    assert warmup_cosine_lr(0, 10, 1.0, 0) == 1.0
    assert warmup_cosine_lr(3, 3, 1.0, 3) == 0.0


def test_a_cycle_ends_at_zero_and_the_next_starts_lower() -> None:
    assert cosine_cycles_lr(0, 35, 1.0, 0.7) == 1.0
    assert cosine_cycles_lr(17.5, 35, 1.0, 0.7) == pytest.approx(0.5)
    assert cosine_cycles_lr(35, 35, 1.0, 0.7) == pytest.approx(0.0)
    assert cosine_cycles_lr(35 + 1e-9, 35, 1.0, 0.7) == pytest.approx(0.7)
    assert cosine_cycles_lr(35 * 3 + 17.5, 35, 1.0, 0.7) == pytest.approx(0.7**3 / 2)


def test_the_cycles_follow_the_steps() -> None:
    assert PAPER.epochs == 350 + 525
    assert learning_rate(PAPER, 350.001) == pytest.approx(0.03, rel=1e-4)
    assert learning_rate(PAPER, 875) == pytest.approx(0.0, abs=1e-12)
    assert [done for done in range(1, 876) if ends_cycle(PAPER, done)] == list(range(385, 876, 35))
