"""Train an embedding network: one loop, top to bottom."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from foundation.errors import ReuniteError
from foundation.files import write_whole
from reid.augment import Augmenter
from reid.averaging import Swa, Swag
from reid.checkpoint import save_weights
from reid.config import RUN_CONFIG, SwagAverage, TrainConfig, dump_config
from reid.data import Dataset, open_datasets
from reid.judging import judge
from reid.learner import Learner
from reid.models.students import first_student
from reid.preprocess import Preprocess
from reid.sampling import make_sampler
from reid.schedule import ends_cycle, learning_rate
from reid.training_averages import averaged_model, with_weights
from reid.training_log import TrainingLog
from reid.training_parts import build_network, check_can_be_learnt_from, open_teacher, start_from
from reid.training_pictures import (
    Batch,
    TrainingPictures,
    augmented_batches,
    embed_with,
    read_training_pictures,
)
from reid.training_state import check_fits, load_training_state, save_training_state

log = logging.getLogger(__name__)

CHECKPOINT, WEIGHTS, AVERAGED = "checkpoint.pt", "weights.safetensors", "averaged.safetensors"


def train(config: TrainConfig, folder: Path, console: Console) -> None:
    """Train from the checkpoint in the folder, or from the start, to the last epoch.

    An epoch depends on nothing but the checkpoint before it and (seed, epoch), so a run that was killed
    anywhere goes on from its last whole epoch to the same weights.

    Args:
        config: What to do.
        folder: Gets ``checkpoint.pt`` and ``weights.safetensors`` after each epoch, what `TrainingLog`
            writes, and ``averaged.safetensors`` at the end where the config averages.
        console: Shows how far it is.

    Raises:
        ReuniteError: Data that cannot be used, or a loss that is not finite; the last checkpoint stays.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.precision == "float16" and device.type == "cpu":
        raise ReuniteError("precision float16 needs a GPU; take bfloat16 or float32")
    datasets = open_datasets(config.data)
    for dataset in datasets:
        for remark in dataset.remarks():
            log.warning("%s", remark)

    preprocess: Preprocess = build_network(config, None).preprocess  # type: ignore[assignment]
    pictures = read_training_pictures(datasets, preprocess, config.augment.size)
    check_can_be_learnt_from(config, pictures)
    state = None
    if (folder / CHECKPOINT).exists():
        state = load_training_state(folder / CHECKPOINT)
        check_fits(state, folder, config, pictures)
    sampler = make_sampler(pictures.labels, pictures.datasets, config.batch, config.seed)
    augment = Augmenter(config.augment, fill=[round(255 * channel) for channel in preprocess.mean[::-1]])
    teacher = open_teacher(config, pictures, preprocess, folder.parent, device)
    torch.manual_seed(config.seed)  # only now: what comes before may draw, or find its work done already
    model = build_network(config, pictures.people)
    if state is None:
        start_from(config, model)
    learner = Learner.start(config, model, pictures.people, teacher, preprocess, device)
    if state is not None:
        learner.restore(state)
    write_whole(folder / RUN_CONFIG, dump_config(config).encode())  # only now: it fits the checkpoint
    rows = state["rows"] if state is not None else []
    log.info(
        "%s: %d pictures of %d people, %d epochs, %d done, on %s in %s",
        folder, len(pictures), pictures.people, config.epochs, len(rows), device, config.precision,
    )  # fmt: skip

    views = config.distillation.views if config.distillation is not None else 0
    forward = torch.compile(model) if config.compile else model
    with TrainingLog(console, folder, config.epochs, rows) as progress:
        for epoch in range(len(rows), config.epochs):
            torch.manual_seed(config.seed * 1_000_003 + epoch)
            progress.start_epoch()
            batches = sampler.batches(epoch, partial(learner.embed_all, pictures))
            model.train()
            view = epoch % views if views else epoch
            kept = teacher.views if teacher is not None else None
            one_by_one = config.batch.triplets > 0
            made = augmented_batches(
                pictures, batches, augment.at(epoch), preprocess, config.seed, view, one_by_one, kept
            )
            for step, batch in enumerate(made):
                now = epoch + (step + 1) / len(batches)
                lr = learning_rate(config, now)
                values = learner.step(forward, batch, view, now, lr)
                is_last = step == len(batches) - 1
                if not np.isfinite(sum(values.values())) or (is_last and not learner.is_finite()):
                    raise not_finite(folder, config.precision, epoch, step, values, pictures, batch)
                progress.step(values, len(batch.labels), now)

            done = epoch + 1
            if isinstance(learner.average, Swa) and ends_cycle(config, done):
                learner.average.update(model.state_dict())
            is_judged = config.evaluate_every and done % config.evaluate_every == 0
            scores = judge_learner(learner, datasets, pictures) if is_judged or done == config.epochs else {}
            progress.end_epoch(lr, scores)
            save_network(folder / WEIGHTS, model, config, preprocess, done)
            state = {
                "config": dump_config(config),
                "preprocess": preprocess.to_dict(),
                "people": pictures.people,
                "pictures": len(pictures),
                "rows": progress.rows,
            }
            save_training_state(folder / CHECKPOINT, state | learner.state())
    save_averages(folder, learner, pictures)


