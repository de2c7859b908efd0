"""``python -m reid.train CONFIG --data KIND=PATH``: train an embedding network; one loop, top to bottom."""

import argparse
import copy
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.augment import Augmenter
from reid.averaging import Ema, Swa, Swag, recompute_batch_norm
from reid.checkpoint import save_weights
from reid.config import (
    AdamConfig,
    AdamWConfig,
    EmaAverage,
    NoAverage,
    SgdConfig,
    SwaAverage,
    SwagAverage,
    TrainConfig,
    dump_config,
    load_config,
)
from reid.data import Dataset, open_dataset
from reid.distillation import teacher_embeddings
from reid.errors import ReidError
from reid.evaluate import judge
from reid.losses import moved_centres
from reid.models import ReidOutput, build_model
from reid.objective import distillation_parts, loss_parts
from reid.preprocess import Preprocess
from reid.sampling import PersonSampler
from reid.schedule import ends_cycle, learning_rate
from reid.training_log import TrainingLog
from reid.training_pictures import (
    Batch,
    TrainingPictures,
    augmented_batches,
    network_input,
    read_training_pictures,
)
from reid.training_state import load_training_state, save_training_state

log = logging.getLogger(__name__)

CHECKPOINT, CONFIG, WEIGHTS, AVERAGED = (
    "checkpoint.pt",
    "config.yaml",
    "weights.safetensors",
    "averaged.safetensors",
)

EMBED_AT_ONCE = 128
"""Pictures of one forward pass where nothing is learnt."""

BATCH_NORM_PICTURES = 4096
"""So many training pictures, seen as at test, give averaged weights their batch-norm statistics."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 all well, 2 something the user can mend, 130 interrupted."""
    arguments = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        folder, config = open_run(arguments)
        try:
            train(config, folder)
        except KeyboardInterrupt:
            print(f"\ninterrupted; go on with: python -m reid.train --resume {folder}", file=sys.stderr)
            return 130
    except ReidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reid.train", description="Train an embedding network.")
    parser.add_argument(
        "config", nargs="?", type=Path, help="recipe, for example configs/reid/robust-reid-025x.yaml"
    )
    parser.add_argument(
        "--data", action="append", default=[], metavar="KIND=PATH", help="dataset; again for another to join"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="for example schedule.epochs=60"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/reid"), help="where the folder of the run is made"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with this run, as it was configured"
    )
    return parser


def open_run(arguments: argparse.Namespace) -> tuple[Path, TrainConfig]:
    """The folder and configuration of a new run, or of the one to resume."""
    if arguments.resume is not None:
        if arguments.config or arguments.data or arguments.set:
            raise ReidError(
                "--resume RUN goes on as the run was configured: leave CONFIG, --data and --set out"
            )
        return arguments.resume, load_config(arguments.resume / CONFIG)
    if arguments.config is None:
        raise ReidError("give a recipe, for example configs/reid/robust-reid-025x.yaml, or --resume RUN")
    config = load_config(arguments.config, arguments.set)
    if arguments.data:
        config = config.model_copy(update={"data": tuple(arguments.data)})
    if not config.data:
        raise ReidError("no data: give --data market1501=PATH")
    number = 1
    while True:
        folder = arguments.runs / f"{config.name}{number if number > 1 else ''}"
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    (folder / CONFIG).write_text(dump_config(config), encoding="utf-8")
    return folder, config


