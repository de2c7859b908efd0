"""Is `tracker.search` as sure as it should be? Stated probabilities beside how often the answer was right.

python -m benchmarks.search market1501=PATH
python -m benchmarks.search market1501=PATH --embedder weights=osnet.onnx convention=imagenet

Galleries are drawn from the test people of a data set. Of each person they hold one to three cameras, of each
camera the mean of its pictures, as a run saves a track. Half of the photos show somebody who is remembered,
seen by a camera that the gallery does not have of the person; the others show strangers.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foundation.arrays import EmbeddingArray, FloatArray, IntArray
from reid.data import open_dataset, read_pictures
from tracker.build import build_embedder
from tracker.config import SimilarityConfig, load_config
from tracker.gallery import Appearances
from tracker.identity.tracklets import directions
from tracker.search.photo import embed_person, whole_picture
from tracker.search.ranking import rank_people
from tracker.types import CameraName, Frame

PHOTOS = 40
"""Of each gallery."""
MAX_CAMERAS = 3
SURE = 0.5
STEPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """N pictures: who is on them (N,), which camera took them (N,), what the network makes of them (N, D)."""

    persons: IntArray
    cameras: IntArray
    embeddings: EmbeddingArray


def read_people(data: str, embedder: Sequence[str]) -> People:
    """Everybody whom the data set is judged with."""
    dataset = open_dataset(data)
    records = [record for record in (*dataset.query, *dataset.gallery) if record.person > 0]
    pictures = read_pictures(dataset.images, records)
    network = build_embedder(load_config(None, [f"embedder.{setting}" for setting in embedder]).embedder)
    frames = [Frame(CameraName("photo"), 1, 0.0, image) for image in pictures.images]
    rows = [embed_person(frame, whole_picture(frame), network) for frame in frames]
    persons, cameras = ([getattr(it, name) for it in pictures.records] for name in ("person", "camera"))
    return People(np.array(persons), np.array(cameras), np.array(rows))


def draw_gallery(
    people: People, members: IntArray, random: np.random.Generator
) -> tuple[Appearances, dict[int, int]]:
    """What is remembered of these persons, and of each the camera that was left out."""
    numbers, taken_by, rows, left_out = [], [], [], {}
    for person in members.tolist():
        cameras = random.permutation(np.unique(people.cameras[people.persons == person])).tolist()
        if len(cameras) == 1:
            continue
        left_out[person] = cameras[0]
        for camera in cameras[1 : 1 + int(random.integers(1, MAX_CAMERAS + 1))]:
            seen = (people.persons == person) & (people.cameras == camera)
            numbers.append(person)
            taken_by.append(str(camera))
            rows.append(directions(people.embeddings[seen].sum(axis=0)))
    return Appearances(
        np.array(numbers), np.array(taken_by, np.object_), np.array(rows, np.float16)
    ), left_out


def ask(people: People, size: int, galleries: int) -> FloatArray:
    """(Q, 5) of each photo: the nearest person's probability, whether that is right, whether it shows a
    stranger, the probability of what is true, the cosine with the person it shows (nan for strangers)."""
    random = np.random.default_rng(0)
    everybody, config, answers = np.unique(people.persons), SimilarityConfig(), []
    for _ in range(galleries):
        known, left_out = draw_gallery(people, random.choice(everybody, size, replace=False), random)
        for photo in range(PHOTOS):
            is_stranger = photo % 2 == 1
            who = random.choice(np.setdiff1d(everybody, list(left_out)) if is_stranger else list(left_out))
            shown = people.persons == who
            if not is_stranger:
                shown &= people.cameras == left_out[int(who)]
            suspects = rank_people(known, people.embeddings[random.choice(np.nonzero(shown)[0])], config)
            truth, cosine = suspects.nobody, np.nan
            if not is_stranger:
                (place,) = np.nonzero(suspects.numbers == who)[0]
                truth, cosine = suspects.probabilities[place], suspects.cosines[place]
            first = suspects.numbers[0] == who
            answers.append((suspects.probabilities[0], first, is_stranger, truth, cosine))
    return np.array(answers, np.float64)


def report(size: int, answers: FloatArray) -> None:
    """Print what came of one size of gallery."""
    stated, right, stranger, truth, cosine = answers.T
    named, is_stranger = stated >= SURE, stranger == 1
    back = ~is_stranger
    print(f"galleries of {size} people, {len(answers)} photos")
    print(f"  cosine of one person, photo and gallery  {np.nanmean(cosine):.2f} +- {np.nanstd(cosine):.2f}")
    print(f"  shows somebody: the nearest is right     {100 * right[back].mean():.1f} %")
    print(
        f"    named right, named wrong               {100 * (named & (right == 1))[back].mean():.1f} %, "
        f"{100 * (named & (right == 0))[back].mean():.1f} %"
    )
    print(f"  shows a stranger: taken for somebody     {100 * named[is_stranger].mean():.1f} %")
    print(f"  log loss, nats                           {-np.log(truth).mean():.3f}")
    print("  stated      mean stated   right   photos")
    for low, high in pairwise(STEPS):
        inside = (stated >= low) & (stated < high)
        if inside.any():
            print(
                f"  {low:.1f} to {high:.1f} {100 * stated[inside].mean():10.0f} % "
                f"{100 * right[inside].mean():7.0f} % {inside.sum():7d}"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="a data set as reunite train names it, for example market1501=PATH")
    parser.add_argument(
        "--embedder", nargs="+", default=[], metavar="KEY=VALUE", help="settings of the embedder"
    )
    parser.add_argument("--people", type=int, nargs="+", default=[20, 100], help="sizes of the galleries")
    parser.add_argument("--galleries", type=int, default=20, help="of each size (default %(default)s)")
    options = parser.parse_args(arguments)
    people = read_people(options.data, options.embedder)
    for size in options.people:
        report(size, ask(people, size, options.galleries))


if __name__ == "__main__":
    main()
