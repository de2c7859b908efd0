"""Judging by tracklets and by stripes: what a network gives beside its embedding."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from foundation.arrays import EmbeddingArray, Image
from foundation.mot_files import read_mot
from reid import evaluate
from reid.alignment import aligned_distances
from reid.checkpoint import load_model, save_weights
from reid.data import Dataset, FolderImages, Record
from reid.judging import Embedded, WayOfRanking, embed_records, judge, over_tracklets, rank, split_beside
from reid.models import build_model
from reid.preprocess import DEFAULT
from reid.retrieval import normalise
from reid.runtime import open_embedder
from reid.weights import DEFAULT_WEIGHTS
from tests.conftest import shared_folder
from tests.drawn_people import TINY, draw_market


def saved(path: Path, parts: str) -> Path:
    torch.manual_seed(0)
    settings = TINY | {"parts": parts, "count": 4, "part_length": 4}
    save_weights(path, build_model("parts-025x", **settings), "parts-025x", settings, DEFAULT, {})
    return path


def test_what_follows_an_embedding_keeps_its_scale() -> None:
    whole, rest = normalise(np.random.default_rng(0).normal(size=(3, 4))), np.full((3, 2), 5, np.float32)
    joined = np.asarray(np.concatenate([whole, rest], axis=1) / 7, np.float32)
    found, beside = split_beside(joined, 2)
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    np.testing.assert_allclose(beside, rest, rtol=1e-5)


def test_pictures_of_a_tracklet_weigh_what_the_network_or_the_lens_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sharp, plain = rng.integers(0, 256, (64, 32, 3), np.uint8), np.full((64, 32, 3), 200, np.uint8)
    for name, image in (("sharp.png", sharp), ("plain.png", plain), ("alone.png", plain)):
        cv2.imwrite(str(tmp_path / name), image)
    dataset = Dataset("tracklets", (), (), (), FolderImages(tmp_path))
    records = [Record("sharp.png", 1, 1, 7), Record("plain.png", 1, 1, 7), Record("alone.png", 2, 1, 8)]

    def embed(images: Sequence[Image]) -> EmbeddingArray:
        """East where sharp, north where plain; and quality 3 or 1 behind it, in a common scale."""
        rows = [(1.0, 0.0, 3.0) if image.std() > 1 else (0.0, 1.0, 1.0) for image in images]
        return normalise(np.array(rows))

    def bare(images: Sequence[Image]) -> EmbeddingArray:
        return split_beside(embed(images), 1)[0]

    mean = embed_records(over_tracklets(bare, "mean", 0), dataset, records).embeddings
    np.testing.assert_allclose(mean, [[0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-6)
    attention = embed_records(over_tracklets(embed, "attention", 1), dataset, records).embeddings
    np.testing.assert_allclose(attention[0], normalise(np.array([[np.exp(3), np.exp(1)]]))[0], rtol=1e-4)
    np.testing.assert_allclose(attention[1], [0, 1], atol=1e-6)  # a tracklet of one picture is that picture
    quality = embed_records(over_tracklets(bare, "quality", 0), dataset, records).embeddings
    assert quality[0, 0] > 0.99
    np.testing.assert_allclose(quality[1], [0, 1], atol=1e-6)


def test_stripes_are_judged_by_both_distances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, data = saved(tmp_path / "stripes.safetensors", "stripes"), draw_market(tmp_path / "people")
    written = tmp_path / "figures.json"
    options = ["--runtime", "pytorch", "--aligned", "0.5", "--json", str(written)]
    assert evaluate.main([str(weights), "--data", data, *options]) == 0
    figures = json.loads(written.read_text())
    assert (figures["aligned"], figures["stripes"]) == (0.5, [4, 4])
    model = load_model(weights)[0].eval()
    with torch.no_grad():
        output = model(torch.randn(5, 3, 160, 64))
    joined = torch.cat([output.embedding, output.others["stripes"].flatten(1)], dim=1).numpy()
    records = tuple(Record("", person, camera) for person, camera in ((1, 1), (2, 1), (1, 2), (2, 2), (3, 2)))
    asked, there = (Embedded(normalise(joined[part]), records[part], ()) for part in (slice(2), slice(2, 5)))
    found = rank(asked, there, WayOfRanking(aligned=0.5, stripes=(4, 4))).distances()
    local = aligned_distances(output.others["stripes"][:2], output.others["stripes"][2:]).numpy()
    whole = torch.cdist(output.embedding[:2], output.embedding[2:]).numpy()
    np.testing.assert_allclose(found, whole + 0.5 * local, rtol=1e-4)
    assert evaluate.main([str(saved(tmp_path / "none.safetensors", "none")), "--data", data, *options]) == 2
    assert "gives no stripes; train it with model.settings.parts=stripes" in capsys.readouterr().err


def test_a_network_that_knows_quality_is_judged_by_it(tmp_path: Path) -> None:
    weights, data = saved(tmp_path / "quality.safetensors", "quality"), draw_market(tmp_path / "people")
    arguments = [str(weights), "--data", data, "--runtime", "pytorch", "--pool"]
    assert evaluate.main([*arguments, "attention"]) == 0
    assert evaluate.main([*arguments, "quality"]) == 0


@pytest.mark.parametrize(
    "option", [("--pool", "quality"), ("--prior",), ("--center-cameras",), ("--query-expansion", "3")]
)
def test_aligned_ranking_refuses_what_it_would_not_heed(
    capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    arguments = ["no.safetensors", "--data", "market1501=nowhere", "--aligned", "1", *option]
    assert evaluate.main(arguments) == 2
    assert f"--aligned: does not go with {option[0]}" in capsys.readouterr().err


@dataclass(frozen=True)
class Crops:
    """Pictures in memory, by their names."""

    images: dict[str, Image]

    def read(self, record: Record) -> Image:
        return self.images[record.path]


def pets_tracklets(every: int) -> tuple[Crops, list[Record]]:
    """Everybody's ways through the left half (camera 1) and the right one (camera 2) of PETS09-S2L1."""
    folder = shared_folder() / "data" / "video"
    truth = read_mot(folder / "PETS09-S2L1" / "gt" / "gt.txt")
    truth = truth[truth.scores > 0]
    capture = cv2.VideoCapture(str(folder / "PETS09-S2L1.mp4"))
    images: dict[str, Image] = {}
    records: list[Record] = []
    now: dict[int, tuple[int, int]] = {}  # camera and tracklet of each person
    for number in range(1, 796):
        image = capture.read()[1]
        if number % every:
            continue
        rows = truth[truth.frames == number]
        for person, (left, top, width, height) in zip(rows.ids.tolist(), rows.boxes.tolist(), strict=True):
            camera = 1 if left + width / 2 < image.shape[1] / 2 else 2
            if now.get(person, (0, 0))[0] != camera:
                now[person] = camera, len(now) + len({record.tracklet for record in records}) + 1
            crop = image[max(0, int(top)) : int(top + height), max(0, int(left)) : int(left + width)]
            name = f"{person}-{number}"
            images[name] = np.asarray(crop, np.uint8)
            records.append(Record(name, int(person), camera, now[person][1]))
    return Crops(images), [record for record in records if images[record.path].size]


@pytest.mark.real
def test_a_tracklet_of_pets_finds_its_person_better_than_one_of_its_pictures() -> None:
    crops, records = pets_tracklets(every=8)
    sides = [tuple(record for record in records if record.camera == camera) for camera in (1, 2)]
    alone = [
        tuple({record.tracklet: record for record in side}.values()) for side in sides
    ]  # the last of each
    embed = open_embedder(DEFAULT_WEIGHTS, exact=True).embed
    found = {}
    for name, (query, gallery) in (("tracklets", sides), ("pictures", alone)):
        found[name] = judge(embed, Dataset("pets", (), query, gallery, crops)).mean_average_precision
    weighed = judge(over_tracklets(embed, "quality", 0), Dataset("pets", (), sides[0], sides[1], crops))
    assert weighed.judged > 10
    assert found["tracklets"] > found["pictures"]
    assert weighed.mean_average_precision > found["pictures"]
