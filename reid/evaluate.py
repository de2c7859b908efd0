"""``reunite judge WEIGHTS --data KIND=PATH``: how well a network finds people again."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from foundation.arrays import EmbeddingArray, Image
from foundation.command import Command
from foundation.errors import ReuniteError
from foundation.weights import weights_folder
from reid.data import Dataset, Record, open_datasets, read_pictures
from reid.outputs import check_output
from reid.prior import measure_prior
from reid.retrieval import (
    Ints,
    People,
    RetrievalScores,
    center_cameras,
    cosine_distances,
    expand_queries,
    normalise,
    rank_gallery,
    rerank,
    right_and_junk,
    score_distances,
    score_embeddings,
)
from reid.runtime import CONVENTIONS, RUNTIMES, open_embedder
from reid.sheet import Found, SheetRow, draw_sheet
from reid.zoo import find_network

READ_AT_ONCE = 256
"""Pictures that are in memory together."""

SHEET_QUERIES, SHEET_MATCHES = 6, 10

Embed = Callable[[Sequence[Image]], EmbeddingArray]
"""From pictures (H, W, 3) BGR to (N, D) embeddings of length 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The pictures of one side, queries or gallery; a tracklet counts as one.

    Attributes:
        embeddings: (N, D) of length 1; of a tracklet, the direction of the mean.
        records: N, of a tracklet the first that could be read.
        skipped: Why, for each picture that could not be read.
    """

    embeddings: EmbeddingArray
    records: tuple[Record, ...]
    skipped: tuple[str, ...]

    @property
    def people(self) -> People:
        """Who is on the N pictures."""
        return People(
            np.array([record.person for record in self.records], np.int64),
            np.array([record.camera for record in self.records], np.int64),
        )


def judge(
    embed: Embed,
    dataset: Dataset,
    *,
    reranked: bool = False,
    query_expansion: int = 0,
    flip: bool = False,
    centered: bool = False,
    tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> RetrievalScores:
    """Embed the queries and the gallery of a data set and score what is found.

    Args:
        embed: The network.
        dataset: Its ``query`` and ``gallery`` are used.
        reranked: Rank by k-reciprocal neighbours (`reid.retrieval.rerank`).
        query_expansion: Neighbours by which a query is expanded; 0 for none.
        flip: Average the embeddings of each picture and its mirror image.
        centered: Take the mean of each camera out (`reid.retrieval.center_cameras`).
        tell: Is given one line for each picture that cannot be read and is left out.

    Raises:
        ReuniteError: There is no query or no gallery, or the network gave something without a direction.
    """
    queries, gallery = embed_both_sides(embed, dataset, flip)
    for line in (*queries.skipped, *gallery.skipped):
        tell(f"left out: {line}")
    if centered:
        queries, gallery = center_both_sides(queries, gallery)
    expanded = _expanded(queries, gallery, query_expansion)
    if not reranked:
        return score_embeddings(expanded, gallery.embeddings, queries.people, gallery.people)
    return score_distances(rerank(expanded, gallery.embeddings), queries.people, gallery.people)


def center_both_sides(queries: Embedded, gallery: Embedded) -> tuple[Embedded, Embedded]:
    """Both sides without the mean of each camera, which is that of its queries and gallery together."""
    embeddings = np.concatenate([queries.embeddings, gallery.embeddings])
    cameras = np.concatenate([queries.people.cameras, gallery.people.cameras])
    centered = center_cameras(embeddings, cameras)
    split = len(queries.embeddings)
    return replace(queries, embeddings=centered[:split]), replace(gallery, embeddings=centered[split:])


def embed_both_sides(
    embed: Embed, dataset: Dataset, flip: bool = False, advance: Callable[[int], object] | None = None
) -> tuple[Embedded, Embedded]:
    """Embed queries and gallery; arguments and errors as in `judge`.

    ``advance`` is told of each batch how many pictures it had.
    """
    sides = []
    for name, records in (("query", dataset.query), ("gallery", dataset.gallery)):
        side = embed_records(embed, dataset, records, flip, advance)
        if not side.records:
            reason = (
                f"none of {len(records)} {name} pictures can be read, for example {side.skipped[0]}"
                if side.skipped
                else f"there is no {name} picture; a folder for each person, without query/ and gallery/, "
                "is judged as 'folder-test=PATH'"
            )
            raise ReuniteError(f"{dataset.name}: nothing to judge with, {reason}")
        sides.append(side)
    return sides[0], sides[1]


def embed_records(
    embed: Embed,
    dataset: Dataset,
    records: Sequence[Record],
    flip: bool = False,
    advance: Callable[[int], object] | None = None,
) -> Embedded:
    """Embed pictures, some at a time, and bring those of a tracklet together; arguments as in `judge`.

    Raises:
        ReuniteError: The network gave something that is not finite, or zeros.
    """
    sums: list[EmbeddingArray] = []
    firsts: list[Record] = []
    row_of_tracklet: dict[int, int] = {}
    skipped: list[str] = []
    for start in range(0, len(records), READ_AT_ONCE):
        some = records[start : start + READ_AT_ONCE]
        pictures = read_pictures(dataset.images, some)
        skipped.extend(pictures.skipped)
        embeddings = _embed(embed, pictures.images, flip)
        for record, embedding in zip(pictures.records, embeddings, strict=True):
            row = row_of_tracklet.setdefault(record.tracklet, len(sums)) if record.tracklet else len(sums)
            if row == len(sums):
                sums.append(embedding.copy())
                firsts.append(record)
            else:
                sums[row] += embedding
        if advance:
            advance(len(some))
    try:
        embeddings = normalise(np.stack(sums)) if sums else np.empty((0, 0), np.float32)
    except ValueError as error:
        raise ReuniteError(f"{dataset.name}: {error}; are these weights whole?") from None
    return Embedded(embeddings, tuple(firsts), tuple(skipped))


def _embed(embed: Embed, images: Sequence[Image], flip: bool) -> EmbeddingArray:
    embeddings = embed(images)
    if flip and len(images):
        embeddings = normalise(embeddings + embed([np.ascontiguousarray(image[:, ::-1]) for image in images]))
    return embeddings


def _expanded(queries: Embedded, gallery: Embedded, count: int) -> EmbeddingArray:
    return expand_queries(queries.embeddings, gallery.embeddings, count) if count else queries.embeddings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        help=".safetensors, .onnx, OpenVINO .xml or .torchscript; or the name of a network: ours that "
        "ship, or person-reidentification-retail-0277, -0286, -0287, -0288, which are downloaded once",
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
    ranking.add_argument("--rerank", action="store_true", help="rank by k-reciprocal neighbours")
    ranking.add_argument(
        "--query-expansion", type=int, default=0, metavar="K", help="expand each query by its K nearest"
    )
    ranking.add_argument("--flip", action="store_true", help="average each picture with its mirror image")
    ranking.add_argument(
        "--center-cameras",
        action="store_true",
        help="take the mean embedding of each camera out, as the tracker does",
    )
    network = parser.add_argument_group("the network")
    network.add_argument("--runtime", choices=RUNTIMES, default="auto", help="what to run on (default: auto)")
    network.add_argument(
        "--preprocess",
        choices=tuple(CONVENTIONS),
        help="how pictures are prepared for a network that does not say so itself",
    )
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
    output.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, as fractions")
    output.add_argument(
        "--sheet",
        type=Path,
        metavar="PNG",
        help="draw the best and the worst queries with their first matches",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Judge on every data set, print the table, write what was asked for."""
    if arguments.query_expansion < 0:
        raise ReuniteError(f"--query-expansion {arguments.query_expansion}: must not be negative")
    if arguments.sheet and len(arguments.data) > 1:
        raise ReuniteError("--sheet: draws one data set; give one --data")
    if arguments.sheet:
        check_output("--sheet", arguments.sheet, (".png",))
    if arguments.json:
        check_output("--json", arguments.json)
    datasets = open_datasets(arguments.data)
    network = find_network(arguments.weights, weights_folder(""))
    embedder = open_embedder(
        network.path,
        arguments.runtime,
        arguments.preprocess or network.convention,
        arguments.batch,
        exact=True,
    )
    reports: list[dict[str, Any]] = []
    skipped: list[str] = []
    for dataset in datasets:
        for remark in dataset.judging_remarks():
            console.print(f"note: {remark}", soft_wrap=True)
        started = time.perf_counter()
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(dataset.name, total=len(dataset.query) + len(dataset.gallery))
            queries, gallery = embed_both_sides(
                embedder.embed, dataset, arguments.flip, partial(progress.advance, task)
            )
        embedding_s = time.perf_counter() - started
        prior = _prior(queries, gallery) if arguments.prior else None
        if arguments.center_cameras:
            queries, gallery = center_both_sides(queries, gallery)
        expanded = _expanded(queries, gallery, arguments.query_expansion)
        distances = rerank(expanded, gallery.embeddings) if arguments.rerank else None
        scores = (
            score_embeddings(expanded, gallery.embeddings, queries.people, gallery.people)
            if distances is None
            else score_distances(distances, queries.people, gallery.people)
        )
        skipped += [*queries.skipped, *gallery.skipped]
        reports.append(
            {
                "data": dataset.name,
                # JSON has no NaN, which is the figure where no query could be judged.
                **{name: None if math.isnan(value) else value for name, value in scores.as_dict().items()},
                "gallery": len(gallery.records),
                "pictures": len(dataset.query) + len(dataset.gallery),
                "skipped": [*queries.skipped, *gallery.skipped],
                "embedding_s": embedding_s,
                "prior": prior,
            }
        )
        if arguments.sheet:
            rows = chosen_queries(scores)
            near = cosine_distances(expanded, gallery.embeddings) if distances is None else distances
            _write_picture(arguments.sheet, make_sheet(dataset, queries, gallery, scores, near, rows))
    console.print(_table(f"{embedder.name} on {embedder.runtime}", reports))
    for report in reports:
        if report["prior"]:
            numbers = ", ".join(f"{name}: {value}" for name, value in report["prior"].items())
            console.print(f"{report['data']}: --set 'identity.similarity={{{numbers}}}'", soft_wrap=True)
    for line in skipped:
        console.print(f"left out: {line}", soft_wrap=True)
    if arguments.json:
        report = {
            "weights": arguments.weights,
            "runtime": embedder.runtime,
            "embedding_length": embedder.embedding_length,
            "rerank": arguments.rerank,
            "query_expansion": arguments.query_expansion,
            "flip": arguments.flip,
            "center_cameras": arguments.center_cameras,
            "results": reports,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


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
            report["data"],
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


def chosen_queries(scores: RetrievalScores, count: int = SHEET_QUERIES) -> tuple[Ints, Ints]:
    """The rows of the best and of the worst queries by average precision, each worst or best first."""
    judged = np.flatnonzero(scores.first_ranks)
    order = judged[np.argsort(-scores.average_precisions[judged], kind="stable")]
    worst = order[::-1][: min(count, len(order))]
    best = order[: min(count, len(order) - len(worst))]
    return best, worst


def make_sheet(
    dataset: Dataset,
    queries: Embedded,
    gallery: Embedded,
    scores: RetrievalScores,
    distances: EmbeddingArray,
    chosen: tuple[Ints, Ints],
) -> Image:
    """Draw the chosen queries with their first matches, junk left out.

    Args:
        dataset: Where the pictures are.
        queries: Q of them.
        gallery: G of them.
        scores: Of the Q queries.
        distances: (Q, G).
        chosen: Rows of the best and of the worst queries.
    """

    def draw(query: int) -> SheetRow:
        record = queries.records[query]
        people = People(*(column[query : query + 1] for column in queries.people))
        right, junk = (mask[0] for mask in right_and_junk(people, gallery.people))
        order = rank_gallery(distances[query : query + 1])[0]
        found = [
            Found(
                dataset.images.read(gallery.records[row]),
                bool(right[row]),
                f"{gallery.records[row].person} c{gallery.records[row].camera}\n{distances[query, row]:.2f}",
            )
            for row in order[~junk[order]][:SHEET_MATCHES]
        ]
        caption = f"{record.person} c{record.camera}\nAP {100 * scores.average_precisions[query]:.0f}"
        return SheetRow(dataset.images.read(record), caption, found)

    titles = ("best queries (person, camera, distance)", "worst queries")
    return draw_sheet(
        [(title, [draw(int(q)) for q in rows]) for title, rows in zip(titles, chosen, strict=True)]
    )


def _write_picture(path: Path, image: Image) -> None:
    done, data = cv2.imencode(".png", image)
    if not done:
        raise ReuniteError(f"{path}: OpenCV cannot write the sheet as PNG")
    path.write_bytes(data.tobytes())


COMMAND = Command(
    name="judge",
    description="Judge an embedding network by the protocol of Market-1501: rank-1, 5 and 10 (CMC), mAP and "
    "mINP over single queries across cameras. Figures in the table are percent.",
    examples=(
        "weights.safetensors --data market1501=Market-1501-v15.09.15",
        "osnet.onnx --preprocess imagenet --data msmt17=MSMT17_V1 --sheet worst.png",
        "intel.xml --preprocess bgr255 --data folder-test=my-people --flip --rerank",
    ),
    add_arguments=add_arguments,
    run=run,
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m reid.evaluate"))
