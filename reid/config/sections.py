"""The sections of a training's configuration: what can be set, its default and its bounds."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from foundation.config import Section
from reid.config.losses import Losses
from reid.config.schedules import CosineSchedule, CyclesConfig, ExponentialSchedule, StepsSchedule


class ModelConfig(Section):
    """Which network is trained."""

    name: str
    """A name that `reid.models.build_model` knows."""

    settings: dict[str, Any] = Field(default={})
    """What ``build_model`` takes beside the name, such as another width."""

    start_from: str | tuple[str, ...] | None = None
    """A .safetensors of this project whose weights the network begins with, where names and shapes agree, or
    several, of which the last that has a weight gives it; classifiers always begin anew. Null is random
    weights."""

    imagenet: str | None = None
    """Where resnet50-bnneck starts: a .pth or .safetensors file, or ``download`` for torchvision's.

    Null is random weights, as for every other network."""


class BatchConfig(Section):
    """What one step sees: P people with K pictures each."""

    people: int = Field(default=8, ge=2)
    """Robust-ReID takes 8 people with 4 pictures, section 4."""

    pictures: int = Field(default=4, ge=2)
    """Of each person; whoever has fewer is shown some of them twice."""

    triplets: int = Field(default=0, ge=0)
    """Above 0 a batch is this many triplets instead: two pictures of one person and one of another. The
    network sees one picture after the other, of any size, and gradients are summed up to the batch."""

    hard_negatives: int = Field(default=25, ge=0)
    """Of triplets: the other picture is one of this many nearest ones of all people, by the network as it is
    when the epoch begins; 0 takes any. Short epochs look anew more often."""

    steps: int = Field(default=0, ge=0)
    """Of triplets: batches of an epoch; 0 is as many as see as many pictures as there are."""

    shares: dict[str, float] = Field(default={})
    """Share of each data set in a batch, by its name; they add up to 1. Without any, people of all data sets
    are drawn alike, and pictures without identities in proportion to their number."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shares and not (min(self.shares.values()) > 0 and abs(sum(self.shares.values()) - 1) < 1e-6):
            raise ValueError(f"shares must be above 0 and add up to 1, got {self.shares}")
        if self.triplets and self.shares:
            raise ValueError("triplets are drawn from all data sets alike: leave shares out")
        if self.steps and not self.triplets:
            raise ValueError("steps counts batches of triplets: set triplets, or leave steps out")
        return self


class ErasingConfig(Section):
    """Random erasing (Zhong et al. 2017, arXiv:1708.04896); defaults of Robust-ReID, section 3.1."""

    probability: float = Field(default=0.5, ge=0, le=1)
    """Share of the pictures that lose a rectangle."""

    min_area: float = Field(default=0.02, gt=0, le=1)
    """Smallest share of the picture that is erased."""

    max_area: float = Field(default=0.4, gt=0, le=1)
    """Largest share of the picture that is erased."""

    min_aspect: float = Field(default=0.3, gt=0)
    """Height over width of the flattest rectangle."""

    max_aspect: float = Field(default=3.3, gt=0)
    """Height over width of the tallest rectangle."""

    noise: bool = False
    """What is erased becomes noise, as cut-out of "Re-ID done right" has it, not the mean colour."""

    grow_epochs: float = Field(default=0.0, ge=0)
    """Until then the largest area grows from the smallest to ``max_area``, so that pictures become harder."""


class AugmentConfig(Section):
    """How a training picture is changed each time it is shown."""

    flip_probability: float = Field(default=0.5, ge=0, le=1)
    """Share of the pictures that are mirrored."""

    pad_px: int = Field(default=10, ge=0)
    """The picture moves by up to this many pixels of the network's input; what comes in is black."""

    jitter_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures whose colours change."""

    jitter: float = Field(default=0.2, ge=0, lt=1)
    """Brightness, contrast and saturation are each multiplied by 1 - this to 1 + this."""

    size: tuple[int, int] | None = None
    """Height and width at which pictures are kept and changed, and which a teacher sees; null is the size of
    the network's input. The network gets them at that size in the end."""

    scale: float = Field(default=0.0, ge=0, lt=1)
    """The picture is drawn larger or smaller by up to this share, its two sides not quite alike."""

    light_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that get the light of another camera: a gain a channel, gamma, saturation."""

    light: float = Field(default=0.4, ge=0, lt=1)
    """How far gains and gamma go: from 1 / (1 + this) to 1 + this."""

    low_resolution_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that are made small, down to 32 rows, and large again."""

    blur_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that are out of focus, or moved while they were taken."""

    jpeg_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that are compressed at a quality of 15 to 60."""

    mix_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that get a part of another one, or are blended with it. They show nobody, so only
    a teacher that sees them says what they are."""

    dress_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures whose people get other clothes: other colours, or the legs of another picture.
    They show nobody, as those that are mixed."""

    surround_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures whose people stand in front of what is beside somebody in another picture. They
    show nobody either, as the outline is rough."""

    autoaugment_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that go through AutoAugment's ImageNet policy."""

    erasing: ErasingConfig = ErasingConfig()


