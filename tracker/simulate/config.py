"""What can be set about a simulated world: checked once, frozen."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tracker.config import Section


class DetectionNoise(Section):
    """How the simulated detector errs. The defaults are near YOLOX on MOT17: recall 0.8, precision 0.93."""

    max_recall: float = Field(default=0.98, ge=0, le=1)
    """Share of large, fully visible people that are found."""

    half_recall_visibility: float = Field(default=0.3, gt=0, le=1)
    """Visibility at which half of the large people are found."""

    half_recall_height: float = Field(default=0.06, gt=0, le=1)
    """Height of a person, as a share of the picture's height, at which half of the visible ones are found."""

    jitter: float = Field(default=0.03, ge=0, le=0.5)
    """Standard deviation of a box's centre and size, as a share of its size; more as less is seen."""

    false_boxes_per_frame: float = Field(default=0.25, ge=0)
    """Mean number of boxes a frame that hold nobody."""

    memory_s: float = Field(default=0.3, ge=0)
    """How long a lucky or unlucky moment lasts: misses come in bursts of about this length."""


class SimulationConfig(Section):
    """One simulated world, whole: the same values give the same bytes."""

    cameras: int = Field(default=4, ge=1, le=999)
    people: int = Field(default=20, ge=1, le=100_000)
    seconds: float = Field(default=60.0, gt=0)
    seed: int = Field(default=1, ge=0)

    layout: Literal["separate", "overlapping"] = "separate"
    """One room for each camera with unseen corridors between, or one room that all cameras look into."""

    frame_rate: float = Field(default=25.0, gt=0, le=240)
    width: int = Field(default=640, ge=64, le=7680, multiple_of=2)
    height: int = Field(default=360, ge=64, le=4320, multiple_of=2)
    """Pixels; even, as H.264 with 4:2:0 colour wants."""

    video: bool = True
    """Draw and encode the pictures; without them only the text files are written, a hundred times faster."""

    crops_every_s: float = Field(default=0.0, ge=0)
    """Seconds from one crop of a person by a camera to the next, written to people/ with joints and
    attributes; 0 writes none."""

    detection: DetectionNoise = DetectionNoise()

    @property
    def is_drawn(self) -> bool:
        """Whether pictures are needed."""
        return self.video or self.crops_every_s > 0

    @property
    def frames(self) -> int:
        """Frames of each camera."""
        return max(1, round(self.seconds * self.frame_rate))

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if not 1 / 3 <= self.width / self.height <= 3:
            raise ValueError(
                f"a picture of {self.width}x{self.height} is more than three times as long as wide"
            )
        return self
