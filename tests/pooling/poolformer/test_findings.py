"""What was found about the paper."""

from __future__ import annotations

import torch

from cenote.pooling import PoolFormer, poolformer_s12
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
