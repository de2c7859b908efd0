"""The Dockerfile and the systemd unit: nothing here can run them, so what they name must be there."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tracker.cli import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"
INSTRUCTIONS = {
    *(
        "FROM",
        "RUN",
        "COPY",
        "USER",
        "WORKDIR",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
        "ENV",
    ),
}


def instructions() -> list[tuple[str, str]]:
    """Each with all of its lines as one."""
    text = "\n".join(
        line for line in (PACKAGING / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for line in lines if line.strip() for word, _, rest in [line.partition(" ")]]


def test_the_dockerfile_says_only_what_docker_knows_and_begins_with_an_image() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= INSTRUCTIONS
    assert words[0] == "FROM"
    assert re.fullmatch(r"python:3\.1[1-9]-\S+", instructions()[0][1])
    assert words.index("USER") < words.index("ENTRYPOINT"), "it must not run as root"
    assert words.count("CMD") == words.count("ENTRYPOINT") == 1


def test_what_the_dockerfile_copies_is_there_and_is_all_that_a_wheel_needs() -> None:
    copied = [
        Path(name) for word, rest in instructions() if word == "COPY" for name in shlex.split(rest)[:-1]
    ]
    assert all((ROOT / name).exists() for name in copied)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    needed = {name.rstrip("*") for name in packages["include"]} | {"configs", "pyproject.toml", "setup.py"}
    assert needed <= {name.as_posix() for name in copied}


def test_the_commands_that_are_started_parse() -> None:
    given = dict(instructions())
    lines = [[*json.loads(given["ENTRYPOINT"]), *json.loads(given["CMD"])]]
    lines.append(shlex.split(unit()["Service"]["ExecStart"]))
    for line in lines:
        program, command, *rest = line
        assert Path(program).name == "reunite"
        assert command in COMMANDS
        load_command(command).parser().parse_args(rest)
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "live" in extra


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(PACKAGING / "reunite.service")
    return parser


def test_the_unit_runs_as_nobody_special_and_comes_back() -> None:
    service = unit()["Service"]
    assert service["User"] != "root"
    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == "yes"
    assert unit()["Install"]["WantedBy"] == "multi-user.target"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze")
    # The program it starts is not here; any other is.
    text = (PACKAGING / "reunite.service").read_text().replace("/opt/reunite/bin/reunite", "/bin/true")
    copy = tmp_path / "reunite.service"
    copy.write_text(text)
    checked = subprocess.run([program, "verify", "--man=no", copy], capture_output=True, text=True)
    own = [line for line in checked.stderr.splitlines() if "reunite.service" in line]
    assert checked.returncode == 0, checked.stderr
    assert not own
