"""What is learnt and how one step goes: the network, its optimiser, average and losses, as one state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foundation.arrays import EmbeddingArray
from foundation.errors import ReuniteError
from reid.averaging import Ema, Swa
from reid.config import TrainConfig
from reid.distillation import Teacher
from reid.losses import moved_centres
from reid.models import ReidOutput
from reid.objective import (
    centre_rates,
    distillation_parts,
    joined,
    loss_parts,
    mutual_parts,
    outputs_of,
)
from reid.preprocess import Preprocess
from reid.sampling import NOBODY
from reid.training_averages import make_average
from reid.training_parts import make_optimiser
from reid.training_pictures import Batch, TrainingPictures, embed_with, network_input


@dataclass(slots=True)
class Learner:
    """A network in training.

    Attributes:
        config: What is minimised, and how.
        preprocess: What the network expects of a picture.
        device: Where it is.
        model: The network, with classifiers.
        teacher: Whom it learns from beside the labels; None where it has none.
        projection: From its embedding into the teacher's space; None without a teacher.
        optimiser, scaler: What moves it.
        average: Of its weights; None where the config has none.
        centres: (people, E) by the name of the output, where there is a centre loss.
    """

    config: TrainConfig
    preprocess: Preprocess
    device: torch.device
    model: nn.Module
    teacher: Teacher | None
    projection: nn.Module | None
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Ema | Swa | None
    centres: dict[str, Tensor]

    @classmethod
    def start(
        cls,
        config: TrainConfig,
        model: nn.Module,
        people: int,
        teacher: Teacher | None,
        preprocess: Preprocess,
        device: torch.device,
    ) -> "Learner":
        """Begin with a network that has classifiers for ``people`` people."""
        model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        projection = None
        if teacher is not None:
            length: int = model.embedding_length  # type: ignore[assignment]
            projection = nn.Linear(length, teacher.bank.shape[1], bias=False).to(device)
        nothing = torch.zeros(1, 3, preprocess.height, preprocess.width, device=device)
        with torch.no_grad():
            output: ReidOutput = model.eval()(nothing)
        for name, part in config.losses.items():
            outputs_of(name, part, output)  # refuses a name that the network does not know
        centred = centre_rates(config.losses, output)
        return cls(
            config=config,
            preprocess=preprocess,
            device=device,
            model=model,
            teacher=teacher,
            projection=projection,
            optimiser=make_optimiser(config, model, projection),
            scaler=torch.amp.GradScaler(device.type, enabled=config.precision == "float16"),
            average=make_average(config),
            centres={
                name: torch.zeros(people, output.features[name].shape[1], device=device) for name in centred
            },
        )

    def step(
        self, forward: Callable[[Tensor], ReidOutput], batch: Batch, view: int, epoch: float, lr: float
    ) -> dict[str, float]:
        """Learn from one batch.

        Args:
            forward: The network, or what it was compiled to.
            batch: What it sees.
            view: Which augmented view the batch shows.
            epoch: When this is; parts of the loss may begin late or end early.
            lr: The rate of this step.

        Returns:
            The parts of the loss, weighted. Where their sum is not finite nothing was learnt.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad()
        values: dict[str, float] = {}
        for part in batch.groups():
            output, parts = self._outputs_and_losses(forward, part, view, epoch)
            if not parts:
                continue
            share = len(part.labels) / len(batch.labels)
            loss = torch.stack(list(parts.values()))
            for name, value in zip(parts, loss.tolist(), strict=True):
                values[name] = values.get(name, 0.0) + share * value
            if not loss.detach().sum().isfinite():
                return values
            torch.autograd.backward(self.scaler.scale(loss.sum() * share))
            self._move_centres(output, part.labels.to(self.device))
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if isinstance(self.average, Ema):
            self.average.update(self.model.state_dict())
        return values

    def _outputs_and_losses(
        self, forward: Callable[[Tensor], ReidOutput], batch: Batch, view: int, epoch: float
    ) -> tuple[ReidOutput, dict[str, Tensor]]:
        """Of one forward pass; the parts of the loss are weighted."""
        precision = self.config.precision
        outputs = []
        for part in batch.images:
            images = network_input(part.to(self.device, non_blocking=True), self.preprocess)
            with torch.autocast(self.device.type, getattr(torch, precision), precision != "float32"):
                outputs.append(forward(images))
        output = joined(outputs)
        labels = batch.labels.to(self.device)
        known = {kind: values.to(self.device) for kind, values in batch.known.items()}
        parts = loss_parts(self.config.losses, output, labels, self.centres, epoch, known)
        if self.config.mutual is not None:
            parts |= mutual_parts(self.config.mutual, output)
        if self.config.distillation is not None and self.teacher is not None:
            assert self.projection is not None
            targets = self.teacher.targets(batch, view)
            parts |= distillation_parts(
                self.config.distillation, output, targets, self.teacher.bank, self.projection
            )
        return output, parts

    def _move_centres(self, output: ReidOutput, labels: Tensor) -> None:
        somebody = labels != NOBODY
        self.centres = {
            name: moved_centres(
                output.features[name].float()[somebody], labels[somebody], self.centres[name], rate
            )
            for name, rate in centre_rates(self.config.losses, output).items()
        }

    def embed_all(self, pictures: TrainingPictures) -> EmbeddingArray:
        """(N, D) embeddings of all training pictures, not augmented, by the network as it is now."""
        return embed_with(self.model, self.preprocess, self.device)(list(pictures.images))

    def is_finite(self) -> bool:
        """Whether every weight is."""
        return all(bool(value.isfinite().all()) for value in self.model.state_dict().values())

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "projection": self.projection.state_dict() if self.projection is not None else {},
            "average": self.average.state() if self.average is not None else {},
            "centres": self.centres,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that `state` gave.

        Raises:
            ReuniteError: It learnt from a teacher whose embeddings have another length, or the
                weights of its network have other names or shapes.
        """
        if self.projection is not None:
            began, now = (len(it["weight"]) for it in (state["projection"], self.projection.state_dict()))
            if began != now:
                raise ReuniteError(
                    f"distillation.teacher: the run began with embeddings of {began} numbers, this one's "
                    f"have {now}; put the teacher back or start a new run"
                )
        had, has = (
            {name: value.shape for name, value in weights.items()}
            for weights in (state["model"], self.model.state_dict())
        )
        if had != has:
            other = min(name for name in had.keys() | has.keys() if had.get(name) != has.get(name))
            raise ReuniteError(
                f"the run began with another program, whose network differs in {other}; go on with that one, "
                "or start a new run with model.start_from=its weights.safetensors"
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.projection is not None:
            self.projection.load_state_dict(state["projection"])
        if self.average is not None:
            self.average.restore({name: value.to(self.device) for name, value in state["average"].items()})
        centres = state["centres"]
        if isinstance(centres, list):  # of a run that began when heads had no names
            centres = dict(zip(self.centres, centres, strict=True))
        self.centres = {name: centre.to(self.device) for name, centre in centres.items()}
