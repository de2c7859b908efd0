"""People drawn with shirts and trousers, as a data set, and a training so small that it takes a second."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import safetensors.torch
from numpy.typing import NDArray
from rich.console import Console

from reid import training
from reid.config import TrainConfig
from reid.schedule import learning_rate

PEOPLE, PICTURES = 6, 4
"""Of the training set that `draw_market` draws: so many people with so many pictures each."""

TINY: dict[str, Any] = {"stem_width": 8, "widths": [16, 16, 16], "repeats": [1, 1, 1], "head_length": 8}
"""Settings of robust-reid-025x."""


def draw_person(person: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shirt and trousers of fixed colours for each person, somewhere near the middle, with noise."""
    shirt, trousers = np.random.default_rng(person).integers(0, 256, (2, 3))
    image = np.full((64, 32, 3), 90, np.uint8)
    left, top = rng.integers(4, 9, 2)
    image[top : top + 24, left : left + 18] = shirt
    image[top + 24 : 60, left + 2 : left + 16] = trousers
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def draw_market(root: Path) -> str:
    """Six people to train on and three others to find, each by two cameras; gives what ``--data`` takes."""
    rng = np.random.default_rng(0)
    for part, people in (
        ("bounding_box_train", range(1, 1 + PEOPLE)),
        ("query", range(101, 104)),
        ("bounding_box_test", range(101, 104)),
    ):
        (root / part).mkdir(parents=True)
        for person in people:
            for number in range(PICTURES):
                camera = 3 if part == "query" else 1 + number % 2
                name = f"{person:04d}_c{camera}s1_{number:06d}_00.png"
                cv2.imwrite(str(root / part / name), draw_person(person, rng))
    return f"market1501={root}"


def tiny_config(data: str, **changes: Any) -> TrainConfig:
    """Two epochs of four batches or fewer; ``changes`` replace whole sections."""
    values: dict[str, Any] = {
        "name": "tiny",
        "data": [data],
        "evaluate_every": 0,
        "model": {"name": "robust-reid-025x", "settings": TINY},
        "batch": {"people": 3, "pictures": 2},
        "augment": {"jitter_probability": 0.5, "pad_px": 4},
        "schedule": {"kind": "cosine", "epochs": 2, "lr": 0.01, "warmup_epochs": 1},
    }
    return TrainConfig.model_validate(values | changes)


def run(folder: Path, config: TrainConfig, *, curves: bool = False) -> Path:
    """Train in the folder, which need not be there yet, and return it.

    Curves are drawn only for who looks at them: they take longer than so small a training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        if not curves:
            patch.setattr("reid.training_log.write_curves", lambda path, rows: None)
        training.train(config, folder, Console(quiet=True))
    return folder


def run_and_kill(folder: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in the folder as `run` does, and stop in the middle of the second epoch."""

    def killed(settings: TrainConfig, epoch: float) -> float:
        if epoch > 1.5:
            raise KeyboardInterrupt
        return learning_rate(settings, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(training, "learning_rate", killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, config)


def weights(run_folder: Path, file: str = "weights.safetensors") -> dict[str, bytes]:
    """The bits of each tensor; the order of a safetensors header is not fixed."""
    tensors = safetensors.torch.load_file(run_folder / file)
    return {name: value.numpy().tobytes() for name, value in tensors.items()}
