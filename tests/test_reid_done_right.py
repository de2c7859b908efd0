"""Good practices: pictures as they are, one at a time, hard negatives, cut-out that grows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from foundation.errors import ReuniteError
from reid import losses
from reid.augment import Augmenter
from reid.checkpoint import load_model
from reid.config import AugmentConfig, BatchConfig, load_config
from reid.exporting import export_model
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.runtime import open_embedder
from reid.sampling import TripletSampler
from reid.training_pictures import TrainingPictures, augmented_batches
from tests.drawn_people import TINY, draw_market, run, run_and_kill, weights
from tests.test_reid_config import RECIPES

SETTINGS: dict[str, Any] = {"base": "robust-reid-025x", "base_settings": TINY, "length": 8, "side_px": 96}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


def recipe(market: str, **changes: Any) -> Any:
    """The compact recipe made small: an epoch of seven steps of classification, then two of ranking."""
    overrides = {
        "data": [market],
        "model.settings": SETTINGS,
        "batch": {"triplets": 1, "hard_negatives": 3, "steps": 7},
        "losses.people.until_epoch": 1,
        "losses.ranking.from_epoch": 1,
        "schedule": {"kind": "cosine", "epochs": 3, "lr": 0.01, "warmup_epochs": 1},
        "threads": 1,
        **changes,
    }
    path = next(path for path in RECIPES if path.stem == "reid-done-right-025x")
    return load_config(path, [f"{key}={json.dumps(value)}" for key, value in overrides.items()])


def test_a_resumed_run_ends_at_the_same_bits_and_its_network_embeds_pictures_of_any_size(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole", recipe(market))
    run_and_kill(tmp_path / "cut", recipe(market), monkeypatch)
    assert weights(run(tmp_path / "cut", recipe(market))) == weights(whole)
    first, *_, last = (whole / "log.csv").read_text().splitlines()
    rows = dict(zip(first.split(","), last.split(","), strict=True))
    assert (rows["people"], float(rows["ranking"]) >= 0) == ("", True)
    embedder = open_embedder(whole / "weights.safetensors")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (height, 40, 3)).astype(np.uint8) for height in (90, 50)]
    together = embedder.embed(images)
    assert together[1] == pytest.approx(embedder.embed(images[1:])[0], abs=1e-6)
    with pytest.raises(ReuniteError, match="runs on pytorch only, not on 'openvino'"):
        open_embedder(whole / "weights.safetensors", "openvino")
    model, preprocess, _ = load_model(whole / "weights.safetensors")
    with pytest.raises(ReuniteError, match="a network for pictures of any size runs on PyTorch only"):
        export_model(model, preprocess, "torchscript", tmp_path / "out.torchscript")


def test_practices_can_be_turned_off_alone(market: str, tmp_path: Path) -> None:
    off = {"side_px": 0, "pool": "average"}
    without = recipe(
        market,
        **{
            "model.settings": SETTINGS | off,
            "batch.hard_negatives": 0,
            "losses.people.weight": 0,
            "losses.ranking.from_epoch": 0,
            "augment.erasing.probability": 0,
            "schedule.epochs": 1,
        },
    )
    assert (run(tmp_path / "run", without) / "weights.safetensors").exists()


def test_what_pictures_of_any_size_cannot_do_is_said_before_the_work(market: str, tmp_path: Path) -> None:
    cycles = {"cycles": {"count": 1, "epochs": 1, "lr": 0.1}, "average": {"kind": "swa"}}
    with pytest.raises(ReuniteError, match="cannot be mixed, nor give SWA"):
        run(tmp_path / "run", recipe(market, **cycles))
    with pytest.raises(ReuniteError, match=r"augment.size: this network takes pictures in their own"):
        run(tmp_path / "run", recipe(market, **{"augment.size": [96, 40]}))


def slow_ranking(embeddings: Tensor, labels: Tensor, margin: float) -> float:
    values = []
    count = range(len(labels))
    for query in count:
        for same in count:
            for other in count:
                if query != same and labels[query] == labels[same] != labels[other]:
                    near, far = (
                        float((embeddings[query] - embeddings[it]).square().sum()) for it in (same, other)
                    )
                    values.append(max(0.0, margin + near - far) / 2)
    return sum(values) / max(1, len(values))


@pytest.mark.parametrize("seed", range(3))
def test_ranking_is_that_of_a_loop(seed: int) -> None:
    torch.manual_seed(seed)
    embeddings, labels = torch.randn(7, 3) * 0.5, torch.randint(0, 3, (7,))
    found = losses.ranking(embeddings, labels, 0.3).item()
    assert found == pytest.approx(slow_ranking(embeddings, labels, 0.3), abs=1e-5)
    assert losses.ranking(embeddings, torch.arange(7), 0.3).item() == 0


def test_gradients_of_pictures_one_by_one_are_those_of_the_batch() -> None:
    torch.manual_seed(0)
    model = build_model("done-right", **SETTINGS).train()
    pictures, labels = torch.rand(6, 3, 64, 32), torch.tensor([0, 0, 1, 2, 2, 0])
    half = [losses.ranking(model(pictures[at : at + 3]).embedding, labels[at : at + 3], 0.5) for at in (0, 3)]
    torch.autograd.backward(torch.stack(half).mean())
    expected = {name: it.grad.clone() for name, it in model.named_parameters() if it.grad is not None}
    model.zero_grad()
    for at in (0, 3):
        rows = [model(pictures[row : row + 1]).embedding for row in range(at, at + 3)]
        torch.autograd.backward(losses.ranking(torch.cat(rows), labels[at : at + 3], 0.5) * 0.5)
    for name, it in model.named_parameters():
        if name in expected:
            torch.testing.assert_close(it.grad, expected[name], rtol=1e-3, atol=1e-5)


def test_hard_negatives_are_the_nearest_of_others() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 4)
    embeddings = rng.normal(size=(40, 5)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    batch = BatchConfig(triplets=4, hard_negatives=3, steps=10)
    batches = TripletSampler(labels, batch, 1).batches(2, lambda: embeddings)
    assert [len(rows) for rows in batches] == [12] * 10
    assert batches == TripletSampler(labels, batch, 1).batches(2, lambda: embeddings)
    assert batches != TripletSampler(labels, batch, 1).batches(3, lambda: embeddings)
    queries = []
    for rows in batches:
        for query, same, other in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
            queries.append(query)
            assert query != same
            assert labels[query] == labels[same] != labels[other]
            others = [row for row in range(40) if labels[row] != labels[query]]
            nearest = sorted(others, key=lambda row: -float(embeddings[row] @ embeddings[query]))[:3]
            assert other in nearest
    assert sorted(queries) == list(range(40))  # as many queries as pictures: each once
    with pytest.raises(ReuniteError, match="needs two people, one of them with two pictures"):
        TripletSampler(np.arange(4), batch, 0)


def test_pictures_keep_their_proportions() -> None:
    preprocess = Preprocess(160, 64, keep_aspect=True)
    for size, expected in (((80, 40), (160, 80)), ((40, 80), (80, 160)), ((400, 30), (160, 32))):
        assert preprocess.resize(np.zeros((*size, 3), np.uint8)).shape[:2] == expected
    with pytest.raises(ReuniteError, match="one at a time"):
        preprocess([np.zeros((80, 40, 3), np.uint8), np.zeros((80, 30, 3), np.uint8)])
    assert Preprocess.from_dict(preprocess.to_dict()) == preprocess
    assert "keep_aspect" not in Preprocess(160, 64).to_dict()


def test_cut_out_grows() -> None:
    erasing = {"probability": 1.0, "min_area": 0.02, "max_area": 0.5, "noise": True, "grow_epochs": 4}
    config = AugmentConfig.model_validate({"flip_probability": 0, "pad_px": 0, "erasing": erasing})
    augment = Augmenter(config, [0, 0, 0])
    white = np.full((60, 40, 3), 255, np.uint8)
    shares = []
    for epoch in (0, 2, 4, 9):
        erased = [augment.at(epoch)(white, np.random.default_rng(seed)) != 255 for seed in range(30)]
        shares.append(max(float(it.any(axis=2).mean()) for it in erased))
    assert shares[0] < 0.04 < shares[1] < 0.3 < shares[2] == shares[3] <= 0.52


def test_a_training_of_pictures_as_they_are_is_given_parts_of_one() -> None:
    images = np.empty(3, np.object_)
    for row, height in enumerate((80, 60, 40)):
        images[row] = np.zeros((height, 30, 3), np.uint8)
    pictures = TrainingPictures(images, np.array([0, 0, 1]), (), {})
    augment = Augmenter(AugmentConfig(flip_probability=0, pad_px=0), [0, 0, 0])
    preprocess = Preprocess(96, 40, keep_aspect=True)
    (batch,) = augmented_batches(pictures, [[0, 1, 2]], augment, preprocess, 0, 0)
    assert [part.shape[1:3] for part in batch.images] == [(96, 36), (96, 48), (96, 72)]
    (group,) = batch.groups()
    assert group.labels.tolist() == [0, 0, 1]
