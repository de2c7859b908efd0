"""reunite search: who is on a photo."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from foundation.arrays import BoolArray, Image
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from foundation.figures import png_of
from foundation.mot_files import read_mot
from tests.conftest import shared_folder
from tests.drawn_embeddings import CAMERAS, NETWORK, PEOPLE, seen
from tests.galleries import MONDAY
from tracker.build import build_embedder
from tracker.config import DetectorConfig, EmbedderConfig, RunConfig, dump_config, load_config
from tracker.gallery import (
    Gallery,
    GalleryWriter,
    Network,
    Person,
    PictureKey,
    Pictures,
    Presence,
)
from tracker.search import command
from tracker.search.answer import local_time
from tracker.search.command import main
from tracker.search.photo import embed_person, open_photo, whole_picture
from tracker.search.sheet import NO_THUMBNAIL, SURE
from tracker.types import Detections, Frame, Observations, State, Tick

GREY_STEP = 10


class PaintedEmbedder:
    """Knows people by the grey they are painted with: GREY_STEP times the number."""

    network: Network | None = NETWORK
    prior: CosinePrior | None = None

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        (frame,), (people,) = tick.frames, detections
        middles = ((people.boxes[:, :2] + people.boxes[:, 2:]) / 2).astype(int)
        numbers = [int(frame.image[y, x, 0]) // GREY_STEP for x, y in middles]
        return [Observations(people.boxes, people.scores, seen(numbers, seed=2))]


class ListedDetector:
    """Finds the same people on every photo."""

    ticks_at_once = 1

    def __init__(self, found: Detections) -> None:
        self._found = found

    def detect(self, tick: Tick) -> Sequence[Detections]:
        return [self._found for _ in tick.frames]

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


def paint(*numbers: int) -> tuple[Image, Detections]:
    """People side by side from the right to the left, and boxes around them."""
    image = np.full((120, 60 * len(numbers) + 20, 3), 255, np.uint8)
    boxes = []
    for place, number in enumerate(numbers):
        right = image.shape[1] - 20 - 60 * place
        image[10:110, right - 40 : right] = GREY_STEP * number
        boxes.append((right - 40.0, 10.0, float(right), 110.0))
    return image, Detections(np.array(boxes).reshape(-1, 4), np.full(len(boxes), 0.9))


def person(number: int) -> Person:
    presence = {camera: Presence(MONDAY, MONDAY + number, 5) for camera in CAMERAS}
    times = np.array([MONDAY, MONDAY + number])
    return Person(
        number, presence, Pictures(np.array(CAMERAS, np.object_), times, seen([number] * 2, number))
    )


def thumbnail(grey: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((64, 32, 3), grey, np.uint8))[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a gallery of twelve people, 2 with a thumbnail; photo.png shows 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "build_embedder", lambda config: PaintedEmbedder())
    with GalleryWriter(Path("gallery.sqlite"), NETWORK) as gallery:
        people = [person(number) for number in gallery.reserve(PEOPLE)]
        key = PictureKey(2, CAMERAS[1], MONDAY + 2)
        gallery.save(people, {key: thumbnail(77)})
    show(monkeypatch, 2)
    return tmp_path


def show(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Put these people on photo.png, where the detector finds them."""
    image, found = paint(*numbers)
    cv2.imwrite("photo.png", image)
    monkeypatch.setattr(command, "build_detector", lambda config, locations: ListedDetector(found))


def rows_of(out: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]


