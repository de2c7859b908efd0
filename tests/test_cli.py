"""The console script."""

import pytest

from tracker.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["reunite", *words])
    return main()


def test_help_lists_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    assert all(
        f"reunite {command} " in out
        for command in ("track", "evaluate", "tune", "gallery", "search", "simulate")
    )


def test_an_unknown_command_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "trak") == 2
    assert "no such command: trak" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["track", "evaluate", "tune", "gallery", "search", "simulate"])
def test_a_command_gets_the_rest_of_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, command, "--help")
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


def test_a_wrong_source_gives_the_exit_code_of_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "track", "nowhere.mp4") == 2
    assert "nowhere.mp4" in capsys.readouterr().err
