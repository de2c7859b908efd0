"""Open an embedding network of any kind and give it pictures: PyTorch, ONNX Runtime or OpenVINO.

A file that this project wrote says itself what to do with a picture. For any other, one of `CONVENTIONS` is
named by whoever opens it: a wrong one costs points of mAP without any error (docs/reid-evaluation.md).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from foundation.extras import install_hint
from foundation.onnx_session import open_onnx
from foundation.quiet_openvino import load_openvino
from reid.preprocess import IMAGENET_MEAN, IMAGENET_STD, PREPROCESS_KEY, Preprocess
from reid.retrieval import normalise

Runtime = Literal["auto", "pytorch", "onnx", "openvino"]
RUNTIMES: tuple[Runtime, ...] = ("auto", "pytorch", "onnx", "openvino")


class Convention(NamedTuple):
    """What a network that is not ours expects; its size is in its file.

    Attributes:
        mean, std: Of red, green and blue in [0, 1].
        bgr: Whether it takes blue first.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool


CONVENTIONS = {
    "imagenet": Convention(IMAGENET_MEAN, IMAGENET_STD, bgr=False),
    "bgr255": Convention((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255), bgr=True),
}
"""By name: ``imagenet`` as torchreid and timm, ``bgr255`` as the Open Model Zoo."""


class EmbedderError(ReuniteError):
    """A network that cannot be opened or used."""


class PytorchOnlyError(EmbedderError):
    """A network that runs on PyTorch, and was opened on another runtime."""


@dataclass(frozen=True, slots=True)
class Embedder:
    """A network that is ready for pictures.

    Attributes:
        name: Of its file.
        runtime: What it runs on, such as ``openvino CPU``.
        prepare: From B pictures (H, W, 3) BGR of any size to (B, 3, height, width).
        infer: From that to (B, D); B is at least 1.
        batch_size: The most pictures that are given to ``infer`` at a time.
        embedding_length: D.
        outputs: Where each of several embeddings was asked for, their names, and D is the sum of their equal
            lengths; else empty.
        beside: Shape of the output that follows each embedding, where one was asked for; D counts it.
    """

    name: str
    runtime: str
    prepare: Callable[[Sequence[Image]], EmbeddingArray]
    infer: Callable[[EmbeddingArray], EmbeddingArray]
    batch_size: int
    embedding_length: int
    outputs: tuple[str, ...] = ()
    beside: tuple[int, ...] = ()

    def embed(self, images: Sequence[Image]) -> EmbeddingArray:
        """(N, D) embeddings of length 1 of N pictures, each (H, W, 3) BGR of any size; N may be 0.

        Raises:
            EmbedderError: The network gave something that is not finite, or zeros.
            ReuniteError: A picture is empty or has another shape.
        """
        return unit_rows(self.name, self.run(images))

    def run(self, images: Sequence[Image]) -> EmbeddingArray:
        """(N, D) what the network gives, as it is."""
        found = np.empty((len(images), self.embedding_length), np.float32)
        for start in range(0, len(images), self.batch_size):
            some = images[start : start + self.batch_size]
            found[start : start + len(some)] = self.infer(self.prepare(some))
        return found


