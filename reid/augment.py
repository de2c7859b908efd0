"""What happens to a training picture each time it is shown: uint8 in and out, one generator for all."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from foundation.arrays import Image
from reid.autoaugment import auto_augment
from reid.config import AugmentConfig, ErasingConfig
from reid.degrade import blur, change_light, compress, dress, lower_resolution, mix, rescale, surround

ERASING_TRIES = 100
"""A rectangle that does not fit is drawn anew this often; then the picture stays whole."""


class Augmenter:
    """Another box, mirror, AutoAugment, colours, another camera, shift, erasing: in this order, by chance."""

    def __init__(self, config: AugmentConfig, fill: Sequence[int]) -> None:
        """``fill`` is the colour of erased rectangles: the mean of the data, which is 0 for the network."""
        self._config, self._fill = config, np.array(fill, np.uint8)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """A changed copy of an (H, W, 3) BGR picture, of the same size, drawn from ``rng`` alone."""
        config = self._config
        if config.scale:
            image = rescale(image, config.scale, rng)
        if rng.random() < config.flip_probability:
            image = image[:, ::-1]
        if rng.random() < config.autoaugment_probability:
            image = auto_augment(np.ascontiguousarray(image), rng)
        if rng.random() < config.jitter_probability:
            image = jitter_colours(image, config.jitter, rng)
        image = self._as_another_camera(image, rng)
        image = shift(image, config.pad_px, rng) if config.pad_px else image.copy()
        if rng.random() < config.erasing.probability:
            erase(image, config.erasing, self._fill, rng)
        return image

    def at(self, epoch: float) -> "Augmenter":
        """The same, as hard as it is then."""
        erasing = self._config.erasing
        if epoch >= erasing.grow_epochs:
            return self
        grown = erasing.min_area + (erasing.max_area - erasing.min_area) * epoch / erasing.grow_epochs
        config = self._config.model_copy(update={"erasing": erasing.model_copy(update={"max_area": grown})})
        return Augmenter(config, self._fill.tolist())

    def mixed(self, image: Image, others: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Image, bool]:
        """A picture, by chance with something of ``others`` (N, H, W, 3), and whether it shows nobody now."""
        nobody = False
        for probability, change in (
            (self._config.dress_probability, dress),
            (self._config.surround_probability, surround),
            (self._config.mix_probability, mix),
        ):
            if probability and rng.random() < probability:
                image, nobody = change(image, others[rng.integers(len(others))], rng), True
        return image, nobody

    def _as_another_camera(self, image: Image, rng: np.random.Generator) -> Image:
        config = self._config
        if config.light_probability and rng.random() < config.light_probability:
            image = change_light(np.ascontiguousarray(image), config.light, rng)
        if config.low_resolution_probability and rng.random() < config.low_resolution_probability:
            image = lower_resolution(image, rng)
        if config.blur_probability and rng.random() < config.blur_probability:
            image = blur(image, rng)
        if config.jpeg_probability and rng.random() < config.jpeg_probability:
            image = compress(image, rng)
        return image


def shift(image: Image, pad_px: int, rng: np.random.Generator) -> Image:
    """A copy moved by up to ``pad_px`` each way, black where nothing was: padding, then a random crop."""
    down, right = (int(move) for move in rng.integers(-pad_px, pad_px + 1, 2))
    height, width = image.shape[:2]
    moved = np.zeros(image.shape, np.uint8)
    moved[max(0, down) : height + down, max(0, right) : width + right] = image[
        max(0, -down) : height - down, max(0, -right) : width - right
    ]
    return moved


def jitter_colours(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A copy of an (H, W, 3) BGR picture with other brightness, contrast and saturation.

    Each is multiplied by a factor from 1 - ``strength`` to 1 + ``strength``. Brightness scales all, contrast
    stretches around the mean grey, saturation around the grey of each pixel.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3).astype(np.float32)
    pixels = image.astype(np.float32) * brightness
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)[:, :, None]
    pixels = (grey + (pixels - grey) * saturation - grey.mean()) * contrast + grey.mean()
    return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)


def erase(image: Image, config: ErasingConfig, fill: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Fill a random rectangle of the picture, with a colour or noise, in place.

    Its area is drawn evenly from the config's range, and so is its aspect, height over width, on a
    logarithmic scale, so that flat and tall rectangles are as frequent.

    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1.
    """
    height, width = image.shape[:2]
    for _ in range(ERASING_TRIES):
        area = rng.uniform(config.min_area, config.max_area) * height * width
        aspect = np.exp(rng.uniform(np.log(config.min_aspect), np.log(config.max_aspect)))
        rows, columns = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < rows < height and 0 < columns < width:
            top, left = rng.integers(0, height - rows), rng.integers(0, width - columns)
            image[top : top + rows, left : left + columns] = (
                rng.integers(0, 256, (rows, columns, 3)) if config.noise else fill
            )
            return