class DistillationConfig(Section):
    """Learning from a network that is better already."""

    teacher: str | tuple[str, ...]
    """A file that `reid.runtime.open_embedder` opens, or several: cosines are the mean of theirs."""

    convention: str | None = None
    """How a teacher that does not say it itself wants its pictures: a name in `reid.runtime.CONVENTIONS`."""

    sees_augmented: bool = False
    """Whether the teacher looks at each picture as the student does, augmented and in every step, not only
    once as it lies there: consistent teaching (Beyer et al. 2022, arXiv:2106.05237), at its cost."""

    views: int = Field(default=0, ge=0)
    """With ``sees_augmented``: each picture has this many augmented views, epoch e shows view e modulo this,
    and what the teacher says of each is kept beside the run, for later epochs and other students. 0: no end
    of views, none kept."""

    keep_pictures: bool = False
    """With ``views``: the pictures of each view are kept as well, at the size of the network's input, so that
    nothing is augmented twice. At 160x64 they take 31 kB each: 8 GB for ten views of 27,000."""

    distances: float = Field(default=1.0, ge=0)
    """Share of the loss that copies the cosine distances between the pictures of a batch."""

    embeddings: float = Field(default=1.0, ge=0)
    """Share of the loss that copies the embeddings, through a linear layer that is dropped afterwards."""

    neighbours: float = Field(default=0.0, ge=0)
    """Share of the loss that copies which of all training pictures are near, through the same layer."""

    neighbours_temperature: float = Field(default=0.05, gt=0)
    """Cosines are divided by it before softmax; the smaller, the fewer neighbours count."""


class MutualConfig(Section):
    """Other networks that are trained on the same batches, each learning from what the others say."""

    models: tuple[ModelConfig, ...] = Field(min_length=1)
    """The students beside ``model``, which alone is kept; every loss acts on all of them."""

    classes: float = Field(default=1.0, ge=0)
    """Share of the loss that copies the classes (Zhang et al. 2017, arXiv:1706.00384)."""

    distances: float = Field(default=1.0, ge=0)
    """Share of the loss that copies the distances in the batch (reid-tutorial, metric mutual learning)."""

    ranks_soft: float = Field(default=0.0, ge=0)
    """Share of the loss that copies who is nearer, all orders weighed (DarkRank, arXiv:1707.01220)."""

    ranks_hard: float = Field(default=0.0, ge=0)
    """Share of the loss that copies the one order that the other sees (DarkRank)."""


class SgdConfig(Section):
    """Stochastic gradient descent with Nesterov momentum."""

    kind: Literal["sgd"] = "sgd"

    momentum: float = Field(default=0.9, gt=0, lt=1)
    """The usual value."""

    weight_decay: float = Field(default=5e-4, ge=0)
    """The value of Bag of Tricks; biases, norms and GeM's powers have none."""


class AdamConfig(Section):
    """Adam; weight decay is part of the gradient."""

    kind: Literal["adam"] = "adam"

    weight_decay: float = Field(default=5e-4, ge=0)
    """The value of Bag of Tricks; biases, norms and GeM's powers have none."""


