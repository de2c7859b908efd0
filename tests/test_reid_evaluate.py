"""The judging command from pictures to figures, with networks that are simple enough to be foreseen."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from reid import evaluate, judging
from reid.data import Dataset, FolderImages, Record, open_dataset
from reid.judging import embed_records, judge, over_views
from reid.retrieval import normalise
from reid.runtime import RUNTIMES, open_embedder
from reid.sheet import GREEN, RED, Found, SheetRow, chosen_queries, draw_sheet
from tests.conftest import shared_folder
from tests.drawn_people import draw_market
from tests.test_reid_runtime import write_onnx

BLUE_PERSON, GREEN_PERSON, RED_PERSON = (250, 20, 20), (20, 250, 20), (20, 20, 250)


def draw(path: Path, colour: tuple[int, int, int], right_half: tuple[int, int, int] | None = None) -> None:
    image = np.full((8, 8, 3), colour, np.uint8)
    image[:, 4:] = right_half or colour
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def embed_mean_colour(images: Sequence[Image]) -> EmbeddingArray:
    return normalise(np.array([image.mean(axis=(0, 1)) for image in images]).reshape(-1, 3))


def embed_left_colour(images: Sequence[Image]) -> EmbeddingArray:
    return embed_mean_colour([image[:, : image.shape[1] // 2] for image in images])


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Blue is found at once; green has changed into red, whom a distractor resembles."""
    root = tmp_path / "market"
    draw(root / "bounding_box_train/0001_c1s1_000001_00.png", BLUE_PERSON)
    for name, colour in {
        "query/0002_c1s1_000001_00.png": BLUE_PERSON,
        "query/0003_c1s1_000001_00.png": GREEN_PERSON,
        "query/0004_c1s1_000001_00.png": RED_PERSON,
        "bounding_box_test/-1_c2s1_000001_00.png": GREEN_PERSON,
        "bounding_box_test/0000_c2s1_000001_00.png": (30, 250, 30),
        "bounding_box_test/0002_c1s1_000002_00.png": BLUE_PERSON,
        "bounding_box_test/0002_c2s1_000001_00.png": (240, 30, 30),
        "bounding_box_test/0003_c2s1_000001_00.png": (20, 60, 250),
    }.items():
        draw(root / name, colour)
    return root


def test_judge_gives_the_figures_of_a_case_by_hand(market: Path) -> None:
    scores = judge(embed_mean_colour, open_dataset(f"market1501={market}"))
    # Blue: its own picture by camera 1 is junk, then it is right at once. Green: junk, the distractor, and
    # then itself in red with a little green. Red has nobody in the gallery.
    assert scores.first_ranks.tolist() == [1, 2, 0]
    assert scores.mean_average_precision == pytest.approx((1 + 1 / 2) / 2)
    assert scores.left_out == 1
    assert scores.rank(1) == 0.5


def test_a_picture_that_cannot_be_read_is_named_and_left_out(market: Path) -> None:
    (market / "bounding_box_test/0002_c2s1_000001_00.png").write_bytes(b"")
    told: list[str] = []
    scores = judge(embed_mean_colour, open_dataset(f"market1501={market}"), tell=told.append)
    assert len(told) == 1
    assert "0002_c2s1_000001_00.png: the file is empty" in told[0]
    assert scores.left_out == 2


def test_flip_averages_a_picture_with_its_mirror_image(tmp_path: Path) -> None:
    draw(tmp_path / "half.png", BLUE_PERSON, RED_PERSON)
    dataset = Dataset("half", (), (), (), FolderImages(tmp_path))
    records = [Record("half.png", 1, 1)]
    plain, flipped = (
        embed_records(over_views(embed_left_colour, flip=flip), dataset, records).embeddings[0]
        for flip in (False, True)
    )
    assert plain == pytest.approx(normalise(np.array([BLUE_PERSON]))[0])
    assert flipped == pytest.approx(normalise(np.array([BLUE_PERSON]) + np.array([RED_PERSON]))[0])


