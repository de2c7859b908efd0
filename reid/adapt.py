"""``reunite adapt WEIGHTS SOURCE --out FILE``: a network that is used to the pictures of one place.

The statistics of its batch norms are taken anew from people of that place. Nobody has to say who they are,
and no weight is learnt.

Source: Li et al. 2018, Adaptive Batch Normalization (arXiv:1603.04779).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from foundation.arrays import Image
from foundation.command import Command
from foundation.errors import ReuniteError
from foundation.weights import weights_folder
from reid.averaging import recompute_batch_norm
from reid.checkpoint import load_model, save_weights, write_prior
from reid.embed import add_source, crops_asked_for
from reid.outputs import check_output
from reid.preprocess import Preprocess
from reid.stored_prior import find_prior
from reid.training_pictures import network_input
from reid.zoo import ZOO, find_network

MAX_CROPS = 2048
"""Of more, so many are drawn, as means and variances do not get better by more."""

MIN_CROPS = 64
"""Fewer show too few people for a mean."""

AT_ONCE = 64
"""Crops whose mean and variance are taken together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument("weights", metavar="WEIGHTS", help="a .safetensors of ours, or its name")
    files = add_source(parser)
    files.add_argument("--out", type=Path, required=True, metavar="FILE", help=".safetensors")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Adapt, write, and say what was left out."""
    skipped: list[str] = []
    check_output("--out", arguments.out, (".safetensors",))
    if arguments.weights in ZOO:
        raise ReuniteError(
            f"{arguments.weights}: has no batch norms left to adapt; take a .safetensors of ours"
        )
    path = find_network(arguments.weights, weights_folder("")).path
    model, preprocess, about = load_model(path)
    if preprocess.keep_aspect:
        raise ReuniteError(
            f"{path}: sees one picture at a time, and its batch norms are frozen; take another"
        )
    prior = find_prior(path)
    try:
        crops = (image for image, _ in crops_asked_for(arguments, skipped))
        drawn, seen = draw_crops(crops, preprocess, np.random.default_rng(0))
    finally:  # they may be the reason for an error
        for line in skipped:
            print(f"left out: {line}", file=sys.stderr)
    adapt(model, preprocess, drawn)
    name, settings = about.pop("name"), about.pop("settings")
    save_weights(arguments.out, model, name, settings, preprocess, about | {"adapted_to_crops": len(drawn)})
    if prior is not None:
        write_prior(arguments.out, prior)
    console.print(
        f"{arguments.out}: adapted to {len(drawn)} of {seen} crops, {len(skipped)} left out; use it with "
        f"--set embedder.weights={arguments.out}",
        soft_wrap=True,
    )
    return 0


def draw_crops(
    crops: Iterable[Image], preprocess: Preprocess, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int]:
    """At most `MAX_CROPS` of crops that come one after the other, each with the same chance.

    Returns:
        (N, height, width, 3) as the network takes them, and how many there were.

    Raises:
        ReuniteError: There are fewer than `MIN_CROPS`.

    Source: Vitter 1985, algorithm R.
    """
    drawn: list[Image] = []
    seen = 0
    for image in crops:
        seen += 1
        place = seen - 1 if seen <= MAX_CROPS else int(rng.integers(seen))
        if place < MAX_CROPS:
            drawn[place : place + 1] = [preprocess.resize(image)]
    if seen < MIN_CROPS:
        raise ReuniteError(f"only {seen} crops: at least {MIN_CROPS} are needed to know a place by")
    return np.stack(drawn), seen


def adapt(model: nn.Module, preprocess: Preprocess, crops: NDArray[np.uint8]) -> None:
    """Give the batch norms of a network the means and variances that (N, H, W, 3) crops have in it."""
    shuffled = np.random.default_rng(0).permutation(len(crops))

    def batches() -> Iterator[Tensor]:
        # The rest is spread over them, as a small batch would count as much as the others.
        for rows in np.array_split(shuffled, max(1, len(crops) // AT_ONCE)):
            yield network_input(torch.from_numpy(crops[rows]), preprocess)

    recompute_batch_norm(model, batches())


COMMAND = Command(
    name="adapt",
    description="Make a network used to the pictures of one place.",
    examples=(
        "robust-reid-residual crops/ --out here.safetensors",
        "robust-reid-residual door.mp4 --detections runs/track/door.txt --out here.safetensors",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="""\
Embeddings of the network before and after cannot be compared: begin a new gallery with it. Show it people of
all cameras, on several days if you can; a few hundred do. What a cosine means is still what was measured
before; of people whom you know, reunite judge FILE --data folder-test=PATH --prior --write measures it.""",
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.adapt"))
