"""Recipes: each one loads, and a mistake is named with its way out."""

from pathlib import Path

import pytest

from foundation.config import ConfigError
from reid.config import dump_config, load_config

RECIPES = sorted((Path(__file__).resolve().parents[1] / "configs" / "reid").rglob("*.yaml"))
LEAST = "name: least\nmodel: {name: robust-reid-025x}\nschedule: {kind: cosine, epochs: 3, lr: 0.001}\n"


def recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(recipe(folder, text), overrides)
    return str(error.value)


def test_the_recipes_of_the_papers_are_there() -> None:
    published = """
        aligned-025x attributes-025x dare-025x dare-densenet201 dare-resnet50 glad-025x ha-cnn key-points-025x
        mutual-025x part-loss-025x reid-done-right reid-done-right-025x robust-reid-025x
        robust-reid-025x-distilled robust-reid-1x robust-reid-2x robust-reid-residual spindle-025x
        strong-baseline stronger-baseline tracklets-025x
    """
    ablation = """
        batch-norm-neck bilinear cycles-alone glimpses hard-triplet more-epochs parts-none shuffle-alone
        stripe-heads stripe-lstm table2-b table2-c table2-d table2-e table2-f table2-g table2-i two-pools
    """
    for folder, names in (("reid", published), ("ablation", ablation)):
        assert {path.stem for path in RECIPES if path.parent.name == folder} == set(names.split())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_is_named_as_its_file(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_dumped_config_reads_back_equal(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    assert load_config(recipe(tmp_path, dump_config(config))) == config


def test_overrides_go_deep(tmp_path: Path) -> None:
    config = load_config(recipe(tmp_path, LEAST), ["schedule.epochs=60", "average={kind: ema, decay: 0.9}"])
    assert config.epochs == 60
    assert config.average.kind == "ema"
    assert load_config(recipe(tmp_path, LEAST), ["batch.people=16"]).batch.people == 16


def test_another_kind_takes_the_place_of_the_one_in_the_file(tmp_path: Path) -> None:
    text = LEAST + "optimiser: {kind: sgd, momentum: 0.8}\n"
    assert load_config(recipe(tmp_path, text), ["optimiser.kind=adam"]).optimiser.kind == "adam"


def test_a_wrong_key_is_named_with_the_right_one(tmp_path: Path) -> None:
    text = LEAST + "batch: {poeple: 3}\n"
    assert "batch.poeple: no such key, did you mean 'people'?" in refusal(tmp_path, text)
    message = refusal(tmp_path, LEAST, "schedule.lrr=1")
    assert "schedule.lrr: no such key, did you mean 'lr'?" in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("schedule.lr=-1", "schedule.lr: Input should be greater than 0, got -1"),
        ("schedule.lr=null", "schedule.lr: Input should be a valid number, got None"),
        ("schedule={kind: cosine, epochs: 3}", "schedule.lr: must be set"),
        ("schedule.kind=cosin", "schedule.kind: must be one of steps, cosine, exponential, got 'cosin'"),
        ("average.decay=0.9", "average.kind: must be one of none, ema, swa, swag, got None"),
        ("losses.cross_entropy.scale=0", "losses.cross_entropy.scale: Input should be greater than 0"),
        ("distillation={teacher: t.onnx, neighbours_temperature: 0}", "distillation.neighbours_temperature:"),
        ("name.x=1", "'name' is set to 'least' and has no keys below it"),
        ("average={kind: swag}", "set cycles"),
        ("losses.metric={kind: triplet}", "losses.metric: triplet needs a margin"),
        ("losses={cross_entropy: {weight: 0}, metric: {weight: 0}}", "nothing is learnt"),
        ("batch={triplets: 4, shares: {a: 1.0}}", "triplets are drawn from all data sets alike"),
        ("batch.steps=4", "steps counts batches of triplets: set triplets"),
        ("losses.metric={kind: ranking}", "losses.metric: ranking needs a margin"),
        (
            "losses.cross_entropy.margin=0.3",
            "losses.cross_entropy: cross_entropy has no margin, only smoothing",
        ),
        ("losses.metric.margn=0.3", "losses.metric.margn: no such key, did you mean 'margin'?"),
        ("losses.mine={kind: none}", "losses.mine.kind: Input should be"),
        ("losses.mine={weight: 1}", "losses.mine.kind: must be set"),
        ("losses.metric.weight=yes", "losses.metric.weight: a number is needed, got True"),
        ("name=a/b", "name:"),
        ("seed", "write key=value"),
        ("seed={", "the value is not YAML"),
        ("schedule.epochs=true", "schedule.epochs: a number is needed, got True"),
    ],
)
def test_a_mistake_is_refused(tmp_path: Path, override: str, words: str) -> None:
    assert words in refusal(tmp_path, LEAST, override)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    assert "must hold 'key: value' lines" in refusal(tmp_path, "- 1\n")
    assert "is not YAML" in refusal(tmp_path, "a: [\n")
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize("part", ["distances", "embeddings", "neighbours"])
def test_a_teacher_alone_is_enough_to_learn_from(tmp_path: Path, part: str) -> None:
    nothing = {"distances": 0, "embeddings": 0, "neighbours": 0}
    overrides = ["losses={cross_entropy: {weight: 0}, metric: {weight: 0}}", "distillation.teacher=t.onnx"]
    overrides += [f"distillation.{name}={weight}" for name, weight in (nothing | {part: 1}).items()]
    config = load_config(recipe(tmp_path, LEAST), overrides)
    assert config.distillation is not None
    assert getattr(config.distillation, part) == 1
    assert "nothing is learnt" in refusal(tmp_path, LEAST, *overrides, f"distillation.{part}=0")
