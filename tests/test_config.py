"""One YAML, one checked, frozen object."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tracker.config import ConfigError, RunConfig, dump_config, load_config

CONFIGS = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.yaml"))


def keys_of(value: Any, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return set()
    return {f"{prefix}{key}" for key in value} | {
        found for key, below in value.items() for found in keys_of(below, f"{prefix}{key}.")
    }


def test_a_problem_may_be_in_the_file_or_in_what_was_set(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("output: {name: demo}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, ["name=demo"])
    assert str(caught.value).startswith(f"{path} with --set: 1 problem(s)\n")


def test_all_problems_are_named_at_once_with_the_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text("detector: {kind: onnx, min_score: 1.4}\ntracking: {max_lost_sec: 3}\noutptu: {}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{path}: 3 problem(s)"
    assert sorted(lines) == [
        "  detector.min_score: Input should be less than or equal to 1, got 1.4",
        "  outptu: no such key, did you mean 'output'?",
        "  tracking.max_lost_sec: no such key, did you mean 'max_lost_s'?",
    ]


def test_a_key_that_resembles_nothing_lists_what_is_known() -> None:
    for written, meant in (("trakcing.max_lost_s=2", "tracking"), ("max_lost_s=2", "tracking.max_lost_s")):
        with pytest.raises(ConfigError, match=f"no such key, did you mean '{re.escape(meant)}'"):
            load_config(None, [written])
    with pytest.raises(ConfigError, match=r"output\.qqq: no such key, known here: folder, name"):
        load_config(None, ["output.qqq=1"])


def test_overrides_are_yaml_and_go_below_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("tracking: {max_lost_s: 3}\noutput: {name: night}\n")
    config = load_config(path, ["tracking.max_lost_s=2.5", "detector={kind: file, path: x}"])
    assert config.tracking.max_lost_s == 2.5
    assert config.detector.kind == "file"
    assert config.output.name == "night"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "must hold 'key: value' lines, got a list"),
        ("a: [1\n", "is not YAML"),
        (None, "cannot read the configuration: No such file or directory"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(
    tmp_path: Path, text: str | bytes | None, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("override", ["tracking.max_lost_s", "=3", "a=[1"])
def test_an_override_without_key_or_value_is_named(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert override in str(caught.value)


def test_an_unknown_detector_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="must be one of ultralytics, onnx, file, embedded"):
        load_config(None, ["detector.kind=yolo"])


def test_a_sentence_of_our_own_stands_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["identity.similarity.mean_different=0.9", "identity.similarity.mean_same=0.7"])
    assert str(caught.value).endswith("similarity: mean_different must be below mean_within and mean_same")


def test_a_section_without_a_kind_is_of_the_default_kind() -> None:
    assert load_config(None, ["detector.weights=a.pt"]).detector.kind == "ultralytics"


@pytest.mark.parametrize("text", ["true", "yes"])
def test_a_truth_is_no_number(text: str) -> None:
    with pytest.raises(ConfigError, match=r"tracking\.max_lost_s: .*a number is needed, got True"):
        load_config(None, [f"tracking.max_lost_s={text}"])


def test_a_key_below_a_value_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("detector: onnx\n")
    with pytest.raises(ConfigError, match="'detector' is set to 'onnx' and has no keys below it"):
        load_config(path, ["detector.min_score=0.3"])


def test_one_source_needs_no_brackets() -> None:
    assert load_config(None, ["source=videos"]).source == ("videos",)
    assert load_config(None, ["source=0"]).source == ("0",)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config().tracking.max_lost_s = 3


def test_writing_and_reading_gives_the_same_configuration(tmp_path: Path) -> None:
    config = load_config(None, ["detector.kind=embedded", "source=[a, b]", "output.name='7'"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_configuration_is_complete(path: Path) -> None:
    # No inheritance: what a run does can be read in one file.
    written = keys_of(yaml.safe_load(path.read_text())) | {"source"}
    config = load_config(path)
    assert keys_of(config.model_dump()) == written
    assert config == load_config(
        None, [f"detector.kind={config.detector.kind}"]
    )  # and says what the defaults are


def test_there_is_one_configuration_for_each_detector() -> None:
    kinds = {load_config(path).detector.kind for path in CONFIGS}
    assert kinds == {"ultralytics", "onnx", "file", "embedded"}
    assert RunConfig().detector.kind == "ultralytics"


def test_another_kind_takes_the_place_of_the_one_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "camera_motion: {kind: flow, longer_side_px: 300}\ndetector: {kind: onnx, max_iou: 0.3}\n"
    )
    still = load_config(path, ["camera_motion.kind=none", "detector.min_score=0.2", "detector.kind=file"])
    assert still.camera_motion == load_config(None, ["camera_motion.kind=none"]).camera_motion
    assert still.detector == load_config(None, ["detector={kind: file, min_score: 0.2}"]).detector
    assert load_config(path, ["camera_motion.kind=flow"]).camera_motion.model_dump()["longer_side_px"] == 300


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tracking.carry_s=0.2", "tracking.carry_s: was renamed to 'coast_s'"),
        ("tracking.carry_min_share=0.2", "tracking.carry_min_share: was renamed to 'coast_min_share'"),
        ("tracking.feature_memory_s=1", "tracking.feature_memory_s: was renamed to 'embedding_ema_s'"),
        ("identity.min_looks=3", "identity.min_looks: was renamed to 'min_embeddings'"),
        ("identity.likeness.mean_same=0.7", "identity.likeness: was renamed to 'similarity'"),
    ],
)
def test_settings_of_before_are_answered_with_their_names_of_now(old: str, new: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [old])
    assert new in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-31",
        "2026-11-28T10:00:00+99:00",
        "0x_",
        "!!int x",
        "!!bool x",
        "!!timestamp x",
        "!!int ''",
        "9" * 5000,
        "[" * 3000,
        "{a: " * 3000,
        "*nothing",
        "!!python/object:os.system x",
    ],
)
def test_values_that_only_seem_to_be_yaml_are_refused_in_a_sentence(value: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"output: {{name: {value}}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml: is not YAML: "):
        load_config(file)
    with pytest.raises(ConfigError, match="the value is not YAML: "):
        load_config(None, [f"output.name={value}"])
