"""Whoever merges or splits people teaches what a cosine means at this site."""

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from tests.test_identity import CONFIG, A, B, embeddings_of, unit
from tests.test_identity_live import Site
from tracker.config import SimilarityConfig
from tracker.identity import IdentityLinker
from tracker.identity.similarity import SimilarityCalibration, Taught
from tracker.types import KnownIdentities

NOTHING = np.empty(0)
PEOPLE, CORRECTED = 20, 10
KEPT = 0.18
"""This much of an appearance is left in the other camera: less than the prior says."""


def worlds_apart(seed: int = 1) -> tuple[EmbeddingArray, EmbeddingArray]:
    """What everybody looks like in each of two cameras with another light."""
    own, others = embeddings_of(PEOPLE, seed), embeddings_of(PEOPLE, seed + 100)
    return own, unit(np.sqrt(KEPT) * own + np.sqrt(1 - KEPT) * others)


def pass_by(site: Site, begin_s: float, camera: object, track: int, look: EmbeddingArray) -> int:
    """Somebody walks through a picture; who it is in the end."""
    said = 0
    for time in np.arange(begin_s, begin_s + 8, 0.25).tolist():
        (said,) = site.see(camera, time, {track: look})  # type: ignore[arg-type]
    return said


def recognised(*, is_taught: bool) -> int:
    """Of those whom nobody corrected, how many are recognised in the second camera."""
    linker = IdentityLinker(CONFIG, (A, B))
    site, (first, second) = Site(linker), worlds_apart()
    taught, found = list[float](), 0
    for person in range(PEOPLE):
        begin_s = 40.0 * person
        before = pass_by(site, begin_s, A, person + 1, first[person])
        after = pass_by(site, begin_s + 15, B, person + 1, second[person])
        if person < CORRECTED and is_taught:
            if after != before:
                taught += linker.corrections().join(min(before, after), max(before, after))
                linker.teach(Taught(np.array(taught), NOTHING))
        elif person >= CORRECTED:
            found += after == before
    assert bool(taught) == is_taught
    return found


def test_who_was_missed_and_merged_by_hand_teaches_to_recognise_the_next() -> None:
    assert recognised(is_taught=True) > recognised(is_taught=False)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_taught_moves_the_calibration_toward_it_and_the_error_that_is_stated_holds(seed: int) -> None:
    random = np.random.default_rng(seed)
    config, cosines = SimilarityConfig(), np.linspace(0.2, 0.7, 6)
    different, within = random.normal(0.05, 0.12, 60), random.normal(0.7, 0.1, 60)
    plain = SimilarityCalibration(config, different, within)
    merged = SimilarityCalibration(config, different, within, Taught(np.full(5, 0.35), NOTHING))
    split = SimilarityCalibration(config, different, within, Taught(NOTHING, np.full(5, 0.65)))
    assert merged.same[0] < plain.same[0]
    assert merged.log_odds(cosines)[1] > plain.log_odds(cosines)[1], "0.3 may well be one person here"
    assert merged.threshold(20, 0.05) == plain.threshold(20, 0.05), "strangers are as rare as they were"
    assert merged.miss_rate(0.5) > plain.miss_rate(0.5)
    assert (split.stranger_rate(cosines) >= plain.stranger_rate(cosines)).all()
    assert split.threshold(20, 0.05) > plain.threshold(20, 0.05)
    assert split.log_odds(np.array([0.65]))[0] < plain.log_odds(np.array([0.65]))[0]


def test_returns_that_show_little_are_missed_too() -> None:
    site = SimilarityCalibration(SimilarityConfig())
    for cosine in (-1.0, 0.0, 0.5, 0.9, 1.0):
        assert site.missed_rate(cosine, 0.0) == pytest.approx(site.miss_rate(cosine))
    assert site.missed_rate(0.4, 0.02) > site.miss_rate(0.4)
    assert site.missed_rate(0.4, 0.04) > site.missed_rate(0.4, 0.02)
    assert site.missed_rate(1.0, 0.04) == pytest.approx(1.0)


