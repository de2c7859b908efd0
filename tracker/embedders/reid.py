"""Embeddings from a re-identification network, ours or another."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from foundation.arrays import BoolArray
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from foundation.weights import weights_folder
from reid.runtime import Embedder, Runtime, open_embedder
from reid.stored_prior import find_prior
from reid.weights import DEFAULT_WEIGHTS, SHIPPED
from reid.zoo import find_network
from tracker.config import ReidEmbedderConfig
from tracker.embedders.crops import embed_crops
from tracker.types import Detections, Network, Observations, Tick


class ReidEmbedder:
    """Crops of all cameras of a tick, in one batch, to unit vectors.

    Raises:
        ReuniteError: The weights or the runtime cannot be used.
    """

    def __init__(self, config: ReidEmbedderConfig) -> None:
        try:
            self._path, self._embedder = _open(config)
            self.prior: CosinePrior | None = find_prior(self._path)
        except ReuniteError as error:
            raise ReuniteError(f"embedder: {error}") from None
        self.network: Network | None = Network(
            self._path.stem, fingerprint(self._path, config.convention), self._embedder.embedding_length
        )

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame, the wanted ones with their appearance; see `Embedder`."""
        return embed_crops(self._embedder, tick, detections, needed)


def fingerprint(path: Path, convention: str = "") -> str:
    """SHA-256 of the files that make a network: its weights and, within them, its preprocessing.

    An ``.onnx`` that ships gives that of the ``.safetensors`` beside it, as it is the same network. Any
    other file stands for itself: of an export nothing tells from which weights it came.

    Args:
        path: ``.safetensors``, ``.onnx``, ``.torchscript``, or ``.xml`` with its ``.bin``.
        convention: The preprocessing, where the file does not say it.

    Raises:
        ReuniteError: A file cannot be read.
    """
    if path.suffix == ".onnx" and (of := path.resolve().with_suffix(".safetensors")) in SHIPPED.values():
        path = of
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    try:
        parts = [file.read_bytes() for file in files]
    except OSError as error:
        raise ReuniteError(f"embedder: {path}: cannot be read ({error.strerror})") from None
    return sha256(b"".join([*parts, convention.encode()])).hexdigest()


def _open(config: ReidEmbedderConfig) -> tuple[Path, Embedder]:
    """The network, and the file that it was read from."""
    runtime: Runtime = config.runtime
    if config.weights:
        path, convention = find_network(config.weights, weights_folder(config.weights_folder))
    else:
        path, convention = DEFAULT_WEIGHTS, None
    if not config.weights and runtime in ("auto", "onnx", "openvino") and not _has_gpu():
        # Its ONNX form opens at once, and without PyTorch.
        path = path.with_suffix(".onnx")
        runtime = runtime if runtime != "auto" else "openvino" if find_spec("openvino") else "onnx"
    return path, open_embedder(path, runtime, config.convention or convention, config.batch_size)


GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""On Linux there is no GPU that PyTorch can use without one of these: NVIDIA's, AMD's, that of Windows."""


def _has_gpu() -> bool:
    if not find_spec("torch"):
        return False
    if sys.platform == "linux" and not any(Path(device).exists() for device in GPU_DEVICES):
        return False  # asking PyTorch would load it, which takes 0.4 GB and seconds
    import torch

    return torch.cuda.is_available()
