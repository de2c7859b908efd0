"""How probably each person of a gallery, or nobody of them, is on a photo."""

from dataclasses import dataclass

import numpy as np

from foundation.arrays import EmbeddingArray, FloatArray, IntArray, check_shape
from tracker.config import SimilarityConfig
from tracker.gallery import Appearances, GalleryIndex
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.tracklets import CENTRE_TRACKLETS, directions

PRIOR_REMEMBERED = 0.5
"""Before the comparison, the chance that the photo shows somebody of the gallery, spread evenly over them."""

ONE_PICTURE = 0.88
"""A photo is one picture, a tracklet the mean of several: this much is left of a cosine between two
tracklets. It is 0.62 of 0.70: `python -m benchmarks.search` and the mean that `SimilarityConfig` has."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """The P people of a gallery, the most probable first; P is 1 or more.

    Attributes:
        numbers: (P,) who.
        cosines: (P,) of the photo and the picture most like it, what all people have in common taken out.
        probabilities: (P,) that this is the person on the photo; with ``nobody`` they add up to 1.
        nobody: Probability that it is none of them.
    """

    numbers: IntArray
    cosines: FloatArray
    probabilities: FloatArray
    nobody: float


def rank_people(known: Appearances, photo: EmbeddingArray, config: SimilarityConfig) -> Suspects:
    """Compare a photo with everybody, and let Bayes' rule say how sure the answer is.

    What all people of a camera have in common is taken out, as the linker does; of the photo, whose camera
    nobody knows, what those of all cameras have. A cosine is as likely as `SimilarityCalibration` says for
    one person and for two, and the cosines of different people say nothing about each other.

    Of one photo and P people at least P - 1 pairs are of different people, so the cosines with all but
    the nearest show what strangers look like here. A gallery's people among themselves would not: two numbers
    may be one person who was missed, and were only ever kept apart because they look different. The photo's
    cosines share its own quirks, so however many they are, they count no more than ``prior_pairs``.

    Args:
        known: Pictures of one person or more.
        photo: (D,) what the network makes of the photo, length 1.
        config: What cosines mean to this network.

    Raises:
        ValueError: Nobody is known, or the shapes are wrong.
    """
    check_shape("photo", photo, (known.embeddings.shape[1],))
    if not len(known):
        raise ValueError("known must have a picture or more")
    pictures = known.embeddings.astype(np.float32)
    overall = pictures.sum(axis=0) / (len(pictures) + CENTRE_TRACKLETS)
    photo = directions(photo - overall)
    for camera in set(known.cameras.tolist()):
        here = known.cameras == camera
        # As in `TrackletTable`: a camera that saw few people is drawn to the mean of all.
        total = pictures[here].sum(axis=0) + CENTRE_TRACKLETS * overall
        pictures[here] = directions(pictures[here] - total / (here.sum() + CENTRE_TRACKLETS))
    index = GalleryIndex(len(photo))
    index.put(known.numbers, pictures)
    ranking = index.best(photo[None], count=len(index))
    cosines = ranking.similarities[0].astype(np.float64)

    strangers = cosines[1:]
    most = max(round(config.prior_pairs), 1)
    if len(strangers) > most:
        strangers = np.quantile(strangers, (np.arange(most) + 0.5) / most)
    prior = config.prior
    mean = prior.mean_different + ONE_PICTURE * (prior.mean_same - prior.mean_different)
    similarity = SimilarityCalibration(config.model_copy(update={"mean_same": mean}), different=strangers)
    prior_odds = PRIOR_REMEMBERED / (1 - PRIOR_REMEMBERED) / len(index)
    odds = prior_odds * np.exp(similarity.log_odds(cosines))
    nobody = float(1 / (1 + odds.sum()))
    return Suspects(ranking.numbers[0], cosines, odds * nobody, nobody)
