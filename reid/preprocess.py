"""What a network expects of a picture: one object shared by training, judging and the tracker."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.errors import ReuniteError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MIN_SIDE = 32
"""No side of a picture becomes shorter: networks halve it five times."""

PREPROCESS_KEY = "reunite_preprocess"
"""In the metadata of our ONNX, OpenVINO and TorchScript files: a `Preprocess` as JSON."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """From BGR pictures of any size to the input of a network.

    Attributes:
        height: Rows of the network's input.
        width: Columns of the network's input.
        mean: Of red, green and blue, in [0, 1].
        std: Of red, green and blue, above 0.
        keep_aspect: Pictures keep their proportions: the larger side becomes the larger of height and width,
            and only pictures of equal size go together.
    """

    height: int
    width: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    keep_aspect: bool = False

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        if not all(type(side) is int and side > 0 for side in sides):
            raise ReuniteError(f"preprocess: height and width must be whole numbers above 0, got {sides}")
        for name, lowest in (("mean", -np.inf), ("std", 0.0)):
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape != (3,) or not (np.isfinite(values) & (values > lowest)).all():
                above = " above 0" if name == "std" else ""
                raise ReuniteError(f"preprocess: {name} must be three numbers{above}, got {values.tolist()}")

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Resize and normalise.

        Args:
            images: N pictures, each (H, W, 3) BGR of any size.

        Returns:
            (N, 3, height, width) RGB, normalised. N may be 0.

        Raises:
            ReuniteError: A picture is empty, or is not (H, W, 3) of uint8, or has another size than the
                others in the end; its place is named.
        """
        resized = np.empty((len(images), *self._size(images[0] if len(images) else None), 3), np.uint8)
        for place, image in enumerate(images):
            try:
                made = self.resize(image)
            except ReuniteError as error:
                raise ReuniteError(f"picture {place} of {len(images)}: {error}") from None
            if made.shape != resized.shape[1:]:
                raise ReuniteError(
                    f"picture {place} of {len(images)}: has other proportions than the first; this network "
                    "takes pictures as they are, one at a time"
                )
            resized[place] = made
        return self.normalise(resized)

    def _size(self, image: NDArray[np.uint8] | None) -> tuple[int, int]:
        """Height and width that a picture gets; at least `MIN_SIDE`."""
        if not self.keep_aspect or image is None or 0 in image.shape:
            return self.height, self.width
        scale = max(self.height, self.width) / max(image.shape[:2])
        height, width = (max(MIN_SIDE, round(side * scale)) for side in image.shape[:2])
        return height, width

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One (H, W, 3) picture as (height, width, 3), its proportions not kept unless ``keep_aspect``.

        Pixels are averaged where both sides shrink, so that no stripe of a shirt falls between
        samples, and interpolated otherwise.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ReuniteError(
                f"a picture must be uint8 of shape (H, W, 3) with H and W above 0, "
                f"got {image.dtype} of shape {image.shape}"
            )
        height, width = self._size(image)
        if image.shape[:2] == (height, width):
            return image
        shrinks = image.shape[0] >= height and image.shape[1] >= width
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (width, height), interpolation=method).astype(np.uint8, copy=False)

    def normalise(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, height, width, 3) BGR as (N, 3, height, width) RGB with ``mean`` and ``std`` taken out."""
        planes = pictures[..., ::-1].transpose(0, 3, 1, 2)
        std = np.asarray(self.std, np.float32)[:, None, None]
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        out = np.empty(planes.shape, np.float32)
        np.multiply(planes, 1 / (255 * std), out=out)
        out -= mean / std
        return out

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; ``from_dict`` reads it back."""
        return {name: it for name, it in asdict(self).items() if name != "keep_aspect" or it}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What ``to_dict`` gave.

        Raises:
            ReuniteError: A key is missing or unknown, or a value cannot be.
        """
        if {*values, "keep_aspect"} != set(cls.__dataclass_fields__):
            raise ReuniteError(
                "preprocess: needs exactly height, width, mean, std (and keep_aspect where it is true), "
                f"got {', '.join(map(str, values)) or 'nothing'}"
            )
        try:
            mean, std = (tuple(float(part) for part in values[name]) for name in ("mean", "std"))
        except (TypeError, ValueError):
            raise ReuniteError(
                f"preprocess: mean and std must be three numbers, got {values['mean']} and {values['std']}"
            ) from None
        return cls(values["height"], values["width"], mean, std, bool(values.get("keep_aspect", False)))  # type: ignore[arg-type]


DEFAULT = Preprocess(height=160, width=64)
"""Input of Robust-ReID and HA-CNN."""