def open_embedder(
    path: Path | str,
    runtime: Runtime = "auto",
    convention: str | None = None,
    batch_size: int = 32,
    exact: bool = False,
    each_output: bool = False,
    beside: str = "",
) -> Embedder:
    """Open a network.

    Args:
        path: ``.safetensors`` of this project, ``.onnx``, OpenVINO ``.xml`` or ``.torchscript``.
        runtime: ``auto`` takes the fastest that the file and this machine have: for ``.safetensors`` PyTorch
            on a GPU, else OpenVINO, else PyTorch; for the other files their own. A ``.safetensors`` runs on
            every runtime, an ``.onnx`` also on OpenVINO.
        convention: A name in `CONVENTIONS` for a file that does not say what to do with a picture.
        batch_size: The most pictures at a time.
        exact: Compute in 32 bits, as judging does, so that figures do not depend on the machine. Otherwise
            OpenVINO takes 16 where the CPU has instructions for it.
        each_output: Of a ``.safetensors`` with several embeddings, as DaRe's of each stage, give them all.
        beside: Of a ``.safetensors`` of ours, another output that follows the embedding, such as ``stripes``.

    Raises:
        EmbedderError: The file is not there, is none of these, takes no pictures, or does not say what to do
            with them; the runtime is not installed or cannot run it.
    """
    path = Path(path)
    if not path.is_file():
        raise EmbedderError(f"{path}: no such file")
    if convention is not None and convention not in CONVENTIONS:
        raise EmbedderError(f"preprocessing '{convention}': must be one of {', '.join(CONVENTIONS)}")
    if batch_size < 1:
        raise EmbedderError(f"batch size {batch_size}: must be at least 1")
    openers = OPENERS.get(path.suffix)
    if openers is None:
        raise EmbedderError(f"{path}: must end in {', '.join(OPENERS)}; pickled weights are never opened")
    if runtime != "auto" and runtime not in openers:
        raise EmbedderError(f"{path}: runs on {', '.join(openers)}, not on '{runtime}'")
    if beside and path.suffix != ".safetensors":
        raise EmbedderError(f"{path}: only a .safetensors of ours gives {beside} beside the embedding")
    chosen = runtime if runtime != "auto" else _fastest(list(openers))
    try:
        network = openers[chosen](path, How(chosen, exact, each_output, beside))
    except PytorchOnlyError:
        if runtime != "auto":
            raise
        network = openers["pytorch"](path, How("pytorch", exact, each_output, beside))
    except ImportError as error:
        raise EmbedderError(
            f"{path}: runtime '{chosen}' is not installed ({error}): {install_hint('reid')}"
        ) from None
    prepare, size = _preparation(path, network, convention)
    limit = network.fixed_batch or batch_size
    if network.preprocess is not None and network.preprocess.keep_aspect:
        limit = 1
    pictures = network.fixed_batch or 1
    try:
        probe = network.infer(np.zeros((pictures, 3, *size), np.float32))
    except Exception as error:  # noqa: BLE001 those of the runtimes share no other base
        raise EmbedderError(
            f"{path}: cannot be run on pictures in 32 bits, as a network for people is ({_first_line(error)})"
        ) from None
    if probe.ndim != 2 or len(probe) != pictures:
        raise EmbedderError(f"{path}: must give ({pictures}, D) for {pictures} pictures, gave {probe.shape}")
    infer = _pad_to(network.fixed_batch, network.infer) if network.fixed_batch else network.infer
    return Embedder(
        path.name, network.runtime, prepare, infer, limit, probe.shape[1], network.outputs, network.beside
    )


class _Network(NamedTuple):
    """What an opener finds: the network and what its file says of its input."""

    runtime: str
    infer: Callable[[EmbeddingArray], EmbeddingArray]
    preprocess: Preprocess | None
    input_shape: Sequence[int | None]
    fixed_batch: int = 0
    outputs: tuple[str, ...] = ()
    beside: tuple[int, ...] = ()


class How(NamedTuple):
    """What was asked of `open_embedder`."""

    runtime: str
    exact: bool
    each_output: bool
    beside: str


def unit_rows(name: str, rows: EmbeddingArray) -> EmbeddingArray:
    """Rows (N, D) at length 1.

    Raises:
        EmbedderError: One is not finite, or zeros.
    """
    try:
        return normalise(rows)
    except ValueError as error:
        raise EmbedderError(f"{name}: {error}; are these weights whole?") from None


