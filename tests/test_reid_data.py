"""The layouts of published data sets, made of drawn pictures, and what is wrong with bad ones."""

import io
import json
import pickle
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from reid.data import (
    DataError,
    FolderImages,
    PictureError,
    Record,
    TarImages,
    count_people,
    open_dataset,
    read_pictures,
)
from tests.conftest import shared_folder


def jpeg(brightness: int = 128, height: int = 16, width: int = 8) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), brightness, np.uint8))
    assert done
    return data.tobytes()


def draw(root: Path, names: Iterable[str]) -> None:
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg(10 * place))


def make_market(root: Path) -> Path:
    draw(
        root,
        [
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "bounding_box_train/0002_c2s1_000451_03.jpg",
            "bounding_box_train/0007_c3s1_000451_03.jpg",
            "bounding_box_train/-1_c3s1_000451_03.jpg",
            "query/0100_c1s1_000001_00.jpg",
            "bounding_box_test/-1_c1s1_000001_00.jpg",
            "bounding_box_test/0000_c1s1_000001_00.jpg",
            "bounding_box_test/0100_c6s1_000001_00.jpg",
        ],
    )
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"the published archive holds these")
    return root


def make_market_tar(folder: Path, split: object, extra: tuple[str, ...] = ()) -> Path:
    path = folder / "market1501-train.tar"
    names = [
        f"bounding_box_train/{n}.jpg" for n in ("0002_c1s1_1_0", "0007_c1s1_1_0", "0007_c2s1_1_0", *extra)
    ]
    with tarfile.open(path, "w") as archive:
        for place, name in enumerate(names):
            data = jpeg(10 * place)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (folder / "market1501-split.json").write_text(json.dumps(split))
    return path


SPLIT = {"train": ["0002"], "query": ["0007_c1s1_1_0.jpg"], "gallery": ["0007_c2s1_1_0.jpg"]}


@pytest.mark.parametrize("below", [".", "market1501/Market-1501-v15.09.15"])
def test_market_is_read_as_published_and_where_torchreid_keeps_it(tmp_path: Path, below: str) -> None:
    make_market(tmp_path / below)
    dataset = open_dataset(f"market1501={tmp_path}")
    train = "bounding_box_train"
    assert dataset.train == (
        Record(f"{train}/0002_c1s1_000451_03.jpg", 2, 1),
        Record(f"{train}/0002_c2s1_000451_03.jpg", 2, 2),
        Record(f"{train}/0007_c3s1_000451_03.jpg", 7, 3),
    )
    assert [(record.person, record.camera) for record in dataset.query] == [(100, 1)]
    assert [(record.person, record.camera) for record in dataset.gallery] == [(-1, 1), (0, 1), (100, 6)]
    assert dataset.images.read(dataset.gallery[2]).shape == (16, 8, 3)


def test_somebody_seen_by_one_camera_is_kept_for_training_and_said(tmp_path: Path) -> None:
    remarks = open_dataset(f"market1501={make_market(tmp_path)}").remarks()
    assert len(remarks) == 1
    assert "1 of 2 people to train on are seen by one camera only" in remarks[0]


def test_a_query_of_somebody_seen_by_one_camera_is_said(tmp_path: Path) -> None:
    make_market(tmp_path)
    (tmp_path / "bounding_box_test" / "0100_c6s1_000001_00.jpg").unlink()
    assert (
        "1 of the people to be found are seen by one camera only"
        in open_dataset(f"market1501={tmp_path}").remarks()[-1]
    )


def test_duke_names_have_no_sequence(tmp_path: Path) -> None:
    root = tmp_path / "dukemtmc-reid" / "DukeMTMC-reID"
    draw(
        root,
        [f"{part}/0001_c8_f0046182.jpg" for part in ("bounding_box_train", "query", "bounding_box_test")],
    )
    assert open_dataset(f"dukemtmc={tmp_path}").train == (
        Record("bounding_box_train/0001_c8_f0046182.jpg", 1, 8),
    )


