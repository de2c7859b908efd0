"""Decisions are taken soon, and taken back: ends of tracks, moves, doubled tracks, a third camera."""

import numpy as np
import pytest

from foundation.arrays import FloatArray
from tests.test_identity import CONFIG, LENGTH, A, B, C, Visit, embeddings_of, play, unit
from tracker.config import IdentityConfig, SimilarityConfig
from tracker.identity import IdentityLinker
from tracker.identity.moves import Moves, differing
from tracker.identity.overlap import Overlap
from tracker.identity.places import Places
from tracker.identity.similarity import SimilarityCalibration
from tracker.identity.site_similarity import MATURE_EMBEDDINGS, SiteSimilarity
from tracker.identity.tracklets import TrackletTable


def test_whoever_left_before_the_time_for_a_decision_is_recognised_at_once_elsewhere() -> None:
    others = [Visit(person, C, 0, 20) for person in range(1, 7)]
    short, back = Visit(0, A, 10, 11.5), Visit(0, B, 12.5, 18)
    said = play(IdentityLinker(CONFIG, (A, B, C)), [*others, short, back])
    assert said[short][-1] == 0  # it was still undecided when it was seen last
    decided = [identity for identity in said[back] if identity]
    assert set(decided) == {7}
    assert len(said[back]) - len(decided) <= 4


def tracklets_of(people: list[int], spread: float = 0.3) -> TrackletTable:
    """A tracklet of each of these people, one after the other in one camera."""
    table, shown_by = TrackletTable(1), embeddings_of(1 + max(people), 0)
    random = np.random.default_rng(1)
    for number, person in enumerate(people):
        for step in range(3):
            rows = table.see(0, np.array([number + 1]), 10.0 * number + step, LENGTH)
            noise = spread / np.sqrt(LENGTH) * random.normal(size=(1, LENGTH))
            table.add_embeddings(rows, unit(shown_by[[person]] + noise))
    return table


def test_a_tracklet_that_is_likelier_somebody_elses_goes_there_and_one_that_is_nobodys_is_alone() -> None:
    people = [0, 1, 0, 1, 0, 1, 2]
    table = tracklets_of(people)
    moves = Moves(table, SimilarityCalibration(SimilarityConfig()), Places([A], None, IdentityConfig()))
    wrong = np.array([0, 1, 0, 1, 1, 1, 0])  # the fifth is with the wrong person, the last with a stranger
    right = np.array([0, 1, 0, 1, 0, 1, 2])
    assert moves.improve(wrong).tolist() == right.tolist()
    rows = differing(wrong, right)
    assert rows.tolist() == list(range(7))
    assert moves.score(right, rows) > moves.score(wrong, rows)
    assert differing(right, right + 5).tolist() == []


def test_whoever_has_many_tracklets_is_not_likelier_two_people_because_each_pair_says_little() -> None:
    people = [0] * 12 + list(range(1, 200))
    table = tracklets_of(people, spread=1.2)
    similarity = SimilarityCalibration(SimilarityConfig())
    moves = Moves(table, similarity, Places([A], None, IdentityConfig()))
    right = np.array(people)
    pairs = np.triu_indices(12, 1)
    own = table.centred[:12].astype(np.float64)
    each = similarity.log_odds((own @ own.T)[pairs])
    assert 1 < each.mean() < np.log(200)  # one pair alone does not tell the person from two hundred others
    parted = right.copy()
    parted[6:12] = 200
    rows = differing(right, parted)
    assert moves.score(right, rows) > moves.score(parted, rows)


def test_nobody_moves_to_whom_they_cannot_be() -> None:
    table = tracklets_of([0, 1, 0, 1])
    table.begin[2], table.end[2] = table.begin[1], table.end[1]  # in view with the second
    moves = Moves(table, SimilarityCalibration(SimilarityConfig()), Places([A], None, IdentityConfig()))
    found = moves.improve(np.array([0, 0, 1, 1]))
    assert found[1] != found[2]


@pytest.mark.parametrize(("shift", "pairs"), [(10.0, 0), (30.0, 1)])
def test_a_doubled_track_says_nothing_of_how_alike_two_people_are(shift: float, pairs: int) -> None:
    table = TrackletTable(1)
    site = SiteSimilarity(SimilarityConfig(), table)
    boxes: FloatArray = np.array([[0.0, 0, 40, 100], [shift, 0, 40 + shift, 100]])
    for step in range(MATURE_EMBEDDINGS):
        rows = table.see(0, np.array([1, 2]), float(step), LENGTH)
        table.add_embeddings(rows, embeddings_of(2, 0))
        site.see(rows, rows[table.num_embeddings[rows] == MATURE_EMBEDDINGS], boxes)
    assert len(np.unique(np.sort(site.state()["pairs"], axis=1), axis=0)) == pairs


def test_two_cameras_that_see_the_same_part_of_a_third_one_see_one_place() -> None:
    first, second = np.diag([2.0, 2.0, 1.0]), np.array([[1.0, 0, 50], [0, 1, -20], [0, 0, 1]])
    places = np.array([[x, y, 100.0] for x in (100, 300) for y in (200, 400, 600)])

    def seen(matrix: FloatArray, feet: FloatArray) -> FloatArray:
        points = np.column_stack((feet[:, :2], np.ones(len(feet)))) @ matrix.T
        return np.column_stack((points[:, :2] / points[:, 2:], feet[:, 2]))

    one = Overlap(first, places, seen(first, places))
    middle = seen(first, places)
    both = one.then(Overlap(second, middle, seen(second, middle)))
    assert both is not None
    assert both.matrix == pytest.approx(second @ first)
    assert both.others == pytest.approx(seen(second @ first, places))
    assert both.turned().matrix == pytest.approx(np.linalg.inv(second @ first))
    elsewhere = middle + np.array([5000.0, 0, 0])
    assert one.then(Overlap(second, elsewhere, seen(second, elsewhere))) is None
