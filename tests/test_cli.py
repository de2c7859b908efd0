"""The family of commands: one word for each, helped, started and refused alike."""

import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import pytest

from foundation.command import EXIT_CODES
from tracker.cli import COMMANDS, load_command, main


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``reunite WORDS``."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    return code, out, err


def line_of(example: str) -> str:
    """An example without what it says of itself, and without where its output goes."""
    return re.sub(r"(   .*|> .*)$", "", example)


def test_help_lists_every_command_and_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    assert all(re.search(rf"^    {name} +\w", out, re.MULTILINE) for name in COMMANDS)
    assert EXIT_CODES in out


def test_without_a_command_the_help_is_shown_and_nothing_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys)
    assert (code, out) == (2, "")
    assert "usage: reunite" in err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"reunite {version('reunite')}\n", "")


def test_a_command_that_is_nearly_right_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "trak", "videos/")
    assert (code, out) == (2, "")
    assert err.startswith("error: no such command: trak, did you mean track?\n")


def test_the_help_and_the_version_import_nothing_that_is_slow() -> None:
    program = """
import sys
from tracker.cli import main
try:
    main([sys.argv[1]])
except SystemExit:
    pass
slow = {"cv2", "matplotlib", "numpy", "onnxruntime", "pandas", "pydantic", "scipy", "torch"}
print(*slow & set(sys.modules))
"""
    for option in ("--help", "--version"):
        ran = subprocess.run(
            [sys.executable, "-c", program, option], capture_output=True, text=True, check=True
        )
        assert ran.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_names_itself_and_has_two_examples_that_parse(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(capsys, name, "--help")
    assert code == 0
    assert out.startswith(f"usage: reunite {name} ")
    examples = re.findall(rf"(?m)^  reunite {name} (.*)$", out)
    assert len(examples) >= 2
    parser = load_command(name).parser()
    for example in examples:
        parser.parse_args(shlex.split(line_of(example)))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_does_not_exist_is_one_sentence_and_the_way_to_the_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shlex.split(line_of(load_command(name).examples[0]))
    code, out, err = said(capsys, name, *arguments, "--halp")
    assert (code, out) == (2, "")
    assert err.startswith("error: --halp is no option here")
    assert re.search(rf"\nreunite {name}.* --help says more\n", err)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--verson", "--verson is no option here, did you mean --version?"),
        (
            "gallery lst",
            "COMMAND: 'lst' is not one of list, show, merge, split, check, repair, forget, export, "
            "prune, did you mean list?",
        ),
        ("gallery show anna", "ID: 'anna' is no whole number"),
        ("evaluate runs --gt videos --min-away long", "--min-away: 'long' is no number"),
        (
            "export a.safetensors --to onx",
            "--to: 'onx' is not one of onnx, openvino, torchscript, did you mean onnx?",
        ),
        ("config track", "'track' is one word too many"),
        ("evaluate runs", "the following arguments are required: --gt"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, *line.split())
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"error: {told}"
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("tracker", "tracker"),
        ("tracker.run", "tracker.run"),
        ("tracker.evaluate", "tracker.evaluate"),
        ("tracker.ground", "tracker.ground"),
    ],
)
def test_a_module_that_is_started_names_itself_so(module: str, name: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"usage: python -m {name} ")


def test_a_wrong_source_gives_the_exit_code_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "track", "nowhere.mp4")
    assert code == 2
    assert "nowhere.mp4" in err
