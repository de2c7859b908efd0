"""MOTChallenge text files <-> arrays: results, detections, ground truth and seqinfo.ini.

One row a box, separated by commas, semicolons, tabulators or spaces: frame, id, left, top, width, height,
score and then

- 7 columns: nothing more;
- 9 columns: class and visibility, as in the ground truth of MOT16, MOT17 and MOT20;
- 10 columns: a position in the world or -1,-1,-1, as in results, detections and all files of MOT15; or
  category, truncation and occlusion, as in VisDrone, whose categories are told as the classes of MOT16.

Source: MOT16 (Milan et al. 2016, arXiv:1603.00831) and the devkit of motchallenge.net.
"""

import configparser
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

import numpy as np

from foundation.arrays import BoolArray, Columns, FloatArray, IntArray
from foundation.errors import ReuniteError

COLUMN_NAMES = ("frame", "id", "left", "top", "width", "height", "score", "class", "visibility")
MAX_WHOLE = 2.0**53
"""Above this a float no longer holds every whole number."""
MAX_FRAME = 10_000_000
"""A higher number is a mistake: at 25 frames/s it would be the fifth day of one video."""
LARGEST = {"frameRate": 1000.0, "seqLength": float(MAX_FRAME), "imWidth": 65_535.0, "imHeight": 65_535.0}
"""What a seqinfo.ini may say at most; a picture of JPEG has no longer side."""
LOWEST_RATE = 0.001
"""A picture each quarter of an hour."""
PEDESTRIAN, DISTRACTOR = 1, 8
CLASS_OF_VISDRONE = np.array([DISTRACTOR, PEDESTRIAN, PEDESTRIAN, 4, 3, 3, 3, 4, 4, 3, 5, 11])
"""Ignored region, pedestrian, people, bicycle, car, van, truck, two tricycles, bus, motor, others."""
NOT_PEOPLE = (3, 4, 5, 6, DISTRACTOR, 9, 10, 11, 12)
"""Classes of MOT16 that are no people: vehicles, distractors, occluders and reflections."""


class MotFileError(ReuniteError):
    """A MOTChallenge file that cannot be used; the message names file, row and value."""


@dataclass(frozen=True, slots=True, eq=False)
class MotTable(Columns):
    """The R boxes of one MOTChallenge file, one row each, in the order of the file.

    Attributes:
        frames: (R,) from 1.
        ids: (R,) who it is; -1 in detection files.
        boxes: (R, 4) left, top, width, height in pixels, exactly as in the file.
        scores: (R,) confidence; in ground truth the flag, 0 for a box that is not to be scored.
        classes: (R,) class of MOT16 ground truth; 1, a pedestrian, where the file has none.
        visibility: (R,) visible share of the person in [0, 1]; 1 where the file has none.
    """

    frames: IntArray
    ids: IntArray
    boxes: FloatArray
    scores: FloatArray
    classes: IntArray
    visibility: FloatArray

    def __post_init__(self) -> None:
        self.check(**dict.fromkeys(self.__slots__, ()) | {"boxes": (4,)})

    @classmethod
    def of_people(cls, frames: IntArray, ids: IntArray, boxes: FloatArray, scores: FloatArray) -> Self:
        """Results or detections: every row a fully visible pedestrian. Shapes as in the class."""
        rows = len(frames)
        return cls(frames, ids, boxes, scores, np.ones(rows, np.int64), np.ones(rows))

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        none = np.empty(0, np.int64)
        return cls.of_people(none, none, np.empty((0, 4)), np.empty(0))


