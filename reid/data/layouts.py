"""Readers of the layouts in which data sets are published.

``open_dataset("market1501=PATH")`` looks only at names; pictures are read when they are asked for. Persons
count from 1; -1 is junk and 0 a distractor, as in Market-1501. Data sets that count from 0 are moved up by 1.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from foundation.images import is_hidden, list_files
from reid.data.dataset import Dataset
from reid.data.known import read_known
from reid.data.pictures import (
    PICTURE_SUFFIXES,
    DataError,
    FolderImages,
    Record,
    TarImages,
    read_pictures,
)
from reid.retrieval import DISTRACTOR, UNKNOWN_CAMERA


def open_dataset(spec: str) -> Dataset:
    """Open a data set.

    Args:
        spec: ``KIND=PATH``, or ``NAME=KIND:PATH`` to give it a name of its own. PATH is the folder that the
            published archive unpacks to, or the folder ``data`` that torchreid keeps it in. Kinds:
            ``market1501`` (also a tar NAME-train.tar with NAME-split.json beside it), ``dukemtmc``,
            ``cuhk03-detected``, ``cuhk03-labeled`` (new protocol), ``msmt17``, ``mars``, ``folder`` (a folder
            for each person, without cameras, all to train on; or such folders below ``train``, ``query``
            and ``gallery``), ``folder-test`` (a folder for each person: the first picture is the query, the
            others are the gallery) and ``unlabelled`` (a folder or an uncompressed tar of pictures of people,
            without identities).

    Raises:
        DataError: No such kind, nothing there, or a name that says no person.
    """
    name, _, path = spec.partition("=")
    kind = name
    if kind not in READERS:
        kind, _, path = path.partition(":")
    if kind not in READERS or not (name and path):
        raise DataError(
            f"data '{spec}': must be KIND=PATH or NAME=KIND:PATH, where KIND is one of {', '.join(READERS)}"
        )
    root = Path(path).expanduser()
    if not root.exists():
        raise DataError(f"data '{spec}': {root} does not exist")
    try:
        dataset = READERS[kind](kind, root)
    except OSError as error:
        raise DataError(f"data '{spec}': {error.filename} cannot be read ({error.strerror})") from None
    if not (dataset.train or dataset.query or dataset.unlabelled):
        wanted = "; wanted is a folder for each person in it" if kind.startswith("folder") else ""
        raise DataError(f"data '{spec}': no pictures ({', '.join(PICTURE_SUFFIXES)}) there{wanted}")
    return replace(dataset, name=name)


def open_datasets(specs: Sequence[str]) -> list[Dataset]:
    """Open data sets; of several with one name the second is called NAME-#2, and so on.

    Raises:
        DataError: As `open_dataset`.
    """
    datasets: list[Dataset] = []
    for spec in specs:
        dataset = open_dataset(spec)
        same = sum(other.name.partition("-#")[0] == dataset.name for other in datasets)
        datasets.append(replace(dataset, name=f"{dataset.name}-#{same + 1}") if same else dataset)
    return datasets


def _somebody(records: Iterable[Record]) -> tuple[Record, ...]:
    """Without junk and distractors, which teach nothing."""
    return tuple(record for record in records if record.person > DISTRACTOR)


def _find(root: Path, marker: str, *below: str, or_else: str = "") -> Path:
    """The folder that holds ``marker``: ``root`` itself or one of the folders that torchreid puts it in."""
    folders = [root, *(root / name for name in below)]
    for folder in folders:
        if (folder / marker).exists() or (or_else and (folder / or_else).exists()):
            return folder
    raise DataError(f"{root}: neither it nor {', '.join(below)} in it holds {marker}")


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    return sorted(list_files(folder, frozenset(PICTURE_SUFFIXES)))


MARKET_NAME = re.compile(r"(-1|\d{1,18})_c(\d{1,18})")
"""Numbers of more digits do not fit into 64 bits."""


def _market_record(path: str) -> Record:
    """From a name such as 0002_c1s1_000451_03.jpg (Market) or 0001_c2_f0046182.jpg (Duke)."""
    match = MARKET_NAME.match(Path(path).name)
    if match is None:
        raise DataError(
            f"{path}: a name must begin with the numbers of person and camera, as 0002_c1s1_000451_03.jpg"
        )
    return Record(path, int(match[1]), int(match[2]))


def _market_records(root: Path, folder: str) -> tuple[Record, ...]:
    names = (path.relative_to(root).as_posix() for path in _pictures_in(root / folder))
    return tuple(_market_record(name) for name in names)


def _read_market(kind: str, path: Path) -> Dataset:
    """Market-1501 and DukeMTMC-reID; or a tar of the training set with a split of its own.

    What has ``query`` and ``bounding_box_test`` only is to be judged with.
    """
    if path.is_file():
        return _read_market_tar(kind, path)
    root = _find(
        path,
        "bounding_box_train",
        "market1501/Market-1501-v15.09.15",
        "dukemtmc-reid/DukeMTMC-reID",
        or_else="query",
    )
    has_train = (root / "bounding_box_train").exists()
    train = _market_records(root, "bounding_box_train") if has_train else ()
    query, gallery = (_market_records(root, folder) for folder in ("query", "bounding_box_test"))
    known = read_known(kind, root)
    return Dataset(kind, _somebody(train), query, gallery, FolderImages(root), known=known)


def _read_market_tar(kind: str, path: Path) -> Dataset:
    split_file = path.with_name(path.name.removesuffix(".tar").removesuffix("-train") + "-split.json")
    split = _read_json(split_file)
    if not _is_split(split):
        raise DataError(f"{split_file}: must hold 'train' (persons), 'query' and 'gallery' (file names)")
    images = TarImages.open(path)
    records = {
        Path(name).name: _market_record(name)
        for name in sorted(images.members)
        if Path(name).suffix.lower() in PICTURE_SUFFIXES and not is_hidden(Path(name))
    }
    people = {_whole_number(person, f"{split_file}: 'train'") for person in split["train"]}

    def chosen(part: str) -> tuple[Record, ...]:
        for name in split[part]:
            if name not in records:
                raise DataError(f"{split_file}: '{part}' names {name}, which is not in {path}")
        return tuple(records[name] for name in split[part])

    train = _somebody(record for record in records.values() if record.person in people)
    query, gallery = chosen("query"), chosen("gallery")
    if shared := people & {record.person for record in query}:
        raise DataError(f"{split_file}: person {min(shared)} is both to be trained on and a query")
    return Dataset(kind, train, query, gallery, images, known=read_known(kind, path.parent))


def _read_cuhk03(kind: str, path: Path) -> Dataset:
    """The new protocol (767 people to train, 700 to test) in the files that torchreid makes of it."""
    how = kind.removeprefix("cuhk03-")
    split_name = f"splits_new_{how}.json"
    root = _find(path, split_name, "cuhk03")
    split_file = root / split_name
    splits = _read_json(split_file)
    if not isinstance(splits, list) or len(splits) != 1 or not _is_split(splits[0]):
        raise DataError(f"{split_file}: must be a list of one split with 'train', 'query' and 'gallery'")

    def chosen(part: str) -> tuple[Record, ...]:
        records = []
        for row in splits[0][part]:
            if not isinstance(row, list) or len(row) != 3:
                raise DataError(f"{split_file}: a row of '{part}' must be [path, person, camera], got {row}")
            # The paths in the file are those of the machine that wrote it.
            name = re.split(r"[/\\]", str(row[0]))[-1]
            person, camera = (_whole_number(value, f"{split_file}: {name}") for value in row[1:])
            records.append(Record(f"images_{how}/{name}", person + 1, camera + 1))
        return tuple(records)

    return Dataset(kind, chosen("train"), chosen("query"), chosen("gallery"), FolderImages(root))


def _read_msmt17(kind: str, path: Path) -> Dataset:
    """MSMT17 V1 or V2; the training set is train and val together, as its paper counts it (32,621)."""
    root = _find(path, "list_train.txt", "MSMT17_V1", "MSMT17_V2", "msmt17/MSMT17_V1", "msmt17/MSMT17_V2")
    train_folder, test_folder = (
        ("mask_train_v2", "mask_test_v2") if (root / "mask_train_v2").is_dir() else ("train", "test")
    )

    def listed(part: str, folder: str) -> tuple[Record, ...]:
        file, records = root / f"list_{part}.txt", []
        for number, line in enumerate(_read_text(file).splitlines(), start=1):
            if not line.strip():
                continue
            name, _, person = line.strip().rpartition(" ")
            # 0000/0000_000_01_0303morning_0008_0.jpg: person, running number, camera, ...
            fields = Path(name).name.split("_")
            if len(fields) < 3:
                raise DataError(
                    f"{file}, line {number}: '{line}' is no 'PATH PERSON' with a camera in its name"
                )
            where = f"{file}, line {number}"
            records.append(
                Record(f"{folder}/{name}", _whole_number(person, where) + 1, _whole_number(fields[2], where))
            )
        return tuple(records)

    train = listed("train", train_folder)
    if (root / "list_val.txt").exists():
        train += listed("val", train_folder)
    query, gallery = listed("query", test_folder), listed("gallery", test_folder)
    return Dataset(kind, train, query, gallery, FolderImages(root))


def _read_mars(kind: str, path: Path) -> Dataset:
    """MARS: bbox_train, bbox_test and info/. Training takes each picture, judging each tracklet as one.

    As in the official evaluation the query tracklets stay in the gallery, where they are junk for their own
    query; torchreid takes them out, and so has fewer right answers for the other queries of that person.
    """
    root = _find(path, "bbox_train", "mars")

    def tracklets(part: str) -> list[list[Record]]:
        names = _read_text(root / "info" / f"{part}_name.txt").split()
        # first and last picture in the list of names, from 1; person (-1 is junk, 0 a distractor); camera
        rows = _read_matlab(root / "info" / f"tracks_{part}_info.mat", f"track_{part}_info")
        if (
            rows.ndim != 2
            or rows.shape[1] != 4
            or (rows[:, :2] < 1).any()
            or (rows[:, :2] > len(names)).any()
        ):
            raise DataError(
                f"{root}/info/tracks_{part}_info.mat: must be rows of first, last, person, camera with first "
                f"and last from 1 to {len(names)}, the names in {part}_name.txt"
            )
        # The first four letters of a name are its folder: 0001C1T0001F001.jpg, and 00-1... for junk.
        return [
            [Record(f"bbox_{part}/{n[:4]}/{n}", int(person), int(camera), i) for n in names[first - 1 : last]]
            for i, (first, last, person, camera) in enumerate(rows.tolist(), start=1)
        ]

    test = tracklets("test")
    chosen = _read_matlab(root / "info" / "query_IDX.mat", "query_IDX").ravel()
    if (chosen < 1).any() or (chosen > len(test)).any():
        raise DataError(f"{root}/info/query_IDX.mat: must hold numbers from 1 to {len(test)}")
    return Dataset(
        kind,
        _somebody(record._replace(tracklet=0) for records in tracklets("train") for record in records),
        tuple(record for index in chosen.tolist() for record in test[index - 1]),
        tuple(record for records in test for record in records),
        FolderImages(root),
    )


def _read_folder(kind: str, path: Path) -> Dataset:
    """A folder for each person; without ``train``, ``query`` or ``gallery`` below, all to be trained on."""
    if not any((path / part).is_dir() for part in PARTS):
        people = {folder.name: number for number, folder in enumerate(_folders_in(path), start=1)}
        train, known = _people_in(path, ".", people), read_known(kind, path)
        return Dataset(kind, train, (), (), FolderImages(path), known=known)
    names = {folder.name for part in PARTS if (path / part).is_dir() for folder in _folders_in(path / part)}
    people = {name: number for number, name in enumerate(sorted(names), start=1)}
    train, query, gallery = (_people_in(path, part, people) for part in PARTS)
    return Dataset(kind, train, query, gallery, FolderImages(path), known=read_known(kind, path))


def _read_folder_test(kind: str, path: Path) -> Dataset:
    """A folder for each person, all to be found again: the first picture of each asks for the others.

    One that cannot be read asks nothing; it stays in the gallery, where it is named.
    """
    people = {folder.name: number for number, folder in enumerate(_folders_in(path), start=1)}
    records, images = _people_in(path, ".", people), FolderImages(path)
    first: dict[int, Record] = {}
    for record in records:
        if record.person not in first and read_pictures(images, [record]).images:
            first[record.person] = record
    query = tuple(first[person] for person in sorted(first))
    asked = set(query)
    return Dataset(kind, (), query, tuple(r for r in records if r not in asked), images)


def _people_in(root: Path, part: str, people: Mapping[str, int]) -> tuple[Record, ...]:
    if not (root / part).is_dir():
        return ()
    return tuple(
        Record(path.relative_to(root).as_posix(), people[folder.name], UNKNOWN_CAMERA)
        for folder in _folders_in(root / part)
        for path in _pictures_in(folder)
    )


def _read_unlabelled(kind: str, path: Path) -> Dataset:
    """Every picture below a folder or in a tar, wherever it lies there."""
    images: FolderImages | TarImages
    if path.is_file():
        images = TarImages.open(path)
        names = sorted(images.members)
    else:
        images = FolderImages(path)
        names = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    pictures = (name for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES)
    unlabelled = tuple(Record(name, DISTRACTOR, UNKNOWN_CAMERA) for name in pictures)
    return Dataset(kind, (), (), (), images, unlabelled)


PARTS = ("train", "query", "gallery")

READERS: Mapping[str, Callable[[str, Path], Dataset]] = {
    "market1501": _read_market,
    "dukemtmc": _read_market,
    "cuhk03-detected": _read_cuhk03,
    "cuhk03-labeled": _read_cuhk03,
    "msmt17": _read_msmt17,
    "mars": _read_mars,
    "folder": _read_folder,
    "folder-test": _read_folder_test,
    "unlabelled": _read_unlabelled,
}


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))


def _is_split(split: Any) -> bool:
    """Whether JSON names what to train on, the queries and the gallery, a list each."""
    return isinstance(split, dict) and all(isinstance(split.get(part), list) for part in PARTS)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise DataError(f"{path}: cannot be read ({reason})") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: is no JSON ({error})") from None


def _read_matlab(path: Path, name: str) -> NDArray[np.int64]:
    try:
        with path.open("rb") as file:
            return np.asarray(scipy.io.loadmat(file)[name], np.int64)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, ValueError, MatReadError) as error:
        raise DataError(f"{path}: holds no table of numbers '{name}' ({error})") from None


def _whole_number(value: Any, where: str) -> int:
    try:
        return int(np.int64(int(value)))  # which refuses what does not fit into 64 bits
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{where}: '{value}' must be a whole number, the label of a person or camera"
        ) from None
