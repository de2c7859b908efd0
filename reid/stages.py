"""What each stage of a network costs and finds: anytime and budgeted re-identification."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from foundation.errors import ReuniteError
from reid.budget import Point, Rule, curve, make_stream, training_sides
from reid.data import Dataset
from reid.judging import Embed, Embedded, embed_records

MAX_TRAINING_PICTURES = 4000
"""Of the people that thresholds are learnt on; more would make them no better and take time."""

RULES: tuple[Rule, ...] = ("random", "distance", "margin")


def split_outputs(embedded: Embedded, outputs: Sequence[str]) -> dict[str, Embedded]:
    """The concatenated embeddings apart, by name; under "" where there is one alone."""
    if not outputs:
        return {"": embedded}
    parts = np.split(embedded.embeddings, len(outputs), axis=1)
    return {name: replace(embedded, embeddings=part) for name, part in zip(outputs, parts, strict=True)}


def exits_of(outputs: Mapping[str, Embedded]) -> list[Embedded]:
    """What is compared at each exit: the embedding of the stage, and at the last the fused one."""
    *early, _, fused = outputs.values()
    return [*early, fused]


def stage_costs(path: Path) -> list[int]:
    """Multiply-adds of a picture up to each stage, of a network in stages.

    Raises:
        ReuniteError: The file is no such network.
    """
    from reid.checkpoint import load_model
    from reid.models.counting import count_multiply_adds
    from reid.models.dare import Dare, StagesUpTo

    if path.suffix != ".safetensors":
        raise ReuniteError(f"{path}: only a .safetensors of ours says where its stages end")
    model, preprocess, _ = load_model(path)
    if not isinstance(model, Dare):
        raise ReuniteError(f"{path}: is a network of one stage; anytime and budget need one of 'dare'")
    return [
        count_multiply_adds(StagesUpTo(model, stage), preprocess.height, preprocess.width)
        for stage in range(len(model.stage_names))
    ]


def budget_curves(
    embed: Embed,
    dataset: Dataset,
    outputs: Sequence[str],
    sides: Sequence[Mapping[str, Embedded]],
    costs: Sequence[int],
) -> dict[Rule, list[Point]]:
    """The three curves of rank-1 and mAP over multiply-adds; see `reid.budget`.

    Args:
        embed: The network.
        dataset: Its training people teach the thresholds.
        outputs: Names of the concatenated embeddings that it gives.
        sides: Queries and gallery, each of its outputs.
        costs: Multiply-adds up to each exit.

    Raises:
        ReuniteError: The data set has no training people to learn thresholds on.
    """
    if not dataset.train:
        raise ReuniteError(f"{dataset.name}: has no training people to learn the thresholds of exits on")
    count = min(len(dataset.train), MAX_TRAINING_PICTURES)
    places = np.linspace(0, len(dataset.train) - 1, count).astype(int)
    embedded = embed_records(embed, dataset, [dataset.train[place] for place in places])
    rows = training_sides(embedded)
    asked, known = (
        [
            Embedded(it.embeddings[side], tuple(it.records[row] for row in side), ())
            for it in exits_of(split_outputs(embedded, outputs))
        ]
        for side in rows
    )
    queries, gallery = map(exits_of, sides)
    stream, training = make_stream(queries, gallery), make_stream(asked, known)
    return {rule: curve(stream, training, costs, rule) for rule in RULES}