def read_mot(path: Path, unique_ids: bool = False, is_truth: bool = False) -> MotTable:
    """Read a file of results, detections or ground truth. An empty file is a table of no rows.

    Boxes may reach beyond the picture (left and top may be negative), and frames may come in any order.

    Args:
        path: The file; 7, 9 or 10 columns, the same in every row.
        unique_ids: Ask for identities, as scoring does: refuse negative ids and an id twice in a frame.
        is_truth: Rows whose flag (score) is 0 are not scored, so nothing in them refuses the file: those
            without a box are left out, those without an id of their own get one that nobody else has.

    Raises:
        MotFileError: The file cannot be read, or with the first bad row (from 1) and value: a column
            count of another format, no number, NaN or infinity, a frame below 1, a frame, id or class
            that is not whole, a width or height that is not positive, ids as said above.
    """
    lines = _read_text(path).splitlines()
    # Blank lines are passed over, so the rows keep their own numbers for the error messages.
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbers:
        return MotTable.empty()
    try:
        separator = _separator(lines[numbers[0] - 1])
        values = np.loadtxt(lines, delimiter=separator, comments=None, ndmin=2)
    except ValueError:
        _raise_first_bad_line(path, lines, separator)
    columns = values.shape[1]
    _check_column_count(path, numbers[0], columns)

    def refuse(bad: BoolArray, column: int, what: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            value = f"{values[row, column]:g}"
            raise MotFileError(f"{path}, row {rows_of_file[row]}: {COLUMN_NAMES[column]} {value} {what}")

    has_class, is_visdrone = columns == 9, columns == 10 and _is_visdrone(values)
    rows_of_file = np.array(numbers)
    is_unscored = (values[:, 6] == 0) if is_truth else np.zeros(len(values), np.bool_)
    if is_unscored.any():
        sides = values[:, 4:6]
        has_box = np.isfinite(values[:, :6]).all(axis=1) & (sides > 0).all(axis=1)
        has_box &= ((values[:, 2:4] + sides) > values[:, 2:4]).all(axis=1)
        kept = has_box | ~is_unscored
        values, rows_of_file, is_unscored = values[kept], rows_of_file[kept], is_unscored[kept]
    used = columns if has_class else 7
    for column in range(used):
        refuse(~np.isfinite(values[:, column]), column, "is not a finite number")
    for column in (0, 1, 7) if has_class else (0, 1):
        refuse(values[:, column] % 1 != 0, column, "is not a whole number")
    refuse(np.abs(values[:, 1]) > MAX_WHOLE, 1, f"is too large; ids are whole numbers up to {MAX_WHOLE:.0f}")
    refuse(values[:, 0] < 1, 0, "is below 1; the first frame of a MOTChallenge file is frame 1")
    refuse(values[:, 0] > MAX_FRAME, 0, f"is too large; frames are numbered up to {MAX_FRAME}")
    if has_class:
        refuse(np.abs(values[:, 7]) > MAX_WHOLE, 7, "is too large")
    for column in (4, 5):
        refuse(values[:, column] <= 0, column, "is not positive; a box needs a width and a height")
        start = values[:, column - 2]
        refuse(start + values[:, column] <= start, column, "vanishes beside the place of its box")
    if is_unscored.any():
        needs_id = is_unscored & ((values[:, 1] < 0) | _repeats(values[:, :2]) | is_visdrone)
        values[needs_id, 1] = max(0.0, values[:, 1].max()) + 1 + np.arange(needs_id.sum())
    if unique_ids:
        refuse(
            values[:, 1] < 0, 1, "is negative; results and ground truth need ids, is this a detection file?"
        )
        refuse(_repeats(values[:, :2]), 1, "occurs twice in its frame; a person is in one place at a time")

    rows = len(values)
    return MotTable(
        frames=values[:, 0].astype(np.int64),
        ids=values[:, 1].astype(np.int64),
        boxes=values[:, 2:6].copy(),
        scores=values[:, 6].copy(),
        classes=_classes(values, has_class, is_visdrone),
        visibility=values[:, 8].copy() if has_class else np.ones(rows),
    )


def format_results(table: MotTable) -> str:
    """Lines ``frame,id,left,top,width,height,score,-1,-1,-1``: results or detections.

    Boxes keep three decimals (a thousandth of a pixel), scores six figures.
    """
    rows = zip(table.frames, table.ids, table.boxes.tolist(), table.scores, strict=True)
    return "".join(
        f"{frame},{track},{left:.3f},{top:.3f},{width:.3f},{height:.3f},{score:.6g},-1,-1,-1\n"
        for frame, track, (left, top, width, height), score in rows
    )


def format_ground_truth(table: MotTable) -> str:
    """Lines ``frame,id,left,top,width,height,flag,class,visibility``: ground truth as in MOT16."""
    rows = zip(
        table.frames,
        table.ids,
        table.boxes.tolist(),
        table.scores,
        table.classes,
        table.visibility,
        strict=True,
    )
    return "".join(
        f"{frame},{person},{left:.3f},{top:.3f},{width:.3f},{height:.3f},{flag:g},{kind},{seen:.4g}\n"
        for frame, person, (left, top, width, height), flag, kind, seen in rows
    )


def write_mot(path: Path, table: MotTable) -> None:
    """Write results or detections in ten columns; the folder must exist."""
    path.write_text(format_results(table), encoding="ascii")


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What seqinfo.ini says of a sequence.

    Attributes:
        name: Its name.
        frame_rate: Frames per second.
        length: Number of frames; the last frame has this number.
        width, height: Picture size in pixels.
        image_folder: Folder of the pictures, beside the file.
        image_suffix: Ending of the picture files, with its dot.
    """

    name: str
    frame_rate: float
    length: int
    width: int
    height: int
    image_folder: str = "img1"
    image_suffix: str = ".jpg"


def read_seqinfo(path: Path) -> SequenceInfo:
    """Read a seqinfo.ini.

    Raises:
        MotFileError: The file cannot be read, is no ini file, or lacks a key; or a number is no positive
            number.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_read_text(path))
        section = parser["Sequence"]
    except configparser.Error as error:
        raise MotFileError(f"{path}: is not an ini file: {' '.join(str(error).split())}") from None
    except KeyError:
        raise MotFileError(f"{path}: has no section [Sequence]") from None

    def positive(key: str) -> float:
        text = section.get(key)
        if text is None:
            raise MotFileError(f"{path}: [Sequence] has no {key}")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        whole = "" if key == "frameRate" else "whole "
        if not 0 < value <= MAX_WHOLE or (whole and value % 1):
            raise MotFileError(f"{path}: {key} must be a positive {whole}number, got {text!r}")
        least = 1 if whole else LOWEST_RATE
        if not least <= value <= LARGEST[key]:
            raise MotFileError(f"{path}: {key} must be from {least} to {LARGEST[key]:.0f}, got {text!r}")
        return value

    return SequenceInfo(
        name=section.get("name", path.parent.name),
        frame_rate=positive("frameRate"),
        length=int(positive("seqLength")),
        width=int(positive("imWidth")),
        height=int(positive("imHeight")),
        image_folder=section.get("imDir", "img1"),
        image_suffix=section.get("imExt", ".jpg"),
    )


