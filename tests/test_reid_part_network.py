"""Ways of looking at parts: what they see, that they train and resume, and that bad labels are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from foundation.errors import ReuniteError
from reid.checkpoint import load_model
from reid.config import TrainConfig
from reid.data import DataError, open_dataset
from reid.models import build_model
from reid.models.body import KEY_POINTS, glad_boxes, region_box, sample_boxes
from reid.models.parts import activation_boxes, pool_boxes, stripes_of
from tests.drawn_people import TINY, draw_market, run, run_and_kill, tiny_config, weights

ATTRIBUTES = ("hat", "skirt")
STILL = {"flip_probability": 0.0, "pad_px": 0}
"""Augmentation that moves nothing."""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Drawn people with key points of all but one picture, and attributes of all but one person."""
    root = tmp_path_factory.mktemp("market")
    data = draw_market(root)
    pictures: dict[str, dict[str, Any]] = {}
    for number, path in enumerate(sorted((root / "bounding_box_train").iterdir())):
        person = int(path.name[:4])
        labels: dict[str, Any] = {"attributes": [person % 2, None]} if person > 1 else {}
        if number:
            labels["key_points"] = [[0.5, place / len(KEY_POINTS)] for place in range(len(KEY_POINTS))]
            labels["key_points"][3] = [None, None]
        pictures[path.relative_to(root).as_posix()] = labels
    content = {"key_points": KEY_POINTS, "attributes": ATTRIBUTES, "pictures": pictures}
    (root / "labels.json").write_text(json.dumps(content))
    return data


def part_config(data: str, parts: str, **changes: Any) -> TrainConfig:
    settings = TINY | {"parts": parts, "count": 2, "part_length": 4}
    return tiny_config(data, model={"name": "parts-025x", "settings": settings}, **changes)


WAYS: dict[str, dict[str, Any]] = {
    "none": {},
    "stripes": {"losses": {"aligned_triplet": {"margin": 0.3}}},
    "stripe-heads": {},
    "lstm": {},
    "glimpses": {},
    "bilinear": {},
    "activations": {},
    "key-points": {"losses": {"key_points": {}}, "augment": STILL},
    "glad": {},
    "spindle": {},
    "attributes": {"losses": {"attributes": {}, "attribute_triplet": {"margin": 0.2, "scale": 0.5}}},
    "quality": {"losses": {"tracklet_triplet": {}}},
}


@pytest.mark.parametrize("parts", WAYS)
def test_every_way_trains_and_resumes_to_the_same_weights(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: str
) -> None:
    config = part_config(market, parts, threads=1, **WAYS[parts])
    whole = run(tmp_path / "whole", config)
    run_and_kill(tmp_path / "cut", config, monkeypatch)
    assert weights(whole) == weights(run(tmp_path / "cut", config))
    model = load_model(whole / "weights.safetensors")[0]
    embedding = model(torch.zeros(2, 3, 160, 64)).embedding
    assert embedding.shape == (2, model.embedding_length)
    assert embedding.norm(dim=1).tolist() == pytest.approx([1, 1])
    for name in WAYS[parts].get("losses", {}):
        assert name in (whole / "log.csv").read_text().splitlines()[0]


def test_the_trunk_is_that_of_the_two_branches() -> None:
    model, two = build_model("parts-025x", 5, parts="glad"), build_model("robust-reid-025x", 5)
    ours, theirs = model.state_dict(), two.state_dict()
    trunk = [name for name in ours if not name.startswith(("parts.", "classifiers."))]
    assert all(ours[name].shape == theirs[name].shape for name in trunk)


