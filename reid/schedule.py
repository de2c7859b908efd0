"""Learning rates as pure functions of the epoch; 2.5 is half way through the third epoch."""

import math
from collections.abc import Sequence

from reid.config import CosineSchedule, ExponentialSchedule, StepsSchedule, TrainConfig


def warmup_steps_lr(
    epoch: float,
    lr: float,
    warmup_epochs: float,
    drop_epochs: Sequence[float],
    drop_factor: float = 0.1,
    start_lr: float = 0.0,
) -> float:
    """Rise linearly from ``start_lr`` to ``lr``, then drop after each of ``drop_epochs``.

    Source: Robust-ReID, equation 1, which is lr 3e-2, warm-up 10, drops after 150 and 225.
    """
    if epoch < warmup_epochs:
        return start_lr + (lr - start_lr) * epoch / warmup_epochs
    return lr * drop_factor ** sum(epoch > drop for drop in drop_epochs)


def warmup_cosine_lr(
    epoch: float, epochs: float, lr: float, warmup_epochs: float, start_lr: float = 0.0, end_lr: float = 0.0
) -> float:
    """Rise linearly from ``start_lr`` to ``lr``, then fall along half a cosine to ``end_lr`` at ``epochs``.

    Source: SGDR (Loshchilov and Hutter 2017, arXiv:1608.03983), equation 5, with one cycle.
    """
    if epoch < warmup_epochs:
        return start_lr + (lr - start_lr) * epoch / warmup_epochs
    share = (epoch - warmup_epochs) / (epochs - warmup_epochs) if epochs > warmup_epochs else 1.0
    return end_lr + (lr - end_lr) * (1 + math.cos(math.pi * share)) / 2


def exponential_lr(epoch: float, epochs: float, lr: float, hold_epochs: float, end_factor: float) -> float:
    """Stay at ``lr`` until ``hold_epochs``, then fall exponentially to ``end_factor`` of it at ``epochs``.

    Source: Hermans et al. 2017 (arXiv:1703.07737), equation 9.
    """
    if epoch <= hold_epochs:
        return lr
    return float(lr * end_factor ** ((epoch - hold_epochs) / (epochs - hold_epochs)))


def cosine_cycles_lr(epoch: float, cycle_epochs: int, lr: float, decay: float) -> float:
    """Fall to 0 along half a cosine in each cycle; cycle n, from 0, starts at ``lr * decay**n``.

    The last moment of a cycle, where the weights are averaged, belongs to it: there the rate is 0.

    Source: Robust-ReID, section 3.1 (SWAG): 15 cycles of 35 epochs, decay 0.7.
    """
    cycle = max(0, math.ceil(epoch / cycle_epochs) - 1)
    share = epoch / cycle_epochs - cycle
    return lr * decay**cycle * (1 + math.cos(math.pi * share)) / 2


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """The rate of the step that ends at this moment of the training."""
    schedule = config.schedule
    if config.cycles is not None and epoch > schedule.epochs:
        cycles = config.cycles
        return cosine_cycles_lr(epoch - schedule.epochs, cycles.epochs, cycles.lr, cycles.decay)
    match schedule:
        case StepsSchedule():
            return warmup_steps_lr(
                epoch,
                schedule.lr,
                schedule.warmup_epochs,
                schedule.drop_epochs,
                schedule.drop_factor,
                schedule.start_lr,
            )
        case CosineSchedule():
            return warmup_cosine_lr(
                epoch,
                schedule.epochs,
                schedule.lr,
                schedule.warmup_epochs,
                schedule.start_lr,
                schedule.end_lr,
            )
        case ExponentialSchedule():
            return exponential_lr(
                epoch, schedule.epochs, schedule.lr, schedule.hold_epochs, schedule.end_factor
            )


def ends_cycle(config: TrainConfig, done: int) -> bool:
    """Whether a cosine cycle ends with the ``done``-th epoch."""
    after = done - config.schedule.epochs
    return config.cycles is not None and after > 0 and after % config.cycles.epochs == 0
