from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ReuniteError
from foundation.mot_files import (
    MotFileError,
    MotTable,
    SequenceInfo,
    format_ground_truth,
    format_results,
    format_seqinfo,
    read_mot,
    read_seqinfo,
    write_mot,
)
from tests.conftest import shared_folder

GOOD_ROW = "1,1,10,20,30,40,1,-1,-1,-1"


def mot_file(folder: Path, text: str) -> Path:
    path = folder / "file.txt"
    path.write_text(text)
    return path


def test_ten_columns_hold_a_position_in_the_world_and_no_class(tmp_path: Path) -> None:
    table = read_mot(mot_file(tmp_path, "3,9,499,158.5,31.03,75.17,0.5,-4.1554,-7.3591,0\n"))
    assert table.frames.tolist() == [3]
    assert table.ids.tolist() == [9]
    assert table.boxes.tolist() == [[499, 158.5, 31.03, 75.17]]
    assert table.scores.tolist() == [0.5]
    assert table.classes.tolist() == [1]
    assert table.visibility.tolist() == [1]


def test_nine_columns_hold_class_and_visibility(tmp_path: Path) -> None:
    table = read_mot(mot_file(tmp_path, "1,1,912,484,97,109,0,7,0.25\n"))
    assert table.scores.tolist() == [0]
    assert table.classes.tolist() == [7]
    assert table.visibility.tolist() == [0.25]


def test_seven_columns_are_a_result(tmp_path: Path) -> None:
    table = read_mot(mot_file(tmp_path, "1,1,912,484,97,109,0.7"))
    assert table.scores.tolist() == [0.7]
    assert table.classes.tolist() == [1]


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_rows_is_an_empty_table(tmp_path: Path, text: str) -> None:
    table = read_mot(mot_file(tmp_path, text), unique_ids=True)
    assert len(table) == 0
    assert table.boxes.shape == (0, 4)


def test_spaces_blank_lines_windows_line_ends_and_a_byte_order_mark_are_legal(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(
        b"\xef\xbb\xbf2, 1, 10, 20, 30, 40, 1, -1, -1, -1\r\n\r\n1.0,2,-5,-7.5,9000,1e3,1,-1,-1,-1 \r\n"
    )
    table = read_mot(path)
    assert table.frames.tolist() == [2, 1]
    assert table.boxes.tolist() == [[10, 20, 30, 40], [-5, -7.5, 9000, 1000]]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("2,1,10,20,30", "row 3: 5 columns"),
        ("2 1 10 20 30 40 1 -1 -1 -1", "row 3: 1 columns"),
        ("2,1,10,20,30,40,1", "row 3: 7 columns, but the rows before have 10"),
        ("2,1,10,20,wide,40,1,-1,-1,-1", "row 3: width must be a number, got 'wide'"),
        ("2,1,10,20,,40,1,-1,-1,-1", "row 3: width must be a number, got ''"),
        ("2,1,10,20,30,40,1,-1,-1,x", "row 3: column 10 must be a number, got 'x'"),
        ("2,1,nan,20,30,40,1,-1,-1,-1", "row 3: left nan is not a finite number"),
        ("2,1,10,20,30,inf,1,-1,-1,-1", "row 3: height inf is not a finite number"),
        ("2,1,10,20,30,40,nan,-1,-1,-1", "row 3: score nan is not a finite number"),
        ("0,1,10,20,30,40,1,-1,-1,-1", "row 3: frame 0 is below 1"),
        ("1.5,1,10,20,30,40,1,-1,-1,-1", "row 3: frame 1.5 is not a whole number"),
        ("1000000000,1,10,20,30,40,1,-1,-1,-1", "row 3: frame 1e+09 is too large; frames are numbered up to"),
        ("2,1.5,10,20,30,40,1,-1,-1,-1", "row 3: id 1.5 is not a whole number"),
        (
            "2,1e300,10,20,30,40,1,-1,-1,-1",
            "row 3: id 1e+300 is too large; ids are whole numbers up to",
        ),
        ("2,1,10,20,0,40,1,-1,-1,-1", "row 3: width 0 is not positive"),
        ("2,1,10,20,30,-4,1,-1,-1,-1", "row 3: height -4 is not positive"),
        ("2,-1,10,20,30,40,1,-1,-1,-1", "row 3: id -1 is negative"),
        ("1,1,50,60,30,40,1,-1,-1,-1", "row 3: id 1 occurs twice in its frame"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    # The blank second line counts: rows are numbered as an editor numbers lines.
    path = mot_file(tmp_path, f"{GOOD_ROW}\n\n{row}\n3,1,10,20,30,40,1,-1,-1,-1\n")
    with pytest.raises(MotFileError) as raised:
        read_mot(path, unique_ids=True)
    assert str(raised.value).startswith(f"{path}, {complaint}")


def test_a_class_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MotFileError, match=r"row 1: class 1.5 is not a whole number"):
        read_mot(mot_file(tmp_path, "1,1,10,20,30,40,1,1.5,1"))


def test_detections_may_share_the_id_minus_one(tmp_path: Path) -> None:
    path = mot_file(tmp_path, "1,-1,10,20,30,40,1,-1,-1,-1\n1,-1,50,20,30,40,1,-1,-1,-1\n")
    assert read_mot(path).ids.tolist() == [-1, -1]


def test_the_second_of_two_equal_ids_is_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = ["2,7,1,1,5,5,1", "1,3,1,1,5,5,1", "2,8,1,1,5,5,1", "2,7,9,9,5,5,1", "1,3,9,9,5,5,1"]
    with pytest.raises(MotFileError, match=r"row 4: id 7 occurs twice"):
        read_mot(mot_file(tmp_path, "\n".join(rows)), unique_ids=True)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00binary"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "missing.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReuniteError, match=r"missing.txt: "):
        read_mot(path)
    with pytest.raises(ReuniteError, match=r"missing.txt: "):
        read_seqinfo(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MotFileError, match=r"cannot be read: Is a directory"):
        read_mot(tmp_path)


