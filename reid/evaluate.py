"""``reunite judge WEIGHTS --data KIND=PATH``: how well a network finds people again."""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from foundation.command import Command
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from foundation.weights import weights_folder
from reid.curves import write_stage_curves
from reid.data import Dataset, open_datasets
from reid.judging import (
    FIVE_CROPS,
    MANIFOLDS,
    POOLS,
    Embedded,
    WayOfRanking,
    embed_both_sides,
    embed_known,
    over_tracklets,
    over_views,
    rank,
)
from reid.lomo import LOMO_NAMES, open_lomo
from reid.outputs import check_output
from reid.pair_metrics import METRICS
from reid.prior import measure_prior
from reid.retrieval import RetrievalScores
from reid.runtime import Embedder, open_embedder
from reid.sheet import make_sheet, write_picture
from reid.stages import budget_curves, split_outputs, stage_costs
from reid.zoo import Network, add_network_options, find_network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help=".safetensors, .onnx, OpenVINO .xml or .torchscript; or the name of a network: ours that "
        "ship, lomo and lomo-1024, which need no weights, or person-reidentification-retail-0277, -0286, "
        "-0287, -0288, which are downloaded once",
    )
    parser.add_argument(
        "--data",
        action="append",
        required=True,
        metavar="[NAME=]KIND:PATH",
        help="market1501, dukemtmc, cuhk03-detected, cuhk03-labeled, msmt17, mars, folder or folder-test, as "
        "KIND=PATH or NAME=KIND:PATH; may be given many times",
    )
    ranking = parser.add_argument_group("how it ranks")
    neighbours = ranking.add_mutually_exclusive_group()
    neighbours.add_argument("--rerank", action="store_true", help="rank by k-reciprocal neighbours")
    neighbours.add_argument(
        "--manifold",
        choices=MANIFOLDS,
        help="rank on the smoothed manifold of queries and gallery, or supervised by the training people too",
    )
    neighbours.add_argument(
        "--metric",
        choices=METRICS,
        help="rank by a metric that is learnt from the training people instead of by cosines",
    )
    ranking.add_argument(
        "--query-expansion", type=int, default=0, metavar="K", help="expand each query by its K nearest"
    )
    ranking.add_argument("--flip", action="store_true", help="average each picture with its mirror image")
    ranking.add_argument(
        "--crops", action="store_true", help="average five crops of each picture; with --flip, ten views"
    )
    ranking.add_argument(
        "--center-cameras",
        action="store_true",
        help="take the mean embedding of each camera out, as the tracker does",
    )
    neighbours.add_argument(
        "--aligned",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="add SHARE of the aligned distance of stripes, of a network that gives them (parts: stripes)",
    )
    ranking.add_argument(
        "--pool",
        choices=POOLS,
        default="mean",
        help="what the pictures of a tracklet weigh: alike, by how sharp they are, or by what a network with "
        "parts: quality says (default: mean)",
    )
    network = add_network_options(parser)
    network.add_argument(
        "--batch", type=int, default=32, metavar="B", help="pictures at a time (default: 32)"
    )
    output = parser.add_argument_group("what is written")
    output.add_argument(
        "--prior",
        action="store_true",
        help="also measure what cosines of this network mean, for people it was not trained on, as the "
        "tracker's identity.similarity",
    )
    output.add_argument(
        "--write",
        action="store_true",
        help="with --prior: write it into WEIGHTS, a .safetensors of ours; the tracker reads it there",
    )
    output.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, as fractions")
    output.add_argument(
        "--budget",
        type=Path,
        metavar="PNG",
        help="of a network in stages: draw rank-1 and mAP, by cosines, over multiply-adds, anytime and for a "
        "stream of queries that exit early at random, by distance and by margin; the numbers are written as "
        ".json",
    )
    output.add_argument(
        "--sheet",
        type=Path,
        metavar="PNG",
        help="draw the best and the worst queries with their first matches",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judge on every data set, print the table, write what was asked for."""
    _check(arguments)
    network = _find(arguments.weights)
    way = WayOfRanking(
        rerank=arguments.rerank,
        query_expansion=arguments.query_expansion,
        center_cameras=arguments.center_cameras,
        manifold=arguments.manifold,
        metric=arguments.metric,
        aligned=arguments.aligned,
    )
    if arguments.write:
        _refuse_to_write(arguments, network.path)
    datasets = open_datasets(arguments.data)
    embedder = _open(arguments, network)
    way = replace(way, stripes=embedder.beside)
    views = (2 if arguments.flip else 1) * (len(FIVE_CROPS) if arguments.crops else 1)
    costs = [views * cost for cost in stage_costs(network.path)] if arguments.budget else []
    embed = over_tracklets(
        over_views(embedder.embed, flip=arguments.flip, crops=arguments.crops),
        arguments.pool,
        math.prod(embedder.beside) if embedder.beside else 0,
    )
    reports: list[dict[str, Any]] = []
    skipped: list[str] = []
    for dataset in datasets:
        for remark in dataset.judging_remarks():
            console.print(f"note: {remark}", soft_wrap=True)
        started = time.perf_counter()
        if not console.is_terminal:
            pictures = len(dataset.query) + len(dataset.gallery)
            console.print(f"{dataset.name}: embedding {pictures} pictures", soft_wrap=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(dataset.name, total=len(dataset.query) + len(dataset.gallery))
            queries, gallery = embed_both_sides(embed, dataset, partial(progress.advance, task))
        embedding_s = time.perf_counter() - started
        skipped += [*queries.skipped, *gallery.skipped]
        sides = [split_outputs(side, embedder.outputs) for side in (queries, gallery)]
        known = embed_known(embed, dataset, way)
        learnt = split_outputs(known, embedder.outputs) if known is not None else dict.fromkeys(sides[0])
        for output in sides[0]:
            asked, found = (side[output] for side in sides)
            ranking = rank(asked, found, way, learnt[output])
            reports.append(_report(dataset, output, asked, found, ranking.scores, embedding_s))
        if arguments.prior:  # of the last output, which is the one that is used
            console.print(f"{dataset.name}: embedded; measuring what its cosines mean", soft_wrap=True)
            reports[-1]["prior"] = _prior(asked, found)
        if arguments.budget:
            console.print(f"{dataset.name}: embedding training people, for the thresholds", soft_wrap=True)
            curves = budget_curves(embed, dataset, embedder.outputs, sides, costs)
            write_stage_curves(arguments.budget, f"{embedder.name} on {dataset.name}", curves)
        if arguments.sheet:
            write_picture(
                arguments.sheet, make_sheet(dataset, asked, found, ranking.scores, ranking.distances())
            )
    console.print(_table(f"{embedder.name} on {embedder.runtime}", reports))
    for report in reports:
        if report["prior"]:
            numbers = ", ".join(f"{name}: {value}" for name, value in report["prior"].items())
            console.print(f"{report['data']}: --set 'identity.similarity={{{numbers}}}'", soft_wrap=True)
    if arguments.write:
        _write_prior(network.path, CosinePrior(**reports[-1]["prior"]), console)
    for line in skipped:
        console.print(f"left out: {line}", soft_wrap=True)
    if arguments.json:
        report = {
            "weights": arguments.weights,
            "runtime": embedder.runtime,
            "embedding_length": embedder.embedding_length,
            "flip": arguments.flip,
            "crops": arguments.crops,
            **asdict(way),
            "results": reports,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _report(
    dataset: Dataset,
    output: str,
    queries: Embedded,
    gallery: Embedded,
    scores: RetrievalScores,
    embedding_s: float,
) -> dict[str, Any]:
    """A row of the table, as JSON holds it: how one output of a network, the only one or by its name, did."""
    return {
        "data": dataset.name,
        **({"output": output} if output else {}),
        # JSON has no NaN, which is the figure where no query could be judged.
        **{name: None if math.isnan(it) else it for name, it in scores.as_dict().items()},
        "gallery": len(gallery.records),
        "pictures": len(dataset.query) + len(dataset.gallery),
        "skipped": [*queries.skipped, *gallery.skipped],
        "embedding_s": embedding_s,
        "prior": None,
    }


def _find(name: str) -> Network:
    """Where the weights lie; LOMO has none."""
    return Network(Path(name), None) if name in LOMO_NAMES else find_network(name, weights_folder(""))


def _open(arguments: argparse.Namespace, network: Network) -> Embedder:
    if arguments.weights in LOMO_NAMES:
        return open_lomo(arguments.weights, arguments.batch)
    convention = arguments.preprocess or network.convention
    beside = "stripes" if arguments.aligned else "quality" if arguments.pool == "attention" else ""
    return open_embedder(
        network.path,
        arguments.runtime,
        convention,
        arguments.batch,
        exact=True,
        each_output=True,
        beside=beside,
    )


def _check(arguments: argparse.Namespace) -> None:
    """Say before all the work what does not go together."""
    if arguments.aligned < 0:
        raise ReuniteError(f"--aligned {arguments.aligned}: must not be negative")
    if arguments.aligned:
        clashes = {
            "--pool": arguments.pool != "mean",
            "--prior": arguments.prior,
            "--center-cameras": arguments.center_cameras,
            "--query-expansion": arguments.query_expansion,
        }
        for option, is_given in clashes.items():
            if is_given:
                raise ReuniteError(f"--aligned: does not go with {option}; leave one of them out")
    if arguments.query_expansion < 0:
        raise ReuniteError(f"--query-expansion {arguments.query_expansion}: must not be negative")
    for option, path in (("--sheet", arguments.sheet), ("--budget", arguments.budget)):
        if path and len(arguments.data) > 1:
            raise ReuniteError(f"{option}: draws one data set; give one --data")
        if path:
            check_output(option, path, (".png",))
    if arguments.json:
        check_output("--json", arguments.json)


def _write_prior(path: Path, prior: CosinePrior, console: Console) -> None:
    from reid.checkpoint import write_prior

    write_prior(path, prior)
    console.print(f"wrote the prior into {path}", soft_wrap=True)


def _refuse_to_write(arguments: argparse.Namespace, path: Path) -> None:
    """Say before all the work that the prior cannot be written."""
    if not arguments.prior or len(arguments.data) > 1:
        raise ReuniteError("--write: goes with --prior and one --data, as weights have one prior")
    if path.suffix != ".safetensors":
        raise ReuniteError(
            f"--write: {path} is no .safetensors of this project; put the numbers into a configuration, as "
            "identity.similarity"
        )


def _prior(queries: Embedded, gallery: Embedded) -> dict[str, float]:
    """What cosines mean among the people of both sides, by the names of the tracker's settings."""
    embeddings = np.concatenate([queries.embeddings, gallery.embeddings])
    return asdict(measure_prior(embeddings, [*queries.records, *gallery.records]))


def _table(title: str, reports: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("data")
    for name in ("rank-1", "rank-5", "rank-10", "mAP", "mINP", "queries", "left out", "skipped", "crops/s"):
        table.add_column(name, justify="right")
    for report in reports:
        crops = report["pictures"] - len(report["skipped"])
        table.add_row(
            f"{report['data']} {report.get('output', '')}".strip(),
            *(
                "-" if report[key] is None else f"{100 * report[key]:.1f}"
                for key in ("rank1", "rank5", "rank10", "mAP", "mINP")
            ),
            str(report["queries"]),
            str(report["left_out"]),
            str(len(report["skipped"])),
            f"{crops / report['embedding_s']:.0f}",
        )
    return table


COMMAND = Command(
    name="judge",
    description="Judge an embedding network by the protocol of Market-1501: rank-1, 5 and 10 (CMC), mAP and "
    "mINP over single queries across cameras. Figures in the table are percent.",
    examples=(
        "weights.safetensors --data market1501=Market-1501-v15.09.15",
        "osnet.onnx --preprocess imagenet --data msmt17=MSMT17_V1 --sheet worst.png",
        "intel.xml --preprocess bgr255 --data folder-test=my-people --flip --rerank",
        "lomo --data market1501=Market-1501-v15.09.15 --metric xqda",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.evaluate"))
