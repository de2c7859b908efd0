"""The training from beginning to end, on drawn people."""

import csv
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from reid import train as training
from reid.augment import Augmenter
from reid.checkpoint import load_model, save_weights
from reid.config import AugmentConfig, TrainConfig
from reid.data import open_dataset
from reid.errors import ReidError
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.runtime import open_embedder
from reid.schedule import learning_rate
from reid.training_pictures import augmented_batches, network_input, read_training_pictures
from reid.training_state import load_training_state

PEOPLE, PICTURES = 6, 4
TINY: dict[str, Any] = {"stem_width": 8, "widths": [16, 16, 16], "repeats": [1, 1, 1], "head_length": 8}


def draw_person(person: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shirt and trousers of fixed colours for each person, somewhere near the middle, with noise."""
    shirt, trousers = np.random.default_rng(person).integers(0, 256, (2, 3))
    image = np.full((64, 32, 3), 90, np.uint8)
    left, top = rng.integers(4, 9, 2)
    image[top : top + 24, left : left + 18] = shirt
    image[top + 24 : 60, left + 2 : left + 16] = trousers
    return np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


def draw_market(root: Path, first_person: int = 1) -> str:
    """Six people to train on and three others to find, each by two cameras."""
    rng = np.random.default_rng(0)
    for part, people in (
        ("bounding_box_train", range(first_person, first_person + PEOPLE)),
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


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config(data: str, **changes: Any) -> TrainConfig:
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


def run(folder: Path, settings: TrainConfig) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    training.train(settings, folder)
    return folder


def weights(run_folder: Path, file: str = "weights.safetensors") -> dict[str, bytes]:
    """The bits of each tensor; the order of a safetensors header is not fixed."""
    tensors = safetensors.torch.load_file(run_folder / file)
    return {name: value.numpy().tobytes() for name, value in tensors.items()}


CYCLES = {"cycles": {"count": 2, "epochs": 1, "lr": 0.01}, "average": {"kind": "swag", "samples": 2}}
EVERYTHING: list[dict[str, Any]] = [
    {"average": {"kind": "ema", "decay": 0.9}},
    {"optimiser": {"kind": "adamw"}, "losses": {"centre": {"weight": 0.001}}},
    CYCLES,
]


@pytest.mark.parametrize("changes", EVERYTHING, ids=["ema", "adamw and centres", "swag"])
def test_a_resumed_run_ends_at_the_same_bits(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    settings = config(market, **changes)
    whole = run(tmp_path / "whole", settings)
    cut = tmp_path / "cut"

    def killed(settings: TrainConfig, epoch: float) -> float:
        if epoch > 1.5:
            raise KeyboardInterrupt
        return learning_rate(settings, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(training, "learning_rate", killed)
        with pytest.raises(KeyboardInterrupt):
            run(cut, settings)
    assert len(load_training_state(cut / "checkpoint.pt")["rows"]) == 1
    run(cut, settings)
    files = sorted(path.name for path in whole.glob("*.safetensors"))
    assert files == sorted(path.name for path in cut.glob("*.safetensors"))
    assert [name for name in files if weights(whole, name) != weights(cut, name)] == []


def test_seeds_make_runs_equal_or_different(market: str, tmp_path: Path) -> None:
    first, second = (run(tmp_path / name, config(market, seed=5)) for name in "ab")
    other = run(tmp_path / "c", config(market, seed=6))
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


def test_twenty_steps_lower_the_loss_and_find_strangers(market: str, tmp_path: Path) -> None:
    changes = {
        "schedule": {"kind": "cosine", "epochs": 7, "lr": 0.02, "warmup_epochs": 0},
        "batch": {"people": 4, "pictures": 2},
        "augment": {"pad_px": 2, "erasing": {"probability": 0}},
        "optimiser": {"kind": "adamw"},
    }
    folder = run(tmp_path / "run", config(market, **changes))
    with (folder / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(number) for number in range(1, 8)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["cross_entropy"]) < 0.98 * float(rows[0]["cross_entropy"])
    parts = float(rows[0]["cross_entropy"]) + float(rows[0]["batch_soft_triplet"])
    assert parts == pytest.approx(float(rows[0]["loss"]))
    assert rows[0]["mAP"] == ""
    assert float(rows[-1]["mAP"]) > 0.6  # a random order of three people would reach about 0.4
    assert cv2.imread(str(folder / "curves.png")) is not None


def test_the_result_is_opened_by_the_runtime(market: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", config(market, **CYCLES))
    for file in ("weights", "averaged", "sample1", "sample2"):
        embedder = open_embedder(folder / f"{file}.safetensors", "pytorch")
        found = embedder.embed([np.zeros((9, 5, 3), np.uint8)])
        assert found.shape == (1, 16)
        assert np.isfinite(found).all()
    mean, first, second = (
        weights(folder, f"{file}.safetensors") for file in ("averaged", "sample1", "sample2")
    )
    assert mean != first != second != mean
    assert load_model(folder / "weights.safetensors")[2]["epochs"] == 4


def test_the_teacher_looks_once_and_is_copied(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    model = build_model("robust-reid-025x", **TINY)
    preprocess = Preprocess(160, 64)
    save_weights(tmp_path / "teacher.safetensors", model, "robust-reid-025x", TINY, preprocess, {})
    changes = {
        "distillation": {"teacher": str(tmp_path / "teacher.safetensors"), "distances": 5.0},
        "losses": {"cross_entropy": {"weight": 0}, "metric": {"weight": 0}},
        "schedule": {"kind": "cosine", "epochs": 6, "lr": 0.01, "warmup_epochs": 1},
        "optimiser": {"kind": "adamw"},
    }
    first = run(tmp_path / "runs" / "first", config(market, **changes))
    with (first / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["teacher_distances"]) > 0
    assert float(rows[-1]["teacher_embeddings"]) < 0.6 * float(rows[0]["teacher_embeddings"])
    assert float(rows[-1]["loss"]) < 0.85 * float(rows[0]["loss"])

    def refuse(*arguments: object, **settings: object) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr("reid.distillation.open_embedder", refuse)
    second = run(tmp_path / "runs" / "second", config(market, **changes))
    assert weights(first) == weights(second)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "learning_rate", lambda settings, epoch: 1e-3 if epoch <= 1 else 1e30)
    with pytest.raises(ReidError) as error:
        run(tmp_path / "run", config(market))
    message = str(error.value)
    assert "epoch 2, batch" in message
    assert "checkpoint.pt holds the end of epoch 1" in message
    assert message.count("market1501:bounding_box_train/") == 6
    state = load_training_state(tmp_path / "run" / "checkpoint.pt")
    assert len(state["rows"]) == 1
    assert all(value.isfinite().all() for value in state["model"].values())


def test_weights_ruined_by_the_last_step_of_an_epoch_are_not_kept(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "learning_rate", lambda settings, epoch: 1e-3 if epoch < 1 else np.inf)
    with pytest.raises(ReidError, match="no epoch was finished"):
        run(tmp_path / "run", config(market))
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize("kind", ["batch_hard_triplet", "improved_triplet", "quadruplet", "contrastive"])
def test_other_metric_losses_train(market: str, tmp_path: Path, kind: str) -> None:
    losses = {"metric": {"kind": kind, "margin": 0.3}}
    folder = run(tmp_path / "run", config(market, losses=losses))
    assert kind in (folder / "log.csv").read_text(encoding="utf-8").splitlines()[0]


def test_bfloat16_trains(market: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", config(market, precision="bfloat16"))
    state = load_training_state(folder / "checkpoint.pt")
    assert all(value.dtype != torch.bfloat16 for value in state["model"].values())


def test_float16_needs_a_gpu(market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ReidError, match="float16 needs a GPU"):
        run(tmp_path / "run", config(market, precision="float16"))


def test_joined_datasets_share_nobody(market: str, tmp_path: Path) -> None:
    other = draw_market(tmp_path / "other")
    joined = read_training_pictures([open_dataset(market), open_dataset(other)], Preprocess(32, 16))
    assert joined.people == 2 * PEOPLE
    assert len(joined) == 2 * PEOPLE * PICTURES
    assert joined.labels.tolist() == np.repeat(np.arange(2 * PEOPLE), PICTURES).tolist()


def test_people_in_folders_train_without_cameras(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    for person in range(4):
        folder = tmp_path / "mine" / f"person {person}"
        folder.mkdir(parents=True)
        for number in range(1 + person):
            cv2.imwrite(str(folder / f"{number}.png"), draw_person(person, rng))
    with caplog.at_level(logging.WARNING):
        folder = run(tmp_path / "run", config(f"folder={tmp_path / 'mine'}"))
    assert "no camera numbers to train with" in caplog.text
    assert (folder / "weights.safetensors").exists()
    assert "mAP" not in (folder / "log.csv").read_text(encoding="utf-8")


def test_unreadable_pictures_are_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = draw_market(tmp_path / "market")
    train = sorted((tmp_path / "market" / "bounding_box_train").iterdir())
    train[0].write_bytes(b"")
    train[5].write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        pictures = read_training_pictures([open_dataset(market)], Preprocess(32, 16))
    assert len(pictures) == PEOPLE * PICTURES - 2
    assert train[0].name in caplog.text
    assert train[5].name in caplog.text
    assert "2 of 24 training pictures cannot be read" in caplog.text
    assert train[0].name not in [Path(pictures.name(row)).name for row in range(len(pictures))]


def test_a_batch_that_cannot_be_filled_is_refused(market: str, tmp_path: Path) -> None:
    with pytest.raises(ReidError, match="a batch of 7 people cannot be filled: the training set has 6"):
        run(tmp_path / "run", config(market, batch={"people": 7}))


def test_other_data_than_the_run_began_with_is_refused(tmp_path: Path) -> None:
    market = draw_market(tmp_path / "market")
    folder = run(tmp_path / "run", config(market))
    next((tmp_path / "market" / "bounding_box_train").iterdir()).unlink()
    with pytest.raises(ReidError, match="began with 24 pictures of 6 people, the data now has 23 of 6"):
        run(folder, config(market))


def test_input_on_the_device_is_that_of_preprocessing() -> None:
    preprocess = Preprocess(8, 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 4, 3), np.uint8)
    found = network_input(torch.from_numpy(images), preprocess)
    np.testing.assert_allclose(found.numpy(), preprocess.normalise(images), atol=1e-6)


def test_batches_come_in_order_and_as_drawn_alone(market: str) -> None:
    pictures = read_training_pictures([open_dataset(market)], Preprocess(32, 16))
    augment = Augmenter(AugmentConfig(pad_px=3), (1, 2, 3))
    rows = [[index, index + 1] for index in range(20)]
    batches = list(augmented_batches(pictures, rows, augment, seed=1, epoch=2))
    assert [batch.rows.tolist() for batch in batches] == rows
    assert batches[7].labels.tolist() == pictures.labels[[7, 8]].tolist()
    rng = np.random.default_rng((1, 2, 7))
    alone = [augment(pictures.images[row], rng) for row in (7, 8)]
    assert np.array_equal(batches[7].images.numpy(), np.stack(alone))
    again = augmented_batches(pictures, rows, augment, seed=1, epoch=3)
    assert not np.array_equal(next(iter(again)).images.numpy(), batches[0].images.numpy())


def test_the_command_makes_a_new_folder_each_time_and_resumes(
    market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: tiny\nevaluate_every: 0\nmodel: {{name: robust-reid-025x, settings: {TINY}}}\n"
        "batch: {people: 3, pictures: 2}\nschedule: {kind: cosine, epochs: 5, lr: 0.001}\n".replace("'", ""),
        encoding="utf-8",
    )
    runs = ["--runs", str(tmp_path / "runs")]
    start = [str(recipe), "--data", market, "--set", "schedule.epochs=1", *runs]
    assert training.main(start) == 0
    assert training.main(start) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny", "tiny2"]
    assert "epoch 1.00/1 loss" in capsys.readouterr().err
    before = weights(tmp_path / "runs" / "tiny")
    assert training.main(["--resume", str(tmp_path / "runs" / "tiny")]) == 0
    assert weights(tmp_path / "runs" / "tiny") == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a recipe"),
        (["missing.yaml"], "missing.yaml: cannot read the configuration"),
        (["--resume", "nowhere"], "nowhere/config.yaml: cannot read"),
        (["--resume", "run", "--set", "seed=1"], "goes on as the run was configured"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert training.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_pickle_is_not_a_training_state(tmp_path: Path) -> None:
    torch.save({"version": 1, "code": Path("x")}, tmp_path / "checkpoint.pt")
    with pytest.raises(ReidError, match="cannot read the training state"):
        load_training_state(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"cut")
    with pytest.raises(ReidError, match="cannot read the training state"):
        load_training_state(tmp_path / "checkpoint.pt")
