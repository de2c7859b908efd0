"""DaRe: stages that say who it is, their sum, and who may leave early."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foundation.errors import ReuniteError
from foundation.onnx_session import open_onnx
from reid import budget, evaluate, exporting
from reid.checkpoint import load_model
from reid.config import load_config
from reid.models import build_model
from reid.models.dare import FUSED, Dare, StagesUpTo
from reid.models.imagenet import imagenet_backbone, load_imagenet_weights
from reid.models.torchvision_stages import LENGTHS, TorchvisionStages
from reid.retrieval import People
from reid.runtime import open_embedder
from tests.drawn_people import TINY, draw_market, run, run_and_kill, weights
from tests.test_reid_config import RECIPES

SETTINGS: dict[str, Any] = {
    "base": "robust-reid-025x",
    "base_settings": TINY,
    "hidden": 0,
    "length": 8,
    "unit": True,
}
PICTURES = torch.rand(2, 3, 160, 64, generator=torch.Generator().manual_seed(0))


def tiny_dare() -> Dare:
    torch.manual_seed(0)
    model = build_model("dare", **SETTINGS).eval()
    assert isinstance(model, Dare)
    with torch.no_grad():
        model.fusion.copy_(torch.tensor([0.5, -1.0, 2.0]))
    return model


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> str:
    return draw_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def trained(market: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("dare") / "run", recipe(market))


def recipe(market: str, **changes: Any) -> Any:
    """The recipe of the compact network, made small: five epochs of four steps."""
    overrides = {
        "data": [market],
        "model.settings": SETTINGS,
        "batch": {"people": 3, "pictures": 2},
        "schedule": {"kind": "cosine", "epochs": 5, "lr": 0.01, "warmup_epochs": 1},
        "threads": 1,
        **changes,
    }
    path = next(path for path in RECIPES if path.stem == "dare-025x")
    return load_config(path, [f"{key}={json.dumps(value)}" for key, value in overrides.items()])


def test_the_sum_of_the_stages_is_the_embedding() -> None:
    model = tiny_dare()
    with torch.inference_mode():
        output = model(PICTURES)
        alone = [StagesUpTo(model, stage)(PICTURES) for stage in range(3)]
    assert list(output.features) == ["stage1", "stage2", "stage3", FUSED]
    slow = torch.zeros(2, 8)
    for weight, name in zip((0.5, -1.0, 2.0), model.stage_names, strict=True):
        for row in range(2):
            slow[row] += weight * output.features[name][row]
    torch.testing.assert_close(output.features[FUSED], slow)
    torch.testing.assert_close(output.embedding, slow / slow.norm(dim=1, keepdim=True))
    for name, found in zip(("stage1", "stage2", FUSED), alone, strict=True):
        feature = output.features[name]
        torch.testing.assert_close(found, feature / feature.norm(dim=1, keepdim=True))


def test_a_trunk_has_the_names_of_the_network_that_it_comes_from() -> None:
    own = build_model("robust-reid-025x", **TINY).state_dict()
    trunk = {name.removeprefix("trunk."): it for name, it in tiny_dare().state_dict().items()}
    shared = [name for name in own if "head" not in name and "pool" not in name]
    assert [name for name in shared if trunk[name].shape != own[name].shape] == []


@pytest.mark.parametrize("base", LENGTHS)
def test_the_last_stage_of_torchvision_is_what_torchvision_pools(base: str) -> None:
    trunk = TorchvisionStages(base, "average").eval()
    state: tuple[torch.Tensor, ...] = (torch.rand(1, 3, 64, 32),)
    with torch.inference_mode():
        expected = trunk.backbone(state[0])
        for stage, length in enumerate(trunk.lengths):
            state = trunk.advance(stage, state)
            pooled = trunk.pooled(stage, state)
            assert pooled.shape == (1, length)
    torch.testing.assert_close(pooled, expected)


def test_a_densenet_starts_from_weights_that_name_layers_as_they_were_published(tmp_path: Path) -> None:
    model = build_model("dare", base="densenet201")
    backbone = imagenet_backbone(model)
    assert backbone is not None
    published = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)\.", r"\1.\2.", name): value + 1
        for name, value in backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in published
    before = backbone.state_dict()["features.denseblock4.denselayer32.conv2.weight"].clone()
    torch.save(published, tmp_path / "densenet.pth")
    load_imagenet_weights(backbone, tmp_path / "densenet.pth")
    after = backbone.state_dict()["features.denseblock4.denselayer32.conv2.weight"]
    torch.testing.assert_close(after, before + 1)


def test_a_base_that_is_not_there_is_named() -> None:
    with pytest.raises(ReuniteError, match="base must be resnet50, densenet201 or robust-reid-025x, got 'x'"):
        build_model("dare", base="x")
    with pytest.raises(ReuniteError, match="resnet50 takes no base_settings; leave them out"):
        build_model("done-right", base_settings=TINY)


def test_a_resumed_run_ends_at_the_same_bits(
    market: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_and_kill(tmp_path / "cut", recipe(market), monkeypatch)
    assert weights(run(tmp_path / "cut", recipe(market))) == weights(trained)


def test_judging_has_a_row_for_each_stage_and_draws_budgets(
    market: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = tmp_path / "curves.png", tmp_path / "scores.json"
    options = ["--runtime", "pytorch", "--crops", "--flip", "--budget", str(path), "--json", str(table)]
    assert evaluate.main([str(trained / "weights.safetensors"), "--data", market, *options]) == 0
    outputs = ("stage1", "stage2", "stage3", "fused")
    said = capsys.readouterr().out
    assert [name for name in outputs if f"market1501 {name}" not in said] == []
    assert [row["output"] for row in json.loads(table.read_text())["results"]] == list(outputs)
    curves = json.loads(path.with_suffix(".json").read_text())
    assert set(curves) == {"random", "distance", "margin"}
    costs = [point["multiply_adds"] for point in curves["random"]]
    assert costs == sorted(costs)
    for points in curves.values():
        assert min(costs) <= min(point["multiply_adds"] for point in points)
        assert max(point["multiply_adds"] for point in points) <= max(costs)
    assert path.exists()


def test_every_runtime_gives_each_stage_of_any_number_of_pictures(trained: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (60, 30, 3)).astype(np.uint8) for _ in range(3)]
    path = trained / "weights.safetensors"
    expected = open_embedder(path, "pytorch", each_output=True).embed(images)
    embedder = open_embedder(path, "openvino", exact=True, each_output=True)
    assert embedder.outputs == ("stage1", "stage2", "stage3", FUSED)
    for count in (3, 1):
        assert embedder.embed(images[:count]) == pytest.approx(expected[:count], abs=1e-4)
    alone = open_embedder(path, "openvino", exact=True).embed(images)
    fused = expected[:, -8:] / np.linalg.norm(expected[:, -8:], axis=1, keepdims=True)
    assert alone == pytest.approx(fused, abs=1e-4)


@pytest.mark.slow
def test_exported_stages_share_their_work(trained: Path, tmp_path: Path) -> None:
    model, preprocess, _ = load_model(trained / "weights.safetensors")
    written = exporting.export_stages(model, preprocess, "onnx", tmp_path / "dare.onnx")
    assert [path.name for path, _ in written] == [f"dare-stage{number}.onnx" for number in (1, 2, 3)]
    given = [PICTURES.numpy()]
    for path, _ in written:
        session = open_onnx(path, gpu=False)
        names = [entrance.name for entrance in session.get_inputs()]
        embedding, *given = session.run(None, dict(zip(names, given, strict=True)))
    with torch.inference_mode():
        assert embedding == pytest.approx(model(PICTURES).embedding.numpy(), abs=1e-4)
    other = build_model("robust-reid-025x", **TINY)
    with pytest.raises(ReuniteError, match="goes with --to onnx and the weights of a network in stages"):
        exporting.export_stages(other, preprocess, "onnx", tmp_path / "a.onnx")


@pytest.mark.parametrize("wanted", [10.0, 13.0, 20.0, 31.0, 40.0])
def test_proportions_fall_by_one_ratio_and_cost_the_budget(wanted: float) -> None:
    costs = [10.0, 20.0, 30.0, 40.0]
    shares = budget.proportions(costs, wanted)
    assert shares.sum() == pytest.approx(1)
    assert shares @ costs == pytest.approx(wanted)
    if 10 < wanted < 40:
        assert shares[1:] / shares[:-1] == pytest.approx([shares[1] / shares[0]] * 3)


@pytest.mark.parametrize("wanted", [9.9, 40.1])
def test_a_budget_that_no_exit_gives_is_refused(wanted: float) -> None:
    with pytest.raises(ReuniteError, match=r"must be from 10 .* to 40 .* multiply-adds"):
        budget.proportions([10.0, 40.0], wanted)


@pytest.mark.parametrize("seed", range(5))
def test_thresholds_let_the_most_confident_exit(seed: int) -> None:
    confidence = np.random.default_rng(seed).normal(size=(3, 40))
    shares = np.array([0.5, 0.3, 0.2])
    leaves = budget.exit_stages(confidence, budget.learn_thresholds(confidence, shares))
    waiting = set(range(40))
    for stage, count in enumerate((20, 12)):
        confident = sorted(waiting, key=lambda query: -confidence[stage, query])[:count]
        assert set(np.flatnonzero(leaves == stage)) == set(confident)
        waiting -= set(confident)
    assert set(np.flatnonzero(leaves == 2)) == waiting


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_two_are_those_of_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = (rng.normal(size=(count, 4)).astype(np.float32) for count in (6, 9))
    asked, known = (
        People(rng.integers(low, 4, count), rng.integers(0, 3, count)) for low, count in ((1, 6), (-1, 9))
    )
    nearest, other = budget.nearest_two(queries, gallery, asked, known)
    for row in range(6):
        seen = {}
        for column in range(9):
            same = asked.cameras[row] == known.cameras[column] != 0
            if not same and known.persons[column] != -1:
                cosine = queries[row] @ gallery[column] / np.linalg.norm(queries[row])
                seen[column] = 1 - cosine / np.linalg.norm(gallery[column])
        best = min(seen, key=lambda column: seen[column], default=None)
        assert nearest[row] == pytest.approx(2 if best is None else seen[best], abs=1e-5)
        rest = [it for at, it in seen.items() if best is None or known.persons[at] != known.persons[best]]
        assert other[row] == pytest.approx(min(rest, default=2), abs=1e-5)