def format_seqinfo(info: SequenceInfo) -> str:
    """The text of a seqinfo.ini that ``read_seqinfo`` reads back to an equal one."""
    return (
        f"[Sequence]\nname={info.name}\nimDir={info.image_folder}\nframeRate={info.frame_rate!r}\n"
        f"seqLength={info.length}\nimWidth={info.width}\nimHeight={info.height}\nimExt={info.image_suffix}\n"
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MotFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MotFileError(f"{path}: is not a text file") from None


def _classes(values: FloatArray, has_class: bool, is_visdrone: bool) -> IntArray:
    if is_visdrone:
        return CLASS_OF_VISDRONE[values[:, 7].astype(np.int64)].astype(np.int64)
    return values[:, 7].astype(np.int64) if has_class else np.ones(len(values), np.int64)


def _is_visdrone(values: FloatArray) -> bool:
    """Whether the last three of ten columns are a category, a truncation and an occlusion."""
    highest = (len(CLASS_OF_VISDRONE) - 1, 1, 2)
    extra = values[:, 7:10]
    if not np.isfinite(extra).all():
        return False
    is_code = (extra % 1 == 0) & (extra >= (0, -1, -1)) & (extra <= highest)
    return bool(is_code.all() and extra[:, 0].any())


def _separator(line: str) -> str | None:
    """What parts the columns of a file, from its first row; None for any blanks."""
    return next((sign for sign in ",;" if sign in line), None)


def _check_column_count(path: Path, number: int, columns: int) -> None:
    if columns not in (7, 9, 10):
        raise MotFileError(
            f"{path}, row {number}: {columns} columns; results and detections have 7 or 10, "
            "ground truth has 9 (MOT16) or 10 (MOT15)"
        )


def _raise_first_bad_line(path: Path, lines: list[str], separator: str | None) -> NoReturn:
    """Say which line numpy stumbled over; slow, so only done when it did."""
    first = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = line.split(separator)
        _check_column_count(path, number, len(cells))
        first = first or len(cells)
        if len(cells) != first:
            raise MotFileError(
                f"{path}, row {number}: {len(cells)} columns, but the rows before have {first}"
            )
        for column, cell in enumerate(cells):
            try:
                float(cell)
            except ValueError:
                name = COLUMN_NAMES[column] if column < 7 else f"column {column + 1}"
                raise MotFileError(
                    f"{path}, row {number}: {name} must be a number, got {cell.strip()!r}"
                ) from None
    raise MotFileError(f"{path}: is not rows of numbers")


def _repeats(keys: FloatArray) -> BoolArray:
    """(R,) True for a row of the (R, 2) keys that is equal to an earlier one."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: equal keys stay in the order of the file
    same = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    repeats = np.zeros(len(keys), np.bool_)
    repeats[order[1:][same]] = True
    return repeats
