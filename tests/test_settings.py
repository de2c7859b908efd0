"""What is known of every setting, and the command that prints it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from pydantic import Field

from foundation.config import ConfigError, Section, read_config
from foundation.config_names import CONFIGS, find_config
from foundation.settings import settings_of
from reid.config import RECIPES, TrainConfig
from reid.config import load_config as load_recipe
from tracker.cli import main
from tracker.config import CONFIGS_OF_RUNS, RunConfig, load_config


@pytest.mark.parametrize("schema", [RunConfig, TrainConfig])
def test_every_setting_has_a_description_that_the_schema_carries(schema: type[Section]) -> None:
    settings = settings_of(schema)
    assert len(settings) > 50
    assert [setting.key for setting in settings if not setting.description] == []


def test_what_is_known_of_a_setting_is_what_its_section_says() -> None:
    known = {(setting.key, setting.kind): setting for setting in settings_of(RunConfig)}
    lost = known["tracking.max_lost_s", ""]
    assert lost.description == "Seconds without a match before a track ends."
    assert (lost.type, lost.bounds, lost.default) == ("number", "above 0", "1.5")
    cost = known["tracking.stages.N.max_cost", ""]
    assert (cost.bounds, cost.default) == ("above 0, 1 or less", "")
    gate = known["tracking.stages.N.max_mahalanobis", ""]
    assert (gate.type, gate.default) == ("number or null", "null")
    assert known["detector.path", "detector.kind=file"].type == "text"
    assert known["tracking.stages.N.scores", ""].type == "one of likely, all"


# Names that settings had before


class Round(Section):
    renamed: ClassVar[Mapping[str, str]] = {"thresh": "max_cost"}

    max_cost: float = 0.5
    """The highest cost."""


class Whole(Section):
    renamed: ClassVar[Mapping[str, str]] = {"buffer": "max_lost_s"}

    max_lost_s: float = Field(default=1.5, gt=0)
    """Seconds."""

    rounds: tuple[Round, ...] = (Round(),)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("buffer=30", "buffer: was renamed to 'max_lost_s'"),
        ("rounds=[{thresh: 0.5}]", "rounds.0.thresh: was renamed to 'max_cost'"),
        ("thresh=1", "thresh: no such key, known here: max_lost_s, rounds"),
    ],
)
def test_a_former_name_is_answered_with_the_present_one(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(Whole, [], [override])
    assert told in str(refused.value)


def test_a_table_of_former_names_is_no_setting() -> None:
    assert [setting.key for setting in settings_of(Whole)] == ["max_lost_s", "rounds", "rounds.N.max_cost"]


# Configurations by their names


def test_a_configuration_is_found_by_its_name_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("embedded").detector.kind == "embedded"
    assert load_config(["onnx", Path("association/sort")]).tracking != load_config("onnx").tracking
    assert load_recipe("reid/ha-cnn").name == "ha-cnn"
    (tmp_path / "embedded").write_text("detector: {kind: onnx}\n")
    assert load_config("embedded").detector.kind == "onnx", "a file of one's own goes first"


def test_a_name_of_nothing_lists_the_names_and_a_path_elsewhere_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"embeded: no such file, .*; did you mean embedded\?"):
        load_config("embeded")
    with pytest.raises(ConfigError, match="its name finds it from any folder: association/sort"):
        load_config(Path("configs/association/sort.yaml"))
    with pytest.raises(ConfigError, match="no name of a configuration; the names are embedded, file, "):
        load_config("reid/ha-cnn")


def test_every_file_of_configs_has_a_name() -> None:
    files = set(CONFIGS.rglob("*.yaml"))
    patterns = (*CONFIGS_OF_RUNS, *RECIPES)
    assert {find_config(path.relative_to(CONFIGS).with_suffix(""), patterns) for path in files} == files


# The command


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["config", *words]) == 0
    return capsys.readouterr().out


def test_alone_it_prints_the_whole_default_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(printed(capsys))
    assert load_config(path) == RunConfig()
    assert set(yaml.safe_load(path.read_text())) == set(RunConfig.model_fields)


def test_with_a_configuration_it_prints_that(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--config", "embedded", "--set", "tracking.max_lost_s=7"]
    path = tmp_path / "all.yaml"
    path.write_text(printed(capsys, *words))
    assert load_config(path) == load_config("embedded", ["tracking.max_lost_s=7"])


def test_the_schema_is_json_with_descriptions(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(printed(capsys, "--schema"))
    lost = schema["$defs"]["TrackingConfig"]["properties"]["max_lost_s"]
    assert lost["description"] == "Seconds without a match before a track ends."


def test_a_setting_is_explained_with_where_its_value_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    key = "tracking.max_lost_s"
    out = printed(capsys, "--explain", key)
    assert out.startswith(f"{key}: Seconds without a match before a track ends.\n")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["type", "number"],
        ["bounds", "above", "0"],
        ["default", "1.5"],
        ["value", "1.5,", "from", "the", "defaults"],
    ]
    assert "value    1.5, from embedded" in printed(capsys, "--explain", key, "--config", "embedded")
    changed = printed(capsys, "--explain", key, "--config", "embedded", "--set", f"{key}=2")
    assert "default  1.5\n  value    2.0, from --set" in changed


def test_a_default_that_a_section_changes_is_that_of_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "--explain", "motion.measured_sd")
    assert out.count("motion.measured_sd:") == 2
    assert "tracking.motion.measured_sd" in out
    assert "default  0.065" in out
    assert "default  0.07\n" in out


def test_a_section_is_explained_by_what_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = printed(capsys, "--explain", "tracking").splitlines()
    assert first.startswith("tracking: How the boxes of one camera become tracks.")
    assert len(lines) == len(type(RunConfig().tracking).model_fields)


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("tracking.carry_s", "tracking.coast_s"),
        ("identity.likeness", "identity.similarity"),
        ("identity.likeness.mean_same", "identity.similarity.mean_same"),
    ],
)
def test_who_asks_by_a_former_name_is_told_the_present_one(
    capsys: pytest.CaptureFixture[str], former: str, present: str
) -> None:
    assert main(["config", "--explain", former]) == 2
    assert f"{former}: was renamed to {present!r}" in capsys.readouterr().err


def test_a_key_that_is_none_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--explain", "tracking.max_lost"]) == 2
    assert "tracking.max_lost: no such key, did you mean 'tracking.max_lost_s'?" in capsys.readouterr().err
