"""The training from beginning to end, on drawn people."""

import csv
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torchvision
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid import learner, train
from reid.augment import Augmenter
from reid.checkpoint import load_model, save_weights
from reid.config import AugmentConfig, TrainConfig, load_config
from reid.data import open_dataset
from reid.models import build_model
from reid.models.resnet50 import Resnet50
from reid.preprocess import Preprocess
from reid.runtime import open_embedder
from reid.training_pictures import augmented_batches, network_input, read_training_pictures
from reid.training_state import load_training_state, save_training_state
from tests.drawn_people import (
    PEOPLE,
    PICTURES,
    TINY,
    draw_market,
    draw_person,
    run,
    run_and_kill,
    tiny_config,
    weights,
)

RECIPES = Path(__file__).resolve().parents[1] / "configs" / "reid"


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


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
    settings = tiny_config(market, **changes)
    whole = run(tmp_path / "whole", settings)
    cut = tmp_path / "cut"
    run_and_kill(cut, settings, monkeypatch)
    assert len(load_training_state(cut / "checkpoint.pt")["rows"]) == 1
    run(cut, settings)
    files = sorted(path.name for path in whole.glob("*.safetensors"))
    assert files == sorted(path.name for path in cut.glob("*.safetensors"))
    assert [name for name in files if weights(whole, name) != weights(cut, name)] == []


def test_a_run_goes_on_that_began_when_heads_had_no_names(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_config(market, **EVERYTHING[1])
    whole, cut = run(tmp_path / "whole", settings), tmp_path / "cut"
    run_and_kill(cut, settings, monkeypatch)
    state = load_training_state(cut / "checkpoint.pt")
    save_training_state(cut / "checkpoint.pt", state | {"centres": list(state["centres"].values())})
    assert weights(run(cut, settings)) == weights(whole)


def test_a_run_of_a_program_with_other_weights_is_refused(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_config(market)
    run_and_kill(tmp_path, settings, monkeypatch)
    state = load_training_state(tmp_path / "checkpoint.pt")
    state["model"]["attentions.9.hard.weight"] = torch.zeros(1)
    save_training_state(tmp_path / "checkpoint.pt", state)
    with pytest.raises(ReuniteError, match=r"began with another program.*start a new run"):
        run(tmp_path, settings)


def test_seeds_make_runs_equal_or_different(market: str, tmp_path: Path) -> None:
    first, second = (run(tmp_path / name, tiny_config(market, seed=5)) for name in "ab")
    other = run(tmp_path / "c", tiny_config(market, seed=6))
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


def test_twenty_steps_lower_the_loss_and_find_strangers(market: str, tmp_path: Path) -> None:
    changes = {
        "schedule": {"kind": "cosine", "epochs": 7, "lr": 0.02, "warmup_epochs": 0},
        "batch": {"people": 4, "pictures": 2},
        "augment": {"pad_px": 2, "erasing": {"probability": 0}},
        "optimiser": {"kind": "adamw"},
    }
    folder = run(tmp_path / "run", tiny_config(market, **changes), curves=True)
    with (folder / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(number) for number in range(1, 8)]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["cross_entropy"]) < 0.98 * float(rows[0]["cross_entropy"])
    parts = float(rows[0]["cross_entropy"]) + float(rows[0]["metric"])
    assert parts == pytest.approx(float(rows[0]["loss"]))
    assert rows[0]["mAP"] == ""
    assert float(rows[-1]["mAP"]) > 0.6  # a random order of three people would reach about 0.4
    assert cv2.imread(str(folder / "curves.png")) is not None

    shown = EventAccumulator(str(folder / "tensorboard"))
    shown.Reload()
    assert set(shown.Tags()["scalars"]) == set(rows[0])
    for name in ("loss", "cross_entropy", "metric", "lr", "pictures_per_s"):
        assert [event.step for event in shown.Scalars(name)] == list(range(1, 8))
        values = [event.value for event in shown.Scalars(name)]
        assert values == pytest.approx([float(row[name]) for row in rows], rel=1e-6)
    for name in ("mAP", "rank1"):
        (event,) = shown.Scalars(name)
        assert (event.step, event.value) == (7, pytest.approx(float(rows[-1][name])))


def test_the_result_is_opened_by_the_runtime(market: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", tiny_config(market, **CYCLES))
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
        "distillation": {
            "teacher": str(tmp_path / "teacher.safetensors"),
            "distances": 5.0,
            "neighbours": 1.0,
        },
        "losses": {"cross_entropy": {"weight": 0}, "metric": {"weight": 0}},
        "schedule": {"kind": "cosine", "epochs": 6, "lr": 0.01, "warmup_epochs": 1},
        "optimiser": {"kind": "adamw"},
    }
    first = run(tmp_path / "runs" / "first", tiny_config(market, **changes))
    with (first / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["teacher_distances"]) > 0
    # Of eight seeds of teacher and student, 0.39 to 0.67 and 0.22 to 0.55 of the first epoch were left.
    for part in ("teacher_embeddings", "teacher_neighbours"):
        assert float(rows[-1][part]) < 0.9 * float(rows[0][part])

    def refuse(*arguments: object, **settings: object) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr("reid.distillation.open_embedder", refuse)
    second = run(tmp_path / "runs" / "second", tiny_config(market, **changes))
    assert weights(first) == weights(second)


@pytest.mark.parametrize("kind", ["batch_hard_triplet", "improved_triplet", "quadruplet", "contrastive"])
def test_other_metric_losses_train(market: str, tmp_path: Path, kind: str) -> None:
    losses = {"metric": {"kind": kind, "margin": 0.3}}
    folder = run(tmp_path / "run", tiny_config(market, losses=losses))
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        assert all(float(row["metric"]) > 0 for row in csv.DictReader(file))


def test_bfloat16_trains(market: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", tiny_config(market, precision="bfloat16"))
    state = load_training_state(folder / "checkpoint.pt")
    assert all(value.dtype != torch.bfloat16 for value in state["model"].values())


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
        folder = run(tmp_path / "run", tiny_config(f"folder={tmp_path / 'mine'}"))
    assert "no camera numbers to train with" in caplog.text
    assert (folder / "weights.safetensors").exists()
    assert "mAP" not in (folder / "log.csv").read_text(encoding="utf-8")


def test_input_on_the_device_is_that_of_preprocessing() -> None:
    preprocess = Preprocess(8, 4)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 4, 3), np.uint8)
    found = network_input(torch.from_numpy(images), preprocess)
    np.testing.assert_allclose(found.numpy(), preprocess.normalise(images), atol=1e-6)


