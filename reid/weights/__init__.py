"""The weights that ship, each with its model card."""

from pathlib import Path

DEFAULT_WEIGHTS = Path(__file__).parent / "robust-reid-025x.safetensors"
"""What the tracker uses when it is told nothing; the ``.onnx`` beside it is the same network."""

SHIPPED = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.safetensors"))}
"""By name."""
