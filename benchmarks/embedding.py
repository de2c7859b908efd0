"""Crops per second of each embedding network on each runtime, all in one run.

    python -m benchmarks.embedding --shared ../shared
    python -m benchmarks.embedding --shared ../shared --weights reid/weights/robust-reid-025x.safetensors
    python -m benchmarks.embedding --shared ../shared --batch 1 8 32 --rounds 9 --json speed.json

In each round every network has one turn on every runtime, in an order drawn anew, so that other work on the
machine hits all alike. The table holds the median over the rounds and the quartiles; a ratio is the median of
the ratios within each round. Without a word behind it, OpenVINO computes in bfloat16 where the CPU can.
Preprocessing (resize, normalise) is a row of its own and in no other. Ours have random weights unless they
are given, and INT8 is calibrated on drawn pictures: speed depends on neither. What INT8 loses says
``reunite export``, who finds more people ``reunite judge``. Where there is a GPU, PyTorch and ONNX Runtime
take it; ``CUDA_VISIBLE_DEVICES=`` in front keeps them on the CPU.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
import openvino
import torch
from numpy.typing import NDArray

from foundation.arrays import Image
from foundation.errors import ReuniteError
from reid.checkpoint import load_model, save_weights
from reid.convert import to_openvino
from reid.exporting import quantise
from reid.models import build_model
from reid.preprocess import DEFAULT
from reid.runtime import OPENERS, Embedder, Runtime, open_embedder

OURS = ("robust-reid-residual", "robust-reid-025x", "robust-reid-1x", "robust-reid-2x")
REFERENCE = "osnet-x0.25"
PEERS = (
    (REFERENCE, "osnet_x0_25_msmt17.onnx", "imagenet"),
    (
        "omz-0277",
        "person-reidentification-retail-0277/FP16/person-reidentification-retail-0277.xml",
        "bgr255",
    ),
    (
        "omz-0288",
        "person-reidentification-retail-0288/FP16/person-reidentification-retail-0288.xml",
        "bgr255",
    ),
)
PREPARATION = "preprocessing"
CROP = (128, 64)
"""Height and width in pixels, as in Market-1501."""

CALIBRATION_PICTURES = 8
"""Enough for speed, not for accuracy."""


class Network(NamedTuple):
    """A network to measure; ``convention`` is None where the file says itself how pictures are prepared."""

    name: str
    path: Path
    convention: str | None = None


class Cell(NamedTuple):
    """What has one turn in each round: ``run`` deals with ``batch`` crops."""

    network: str
    runtime: str
    batch: int
    run: Callable[[], object]


def draw_crops(count: int) -> list[Image]:
    """Pictures (128, 64, 3) of soft colours."""
    random = np.random.default_rng(0)
    height, width = CROP
    coarse = random.integers(0, 256, (count, 8, 4, 3), np.uint8)
    return [cv2.resize(picture, (width, height)).astype(np.uint8) for picture in coarse]


def find_networks(weights: Sequence[Path], shared: Path, folder: Path) -> list[Network]:
    """Ours from ``weights``, the other sizes of ours with random weights in ``folder``, and the peers."""
    networks = [Network(path.stem, path) for path in weights]
    if len({network.name for network in networks}) < len(networks):
        raise ReuniteError("--weights: two files of one name cannot be told apart in the table")
    given = {load_model(path)[2]["name"] for path in weights}
    for name in (name for name in OURS if name not in given):
        path = folder / f"{name}.safetensors"
        torch.manual_seed(0)
        save_weights(path, build_model(name), name, {}, DEFAULT, {})
        networks.append(Network(name, path))
    peers = [Network(name, shared / "weights" / file, convention) for name, file, convention in PEERS]
    return networks + peers


def open_everywhere(network: Network, batch: int, folder: Path) -> Iterator[tuple[str, Embedder]]:
    """The network on each runtime that can run it, with what the runtime is called."""
    name, path, convention = network
    runtimes: tuple[Runtime, ...] = ("pytorch", "onnx")
    for runtime in runtimes:
        if runtime in OPENERS[path.suffix]:
            embedder = open_embedder(path, runtime, convention, batch)
            yield embedder.runtime, embedder
    if path.suffix == ".safetensors":  # converted once for all that follows
        model, preprocess, _ = load_model(path)
        path = folder / f"{name}.xml"
        openvino.save_model(to_openvino(model, preprocess), path, compress_to_fp16=False)
    exact = open_embedder(path, "openvino", convention, batch, exact=True)
    full = openvino.Core().read_model(path)
    full.reshape([-1, *full.inputs[0].partial_shape[1:]])
    int8 = folder / f"{name}-int8.xml"
    openvino.save_model(quantise(full, exact.prepare(draw_crops(CALIBRATION_PICTURES))), int8)
    yield exact.runtime, open_embedder(path, "openvino", convention, batch)
    yield f"{exact.runtime} fp32", exact
    yield f"{exact.runtime} int8", open_embedder(int8, "openvino", convention, batch)


def make_cells(networks: Sequence[Network], batches: Sequence[int], folder: Path) -> list[Cell]:
    """All turns of a round."""
    cells = []
    for network in networks:
        embedders = dict(open_everywhere(network, max(batches), folder))
        for batch in batches:
            crops = draw_crops(batch)
            prepare = next(iter(embedders.values())).prepare
            cells.append(Cell(network.name, PREPARATION, batch, partial(prepare, crops)))
            for runtime, embedder in embedders.items():
                cells.append(Cell(network.name, runtime, batch, partial(embedder.infer, prepare(crops))))
        print(f"{network.name}: {', '.join(embedders)}", file=sys.stderr)
    return cells


def crops_per_s(cell: Cell, seconds: float) -> float:
    """Speed over the least number of runs that take so long."""
    cell.run()  # while caches fill and the threads of the turn before come to rest
    runs, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < seconds:
        cell.run()
        runs += 1
    return runs * cell.batch / taken


def measure(cells: Sequence[Cell], rounds: int, seconds: float) -> NDArray[np.float64]:
    """(rounds, cells) crops per second."""
    random = np.random.default_rng(0)
    speeds = np.empty((rounds, len(cells)))
    for number in range(rounds):
        for place in random.permutation(len(cells)):
            speeds[number, place] = crops_per_s(cells[place], seconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return speeds


def summarise(cells: Sequence[Cell], speeds: NDArray[np.float64]) -> list[dict[str, Any]]:
    """One row for each cell, from (rounds, cells) crops per second; a ratio without a counterpart is None."""
    places = {(cell.network, cell.runtime, cell.batch): place for place, cell in enumerate(cells)}
    eager = next((cell.runtime for cell in cells if cell.runtime.startswith("pytorch")), "")

    def ratio(place: int, network: str, runtime: str) -> float | None:
        other = places.get((network, runtime, cells[place].batch))
        return None if other is None else float(np.median(speeds[:, place] / speeds[:, other]))

    rows = []
    for place, (network, runtime, batch, _) in enumerate(cells):
        low, middle, high = np.quantile(speeds[:, place], (0.25, 0.5, 0.75)).tolist()
        rows.append(
            {
                "network": network,
                "runtime": runtime,
                "batch": batch,
                "crops_per_s": {"median": middle, "quartiles": [low, high]},
                "times_reference": ratio(place, REFERENCE, runtime),
                "times_pytorch": None if runtime == PREPARATION else ratio(place, network, eager),
            }
        )
    return sorted(rows, key=lambda row: row["batch"])


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    print(f"| network | runtime | batch | crops/s | quartiles | x {REFERENCE} | x PyTorch |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["crops_per_s"]["quartiles"]
        ratios = " | ".join(
            "" if row[key] is None else f"{row[key]:.2f}" for key in ("times_reference", "times_pytorch")
        )
        print(
            f"| {row['network']} | {row['runtime']} | {row['batch']} | {row['crops_per_s']['median']:.0f} "
            f"| {low:.0f} to {high:.0f} | {ratios} |"
        )


def describe_machine() -> dict[str, Any]:
    core = openvino.Core()
    return {
        "cpu": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "cores": os.cpu_count(),
        "openvino_computes_in": core.get_property("CPU", "INFERENCE_PRECISION_HINT").to_string(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "openvino", "nncf")},
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder with weights/")
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="our .safetensors, for their size"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], metavar="B", help="crops at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="least time of a turn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table and the machine")
    options = parser.parse_args(argv)
    if min(*options.batch, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--batch and --rounds must be at least 1, --seconds above 0")
    with TemporaryDirectory() as folder:
        networks = find_networks(options.weights, options.shared, Path(folder))
        cells = make_cells(networks, options.batch, Path(folder))
        rows = summarise(cells, measure(cells, options.rounds, options.seconds))
    machine = describe_machine()
    print_table(rows)
    print(f"\n{options.rounds} rounds; {json.dumps(machine)}")
    if options.json:
        report = {**machine, "rounds": options.rounds, "seconds": options.seconds, "rows": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