def test_batches_come_in_order_and_as_drawn_alone(market: str) -> None:
    pictures = read_training_pictures([open_dataset(market)], Preprocess(32, 16))
    augment = Augmenter(AugmentConfig(pad_px=3), (1, 2, 3))
    rows = [[index, index + 1] for index in range(20)]
    preprocess = Preprocess(32, 16)
    batches = list(augmented_batches(pictures, rows, augment, preprocess, seed=1, view=2))
    assert [batch.rows.tolist() for batch in batches] == rows
    assert batches[7].labels.tolist() == pictures.labels[[7, 8]].tolist()
    alone = [augment(pictures.images[row], np.random.default_rng((1, 2, row))) for row in (7, 8)]
    (images,), (first,) = batches[7].images, batches[0].images
    assert np.array_equal(images.numpy(), np.stack(alone))
    again = augmented_batches(pictures, rows, augment, preprocess, seed=1, view=3)
    assert not np.array_equal(next(iter(again)).images[0].numpy(), first.numpy())


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
    assert train.main(start) == 0
    assert train.main(start) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny", "tiny2"]
    said = capsys.readouterr().out
    assert "epoch 1.00/1, " in said
    assert f"reunite judge {tmp_path / 'runs' / 'tiny2' / 'weights.safetensors'}" in said
    before = weights(tmp_path / "runs" / "tiny")
    resume = ["--resume", str(tmp_path / "runs" / "tiny")]
    assert train.main(resume) == 0
    assert weights(tmp_path / "runs" / "tiny") == before
    further = ["--set", "schedule.epochs=2", "--set", "losses.cross_entropy.weight=0.5"]
    assert train.main([*resume, *further]) == 0
    assert weights(tmp_path / "runs" / "tiny") != before
    config = load_config(tmp_path / "runs" / "tiny" / "config.yaml")
    assert (config.schedule.epochs, config.losses["cross_entropy"].weight) == (2, 0.5)
    assert train.main([*resume, "--set", "optimiser={kind: adam}"]) == 2
    assert "the checkpoint was made with optimiser" in capsys.readouterr().err
    assert load_config(tmp_path / "runs" / "tiny" / "config.yaml") == config


@pytest.fixture(scope="module")
def imagenet() -> dict[str, Tensor]:
    """Weights under the names of torchvision, as random as the network that they replace."""
    torch.manual_seed(7)
    state: dict[str, Tensor] = torchvision.models.resnet50(weights=None).state_dict()
    return state


@pytest.mark.parametrize("recipe", ["strong-baseline", "stronger-baseline"])
def test_the_baselines_start_from_imagenet(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imagenet: dict[str, Tensor], recipe: str
) -> None:
    torch.save(imagenet, tmp_path / "resnet50.pth")
    overrides = [f"model.imagenet={tmp_path / 'resnet50.pth'}", "batch.people=2", f"data=[{market}]"]
    settings = load_config(RECIPES / f"{recipe}.yaml", overrides)
    asked: list[nn.Module] = []

    def keep_and_stop(settings: TrainConfig, model: nn.Module, projection: nn.Module | None) -> None:
        asked.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(learner, "make_optimiser", keep_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", settings)
    (model,) = asked
    assert isinstance(model, Resnet50)
    started = model.backbone.state_dict()
    assert {key for key in imagenet if not key.startswith("fc.")} == set(started)
    assert [key for key, value in started.items() if not torch.equal(value, imagenet[key])] == []


def test_the_baselines_fetch_imagenet_unless_a_file_is_given() -> None:
    for recipe in ("strong-baseline", "stronger-baseline"):
        assert load_config(RECIPES / f"{recipe}.yaml").model.imagenet == "download"


def test_a_run_goes_on_where_the_weights_that_it_began_with_are_gone(market: str, tmp_path: Path) -> None:
    folder = run(tmp_path / "run", tiny_config(market))
    before = weights(folder)
    for setting in ("imagenet", "start_from"):
        gone = {"name": "robust-reid-025x", "settings": TINY, setting: "gone.safetensors"}
        assert weights(run(folder, tiny_config(market, model=gone))) == before