@pytest.mark.parametrize("name", ["anna_c1s1_000451_03.jpg", "0002_s1.jpg", "-2_c1s1.jpg"])
def test_a_name_without_numbers_is_refused_by_name(tmp_path: Path, name: str) -> None:
    draw(make_market(tmp_path), [f"query/{name}"])
    with pytest.raises(DataError, match=name):
        open_dataset(f"market1501={tmp_path}")


def test_a_tar_is_read_in_place_by_its_split(tmp_path: Path) -> None:
    dataset = open_dataset(f"market1501={make_market_tar(tmp_path, SPLIT)}")
    assert [record.person for record in dataset.train] == [2]
    assert [record.camera for record in (*dataset.query, *dataset.gallery)] == [1, 2]
    pixel = dataset.images.read(dataset.gallery[0])[0, 0]
    assert pixel.tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": ["0009_c1s1_1_0.jpg"]}, "'query' names 0009_c1s1_1_0.jpg, which is not in"),
        ({"train": ["anna"]}, "'anna' must be a whole number"),
        ({"train": ["9" * 20]}, "'99999999999999999999' must be a whole number"),
        ({"train": ["0007"]}, "person 7 is both to be trained on and a query"),
        ({"train": 7}, "must hold 'train'"),
    ],
)
def test_a_split_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = make_market_tar(tmp_path, SPLIT | change)
    with pytest.raises(DataError, match=message):
        open_dataset(f"market1501={path}")


def test_a_split_without_its_parts_is_refused(tmp_path: Path) -> None:
    path = make_market_tar(tmp_path, {"train": []})
    with pytest.raises(DataError, match="must hold 'train'"):
        open_dataset(f"market1501={path}")


def test_a_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    path = make_market_tar(tmp_path, SPLIT)
    path.write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match="cannot be read as an uncompressed tar"):
        open_dataset(f"market1501={path}")


def test_a_store_is_shared_by_threads_and_survives_being_sent_to_a_process(tmp_path: Path) -> None:
    dataset = open_dataset(f"market1501={make_market_tar(tmp_path, SPLIT)}")
    images = pickle.loads(pickle.dumps(dataset.images))
    records = [dataset.train[0], dataset.query[0], dataset.gallery[0]] * 40
    with ThreadPoolExecutor(8) as pool:
        found = [int(image[0, 0, 0]) for image in pool.map(images.read, records)]
    assert found == [0, 10, 20] * 40


@pytest.mark.parametrize("how", ["detected", "labeled"])
def test_cuhk03_takes_names_from_paths_of_another_machine(tmp_path: Path, how: str) -> None:
    root = tmp_path / "cuhk03"
    split = {
        "train": [[f"/home/them/cuhk03/images_{how}/1_001_1_01.png", 0, 0]],
        "query": [[f"D:\\cuhk03\\images_{how}\\1_002_1_01.png", 5, 0]],
        "gallery": [["1_002_2_06.png", 5, 1]],
        "num_train_pids": 767,
    }
    draw(root, [f"images_{how}/1_002_1_01.png"])
    (root / f"splits_new_{how}.json").write_text(json.dumps([split]))
    dataset = open_dataset(f"cuhk03-{how}={tmp_path}")
    assert dataset.train == (Record(f"images_{how}/1_001_1_01.png", 1, 1),)
    assert dataset.query == (Record(f"images_{how}/1_002_1_01.png", 6, 1),)
    assert dataset.gallery == (Record(f"images_{how}/1_002_2_06.png", 6, 2),)
    assert dataset.images.read(dataset.query[0]).shape == (16, 8, 3)


