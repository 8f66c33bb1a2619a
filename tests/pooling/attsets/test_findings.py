"""Findings about AttSets and FASet, each shown."""

from __future__ import annotations

import torch
from torch import nn

from cenote.pooling import AttSets, faset_parameters


def test_the_bias_of_the_released_layer_never_learns() -> None:
    """It is added to the scores of all views alike, and leaves their softmax as it is."""
    torch.manual_seed(0)
    pool, views = AttSets(6, bias=True).double(), torch.randn(4, 5, 6, dtype=torch.float64)
    before = pool(views)
    pool(views).pow(2).sum().backward()
    assert pool.scores.bias is not None
    assert pool.scores.bias.grad.abs().max() < 1e-14
    assert pool.scores.weight.grad.abs().max() > 1e-3
    with torch.no_grad():
        pool.scores.bias.copy_(torch.linspace(-20, 20, 6))
    torch.testing.assert_close(pool(views), before, rtol=0, atol=1e-14)


def test_single_views_move_the_attention_by_weight_decay_alone() -> None:
    """Its gradient there is 0, which a decoupled decay does not ask for; the answer to one view hides it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), AttSets(4), nn.Linear(4, 1))
    (weight,) = faset_parameters(model)[1]
    start, views = weight.detach().clone(), torch.randn(8, 1, 3)
    for decay, moves in ((0.0, False), (0.1, True)):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=decay)
        for _ in range(3):
            optimizer.zero_grad()
            model(views).pow(2).sum().backward()
            assert weight.grad is not None
            assert weight.grad.abs().max() == 0
            optimizer.step()
        assert torch.equal(weight, start) is not moves
    torch.testing.assert_close(weight, start * 0.99**3)


def test_no_weights_give_the_sum() -> None:
    """Each feature of the result lies between its least and largest value, so a set cannot be counted."""
    torch.manual_seed(0)
    views = torch.rand(16, 5, 6) + 1
    for scale in (0.0, 1.0, 1e3):
        pool = AttSets(6)
        with torch.no_grad():
            pool.scores.weight.mul_(scale)
            pooled = pool(views)
        assert (pooled <= views.amax(1) + 1e-5).all()
        assert (pooled >= views.amin(1) - 1e-5).all()
        assert (pooled < views.sum(1) - 1).all()
        torch.testing.assert_close(pool(views.repeat(1, 3, 1)), pooled)
