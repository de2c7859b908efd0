"""From the boxes of a tick to embeddings: crops of all cameras in one batch."""

from collections.abc import Sequence

import numpy as np

from foundation.arrays import BoolArray, EmbeddingArray, Image
from reid.runtime import Embedder
from tracker.geometry import pixel_boxes
from tracker.types import Detections, Observations, Tick


def embed_crops(
    embedder: Embedder, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
) -> Sequence[Observations]:
    """The people of each frame, the wanted ones with their appearance; see `tracker.stages.Embedder`."""
    crops, is_embedded = cut_crops(tick, detections, needed)
    return put_back(detections, is_embedded, embedder.embed(crops))


def cut_crops(
    tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
) -> tuple[list[Image], list[BoolArray]]:
    """Crops of the R wanted people who are in their pictures, and (N,) of each frame, which these are."""
    crops: list[Image] = []
    is_embedded: list[BoolArray] = []
    for frame, people, want in zip(tick.frames, detections, needed, strict=True):
        pixels = pixel_boxes(people.boxes, frame)
        is_inside = (pixels[:, 2:] > pixels[:, :2]).all(axis=1)
        is_embedded.append(want & is_inside & (not frame.is_blank))
        crops += [frame.image[y1:y2, x1:x2] for x1, y1, x2, y2 in pixels[is_embedded[-1]].tolist()]
    return crops, is_embedded


def put_back(
    detections: Sequence[Detections | Observations], is_embedded: Sequence[BoolArray], rows: EmbeddingArray
) -> list[Observations]:
    """The people of each frame, those of ``is_embedded`` with (R, D) embeddings, the others with zeros."""
    ends = np.cumsum([is_here.sum() for is_here in is_embedded])
    observations = []
    for people, is_here, end in zip(detections, is_embedded, ends, strict=True):
        embeddings = np.zeros((len(people), rows.shape[1]), np.float32)
        embeddings[is_here] = rows[end - is_here.sum() : end]
        observations.append(Observations(people.boxes, people.scores, embeddings))
    return observations
