"""How every command starts, is stopped, fails and ends."""

import argparse
import signal
import subprocess
import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from foundation.command import Command, StopSignals, run_command
from foundation.errors import ReuniteError
from foundation.extras import EXTRA_OF


def command(work: object) -> Command:
    """A command without options that raises or returns ``work``, or calls it."""

    def run(arguments: argparse.Namespace, console: Console) -> int:
        if isinstance(work, BaseException):
            raise work
        if callable(work):
            work()
        return work if isinstance(work, int) else 0

    return Command("work", "Work.", ("", ""), lambda parser: None, run)


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_that_of_the_work(code: int) -> None:
    assert command(code).main([]) == code


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ReuniteError("door.mp4: no such file"), 2, "error: door.mp4: no such file\n"),
        (
            OSError(28, "No space left on device", "runs/track"),
            2,
            "error: [Errno 28] No space left on device: 'runs/track'\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt("go on with: this"), 130, "go on with: this\n"),
        (
            ModuleNotFoundError("No module named 'optuna'", name="optuna"),
            2,
            "error: needs optuna, which is not installed: "
            "pip install -e '.[tune]' in the folder of Reunite's sources\n",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(error).main([]) == code
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize("error", [ValueError("a bug"), ModuleNotFoundError("a typing error", name="nympy")])
def test_a_fault_of_our_own_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        command(error).main([])


def test_a_command_that_cannot_be_imported_for_want_of_an_extra_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load() -> Command:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    assert run_command(load, []) == 2
    assert "pip install -e '.[reid]'" in capsys.readouterr().err


def test_a_polite_kill_is_ctrl_c_and_the_handlers_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert command(lambda: signal.raise_signal(signal.SIGTERM)).main([]) == 130
    assert signal.getsignal(signal.SIGTERM) == before
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_stops_softly_hears_the_first_signal_and_ends_at_the_second_a_second_later(
    number: signal.Signals, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[threading.Event] = []
    now = 1000.0

    def work() -> None:
        nonlocal now
        monkeypatch.setattr("foundation.command.time.monotonic", lambda: now)
        with StopSignals("stopped at once") as stop:
            assert not stop.is_set()
            for _ in range(3):
                signal.raise_signal(number)
                assert stop.is_set()
                now += 0.3
            heard.append(stop)
            now += 0.2
            signal.raise_signal(number)

    assert command(work).main([]) == 130
    assert heard
    assert capsys.readouterr().err == "stopped at once\n"


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    program = (
        "import sys; from tests.test_command import command; "
        "sys.exit(command(lambda: print('much\\n' * 100_000)).main([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.readline()
        ran.stdout.close()
        assert (ran.stderr.read(), ran.wait()) == ("", 1)


def test_help_is_given_without_the_extras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = replace(command(0), needs=("optuna", "torch"))
    monkeypatch.setattr("foundation.command.find_spec", {"optuna": True}.get)
    with pytest.raises(SystemExit, match="0"):
        work.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: ")
    assert work.main([]) == 2
    assert "needs torch, which is not installed" in capsys.readouterr().err


def test_every_command_can_be_asked_for_help_without_any_extra() -> None:
    code = (
        "import sys; from foundation.extras import EXTRA_OF; sys.modules.update(dict.fromkeys(EXTRA_OF))\n"
        "from tracker.cli import COMMANDS, load_command\n"
        "for name in COMMANDS: load_command(name).parser().format_help()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_brings_every_extra_that_a_command_may_ask_for() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert extras["all"] == [f"reunite[{','.join(name for name in extras if name not in ('all', 'dev'))}]"]
    for module, extra in EXTRA_OF.items():
        assert any(need.startswith(module) for need in extras[extra])
