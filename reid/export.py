"""``reunite export WEIGHTS --to onnx|openvino|torchscript``: a network for another runtime.

The file takes any number of pictures at once, says in its metadata how they are prepared, and is compared
with PyTorch before anything is said to be well. OpenVINO can have INT8 weights and activations (``--int8``).
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from foundation.command import Command
from foundation.errors import ReuniteError
from reid.outputs import check_output

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="a .safetensors of this project")
    output = parser.add_argument_group("what is written")
    output.add_argument("--to", required=True, choices=tuple(SUFFIXES), help="for which runtime")
    output.add_argument(
        "--out", type=Path, metavar="FILE", help="default: beside WEIGHTS, with the suffix of the format"
    )
    output.add_argument(
        "--stages",
        action="store_true",
        help="with --to onnx: a network in stages as one file for each, NAME-stage1.onnx and so on; each "
        "takes what the one before gave behind its embedding, so no work is done twice",
    )
    output.add_argument(
        "--early",
        action="store_true",
        help="with --to onnx and --data: an early exit for the tracker, NAME-early.onnx and NAME-later.onnx "
        "beside WEIGHTS, fitted to the training people of --data",
    )
    int8 = parser.add_argument_group("8 bits")
    int8.add_argument(
        "--int8",
        action="store_true",
        help="also OpenVINO in INT8, calibrated on training pictures of --data and judged on its test people",
    )
    int8.add_argument(
        "--data",
        metavar="KIND=PATH",
        action="append",
        help="for --int8 and --early, as in: reunite judge --help; --early takes several",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Write the network, and say how far it is from PyTorch."""
    from reid.checkpoint import load_model  # only now: the help is given without PyTorch
    from reid.exporting import export_int8, export_model, export_stages

    if arguments.early and (
        arguments.to != "onnx" or not arguments.data or arguments.out or arguments.stages
    ):
        raise ReuniteError("--early: needs --to onnx and --data KIND=PATH; its files lie beside the weights")
    if arguments.int8 and (arguments.to != "openvino" or len(arguments.data or ()) != 1):
        raise ReuniteError("--int8: needs --to openvino and --data KIND=PATH to calibrate and judge with")
    if arguments.int8:
        import nncf  # noqa: F401 now, not after all the work
    out: Path = arguments.out or arguments.weights.with_suffix(SUFFIXES[arguments.to])
    if arguments.out:
        check_output("--out", out, (SUFFIXES[arguments.to],))
    model, preprocess, _ = load_model(arguments.weights)
    if arguments.early:
        from reid.data import open_datasets
        from reid.early import export_early

        for path in export_early(arguments.weights, model, preprocess, open_datasets(arguments.data)):
            console.print(f"{path}", soft_wrap=True)
        return 0
    if arguments.stages:
        for path, difference in export_stages(model, preprocess, arguments.to, out):
            console.print(f"{path}: largest difference from PyTorch {difference:.1e} (FP32)", soft_wrap=True)
        return 0
    difference = export_model(model, preprocess, arguments.to, out)
    console.print(f"{out}: largest difference from PyTorch {difference:.1e} (FP32)", soft_wrap=True)
    if arguments.int8:
        export_int8(arguments.data[0], out)
    return 0


COMMAND = Command(
    name="export",
    description="Write a network as ONNX, OpenVINO or TorchScript and compare it with PyTorch.",
    examples=(
        "runs/reid/robust-reid-025x/weights.safetensors --to onnx",
        "best.safetensors --to openvino --int8 --data market1501=Market-1501-v15.09.15",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.export"))