def _preparation(
    path: Path, network: _Network, convention: str | None
) -> tuple[Callable[[Sequence[Image]], EmbeddingArray], tuple[int, int]]:
    if network.preprocess is not None:
        if convention is not None:
            raise EmbedderError(f"{path}: says itself how pictures are prepared; leave '{convention}' out")
        return network.preprocess, (network.preprocess.height, network.preprocess.width)
    shape = network.input_shape
    if len(shape) != 4 or shape[1] != 3 or not (shape[2] and shape[3]):
        raise EmbedderError(f"{path}: its input must be pictures (B, 3, height, width), got {tuple(shape)}")
    if convention is None:
        raise EmbedderError(
            f"{path}: does not say how pictures are prepared; name it with --preprocess, or as convention in "
            f"a configuration: {', '.join(CONVENTIONS)}"
        )
    mean, std, bgr = CONVENTIONS[convention]
    preprocess = Preprocess(shape[2], shape[3], mean, std)
    if not bgr:
        return preprocess, (shape[2], shape[3])
    return lambda images: np.ascontiguousarray(preprocess(images)[:, ::-1]), (shape[2], shape[3])


def _pad_to(
    batch: int, infer: Callable[[EmbeddingArray], EmbeddingArray]
) -> Callable[[EmbeddingArray], EmbeddingArray]:
    """For a network that takes exactly ``batch`` pictures: fill up with black ones and drop their rows."""

    def infer_padded(pictures: EmbeddingArray) -> EmbeddingArray:
        padded = np.zeros((batch, *pictures.shape[1:]), np.float32)
        padded[: len(pictures)] = pictures
        return infer(padded)[: len(pictures)]

    return infer_padded


def _fastest(runtimes: list[str]) -> str:
    """The first of a file's own runtimes, but PyTorch before all where it has a GPU."""
    if "pytorch" in runtimes:
        import torch

        if torch.cuda.is_available():
            return "pytorch"
    return next(name for name in runtimes if name in ("pytorch", "onnx") or find_spec(name))


def _from_ours(path: Path, how: How) -> _Network:
    from reid.checkpoint import load_model
    from reid.convert import EachOutput, EmbeddingAnd, EmbeddingOnly, to_onnx, to_openvino

    network: Any
    network, preprocess, _ = load_model(path)
    if how.runtime != "pytorch" and (preprocess.keep_aspect or getattr(network, "pytorch_only", False)):
        why = (
            "takes pictures in their own proportions, which"
            if preprocess.keep_aspect
            else "looks at parts, which"
        )
        raise PytorchOnlyError(f"{path}: {why} runs on pytorch only, not on '{how.runtime}'")
    outputs: tuple[str, ...] = ()
    beside: tuple[int, ...] = ()
    if how.beside:
        network = EmbeddingAnd(str(path), network, how.beside)
        beside = network.shape
    elif how.each_output and hasattr(network, "outputs"):
        network = EachOutput(network)
        outputs = network.outputs
    match how.runtime:
        case "pytorch":
            opened = _run_torch(EmbeddingOnly(network), preprocess, ())
        case "onnx":
            opened = _run_onnx(path, to_onnx(network, preprocess))
        case _:
            core = load_openvino().Core()
            opened = _run_openvino(path, core, to_openvino(network, preprocess), how.exact)
    return opened._replace(outputs=outputs, beside=beside)


def _torch_from_torchscript(path: Path, _how: How) -> _Network:
    from reid.convert import load_torchscript

    try:
        network, text = load_torchscript(path)
    except RuntimeError as error:
        raise EmbedderError(f"{path}: is no TorchScript ({_first_line(error)})") from None
    return _run_torch(network, _parse(path, text), ())


def _run_torch(network: Any, preprocess: Preprocess | None, shape: Sequence[int | None]) -> _Network:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).eval()

    def infer(pictures: EmbeddingArray) -> EmbeddingArray:
        with torch.inference_mode():
            found: EmbeddingArray = network(torch.from_numpy(pictures).to(device)).float().cpu().numpy()
        return found

    return _Network(f"pytorch {device}", infer, preprocess, shape)


def _onnx_from_onnx(path: Path, _how: How) -> _Network:
    return _run_onnx(path)


