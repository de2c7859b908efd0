"""OpenVINO, imported so that it tells its makers nothing of who uses it."""

import sys
from typing import Any


def load_openvino() -> Any:
    """The module. To it, and to nncf after it, their package for telemetry seems not to be installed.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