@pytest.mark.parametrize("separator", [" ", "\t", ";", "  ", ", ", " \t "])
@pytest.mark.parametrize("tail", ["", " -1 -1 -1", " 1 0.5"])
def test_any_separator_is_read(tmp_path: Path, separator: str, tail: str) -> None:
    rows = [f"1 7 10 20 30 40 0.5{tail}", f"2 7 11 20.5 30 40 1{tail}"]
    text = "\n".join(row.replace(" ", separator) for row in rows)
    table = read_mot(mot_file(tmp_path, text))
    assert table.boxes.tolist() == [[10, 20, 30, 40], [11, 20.5, 30, 40]]
    assert table.scores.tolist() == [0.5, 1]


def test_categories_of_visdrone_are_told_as_classes(tmp_path: Path) -> None:
    rows = [f"1,{number},{10 * number},20,30,40,1,{number},0,2" for number in range(12)]
    table = read_mot(mot_file(tmp_path, "\n".join(rows)))
    assert table.classes.tolist() == [8, 1, 1, 4, 3, 3, 3, 4, 4, 3, 5, 11]


@pytest.mark.parametrize("tail", ["-1,-1,-1", "0,0,0", "3.5,2.25,0", "4,17,0", "12,0,0"])
def test_a_place_in_the_world_is_no_category(tmp_path: Path, tail: str) -> None:
    assert read_mot(mot_file(tmp_path, f"1,1,10,20,30,40,1,{tail}")).classes.tolist() == [1]


def test_rows_that_are_not_scored_refuse_no_ground_truth(tmp_path: Path) -> None:
    rows = [
        "1,5,10,20,30,40,1,1,1",
        "1,5,50,20,30,40,0,8,1",  # an id twice
        "1,-1,90,20,30,40,0,8,1",
        "2,6,10,20,0,40,0,1,1",  # no box
        "2,6,nan,20,30,40,0,1,1",
        "2,5,10,20,30,40,1,1,1",
    ]
    path = mot_file(tmp_path, "\n".join(rows))
    table = read_mot(path, unique_ids=True, is_truth=True)
    assert table.frames.tolist() == [1, 1, 1, 2]
    assert table.ids.tolist() == [5, 6, 7, 5]
    with pytest.raises(MotFileError, match="row 5: left nan is not a finite number"):
        read_mot(path, unique_ids=True)
    path.write_text("\n".join([*rows, "2,8,10,20,-3,40,1,1,1"]))
    with pytest.raises(MotFileError, match="row 7: width -3 is not positive"):
        read_mot(path, unique_ids=True, is_truth=True)


boxes = st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
rows = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(-1, 10**9), boxes, st.floats(-1, 200), st.integers(1, 13)),
    max_size=20,
)