def test_the_answer_says_who_when_where_and_how_sure(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["photo.png", "--json", "answer.json", "--count", "3"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(Path("answer.json").read_text())
    assert answer["person"] == 2
    assert len(answer["people"]) == 3
    first = answer["people"][0]
    assert (first["number"], first["first_seen"], first["last_seen"]) == (2, MONDAY, MONDAY + 2)
    assert first["nearest"] == {"number": 2, "camera": "[bold]yard", "time": MONDAY + 2}
    assert first["probability"] > 0.5
    assert answer["box"] == [20.0, 10.0, 60.0, 110.0]
    assert answer["network"]["fingerprint"] == "c0ffee"
    rows = rows_of(out)
    percent = f"{first['probability']:.1%}"
    assert rows[0] == [f"person 2, {percent} sure"]
    assert rows[1] == ["rank", "person", "probability", "cosine", "cameras", "first seen", "last seen"]
    times = [local_time(MONDAY), local_time(MONDAY + 2)]
    assert rows[3] == ["1", "2", percent, f"{first['cosine']:.2f}", "[bold]yard, door", *times]
    assert [row[2].endswith("?") for row in rows[3:6]] == [False, True, True]
    assert rows[6] == ["nobody", f"{answer['nobody_probability']:.1%}"]
    assert out.endswith("wrote: runs/search/photo.png, answer.json\n")


def test_a_stranger_on_the_photo_is_nobody_and_the_nearest_are_marked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(monkeypatch, PEOPLE + 1)
    assert main(["photo.png", "--json", "answer.json"]) == 1
    answer = json.loads(Path("answer.json").read_text())
    assert answer["person"] is None
    out = capsys.readouterr().out
    assert out.startswith("nobody: it is none of them with ")
    assert f"the nearest is person {answer['people'][0]['number']} with" in out
    assert out.count("% ?") == 10


def test_sure_moves_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["photo.png", "--sure", "1"]) == 1
    assert capsys.readouterr().out.startswith("nobody reaches 100%: it is one of them with ")


def test_the_folder_of_a_run_stands_for_its_gallery(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path("runs/track")
    run.mkdir(parents=True)
    assert main(["photo.png", "--gallery", str(run)]) == 2
    assert "runs/track: no gallery.sqlite in this folder" in capsys.readouterr().err
    Path("gallery.sqlite").rename(run / "gallery.sqlite")
    assert main(["photo.png", "--gallery", str(run)]) == 0


def test_merged_numbers_are_one_person(folder: Path) -> None:
    with Gallery(Path("gallery.sqlite")) as gallery:
        gallery.merge(5, 2)
    assert main(["photo.png", "--json", "answer.json"]) == 0
    first = json.loads(Path("answer.json").read_text())["people"][0]
    assert (first["number"], first["also"], first["nearest"]["number"]) == (5, [2], 2)


def test_a_search_overwrites_no_sheet_of_an_earlier_one(folder: Path) -> None:
    for _ in range(3):
        assert main(["photo.png"]) == 0
    names = sorted(path.name for path in Path("runs/search").iterdir())
    assert names == ["photo.png", "photo2.png", "photo3.png"]


def test_the_sheet_shows_photo_and_thumbnails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets: list[Figure] = []

    def kept(figure: Figure) -> bytes:
        sheets.append(figure)
        return png_of(figure)

    monkeypatch.setattr(command, "png_of", kept)
    assert main(["photo.png", "--sheet", "out/sheet.png"]) == 0
    assert cv2.imread("out/sheet.png") is not None
    (sheet,) = sheets
    assert sheet.get_suptitle().startswith("person 2, ")
    photo, first, second, *_ = sheet.axes
    lowest = [axes.xaxis.label.get_window_extent().y0 for axes in sheet.axes]
    assert min(lowest) >= 0, "the last captions are whole"
    asked, found = (np.asarray(axes.images[0].get_array()) for axes in (photo, first))
    assert np.unique(asked[60:80, 20:40]).tolist() == [2 * GREY_STEP]
    assert np.abs(found.mean() - 77) <= 2, "the thumbnail of person 2"
    edges = [axes.spines["left"].get_edgecolor()[:3] for axes in (photo, first, second)]
    assert [edge == pytest.approx(SURE) for edge in edges] == [False, True, False]
    assert (len(second.images), second.texts[0].get_text()) == (0, NO_THUMBNAIL)
    assert first.get_xlabel().splitlines()[1] == CAMERAS[1]


def test_a_damaged_thumbnail_is_a_grey_tile(folder: Path) -> None:
    with GalleryWriter(Path("gallery.sqlite"), NETWORK) as gallery:
        gallery.save([person(2)], {PictureKey(2, CAMERAS[1], MONDAY + 2): b"no picture"})
    assert main(["photo.png"]) == 0


def test_of_several_people_one_is_chosen_by_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(monkeypatch, 3, 2, 1)
    assert main(["photo.png"]) == 2
    out, err = capsys.readouterr()
    drawing = "runs/search/photo-people.png"
    assert err == f"error: photo.png: 3 people are on it, with numbers in {drawing}; choose one: --person N\n"
    assert [row[:2] for row in rows_of(out)[2:]] == [["1", "20"], ["2", "80"], ["3", "140"]]
    drawn = cv2.imread(drawing)
    assert drawn is not None
    assert drawn.shape == (120, 200, 3)
    assert (drawn != cv2.imread("photo.png")).any()
    for number in (1, 2, 3):  # painted from the right to the left, numbered from the left to the right
        assert main(["photo.png", "--person", str(number), "--json", "answer.json"]) == 0
        assert json.loads(Path("answer.json").read_text())["person"] == number
    for number in (0, 4):
        assert main(["photo.png", "--person", str(number)]) == 2
        assert f"--person {number} is not one of them" in capsys.readouterr().err


def test_unlikely_detections_are_no_people(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = paint(2, 1)
    unsure = Detections(found.boxes, np.array([0.39, 0.4]))
    monkeypatch.setattr(command, "build_detector", lambda config, locations: ListedDetector(unsure))
    cv2.imwrite("photo.png", paint(2, 1)[0])
    assert main(["photo.png", "--json", "answer.json"]) == 0
    assert json.loads(Path("answer.json").read_text())["person"] == 1


def test_crop_takes_the_whole_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build_detector(*arguments: object) -> None:
        raise AssertionError("nobody is looked for")

    monkeypatch.setattr(command, "build_detector", build_detector)
    assert main(["photo.png", "--crop", "--json", "answer.json"]) == 0
    answer = json.loads(Path("answer.json").read_text())
    assert (answer["person"], answer["box"]) == (2, [0.0, 0.0, 80.0, 120.0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("none.png", "none.png: no such file; check the path of the photo"),
        (".", ".: is a folder; name one picture in it"),
        ("video.mp4", "video.mp4: is a video; save one picture of it"),
        ("text.jpg", "text.jpg: cannot be read as a picture"),
        ("empty.jpg", "empty.jpg: cannot be read as a picture"),
        ("photo.png --gallery none.sqlite", "none.sqlite: no such gallery"),
        ("photo.png --gallery text.jpg", "text.jpg: is no gallery"),
        ("photo.png --gallery empty.sqlite", "empty.sqlite: nobody is remembered in it"),
        ("photo.png --gallery other.sqlite", "its people were seen by the network other"),
        ("photo.png --sheet sheet.jpg", "--sheet sheet.jpg: must end in .png"),
        ("photo.png --sheet text.jpg/sheet.png", "text.jpg/sheet.png: cannot be written"),
        ("photo.png --json .", ".: is a folder; name a file"),
        ("photo.png --sheet runs.png", "runs.png: is a folder; name a file"),
        ("photo.png --config none.yaml", "none.yaml: cannot read the configuration"),
        ("photo.png --set detector.kind=hog", "configuration: 1 problem(s)"),
        ("photo.png --set detector.kind=embedded", "detector.kind=embedded needs motion; for a photo take"),
        ("photo.png --set detector.kind=file", "detector.kind=file needs a video's file of detections"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    folder: Path, words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("video.mp4", "text.jpg"):
        Path(name).write_text("this is neither a video nor a picture nor a gallery " * 20)
    Path("empty.jpg").touch()
    Path("runs.png").mkdir()
    for name, network in (("empty", NETWORK), ("other", Network("other", "beef", NETWORK.dimension))):
        with GalleryWriter(Path(f"{name}.sqlite"), network) as gallery:
            gallery.reserve(2)
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == (2 if "problem(s)" in sentence else 1)
    assert "Traceback" not in out + err


def test_a_photo_without_people_says_what_helps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(monkeypatch)
    for words in ((), ("--person", "1")):
        assert main(["photo.png", *words]) == 2
        told = "no person found; a photo that is already cropped: --crop takes the whole picture"
        assert capsys.readouterr().err == f"error: photo.png: {told}\n"


def test_a_detector_that_cannot_be_had_leaves_the_crop_as_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show(monkeypatch)

    def refuse(config: DetectorConfig, locations: Mapping[str, str]) -> None:
        raise ReuniteError("detector.kind=x needs y, which is not installed: pip install y; or take z")

    monkeypatch.setattr(command, "build_detector", refuse)
    assert main(["photo.png"]) == 2
    told = "pip install y, or cut the person out and take --crop"
    assert capsys.readouterr().err == f"error: detector.kind=x needs y, which is not installed: {told}\n"


def test_a_box_outside_the_picture_shows_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = Detections(np.array([[-50.0, 0, -10, 90]]), np.ones(1))
    monkeypatch.setattr(command, "build_detector", lambda config, locations: ListedDetector(outside))
    assert main(["photo.png"]) == 2
    assert "photo.png: this person's box lies outside the picture" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 100), (40, 15)])
def test_a_person_who_is_too_small_is_said(
    folder: Path, width: int, height: int, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite("small.png", np.full((height, width, 3), 2 * GREY_STEP, np.uint8))
    assert main(["small.png", "--crop"]) == 2
    assert (
        f"small.png: the person is {width} x {height} pixels, too small to be told" in capsys.readouterr().err
    )


def test_people_are_found_and_compared_as_in_the_run_whose_gallery_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, taken = folder / "runs" / "track", list[RunConfig]()
    run.mkdir(parents=True)
    Path("gallery.sqlite").rename(run / "gallery.sqlite")
    settings = ["detector={kind: onnx, likely_score: 0.7}", "embedder={kind: color}"]
    (run / "config.yaml").write_text(dump_config(load_config(None, settings)))

    def look(photo: Frame, path: Path, config: DetectorConfig) -> Detections:
        taken.append(RunConfig(detector=config))
        return paint(2)[1]

    monkeypatch.setattr(command, "look_for_people", look)
    embedders: list[str] = []

    def build(config: EmbedderConfig) -> PaintedEmbedder:
        embedders.append(config.kind)
        return PaintedEmbedder()

    monkeypatch.setattr(command, "build_embedder", build)
    for gallery in ("runs/track", "runs/track/gallery.sqlite"):
        assert main(["photo.png", "--gallery", gallery]) == 0
    assert main(["photo.png", "--gallery", "runs/track", "--set", "detector.likely_score=0.3"]) == 0
    assert [(it.detector.kind, it.detector.likely_score) for it in taken] == [
        ("onnx", 0.7),
        ("onnx", 0.7),
        ("onnx", 0.3),
    ]
    assert embedders == ["color"] * 3


def test_an_embedder_that_tells_nobody_apart_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "build_embedder", build_embedder)
    assert main(["photo.png", "--set", "embedder.kind=none"]) == 2
    assert "embedder.kind=none does not tell people apart" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["--sure 0", "--sure 1.5", "--sure nan", "--sure x", "--count 0", "--count x", "--crop --person 1"],
)
def test_wrong_options_are_refused(folder: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["photo.png", *words.split()])
    assert ended.value.code == 2
    assert re.search("must be|not allowed", capsys.readouterr().err)


def test_help_has_examples_that_are_understood(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    examples = re.findall(r"(?m)^  reunite search (.*?)(?:   .*)?$", capsys.readouterr().out)
    assert len(examples) == 4
    for line in examples:
        assert main(line.split()) in (0, 1, 2)
    assert "unrecognized" not in capsys.readouterr().err


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tracker.search", str(tmp_path / "none.jpg")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/none.jpg: no such file; check the path of the photo\n"


@pytest.mark.real
def test_a_person_of_a_real_video_is_found_and_a_newcomer_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MOT16-11, the network that ships: four people of frame 1 are kept; frame 61 has 1 and a newcomer."""
    monkeypatch.chdir(tmp_path)
    data = shared_folder() / "data"
    truth = read_mot(data / "mot16" / "MOT16-11" / "gt" / "gt.txt")
    video = cv2.VideoCapture(str(data / "video" / "MOT16-11.mp4"))
    pictures = [video.read()[1] for _ in range(61)]
    video.release()

    def cut(who: int, frame: int) -> Path:
        (box,) = truth.boxes[(truth.ids == who) & (truth.frames == frame)].astype(int).clip(0)
        x, y, width, height = box.tolist()
        path = Path(f"{who}.png")
        cv2.imwrite(str(path), pictures[frame - 1][y : y + height, x : x + width])
        return path

    embedder = build_embedder(RunConfig().embedder)
    assert embedder.network is not None
    with GalleryWriter(Path("gallery.sqlite"), embedder.network) as gallery:
        for who in gallery.reserve(4):
            photo = open_photo(cut(who, 1))
            embeddings = embed_person(photo, whole_picture(photo), embedder)[None]
            pictures_of = Pictures(np.array(CAMERAS[:1], np.object_), np.array([MONDAY]), embeddings)
            gallery.save([Person(who, {CAMERAS[0]: Presence(MONDAY, MONDAY, 1)}, pictures_of)])
    assert main([str(cut(1, 61)), "--crop", "--json", "answer.json"]) == 0
    assert json.loads(Path("answer.json").read_text())["person"] == 1
    assert main([str(cut(14, 61)), "--crop"]) == 1