def test_a_loss_without_what_it_acts_on_is_refused(market: str, tmp_path: Path) -> None:
    config = part_config(market, "none", losses={"aligned_triplet": {"margin": 0.3}})
    with pytest.raises(ReuniteError, match=r"aligned_triplet acts on 'stripes', which this network does not"):
        run(tmp_path / "a", config)
    bare = draw_market(tmp_path / "bare")
    config = part_config(bare, "key-points", losses={"key_points": {}}, augment=STILL)
    with pytest.raises(ReuniteError, match=r"of no picture key points are known; put a labels\.json"):
        run(tmp_path / "b", config)
    with pytest.raises(ValueError, match="key points do not move with the picture"):
        part_config(market, "key-points", losses={"key_points": {}})
    with pytest.raises(ReuniteError, match="parts must be one of none, stripes"):
        build_model("parts-025x", parts="tentacles")


def test_attributes_are_as_many_as_the_data_names(market: str, tmp_path: Path) -> None:
    config = part_config(market, "attributes", losses={"attributes": {}})
    settings = {**config.model.settings, "count": 3}
    config = config.model_copy(update={"model": config.model.model_copy(update={"settings": settings})})
    with pytest.raises(ReuniteError, match="names 2 attributes, the network gives 3"):
        run(tmp_path / "run", config)


def test_labels_that_are_none_are_refused_in_a_sentence(tmp_path: Path) -> None:
    data = draw_market(tmp_path / "market")
    labels = tmp_path / "market" / "labels.json"
    for content, said in (
        ("{", "holds no labels"),
        ('{"attributes": ["hat"]}', "holds no labels"),
        (
            '{"attributes": ["hat"], "pictures": {"a.png": {"attributes": [1, 0]}}}',
            r"attributes of a\.png must",
        ),
        ('{"key_points": ["neck"], "pictures": {"a.png": {"key_points": [0.5, 0.5]}}}', "must have shape"),
    ):
        labels.write_text(content)
        with pytest.raises(DataError, match=said):
            open_dataset(data)


def test_the_published_attribute_file_is_read_as_it_is_published(tmp_path: Path) -> None:
    data = draw_market(tmp_path / "market")
    people = {"train": range(1, 7), "test": range(101, 103)}  # of 103 nothing is known
    tables = {
        part: {
            "image_index": np.array([f"{person:04d}" for person in of], object),
            "age": np.array([1 + person % 4 for person in of]),
            "hat": np.array([1 + person % 2 for person in of]),
        }
        for part, of in people.items()
    }
    scipy.io.savemat(tmp_path / "market" / "market_attribute.mat", {"market_attribute": tables})
    dataset = open_dataset(data)
    assert dataset.known.names == {"attributes": ("age_1", "age_2", "age_3", "age_4", "hat")}
    row = {record.person: dataset.known.row("attributes", record).tolist() for record in dataset.train}
    assert row[3] == [0, 0, 0, 1, 1]
    assert row[4] == [1, 0, 0, 0, 0]
    stranger = next(record for record in dataset.query if record.person == 103)
    assert np.isnan(dataset.known.row("attributes", stranger)).all()
    (tmp_path / "market" / "market_attribute.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(DataError, match="is no attribute file as it is published"):
        open_dataset(data)


def test_places_of_highest_activation_become_boxes_from_the_top_down() -> None:
    maps = torch.zeros(1, 6, 8, 4)
    for channel, (row, column) in enumerate(((0, 1), (1, 2), (1, 0), (6, 3), (7, 2), (7, 3))):
        maps[0, channel, row, column] = 1 + channel
    assert activation_boxes(maps, 2).tolist() == [[[0, 0, 2, 3], [6, 2, 8, 4]]]
    pooled = pool_boxes(maps, activation_boxes(maps, 2))
    assert pooled[0, 0].tolist() == pytest.approx([1 / 6, 2 / 6, 3 / 6, 0, 0, 0])
    assert pooled[0, 1].tolist() == pytest.approx([0, 0, 0, 4 / 4, 5 / 4, 6 / 4])
    # All channels in one place: the other clusters are the cells that they began in, and nothing is NaN.
    one = torch.zeros(1, 5, 8, 4)
    one[..., 0, 0] = 1
    assert activation_boxes(one, 4)[0, 1:].tolist() == [[2, 1, 3, 2], [4, 1, 5, 2], [6, 1, 7, 2]]
    assert pool_boxes(one, activation_boxes(one, 4)).isfinite().all()


def test_boxes_of_a_map_are_sampled_where_they_lie() -> None:
    maps = torch.arange(32.0).view(1, 1, 8, 4)
    whole = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.5, 0.25, 1.0, 0.5]]])
    found = sample_boxes(maps, whole, (8, 4))
    torch.testing.assert_close(found[0], maps[0])
    quarter = sample_boxes(maps, whole[:, 1:], (2, 2))
    torch.testing.assert_close(quarter[0, 0], maps[0, 0, 2:4, 2:4])
    assert sample_boxes(maps, torch.tensor([[[-2.0, 0.0, -1.0, 1.0]]]), (2, 2)).abs().sum() == 0
    torch.testing.assert_close(stripes_of(maps, 2)[0, :, 0], torch.tensor([7.5, 23.5]))