def train(config: TrainConfig, folder: Path) -> None:
    """Train from the checkpoint in the folder, or from the start, to the last epoch.

    An epoch depends on nothing but the checkpoint before it and (seed, epoch), so a run that was killed
    anywhere goes on from its last whole epoch to the same weights.

    Args:
        config: What to do.
        folder: Gets ``checkpoint.pt`` and ``weights.safetensors`` after each epoch,
            ``averaged.safetensors`` at the end where the config averages, ``log.csv`` and ``curves.png``.

    Raises:
        ReidError: Data that cannot be used, or a loss that is not finite; the last checkpoint stays.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.precision == "float16" and device.type == "cpu":
        raise ReidError("precision float16 needs a GPU; take bfloat16 or float32")
    datasets = [open_dataset(spec) for spec in config.data]
    for dataset in datasets:
        for remark in dataset.remarks():
            log.warning("%s", remark)

    preprocess: Preprocess = build_model(config.model.name, None, **config.model.settings).preprocess  # type: ignore[assignment]
    pictures = read_training_pictures(datasets, preprocess)
    sampler = PersonSampler(pictures.labels.tolist(), config.batch.people, config.batch.pictures, config.seed)
    augment = Augmenter(config.augment, fill=[round(255 * channel) for channel in preprocess.mean[::-1]])
    teacher = open_teacher(config, pictures, folder)
    torch.manual_seed(config.seed)  # only now: what comes before may draw, or find its work done already
    model = build_model(config.model.name, pictures.people, **config.model.settings)
    if config.model.imagenet is not None:
        start_from_imagenet(model, config.model.imagenet)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    projection = None
    if teacher is not None:
        teacher = teacher.to(device)
        length: int = model.embedding_length
        projection = nn.Linear(length, teacher.shape[1], bias=False).to(device)
    optimiser = make_optimiser(config, model, projection)
    scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
    average = make_average(config)
    lengths: tuple[int, ...] = model.head_lengths if config.losses.centre.weight else ()
    centres = [torch.zeros(pictures.people, length, device=device) for length in lengths]

    rows = []
    if (folder / CHECKPOINT).exists():
        state = load_training_state(folder / CHECKPOINT)
        if (state["people"], state["pictures"]) != (pictures.people, len(pictures)):
            raise ReidError(
                f"{folder}: began with {state['pictures']} pictures of {state['people']} people, the data "
                f"now has {len(pictures)} of {pictures.people}; put the data back or start a new run"
            )
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        scaler.load_state_dict(state["scaler"])
        if projection is not None:
            projection.load_state_dict(state["projection"])
        if average is not None:
            average.restore({name: value.to(device) for name, value in state["average"].items()})
        centres = [centre.to(device) for centre in state["centres"]]
        rows = state["rows"]
    progress = TrainingLog(folder, config.epochs, rows)
    log.info(
        "%s: %d pictures of %d people, %d epochs, %d done, on %s in %s",
        folder, len(pictures), pictures.people, config.epochs, len(rows), device, config.precision,
    )  # fmt: skip

    for epoch in range(len(rows), config.epochs):
        torch.manual_seed(config.seed * 1_000_003 + epoch)
        model.train()
        progress.start_epoch()
        batches = sampler.batches(epoch)
        for step, batch in enumerate(augmented_batches(pictures, batches, augment, config.seed, epoch)):
            lr = learning_rate(config, epoch + (step + 1) / len(batches))
            for group in optimiser.param_groups:
                group["lr"] = lr
            images = network_input(batch.images.to(device, non_blocking=True), preprocess)
            with torch.autocast(device.type, getattr(torch, config.precision), config.precision != "float32"):
                output: ReidOutput = model(images)
            labels = batch.labels.to(device)
            parts = loss_parts(config.losses, output, labels, centres)
            if config.distillation is not None:
                assert teacher is not None
                assert projection is not None
                targets = teacher[batch.rows.to(device)]
                parts |= distillation_parts(config.distillation, output, targets, projection)
            loss = torch.stack(list(parts.values()))
            values = dict(zip(parts, loss.tolist(), strict=True))
            if not np.isfinite(sum(values.values())):
                raise not_finite(folder, epoch, step, values, pictures, batch)
            optimiser.zero_grad()
            torch.autograd.backward(scaler.scale(loss.sum()))
            scaler.step(optimiser)
            scaler.update()
            centres = [
                moved_centres(head.float(), labels, of_head, config.losses.centre.rate)
                for head, of_head in zip(output.heads, centres, strict=False)
            ]
            if isinstance(average, Ema):
                average.update(model.state_dict())
            progress.step(values, len(labels), epoch + (step + 1) / len(batches))
        if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
            raise not_finite(folder, epoch, step, values, pictures, batch)

        done = epoch + 1
        if isinstance(average, Swa) and ends_cycle(config, done):
            average.update(model.state_dict())
        scores = {}
        if done == config.epochs or (config.evaluate_every and done % config.evaluate_every == 0):
            scores = judge_all(model, datasets, preprocess, device)
            if average is not None and average.average():
                averaged = averaged_model(model, average, pictures, preprocess, device)
                scores |= {
                    f"average_{name}": value
                    for name, value in judge_all(averaged, datasets, preprocess, device).items()
                }
        progress.end_epoch(lr, scores)
        save_network(folder / WEIGHTS, model, config, preprocess, done)
        state = {
            "config": dump_config(config),
            "preprocess": preprocess.to_dict(),
            "people": pictures.people,
            "pictures": len(pictures),
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "scaler": scaler.state_dict(),
            "projection": projection.state_dict() if projection is not None else {},
            "average": average.state() if average is not None else {},
            "centres": centres,
            "rows": progress.rows,
        }
        save_training_state(folder / CHECKPOINT, state)

    if average is not None:
        averaged = averaged_model(model, average, pictures, preprocess, device)
        save_network(folder / AVERAGED, averaged, config, preprocess, config.epochs)
        if isinstance(config.average, SwagAverage) and isinstance(average, Swag):
            generator = torch.Generator().manual_seed(config.seed)
            for number in range(1, config.average.samples + 1):
                drawn = with_weights(model, average.sample(generator), pictures, preprocess, device)
                save_network(folder / f"sample{number}.safetensors", drawn, config, preprocess, config.epochs)


def open_teacher(config: TrainConfig, pictures: TrainingPictures, folder: Path) -> Tensor | None:
    """The teacher's (N, E) embeddings of the training pictures, where the config has a teacher."""
    if config.distillation is None:
        return None
    wanted = config.distillation
    known = teacher_embeddings(Path(wanted.teacher), wanted.convention, pictures, folder.parent)
    return torch.from_numpy(known)


