"""Batches of P people with K pictures."""

from collections import Counter

import numpy as np
import pytest

from foundation.errors import ReuniteError
from reid.sampling import PersonSampler

LABELS = [person for person, count in enumerate([9, 4, 1, 3, 30, 8, 8, 5]) for _ in range(count)]


def test_a_batch_holds_p_people_with_k_pictures_each() -> None:
    for batch in PersonSampler(LABELS, people=3, pictures=4, seed=0).batches(0):
        people = Counter(LABELS[index] for index in batch)
        assert list(people.values()) == [4, 4, 4]
        assert [LABELS[index] for index in batch] == [person for person in people for _ in range(4)]


def test_pictures_repeat_only_for_whoever_has_too_few() -> None:
    shown = Counter(index for batch in PersonSampler(LABELS, 3, 4, 0).batches(0) for index in batch)
    repeated = {LABELS[index] for index, count in shown.items() if count > 1}
    assert repeated <= {2, 3}


def test_frequent_people_do_not_pile_up() -> None:
    # 60 people with 8 to 40 pictures: nearly every group of four finds a batch.
    labels = np.repeat(np.arange(60), np.random.default_rng(0).integers(8, 41, 60)).tolist()
    groups = sum(count // 4 for count in Counter(labels).values())
    for epoch in range(5):
        dealt = 8 * len(PersonSampler(labels, 8, 4, 0).batches(epoch))
        assert dealt >= 0.97 * groups


def test_every_picture_is_shown_sooner_or_later() -> None:
    sampler = PersonSampler(LABELS, 3, 4, 0)
    shown = {index for epoch in range(60) for batch in sampler.batches(epoch) for index in batch}
    assert shown == set(range(len(LABELS)))


def test_the_deal_depends_on_seed_and_epoch_alone() -> None:
    sampler = PersonSampler(LABELS, 3, 4, seed=7)
    first = sampler.batches(3)
    sampler.batches(0)
    assert sampler.batches(3) == first
    assert PersonSampler(LABELS, 3, 4, seed=7).batches(3) == first
    assert sampler.batches(4) != first
    assert PersonSampler(LABELS, 3, 4, seed=8).batches(3) != first


def test_labels_may_be_any_numbers() -> None:
    strange = [person * 1000 - 1 for person in LABELS]
    assert PersonSampler(strange, 3, 4, 0).batches(0) == PersonSampler(LABELS, 3, 4, 0).batches(0)


def test_a_batch_that_cannot_be_filled_is_refused() -> None:
    with pytest.raises(ReuniteError, match=r"a batch of 9 people cannot be filled: the training set has 8"):
        PersonSampler(LABELS, people=9, pictures=4, seed=0)
