"""Pictures without identities, shares of data sets, views that a teacher has seen, weights to start from."""

import logging
import os
import tarfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from foundation.config import ConfigError
from foundation.errors import ReuniteError
from reid.augment import Augmenter
from reid.checkpoint import load_model, save_weights
from reid.config import BatchConfig, TrainConfig
from reid.data import DataError, open_dataset, open_datasets
from reid.distillation import Teachers
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.retrieval import normalise
from reid.runtime import Embedder
from reid.sampling import NOBODY, Sampler
from reid.training_pictures import read_training_pictures
from reid.views import Views
from tests.drawn_people import TINY, draw_market, draw_person, run, run_and_kill, tiny_config, weights


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    (folder / "street").mkdir()
    for number in range(20):
        image = draw_person(200 + number, np.random.default_rng(number))
        cv2.imwrite(str(folder / ("street" if number % 2 else ".") / f"{number}.png"), image)
    (folder / "list.txt").write_text("not a picture", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_weights(
        path, build_model("robust-reid-025x", **TINY), "robust-reid-025x", TINY, Preprocess(160, 64), {}
    )
    return path


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def taught(market: str, crops: Path, teacher: Path, **changes: Any) -> TrainConfig:
    """A tiny training with a teacher that sees augmented and mixed pictures, a part of them unlabelled."""
    values: dict[str, Any] = {
        "augment": {"size": [48, 24], "scale": 0.1, "light_probability": 0.5, "mix_probability": 0.4},
        "batch": {"people": 4, "pictures": 2, "shares": {"market1501": 0.5, "crops": 0.5}},
        "distillation": {"teacher": str(teacher), "sees_augmented": True, "views": 2},
        "schedule": {"kind": "cosine", "epochs": 3, "lr": 0.01, "warmup_epochs": 1},
    }
    config = tiny_config(market, **(values | changes))
    return config.model_copy(update={"data": (market, f"crops=unlabelled:{crops}")})


def test_a_folder_and_a_tar_without_identities_hold_the_same_pictures(crops: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "crops.tar", "w") as archive:
        archive.add(crops, arcname=".")
    folder, tar = (open_dataset(f"unlabelled={path}") for path in (crops, tmp_path / "crops.tar"))
    assert len(folder.unlabelled) == len(tar.unlabelled) == 20
    assert (folder.train, folder.query) == ((), ())
    for one, other in zip(folder.unlabelled, tar.unlabelled, strict=True):
        assert np.array_equal(folder.images.read(one), tar.images.read(other))


def test_a_tar_that_is_cut_off_is_refused(crops: Path, tmp_path: Path) -> None:
    path = tmp_path / "crops.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(crops, arcname=".")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"crops.tar: cannot be read as an uncompressed tar"):
        open_dataset(f"unlabelled={path}")


def test_data_sets_of_one_kind_are_told_apart(market: str) -> None:
    path = market.partition("=")[2]
    assert [it.name for it in open_datasets([market, f"home=market1501:{path}", market, market])] == [
        "market1501",
        "home",
        "market1501-#2",
        "market1501-#3",
    ]
    with pytest.raises(DataError, match="must be KIND=PATH or NAME=KIND:PATH"):
        open_dataset(f"home=market:{path}")


def test_each_data_set_has_its_share_of_every_batch() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, *[NOBODY] * 9])
    names = ["a"] * 7 + ["b"] * 5 + ["c"] * 9
    batch = BatchConfig(people=4, pictures=2, shares={"a": 0.5, "b": 0.25, "c": 0.25})
    sampler = Sampler(labels, names, batch, seed=0)
    for epoch in range(5):
        for rows in sampler.batches(epoch):
            assert Counter(names[row] for row in rows) == {"a": 4, "b": 2, "c": 2}
        assert sampler.batches(epoch) == sampler.batches(epoch)
    assert sampler.batches(0) != sampler.batches(1)
    shown = Counter(row for epoch in range(30) for rows in sampler.batches(epoch) for row in rows)
    assert set(shown) == set(range(len(labels)))


def test_without_shares_pictures_without_identities_come_in_proportion() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2, *[NOBODY] * 6])
    sampler = Sampler(labels, ["x"] * 12, BatchConfig(people=2, pictures=2), seed=0)
    for rows in sampler.batches(0):
        assert sum(labels[row] == NOBODY for row in rows) == 2