def start_from_imagenet(model: nn.Module, source: str) -> None:
    """Fill the backbone of a ResNet-50 with weights that know ImageNet."""
    # Only here: torchvision takes a second to import.
    from reid.models.resnet50 import Resnet50, load_imagenet_weights

    if not isinstance(model, Resnet50):
        raise ReidError(f"model.imagenet '{source}': only resnet50-bnneck starts from ImageNet; leave it out")
    load_imagenet_weights(model, None if source == "download" else Path(source))


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
    parts = np.array_split(rows, max(1, len(rows) // EMBED_AT_ONCE))
    recompute_batch_norm(
        other,
        (network_input(torch.from_numpy(pictures.images[part]).to(device), preprocess) for part in parts),
    )
    return other


@torch.no_grad()
def judge_all(
    model: nn.Module, datasets: Iterable[Dataset], preprocess: Preprocess, device: torch.device
) -> dict[str, float]:
    """Mean mAP and rank-1 over the datasets that have people to find again; nothing where none has."""

    def embed(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        inputs = torch.from_numpy(preprocess(images)).to(device, memory_format=torch.channels_last)
        return (
            torch.cat([model(part).embedding for part in torch.split(inputs, EMBED_AT_ONCE)])
            .float()
            .cpu()
            .numpy()
        )

    model.eval()
    found = [judge(embed, dataset) for dataset in datasets if dataset.query]
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
    save_weights(path, model, config.model.name, config.model.settings, preprocess, extra)


def not_finite(
    folder: Path, epoch: int, step: int, values: dict[str, float], pictures: TrainingPictures, batch: Batch
) -> ReidError:
    """The error that names the batch."""
    names = ", ".join(pictures.name(row) for row in batch.rows.tolist())
    parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
    kept = f"{folder / CHECKPOINT} holds the end of epoch {epoch}" if epoch else "no epoch was finished"
    return ReidError(
        f"epoch {epoch + 1}, batch {step + 1}: the loss or a weight is not finite ({parts}); {kept}; "
        f"lower schedule.lr or set precision: float32. The pictures of the batch: {names}"
    )


if __name__ == "__main__":
    cv2.setNumThreads(1)  # the batches are made by threads already
    sys.exit(main())
