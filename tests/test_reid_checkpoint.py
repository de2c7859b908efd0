"""Weights as they ship: written whole, read without pickles, refused when they are another network's."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foundation.errors import ReuniteError
from reid.checkpoint import load_model, save_weights
from reid.models import build_model
from reid.models.imagenet import load_imagenet_weights
from reid.models.resnet50 import Resnet50
from reid.preprocess import Preprocess

NAME = "robust-reid-025x"
SETTINGS: dict[str, Any] = {"widths": [16, 16, 32], "repeats": [1, 1, 1], "head_length": 8, "gem": False}
PREPROCESS = Preprocess(160, 64, (0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
EXTRA = {"epochs": 3, "mAP": 0.5}


def small_network(num_classes: int | None = None, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(NAME, num_classes, **SETTINGS)


def pictures() -> Tensor:
    return torch.randn(2, 3, 160, 64, generator=torch.Generator().manual_seed(1))


def embed(model: nn.Module) -> Tensor:
    with torch.inference_mode():
        embedding: Tensor = model.eval()(pictures()).embedding
    return embedding


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save_weights(path, small_network(), NAME, SETTINGS, PREPROCESS, EXTRA)
    return path


def rewrite(path: Path, tensors: dict[str, Tensor] | None = None, **changes: str | None) -> None:
    """Store the file again with other tensors or another description; None takes a key away."""
    content = path.read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    metadata = {**json.loads(content[8 : 8 + length])["__metadata__"], **changes}
    kept = {key: value for key, value in metadata.items() if value is not None}
    save_file(load_file(path) if tensors is None else tensors, path, kept)


def test_a_network_comes_back_as_it_was(saved: Path) -> None:
    model, preprocess, about = load_model(saved)
    assert torch.equal(embed(model), embed(small_network()))
    assert preprocess == PREPROCESS
    assert about == {**EXTRA, "name": NAME, "settings": SETTINGS}
    assert not model.training
    assert not list(saved.parent.glob("*.part"))


def test_classifiers_are_dropped(tmp_path: Path) -> None:
    trained = small_network(num_classes=751)
    save_weights(tmp_path / "w.safetensors", trained, NAME, SETTINGS, PREPROCESS, {})
    assert not [key for key in load_file(tmp_path / "w.safetensors") if key.startswith("classifiers")]
    model, _, _ = load_model(tmp_path / "w.safetensors")
    assert torch.equal(embed(model), embed(trained))
    assert model(pictures()).logits == {}


def test_half_files_are_half_as_large_and_nearly_the_same(tmp_path: Path, saved: Path) -> None:
    model = build_model(NAME)
    for half in (False, True):
        save_weights(tmp_path / f"{half}.safetensors", model, NAME, {}, PREPROCESS, {}, half=half)
    tensors = load_file(tmp_path / "True.safetensors")
    norm = [value for key, value in tensors.items() if "running_var" in key]
    assert norm
    assert all(value.dtype == torch.float32 for value in norm)
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
    assert sizes[1] < 0.65 * sizes[0]
    again, _, _ = load_model(tmp_path / "True.safetensors")
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    torch.testing.assert_close(embed(again), embed(model), atol=5e-3, rtol=0)


def test_weights_in_channels_last_are_stored_all_the_same(tmp_path: Path) -> None:
    model = small_network().to(memory_format=torch.channels_last)
    save_weights(tmp_path / "w.safetensors", model, NAME, SETTINGS, PREPROCESS, {})
    torch.testing.assert_close(embed(load_model(tmp_path / "w.safetensors")[0]), embed(small_network()))


def test_weights_that_are_not_finite_leave_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    model = small_network(seed=1)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(ReuniteError, match=r"not written, stem\.0\.weight holds numbers that are not finite"):
        save_weights(saved, model, NAME, SETTINGS, PREPROCESS, {})
    assert saved.read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "message"),
    [({"name": "x"}, "extra must not hold name"), ({"scores": {1, 2}}, "must be JSON values")],
)
def test_an_extra_that_cannot_be_stored_is_refused(
    tmp_path: Path, extra: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReuniteError, match=message):
        save_weights(tmp_path / "w.safetensors", small_network(), NAME, SETTINGS, PREPROCESS, extra)
    assert not list(tmp_path.iterdir())


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("exploded").touch, ())

    path = tmp_path / "network.safetensors"
    torch.save({"weights": Bomb()}, path)
    with pytest.raises(ReuniteError, match=r"not a safetensors file .*pickled weights are never opened"):
        load_model(path)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match=r"nowhere\.safetensors: there is no such file"):
        load_model(tmp_path / "nowhere.safetensors")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match="not a safetensors file"):
        load_model(tmp_path)


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_cut_file_is_refused(saved: Path, length: int) -> None:
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ReuniteError, match="not a safetensors file"):
        load_model(saved)


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(ReuniteError, match="was not written by this program"):
        load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "reunite-reid-99"}, "reunite-reid-99"),
        ({"name": "ha-cnn"}, "no setting 'repeats'"),
        ({"name": "vit"}, "network 'vit': no such network"),
        ({"settings": "{}"}, r"weights of another network than robust-reid-025x: .* has shape .*, needs"),
        ({"settings": '{"gem": true, "head_length": 8, "widths": [16, 16, 32], "repeats": [1, 1, 1]}'},
         r"global_pool\.exponent is not there"),
        ({"settings": "[1]"}, "description is damaged"),
        ({"settings": "{"}, "description is damaged"),
        ({"extra": "[]"}, "description is damaged"),
        ({"preprocess": None}, "description is damaged"),
        ({"preprocess": '{"height": 160}'}, "preprocess: needs exactly"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_refused(saved: Path, changes: dict[str, str | None], message: str) -> None:
    rewrite(saved, None, **changes)
    with pytest.raises(ReuniteError, match=message) as caught:
        load_model(saved)
    assert str(saved) in str(caught.value)


def test_a_tensor_too_many_is_refused(saved: Path) -> None:
    rewrite(saved, {**load_file(saved), "zzz": torch.zeros(1)})
    with pytest.raises(ReuniteError, match=r"zzz has shape .* is not part of it"):
        load_model(saved)


def resnet() -> Resnet50:
    model = build_model("resnet50-bnneck")
    assert isinstance(model, Resnet50)
    return model


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_resnet_starts_from_a_file_of_imagenet(tmp_path: Path, suffix: str) -> None:
    source = resnet().backbone.state_dict()
    weights = {**source, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    if suffix == ".safetensors":
        # Files of timm do not hold the batch counters.
        save_file({k: v for k, v in weights.items() if not k.endswith("tracked")}, tmp_path / "r.safetensors")
    else:
        torch.save(weights, tmp_path / "r.pth")
    model = resnet()
    load_imagenet_weights(model.backbone, tmp_path / f"r{suffix}")
    for key, value in model.backbone.named_parameters():
        assert torch.equal(value, source[key]), key


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "tensors missing, 0 unknown"),
        ({"conv1.weight": torch.zeros(1, 3, 7, 7)}, "is not a ResNet-50: size mismatch for conv1.weight"),
        ([1, 2], "must hold named tensors, holds a list"),
    ],
)
def test_other_weights_than_a_resnets_are_refused(tmp_path: Path, weights: Any, message: str) -> None:
    torch.save(weights, tmp_path / "r.pth")
    with pytest.raises(ReuniteError, match=message):
        load_imagenet_weights(resnet().backbone, tmp_path / "r.pth")


def test_a_resnet_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.safetensors").write_bytes(b"no")
    for name in ("r.safetensors", "none.pth"):
        with pytest.raises(ReuniteError, match=f"{name}: cannot read the weights"):
            load_imagenet_weights(resnet().backbone, tmp_path / name)


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(ReuniteError, match=r"download failed \(no route to host\); .* give the file"):
        load_imagenet_weights(resnet().backbone, None)
