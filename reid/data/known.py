"""What is known of pictures beside who is on them: key points of the body, attributes of clothes.

labels.json beside pictures, as ``reunite simulate --crops`` writes it, or the attribute file of Market-1501
and DukeMTMC-reID as it is published (Lin et al. 2019, arXiv:1703.07220). What is not known is NaN.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from reid.data.pictures import DataError, Record

LABELS = "labels.json"
ATTRIBUTE_FILES = {"market1501": "market_attribute.mat", "dukemtmc": "duke_attribute.mat"}

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Labels of pictures and of people.

    Attributes:
        names: What each column stands for, by kind: ``key_points``, ``attributes``.
        of_picture: By kind and path, (K, 2) shares of width and height, or (A,) 0 and 1.
        of_person: By kind and person.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    of_picture: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    of_person: Mapping[str, Mapping[int, Floats]] = field(default_factory=dict)

    def row(self, kind: str, record: Record) -> Floats:
        """The label of a picture of a kind that has names; NaN where nothing is known."""
        of_picture = self.of_picture.get(kind, {}).get(record.path)
        if of_picture is not None:
            return of_picture
        shape = (len(self.names[kind]), *((2,) if kind == "key_points" else ()))
        return self.of_person.get(kind, {}).get(record.person, np.full(shape, np.nan, np.float32))


NOTHING = Known()


def read_known(kind: str, root: Path) -> Known:
    """What lies beside the pictures of a data set; `NOTHING` where no such file does.

    Raises:
        DataError: A file that is there cannot be read, or holds something else.
    """
    if (root / LABELS).is_file():
        return read_labels(root / LABELS)
    if kind in ATTRIBUTE_FILES and (root / ATTRIBUTE_FILES[kind]).is_file():
        return read_attributes(root / ATTRIBUTE_FILES[kind])
    return NOTHING


def read_labels(path: Path) -> Known:
    """Read a labels.json.

    ``{"key_points": [names], "attributes": [names], "pictures": {path: {"key_points": [[x, y], ...],
    "attributes": [0, 1, ...]}}}``; a kind, a picture or a value (null) may be left out.

    Raises:
        DataError: It cannot be read, or holds something else.
    """
    try:
        labels: Any = json.loads(path.read_text(encoding="utf-8"))
        kinds = [kind for kind in ("key_points", "attributes") if kind in labels]
        names = {kind: tuple(map(str, labels[kind])) for kind in kinds}
        of_picture: dict[str, dict[str, Floats]] = {kind: {} for kind in names}
        for name, values in labels["pictures"].items():
            for kind in names.keys() & values.keys():
                row = np.array(values[kind], np.float32)
                expected = (len(names[kind]), 2) if kind == "key_points" else (len(names[kind]),)
                if row.shape != expected:
                    raise ValueError(f"{kind} of {name} must have shape {expected}, got {row.shape}")
                of_picture[kind][name] = row
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: holds no labels as docs/training.md says ({error})") from None
    return Known(names, of_picture)


def read_attributes(path: Path) -> Known:
    """Read a published attribute file: of each person 1 or 2 (no, yes) for each attribute; age 1 to 4.

    Ages become four attributes. People are those of ``train`` and ``test``, by ``image_index``.

    Raises:
        DataError: It cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = scipy.io.loadmat(file, squeeze_me=True, struct_as_record=False)
        [name] = [key for key in content if not key.startswith("__")]
        names: tuple[str, ...] = ()
        of_person: dict[int, Floats] = {}
        for part in ("train", "test"):
            table = getattr(content[name], part)
            columns: dict[str, NDArray[Any]] = {}
            for column in sorted(set(table._fieldnames) - {"image_index"}):
                values = np.atleast_1d(getattr(table, column)).astype(int)
                if column == "age":
                    columns |= {f"age_{age}": values == age for age in range(1, 5)}
                else:
                    columns[column] = values == 2
            if names and tuple(columns) != names:
                raise ValueError(f"train and test have other attributes: {names}, {tuple(columns)}")
            names = tuple(columns)
            rows = np.stack(list(columns.values()), axis=1).astype(np.float32)
            people = [int(person) for person in np.atleast_1d(table.image_index)]
            of_person |= dict(zip(people, rows, strict=True))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, AttributeError, IndexError, MatReadError) as error:
        raise DataError(f"{path}: is no attribute file as it is published ({error})") from None
    return Known({"attributes": names}, {}, {"attributes": of_person})
