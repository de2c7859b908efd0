"""The networks: what they cost, what they give, and the parts they are made of."""

import copy
import itertools
import math
import subprocess
import sys
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foundation.errors import ReuniteError
from reid.convert import EmbeddingOnly
from reid.models import MODEL_NAMES, ReidOutput, build_model
from reid.models.counting import count_multiply_adds, count_parameters
from reid.models.ha_cnn import InceptionA, InceptionB
from reid.models.harmonious import REGION_HEIGHT, HarmoniousAttention, HarmoniousNetwork, sample_regions
from reid.models.heads import to_unit_length
from reid.models.robust_reid import ShuffleA, ShuffleB

SMALL: dict[str, Any] = {"widths": [16, 16, 32], "repeats": [1, 1, 1], "head_length": 8}
CLASSES = 5


def seeded(name: str, num_classes: int | None = None, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    return build_model(name, num_classes, **settings)


def pictures(count: int, model: nn.Module, seed: int = 0) -> Tensor:
    size: Any = model.preprocess
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size.height, size.width, generator=generator)


def run(model: nn.Module, images: Tensor) -> ReidOutput:
    with torch.no_grad():
        output: ReidOutput = model.eval()(images)
    return output


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        # Table 1 of the paper says 2.9 M and 6.4 M; the widths it gives make 5.76 M of the latter.
        ("robust-reid-1x", 2_912_946, 682_665_130),
        ("robust-reid-2x", 5_762_937, 1_621_772_618),
        ("robust-reid-025x", 263_506, 49_962_538),
        ("robust-reid-residual", 1_367_844, 106_394_922),
        # Li et al. 2018 say 2.7 M without classifiers; Robust-ReID repeats it.
        ("ha-cnn", 2_925_042, 543_994_538),
        # 23,508,032 without its classifier (torchvision) and twice 2,048 of the neck, one of them frozen.
        ("resnet50-bnneck", 23_508_032 + 2 * 2048, 4_053_270_528),
    ],
)
def test_each_network_has_its_size_and_cost(name: str, parameters: int, multiply_adds: int) -> None:
    model = build_model(name, num_classes=751)  # classifiers do not count
    assert count_parameters(model) == parameters
    model = build_model(name)
    assert count_parameters(model) == parameters
    size: Any = model.preprocess
    assert count_multiply_adds(model, size.height, size.width) == multiply_adds