def test_shares_that_fit_no_data_set_are_refused() -> None:
    batch = BatchConfig(people=2, pictures=2, shares={"a": 0.5, "typo": 0.5})
    with pytest.raises(ReuniteError, match=r"batch.shares names a, typo, the data sets are a, b"):
        Sampler(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"], batch, seed=0)
    with pytest.raises(ValueError, match="add up to 1"):
        BatchConfig(shares={"a": 0.5})


def test_pictures_without_identities_have_no_label(market: str, crops: Path) -> None:
    datasets = open_datasets([market, f"unlabelled={crops}"])
    pictures = read_training_pictures(datasets, Preprocess(32, 16), (40, 20))
    assert pictures.images.shape == (24 + 20, 40, 20, 3)
    assert pictures.people == 6
    assert (pictures.labels == NOBODY).sum() == 20


def test_a_cut_training_with_views_ends_at_the_same_bits_and_asks_for_no_view_twice(
    market: str, crops: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = taught(market, crops, teacher)
    whole = run(tmp_path / "whole" / "run", settings)
    assert len(list((tmp_path / "whole").glob("teacher-*-view*.npy"))) == 2
    run_and_kill(tmp_path / "cut" / "run", settings, monkeypatch)
    cut = run(tmp_path / "cut" / "run", settings)
    assert weights(whole) == weights(cut)

    seen: list[int] = []

    def embed(self: Teachers, images: list[np.ndarray]) -> np.ndarray:
        seen.append(len(images))
        return original(self, images)

    original = Teachers.embed
    monkeypatch.setattr(Teachers, "embed", embed)
    again = run(tmp_path / "whole" / "again", settings)
    assert weights(again) == weights(whole)
    assert seen == []


def test_pictures_that_are_kept_teach_the_same_and_are_not_augmented_again(
    market: str, crops: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = taught(market, crops, teacher)
    made_anew = weights(run(tmp_path / "anew" / "run", settings))
    assert settings.distillation is not None
    keep = settings.distillation.model_copy(update={"keep_pictures": True})
    settings = settings.model_copy(update={"distillation": keep})
    assert weights(run(tmp_path / "kept" / "run", settings)) == made_anew
    assert len(list((tmp_path / "kept").glob("pictures*-view*.npy"))) == 2

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Augmenter, "__call__", refuse)
    monkeypatch.setattr(Teachers, "embed", refuse)
    assert weights(run(tmp_path / "kept" / "again", settings)) == made_anew


def test_views_of_other_pictures_or_of_a_damaged_file_are_refused(tmp_path: Path) -> None:
    Views(tmp_path, "same", (4, 2), (8, 4)).turn_to(0)
    with pytest.raises(ReuniteError, match=r"teacher-same-view0.npy: must hold \(5, 2\) of .*; remove it"):
        Views(tmp_path, "same", (5, 2), (8, 4)).turn_to(0)
    file = tmp_path / "teacher-same-view0.npy"
    for size in (file.stat().st_size - 8, 7):  # of the numbers, of the header
        os.truncate(file, size)
        with pytest.raises(ReuniteError, match=r"teacher-same-view0.npy: cannot be read .* it is made anew"):
            Views(tmp_path, "same", (4, 2)).turn_to(0)


def test_two_trainings_that_come_to_a_view_together_share_it(tmp_path: Path) -> None:
    one, other = (Views(tmp_path, "same", (2, 1), (4, 2)) for _ in range(2))
    rows, pictures = np.arange(2), np.full((2, 4, 2, 3), 7, np.uint8)
    for views in (one, other):
        views.turn_to(0)
    one.keep(rows, pictures, np.array([False, True]))
    assert other.answers(rows, list(pictures), lambda seen: np.ones((len(seen), 1), np.float32)).all()
    assert one.are_kept(rows).all()
    assert [other.picture(row)[1] for row in (0, 1)] == [False, True]
    assert not list(tmp_path.glob("*.part"))


def test_views_for_which_there_is_no_room_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reid.views.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(ReuniteError, match=r"needs 2.0 GB, and 0.0 are free; make room, or set distillation"):
        Views(tmp_path, "same", (1_000_000, 1000)).turn_to(0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distillation": {"teacher": "x", "keep_pictures": True}}, "or there is no view to keep"),
        (
            {"augment": {"erasing": {"grow_epochs": 3}}, "distillation": {"teacher": "x", "views": 2}},
            "grow_epochs: a view looks the same in every epoch",
        ),
        (
            {
                "batch": {"triplets": 4},
                "distillation": {"teacher": "x", "sees_augmented": True, "views": 2, "keep_pictures": True},
            },
            "triplets are augmented one at a time",
        ),
    ],
)
def test_settings_that_no_view_can_hold_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_config("market1501=x", **changes)


def test_a_teacher_of_another_length_is_refused_where_a_training_goes_on(
    market: str, crops: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = taught(market, crops, teacher)
    run_and_kill(tmp_path / "run", settings, monkeypatch)
    said = (tmp_path / "run" / "config.yaml").read_text()
    other = tmp_path / "other.safetensors"
    model = build_model("robust-reid-025x", None, **(TINY | {"head_length": 4}))
    save_weights(other, model, "robust-reid-025x", TINY | {"head_length": 4}, Preprocess(32, 16), {})
    changed = settings.distillation.model_copy(update={"teacher": str(other)})  # type: ignore[union-attr]
    with pytest.raises(ReuniteError, match=r"of \d+ numbers, this one's have \d+; put the teacher"):
        run(tmp_path / "run", settings.model_copy(update={"distillation": changed}))
    assert (tmp_path / "run" / "config.yaml").read_text() == said


def test_the_cosine_of_several_teachers_is_the_mean_of_theirs() -> None:
    rng = np.random.default_rng(0)
    answers = [normalise(rng.normal(size=(5, length))) for length in (4, 7)]
    teachers = Teachers([embedder(answer) for answer in answers])
    joined = teachers.embed([np.zeros((2, 2, 3), np.uint8)] * 5)
    assert joined.shape == (5, teachers.embedding_length)
    wanted = np.mean([answer @ answer.T for answer in answers], axis=0)
    np.testing.assert_allclose(joined @ joined.T, wanted, atol=1e-6)


def embedder(answer: np.ndarray) -> Embedder:
    """A network that always says ``answer`` (N, D)."""
    return Embedder(
        "drawn",
        "none",
        lambda images: np.zeros((len(images), 3, 1, 1), np.float32),
        lambda _: answer,
        64,
        answer.shape[1],
    )


def test_data_without_what_the_losses_need_is_refused(
    market: str, crops: Path, teacher: Path, tmp_path: Path
) -> None:
    only_crops = tiny_config(market).model_copy(update={"data": (f"unlabelled={crops}",)})
    with pytest.raises(
        ReuniteError, match=r"the data has no identities, which losses\.cross_entropy and losses\.metric"
    ):
        run(tmp_path / "a", only_crops)
    without_teacher = taught(market, crops, teacher, distillation=None, augment={})
    with pytest.raises(ReuniteError, match="unlabelled data teaches nothing without a teacher"):
        run(tmp_path / "b", without_teacher)
    with pytest.raises(ValueError, match="only a teacher that sees augmented pictures"):
        tiny_config(market, augment={"mix_probability": 0.5})


def test_a_teacher_alone_teaches_from_pictures_without_identities(
    crops: Path, teacher: Path, tmp_path: Path
) -> None:
    losses = {"cross_entropy": {"weight": 0}, "metric": {"weight": 0}}
    settings = taught("", crops, teacher, batch={"people": 2, "pictures": 2}, losses=losses)
    settings = settings.model_copy(update={"data": (f"crops=unlabelled:{crops}",)})
    folder = run(tmp_path / "run", settings)
    assert (folder / "weights.safetensors").exists()


def test_a_network_starts_from_the_weights_of_another(
    market: str, teacher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frozen = {"kind": "cosine", "epochs": 1, "lr": 1e-12, "warmup_epochs": 0}
    model = {"name": "robust-reid-025x", "settings": TINY, "start_from": str(teacher)}
    with caplog.at_level(logging.INFO):
        folder = run(tmp_path / "run", tiny_config(market, model=model, schedule=frozen))
    assert "beginning anew: classifiers.0.weight, classifiers.1.weight" in caplog.text
    first, last = (load_model(path)[0].state_dict() for path in (teacher, folder / "weights.safetensors"))
    for name, value in first.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(last[name], value, atol=1e-6, rtol=0)


def test_weights_of_another_kind_of_network_are_refused(market: str, teacher: Path, tmp_path: Path) -> None:
    settings = tiny_config(market, model={"name": "ha-cnn", "settings": {}, "start_from": str(teacher)})
    with pytest.raises(
        ReuniteError, match=r"teacher.safetensors: only \d+ of \d+ weights of this network are there"
    ):
        run(tmp_path / "run", settings)


def test_an_instance_norm_in_the_stem_takes_out_the_light_of_a_picture() -> None:
    torch.manual_seed(0)
    model = build_model("robust-reid-025x", **(TINY | {"instance_stem": True})).eval()
    images = torch.rand(2, 3, 160, 64)
    with torch.no_grad():
        plain, brighter = model(images).embedding, model(3 * images).embedding
    # Beyond the border is 0 in both, which is why they are not quite equal.
    assert (plain * brighter).sum(dim=1).min() > 0.9999


def test_instance_norms_in_the_stages_take_the_weights_of_batch_norms() -> None:
    plain = build_model("robust-reid-025x", **TINY)
    norms = [build_model("robust-reid-025x", **(TINY | {"instance_stages": count})) for count in (1, 2, 3)]
    counts = [sum(isinstance(module, nn.InstanceNorm2d) for module in model.modules()) for model in norms]
    assert counts == sorted(set(counts))
    assert counts[0] > 0
    for model in norms:
        shapes, same = (
            {name: value.shape for name, value in which.named_parameters()} for which in (plain, model)
        )
        assert shapes == same


@pytest.mark.parametrize("count", [-1, 4])
def test_there_are_instance_norms_in_three_stages_at_most(count: int) -> None:
    with pytest.raises(ReuniteError, match=f"instance_stages must be 0 to 3, got {count}"):
        build_model("robust-reid-025x", **(TINY | {"instance_stages": count}))


def test_shares_are_checked_where_they_are_read(tmp_path: Path) -> None:
    from reid.config import load_config

    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: x\nmodel: {name: robust-reid-025x}\nschedule: {kind: cosine, epochs: 1, lr: 0.1}\n"
        "batch: {shares: {a: 0.3}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"batch: .*add up to 1"):
        load_config(path)
