"""Names that others gave are printed as they are, and do nothing."""

import io
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from foundation.text import PlainConsole, PlainFormatter, visible, visible_lines
from tests.clips import write_clip
from tracker.cli import main
from tracker.sinks.progress import ProgressBars
from tracker.stages import CameraReport
from tracker.types import CameraName

NASTY = "a[red]b[/a]\x1b[31m:smile:\r\udcff\u202ec"
SHOWN = r"a[red]b[/a]\x1b[31m:smile:\r\udcff\u202ec"


def test_what_cannot_be_seen_is_shown() -> None:
    assert visible(NASTY) == SHOWN
    assert visible("one\ntwo") == r"one\ntwo"
    assert visible_lines("one\n\ttwo\x07") == "one\n\ttwo\\x07"
    assert visible("вход 入口 é") == "вход 入口 é"


def test_the_console_prints_strings_and_tables_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole(width=200)
    console.print(NASTY)
    table = Table(title=NASTY)
    table.add_column(NASTY)
    table.add_row(NASTY)
    console.print(table)
    assert capsys.readouterr().out.count(SHOWN) == 4


def test_the_log_shows_names_as_they_are() -> None:
    record = logging.LogRecord("tracker", logging.WARNING, "", 0, "camera %s", (NASTY,), None)
    assert PlainFormatter("%(message)s").format(record) == f"camera {SHOWN}"


def test_the_bars_show_names_as_they_are() -> None:
    screen = io.StringIO()
    reports = {CameraName(NASTY): CameraReport(expected_frames=3)}
    ProgressBars(Console(file=screen, force_terminal=True, width=200), reports, {}).close()
    assert SHOWN in screen.getvalue()
    assert NASTY not in screen.getvalue()


def test_a_run_in_a_folder_with_a_nasty_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "x[" / "a]\x1b[31m"
    folder.mkdir(parents=True)
    write_clip(folder / "[red]line\nbreak.mp4", range(8))
    (folder / "bad[red].mp4").write_bytes(b"no video")
    assert (
        main(
            [
                "track",
                str(folder),
                "--config",
                "embedded",
                "--set",
                f"output.folder={json.dumps(str(folder))}",
            ]
        )
        == 1
    )
    told = capsys.readouterr().out
    assert "bad[red].mp4: cannot be read as a video" in told
    assert r"x[/a]\x1b[31m" in told
    assert "\x1b" not in told