@pytest.mark.parametrize("row", [["1_001_1_01.png", "anna", 0], ["1_001_1_01.png", 0]])
def test_cuhk03_rows_without_numbers_are_refused(tmp_path: Path, row: list[object]) -> None:
    (tmp_path / "splits_new_detected.json").write_text(
        json.dumps([{"train": [row], "query": [], "gallery": []}])
    )
    with pytest.raises(DataError, match=r"1_001_1_01\.png"):
        open_dataset(f"cuhk03-detected={tmp_path}")


@pytest.mark.parametrize("splits", [{}, [5], [{"train": [], "query": 7, "gallery": []}]])
def test_cuhk03_splits_of_another_shape_are_refused(tmp_path: Path, splits: object) -> None:
    (tmp_path / "splits_new_detected.json").write_text(json.dumps(splits))
    with pytest.raises(DataError, match="must be a list of one split"):
        open_dataset(f"cuhk03-detected={tmp_path}")


@pytest.mark.parametrize(("version", "folder"), [("MSMT17_V1", "train"), ("MSMT17_V2", "mask_train_v2")])
def test_msmt17_counts_from_0_and_its_val_people_are_trained_on(
    tmp_path: Path, version: str, folder: str
) -> None:
    root = tmp_path / "msmt17" / version
    name = "0000/0000_000_01_0303morning_0008_0.jpg"
    draw(root, [f"{folder}/{name}"])
    for part, line in {
        "train": f"{name} 0",
        "val": "0001/0001_000_14_0303noon_0008_0.jpg 1",
        "query": "0000/0000_000_02_0303noon_0008_0.jpg 0",
        "gallery": "0000/0000_001_15_0303noon_0008_0.jpg 0\n",
    }.items():
        (root / f"list_{part}.txt").write_text(line)
    dataset = open_dataset(f"msmt17={tmp_path}")
    assert [(record.person, record.camera) for record in dataset.train] == [(1, 1), (2, 14)]
    assert [(record.person, record.camera) for record in dataset.gallery] == [(1, 15)]
    assert dataset.train[0].path == f"{folder}/{name}"
    assert dataset.images.read(dataset.train[0]).shape == (16, 8, 3)


def test_msmt17_names_file_and_line_of_a_label_that_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "list_train.txt").write_text("a/0000_000_01_x.jpg 0\n\na/0000_000_01_x.jpg anna\n")
    with pytest.raises(DataError, match=r"list_train.txt, line 3: 'anna' must be a whole number"):
        open_dataset(f"msmt17={tmp_path}")


def make_mars(root: Path) -> Path:
    """Two tracklets to train on; to test, two of person 2, one distractor and one of junk."""
    names = {
        "train": ["0001C1T0001F001.jpg", "0001C1T0001F002.jpg", "0001C2T0001F001.jpg"],
        "test": [
            "00-1C1T0001F001.jpg",
            "0000C1T0001F001.jpg",
            "0002C1T0001F001.jpg",
            "0002C1T0001F002.jpg",
            "0002C3T0001F001.jpg",
        ],
    }
    rows = {
        "train": [[1, 2, 1, 1], [3, 3, 1, 2]],
        "test": [[1, 1, -1, 1], [2, 2, 0, 1], [3, 4, 2, 1], [5, 5, 2, 3]],
    }
    (root / "info").mkdir(parents=True)
    for part in ("train", "test"):
        draw(root, [f"bbox_{part}/{name[:4]}/{name}" for name in names[part]])
        (root / "info" / f"{part}_name.txt").write_text("\n".join(names[part]))
        # As published: numbers as MATLAB writes them, doubles.
        table = {f"track_{part}_info": np.array(rows[part], np.float64)}
        scipy.io.savemat(root / "info" / f"tracks_{part}_info.mat", table)
    scipy.io.savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([[3.0]])})
    return root


