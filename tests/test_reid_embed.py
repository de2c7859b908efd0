"""Embeddings of crops and of detections, written for use elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet
import pytest

from foundation.errors import ReuniteError
from foundation.mot_files import SequenceInfo, format_seqinfo
from reid import embed
from reid.runtime import open_embedder
from tests.clips import write_clip
from tests.test_reid_evaluate import BLUE_PERSON, GREEN_PERSON, RED_PERSON, draw
from tests.test_reid_runtime import unit, write_onnx
from tracker.config import SourceConfig
from tracker.sources.addresses import find_cameras
from tracker.sources.files import FileSource
from tracker.types import Tick


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A network that gives the mean colour, blue first."""
    return str(write_onnx(tmp_path / "means.onnx"))


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_crops_of_a_folder_are_written_by_name(
    tmp_path: Path,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    at_once: int,
) -> None:
    monkeypatch.setattr(embed, "AT_ONCE", at_once)
    colours = {"anna/1.png": BLUE_PERSON, "anna/2.png": RED_PERSON, "bert.png": GREEN_PERSON}
    for name, colour in colours.items():
        draw(tmp_path / "crops" / name, colour)
    (tmp_path / "crops" / "bad.png").write_bytes(b"")
    out = tmp_path / "crops.npz"
    assert embed.main([weights, str(tmp_path / "crops"), "--preprocess", "bgr255", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "3 embeddings of 3 numbers, 1 crops left out" in printed.out
    assert "bad.png: the file is empty" in printed.err
    with np.load(out) as columns:
        assert columns["path"].tolist() == list(colours)
        assert columns["embeddings"] == pytest.approx(
            np.array([unit(*c) for c in colours.values()]), abs=1e-5
        )


def test_a_network_is_found_by_its_name_in_the_folder_of_weights(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REUNITE_WEIGHTS", str(Path(weights).parent))
    monkeypatch.chdir(tmp_path.parent)
    draw(tmp_path / "crops/anna.png", BLUE_PERSON)
    out = tmp_path / "crops.npz"
    name = Path(weights).name
    assert embed.main([name, str(tmp_path / "crops"), "--preprocess", "bgr255", "--out", str(out)]) == 0
    assert out.is_file()


def make_frames(folder: Path) -> Path:
    """Two frames of 8 x 8, the left half blue and red, the right half green."""
    for frame, colour in enumerate((BLUE_PERSON, RED_PERSON), start=1):
        draw(folder / f"{frame:06}.png", colour, GREEN_PERSON)
    return folder


DETECTIONS = """2,-1,0,0,4,8,0.9,-1,-1,-1
1,-1,-3.2,-2,7,20,0.9,-1,-1,-1
1,-1,4,0,4,8,0.9,-1,-1,-1
1,-1,50,0,4,8,0.9,-1,-1,-1
9,-1,0,0,4,8,0.9,-1,-1,-1
"""


@pytest.mark.parametrize("kind", ["pictures", "video"])
def test_detections_are_cut_out_of_their_frame_and_keep_their_row(
    tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source = make_frames(tmp_path / "frames")
    if kind == "video":
        pictures = [cv2.imread(str(path)) for path in sorted(source.iterdir())]
        source = tmp_path / "frames.avi"
        writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"FFV1"), 5.0, (8, 8))
        for picture in pictures:
            assert picture is not None
            writer.write(picture)
        writer.release()
    detections = tmp_path / "det.txt"
    detections.write_text(DETECTIONS)
    out = tmp_path / "det.parquet"
    options = ["--preprocess", "bgr255", "--detections", str(detections), "--out", str(out)]
    assert embed.main([weights, str(source), *options]) == 0
    columns = pyarrow.parquet.read_table(out).to_pydict()
    assert columns["frame"] == [1, 1, 2]
    assert columns["row"] == [2, 3, 1]
    assert columns["box"][0] == [-3.2, -2, 7, 20]
    expected = [unit(*colour) for colour in (BLUE_PERSON, GREEN_PERSON, RED_PERSON)]
    # FFV1 is lossless, but holds the colours of half as many columns.
    assert np.array(columns["embeddings"]) == pytest.approx(np.array(expected), abs=0.02)
    printed = capsys.readouterr().err
    assert "row 4: the box lies outside of the picture" in printed
    assert "row 5: frame 9 is not in" in printed


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nowhere", ["--out", "a.npz"], "nowhere: no such folder"),
        ("frames", ["--out", "a.csv"], "must end in .npz or .parquet"),
        ("empty", ["--out", "a.npz"], "nothing to embed"),
        (
            "nowhere.mp4",
            ["--out", "a.npz", "--detections", "det.txt"],
            "nowhere.mp4: cannot be read as a video",
        ),
        (
            "frames",
            ["--out", "a.npz", "--detections", "words.txt"],
            "words.txt, row 1: frame must be",
        ),
        (
            "frames",
            ["--out", "a.npz", "--detections", "nan.txt"],
            "nan.txt, row 1: left nan is not a finite number",
        ),
        ("frames", ["--out", "a.npz", "--detections", "none.txt"], "none.txt: cannot be read"),
        ("frames", ["--out", "a.npz", "--detections", "late.txt"], "late.txt, row 1: frame 9 is not in"),
        ("frames", ["--out", "gone/a.npz"], "there is no folder gone; make it first"),
        ("frames", ["--out", "folder.npz"], "is a folder; name a file in it"),
    ],
)
def test_what_cannot_be_embedded_ends_with_a_sentence(
    tmp_path: Path,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_frames(Path("frames"))
    Path("empty").mkdir()
    Path("folder.npz").mkdir()
    Path("late.txt").write_text("9,-1,0,0,4,8,1\n")
    Path("det.txt").write_text(DETECTIONS)
    Path("words.txt").write_text("frame,id,left,top,width,height,score\n")
    Path("nan.txt").write_text("1,-1,nan,0,4,8,1\n")
    assert embed.main([weights, source, "--preprocess", "bgr255", *options]) == 2
    assert message in capsys.readouterr().err
    assert not Path("a.npz").exists()


def test_no_detections_are_nothing_to_embed(tmp_path: Path, weights: str) -> None:
    (tmp_path / "det.txt").write_text("\n")
    skipped: list[str] = []
    crops = embed.crops_of_detections(make_frames(tmp_path / "frames"), tmp_path / "det.txt", skipped)
    with pytest.raises(ReuniteError, match="nothing to embed"):
        embed.embed_crops(open_embedder(weights, convention="bgr255"), crops)


def test_a_frame_that_cannot_be_read_leaves_out_its_boxes_only(tmp_path: Path) -> None:
    frames = make_frames(tmp_path / "frames")
    (frames / "000001.png").write_bytes(b"")
    (tmp_path / "det.txt").write_text(DETECTIONS)
    skipped: list[str] = []
    crops = list(embed.crops_of_detections(frames, tmp_path / "det.txt", skipped))
    assert [facts["row"] for _, facts in crops] == [1]
    assert [line.partition("row ")[2][0] for line in skipped] == ["2", "3", "4", "5"]
    assert all("000001.png: the file is empty" in line for line in skipped[:3])


@pytest.mark.parametrize(
    ("folder", "names", "numbers"),
    [
        (".", ["10.png", "9.png", "11.png"], {1: "9.png", 2: "10.png", 3: "11.png"}),
        ("img1", ["10.png", "9.png"], {9: "9.png", 10: "10.png"}),
        ("img1", ["b10.png", "b9.png"], {1: "b9.png", 2: "b10.png"}),
    ],
)
def test_frames_of_a_folder_have_the_numbers_that_the_tracker_gives_them(
    tmp_path: Path, folder: str, names: list[str], numbers: dict[int, str]
) -> None:
    for shade, name in enumerate(names):
        draw(tmp_path / "seq" / folder / name, (10 * shade,) * 3)
    rows = "".join(f"{frame},-1,0,0,8,8,1\n" for frame in numbers)
    (tmp_path / "det.txt").write_text(rows)
    skipped: list[str] = []
    crops = embed.crops_of_detections(tmp_path / "seq", tmp_path / "det.txt", skipped)
    found = {facts["frame"]: names[int(crop[0, 0, 0]) // 10] for crop, facts in crops}
    assert (found, skipped) == (numbers, [])


def test_frames_of_a_damaged_video_have_the_numbers_and_pixels_that_the_tracker_gives_them(
    tmp_path: Path,
) -> None:
    path = write_clip(tmp_path / "cam.mp4", range(100), container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = bytes(1500)
    path.write_bytes(data)
    tracked = {frame.number: frame.image for tick in read_ticks(path) for frame in tick.frames}
    assert len(tracked) < 100
    rows = "".join(f"{frame},-1,0,0,160,120,1\n" for frame in range(1, 101))
    (tmp_path / "det.txt").write_text(rows)
    skipped: list[str] = []
    crops = embed.crops_of_detections(path, tmp_path / "det.txt", skipped)
    embedded = {facts["frame"]: crop for crop, facts in crops}
    assert embedded.keys() == tracked.keys()
    # What a decoder makes up for what is damaged may change with its threads.
    assert all(np.array_equal(embedded[number], tracked[number]) for number in range(1, 21))
    assert "cut off or damaged" in skipped[0]
    assert len(skipped) == 101 - len(tracked)


def read_ticks(path: Path) -> Iterator[Tick]:
    source = FileSource(find_cameras([str(path)]), SourceConfig(), {})
    yield from source.ticks()
    source.close()


def test_pictures_of_a_sequence_lie_where_its_seqinfo_says(tmp_path: Path) -> None:
    draw(tmp_path / "seq" / "frames" / "000003.png", BLUE_PERSON)
    info = SequenceInfo("seq", 25.0, 3, 8, 8, image_folder="frames", image_suffix=".png")
    (tmp_path / "seq" / "seqinfo.ini").write_text(format_seqinfo(info))
    (tmp_path / "det.txt").write_text("3,-1,0,0,8,8,1\n")
    crops = embed.crops_of_detections(tmp_path / "seq", tmp_path / "det.txt", [])
    assert [facts["frame"] for _, facts in crops] == [3]