@pytest.mark.parametrize("read_at_once", [1, 2, 256])
def test_a_tracklet_is_the_mean_of_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(judging, "READ_AT_ONCE", read_at_once)
    colours = {"a.png": BLUE_PERSON, "b.png": RED_PERSON, "c.png": GREEN_PERSON, "d.png": RED_PERSON}
    for name, colour in colours.items():
        draw(tmp_path / name, colour)
    (tmp_path / "bad.png").write_bytes(b"")
    tracklets = {"a.png": 7, "c.png": 0, "bad.png": 7, "b.png": 7, "d.png": 0}
    records = [Record(name, 1, 1, tracklet) for name, tracklet in tracklets.items()]
    dataset = Dataset("tracklets", (), (), (), FolderImages(tmp_path))
    found = embed_records(embed_mean_colour, dataset, records)
    assert [record.path for record in found.records] == ["a.png", "c.png", "d.png"]
    assert len(found.skipped) == 1
    mean = normalise(np.array([BLUE_PERSON, RED_PERSON])).mean(axis=0, keepdims=True)
    expected = np.concatenate([normalise(mean), normalise(np.array([GREEN_PERSON, RED_PERSON]))])
    assert found.embeddings == pytest.approx(expected, abs=1e-6)


def test_a_data_set_without_queries_says_what_to_do(tmp_path: Path) -> None:
    draw(tmp_path / "anna/1.png", BLUE_PERSON)
    with pytest.raises(ReuniteError, match="judged as 'folder-test=PATH'"):
        judge(embed_mean_colour, open_dataset(f"folder={tmp_path}"))


