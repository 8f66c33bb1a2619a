"""What was found about the paper."""

from __future__ import annotations

import torch

from cenote.pooling import MetaFormerBlock, PoolFormer, poolformer_s12
from cenote.pooling.poolformer.ablation import Shape, build
from cenote.pooling.poolformer.norms import GroupNorm1
from cenote.pooling.poolformer.pooling import Pooling


def test_the_shift_before_pooling_does_nothing() -> None:
    """Pooling of a constant is the constant, so the mixer takes it away; in float64 to the last few bits."""
    network = PoolFormer((2, 1), (8, 16), 5, layer_scale=1.0).double().eval()
    images = torch.randn(2, 3, 40, 32, dtype=torch.float64)
    before = network(images)
    before.square().sum().backward()
    shifts = [weight for name, weight in network.named_parameters() if name.endswith("norm1.bias")]
    scales = [weight for name, weight in network.named_parameters() if name.endswith("norm1.weight")]
    assert len(shifts) == 3
    assert all(float(shift.grad.abs().max()) < 1e-12 for shift in shifts if shift.grad is not None)
    assert all(float(scale.grad.abs().max()) > 1e-6 for scale in scales if scale.grad is not None)
    with torch.no_grad():
        for shift in shifts:
            shift.normal_()
    torch.testing.assert_close(network(images), before, rtol=1e-12, atol=1e-12)
    with torch.device("meta"):
        s12 = poolformer_s12()
    assert sum(weight.numel() for name, weight in s12.named_parameters() if name.endswith("norm1.bias")) == 3328


def test_the_mean_before_pooling_does_nothing_either() -> None:
    """Of the norm only its division is left: γ/σ·(pool(x) − x)."""
    x = 5 + torch.randn(3, 4, 6, 5, dtype=torch.float64)
    norm, mixer = GroupNorm1(4).double(), Pooling()
    torch.nn.init.normal_(norm.weight)
    factor = norm.weight.view(4, 1, 1) / (x.var((1, 2, 3), correction=0, keepdim=True) + norm.eps).sqrt()
    torch.testing.assert_close(mixer(norm(x)), factor * mixer(x), rtol=1e-10, atol=1e-10)


def test_attention_of_the_comparison_does_not_see_where() -> None:
    """Positions in another order come out in that order; only the hybrid has an embedding of positions."""
    torch.manual_seed(0)
    shape = Shape((1, 1), (8, 16), (4, 4, 0), head_dim=8, layer_scale=0.1)
    names = {
        arm: [name for name, _ in build(arm, shape, image_shape=(16, 16, 3), classes=4, seed=0).named_parameters()]
        for arm in ("attention-mixer", "pool, then attention")
    }
    assert not [name for name in names["attention-mixer"] if name.endswith("positions")]
    assert [name for name in names["pool, then attention"] if name.endswith("positions")]
    network = build("attention-mixer", shape, image_shape=(16, 16, 3), classes=4, seed=0).double().eval()
    block = next(module for module in network.modules() if isinstance(module, MetaFormerBlock))
    maps = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    order = torch.randperm(16)
    mixed, moved = block(maps), block(maps.flatten(2)[:, :, order].unflatten(2, (4, 4)))
    torch.testing.assert_close(moved.flatten(2), mixed.flatten(2)[:, :, order], rtol=1e-10, atol=1e-10)


def test_without_skip_a_constant_map_is_lost() -> None:
    """The block of the arm without skip; averaging alone, or the skip, would have kept the constant."""
    maps = torch.full((1, 8, 5, 5), 3.0, dtype=torch.float64)
    bare = MetaFormerBlock(8, "pool", norm="none", mlp_ratio=None, layer_scale=None, skip=False).double()
    whole = MetaFormerBlock(8, "pool", norm="none", mlp_ratio=None, layer_scale=None).double()
    assert bare(maps).abs().max() < 1e-12
    torch.testing.assert_close(whole(maps), maps)
