"""``python -m reid.export WEIGHTS --to onnx|openvino|torchscript``: a network for another runtime.

The file takes any number of pictures at once, says in its metadata how they are prepared, and is compared
with PyTorch before anything is said to be well. OpenVINO can have INT8 weights and activations (``--int8``).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reid.checkpoint import load_model
from reid.convert import EmbeddingOnly, load_torchscript, save_torchscript, to_onnx, to_openvino
from reid.data import open_dataset, read_pictures
from reid.errors import ReidError
from reid.evaluate import judge
from reid.preprocess import Preprocess
from reid.retrieval import Floats
from reid.runtime import open_embedder

EXIT_USAGE = 2
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
MAX_DIFFERENCE = 1e-4
"""Of any number of an embedding of length 1, in FP32."""

CHECKED_BATCHES = (1, 5)
"""Neither is the number of pictures that the network is traced with."""

CALIBRATION_PICTURES = 300
"""As nncf has by default. They come from the training people: whoever is judged has not been seen."""

EXAMPLES = """examples:
  python -m reid.export reid/weights/robust-reid-025x.safetensors --to onnx
  python -m reid.export best.safetensors --to openvino --int8 --data market1501=Market-1501-v15.09.15
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 all well, 2 it cannot be exported."""
    arguments = make_parser().parse_args(argv)
    try:
        _export(arguments)
    except (ReidError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m reid.export",
        description="Write a network as ONNX, OpenVINO or TorchScript and compare it with PyTorch.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="a .safetensors of this project")
    parser.add_argument("--to", required=True, choices=tuple(SUFFIXES))
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: beside WEIGHTS, with the suffix of the format"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also OpenVINO in INT8, calibrated on training pictures of --data and judged on its test people",
    )
    parser.add_argument("--data", metavar="KIND=PATH", help="for --int8, as in reid.evaluate")
    return parser


def _export(arguments: argparse.Namespace) -> None:
    if arguments.int8 and (arguments.to != "openvino" or not arguments.data):
        raise ReidError("--int8: needs --to openvino and --data KIND=PATH to calibrate and judge with")
    out: Path = arguments.out or arguments.weights.with_suffix(SUFFIXES[arguments.to])
    if out.suffix != SUFFIXES[arguments.to]:
        raise ReidError(f"--out {out}: must end in {SUFFIXES[arguments.to]}")
    model, preprocess, _ = load_model(arguments.weights)
    difference = export_model(model, preprocess, arguments.to, out)
    print(f"{out}: largest difference from PyTorch {difference:.1e} (FP32)")
    if arguments.int8:
        _quantise(arguments.data, out)


def export_model(model: nn.Module, preprocess: Preprocess, to: str, out: Path) -> float:
    """Write a network in another format and compare what it gives with PyTorch.

    Args:
        model: Of `reid.models`; it is put on the CPU and into eval mode.
        preprocess: Goes into the file.
        to: A key of `SUFFIXES`.
        out: The file; OpenVINO writes a ``.bin`` beside it.

    Returns:
        The largest difference of any number.

    Raises:
        ReidError: The difference is above `MAX_DIFFERENCE`, or some number of pictures cannot be given; the
            file is removed.
    """
    match to:
        case "openvino":
            import openvino

            openvino.save_model(to_openvino(model, preprocess), out, compress_to_fp16=False)
        case "onnx":
            out.write_bytes(to_onnx(model, preprocess))
        case _:
            save_torchscript(model, preprocess, out)
    try:
        difference = _largest_difference(EmbeddingOnly(model).eval(), preprocess, out)
        if not difference <= MAX_DIFFERENCE:
            raise ReidError(f"differs from PyTorch by {difference:.1e}, more than {MAX_DIFFERENCE:.0e}")
    except Exception as error:  # ONNX Runtime's errors share no other base
        for file in (out, out.with_suffix(".bin")) if to == "openvino" else (out,):
            file.unlink(missing_ok=True)
        reason = str(error).strip().partition("\n")[0]
        raise ReidError(f"{out}: was removed, as it cannot be relied on: {reason}") from error
    return difference


def _largest_difference(network: nn.Module, preprocess: Preprocess, out: Path) -> float:
    random = np.random.default_rng(0)
    differences = []
    for count in CHECKED_BATCHES:
        pictures = random.normal(size=(count, 3, preprocess.height, preprocess.width)).astype(np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(pictures)).numpy()
        differences.append(np.abs(_run_fp32(out, pictures) - expected).max())
    return float(np.max(differences))


def _run_fp32(path: Path, pictures: Floats) -> Floats:
    """Without the 16-bit shortcuts that a runtime may take in use."""
    match path.suffix:
        case ".xml":
            import openvino

            compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            return np.asarray(compiled(pictures)[0], np.float32)
        case ".onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            return np.asarray(session.run(None, {session.get_inputs()[0].name: pictures})[0], np.float32)
        case _:
            with torch.inference_mode():
                found: Floats = load_torchscript(path)[0](torch.from_numpy(pictures)).numpy()
            return found


def _quantise(data: str, out: Path) -> None:
    """Write ``NAME-int8.xml`` beside ``out`` and say what it loses."""
    import openvino

    dataset = open_dataset(data)
    if len(dataset.train) < CALIBRATION_PICTURES:
        raise ReidError(
            f"--data {data}: has {len(dataset.train)} training pictures, {CALIBRATION_PICTURES} needed"
        )
    # Evenly over the records, and so over people and cameras.
    places = np.linspace(0, len(dataset.train) - 1, CALIBRATION_PICTURES).astype(int)
    pictures = read_pictures(dataset.images, [dataset.train[place] for place in places])
    for line in pictures.skipped:
        print(f"left out: {line}", file=sys.stderr)
    full = open_embedder(out, exact=True)
    int8_file = out.with_name(f"{out.stem}-int8.xml")
    quantised = quantise(openvino.Core().read_model(out), full.prepare(pictures.images))
    openvino.save_model(quantised, int8_file)
    before, after = (
        judge(embedder.embed, dataset) for embedder in (full, open_embedder(int8_file, exact=True))
    )
    maps = [100 * scores.mean_average_precision for scores in (before, after)]
    print(
        f"{int8_file}: mAP {maps[0]:.2f} -> {maps[1]:.2f}, rank-1 {100 * before.rank(1):.2f} -> "
        f"{100 * after.rank(1):.2f} ({before.judged} queries of {data})"
    )


def quantise(model: Any, pictures: Floats) -> Any:
    """An OpenVINO model in INT8, its ranges taken from (N, 3, H, W) prepared pictures.

    Raises:
        ReidError: nncf is not installed.
    """
    try:
        import nncf
    except ImportError:
        raise ReidError("--int8: needs nncf; pip install 'reunite[quantise]'") from None
    dataset = nncf.Dataset([picture[None] for picture in pictures])
    return nncf.quantize(model, dataset, subset_size=len(pictures), preset=nncf.QuantizationPreset.MIXED)


if __name__ == "__main__":
    sys.exit(main())
