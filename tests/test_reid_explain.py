"""Why two pictures are alike: what is covered, and what is lost by it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from reid import explain
from reid.checkpoint import save_weights
from reid.models import build_model
from reid.preprocess import DEFAULT
from reid.runtime import Embedder
from tests.drawn_people import TINY, draw_person


def embed_stripes(images: EmbeddingArray) -> EmbeddingArray:
    """Dimension n is how restless the n-th quarter from the top is, the fifth is always the same."""
    quarters = [part.std(axis=(1, 2, 3)) for part in np.array_split(images, 4, axis=1)]
    return np.stack([*quarters, np.full(len(images), 20, np.float32)], axis=1)


STRIPES = Embedder("stripes", "none", lambda it: np.stack(it).astype(np.float32), embed_stripes, 64, 5)


def test_a_dimension_looks_where_its_number_comes_from() -> None:
    image = np.full((80, 40, 3), 128, np.uint8)
    image[40:60] = np.where(np.arange(40) % 2, 28, 228)[:, None]  # the third quarter alone
    found = explain.explain(STRIPES, image, image, count=2)
    assert found.dimensions.tolist() == [2, 4]
    assert found.similarity == pytest.approx(1, abs=1e-5)
    assert found.contributions == pytest.approx(STRIPES.embed([image])[0][[2, 4]] ** 2)
    for maps in found.maps:
        rows = maps[0].sum(axis=1)
        assert rows[9:16].sum() > 0.99 * rows.sum() > 0


def test_what_is_lost_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (80, 40, 3)).astype(np.uint8) for _ in range(2))
    found = explain.explain(STRIPES, first, second)
    ours, theirs = STRIPES.embed([first, second])
    places = explain.covers(80, 40)
    assert len(places) == explain.STEPS_DOWN * explain.STEPS_ACROSS
    for number in (0, 37, len(places) - 1):
        covered = first.copy()
        rows, columns = places[number]
        covered[rows, columns] = first.reshape(-1, 3).mean(axis=0).round()
        lost = np.maximum((ours - STRIPES.embed([covered])[0]) * theirs, 0)
        expected = lost[found.dimensions]
        assert found.maps[0].reshape(5, -1)[:, number] == pytest.approx(expected, abs=1e-6)


def test_the_command_draws_a_sheet_and_writes_its_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), draw_person(1, rng))
    weights = tmp_path / "w.safetensors"
    save_weights(weights, build_model("robust-reid-025x", **TINY), "robust-reid-025x", TINY, DEFAULT, {})
    sheet, numbers = tmp_path / "sheet.png", tmp_path / "numbers.json"
    options = ["--weights", str(weights), "--runtime", "pytorch", "--out", str(sheet), "--json", str(numbers)]
    assert explain.main([str(tmp_path / "a.png"), str(tmp_path / "b.png"), *options]) == 0
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape[0] == 2 * (explain.TILE_HEIGHT + explain.LINE)
    found = json.loads(numbers.read_text())
    assert np.array(found["maps"]).shape == (2, 5, explain.STEPS_DOWN, explain.STEPS_ACROSS)
    assert found["contributions"] == sorted(found["contributions"], reverse=True)


def test_a_picture_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main([str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 2
    assert "a.png" in capsys.readouterr().err
