"""Heads and regression: against scikit-learn, a closed form, and data they must be able to learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from cenote.errors import ArgumentError
from cenote.pooling import BoxRegression, LinearSVMHead, SoftmaxHead


def test_softmax_learns_what_can_be_told_apart() -> None:
    torch.manual_seed(0)
    labels = torch.arange(300) % 4
    features = torch.eye(4)[labels].repeat(1, 2) + 0.1 * torch.randn(300, 8)
    head = SoftmaxHead(8, 3, hidden=16)
    head.fit(features, labels, seed=0, steps=150, learning_rate=1e-2)
    assert (head(features).argmax(1) == labels).float().mean() > 0.98
    scores = head.scores(features)
    torch.testing.assert_close(scores, head(features).softmax(1)[:, 1:].detach())


def test_softmax_training_depends_on_the_seed_alone() -> None:
    features, labels = torch.randn(40, 5), torch.arange(40) % 2

    def trained(seed: int) -> torch.Tensor:
        torch.manual_seed(1)
        head = SoftmaxHead(5, 1, hidden=3)
        head.fit(features, labels, seed=seed, steps=3)
        return head.first.weight

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))
    with pytest.raises(ArgumentError, match="windows of both kinds, got 0 and 40"):
        SoftmaxHead(5, 1).fit(features, torch.zeros(40, dtype=torch.int64), seed=0)


def test_one_image_of_negatives_is_liblinear_with_the_released_settings() -> None:
    rng = np.random.default_rng(0)
    positives = rng.normal(1, 1, (40, 6)).astype(np.float32)
    negatives = rng.normal(-1, 1, (60, 6)).astype(np.float32)
    head = LinearSVMHead.fit(
        [(torch.from_numpy(negatives), torch.zeros(60, 1))], (torch.from_numpy(positives), torch.zeros(40).long()), 1
    )
    scale = 20 / np.linalg.norm(positives, axis=1).mean()
    assert head.scale == pytest.approx(scale, rel=1e-5)
    # The easy negatives leave the set before the last training, and change nothing: hinge loss is 0 beyond -1.
    svm = LinearSVC(loss="hinge", C=1e-3, class_weight={1: 2}, intercept_scaling=10, max_iter=100_000, random_state=0)
    rows = scale * np.concatenate([positives, negatives]).astype(np.float64)
    svm.fit(rows, np.arange(100) < 40)
    expected = svm.decision_function(scale * negatives.astype(np.float64))
    np.testing.assert_allclose(head.scores(torch.from_numpy(negatives))[:, 0], expected, atol=0.02)


def test_windows_that_overlap_an_object_are_no_negatives() -> None:
    torch.manual_seed(0)
    objects, others = torch.randn(30, 4) + 2, torch.randn(50, 4) - 2
    wrong = torch.cat([others, objects])
    overlaps = torch.cat([torch.zeros(50, 1), torch.full((30, 1), 0.6)])
    head = LinearSVMHead.fit([(wrong, overlaps)], (objects, torch.zeros(30).long()), 1)
    assert (head.scores(objects) > 0).float().mean() > 0.9
    with pytest.raises(ArgumentError, match=r"overlaps no object of a class by 0\.3"):
        LinearSVMHead.fit([(wrong, torch.ones(80, 1))], (objects, torch.zeros(30).long()), 1)
    with pytest.raises(ArgumentError, match=r"show every class, got \[30, 0\]"):
        LinearSVMHead.fit([(wrong, overlaps)], (objects, torch.zeros(30).long()), 2)


@pytest.mark.parametrize("count", [10, 60])
def test_regression_is_ridge_regression_of_the_offsets(count: int) -> None:
    """With fewer windows than features and with more, against scikit-learn, whose intercept is not shrunk either."""
    torch.manual_seed(0)
    features = torch.randn(count, 20, dtype=torch.float64)
    boxes = torch.rand(count, 4, dtype=torch.float64) * 20
    boxes[:, 2:] += boxes[:, :2] + 10
    objects = boxes + torch.randn(count, 4, dtype=torch.float64)
    fitted = BoxRegression.fit(features, boxes, objects, torch.zeros(count).long(), 2, ridge=50.0)
    scale = 20 / float(features.norm(dim=1).mean())
    size, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    targets = torch.cat(
        [((objects[:, :2] + objects[:, 2:]) / 2 - middle) / size, ((objects[:, 2:] - objects[:, :2]) / size).log()], 1
    )
    model = Ridge(alpha=50.0).fit(scale * features.numpy(), targets.numpy())
    offsets = torch.from_numpy(model.predict(scale * features.numpy()))
    half = size * offsets[:, 2:].exp() / 2
    expected = torch.cat([middle + offsets[:, :2] * size - half, middle + offsets[:, :2] * size + half], 1)
    torch.testing.assert_close(fitted.move(features, boxes, 0), expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(fitted.move(features, boxes, 1), middle.repeat(1, 2) + torch.cat([-size, size], 1) / 2)
    with pytest.raises(ArgumentError, match="ridge must be positive, got 0"):
        BoxRegression.fit(features, boxes, objects, torch.zeros(count).long(), 1, ridge=0)
