"""Losses of attributes, key points and tracklets against sums written out."""

import math

import pytest
import torch

from reid.losses import batch_soft_triplet
from reid.output_losses import (
    attribute_cross_entropy,
    attribute_triplet,
    key_point_distance,
    pool_tracklets,
    tracklet_triplet,
)

NAN = math.nan


def test_key_points_are_as_far_off_as_those_that_are_known() -> None:
    found = torch.tensor([[[0.5, 0.5], [0.2, 0.2]], [[0.1, 0.9], [0.0, 0.0]]], requires_grad=True)
    known = torch.tensor([[[0.5, 0.2], [NAN, 0.2]], [[0.5, 0.6], [NAN, NAN]]])
    loss = key_point_distance(found, known)
    assert loss.item() == pytest.approx((0.3 + 0.5) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None
    assert found.grad.isfinite().all()
    assert found.grad[:, 1].abs().sum() == 0
    assert key_point_distance(found, torch.full_like(known, NAN)).item() == 0


def test_rare_attributes_weigh_as_much_as_common_ones() -> None:
    logits = torch.tensor([[0.3, -1.2], [2.0, 0.4], [-0.5, 0.1]])
    known = torch.tensor([[1.0, 0.0], [0.0, NAN], [1.0, 1.0]])
    shares = torch.tensor([0.1, 0.6]).expand(3, 2)
    total, count = 0.0, 0
    for row in range(3):
        for column in range(2):
            truth, w = known[row, column].item(), shares[row, column].item()
            if math.isnan(truth):
                continue
            q = 1 / (1 + math.exp(-logits[row, column].item()))
            total -= truth * math.log(q) / (2 * w) + (1 - truth) * math.log(1 - q) / (2 * (1 - w))
            count += 1
    assert attribute_cross_entropy(logits, known, shares).item() == pytest.approx(total / count, rel=1e-5)
    assert attribute_cross_entropy(logits, torch.full_like(known, NAN), shares).item() == 0


def test_triplets_count_attributes_beside_features() -> None:
    generator = torch.Generator().manual_seed(0)
    features, logits = torch.randn(6, 4, generator=generator), torch.randn(6, 3, generator=generator)
    labels = torch.tensor([0, 0, 1, 1, 1, 2])
    worn = torch.sigmoid(logits)
    values = []
    for a in range(6):
        for p in range(6):
            for n in range(6):
                if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
                    near, far = (
                        (features[a] - features[it]).square().sum()
                        + 0.5 * (worn[a] - worn[it]).square().sum()
                        for it in (p, n)
                    )
                    values.append(max(float(near - far) + 0.2, 0))
    found = attribute_triplet(features, logits, labels, 0.2, 0.5).item()
    assert found == pytest.approx(sum(values) / len(values), rel=1e-4)
    assert attribute_triplet(features, logits, torch.zeros(6), 0.2, 0.5).item() == 0


def test_a_tracklet_is_pooled_by_the_softmax_of_its_qualities() -> None:
    torch.manual_seed(0)
    features, quality = torch.randn(5, 3), torch.tensor([1.0, 500.0, -2.0, 0.0, 0.5])
    pooled = pool_tracklets(features, quality, torch.tensor([7, 3, 7, 7, 3]))
    expected = [torch.softmax(quality[rows], 0) @ features[rows] for rows in ([1, 4], [0, 2, 3])]
    # A picture of quality 500 outweighs all of its own tracklet, and nothing of another one.
    for found, by_hand in zip(pooled, expected, strict=True):
        torch.testing.assert_close(found, by_hand / by_hand.norm())


def test_each_person_has_two_tracklets_in_turns() -> None:
    torch.manual_seed(0)
    features, quality = torch.randn(7, 3), torch.randn(7, 1)
    labels = torch.tensor([4, 2, 4, 2, 4, 4, 9])
    # 4: pictures 0 and 4, 2 and 5; 2: pictures 1 and 3; 9 is alone and has one tracklet of one picture.
    tracklets = [[1], [3], [0, 4], [2, 5], [6]]
    pooled = torch.stack([torch.softmax(quality[rows, 0], 0) @ features[rows] for rows in tracklets])
    expected = batch_soft_triplet(pooled / pooled.norm(dim=1, keepdim=True), torch.tensor([2, 2, 4, 4, 9]))
    assert tracklet_triplet(features, quality, labels, None).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