def test_the_counter_agrees_with_a_count_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1),  # 8 x 4 x 3 outputs of 27
        nn.Conv2d(8, 8, kernel_size=(3, 1), groups=4),  # 8 x 2 x 3 outputs of 6
        nn.Flatten(),
        nn.Linear(48, 10),
    )
    before = copy.deepcopy(model.state_dict())
    model.train()
    assert count_multiply_adds(model, height=8, width=6) == 8 * 12 * 27 + 8 * 6 * 6 + 480
    assert count_parameters(model) == 3 * 8 * 9 + 8 + 8 * 2 * 3 + 8 + 480 + 10
    assert model.training
    assert not model[0]._forward_hooks
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_network_keeps_the_contract(name: str) -> None:
    model = seeded(name, CLASSES)
    length: Any = model.embedding_length
    lengths: Any = model.head_lengths
    for count in (1, 3):
        output = run(model, pictures(count, model))
        assert output.embedding.shape == (count, length)
        assert [head.shape for head in output.features.values()] == [(count, part) for part in lengths]
        assert [part.shape for part in output.logits.values()] == [(count, CLASSES)] * len(lengths)
        torch.testing.assert_close(output.embedding.norm(dim=1), torch.ones(count))
    assert all(layer.bias is None for layer in model.classifiers.children())  # type: ignore[union-attr]
    assert run(seeded(name), pictures(1, model)).logits == {}


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_embedding_of_a_picture_does_not_depend_on_its_batch(name: str) -> None:
    model = seeded(name)
    images = pictures(3, model)
    whole = run(model, images).embedding
    assert torch.equal(whole, run(model, images).embedding)
    for place in range(3):
        alone = run(model, images[place : place + 1]).embedding
        torch.testing.assert_close(alone, whole[place : place + 1], atol=1e-5, rtol=0)
    assert (whole[0] - whole[1]).abs().max() > 1e-4  # the pictures do matter


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_every_parameter_is_moved_by_the_losses(name: str) -> None:
    model = seeded(name, CLASSES).train()
    output: ReidOutput = model(pictures(4, model))
    loss = sum(
        functional.cross_entropy(logits, torch.arange(4)) + head[:2].sub(head[2:]).square().sum()
        for head, logits in zip(output.features.values(), output.logits.values(), strict=True)
    )
    assert isinstance(loss, Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert key == "neck.bias"
            continue
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # Batch norm takes out a bias that stands right before it; that of `hard` has none behind it.
        before_norm = key.endswith("bias") and isinstance(
            model.get_submodule(key.removesuffix(".bias")), nn.Conv2d | nn.Linear
        )
        if not before_norm or "hard" in key:
            assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize(
    ("name", "settings"),
    [("robust-reid-025x", {}), ("robust-reid-025x", {"shuffle": "interleave"}), ("ha-cnn", {})],
)
def test_the_memory_layout_changes_nothing(name: str, settings: dict[str, Any]) -> None:
    model = seeded(name, **settings)
    images = pictures(2, model)
    plain = run(model, images).embedding
    model = model.to(memory_format=torch.channels_last)
    changed = run(model, images.to(memory_format=torch.channels_last)).embedding
    torch.testing.assert_close(changed, plain, atol=1e-5, rtol=0)


def test_mixed_precision_gives_nearly_the_same_embedding_in_float32() -> None:
    model = seeded("robust-reid-025x")
    images = pictures(2, model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = run(model, images).embedding
    assert mixed.dtype == torch.float32
    assert (mixed * run(model, images).embedding).sum(dim=1).min() > 0.99


def test_a_network_learns_eight_pictures_by_heart() -> None:
    model = seeded("robust-reid-025x", 4, **SMALL).train()
    images, labels = pictures(8, model), torch.arange(4).repeat(2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = sum(functional.cross_entropy(20 * logits, labels) for logits in model(images).logits.values())
        assert isinstance(loss, Tensor)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(2 * math.log(4), abs=0.1)
    assert losses[-1] < 0.3 * losses[0]


def test_equal_seeds_give_equal_weights() -> None:
    first, second = (seeded("robust-reid-025x", CLASSES).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_the_embedding_is_both_heads_at_length_1() -> None:
    model = seeded("robust-reid-025x", CLASSES, **SMALL)
    output = run(model, pictures(3, model))
    for head in output.features.values():
        torch.testing.assert_close(head.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(
        output.embedding, torch.cat(list(output.features.values()), dim=1) / math.sqrt(2)
    )
    weights: Any = [layer.weight for layer in model.classifiers.children()]  # type: ignore[union-attr]
    for head, logits, weight in zip(output.features.values(), output.logits.values(), weights, strict=True):
        torch.testing.assert_close(logits, head @ weight.T)


def test_heads_of_any_length_give_the_same_embedding() -> None:
    unit, free = (seeded("robust-reid-025x", **SMALL, unit_heads=on) for on in (True, False))
    images = pictures(3, unit)
    output = run(free, images)
    torch.testing.assert_close(output.embedding, run(unit, images).embedding)
    assert all((head.norm(dim=1) - 1).abs().min() > 0.01 for head in output.features.values())


def test_heads_are_negative_only_without_relu() -> None:
    smallest = []
    for relu in (True, False):
        model = seeded("robust-reid-025x", **SMALL, head_relu=relu).train()
        smallest.append(model(pictures(4, model)).embedding.min().item())
    assert smallest[0] == 0
    assert smallest[1] < -0.1


def test_the_baselines_differ_in_what_metric_losses_see() -> None:
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    stronger, strong = (seeded("resnet50-bnneck", metric_after_neck=after) for after in (True, False))
    after, before = run(stronger, images), run(strong, images)
    torch.testing.assert_close(after.embedding, before.embedding)
    assert torch.equal(after.features["global"], after.embedding)
    neck: Any = strong.neck
    torch.testing.assert_close(to_unit_length(neck(before.features["global"])), before.embedding)
    assert not torch.allclose(before.features["global"], before.embedding)


def test_the_resnet_ends_at_a_sixteenth_of_the_picture() -> None:
    model = seeded("resnet50-bnneck")
    shapes: list[torch.Size] = []
    model.pool.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape))  # type: ignore[union-attr]
    run(model, pictures(1, model))
    assert shapes == [(1, 2048, 16, 8)]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("robust-reid-3x", {}, "'robust-reid-3x': no such network, known are robust-reid-1x"),
        ("robust-reid-1x", {"width": 3}, "no setting 'width', known are stem_width, widths"),
        ("robust-reid-1x", {"widths": [128, 256]}, r"widths must look like \(128, 256, 384\)"),
        ("robust-reid-1x", {"widths": [128, 255, 384]}, "widths must be multiples of 4"),
        ("robust-reid-1x", {"shuffle": "exchange"}, "shuffle must be rotate or interleave, got 'exchange'"),
        ("robust-reid-1x", {"gem": 1}, "gem must look like True, got 1"),
        ("ha-cnn", {"widths": [128, 258, 384]}, "widths must be multiples of 4"),
        ("ha-cnn", {"head_length": "512"}, "head_length must look like 512, got '512'"),
        ("resnet50-bnneck", {"last_stride": 1}, "no setting 'last_stride'"),
        ("robust-reid-residual", {"stripes": 4}, "stripes must divide the 10 rows of the last map, got 4"),
        ("robust-reid-residual", {"repeats": [1, 2, 0]}, "counts must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ReuniteError, match=message):
        build_model(name, **settings)


def test_torchvision_is_imported_for_the_resnet_alone() -> None:
    program = (
        "import sys; from reid.models import build_model; build_model('robust-reid-025x');"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Pooling


def test_interleaving_takes_every_other_channel() -> None:
    block = ShuffleA(8, "interleave").eval()
    maps = torch.randn(2, 8, 6, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = block(maps)
        # Shuffled, the channels are 0, 4, 1, 5 | 2, 6, 3, 7.
        changed = block.branch(maps[:, [2, 6, 3, 7]])
    assert torch.equal(out[:, :4], maps[:, [0, 4, 1, 5]])
    torch.testing.assert_close(out[:, 4:], changed)


def test_rotating_takes_the_middle_and_turns_by_a_quarter() -> None:
    block = ShuffleA(8, "rotate").eval()
    maps = torch.randn(2, 8, 6, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = block(maps)
        changed = block.branch(maps[:, 2:6])
    torch.testing.assert_close(out[:, :4], changed)
    assert torch.equal(out[:, 4:], maps[:, [6, 7, 0, 1]])


class AddOne(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps + 1


def test_rotating_leaves_no_channel_alone_for_more_than_two_blocks() -> None:
    block = ShuffleA(16, "rotate")
    block.branch = AddOne()  # type: ignore[assignment]
    maps = 1000.0 * torch.arange(16).view(1, 16, 1, 1)  # thousands name a channel, ones count its changes
    counts = []
    for _ in range(12):
        maps = block(maps)
        by_name = maps.flatten().sort().values
        assert (by_name // 1000).tolist() == list(range(16))
        counts.append(by_name % 1000)
    changed = torch.stack(counts).diff(dim=0).bool()
    assert (changed.sum(dim=1) == 8).all()
    assert (changed[:-2] | changed[1:-1] | changed[2:]).all()
    # Of the half that a block changes, half was changed by the block before.
    assert ((changed[:-1] & changed[1:]).sum(dim=1) == 4).all()


@pytest.mark.parametrize("block", [ShuffleB, InceptionB])
def test_blocks_of_stride_2_halve_odd_maps_upwards(block: Any) -> None:
    extra = {"stride": 2} if block is ShuffleB else {}
    assert block(12, 20, **extra)(torch.rand(2, 12, 7, 6)).shape == (2, 20, 4, 3)


def test_blocks_of_stride_1_keep_the_map() -> None:
    assert ShuffleB(12, 20, stride=1)(torch.rand(2, 12, 7, 6)).shape == (2, 20, 7, 6)
    assert InceptionA(12, 20)(torch.rand(2, 12, 7, 6)).shape == (2, 20, 7, 6)


# Attention and stripes


def test_attention_starts_with_four_stripes_from_head_to_feet_whatever_the_picture() -> None:
    model = seeded("robust-reid-1x")
    assert isinstance(model, HarmoniousNetwork)
    for attention, width in zip(model.attentions, (128, 256, 384), strict=True):
        assert isinstance(attention, HarmoniousAttention)
        soft, centres = attention(torch.rand(2, width, 10, 4))
        assert soft.shape == (2, width, 10, 4)
        assert ((soft > 0) & (soft < 1)).all()
        heights = torch.tensor([-0.75, -0.25, 0.25, 0.75]).tanh()
        torch.testing.assert_close(centres, torch.stack((torch.zeros(4), heights), 1).expand(2, 4, 2))


def test_stripes_equal_those_of_an_affine_grid() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 20, 8, generator=generator)
    centres = torch.rand(2, 4, 2, generator=generator) * 2 - 1
    stripes = sample_regions(maps, centres, (6, 7)).view(2, 4, 3, 6, 7)
    for picture, region in itertools.product(range(2), range(4)):
        x, y = centres[picture, region].tolist()
        theta = torch.tensor([[[1.0, 0.0, x], [0.0, REGION_HEIGHT, y]]])
        grid = functional.affine_grid(theta, [1, 3, 6, 7], align_corners=False)
        slow = functional.grid_sample(maps[picture : picture + 1], grid, align_corners=False)
        torch.testing.assert_close(stripes[picture, region], slow[0], atol=1e-5, rtol=1e-5)


def test_four_stripes_side_by_side_are_the_map() -> None:
    maps = torch.randn(1, 2, 24, 7, generator=torch.Generator().manual_seed(0))
    centres = torch.tensor([[[0.0, -0.75], [0.0, -0.25], [0.0, 0.25], [0.0, 0.75]]])
    stripes = sample_regions(maps, centres, (6, 7))
    torch.testing.assert_close(torch.cat(list(stripes), dim=1), maps[0], atol=1e-5, rtol=0)


def test_what_a_stripe_sees_beyond_the_map_is_zero() -> None:
    stripe = sample_regions(torch.ones(1, 1, 16, 4), torch.tensor([[[0.0, 1.0]]]), (4, 4))
    assert torch.equal(stripe[0, 0], torch.tensor([1.0, 1.0, 0.0, 0.0])[:, None].expand(4, 4))


def test_the_losses_move_the_stripes() -> None:
    # The brightness grows downwards, so a stripe that should be brighter has to go down.
    maps = torch.linspace(0, 1, 20).view(1, 1, 20, 1).expand(1, 1, 20, 8)
    centres = torch.zeros(1, 1, 2, requires_grad=True)
    sample_regions(maps, centres, (6, 7)).mean().backward()  # type: ignore[no-untyped-call]
    assert centres.grad is not None
    assert centres.grad[0, 0, 1] > 0.1
    assert abs(centres.grad[0, 0, 0].item()) < 0.1


# Export


def test_a_traced_network_agrees_at_any_batch() -> None:
    model = seeded("robust-reid-025x", **SMALL).eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of it
        traced = torch.jit.trace(EmbeddingOnly(model), pictures(2, model))  # type: ignore[no-untyped-call]
    images = pictures(3, model, seed=1)
    torch.testing.assert_close(traced(images), run(model, images).embedding, atol=1e-5, rtol=0)
