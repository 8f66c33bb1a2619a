"""Mixers of one's own, and of another paper, in a whole network: they learn, are saved, and take others' weights."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling import MetaFormerBlock, PoolFormer, PosetPool2d, load_timm_state_dict, poolformer_s12
from cenote.pooling.poolformer.ablation import PosetMixing


class Shifting(nn.Module):
    """Each channel looks one position up, down, left or right, by a learned amount."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.ones(dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        up, down, left, right = x.tensor_split(4, dim=1)
        moved = torch.cat([up.roll(1, 2), down.roll(-1, 2), left.roll(1, 3), right.roll(-1, 3)], dim=1)
        return self.amount * moved


MIXERS: dict[str, Any] = {
    "class": Shifting,
    "poset": PosetPool2d("chain", 3, 1, 1, scale=1 / 9),
    "poset minus its input": PosetMixing,
    "function": lambda x: x.mean((2, 3), keepdim=True) - x,
}


def network(mixer: Any) -> PoolFormer:
    built = mixer() if mixer is PosetMixing else mixer
    return PoolFormer((1, 2), (8, 16), 4, built, patch=(2, 2, 0), layer_scale=0.5, drop_path=0.0)


def blocks(model: nn.Module) -> list[MetaFormerBlock]:
    return [block for block in model.modules() if isinstance(block, MetaFormerBlock)]


@pytest.mark.parametrize("name", MIXERS)
def test_a_network_with_another_mixer_learns(name: str) -> None:
    """Twelve images of four colours; what the mixer learns counts if its weights have gradients."""
    labels = torch.arange(12) % 4
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    images = colours[labels, :, None, None] + torch.randn(12, 3, 12, 12) / 2
    model = network(MIXERS[name])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]
    for block in blocks(model):
        for weight in block.token_mixer.parameters():
            assert weight.grad is not None
            assert float(weight.grad.abs().max()) > 0


def test_what_a_mixer_of_ones_own_learned_is_saved_and_loaded() -> None:
    model, other = network(Shifting), network(Shifting)
    with torch.no_grad():
        for block in blocks(model):
            block.token_mixer.amount.normal_()  # type: ignore[union-attr,operator]
    images = torch.randn(2, 3, 12, 12)
    assert not torch.allclose(other.eval()(images), model.eval()(images))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images), model(images))


def test_a_poset_of_another_paper_is_computed_in_the_block() -> None:
    """A chain of a 2×1 window, padded below: the larger of 0, the lower entry and the sum of both."""
    pool = PosetPool2d("1<2", (2, 1), 1, (1, 0), ceil_mode=False)
    block = MetaFormerBlock(3, lambda x: pool(x)[:, :, 1:], "none", mlp_ratio=None, layer_scale=1.0).double()
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    below = torch.cat([x[:, :, 1:], torch.zeros_like(x[:, :, :1])], dim=2)
    best = torch.maximum(torch.maximum(below, x + below), torch.zeros_like(x))
    torch.testing.assert_close(block(x), x + best, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_timms_weights_go_into_a_network_whose_mixer_has_none() -> None:
    """Stages before the first changed mixer have timm's features, the others do not."""
    peer = timm.create_model("poolformer_s12").eval()
    for name, weight in peer.named_parameters():
        if "scale" in name:
            weight.fill_(1.0)
    model = poolformer_s12(mixer=("pool", "pool", torch.tanh, "pool"), features_only=True).eval()
    load_timm_state_dict(model, peer.state_dict())
    images = torch.randn(1, 3, 64, 64)
    same = [
        torch.allclose(ours, theirs, atol=1e-4)
        for ours, theirs in zip(model(images), peer.forward_intermediates(images, intermediates_only=True), strict=True)
    ]
    assert same == [True, True, False, False]


def test_a_mixer_with_weights_misses_them_in_timms() -> None:
    words = r"source does not fit the model: missing: stages\.0\.blocks\.0\.token_mixer\.amount"
    state = {name: tensor for name, tensor in network(Shifting).state_dict().items() if "amount" not in name}
    with pytest.raises(ArgumentError, match=words):
        load_timm_state_dict(network(Shifting), state)