def _run_onnx(path: Path, content: bytes | None = None) -> _Network:
    session = open_onnx(path, content)
    [entrance, *others] = session.get_inputs()
    if others:
        raise EmbedderError(f"{path}: must have one input, has {len(others) + 1}")
    shape = [side if isinstance(side, int) else None for side in entrance.shape]

    def infer(pictures: EmbeddingArray) -> EmbeddingArray:
        return np.asarray(session.run(None, {entrance.name: pictures})[0], np.float32)

    text = session.get_modelmeta().custom_metadata_map.get(PREPROCESS_KEY, "")
    name = f"onnx {session.get_providers()[0].removesuffix('ExecutionProvider')}"
    return _Network(name, infer, _parse(path, text), shape, (shape[0] or 0) if shape else 0)


def _openvino_from_file(path: Path, how: How) -> _Network:
    openvino = load_openvino()
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise EmbedderError(f"{path}: OpenVINO cannot open it ({_first_line(error)})") from None
    return _run_openvino(path, core, model, how.exact)


def _run_openvino(path: Path, core: Any, model: Any, exact: bool) -> _Network:
    openvino = load_openvino()
    if len(model.inputs) != 1:
        raise EmbedderError(f"{path}: must have one input, has {len(model.inputs)}")
    if model.inputs[0].partial_shape.rank.is_dynamic:
        raise EmbedderError(f"{path}: its input must be pictures (B, 3, height, width), got any shape")
    shape = [None if side.is_dynamic else side.get_length() for side in model.inputs[0].partial_shape]
    fixed_batch = 0
    try:
        model.reshape([1, *model.inputs[0].partial_shape[1:]])
    except RuntimeError:  # something inside is made for another batch
        fixed_batch = shape[0] or 0
    # Each picture is a request of its own, one for each stream at a time: of a few pictures a network for any
    # batch takes more of the processor, of many no less (docs/reid-evaluation.md).
    hints = {"PERFORMANCE_HINT": "THROUGHPUT"} | ({"INFERENCE_PRECISION_HINT": "f32"} if exact else {})
    requests = openvino.AsyncInferQueue(core.compile_model(model, "CPU", hints))

    def infer(pictures: EmbeddingArray) -> EmbeddingArray:
        parts = np.split(pictures, 1 if fixed_batch else len(pictures))
        found: list[EmbeddingArray] = [pictures] * len(parts)

        def keep(request: Any, place: int) -> None:
            found[place] = np.array(request.get_output_tensor(0).data, np.float32)

        requests.set_callback(keep)
        for place, part in enumerate(parts):
            requests.start_async({0: part}, place)
        requests.wait_all()
        return np.concatenate(found)

    # The metadata of an ONNX file comes as its "framework"'s; a key that is lacking ends in an exception.
    places = ([PREPROCESS_KEY], ["framework", PREPROCESS_KEY])
    texts = [str(model.get_rt_info(place).value) for place in places if model.has_rt_info(place)]
    return _Network("openvino CPU", infer, _parse(path, texts[0] if texts else ""), shape, fixed_batch)


def _parse(path: Path, text: str) -> Preprocess | None:
    if not text:
        return None
    try:
        return Preprocess.from_dict(json.loads(text))
    except (json.JSONDecodeError, ReuniteError) as error:
        raise EmbedderError(f"{path}: its preprocessing cannot be read ({error})") from None


def _first_line(error: Exception) -> str:
    """The first that is said; OpenVINO says where in its source before it says what."""
    lines = str(error).strip().splitlines()
    said = [line for line in lines if not line.startswith(("Exception from ", "Check '"))]
    return (said or lines or [type(error).__name__])[0]


OPENERS: dict[str, dict[str, Callable[[Path, How], _Network]]] = {
    ".safetensors": {"openvino": _from_ours, "pytorch": _from_ours, "onnx": _from_ours},
    ".onnx": {"onnx": _onnx_from_onnx, "openvino": _openvino_from_file},
    ".xml": {"openvino": _openvino_from_file},
    ".torchscript": {"pytorch": _torch_from_torchscript},
}
"""By the end of a file's name: the runtimes that can run it, the fastest on a CPU first."""
