"""Write a network for another runtime, and compare what it gives there with PyTorch."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from foundation.arrays import EmbeddingArray, Image
from foundation.errors import ReuniteError
from foundation.onnx_session import open_onnx
from foundation.quiet_openvino import load_openvino
from reid.convert import (
    EmbeddingOnly,
    load_torchscript,
    save_torchscript,
    stage_to_onnx,
    to_onnx,
    to_openvino,
)
from reid.data import Dataset, open_dataset, read_pictures
from reid.judging import judge
from reid.models.dare import Dare, StageOnly
from reid.preprocess import Preprocess
from reid.runtime import open_embedder

MAX_DIFFERENCE = 1e-4
"""Of any number of an embedding of length 1, in FP32."""

MAX_STAGE_DIFFERENCE = 1e-3
"""Of any number that a stage leaves to the next: maps are not of length 1."""

CHECKED_BATCHES = (1, 5)
"""Neither is the number of pictures that the network is traced with."""

CALIBRATION_PICTURES = 300
"""At most, as nncf has by default. They show training people: whoever is judged has not been seen."""

MAX_INT8_LOSS = 0.5
"""Points of mAP; a greater loss by INT8 is warned of."""

INT8_KEY = "reunite_int8"
"""In the metadata of an INT8 file: what it was calibrated and judged on, and its scores beside
those in 32 bits, as JSON in fractions."""


def export_model(model: nn.Module, preprocess: Preprocess, to: str, out: Path) -> float:
    """Write a network in another format and compare what it gives with PyTorch.

    Args:
        model: Of `reid.models`; it is put on the CPU and into eval mode.
        preprocess: Goes into the file.
        to: ``onnx``, ``openvino`` or ``torchscript``.
        out: The file; OpenVINO writes a ``.bin`` beside it.

    Returns:
        The largest difference of any number.

    Raises:
        ReuniteError: The difference is above `MAX_DIFFERENCE`, or some number of pictures cannot be given;
            the file is removed. Or the network takes pictures in their own proportions.
    """
    if preprocess.keep_aspect:
        raise ReuniteError(f"{out}: was not written: a network for pictures of any size runs on PyTorch only")
    match to:
        case "openvino":
            openvino = load_openvino()
            openvino.save_model(to_openvino(model, preprocess), out, compress_to_fp16=False)
        case "onnx":
            out.write_bytes(to_onnx(model, preprocess))
        case _:
            save_torchscript(model, preprocess, out)
    try:
        difference = _largest_difference(EmbeddingOnly(model).eval(), preprocess, out)
        if not difference <= MAX_DIFFERENCE:
            raise ReuniteError(f"differs from PyTorch by {difference:.1e}, more than {MAX_DIFFERENCE:.0e}")
    except Exception as error:  # ONNX Runtime's errors share no other base
        for file in (out, out.with_suffix(".bin")) if to == "openvino" else (out,):
            file.unlink(missing_ok=True)
        reason = str(error).strip().partition("\n")[0]
        raise ReuniteError(f"{out}: was removed, as it cannot be relied on: {reason}") from error
    return difference


def export_stages(model: nn.Module, preprocess: Preprocess, to: str, out: Path) -> list[tuple[Path, float]]:
    """Write each stage of a network as an ONNX file of its own; the files and how far they are from PyTorch.

    Raises:
        ReuniteError: It is no network in stages, or another format is asked for, or a file differs by more
            than `MAX_STAGE_DIFFERENCE`; no file is left.
    """
    if not isinstance(model, Dare) or to != "onnx":
        raise ReuniteError("--stages: goes with --to onnx and the weights of a network in stages ('dare')")
    written = []
    given: tuple[torch.Tensor, ...] = (torch.rand(2, 3, preprocess.height, preprocess.width),)
    for stage, name in enumerate(model.stage_names):
        path = out.with_name(f"{out.stem}-{name}{out.suffix}")
        network = StageOnly(model, stage).eval()
        path.write_bytes(stage_to_onnx(network, given, preprocess))
        with torch.inference_mode():
            expected = network(*given)
        session = open_onnx(path, gpu=False)
        names = [entrance.name for entrance in session.get_inputs()]
        found = session.run(None, {name: it.numpy() for name, it in zip(names, given, strict=True)})
        difference = max(
            float(np.abs(ours - theirs.numpy()).max()) for ours, theirs in zip(found, expected, strict=True)
        )
        written.append((path, difference))
        given = expected[1:]
    if not all(difference <= MAX_STAGE_DIFFERENCE for _, difference in written):
        for path, _ in written:
            path.unlink()
        raise ReuniteError(f"{out}: its stages were removed, as they differ from PyTorch: {written}")
    return written


def _largest_difference(network: nn.Module, preprocess: Preprocess, out: Path) -> float:
    random = np.random.default_rng(0)
    differences = []
    for count in CHECKED_BATCHES:
        pictures = random.normal(size=(count, 3, preprocess.height, preprocess.width)).astype(np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(pictures)).numpy()
        differences.append(np.abs(_run_fp32(out, pictures) - expected).max())
    return float(np.max(differences))


def _run_fp32(path: Path, pictures: EmbeddingArray) -> EmbeddingArray:
    """Without the 16-bit shortcuts that a runtime may take in use."""
    match path.suffix:
        case ".xml":
            openvino = load_openvino()
            compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            return np.asarray(compiled(pictures)[0], np.float32)
        case ".onnx":
            session = open_onnx(path, gpu=False)
            return np.asarray(session.run(None, {session.get_inputs()[0].name: pictures})[0], np.float32)
        case _:
            with torch.inference_mode():
                found: EmbeddingArray = load_torchscript(path)[0](torch.from_numpy(pictures)).numpy()
            return found


def export_int8(data: str, path: Path) -> None:
    """Write ``NAME-int8.xml`` beside an OpenVINO file and print what it loses, which its metadata say too.

    Args:
        data: ``KIND=PATH``, as `reid.data.open_dataset` takes it: its training people calibrate, its test
            people judge.
        path: The ``.xml`` that `export_model` wrote.

    Raises:
        ReuniteError: There is no person to calibrate or to judge with, or nncf is not installed.
    """
    openvino = load_openvino()
    dataset = open_dataset(data)
    images = _calibration_images(dataset)
    full = open_embedder(path, exact=True)
    before = judge(full.embed, dataset)
    if not before.judged:
        raise ReuniteError(f"--data {data}: no query has a right picture, so the loss cannot be stated")
    quantised = quantise(openvino.Core().read_model(path), full.prepare(images))
    with TemporaryDirectory(dir=path.parent) as folder:
        candidate = Path(folder) / "int8.xml"
        openvino.save_model(quantised, candidate, compress_to_fp16=False)
        # What cannot be read was named before.
        after = judge(open_embedder(candidate, exact=True).embed, dataset, tell=lambda _: None)
    about = {
        "data": dataset.name,
        "calibration_pictures": len(images),
        "fp32": before.as_dict(),
        "int8": after.as_dict(),
    }
    quantised.set_rt_info(json.dumps(about), [INT8_KEY])
    int8_file = path.with_name(f"{path.stem}-int8.xml")
    openvino.save_model(quantised, int8_file, compress_to_fp16=False)
    maps = [100 * scores.mean_average_precision for scores in (before, after)]
    ranks = [100 * scores.rank(1) for scores in (before, after)]
    print(
        f"{int8_file}: mAP {maps[0]:.2f} -> {maps[1]:.2f} ({maps[1] - maps[0]:+.2f}), rank-1 {ranks[0]:.2f} "
        f"-> {ranks[1]:.2f} ({ranks[1] - ranks[0]:+.2f}); {after.judged} queries of {data}, "
        f"calibrated on {len(images)} pictures"
    )
    if maps[0] - maps[1] > MAX_INT8_LOSS:
        print(
            f"warning: {int8_file}: loses {maps[0] - maps[1]:.2f} points of mAP, more than {MAX_INT8_LOSS}; "
            f"{path} is in 32 bits",
            file=sys.stderr,
        )


def _calibration_images(dataset: Dataset) -> list[Image]:
    """Of training people only, evenly over the records and so over people and cameras."""
    count = min(CALIBRATION_PICTURES, len(dataset.train))
    places = np.linspace(0, len(dataset.train) - 1, count).astype(int)
    pictures = read_pictures(dataset.images, [dataset.train[place] for place in places])
    for line in pictures.skipped:
        print(f"left out: {line}", file=sys.stderr)
    if not pictures.images:
        raise ReuniteError(f"{dataset.name}: has no training picture to calibrate INT8 with")
    return pictures.images


def quantise(model: Any, pictures: EmbeddingArray) -> Any:
    """An OpenVINO model in INT8, its ranges taken from (N, 3, H, W) prepared pictures.

    Two things differ from nncf's defaults (docs/reid-evaluation.md says what they are worth). A range reaches
    from the smallest to the largest value of all pictures: the mean of each picture's own would cut the peaks
    that a person is told by. The first convolution stays as it is: 256 steps are few for its input.

    Raises:
        ModuleNotFoundError: nncf is not installed.
    """
    load_openvino()  # without the telemetry that nncf would share
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    convolutions = [part for part in model.get_ordered_ops() if part.get_type_name() == "Convolution"]
    return nncf.quantize(
        model,
        nncf.Dataset([picture[None] for picture in pictures]),
        subset_size=len(pictures),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=[part.get_friendly_name() for part in convolutions[:1]]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )
