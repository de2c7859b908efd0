"""The weights that ship, each with its model card."""

from pathlib import Path

DEFAULT_WEIGHTS = Path(__file__).parent / "robust-reid-residual.safetensors"
"""What the tracker uses when it is told nothing; the ``.onnx`` beside it is the same network."""

SHIPPED = dict(sorted((path.stem, path) for path in Path(__file__).parent.glob("*.safetensors")))
"""By name."""
