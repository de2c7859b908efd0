"""Networks in ONNX Runtime: on the GPU where there is one, in silence, and a bad file is a sentence."""

from pathlib import Path
from typing import Any

from foundation.errors import ReuniteError

GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def onnx_providers() -> list[str]:
    """What this machine's ONNX Runtime can run on, the fastest first."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name in (GPU, CPU) if name in available]


def open_onnx(path: Path, content: bytes | None = None, threads: int = 0, gpu: bool = True) -> Any:
    """An ``onnxruntime.InferenceSession``.

    Args:
        path: The file.
        content: What stands in the file's place, where the network was made from it; None reads the file.
        threads: Of one run on the CPU; 0 leaves it to ONNX Runtime.
        gpu: Whether a GPU may be taken, which rounds more coarsely.

    Raises:
        ReuniteError: ONNX Runtime cannot load it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would keep a processor busy while they wait for work: twice the time of embedding one crop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: warnings of the graph optimiser tell a user nothing
    source = str(path) if content is None else content
    providers = onnx_providers() if gpu else [CPU]
    try:
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # noqa: BLE001 - its classes are private; each of them means "not this file"
        raise ReuniteError(f"{path}: ONNX Runtime cannot load it: {' '.join(str(error).split())}") from None