class AdamWConfig(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"

    weight_decay: float = Field(default=5e-4, ge=0)
    """Biases, norms and GeM's powers have none."""


class NoAverage(Section):
    """The weights of the last step are the result."""

    kind: Literal["none"] = "none"


class EmaAverage(Section):
    """Exponential moving average of all weights, after each step."""

    kind: Literal["ema"] = "ema"

    decay: float = Field(default=0.999, gt=0, lt=1)
    """How much of the average stays at each step."""


class SwaAverage(Section):
    """Mean of the weights at the end of each cycle (Izmailov et al. 2018, arXiv:1803.05407)."""

    kind: Literal["swa"] = "swa"


class SwagAverage(Section):
    """SWA with the variance of each weight (Maddox et al. 2019, arXiv:1902.02476)."""

    kind: Literal["swag"] = "swag"

    samples: int = Field(default=0, ge=0)
    """This many networks drawn from the Gaussian are written beside the mean, to embed with all of them."""


TWO_PICTURES = ("mix_probability", "dress_probability", "surround_probability")
"""What of `AugmentConfig` makes one picture of two."""

MOVE_PICTURES = ("flip_probability", "pad_px", "scale", *TWO_PICTURES, "autoaugment_probability")
"""What of `AugmentConfig` moves what a picture shows."""


class TrainConfig(Section):
    """One training from beginning to end."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """What the folder of the run is called."""

    data: tuple[str, ...] = ()
    """``kind=path`` of each dataset, as `reid.data.open_dataset` reads it; usually given by ``--data``."""

    seed: int = Field(default=0, ge=0)
    """Two runs with the same seed on one machine are equal."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the convolutions; the losses are always float32. float16 needs a GPU."""

    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 leaves it to PyTorch."""

    compile: bool = False
    """Compile the network before training: a few minutes first, then a fifth faster on a CPU. Needs a C++
    compiler."""

    evaluate_every: int = Field(default=10, ge=0)
    """Epochs from one judgement on the test people, who are never trained on, to the next; 0 judges after the
    last only."""

    model: ModelConfig
    batch: BatchConfig = BatchConfig()
    augment: AugmentConfig = AugmentConfig()
    losses: Losses = Field(default={}, validate_default=True)
    """What is minimised: parts by name, summed. Unless their weight is 0, ``cross_entropy`` and ``metric`` (a
    batch-soft triplet) are among them, on all outputs."""

    distillation: DistillationConfig | None = None
    mutual: MutualConfig | None = None
    optimiser: Annotated[SgdConfig | AdamConfig | AdamWConfig, Field(discriminator="kind")] = SgdConfig()
    """How a step changes the weights."""

    schedule: Annotated[StepsSchedule | CosineSchedule | ExponentialSchedule, Field(discriminator="kind")]
    """How the learning rate goes over the epochs."""

    cycles: CyclesConfig | None = None
    average: Annotated[NoAverage | EmaAverage | SwaAverage | SwagAverage, Field(discriminator="kind")] = (
        NoAverage()
    )
    """Which weights of many epochs become one network."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        teacher = self.distillation
        taught = teacher is not None and (teacher.distances or teacher.embeddings or teacher.neighbours)
        joined = [name for name in TWO_PICTURES if getattr(self.augment, name)]
        if joined and not (teacher is not None and teacher.sees_augmented):
            raise ValueError(
                f"augment.{joined[0]}: only a teacher that sees augmented pictures can say what one made of "
                "two shows: set distillation.sees_augmented=true"
            )
        if teacher is not None and teacher.views and self.augment.erasing.grow_epochs:
            raise ValueError(
                "augment.erasing.grow_epochs: a view looks the same in every epoch; leave one out"
            )
        if teacher is not None and teacher.keep_pictures and not (teacher.views and teacher.sees_augmented):
            raise ValueError(
                "distillation.keep_pictures: set views and sees_augmented, or there is no view to keep"
            )
        if teacher is not None and teacher.keep_pictures and self.batch.triplets:
            raise ValueError(
                "distillation.keep_pictures: triplets are augmented one at a time; leave one out"
            )
        moved = [name for name in MOVE_PICTURES if getattr(self.augment, name)]
        if moved and any(loss.weight and loss.kind == "key_points" for loss in self.losses.values()):
            raise ValueError(
                f"augment.{moved[0]}: key points do not move with the picture; set it to 0 to learn them"
            )
        if not taught and not any(part.weight for part in self.losses.values()):
            raise ValueError("losses: every weight is 0, so nothing is learnt; give one, or a teacher")
        if isinstance(self.average, SwaAverage | SwagAverage) and self.cycles is None:
            raise ValueError(
                f"average.kind {self.average.kind} averages at the end of each cycle: set cycles"
            )
        return self

    @property
    def epochs(self) -> int:
        """Passes over the training set in all."""
        return self.schedule.epochs + (self.cycles.count * self.cycles.epochs if self.cycles else 0)
