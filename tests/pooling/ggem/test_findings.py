"""Findings about the method: on a network or on tokens where they can be computed, and in the published run."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cenote.catalog import latest
from cenote.pooling.ggem.pooling import GGeM, ggem_pool
from cenote.pooling.ggem.vit import Average, SmallVit

DIM, HEADS = 24, 4


def network() -> SmallVit:
    return SmallVit(
        Average(), image_size=(8, 8), channels=3, classes=5, patch=4, dim=DIM, heads=HEADS, layers=2
    ).double()


def renamed(model: SmallVit, order: Tensor) -> SmallVit:
    """The same network with the residual stream's channels in another order; nothing inside a head is touched."""
    twin = copy.deepcopy(model)
    for block in twin.blocks:
        assert isinstance(block, nn.TransformerEncoderLayer)
        reads = [(block.self_attn, "in_proj_weight"), (block.linear1, "weight")]
        writes = [(block.self_attn.out_proj, "weight"), (block.linear2, "weight")]
        along = [(block.self_attn.out_proj, "bias"), (block.linear2, "bias")]
        along += [(norm, name) for norm in (block.norm1, block.norm2) for name in ("weight", "bias")]
        for module, name in reads:
            getattr(module, name).data = getattr(module, name).data[:, order]
        for module, name in [*writes, *along]:
            getattr(module, name).data = getattr(module, name).data[order]
    for module, name in [(twin.embed, "weight"), (twin.embed, "bias"), (twin.norm, "weight"), (twin.norm, "bias")]:
        getattr(module, name).data = getattr(module, name).data[order]
    twin.positions.data = twin.positions.data[:, order]
    twin.head.weight.data = twin.head.weight.data[:, order]
    return twin


def test_pooled_channels_belong_to_no_head() -> None:
    """Renaming the channels leaves heads, tokens and the mean as they are, but not what the groups pool."""
    model, images = network(), torch.randn(3, 3, 8, 8, dtype=torch.float64)
    order = torch.randperm(DIM)
    assert (order // (DIM // HEADS) != torch.arange(DIM) // (DIM // HEADS)).any()
    twin = renamed(model, order)
    torch.testing.assert_close(twin.tokens(images), model.tokens(images)[..., order], rtol=0, atol=1e-12)
    torch.testing.assert_close(twin(images), model(images), rtol=0, atol=1e-12)
    model.pooling = twin.pooling = GGeM(DIM, HEADS, p=[1.0, 2.0, 4.0, 8.0]).double()
    assert (twin(images) - model(images)).abs().max() > 1e-3


def test_an_exponent_of_one_is_not_the_mean_of_signed_tokens() -> None:
    """The clamp makes it the mean after a ReLU, and the negative half of the entries gets no gradient."""
    tokens = nn.LayerNorm(DIM, dtype=torch.float64)(torch.randn(4, 50, DIM, dtype=torch.float64)).requires_grad_()
    pooled = ggem_pool(tokens, 1.0, eps=1e-12)
    torch.testing.assert_close(pooled, tokens.relu().mean(1), rtol=0, atol=1e-10)
    assert (pooled - tokens.mean(1)).abs().min() > 0.1
    (gradient,) = torch.autograd.grad(pooled.sum(), tokens)
    assert torch.equal(gradient == 0, tokens < 1e-12)
    assert 0.45 < (gradient == 0).double().mean() < 0.55


LIKE_GGEM = ("gem", "more groups", "an exponent a channel", "p fixed at 3")


def test_exponents_moved_and_grouping_them_changed_little() -> None:
    """In the published run. When a new one says otherwise, the card has to."""
    result = latest("ggem")
    assert result is not None
    exponents = [record.value for record in result.records if record.metric == "exponent"]
    assert 2.7 < min(exponents) < 2.8
    assert 3.7 < max(exponents) < 3.8
    accuracy = {
        (record.arm, record.data, record.seed): record.value for record in result.records if record.metric == "accuracy"
    }
    runs = {(data, seed) for arm, data, seed in accuracy if arm == "ggem"}
    assert len(runs) == 16
    for run in runs:
        alike = [accuracy[arm, *run] for arm in ("ggem", *LIKE_GGEM)]
        assert max(alike) - min(alike) < 0.004
        assert min(alike) - accuracy["p fixed at 1", *run] > 0.005
        assert max(alike) - accuracy["p fixed at 1", *run] < 0.0325