def test_mars_pictures_of_a_tracklet_carry_its_number(tmp_path: Path) -> None:
    dataset = open_dataset(f"mars={make_mars(tmp_path)}")
    assert [(r.person, r.camera, r.tracklet) for r in dataset.train] == [(1, 1, 0), (1, 1, 0), (1, 2, 0)]
    assert [(r.person, r.camera, r.tracklet) for r in dataset.query] == [(2, 1, 3), (2, 1, 3)]
    assert [r.person for r in dataset.gallery] == [-1, 0, 2, 2, 2]
    assert [r.tracklet for r in dataset.gallery] == [1, 2, 3, 3, 4]
    for record in (*dataset.train, *dataset.gallery):
        assert dataset.images.read(record).shape == (16, 8, 3)


@pytest.mark.parametrize("rows", [[[0, 1, 1, 1]], [[1, 99, 1, 1]], [[1, 1, 1]]])
def test_mars_rows_outside_of_the_names_are_refused(tmp_path: Path, rows: list[list[int]]) -> None:
    make_mars(tmp_path)
    scipy.io.savemat(tmp_path / "info" / "tracks_test_info.mat", {"track_test_info": np.array(rows)})
    with pytest.raises(
        DataError, match=r"tracks_test_info\.mat: must be rows of first, last, person, camera"
    ):
        open_dataset(f"mars={tmp_path}")


@pytest.mark.parametrize("content", [b"", b"no matlab file" * 20])
def test_mars_tables_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    make_mars(tmp_path)
    (tmp_path / "info" / "query_IDX.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"query_IDX\.mat"):
        open_dataset(f"mars={tmp_path}")


def test_a_folder_for_each_person_is_trained_on_without_cameras(tmp_path: Path) -> None:
    draw(tmp_path, ["bert/1.png", "anna/2.jpg", "anna/1.jpg"])
    dataset = open_dataset(f"folder={tmp_path}")
    assert dataset.train == (
        Record("anna/1.jpg", 1, 0),
        Record("anna/2.jpg", 1, 0),
        Record("bert/1.png", 2, 0),
    )
    assert (dataset.query, dataset.gallery) == ((), ())
    assert "no camera numbers to train with" in dataset.remarks()[0]


def test_folders_of_one_name_are_one_person_in_train_query_and_gallery(tmp_path: Path) -> None:
    draw(tmp_path, ["train/cleo/1.jpg", "query/anna/1.jpg", "gallery/anna/2.jpg", "gallery/bert/1.jpg"])
    dataset = open_dataset(f"folder={tmp_path}")
    assert dataset.train == (Record("train/cleo/1.jpg", 3, 0),)
    assert dataset.query == (Record("query/anna/1.jpg", 1, 0),)
    assert [record.person for record in dataset.gallery] == [1, 2]
    assert "no camera numbers to judge with" in dataset.remarks()[-1]


def test_folder_test_asks_with_the_first_picture_for_the_others(tmp_path: Path) -> None:
    draw(tmp_path, ["bert/1.png", "anna/1.jpg", "anna/2.jpg", "anna/3.jpg"])
    dataset = open_dataset(f"folder-test={tmp_path}")
    assert dataset.query == (Record("anna/1.jpg", 1, 0), Record("bert/1.png", 2, 0))
    assert dataset.gallery == (Record("anna/2.jpg", 1, 0), Record("anna/3.jpg", 1, 0))
    assert dataset.train == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("market1501", "must be KIND=PATH"),
        ("markt=.", "KIND is one of market1501"),
        ("market1501=nowhere", "nowhere does not exist"),
        ("market1501=.", "holds bounding_box_train"),
        ("folder=.", r"no pictures \(.jpg, .*\) there; wanted is a folder for each person in it"),
        ("folder=file", r"data 'folder=file': file cannot be read \(Not a directory\)"),
    ],
)
def test_a_spec_that_names_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(DataError, match=message):
        open_dataset(spec)


def test_folders_to_train_on_need_no_queries_beside_them(tmp_path: Path) -> None:
    draw(tmp_path, ["train/anna/1.jpg", "train/bert/1.jpg"])
    dataset = open_dataset(f"folder={tmp_path}")
    assert dataset.train == (Record("train/anna/1.jpg", 1, 0), Record("train/bert/1.jpg", 2, 0))
    assert dataset.query == ()


