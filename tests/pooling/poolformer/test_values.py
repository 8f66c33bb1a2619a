"""Values of mixers, norms and blocks against brute force and the paper's formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cenote.pooling import MetaFormerBlock, PoolFormer, Pooling, PosetPool2d
from cenote.pooling.poolformer.block import ChannelMlp, DropPath
from cenote.pooling.poolformer.mixers import Attention, RandomMixing, SpatialLinear, Surroundings, build_mixer
from cenote.pooling.poolformer.norms import build_norm

EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


# --- the pooling mixer --------------------------------------------------------------------------------------------


def by_hand(x: Tensor, size: int) -> Tensor:
    """The mean over the positions of the window that exist, minus the middle, in a loop."""
    out, reach = torch.empty_like(x), size // 2
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            window = x[:, :, max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
            out[:, :, row, column] = window.mean((2, 3)) - x[:, :, row, column]
    return out


@given(height=st.integers(1, 9), width=st.integers(1, 9), size=st.sampled_from([1, 3, 5, 7]))
@settings(max_examples=30, deadline=None)
def test_pooling_is_the_mean_of_the_window_minus_its_middle(height: int, width: int, size: int) -> None:
    x = normal(2, 3, height, width)
    torch.testing.assert_close(Pooling(size)(x), by_hand(x, size), **EXACT)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(Pooling(size)(last), by_hand(x, size), **EXACT)


def test_a_constant_map_pools_to_nothing_at_the_borders_too() -> None:
    x = torch.full((1, 2, 5, 4), 3.0)
    assert not Pooling()(x).any()
    assert not Pooling(1)(torch.randn(1, 2, 5, 4)).any()
    assert not Pooling()(torch.randn(1, 2, 1, 1)).any()


def test_a_skip_around_pooling_is_the_pooled_map() -> None:
    block = MetaFormerBlock(3, "pool", "none", mlp_ratio=None, layer_scale=1.0).double()
    x = normal(2, 3, 6, 5)
    torch.testing.assert_close(block(x), F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), **EXACT)


# --- other mixers -------------------------------------------------------------------------------------------------


def test_attention_is_softmax_of_the_products_head_by_head() -> None:
    mixer, x = Attention(12, head_dim=4).double(), normal(2, 12, 3, 5)
    tokens = x.flatten(2).transpose(1, 2)
    query, key, value = mixer.qkv(tokens).chunk(3, dim=2)
    heads = [
        torch.softmax(q @ k.transpose(1, 2) / 2, dim=2) @ v
        for q, k, v in zip(query.split(4, 2), key.split(4, 2), value.split(4, 2), strict=True)
    ]
    expected = mixer.proj(torch.cat(heads, dim=2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(mixer(x), expected, **EXACT)
    assert mixer.qkv.bias is None
    assert mixer.proj.bias is not None


def test_the_random_matrix_is_frozen_and_averages() -> None:
    mixer, x = RandomMixing((3, 4)).double(), normal(2, 5, 3, 4)
    assert not list(mixer.parameters())
    assert "matrix" in mixer.state_dict()
    torch.testing.assert_close(mixer.matrix.sum(1), torch.ones(12, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    assert float((mixer.matrix.amax(1) / mixer.matrix.amin(1)).max()) < torch.e  # softmax of numbers between 0 and 1
    expected = torch.einsum("nm,bcm->bcn", mixer.matrix, x.flatten(2)).reshape(x.shape)
    torch.testing.assert_close(mixer(x), expected, **EXACT)


def test_the_spatial_mixer_is_one_linear_map_for_all_channels() -> None:
    mixer, x = SpatialLinear((3, 4)).double(), normal(2, 5, 3, 4)
    nn.init.normal_(mixer.fc.bias)
    torch.testing.assert_close(mixer(x), mixer.fc(x.flatten(2)).reshape(x.shape), **EXACT)


def test_the_depthwise_mixer_is_a_window_of_each_channel() -> None:
    mixer, x = build_mixer("dwconv", Surroundings(3)).double(), normal(2, 3, 5, 4)
    assert isinstance(mixer, nn.Conv2d)
    for channel in range(3):
        one = F.conv2d(x[:, [channel]], mixer.weight[[channel]], mixer.bias[[channel]], padding=1)  # type: ignore[index]
        torch.testing.assert_close(mixer(x)[:, [channel]], one, **EXACT)


@pytest.mark.parametrize("name", ["pool", "identity", "dwconv", "attention", "random", "spatial"])
def test_every_mixer_keeps_channels_last(name: str) -> None:
    mixer = build_mixer(name, Surroundings(8, (6, 7), head_dim=4))
    x = torch.randn(2, 8, 6, 7)
    last = mixer(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, mixer(x), rtol=1e-5, atol=1e-6)


# --- norms --------------------------------------------------------------------------------------------------------


def test_the_papers_norm_is_over_channels_and_positions_together() -> None:
    norm, x = build_norm("gn1", 4).double(), normal(3, 4, 5, 2)
    spread = x.var((1, 2, 3), correction=0, keepdim=True)
    expected = (x - x.mean((1, 2, 3), keepdim=True)) / (spread + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected, rtol=1e-10, atol=1e-10)


def test_layer_norm_is_over_the_channels_of_a_position() -> None:
    norm, x = build_norm("ln", 4).double(), normal(3, 4, 5, 2)
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected, rtol=1e-10, atol=1e-10)


# --- the block ----------------------------------------------------------------------------------------------------


def test_a_block_is_two_branches_beside_two_skips() -> None:
    block, x = MetaFormerBlock(4, "dwconv", layer_scale=0.3).double(), normal(2, 4, 5, 3)
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_()
    first = x + block.layer_scale1.scale.view(4, 1, 1) * block.token_mixer(block.norm1(x))  # type: ignore[union-attr]
    assert block.mlp is not None
    one, two = block.mlp.fc1, block.mlp.fc2
    hidden = F.gelu(F.conv2d(block.norm2(first), one.weight, one.bias))
    second = first + block.layer_scale2.scale.view(4, 1, 1) * F.conv2d(hidden, two.weight, two.bias)  # type: ignore[union-attr]
    torch.testing.assert_close(block(x), second, rtol=1e-10, atol=1e-10)


def test_without_skip_the_branches_replace_their_input() -> None:
    block, x = MetaFormerBlock(4, "identity", "none", mlp_ratio=None, layer_scale=0.5, skip=False), normal(1, 4, 3, 3)
    torch.testing.assert_close(block.double()(x), 0.5 * x, **EXACT)


def test_without_layer_scale_nothing_is_scaled() -> None:
    block, x = MetaFormerBlock(4, "identity", "none", mlp_ratio=None, layer_scale=None), normal(1, 4, 3, 3)
    assert not list(block.parameters())
    torch.testing.assert_close(block(x), 2 * x, **EXACT)


@pytest.mark.parametrize("activation", [nn.GELU, nn.ReLU, nn.SiLU, lambda: nn.GELU("tanh")])
def test_an_mlp_without_gradients_is_the_mlp(activation: Any) -> None:
    mlp, x = ChannelMlp(4, activation=activation).double(), normal(3, 4, 5, 3)
    with_gradients = mlp(x)
    assert with_gradients.requires_grad
    with torch.no_grad():
        before = x.clone()
        for maps in (x, x.contiguous(memory_format=torch.channels_last)):
            torch.testing.assert_close(mlp(maps), with_gradients.detach(), **EXACT)
        assert torch.equal(x, before)


def test_hooks_see_what_the_layers_gave() -> None:
    """Without gradients the hidden values are overwritten, but not where somebody looks at them."""
    mlp, x, seen = ChannelMlp(4).double(), normal(1, 4, 3, 3), {}
    for name in ("fc1", "act", "fc2"):
        mlp.get_submodule(name).register_forward_hook(lambda *call, name=name: seen.update({name: call[2]}))
    with torch.no_grad():
        out = mlp(x)
        hidden = F.conv2d(x, mlp.fc1.weight, mlp.fc1.bias)
    torch.testing.assert_close(seen["fc1"], hidden, **EXACT)
    torch.testing.assert_close(seen["act"], F.gelu(hidden), **EXACT)
    assert torch.equal(seen["fc2"], out)


def test_dropped_paths_are_whole_samples_and_keep_the_mean() -> None:
    x = torch.ones(4000, 2, 1, 1)
    dropped = DropPath(0.25).train()(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(dropped[:, 0], dropped[:, 1])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.05)
    assert torch.equal(DropPath(0.25).eval()(x), x)


def test_dropout_acts_in_training_only() -> None:
    mlp, x = ChannelMlp(4, dropout=0.5), torch.randn(2, 4, 3, 3)
    assert torch.equal(mlp.eval()(x), mlp(x))
    assert not torch.equal(mlp.train()(x), mlp(x))


# --- the socket ---------------------------------------------------------------------------------------------------


def test_any_map_of_maps_is_a_mixer() -> None:
    x = torch.randn(2, 4, 6, 5)
    chain = PosetPool2d("chain", 3, 1, 1, scale=1 / 9)
    for mixer in (lambda maps: maps.flip(3), torch.tanh, chain, nn.Conv2d(4, 4, 1), PerWidth):
        block = MetaFormerBlock(4, mixer, mlp_ratio=None, layer_scale=1.0)
        assert torch.equal(block(x), x + block.token_mixer(block.norm1(x)))
    assert torch.equal(MetaFormerBlock(4, torch.tanh, "none", mlp_ratio=None, layer_scale=1.0)(x), x + x.tanh())


class PerWidth(nn.Module):
    """A mixer that is built for a number of channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def test_every_block_has_a_mixer_of_its_own() -> None:
    given = nn.Conv2d(4, 4, 3, padding=1)
    network = PoolFormer((2, 1), (4, 4), 3, mixer=given)
    mixers = [each.token_mixer for each in network.modules() if isinstance(each, MetaFormerBlock)]
    assert len({id(each) for each in (given, *mixers)}) == 4
    assert all(torch.equal(each.weight, given.weight) for each in mixers)  # type: ignore[arg-type]  # initialised by its owner
    widths = PoolFormer((1, 1), (4, 8), 3, mixer=PerWidth)
    shapes = [each.token_mixer.weight.shape[0] for each in widths.modules() if isinstance(each, MetaFormerBlock)]  # type: ignore[union-attr,index]
    assert shapes == [4, 8]