def test_glad_cuts_by_four_key_points() -> None:
    points = torch.full((1, len(KEY_POINTS), 2), 0.9)
    points[0, 0], points[0, 1] = torch.tensor([0.4, 0.1]), torch.tensor([0.6, 0.2])
    points[0, 8], points[0, 9] = torch.tensor([0.4, 0.5]), torch.tensor([0.6, 0.54])
    head, upper, lower = glad_boxes(points, aspect=0.4, margin=0.05)[0].tolist()
    # A square of 0.1 + 2 x 0.05 of the height, which is half of the width at 0.4.
    assert head == pytest.approx([0.25, 0.05, 0.75, 0.25])
    assert upper == pytest.approx([0, 0.1, 1, 0.62])
    assert lower == pytest.approx([0, 0.42, 1, 1])
    arm = region_box(points, ("crown", "neck"), margin=0.05)[0].tolist()
    assert arm == pytest.approx([0.3, 0.05, 0.7, 0.25])


def test_the_pose_network_of_a_recipe_learns_nothing_more(market: str, tmp_path: Path) -> None:
    points = run(tmp_path / "pose", part_config(market, "key-points", **WAYS["key-points"]))
    start = str(points / "weights.safetensors")
    config = part_config(market, "spindle")
    config = config.model_copy(update={"model": config.model.model_copy(update={"start_from": start})})
    before, after = weights(points), weights(run(tmp_path / "spindle", config))
    pose = [name for name in before if name.startswith("parts.pose.")]
    assert pose
    assert all(before[name] == after[name] for name in pose)
    assert before["stem.0.weight"] != after["stem.0.weight"]


@pytest.mark.parametrize("name", ["robust-reid-025x", "parts-025x"])
def test_students_learn_from_each_other_and_the_first_is_kept(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model = {"name": name, "settings": TINY}
    mutual = {
        "models": [{"name": "robust-reid-025x", "settings": TINY}] * 2,
        "ranks_soft": 0.5,
        "ranks_hard": 0.5,
    }
    config = tiny_config(market, model=model, mutual=mutual, average={"kind": "ema"}, threads=1)
    whole = run(tmp_path / "whole", config)
    run_and_kill(tmp_path / "cut", config, monkeypatch)
    run(tmp_path / "cut", config)
    for file in ("weights.safetensors", "averaged.safetensors"):
        assert weights(whole, file) == weights(tmp_path / "cut", file)
        assert load_model(whole / file)[2]["name"] == name
    parts = (whole / "log.csv").read_text().splitlines()[0].split(",")
    assert {"mutual_classes", "mutual_distances", "mutual_ranks_soft", "mutual_ranks_hard"} <= set(parts)


def test_students_who_see_other_pictures_are_refused(market: str, tmp_path: Path) -> None:
    mutual = {"models": [{"name": "resnet50-bnneck"}]}
    with pytest.raises(ReuniteError, match="take pictures of another size than model"):
        run(tmp_path / "run", tiny_config(market, mutual=mutual))