def test_what_is_taught_is_replaced_and_nothing_is_as_if_there_never_was_any() -> None:
    linker = IdentityLinker(CONFIG, (A, B))
    site, (first, _) = Site(linker), worlds_apart()
    for track in range(3):
        pass_by(site, 20.0 * track, A, track + 1, first[track])
    linker.teach(Taught(NOTHING, NOTHING))
    linker.similarity_report()
    before = linker.similarity.log_odds(np.linspace(-1, 1, 50))
    linker.teach(Taught(np.full(4, 0.3), np.full(4, 0.6)))
    linker.similarity_report()
    taught = linker.similarity.log_odds(np.linspace(-1, 1, 50))
    assert not np.array_equal(taught, before)
    again = IdentityLinker(CONFIG, (A, B))
    again.restore(linker.state())
    assert np.array_equal(again.similarity.log_odds(np.linspace(-1, 1, 50)), taught), "a run goes on with it"
    linker.teach(Taught(NOTHING, NOTHING))
    linker.similarity_report()
    assert np.array_equal(linker.similarity.log_odds(np.linspace(-1, 1, 50)), before)


def test_a_correction_says_how_alike_those_were_and_nothing_where_too_little_was_seen() -> None:
    linker = IdentityLinker(CONFIG, (A, B))
    site, (first, second) = Site(linker), worlds_apart()
    one = pass_by(site, 0, A, 1, first[0])
    other = pass_by(site, 20, B, 1, first[1])
    assert one != other
    (cosine,) = linker.corrections().join(one, other)
    assert -0.5 < cosine < 0.5
    number, (apart,) = linker.corrections().part([(B, 1)])
    assert number not in (one, other)
    assert apart == pytest.approx(cosine)
    assert linker.corrections().part([(B, 1)], other) == (other, []), "nothing is left of whom it was"
    site.see(B, 40.0, {7: second[5]})
    assert linker.corrections().part([(B, 7)])[1] == []


@pytest.mark.parametrize("is_undone", [True, False])
def test_people_whose_merge_was_undone_are_not_taken_for_one_again(
    is_undone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    linker = IdentityLinker(CONFIG, (A, B))
    site, (first, _) = Site(linker), worlds_apart()
    one, other = pass_by(site, 0, A, 1, first[0]), pass_by(site, 20, B, 1, first[1])
    if is_undone:
        linker.corrections().join(one, other)
        linker.corrections().part([(B, 1)], other)
    assert pass_by(site, 40, B, 2, first[1]) == other
    (row,) = linker._tracklets.find(linker._index[B], np.array([2])).tolist()
    monkeypatch.setattr(linker._decisions, "_better_person", lambda row, own: other)
    monkeypatch.setattr(linker._decisions, "_known_person", lambda found: one)  # by all that was seen
    linker._decisions._reconsider(row, 50.0)
    assert int(linker.lookup(B, np.array([1]))[0]) == (other if is_undone else one)


def test_who_is_known_from_before_the_run_is_given_back_when_a_merge_is_undone() -> None:
    linker = IdentityLinker(CONFIG, (A, B))
    own, _ = worlds_apart()
    linker.remember(
        KnownIdentities(
            identity_ids=np.array([1, 2]),
            cameras=np.array([A, B], np.object_),
            last_seen_s=np.array([-50.0, -40.0]),
            embeddings=own[:2],
        )
    )
    site = Site(linker)
    tracks = linker.corrections().tracks_of(2)
    assert len(tracks) == 1
    linker.corrections().join(1, 2)
    assert linker.corrections().tracks_of(2) == []
    told = len(linker.events())
    assert linker.corrections().part(tracks, 2)[0] == 2
    assert (linker.corrections().tracks_of(2), told, linker.events()) == (tracks, 1, [])
    assert pass_by(site, 0.0, B, 1, own[1]) == 2
    assert pass_by(site, 20.0, A, 1, own[0]) == 1