# --- the network --------------------------------------------------------------------------------------------------


def test_mixer_norm_and_positions_of_each_stage() -> None:
    network = PoolFormer(
        (1, 1),
        (4, 8),
        3,
        ("pool", "attention"),
        ("gn1", "ln"),
        head_dim=4,
        image_size=(64, 32),
        positions=(False, True),
    )
    first, second = (stage.blocks[0] for stage in network.stages)  # type: ignore[union-attr,index]
    assert isinstance(first.token_mixer, Pooling)
    assert isinstance(second.token_mixer, Attention)
    assert isinstance(second.norm1, nn.LayerNorm)
    assert [name for name, _ in network.named_parameters() if "positions" in name] == ["stages.1.positions"]
    assert network.stages[1].positions.shape == (1, 8, 8, 4)  # type: ignore[union-attr]
    images = torch.randn(2, 3, 64, 32)
    before = network.eval()(images)
    with torch.no_grad():
        network.stages[1].positions.normal_()  # type: ignore[union-attr,operator]
    assert not torch.allclose(network(images), before)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (65, 40)])
def test_odd_sizes_have_maps(height: int, width: int) -> None:
    network = PoolFormer((1, 1, 1, 1), (4, 4, 4, 4), features_only=True).eval()
    sizes = [(height, width)]
    for kernel, stride, padding in ((7, 4, 2), *[(3, 2, 1)] * 3):
        sizes.append(tuple((side + 2 * padding - kernel) // stride + 1 for side in sizes[-1]))  # type: ignore[arg-type]
    maps = network(torch.randn(1, 3, height, width))
    assert [tuple(each.shape[2:]) for each in maps] == sizes[1:]
    assert network.strides == (4, 8, 16, 32)
    assert network.channels == (4, 4, 4, 4)


def test_no_classes_give_what_the_classifier_reads() -> None:
    network = PoolFormer((1,), (4,), num_classes=0).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = network.head.norm(network.forward_features(images)[-1]).mean((2, 3))  # type: ignore[operator]
    assert torch.equal(network(images), expected)


def test_bfloat16_autocast_is_near_float32() -> None:
    network = PoolFormer((1, 1), (8, 8), 5, layer_scale=1.0).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = network(images)
    torch.testing.assert_close(inside.float(), network(images), rtol=0.1, atol=0.01)


def test_the_layout_of_the_images_changes_nothing() -> None:
    network = PoolFormer((1, 1), (8, 8), 5, layer_scale=1.0).eval()
    images = torch.randn(2, 3, 32, 40)
    assert torch.equal(network(images), network(images.contiguous(memory_format=torch.channels_last)))
    assert network.forward_features(images)[0].is_contiguous(memory_format=torch.channels_last)
