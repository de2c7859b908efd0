"""How probably somebody is on a photo."""

import numpy as np
import pytest

from tests.drawn_embeddings import CAMERAS, EMBEDDINGS, NETWORK, PEOPLE, remembered, seen
from tests.galleries import unit_rows
from tracker.config import SimilarityConfig
from tracker.gallery import Appearances
from tracker.identity.tracklets import CENTRE_TRACKLETS, directions
from tracker.search.ranking import rank_people

CONFIG = SimilarityConfig()


def test_whoever_is_remembered_comes_first_and_probabilities_add_up_to_one() -> None:
    known = remembered(range(1, PEOPLE + 1))
    for number in range(1, PEOPLE + 1):
        suspects = rank_people(known, seen([number], 5)[0], CONFIG)
        assert suspects.numbers[0] == number
        assert suspects.probabilities[0] > 0.9
        assert sorted(suspects.numbers) == list(range(1, PEOPLE + 1))
        assert suspects.probabilities.sum() + suspects.nobody == pytest.approx(1)
        assert (np.diff(suspects.cosines) <= 0).all()
        assert (np.diff(suspects.probabilities) <= 0).all()


def test_a_stranger_is_nobody() -> None:
    known = remembered(range(1, PEOPLE + 1))
    for number in range(PEOPLE + 1, 2 * PEOPLE + 1):
        assert rank_people(known, seen([number], 5)[0], CONFIG).nobody > 0.9


def test_cosines_equal_those_by_hand() -> None:
    known, photo = remembered([1, 2, 3], pictures=3), seen([2], 5)[0]
    rows = known.embeddings.astype(np.float64)
    overall = rows.sum(axis=0) / (len(rows) + CENTRE_TRACKLETS)
    best = dict.fromkeys((1, 2, 3), -1.0)
    for row, number, camera in zip(rows, known.numbers.tolist(), known.cameras, strict=True):
        here = rows[known.cameras == camera]
        look = row - (here.sum(axis=0) + CENTRE_TRACKLETS * overall) / (len(here) + CENTRE_TRACKLETS)
        asked = photo - overall
        cosine = look @ asked / np.linalg.norm(look) / np.linalg.norm(asked)
        best[number] = max(best[number], cosine)
    suspects = rank_people(known, photo, CONFIG)
    found = dict(zip(suspects.numbers.tolist(), suspects.cosines.tolist(), strict=True))
    assert found == pytest.approx(best, abs=1e-3)  # half precision


def test_what_all_people_have_in_common_says_nothing() -> None:
    shared = unit_rows(np.random.default_rng(9), 1, NETWORK.dimension)[0]
    known, stranger = remembered(range(1, PEOPLE + 1), pictures=8), seen([PEOPLE + 1], 5)[0]
    tinted = directions(known.embeddings.astype(np.float32) + 2 * shared)
    assert (tinted @ directions(stranger + 2 * shared)).min() > 0.7
    alike = Appearances(known.numbers, known.cameras, tinted.astype(np.float16))
    assert rank_people(alike, directions(stranger + 2 * shared), CONFIG).nobody > 0.5


def test_one_person_under_two_numbers_shares_the_probability() -> None:
    known = remembered([1, 2, 3])
    twice = Appearances(
        np.append(known.numbers, [7, 7]),
        np.append(known.cameras, known.cameras[:2]),
        np.concatenate([known.embeddings, known.embeddings[:2]]),
    )
    suspects = rank_people(twice, seen([1], 5)[0], CONFIG)
    assert suspects.numbers[:2].tolist() == [1, 7]
    assert suspects.probabilities[0] == suspects.probabilities[1] < 0.5
    assert suspects.nobody < 0.1


def test_strangers_who_look_like_the_photo_make_it_less_sure() -> None:
    photo, direction = seen([1], 5)[0], unit_rows(np.random.default_rng(3), 1, NETWORK.dimension)[0]

    def sure(bias: float) -> float:
        others = directions(EMBEDDINGS[1:PEOPLE] + bias * photo)
        # As many who look just as unlike it, so that the mean of all stays where it is.
        away = directions(unit_rows(np.random.default_rng(4), len(others), len(photo)) - bias * photo)
        rows = np.concatenate([directions(photo + 0.8 * direction)[None], others, away])
        names = np.full(len(rows), CAMERAS[0], np.object_)
        known = Appearances(np.arange(1, len(rows) + 1), names, rows.astype(np.float16))
        suspects = rank_people(known, photo, CONFIG)
        return float(suspects.probabilities[suspects.numbers == 1][0])

    assert sure(0.6) < sure(0.3) < sure(0.0)


def test_one_person_is_enough_and_none_is_a_mistake() -> None:
    known = remembered([1])
    assert rank_people(known, seen([1], 5)[0], CONFIG).probabilities.shape == (1,)
    with pytest.raises(ValueError, match="a picture or more"):
        rank_people(known[:0], seen([1], 5)[0], CONFIG)
    with pytest.raises(ValueError, match="photo must have shape"):
        rank_people(known, np.ones(3, np.float32), CONFIG)
