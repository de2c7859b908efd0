"""A PyTorch network as a model of another runtime: pictures (B, 3, H, W) in, embeddings (B, D) out, any B.

What to do with a picture first is written into the file, so that serving cannot drift from training.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from foundation.errors import ReuniteError
from foundation.quiet_openvino import load_openvino
from reid.models.dare import StageOnly
from reid.models.heads import ReidOutput, to_unit_length
from reid.preprocess import PREPROCESS_KEY, Preprocess

INPUT, OUTPUT = "pictures", "embedding"

OPSET = 18
"""Of ONNX files: from 20 on GridSample has names that OpenVINO knows only since 2026.1."""


class EmbeddingOnly(nn.Module):
    """A network that gives nothing but its embedding."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D)."""
        embedding: Tensor = self.model(pictures).embedding
        return embedding


class EachOutput(nn.Module):
    """A network whose embedding is the concatenation of its ``outputs``, each of length 1."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.outputs: tuple[str, ...] = model.outputs  # type: ignore[assignment]

    def forward(self, pictures: Tensor) -> ReidOutput:
        """(B, 3, H, W) to (B, outputs * D)."""
        features = self.model(pictures).features
        joined = torch.cat([to_unit_length(features[name]) for name in self.outputs], dim=1)
        return ReidOutput(joined, {}, {})


class EmbeddingAnd(nn.Module):
    """A network whose embedding is followed by another output, such as stripes, flattened."""

    def __init__(self, name: str, model: nn.Module, beside: str) -> None:
        """Raises ReuniteError: The network has no such output."""
        super().__init__()
        self.model, self.beside = model.eval(), beside
        preprocess: Preprocess = model.preprocess  # type: ignore[assignment]
        with torch.no_grad():
            others = model(torch.zeros(1, 3, preprocess.height, preprocess.width)).others
        if beside not in others:
            raise ReuniteError(f"{name}: gives no {beside}; train it with model.settings.parts={beside}")
        self.shape = tuple(others[beside].shape[1:])

    def forward(self, pictures: Tensor) -> ReidOutput:
        """(B, 3, H, W) to (B, D and the numbers of ``shape``)."""
        output = self.model(pictures)
        joined = torch.cat([output.embedding, output.others[self.beside].flatten(1)], dim=1)
        return ReidOutput(joined, {}, {})


def to_openvino(model: nn.Module, preprocess: Preprocess) -> Any:
    """An ``openvino.Model`` in FP32."""
    openvino = load_openvino()
    with _ready_to_trace(model, preprocess) as (network, pictures):
        converted = openvino.convert_model(_trace(network, pictures), input=[-1, *pictures.shape[1:]])
    converted.inputs[0].set_names({INPUT})
    converted.outputs[0].set_names({OUTPUT})
    converted.set_rt_info(_as_json(preprocess), [PREPROCESS_KEY])
    return converted


def to_onnx(model: nn.Module, preprocess: Preprocess) -> bytes:
    """The bytes of an ONNX file."""
    with _ready_to_trace(model, preprocess) as (network, pictures):
        return _export_onnx(network, (pictures,), [INPUT], [OUTPUT], preprocess)


def part_to_onnx(part: nn.Module, given: Tensor, preprocess: Preprocess, about: Mapping[str, str]) -> bytes:
    """The bytes of an ONNX file of a part of a network, in eval mode on the CPU; ``about`` goes into it."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return _export_onnx(part, (given,), [INPUT], [OUTPUT], preprocess, about)


def stage_to_onnx(stage: nn.Module, given: tuple[Tensor, ...], preprocess: Preprocess) -> bytes:
    """The bytes of an ONNX file of one stage of a network, a `StageOnly`.

    Args:
        stage: In eval mode on the CPU.
        given: What it takes, for two pictures: these, or ``sum``, ``state0``, ... of the stage before.
        preprocess: What pictures go through before the first stage.
    """
    names = [INPUT] if len(given) == 1 else ["sum", *(f"state{place}" for place in range(len(given) - 1))]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        rest = len(stage(*given)) - 1
        left = ["sum_out", *(f"state{place}_out" for place in range(rest - 1))] if rest else []
        return _export_onnx(stage, given, names, [OUTPUT, *left], preprocess)


def _export_onnx(
    network: nn.Module,
    given: tuple[Tensor, ...],
    names: list[str],
    outputs: list[str],
    preprocess: Preprocess,
    about: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    batch = torch.export.Dim("batch")
    shapes: Any = tuple({0: batch} for _ in given)
    program = torch.onnx.export(
        network,
        given,
        dynamo=True,
        opset_version=OPSET,
        input_names=names,
        output_names=outputs,
        dynamic_shapes=(shapes,) if isinstance(network, StageOnly) else shapes,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update({PREPROCESS_KEY: _as_json(preprocess), **about})
    proto = program.model_proto
    # The exporter notes at each node where in whose file it came from; which does not belong in the file.
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    return bytes(proto.SerializeToString())


def save_torchscript(model: nn.Module, preprocess: Preprocess, path: Path) -> None:
    """Write a TorchScript file."""
    with _ready_to_trace(model, preprocess) as (network, pictures):
        _trace(network, pictures).save(str(path), _extra_files={PREPROCESS_KEY: _as_json(preprocess)})


def load_torchscript(path: Path) -> tuple[nn.Module, str]:
    """The network in a TorchScript file, and its preprocessing as JSON, empty where it has none.

    Raises:
        RuntimeError: It is no TorchScript file.
    """
    extra = {PREPROCESS_KEY: ""}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        network: nn.Module = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu", _extra_files=extra
        )
    text: str | bytes = extra[PREPROCESS_KEY]
    return network.eval(), text.decode() if isinstance(text, bytes) else text


def _trace(network: EmbeddingOnly, pictures: Tensor) -> Any:
    # Its own check would trace again, and only compares the pictures it was traced with.
    return torch.jit.trace(network, pictures, check_trace=False)  # type: ignore[no-untyped-call]


@contextmanager
def _ready_to_trace(model: nn.Module, preprocess: Preprocess) -> Iterator[tuple[EmbeddingOnly, Tensor]]:
    """The network in eval mode on the CPU and two pictures; one would be taken for a fixed batch."""
    pictures = torch.rand(
        2, 3, preprocess.height, preprocess.width, generator=torch.Generator().manual_seed(0)
    )
    with warnings.catch_warnings(), torch.no_grad():
        # Tracing is deprecated, and the exporters warn of what they do themselves; the outcome is compared
        # with the network by `reid.exporting`.
        warnings.simplefilter("ignore")
        yield EmbeddingOnly(model.cpu().eval()).eval(), pictures


def _as_json(preprocess: Preprocess) -> str:
    return json.dumps(preprocess.to_dict())
