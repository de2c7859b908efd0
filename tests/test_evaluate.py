import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, read_mot, read_seqinfo
from tests.conftest import shared_folder
from tests.scoring import (
    COMBINED,
    assert_equal_scores,
    linked,
    noisy_result,
    random_world,
    trackeval_scores,
    write_result,
    write_sequence,
)
from tracker.evaluate import Report, evaluate_results, find_ground_truth, find_results, main, scores_table
from tracker.metrics import GroundTruth, score_sequence

LENGTH = 60
CAMERAS = ("cam1", "cam2")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder with gt/cam1, gt/cam2 and a run of both."""
    for seed, name in enumerate(CAMERAS):
        truth = random_world(seed)
        write_sequence(tmp_path / "gt", name, truth, LENGTH)
        write_result(tmp_path / "run" / "mot", name, noisy_result(truth, seed))
    return tmp_path


def printed(report: Report, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(scores_table(report))
    return capture.get()


def idf1(report: Report) -> dict[str, float]:
    return {name: scores.idf1 for name, scores in report.sequences.items()}


@pytest.mark.parametrize("layout", ["run folder", "files", "TrackEval"])
def test_every_layout_of_results_is_found(scene: Path, layout: str) -> None:
    expected = idf1(evaluate_results(scene / "run", scene / "gt"))
    folder = scene / "run"
    if layout == "files":
        folder = scene / "run" / "mot"
    if layout == "TrackEval":
        (scene / "run" / "mot").rename(scene / "run" / "data")
        (scene / "run" / "pedestrian_summary.txt").write_text("HOTA DetA")
    assert idf1(evaluate_results(folder, scene / "gt")) == expected
    assert list(expected) == list(CAMERAS)


@pytest.mark.parametrize("layout", ["sequences", "train", "beside videos"])
def test_every_layout_of_ground_truth_is_found(scene: Path, layout: str) -> None:
    expected = idf1(evaluate_results(scene / "run", scene / "gt"))
    folder = scene / "gt"
    if layout == "train":
        (scene / "MOT").mkdir()
        folder = (scene / "gt").rename(scene / "MOT" / "train").parent
    if layout == "beside videos":
        (scene / "gt" / "cam1.mp4").write_bytes(b"no video")
    assert idf1(evaluate_results(scene / "run", folder)) == expected


@pytest.mark.parametrize("truth", ["cam1", "cam1/gt/gt.txt"])
def test_one_file_is_scored_with_one_sequence_whatever_its_name(scene: Path, truth: str) -> None:
    result = (scene / "run" / "mot" / "cam1.txt").rename(scene / "out.txt")
    report = evaluate_results(result, scene / "gt" / truth)
    assert list(report.sequences) == ["cam1"]
    assert report.missing == ()
    assert report.sequences["cam1"].idf1 == report.combined.idf1 > 0


def test_one_file_is_scored_with_the_sequence_of_its_name_alone(scene: Path) -> None:
    report = evaluate_results(scene / "run" / "mot" / "cam2.txt", scene / "gt")
    assert list(report.sequences) == ["cam2"]
    assert report.missing == ()


def test_a_sequence_folder_is_named_after_itself_however_it_is_reached(
    scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene / "gt" / "cam1" / "gt")
    for path in ("..", "gt.txt", "../gt/gt.txt", "../../cam1"):
        assert list(find_ground_truth(Path(path))) == (["gt"] if path == "gt.txt" else ["cam1"])


def test_a_sequence_without_a_result_counts_as_missed_and_is_named(scene: Path) -> None:
    both = evaluate_results(scene / "run", scene / "gt")
    (scene / "run" / "mot" / "cam2.txt").unlink()
    report = evaluate_results(scene / "run", scene / "gt")
    assert report.missing == ("cam2",)
    assert report.sequences["cam1"].idf1 == both.sequences["cam1"].idf1
    lost = report.sequences["cam2"].clear
    assert (lost.true_positives, lost.false_negatives > 0) == (0, True)
    assert report.combined.clear.false_negatives > both.combined.clear.false_negatives
    assert "warning: no result for cam2: counted as all missed." in printed(report)


def test_a_result_without_ground_truth_is_an_error(scene: Path) -> None:
    write_result(scene / "run" / "mot", "cam9", MotTable.empty())
    with pytest.raises(
        ReuniteError, match=r"cam9.txt: no ground truth named 'cam9' in .*, which has cam1, cam2$"
    ):
        evaluate_results(scene / "run", scene / "gt")
    with pytest.raises(ReuniteError, match=r"no ground truth named 'cam9'"):
        evaluate_results(scene / "run" / "mot" / "cam9.txt", scene / "gt")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match=r"nothing: no such file or folder; name a result file"):
        find_results(tmp_path / "nothing")
    with pytest.raises(ReuniteError, match=r"has no NAME.txt, mot/NAME.txt or data/NAME.txt"):
        find_results(tmp_path)
    with pytest.raises(ReuniteError, match=r"nothing: no such file or folder; name a gt.txt"):
        find_ground_truth(tmp_path / "nothing")
    with pytest.raises(ReuniteError, match=r"has no gt/gt.txt, NAME/gt/gt.txt"):
        find_ground_truth(tmp_path)


def test_a_result_after_the_last_frame_is_an_error(scene: Path) -> None:
    with (scene / "run" / "mot" / "cam2.txt").open("a") as file:
        file.write("61,1,1,1,5,5,1,-1,-1,-1\n")
    with pytest.raises(ReuniteError, match=r"^cam2: result has a box in frame 61, .* ends at frame 60$"):
        evaluate_results(scene / "run", scene / "gt")


def test_a_result_that_holds_others_than_people_is_an_error(scene: Path) -> None:
    # As TrackEval has it: given as a result, ground truth of MOT16 would be full of false boxes.
    file = scene / "run" / "mot" / "cam1.txt"
    file.write_text("1,1,10,10,20,40,1,1,1\n2,7,10,10,20,40,1,8,1\n")
    with pytest.raises(ReuniteError, match=r"cam1\.txt: a box of class 8 in frame 2; a result holds people"):
        evaluate_results(scene / "run", scene / "gt")
    file.write_text("1,1,10,10,20,40,1,1,1\n2,1,10,10,20,40,1,0,0.5\n")  # where people are class 0
    assert evaluate_results(scene / "run", scene / "gt").sequences["cam1"].as_dict()["FP"] <= 2


def test_without_seqinfo_the_last_box_is_in_the_last_frame(scene: Path) -> None:
    expected = evaluate_results(scene / "run", scene / "gt").combined.as_dict()
    for name in CAMERAS:
        (scene / "gt" / name / "seqinfo.ini").unlink()
    assert evaluate_results(scene / "run", scene / "gt").combined.as_dict() == expected
    with (scene / "run" / "mot" / "cam2.txt").open("a") as file:
        file.write("99,1,1,1,5,5,1,-1,-1,-1\n")
    more = evaluate_results(scene / "run", scene / "gt").combined.as_dict()
    assert more["FP"] == expected["FP"] + 1


def test_class_six_is_ignored_in_mot20_alone(tmp_path: Path) -> None:
    world = random_world(0)
    vehicles = MotTable(
        world.frames, world.ids, world.boxes, np.ones(len(world)), np.full(len(world), 6), world.visibility
    )
    for name in ("MOT20-01", "MOT17-01"):
        write_sequence(tmp_path / "gt", name, vehicles, LENGTH)
        write_result(tmp_path / "result", name, world)
    report = evaluate_results(tmp_path / "result", tmp_path / "gt")
    wrong = {name: scores.clear.false_positives for name, scores in report.sequences.items()}
    assert wrong == {"MOT17-01": len(world), "MOT20-01": 0}


@pytest.mark.parametrize(("frames", "window"), [("second-half", range(32, 61)), ("10-20", range(10, 21))])
def test_only_the_frames_asked_for_are_scored(scene: Path, frames: str, window: range) -> None:
    report = evaluate_results(scene / "run", scene / "gt", frames=frames)
    for name in CAMERAS:
        truth = GroundTruth(name, read_mot(scene / "gt" / name / "gt" / "gt.txt"), LENGTH)
        result = read_mot(scene / "run" / "mot" / f"{name}.txt")
        assert report.sequences[name].as_dict() == score_sequence(result, truth, window).as_dict()


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ("half", "write A-B"),
        ("5", "write A-B"),
        ("-5-9", "write A-B"),
        ("0-9", "cam1 has frames 1 to 60"),
        ("9-5", "A must not be above B"),
        ("61-70", "cam1 has frames 1 to 60"),
    ],
)
def test_frames_that_are_not_there_are_refused(scene: Path, frames: str, complaint: str) -> None:
    with pytest.raises(ReuniteError, match=rf"^--frames {frames}: .*{complaint}"):
        evaluate_results(scene / "run", scene / "gt", frames=frames)


def test_frames_end_with_the_sequence(scene: Path) -> None:
    whole = evaluate_results(scene / "run", scene / "gt")
    assert evaluate_results(scene / "run", scene / "gt", frames="1-999").as_dict() == whole.as_dict()


def test_many_cameras_share_identities(tmp_path: Path) -> None:
    world = random_world(3)
    people = world[(world.classes == 1) & (world.scores != 0)]
    other_ids = MotTable.of_people(people.frames, people.ids + 100, people.boxes, people.scores)
    for name, result in zip(CAMERAS, (people, other_ids), strict=True):
        write_sequence(tmp_path / "gt", name, people, LENGTH)
        write_result(tmp_path / "result", name, result)
    apart = evaluate_results(tmp_path / "result", tmp_path / "gt")
    together = evaluate_results(tmp_path / "result", tmp_path / "gt", many_cameras=True)
    assert apart.combined.idf1 == 1
    assert together.combined.idf1 == pytest.approx(0.5)
    assert together.combined.mota == 1
    assert idf1(together) == idf1(apart)
    assert "COMBINED" in printed(apart)
    assert "ALL CAMERAS" in printed(together)


def test_the_table_has_a_row_for_each_sequence_and_fits_eighty_columns(scene: Path) -> None:
    report = evaluate_results(scene / "run", scene / "gt")
    text = printed(report, width=80)
    header, _, first, second, *_, last = [line for line in text.splitlines() if line.strip()]
    columns = ["HOTA", "DetA", "AssA", "MOTA", "IDF1", "Rcll", "Prcn", "MT", "ML", "FP", "FN", "IDSW", "Frag"]
    assert header.split() == columns
    for line, name, scores in (
        (first, "cam1", report.sequences["cam1"]),
        (second, "cam2", report.sequences["cam2"]),
        (last, "COMBINED", report.combined),
    ):
        figures = scores.as_dict()
        expected = [f"{100 * figures[key]:.1f}" for key in columns[:7]] + [
            str(figures[key]) for key in columns[7:]
        ]
        assert line.split() == [name, *expected]


def test_the_table_of_one_sequence_has_one_row(scene: Path) -> None:
    text = printed(evaluate_results(scene / "run" / "mot" / "cam1.txt", scene / "gt"))
    assert "COMBINED" not in text


def test_the_command_prints_a_table_and_writes_json(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = scene / "scores.json"
    assert main([str(scene / "run"), "--gt", str(scene / "gt"), "--many-cameras", "--json", str(file)]) == 0
    assert "ALL CAMERAS" in capsys.readouterr().out
    report = evaluate_results(scene / "run", scene / "gt", many_cameras=True)
    assert json.loads(file.read_text()) == report.as_dict()
    assert set(report.as_dict()) == {"many_cameras", "missing", "combined", "reentry", "sequences"}


def test_the_command_says_what_is_wrong(scene: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(scene / "nothing"), "--gt", str(scene / "gt")]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        f"error: {scene}/nothing: no such file or folder; "
        "name a result file, a folder of them, or a run folder\n"
    )
    assert captured.out == ""
    unwritable = str(scene / "nowhere" / "scores.json")
    assert main([str(scene / "run"), "--gt", str(scene / "gt"), "--json", unwritable]) == 2
    assert "cannot write the scores: No such file or directory" in capsys.readouterr().err


# Real ground truth


@pytest.mark.real
def test_mot16_equals_trackeval(tmp_path: Path) -> None:
    folder = shared_folder() / "data" / "mot16"
    names = [f"MOT16-{number}" for number in ("02", "04", "05", "09", "10", "11", "13")]
    lengths = {name: read_seqinfo(folder / name / "seqinfo.ini").length for name in names}
    for name in names:
        detections = read_mot(shared_folder() / "data" / "mot17-yolox" / f"{name}.txt")
        write_result(tmp_path / "linked", name, linked(detections, 0.3))
        truth = read_mot(folder / name / "gt" / "gt.txt")
        write_result(tmp_path / "noisy", name, noisy_result(truth, lengths[name], jitter_px=8.0))
    for results in (tmp_path / "linked", tmp_path / "noisy"):
        report = evaluate_results(results, folder)
        theirs = trackeval_scores(folder, results, lengths)
        for name in names:
            assert_equal_scores(report.sequences[name].as_dict(), theirs[name])
        assert_equal_scores(report.combined.as_dict(), theirs[COMBINED])


@pytest.mark.real
def test_pets_in_mot15_format_equals_trackeval(tmp_path: Path) -> None:
    folder, name = shared_folder() / "data" / "video", "PETS09-S2L1"
    write_result(tmp_path / "result", name, linked(read_mot(folder / name / "det" / "det.txt"), 20.0))
    report = evaluate_results(tmp_path / "result", folder)
    theirs = trackeval_scores(folder, tmp_path / "result", {name: 795}, "MOT15")
    assert_equal_scores(report.sequences[name].as_dict(), theirs[name])
    assert report.combined.clear.true_positives + report.combined.clear.false_negatives == 4476


@pytest.mark.real
def test_real_cameras_with_their_own_numbers_lose_identity_and_nothing_else(tmp_path: Path) -> None:
    folder = shared_folder() / "data" / "campus-auditorium"
    for shift, name in enumerate(("HC3", "HC4", "IP2", "IP5")):
        truth = read_mot(folder / name / "gt" / "gt.txt")
        write_result(tmp_path / "shared", name, truth)
        apart = MotTable.of_people(truth.frames, truth.ids + 100 * shift, truth.boxes, truth.scores)
        write_result(tmp_path / "apart", name, apart)
    shared, apart_ = (
        evaluate_results(tmp_path / ids, folder, many_cameras=True, frames="1-1500").combined
        for ids in ("shared", "apart")
    )
    assert (shared.hota, shared.idf1, shared.mota) == pytest.approx((1, 1, 1))
    assert (apart_.mota, apart_.det_a) == pytest.approx((1, 1))
    assert apart_.idf1 < 0.7
    assert apart_.ass_a < 0.7


def test_hidden_twins_are_neither_results_nor_ground_truth(tmp_path: Path) -> None:
    for name in ("cam1.txt", "._cam1.txt"):
        (tmp_path / name).write_text("")
    for name in ("seq1", "._seq1", "@eaDir"):
        (tmp_path / name / "gt").mkdir(parents=True)
        (tmp_path / name / "gt" / "gt.txt").write_text("")
    assert list(find_results(tmp_path)) == ["cam1"]
    assert list(find_ground_truth(tmp_path)) == ["seq1"]