def judge_learner(
    learner: Learner, datasets: Sequence[Dataset], pictures: TrainingPictures
) -> dict[str, float]:
    """mAP and rank-1 of the network, and of its average where there is one; see `judge_all`."""
    preprocess, device = learner.preprocess, learner.device
    scores = judge_all(learner.model, datasets, preprocess, device)
    if learner.average is not None and learner.average.average():
        averaged = averaged_model(learner.model, learner.average, pictures, preprocess, device)
        of_average = judge_all(averaged, datasets, preprocess, device, tell=lambda _: None)
        scores |= {f"average_{name}": value for name, value in of_average.items()}
    return scores


def save_averages(folder: Path, learner: Learner, pictures: TrainingPictures) -> None:
    """At the end, write the averaged network, and those drawn from SWAG's Gaussian, where the config asks."""
    config, model, average = learner.config, learner.model, learner.average
    if average is None:
        return
    about = pictures, learner.preprocess, learner.device
    averaged = averaged_model(model, average, *about)
    save_network(folder / AVERAGED, averaged, config, learner.preprocess, config.epochs)
    if isinstance(config.average, SwagAverage) and isinstance(average, Swag):
        generator = torch.Generator().manual_seed(config.seed)
        for number in range(1, config.average.samples + 1):
            drawn = with_weights(model, average.sample(generator), *about)
            save_network(
                folder / f"sample{number}.safetensors", drawn, config, learner.preprocess, config.epochs
            )


def judge_all(
    model: nn.Module,
    datasets: Iterable[Dataset],
    preprocess: Preprocess,
    device: torch.device,
    tell: Callable[[str], None] = log.warning,
) -> dict[str, float]:
    """Mean mAP and rank-1 over the datasets that have people to find again; nothing where none has.

    ``tell`` is given one line for each dataset that cannot be judged, and for each picture that cannot be
    read; training goes on.
    """

    embed = embed_with(model, preprocess, device)
    found = []
    for dataset in datasets:
        if dataset.query:
            try:
                scores = judge(embed, dataset, tell=tell)
            except ReuniteError as error:
                tell(f"not judged: {error}")  # what was learnt is worth keeping all the same
                continue
            if scores.judged:
                found.append(scores)
    if not found:
        return {}
    return {
        "mAP": float(np.mean([scores.mean_average_precision for scores in found])),
        "rank1": float(np.mean([scores.rank(1) for scores in found])),
    }


def save_network(
    path: Path, model: nn.Module, config: TrainConfig, preprocess: Preprocess, epochs: int
) -> None:
    """Write the weights as they are used: with name, settings and preprocessing."""
    # Not the whole config: it holds paths of this machine, and the file may be given away.
    extra = {"recipe": config.name, "epochs": epochs}
    save_weights(path, first_student(model), config.model.name, config.model.settings, preprocess, extra)


def not_finite(
    folder: Path,
    precision: str,
    epoch: int,
    step: int,
    values: dict[str, float],
    pictures: TrainingPictures,
    batch: Batch,
) -> ReuniteError:
    """The error that names the batch."""
    names = ", ".join(pictures.name(row) for row in batch.rows.tolist())
    parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
    kept = f"{folder / CHECKPOINT} holds the end of epoch {epoch}" if epoch else "no epoch was finished"
    remedy = "" if precision == "float32" else " or set precision: float32"
    return ReuniteError(
        f"epoch {epoch + 1}, batch {step + 1}: the loss or a weight is not finite ({parts}); {kept}; "
        f"lower schedule.lr{remedy}. The pictures of the batch: {names}"
    )
