"""What a training does with bad data, bad settings and bad files: a sentence, and no work is lost."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from foundation.errors import ReuniteError
from reid import train, training
from reid.config import dump_config
from reid.data import open_dataset
from reid.distillation import teacher_embeddings
from reid.models import build_model
from reid.preprocess import Preprocess
from reid.training_parts import start_from_imagenet
from reid.training_pictures import read_training_pictures
from reid.training_state import load_training_state
from tests.drawn_people import PEOPLE, PICTURES, TINY, draw_market, run, tiny_config, weights
from tests.test_reid_runtime import write_onnx


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def trained(market: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("trained"), tiny_config(market))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "learning_rate", lambda settings, epoch: 1e-3 if epoch <= 1 else 1e30)
    with pytest.raises(ReuniteError) as error:
        run(tmp_path / "run", tiny_config(market))
    message = str(error.value)
    assert "epoch 2, batch" in message
    assert "lower schedule.lr. The pictures" in message  # it is in float32 already
    assert "checkpoint.pt holds the end of epoch 1" in message
    assert message.count("market1501:bounding_box_train/") == 6
    state = load_training_state(tmp_path / "run" / "checkpoint.pt")
    assert len(state["rows"]) == 1
    assert all(value.isfinite().all() for value in state["model"].values())


def test_weights_ruined_by_the_last_step_of_an_epoch_are_not_kept(
    market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "learning_rate", lambda settings, epoch: 1e-3 if epoch < 1 else np.inf)
    with pytest.raises(ReuniteError, match="no epoch was finished"):
        run(tmp_path / "run", tiny_config(market))
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_data_that_is_not_there_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main(["reid/robust-reid-025x", "--data", "market1501=nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    assert train.main(["reid/robust-reid-025x", "--data", "market1501=nowhere"]) == 2
    assert list(tmp_path.rglob("*")) == [tmp_path / "runs"]  # which was there before


def test_float16_needs_a_gpu(market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ReuniteError, match="float16 needs a GPU"):
        run(tmp_path / "run", tiny_config(market, precision="float16"))


def test_unreadable_pictures_are_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = draw_market(tmp_path / "market")
    files = sorted((tmp_path / "market" / "bounding_box_train").iterdir())
    files[0].write_bytes(b"")
    files[5].write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        pictures = read_training_pictures([open_dataset(market)], Preprocess(32, 16))
    assert len(pictures) == PEOPLE * PICTURES - 2
    assert files[0].name in caplog.text
    assert files[5].name in caplog.text
    assert "2 of 24 training pictures cannot be read" in caplog.text
    assert files[0].name not in [Path(pictures.name(row)).name for row in range(len(pictures))]


def test_a_batch_that_cannot_be_filled_is_refused(market: str, tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match="a batch of 7 people cannot be filled: the training set has 6"):
        run(tmp_path / "run", tiny_config(market, batch={"people": 7}))


def test_other_data_than_the_run_began_with_is_refused(tmp_path: Path) -> None:
    market = draw_market(tmp_path / "market")
    folder = run(tmp_path / "run", tiny_config(market))
    next((tmp_path / "market" / "bounding_box_train").iterdir()).unlink()
    with pytest.raises(ReuniteError, match="began with 24 pictures of 6 people, the data now has 23 of 6"):
        run(folder, tiny_config(market))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a recipe"),
        (["missing.yaml"], "missing.yaml: cannot read the configuration"),
        (["--resume", "nowhere"], "--resume nowhere: holds no config.yaml; give the folder of a run"),
        (["--resume", "run", "--data", "market1501=x"], "goes on with its recipe and its data"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_pickle_is_not_a_training_state(tmp_path: Path) -> None:
    torch.save({"version": 1, "code": Path("x")}, tmp_path / "checkpoint.pt")
    with pytest.raises(ReuniteError, match=r"cannot read the training state \(.* code, which is never run"):
        load_training_state(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("content", [b"", b"cut", b"hello world"])
def test_a_damaged_training_state_is_said_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(
        ReuniteError, match=r"cannot read the training state \(it is damaged.*start a new run$"
    ):
        load_training_state(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("content", [[1, 2], {"weights": torch.zeros(2)}, torch.zeros(2)])
def test_a_file_of_another_program_is_no_training_state(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(ReuniteError, match="cannot read the training state"):
        load_training_state(tmp_path / "checkpoint.pt")


def test_test_people_who_cannot_be_judged_do_not_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = draw_market(tmp_path / "market")
    for path in (tmp_path / "market" / "bounding_box_test").iterdir():
        path.write_bytes(b"")
    folder = run(tmp_path / "run", tiny_config(market, average={"kind": "ema"}))
    assert (
        caplog.text.count("not judged: market1501: nothing to judge with, none of 12 gallery pictures") == 1
    )
    state = load_training_state(folder / "checkpoint.pt")
    assert len(state["rows"]) == 2
    assert not any("mAP" in row for row in state["rows"])


def test_people_without_a_right_answer_give_no_figure(tmp_path: Path) -> None:
    market = draw_market(tmp_path / "market")
    for path in (tmp_path / "market" / "query").iterdir():
        path.rename(path.with_name(f"9{path.name[1:]}"))
    folder = run(tmp_path / "run", tiny_config(market))
    assert not any("mAP" in row for row in load_training_state(folder / "checkpoint.pt")["rows"])


def test_data_that_is_a_file_ends_the_command_with_a_sentence_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_config(tiny_config(f"folder={recipe}")), encoding="utf-8")
    assert train.main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    assert f"{recipe} cannot be read (Not a directory)" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_somebody_seen_by_one_camera_is_trained_on_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    market = draw_market(tmp_path / "market")
    for path in (tmp_path / "market" / "bounding_box_train").glob("0001_c2*"):
        path.unlink()
    with caplog.at_level(logging.INFO):
        run(tmp_path / "run", tiny_config(market, schedule={"kind": "cosine", "epochs": 1, "lr": 0.01}))
    assert "1 of 6 people to train on are seen by one camera only; they are kept" in caplog.text
    assert "22 pictures of 6 people" in caplog.text


def test_a_label_that_is_no_number_ends_the_command_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = draw_market(tmp_path / "market")
    folder = tmp_path / "market" / "bounding_box_train"
    next(folder.iterdir()).rename(folder / "anna_c1s1_000000_00.png")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_config(tiny_config(market)), encoding="utf-8")
    assert train.main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    assert "anna_c1s1_000000_00.png" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_made_is_named(
    market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_config(tiny_config(market)), encoding="utf-8")
    assert train.main([str(recipe), "--runs", str(recipe)]) == 2
    assert f"{recipe / 'tiny'}: cannot make the folder of the run" in capsys.readouterr().err


def test_what_a_teacher_said_of_other_pictures_with_the_same_names_is_not_used(tmp_path: Path) -> None:
    means = write_onnx(tmp_path / "means.onnx")
    found = []
    for folder, shade in (("a", 10), ("b", 200)):
        path = tmp_path / folder / "anna" / "1.png"
        path.parent.mkdir(parents=True)
        picture = np.full((64, 32, 3), (shade, 100, 100), np.uint8)
        assert cv2.imwrite(str(path), picture)
        pictures = read_training_pictures([open_dataset(f"folder={tmp_path / folder}")], Preprocess(32, 16))
        found.append(teacher_embeddings([means], "bgr255", pictures, tmp_path))
        assert found[-1][0, 0] / found[-1][0, 1] == pytest.approx(shade / 100)
    assert len(list(tmp_path.glob("teacher-*.npy"))) == 2


def test_a_teacher_that_is_not_there_is_named_with_the_way_out(market: str, tmp_path: Path) -> None:
    config = tiny_config(market, distillation={"teacher": "gone.xml"})
    with pytest.raises(
        ReuniteError, match=r"gone.xml: there is no such teacher; .* distillation.teacher=PATH"
    ):
        run(tmp_path / "run", config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"name": "robust-reid-025x", "settings": {**TINY, "stem_width": 16}}}, "made with model"),
        ({"model": {"name": "ha-cnn"}}, "made with model"),
        ({"optimiser": {"kind": "adam"}}, "made with optimiser"),
        ({"average": {"kind": "ema"}}, "made with average"),
        ({"losses": {"centre": {"weight": 0.1}}}, "made with losses.centre on False"),
        ({"distillation": {"teacher": "t.onnx"}}, "made with distillation on False"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    trained: Path, market: str, changes: dict[str, object], words: str
) -> None:
    before = weights(trained)
    with pytest.raises(ReuniteError, match=f"{words}.*config.yaml now says .*start a new run"):
        run(trained, tiny_config(market, **changes))
    assert weights(trained) == before


@pytest.mark.parametrize(
    "changes", [{"evaluate_every": 7}, {"precision": "bfloat16"}, {"threads": 1}], ids=lambda c: next(iter(c))
)
def test_what_is_no_part_of_the_network_may_change(
    trained: Path, market: str, changes: dict[str, object]
) -> None:
    before = weights(trained)
    assert weights(run(trained, tiny_config(market, **changes))) == before


def test_another_network_than_a_resnet_has_no_imagenet(market: str, tmp_path: Path) -> None:
    model = {"name": "robust-reid-025x", "settings": TINY, "imagenet": "download"}
    with pytest.raises(ReuniteError, match="'download': only networks on ResNet-50 or"):
        run(tmp_path / "run", tiny_config(market, model=model))


def test_code_in_the_weights_of_imagenet_is_never_run(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Path("x")}, tmp_path / "r.pth")
    with pytest.raises(
        ReuniteError, match=r"r.pth: cannot read the weights: .* holds code, which is never run"
    ):
        start_from_imagenet(build_model("resnet50-bnneck"), str(tmp_path / "r.pth"))
