"""Crops of simulated people: the reader of the training knows them, and joints lie where they are drawn."""

import filecmp
from pathlib import Path

import numpy as np
import pytest

from reid.data import open_dataset
from reid.models.body import KEY_POINTS
from tracker.simulate import SimulationConfig, simulate
from tracker.simulate.body import draw_looks
from tracker.simulate.command import main
from tracker.simulate.crops import ATTRIBUTES, MIN_HEIGHT_PX, attributes_of

WORLD = SimulationConfig(
    cameras=2, people=8, seconds=12, frame_rate=2, width=320, height=192, video=False, crops_every_s=1.0
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    simulate(out, WORLD)
    return out / "people"


def test_the_training_reads_people_cameras_joints_and_clothes(people: Path) -> None:
    dataset = open_dataset(f"market1501={people}")
    assert dataset.train
    assert {record.person for record in dataset.train} <= set(range(1, 7))  # 70 % of 8
    assert {record.person for record in (*dataset.query, *dataset.gallery)} <= {7, 8}
    assert dataset.known.names == {"key_points": KEY_POINTS, "attributes": ATTRIBUTES}
    looks = draw_looks(8, np.random.default_rng(np.random.SeedSequence(WORLD.seed).spawn(10)[1]))
    for record in dataset.train:
        image = dataset.images.read(record)
        assert image.shape[0] >= MIN_HEIGHT_PX
        points = dataset.known.row("key_points", record)
        crown, ankles = points[0, 1], points[-2:, 1]
        assert crown < 0.2  # a head is at the top of a box, and feet at its end, unless a border cuts it
        assert (ankles > crown + 0.4).all()
        assert dataset.known.row("attributes", record).tolist() == attributes_of(looks[record.person - 1])


def test_nobody_wears_two_colours_at_once_or_trousers_under_a_skirt() -> None:
    for worn in map(attributes_of, draw_looks(60, np.random.default_rng(0))):
        has = {name for name, value in zip(ATTRIBUTES, worn, strict=True) if value}
        assert sum(name.startswith("top_") for name in has) == 1
        assert sum(name.startswith("bottom_") for name in has) == 1
        assert not {"skirt", "short_trousers"} <= has
        assert not {"skirt", "coat"} <= has


def test_crops_change_nothing_else_and_come_out_the_same(people: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "bare", WORLD.model_copy(update={"crops_every_s": 0.0}))
    assert not (tmp_path / "bare" / "people").exists()
    files = ["calibration.json", "cam1/gt/gt.txt", "cam2/det/det.txt"]
    assert filecmp.cmpfiles(people.parent, tmp_path / "bare", files, shallow=False)[0] == files
    command = "--cameras 2 --people 8 --seconds 12 --fps 2 --size 320x192 --no-video --crops 1"
    assert main([str(tmp_path / "again"), *command.split()]) == 0
    names = sorted(path.relative_to(people).as_posix() for path in people.rglob("*") if path.is_file())
    assert filecmp.cmpfiles(people, tmp_path / "again" / "people", names, shallow=False)[0] == names