def test_a_number_that_fits_nowhere_is_no_person(tmp_path: Path) -> None:
    make_market(tmp_path)
    draw(tmp_path, [f"query/{'9' * 20}_c1s1_000001_00.jpg"])
    with pytest.raises(DataError, match="must begin with the numbers of person and camera"):
        open_dataset(f"market1501={tmp_path}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"no picture", "no picture that OpenCV can read"),
        (jpeg()[:-40], "the JPEG is cut off"),
        (None, "cannot be read"),
    ],
)
def test_a_picture_that_cannot_be_read_is_left_out_and_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    draw(tmp_path, ["good.jpg"])
    if content is not None:
        (tmp_path / "bad.jpg").write_bytes(content)
    records = [Record("bad.jpg", 1, 1), Record("good.jpg", 2, 1)]
    pictures = read_pictures(FolderImages(tmp_path), records)
    assert pictures.records == records[1:]
    assert len(pictures.images) == 1
    assert len(pictures.skipped) == 1
    assert "bad.jpg" in pictures.skipped[0]
    assert message in pictures.skipped[0]


def test_a_tar_member_that_is_not_there_is_named(tmp_path: Path) -> None:
    images = TarImages.open(make_market_tar(tmp_path, SPLIT))
    with pytest.raises(PictureError, match=r"nobody\.jpg: no such file in the tar"):
        images.read(Record("nobody.jpg", 1, 1))


def test_junk_and_distractors_are_no_people() -> None:
    assert count_people(Record("", person, 1) for person in (-1, 0, 3, 3, 4)) == 2


@pytest.mark.real
def test_the_shared_split_is_the_one_that_is_described() -> None:
    dataset = open_dataset(f"market1501={shared_folder() / 'data' / 'market1501-train.tar'}")
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (9914, 882, 2140)
    assert count_people(dataset.train) == 551
    tested: set[int] = {record.person for record in (*dataset.query, *dataset.gallery)}
    assert len(tested) == 200
    assert tested.isdisjoint(record.person for record in dataset.train)
    image: NDArray[np.uint8] = dataset.images.read(dataset.query[-1])
    assert image.shape == (128, 64, 3)
    assert dataset.remarks() == []


@pytest.mark.parametrize("kind", ["folder", "folder-test"])
def test_what_systems_put_beside_pictures_is_nobody(tmp_path: Path, kind: str) -> None:
    draw(tmp_path, ["ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg"])
    clean = open_dataset(f"{kind}={tmp_path}")
    draw(tmp_path, ["ann/._1.jpg", "__MACOSX/1.jpg", "@eaDir/1.jpg", ".trash/1.jpg"])
    (tmp_path / "ann" / "Thumbs.db").write_bytes(b"not a picture")
    assert open_dataset(f"{kind}={tmp_path}") == clean


def test_a_query_is_chosen_among_what_can_be_read(tmp_path: Path) -> None:
    draw(tmp_path, ["ann/2.jpg", "ann/3.jpg", "bob/1.jpg"])
    (tmp_path / "ann" / "1.jpg").write_bytes(b"cut off")
    (tmp_path / "cleo").mkdir()
    (tmp_path / "cleo" / "1.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = open_dataset(f"folder-test={tmp_path}")
    assert [record.path for record in dataset.query] == ["ann/2.jpg", "bob/1.jpg"]
    assert [record.path for record in dataset.gallery] == ["ann/1.jpg", "ann/3.jpg", "cleo/1.jpg"]


def test_twins_in_a_tar_are_nobody(tmp_path: Path) -> None:
    path = make_market_tar(tmp_path, SPLIT)
    clean = open_dataset(f"market1501={path}")
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("all/._0002_c1s1_000451_03.jpg"))
    assert open_dataset(f"market1501={path}").train == clean.train