@pytest.mark.parametrize(
    "options", [[], ["--rerank"], ["--manifold", "plain"], ["--query-expansion", "2", "--flip"]]
)
def test_the_command_prints_a_table_and_writes_json_and_sheet(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    (market / "bounding_box_test/0009_c2s1_000001_00.png").write_bytes(b"")
    weights = write_onnx(tmp_path / "means.onnx")
    json_file, sheet = tmp_path / "scores.json", tmp_path / "sheet.png"
    arguments = [str(weights), "--preprocess", "bgr255", "--data", f"market1501={market}"]
    assert evaluate.main([*arguments, *options, "--json", str(json_file), "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr().out
    for word in ("rank-1", "mAP", "mINP", "left out", "means.onnx on onnx CPU", "0009_c2s1_000001_00.png"):
        assert word in printed
    [result] = json.loads(json_file.read_text())["results"]
    assert (result["queries"], result["left_out"], result["gallery"]) == (2, 1, 5)
    assert len(result["skipped"]) == 1
    assert 0 < result["mINP"] <= result["mAP"] <= 1
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert {GREEN, RED} <= {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


def test_figures_that_nobody_gives_are_null_and_a_dash(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0002_c2s1_000001_00.png", "0003_c2s1_000001_00.png"):
        (market / "bounding_box_test" / name).unlink()
    weights, json_file = write_onnx(tmp_path / "means.onnx"), tmp_path / "scores.json"
    arguments = [str(weights), "--preprocess", "bgr255", "--data", f"market1501={market}"]
    assert evaluate.main([*arguments, "--json", str(json_file)]) == 0
    [result] = json.loads(json_file.read_text(), parse_constant=pytest.fail)["results"]
    assert (result["queries"], result["left_out"]) == (0, 3)
    assert [result[name] for name in ("rank1", "mAP", "mINP")] == [None] * 3
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert "to train on" not in printed  # remarks on training are not for who judges


def test_data_of_which_nothing_can_be_read_says_why(market: Path) -> None:
    for path in (market / "query").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ReuniteError, match=r"none of 3 query pictures can be read, .*: the file is empty"):
        judge(embed_mean_colour, open_dataset(f"market1501={market}"))


def test_a_network_that_gives_no_direction_is_an_error_that_names_the_data(market: Path) -> None:
    with pytest.raises(ReuniteError, match="market1501: embedding 0 has length 0"):
        judge(lambda images: np.zeros((len(images), 3), np.float32), open_dataset(f"market1501={market}"))


def test_the_same_network_scores_the_same_on_two_runtimes(market: Path, tmp_path: Path) -> None:
    weights = write_onnx(tmp_path / "means.onnx")
    dataset = open_dataset(f"market1501={market}")
    on_onnx, on_openvino = (
        judge(open_embedder(weights, runtime, "bgr255", exact=True).embed, dataset)
        for runtime in RUNTIMES[2:]
    )
    assert on_onnx.as_dict() == on_openvino.as_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.onnx", "--data", "market1501=DATA"], "no.onnx: no such file"),
        (["NET", "--data", "market1501=DATA"], "does not say how pictures are prepared"),
        (["NET", "--data", "market1501=nowhere"], "nowhere does not exist"),
        (["NET", "--data", "market1501=DATA", "--query-expansion", "-1"], "must not be negative"),
        (
            ["NET", "--data", "market1501=DATA", "--data", "market1501=DATA", "--sheet", "a.png"],
            "give one --data",
        ),
        (["NET", "--data", "market1501=DATA", "--sheet", "a.jpg"], "--sheet a.jpg: must end in .png"),
        (["NET", "--data", "market1501=DATA", "--json", "gone/a"], "there is no folder gone; make it first"),
        (["NET", "--data", "market1501=DATA", "--json", "DATA"], "is a folder; name a file in it"),
    ],
)
def test_what_cannot_be_judged_ends_with_a_sentence(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    weights = str(write_onnx(tmp_path / "means.onnx"))
    filled = [weights if a == "NET" else a.replace("DATA", str(market)) for a in arguments]
    assert evaluate.main(filled) == 2
    assert message in capsys.readouterr().err


def test_the_best_and_worst_queries_never_share_one(market: Path) -> None:
    scores = judge(embed_mean_colour, open_dataset(f"market1501={market}"))
    best, worst = chosen_queries(scores)
    assert sorted([*best.tolist(), *worst.tolist()]) == [0, 1]
    best, worst = chosen_queries(scores, 1)
    assert (best.tolist(), worst.tolist()) == ([0], [1])


def test_right_is_framed_in_green_and_wrong_in_red() -> None:
    image = np.zeros((10, 5, 3), np.uint8)
    sheet = draw_sheet(
        [("title", [SheetRow(image, "1 c1", [Found(image, True, "1 c2"), Found(image, False, "2 c2")])])]
    )
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert {GREEN, RED} <= colours
    first_green, first_red = (
        int(np.flatnonzero((sheet == colour).all(axis=2).any(axis=0))[0]) for colour in (GREEN, RED)
    )
    assert first_green < first_red
    assert draw_sheet([]).size > 0


@pytest.mark.real
@pytest.mark.parametrize(
    ("weights", "convention", "every", "rank1", "mean_average_precision"),
    [
        (
            "person-reidentification-retail-0288/FP16/person-reidentification-retail-0288.xml",
            "bgr255",
            1,
            87.8,
            70.8,
        ),
        (
            "person-reidentification-retail-0277/FP16/person-reidentification-retail-0277.xml",
            "bgr255",
            4,
            99.1,
            98.7,
        ),
        ("osnet_x0_25_msmt17.onnx", "imagenet", 1, 58.6, 38.6),
    ],
)
def test_peers_score_what_was_measured_elsewhere(
    weights: str, convention: str, every: int, rank1: float, mean_average_precision: float
) -> None:
    """Of the slow one every fourth person alone; all together it scores 97.6 and 95.9."""
    dataset = open_dataset(f"market1501={shared_folder() / 'data' / 'market1501-train.tar'}")
    query, gallery = (
        tuple(record for record in records if record.person % every == 0)
        for records in (dataset.query, dataset.gallery)
    )
    dataset = replace(dataset, query=query, gallery=gallery)
    embedder = open_embedder(shared_folder() / "weights" / weights, "openvino", convention, exact=True)
    scores = judge(embedder.embed, dataset)
    assert (scores.judged, scores.left_out) == (882 if every == 1 else 226, 0)
    # Three queries of 882, 0.34 points, or one of 226 move with the arithmetic: 16 bits there, 32 here.
    assert 100 * scores.rank(1) == pytest.approx(rank1, abs=0.45)
    assert 100 * scores.mean_average_precision == pytest.approx(mean_average_precision, abs=0.4)


def test_lomo_with_a_learnt_metric_is_judged_without_any_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = draw_market(tmp_path / "people")
    for option in (["--metric", "xqda"], ["--metric", "kissme"], ["--manifold", "supervised"]):
        written = tmp_path / "figures.json"
        assert evaluate.main(["lomo", "--data", data, *option, "--json", str(written)]) == 0
        figures = json.loads(written.read_text())
        assert figures[option[0].removeprefix("--")] == option[1]
        assert figures["results"][0]["mAP"] > 0.6  # a random order of three people would reach about 0.4
    assert "lomo on numpy" in capsys.readouterr().out


def test_a_metric_without_anybody_to_learn_from_is_refused(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (market / "bounding_box_train/0001_c1s1_000001_00.png").unlink()
    assert evaluate.main(["lomo", "--data", f"market1501={market}", "--metric", "xqda"]) == 2
    assert "learn from training people, and there are none" in capsys.readouterr().err