def table_of(content: list[tuple[int, int, tuple[float, ...], float, int]]) -> MotTable:
    frames, ids, corners, scores, classes = zip(*content, strict=True) if content else ((), (), (), (), ())
    return MotTable(
        np.array(frames, np.int64),
        np.array(ids, np.int64),
        np.array(corners, np.float64).reshape(-1, 4),
        np.array(scores, np.float64),
        np.array(classes, np.int64),
        np.ones(len(content)),
    )


@given(rows)
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, content: list) -> None:  # type: ignore[type-arg]
    table = table_of(content)
    path = tmp_path_factory.mktemp("mot") / "file.txt"
    write_mot(path, table)
    back = read_mot(path)
    assert back.frames.tolist() == table.frames.tolist()
    assert back.ids.tolist() == table.ids.tolist()
    np.testing.assert_allclose(back.boxes, table.boxes, atol=0.00051)
    np.testing.assert_allclose(back.scores, table.scores, rtol=1e-5, atol=1e-300)
    path.write_text(format_ground_truth(table))
    assert read_mot(path).classes.tolist() == table.classes.tolist()


def test_a_result_has_the_columns_of_the_challenge() -> None:
    table = table_of([(1, 2, (3.0, -4.5, 5.25, 6.1239), 0.75, 1)])
    assert format_results(table) == "1,2,3.000,-4.500,5.250,6.124,0.75,-1,-1,-1\n"
    assert format_ground_truth(table) == "1,2,3.000,-4.500,5.250,6.124,0.75,1,1\n"


def test_a_table_refuses_columns_of_unequal_length() -> None:
    with pytest.raises(ValueError, match=r"MotTable.scores must have shape \(1\), got \(2,\)"):
        MotTable.of_people(np.ones(1, np.int64), np.ones(1, np.int64), np.ones((1, 4)), np.ones(2))


def test_seqinfo_reads_back(tmp_path: Path) -> None:
    info = SequenceInfo("door 100%", 29.97, 600, 1920, 1080, "frames", ".png")
    path = mot_file(tmp_path, format_seqinfo(info))
    assert read_seqinfo(path) == info


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seqLength=3", "is not an ini file"),
        ("[Other]\nseqLength=3", r"has no section \[Sequence\]"),
        ("[Sequence]\nframeRate=30", "has no seqLength"),
        ("[Sequence]\nframeRate=0\nseqLength=3", "frameRate must be a positive number, got '0'"),
        ("[Sequence]\nframeRate=nan\nseqLength=3", "frameRate must be a positive number, got 'nan'"),
        ("[Sequence]\nframeRate=30\nseqLength=3.5", "seqLength must be a positive whole number, got '3.5'"),
        ("[Sequence]\nframeRate=1e-300\nseqLength=3", "frameRate must be from 0.001 to 1000, got '1e-300'"),
        ("[Sequence]\nframeRate=30\nseqLength=1000000000", "seqLength must be from 1 to 10000000, got"),
        (
            "[Sequence]\nframeRate=30\nseqLength=3\nimWidth=1000000",
            "imWidth must be from 1 to 65535, got '1000000'",
        ),
        ("[Sequence]\nframeRate=30\nseqLength=long", "seqLength must be a positive whole number, got 'long'"),
    ],
)
def test_a_bad_seqinfo_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(MotFileError, match=f"file.txt: .*{complaint}"):
        read_seqinfo(mot_file(tmp_path, text))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "boxes", "people"),
    [("02", 17833, 54), ("04", 47557, 83), ("05", 6818, 125), ("09", 5257, 25), ("11", 9174, 69)],
)
def test_real_ground_truth_has_the_published_boxes_and_people(name: str, boxes: int, people: int) -> None:
    folder = shared_folder() / "data" / "mot16" / f"MOT16-{name}"
    table = read_mot(folder / "gt" / "gt.txt", unique_ids=True)
    scored = table[(table.classes == 1) & (table.scores != 0)]
    assert len(scored) == boxes
    assert len(np.unique(scored.ids)) == people
    assert table.frames.max() <= read_seqinfo(folder / "seqinfo.ini").length


@pytest.mark.real
def test_every_real_mot_file_reads() -> None:
    files = [
        file
        for pattern in ("*/*/gt/gt.txt", "*/*/det/det.txt", "mot17-yolox/*.txt")
        for file in sorted((shared_folder() / "data").glob(pattern))
    ]
    assert len(files) == 31
    for file in files:
        lines = sum(1 for line in file.read_text().splitlines() if line.strip())
        assert len(read_mot(file, unique_ids=file.name == "gt.txt")) == lines
