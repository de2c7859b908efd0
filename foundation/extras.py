"""Packages that only some commands need, and how they are installed."""

EXTRA_OF = {
    "argon2": "live",
    "fastapi": "live",
    "nncf": "quantise",
    "onnxscript": "reid",
    "openvino": "reid",
    "optuna": "tune",
    "tensorboard": "reid",
    "paho": "live",
    "torch": "reid",
    "torchvision": "reid",
    "ultralytics": "ultralytics",
    "uvicorn": "live",
}
"""The extra of this package that brings a module."""


def install_hint(extra: str) -> str:
    """The command that installs an extra; no index has this package, so it works from its sources."""
    return f"pip install -e '.[{extra}]' in the folder of Reunite's sources"
