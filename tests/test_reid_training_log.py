"""What a training tells: on a terminal, in a log, in files; with a clock that the test turns."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from reid.curves import draw_curves
from reid.training_log import Row, TrainingLog

DONE: Row = {"epoch": 1, "lr": 0.1, "loss": 3.0, "cross_entropy": 3.0, "pictures_per_s": 9.0, "seconds": 60.0}


class Clock:
    """Stands in for the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("reid.training_log.time", clock)
    return clock


def on(kind: str) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    terminal = kind == "terminal"
    return Console(file=written, force_terminal=terminal, width=200 if terminal else 40), written


def test_a_terminal_has_a_bar_with_parts_speed_and_time_left(tmp_path: Path, clock: Clock) -> None:
    console, written = on("terminal")
    with TrainingLog(console, tmp_path, epochs=4, rows=[]) as log:
        log.start_epoch()
        clock.now += 10
        log.step({"cross_entropy": 2.0, "centre": 0.5}, 320, epoch=0.5)
        clock.now += 10
        log.step({"cross_entropy": 1.0, "centre": 0.5}, 320, epoch=1.0)
    # 20 s for one epoch of four: a minute is left.
    assert "━" in written.getvalue()
    line = "epoch 1.00/4, 32 pictures/s, 0:01:00 left, loss 2.000 (cross_entropy 1.500, centre 0.500)"
    assert line in written.getvalue()


def test_the_bar_goes_when_the_training_fails(tmp_path: Path) -> None:
    console, _ = on("terminal")
    with pytest.raises(KeyboardInterrupt), TrainingLog(console, tmp_path, epochs=4, rows=[]):
        raise KeyboardInterrupt
    with TrainingLog(console, tmp_path, epochs=4, rows=[]):  # rich refuses a second bar beside the first
        pass


def test_a_log_gets_a_line_each_minute_and_each_epoch(tmp_path: Path, clock: Clock) -> None:
    console, written = on("file")
    with TrainingLog(console, tmp_path, epochs=2, rows=[]) as log:
        log.start_epoch()
        for step in range(1, 17):  # 160 s
            clock.now += 10
            log.step({"cross_entropy": 1.0}, 80, epoch=step / 16)
        log.end_epoch(0.1, {"mAP": 0.25})
    lines = written.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 0.44/2", "epoch 0.88/2", "epoch 1.00/2"]
    assert lines[-1].endswith("loss 1.000 (cross_entropy 1.000), mAP 0.2500")
    assert "\x1b" not in written.getvalue()


def test_judging_is_no_part_of_the_speed(tmp_path: Path, clock: Clock) -> None:
    console, _ = on("file")
    with TrainingLog(console, tmp_path, epochs=2, rows=[]) as log:
        log.start_epoch()
        clock.now += 10
        log.step({"cross_entropy": 1.0}, 500, epoch=1.0)
        clock.now += 90
        log.end_epoch(0.1, {"mAP": 0.25})
    assert (log.rows[0]["pictures_per_s"], log.rows[0]["seconds"]) == (50, 100)


def test_time_left_counts_from_where_the_run_was_resumed(tmp_path: Path, clock: Clock) -> None:
    console, written = on("file")
    with TrainingLog(console, tmp_path, epochs=5, rows=[DONE]) as log:
        log.start_epoch()
        clock.now += 100
        log.step({"cross_entropy": 1.0}, 500, epoch=2.0)
        log.end_epoch(0.1, {})
    assert "epoch 2.00/5, 5 pictures/s, 0:05:00 left" in written.getvalue()
    assert [row["epoch"] for row in log.rows] == [1, 2]


def test_tensorboard_shows_an_epoch_once_though_it_was_repeated(tmp_path: Path) -> None:
    console, _ = on("file")
    # The first run was killed after its second epoch was shown and before its checkpoint was written.
    for rows, epochs in (([], (4.0, 3.0)), ([DONE], (2.0, 1.0))):
        with TrainingLog(console, tmp_path, epochs=3, rows=rows) as log:
            for epoch, loss in enumerate(epochs, start=len(rows) + 1):
                log.start_epoch()
                log.step({"cross_entropy": loss}, 8, epoch=epoch)
                log.end_epoch(0.1, {"mAP": loss / 10})
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    assert [(event.step, event.value) for event in shown.Scalars("loss")] == [(1, 4.0), (2, 2.0), (3, 1.0)]
    assert [event.step for event in shown.Scalars("mAP")] == [1, 2, 3]


def test_every_curve_of_the_fullest_loss_is_drawn_with_its_last_value() -> None:
    parts = ("cross_entropy", "quadruplet", "centre", "teacher_distances", "teacher_embeddings")
    names = ("loss", *parts, "teacher_neighbours")
    rows: list[Row] = [
        {"epoch": epoch, "lr": 0.1, **{name: place + epoch for place, name in enumerate(names)}}
        for epoch in (1, 2, 3)
    ]
    rows[-1]["mAP"] = 0.5
    loss, score = draw_curves(rows).axes
    assert [line.get_label() for line in loss.lines] == [
        f"{name}  {place + 3:.3f}" for place, name in enumerate(names)
    ]
    assert len({line.get_color() for line in loss.lines}) == len(names)
    assert np.asarray(loss.lines[2].get_data()).tolist() == [[1, 2, 3], [3, 4, 5]]
    assert np.asarray(score.lines[0].get_data()).tolist() == [[3], [0.5]]
    assert (loss.get_ylabel(), score.get_ylabel(), score.get_xlabel()) == ("loss", "score", "epoch")


def test_what_was_not_a_number_is_left_out_of_its_curve() -> None:
    rows: list[Row] = [{"epoch": 1, "loss": float("nan"), "mAP": float("nan")}, {"epoch": 2, "loss": 3.0}]
    loss, score = draw_curves(rows).axes
    assert np.asarray(loss.lines[0].get_data()).tolist() == [[2], [3]]
    assert score.lines[0].get_label() == "mAP"
